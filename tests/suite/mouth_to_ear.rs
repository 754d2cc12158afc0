//! From one person's mouth to the other's ear, through two real programs and a sound server: the figure that people feel.
//!
//! One virtual card has a channel for each mouth and two for each ear, so that one recording of it holds both on one clock: the delay is how much later
//! the same speech sounds at the ear. There is no hardware below, which adds its own.

use crate::support::process::{Launch, Resonance};
use crate::support::sound::{self, RATE};
use crate::support::sound_server::{self, SoundServer};
use crate::support::{alone, has_tool, say, skip};
use std::fs::{self, File};
use std::io::Write as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

#[path = "../quality/judge.rs"]
mod judge;

/// How long is spoken, and what of it is judged: the call begins within the rest.
const SPOKEN_S: usize = 34;
const JUDGED_S: usize = 20;
/// Speech is looked for in pieces of this length, four a second.
const PIECE: usize = RATE / 2;
/// So many of them are two seconds of speech.
const CALM: usize = 8;
/// No delay is longer.
const LONGEST: usize = RATE / 2;
/// A piece that is less like the original than this was not heard yet.
const LIKE: f32 = 0.5;
const PATIENCE: Duration = Duration::from_secs(20);
/// Channels of the card: a mouth and two ears for each of two people.
const CHANNELS: usize = 6;

#[test]
#[ignore = "a measurement: two minutes, and it wants a quiet machine"]
fn measure_the_delay_from_mouth_to_ear() {
    let test = "mouth_to_ear::measure_the_delay_from_mouth_to_ear";
    let _alone = alone();
    let tools = ["pactl", "pacat", "parec"];
    let missing = tools.iter().any(|tool| !has_tool(tool)).then_some("pulseaudio-utils is missing");
    if let Some(lacks) = sound_server::lacks().or(missing) {
        return skip(test, lacks);
    }
    let Some(prompts) = judge::prompts() else { return skip(test, "recorded speech (package alsa-utils) is missing") };
    say(
        "mouth to ear over a sound server, on loopback: median (5th to 95th percentile), settled so long after the first word, PESQ-WB and STOI, then \
         of each program CPU and resident memory",
    );
    for (name, arguments) in [
        ("10 ms packets, --voice off", &["--voice", "off"][..]),
        ("5 ms packets, --voice off", &["--voice", "off", "--frame-ms", "5"]),
        ("2.5 ms packets, --voice off", &["--voice", "off", "--frame-ms", "2.5"]),
        ("10 ms packets, the whole voice chain", &["--voice", "on"]),
    ] {
        say(&format!("{name:<38} {}", measure(&prompts, arguments)));
    }
}

/// One call.
fn measure(prompts: &[Vec<f32>], arguments: &[&str]) -> String {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = SoundServer::start(folder.path());
    lay_out(&server);
    let recorded = folder.path().join("card.f32");
    let mut recorder = spawn(&server, "parec", &["-d", "all.monitor", "--latency-msec=200"], CHANNELS);
    let mut heard = recorder.stdout.take().expect("its output");
    let mut file = File::create(&recorded).expect("a file");
    let copying = std::thread::spawn(move || std::io::copy(&mut heard, &mut file));

    let speech = sound::speech(prompts, 0, SPOKEN_S);
    let mut mouth = spawn(&server, "pacat", &["-d", "a_mic", "--latency-msec=200"], 1);
    let mut samples = mouth.stdin.take().expect("its input");
    let bytes: Vec<u8> = speech.iter().flat_map(|sample| sample.to_le_bytes()).collect();
    let speaking = std::thread::spawn(move || samples.write_all(&bytes));

    let person = |launch: Launch, letter: char| {
        let launch = launch.by_link_only().input(format!("{letter}_mic.monitor")).output(format!("{letter}_out"));
        let launch = arguments.iter().fold(launch, |launch, argument| launch.argument(*argument));
        let variables = server.environment();
        variables.into_iter().fold(launch, |launch, (name, value)| launch.environment(name, value)).start()
    };
    let ada = person(Launch::create("Ada"), 'a');
    let bob = person(Launch::join("Bob", &ada.link()), 'b');
    bob.hears("Ada", PATIENCE);
    let before: Vec<f64> = [&ada, &bob].map(Resonance::cpu_seconds).to_vec();
    let began = Instant::now();
    speaking.join().expect("spoken").expect("spoken");
    let spent = began.elapsed().as_secs_f64();
    let costs: Vec<String> = [&ada, &bob]
        .iter()
        .zip(before)
        .map(|(program, before)| {
            format!("{:.1} %, {:.0} MB", 100.0 * (program.cpu_seconds() - before) / spent, program.resident_mb())
        })
        .collect();
    std::thread::sleep(Duration::from_secs(1));
    let last = |program: &Resonance, kind: &str| {
        program.events(kind).last().map_or_else(|| "nothing".to_owned(), |event| event.json["delay"].to_string())
    };
    let told = format!("told: {}, {}, {}", last(&bob, "stats"), last(&ada, "audio"), last(&bob, "audio"));
    for program in [ada, bob] {
        program.quit();
    }
    for mut child in [recorder, mouth] {
        let _ = child.kill();
        let _ = child.wait();
    }
    let _ = copying.join();
    format!("{}; {}; {told}", delays(&recorded, &speech), costs.join("; "))
}

