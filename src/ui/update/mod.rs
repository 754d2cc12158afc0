//! What happens to the model: one message in, what is asked of the program out.

mod alarm;
mod call;
mod events;
mod mouse;
mod news;
pub(super) mod settings;
mod start;
mod talk;
mod typing;
mod verify;

use super::diary::Diary;
use super::history::History;
use super::message::{Action, Msg};
use super::model::{Mode, Model, NOTICE_TIME, Tone, WAVE};
use crate::session::view::View;
use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::time::{Duration, Instant};

/// Takes a message in and returns what the program is asked to do, in order.
pub fn update(model: &mut Model, msg: Msg) -> Vec<Action> {
    match msg {
        Msg::View(view) => return take_view(model, view),
        Msg::Key(event) if event.kind == KeyEventKind::Release => return talk::let_go(model, event),
        Msg::FocusLost => {
            model.focused = false;
            return talk::close(model);
        }
        Msg::FocusGained => model.focused = true,
        Msg::Key(event) => return key(model, event),
        Msg::Mouse(_) if model.standing_alarm().is_some() => {}
        Msg::Mouse(event) => return mouse::mouse(model, event),
        Msg::Paste(text) => return typing::paste(model, &text),
        Msg::Resize { columns, rows } => {
            (model.columns, model.rows) = (columns, rows);
            model.drag = None;
        }
        Msg::Tick(now) => tick(model, now),
        Msg::Warning { message, hint } => {
            let text = match (hint.is_empty(), message.ends_with(['.', '!', '?'])) {
                (true, _) => message,
                (false, true) => format!("{message} {hint}"),
                (false, false) => format!("{message}: {hint}"),
            };
            let at = model.view.as_ref().map_or(Duration::ZERO, |view| view.elapsed);
            model.diary.note(at, Tone::Trouble, text.clone());
            model.tell(Tone::Trouble, text);
        }
        Msg::Seeking(lines) => model.seeking = lines,
        Msg::Knocking if matches!(model.mode, Mode::Opening(_)) => {
            model.seeking.clear();
            model.mode = Mode::Opening("The session is locked. You knocked: waiting to be let in…".to_owned());
        }
        Msg::Knocking => {}
        Msg::Failed(failure) => {
            model.mode = Mode::Alarm(failure);
            model.diary = Diary::default();
            model.view = None;
            model.selected = None;
            model.drag = None;
            model.notice = None;
            model.holding = false;
            model.own_minute = History::default();
        }
        Msg::InputEnded => return vec![Action::Quit],
        Msg::Settings { values, kept_in, mistakes } => {
            settings::take_mistakes(model, mistakes);
            return settings::take(model, *values, kept_in);
        }
        Msg::Devices { inputs, outputs } => model.devices = Some((inputs, outputs)),
        Msg::Spectra(spectra) => model.spectra = spectra,
        Msg::Nearby(rooms) => {
            model.nearby = rooms;
            start::keep_focus(model);
        }
        Msg::Recent(sessions) => {
            model.recent = sessions;
            start::keep_focus(model);
        }
        Msg::Rehearsal { input_db, output_db } => {
            model.rehearsal = Some((input_db, output_db));
            push_level(model, input_db);
        }
    }
    Vec::new()
}

/// One more level of one's own microphone for the wave.
fn push_level(model: &mut Model, db: f32) {
    if model.wave.len() == WAVE {
        model.wave.pop_front();
    }
    model.wave.push_back(db);
}

fn take_view(model: &mut Model, mut view: Box<View>) -> Vec<Action> {
    let mut actions = Vec::new();
    match model.mode {
        // A last snapshot of a session that is over.
        Mode::Start | Mode::Alarm(_) => return actions,
        Mode::Settings(_) if model.view.is_none() => return actions,
        Mode::Opening(_) => {
            model.mode = Mode::Call;
            actions = talk::begin(model, &mut view);
        }
        _ => {}
    }
    if let Some(drag) = &model.drag {
        // The session may not have heard of the newest place yet: what is under the hand must not jump back.
        match (view.peers.iter_mut().find(|peer| peer.id == drag.peer), model.peer(&drag.peer)) {
            (Some(newer), Some(held)) => newer.position = held.position,
            _ => model.drag = None,
        }
    }
    actions.extend(news::notify(model, &view));
    actions.extend(news::sounds(model, &view).into_iter().map(Action::Play));
    model.diary.take(model.view.as_deref(), &view);
    news::unheard(model, &view);
    news::count_unread(model, &view);
    model.silenced.retain(|id, _| view.peers.iter().any(|peer| peer.id == *id));
    model.minutes.retain(|id, _| view.peers.iter().any(|peer| peer.id == *id));
    for peer in &view.peers {
        model.minutes.entry(peer.id.clone()).or_default().take(view.elapsed, peer);
    }
    model.own_minute.take_level(view.elapsed, if view.me.muted { f32::NEG_INFINITY } else { view.me.level_db });
    let waiting = |view: &View| view.admission.knocks.len();
    if waiting(&view) > model.view.as_deref().map_or(0, waiting) {
        // Somebody waits at the door: that comes before what is merely confirmed.
        model.notice.take_if(|notice| notice.tone == Tone::Fine);
    }
    let here = |id: &String| view.peers.iter().any(|peer| peer.id == *id);
    if !model.selected.as_ref().is_some_and(here) {
        model.selected = view.peers.first().map(|peer| peer.id.clone());
    }
    push_level(model, if view.me.muted { f32::NEG_INFINITY } else { view.me.level_db });
    model.talk_scroll = model.talk_scroll.min(view.talk.len().saturating_sub(1));
    if matches!(model.mode, Mode::Leave | Mode::Invite) && view.peers.is_empty() {
        model.mode = Mode::Call;
    }
    model.view = Some(view);
    actions
}

