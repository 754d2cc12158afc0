//! The link as a code, for somebody with a camera beside the screen.

use super::{panel, put_all, qr};
use crate::session::view::{Invite, View};
use crate::ui::text;
use crate::ui::theme::Theme;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

pub(super) fn draw(theme: Theme, view: &View, frame: &mut Frame, area: Rect) {
    let inside = panel(frame, theme, area, "The link as a code");
    let drawn = match &view.invite {
        Invite::Link(link) => qr::whole(theme, frame, inside, link),
        Invite::Lan { .. } => Err("A room on this network has no link: its name is enough.".to_owned()),
    };
    if let Err(why) = drawn {
        let cells = usize::from(inside.width.saturating_sub(4));
        let why = why.replace('×', theme.either("×", "x"));
        let lines = text::wrap(&why, cells).into_iter().map(|line| Line::raw(format!("  {line}")));
        put_all(frame, inside, std::iter::once(Line::default()).chain(lines));
    }
}
