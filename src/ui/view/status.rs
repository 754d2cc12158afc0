//! The header, one's own line, and the two lines at the bottom: what happened, and the keys that matter now.

use super::{hints, meter, put, rule, words};
use crate::command::VERBS;
use crate::session::view::{Invite, Trust, View};
use crate::settings::Setting;
use crate::ui::keymap::{Deed, PAGES};
use crate::ui::layout::{Areas, BAD_LOSS};
use crate::ui::line::Line as Input;
use crate::ui::model::{CommandLine, Mode, Model, StartField, Tone, VerifyPage};
use crate::ui::text;
use ratatui::Frame;
use ratatui::layout::{Position, Rect};
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Clear;

/// Rows that a notice may take; the rest of it is cut off.
const MAX_NOTICE_ROWS: usize = 4;

pub(super) fn header(model: &Model, frame: &mut Frame, area: Rect) {
    let theme = model.theme;
    let mut left = vec![Span::raw(" "), Span::styled("resonance", theme.strong())];
    let mut right = String::new();
    if let Some(view) = &model.view {
        let people = match view.peers.len() {
            0 => text::cut(&view.me.name, 24),
            others => format!("{} people", others + 1),
        };
        let locked = if view.admission.locked { ", locked" } else { "" };
        left.push(Span::raw(format!(" · {people}{locked}")));
        if let Some(who) = recording(view) {
            left.push(Span::raw(" · "));
            left.push(Span::styled(format!("● REC {who}"), theme.alarm()));
        }
        right = match model.unread {
            0 => format!("{} ", words::clock(view.elapsed)),
            unread => format!("{unread} unread · {} ", words::clock(view.elapsed)),
        };
        let taken = left.iter().map(Span::width).sum::<usize>() + text::width(&right) + 1;
        let (number, concern) = reminders(model, view, usize::from(area.width).saturating_sub(taken));
        if let Some(number) = number {
            left.push(Span::raw(format!(" · {number}")));
        }
        if let Some(concern) = concern {
            left.push(Span::raw(" · "));
            left.push(Span::styled(concern, theme.warning()));
        }
    }
    let cells = text::width(&right) as u16;
    put(frame, Rect { width: area.width.saturating_sub(cells + 1), ..area }, Line::from(left));
    put(
        frame,
        Rect { x: area.right().saturating_sub(cells), width: cells, ..area },
        Line::styled(right, theme.faint()),
    );
}

/// Who records.
fn recording(view: &View) -> Option<String> {
    let me = view.me.recording.as_ref().map(|_| "you");
    let mut who = me.into_iter().chain(view.peers.iter().filter(|peer| peer.recording).map(|peer| peer.name.as_str()));
    let first = text::cut(who.next()?, 12);
    Some(match who.count() {
        0 => first,
        more => format!("{first} and {more} more"),
    })
}

/// The first digits of the session's number: enough to notice that it has changed.
fn session_number(model: &Model, view: &View) -> Option<String> {
    match &view.session_number.number {
        Some(number) => Some(format!("session {} …", text::cut(number.get(..11)?, 11))),
        None => {
            (!view.session_number.incomplete.is_empty()).then(|| model.with_key("session incomplete", Deed::Number))
        }
    }
}

/// The session's number and what is to be kept in mind, as they fit: a count before names are cut off, and that before the number.
fn reminders(model: &Model, view: &View, room: usize) -> (Option<String>, Option<String>) {
    let (number, (named, counted)) = (session_number(model, view), concern(view).unzip());
    let cells = |part: &Option<String>| part.as_ref().map_or(0, |text| text::width(text) + 3);
    if cells(&number) + cells(&named) <= room {
        (number, named)
    } else if cells(&number) + cells(&counted) <= room {
        (number, counted)
    } else if cells(&named) <= room {
        (None, named)
    } else {
        (None, counted)
    }
}

