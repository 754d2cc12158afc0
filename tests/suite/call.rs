//! Two people, one link: they are connected within two seconds, what one says the other hears, and nobody sits between them unnoticed.

use crate::support::process::{Launch, Resonance, voice_file};
use crate::support::{alone, attempts, python, skip, sound};
use std::path::Path;
use std::time::{Duration, Instant};

/// How long a first meeting may take, from the start of the process that joins.
const CONNECTED_WITHIN: Duration = Duration::from_secs(2);

/// Seconds of quiet at the head of what is played, in which the two connect.
const LEAD: usize = 4;

const PATIENCE: Duration = Duration::from_secs(15);

#[test]
fn twenty_seconds_of_real_speech_arrive_whole() {
    speech_arrives_whole("call::twenty_seconds_of_real_speech_arrive_whole", 20);
}

/// `make deep`: the same for five minutes, long enough for every timer of the program to have fired.
#[test]
#[ignore = "takes five minutes; make deep runs it"]
fn five_minutes_of_real_speech_arrive_whole() {
    speech_arrives_whole("call::five_minutes_of_real_speech_arrive_whole", 300);
}

fn speech_arrives_whole(test: &str, seconds: usize) {
    let _alone = alone();
    let Some(prompts) = sound::prompts() else {
        return skip(test, "the recorded prompts (package alsa-utils) are missing");
    };
    let Some(python) = python::interpreter() else {
        return skip(test, "the Python environment (scripts/setup.sh test) is missing");
    };
    attempts(test, || {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let [says, answers] = [0, 3].map(|first| sound::speech(&prompts, first, seconds));
        let [said, answered] = [("ada.wav", &says), ("bo.wav", &answers)].map(|(name, speech)| {
            let path = folder.path().join(name);
            sound::write(&path, &[vec![0.0; LEAD * sound::RATE], speech.clone()].concat());
            path
        });
        let [ears_of_ada, ears_of_bo] = ["ada", "bo"].map(|name| {
            let path = folder.path().join(name);
            std::fs::create_dir(&path).expect("a writable temporary folder");
            path
        });
        let ada = Launch::create("Ada").by_link_only().plays(&said).records_each_voice_in(&ears_of_ada).start();
        let link = ada.link();
        let bo = Launch::join("Bo", &link).by_link_only().plays(&answered).records_each_voice_in(&ears_of_bo).start();
        let took = connected_after(&ada, &bo);
        safety_numbers_agree(&ada, &bo);
        std::thread::sleep(
            (bo.started + Duration::from_secs((LEAD + seconds) as u64 + 2)).saturating_duration_since(Instant::now()),
        );
        let (id_of_ada, id_of_bo) = (ada.id(), bo.id());
        let late = tells_how_late(&bo);
        bo.quit();
        ada.wait_for("peer_left of Bo", PATIENCE, |event| event.kind() == "peer_left" && event.text("reason") == "bye");
        ada.quit();

        let at_bo = quality(&python, &says, &voice_file(&ears_of_bo, &id_of_ada, "Ada"));
        let at_ada = quality(&python, &answers, &voice_file(&ears_of_ada, &id_of_bo, "Bo"));
        let figures = format!(
            "connected after {} ms; Ada at Bo's ear {at_bo}; Bo at Ada's ear {at_ada}; heard {late} ms late",
            took.as_millis()
        );
        let good = took <= CONNECTED_WITHIN && [&at_bo, &at_ada].iter().all(|heard| heard.is_good());
        if good { Ok(figures) } else { Err(figures) }
    });
}

/// How late the other is heard, in ms, as the program tells: stage by stage, and the other tells its own.
fn tells_how_late(program: &Resonance) -> f64 {
    let stats = program.events("stats");
    let last = &stats.last().expect("a call has figures").json;
    let stage = |name: &str| last["delay"][name].as_f64().unwrap_or_else(|| panic!("{name} in {last}"));
    let late = last["delay_ms"].as_f64().unwrap_or_else(|| panic!("delay_ms in {last}"));
    let stages = stage("sending") + stage("network") + stage("jitter_buffer") + stage("hearing");
    assert!((late - stages).abs() < 0.3, "{last}");
    assert!(stage("sending") >= 12.4, "a packet of 10 ms, and what the codec looks ahead: {last}");
    let audio = program.events("audio");
    let own = &audio.last().expect("there is sound").json;
    assert!(own["queues"]["outbound_packets"][1].as_u64().is_some_and(|most| most > 0), "packets went out: {own}");
    late
}

