//! The start screen, and the moment between it and the session.

use super::{panel, put, put_all, status};
use crate::ui::model::{Model, StartField};
use crate::ui::theme::Theme;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Cells of a line's words, before its field.
const WORDS: u16 = 26;
/// Rows of the welcome and the lines to choose from.
const MENU_ROWS: u16 = 12;
/// The widest field, in cells.
const FIELD: u16 = 60;

pub(super) fn draw(model: &Model, frame: &mut Frame, area: Rect) {
    let theme = model.theme;
    let inside = panel(frame, theme, area, "resonance");
    let welcome = [
        Line::default(),
        Line::raw("  Talk with the people you invite, each voice at its own place in the room."),
        Line::raw("  End to end encrypted, from terminal to terminal, without any server."),
    ];
    put_all(frame, inside, welcome);
    let mistakes = super::mistakes(model, usize::from(inside.width));
    let rows = inside.height.min(MENU_ROWS);
    put_all(frame, Rect { y: inside.y + rows, height: inside.height - rows, ..inside }, mistakes);
    for (index, field) in StartField::ALL.into_iter().enumerate() {
        let row = [4, 6, 7, 8, 9, 10][index];
        if row < inside.height {
            line(model, frame, Rect { y: inside.y + row, height: 1, ..inside }, field);
        }
    }
}

fn line(model: &Model, frame: &mut Frame, area: Rect, field: StartField) {
    let (theme, start) = (model.theme, &model.start);
    let (words, input, about) = match field {
        StartField::Name => ("Your name", Some(&start.name), ""),
        StartField::Create => ("Create a session", None, "makes a link to send to the others"),
        StartField::Join => ("Join with a link", Some(&start.link), "paste it here"),
        StartField::Lan => ("Meet on this network", Some(&start.room), "a room's name"),
        StartField::Settings => ("Settings", None, "devices, colours, keys, notifications"),
        StartField::Quit => ("Quit", None, ""),
    };
    let focused = start.focus == field;
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
        let text = crate::ui::text::cut(input.text(), usize::from(space.width));
        put(frame, space, Line::raw(text));
    }
}

/// What is waited for.
pub(super) fn opening(theme: Theme, frame: &mut Frame, area: Rect, doing: &str) {
    let inside = panel(frame, theme, area, "resonance");
    let cells = usize::from(inside.width.saturating_sub(4));
    let lines = crate::ui::text::wrap(doing, cells).into_iter().map(|line| Line::raw(format!("  {line}")));
    put_all(frame, inside, std::iter::once(Line::default()).chain(lines));
}
