//! Which part of the screen is whose: asked by the views to draw and by the mouse to know what it points at.

use super::model::Model;
use crate::session::view::PeerView;
use ratatui::layout::{Margin, Rect};

/// The smallest window that is drawn in, in cells.
pub(super) const SMALLEST: (u16, u16) = (60, 16);
/// From this width on the details of the chosen person stay open at the right.
const WIDE: u16 = 110;
/// Width of the details.
const DETAILS: u16 = 32;
/// Loss from which somebody is said to be received badly, 0–1.
pub(super) const BAD_LOSS: f32 = 0.05;
/// Loss from which it is mentioned at all, 0–1.
pub(super) const SOME_LOSS: f32 = 0.01;

/// The parts of the screen in a call.
#[derive(Clone, Copy, Debug)]
pub(super) struct Areas {
    pub header: Rect,
    /// Everything between header and rule: what a page covers.
    pub body: Rect,
    pub people: Rect,
    pub room: Rect,
    /// Only in a wide window.
    pub details: Option<Rect>,
    pub talk: Rect,
    pub me: Rect,
    pub rule: Rect,
    pub keys: Rect,
}

/// The parts of the model's screen.
pub(super) fn of(model: &Model) -> Areas {
    let peers = model.view.as_ref().map_or(&[][..], |view| &view.peers);
    areas(Rect::new(0, 0, model.columns, model.rows), peers)
}

/// The inside of a frame.
pub(super) fn inside(frame: Rect) -> Rect {
    frame.inner(Margin::new(1, 1))
}

/// Divides a screen that is at least [`SMALLEST`] among what there is to show of `peers`; a smaller one gives parts of no
/// size, never parts outside of it.
pub(super) fn areas(screen: Rect, peers: &[PeerView]) -> Areas {
    let row = |up: u16| {
        let y = screen.bottom().saturating_sub(up).max(screen.y);
        Rect { y, height: screen.height.min(1), ..screen }.intersection(screen)
    };
    let header = Rect { height: screen.height.min(1), ..screen };
    let body =
        Rect { y: screen.y + header.height, height: screen.height.saturating_sub(3), ..screen }.intersection(screen);
    let rows = body.height.saturating_sub(1);
    // The people come first: in a full room the talk gives way down to two lines.
    let cards = 2 * peers.len() as u16 + 2;
    let talk_rows = (rows / 3).min(rows.saturating_sub(cards)).max(4).min(rows);
    let top = Rect { height: rows - talk_rows, ..body };
    let talk = Rect { y: top.bottom(), height: talk_rows, ..body };
    let details_columns = if screen.width >= WIDE { DETAILS } else { 0 };
    let people_columns = (screen.width.saturating_sub(details_columns) / 2).min(38);
    let people = Rect { width: people_columns, ..top };
    let room = Rect { x: people.right(), width: screen.width.saturating_sub(people_columns + details_columns), ..top };
    let details = Rect { x: room.right(), width: details_columns, ..top };
    Areas {
        header,
        body,
        people,
        room,
        details: (details_columns > 0).then_some(details),
        talk,
        me: row(3),
        rule: row(2),
        keys: row(1),
    }
}

/// How much of a person the list shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// Everything in one row.
    Row,
    /// Two rows; a problem takes the place of the connection.
    Tight,
    /// Two rows, and a third for a problem.
    Card,
}

/// Where a person is in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Seat {
    /// Place among the people.
    pub peer: usize,
    /// First row, counted from the list's own.
    pub top: u16,
    pub rows: u16,
}

/// Whether something is wrong with a person's sound that needs a row of its own.
pub(super) fn has_problem(peer: &PeerView) -> bool {
    peer.connection.stands() && (peer.loss_up >= SOME_LOSS || peer.loss_down >= SOME_LOSS)
}

/// Seats people in a list of `height` rows with as much detail as has room for all of them; where there is not even a row for
/// each, those around the chosen one.
pub(super) fn seats(peers: &[PeerView], chosen: Option<usize>, height: u16) -> (Detail, Vec<Seat>) {
    for detail in [Detail::Card, Detail::Tight] {
        let rows = |peer: &PeerView| 2 + u16::from(detail == Detail::Card && has_problem(peer));
        if peers.iter().map(rows).sum::<u16>() <= height {
            let mut top = 0;
            let seat = |(peer, rows)| {
                top += rows;
                Seat { peer, top: top - rows, rows }
            };
            return (detail, peers.iter().map(rows).enumerate().map(seat).collect());
        }
    }
    let shown = usize::from(height);
    let first = chosen.unwrap_or(0).saturating_sub(shown.saturating_sub(1)).min(peers.len().saturating_sub(shown));
    let seat = |(row, peer): (u16, usize)| Seat { peer, top: row, rows: 1 };
    (Detail::Row, (0..height).zip(first..peers.len()).map(seat).collect())
}
