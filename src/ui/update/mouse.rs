//! The mouse: chooses people, moves them on the map, rolls through the talk.

use super::call;
use crate::ui::layout;
use crate::ui::map;
use crate::ui::menu;
use crate::ui::message::Action;
use crate::ui::model::{Drag, Mode, Model};
use crossterm::event::{MouseButton, MouseEvent, MouseEventKind};
use ratatui::layout::{Position, Rect};

pub(super) fn mouse(model: &mut Model, event: MouseEvent) -> Vec<Action> {
    let roll = match event.kind {
        MouseEventKind::ScrollUp => Some(3),
        MouseEventKind::ScrollDown => Some(-3),
        _ => None,
    };
    match (&model.mode, roll) {
        (Mode::Help { scroll }, Some(roll)) => {
            let scroll = scroll.saturating_add_signed(-roll);
            super::scroll_help(model, scroll);
        }
        (Mode::Events { .. }, Some(roll)) => super::events::scroll(model, roll),
        (Mode::Start, Some(roll)) => super::start::step(model, -roll.signum()),
        (Mode::Start, None) => {
            if event.kind == MouseEventKind::Down(MouseButton::Left) {
                return start(model, Position::new(event.column, event.row));
            }
        }
        (Mode::Call, Some(roll)) => call::scroll_talk(model, roll),
        (Mode::Call | Mode::Write | Mode::CommandLine(_), None) => return point(model, event),
        _ => model.drag = None,
    }
    Vec::new()
}

/// A line of the start screen.
fn start(model: &mut Model, at: Position) -> Vec<Action> {
    let inside = layout::inside(layout::of(model).body);
    if !inside.contains(at) {
        return Vec::new();
    }
    let first = menu::first(&menu::rows(model), &model.start.focus, usize::from(inside.height));
    super::start::press(model, first + usize::from(at.y - inside.y))
}

fn point(model: &mut Model, event: MouseEvent) -> Vec<Action> {
    match event.kind {
        MouseEventKind::Down(MouseButton::Left) => press(model, Position::new(event.column, event.row)),
        MouseEventKind::Drag(MouseButton::Left) => return drag(model, (event.column, event.row)),
        MouseEventKind::Up(MouseButton::Left) => model.drag = None,
        _ => {}
    }
    Vec::new()
}

fn press(model: &mut Model, at: Position) {
    model.drag = None;
    let screen = layout::of(model);
    let (Some(view), Some(projection)) = (&model.view, call::projection(model)) else { return };
    let chosen = model.chosen().map(|(index, _)| index);
    let people = layout::inside(screen.people);
    if people.contains(at) {
        let (_, seats) = layout::seats(&view.peers, chosen, people.height);
        let row = at.y - people.y;
        let seat = seats.iter().find(|seat| (seat.top..seat.top + seat.rows).contains(&row));
        if let Some(peer) = seat.and_then(|seat| view.peers.get(seat.peer)) {
            model.selected = Some(peer.id.clone());
        }
    } else if layout::inside(screen.room).contains(at) {
        let labels = map::labels(&projection, &view.peers, chosen);
        // A cell beside the name counts too: a finger on a touchpad is not exact.
        let near = |area: Rect| Rect { x: area.x.saturating_sub(1), width: area.width + 2, ..area };
        let label = labels.iter().find(|label| near(label.area).contains(at));
        if let Some(peer) = label.and_then(|label| view.peers.get(label.peer)) {
            let id = peer.id.clone();
            model.selected = Some(id.clone());
            model.drag = Some(Drag { peer: id, projection });
        }
    }
}

fn drag(model: &mut Model, cell: (u16, u16)) -> Vec<Action> {
    let Some(drag) = &model.drag else { return Vec::new() };
    let id = drag.peer.clone();
    let Some(peer) = model.peer(&id) else { return Vec::new() };
    let position = drag.projection.position(cell, peer.position.elevation_deg);
    call::place(model, &id, position)
}
