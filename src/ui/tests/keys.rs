//! What keys, mouse and pasted text ask of the program.

use super::*;
use crate::command::{Command, VERBS};
use crate::ui::{StartChoice, map};
use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use std::time::Instant;

fn command(command: Command) -> Vec<Action> {
    vec![Action::Command(command)]
}

fn mouse(model: &mut Model, kind: MouseEventKind, (column, row): (u16, u16)) -> Vec<Action> {
    update(model, Msg::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE }))
}

/// The cell where `words` begin on the screen.
fn find(model: &mut Model, words: &str) -> (u16, u16) {
    let shown = picture(model, 80, 24);
    let row = shown.lines().position(|line| line.contains(words)).expect("on the screen");
    let before =
        shown.lines().nth(row).and_then(|line| line.split(words).next()).map_or(0, |before| before.chars().count());
    (before as u16, row as u16)
}

#[test]
fn a_new_session_in_one_key() {
    let mut model = Model::at_start(UNICODE, "Ada");
    let started = press(&mut model, &[KeyCode::Enter]);
    assert_eq!(started, [Action::Start { name: "Ada".into(), choice: StartChoice::Create }]);
    show(&mut model, alone());
    assert!(picture(&mut model, 80, 24).contains("Send this link"));
}

/// What a newcomer has to press, counted. (A paste is one key.)
#[test]
fn the_ways_that_matter_are_short() {
    let mut model = Model::at_start(UNICODE, "Ada");
    press(&mut model, &[KeyCode::Enter]);
    show(&mut model, alone());
    let copied = press(&mut model, &[KeyCode::Char('c')]);
    assert_eq!(copied, [Action::CopyToClipboard(LINK.into())], "a session and its link in the clipboard: 2 keys");

    let mut model = Model::at_start(UNICODE, "Bo");
    update(&mut model, Msg::Paste(LINK.into()));
    let joined = press(&mut model, &[KeyCode::Enter]);
    let choice = StartChoice::Join(LINK.into());
    assert_eq!(joined, [Action::Start { name: "Bo".into(), choice }], "in by a link from the clipboard: 2 keys");

    let mut model = in_session(UNICODE, call());
    let verified = press(&mut model, &[KeyCode::Down, KeyCode::Char('v'), KeyCode::Char('y')]);
    assert_eq!(verified, command(Command::Verify("c1c1c1c1".into())), "somebody verified, chosen from several: 3 keys");
}

#[test]
fn without_a_name_the_name_is_asked_for_first() {
    let mut model = Model::at_start(UNICODE, " ");
    update(&mut model, Msg::Paste(LINK.into()));
    assert_eq!(press(&mut model, &[KeyCode::Enter]), []);
    assert!(picture(&mut model, 80, 24).contains("type one first"));
    type_in(&mut model, "Zoë");
    let started = press(&mut model, &[KeyCode::Enter, KeyCode::Enter]);
    assert_eq!(started, [Action::Start { name: "Zoë".into(), choice: StartChoice::Join(LINK.into()) }]);
}

/// A mail with the link broken over two lines: what comes before is cut off, the rest is left to whoever reads links.
#[test]
fn a_link_may_be_pasted_with_all_that_surrounds_it() {
    let (first, second) = LINK.split_at(60);
    let mut model = Model::at_start(UNICODE, "Ada");
    update(&mut model, Msg::Paste(format!("Hi!\r\nSee you here:\n  {first}\n{second}\n-- \nBo")));
    let started = press(&mut model, &[KeyCode::Enter]);
    let expected = StartChoice::Join(format!("{first}\n{second}\n-- \nBo"));
    assert_eq!(started, [Action::Start { name: "Ada".into(), choice: expected }]);
}

#[test]
fn what_is_no_link_is_not_taken_for_one() {
    let mut model = Model::at_start(UNICODE, "Ada");
    update(&mut model, Msg::Paste("milk, bread".into()));
    assert!(picture(&mut model, 80, 24).contains("no link in what you pasted"));
    press(&mut model, &[KeyCode::Down]);
    assert_eq!(press(&mut model, &[KeyCode::Enter]), []);
    assert!(picture(&mut model, 80, 24).contains("paste the link"));
}