/// Who has changed, or is not verified: by name, and counted.
fn concern(view: &View) -> Option<(String, String)> {
    let of = |trust: Trust| view.peers.iter().filter(move |peer| peer.trust == trust);
    let (mut who, count, what) = match of(Trust::Changed).count() {
        0 => (of(Trust::NotVerified), of(Trust::NotVerified).count(), "not verified"),
        changed => (of(Trust::Changed), changed, "CHANGED"),
    };
    let name = text::cut(&who.next()?.name, 16);
    let more = match count {
        1 => String::new(),
        more => format!(" and {} more", more - 1),
    };
    Some((format!("⚠ {name}{more} {what}"), format!("⚠ {count} {what}")))
}

/// One's own microphone, and in a narrow window the chosen person's numbers.
pub(super) fn me(model: &Model, view: &View, frame: &mut Frame, areas: &Areas) {
    let theme = model.theme;
    let area = areas.me;
    put(frame, area, Line::from(own(model, view)));
    if areas.details.is_none()
        && let Some((_, peer)) = model.chosen()
    {
        let style = if peer.loss_up.max(peer.loss_down) >= BAD_LOSS { theme.warning() } else { theme.faint() };
        let numbers = format!(
            "{}: lost {} here, {} there · buffer {:.0} ms ",
            text::cut(&peer.name, 12),
            words::percent(peer.loss_down),
            words::percent(peer.loss_up),
            peer.jitter_buffer_ms
        );
        let cells = (text::width(&numbers) as u16).min(area.width);
        let at = Rect { x: area.right().saturating_sub(cells), width: cells, ..area };
        // One's own state comes first: the numbers go where they do not cover it.
        if usize::from(area.width - cells) > Line::from(own(model, view)).width() {
            put(frame, at, Line::styled(numbers, style));
        }
    }
}

/// What the others hear of me.
pub(super) fn own(model: &Model, view: &View) -> Vec<Span<'static>> {
    let theme = model.theme;
    let mut spans = vec![Span::styled("  you ", theme.strong())];
    if view.me.recording.is_some() {
        spans.push(Span::styled(model.with_key("● REC", Deed::Record), theme.alarm()));
        spans.push(Span::raw("  "));
    }
    if view.me.muted {
        spans.push(Span::styled(model.with_key("muted: nobody hears you", Deed::Mute), theme.warning()));
    } else {
        spans.extend(meter::wave(theme, &model.wave));
        spans.push(Span::raw(format!("  {}", words::level(view.me.level_db))));
        if view.me.speaking {
            spans.push(Span::styled("  speaking", theme.speaking()));
        }
    }
    if view.me.deafened {
        spans.push(Span::styled(model.with_key("  deafened: you hear nobody", Deed::Deafen), theme.warning()));
    }
    spans
}

pub(super) fn bottom(model: &Model, frame: &mut Frame, areas: &Areas) {
    notice(model, frame, areas);
    let (theme, area) = (model.theme, areas.keys);
    match &model.mode {
        Mode::CommandLine(state) => typed(frame, area, Span::styled(" :", theme.key()), &state.line),
        Mode::Write => typed(frame, area, Span::styled(" say: ", theme.key()), &model.draft),
        _ => {
            let keys = keys(model);
            put(frame, area, hints(theme, &keys, usize::from(area.width)));
        }
    }
}

/// A line that is being typed, with the terminal's own cursor in it.
pub(super) fn typed(frame: &mut Frame, area: Rect, prompt: Span<'static>, input: &Input) {
    let prompt_cells = prompt.width() as u16;
    let cells = area.width.saturating_sub(prompt_cells);
    let (shown, column) = input.window(usize::from(cells));
    put(frame, area, Line::from_iter([prompt, Span::raw(shown)]));
    let x = area.x + prompt_cells.saturating_add(column as u16).min(area.width.saturating_sub(1));
    frame.set_cursor_position(Position::new(x, area.y));
}

/// The rule above the keys; when there is something to say it says that, upwards over as many rows as that takes.
fn notice(model: &Model, frame: &mut Frame, areas: &Areas) {
    let (theme, area) = (model.theme, areas.rule);
    let Some((words, style)) = message(model) else {
        rule(frame, theme, area, "");
        return;
    };
    let lines = text::wrap(&words, usize::from(area.width.saturating_sub(2)));
    let rows = lines.len().min(MAX_NOTICE_ROWS) as u16;
    let top = area.bottom().saturating_sub(rows).max(areas.header.bottom());
    let place = Rect { y: top, height: area.bottom().saturating_sub(top), ..area };
    frame.render_widget(Clear, place);
    for (y, line) in (place.y..place.bottom()).zip(lines) {
        put(frame, Rect { y, ..area }, Line::styled(format!(" {line}"), style));
    }
}

