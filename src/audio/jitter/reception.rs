//! Which frames came: new, duplicate, lost. Also the sender's timeline: 32-bit timestamps that wrap, jump and begin again.

use super::super::format::FRAME;

/// Frames behind the newest after which a missing packet counts as lost rather than late: 300 ms.
const LOST_AFTER: u32 = 30;
/// Frames behind the newest that are still told from duplicates: as many as the bitmap holds.
const REMEMBERED: i64 = 128;
/// Larger jumps ahead are another timeline, not loss: 30 s.
const MAX_AHEAD: i64 = 3_000;
/// So many packets in sequence outside the timeline mean that the sender began a new one (RFC 3550, appendix A.1 takes two;
/// one more here, since an old path may empty its queue after a new one is in use).
const RESTART_AFTER: u32 = 3;

/// What a timestamp turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A frame not seen before, by its number on the timeline.
    New(i64),
    /// Seen before.
    Duplicate,
    /// Outside the timeline; nothing to do with it (yet).
    Stray,
    /// The sender's timeline begins again with this frame; everything held is of the past.
    Restart(i64),
}

/// The sender's timeline as the receiver sees it. Frames are numbered from 0, without wrapping.
#[derive(Debug)]
pub struct Reception {
    /// Samples of a frame.
    samples: i64,
    /// Timestamp and number of the newest frame.
    newest: Option<(u32, i64)>,
    /// Number of the first frame of this timeline.
    first: i64,
    /// Bit k: the packet of frame `newest − k` was received.
    received: u128,
    /// Bit k: frame `newest − k` came as a copy in a later packet.
    repaired: u128,
    stray: Option<(u32, u32)>,
    lost: u64,
    gaps: u64,
    in_gap: bool,
}

impl Default for Reception {
    fn default() -> Self {
        Self {
            samples: FRAME as i64,
            newest: None,
            first: 0,
            received: 0,
            repaired: 0,
            stray: None,
            lost: 0,
            gaps: 0,
            in_gap: false,
        }
    }
}

impl Reception {
    /// The sender begins anew, with frames of so many samples, the next of which has this number; what was lost was lost.
    pub fn begin_anew(&mut self, samples: usize, number: i64) {
        *self = Self { samples: samples as i64, first: number, lost: self.lost, gaps: self.gaps, ..Self::default() };
    }

    /// Samples from the beginning of the numbers to this timestamp, if that is near enough to be of the same clock.
    pub fn spoken(&self, timestamp: u32) -> Option<i64> {
        let (newest_timestamp, newest) = self.newest?;
        let samples = i64::from(timestamp.wrapping_sub(newest_timestamp) as i32);
        (samples.abs() <= MAX_AHEAD * self.samples).then_some(newest * self.samples + samples)
    }

    /// Packets that never came, as far as is certain by now, and in how many runs of one or more they were missing.
    pub fn lost(&self) -> (u64, u64) {
        (self.lost, self.gaps)
    }

    /// The number of the frame with this timestamp, if it is known to the timeline and has not come yet.
    pub fn missing(&self, timestamp: u32) -> Option<i64> {
        let (newest_timestamp, newest) = self.newest?;
        let samples = i64::from(newest_timestamp.wrapping_sub(timestamp) as i32);
        let frames = samples / self.samples;
        let known = samples % self.samples == 0 && (0..REMEMBERED).contains(&frames) && newest - frames >= self.first;
        (known && (self.received | self.repaired) & (1 << frames) == 0).then_some(newest - frames)
    }

    /// A copy of this frame came.
    pub fn repair(&mut self, frame: i64) {
        if let Some((_, newest)) = self.newest
            && (0..REMEMBERED).contains(&(newest - frame))
        {
            self.repaired |= 1 << (newest - frame);
        }
    }

    /// Whether this frame came as a copy.
    pub fn is_repaired(&self, frame: i64) -> bool {
        let behind = self.newest.map_or(-1, |(_, newest)| newest - frame);
        (0..REMEMBERED).contains(&behind) && self.repaired & (1 << behind) != 0
    }

