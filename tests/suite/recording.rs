//! Recordings of real calls: files as an editor wants them, and nobody who does not know of it.

use crate::support::process::{Launch, Resonance};
use crate::support::{alone, skip, sound};
use resonance::audio::format::SAMPLE_RATE;
use std::path::{Path, PathBuf};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(15);
const RATE: usize = SAMPLE_RATE as usize;

/// Somebody is told that `who` (an id, or `me`) begins or ends to record.
fn told(person: &Resonance, who: &str, on: bool) -> String {
    let wanted = |event: &crate::support::process::Event| {
        event.kind() == "recording" && event.text("peer") == who && event.json["on"] == on
    };
    person.wait_for(&format!("recording of {who}: {on}"), PATIENCE, wanted).text("dir").to_owned()
}

fn file(folder: &Path, person: &Resonance) -> PathBuf {
    folder.join(format!("{}-{}.wav", person.name, person.id()))
}

fn silence_before(samples: &[f32]) -> usize {
    samples.iter().position(|sample| sample.abs() > 0.003).unwrap_or(samples.len())
}

#[test]
fn everybody_has_a_file_with_their_voice_in_its_place_and_knows_of_it() {
    let test = "recording::everybody_has_a_file_with_their_voice_in_its_place_and_knows_of_it";
    let _alone = alone();
    let Some(prompts) = sound::prompts() else { return skip(test, "the speech recordings are missing") };
    let data = tempfile::tempdir().expect("a temporary folder");
    let voices = [0, 1, 2].map(|index| sound::voice(&prompts, index));
    let spoken: Vec<PathBuf> = voices
        .iter()
        .enumerate()
        .map(|(index, voice)| {
            let path = data.path().join(format!("voice{index}.wav"));
            sound::write(&path, voice);
            path
        })
        .collect();
    let heard = data.path().join("heard");
    let mut ada = Launch::create("Ada").by_link_only().repeats(&spoken[0]).records_each_voice_in(&heard).start();
    let link = ada.link();
    let bo = Launch::join("Bo", &link).by_link_only().repeats(&spoken[1]).start();
    ada.hears("Bo", PATIENCE);
    bo.hears("Ada", PATIENCE);
    let folder = data.path().join("recordings/call");
    ada.command(&format!("record {}", folder.display()));
    assert_eq!(told(&ada, "me", true), folder.display().to_string());
    told(&bo, &ada.id(), true);
    std::thread::sleep(Duration::from_secs(2));

    let cy = Launch::join("Cy", &link).by_link_only().repeats(&spoken[2]).start();
    ada.hears("Cy", PATIENCE);
    told(&cy, &ada.id(), true);
    std::thread::sleep(Duration::from_secs(13));
    ada.command("stop-recording");
    told(&ada, "me", false);
    told(&bo, &ada.id(), false);
    told(&cy, &ada.id(), false);
    // Once more, begun at another moment of both cards.
    let again = data.path().join("recordings/again");
    ada.command(&format!("record {}", again.display()));
    told(&ada, "me", true);
    std::thread::sleep(Duration::from_secs(4));
    let mark = ada.mark();
    ada.command("stop-recording");
    ada.wait_since(mark, "the end of the second recording", PATIENCE, |event| event.kind() == "recording");

    let tracks = [&ada, &bo, &cy].map(|person| sound::read_mono(&file(&folder, person)));
    let lengths = tracks.each_ref().map(Vec::len);
    assert!(lengths[0] > 15 * RATE && lengths == [lengths[0]; 3], "all end together: {lengths:?}");
    let begins = tracks.each_ref().map(|track| silence_before(track));
    assert!(begins[0] < RATE && begins[1] < RATE && begins[2] > 2 * RATE, "Cy came later: {begins:?}");
    let like = |track: usize, voice: usize| sound::likeness(&tracks[track][begins[track]..], &voices[voice]);
    let own = [like(0, 0), like(1, 1), like(2, 2)];
    assert!(
        own[0] > 0.99 && own[1] > 0.7 && own[2] > 0.7,
        "each file holds its owner's voice, the own as it was sent: {own:?}"
    );
    assert!(like(1, 2) < 0.5 && like(2, 1) < 0.5, "and nobody else's");

    // All lie to one another as the sound cards took and gave them.
    ada.command("output null");
    std::thread::sleep(Duration::from_millis(500));
    let played = [&bo, &cy].map(|peer| sound::read_mono(&heard.join(format!("{}.wav", peer.id()))));
    let middle = begins[2] + 4 * RATE..begins[2] + 7 * RATE;
    let places = [1, 2].map(|track| sound::find(&tracks[track][middle.clone()], &played[track - 1]));
    assert!(places.iter().all(|(_, likeness)| *likeness > 0.999), "the same sound: {places:?}");
    // What is repeated is as like in the next round.
    let round = voices[0].len();
    let apart = places[0].0.abs_diff(places[1].0) % round;
    let apart = apart.min(round - apart);
    assert!(apart <= 48, "{apart} samples: a millisecond at most");
    let twice = [&voices[0][..], &voices[0][..]].concat();
    let cards = [&folder, &again].map(|folder| {
        let part = |person: &Resonance| sound::read_mono(&file(folder, person))[RATE..3 * RATE].to_vec();
        let [(said, clear), (came, same)] = [sound::find(&part(&ada), &twice), sound::find(&part(&bo), &played[0])];
        assert!(clear > 0.99 && same > 0.999, "{clear}, {same}");
        // Which sample the microphone gave while the speaker took its first.
        (said + round - came % round) % round
    });
    let moved = cards[0].abs_diff(cards[1]);
    let moved = moved.min(round - moved);
    assert!(moved <= 48, "{moved} samples: own voice and others lie to each other as before");
    ada.quit();
}