/// A card of six channels, and a mouth and a pair of ears for each of two people on it.
fn lay_out(server: &SoundServer) {
    let all: Vec<String> = (0..CHANNELS).map(|n| format!("aux{n}")).collect();
    server.load(&[
        "module-null-sink",
        "sink_name=all",
        "rate=48000",
        "format=float32le",
        "norewinds=1",
        &format!("channels={CHANNELS}"),
        &format!("channel_map={}", all.join(",")),
    ]);
    for (person, first) in [('a', 0), ('b', 3)] {
        let remap = |name: &str, map: &str, channels: &[usize]| {
            let there: Vec<String> = channels.iter().map(|n| format!("aux{n}")).collect();
            server.load(&[
                "module-remap-sink",
                &format!("sink_name={person}_{name}"),
                "master=all",
                "remix=no",
                &format!("channels={}", channels.len()),
                &format!("channel_map={map}"),
                &format!("master_channel_map={}", there.join(",")),
            ]);
        };
        remap("mic", "mono", &[first]);
        remap("out", "front-left,front-right", &[first + 1, first + 2]);
    }
}

fn spawn(server: &SoundServer, tool: &str, arguments: &[&str], channels: usize) -> Child {
    let map: Vec<String> = (0..channels).map(|n| format!("aux{n}")).collect();
    let map = if channels == 1 { "mono".to_owned() } else { map.join(",") };
    Command::new(tool)
        .envs(server.environment())
        .args(["--raw", "--format=float32le", "--rate=48000"])
        .args([format!("--channels={channels}"), format!("--channel-map={map}")])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts")
}

/// What one recording of the whole card tells.
fn delays(recorded: &Path, speech: &[f32]) -> String {
    let bytes = fs::read(recorded).expect("the recording");
    let samples: Vec<f32> = bytes.as_chunks::<4>().0.iter().map(|sample| f32::from_le_bytes(*sample)).collect();
    let frames = samples.as_chunks::<CHANNELS>().0;
    let mouth: Vec<f32> = frames.iter().map(|frame| frame[0]).collect();
    let ear: Vec<f32> = frames.iter().map(|frame| (frame[4] + frame[5]) / 2.0).collect();
    let (sharp_mouth, sharp_ear) = (sharpened(&mouth), sharpened(&ear));
    let mut found: Vec<(usize, f64)> = Vec::new();
    for at in (0..mouth.len().saturating_sub(PIECE + LONGEST)).step_by(RATE / 4) {
        if mouth[at..at + PIECE].iter().map(|x| x * x).sum::<f32>() < 0.0004 * PIECE as f32 {
            continue;
        }
        let (lag, like) = sound::find(&sharp_mouth[at..at + PIECE], &sharp_ear[at..at + PIECE + LONGEST]);
        if like > LIKE {
            found.push((at, lag as f64 * 1_000.0 / RATE as f64));
        }
    }
    let Some(&(first, _)) = found.first() else { return "nothing was heard".into() };
    let mut sorted: Vec<f64> = found.iter().map(|(_, ms)| *ms).collect();
    sorted.sort_by(f64::total_cmp);
    let at = |share: f64| sorted[((sorted.len() - 1) as f64 * share) as usize];
    let median = at(0.5);
    // Settled: from then on the delay stays within 10 ms of its median for two seconds. What disturbs it later is in the percentiles.
    let calm = |pieces: &[(usize, f64)]| pieces.iter().all(|(_, ms)| (ms - median).abs() <= 10.0);
    let settled = found.windows(CALM).find(|pieces| calm(pieces)).map_or(usize::MAX, |pieces| pieces[0].0 - first);
    let quality = judged(&mouth, &ear, speech);
    format!(
        "{median:.1} ms ({:.1} to {:.1}), settled after {:.2} s, {quality}",
        at(0.05),
        at(0.95),
        settled as f64 / RATE as f64
    )
}

/// Each sample's difference to the one before: a voice's pitch, at which it is like itself a period earlier, loses its power over the
/// consonants.
fn sharpened(samples: &[f32]) -> Vec<f32> {
    samples.iter().scan(0.0, |before, sample| Some(sample - std::mem::replace(before, *sample))).collect()
}

/// PESQ-WB of the last seconds that were spoken.
fn judged(mouth: &[f32], ear: &[f32], speech: &[f32]) -> String {
    let Some(judge) = judge::Judge::new(env!("CARGO_MANIFEST_DIR"), "mouth-to-ear") else {
        return "PESQ left out (`make setup` installs it)".into();
    };
    let (start, _) = sound::find(&speech[..4 * RATE], &mouth[..mouth.len().min(12 * RATE)]);
    let (from, to) = (start + (SPOKEN_S - JUDGED_S) * RATE, start + SPOKEN_S * RATE);
    let reference = judge.write("mouth", &mouth[from..to]);
    let heard = judge.write("ear", &ear[from..(to + LONGEST).min(ear.len())]);
    judge
        .verdicts(&reference, &[heard])
        .first()
        .map_or_else(String::new, |verdict| format!("PESQ {:.2}, STOI {:.3}", verdict.pesq, verdict.stoi))
}
