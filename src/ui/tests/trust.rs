//! Alarms, the session's safety number, and codes that a camera reads.

use super::*;
use crate::command::Command;
use std::time::Instant;

/// The alarm has been on the screen for long enough to have been read.
fn seen(model: &mut Model) {
    let now = Instant::now();
    update(model, Msg::Tick(now));
    update(model, Msg::Tick(now + Duration::from_secs(1)));
}

#[test]
fn an_alarm_takes_the_screen_until_it_is_answered() {
    let mut model = in_session(UNICODE, alarmed());
    let shown = picture(&mut model, 80, 24);
    assert!(["ALARM", "another key", "somebody else uses the name", "hears nothing"].iter().all(|w| shown.contains(w)));
    assert!(!shown.contains("People"));
    assert_eq!(press(&mut model, &[KeyCode::Esc, KeyCode::Enter, KeyCode::Char('h'), KeyCode::Char(':')]), []);
    assert!(picture(&mut model, 80, 24).contains("ALARM"), "nothing else makes it go");
    seen(&mut model);
    assert_eq!(press(&mut model, &[KeyCode::Char('d'), KeyCode::Char('d')])[..1], [Action::Command(Command::Dismiss)]);
    assert!(picture(&mut model, 80, 24).contains("People"));
}

/// A key that was meant for something else answers nothing, and one key answers one alarm.
#[test]
fn an_alarm_is_not_dismissed_by_a_slip() {
    let mut two = alarmed();
    two.alarms.push(Alarm { code: "roster_disagrees", ..alarm() });
    let mut model = in_session(UNICODE, two);
    assert_eq!(press(&mut model, &[KeyCode::Char('d')]), [], "it has just come");
    update(&mut model, Msg::Tick(Instant::now()));
    assert_eq!(press(&mut model, &[KeyCode::Char('d')]), [], "it has hardly been seen");
    seen(&mut model);
    assert_eq!(press(&mut model, &[KeyCode::Char('d'); 5]), [Action::Command(Command::Dismiss)], "a key that is held");
    assert!(picture(&mut model, 80, 24).contains("ALARM"), "the next one");
    seen(&mut model);
    assert_eq!(press(&mut model, &[KeyCode::Char('d')]), [Action::Command(Command::Dismiss)]);
}

#[test]
fn an_alarm_takes_nothing_that_is_being_typed() {
    let mut model = in_session(UNICODE, call());
    press(&mut model, &[KeyCode::Enter]);
    type_in(&mut model, "I am rea");
    show(&mut model, alarmed());
    seen(&mut model);
    type_in(&mut model, "dy");
    let shown = picture(&mut model, 80, 24);
    assert!(shown.contains("ALARM") && shown.contains("say: I am ready"));
    assert_eq!(press(&mut model, &[KeyCode::Enter]), [Action::Command(Command::Say("I am ready".into()))]);
}

#[test]
fn comparing_comes_before_going_on() {
    let mut model = in_session(UNICODE, alarmed());
    assert_eq!(press(&mut model, &[KeyCode::Char('v')]), []);
    assert!(picture(&mut model, 80, 24).contains("Verify Cy"));
    press(&mut model, &[KeyCode::Esc]);
    assert!(picture(&mut model, 80, 24).contains("ALARM"), "looking is no answer");
    let done = press(&mut model, &[KeyCode::Char('v'), KeyCode::Char('y')]);
    assert_eq!(done, [Action::Command(Command::Verify("c1c1c1c1".into()))]);
}

#[test]
fn the_session_number_is_a_key_away_with_its_state() {
    let mut model = in_session(UNICODE, call());
    assert!(picture(&mut model, 80, 24).lines().next().is_some_and(|header| header.contains("session 60415 28873 …")));
    press(&mut model, &[KeyCode::Char('n')]);
    let shown = picture(&mut model, 80, 24);
    assert!(SESSION_NUMBER.split(' ').all(|group| shown.contains(group)), "{shown}");
    assert!(shown.contains("Changed because Di joined.") && shown.contains("? not verified: Cy"));
    let mut all = call();
    all.peers.iter_mut().for_each(|peer| peer.trust = Trust::Verified);
    show(&mut model, all);
    assert!(picture(&mut model, 80, 24).contains("✓ all verified"));
    press(&mut model, &[KeyCode::Char('n')]);
    assert!(picture(&mut model, 80, 24).contains("People"));
    type_in(&mut model, ":safety");
    press(&mut model, &[KeyCode::Enter]);
    assert!(picture(&mut model, 80, 24).contains("Safety number of the session"));
}

/// What a camera sees, cell by cell: the upper and the lower half of each.
fn read_code(model: &mut Model, (columns, rows): (u16, u16)) -> Option<String> {
    let shown = picture(model, columns, rows);
    let block = |c: &char| matches!(c, '█' | '▀' | '▄');
    let lines: Vec<Vec<char>> = shown.lines().map(|line| line.chars().collect()).collect();
    let mut rows = lines.into_iter().filter(|line| line.iter().filter(|c| block(c)).count() > 8).peekable();
    // The light edge at the top is as wide as the code.
    let first = rows.peek()?;
    let left = first.iter().position(block)?;
    let side = first.iter().filter(|c| block(c)).count();
    let rows: Vec<Vec<char>> = rows.map(|line| line.into_iter().skip(left).take(side).collect()).collect();
    let dark = |x: usize, y: usize| match rows.get(y / 2).and_then(|row| row.get(x)) {
        Some('█') | None => false,
        Some('▀') => y % 2 == 1,
        Some('▄') => y.is_multiple_of(2),
        Some(_) => true,
    };
    // Eight pixels to a module, as a detector wants them.
    let pixels = side * 8;
    let mut image = rqrr::PreparedImage::prepare_from_greyscale(pixels, pixels, |x, y| match dark(x / 8, y / 8) {
        true => 0,
        false => 255,
    });
    let grid = image.detect_grids().pop()?;
    grid.decode().ok().map(|(_, text)| text)
}

#[test]
fn a_camera_reads_the_same_digits_from_the_screen_with_and_without_colours() {
    for colour in [Colour::Dark, Colour::None] {
        let mut model = in_session(Theme { colour, ..UNICODE }, call());
        press(&mut model, &[KeyCode::Char('v')]);
        assert_eq!(read_code(&mut model, (80, 24)), Some(NUMBER.replace(' ', "")));
        press(&mut model, &[KeyCode::Esc, KeyCode::Char('n')]);
        assert_eq!(read_code(&mut model, (80, 24)), Some(SESSION_NUMBER.replace(' ', "")));
    }
}

#[test]
fn a_camera_reads_the_link_and_a_small_window_says_how_large_it_has_to_be() {
    let mut model = in_session(UNICODE, call());
    press(&mut model, &[KeyCode::Char('r')]);
    let shown = picture(&mut model, 80, 24);
    let wanted = shown.split("the code needs ").nth(1).and_then(|rest| rest.split('.').next()).expect("a size");
    let (columns, rows) = wanted.split_once('×').expect("columns and rows");
    let (columns, rows): (u16, u16) = (columns.parse().expect("a number"), rows.parse().expect("a number"));
    assert_eq!(read_code(&mut model, (columns, rows)), Some(LINK.to_owned()));
    assert!(picture(&mut model, columns, rows - 1).contains("the code needs"));
}
