//! Push to talk: the microphone is open while a key is held, where the terminal tells that it is let go; elsewhere each press opens or
//! closes it.

use super::call;
use crate::command::Command;
use crate::session::view::View;
use crate::settings::Setting;
use crate::ui::keymap::Deed;
use crate::ui::message::Action;
use crate::ui::model::Model;
use crossterm::event::{KeyEvent, KeyEventKind};

/// Whether the settings want the microphone closed until a key is held.
pub(super) fn pushes(model: &Model) -> bool {
    model.values.get(Setting::TALK) == "push"
}

/// A session begins: whoever pushes to talk begins it with a closed microphone.
pub(super) fn begin(model: &Model, view: &mut View) -> Vec<Action> {
    if !pushes(model) || view.me.muted {
        return Vec::new();
    }
    view.me.muted = true;
    vec![Action::Command(Command::Mute)]
}

/// The key is pressed, or repeats itself.
pub(super) fn press(model: &mut Model, kind: KeyEventKind) -> Vec<Action> {
    if kind == KeyEventKind::Repeat {
        return Vec::new();
    }
    model.holding = model.releases_keys && model.view.as_ref().is_some_and(|view| view.me.muted);
    call::mute(model)
}

/// A key is let go.
pub(super) fn let_go(model: &mut Model, event: KeyEvent) -> Vec<Action> {
    // Modifiers may have changed while it was held.
    let plain = KeyEvent { modifiers: crossterm::event::KeyModifiers::NONE, ..event };
    if model.keymap.deed(plain) == Some(Deed::Talk) { close(model) } else { Vec::new() }
}

/// Closes the microphone if a held key had opened it.
pub(super) fn close(model: &mut Model) -> Vec<Action> {
    if !std::mem::take(&mut model.holding) {
        return Vec::new();
    }
    match &mut model.view {
        Some(view) if !view.me.muted => {
            view.me.muted = true;
            vec![Action::Command(Command::Mute)]
        }
        _ => Vec::new(),
    }
}
