//! The same words for the same things everywhere.

use crate::session::view::{Connection, Me, PeerView, Trust};
use resonance_protocol::position::Position;
use std::time::Duration;

/// `✓ verified`, `? not verified` or `⚠ CHANGED`.
pub(super) fn trust(trust: Trust) -> &'static str {
    match trust {
        Trust::Verified => "✓ verified",
        Trust::NotVerified => "? not verified",
        Trust::Changed => "⚠ CHANGED",
    }
}

/// How the sound comes, in a word or two.
pub(super) fn path(connection: &Connection) -> String {
    match connection {
        Connection::Connecting => "connecting…".into(),
        Connection::Direct => "direct".into(),
        Connection::Relayed => "by helper".into(),
        Connection::Member => "by member".into(),
        Connection::Reconnecting { silent_for } => format!("reconnecting… {} s", silent_for.as_secs()),
    }
}

/// The round trip, as far as it is known and of interest.
pub(super) fn round_trip(peer: &PeerView) -> Option<String> {
    peer.rtt_ms.filter(|_| peer.connection.stands()).map(|rtt_ms| format!("{rtt_ms:.0} ms"))
}

/// How late it is heard, from its mouth to this ear; none while that is not known.
pub(super) fn delay(peer: &PeerView) -> Option<String> {
    let ms = peer.delay.filter(|_| peer.connection.stands())?.total_ms()?;
    Some(format!("{ms:.0} ms"))
}

/// A span in its largest unit, rounded up: `2 h`.
pub(super) fn span(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 0..120 => format!("{seconds} s"),
        seconds @ 120..7_200 => format!("{} min", seconds.div_ceil(60)),
        seconds @ 7_200..172_800 => format!("{} h", seconds.div_ceil(3_600)),
        seconds => format!("{} days", seconds.div_ceil(86_400)),
    }
}

/// What one listens with, and what places voices.
pub(super) fn placing(engine: &str) -> String {
    match engine {
        "" => "—".to_owned(),
        "pan" => "speakers".to_owned(),
        ears => format!("headphones ({ears})"),
    }
}

/// Whole per cent of a share.
pub(super) fn percent(share: f32) -> String {
    format!("{} %", (share.clamp(0.0, 1.0) * 100.0).round() as u8)
}

/// `−18 dB`, or `silent`.
pub(super) fn level(db: f32) -> String {
    if db > -89.5 { signed(db, "dB") } else { "silent".into() }
}

/// How loud one is for the others.
pub(super) fn own_level(me: &Me) -> String {
    if me.muted { "muted".into() } else { level(me.level_db) }
}

/// What the own voice is sent with: bits a second of its frames, and copies of earlier ones.
pub(super) fn sent((bits, copies): (u32, u32)) -> String {
    let rate = format!("{:.0} kb/s", f64::from(bits) / 1_000.0);
    match copies {
        0 => rate,
        1 => format!("{rate} and a copy"),
        more => format!("{rate} and {more} copies"),
    }
}

/// A whole number with a true minus sign and its unit.
pub(super) fn signed(value: f32, unit: &str) -> String {
    let sign = if value.round() < 0.0 { "−" } else { "" };
    format!("{sign}{:.0} {unit}", value.round().abs())
}

/// `0:07`, `12:41`, `1:02:03`.
pub(super) fn clock(at: Duration) -> String {
    let (hours, minutes, seconds) = (at.as_secs() / 3600, at.as_secs() / 60 % 60, at.as_secs() % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// `just now`, `5 minutes ago`, `an hour ago`, `3 days ago`.
pub(super) fn ago(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    let told = |count: u64, one: &str, many: &str| {
        if count == 1 { format!("{one} ago") } else { format!("{count} {many} ago") }
    };
    match minutes {
        0 => "just now".into(),
        1..60 => told(minutes, "a minute", "minutes"),
        60..1_440 => told(minutes / 60, "an hour", "hours"),
        _ => told(minutes / 1_440, "a day", "days"),
    }
}

/// Where somebody is as the listener would say it: `ahead`, `60 deg right`, `90 deg left`, `behind`.
pub(super) fn direction(position: Position, facing_deg: f32) -> String {
    let seen = Position { azimuth_deg: position.azimuth_deg - facing_deg, ..position }.normalised();
    let degrees = seen.azimuth_deg.round();
    match degrees {
        0.0 => "ahead".into(),
        _ if degrees.abs() >= 180.0 => "behind".into(),
        _ if degrees > 0.0 => format!("{degrees:.0} deg right"),
        _ => format!("{:.0} deg left", -degrees),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_said_from_where_the_listener_looks() {
        let right = Position::at_azimuth(90.0);
        assert_eq!(direction(right, 0.0), "90 deg right");
        assert_eq!(direction(right, 90.0), "ahead");
        assert_eq!(direction(right, 180.0), "90 deg left");
        assert_eq!(direction(right, -90.0), "behind");
    }

    #[test]
    fn numbers_that_are_none_do_not_show() {
        assert_eq!(percent(f32::NAN), "0 %");
        assert_eq!(percent(7.0), "100 %");
        assert_eq!(level(f32::NEG_INFINITY), "silent");
        assert_eq!(signed(-0.2, "dB"), "0 dB");
        assert_eq!(clock(Duration::from_secs(3723)), "1:02:03");
        let told = [59, 60, 3_599, 3_600, 86_399, 86_400, 1_000_000].map(|seconds| ago(Duration::from_secs(seconds)));
        let expected =
            ["just now", "a minute ago", "59 minutes ago", "an hour ago", "23 hours ago", "a day ago", "11 days ago"];
        assert_eq!(told, expected);
    }
}
