//! The start screen, and the moment between it and the session.

use super::{panel, put, put_all, status, words};
use crate::ui::menu::{self, Row};
use crate::ui::message::StartChoice;
use crate::ui::model::{Model, StartField};
use crate::ui::text;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Cells of a line's words, before its field.
const WORDS: u16 = 26;
/// The widest field, in cells.
const FIELD: u16 = 60;

pub(super) fn draw(model: &Model, frame: &mut Frame, area: Rect) {
    let theme = model.theme;
    let inside = panel(frame, theme, area, "resonance");
    let rows = menu::rows(model);
    let first = menu::first(&rows, &model.start.focus, usize::from(inside.height));
    let mut y = inside.y;
    for row in rows.iter().skip(first).take(usize::from(inside.height)) {
        let area = Rect { y, height: 1, ..inside };
        y += 1;
        match row {
            Row::Blank => {}
            Row::Words(words) => put(frame, area, Line::raw(format!("  {words}"))),
            Row::Quiet(words) => {
                let gap = " ".repeat(usize::from(WORDS));
                put(frame, area, Line::styled(format!("{gap}{words}"), theme.faint()));
            }
            Row::Field(field) => line(model, frame, area, field),
        }
    }
    let rest = Rect { y: y + 1, height: inside.bottom().saturating_sub(y + 1), ..inside };
    put_all(frame, rest, super::mistakes(model, usize::from(inside.width)));
}

fn line(model: &Model, frame: &mut Frame, area: Rect, field: &StartField) {
    let (theme, start) = (model.theme, &model.start);
    let (words, input, about) = match field {
        StartField::Room(room) => return listed(model, frame, area, field, room, &people(model, room)),
        StartField::Recent(choice) => {
            let (what, about) = recent(model, choice);
            return listed(model, frame, area, field, &what, &about);
        }
        StartField::Name => ("Your name", Some(&start.name), ""),
        StartField::Create => ("Create a session", None, "makes a link to send to the others"),
        StartField::Join => ("Join with a link", Some(&start.link), "paste it here"),
        StartField::Lan => ("Meet on this network", Some(&start.room), "a room's name"),
        StartField::Settings => ("Settings", None, "devices, colours, keys, notifications"),
        StartField::Quit => ("Quit", None, ""),
    };
    let focused = start.focus == *field;
    let marker = if focused { " ▶ " } else { "   " };
    let style = if focused { theme.chosen() } else { theme.strong() };
    let gap = " ".repeat(usize::from(WORDS).saturating_sub(3 + words.len()));
    put(frame, area, Line::from_iter([Span::raw(marker), Span::styled(words, style), Span::raw(gap)]));
    let rest = Rect { x: area.x + WORDS, width: area.width.saturating_sub(WORDS + 2), ..area };
    let Some(input) = input else {
        put(frame, rest, Line::styled(about, theme.faint()));
        return;
    };
    let field = Rect { width: rest.width.min(FIELD), ..rest };
    let ends = |at: u16| Rect { x: at, width: 1, ..field };
    put(frame, ends(field.x), Line::styled("[", theme.faint()));
    put(frame, ends(field.right().saturating_sub(1)), Line::styled("]", theme.faint()));
    let space = Rect { x: field.x + 1, width: field.width.saturating_sub(2), ..field };
    if focused {
        status::typed(frame, space, Span::raw(""), input);
    } else if input.text().is_empty() {
        put(frame, space, Line::styled(about, theme.faint()));
    } else {
        let text = text::cut(input.text(), usize::from(space.width));
        put(frame, space, Line::raw(text));
    }
}

/// A line of a list: what it is called by others, and what is known of it.
fn listed(model: &Model, frame: &mut Frame, area: Rect, field: &StartField, name: &str, about: &str) {
    let theme = model.theme;
    let focused = model.start.focus == *field;
    let marker = if focused { " ▶   " } else { "     " };
    let style = if focused { theme.chosen() } else { theme.strong() };
    let cells = usize::from(area.width).saturating_sub(5 + 2 + text::width(about) + 1);
    let name = text::cut(name, cells);
    let gap = " ".repeat(usize::from(WORDS).saturating_sub(5 + text::width(&name)).max(2));
    let about = Span::styled(about.to_owned(), theme.faint());
    put(frame, area, Line::from_iter([Span::raw(marker), Span::styled(name, style), Span::raw(gap), about]));
}

/// How many are in a room.
fn people(model: &Model, room: &str) -> String {
    let nearby = model.nearby.iter().flatten().find(|nearby| nearby.room == room);
    match nearby.map_or(0, |nearby| nearby.people) {
        0 | 1 => "1 person is there".to_owned(),
        people => format!("{people} people are there"),
    }
}

/// Whom one would go back to, where, and how long ago that was.
fn recent(model: &Model, choice: &StartChoice) -> (String, String) {
    let Some(session) = model.recent.iter().find(|session| session.choice == *choice) else {
        return Default::default();
    };
    let people = session.people.join(", ");
    let ago = words::ago(session.ago);
    match choice {
        StartChoice::Lan(room) => (room.clone(), format!("on this network, {ago}")),
        _ => (people, format!("by its link, {ago}")),
    }
}

/// What is waited for, and what is tried meanwhile.
pub(super) fn opening(model: &Model, frame: &mut Frame, area: Rect, doing: &str) {
    let inside = panel(frame, model.theme, area, "resonance");
    let cells = usize::from(inside.width.saturating_sub(4));
    let wrapped = |line: &str| text::wrap(line, cells).into_iter().map(|line| Line::raw(format!("  {line}"))).collect();
    let lines: Vec<Line> = wrapped(doing);
    let tried = model.seeking.iter().flat_map(|line| -> Vec<Line> { wrapped(line) });
    put_all(frame, inside, [Line::default()].into_iter().chain(lines).chain([Line::default()]).chain(tried));
}
