//! Every number there is, a person a row.

use super::{details, panel, put_all, words};
use crate::session::latency::{Delays, Queues};
use crate::session::view::{PeerView, View};
use crate::ui::model::Model;
use crate::ui::text;
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Width of each column in cells, the name first.
const COLUMNS: [usize; 7] = [12, 12, 8, 10, 11, 7, 7];

pub(super) fn draw(model: &Model, view: &View, frame: &mut Frame, area: Rect) {
    let theme = model.theme;
    let inside = panel(frame, theme, area, "Measurements");
    let mut lines = vec![Line::default()];
    if view.peers.is_empty() {
        lines.push(Line::raw("  Nobody is here yet."));
    } else {
        let heads = ["", "path", "rtt", "lost here", "lost there", "buffer", "delay"];
        lines.push(Line::styled(row(&heads.map(str::to_owned)), theme.faint()));
        lines.extend(view.peers.iter().map(|peer| Line::raw(row(&numbers(peer)))));
    }
    let cells = usize::from(inside.width).saturating_sub(16);
    let own = |what: &str, value: String| Line::raw(format!("  {what:<12}{}", text::cut(&value, cells)));
    lines.push(Line::default());
    lines.push(own("microphone", format!("{} ({})", view.me.input, words::level(view.me.level_db))));
    lines.push(own("sent", words::sent(view.me.sent)));
    lines.push(own("speaker", view.me.output.clone()));
    lines.push(own("listening", words::placing(&view.me.spatial_engine)));
    lines.push(own("you face", words::signed(view.me.facing_deg, "deg")));
    lines.push(own("until sent", until_sent(&view.me.delays)));
    lines.push(own("until heard", until_heard(&view.me.delays)));
    lines.push(own("waiting", waiting(&view.me.queues)));
    if view.troubles().next().is_some() {
        lines.push(Line::default());
    }
    for problem in view.troubles() {
        let wrapped = text::wrap(&format!("⚠ {problem}"), usize::from(inside.width).saturating_sub(4));
        lines.extend(wrapped.into_iter().map(|line| Line::styled(format!("  {line}"), theme.warning())));
    }
    lines.extend(super::mistakes(model, usize::from(inside.width)));
    let own = details::spectrum(theme, "you", model.spectra.own.as_deref());
    let chosen = model.chosen().map(|(_, peer)| details::spectrum(theme, &peer.name, model.spectra.of(&peer.id)));
    if !own.is_empty() {
        lines.push(Line::default());
    }
    for mut line in own.into_iter().chain(chosen.unwrap_or_default()) {
        line.spans.insert(0, Span::raw(" "));
        lines.push(line);
    }
    put_all(frame, inside, lines);
}

fn until_sent(delays: &Delays) -> String {
    let Delays { capture_ms, processing_ms, packet_ms, codec_ms, .. } = delays;
    format!(
        "{:.0} ms: microphone {capture_ms:.0}, processing {processing_ms:.0}, packet {packet_ms:.0}, codec {codec_ms:.1}",
        delays.sending_ms()
    )
}

fn until_heard(delays: &Delays) -> String {
    format!("{:.0} ms: ears {:.1}, speaker {:.0}", delays.hearing_ms(), delays.render_ms, delays.playback_ms)
}

/// The least and the most in each queue; what is never empty delays.
fn waiting(queues: &Queues) -> String {
    let ms = |[least, most]: [f32; 2]| format!("{least:.0}-{most:.0} ms");
    let packets = |[least, most]: [u32; 2]| format!("{least}-{most}");
    let Queues { microphone_ms, voice_ms, speaker_ms, outbound, inbound } = *queues;
    let [microphone, voice, speaker] = [microphone_ms, voice_ms, speaker_ms].map(ms);
    let [outbound, inbound] = [outbound, inbound].map(packets);
    format!("mic {microphone}, voice {voice}, speaker {speaker}, out {outbound}, in {inbound}")
}

fn numbers(peer: &PeerView) -> [String; 7] {
    [
        peer.name.clone(),
        words::path(&peer.connection),
        words::round_trip(peer).unwrap_or_else(|| "—".into()),
        words::percent(peer.loss_down),
        words::percent(peer.loss_up),
        format!("{:.0} ms", peer.jitter_buffer_ms),
        words::delay(peer).unwrap_or_else(|| "—".into()),
    ]
}

fn row(values: &[String; 7]) -> String {
    let cells = values.iter().zip(COLUMNS).map(|(value, cells)| text::fit(value, cells) + " ");
    format!(" {}", cells.collect::<String>())
}
