//! Which frames came: new, duplicate, lost. Also the sender's timeline: 32-bit timestamps that wrap, jump and begin again.

use super::super::format::FRAME;

/// Frames behind the newest after which a missing one counts as lost rather than late: 1 s.
const LOST_AFTER: u32 = 100;
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

/// The sender's timeline as the receiver sees it. Frames are numbered from 0 by 10 ms, without wrapping.
#[derive(Debug, Default)]
pub struct Reception {
    /// Timestamp and number of the newest frame.
    newest: Option<(u32, i64)>,
    /// Number of the first frame of this timeline.
    first: i64,
    /// Bit k: frame `newest − k` was received.
    received: u128,
    stray: Option<(u32, u32)>,
    lost: u64,
}

impl Reception {
    /// Frames that never came, as far as is certain by now (1 s behind the newest).
    pub fn lost(&self) -> u64 {
        self.lost
    }

    /// Takes a packet's timestamp.
    pub fn receive(&mut self, timestamp: u32) -> Arrival {
        let Some((newest_timestamp, newest)) = self.newest else {
            return self.begin(timestamp, 0);
        };
        let samples = i64::from(timestamp.wrapping_sub(newest_timestamp) as i32);
        let frames = samples.div_euclid(FRAME as i64);
        let on_grid = samples.rem_euclid(FRAME as i64) == 0;
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

    fn begin(&mut self, timestamp: u32, number: i64) -> Arrival {
        self.newest = Some((timestamp, number));
        self.first = number;
        self.received = 1;
        self.stray = None;
        Arrival::New(number)
    }

    fn stray(&mut self, timestamp: u32, newest: i64) -> Arrival {
        let run = match self.stray {
            Some((last, run)) if last.wrapping_add(FRAME as u32) == timestamp => run + 1,
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
            if leaving >= self.first && !seen {
                self.lost += 1;
            }
            self.received <<= 1;
        }
        let rest = frames.saturating_sub(LOST_AFTER);
        if rest > 0 {
            // All of the horizon was just shifted out; these frames passed through it unseen.
            self.lost += u64::from(rest);
            self.received = self.received.checked_shl(rest).unwrap_or(0);
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
        assert_eq!(reception.lost(), 0);
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
        assert_eq!(reception.lost(), 0);
    }

    #[test]
    fn loss_is_counted_once_exactly_and_only_when_certain() {
        let mut reception = Reception::default();
        for n in 0..1_000_u32 {
            if n % 10 != 7 {
                reception.receive(n * 480);
            }
        }
        assert_eq!(reception.lost(), 90, "of the frames up to 899, one in ten");
        reception.receive(1_999 * 480);
        for n in 2_000..2_200 {
            reception.receive(n * 480);
        }
        assert_eq!(reception.lost(), 100 + 999, "and an outage of ten seconds");
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
        assert_eq!(reception.lost(), 0, "nothing is known to be missing");
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
