//! The keys of a session.

use crate::command::{Arrangement, Command, VOLUME_DB};
use crate::session::view::Invite;
use crate::ui::keymap::Deed;
use crate::ui::layout;
use crate::ui::map::Projection;
use crate::ui::message::Action;
use crate::ui::model::{CommandLine, Mode, Model, Tone};
use crate::ui::text;
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind};
use resonance_protocol::position::Position;

/// Degrees that a key turns the head.
const TURN_DEG: f32 = 15.0;
/// Decibels that a key changes the loudness.
const LOUDER_DB: f32 = 3.0;

pub(super) fn key(model: &mut Model, event: KeyEvent) -> Vec<Action> {
    if event.code == KeyCode::Esc {
        model.mode = Mode::Call;
        return Vec::new();
    }
    match model.keymap.deed(event) {
        Some(Deed::Talk) => super::talk::press(model, event.kind),
        Some(deed) => act(model, deed),
        None => Vec::new(),
    }
}

/// Does what a key does that is pressed and let go.
pub(super) fn act(model: &mut Model, deed: Deed) -> Vec<Action> {
    match deed {
        Deed::Talk => return super::talk::press(model, KeyEventKind::Press),
        Deed::Settings => super::settings::open(model),
        Deed::Mute => return mute(model),
        Deed::Deafen => return deafen(model),
        Deed::Verify => super::verify::open(model),
        Deed::Number => model.mode = if model.mode == Mode::Number { Mode::Call } else { Mode::Number },
        Deed::Write if model.alone() => model.tell(Tone::Fine, "nobody is here yet who could read it"),
        Deed::Write => model.mode = Mode::Write,
        Deed::CommandLine => model.mode = Mode::CommandLine(CommandLine::new()),
        Deed::Help => model.mode = Mode::Help { scroll: 0 },
        Deed::Copy => return copy(model),
        Deed::CopyTalk => return copy_talk(model),
        Deed::Invite => {
            model.mode = if model.mode == Mode::Invite || model.alone() { Mode::Call } else { Mode::Invite }
        }
        Deed::Code => model.mode = if model.mode == Mode::Code { Mode::Call } else { Mode::Code },
        Deed::Silence => return silence(model),
        Deed::Arrange => return arrange(model),
        Deed::Stats => model.mode = if model.mode == Mode::Stats { Mode::Call } else { Mode::Stats },
        Deed::Record => return record(model),
        Deed::Events => model.mode = Mode::Events { up: 0 },
        Deed::Previous => choose(model, |index, count| (index + count - 1) % count),
        Deed::Next => choose(model, |index, count| (index + 1) % count),
        Deed::Left => return step(model, -1.0, 0.0),
        Deed::Right => return step(model, 1.0, 0.0),
        Deed::Ahead => return step(model, 0.0, 1.0),
        Deed::Back => return step(model, 0.0, -1.0),
        Deed::Louder => return volume(model, LOUDER_DB),
        Deed::Quieter => return volume(model, -LOUDER_DB),
        Deed::TurnLeft => return turn(model, -TURN_DEG),
        Deed::TurnRight => return turn(model, TURN_DEG),
        Deed::ScrollUp => scroll_talk(model, 5),
        Deed::ScrollDown => scroll_talk(model, -5),
        Deed::Admit => return answer_knock(model, Command::Admit),
        Deed::Refuse => return answer_knock(model, Command::Refuse),
        Deed::Quit => return quit(model),
    }
    Vec::new()
}

/// Begins to record where recordings go, or ends it.
fn record(model: &mut Model) -> Vec<Action> {
    let Some(view) = &model.view else { return Vec::new() };
    vec![Action::Command(if view.me.recording.is_some() { Command::StopRecording } else { Command::Record(None) })]
}

/// Leaves: at once when alone, else after asking.
pub(super) fn quit(model: &mut Model) -> Vec<Action> {
    if model.view.as_ref().is_none_or(|view| view.peers.is_empty()) {
        return vec![Action::Quit];
    }
    model.mode = Mode::Leave;
    Vec::new()
}

pub(super) fn mute(model: &mut Model) -> Vec<Action> {
    let Some(view) = &mut model.view else { return Vec::new() };
    view.me.muted = !view.me.muted;
    vec![Action::Command(if view.me.muted { Command::Mute } else { Command::Unmute })]
}

fn deafen(model: &mut Model) -> Vec<Action> {
    let Some(view) = &mut model.view else { return Vec::new() };
    view.me.deafened = !view.me.deafened;
    vec![Action::Command(if view.me.deafened { Command::Deafen } else { Command::Undeafen })]
}

fn copy(model: &mut Model) -> Vec<Action> {
    let Some(view) = &model.view else { return Vec::new() };
    match &view.invite {
        Invite::Link(link) => {
            let link = link.clone();
            model.tell(Tone::Fine, "handed to your terminal; if it cannot copy, select the link: Shift and mouse");
            vec![Action::CopyToClipboard(link)]
        }
        Invite::Lan { .. } => {
            model.tell(Tone::Fine, "a room on this network has no link: its name is enough");
            Vec::new()
        }
    }
}

/// Copies the newest link that somebody wrote, or else the newest text: what is wrapped on the screen cannot be selected there.
fn copy_talk(model: &mut Model) -> Vec<Action> {
    let written = || model.view.iter().flat_map(|view| view.talk.iter().rev()).filter(|line| line.from.is_some());
    let Some(copied) =
        written().find_map(|line| link_in(&line.text)).or_else(|| written().next().map(|line| &*line.text))
    else {
        model.tell(Tone::Fine, "nothing was written yet");
        return Vec::new();
    };
    let copied = text::plain(copied);
    model.tell(Tone::Fine, format!("handed to your terminal: {}", text::cut(&copied, 48)));
    vec![Action::CopyToClipboard(copied)]
}

