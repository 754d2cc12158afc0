//! It did not work, or it is over: what happened, why, what to do.

use super::{panel, put_all};
use crate::ui::model::Failure;
use crate::ui::text;
use crate::ui::theme::Theme;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

pub(super) fn draw(theme: Theme, frame: &mut Frame, area: Rect, failure: &Failure) {
    let inside = panel(frame, theme, area, "resonance");
    let cells = usize::from(inside.width.saturating_sub(4));
    let mut lines = vec![Line::default()];
    let texts = [
        (format!("⚠ {}", failure.what), theme.alarm()),
        (failure.why.clone(), ratatui::style::Style::new()),
        (failure.hint.clone(), theme.strong()),
    ];
    for (words, style) in texts.into_iter().filter(|(words, _)| !words.is_empty()) {
        lines.extend(text::wrap(&words, cells).into_iter().map(|line| Line::styled(format!("  {line}"), style)));
        lines.push(Line::default());
    }
    put_all(frame, inside, lines);
}
