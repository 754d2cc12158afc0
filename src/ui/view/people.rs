//! The people here: who speaks, whom one can trust, what is wrong.

use super::{meter, panel, put, words};
use crate::session::view::{Connection, PeerView, Trust, View};
use crate::ui::layout::{BAD_LOSS, Detail, SOME_LOSS, has_problem, seats};
use crate::ui::model::Model;
use crate::ui::text;
use crate::ui::theme::Theme;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};

pub(super) fn draw(model: &Model, view: &View, frame: &mut Frame, area: Rect) {
    let theme = model.theme;
    let inside = panel(frame, theme, area, "People");
    let chosen = model.chosen().map(|(index, _)| index);
    let (detail, seats) = seats(&view.peers, chosen, inside.height);
    for seat in seats {
        let Some(peer) = view.peers.get(seat.peer) else { continue };
        let cells = usize::from(inside.width);
        let is_chosen = chosen == Some(seat.peer);
        let lines = match detail {
            Detail::Card | Detail::Tight => card(theme, peer, is_chosen, cells, detail),
            Detail::Row => vec![row(theme, peer, is_chosen, cells)],
        };
        for (line, y) in lines.into_iter().zip(inside.y + seat.top..inside.bottom()) {
            put(frame, Rect { y, height: 1, ..inside }, line);
        }
    }
}

fn marker(is_chosen: bool) -> &'static str {
    if is_chosen { "▶ " } else { "  " }
}

fn name_style(theme: Theme, peer: &PeerView, is_chosen: bool) -> Style {
    let style = if peer.speaking { theme.speaking() } else { theme.strong() };
    if is_chosen { style.patch(theme.chosen()) } else { style }
}

/// The name in so many cells, and beside it that its owner records: that is never cut off.
fn named(theme: Theme, peer: &PeerView, is_chosen: bool, cells: usize) -> [Span<'static>; 3] {
    let mark = match (peer.recording, cells) {
        (false, _) => "",
        (true, 0..12) => " ●",
        (true, _) => " ● REC",
    };
    let name = text::cut(&peer.name, cells.saturating_sub(text::width(mark)));
    let gap = cells.saturating_sub(text::width(&name) + text::width(mark));
    let name = Span::styled(name, name_style(theme, peer, is_chosen));
    [name, Span::styled(mark, theme.alarm()), Span::raw(" ".repeat(gap))]
}

/// What the person does, in a word: at most 8 cells.
fn state(theme: Theme, peer: &PeerView) -> Span<'static> {
    match peer {
        _ if peer.is_silenced() => Span::styled("silenced", theme.warning()),
        PeerView { deafened: true, .. } => Span::styled("deafened", theme.warning()),
        PeerView { muted: true, .. } => Span::styled("muted", theme.warning()),
        PeerView { speaking: true, .. } => Span::styled("speaking", theme.speaking()),
        _ => Span::raw(""),
    }
}

fn trust(theme: Theme, trust: Trust) -> Style {
    match trust {
        Trust::Verified => theme.good(),
        Trust::NotVerified => theme.warning(),
        Trust::Changed => theme.alarm(),
    }
}

fn connection(theme: Theme, peer: &PeerView) -> Style {
    match peer.connection {
        Connection::Direct | Connection::Relayed | Connection::Member => Style::new(),
        Connection::Connecting => theme.faint(),
        Connection::Reconnecting { .. } => theme.warning(),
    }
}

