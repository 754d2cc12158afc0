//! The face without a screen: one JSON object a line on standard output, one command a line on standard input.
//!
//! This is public interface: fields may be added, never renamed or removed.

use crate::session::latency::{Delays, Queues};
use crate::session::notice::{AudioReport, Notice, Stats};
use serde_json::{Value, json};
use std::io::Write;
use std::time::Instant;

/// Prints events.
pub struct Headless {
    started: Instant,
    me: String,
    name: String,
}

impl Headless {
    /// A face that counts `t` from `started`; `me` and `name` appear in the session's first event.
    pub fn new(started: Instant, me: String, name: String) -> Self {
        Self { started, me, name }
    }

    /// We can be reached at this multiaddr.
    pub fn listening(&self, address: &str) {
        self.print("listening", json!({ "addr": address }));
    }

    /// The session is over.
    pub fn bye(&self, reason: &str) {
        self.print("bye", json!({ "reason": reason }));
    }

    /// A line on standard input was not a command.
    pub fn bad_command(&self, message: &str) {
        let hint = "The commands are listed in the README.";
        self.print("error", json!({ "code": "bad_command", "message": message, "hint": hint }));
    }

    /// Something to tell.
    pub fn notice(&self, notice: &Notice) {
        let (event, mut fields) = fields(notice);
        if matches!(notice, Notice::Created { .. } | Notice::Joined { .. }) {
            (fields["me"], fields["name"]) = (json!(self.me), json!(self.name));
        }
        self.print(event, fields);
    }

    fn print(&self, event: &str, fields: Value) {
        print_event(self.started, event, fields);
    }
}

/// A notice as an event: its name and its fields.
pub fn fields(notice: &Notice) -> (&'static str, Value) {
    match notice {
        Notice::Created { link, room } => ("session_created", json!({ "link": link, "room": room })),
        Notice::Joined { link } => ("session_joined", json!({ "link": link })),
        Notice::PeerFound { peer, via } => ("peer_found", json!({ "peer": peer, "via": via })),
        Notice::PeerJoined { peer, name, identity, safety_number } => {
            ("peer_joined", json!({ "peer": peer, "name": name, "identity": identity, "safety_number": safety_number }))
        }
        Notice::MediaConnected { peer, path, local, remote, setup_ms } => (
            "media_connected",
            json!({ "peer": peer, "path": path, "local": local, "remote": remote, "setup_ms": setup_ms }),
        ),
        Notice::MediaLost { peer, reason, after_ms } => {
            ("media_lost", json!({ "peer": peer, "reason": reason, "after_ms": after_ms }))
        }
        Notice::MediaRestored { peer, reason, after_ms } => {
            ("media_restored", json!({ "peer": peer, "reason": reason, "after_ms": after_ms }))
        }
        Notice::Rekeyed { peer, reason } => ("rekeyed", json!({ "peer": peer, "reason": reason })),
        Notice::Speaking { peer, on } => ("speaking", json!({ "peer": peer, "on": on })),
        Notice::Text { peer, body } => ("text", json!({ "peer": peer, "body": body })),
        Notice::SafetyNumber { peer, number, verified } => {
            ("safety_number", json!({ "peer": peer, "safety_number": number, "verified": verified }))
        }
        Notice::SessionSafetyNumber { number, members, incomplete } => {
            ("session_safety_number", json!({ "number": number, "members": members, "incomplete": incomplete }))
        }
        Notice::Link { link } => ("link", json!({ "link": link })),
        Notice::Knock { peer, name } => ("knock", json!({ "peer": peer, "name": name })),
        Notice::Admitted { peer, name } => ("admitted", json!({ "peer": peer, "name": name })),
        Notice::Refused { peer, name } => ("refused", json!({ "peer": peer, "name": name })),
        Notice::Devices { input, output } => ("devices", json!({ "input": input, "output": output })),
        Notice::Kicked { peer, name } => ("kicked", json!({ "peer": peer, "name": name })),
        Notice::Locked { peer, name, on } => ("locked", json!({ "peer": peer, "name": name, "on": on })),
        Notice::Recording { peer, name, on, dir } => {
            ("recording", json!({ "peer": peer, "name": name, "on": on, "dir": dir }))
        }
        Notice::Stats(stats) => ("stats", stats_fields(stats)),
        Notice::Audio(report) => ("audio", audio_fields(report)),
        Notice::PeerLeft { peer, reason } => ("peer_left", json!({ "peer": peer, "reason": reason })),
        Notice::Warning { code, message, hint } => {
            ("warning", json!({ "code": code, "message": message, "hint": hint }))
        }
        Notice::Error { code, message, hint } => ("error", json!({ "code": code, "message": message, "hint": hint })),
    }
}

