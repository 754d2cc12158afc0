//! What arrived of what one host sent to another, and when nothing did.

use std::time::{Duration, Instant};

/// Pauses longer than this are noted, each with its time.
const NOTED: Duration = Duration::from_millis(50);
/// Pauses noted at most, for each pair: at one a second, more than half an hour.
const MAX_PAUSES: usize = 2_000;

/// Arrivals of one host's packets at another.
#[derive(Clone, Debug, Default)]
pub struct Arrivals {
    /// How many.
    pub packets: u64,
    /// Of how many bytes together.
    pub bytes: u64,
    /// The latest.
    pub last: Option<Instant>,
    pauses: Vec<(Instant, Duration)>,
}

impl Arrivals {
    pub(super) fn note(&mut self, now: Instant, length: usize) {
        if let Some(last) = self.last {
            let pause = now.saturating_duration_since(last);
            if pause > NOTED && self.pauses.len() < MAX_PAUSES {
                self.pauses.push((last, pause));
            }
        }
        self.last = Some(now);
        self.packets += 1;
        self.bytes += length as u64;
    }

    /// The longest time between two arrivals that lies between `from` and `to`, at least in part.
    pub fn longest_pause(&self, from: Instant, to: Instant) -> Duration {
        let inside = |(begin, pause): &(Instant, Duration)| {
            let (begin, end) = ((*begin).max(from), (*begin + *pause).min(to));
            end.saturating_duration_since(begin)
        };
        let still = self.last.map_or(Duration::ZERO, |last| to.saturating_duration_since(last.max(from)));
        self.pauses.iter().map(inside).fold(still, Duration::max)
    }
}