fn message(model: &Model) -> Option<(String, Style)> {
    let theme = model.theme;
    if let Mode::CommandLine(state) = &model.mode
        && let Some(message) = about_command(state)
    {
        return Some(match state.error {
            Some(_) => (message, theme.warning()),
            None => (message, Style::new()),
        });
    }
    if let Some(notice) = &model.notice {
        return Some(match notice.tone {
            Tone::Fine => (notice.text.clone(), Style::new()),
            Tone::Trouble => (format!("⚠ {}", notice.text), theme.warning()),
        });
    }
    if model.mode == Mode::Leave {
        return Some(("Leave the session? The others go on without you.".to_owned(), theme.strong()));
    }
    if let Some(knocking) = model.view.as_ref().and_then(|view| knocking(model, view)) {
        return Some((knocking, theme.strong()));
    }
    if matches!(model.mode, Mode::Invite | Mode::Stats) || model.alone() {
        // These pages list all of them.
        return None;
    }
    let mut troubles = model.view.as_ref()?.troubles();
    let first = troubles.next()?;
    let more = match troubles.count() {
        0 => String::new(),
        more => model.with_key(&format!(" and {more} more"), Deed::Stats),
    };
    Some((format!("⚠ {first}{more}"), theme.warning()))
}

/// Who knocks, and what to do about it.
fn knocking(model: &Model, view: &View) -> Option<String> {
    let (first, more) = view.admission.knocks.split_first()?;
    let name = text::cut(&first.name, 24);
    let more = match more.len() {
        0 => String::new(),
        more => format!(" ({more} more)"),
    };
    Some(match view.admission.i_decide {
        true => {
            let (admit, refuse) = (model.key(Deed::Admit), model.key(Deed::Refuse));
            format!("{name} wants to come in{more} · {admit} admit · {refuse} refuse")
        }
        false => format!("{name} knocks{more}: the host lets in or refuses"),
    })
}

/// What helps with the command that is being typed: the error, what Tab goes through, or the verb's row of the table.
fn about_command(state: &CommandLine) -> Option<String> {
    if let Some(error) = &state.error {
        return Some(format!("⚠ {error}"));
    }
    if let Some((list, at)) = &state.completion {
        let word = |(index, text): (usize, &String)| match index == *at {
            true => format!("[{}]", text.trim()),
            false => text.trim().to_owned(),
        };
        return Some(list.iter().enumerate().map(word).collect::<Vec<_>>().join("  "));
    }
    let typed = state.line.text().trim_start().trim_start_matches(['/', ':']);
    let word = typed.split_whitespace().next()?;
    if let Some((name, _, help)) = PAGES.iter().find(|(name, ..)| *name == word) {
        return Some(format!("{name}: {help}"));
    }
    let verb = VERBS.iter().find(|verb| verb.name == word)?;
    Some(format!("{} {}: {}", verb.name, verb.arguments, verb.help).replace(" :", ":"))
}

