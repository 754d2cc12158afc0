//! Typing: the command line with its completion and history, writing to everyone, and pasting.

use super::{call, settings, start, verify};
use crate::command::{self, Command, MAX_TEXT_BYTES, VERBS};
use crate::session::view::View;
use crate::ui::keymap::PAGES;
use crate::ui::line::Line;
use crate::ui::message::Action;
use crate::ui::model::{CommandLine, MAX_HISTORY, Mode, Model, Tone};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key did to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// It was for the line.
    Done,
    /// It was for the line, which is full.
    Full,
    /// It means something else.
    Other,
}

/// The keys that every line understands.
pub(super) fn edit(line: &mut Line, event: KeyEvent) -> Edit {
    let control = event.modifiers.contains(KeyModifiers::CONTROL);
    // AltGr arrives as Control with Alt on some terminals, and then makes a letter.
    let command = control && !event.modifiers.contains(KeyModifiers::ALT);
    match event.code {
        KeyCode::Char('a') if command => line.home(),
        KeyCode::Char('e') if command => line.end(),
        KeyCode::Char('u') if command => line.delete_to_start(),
        KeyCode::Char('w') if command => line.delete_word(),
        KeyCode::Char(_) if command => return Edit::Other,
        KeyCode::Char(character) => {
            if !line.insert(character.encode_utf8(&mut [0; 4])) {
                return Edit::Full;
            }
        }
        KeyCode::Backspace if event.modifiers.intersects(KeyModifiers::ALT | KeyModifiers::CONTROL) => {
            line.delete_word()
        }
        KeyCode::Backspace => line.backspace(),
        KeyCode::Delete => line.delete(),
        KeyCode::Left => line.left(),
        KeyCode::Right => line.right(),
        KeyCode::Home => line.home(),
        KeyCode::End => line.end(),
        _ => return Edit::Other,
    }
    Edit::Done
}

pub(super) fn paste(model: &mut Model, text: &str) -> Vec<Action> {
    let alone = model.alone();
    let fitted = match &mut model.mode {
        Mode::Start => {
            start::paste(model, text);
            true
        }
        Mode::Settings(_) => {
            settings::paste(model, text);
            true
        }
        Mode::CommandLine(state) => {
            state.completion = None;
            state.line.insert(text)
        }
        Mode::Write => model.draft.insert(text),
        // What is pasted is never taken for keys, and never sent unseen: it waits in the line.
        Mode::Call if !alone => {
            model.mode = Mode::Write;
            model.draft.insert(text)
        }
        _ => true,
    };
    if !fitted {
        model.tell(Tone::Trouble, format!("that is too long ({MAX_TEXT_BYTES} bytes at most): not all of it fitted"));
    }
    Vec::new()
}

pub(super) fn write(model: &mut Model, event: KeyEvent) -> Vec<Action> {
    match event.code {
        KeyCode::Esc => model.mode = Mode::Call,
        KeyCode::Enter => {
            model.mode = Mode::Call;
            let text = model.draft.text().trim().to_owned();
            if text.is_empty() {
                return Vec::new();
            }
            if model.alone() {
                model.tell(
                    Tone::Trouble,
                    "everybody has left: your text is kept, Enter shows it again once somebody is here",
                );
                return Vec::new();
            }
            model.draft.clear();
            model.talk_scroll = 0;
            return vec![Action::Command(Command::Say(text))];
        }
        KeyCode::PageUp => call::scroll_talk(model, 5),
        KeyCode::PageDown => call::scroll_talk(model, -5),
        _ => {
            if edit(&mut model.draft, event) == Edit::Full {
                model.tell(Tone::Trouble, format!("a text has at most {MAX_TEXT_BYTES} bytes: send this one first"));
            }
        }
    }
    Vec::new()
}

pub(super) fn command_line(model: &mut Model, event: KeyEvent) -> Vec<Action> {
    let Mode::CommandLine(state) = &mut model.mode else { return Vec::new() };
    match event.code {
        KeyCode::Esc => model.mode = Mode::Call,
        KeyCode::Enter => return enter(model),
        KeyCode::Backspace if state.line.text().is_empty() => model.mode = Mode::Call,
        KeyCode::Tab | KeyCode::BackTab => complete(state, model.view.as_deref(), event.code),
        KeyCode::Up | KeyCode::Down => recall(state, &model.history, event.code),
        _ => {
            state.completion = None;
            state.error = None;
            if edit(&mut state.line, event) == Edit::Full {
                state.error = Some("the line is full".to_owned());
            }
        }
    }
    Vec::new()
}