    /// Takes a packet's timestamp.
    pub fn receive(&mut self, timestamp: u32) -> Arrival {
        let Some((newest_timestamp, newest)) = self.newest else {
            return self.begin(timestamp, self.first);
        };
        let samples = i64::from(timestamp.wrapping_sub(newest_timestamp) as i32);
        let frames = samples.div_euclid(self.samples);
        let on_grid = samples.rem_euclid(self.samples) == 0;
        if !on_grid || frames <= -REMEMBERED || frames > MAX_AHEAD {
            return self.stray(timestamp, newest);
        }
        self.stray = None;
        let number = newest + frames;
        if frames > 0 {
            self.advance(frames as u32, newest);
            self.newest = Some((timestamp, number));
        } else {
            let bit = 1_u128 << (-frames);
            if self.received & bit != 0 {
                return Arrival::Duplicate;
            }
            self.received |= bit;
            // Frames before the first heard were never counted as missing; now the timeline begins there.
            self.first = self.first.min(number);
        }
        Arrival::New(number)
    }

    /// The number of the frame with this timestamp, by the newest one.
    pub fn number(&self, timestamp: u32) -> Option<i64> {
        let (newest_timestamp, newest) = self.newest?;
        let samples = i64::from(timestamp.wrapping_sub(newest_timestamp) as i32);
        (samples % self.samples == 0 && samples.abs() <= MAX_AHEAD * self.samples)
            .then_some(newest + samples / self.samples)
    }

    /// Between the frame `last` and the one with this timestamp nothing was sent: what is not known of yet in between is not missing.
    pub fn pass(&mut self, last: Option<i64>, timestamp: u32) {
        let (Some((newest_timestamp, newest)), Some(next)) = (self.newest, self.number(timestamp)) else { return };
        let last = last.unwrap_or(newest).clamp(newest, next.max(newest));
        for number in newest + 1..next {
            self.advance(1, number - 1);
            if number <= last {
                // That one was sent, and is not there yet.
                self.received &= !1;
            }
        }
        if next > newest + 1 {
            let passed = ((next - 1 - newest) * self.samples) as u32;
            self.newest = Some((newest_timestamp.wrapping_add(passed), next - 1));
        }
    }

    fn begin(&mut self, timestamp: u32, number: i64) -> Arrival {
        self.newest = Some((timestamp, number));
        self.first = number;
        self.received = 1;
        self.repaired = 0;
        self.in_gap = false;
        self.stray = None;
        Arrival::New(number)
    }

    fn stray(&mut self, timestamp: u32, newest: i64) -> Arrival {
        let run = match self.stray {
            Some((last, run)) if last.wrapping_add(self.samples as u32) == timestamp => run + 1,
            _ => 1,
        };
        if run < RESTART_AFTER {
            self.stray = Some((timestamp, run));
            return Arrival::Stray;
        }
        // Far away from the old numbers, so that nothing of the two timelines can be confused.
        let number = newest + MAX_AHEAD;
        self.begin(timestamp, number);
        Arrival::Restart(number)
    }

