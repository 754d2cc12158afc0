//! What can be set, a line each, with what it does at once to see and to hear; for a newcomer the first three of them.

use super::{meter, panel, put, put_all, status, words};
use crate::settings::{Kind, Setting};
use crate::ui::model::{Model, SettingsPage};
use crate::ui::text;
use crate::ui::update::settings::{Row, rows};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Cells of a line before its value.
const WORDS: u16 = 26;

pub(super) fn draw(model: &Model, frame: &mut Frame, area: Rect, page: &SettingsPage) {
    let heading = if page.first_run { "Welcome to resonance" } else { "Settings" };
    let inside = panel(frame, model.theme, area, heading);
    let cells = usize::from(inside.width.saturating_sub(4));
    let mut rest = inside;
    if page.first_run {
        let welcome = "Your name, what you speak into, what you hear with: that is all it takes.";
        let welcome = text::wrap(welcome, cells);
        let lines = welcome.len() as u16 + 1;
        put_all(frame, rest, welcome.into_iter().map(|line| Line::raw(format!("  {line}"))));
        rest = below(rest, lines);
    }
    let rows = rows(model, page);
    let about = rows.get(page.focus).map_or("", |row| about(*row));
    let about = text::wrap(about, cells).into_iter().map(|line| Line::raw(format!("  {line}")));
    let mut words: Vec<Line> = about.chain(super::mistakes(model, usize::from(inside.width))).collect();
    // A level and what is said below have their place also where there are more lines than room.
    let below_them = (words.len() + 1).min(usize::from(rest.height / 2));
    let shown = rows.len().min(usize::from(rest.height) - below_them);
    let first = (page.focus + 2).saturating_sub(shown).min(rows.len() - shown);
    for (index, row) in rows.iter().enumerate().skip(first).take(shown) {
        line(model, frame, rest, page, *row, page.focus == index);
        rest = below(rest, 1);
    }
    if !model.kept_in.is_empty() {
        let kept = format!("  Kept in {}", text::cut(&model.kept_in, cells.saturating_sub(8)));
        words.push(Line::styled(kept, model.theme.faint()));
    }
    // Where all of it would not fit, it does without what is empty.
    let gap = u16::from(words.len() + 3 <= usize::from(rest.height));
    rest = below(rest, gap);
    if let Some((_, output_db)) = model.rehearsal {
        put(frame, rest, Line::from(levels(model, page, output_db)));
        rest = below(rest, 1 + gap);
    } else if let Some(view) = &model.view {
        put(frame, rest, Line::from(status::own(model, view)));
        rest = below(rest, 1 + gap);
    }
    put_all(frame, rest, words);
}

fn below(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect { y: area.y + rows, height: area.height - rows, ..area }
}

fn line(model: &Model, frame: &mut Frame, area: Rect, page: &SettingsPage, row: Row, focused: bool) {
    let theme = model.theme;
    let name = match row {
        Row::Setting(setting) => title(setting),
        Row::Hear => "hear yourself",
        Row::GoOn => "go on",
    };
    let style = if focused { theme.chosen() } else { theme.strong() };
    let marker = if focused { " ▶ " } else { "   " };
    put(frame, area, Line::from_iter([Span::raw(marker), Span::styled(name, style)]));
    let value = Rect { x: area.x + WORDS.min(area.width), width: area.width.saturating_sub(WORDS + 2), ..area };
    let shown = match row {
        Row::Setting(setting) if setting == Setting::NAME => {
            let space = Rect { height: 1, ..value };
            if focused {
                status::typed(frame, space, Span::raw(""), &page.name);
            } else {
                put(frame, space, Line::raw(text::cut(page.name.text(), usize::from(space.width))));
            }
            return;
        }
        Row::Setting(setting) => match (setting.kind, model.values.get(setting)) {
            (Kind::Switch, value) => if value == "true" { "on" } else { "off" }.to_owned(),
            (_, value) => value.to_owned(),
        },
        Row::Hear => if page.hear { "on" } else { "off" }.to_owned(),
        Row::GoOn => return,
    };
    let shown = text::cut(&shown, usize::from(value.width).saturating_sub(4));
    let arrows = |words: &str| match focused {
        true => format!("{} {words} {}", theme.either("‹", "<"), theme.either("›", ">")),
        false => format!("  {words}"),
    };
    put(frame, value, Line::raw(arrows(&shown)));
}

/// How the page calls a setting.
fn title(setting: &Setting) -> &'static str {
    match setting.name {
        "input" => "microphone",
        "output" => "speaker",
        "voice" => "cleaning the voice",
        "voice_engine" => "cleaned by",
        "packet_ms" => "milliseconds a packet",
        "dtx" => "send less in silence",
        "talk" => "talking",
        "ears" => "listening with",
        "acoustics" => "room around voices",
        "hrtf" => "whose ears",
        "theme" => "colours",
        "bell" => "bell",
        "sounds" => "short sounds",
        "desktop" => "desktop notifications",
        "tell_rooms" => "tell LAN rooms",
        "remember" => "remember sessions",
        "name" => "your name",
        name => name,
    }
}

fn about(row: Row) -> &'static str {
    match row {
        Row::Setting(setting) => setting.about,
        Row::Hear => {
            "your own voice, a second later and walking around you, through all that a call does to it: cleaned, coded, sealed, opened, placed. Wear headphones"
        }
        Row::GoOn => "to the ways to meet people",
    }
}

fn levels(model: &Model, page: &SettingsPage, output_db: f32) -> Vec<Span<'static>> {
    let theme = model.theme;
    let mut spans = vec![Span::styled("  you ", theme.strong())];
    spans.extend(meter::wave(theme, &model.wave));
    let newest = model.wave.back().copied().unwrap_or(f32::NEG_INFINITY);
    spans.push(Span::raw(format!("  {}", text::fit(&words::level(newest), 7))));
    if page.hear {
        spans.push(Span::styled("   in your ears ", theme.strong()));
        spans.extend(meter::bar(theme, output_db, 8));
        spans.push(Span::raw(format!("  {}", words::level(output_db))));
    } else {
        spans.push(Span::styled("   speak: it should move", theme.faint()));
    }
    spans
}
