//! What happened and what was written, the newest at the bottom.

use super::{panel, put, words};
use crate::session::view::{TalkLine, View};
use crate::ui::keymap::Deed;
use crate::ui::model::Model;
use crate::ui::text;
use crate::ui::theme::Theme;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

pub(super) fn draw(model: &Model, view: &View, frame: &mut Frame, area: Rect) {
    let heading = match model.talk_scroll {
        0 => "Talk".to_owned(),
        newer => model.with_key(&format!("Talk · {newer} newer below"), Deed::ScrollDown),
    };
    let inside = panel(frame, model.theme, area, &heading);
    lines(model, view, frame, inside);
}

/// The talk alone, without a frame.
pub(super) fn lines(model: &Model, view: &View, frame: &mut Frame, area: Rect) {
    let end = view.talk.len().saturating_sub(model.talk_scroll);
    let rows = usize::from(area.height);
    let mut shown: Vec<Line> = Vec::new();
    for entry in view.talk[..end].iter().rev() {
        let mut entry = wrapped(model.theme, entry, usize::from(area.width));
        entry.append(&mut shown);
        shown = entry;
        if shown.len() >= rows {
            break;
        }
    }
    let skipped = shown.len().saturating_sub(rows);
    for (line, y) in shown.into_iter().skip(skipped).zip(area.y..area.bottom()) {
        put(frame, Rect { y, height: 1, ..area }, line);
    }
}

fn wrapped(theme: Theme, entry: &TalkLine, cells: usize) -> Vec<Line<'static>> {
    let time = format!(" {:>5} ", words::clock(entry.at));
    let indent = text::width(&time);
    let (who, style) = match &entry.from {
        Some(name) => (format!("{}: ", text::cut(name, 24)), ratatui::style::Style::new()),
        None => (String::new(), theme.faint()),
    };
    // The name is wrapped with the text, then painted: its cells are the first ones of the first line.
    let body = text::wrap(&format!("{who}{}", entry.text), cells.saturating_sub(indent + 1));
    let line = |(index, body): (usize, String)| {
        let head = if index == 0 { time.clone() } else { " ".repeat(indent) };
        let head = Span::styled(head, theme.faint());
        match body.strip_prefix(who.trim_end()).filter(|_| index == 0 && !who.is_empty()) {
            Some(rest) => Line::from_iter([
                head,
                Span::styled(who.trim_end().to_owned(), theme.strong()),
                Span::styled(rest.to_owned(), style),
            ]),
            None => Line::from_iter([head, Span::styled(body, style)]),
        }
    };
    body.into_iter().enumerate().map(line).collect()
}
