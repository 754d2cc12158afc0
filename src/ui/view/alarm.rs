//! It did not work, or it is over, or only a person can answer it: what happened, why, what to do.

use super::page::Page;
use super::{panel, put_all};
use crate::session::view::{Alarm, Trust};
use crate::ui::message::Failure;
use crate::ui::model::Model;
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

/// An alarm in a session; `more` wait behind it.
pub(super) fn standing(model: &Model, frame: &mut Frame, area: Rect, alarm: &Alarm, more: usize) {
    let theme = model.theme;
    let heading = if more == 0 { "⚠ ALARM".to_owned() } else { format!("⚠ ALARM · {more} more behind it") };
    let inside = panel(frame, theme, area, &heading);
    let name = text::cut(&alarm.name, 24);
    let page = Page::new(theme, inside).warn(&format!("⚠ {}", alarm.what)).gap().say(&alarm.why).gap();
    let mut page = page.say(&alarm.hint).gap();
    let here = alarm.peer.as_ref().and_then(|id| model.peer(id));
    if here.is_some() {
        page = page.key("v", &format!("compare the safety number with {name}"));
    }
    let then = match here.map(|peer| peer.trust) {
        Some(Trust::Changed) => format!("I have read this: go on, and let {name} hear me"),
        _ => "I have read this: go on".to_owned(),
    };
    page = page.key("d", &then).key("q", "leave the session");
    put_all(frame, inside, page.lines);
}