#[test]
fn the_room_on_this_network_and_the_way_out() {
    let mut model = Model::at_start(UNICODE, "Ada");
    press(&mut model, &[KeyCode::Down, KeyCode::Down]);
    type_in(&mut model, "-2");
    let mut leaving = model.clone();
    let started = press(&mut model, &[KeyCode::Enter]);
    assert_eq!(started, [Action::Start { name: "Ada".into(), choice: StartChoice::Lan("lobby-2".into()) }]);
    assert_eq!(press(&mut leaving, &[KeyCode::Down, KeyCode::Down, KeyCode::Enter]), [Action::Quit]);
    let control_c = KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL);
    assert_eq!(update(&mut leaving, Msg::Key(control_c)), [Action::Quit]);
}

/// When joining fails, everything that was typed is still there.
#[test]
fn a_failure_is_told_and_nothing_typed_is_lost() {
    let mut model = Model::at_start(UNICODE, "Ada");
    update(&mut model, Msg::Paste(LINK.into()));
    press(&mut model, &[KeyCode::Enter]);
    let failure = Failure { what: "Nobody answered.".into(), why: "All asleep.".into(), hint: "Try again.".into() };
    update(&mut model, Msg::Failed(failure));
    let shown = picture(&mut model, 80, 24);
    assert!(["Nobody answered.", "All asleep.", "Try again."].iter().all(|words| shown.contains(words)));
    // A last snapshot of the session that failed changes nothing.
    show(&mut model, alone());
    let again = press(&mut model, &[KeyCode::Enter, KeyCode::Enter]);
    assert_eq!(again, [Action::Start { name: "Ada".into(), choice: StartChoice::Join(LINK.into()) }]);
}

#[test]
fn alone_one_can_copy_the_link_and_leave_at_once() {
    let mut model = in_session(UNICODE, alone());
    assert_eq!(press(&mut model, &[KeyCode::Char('c')]), [Action::CopyToClipboard(LINK.into())]);
    assert_eq!(press(&mut model, &[KeyCode::Enter, KeyCode::Char('v'), KeyCode::Char('h')]), []);
    assert_eq!(press(&mut model, &[KeyCode::Char('q')]), [Action::Quit]);
}

#[test]
fn a_room_on_the_network_has_no_link_to_copy() {
    let mut model = in_session(UNICODE, View { invite: Invite::Lan { room: "den".into() }, ..alone() });
    assert_eq!(press(&mut model, &[KeyCode::Char('c')]), []);
    let shown = picture(&mut model, 80, 24);
    assert!(shown.contains("resonance lan --room den") && !shown.contains("copy link"));
}

#[test]
fn others_are_not_left_by_a_slip() {
    let control_c = || Msg::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
    let mut model = in_session(UNICODE, call());
    assert_eq!(press(&mut model, &[KeyCode::Char('q'), KeyCode::Esc]), []);
    assert_eq!(press(&mut model, &[KeyCode::Char('q'), KeyCode::Char('q')]), [Action::Quit]);
    let mut model = in_session(UNICODE, call());
    assert_eq!(update(&mut model, control_c()), []);
    assert_eq!(update(&mut model, control_c()), [Action::Quit]);
    // When the others leave meanwhile, there is nothing left to ask.
    let mut model = in_session(UNICODE, call());
    press(&mut model, &[KeyCode::Char('q')]);
    show(&mut model, alone());
    assert_eq!(model.mode, Mode::Call);
}

#[test]
fn mute_and_deafen_go_there_and_back() {
    let mut model = in_session(UNICODE, call());
    let pressed = press(&mut model, &[KeyCode::Char('m')]);
    assert_eq!(pressed, command(Command::Mute));
    assert!(picture(&mut model, 80, 24).contains("nobody hears you"));
    let pressed = press(&mut model, &[KeyCode::Char('m'), KeyCode::Char('d'), KeyCode::Char('d')]);
    assert_eq!(pressed, [Command::Unmute, Command::Deafen, Command::Undeafen].map(Action::Command));
}

