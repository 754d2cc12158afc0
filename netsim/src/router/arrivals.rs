//! What arrived of what one host sent to another, and when nothing did.

use std::time::{Duration, Instant};

/// Pauses longer than this are noted, each with its time: five packets of a voice.
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

    /// Each time between two arrivals that is longer than what is noted, also the one after the last until `to`: the part of it that lies between
    /// `from` and `to`, as its two ends.
    pub fn pauses(&self, from: Instant, to: Instant) -> impl Iterator<Item = (Instant, Instant)> {
        let ended = self.pauses.iter().map(|(begin, pause)| (*begin, *begin + *pause));
        let still = self.last.map(|last| (last, to)).filter(|(last, to)| *to > *last + NOTED);
        ended.chain(still).map(move |(begin, end)| (begin.max(from), end.min(to))).filter(|(begin, end)| begin < end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_what_lies_between_arrivals_and_after_the_last() {
        let start = Instant::now();
        let at = |milliseconds| start + Duration::from_millis(milliseconds);
        let mut arrivals = Arrivals::default();
        [0, 10, 400, 440, 600].into_iter().for_each(|time| arrivals.note(at(time), 100));
        let seen = |from, to| -> Vec<(Duration, Duration)> {
            arrivals.pauses(at(from), at(to)).map(|(begin, end)| (begin - start, end - start)).collect()
        };
        let ms = Duration::from_millis;
        assert_eq!(seen(0, 610), [(ms(10), ms(400)), (ms(440), ms(600))], "forty and ten milliseconds are no pause");
        assert_eq!(seen(100, 900), [(ms(100), ms(400)), (ms(440), ms(600)), (ms(600), ms(900))]);
        assert_eq!(arrivals.packets, 5);
    }
}
