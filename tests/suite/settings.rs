//! What is set once: the file, the page, and the first minute of somebody new.

use crate::support::process::{BINARY, run};
use crate::support::terminal::Terminals;
use crate::support::{alone, has_tool, skip};
use std::process::Command;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(15);

#[test]
fn a_file_to_begin_with_is_written_on_request_and_mistakes_in_it_are_named() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let place = data.path().join("config.toml").display().to_string();
    let written = run(&["config", "init", "--config", &place], PATIENCE);
    assert_eq!((written.code, written.stdout.trim()), (Some(0), place.as_str()), "{}", written.stderr);
    let again = run(&["config", "init", "--config", &place], PATIENCE);
    assert!(again.code == Some(2) && again.stderr.contains("left as it is"), "{}", again.stderr);
    let fine = run(&["config", "show", "--config", &place], PATIENCE);
    let theme = |line: &str| line.split_whitespace().take(2).eq(["screen.theme", "auto"]);
    assert!(fine.code == Some(0) && fine.stdout.lines().any(theme), "{}{}", fine.stdout, fine.stderr);

    let text = std::fs::read_to_string(&place).expect("it is there");
    let slip = text.replace("theme = \"auto\"", "theem = \"dark\"").replace("[keys]\n", "[keys]\nmuet = \"z\"\n");
    std::fs::write(&place, slip).expect("writable");
    let wrong = run(&["config", "show", "--config", &place], PATIENCE);
    assert_eq!(wrong.code, Some(2));
    for words in
        ["`theem` is no setting of [screen]; did you mean \"theme\"?", "`keys.muet` is nothing that a key can do"]
    {
        assert!(wrong.stderr.contains(words), "{}", wrong.stderr);
    }
    // The other faces say it, too, by the file's name and line.
    let slip = "config.toml, line";
    let plain = run(&["--plain", "--no-dht", "--config", &place], PATIENCE);
    assert!(plain.stdout.lines().any(|line| line.starts_with(slip) && line.contains("did you mean \"theme\"?")));
    let quiet = ["--no-dht", "--no-mdns", "--input", "silence", "--output", "null", "--duration", "1"];
    let data_dir = data.path().display().to_string();
    let session = ["create", "--headless", "--name", "Ada", "--config", &place, "--data-dir", &data_dir];
    let headless = run(&[&session[..], &quiet].concat(), PATIENCE);
    let told = |line: &str| line.contains("\"code\":\"settings\"") && line.contains(slip);
    assert!(headless.code == Some(0) && headless.stdout.lines().any(told), "{}", headless.stdout);
}

/// A path that is not absolute counts as not set.
#[test]
fn settings_lie_where_the_specification_of_folders_wants_them() {
    for (set, place) in [("/somewhere", "/somewhere/resonance"), ("somewhere", "/ada/.config/resonance")] {
        let shown = Command::new(BINARY)
            .args(["config", "show"])
            .env("HOME", "/ada")
            .env("XDG_CONFIG_HOME", set)
            .output()
            .expect("it runs");
        let shown = String::from_utf8_lossy(&shown.stdout).into_owned();
        assert!(shown.contains(&format!("Kept in {place}/config.toml")), "{shown}");
    }
}

/// Name, microphone, speaker, hearing oneself, in: then a session in one key. The next time there is nothing to answer.
#[test]
fn a_newcomer_is_asked_once_and_settings_hold_at_once() {
    let test = "settings::a_newcomer_is_asked_once_and_settings_hold_at_once";
    let _alone = alone();
    if !has_tool("tmux") {
        return skip(test, "tmux is missing");
    }
    let data = tempfile::tempdir().expect("a temporary folder");
    let heard = data.path().join("heard.wav");
    let program = format!(
        "'{BINARY}' --no-mdns --no-dht --input tone:440 --output 'wav:{}' --data-dir '{}'",
        heard.display(),
        data.path().display()
    );
    let terminals = Terminals::of(80, 24);
    let ada = terminals.open("ada");
    let begun = Instant::now();
    ada.runs(&program);
    ada.shows("Welcome to resonance", PATIENCE);
    // A tone at −12 dBFS: its mean is three below.
    ada.wait_for("the meter at the tone's level", PATIENCE, |screen| screen.contains("▆▆▆  −15 dB").then_some(()));
    ada.presses("C-u");
    ada.types("Ada");
    for _ in 0..3 {
        ada.presses("Down");
    }
    ada.presses("Enter");
    // The tone comes back a second later, through the whole pipeline.
    ada.wait_for("one's own voice", PATIENCE, |screen| {
        let level = screen.lines().find_map(|line| line.split("in your ears").nth(1).map(str::to_owned))?;
        (level.contains('▇') && level.contains("dB")).then_some(())
    });
    ada.presses("Down");
    ada.presses("Enter");
    ada.shows("Create a session", PATIENCE);
    crate::support::say(&format!(
        "{test}: from the command to the start screen in {:.1} s",
        begun.elapsed().as_secs_f32()
    ));
    ada.presses("Enter");
    ada.shows("Send this link", PATIENCE);
    assert!(ada.colours() > 0);

    let file = data.path().join("config.toml");
    let kept = std::fs::read_to_string(&file).expect("the name was kept");
    assert!(kept.contains("name = \"Ada\""), "{kept}");
    // Written by hand while the session runs.
    std::fs::write(&file, format!("{kept}[screen]\ntheme = \"none\"\n[keys]\nmute = \"z\"\n")).expect("writable");
    let deadline = Instant::now() + PATIENCE;
    while ada.colours() > 0 {
        assert!(Instant::now() < deadline, "the colours go: {}", ada.screen());
        std::thread::sleep(Duration::from_millis(100));
    }
    ada.types("z");
    ada.shows("nobody hears you (z)", PATIENCE);
    // A slip is shown where one is, with its line and what was meant, until it is mended.
    std::fs::write(&file, format!("{kept}[scren]\n[keys]\nmuet = \"z\"\n")).expect("writable");
    let line = 1 + kept.lines().count();
    let slips = [
        format!("config.toml, line {line}: `scren` is no setting; did you mean \"screen\"?"),
        format!("config.toml, line {}: `keys.muet` is nothing that a key can do; did you mean \"mute\"?", line + 2),
    ];
    ada.wait_for("both slips", PATIENCE, |screen| {
        let words = screen.split_whitespace().collect::<Vec<_>>().join(" ");
        slips.iter().all(|slip| words.contains(slip)).then_some(())
    });
    std::fs::write(&file, &kept).expect("writable");
    ada.wait_for("a page without them", PATIENCE, |screen| (!screen.contains("did you mean")).then_some(()));
    // And from the page.
    ada.types(",");
    ada.shows("cleaning the voice", PATIENCE);
    ada.presses("Escape");
    ada.types("q");
    ada.is_restored();

    ada.runs("clear");
    ada.runs(&program);
    let screen = ada.wait_for("the start screen", PATIENCE, |screen| {
        screen.contains("Create a session").then(|| screen.to_owned())
    });
    assert!(!screen.contains("Welcome") && screen.contains("Ada"), "{screen}");
    ada.presses("C-c");
    ada.is_restored();
}