#[test]
fn the_chosen_person_moves_by_keys_and_by_id() {
    let mut model = in_session(UNICODE, call());
    let moved = press(&mut model, &[KeyCode::Down, KeyCode::Char('l')]);
    let [Action::Command(Command::Move { peer, azimuth_deg, distance_m: Some(distance_m), elevation_deg: None })] =
        &moved[..]
    else {
        panic!("{moved:?}")
    };
    assert_eq!(peer, "c1c1c1c1");
    // One step of 0.25 m to the right of 1 m ahead.
    assert!((azimuth_deg - 14.04).abs() < 0.1 && (distance_m - 1.031).abs() < 0.01, "{azimuth_deg} {distance_m}");
    // The way back over all four sides ends where it began.
    press(&mut model, &[KeyCode::Char('k'), KeyCode::Char('h'), KeyCode::Char('j')]);
    let place = model.chosen().map(|(_, peer)| peer.position).expect("Cy");
    assert!(place.azimuth_deg.abs() < 0.1 && (place.distance_m - 1.0).abs() < 0.01, "{place:?}");
    let shifted = KeyEvent::new(KeyCode::Up, KeyModifiers::SHIFT);
    assert!(matches!(update(&mut model, Msg::Key(shifted))[..], [Action::Command(Command::Move { .. })]));
}

#[test]
fn louder_quieter_and_the_turning_head() {
    let mut model = in_session(UNICODE, call());
    let louder = press(&mut model, &[KeyCode::Char('+'); 5]);
    assert_eq!(louder.last(), Some(&Action::Command(Command::Volume { peer: "b0b0b0b0".into(), db: 12.0 })));
    let quieter = press(&mut model, &[KeyCode::Char('-')]);
    assert_eq!(quieter, command(Command::Volume { peer: "b0b0b0b0".into(), db: 9.0 }));
    assert_eq!(press(&mut model, &[KeyCode::Char(']')]), command(Command::Face(15.0)));
    assert_eq!(press(&mut model, &[KeyCode::Char('['); 2]).last(), Some(&Action::Command(Command::Face(-15.0))));
}

#[test]
fn the_mouse_chooses_and_drags() {
    let mut model = in_session(UNICODE, call());
    picture(&mut model, 80, 24);
    let room = layout::inside(layout::of(&model).room);
    let labels = map::labels(&map::Projection::fit(room, &call()), &call().peers, None);
    let cell = (labels[2].area.x, labels[2].area.y);
    assert_eq!(mouse(&mut model, MouseEventKind::Down(MouseButton::Left), cell), []);
    assert_eq!(model.selected.as_deref(), Some("d1d1d1d1"));
    let corner = (room.right() - 1, room.bottom() - 1);
    let dragged = mouse(&mut model, MouseEventKind::Drag(MouseButton::Left), corner);
    let [Action::Command(Command::Move { peer, azimuth_deg, .. })] = &dragged[..] else { panic!("{dragged:?}") };
    assert!(peer == "d1d1d1d1" && *azimuth_deg > 90.0, "{azimuth_deg}");
    // An older snapshot does not snatch the name from under the hand.
    show(&mut model, call());
    assert!(model.peer("d1d1d1d1").is_some_and(|peer| peer.position.azimuth_deg > 90.0));
    mouse(&mut model, MouseEventKind::Up(MouseButton::Left), corner);
    assert_eq!(mouse(&mut model, MouseEventKind::Drag(MouseButton::Left), cell), []);

    let cell = find(&mut model, "Cy  ");
    mouse(&mut model, MouseEventKind::Down(MouseButton::Left), cell);
    assert_eq!(model.selected.as_deref(), Some("c1c1c1c1"));
}

#[test]
fn the_numbers_match() {
    let mut model = in_session(UNICODE, call());
    press(&mut model, &[KeyCode::Down, KeyCode::Char('v')]);
    let shown = picture(&mut model, 80, 24);
    assert!(NUMBER.split(' ').all(|group| shown.contains(group)), "{shown}");
    assert_eq!(press(&mut model, &[KeyCode::Char('y')]), command(Command::Verify("c1c1c1c1".into())));
    let shown = picture(&mut model, 80, 24);
    assert!(!shown.contains("not verified") && shown.contains("Cy is verified"));
    let taken_back = press(&mut model, &[KeyCode::Char('v'), KeyCode::Char('u')]);
    assert_eq!(taken_back, command(Command::Unverify("c1c1c1c1".into())));
}

