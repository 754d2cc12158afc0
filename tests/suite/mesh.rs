//! Four people and one link: everyone hears each of the others and nobody else, also after the one who made the session is gone.

use crate::support::process::{Launch, Resonance, voice_file};
use crate::support::{alone, attempts, say, skip, sound};
use std::path::PathBuf;
use std::time::{Duration, Instant};

const NAMES: [&str; 4] = ["Ada", "Bo", "Cy", "Di"];

const PATIENCE: Duration = Duration::from_secs(20);

/// What everyone must notice by then when a process is gone without a word.
const NOTICED_WITHIN: Duration = Duration::from_secs(8);

/// Seconds for which a jitter buffer remembers how unevenly packets came while four programs started on one machine: its delay falls,
/// by a step in the middle of a word, when it has forgotten. What is measured begins after that.
const STARTING: usize = 10;

/// How long all four talk: the parts that are left out of the measurement, a round of each voice, and a little more.
const TALK: Duration = Duration::from_secs((STARTING + 2 + sound::VOICE_SECONDS + 2) as u64);

#[test]
fn four_hear_each_other_and_go_on_without_the_first() {
    let test = "mesh::four_hear_each_other_and_go_on_without_the_first";
    let _alone = alone();
    let Some(prompts) = sound::prompts() else {
        return skip(test, "the recorded prompts (package alsa-utils) are missing");
    };
    let voices: Vec<Vec<f32>> = (0..5).map(|index| sound::voice(&prompts, index)).collect();
    attempts(test, || four_then_three_then_four(&voices));
}

