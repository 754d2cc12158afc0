//! A sound server without hardware: a private PulseAudio daemon whose only card goes nowhere. What is played is what its microphone hears.

use super::has_tool;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);

/// What a machine must have for it, beside a Linux.
pub fn lacks() -> Option<&'static str> {
    if !cfg!(target_os = "linux") || !has_tool("pulseaudio") {
        return Some("a sound server (package pulseaudio) is missing");
    }
    let plugin = ["x86_64", "aarch64"]
        .map(|machine| format!("/usr/lib/{machine}-linux-gnu/alsa-lib/libasound_module_pcm_pulse.so"));
    let there = plugin.iter().any(|path| Path::new(path).exists());
    (!there).then_some("ALSA's way to a sound server (package libasound2-plugins) is missing")
}

/// A running server; ended when dropped.
pub struct SoundServer {
    child: Child,
    folder: PathBuf,
}

impl SoundServer {
    /// Starts one that keeps everything in `folder`.
    pub fn start(folder: &Path) -> Self {
        let socket = folder.join("native");
        let plugin = format!("{{ type pulse server \"unix:{}\" }}", socket.display());
        fs::write(folder.join(".asoundrc"), format!("pcm.!default {plugin}\nctl.!default {plugin}\n"))
            .expect("a writable temporary folder");
        let child = Command::new("pulseaudio")
            .args(["-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "--disallow-exit=yes"])
            // The card first: whoever finds the socket finds it, too.
            .arg("--load=module-null-sink sink_name=card rate=48000 channels=2 norewinds=1")
            .arg(format!("--load=module-native-protocol-unix socket={} auth-anonymous=1", socket.display()))
            .envs(environment(folder))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("pulseaudio starts");
        let server = Self { child, folder: folder.into() };
        let began = Instant::now();
        while !socket.exists() {
            assert!(began.elapsed() < PATIENCE, "the sound server opens its socket");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// What a program needs to find it, and nothing else of this machine's sound.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        environment(&self.folder)
    }

    /// Loads one of the server's modules, by `pactl`.
    pub fn load(&self, module: &[&str]) {
        let loading = Command::new("pactl").envs(self.environment()).arg("load-module").args(module).output();
        let loaded = loading.expect("pactl runs");
        assert!(loaded.status.success(), "{module:?}: {}", String::from_utf8_lossy(&loaded.stderr));
    }

    /// What a program needs to find it by ALSA's plugin alone.
    pub fn alsa_environment(&self) -> Vec<(&'static str, String)> {
        let own = |(name, value)| (name, if name == "PULSE_SERVER" { String::new() } else { value });
        let elsewhere = self.folder.join("elsewhere").display().to_string();
        let elsewhere = [("PULSE_RUNTIME_PATH", elsewhere.clone()), ("XDG_RUNTIME_DIR", elsewhere)];
        self.environment().into_iter().map(own).chain(elsewhere).collect()
    }
}

impl Drop for SoundServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        // What was killed leaves it behind; the next one in this folder is there when its own is.
        let _ = fs::remove_file(self.folder.join("native"));
    }
}

fn environment(folder: &Path) -> Vec<(&'static str, String)> {
    let folder = folder.display().to_string();
    vec![
        ("PULSE_SERVER", format!("unix:{folder}/native")),
        ("PULSE_RUNTIME_PATH", folder.clone()),
        ("PULSE_COOKIE", format!("{folder}/cookie")),
        ("XDG_RUNTIME_DIR", folder.clone()),
        ("XDG_CONFIG_HOME", format!("{folder}/config")),
        ("HOME", folder),
    ]
}