/// The keys that matter now.
fn keys(model: &Model) -> Vec<(String, String)> {
    let theme = model.theme;
    let hint = |key: &str, words: &str| (key.to_owned(), words.to_owned());
    let deed = |deed: Deed, words: &str| (model.key(deed), words.to_owned());
    let enter = theme.either("⏎", "Enter");
    let arrows = theme.either("↑↓", "Up/Down");
    let muted = model.view.as_ref().is_some_and(|view| view.me.muted);
    let mute = match (model.values.get(Setting::TALK), model.releases_keys) {
        ("push", true) => deed(Deed::Talk, "hold to talk"),
        _ => deed(Deed::Mute, if muted { "unmute" } else { "mute" }),
    };
    let has_link = model.view.as_ref().is_some_and(|view| matches!(view.invite, Invite::Link(_)));
    let copy = has_link.then(|| deed(Deed::Copy, "copy link")).into_iter();
    let hints = match &model.mode {
        Mode::Start => {
            let forget = matches!(model.start.focus, StartField::Recent(_));
            let forget = forget.then(|| [hint("x", "forget it"), hint("X", "forget all")]).into_iter().flatten();
            let rest = [hint("F1", "help"), hint("Ctrl-C", "quit")];
            [hint(arrows, "choose"), hint(enter, "go on")].into_iter().chain(forget).chain(rest).collect()
        }
        Mode::Settings(page) => {
            let back = if page.first_run { hint("Ctrl-C", "quit") } else { hint("Esc", "back") };
            vec![hint(arrows, "choose"), hint(theme.either("←→", "Left/Right"), "change"), hint(enter, "go on"), back]
        }
        Mode::Opening(_) => vec![hint("q", "give up")],
        Mode::Alarm(_) => vec![hint(enter, "back to the start"), hint("q", "quit")],
        Mode::Help { .. } => vec![hint(arrows, "scroll"), hint("PgDn", "further"), hint("Esc", "back")],
        Mode::Leave => vec![hint("q", "leave the others"), hint("Esc", "stay")],
        Mode::Call | Mode::Invite | Mode::Code | Mode::Stats | Mode::Number | Mode::Events { .. }
            if model.standing_alarm().is_some() =>
        {
            vec![hint("v", "compare"), hint("d", "go on"), hint("m", &mute.1), hint("q", "leave")]
        }
        Mode::Verify(state) => verify_keys(model, &state.page),
        Mode::Number => vec![mute, deed(Deed::Verify, "compare with one person"), hint("Esc", "back")],
        Mode::Events { .. } => vec![hint(arrows, "scroll"), hint("PgUp", "further"), mute, hint("Esc", "back")],
        Mode::Stats | Mode::Code => vec![mute, hint("Esc", "back")],
        Mode::Invite => copy.chain([mute, hint("Esc", "back")]).collect(),
        _ if model.alone() => {
            let rest = [
                deed(Deed::Code, "code"),
                mute,
                deed(Deed::Stats, "measurements"),
                deed(Deed::Settings, "settings"),
                deed(Deed::CommandLine, "command"),
                deed(Deed::Help, "help"),
                deed(Deed::Quit, "leave"),
            ];
            copy.chain(rest).collect()
        }
        _ => {
            let number = match model.chosen() {
                Some((_, peer)) if peer.trust != Trust::Verified => format!("verify {}", text::cut(&peer.name, 12)),
                _ => "safety number".to_owned(),
            };
            let moves = [Deed::Left, Deed::Back, Deed::Ahead, Deed::Right].map(|deed| model.key(deed)).concat();
            vec![
                mute,
                deed(Deed::Verify, &number),
                deed(Deed::Write, "write"),
                hint(&(model.key(Deed::Previous) + &model.key(Deed::Next)), "choose"),
                hint(&moves, "move"),
                deed(Deed::Invite, "invite"),
                deed(Deed::Deafen, "deafen"),
                deed(Deed::Settings, "settings"),
                deed(Deed::CommandLine, "command"),
                deed(Deed::Help, "help"),
                deed(Deed::Quit, "leave"),
            ]
        }
    };
    // A deed whose keys were taken away has nothing to hint at.
    hints.into_iter().filter(|(key, _)| !key.is_empty()).collect()
}

fn verify_keys(model: &Model, page: &VerifyPage) -> Vec<(String, String)> {
    let hint = |key: &str, words: &str| (key.to_owned(), words.to_owned());
    match page {
        _ if !matches!(&model.mode, Mode::Verify(state) if model.peer(&state.peer).is_some()) => {
            vec![hint("Esc", "back")]
        }
        VerifyPage::Compare => vec![hint("y", "they match"), hint("n", "they differ"), hint("Esc", "back")],
        VerifyPage::Differ(_) => vec![hint("o", "open the sound again"), hint("q", "leave"), hint("Esc", "back")],
    }
}