/// Whatever happens to the program: what was said until two seconds before is there.
#[test]
fn nothing_is_overwritten_and_who_is_killed_leaves_whole_files() {
    let _alone = alone();
    let data = tempfile::tempdir().expect("a temporary folder");
    let folder = data.path().join("call");
    std::fs::create_dir(&folder).expect("a folder");
    std::fs::write(folder.join("precious.wav"), b"do not touch").expect("written");
    let mut ada = Launch::create("Ada").by_link_only().input("tone:440").start();
    ada.link();
    for impossible in ["/proc/nowhere", "/dev/null/x"] {
        let mark = ada.mark();
        ada.command(&format!("record {impossible}"));
        let error = ada.wait_since(mark, "an error", PATIENCE, |event| event.kind() == "error");
        assert!(error.text("code") == "recording" && error.text("message").contains(impossible), "{error:?}");
    }
    ada.command(&format!("record {}", folder.display()));
    let used = PathBuf::from(told(&ada, "me", true));
    assert!(used.parent() == Some(&folder) && used != folder, "{}", used.display());
    let mark = ada.mark();
    ada.command(&format!("record {}", folder.display()));
    ada.wait_since(mark, "one recording at a time", PATIENCE, |event| event.kind() == "error");
    std::thread::sleep(Duration::from_secs(5));
    let track = file(&used, &ada);
    ada.kill();
    let samples = sound::read_mono(&track);
    let loudest = samples.iter().fold(0.0_f32, |loudest, sample| loudest.max(sample.abs()));
    assert!(samples.len() > 2 * RATE && loudest > 0.05, "{} samples, {loudest}", samples.len());
    assert_eq!(std::fs::read(folder.join("precious.wav")).expect("is there"), b"do not touch");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: &Path| std::fs::metadata(path).expect("is there").permissions().mode() & 0o777;
        assert_eq!((mode(&used), mode(&track)), (0o700, 0o600));
    }
}

/// A disk of one megabyte.
#[test]
fn a_full_disk_ends_the_recording_and_not_the_call() {
    let test = "recording::a_full_disk_ends_the_recording_and_not_the_call";
    let _alone = alone();
    let data = tempfile::tempdir().expect("a temporary folder");
    let disk = data.path().join("disk");
    std::fs::create_dir(&disk).expect("a folder");
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"])
        .arg(&disk)
        .output()
        .is_ok_and(|output| output.status.success());
    if !mounted {
        return skip(test, "a small disk cannot be mounted");
    }
    let mut ada = Launch::create("Ada").by_link_only().input("tone:440").start();
    let link = ada.link();
    let bo = Launch::join("Bo", &link).by_link_only().start();
    ada.hears("Bo", PATIENCE);
    ada.command(&format!("record {}", disk.join("call").display()));
    told(&ada, "me", true);
    told(&bo, &ada.id(), true);
    let error = ada.wait_for("the disk is full", PATIENCE, |event| event.kind() == "error");
    assert!(error.text("code") == "recording" && error.text("message").contains("the disk is full"), "{error:?}");
    told(&ada, "me", false);
    told(&bo, &ada.id(), false);
    let track = sound::read_mono(&file(&disk.join("call"), &ada));
    let mark = bo.mark();
    ada.command("say still here");
    bo.wait_since(mark, "the call goes on", PATIENCE, |event| event.kind() == "text");
    ada.quit();
    let unmounted = std::process::Command::new("umount").arg(&disk).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
    assert!(track.len() > RATE, "what had room is whole: {}", track.len());
}