/// The later of the two `media_connected`, since the second process was started.
fn connected_after(first: &Resonance, second: &Resonance) -> Duration {
    let both = [first.hears(&second.name, PATIENCE), second.hears(&first.name, PATIENCE)];
    both.iter().map(|event| event.at.saturating_duration_since(second.started)).max().unwrap_or_default()
}

fn safety_numbers_agree(ada: &Resonance, bo: &Resonance) {
    let number = |of: &Resonance, with: &Resonance| of.meets(&with.name, PATIENCE).text("safety_number").to_owned();
    let (at_ada, at_bo) = (number(ada, bo), number(bo, ada));
    assert_eq!(at_ada, at_bo, "both sides read the same safety number");
    let groups: Vec<&str> = at_ada.split(' ').collect();
    let whole = groups.len() == 12
        && groups.iter().all(|group| group.len() == 5 && group.bytes().all(|digit| digit.is_ascii_digit()));
    assert!(whole, "60 digits in 12 groups of five: {at_ada}");
}

struct Heard {
    pesq: f32,
    gap_ms: f32,
    gap_at: f32,
    likeness: f32,
}

impl Heard {
    fn is_good(&self) -> bool {
        self.pesq >= 3.8 && self.gap_ms <= 10.0
    }
}

impl std::fmt::Display for Heard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "PESQ-WB {:.2}, longest gap {} ms (at {:.1} s), correlation {:.2}",
            self.pesq, self.gap_ms, self.gap_at, self.likeness
        )
    }
}

/// The worst twenty seconds' PESQ and the longest gap of the whole.
fn quality(python: &Path, said: &[f32], recording: &Path) -> Heard {
    const WINDOW: usize = 20 * sound::RATE;
    let recording = sound::read_mono(recording);
    let mut heard = Heard { pesq: f32::INFINITY, gap_ms: 0.0, gap_at: 0.0, likeness: 1.0 };
    if recording.len() < said.len() {
        return Heard { pesq: 1.0, gap_ms: f32::INFINITY, ..heard };
    }
    let (begin, _) = sound::find(&said[..said.len().min(WINDOW)], &recording);
    let heard_speech = &recording[begin..(begin + said.len()).min(recording.len())];
    (heard.gap_ms, heard.gap_at) = sound::longest_gap(said, heard_speech);
    for (reference, degraded) in said.chunks_exact(WINDOW.min(said.len())).zip(heard_speech.chunks(WINDOW)) {
        if degraded.len() < reference.len() {
            return Heard { gap_ms: f32::INFINITY, ..heard };
        }
        heard.pesq = heard.pesq.min(python::pesq_wideband(python, reference, degraded));
        heard.likeness = heard.likeness.min(sound::likeness_in_place(reference, degraded));
    }
    heard
}

/// Whoever hands Bo another link than Ada's can be Ada to Bo and Bo to Ada. Names say nothing then; the safety numbers differ.
#[test]
fn somebody_in_the_middle_changes_the_safety_numbers() {
    let _alone = alone();
    let ada = Launch::create("Ada").by_link_only().start();
    let link_of_ada = ada.link();
    let false_bo = Launch::join("Bo", &link_of_ada).by_link_only().start();
    let false_ada = Launch::create("Ada").by_link_only().start();
    let link_from_the_middle = false_ada.link();
    assert_ne!(link_of_ada, link_from_the_middle);
    let bo = Launch::join("Bo", &link_from_the_middle).by_link_only().start();

    let at_ada = ada.meets("Bo", PATIENCE);
    let at_bo = bo.meets("Ada", PATIENCE);
    assert_ne!(
        at_ada.text("safety_number"),
        at_bo.text("safety_number"),
        "Ada and Bo, reading aloud, hear that somebody is between them"
    );
    assert_ne!(at_ada.text("identity"), at_bo.text("identity"));
    // Each half of the way is a good call in itself: nothing but the numbers shows it.
    safety_numbers_agree(&ada, &false_bo);
    safety_numbers_agree(&false_ada, &bo);
    for process in [bo, false_bo, false_ada, ada] {
        process.quit();
    }
}
