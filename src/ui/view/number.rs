//! The session's safety number: one that everybody must see, or who does not reach whom.

use super::page::Page;
use super::{panel, put_all, qr};
use crate::session::view::{Trust, View};
use crate::ui::text;
use crate::ui::theme::Theme;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Lines about who does not reach whom that are shown; eight people can make dozens.
const MAX_LINES: usize = 6;

pub(super) fn draw(theme: Theme, view: &View, frame: &mut Frame, area: Rect) {
    let inside = panel(frame, theme, area, "Safety number of the session");
    let number = &view.session_number;
    let left = match &number.number {
        Some(digits) => qr::beside(theme, frame, inside, digits),
        None => inside,
    };
    let page = Page::new(theme, left);
    let page = match &number.number {
        Some(digits) => compare(page, view, digits),
        None if view.peers.is_empty() => page.say("Nobody is here yet to compare it with."),
        None => incomplete(page, &number.incomplete),
    };
    put_all(frame, left, page.lines);
}

fn compare(page: Page, view: &View, digits: &str) -> Page {
    let theme = page.theme;
    let everybody = match view.session_number.members {
        2 => "both".to_owned(),
        more => format!("all {more}"),
    };
    let mut page = page
        .say(&format!("Let one read it aloud: {everybody} must see the same number, or scan the same code."))
        .gap()
        .number(digits)
        .gap();
    if let Some(changed) = &view.session_number.changed {
        page = page.say(&format!("Changed because {changed}.")).gap();
    }
    let strangers: Vec<&str> =
        view.peers.iter().filter(|peer| peer.trust != Trust::Verified).map(|peer| peer.name.as_str()).collect();
    if strangers.is_empty() {
        page.lines.push(Line::styled("  ✓ all verified", theme.good()));
    } else {
        page.lines.extend(
            text::wrap(&format!("? not verified: {}", strangers.join(", ")), page.cells)
                .into_iter()
                .map(|line| Line::styled(format!("  {line}"), theme.warning())),
        );
    }
    page.gap().say("The same number means: the same keys receive everybody's sound. Who they belong to, voices tell.")
}

fn incomplete(page: Page, lines: &[String]) -> Page {
    let mut page = page.warn("⚠ Incomplete: not everybody reaches everybody.").gap();
    for line in lines.iter().take(MAX_LINES) {
        page = page.say(line);
    }
    if lines.len() > MAX_LINES {
        page = page.say(&format!("and {} more", lines.len() - MAX_LINES));
    }
    page.gap().say(
        "There is no number until all hand their keys to the same people. Somebody may still be connecting; if it stays like \
         this, somebody's network, or somebody, keeps people apart.",
    )
}
