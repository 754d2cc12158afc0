//! The start screen: rooms of this network and the last sessions among the ways to begin.

use super::*;
use crate::ui::message::{RecentSession, StartChoice};
use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};

pub(super) fn rooms(count: u8) -> Vec<NearbyRoom> {
    let room = |at: u8| NearbyRoom {
        room: ["lobby".to_owned(), "den".to_owned()]
            .get(usize::from(at))
            .cloned()
            .unwrap_or_else(|| format!("room {at}")),
        people: at % 3 + 1,
    };
    (0..count).map(room).collect()
}

pub(super) fn gone_to(room: &str) -> RecentSession {
    let people = vec!["Di".to_owned()];
    RecentSession { choice: StartChoice::Lan(room.to_owned()), people, ago: Duration::from_secs(4_000) }
}

pub(super) fn joined(people: &[&str]) -> RecentSession {
    let people = people.iter().map(|name| (*name).to_owned()).collect();
    RecentSession { choice: StartChoice::Join(LINK.into()), people, ago: Duration::from_secs(200_000) }
}

fn at_start() -> Model {
    let mut model = Model::at_start(UNICODE, "Ada");
    update(&mut model, Msg::Nearby(Some(rooms(2))));
    update(&mut model, Msg::Recent(vec![gone_to("attic"), joined(&["Bo", "Cy"])]));
    model
}

fn started(choice: StartChoice) -> Vec<Action> {
    vec![Action::Start { name: "Ada".into(), choice }]
}

const DOWN: KeyCode = KeyCode::Down;

#[test]
fn rooms_and_sessions_are_ways_to_begin_like_the_others() {
    let to = |downs: usize| {
        let mut model = at_start();
        press(&mut model, &vec![DOWN; downs]);
        press(&mut model, &[KeyCode::Enter])
    };
    assert_eq!(to(3), started(StartChoice::Lan("lobby".into())));
    assert_eq!(to(4), started(StartChoice::Lan("den".into())));
    assert_eq!(to(5), started(StartChoice::Lan("attic".into())));
    assert_eq!(to(6), started(StartChoice::Join(LINK.into())));
    assert_eq!(to(8), [Action::Quit], "below them is what was there before");
}

/// Whoever is about to press Enter goes where the line said, or nowhere new.
#[test]
fn a_list_that_changes_under_the_hand_leads_nobody_astray() {
    let mut model = at_start();
    press(&mut model, &[DOWN, DOWN, DOWN, DOWN]);
    update(&mut model, Msg::Nearby(Some(rooms(2).split_off(1))));
    let mut same = model.clone();
    assert_eq!(press(&mut same, &[KeyCode::Enter]), started(StartChoice::Lan("den".into())), "another line went");
    update(&mut model, Msg::Nearby(Some(Vec::new())));
    assert!(picture(&mut model, 80, 24).contains("▶ Meet on this network"));
    update(&mut model, Msg::Nearby(None));
    assert!(!picture(&mut model, 80, 24).contains("no room is open"), "nobody looks");
}

#[test]
fn the_mouse_chooses_and_then_goes() {
    let mut model = at_start();
    let mut click = |words: &str| {
        let shown = picture(&mut model, 80, 24);
        let row = shown.lines().position(|line| line.contains(words)).expect("on the screen") as u16;
        let kind = MouseEventKind::Down(MouseButton::Left);
        update(&mut model, Msg::Mouse(MouseEvent { kind, column: 8, row, modifiers: KeyModifiers::NONE }))
    };
    assert_eq!(click("den  "), [], "a slip joins nothing");
    assert_eq!(click("Join with a link"), []);
    assert_eq!(click("Join with a link"), [], "where one types a click is for the cursor");
    assert_eq!(click("den  "), []);
    assert_eq!(click("den  "), started(StartChoice::Lan("den".into())));
}

#[test]
fn sessions_are_forgotten_one_by_one_or_all() {
    let mut model = at_start();
    press(&mut model, &[DOWN, DOWN, DOWN]);
    assert_eq!(type_in(&mut model, "xX"), [], "a room of others is not ours to forget");
    press(&mut model, &[DOWN, DOWN]);
    assert!(picture(&mut model, 80, 24).contains("x forget it"));
    assert_eq!(type_in(&mut model, "x"), [Action::Forget(Some(StartChoice::Lan("attic".into())))]);
    assert_eq!(type_in(&mut model, "X"), [Action::Forget(None)]);
    update(&mut model, Msg::Recent(Vec::new()));
    assert!(!picture(&mut model, 80, 24).contains("Go back to"));
}

/// Nobody is asked before the first questions are answered, nor in a session.
#[test]
fn rooms_are_looked_for_on_the_start_screen_only() {
    assert!(!Model::first_run(UNICODE, "Ada").is_choosing());
    let mut model = Model::at_start(UNICODE, "Ada");
    assert!(model.is_choosing());
    press(&mut model, &[KeyCode::F(1)]);
    assert!(!model.is_choosing(), "another page is open");
    press(&mut model, &[KeyCode::Esc, KeyCode::Enter]);
    assert!(!model.is_choosing(), "a session is being made");
    show(&mut model, alone());
    assert!(!model.is_choosing());
}

#[test]
fn whatever_is_chosen_is_on_the_screen() {
    let mut model = at_start();
    update(&mut model, Msg::Nearby(Some(rooms(32))));
    for (columns, rows) in [(60, 16), (80, 24)] {
        for _ in 0..50 {
            press(&mut model, &[DOWN]);
            let shown = picture(&mut model, columns, rows);
            assert!(shown.contains(" ▶ "), "{shown}");
        }
    }
}

#[test]
fn spectra_are_worked_out_while_they_are_seen_only() {
    let mut model = in_session(UNICODE, call());
    picture(&mut model, 80, 24);
    assert_eq!(model.watched(), None, "a narrow window has no details");
    picture(&mut model, 140, 50);
    assert_eq!(model.watched().and_then(|watched| watched.peer), Some("b0b0b0b0".into()));
    press(&mut model, &[DOWN]);
    assert_eq!(model.watched().and_then(|watched| watched.peer), Some("c1c1c1c1".into()));
    press(&mut model, &[KeyCode::Char('?')]);
    assert_eq!(model.watched(), None);
    press(&mut model, &[KeyCode::Esc, KeyCode::Char('s')]);
    picture(&mut model, 80, 24);
    assert!(model.watched().is_some());
    show(&mut model, alarmed());
    assert_eq!(model.watched(), None, "an alarm has the screen");
}
