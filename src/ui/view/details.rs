//! Everything about the chosen person, where the window is wide enough to keep it open.

use super::{meter, panel, put_all, words};
use crate::session::latency::MouthToEar;
use crate::session::view::PeerView;
use crate::ui::history::{History, QUIET_DB, SECONDS};
use crate::ui::model::Model;
use crate::ui::text;
use crate::ui::theme::Theme;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use std::collections::VecDeque;

/// What fills a minute's curve: a delay that people begin to notice, in ms, …
const FULL_MS: f32 = 200.0;
/// … jitter that no buffer hides for long, in ms, …
const FULL_JITTER_MS: f32 = 50.0;
/// … and a loss that conceals nothing any more, 0–1.
const FULL_LOSS: f32 = 0.2;

pub(super) fn draw(model: &Model, frame: &mut Frame, area: Rect) {
    let theme = model.theme;
    let Some((_, peer)) = model.chosen() else {
        panel(frame, theme, area, "Details");
        return;
    };
    let inside = panel(frame, theme, area, &peer.name);
    let facing_deg = model.view.as_ref().map_or(0.0, |view| view.me.facing_deg);
    let cells = usize::from(inside.width);
    let row = |what: &str, value: String| {
        let value = text::cut(&value, cells.saturating_sub(13));
        Line::from_iter([Span::styled(format!(" {what:<11} "), theme.faint()), Span::raw(value)])
    };
    let none = History::default();
    let history = model.minutes.get(&peer.id).unwrap_or(&none);
    let minute = |values: &VecDeque<f32>, full: f32| {
        let drawn = meter::spark(values, full, cells.saturating_sub(13).min(SECONDS));
        Line::styled(format!(" {:<11} {drawn}", ""), theme.faint())
    };
    let spectra = &model.spectra;
    let mut lines = vec![
        row("trust", words::trust(peer.trust).to_owned()),
        row("connection", words::path(&peer.connection)),
        row("round trip", words::round_trip(peer).unwrap_or_else(|| "—".into())),
        minute(&history.round_trip_ms, FULL_MS),
        row("lost here", words::percent(peer.loss_down)),
        row("lost there", words::percent(peer.loss_up)),
        minute(&history.lost, FULL_LOSS),
        row("jitter", format!("{:.0} ms", peer.jitter_ms.max(0.0))),
        minute(&history.jitter_ms, FULL_JITTER_MS),
        row("buffer", format!("{:.0} ms", peer.jitter_buffer_ms)),
        minute(&history.buffer_ms, FULL_MS),
        row("delay", words::delay(peer).unwrap_or_else(|| "—".into())),
    ];
    lines.extend(delay_by_stage(peer).map(|line| Line::styled(line, theme.faint())));
    lines.extend([Line::default(), row("voice", words::level(peer.level_db)), minute(&history.level_db, -QUIET_DB)]);
    lines.extend(spectrum(theme, "spectrum", spectra.of(&peer.id)));
    lines.extend([
        row("volume", words::signed(peer.volume_db, "dB")),
        row("place", words::direction(peer.position, facing_deg)),
        row("distance", format!("{:.1} m", peer.position.distance_m)),
        row("height", words::signed(peer.position.elevation_deg, "deg")),
        row("id", peer.id.clone()),
        Line::default(),
        row("you", model.view.as_ref().map_or_else(String::new, |view| words::own_level(&view.me))),
        minute(&model.own_minute.level_db, -QUIET_DB),
        row("sent", model.view.as_ref().map_or_else(String::new, |view| words::sent(view.me.sent))),
    ]);
    lines.extend(spectrum(theme, "spectrum", spectra.own.as_deref()));
    put_all(frame, inside, lines);
}

/// Two lines with what a voice is made of, called `what`; none while that is not known.
pub(super) fn spectrum(theme: Theme, what: &str, bands: Option<&[f32]>) -> Vec<Line<'static>> {
    let Some(bands) = bands else { return Vec::new() };
    let line = |(words, cells): (&str, Vec<Span<'static>>)| {
        [Span::styled(format!(" {} ", text::fit(words, 11)), theme.faint())].into_iter().chain(cells).collect()
    };
    let [upper, lower] = meter::spectrum(theme, bands);
    [(what, upper), ("0.1-12 kHz", lower)].map(line).into()
}

/// How late it is heard, on two lines: until it is sent there, on the way, held back here, and from there to the ear.
fn delay_by_stage(peer: &PeerView) -> [String; 2] {
    let Some(delay) = peer.delay.filter(|_| peer.connection.stands()) else { return Default::default() };
    let MouthToEar { sending_ms, network_ms, buffer_ms, hearing_ms } = delay;
    let sending = sending_ms.map_or_else(|| "—".to_owned(), |ms| format!("{ms:.0}"));
    [format!(" there {sending}, net {network_ms:.0}"), format!(" buffer {buffer_ms:.0}, here {hearing_ms:.0}")]
}
