//! All keys and commands, made from their tables.

use super::{panel, put_all};
use crate::command::VERBS;
use crate::ui::keymap::{CALL, EVERYWHERE, PAGES};
use crate::ui::layout;
use crate::ui::model::Model;
use crate::ui::text;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Cells for the keys.
const KEYS: usize = 12;
/// Cells for a verb with its arguments; longer ones have their help in the next line.
const VERB: usize = 14;

pub(super) fn draw(model: &Model, frame: &mut Frame, area: Rect, scroll: usize) {
    let theme = model.theme;
    let inner = layout::inside(area);
    let all = lines(model, usize::from(inner.width));
    let rows = usize::from(inner.height);
    let scroll = scroll.min(all.len().saturating_sub(rows));
    let heading = match (scroll, all.len().saturating_sub(scroll + rows)) {
        (0, 0) => "Help".to_owned(),
        (_, 0) => "Help · end".to_owned(),
        (_, more) => format!("Help · {more} more lines below"),
    };
    let inside = panel(frame, theme, area, &heading);
    put_all(frame, inside, all.into_iter().skip(scroll));
}

/// The first line of the last page.
pub(in crate::ui) fn last_scroll(model: &Model) -> usize {
    let inner = layout::inside(layout::of(model).body);
    lines(model, usize::from(inner.width)).len().saturating_sub(usize::from(inner.height))
}

fn lines(model: &Model, cells: usize) -> Vec<Line<'static>> {
    let theme = model.theme;
    let heading = |words: &'static str| Line::styled(format!(" {words}"), theme.strong());
    let entry = |key: &str, key_cells: usize, help: &str| {
        let help = text::wrap(help, cells.saturating_sub(key_cells + 2)).into_iter().enumerate();
        let line = |(index, help)| {
            let key = text::fit(if index == 0 { key } else { "" }, key_cells);
            Line::from_iter([Span::styled(format!(" {key} "), theme.key()), Span::raw(help)])
        };
        help.map(line).collect::<Vec<_>>()
    };
    let mut lines = vec![heading("Keys in a session")];
    lines.extend(CALL.iter().flat_map(|row| entry(&model.keymap.all(row.deed, theme.glyphs), KEYS, row.help)));
    lines.push(Line::default());
    lines.push(heading("Everywhere"));
    lines.extend(EVERYWHERE.iter().flat_map(|(keys, help)| entry(theme.either(keys.0, keys.1), KEYS, help)));
    lines.push(Line::default());
    lines.push(heading("Commands, after :"));
    lines.extend(PAGES.iter().flat_map(|(name, _, help)| entry(name, VERB, help)));
    for verb in VERBS {
        let words = format!("{} {}", verb.name, verb.arguments);
        if text::width(words.trim()) <= VERB {
            lines.extend(entry(words.trim(), VERB, verb.help));
        } else {
            lines.push(Line::styled(format!(" {words}"), theme.key()));
            lines.extend(entry("", VERB, verb.help));
        }
    }
    lines
}
