//! What happened in this session, the newest at the bottom.

use super::{panel, put_all, words};
use crate::ui::layout;
use crate::ui::model::{Model, Tone};
use crate::ui::text;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// `up`: lines that newer ones are scrolled out of sight by.
pub(super) fn draw(model: &Model, frame: &mut Frame, area: Rect, up: usize) {
    let inner = layout::inside(area);
    let (all, rows) = (lines(model, usize::from(inner.width)), usize::from(inner.height));
    let up = up.min(all.len().saturating_sub(rows));
    let first = all.len().saturating_sub(up + rows);
    let heading = match (first, up) {
        (0, 0) => "What happened".to_owned(),
        (older, 0) => format!("What happened · {older} more lines above"),
        (older, newer) => format!("What happened · {older} more lines above, {newer} below"),
    };
    let inside = panel(frame, model.theme, area, &heading);
    if all.is_empty() {
        put_all(frame, inside, [Line::default(), Line::raw("  Nothing yet.")]);
    }
    put_all(frame, inside, all.into_iter().skip(first));
}

/// The most that can be scrolled up.
pub(in crate::ui) fn most_up(model: &Model) -> usize {
    let inner = layout::inside(layout::of(model).body);
    lines(model, usize::from(inner.width)).len().saturating_sub(usize::from(inner.height))
}

fn lines(model: &Model, cells: usize) -> Vec<Line<'static>> {
    let theme = model.theme;
    let mut lines = Vec::new();
    for entry in model.diary.entries() {
        let time = format!(" {:>7}  ", words::clock(entry.at));
        let indent = text::width(&time);
        let (sign, style) = match entry.tone {
            Tone::Fine => ("", ratatui::style::Style::new()),
            Tone::Trouble => ("⚠ ", theme.warning()),
        };
        let body = text::wrap(&format!("{sign}{}", entry.text), cells.saturating_sub(indent + 1));
        lines.extend(body.into_iter().enumerate().map(|(index, body)| {
            let time = if index == 0 { time.clone() } else { " ".repeat(indent) };
            Line::from_iter([Span::styled(time, theme.faint()), Span::styled(body, style)])
        }));
    }
    lines
}
