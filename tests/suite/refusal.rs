//! What does not work is said, in words and by exit code, and harms nobody.

use crate::support::alone;
use crate::support::process::{Launch, Resonance, run};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(30);

/// A session holds eight people.
#[test]
fn the_ninth_person_is_told_that_the_session_is_full() {
    let _alone = alone();
    let mut people = vec![Launch::create("Person 1").by_link_only().start()];
    let link = people[0].link();
    for number in 2..=8 {
        people.push(Launch::join(&format!("Person {number}"), &link).by_link_only().start());
    }
    for person in &people {
        for other in &people {
            if other.name != person.name {
                person.meets(&other.name, PATIENCE);
            }
        }
    }
    let mut ninth = Launch::join("Person 9", &link).by_link_only().start();
    let status = ninth.wait_for_end(PATIENCE);
    assert_eq!(status.code(), Some(4), "refused\n{}", ninth.story());
    ninth.said_only_events();
    let errors = ninth.events("error");
    assert_eq!(errors.len(), 1, "one error event\n{}", ninth.story());
    assert!(says_full(errors[0].text("message")) && says_full(&ninth.complaints()), "it says why\n{}", ninth.story());
    for person in &people {
        let ninth = |event: &crate::support::process::Event| event.text("name") == "Person 9";
        assert!(!person.events("peer_joined").iter().any(ninth), "nobody was told of a ninth");
    }
    // All but one are simply ended: leaving is shown elsewhere, and eight goodbyes to seven people each take their time.
    people.truncate(1);
    people.into_iter().for_each(Resonance::quit);
}

fn says_full(text: &str) -> bool {
    let text = text.to_lowercase();
    text.contains("full") || text.contains("eight") || text.contains('8')
}

#[test]
fn a_wrong_command_line_is_said_in_words() {
    let missing = "wav:/nowhere/at/all.wav";
    let cases: [&[&str]; 9] = [
        &["join", "--headless"],
        &["join", "hello", "--headless"],
        &["create", "--headless", "--no-such-flag"],
        &["create", "--headless", "--input", missing],
        &["create", "--headless", "--input", "tone:loud"],
        &["create", "--headless", "--output", "wav:/nowhere/at/all.wav"],
        &["create", "--headless", "--bootstrap", "nonsense", "--input", "silence", "--output", "null"],
        &["create", "--headless", "--listen", "nonsense", "--input", "silence", "--output", "null"],
        &["create", "--headless", "--duration", "soon", "--input", "silence", "--output", "null"],
    ];
    for case in cases {
        run(case, PATIENCE).refused_with(&[2], true);
    }
    run(&["dance"], PATIENCE).refused_with(&[2], false);
    run(&["link", "inspect", "hello"], PATIENCE).refused_with(&[2], false);
}

#[test]
fn help_and_version_are_answered() {
    let help = run(&["--help"], PATIENCE);
    assert_eq!(help.code, Some(0));
    for verb in ["create", "join", "lan", "devices", "link"] {
        assert!(help.stdout.contains(verb), "help names {verb}:\n{}", help.stdout);
    }
    let version = run(&["--version"], PATIENCE);
    assert_eq!(version.code, Some(0));
    assert!(version.stdout.contains(env!("CARGO_PKG_VERSION")), "{}", version.stdout);
}

/// A command that does not exist changes nothing and ends nothing; nor does the end of the commands.
#[test]
fn an_unknown_command_is_an_error_event_and_nothing_else() {
    let mut ada = Launch::create("Ada").by_link_only().start();
    ada.link();
    for line in ["dance", "mute now", "move", "\u{1b}[2J", "", "volume Nobody 3"] {
        ada.command(line);
    }
    ada.wait_for("the errors", PATIENCE, |event| event.kind() == "error" && event.text("message").contains("Nobody"));
    for error in ada.events("error") {
        assert!(!error.text("message").contains('\u{1b}'), "what was typed comes back without its escapes");
    }
    assert!(ada.events("error").len() >= 4);
    ada.close_commands();
    std::thread::sleep(Duration::from_millis(300));
    assert!(ada.alive(), "the end of the commands is not the end of the session");
    ada.terminate();
    ada.ended_well();
}

#[test]
fn a_session_leaves_by_itself_after_its_duration() {
    let mut ada = Launch::create("Ada").by_link_only().argument("--duration").argument("1").start();
    ada.ended_well();
}

/// A server, a container, a laptop whose driver broke: the call goes on, and it is said what is missing.
#[test]
fn a_machine_without_sound_devices_joins_and_says_so() {
    let _alone = alone();
    let ada = Launch::create("Ada").by_link_only().start();
    let bo = Launch::join("Bo", &ada.link())
        .by_link_only()
        .input("default")
        .output("default")
        .environment("ALSA_CONFIG_PATH", "/nowhere/at/all.conf")
        .environment("PULSE_SERVER", "unix:/nowhere/at/all")
        .environment("PIPEWIRE_REMOTE", "/nowhere/at/all")
        .start();
    ada.hears("Bo", PATIENCE);
    bo.hears("Ada", PATIENCE);
    let about_sound = |event: &crate::support::process::Event| {
        let message = event.text("message").to_lowercase();
        event.kind() == "warning"
            && ["microphone", "speaker", "sound", "input", "output", "device"].iter().any(|word| message.contains(word))
    };
    let warning = bo.wait_for("a warning about sound", PATIENCE, about_sound);
    assert!(!warning.text("hint").is_empty(), "it says what to do: {}", warning.json);
    bo.quit();
    ada.quit();
}
