//! The page of what happened: scrolled with the arrows; every other key does what it does in a session.

use super::call;
use crate::ui::keymap::Deed;
use crate::ui::message::Action;
use crate::ui::model::{Mode, Model};
use crate::ui::view::events::most_up;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Lines that a page key scrolls by.
const PAGE: isize = 10;

pub(super) fn key(model: &mut Model, event: KeyEvent) -> Vec<Action> {
    let scrolls = event.modifiers == KeyModifiers::NONE;
    match (event.code, model.keymap.deed(event)) {
        (_, Some(Deed::Events)) => model.mode = Mode::Call,
        (KeyCode::Up, _) if scrolls => scroll(model, 1),
        (KeyCode::Down, _) if scrolls => scroll(model, -1),
        (KeyCode::PageUp, _) => scroll(model, PAGE),
        (KeyCode::PageDown, _) => scroll(model, -PAGE),
        (KeyCode::Home, _) => scroll(model, isize::MAX),
        (KeyCode::End, _) => scroll(model, isize::MIN),
        _ => return call::key(model, event),
    }
    Vec::new()
}

/// Scrolls by lines: positive to the older ones.
pub(super) fn scroll(model: &mut Model, by: isize) {
    let most = most_up(model);
    if let Mode::Events { up } = &mut model.mode {
        *up = (*up).min(most).saturating_add_signed(by).min(most);
    }
}
