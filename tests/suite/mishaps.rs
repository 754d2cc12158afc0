//! What goes wrong while people talk, as the screen tells it: the network, the sound device, the program itself.

use crate::support::namespaces::{Network, with_namespaces};
use crate::support::process::BINARY;
use crate::support::sound_server::{self, SoundServer};
use crate::support::terminal::{Terminal, Terminals};
use crate::support::{alone, has_tool, root, skip};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(15);
/// A card that is gone is looked for again for a quarter of a minute before it is given up.
const PATIENCE_WITH_CARDS: Duration = Duration::from_secs(60);

fn program(verb: &str, name: &str, data: &Path) -> String {
    let data = data.join(name);
    format!("'{BINARY}' {verb} --name {name} --no-dht --no-mdns --data-dir '{}'", data.display())
}

const NO_DEVICES: &str = "--input silence --output null";

fn commands(terminal: &Terminal<'_>, line: &str) {
    terminal.types(line);
    terminal.presses("Enter");
}

#[test]
fn a_network_that_is_lost_is_named_and_its_return_too() {
    let test = "mishaps::a_network_that_is_lost_is_named_and_its_return_too";
    let _alone = alone();
    if !has_tool("tmux") {
        return skip(test, "tmux is missing");
    }
    with_namespaces(test, || {
        let data = tempfile::tempdir().expect("a temporary folder");
        let network = Network::of(2);
        let terminals = Terminals::of(80, 24);
        let [ada, bo] = ["ada", "bo"].map(|name| terminals.open(name));
        let on = |host: usize, line: String| format!("{} {line} {NO_DEVICES}", network.hosts[host].shell());
        ada.runs(&on(0, program("create", "Ada", data.path())));
        let link = ada.wait_for("the whole link", PATIENCE, super::screen::link_on);
        bo.runs(&on(1, program(&format!("join '{link}'"), "Bo", data.path())));
        let both = [(&ada, "Bo"), (&bo, "Ada")];
        for (here, other) in both {
            here.wait_for("the other person, connected", PATIENCE, |screen| {
                (screen.contains(other) && screen.contains("direct")).then_some(())
            });
        }

        network.unplug(0);
        for (here, other) in both {
            here.wait_for("who is not heard any more, by name", PATIENCE, |screen| {
                (screen.contains(other) && screen.contains("reconnecting… ")).then_some(())
            });
        }
        network.plug(0);
        for (here, other) in both {
            here.wait_for("the other person, connected again", Duration::from_secs(60), |screen| {
                (screen.contains(other) && screen.contains("direct") && !screen.contains("reconnecting…")).then_some(())
            });
        }
        ada.types("e");
        ada.wait_for("both on the page of what happened", PATIENCE, |screen| {
            let lost = screen.find("Bo is not heard any more: reconnecting")?;
            screen[lost..].contains("Bo is heard again").then_some(())
        });
        ada.presses("Escape");
        // And words go as before.
        commands(&bo, ":say here again");
        ada.shows("here again", PATIENCE);
        for terminal in [&bo, &ada] {
            terminal.types("qq");
            terminal.is_restored();
        }
    });
}

#[test]
fn a_sound_device_that_is_lost_is_named_with_what_to_do_and_is_taken_again() {
    let test = "mishaps::a_sound_device_that_is_lost_is_named_with_what_to_do_and_is_taken_again";
    let _alone = alone();
    if let Some(lacks) = sound_server::lacks().or((!has_tool("tmux")).then_some("tmux is missing")) {
        return skip(test, lacks);
    }
    let data = tempfile::tempdir().expect("a temporary folder");
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = SoundServer::start(folder.path());
    let environment: Vec<String> =
        server.environment().into_iter().map(|(name, value)| format!("{name}='{value}'")).collect();
    let terminals = Terminals::of(80, 24);
    let ada = terminals.open("ada");
    ada.runs(&format!("env {} {}", environment.join(" "), program("create", "Ada", data.path())));
    let devices = |screen: &str| {
        let (_, rest) = screen.split_once("microphone: ")?;
        let (microphone, rest) = rest.split_once("   speaker: ")?;
        Some((microphone.trim().to_owned(), rest.lines().next()?.trim().to_owned()))
    };
    let before = ada.wait_for("names of real devices", PATIENCE, |screen| {
        let is_real = |name: &String| !["none", "silence", "null"].contains(&name.as_str());
        devices(screen).filter(|(microphone, speaker)| is_real(microphone) && is_real(speaker))
    });

    drop(server);
    ada.wait_for("the devices that took their place", PATIENCE_WITH_CARDS, |screen| {
        devices(screen).filter(|now| *now == ("silence".to_owned(), "null".to_owned()))
    });
    // It stays on the page that one sees, and is on that of what happened.
    for key in ["m", "e"] {
        ada.types(key);
        ada.wait_for("what is wrong, and what to do", PATIENCE, |screen| {
            let words = screen.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
            let told = ["You cannot be heard: ", "command input.", "You cannot hear: ", "command output."];
            told.iter().all(|told| words.contains(told)).then_some(())
        });
    }
    ada.presses("Escape");

    let _server = SoundServer::start(folder.path());
    commands(&ada, ":input default");
    commands(&ada, ":output default");
    ada.wait_for("the devices of before, and nothing wrong", PATIENCE, |screen| {
        devices(screen).filter(|now| *now == before && !screen.contains("You cannot"))
    });
    ada.types("q");
    ada.is_restored();
}

#[test]
fn a_fault_of_the_program_gives_the_terminal_back_and_can_be_read() {
    let test = "mishaps::a_fault_of_the_program_gives_the_terminal_back_and_can_be_read";
    // The thread that draws.
    after_a_fault_in(test, "main", 101);
}

#[test]
fn who_cannot_type_any_more_is_not_kept_in_a_session() {
    let test = "mishaps::who_cannot_type_any_more_is_not_kept_in_a_session";
    after_a_fault_in(test, "keys", 0);
}

/// Breaks one thread of a program that shows its screen, and holds that it ends with this code and the terminal as it should be.
fn after_a_fault_in(test: &str, thread: &str, code: i32) {
    let _alone = alone();
    let can = cfg!(all(target_os = "linux", target_env = "gnu")) && has_tool("cc") && has_tool("tmux");
    if !can {
        return skip(test, "this takes Linux with glibc, a C compiler and tmux");
    }
    let data = tempfile::tempdir().expect("a temporary folder");
    let (library, file) = (broken_clock(data.path()), data.path().join("break"));
    let terminals = Terminals::of(80, 24);
    let ada = terminals.open("ada");
    let preload =
        format!("LD_PRELOAD='{}' BROKEN_CLOCK='{}' BROKEN_CLOCK_IN={thread}", library.display(), file.display());
    ada.runs(&format!("{preload} {} {NO_DEVICES}; echo 'co'de $?", program("create", "Ada", data.path())));
    ada.shows("Send this link", PATIENCE);
    std::fs::write(&file, "").expect("a writable temporary folder");
    ada.shows(&format!("code {code}"), PATIENCE);
    let screen = ada.screen();
    assert!(screen.contains("panicked at"), "what went wrong can be read: {screen}");
    assert!(!screen.contains("Send this link"), "the screen is gone: {screen}");
    ada.is_restored();
}

fn broken_clock(folder: &Path) -> PathBuf {
    let library = folder.join("clock.so");
    let output = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2", "-Wall", "-o"])
        .arg(&library)
        .arg(root().join("tests/preload/clock.c"))
        .output()
        .expect("cc runs");
    assert!(output.status.success(), "clock.c: {}", String::from_utf8_lossy(&output.stderr));
    library
}