/// Only the number that was read aloud can be marked.
#[test]
fn a_number_that_changes_meanwhile_is_not_marked() {
    let mut model = in_session(UNICODE, call());
    press(&mut model, &[KeyCode::Char('v')]);
    let mut view = call();
    view.peers[0].safety_number = NUMBER.replace('2', "3");
    show(&mut model, view);
    assert!(picture(&mut model, 80, 24).contains("The number has changed"));
    assert_eq!(press(&mut model, &[KeyCode::Char('y'), KeyCode::Char('y')]), []);
    assert!(picture(&mut model, 80, 24).contains("nothing was marked"));
    press(&mut model, &[KeyCode::Char('v')]);
    assert!(picture(&mut model, 80, 24).contains("31849 07331"), "the new one is shown");
    assert_eq!(press(&mut model, &[KeyCode::Char('y')]), command(Command::Verify("b0b0b0b0".into())));
}

#[test]
fn the_numbers_differ_and_first_of_all_nothing_more_is_said() {
    let mut model = in_session(UNICODE, call());
    let id = || "b0b0b0b0".to_owned();
    let done = press(&mut model, &[KeyCode::Char('v'), KeyCode::Char('n')]);
    let expected = [Command::Mute, Command::Volume { peer: id(), db: -60.0 }, Command::Unverify(id())];
    assert_eq!(done, expected.map(Action::Command));
    assert!(picture(&mut model, 80, 24).contains("Your microphone is closed"));
    let undone = press(&mut model, &[KeyCode::Char('o')]);
    assert_eq!(undone, [Command::Unmute, Command::Volume { peer: id(), db: 0.0 }].map(Action::Command));
    assert_eq!(press(&mut model, &[KeyCode::Char('n'), KeyCode::Char('q')]).last(), Some(&Action::Quit));
}

#[test]
fn whoever_leaves_during_the_comparison_is_not_marked() {
    let mut model = in_session(UNICODE, call());
    press(&mut model, &[KeyCode::Char('v')]);
    let mut view = call();
    view.peers.remove(0);
    show(&mut model, view);
    assert!(picture(&mut model, 80, 24).contains("Bo has left"));
    assert_eq!(press(&mut model, &[KeyCode::Char('y'), KeyCode::Char('n'), KeyCode::Char('u')]), []);
    assert_eq!(model.selected.as_deref(), Some("c1c1c1c1"), "somebody who is here is chosen");
}

#[test]
fn a_wrong_command_is_explained_and_stays_to_be_mended() {
    let mut model = in_session(UNICODE, call());
    type_in(&mut model, ":volume Bo 99");
    assert_eq!(press(&mut model, &[KeyCode::Enter]), []);
    let shown = picture(&mut model, 80, 24);
    assert!(shown.contains("`99` is not a number between -60 and 12") && shown.contains(":volume Bo 99"));
    press(&mut model, &[KeyCode::Backspace, KeyCode::Backspace]);
    type_in(&mut model, "-6");
    let done = press(&mut model, &[KeyCode::Enter]);
    assert_eq!(done, command(Command::Volume { peer: "Bo".into(), db: -6.0 }));
    let mut recalled = press(&mut model, &[KeyCode::Char(':'), KeyCode::Up, KeyCode::Enter]);
    assert_eq!(recalled.pop(), Some(Action::Command(Command::Volume { peer: "Bo".into(), db: -6.0 })));
}

