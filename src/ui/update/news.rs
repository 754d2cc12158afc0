//! What a person who looks elsewhere should know: who knocks, who came, who wrote; and that one speaks into a closed microphone.

use crate::session::view::{Connection, PeerView, View};
use crate::settings::Setting;
use crate::ui::diary::fresh;
use crate::ui::keymap::Deed;
use crate::ui::message::{Action, Cue};
use crate::ui::model::{Mode, Model, Tone};
use std::time::Duration;

/// Louder than this is speech and not the room, in dBFS.
const SPEECH_DB: f32 = -40.0;
/// So long without a pause: somebody who coughs is not told.
const SPEAKS_FOR: Duration = Duration::from_millis(600);

/// Silence from which on somebody counts as lost: shorter ones mend themselves before one could ask what the sound meant.
const LOST_AFTER: Duration = Duration::from_secs(2);

/// The short sounds for what is new in this moment.
pub(super) fn sounds(model: &Model, view: &View) -> Vec<Cue> {
    let Some(before) = model.view.as_deref().filter(|_| model.values.is_on(Setting::SOUNDS)) else {
        return Vec::new();
    };
    let peer = |view: &View, id: &str| view.peers.iter().find(|peer| peer.id == id).cloned();
    let is_lost = |peer: &PeerView| matches!(peer.connection, Connection::Reconnecting { silent_for } if silent_for >= LOST_AFTER);
    let knocks = |view: &View, id: &str| view.admission.knocks.iter().any(|knock| knock.id == id);
    let (mut came, mut lost, mut back) = (false, false, false);
    for now in &view.peers {
        match peer(before, &now.id) {
            None => came = true,
            Some(before) => {
                lost |= is_lost(now) && !is_lost(&before);
                back |= is_lost(&before) && now.connection.stands();
            }
        }
    }
    let new = [
        (view.admission.knocks.iter().any(|knock| !knocks(before, &knock.id)), Cue::Knock),
        (lost, Cue::Lost),
        (before.peers.iter().any(|gone| peer(view, &gone.id).is_none()), Cue::Left),
        (came, Cue::Joined),
        (back, Cue::Back),
    ];
    new.into_iter().filter(|(is_new, _)| *is_new).map(|(_, cue)| cue).collect()
}

/// Draws attention to what is new in this moment, unless the window is looked at.
pub(super) fn notify(model: &Model, view: &View) -> Option<Action> {
    let (bell, desktop) = (model.values.is_on(Setting::BELL), model.values.is_on(Setting::DESKTOP));
    if model.focused || !(bell || desktop) {
        return None;
    }
    let before = model.view.as_deref()?;
    let known = |id: &String| before.admission.knocks.iter().any(|knock| knock.id == *id);
    let knock = view.admission.knocks.iter().find(|knock| !known(&knock.id));
    let here = |id: &String| before.peers.iter().any(|peer| peer.id == *id);
    let came = view.peers.iter().find(|peer| !here(&peer.id));
    let wrote = written(before, view).next();
    let alarm = view.alarms.iter().find(|alarm| !before.alarms.contains(alarm));
    let records = view
        .peers
        .iter()
        .find(|peer| peer.recording && !before.peers.iter().any(|was| was.id == peer.id && was.recording));
    let text = match (alarm, knock, wrote, came) {
        (Some(alarm), ..) => alarm.what.clone(),
        (None, Some(knock), ..) => format!("{} wants to come in", knock.name),
        (None, None, Some(from), _) => format!("{from} writes"),
        (None, None, None, Some(peer)) => format!("{} joined", peer.name),
        (None, None, None, None) => format!("{} is recording everybody", records?.name),
    };
    Some(Action::Notify { text, bell, desktop })
}

/// Who wrote what was written since, the newest first; oneself left out.
fn written<'a>(before: &View, view: &'a View) -> impl Iterator<Item = &'a String> {
    let new = fresh(Some(before), view).iter().rev();
    new.filter_map(|line| line.from.as_ref()).filter(move |from| **from != view.me.name)
}

/// Counts what others wrote while another page covers the talk, or newer lines are scrolled out of sight.
pub(super) fn count_unread(model: &mut Model, view: &View) {
    let seen =
        matches!(model.mode, Mode::Call | Mode::Write | Mode::CommandLine(_) | Mode::Leave) && model.talk_scroll == 0;
    model.unread = match (&model.view, seen && model.standing_alarm().is_none()) {
        (_, true) | (None, _) => 0,
        (Some(before), false) => model.unread + written(before, view).count(),
    };
}

/// Says so when somebody speaks and is not heard.
pub(super) fn unheard(model: &mut Model, view: &View) {
    if !view.me.muted || view.me.level_db <= SPEECH_DB {
        model.unheard = None;
        return;
    }
    let (since, told) = *model.unheard.get_or_insert((view.elapsed, false));
    if !told && view.elapsed.saturating_sub(since) >= SPEAKS_FOR {
        model.unheard = Some((since, true));
        let words = model.with_key("you speak, but your microphone is closed", Deed::Mute);
        model.tell(Tone::Trouble, words);
    }
}
