//! Pauses in which a sender sends nothing: what packets tell of them, and what is not waited for.

use super::JitterBuffer;
use super::reception::Arrival;
use resonance_protocol::media::Pause;
use std::time::Instant;

/// Frames that are not sent: nothing between these two.
#[derive(Clone, Copy)]
pub(super) struct Rest {
    pub after: i64,
    before: i64,
}

impl Rest {
    /// A pause that begins after this frame.
    pub fn since(after: i64) -> Self {
        Self { after, before: i64::MAX }
    }

    /// Its end is not known yet.
    pub fn lasts(self) -> bool {
        self.before == i64::MAX
    }
}

impl JitterBuffer {
    /// Takes in what a packet says of a pause, before the packet itself. False when that is all: there is no sound in it.
    pub fn pause(&mut self, arrived: Instant, timestamp: u32, samples: usize, pause: Pause) -> bool {
        if samples != self.samples {
            return pause != Pause::Lasts;
        }
        let frames = |count: u8| u32::from(count).wrapping_mul(samples as u32);
        let lasting = self.rest.filter(|rest| rest.lasts());
        match pause {
            Pause::Ended(since) => {
                let first = timestamp.wrapping_sub(frames(since));
                self.reception.pass(lasting.map(|rest| rest.after), first);
                if let (Some(rest), Some(before)) = (lasting, self.reception.number(first)) {
                    self.rest = Some(Rest { before, ..rest });
                }
            }
            Pause::Begins(more) => {
                let last = self.reception.number(timestamp.wrapping_add(frames(more)));
                self.rest = last.map(Rest::since).or(self.rest);
            }
            Pause::Lasts => {
                self.reception.pass(lasting.map(|rest| rest.after), timestamp);
                if let Arrival::New(frame) = self.reception.receive(timestamp) {
                    self.count(arrived, frame);
                    // Those that were to come before it and did not are not waited for any more.
                    self.rest = Some(Rest::since(lasting.map_or(frame, |rest| rest.after.min(frame))));
                }
                return false;
            }
        }
        true
    }

    /// Whether what comes next is a pause, not something that is missing.
    pub(super) fn rests(&self) -> bool {
        self.rest.is_some_and(|rest| rest.after < self.cursor && self.cursor < rest.before)
    }
}
