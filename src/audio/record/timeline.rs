//! Where the blocks of one stream lie on the recording's time line.
//!
//! A stream's samples are counted by its device's clock, and blocks come late by whatever the machine was busy with. How far the
//! count lags behind the common clock is what the earliest blocks around tell: lateness comes and goes within a second, a device that stood
//! still, or another one, does not. The two clocks drift apart by some hundred samples a minute; that is taken up one sample a block.

use super::super::format::{FRAME, SAMPLE_RATE};
use super::Stamp;
use std::collections::VecDeque;
use std::time::Instant;

/// Lateness is judged by the second before and the second after.
const WINDOW: u64 = SAMPLE_RATE as u64;
/// A difference below this is left alone: 0.17 ms.
const NEGLIGIBLE: i64 = 8;
/// One above it is no drift: the block is put where it belongs at once.
const JUMP: i64 = FRAME as i64;

/// Where a block lies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Placement {
    /// Number of its first sample in its stream.
    pub at: u64,
    /// Its first sample on the time line; before the beginning it is negative.
    pub start: i64,
    /// Samples that it takes there: a frame, or one more or less.
    pub len: usize,
}

/// One stream's blocks in time.
pub(super) struct Timeline {
    began: Instant,
    /// Blocks of the last second that have their place, and those that wait for it.
    known: VecDeque<Known>,
    /// So many of them have their place.
    settled: usize,
    /// Where blocks without a longer pause began.
    run: u64,
    last: Option<Placement>,
}

#[derive(Clone, Copy)]
struct Known {
    at: u64,
    /// What has to be added to `at`, as far as this block tells.
    offset: i64,
    run: u64,
}

impl Timeline {
    pub(super) fn new(began: Instant) -> Self {
        Self { began, known: VecDeque::new(), settled: 0, run: 0, last: None }
    }

    /// A block was heard of; more than once if several files take it.
    pub(super) fn hear(&mut self, stamp: Stamp) {
        let offset = samples_between(self.began, stamp.when) - stamp.at as i64;
        let newest = self.known.back().map(|known| known.at);
        if let Some(newest) = newest.filter(|newest| stamp.at <= *newest) {
            // One file may have missed what another has.
            let place = self.known.binary_search_by_key(&stamp.at, |known| known.at);
            if let Some(place) = place.err().filter(|place| *place >= self.settled && stamp.at < newest) {
                let run = self.known.get(place).map_or(self.run, |next| next.run);
                self.known.insert(place, Known { at: stamp.at, offset, run });
            }
            return;
        }
        if newest.is_none_or(|newest| stamp.at - newest > WINDOW) {
            self.run = stamp.at;
        }
        self.known.push_back(Known { at: stamp.at, offset, run: self.run });
    }

    /// The next block that has a place: once a second more is known, or without that.
    pub(super) fn settle(&mut self, at_once: bool) -> Option<Placement> {
        let next = *self.known.get(self.settled)?;
        let newest = self.known.back()?.at;
        if !at_once && newest < next.at + WINDOW {
            return None;
        }
        let placement = self.place(next, newest);
        self.settled += 1;
        self.last = Some(placement);
        while self.known.front().is_some_and(|first| first.at + WINDOW < next.at) && self.settled > 1 {
            self.known.pop_front();
            self.settled -= 1;
        }
        Some(placement)
    }

    fn place(&self, block: Known, newest: u64) -> Placement {
        let wanted = block.at as i64 + self.offset(block, newest);
        let whole = |start| Placement { at: block.at, start, len: FRAME };
        let Some(last) = self.last else { return whole(wanted) };
        let expected = last.start + last.len as i64;
        let skipped = (block.at - last.at).saturating_sub(FRAME as u64);
        if skipped > 0 {
            return whole(wanted.max(expected));
        }
        match wanted - expected {
            jump if jump.abs() > JUMP => whole(wanted),
            late if late >= NEGLIGIBLE => Placement { len: FRAME + 1, ..whole(expected) },
            early if early <= -NEGLIGIBLE => Placement { len: FRAME - 1, ..whole(expected) },
            _ => whole(expected),
        }
    }

    /// The earliest of a second before, or of a second after, whichever is later: short lateness counts in neither, lasting lateness
    /// from the block on with which it begins. Where a stream begins or ends there is one side only.
    fn offset(&self, block: Known, newest: u64) -> i64 {
        let run = self.known.iter().filter(|known| known.run == block.run);
        let (mut before, mut after) = (block.offset, block.offset);
        for known in run {
            if known.at <= block.at && known.at + WINDOW >= block.at {
                before = before.min(known.offset);
            }
            if known.at >= block.at && known.at <= block.at + WINDOW {
                after = after.min(known.offset);
            }
        }
        let whole = block.at >= block.run + WINDOW && newest >= block.at + WINDOW;
        if whole { before.max(after) } else { before.min(after) }
    }
}

