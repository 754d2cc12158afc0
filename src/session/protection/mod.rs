//! How much goes out for the own voice, at which rate and with how many copies: as much as the worst of the receivers needs, no more than
//! the narrowest path bears.
//!
//! Every second each receiver reports which share of the packets it missed, in what runs, and how long they queued. More copies are given at
//! once, and taken back when they were not needed for five seconds. Where they make matters worse (a queue grows, or more is lost than
//! before) the path is too narrow: fewer are given, longer each time. Loss that stays when less is given was not of our making.
//!
//! Where even the voice alone is too much (a queue that grows, or is full while packets get lost) its rate is lowered to what came through, at
//! once, and raised again step by step; a step that failed is tried again ever more rarely, up to every four minutes. Loss without a queue
//! never lowers the rate: what is lost by chance needs copies.
//!
//! Reports go through the same bottleneck as the sound, or their receipts do: they come late, in bunches, or not at all. A report counts for the
//! time when it was made, those that are old, or come together, count as none or as one, and where none comes while round trips take longer than
//! they did, that is a sign of its own, as in RFC 8083.
//!
//! There is one encoder, and each packet is sealed once for all. A narrow way out shows in everybody's reports, a receiver's narrow way in only
//! in its own: so the rate goes below the full one only as far as more than half of the receivers want it, and a few who lie, or have little
//! themselves, lower nothing for the others. Copies are no more than the narrowest path bears. Every rate is constant, and what it is depends on
//! reports and round trips alone.

mod load;
mod receiver;
#[cfg(test)]
mod tests;

pub use load::{Degree, Given};

use load::Load;
use receiver::Receiver;
use resonance_protocol::peer::TransportId;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// What one receiver says of the last second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reception {
    /// Share of packets that it missed, 0–1.
    pub loss: f32,
    /// How many in a row, on average.
    pub burst: f32,
    /// How long packets queued on the way, in ms.
    pub queue_ms: f32,
}

impl Reception {
    /// What would mend this.
    fn needs(self) -> Degree {
        match self {
            Self { loss, .. } if loss < 0.01 => Degree::None,
            Self { loss, burst, .. } if loss < 0.06 && burst < 1.5 => Degree::Light,
            Self { loss, burst, .. } if loss < 0.12 && burst < 2.5 => Degree::Medium,
            _ => Degree::Heavy,
        }
    }
}

/// All receivers together: everybody gets the same packets.
#[derive(Debug, Default)]
pub struct Protection {
    receivers: BTreeMap<TransportId, Receiver>,
    load: Load,
    given: Given,
}

impl Protection {
    /// Takes one receiver's report in, which was made so long ago by a clock that may be off by some time, always the same; returns what goes out
    /// from now on when that changes.
    pub fn report(&mut self, now: Instant, from: TransportId, age: Duration, report: Reception) -> Option<Given> {
        let sent = self.load;
        self.receivers.entry(from).or_insert_with(|| Receiver::new(now)).report(now, age, report, sent);
        self.decide(now)
    }

    /// About once a second: so long take round trips to this receiver, if that is known, and its reports should be coming. Returns what goes out
    /// from now on when that changes.
    pub fn listen(&mut self, now: Instant, to: TransportId, round_trip_ms: Option<f32>) -> Option<Given> {
        let sent = self.load;
        self.receivers.get_mut(&to)?.listen(now, round_trip_ms, sent);
        self.decide(now)
    }

    /// Reports of this receiver cannot come now, whatever its path is like.
    pub fn excuse(&mut self, now: Instant, peer: TransportId) {
        if let Some(receiver) = self.receivers.get_mut(&peer) {
            receiver.excuse(now);
        }
    }

    /// Somebody does not receive any more; returns what goes out from now on when that changes.
    pub fn forget(&mut self, now: Instant, peer: TransportId) -> Option<Given> {
        self.receivers.remove(&peer);
        self.decide(now)
    }

    /// What goes out.
    pub fn given(&self) -> Given {
        self.given
    }

    fn decide(&mut self, now: Instant) -> Option<Given> {
        let needs = self.receivers.values().map(|receiver| receiver.degree).max().unwrap_or_default();
        let mut most: Vec<Load> = self.receivers.values().map(Receiver::most).collect();
        most.sort_unstable();
        // More than half want no more than this.
        let usual = most.get(most.len() / 2).copied().unwrap_or(Load::Heavy);
        let narrowest = most.first().copied().unwrap_or(Load::Heavy);
        let load = Load::of(needs).min(if usual < Load::Full { usual } else { narrowest.max(Load::Full) });
        let before = std::mem::replace(&mut self.load, load);
        if load > before {
            for receiver in self.receivers.values_mut() {
                receiver.gets_more(now, before);
            }
        }
        if load < before {
            self.receivers.values_mut().for_each(|receiver| receiver.gets_less(now, before, load));
        }
        let given = load.given(needs);
        (std::mem::replace(&mut self.given, given) != given).then_some(given)
    }
}
