//! Comparing safety numbers.

use crate::command::{Command, VOLUME_DB};
use crate::session::view::Trust;
use crate::ui::message::Action;
use crate::ui::model::{Mode, Model, Precaution, Tone, Verify, VerifyPage};
use crossterm::event::{KeyCode, KeyEvent};

/// Begins with the chosen person.
pub(super) fn open(model: &mut Model) {
    match model.chosen() {
        Some((_, peer)) => {
            let (peer, name, number) = (peer.id.clone(), peer.name.clone(), peer.safety_number.clone());
            model.mode = Mode::Verify(Verify { peer, name, number, page: VerifyPage::Compare });
        }
        None => model.tell(Tone::Fine, "nobody is here yet to compare numbers with"),
    }
}

pub(super) fn key(model: &mut Model, event: KeyEvent) -> Vec<Action> {
    let Mode::Verify(state) = model.mode.clone() else { return Vec::new() };
    match (&state.page, event.code) {
        (_, KeyCode::Esc) => model.mode = Mode::Call,
        (VerifyPage::Compare, KeyCode::Char('v')) => model.mode = Mode::Call,
        (VerifyPage::Compare, KeyCode::Char('y')) => return equal(model, state),
        (VerifyPage::Compare, KeyCode::Char('n')) => return differ(model, state),
        (VerifyPage::Compare, KeyCode::Char('u')) => return take_back(model, &state),
        (VerifyPage::Differ(precaution), KeyCode::Char('o')) => {
            let actions = undo(model, &state.peer, precaution);
            model.mode = Mode::Verify(Verify { page: VerifyPage::Compare, ..state });
            return actions;
        }
        (VerifyPage::Differ(_), KeyCode::Char('q')) => return vec![Action::Quit],
        _ => {}
    }
    Vec::new()
}

fn equal(model: &mut Model, state: Verify) -> Vec<Action> {
    let Some(peer) = find(model, &state.peer) else { return Vec::new() };
    if peer.safety_number != state.number {
        // The one that was read aloud is no longer the one that would be marked.
        model.mode = Mode::Call;
        model.tell(Tone::Trouble, "the number has changed while you compared: nothing was marked; v shows the new one");
        return Vec::new();
    }
    peer.trust = Trust::Verified;
    model.mode = Mode::Call;
    model.tell(Tone::Fine, format!("{} is verified", state.name));
    vec![Action::Command(Command::Verify(state.peer))]
}

fn take_back(model: &mut Model, state: &Verify) -> Vec<Action> {
    let Some(peer) = find(model, &state.peer).filter(|peer| peer.trust == Trust::Verified) else { return Vec::new() };
    peer.trust = Trust::NotVerified;
    model.tell(Tone::Fine, format!("{} is not verified any more", state.name));
    vec![Action::Command(Command::Unverify(state.peer.clone()))]
}

/// They differ: first nothing more goes out, and nothing more of that person comes in; then it is explained.
fn differ(model: &mut Model, state: Verify) -> Vec<Action> {
    let Some(view) = &mut model.view else { return Vec::new() };
    let Some(peer) = view.peers.iter_mut().find(|peer| peer.id == state.peer) else { return Vec::new() };
    let precaution = Precaution { closed_microphone: !view.me.muted, volume_db: peer.volume_db.round() as i32 };
    let silent_db = *VOLUME_DB.start() as f32;
    let mut actions = Vec::new();
    if precaution.closed_microphone {
        view.me.muted = true;
        actions.push(Action::Command(Command::Mute));
    }
    peer.volume_db = silent_db;
    actions.push(Action::Command(Command::Volume { peer: state.peer.clone(), db: silent_db }));
    if peer.trust == Trust::Verified {
        peer.trust = Trust::NotVerified;
        actions.push(Action::Command(Command::Unverify(state.peer.clone())));
    }
    model.mode = Mode::Verify(Verify { page: VerifyPage::Differ(precaution), ..state });
    actions
}

fn undo(model: &mut Model, id: &str, precaution: &Precaution) -> Vec<Action> {
    let mut actions = Vec::new();
    if let Some(view) = &mut model.view
        && precaution.closed_microphone
        && view.me.muted
    {
        view.me.muted = false;
        actions.push(Action::Command(Command::Unmute));
    }
    if let Some(peer) = find(model, id) {
        let db = precaution.volume_db.clamp(*VOLUME_DB.start(), *VOLUME_DB.end()) as f32;
        peer.volume_db = db;
        actions.push(Action::Command(Command::Volume { peer: id.to_owned(), db }));
    }
    actions
}

fn find<'a>(model: &'a mut Model, id: &str) -> Option<&'a mut crate::session::view::PeerView> {
    model.view.as_mut()?.peers.iter_mut().find(|peer| peer.id == id)
}