#[test]
fn tab_completes_verbs_and_people() {
    let typed = |keys: &str, tabs: usize| {
        let mut model = in_session(UNICODE, call());
        type_in(&mut model, keys);
        press(&mut model, &vec![KeyCode::Tab; tabs]);
        match model.mode {
            Mode::CommandLine(state) => state.line.text().to_owned(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(typed(":vol", 1), "volume ");
    assert_eq!(typed(":vol", 2), "volume Bo ");
    assert_eq!(typed(":verify d", 1), "verify Di");
    assert_eq!(typed(":un", 2), "undeafen");
    assert_eq!(typed(":un", 5), "unmute", "round and round");
    assert_eq!(typed(":safety ", 2), "safety Cy");
    assert_eq!(typed(":xyz", 1), "xyz");
}

#[test]
fn commands_that_concern_the_screen_are_done_by_the_screen() {
    let run = |line: &str| {
        let mut model = in_session(UNICODE, call());
        type_in(&mut model, line);
        let actions = press(&mut model, &[KeyCode::Enter]);
        (actions, picture(&mut model, 80, 24))
    };
    let (actions, shown) = run(":safety di");
    assert!(actions.is_empty() && shown.contains("Verify Di"));
    assert!(run(":safety Eve").1.contains("nobody here is called `Eve`"));
    assert!(run(":stats").1.contains("Measurements"));
    assert!(run(":link").1.contains("Send this link"));
    assert!(run(":help").1.contains("Keys in a session"));
    assert_eq!(run(":quit").0, [Action::Quit]);
    assert_eq!(run("::face 90").0, command(Command::Face(90.0)));
    assert_eq!(run(":").0, []);
}

#[test]
fn every_verb_of_the_table_can_be_typed_and_is_on_the_help_page() {
    let mut model = in_session(UNICODE, call());
    picture(&mut model, 80, 24);
    press(&mut model, &[KeyCode::Char('?')]);
    let mut shown = String::new();
    for _ in 0..10 {
        shown += &picture(&mut model, 80, 24);
        press(&mut model, &[KeyCode::PageDown]);
    }
    for verb in VERBS {
        assert!(
            shown.contains(verb.help) && shown.contains(format!("{} {}", verb.name, verb.arguments).trim()),
            "{}",
            verb.name
        );
    }
    for binding in crate::ui::keymap::CALL {
        assert!(shown.contains(binding.help), "{}", binding.help);
    }
    assert!(shown.contains("Help · end"));
    press(&mut model, &[KeyCode::Up, KeyCode::Esc]);
    assert_eq!(model.mode, Mode::Call);
}

#[test]
fn a_text_is_sent_as_it_was_typed_and_a_draft_survives() {
    let mut model = in_session(UNICODE, call());
    press(&mut model, &[KeyCode::Enter]);
    type_in(&mut model, "q: mute?");
    press(&mut model, &[KeyCode::Esc, KeyCode::Enter]);
    type_in(&mut model, " yes");
    let sent = press(&mut model, &[KeyCode::Enter]);
    assert_eq!(sent, command(Command::Say("q: mute? yes".into())));
    assert_eq!(press(&mut model, &[KeyCode::Enter, KeyCode::Enter]), [], "nothing is sent twice");
}

#[test]
fn what_is_pasted_waits_to_be_sent_and_is_never_taken_for_keys() {
    let mut model = in_session(UNICODE, call());
    assert_eq!(update(&mut model, Msg::Paste("q\nq\n:quit\n".into())), []);
    let sent = press(&mut model, &[KeyCode::Enter]);
    assert_eq!(sent, command(Command::Say("q q :quit".into())));
}

#[test]
fn a_text_is_at_most_as_long_as_the_channel_takes() {
    let mut model = in_session(UNICODE, call());
    update(&mut model, Msg::Paste("日".repeat(1000)));
    assert!(picture(&mut model, 80, 24).contains("too long"));
    let sent = press(&mut model, &[KeyCode::Enter]);
    assert_eq!(sent, command(Command::Say("日".repeat(300))));
}

#[test]
fn a_text_is_kept_when_the_last_reader_leaves() {
    let mut model = in_session(UNICODE, call());
    press(&mut model, &[KeyCode::Enter]);
    type_in(&mut model, "are you there");
    show(&mut model, alone());
    assert_eq!(press(&mut model, &[KeyCode::Enter]), []);
    show(&mut model, call());
    assert_eq!(press(&mut model, &[KeyCode::Enter, KeyCode::Enter]), command(Command::Say("are you there".into())));
}

#[test]
fn a_warning_shows_for_a_while() {
    let mut model = in_session(UNICODE, call());
    update(&mut model, Msg::Warning { message: "the microphone is gone".into(), hint: "plug it in".into() });
    let now = Instant::now();
    update(&mut model, Msg::Tick(now));
    update(&mut model, Msg::Tick(now + Duration::from_secs(5)));
    assert!(picture(&mut model, 80, 24).contains("the microphone is gone: plug it in"));
    update(&mut model, Msg::Tick(now + Duration::from_secs(7)));
    assert!(!picture(&mut model, 80, 24).contains("the microphone is gone"));
}

#[test]
fn the_talk_rolls() {
    let mut view = call();
    let line = |index: u64| TalkLine { at: Duration::from_secs(index), from: None, text: format!("event {index}") };
    view.talk = (0..100).map(line).collect();
    let mut model = in_session(UNICODE, view);
    assert!(picture(&mut model, 80, 24).contains("event 99"));
    press(&mut model, &[KeyCode::PageUp]);
    let shown = picture(&mut model, 80, 24);
    assert!(shown.contains("event 94") && !shown.contains("event 95") && shown.contains("5 newer below"));
    press(&mut model, &[KeyCode::PageUp; 30]);
    assert!(picture(&mut model, 80, 24).contains("event 0"));
    press(&mut model, &[KeyCode::PageDown; 31]);
    assert!(picture(&mut model, 80, 24).contains("event 99"));
}

#[test]
fn a_terminal_that_is_gone_ends_the_program() {
    let mut model = in_session(UNICODE, call());
    assert_eq!(update(&mut model, Msg::InputEnded), [Action::Quit]);
}

#[test]
fn who_knocks_is_let_in_or_refused_by_a_key_and_never_while_typing() {
    let knock = |id: &str, name: &str| KnockView { id: id.into(), name: name.into() };
    let mut view = call();
    let mut model = in_session(UNICODE, view.clone());
    assert_eq!(press(&mut model, &[KeyCode::Char('a')]), [], "nobody knocks");
    view.admission.knocks = vec![knock("e4e4e4e4", "Eve"), knock("f4f4f4f4", "Finn")];
    view.admission.i_decide = true;
    show(&mut model, view);
    assert_eq!(press(&mut model, &[KeyCode::Char('a')]), command(Command::Admit("e4e4e4e4".into())));
    assert_eq!(press(&mut model, &[KeyCode::Char('x')]), command(Command::Refuse("e4e4e4e4".into())));
    press(&mut model, &[KeyCode::Enter]);
    assert_eq!(type_in(&mut model, "ax"), [], "letters of a text are letters");
    press(&mut model, &[KeyCode::Esc]);
    type_in(&mut model, ":admit f");
    press(&mut model, &[KeyCode::Tab]);
    assert_eq!(press(&mut model, &[KeyCode::Enter]), command(Command::Admit("Finn".into())), "Tab knows who knocks");
}

#[test]
fn one_person_is_silenced_and_heard_again_as_loud_as_before() {
    let mut model = in_session(UNICODE, call());
    press(&mut model, &[KeyCode::Char('+')]);
    let volume = |db: f32| command(Command::Volume { peer: "b0b0b0b0".into(), db });
    assert_eq!(press(&mut model, &[KeyCode::Char('u')]), volume(-60.0));
    assert!(picture(&mut model, 80, 24).contains("silenced"));
    assert_eq!(press(&mut model, &[KeyCode::Char('u')]), volume(3.0));
    assert!(!picture(&mut model, 80, 24).contains("silenced"));
}

#[test]
fn the_room_is_arranged_in_turn() {
    use crate::command::Arrangement;
    let mut model = in_session(UNICODE, call());
    let done = press(&mut model, &[KeyCode::Char('p'); 3]);
    let expected =
        [Arrangement::Table, Arrangement::Stage, Arrangement::Arc].map(Command::Arrange).map(Action::Command);
    assert_eq!(done, expected);
    assert_eq!(press(&mut in_session(UNICODE, alone()), &[KeyCode::Char('p')]), []);
}

#[test]
fn what_is_written_while_another_page_is_open_is_counted() {
    let said = |texts: &[(&str, &str)]| {
        let mut view = call();
        let line = |(from, text): &(&str, &str)| TalkLine {
            at: Duration::from_secs(760),
            from: Some((*from).to_owned()),
            text: (*text).to_owned(),
        };
        view.talk.extend(texts.iter().map(line));
        view
    };
    let mut model = in_session(UNICODE, call());
    show(&mut model, said(&[("Bo", "one")]));
    assert!(!picture(&mut model, 80, 24).contains("unread"), "it was seen");
    press(&mut model, &[KeyCode::Char('s')]);
    show(&mut model, said(&[("Bo", "one"), ("Bo", "two"), ("Ada", "mine"), ("Cy", "three")]));
    assert!(picture(&mut model, 80, 24).contains("2 unread · 12:41"));
    press(&mut model, &[KeyCode::Esc]);
    show(&mut model, said(&[("Bo", "one"), ("Bo", "two"), ("Ada", "mine"), ("Cy", "three")]));
    assert!(!picture(&mut model, 80, 24).contains("unread"));
}
