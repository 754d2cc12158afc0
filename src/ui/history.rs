//! How a connection went in the last minute, and how loud the voice was, once a second.

use crate::session::view::PeerView;
use std::collections::VecDeque;
use std::time::Duration;

/// Seconds that are remembered.
pub(super) const SECONDS: usize = 60;

/// What counts as no voice, in dBFS.
pub(super) const QUIET_DB: f32 = -60.0;

/// One person's last minute; the newest comes last.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct History {
    taken: Option<u64>,
    /// Round trip in ms; 0 while unknown.
    pub round_trip_ms: VecDeque<f32>,
    /// Share of packets lost on either way, 0–1.
    pub lost: VecDeque<f32>,
    /// How unevenly packets came, in ms.
    pub jitter_ms: VecDeque<f32>,
    /// What the jitter buffer holds back, in ms.
    pub buffer_ms: VecDeque<f32>,
    /// How far the voice was above [`QUIET_DB`], in dB.
    pub level_db: VecDeque<f32>,
}

impl History {
    /// Takes a moment in, if the last one is from another second.
    pub(super) fn take(&mut self, elapsed: Duration, peer: &PeerView) {
        let second = elapsed.as_secs();
        if self.taken.replace(second) == Some(second) {
            return;
        }
        push(&mut self.round_trip_ms, peer.rtt_ms.unwrap_or(0.0));
        push(&mut self.lost, peer.loss_up.max(peer.loss_down));
        push(&mut self.jitter_ms, peer.jitter_ms);
        push(&mut self.buffer_ms, peer.jitter_buffer_ms);
        push(&mut self.level_db, peer.level_db - QUIET_DB);
    }

    /// The same of oneself, of whom only the voice is of interest.
    pub(super) fn take_level(&mut self, elapsed: Duration, level_db: f32) {
        let second = elapsed.as_secs();
        if self.taken.replace(second) != Some(second) {
            push(&mut self.level_db, level_db - QUIET_DB);
        }
    }
}

fn push(values: &mut VecDeque<f32>, value: f32) {
    if values.len() == SECONDS {
        values.pop_front();
    }
    values.push_back(if value.is_finite() { value.max(0.0) } else { 0.0 });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::tests::peer;

    #[test]
    fn a_minute_is_remembered_a_value_a_second() {
        let mut history = History::default();
        let mut bo = peer("b0", "Bo", 0.0);
        for tenth in 0..900 {
            bo.rtt_ms = Some((tenth / 10) as f32);
            history.take(Duration::from_millis(100 * tenth), &bo);
        }
        assert_eq!(history.round_trip_ms.len(), SECONDS);
        assert_eq!((history.round_trip_ms[0], history.round_trip_ms[SECONDS - 1]), (30.0, 89.0));
        assert_eq!((history.jitter_ms.back(), history.level_db.back()), (Some(&1.6), Some(&0.0)));
        (bo.jitter_buffer_ms, bo.level_db) = (f32::NAN, -18.0);
        history.take(Duration::from_secs(100), &bo);
        assert_eq!((history.buffer_ms.back(), history.level_db.back()), (Some(&0.0), Some(&42.0)));
    }
}
