//! The start screen's keys: a form of three fields, and lines to choose from.

use super::typing::{Edit, edit};
use crate::ui::menu;
use crate::ui::message::{Action, StartChoice};
use crate::ui::model::{Mode, Model, StartField, Tone};
use crossterm::event::{KeyCode, KeyEvent};

/// What every link begins with.
const SCHEME: &str = "resonance:";

pub(super) fn key(model: &mut Model, event: KeyEvent) -> Vec<Action> {
    match event.code {
        KeyCode::Up | KeyCode::BackTab => step(model, -1),
        KeyCode::Down | KeyCode::Tab => step(model, 1),
        KeyCode::Enter => return enter(model),
        KeyCode::F(1) => model.mode = Mode::Help { scroll: 0 },
        _ => {
            let field = match model.start.focus {
                StartField::Name => &mut model.start.name,
                StartField::Join => &mut model.start.link,
                StartField::Lan => &mut model.start.room,
                _ => return menu_key(model, event),
            };
            if edit(field, event) == Edit::Full {
                model.tell(Tone::Trouble, "that is too long: not all of it fitted");
            }
        }
    }
    Vec::new()
}

fn menu_key(model: &mut Model, event: KeyEvent) -> Vec<Action> {
    match event.code {
        KeyCode::Char('q') => return vec![Action::Quit],
        KeyCode::Char('?') => model.mode = Mode::Help { scroll: 0 },
        KeyCode::Char('x') | KeyCode::Delete => {
            if let StartField::Recent(choice) = &model.start.focus {
                return vec![Action::Forget(Some(choice.clone()))];
            }
        }
        KeyCode::Char('X') if matches!(model.start.focus, StartField::Recent(_)) => return vec![Action::Forget(None)],
        _ => {}
    }
    Vec::new()
}

/// Goes so many lines down, and round.
pub(super) fn step(model: &mut Model, by: isize) {
    let fields = menu::fields(model);
    let at = fields.iter().position(|field| *field == model.start.focus).unwrap_or(0);
    let next = (at as isize + by).rem_euclid(fields.len() as isize);
    if let Some(field) = fields.into_iter().nth(next as usize) {
        model.start.focus = field;
    }
}

/// A line that is gone cannot stay chosen: what was above it is.
pub(super) fn keep_focus(model: &mut Model) {
    if !menu::fields(model).contains(&model.start.focus) {
        model.start.focus = StartField::Lan;
    }
}

/// Chooses the line there; what is chosen already and takes no text is done.
pub(super) fn press(model: &mut Model, row: usize) -> Vec<Action> {
    let Some(menu::Row::Field(field)) = menu::rows(model).into_iter().nth(row) else { return Vec::new() };
    let again = model.start.focus == field;
    let writes = matches!(field, StartField::Name | StartField::Join | StartField::Lan);
    model.start.focus = field;
    if again && !writes { enter(model) } else { Vec::new() }
}

fn enter(model: &mut Model) -> Vec<Action> {
    keep_focus(model);
    let start = &mut model.start;
    let name = start.name.text().trim().to_owned();
    if start.focus == StartField::Quit {
        return vec![Action::Quit];
    }
    if start.focus == StartField::Settings {
        super::settings::open(model);
        return Vec::new();
    }
    if name.is_empty() {
        start.focus = StartField::Name;
        model.tell(Tone::Trouble, "the others need a name for you: type one first");
        return Vec::new();
    }
    let room = start.room.text().trim().to_owned();
    let link = start.link.text().trim().to_owned();
    let looking = |room: &str| format!("Looking for the room “{room}” on this network…");
    let (choice, doing) = match &start.focus {
        StartField::Name => {
            start.focus = if link.is_empty() { StartField::Create } else { StartField::Join };
            return Vec::new();
        }
        StartField::Join if link.is_empty() => {
            model.tell(Tone::Trouble, "paste the link that you were sent, or type it");
            return Vec::new();
        }
        StartField::Lan if room.is_empty() => {
            model.tell(Tone::Trouble, "type the name of a room; everybody in it types the same");
            return Vec::new();
        }
        StartField::Join => (StartChoice::Join(link), "Joining…".to_owned()),
        StartField::Recent(choice @ StartChoice::Join(_)) => (choice.clone(), "Joining…".to_owned()),
        StartField::Lan => (StartChoice::Lan(room.clone()), looking(&room)),
        StartField::Room(room) | StartField::Recent(StartChoice::Lan(room)) => {
            (StartChoice::Lan(room.clone()), looking(room))
        }
        StartField::Create | StartField::Recent(StartChoice::Create) | StartField::Settings | StartField::Quit => {
            (StartChoice::Create, "Making a session…".to_owned())
        }
    };
    model.mode = Mode::Opening(doing);
    model.notice = None;
    model.seeking.clear();
    vec![Action::Start { name, choice }]
}

/// Whether there may be a link in a text.
pub(super) fn holds_link(text: &str) -> bool {
    text.to_ascii_lowercase().contains(SCHEME)
}

/// A link goes to its field wherever the cursor is, without the words before it; other text goes where it would be typed.
pub(super) fn paste(model: &mut Model, text: &str) {
    let start = &mut model.start;
    let fitted = if let Some(at) = text.to_ascii_lowercase().find(SCHEME) {
        start.focus = StartField::Join;
        let fitted = start.link.set(text.get(at..).unwrap_or(text));
        // So that the field shows how the link begins.
        start.link.home();
        model.tell(Tone::Fine, "a link: Enter joins");
        fitted || model.start.link.text().len() > SCHEME.len()
    } else {
        match start.focus {
            StartField::Name => start.name.insert(text),
            StartField::Lan => start.room.insert(text),
            // A link may have lost its beginning: whoever reads it says what is wrong with it.
            StartField::Join => start.link.insert(text),
            _ => {
                model.tell(Tone::Trouble, "there is no link in what you pasted: a link begins with resonance:");
                true
            }
        }
    };
    if !fitted {
        model.tell(Tone::Trouble, "that is too long: not all of it fitted");
    }
}
