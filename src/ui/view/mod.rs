//! The drawing: the whole screen from the model alone.

mod alarm;
mod code;
mod details;
pub(super) mod events;
pub(super) mod help;
mod invite;
mod meter;
mod number;
mod page;
mod people;
mod qr;
mod room;
mod settings;
mod start;
mod stats;
mod status;
mod talk;
mod verify;
mod words;

use super::layout::{self, Areas, SMALLEST};
use super::model::{Mode, Model};
use super::text;
use super::theme::Theme;
use crate::session::view::View;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear};

/// Draws the screen, whatever its size.
pub fn view(model: &Model, frame: &mut Frame) {
    let screen = frame.area();
    if screen.width < SMALLEST.0 || screen.height < SMALLEST.1 {
        too_small(frame, model.theme);
    } else {
        let peers = model.view.as_ref().map_or(&[][..], |view| &view.peers);
        draw(model, frame, &layout::areas(screen, peers));
    }
    text::scrub(frame.buffer_mut(), model.theme.glyphs);
}

fn draw(model: &Model, frame: &mut Frame, areas: &Areas) {
    match (&model.mode, &model.view) {
        (Mode::Help { scroll }, _) => {
            status::header(model, frame, areas.header);
            help::draw(model, frame, areas.body, *scroll);
        }
        (Mode::Alarm(failure), _) => alarm::draw(model.theme, frame, areas.body, failure),
        (Mode::Opening(doing), _) => start::opening(model, frame, areas.body, doing),
        (Mode::Settings(page), _) => {
            status::header(model, frame, areas.header);
            settings::draw(model, frame, areas.body, page);
        }
        (Mode::Start, _) | (_, None) => start::draw(model, frame, areas.body),
        (_, Some(view)) => {
            status::header(model, frame, areas.header);
            session(model, view, frame, areas);
        }
    }
    status::bottom(model, frame, areas);
}

fn session(model: &Model, view: &View, frame: &mut Frame, areas: &Areas) {
    if let Some(alarm) = model.standing_alarm() {
        return alarm::standing(model, frame, areas.body, alarm, view.alarms.len() - 1);
    }
    match &model.mode {
        Mode::Verify(state) => verify::draw(model, frame, areas.body, state),
        Mode::Number => number::draw(model.theme, view, frame, areas.body),
        Mode::Stats => stats::draw(model, view, frame, areas.body),
        Mode::Events { up } => events::draw(model, frame, areas.body, *up),
        Mode::Code => code::draw(model.theme, view, frame, areas.body),
        Mode::Invite => invite::draw(model, view, frame, areas.body),
        _ if view.peers.is_empty() => invite::draw(model, view, frame, areas.body),
        _ => {
            people::draw(model, view, frame, areas.people);
            room::draw(model, view, frame, areas.room);
            if let Some(area) = areas.details {
                details::draw(model, frame, area);
            }
            talk::draw(model, view, frame, areas.talk);
            status::me(model, view, frame, areas);
        }
    }
}

fn too_small(frame: &mut Frame, theme: Theme) {
    let screen = frame.area();
    let (columns, rows) = SMALLEST;
    let words = format!("make the window larger: {columns}×{rows} at least, now {}×{}", screen.width, screen.height);
    let words = words.replace('×', theme.either("×", "x"));
    for (row, line) in (screen.y..screen.bottom()).zip(text::wrap(&words, usize::from(screen.width))) {
        put(frame, Rect { y: row, height: 1, ..screen }, Line::styled(line, theme.warning()));
    }
}

/// Draws one line at the top of an area, cut at its right edge.
fn put<'a>(frame: &mut Frame, area: Rect, line: impl Into<Line<'a>>) {
    let area = Rect { height: area.height.min(1), ..area }.intersection(frame.area());
    frame.render_widget(line.into(), area);
}

/// Draws lines from above, as many as the area has rows.
fn put_all<'a>(frame: &mut Frame, area: Rect, lines: impl IntoIterator<Item = Line<'a>>) {
    for (row, line) in (area.y..area.bottom()).zip(lines) {
        put(frame, Rect { y: row, height: 1, ..area }, line);
    }
}

/// A frame with a heading; returns what is inside.
fn panel(frame: &mut Frame, theme: Theme, area: Rect, heading: &str) -> Rect {
    let heading =
        Span::styled(format!(" {} ", text::cut(heading, usize::from(area.width.saturating_sub(4)))), theme.strong());
    frame.render_widget(Clear, area);
    frame.render_widget(Block::bordered().border_style(theme.faint()).title(heading), area);
    layout::inside(area)
}

/// A rule across the screen with a heading in it; what lies below it can be selected with the mouse without a frame in it.
fn rule(frame: &mut Frame, theme: Theme, area: Rect, heading: &str) {
    let cells = usize::from(area.width);
    let heading =
        if heading.is_empty() { String::new() } else { format!(" {} ", text::cut(heading, cells.saturating_sub(4))) };
    let rest = cells.saturating_sub(1 + text::width(&heading));
    let line = [
        Span::styled("─", theme.faint()),
        Span::styled(heading, theme.strong()),
        Span::styled("─".repeat(rest), theme.faint()),
    ];
    put(frame, area, Line::from_iter(line));
}

/// What is wrong with the file of settings, in lines of so many cells.
fn mistakes(model: &Model, cells: usize) -> Vec<Line<'static>> {
    /// More of them are counted.
    const NAMED: usize = 2;
    let mut told: Vec<String> = model.mistakes.iter().take(NAMED).map(|mistake| format!("⚠ {mistake}")).collect();
    if let Some(more) = model.mistakes.len().checked_sub(NAMED + 1) {
        told.push(format!("  and {} more: resonance config show", more + 1));
    }
    let lines = told.into_iter().flat_map(|mistake| text::wrap(&mistake, cells.saturating_sub(4)));
    lines.map(|line| Line::styled(format!("  {line}"), model.theme.warning())).collect()
}

/// `key words   key words …`, from which those before the last two are left out when there is no room for them.
fn hints(theme: Theme, hints: &[(String, String)], cells: usize) -> Line<'static> {
    let wide = |(key, words): &(String, String)| text::width(key) + 1 + text::width(words) + 2;
    let kept_last = hints.len().saturating_sub(2);
    let mut left = cells.saturating_sub(1 + hints[kept_last..].iter().map(wide).sum::<usize>());
    let mut spans = vec![Span::raw(" ")];
    for (index, hint) in hints.iter().enumerate() {
        let cells = wide(hint);
        if index < kept_last {
            if cells > left {
                continue;
            }
            left -= cells;
        }
        spans.push(Span::styled(hint.0.clone(), theme.key()));
        spans.push(Span::raw(format!(" {}  ", text::plain(&hint.1))));
    }
    Line::from(spans)
}
