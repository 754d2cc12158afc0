//! The page of settings, which is also what a newcomer sees first.

use super::typing::{Edit, edit};
use super::{call, push_level, start, talk};
use crate::settings::{Kind, SETTINGS, Setting, Values};
use crate::ui::keymap::{Deed, Keymap};
use crate::ui::message::Action;
use crate::ui::model::{Mode, Model, SettingsPage, StartField, Tone};
use crossterm::event::{KeyCode, KeyEvent};

/// A line of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::ui) enum Row {
    Setting(&'static Setting),
    /// One's own voice comes back.
    Hear,
    /// On to the first session.
    GoOn,
}

/// The lines, from above.
pub(in crate::ui) fn rows(model: &Model, page: &SettingsPage) -> Vec<Row> {
    let mut rows: Vec<Row> = match page.first_run {
        true => [Setting::NAME, Setting::INPUT, Setting::OUTPUT].map(Row::Setting).to_vec(),
        false => SETTINGS.iter().map(Row::Setting).collect(),
    };
    if model.view.is_none() {
        rows.push(Row::Hear);
    }
    if page.first_run {
        rows.push(Row::GoOn);
    }
    rows
}

/// Opens the page.
pub(super) fn open(model: &mut Model) {
    model.devices = None;
    let name = match model.values.get(Setting::NAME) {
        "" => model.start.name.text().to_owned(),
        name => name.to_owned(),
    };
    model.mode = Mode::Settings(SettingsPage::new(false, &name));
}

/// What is set now.
pub(super) fn take(model: &mut Model, values: Values, kept_in: String) -> Vec<Action> {
    let pushed = talk::pushes(model);
    model.theme = model.detected.wished(values.get(Setting::THEME), values.get(Setting::GLYPHS));
    (model.keymap, _) = Keymap::new(&values.keys);
    (model.values, model.kept_in) = (values, kept_in);
    let muted = model.view.as_ref().map(|view| view.me.muted);
    match (pushed, talk::pushes(model), muted) {
        (false, true, Some(false)) | (true, false, Some(true)) => call::mute(model),
        _ => Vec::new(),
    }
}

/// What is wrong with the file: the pages that people see first show it as long as it is so; who talks is told once.
pub(super) fn take_mistakes(model: &mut Model, mistakes: Vec<String>) {
    let talks = model.view.is_some() && !model.alone();
    if let Some((first, more)) = mistakes.split_first()
        && talks
        && mistakes != model.mistakes
    {
        let words = match more.len() {
            0 => first.clone(),
            more => model.with_key(&format!("{first} And {more} more"), Deed::Settings),
        };
        model.tell(Tone::Trouble, words);
    }
    model.mistakes = mistakes;
}

pub(super) fn key(model: &mut Model, event: KeyEvent) -> Vec<Action> {
    let Mode::Settings(page) = &model.mode else { return Vec::new() };
    let rows = rows(model, page);
    let (focus, first_run) = (page.focus.min(rows.len().saturating_sub(1)), page.first_run);
    let row = rows.get(focus).copied().unwrap_or(Row::GoOn);
    match event.code {
        KeyCode::Esc if first_run => Vec::new(),
        KeyCode::Esc => {
            let kept = keep_name(model, row);
            leave(model);
            kept
        }
        KeyCode::Up | KeyCode::BackTab => go_to(model, row, (focus + rows.len() - 1) % rows.len()),
        KeyCode::Down | KeyCode::Tab => go_to(model, row, (focus + 1) % rows.len()),
        KeyCode::Enter if row == Row::GoOn => go_on(model),
        KeyCode::Enter if row == Row::Setting(Setting::NAME) || first_run && row != Row::Hear => {
            go_to(model, row, (focus + 1) % rows.len())
        }
        _ if row == Row::Setting(Setting::NAME) => {
            if let Mode::Settings(page) = &mut model.mode
                && edit(&mut page.name, event) == Edit::Full
            {
                model.tell(Tone::Trouble, "a name has at most 64 bytes");
            }
            Vec::new()
        }
        KeyCode::Left => change(model, row, -1),
        KeyCode::Right | KeyCode::Enter | KeyCode::Char(' ') => change(model, row, 1),
        _ => Vec::new(),
    }
}

