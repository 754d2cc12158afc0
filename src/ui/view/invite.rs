//! How people come in: while alone the link is what the screen is about.

use super::{put, put_all, rule, status, talk, words};
use crate::session::view::{Invite, View};
use crate::ui::keymap::Deed;
use crate::ui::model::Model;
use crate::ui::text;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use std::time::Duration;

pub(super) fn draw(model: &Model, view: &View, frame: &mut Frame, area: Rect) {
    let theme = model.theme;
    // No frame at the sides: whoever selects the link with the mouse gets the link and nothing else.
    rule(frame, theme, area, "Invite");
    let invitation = invitation(model, view, usize::from(area.width));
    let rows = (invitation.len() as u16).min(area.height.saturating_sub(1));
    put_all(frame, Rect { y: area.y + 1, height: rows, ..area }, invitation);
    let mut rest = below(area, 1 + rows);
    rule(frame, theme, rest, "");
    rest = below(rest, 1);
    for line in alone(model, view, usize::from(area.width)) {
        put(frame, rest, line);
        rest = below(rest, 1);
    }
    rest = below(rest, 1);
    talk::lines(model, view, frame, rest);
}

fn below(area: Rect, rows: u16) -> Rect {
    let rows = rows.min(area.height);
    Rect { y: area.y + rows, height: area.height - rows, ..area }
}

fn invitation(model: &Model, view: &View, cells: usize) -> Vec<Line<'static>> {
    let theme = model.theme;
    let indented =
        |words: &str| text::wrap(words, cells.saturating_sub(4)).into_iter().map(|line| Line::raw(format!("  {line}")));
    let mut lines = Vec::new();
    match &view.invite {
        Invite::Link(link) => {
            lines.extend(indented("Send this link to the people you want to talk to:"));
            lines.push(Line::default());
            let link = text::wrap(link, cells.saturating_sub(4));
            lines.extend(link.into_iter().map(|part| Line::styled(format!("  {part}"), theme.hero())));
            lines.push(Line::default());
            lines.extend(indented(match view.admission.locked {
                false => "Whoever has it can come in: send it only to them, and compare safety numbers.",
                true => "The session is locked: whoever has it has to knock, and is let in or refused.",
            }));
            match view.admission.expires_in {
                Some(Duration::ZERO) => lines.extend(indented("It has expired: nobody new can come in by it.")),
                Some(left) => lines.extend(indented(&format!("It expires in {}.", words::span(left)))),
                None => {}
            }
            lines.push(Line::from_iter([
                Span::styled(format!("  {}", model.key(Deed::Copy)), theme.key()),
                Span::raw(" copy (or select it with Shift and the mouse)"),
            ]));
        }
        Invite::Lan { room } => {
            lines.extend(indented("Open to everyone on this network, by the name of the room:"));
            lines.push(Line::default());
            lines.push(Line::styled(format!("  {}", text::cut(room, cells.saturating_sub(4))), theme.hero()));
            lines.push(Line::default());
            lines.extend(indented(&format!("They choose “Meet on this network”, or type: {}", lan_command(room))));
            lines.extend(indented("The name is no secret on this network: compare safety numbers."));
        }
    }
    lines
}

/// What others type to come into the room of this name.
fn lan_command(room: &str) -> String {
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    match room {
        "lobby" => "resonance lan".to_owned(),
        _ if room.chars().all(bare) && !room.starts_with('-') => format!("resonance lan --room {room}"),
        _ => "resonance lan --room \"…\"".to_owned(),
    }
}

fn alone(model: &Model, view: &View, cells: usize) -> Vec<Line<'static>> {
    let theme = model.theme;
    let devices = |cells: usize| {
        let half = cells.saturating_sub(26) / 2;
        format!("  microphone: {}   speaker: {}", text::cut(&view.me.input, half), text::cut(&view.me.output, half))
    };
    let mut lines = vec![Line::raw(format!("  {}", text::cut(&view.reach, cells.saturating_sub(4)))), Line::default()];
    let nobody = view.peers.is_empty();
    if nobody && !view.me.muted && view.me.input != "none" {
        lines.push(Line::raw("  Speak to test your microphone; nobody hears you yet:"));
    }
    lines.push(Line::from(status::own(model, view)));
    lines.push(Line::styled(devices(cells), theme.faint()));
    for problem in view.troubles().take(3) {
        let wrapped = text::wrap(&format!("⚠ {problem}"), cells.saturating_sub(4));
        lines.extend(wrapped.into_iter().map(|line| Line::styled(format!("  {line}"), theme.warning())));
    }
    lines.extend(super::mistakes(model, cells));
    lines
}
