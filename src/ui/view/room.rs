//! The room from above.

use super::{panel, put};
use crate::session::view::{Invite, View};
use crate::ui::layout::inside;
use crate::ui::map::{Projection, YOU, labels};
use crate::ui::model::Model;
use crate::ui::text;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;
use ratatui::widgets::Clear;

pub(super) fn draw(model: &Model, view: &View, frame: &mut Frame, area: Rect) {
    let theme = model.theme;
    // Who can come in must not be forgotten while one talks.
    let heading = match view.invite {
        Invite::Link(_) => "Room",
        Invite::Lan { .. } => "Room: open to everyone on this network",
    };
    panel(frame, theme, area, heading);
    let map = match &model.drag {
        Some(drag) => drag.projection,
        None => Projection::fit(inside(area), view),
    };
    // A drag keeps the map as it was; it ends when the window changes, so that the map always lies within the frame.
    for cell in map.ring() {
        if let Some(cell) = frame.buffer_mut().cell_mut(cell) {
            cell.set_char('·').set_style(theme.faint());
        }
    }
    let (x, y) = map.listener();
    let you = Rect::new(x, y, text::width(YOU) as u16, 1).intersection(inside(area));
    over(frame, you, Line::styled(YOU, theme.strong()));
    let chosen = model.chosen().map(|(index, _)| index);
    for label in labels(&map, &view.peers, chosen) {
        let Some(peer) = view.peers.get(label.peer) else { continue };
        let style = if peer.speaking { theme.speaking() } else { theme.strong() };
        let style = if chosen == Some(label.peer) { style.patch(theme.chosen()) } else { style };
        over(frame, label.area.intersection(inside(area)), Line::styled(label.text, style));
    }
    let ring = format!(" ring {:.0} m ", map.ring_m());
    let cells = text::width(&ring) as u16;
    let corner = Rect::new(area.right().saturating_sub(cells + 2), area.bottom().saturating_sub(1), cells, 1);
    put(frame, corner.intersection(area), Line::styled(ring, theme.faint()));
}

/// Draws a line with nothing left of what was below it, neither glyph nor colour.
fn over(frame: &mut Frame, area: Rect, line: Line<'_>) {
    frame.render_widget(Clear, area);
    put(frame, area, line);
}