/// Text goes into the name; a link waits on the start screen.
pub(super) fn paste(model: &mut Model, text: &str) {
    let Mode::Settings(page) = &mut model.mode else { return };
    if start::holds_link(text) && model.view.is_none() {
        start::paste(model, text);
    } else if page.focus == 0 && !page.name.insert(text) {
        model.tell(Tone::Trouble, "a name has at most 64 bytes");
    }
}

fn go_to(model: &mut Model, from: Row, focus: usize) -> Vec<Action> {
    let kept = keep_name(model, from);
    if let Mode::Settings(page) = &mut model.mode {
        page.focus = focus;
    }
    kept
}

/// Leaving the line of the name keeps it.
fn keep_name(model: &mut Model, from: Row) -> Vec<Action> {
    let Mode::Settings(page) = &model.mode else { return Vec::new() };
    let name = page.name.text().trim().to_owned();
    if from != Row::Setting(Setting::NAME) || name.is_empty() || name == model.start.name.text() {
        return Vec::new();
    }
    model.start.name.set(&name);
    if model.view.is_some() {
        model.tell(Tone::Fine, "in this session you keep your name; the next one knows the new one");
    }
    keep(model, Setting::NAME, name)
}

fn keep(model: &mut Model, setting: &'static Setting, value: String) -> Vec<Action> {
    match model.values.set(setting, &value) {
        Ok(()) => vec![Action::Keep { setting, value }],
        Err(why) => {
            model.tell(Tone::Trouble, format!("{} {why}", setting.path()));
            Vec::new()
        }
    }
}

fn go_on(model: &mut Model) -> Vec<Action> {
    let Mode::Settings(page) = &mut model.mode else { return Vec::new() };
    let name = page.name.text().trim().to_owned();
    if name.is_empty() {
        page.focus = 0;
        model.tell(Tone::Trouble, "the others need a name for you: type one first");
        return Vec::new();
    }
    // Also when it is the one that was offered: whoever has a name is no newcomer the next time.
    model.start.name.set(&name);
    model.start.focus = if model.start.link.text().is_empty() { StartField::Create } else { StartField::Join };
    leave(model);
    keep(model, Setting::NAME, name)
}

fn leave(model: &mut Model) {
    model.rehearsal = None;
    model.mode = if model.view.is_some() { Mode::Call } else { Mode::Start };
    push_level(model, f32::NEG_INFINITY);
}

fn change(model: &mut Model, row: Row, by: isize) -> Vec<Action> {
    let setting = match row {
        Row::Hear => {
            if let Mode::Settings(page) = &mut model.mode {
                page.hear = !page.hear;
            }
            return Vec::new();
        }
        Row::GoOn => return Vec::new(),
        Row::Setting(setting) => setting,
    };
    let now = model.values.get(setting).to_owned();
    let mut choices: Vec<String> = match setting.kind {
        Kind::Choice(words) => words.iter().map(|word| (*word).to_owned()).collect(),
        Kind::Switch => vec!["false".to_owned(), "true".to_owned()],
        // A file is not found by going through all there are.
        Kind::Text(_) if setting == Setting::HRTF => {
            let steam_audio = cfg!(feature = "steam-audio").then_some("steam-audio");
            [setting.default].into_iter().chain(steam_audio).map(str::to_owned).collect()
        }
        Kind::Text(_) => match &model.devices {
            None => {
                model.tell(Tone::Fine, "still looking for devices…");
                return Vec::new();
            }
            Some((inputs, _)) if setting == Setting::INPUT => devices("default", inputs, "silence"),
            Some((_, outputs)) => devices("default", outputs, "null"),
        },
    };
    let at = match choices.iter().position(|choice| *choice == now) {
        Some(at) => at,
        None => {
            choices.push(now);
            choices.len() - 1
        }
    };
    let count = choices.len();
    let value = choices.swap_remove((at + count).saturating_add_signed(by) % count);
    keep(model, setting, value)
}

fn devices(first: &str, names: &[String], last: &str) -> Vec<String> {
    [first].into_iter().chain(names.iter().map(String::as_str)).chain([last]).map(str::to_owned).collect()
}
