//! Devices that come and go while somebody is heard: sound follows, and so does the way in which voices are placed.

use crate::support::process::{Event, Launch, Resonance};
use crate::support::sound_server::{self, SoundServer};
use crate::support::{alone, attempts, has_tool, say, skip};
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);
/// Until the delay of a call that has begun is that of the path.
const SETTLES: Duration = Duration::from_secs(4);
/// How long is waited for a time of peace.
const PEACE: Duration = Duration::from_secs(90);
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

/// A microphone before which somebody whistles; returns what pulls it out.
fn microphone(server: &SoundServer, name: &str, description: &str) -> String {
    let air = format!("{name}_air");
    card(server, &air, "Air");
    pactl(server, &["load-module", "module-sine", &format!("sink={air}"), "frequency=440"]);
    plug_in(server, name, description)
}

/// The same where the whistling goes on.
fn plug_in(server: &SoundServer, name: &str, description: &str) -> String {
    let [name, master] = [format!("source_name={name}"), format!("master={name}_air.monitor")];
    let described = format!("source_properties=device.description={description}");
    pactl(server, &["load-module", "module-remap-source", &name, &master, &described])
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

/// Whoever runs dry again and again holds more, and gives it back after a time of peace: at the sound server, and at ALSA, where only silence
/// is a moment for that.
#[test]
fn a_speaker_that_runs_dry_again_and_again_holds_more_until_there_is_peace() {
    let test = "devices::a_speaker_that_runs_dry_again_and_again_holds_more_until_there_is_peace";
    let _alone = alone();
    if let Some(lacks) = lacks() {
        return skip(test, lacks);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = SoundServer::start(folder.path());
    attempts(test, || {
        let mut calls = [server.environment(), server.alsa_environment()].map(|variables| {
            let ada = Launch::create("Ada").by_link_only().output("default");
            let ada = variables.into_iter().fold(ada, |ada, (name, value)| ada.environment(name, value)).start();
            let bo = Launch::join("Bo", &ada.link()).by_link_only().input("tone:440").start();
            ada.hears("Bo", PATIENCE);
            (ada, bo)
        });
        let held_after = |calls: &[(Resonance, Resonance); 2], wait| {
            std::thread::sleep(wait);
            calls.each_ref().map(|(ada, _)| held(ada))
        };
        let least = held_after(&calls, SETTLES);
        for _ in 0..5 {
            calls.iter().for_each(|(ada, _)| signal(ada, "-STOP"));
            std::thread::sleep(Duration::from_millis(150));
            calls.iter().for_each(|(ada, _)| signal(ada, "-CONT"));
            std::thread::sleep(Duration::from_millis(1_200));
        }
        let most = held_after(&calls, Duration::from_secs(3));
        for (_, bo) in &mut calls {
            bo.command("mute");
        }
        // Twenty seconds of peace, which a busy machine does not always grant at once.
        let (muted, mut after) = (Instant::now(), most);
        while muted.elapsed() < PEACE && !(0..2).all(|n| after[n] < most[n] - 2.0) {
            after = held_after(&calls, Duration::from_secs(2));
        }
        for (ada, bo) in calls {
            bo.quit();
            ada.quit();
        }
        let figures = format!(
            "the sound server and ALSA: {least:.1?} ms at first, {most:.1?} after breaks, {after:.1?} after a time of peace"
        );
        let adapted = |n: usize| most[n] > least[n] + 4.0 && after[n] < most[n] - 2.0;
        if adapted(0) && adapted(1) { Ok(figures) } else { Err(figures) }
    });
}

/// How much the device holds that somebody plays on, in ms: the least of what was told last.
fn held(person: &Resonance) -> f64 {
    let told = person.events("audio");
    let held = |event: &Event| event.json["delay"]["playback"].as_f64();
    told.iter().rev().take(3).filter_map(held).fold(f64::INFINITY, f64::min)
}

fn signal(person: &Resonance, signal: &str) {
    let sent = Command::new("kill").args([signal, &person.pid().to_string()]).status().expect("kill runs");
    assert!(sent.success(), "the process was there to be told");
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

/// Bo hears what Ada's microphone hears; beside it something else is played, which is nobody's voice.
fn heard_through(server: &SoundServer, input: &str) -> (Resonance, Resonance, Listener) {
    card(server, "ears", "Ears");
    pactl(server, &["set-default-sink", "card"]);
    pactl(server, &["load-module", "module-sine", "sink=card", "frequency=1000"]);
    pactl(server, &["set-default-source", "first"]);
    let listener = Listener::at(server, "ears");
    let ada = Launch::create("Ada").by_link_only().input(input).argument("--voice").argument("off");
    let ada = at_the_server(ada, server).start();
    let bo = at_the_server(Launch::join("Bo", &ada.link()).by_link_only().output("ears"), server).start();
    bo.hears("Ada", PATIENCE);
    std::thread::sleep(SETTLES);
    (ada, bo, listener)
}

/// The microphone is pulled out, whether it was chosen by its name or as the system's: another is used, and that is told; it is used again
/// when it is back; without any, nothing is sent, not even what a speaker plays, and that is told, too.
#[test]
fn a_microphone_that_is_taken_away_is_replaced_and_used_again_when_it_is_back() {
    let test = "devices::a_microphone_that_is_taken_away_is_replaced_and_used_again_when_it_is_back";
    let _alone = alone();
    if let Some(lacks) = lacks() {
        return skip(test, lacks);
    }
    for input in ["default", "first"] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let server = SoundServer::start(folder.path());
        let first = microphone(&server, "first", "First");
        let second = microphone(&server, "second", "Second");
        // A card works by periods of its own; one that is none works by those of whoever listens, and by seconds where nobody does.
        let _periods = ["first_air", "second_air"].map(|air| Listener::at(&server, air));
        let (ada, bo, listener) = heard_through(&server, input);
        let uses = |mark: usize, name: &str| {
            ada.wait_since(mark, name, PATIENCE, |event| event.kind() == "devices" && event.text("input") == name);
        };
        let hears_again = || {
            let began = Instant::now();
            while listener.loud().last().is_none_or(|last| *last < began) {
                assert!(began.elapsed() < PATIENCE, "Bo hears what is whistled");
                std::thread::sleep(Duration::from_millis(20));
            }
        };
        uses(0, "First");
        hears_again();

        let mark = ada.mark();
        let away = Instant::now();
        pactl(&server, &["unload-module", &first]);
        uses(mark, "Second");
        hears_again();
        std::thread::sleep(Duration::from_secs(2));
        let taken = longest_break(std::slice::from_ref(&listener), away);

        let (mark, back) = (ada.mark(), Instant::now());
        let first = plug_in(&server, "first", "First");
        uses(mark, "First");
        hears_again();
        std::thread::sleep(Duration::from_secs(2));
        let returned = longest_break(std::slice::from_ref(&listener), back);
        say(&format!("{test}, {input}: taken away: silent for {taken:?}; back: {returned:?}"));
        assert!(ada.events("warning").is_empty(), "there was always one: {}", ada.story());

        let mark = ada.mark();
        pactl(&server, &["unload-module", &second]);
        pactl(&server, &["unload-module", &first]);
        ada.wait_since(mark, "that nobody hears Ada", PATIENCE, |event| {
            event.kind() == "warning" && event.text("code") == "no-input"
        });
        uses(mark, "none");
        // What was on its way, and what is made up after it.
        std::thread::sleep(Duration::from_secs(1));
        let from = Instant::now();
        std::thread::sleep(Duration::from_secs(1));
        let since: Vec<_> = listener.loud().into_iter().filter(|at| *at > from).collect();
        assert!(since.is_empty(), "Bo hears what Ada's speaker plays, {} ms of a second", since.len());

        let mark = ada.mark();
        plug_in(&server, "first", "First");
        uses(mark, "First");
        hears_again();
        bo.quit();
        ada.quit();
    }
}