fn tick(model: &mut Model, now: Instant) {
    alarm::tick(model, now);
    if let Some(notice) = &mut model.notice
        && now >= *notice.until.get_or_insert(now + NOTICE_TIME)
    {
        model.notice = None;
    }
}

fn key(model: &mut Model, event: KeyEvent) -> Vec<Action> {
    if event.code == KeyCode::Char('c') && event.modifiers.contains(KeyModifiers::CONTROL) {
        return interrupt(model);
    }
    if event.code == KeyCode::Char('z') && event.modifiers == KeyModifiers::CONTROL {
        return vec![Action::Suspend];
    }
    if alarm::takes_keys(model) {
        return alarm::key(model, event);
    }
    match &model.mode {
        Mode::Start => start::key(model, event),
        Mode::Settings(_) => settings::key(model, event),
        Mode::Opening(_) => match event.code {
            KeyCode::Esc | KeyCode::Char('q') => vec![Action::Quit],
            _ => Vec::new(),
        },
        Mode::Call | Mode::Invite | Mode::Code | Mode::Stats | Mode::Number => call::key(model, event),
        Mode::Events { .. } => events::key(model, event),
        Mode::Verify(_) => verify::key(model, event),
        Mode::Help { scroll } => {
            let scroll = *scroll;
            help(model, event, scroll)
        }
        Mode::CommandLine(_) => typing::command_line(model, event),
        Mode::Write => typing::write(model, event),
        Mode::Leave => match event.code {
            KeyCode::Char('y' | 'q') | KeyCode::Enter => vec![Action::Quit],
            KeyCode::Char('n') | KeyCode::Esc => go(model, Mode::Call),
            _ => Vec::new(),
        },
        Mode::Alarm(_) => match event.code {
            KeyCode::Enter | KeyCode::Esc => go(model, Mode::Start),
            KeyCode::Char('q') => vec![Action::Quit],
            _ => Vec::new(),
        },
    }
}

/// Ctrl-C: leaves, but asks once when others are here.
fn interrupt(model: &mut Model) -> Vec<Action> {
    let others = model.view.as_ref().is_some_and(|view| !view.peers.is_empty());
    if !others || model.mode == Mode::Leave {
        return vec![Action::Quit];
    }
    go(model, Mode::Leave)
}

fn help(model: &mut Model, event: KeyEvent, scroll: usize) -> Vec<Action> {
    let scroll = match event.code {
        KeyCode::Esc | KeyCode::Char('q' | '?') | KeyCode::Enter => {
            let home = if model.view.is_some() { Mode::Call } else { Mode::Start };
            return go(model, home);
        }
        KeyCode::Up | KeyCode::Char('k') => scroll.saturating_sub(1),
        KeyCode::Down | KeyCode::Char('j') => scroll + 1,
        KeyCode::PageUp => scroll.saturating_sub(10),
        KeyCode::PageDown | KeyCode::Char(' ') => scroll + 10,
        KeyCode::Home => 0,
        KeyCode::End => usize::MAX / 2,
        _ => scroll,
    };
    scroll_help(model, scroll);
    Vec::new()
}

/// Scrolls the help page, at most to its last line.
fn scroll_help(model: &mut Model, scroll: usize) {
    let last = super::view::help::last_scroll(model);
    model.mode = Mode::Help { scroll: scroll.min(last) };
}

fn go(model: &mut Model, mode: Mode) -> Vec<Action> {
    model.mode = mode;
    Vec::new()
}
