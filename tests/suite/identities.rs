//! Kept identities as a person and a script use them: made, used, recognised, and refused in words.

use crate::support::process::{BINARY, Launch, Resonance};
use crate::support::terminal::Terminals;
use crate::support::{alone, has_tool, skip};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// Runs `resonance identity …` with its data in `data` and this on standard input.
fn identity(data: &Path, arguments: &[&str], typed: &str) -> Output {
    let mut command = Command::new(BINARY);
    command.arg("identity").args(arguments).arg("--data-dir").arg(data);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // A program that has already refused does not read.
    let _ = child.stdin.take().expect("a pipe").write_all(typed.as_bytes());
    child.wait_with_output().expect("it ends")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn person(launch: Launch, data: &Path, passphrase: &Path) -> Resonance {
    launch.by_link_only().keeps_in(data).argument("--passphrase-file").argument(passphrase).start()
}

#[test]
fn by_default_nothing_is_written_and_a_kept_one_is_for_its_owner_alone() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let _alone = alone();
    Launch::create("Ada").by_link_only().keeps_in(&data).start().quit();
    let none = identity(&data, &["show"], "");
    assert!(none.status.code() == Some(2) && said(&none).contains("There is no kept identity"), "{}", said(&none));
    assert!(!data.join("identity").exists(), "neither an ephemeral identity nor looking for one leaves anything");

    let empty = identity(&data, &["create", "--name", "Ada"], "\n");
    assert!(empty.status.code() == Some(2) && said(&empty).contains("empty"), "{}", said(&empty));
    let made = identity(&data, &["create", "--name", "Ada"], "correct horse\n");
    assert!(made.status.success() && said(&made).contains("You are Ada"), "{}", said(&made));
    let file = data.join("identity/identity.sealed");
    let mode = |path: &Path| path.metadata().expect("it is there").permissions().mode() & 0o777;
    assert_eq!((mode(&file), mode(&data.join("identity"))), (0o600, 0o700));
    assert_eq!(identity(&data, &["create"], "another\n").status.code(), Some(2), "there is one already");
    let wrong = identity(&data, &["show"], "wrong horse\n");
    assert!(wrong.status.code() == Some(2) && said(&wrong).contains("passphrase"), "{}", said(&wrong));

    let mut without = Launch::create("Ada").by_link_only().keeps_in(&data).start();
    assert_eq!(without.wait_for_end(PATIENCE).code(), Some(2), "which identity must be said");
    assert!(without.complaints().contains("--ephemeral"), "{}", without.story());
    Launch::create("Ada").by_link_only().keeps_in(&data).argument("--ephemeral").start().quit();

    let mut bytes = std::fs::read(&file).expect("readable");
    bytes[200] ^= 1;
    std::fs::write(&file, &bytes).expect("writable");
    let damaged = identity(&data, &["show"], "correct horse\n");
    assert!(damaged.status.code() == Some(2) && said(&damaged).contains("set aside"), "{}", said(&damaged));
    assert!(!file.exists(), "under another name, whole");
    let mut lost = Launch::create("Ada").by_link_only().keeps_in(&data).start();
    assert_eq!(lost.wait_for_end(PATIENCE).code(), Some(2), "nobody becomes somebody else without having said so");
    assert!(lost.complaints().contains("damaged") && lost.complaints().contains("--ephemeral"), "{}", lost.story());
    Launch::create("Ada").by_link_only().keeps_in(&data).argument("--ephemeral").start().quit();
    assert_eq!(identity(&data, &["forget"], "").status.code(), Some(2), "nobody was there to be asked");
    assert!(identity(&data, &["forget", "--yes"], "").status.success());
}