/// Samples from one moment to another, negative when that is earlier.
fn samples_between(from: Instant, to: Instant) -> i64 {
    let samples = |span: std::time::Duration| {
        let whole = span.as_secs() * u64::from(SAMPLE_RATE);
        let rest = u64::from(span.subsec_nanos()) * u64::from(SAMPLE_RATE);
        // Rounded: what was reckoned from samples comes back as the same number.
        i64::try_from(whole + (rest + 500_000_000) / 1_000_000_000).unwrap_or(i64::MAX)
    };
    match to.checked_duration_since(from) {
        Some(span) => samples(span),
        None => -samples(from.saturating_duration_since(to)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    /// Blocks whose lateness (in µs) and clock are given; the error of each one's place, in samples.
    fn errors(seconds: u64, ppm: i64, late_us: impl Fn(u64) -> u64) -> Vec<i64> {
        let began = Instant::now();
        let mut timeline = Timeline::new(began);
        let truth = |n: u64| {
            let ns = n as i64 * 10_000_000;
            began + Duration::from_nanos((ns + ns / 1_000_000 * ppm) as u64) + Duration::from_millis(700)
        };
        let mut placed = Vec::new();
        for n in 0..seconds * 100 {
            let when = truth(n) + Duration::from_micros(late_us(n));
            timeline.hear(Stamp { at: n * FRAME as u64, when });
            placed.extend(std::iter::from_fn(|| timeline.settle(false)));
        }
        placed.extend(std::iter::from_fn(|| timeline.settle(true)));
        assert_eq!(placed.len() as u64, seconds * 100, "every block has its place");
        assert!(timeline.known.len() <= 210, "no more than two seconds are remembered: {}", timeline.known.len());
        for pair in placed.windows(2) {
            let overlap = pair[0].start + pair[0].len as i64 - pair[1].start;
            assert!(overlap == 0 || overlap.abs() > JUMP - 1, "a gap of {overlap} samples is neither drift nor a jump");
        }
        let truth = |n: usize| samples_between(began, truth(n as u64));
        placed.iter().enumerate().map(|(n, place)| place.start - truth(n)).collect()
    }

    fn worst(errors: &[i64]) -> i64 {
        errors.iter().map(|error| error.abs()).max().unwrap_or(0)
    }

    #[test]
    fn blocks_in_time_lie_exactly() {
        assert_eq!(worst(&errors(5, 0, |_| 0)), 0);
    }

    #[test]
    fn a_busy_machine_moves_nothing() {
        // Anything up to 12 ms late, and now and then a stall of a third of a second.
        let jitter = |n: u64| match n % 250 {
            100..132 => (132 - n % 250) * 10_000,
            _ => n.wrapping_mul(2_654_435_761) % 12_000,
        };
        let errors = errors(60, 0, jitter);
        assert!(worst(&errors) <= 24, "{} samples", worst(&errors));
    }

    #[test]
    fn clocks_that_drift_apart_stay_together_for_hours() {
        for ppm in [-150, 150] {
            let errors = errors(3_600, ppm, |n| n.wrapping_mul(2_654_435_761) % 3_000);
            assert!(worst(&errors) <= 24, "{ppm} ppm: {} samples", worst(&errors));
        }
    }

    #[test]
    fn what_one_file_missed_has_its_place_in_another() {
        let began = Instant::now();
        let mut timeline = Timeline::new(began);
        let stamp = |n: u64| Stamp { at: n * FRAME as u64, when: began + Duration::from_millis(10 * n) };
        (0..50).chain(150..300).for_each(|n| timeline.hear(stamp(n)));
        (0..300).for_each(|n| timeline.hear(stamp(n)));
        let placed: Vec<_> = std::iter::from_fn(|| timeline.settle(true)).map(|place| place.start).collect();
        assert_eq!(placed, (0..300).map(|n| n * FRAME as i64).collect::<Vec<_>>());
        timeline.hear(stamp(20));
        assert_eq!(timeline.settle(true), None, "too late is too late");
    }

    #[test]
    fn a_device_that_stood_still_leaves_a_gap_where_it_did() {
        let errors = errors(10, 0, |n| if n < 512 { 0 } else { 250_000 });
        assert_eq!(worst(&errors[..512]), 0, "what was before stays");
        assert!(errors[512..].iter().all(|error| *error == 12_000), "{:?}", &errors[508..516]);
    }
}