    /// Moves the bitmap on by `frames` and counts what leaves the horizon unseen.
    fn advance(&mut self, frames: u32, newest: i64) {
        for step in 0..frames.min(LOST_AFTER) {
            let leaving = newest + i64::from(step) - i64::from(LOST_AFTER) + 1;
            let seen = self.received & (1 << (LOST_AFTER - 1)) != 0;
            if leaving >= self.first {
                self.lost += u64::from(!seen);
                self.gaps += u64::from(!seen && !self.in_gap);
                self.in_gap = !seen;
            }
            self.received <<= 1;
            self.repaired <<= 1;
        }
        let rest = frames.saturating_sub(LOST_AFTER);
        if rest > 0 {
            // All of the horizon was just shifted out; these frames passed through it unseen.
            self.lost += u64::from(rest);
            self.gaps += u64::from(!self.in_gap);
            self.in_gap = true;
            self.received = self.received.checked_shl(rest).unwrap_or(0);
            self.repaired = self.repaired.checked_shl(rest).unwrap_or(0);
        }
        self.received |= 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(arrival: Arrival) -> i64 {
        match arrival {
            Arrival::New(number) => number,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn frames_are_numbered_across_the_wrap_of_the_timestamp() {
        let mut reception = Reception::default();
        let start = u32::MAX - 479 - 10 * 480;
        for n in 0..1_000_u32 {
            assert_eq!(number(reception.receive(start.wrapping_add(n * 480))), i64::from(n));
        }
        assert_eq!(reception.lost(), (0, 0));
    }

    #[test]
    fn a_duplicate_is_told_from_a_late_frame() {
        let mut reception = Reception::default();
        for n in [0, 1, 3, 4] {
            reception.receive(n * 480);
        }
        assert_eq!(reception.receive(480), Arrival::Duplicate);
        assert_eq!(reception.receive(2 * 480), Arrival::New(2));
        assert_eq!(reception.receive(2 * 480), Arrival::Duplicate);
        for n in 5..300 {
            reception.receive(n * 480);
        }
        assert_eq!(reception.lost(), (0, 0));
    }

    #[test]
    fn loss_is_counted_once_exactly_and_only_when_certain() {
        let mut reception = Reception::default();
        for n in 0..1_000_u32 {
            if n % 10 != 7 {
                reception.receive(n * 480);
            }
        }
        assert_eq!(reception.lost(), (97, 97), "of the frames up to 969, one in ten");
        reception.receive(1_999 * 480);
        for n in 2_000..2_200 {
            reception.receive(n * 480);
        }
        assert_eq!(reception.lost(), (100 + 999, 101), "and an outage of ten seconds");
    }

    #[test]
    fn a_sender_that_begins_again_is_followed_after_three_packets_and_a_stray_one_is_not() {
        let mut reception = Reception::default();
        for n in 0..500_u32 {
            reception.receive(1_000_000 + n * 480);
        }
        assert_eq!(reception.receive(77), Arrival::Stray);
        assert_eq!(number(reception.receive(1_000_000 + 500 * 480)), 500);
        assert_eq!(reception.receive(77), Arrival::Stray);
        assert_eq!(reception.receive(77 + 480), Arrival::Stray);
        let Arrival::Restart(base) = reception.receive(77 + 960) else { panic!("no restart") };
        assert!(base > 500);
        assert_eq!(number(reception.receive(77 + 1_440)), base + 1);
        assert_eq!(reception.lost(), (0, 0), "nothing is known to be missing");
    }

    #[test]
    fn a_copy_is_of_use_once_and_only_for_what_is_missing() {
        let mut reception = Reception::default();
        for n in [0_u32, 1, 4] {
            reception.receive(n * 480);
        }
        assert_eq!((reception.missing(480), reception.missing(3 * 480)), (None, Some(3)));
        reception.repair(3);
        assert_eq!((reception.missing(3 * 480), reception.missing(2 * 480)), (None, Some(2)));
        assert!(reception.is_repaired(3) && !reception.is_repaired(2));
        assert_eq!(reception.receive(3 * 480), Arrival::New(3), "the packet itself is still new");
        assert_eq!(reception.missing(5 * 480), None, "the future is not missing");
        assert_eq!(reception.missing(0_u32.wrapping_sub(480)), None, "nor is what was before the beginning");
        assert_eq!(reception.missing(2 * 480 + 7), None, "nor what is off the grid");
    }

    #[test]
    fn timestamps_off_the_grid_are_another_timeline() {
        let mut reception = Reception::default();
        reception.receive(0);
        assert_eq!(reception.receive(481), Arrival::Stray);
        assert_eq!(reception.receive(481 + 480), Arrival::Stray);
        assert!(matches!(reception.receive(481 + 960), Arrival::Restart(_)));
    }
}
