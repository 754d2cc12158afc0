//! The page of what happened.

use super::*;

/// A session in which so many people came and went.
fn busy(lines: usize) -> View {
    let line =
        |n: usize| TalkLine { at: Duration::from_secs(n as u64), from: None, text: format!("Person {n:03} joined") };
    View { talk: (0..lines).map(line).collect(), ..call() }
}

#[test]
fn it_opens_by_key_and_by_command_and_closes_again() {
    let mut model = in_session(UNICODE, call());
    type_in(&mut model, "e");
    assert!(picture(&mut model, 80, 24).contains("What happened"));
    type_in(&mut model, "e");
    assert_eq!(model.mode, Mode::Call);
    type_in(&mut model, ":eve");
    press(&mut model, &[KeyCode::Tab, KeyCode::Enter]);
    assert_eq!(model.mode, Mode::Events { up: 0 });
    press(&mut model, &[KeyCode::Esc]);
    assert_eq!(model.mode, Mode::Call);
    type_in(&mut model, "?");
    press(&mut model, &[KeyCode::End]);
    let help: String = (0..9)
        .map(|_| {
            press(&mut model, &[KeyCode::PageUp]);
            picture(&mut model, 80, 24)
        })
        .collect();
    assert!(help.contains(" e            show what happened") && help.contains(" events         show what happened"));
}

#[test]
fn a_warning_that_has_passed_can_be_read_there() {
    let mut model = in_session(UNICODE, call());
    update(&mut model, Msg::Warning { message: "The microphone was lost.".into(), hint: "Silence is sent.".into() });
    model.notice = None;
    assert!(!picture(&mut model, 80, 24).contains("lost. Silence"));
    type_in(&mut model, "e");
    assert!(picture(&mut model, 80, 24).contains("12:41  ⚠ The microphone was lost. Silence is sent."));
    assert!(!model.own_minute.level_db.is_empty());
    // The next session begins with an empty page, and with an empty curve of one's own voice.
    update(&mut model, Msg::Failed(Failure { what: "It is over.".into(), why: String::new(), hint: String::new() }));
    assert_eq!(model.diary.entries().count(), 0);
    assert!(model.own_minute.level_db.is_empty());
}

#[test]
fn it_scrolls_to_the_oldest_and_no_further_and_every_other_key_works() {
    let mut model = in_session(UNICODE, busy(100));
    type_in(&mut model, "e");
    let shows = |model: &mut Model, number: usize| picture(model, 80, 24).contains(&format!("Person {number:03}"));
    assert!(shows(&mut model, 99) && !shows(&mut model, 0));
    press(&mut model, &[KeyCode::Home]);
    assert!(shows(&mut model, 0) && !shows(&mut model, 99));
    press(&mut model, &[KeyCode::Up, KeyCode::PageUp, KeyCode::Down]);
    assert!(!shows(&mut model, 0) && shows(&mut model, 1), "one line down from the top");
    press(&mut model, &[KeyCode::End, KeyCode::PageDown]);
    assert!(shows(&mut model, 99));
    assert_eq!(type_in(&mut model, "m"), [Action::Command(crate::command::Command::Mute)]);
    assert_eq!(model.mode, Mode::Events { up: 0 });
}