/// The last link in a text, without the marks around it.
fn link_in(text: &str) -> Option<&str> {
    let bare = |word: &'static str| move |c: char| word.contains(c);
    let mut words = text
        .split_whitespace()
        .rev()
        .map(|word| word.trim_start_matches(bare("(<[{\"'")).trim_end_matches(bare(".,;:!?)>]}\"'")));
    words.find(|word| word.contains("://") || word.starts_with("resonance:"))
}

/// Lets in or turns away who has knocked longest.
fn answer_knock(model: &mut Model, answer: fn(String) -> Command) -> Vec<Action> {
    let first = model.view.as_ref().and_then(|view| view.admission.knocks.first());
    let Some(id) = first.map(|knock| knock.id.clone()) else {
        model.tell(Tone::Fine, "nobody knocks");
        return Vec::new();
    };
    vec![Action::Command(answer(id))]
}

fn choose(model: &mut Model, next: impl Fn(usize, usize) -> usize) {
    let Some(view) = &model.view else { return };
    let index = model.chosen().map_or(0, |(index, _)| index);
    let count = view.peers.len();
    if count > 0 {
        model.selected = view.peers.get(next(index, count)).map(|peer| peer.id.clone());
    }
}

/// Moves somebody, here at once and by command in the session.
pub(super) fn place(model: &mut Model, id: &str, position: Position) -> Vec<Action> {
    let peer = model.view.as_mut().and_then(|view| view.peers.iter_mut().find(|peer| peer.id == id));
    let Some(peer) = peer else { return Vec::new() };
    peer.position = position;
    vec![Action::Command(Command::Move {
        peer: id.to_owned(),
        azimuth_deg: position.azimuth_deg,
        distance_m: Some(position.distance_m),
        elevation_deg: None,
    })]
}

/// The map as it is drawn now.
pub(super) fn projection(model: &Model) -> Option<Projection> {
    let room = layout::of(model).room;
    model.view.as_ref().map(|view| Projection::fit(layout::inside(room), view))
}

fn step(model: &mut Model, right: f32, ahead: f32) -> Vec<Action> {
    let (Some(map), Some((_, peer))) = (projection(model), model.chosen()) else {
        model.tell(Tone::Fine, "nobody is here yet to be moved");
        return Vec::new();
    };
    let (id, position) = (peer.id.clone(), map.step(peer.position, right, ahead));
    place(model, &id, position)
}

fn volume(model: &mut Model, by_db: f32) -> Vec<Action> {
    let Some((index, _)) = model.chosen() else { return Vec::new() };
    let Some(peer) = model.view.as_mut().and_then(|view| view.peers.get_mut(index)) else { return Vec::new() };
    let before_db = if peer.volume_db.is_finite() { peer.volume_db } else { 0.0 };
    let db = (before_db + by_db).round().clamp(*VOLUME_DB.start() as f32, *VOLUME_DB.end() as f32);
    peer.volume_db = db;
    let (id, name) = (peer.id.clone(), peer.name.clone());
    model.tell(Tone::Fine, format!("{name}: {db:+.0} dB"));
    vec![Action::Command(Command::Volume { peer: id, db })]
}

/// Hears nothing of the chosen person, or as before.
fn silence(model: &mut Model) -> Vec<Action> {
    let Some((index, _)) = model.chosen() else { return Vec::new() };
    let Some(peer) = model.view.as_mut().and_then(|view| view.peers.get_mut(index)) else { return Vec::new() };
    let silent_db = *VOLUME_DB.start() as f32;
    let db = match peer.is_silenced() {
        true => model.silenced.remove(&peer.id).unwrap_or(0.0),
        false => {
            let before_db = if peer.volume_db.is_finite() { peer.volume_db } else { 0.0 };
            model.silenced.insert(peer.id.clone(), before_db);
            silent_db
        }
    };
    let db = db.round().clamp(silent_db, *VOLUME_DB.end() as f32);
    peer.volume_db = db;
    vec![Action::Command(Command::Volume { peer: peer.id.clone(), db })]
}

/// Seats everybody in the next way.
fn arrange(model: &mut Model) -> Vec<Action> {
    if model.alone() {
        model.tell(Tone::Fine, "nobody is here yet to be seated");
        return Vec::new();
    }
    model.arranged = (model.arranged + 1) % Arrangement::ALL.len();
    let (arrangement, words) = Arrangement::ALL[model.arranged];
    let again = model.with_key(&format!("seated: {words}"), Deed::Arrange);
    model.tell(Tone::Fine, again);
    vec![Action::Command(Command::Arrange(arrangement))]
}

fn turn(model: &mut Model, by_deg: f32) -> Vec<Action> {
    let Some(view) = &mut model.view else { return Vec::new() };
    let facing_deg = Position::at_azimuth(view.me.facing_deg + by_deg).azimuth_deg;
    view.me.facing_deg = facing_deg;
    vec![Action::Command(Command::Face(facing_deg))]
}

/// Scrolls the talk by lines: positive to the older ones.
pub(super) fn scroll_talk(model: &mut Model, by: isize) {
    let lines = model.view.as_ref().map_or(0, |view| view.talk.len());
    model.talk_scroll = model.talk_scroll.saturating_add_signed(by).min(lines.saturating_sub(1));
}
