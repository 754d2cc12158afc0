//! What grants real-time priority on a Linux desktop, beside this machine's own: a D-Bus system bus, polkit and RealtimeKit, the real ones, and
//! somebody ordinary who sits there.

use super::has_tool;
use super::process::{BINARY, Launch};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(10);
const POLKIT: &str = "/usr/lib/polkit-1/polkitd";
const RTKIT: &str = "/usr/libexec/rtkit-daemon";
/// `nobody`.
const ORDINARY: u32 = 65_534;
/// `CAP_SYS_ADMIN` and `CAP_SYS_NICE`: rules of polkit that only it sees, and priority that can be granted.
const NEEDED: u64 = 1 << 21 | 1 << 23;

/// What a machine must have for it.
pub fn lacks() -> Option<&'static str> {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let capabilities = status.lines().find_map(|line| line.strip_prefix("CapEff:")?.trim().get(..16));
    let capabilities = capabilities.and_then(|digits| u64::from_str_radix(digits, 16).ok()).unwrap_or(0);
    if capabilities & NEEDED != NEEDED {
        return Some("services that grant priority are run by root, who may grant it");
    }
    if !["dbus-daemon", "dbus-send", "setpriv", "prlimit", "unshare"].iter().all(|tool| has_tool(tool)) {
        return Some("a D-Bus (packages dbus-daemon and dbus-bin) or util-linux is missing");
    }
    let there = [POLKIT, RTKIT].iter().all(|service| Path::new(service).exists());
    (!there).then_some("RealtimeKit (package rtkit) or polkit (package polkitd) is missing")
}

/// A bus, and what is on it; ended when dropped.
pub struct Desktop {
    services: Vec<Child>,
    folder: tempfile::TempDir,
}