#[test]
fn those_who_were_verified_are_recognised_and_others_under_their_name_are_not() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let place = |name: &str| -> PathBuf { folder.path().join(name) };
    let passphrase = place("passphrase");
    std::fs::write(&passphrase, "correct horse\n").expect("writable");
    for name in ["Ada", "Bo", "Eve"] {
        // Eve calls herself Bo.
        let called = if name == "Eve" { "Bo" } else { name };
        let made = identity(&place(name), &["create", "--name", called], "correct horse\n");
        assert!(made.status.success(), "{}", said(&made));
    }
    let _alone = alone();
    let meet = |other: &str, then: &dyn Fn(&mut Resonance, &Resonance)| {
        let mut ada = person(Launch::create("Ada"), &place("Ada"), &passphrase);
        let bo = person(Launch::join("Bo", &ada.link()), &place(other), &passphrase);
        bo.meets("Ada", PATIENCE);
        ada.meets("Bo", PATIENCE);
        then(&mut ada, &bo);
        bo.quit();
        ada.quit();
    };
    meet("Bo", &|ada, bo| {
        let both = |person: &Resonance| {
            let whole = |event: &crate::support::process::Event| {
                event.kind() == "session_safety_number" && event.json["number"].is_string()
            };
            person.wait_for("the session's number", PATIENCE, whole).text("number").to_owned()
        };
        assert_eq!(both(ada), both(bo));
        ada.command("verify Bo");
        ada.wait_for("the mark", PATIENCE, |event| event.kind() == "safety_number" && event.json["verified"] == true);
    });
    let shown = identity(&place("Ada"), &["show"], "correct horse\n");
    assert!(said(&shown).contains("Bo   verified"), "{}", said(&shown));
    meet("Bo", &|ada, _| {
        ada.command("safety Bo");
        ada.wait_for("the mark", PATIENCE, |event| event.kind() == "safety_number" && event.json["verified"] == true);
        assert!(ada.events("warning").is_empty(), "{}", ada.story());
    });
    meet("Eve", &|ada, _| {
        let alarm = |event: &crate::support::process::Event| event.text("code") == "identity_changed";
        ada.wait_for("the alarm", PATIENCE, alarm);
        ada.command("safety Bo");
        ada.wait_for("no mark", PATIENCE, |event| event.kind() == "safety_number" && event.json["verified"] == false);
    });
}

/// At a terminal the passphrase is asked for twice when it is new, shown never, and the terminal is given back however it ends.
#[test]
fn a_passphrase_is_typed_without_being_shown() {
    let test = "identities::a_passphrase_is_typed_without_being_shown";
    let _alone = alone();
    if !has_tool("tmux") {
        return skip(test, "tmux is missing");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().display();
    let terminals = Terminals::of(120, 40);
    let terminal = terminals.open("ada");
    let answers = |words: &str| {
        terminal.types(words);
        terminal.presses("Enter");
    };
    terminal.runs(&format!("'{BINARY}' identity create --name Ada --data-dir '{data}'"));
    terminal.shows("New passphrase:", PATIENCE);
    answers("correct horse");
    terminal.shows("The same again:", PATIENCE);
    answers("correct house");
    terminal.shows("not the same", PATIENCE);
    terminal.is_restored();
    // What was asked before is not taken for being asked again.
    let asks_after = |before: &str, question: &str| {
        terminal.wait_for(question, PATIENCE, |screen| {
            (!screen.contains(before) && screen.contains(question)).then_some(())
        });
    };
    terminal.runs(&format!("clear; '{BINARY}' identity create --name Ada --data-dir '{data}'"));
    asks_after("not the same", "New passphrase:");
    answers("correct horse");
    terminal.shows("The same again:", PATIENCE);
    answers("correct horse");
    terminal.shows("You are Ada", PATIENCE);

    let session = format!("clear; '{BINARY}' create --no-mdns --input silence --output null --data-dir '{data}'");
    terminal.runs(&session);
    terminal.shows("Passphrase of your identity", PATIENCE);
    terminal.presses("C-c");
    terminal.shows("Given up", PATIENCE);
    terminal.is_restored();
    terminal.runs(&session);
    asks_after("Given up", "Passphrase of your identity");
    answers("wrong horse");
    terminal.shows("does not open", PATIENCE);
    assert!(!terminal.screen().contains("horse"), "{}", terminal.screen());
    answers("correct horse");
    terminal.shows("Send this link", PATIENCE);
    assert!(terminal.screen().contains("Ada"), "the identity's own name: {}", terminal.screen());
    terminal.types("q");
    terminal.is_restored();
}