/// Two or three lines: name, meter, state; trust and connection; what is wrong.
fn card(theme: Theme, peer: &PeerView, is_chosen: bool, cells: usize, detail: Detail) -> Vec<Line<'static>> {
    let bar_cells = if cells < 32 { 4 } else { 8 };
    // After the name: blank, meter, blank, state of 8 cells.
    let name_cells = cells.saturating_sub(2 + 1 + bar_cells + 1 + 8);
    let mut first = vec![Span::raw(marker(is_chosen))];
    first.extend(named(theme, peer, is_chosen, name_cells));
    first.push(Span::raw(" "));
    first.extend(meter::bar(theme, peer.level_db, bar_cells));
    first.push(Span::raw(" "));
    first.push(state(theme, peer));

    let trust_cells = 14.min(cells / 2);
    let path_cells = cells.saturating_sub(2 + trust_cells + 1);
    let loss = peer.loss_up.max(peer.loss_down);
    let words = words::path(&peer.connection);
    // What is wrong comes before who is the host.
    let host = Some(host(peer)).filter(|host| text::width(host) + text::width(&words) <= path_cells);
    let mut path = format!("{}{words}", host.unwrap_or_default());
    let mut path_style = connection(theme, peer);
    if detail == Detail::Tight && has_problem(peer) && loss >= BAD_LOSS {
        (path, path_style) = (format!("{} lost", words::percent(loss)), theme.warning());
    } else if let Some(round_trip) = words::round_trip(peer) {
        let gap = path_cells.saturating_sub(text::width(&path) + text::width(&round_trip)).max(1);
        path = format!("{path}{}{round_trip}", " ".repeat(gap));
    }
    let second = [
        Span::raw("  "),
        Span::styled(text::fit(words::trust(peer.trust), trust_cells), trust(theme, peer.trust)),
        Span::raw(" "),
        Span::styled(text::cut(&path, path_cells), path_style),
    ];
    let mut lines = vec![Line::from(first), Line::from_iter(second)];
    if detail == Detail::Card && has_problem(peer) {
        let style = if loss >= BAD_LOSS { theme.warning() } else { theme.faint() };
        lines.push(Line::styled(format!("    {}", text::cut(&problem(peer), cells.saturating_sub(4))), style));
    }
    lines
}

/// Who decides about coming in is marked where a name cannot get to.
fn host(peer: &PeerView) -> &'static str {
    if peer.host { "host · " } else { "" }
}

fn problem(peer: &PeerView) -> String {
    let badly = |loss: f32| if loss >= BAD_LOSS { " badly" } else { "" };
    let (here, there) = (words::percent(peer.loss_down), words::percent(peer.loss_up));
    match (peer.loss_down >= SOME_LOSS, peer.loss_up >= SOME_LOSS) {
        (true, true) => format!("lost: {here} here, {there} there"),
        (true, false) => format!("reaches you{}: {here} lost", badly(peer.loss_down)),
        _ => format!("receives you{}: {there} lost", badly(peer.loss_up)),
    }
}

/// Everything that matters in a single line, for a full room in a low window.
fn row(theme: Theme, peer: &PeerView, is_chosen: bool, cells: usize) -> Line<'static> {
    let sign = match peer.trust {
        Trust::Verified => "✓",
        Trust::NotVerified => "?",
        Trust::Changed => "⚠",
    };
    let loss = peer.loss_up.max(peer.loss_down);
    let (words, style) = match &peer.connection {
        stands if stands.stands() && (peer.deafened || peer.muted || peer.is_silenced()) => {
            (state(theme, peer).content.into_owned(), theme.warning())
        }
        stands if stands.stands() && loss >= BAD_LOSS => (format!("{} lost", words::percent(loss)), theme.warning()),
        stands if stands.stands() => {
            let round_trip = words::round_trip(peer).unwrap_or_default();
            (format!("{}{} {round_trip}", host(peer), words::path(stands)), Style::new())
        }
        other => (words::path(other), connection(theme, peer)),
    };
    // Marker 2, blank, meter 4, blank, `))` 2, blank, sign, blank; the words take a third of the row.
    let words_cells = (cells / 3 + 1).max(9);
    let name_cells = cells.saturating_sub(2 + 1 + 4 + 1 + 2 + 1 + 1 + 1 + words_cells);
    let mut spans = vec![Span::raw(marker(is_chosen))];
    let [name, mark, gap] = named(theme, peer, is_chosen, name_cells);
    spans.extend([name, mark, gap.style(name_style(theme, peer, is_chosen)), Span::raw(" ")]);
    spans.extend(meter::bar(theme, peer.level_db, 4));
    spans.push(Span::styled(if peer.speaking { " )) " } else { "    " }, theme.speaking()));
    spans.push(Span::styled(sign, trust(theme, peer.trust)));
    spans.push(Span::styled(format!(" {}", text::cut(&words, words_cells)), style));
    Line::from(spans)
}
