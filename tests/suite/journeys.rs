//! Ways that people go on the screen, several of them at once: the door, the stranger's link, the shell in between.

use crate::support::process::BINARY;
use crate::support::terminal::{Terminal, Terminals};
use crate::support::{alone, has_tool, skip, sound};
use resonance::audio::cue::{Cue, Cues};
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(15);

fn program(verb: &str, name: &str, data: &Path) -> String {
    let data = data.join(name);
    format!(
        "'{BINARY}' {verb} --name {name} --no-dht --no-mdns --input silence --output null --data-dir '{}'",
        data.display()
    )
}

fn commands(terminal: &Terminal<'_>, line: &str) {
    terminal.types(line);
    terminal.presses("Enter");
}

#[test]
fn at_a_locked_door_one_knocks_is_let_in_or_turned_away_and_can_be_sent_off() {
    let test = "journeys::at_a_locked_door_one_knocks_is_let_in_or_turned_away_and_can_be_sent_off";
    let _alone = alone();
    if !has_tool("tmux") {
        return skip(test, "tmux is missing");
    }
    let data = tempfile::tempdir().expect("a temporary folder");
    let terminals = Terminals::of(80, 24);
    let [ada, bo, eve] = ["ada", "bo", "eve"].map(|name| terminals.open(name));
    ada.runs(&program("create", "Ada", data.path()));
    let link = ada.wait_for("the whole link", PATIENCE, super::screen::link_on);
    commands(&ada, ":lock");
    ada.shows("locked", PATIENCE);

    bo.runs(&program(&format!("join '{link}'"), "Bo", data.path()));
    bo.shows("You knocked", PATIENCE);
    ada.shows("Bo wants to come in · a admit · x refuse", PATIENCE);
    ada.types("a");
    for (here, other) in [(&ada, "Bo"), (&bo, "Ada")] {
        here.wait_for("the other person, connected", PATIENCE, |screen| {
            (screen.contains(other) && screen.contains("direct")).then_some(())
        });
    }

    eve.runs(&program(&format!("join '{link}'"), "Eve", data.path()));
    ada.shows("Eve wants to come in", PATIENCE);
    ada.types("x");
    eve.shows("Enter goes back to the start.", PATIENCE);
    eve.types("q");
    eve.is_restored();

    commands(&ada, ":kick Bo");
    bo.shows("removed", PATIENCE);
    ada.wait_for("nobody but Ada", PATIENCE, |screen| screen.contains("Send this link").then_some(()));
    let new =
        ada.wait_for("another link", PATIENCE, |screen| super::screen::link_on(screen).filter(|new| *new != link));
    assert_ne!(new, link);
    bo.types("q");
    bo.is_restored();
    ada.types("q");
    ada.is_restored();
}

#[test]
fn a_bad_link_is_told_with_what_to_do_and_what_was_typed_stays() {
    let test = "journeys::a_bad_link_is_told_with_what_to_do_and_what_was_typed_stays";
    let _alone = alone();
    if !has_tool("tmux") {
        return skip(test, "tmux is missing");
    }
    let data = tempfile::tempdir().expect("a temporary folder");
    let terminals = Terminals::of(80, 24);
    let ada = terminals.open("ada");
    ada.runs(&program("", "Ada", data.path()));
    ada.shows("Join with a link", PATIENCE);
    ada.presses("Down");
    commands(&ada, "resonance:abc");
    ada.shows("Enter goes back to the start.", PATIENCE);
    ada.presses("Enter");
    ada.wait_for("the link as it was typed", PATIENCE, |screen| {
        (screen.contains("Create a session") && screen.contains("resonance:abc")).then_some(())
    });
    ada.presses("C-c");
    ada.is_restored();
}

#[test]
fn ctrl_z_gives_the_shell_back_and_fg_the_screen() {
    let test = "journeys::ctrl_z_gives_the_shell_back_and_fg_the_screen";
    let _alone = alone();
    if !has_tool("tmux") {
        return skip(test, "tmux is missing");
    }
    let data = tempfile::tempdir().expect("a temporary folder");
    let terminals = Terminals::of(80, 24);
    let ada = terminals.open("ada");
    ada.runs(&program("create", "Ada", data.path()));
    ada.shows("Send this link", PATIENCE);
    ada.presses("C-z");
    ada.is_restored();
    ada.runs("fg");
    ada.shows("Send this link", PATIENCE);
    ada.types("m");
    ada.shows("nobody hears you", PATIENCE);
    ada.types("q");
    ada.is_restored();
}

#[test]
fn a_short_sound_tells_who_comes_and_who_goes() {
    let test = "journeys::a_short_sound_tells_who_comes_and_who_goes";
    let _alone = alone();
    if !has_tool("tmux") {
        return skip(test, "tmux is missing");
    }
    let data = tempfile::tempdir().expect("a temporary folder");
    let terminals = Terminals::of(80, 24);
    let [ada, bo] = ["ada", "bo"].map(|name| terminals.open(name));
    let heard = data.path().join("heard.wav");
    let line = program("create", "Ada", data.path());
    ada.runs(&line.replace("--output null", &format!("--output 'wav:{}'", heard.display())));
    let link = ada.wait_for("the whole link", PATIENCE, super::screen::link_on);
    bo.runs(&program(&format!("join '{link}'"), "Bo", data.path()));
    ada.shows("direct", PATIENCE);
    bo.types("qq");
    bo.is_restored();
    ada.shows("Bo left", PATIENCE);
    // The sound is to be heard to its end.
    std::thread::sleep(Duration::from_secs(1));
    ada.types("q");
    ada.is_restored();

    let left_ear: Vec<f32> = sound::read(&heard).samples.iter().step_by(2).copied().collect();
    let found = [Cue::Joined, Cue::Left].map(|cue| {
        let mut cues = Cues::default();
        cues.play(cue);
        let needle: Vec<f32> = std::iter::from_fn(|| cues.render()).flatten().collect();
        let (at, likeness) = sound::find(&needle, &left_ear);
        assert!(likeness > 0.9, "{cue:?} is heard: {likeness}");
        at
    });
    assert!(found[0] < found[1], "first who comes, then who goes: {found:?}");
}