fn enter(model: &mut Model) -> Vec<Action> {
    let Mode::CommandLine(state) = &mut model.mode else { return Vec::new() };
    let text = state.line.text().trim().to_owned();
    state.completion = None;
    if text.is_empty() {
        model.mode = Mode::Call;
        return Vec::new();
    }
    let word = text.trim_start_matches(['/', ':']).trim();
    if let Some((_, deed, _)) = PAGES.iter().find(|(name, ..)| *name == word) {
        model.mode = Mode::Call;
        return call::act(model, *deed);
    }
    let command = match command::parse(&text) {
        Ok(command) => command,
        Err(error) => {
            state.error = Some(error.to_string());
            return Vec::new();
        }
    };
    let person = match &command {
        Command::Safety(Some(name)) => match person(model.view.as_deref(), name) {
            Some(id) => Some(id),
            None => {
                state.error = Some(format!("nobody here is called `{name}`"));
                return Vec::new();
            }
        },
        _ => None,
    };
    if model.history.last() != Some(&text) {
        model.history.push(text);
        if model.history.len() > MAX_HISTORY {
            model.history.remove(0);
        }
    }
    model.mode = Mode::Call;
    match command {
        Command::Safety(None) => {
            model.mode = Mode::Number;
            Vec::new()
        }
        Command::Safety(Some(_)) => {
            if person.is_some() {
                model.selected = person;
            }
            verify::open(model);
            Vec::new()
        }
        Command::Stats => {
            model.mode = Mode::Stats;
            Vec::new()
        }
        Command::Link => {
            model.mode = if model.alone() { Mode::Call } else { Mode::Invite };
            Vec::new()
        }
        Command::Quit => vec![Action::Quit],
        other => vec![Action::Command(other)],
    }
}

/// The id of the person who is meant: by id, by name, or by the only name that differs in case alone.
fn person(view: Option<&View>, name: &str) -> Option<String> {
    let peers = &view?.peers;
    let exact = peers.iter().find(|peer| peer.id == name || peer.name == name);
    let mut alike = peers.iter().filter(|peer| peer.name.to_lowercase() == name.to_lowercase());
    let only = alike.next().filter(|_| alike.next().is_none());
    exact.or(only).map(|peer| peer.id.clone())
}

/// Everything that the line could go on as: verbs first, then the people here where a person is wanted.
fn candidates(text: &str, view: Option<&View>) -> Vec<String> {
    let text = text.trim_start().trim_start_matches(['/', ':']);
    let Some((verb, rest)) = text.split_once(' ') else {
        let verbs = VERBS
            .iter()
            .map(|verb| (verb.name, !verb.arguments.is_empty()))
            .chain(PAGES.iter().map(|(name, ..)| (*name, false)));
        let fitting = verbs.filter(|(name, _)| name.starts_with(text));
        return fitting.map(|(name, more)| format!("{name}{}", if more { " " } else { "" })).collect();
    };
    let arguments = VERBS.iter().find(|row| row.name == verb).map_or("", |row| row.arguments);
    let wants_more = arguments.contains(' ');
    let rest = rest.trim_start().to_lowercase();
    let Some(view) = view.filter(|_| arguments.trim_start_matches('[').starts_with("PEER")) else { return Vec::new() };
    let names: Vec<&String> = match verb {
        "admit" | "refuse" => view.admission.knocks.iter().map(|knock| &knock.name).collect(),
        _ => view.peers.iter().map(|peer| &peer.name).collect(),
    };
    let fitting = names.into_iter().filter(|name| name.to_lowercase().starts_with(&rest));
    fitting.map(|name| format!("{verb} {name}{}", if wants_more { " " } else { "" })).collect()
}

fn complete(state: &mut CommandLine, view: Option<&View>, code: KeyCode) {
    state.error = None;
    let (list, at) = match state.completion.take() {
        Some((list, at)) => {
            let by = if code == KeyCode::Tab { 1 } else { list.len() - 1 };
            let next = (at + by) % list.len();
            (list, next)
        }
        None => {
            let list = candidates(state.line.text(), view);
            if list.is_empty() {
                state.error = Some("nothing here begins like that".to_owned());
                return;
            }
            (list, 0)
        }
    };
    state.line.set(&list[at]);
    // With one answer there is nothing to go through: the next Tab goes on from it.
    state.completion = (list.len() > 1).then_some((list, at));
}

fn recall(state: &mut CommandLine, history: &[String], code: KeyCode) {
    let next = match (code, state.recalled) {
        (KeyCode::Up, None) => Some(0),
        (KeyCode::Up, Some(back)) => Some(back + 1),
        (_, Some(back)) => back.checked_sub(1),
        (_, None) => None,
    };
    match next {
        Some(back) => {
            if let Some(text) = history.iter().rev().nth(back) {
                state.line.set(text);
                state.recalled = next;
            }
        }
        None if state.recalled.is_some() => {
            state.line.clear();
            state.recalled = None;
        }
        None => {}
    }
    (state.completion, state.error) = (None, None);
}
