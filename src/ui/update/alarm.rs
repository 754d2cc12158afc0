//! An alarm that stands in a session: it takes the screen and most keys, but never a line that is being typed.

use super::{call, go, verify};
use crate::command::Command;
use crate::ui::message::Action;
use crate::ui::model::{Mode, Model};
use crossterm::event::{KeyCode, KeyEvent};
use std::time::{Duration, Instant};

/// An alarm must have been on the screen for this long before a key can dismiss it: a key that was meant for something else must not.
const TIME_TO_SEE: Duration = Duration::from_secs(1);

/// Whether keys go to the alarm.
pub(super) fn takes_keys(model: &Model) -> bool {
    model.standing_alarm().is_some() && !matches!(model.mode, Mode::Write | Mode::CommandLine(_))
}

pub(super) fn key(model: &mut Model, event: KeyEvent) -> Vec<Action> {
    match event.code {
        KeyCode::Char('v') => {
            if let Some(peer) = model.standing_alarm().and_then(|alarm| alarm.peer.clone())
                && model.peer(&peer).is_some()
            {
                model.selected = Some(peer);
                verify::open(model);
            }
        }
        KeyCode::Char('d') if model.alarm_seen.as_ref().is_some_and(|(_, _, seen)| *seen) => {
            model.alarm_seen = None;
            if let Some(view) = &mut model.view {
                view.alarms.remove(0);
            }
            return vec![Action::Command(Command::Dismiss)];
        }
        KeyCode::Char('m') => return call::mute(model),
        KeyCode::Char('q') => return call::quit(model),
        KeyCode::Esc => return go(model, Mode::Call),
        _ => {}
    }
    Vec::new()
}

/// Counts how long the alarm has been on the screen.
pub(super) fn tick(model: &mut Model, now: Instant) {
    let standing = model.standing_alarm().cloned();
    match (&mut model.alarm_seen, standing) {
        (Some((shown, since, seen)), Some(standing)) if *shown == standing => {
            *seen = now.saturating_duration_since(*since) >= TIME_TO_SEE;
        }
        (seen, standing) => *seen = standing.map(|standing| (standing, now, false)),
    }
}
