//! Two machines on one network, nothing typed but `resonance lan`.

use crate::support::namespaces::{Network, with_namespaces};
use crate::support::process::{Launch, voice_file};
use crate::support::{alone, attempts, skip, sound};
use std::time::{Duration, Instant};

/// From the start of the second process to sound in both directions.
const TALKING_WITHIN: Duration = Duration::from_secs(3);

const PATIENCE: Duration = Duration::from_secs(20);

#[test]
fn two_machines_find_each_other_and_talk() {
    let test = "lan::two_machines_find_each_other_and_talk";
    let _alone = alone();
    let Some(prompts) = sound::prompts() else {
        return skip(test, "the recorded prompts (package alsa-utils) are missing");
    };
    let voices = [0, 1].map(|index| sound::voice(&prompts, index));
    with_namespaces(test, || attempts(test, || meet(&voices)));
}

fn meet(voices: &[Vec<f32>; 2]) -> Result<String, String> {
    let network = Network::of(2);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let people: Vec<_> = ["Ada", "Bo"]
        .iter()
        .zip(voices)
        .zip(&network.hosts)
        .map(|((name, voice), host)| {
            let (file, ears) = (folder.path().join(format!("{name}.wav")), folder.path().join(name));
            sound::write(&file, voice);
            std::fs::create_dir(&ears).expect("a writable temporary folder");
            (Launch::lan(name).on(host).repeats(&file).records_each_voice_in(&ears).start(), ears)
        })
        .collect();
    let started = people[1].0.started;
    let met = [(0, "Bo"), (1, "Ada")]
        .map(|(index, other)| people[index].0.hears(other, PATIENCE).at)
        .into_iter()
        .max()
        .unwrap_or(started);
    let took = met.saturating_duration_since(started);
    std::thread::sleep(Duration::from_secs(2 + sound::VOICE_SECONDS as u64 + 2).saturating_sub(Instant::now() - met));

    let ids = [people[0].0.id(), people[1].0.id()];
    let mut ears = Vec::new();
    for (person, folder) in people {
        person.quit();
        ears.push(folder);
    }
    let at_bo = sound::likeness(&sound::read_mono(&voice_file(&ears[1], &ids[0], "Ada")), &voices[0]);
    let at_ada = sound::likeness(&sound::read_mono(&voice_file(&ears[0], &ids[1], "Bo")), &voices[1]);
    let figures = format!(
        "found and connected after {} ms; correlation with the speaker {at_bo:.2} and {at_ada:.2}",
        took.as_millis()
    );
    if took <= TALKING_WITHIN && at_bo >= 0.9 && at_ada >= 0.9 { Ok(figures) } else { Err(figures) }
}