impl Desktop {
    /// A bus with nobody on it.
    pub fn without_rtkit() -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let open = |path: &Path| fs::set_permissions(path, fs::Permissions::from_mode(0o755)).expect("my own folder");
        open(folder.path());
        let home = folder.path().join("home");
        fs::create_dir(&home).expect("a writable temporary folder");
        chown(&home, Some(ORDINARY), Some(ORDINARY)).expect("root may");
        // Where this binary lies not everybody may go.
        fs::copy(BINARY, folder.path().join("resonance")).expect("a copy of the program");
        let mut desktop = Self { services: Vec::new(), folder };
        let configuration = desktop.path("bus.conf");
        fs::write(&configuration, desktop.bus()).expect("a writable temporary folder");
        desktop
            .serve("dbus-daemon", &["--nofork", "--nopidfile", &format!("--config-file={}", configuration.display())]);
        until("the bus listens", || desktop.path("bus").exists());
        desktop
    }

    /// With RealtimeKit, and a polkit that lets everybody ask it, as it lets whoever sits at a desktop.
    pub fn new() -> Self {
        let mut desktop = Self::without_rtkit();
        let rule = desktop.path("50-everybody.rules");
        // In the old JavaScript that polkit's interpreter knows.
        let everybody = "polkit.addRule(function(action) { \
            if (action.id.indexOf('org.freedesktop.RealtimeKit1.') == 0) { return polkit.Result.YES; } });\n";
        fs::write(&rule, everybody).expect("a writable temporary folder");
        // Only this polkit sees the rule.
        let rules =
            "mount -t tmpfs -o mode=755 tmpfs /etc/polkit-1/rules.d && cp \"$0\" /etc/polkit-1/rules.d && exec \"$@\"";
        desktop.serve("unshare", &["-m", "sh", "-c", rules, &rule.display().to_string(), POLKIT]);
        desktop.serve(RTKIT, &["--no-limit-resources"]);
        for name in ["org.freedesktop.PolicyKit1", "org.freedesktop.RealtimeKit1"] {
            until(name, || desktop.has(name));
        }
        desktop
    }

    /// Ends the bus; whoever sits there finds none.
    pub fn close(&mut self) {
        for mut service in self.services.drain(..).rev() {
            let _ = service.kill();
            let _ = service.wait();
        }
        let _ = fs::remove_file(self.path("bus"));
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn address(&self) -> String {
        format!("unix:path={}", self.path("bus").display())
    }

    fn serve(&mut self, service: &str, arguments: &[&str]) {
        let child = Command::new(service)
            .args(arguments)
            .env("DBUS_SYSTEM_BUS_ADDRESS", self.address())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap_or_else(|error| panic!("{service} does not start: {error}"));
        self.services.push(child);
    }

    /// The rules of a system bus: names are for those whom a service's own file names.
    fn bus(&self) -> String {
        let own = ["PolicyKit1", "RealtimeKit1"].map(|name| {
            format!("<include ignore_missing=\"yes\">/usr/share/dbus-1/system.d/org.freedesktop.{name}.conf</include>")
        });
        let receive =
            ["method_call", "method_return", "error", "signal"].map(|kind| format!("<allow receive_type=\"{kind}\"/>"));
        format!(
            "<busconfig><type>system</type><listen>{}</listen><auth>EXTERNAL</auth>\
             <policy context=\"default\"><allow user=\"*\"/><deny own=\"*\"/><deny send_type=\"method_call\"/>\
             <allow send_requested_reply=\"true\" send_type=\"method_return\"/>\
             <allow send_requested_reply=\"true\" send_type=\"error\"/>\
             <allow send_destination=\"org.freedesktop.DBus\"/>{}</policy>{}</busconfig>",
            self.address(),
            receive.concat(),
            own.concat()
        )
    }

    fn has(&self, name: &str) -> bool {
        let asked = Command::new("dbus-send")
            .arg(format!("--bus={}", self.address()))
            .args(["--print-reply", "--dest=org.freedesktop.DBus", "/org/freedesktop/DBus"])
            .args(["org.freedesktop.DBus.GetNameOwner", &format!("string:{name}")])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        asked.is_ok_and(|status| status.success())
    }

    /// Words that have the command that follows them run by somebody ordinary, whom the kernel grants nothing.
    fn ordinary() -> Vec<String> {
        let (user, group) = (format!("--reuid={ORDINARY}"), format!("--regid={ORDINARY}"));
        let words = ["prlimit", "--rtprio=0", "setpriv", &user, &group, "--clear-groups"];
        words.map(String::from).to_vec()
    }

    /// A start of the program by somebody ordinary at this desktop.
    pub fn seats(&self, launch: Launch) -> Launch {
        let script =
            format!("shift; exec {} '{}' \"$@\"", Self::ordinary().join(" "), self.path("resonance").display());
        let home = self.path("home");
        launch
            .through(vec!["sh".into(), "-c".into(), script, "sh".into()])
            .keeps_in(&home)
            .environment("HOME", &home)
            .environment("XDG_CONFIG_HOME", &home)
            .environment("DBUS_SYSTEM_BUS_ADDRESS", self.address())
    }

    /// A command by the same person.
    pub fn run(&self, command: &[&str]) -> Output {
        let words = Self::ordinary();
        let path = self.path("resonance").display().to_string();
        let command = command.iter().map(|word| if *word == "resonance" { &path } else { *word });
        Command::new(&words[0])
            .args(&words[1..])
            .args(command)
            .env("HOME", self.path("home"))
            .env("DBUS_SYSTEM_BUS_ADDRESS", self.address())
            .output()
            .expect("it runs")
    }
}

impl Drop for Desktop {
    fn drop(&mut self) {
        self.close();
    }
}

/// Waits for something that is looked for again and again.
///
/// # Panics
/// When it does not come.
pub fn until(what: &str, mut there: impl FnMut() -> bool) {
    let began = Instant::now();
    while !there() {
        assert!(began.elapsed() < PATIENCE, "waited {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
