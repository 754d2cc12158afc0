//! Devices that come and go while somebody is heard: sound follows, and so does the way in which voices are placed.

use crate::support::process::{Launch, Resonance};
use crate::support::sound_server::{self, SoundServer};
use crate::support::{alone, attempts, has_tool, skip};
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);
/// Until the delay of a call that has begun is that of the path.
const SETTLES: Duration = Duration::from_secs(4);
/// The longest break that nobody minds.
const BREAK: Duration = Duration::from_millis(50);
/// Samples a millisecond.
const MILLISECOND: usize = 48;

/// What is missing here, if something is.
fn lacks() -> Option<&'static str> {
    sound_server::lacks().or((!has_tool("pactl") || !has_tool("parec")).then_some("pactl and parec are missing"))
}

fn pactl(server: &SoundServer, arguments: &[&str]) -> String {
    let output = Command::new("pactl").envs(server.environment()).args(arguments).output().expect("it runs");
    assert!(output.status.success(), "pactl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// A card that goes nowhere; returns what unloads it.
fn card(server: &SoundServer, name: &str, description: &str) -> String {
    let names = [format!("sink_name={name}"), format!("sink_properties=device.description={description}")];
    pactl(server, &["load-module", "module-null-sink", &names[0], &names[1], "rate=48000", "channels=2"])
}

fn at_the_server(launch: Launch, server: &SoundServer) -> Launch {
    server.environment().into_iter().fold(launch, |launch, (name, value)| launch.environment(name, value))
}

/// What is heard of one card, and when: every millisecond, whether there was sound in it.
struct Listener {
    recorder: Child,
    heard: Arc<Mutex<Vec<(Instant, bool)>>>,
    reader: Option<JoinHandle<()>>,
}

impl Listener {
    fn at(server: &SoundServer, card: &str) -> Self {
        let mut recorder = Command::new("parec")
            .envs(server.environment())
            .args(["--raw", "--format=float32le", "--rate=48000", "--channels=1", "--latency-msec=5"])
            .arg(format!("--device={card}.monitor"))
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it runs");
        let mut sound = recorder.stdout.take().expect("piped");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        let reader = std::thread::spawn(move || {
            let (mut bytes, mut rest) = ([0; 4_096], Vec::new());
            while let Ok(count @ 1..) = sound.read(&mut bytes) {
                let now = Instant::now();
                rest.extend_from_slice(&bytes[..count]);
                let whole = rest.len() / (4 * MILLISECOND);
                let mut heard = kept.lock().unwrap_or_else(PoisonError::into_inner);
                for (n, millisecond) in rest.chunks_exact(4 * MILLISECOND).enumerate() {
                    let (samples, _) = millisecond.as_chunks::<4>();
                    let loud = samples.iter().any(|sample| f32::from_le_bytes(*sample).abs() > 0.003);
                    let ago = Duration::from_millis((whole - n) as u64);
                    heard.push((now.checked_sub(ago).unwrap_or(now), loud));
                }
                drop(heard);
                rest.drain(..whole * 4 * MILLISECOND);
            }
        });
        Self { recorder, heard, reader: Some(reader) }
    }

    fn loud(&self) -> Vec<Instant> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.iter().filter(|(_, loud)| *loud).map(|(at, _)| *at).collect()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.recorder.kill();
        let _ = self.recorder.wait();
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// The longest time from one second before `event` to two after in which none of them heard anything.
fn longest_break(listeners: &[Listener], event: Instant) -> Duration {
    let (from, to) = (event - Duration::from_secs(1), event + Duration::from_secs(2));
    let mut loud: Vec<Instant> =
        listeners.iter().flat_map(Listener::loud).filter(|at| (from..to).contains(at)).collect();
    loud.extend([from, to]);
    loud.sort_unstable();
    loud.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or(Duration::MAX)
}

/// Ada listens through `output`; Bo whistles.
fn call(server: &SoundServer, output: &str) -> (Resonance, Resonance) {
    let ada = at_the_server(Launch::create("Ada").by_link_only().output(output), server).start();
    let bo = Launch::join("Bo", &ada.link()).by_link_only().input("tone:440").start();
    ada.hears("Bo", PATIENCE);
    std::thread::sleep(SETTLES);
    (ada, bo)
}

/// The speaker is pulled out in the middle of a tone, whether it was chosen by its name or as the system's: the tone goes on at another.
/// The same when the system's choice changes.
#[test]
fn a_speaker_that_is_taken_away_makes_no_break_that_anybody_minds() {
    let test = "devices::a_speaker_that_is_taken_away_makes_no_break_that_anybody_minds";
    let _alone = alone();
    if let Some(lacks) = lacks() {
        return skip(test, lacks);
    }
    for output in ["default", "first"] {
        attempts(&format!("{test}, {output}"), || {
            let folder = tempfile::tempdir().expect("a temporary folder");
            let server = SoundServer::start(folder.path());
            let first = card(&server, "first", "First");
            card(&server, "second", "Second");
            pactl(&server, &["set-default-sink", "first"]);
            let listeners = ["card", "first", "second"].map(|name| Listener::at(&server, name));
            let (mut ada, bo) = call(&server, output);

            let mark = ada.mark();
            let away = Instant::now();
            pactl(&server, &["unload-module", &first]);
            std::thread::sleep(Duration::from_secs(3));
            let taken = longest_break(&listeners, away);
            pactl(&server, &["set-default-sink", "second"]);
            let changed = Instant::now();
            std::thread::sleep(Duration::from_secs(3));
            let other = longest_break(&listeners, changed);
            let restarted = ada.events("warning").len();
            ada.command("stats");
            ada.wait_since(mark, "figures", PATIENCE, |event| event.kind() == "audio");
            bo.quit();
            ada.quit();
            let figures =
                format!("taken away: silent for {taken:?}; another preferred: {other:?}; {restarted} warnings");
            if taken <= BREAK && other <= BREAK && restarted == 0 { Ok(figures) } else { Err(figures) }
        });
    }
}

/// The system plays on another device, which is listened to in another way: voices are placed for that one.
#[test]
fn placement_follows_the_device_that_the_system_plays_on() {
    let test = "devices::placement_follows_the_device_that_the_system_plays_on";
    let _alone = alone();
    if let Some(lacks) = lacks() {
        return skip(test, lacks);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = SoundServer::start(folder.path());
    card(&server, "loud", "Loudspeakers");
    let headset = card(&server, "worn", "Headset");
    pactl(&server, &["set-default-sink", "loud"]);
    let ada = at_the_server(Launch::create("Ada").by_link_only().output("default"), &server).start();
    let placed = |mark: usize, engine: &str| {
        ada.wait_since(mark, engine, PATIENCE, |event| {
            event.kind() == "audio" && event.text("spatial_engine") == engine
        });
    };
    placed(0, "pan");
    for (name, engine) in [("worn", "hrtf:mit-kemar"), ("loud", "pan"), ("worn", "hrtf:mit-kemar")] {
        let mark = ada.mark();
        pactl(&server, &["set-default-sink", name]);
        placed(mark, engine);
    }
    // Pulled out: what is left are the speakers, once they are preferred.
    let mark = ada.mark();
    pactl(&server, &["unload-module", &headset]);
    pactl(&server, &["set-default-sink", "loud"]);
    placed(mark, "pan");
    ada.quit();
}
