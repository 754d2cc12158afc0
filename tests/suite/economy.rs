//! A machine that is too slow for everything: what is missed least is left out before anything is late, shown, and comes back.

use crate::support::cgroup::Cgroup;
use crate::support::process::{Event, Launch, Resonance};
use crate::support::{alone, attempts, has_tool, skip, sound};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);
/// Until a call that has begun takes what it takes from then on.
const SETTLES: Duration = Duration::from_secs(15);
/// What a system gives as a rule: so much in each tenth of a second.
const PERIOD: Duration = Duration::from_millis(100);
/// Of what the program would use, in each of those. Without doing less she fell behind for good with 0.7 in two of three runs. Less than this
/// would use up the buffer in the half second until less is done.
const SHARE: f32 = 0.72;
/// And this much is too little, whatever is left out.
const TOO_LITTLE: f32 = 0.5;
/// As long as that it is held so.
const HELD: Duration = Duration::from_secs(12);
/// Within this everything is back.
const BACK_WITHIN: Duration = Duration::from_secs(10);

/// Ada, who stands in a hall with three others, gets less of the processor than that takes. Whether she is late is seen by her speaker, which
/// has a buffer of 200 ms.
#[test]
fn a_capped_machine_does_less_is_never_late_and_recovers() {
    let test = "economy::a_capped_machine_does_less_is_never_late_and_recovers";
    let _alone = alone();
    let Some(prompts) = sound::prompts() else {
        return skip(test, "the recorded prompts (package alsa-utils) are missing");
    };
    if !has_tool("setpriv") || !has_tool("taskset") || Cgroup::new().is_none() {
        return skip(test, "control groups with limits cannot be made here (root could, where the system lets it)");
    }
    let voices: Vec<Vec<f32>> = (0..4).map(|index| sound::voice(&prompts, index)).collect();
    attempts(test, || capped(&voices));
}

fn capped(voices: &[Vec<f32>]) -> Result<String, String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let group = Cgroup::new().expect("one could be made before");
    let files: Vec<_> = (0..voices.len()).map(|index| folder.path().join(format!("{index}.wav"))).collect();
    for (file, voice) in files.iter().zip(voices) {
        sound::write(file, voice);
    }
    let ears = format!("wav:{}", folder.path().join("heard.wav").display());
    let ada = Launch::create("Ada").by_link_only().repeats(&files[0]).output(ears).through(group.shell());
    let ada = ["--voice", "on", "--acoustics", "hall"].into_iter().fold(ada, Launch::argument).start();
    let others: Vec<Resonance> = ["Bo", "Cy", "Di"]
        .into_iter()
        .zip(&files[1..])
        .map(|(name, file)| Launch::join(name, &ada.link()).by_link_only().repeats(file).start())
        .collect();
    for other in &others {
        ada.hears(&other.name, PATIENCE);
    }
    std::thread::sleep(SETTLES);

    let wanted = group.used(Duration::from_secs(4));
    let (before, throttled) = (xruns(&ada), group.throttled());
    let mark = ada.mark();
    group.limit(wanted * SHARE, PERIOD);
    let capped = Instant::now();
    let first = ada.wait_since(mark, "that less is done", PATIENCE, |event| reduced(event) > 0);
    std::thread::sleep(HELD.saturating_sub(capped.elapsed()));
    let used = group.used(Duration::from_secs(2));
    let throttled = group.throttled() - throttled;
    let most = ada.events("audio").iter().map(reduced).max().unwrap_or(0);

    let mark = ada.mark();
    group.relieve();
    let relieved = Instant::now();
    let patience = BACK_WITHIN + PATIENCE;
    let back = ada
        .wait_since(mark, "that all is done again", patience, |event| event.kind() == "audio" && reduced(event) == 0);
    let after = xruns(&ada);
    // With much less she is late, and it is seen.
    group.limit(wanted * TOO_LITTLE, PERIOD);
    std::thread::sleep(Duration::from_secs(5));
    group.relieve();
    std::thread::sleep(Duration::from_secs(2));
    let late = xruns(&ada);
    // A second is how seldom it is told.
    let took = back.at.saturating_duration_since(relieved).saturating_sub(Duration::from_secs(1));
    let figures = format!(
        "{:.1} % of a core wanted, {:.1} % given, {:.1} % used then; held back {throttled} times; less done {:.1} s later, {most} steps at most; back {:.1} s after relief; {} underruns; {} with half of it",
        wanted * 100.0,
        wanted * SHARE * 100.0,
        used * 100.0,
        first.at.saturating_duration_since(capped).as_secs_f32(),
        took.as_secs_f32(),
        after - before,
        late - after
    );
    for person in others {
        person.quit();
    }
    ada.quit();
    if throttled > 3 && after == before && took < BACK_WITHIN && late > after { Ok(figures) } else { Err(figures) }
}

fn reduced(event: &Event) -> usize {
    event.json["reduced"].as_array().map_or(0, Vec::len)
}

fn xruns(person: &Resonance) -> u64 {
    person.events("audio").last().and_then(|event| event.json["xruns"].as_u64()).unwrap_or(0)
}
