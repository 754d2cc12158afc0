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
//! There is one encoder, and each packet is sealed once for all: so the worst path counts for everybody. Every rate is constant, and what it is
//! depends on reports alone.

mod load;
mod receiver;
#[cfg(test)]
mod tests;

pub use load::{Degree, Given, Rate};

use load::Load;
use receiver::Receiver;
use resonance_protocol::peer::TransportId;
use std::collections::BTreeMap;
use std::time::Instant;

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
    /// Takes one receiver's report in; returns what goes out from now on when that changes.
    pub fn report(&mut self, now: Instant, from: TransportId, report: Reception) -> Option<Given> {
        let sent = self.load;
        self.receivers.entry(from).or_insert_with(|| Receiver::new(now)).report(now, report, sent);
        self.decide()
    }

    /// Somebody does not receive any more; returns what goes out from now on when that changes.
    pub fn forget(&mut self, peer: TransportId) -> Option<Given> {
        self.receivers.remove(&peer);
        self.decide()
    }

    /// What goes out.
    pub fn given(&self) -> Given {
        self.given
    }

    fn decide(&mut self) -> Option<Given> {
        let needs = self.receivers.values().map(|receiver| receiver.degree).max().unwrap_or_default();
        let most = self.receivers.values().map(Receiver::most).min().unwrap_or(Load::Heavy);
        let load = Load::of(needs).min(most);
        let before = std::mem::replace(&mut self.load, load);
        if load > before {
            for receiver in self.receivers.values_mut() {
                receiver.gets_more(before);
            }
        }
        if load < before {
            self.receivers.values_mut().for_each(Receiver::gets_less);
        }
        let given = load.given(needs);
        (std::mem::replace(&mut self.given, given) != given).then_some(given)
    }
}