fn audio_fields(report: &AudioReport) -> Value {
    json!({
        "input_level_db": tenths(report.input_level_db), "output_level_db": tenths(report.output_level_db),
        "xruns": report.xruns, "cpu_percent": tenths(report.cpu_percent),
        "voice_engine": report.voice_engine, "spatial_engine": report.spatial_engine.as_ref(),
        "reduced": report.reduced, "delay": delay_fields(&report.delays), "queues": queue_fields(&report.queues),
    })
}

fn stats_fields(stats: &Stats) -> Value {
    json!({
        "peer": stats.peer,
        "rtt_ms": stats.rtt_ms.map(tenths),
        "jitter_ms": tenths(stats.jitter_ms),
        "loss_up": thousandths(stats.loss_up),
        "loss_down": thousandths(stats.loss_down),
        "repaired": stats.repaired,
        "concealed": stats.concealed,
        "jitter_buffer_ms": tenths(stats.jitter_buffer_ms),
        "delay_ms": stats.delay.and_then(|delay| delay.total_ms()).map(tenths),
        "delay": stats.delay.map(|delay| json!({
            "sending": delay.sending_ms.map(tenths), "network": tenths(delay.network_ms),
            "jitter_buffer": tenths(delay.buffer_ms), "hearing": tenths(delay.hearing_ms),
        })),
        "bitrate_up": stats.bitrate_up,
        "codec_up": stats.codec_up,
        "copies_up": stats.copies_up,
        "bitrate_down": stats.bitrate_down,
        "path": stats.path,
        "refused": stats.refused,
    })
}

/// Own delays in ms.
fn delay_fields(delays: &Delays) -> Value {
    json!({
        "capture": tenths(delays.capture_ms), "processing": tenths(delays.processing_ms),
        "packet": tenths(delays.packet_ms), "codec": tenths(delays.codec_ms),
        "render": tenths(delays.render_ms), "playback": tenths(delays.playback_ms),
    })
}

/// The least and the most that waited lately: sound in ms, packets by number.
fn queue_fields(queues: &Queues) -> Value {
    json!({
        "microphone_ms": queues.microphone_ms.map(tenths), "voice_ms": queues.voice_ms.map(tenths),
        "speaker_ms": queues.speaker_ms.map(tenths),
        "outbound_packets": queues.outbound, "inbound_packets": queues.inbound,
    })
}

fn tenths(value: f32) -> f64 {
    (f64::from(value) * 10.0).round() / 10.0
}

fn thousandths(value: f32) -> f64 {
    (f64::from(value) * 1_000.0).round() / 1_000.0
}

/// Prints one event line; a reader that went away is no reason to panic.
pub fn print_event(started: Instant, event: &str, fields: Value) {
    let mut object = json!({ "event": event, "t": (started.elapsed().as_secs_f64() * 1_000.0).round() / 1_000.0 });
    if let (Value::Object(object), Value::Object(fields)) = (&mut object, fields) {
        object.extend(fields);
    }
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{object}");
    let _ = out.flush();
}