/// What one program takes while eight people talk, all of them on this machine.
#[test]
#[ignore = "a measurement: a minute of the whole machine"]
fn measure_what_a_call_of_eight_costs() {
    const EIGHT: [&str; 8] = ["Ada", "Bo", "Cy", "Di", "Eve", "Flo", "Gus", "Hal"];
    const FOR: Duration = Duration::from_secs(30);
    let test = "mesh::measure_what_a_call_of_eight_costs";
    let _alone = alone();
    let Some(prompts) = sound::prompts() else {
        return skip(test, "the recorded prompts (package alsa-utils) are missing");
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut link = String::new();
    let mut people: Vec<Resonance> = Vec::new();
    for (n, name) in EIGHT.iter().enumerate() {
        let file = folder.path().join(format!("{name}.wav"));
        sound::write(&file, &sound::speech(&prompts, n, 20));
        let launch = if link.is_empty() { Launch::create(name) } else { Launch::join(name, &link) };
        let person = launch.by_link_only().repeats(&file).argument("--voice").argument("on").start();
        if link.is_empty() {
            link = person.link();
        }
        people.push(person);
    }
    for (n, person) in people.iter().enumerate() {
        for (_, name) in EIGHT.iter().enumerate().filter(|(other, _)| *other != n) {
            person.hears(name, PATIENCE);
        }
    }
    std::thread::sleep(Duration::from_secs(5));
    let before: Vec<f64> = people.iter().map(Resonance::cpu_seconds).collect();
    std::thread::sleep(FOR);
    let share = |(person, before): (&Resonance, &f64)| 100.0 * (person.cpu_seconds() - before) / FOR.as_secs_f64();
    let shares: Vec<f64> = people.iter().zip(&before).map(share).collect();
    let (cpu, memory) = (
        shares.iter().sum::<f64>() / shares.len() as f64,
        people.iter().map(Resonance::resident_mb).fold(0.0, f64::max),
    );
    say(&format!("eight people talk: {cpu:.1} % of a core a program on average, {memory:.0} MB resident at the most"));
    for person in people {
        person.quit();
    }
}

struct Room {
    folder: tempfile::TempDir,
    people: Vec<Resonance>,
    ids: Vec<String>,
}

impl Room {
    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn ears(&self, name: &str) -> PathBuf {
        self.path(&format!("{name}-hears"))
    }

    /// What `listener` recorded of `speaker` (both by their place in [`NAMES`]).
    fn heard(&self, listener: usize, speaker: usize) -> Vec<f32> {
        sound::read_mono(&voice_file(&self.ears(NAMES[listener]), &self.ids[speaker], NAMES[speaker]))
    }
}

fn four_then_three_then_four(voices: &[Vec<f32>]) -> Result<String, String> {
    let mut room =
        Room { folder: tempfile::tempdir().expect("a temporary folder"), people: Vec::new(), ids: Vec::new() };
    let mut link = String::new();
    for (name, voice) in NAMES.iter().zip(voices) {
        let file = room.path(&format!("{name}.wav"));
        sound::write(&file, voice);
        std::fs::create_dir(room.ears(name)).expect("a writable temporary folder");
        let launch = if link.is_empty() { Launch::create(name) } else { Launch::join(name, &link) };
        let person = launch.by_link_only().repeats(&file).records_each_voice_in(&room.ears(name)).start();
        if link.is_empty() {
            link = person.link();
        }
        room.ids.push(person.id());
        room.people.push(person);
    }
    for (listener, speaker) in pairs() {
        room.people[listener].hears(NAMES[speaker], PATIENCE);
    }
    std::thread::sleep(TALK);

    let marks: Vec<usize> = room.people.iter().map(Resonance::mark).collect();
    room.people[0].kill();
    let killed = Instant::now();
    let mut noticed = Duration::ZERO;
    let gone = room.ids[0].clone();
    for (person, mark) in room.people.iter().zip(marks).skip(1) {
        let event = person.wait_since(mark, "that Ada is gone", NOTICED_WITHIN + PATIENCE, |event| {
            matches!(event.kind(), "media_lost" | "peer_left") && event.text("peer") == gone
        });
        noticed = noticed.max(event.at.saturating_duration_since(killed));
    }

    let eve = a_fifth_joins(&room, &link, &voices[4]);
    eve.quit();
    for person in room.people.drain(1..) {
        person.quit();
    }
    room.people.clear();
    let likeness = likeness_of_all(&room, voices)?;
    let gap = gap_after_the_first_is_gone(&room, voices);
    let figures = format!(
        "{likeness}; Ada's end noticed within {:.1} s; longest gap of the others then {gap} ms",
        noticed.as_secs_f32()
    );
    if noticed <= NOTICED_WITHIN && gap <= 10.0 { Ok(figures) } else { Err(figures) }
}

fn pairs() -> impl Iterator<Item = (usize, usize)> {
    (0..NAMES.len()).flat_map(|listener| {
        (0..NAMES.len()).filter(move |speaker| *speaker != listener).map(move |speaker| (listener, speaker))
    })
}

/// The one whose address the link holds is gone: any member's address will do.
fn a_fifth_joins(room: &Room, link: &str, voice: &[f32]) -> Resonance {
    let living = &room.people[1];
    let here = |event: &crate::support::process::Event| {
        event.kind() == "listening" && event.text("addr").contains("/127.0.0.1/")
    };
    let address = living.wait_for("an address on loopback", PATIENCE, here).text("addr").to_owned();
    let file = room.path("Eve.wav");
    sound::write(&file, voice);
    let eve = Launch::join("Eve", link).by_link_only().repeats(&file).argument("--bootstrap").argument(address).start();
    for name in &NAMES[1..] {
        eve.hears(name, PATIENCE);
    }
    for person in &room.people[1..] {
        person.hears("Eve", PATIENCE);
    }
    eve
}

/// Each of the twelve files is like its speaker and like none of the others.
fn likeness_of_all(room: &Room, voices: &[Vec<f32>]) -> Result<String, String> {
    let (mut own, mut other, mut wrong) = (1.0_f32, 0.0_f32, Vec::new());
    for (listener, speaker) in pairs() {
        let recording = room.heard(listener, speaker);
        let recording = &recording[(STARTING * sound::RATE).min(recording.len())..];
        for (index, voice) in voices.iter().take(NAMES.len()).enumerate() {
            let likeness = sound::likeness(recording, voice);
            let right = if index == speaker { likeness >= 0.9 } else { likeness < 0.1 };
            if index == speaker {
                own = own.min(likeness);
            } else {
                other = other.max(likeness);
            }
            if !right {
                wrong.push(format!(
                    "{} hears {} like {}'s voice: {likeness:.3}",
                    NAMES[listener], NAMES[speaker], NAMES[index]
                ));
            }
        }
    }
    let figures =
        format!("twelve files: correlation with the own speaker at least {own:.3}, with another at most {other:.3}");
    if wrong.is_empty() { Ok(figures) } else { Err(format!("{figures}\n{}", wrong.join("\n"))) }
}

/// The longest gap, in milliseconds, in what the three who remained heard of one another, from the last second before the kill to the end.
fn gap_after_the_first_is_gone(room: &Room, voices: &[Vec<f32>]) -> f32 {
    pairs()
        .filter(|(listener, speaker)| *listener > 0 && *speaker > 0)
        .map(|(listener, speaker)| gap_in_the_end(&room.heard(listener, speaker), &voices[speaker]))
        .fold(0.0, f32::max)
}

fn gap_in_the_end(recording: &[f32], voice: &[f32]) -> f32 {
    /// Seconds of settling and talking before the kill, less one; and what a farewell may cut off at the end.
    const FROM: usize = TALK.as_secs() as usize - 1;
    let end = recording.len().saturating_sub(sound::RATE / 2);
    let part = &recording[(FROM * sound::RATE).min(end)..end];
    if part.len() < 2 * sound::RATE {
        return f32::INFINITY;
    }
    // Where in its round the voice was when the part begins.
    let (phase, _) = sound::find(&part[..part.len().min(voice.len())], &[voice, voice].concat());
    let said: Vec<f32> = voice.iter().copied().cycle().skip(phase).take(part.len()).collect();
    sound::longest_gap(&said, part).0
}
