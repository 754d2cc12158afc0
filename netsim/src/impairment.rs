//! One direction of a link: what happens to a packet between its two ends.
//!
//! A [`Link`] decides a packet's whole fate when it enters: it waits in a queue for its turn at the link's rate, is lost or not, is under way for a while.
//! All chance comes from a generator of the link's own, so that what happens on one link does not depend on the traffic of another.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::{Duration, Instant};

/// Whether a packet may arrive before one that was sent earlier.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// It may not: a link that delivers in order, as radio links do.
    #[default]
    Kept,
    /// It may: packets that take different ways.
    Free,
}

/// Delay that varies: a log-normal share on top of the fixed one, which changes gradually.
///
/// Latency has a long tail; two percentiles, which is what measurements publish, determine a log-normal distribution.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Jitter {
    /// Half of the packets have less than this.
    pub median: Duration,
    /// Nine in ten have less than this.
    pub ninetieth: Duration,
    /// How long a delay resembles itself: the time constant of its autocorrelation. Zero: each packet is drawn afresh.
    pub memory: Duration,
    /// Whether packets overtake one another.
    pub order: Order,
}

/// Which packets are lost on the way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum Loss {
    /// None.
    #[default]
    Never,
    /// Each with the same probability, whatever happened to the others.
    Bernoulli(f64),
    /// Gilbert–Elliott: a good and a bad state, changed between packet by packet (Elliott 1963).
    GilbertElliott {
        /// Probability of going from good to bad at each packet.
        worsen: f64,
        /// Probability of going from bad to good at each packet: one over the mean length of a bad spell, in packets.
        recover: f64,
        /// Probability of losing a packet in the bad state.
        bad: f64,
        /// Probability of losing a packet in the good state.
        good: f64,
    },
}

impl Loss {
    /// The share of packets lost in the long run.
    pub fn share(self) -> f64 {
        match self {
            Self::Never => 0.0,
            Self::Bernoulli(probability) => probability,
            Self::GilbertElliott { worsen, recover, bad, good } => {
                let in_bad = worsen / (worsen + recover);
                in_bad * bad + (1.0 - in_bad) * good
            }
        }
    }
}

/// How fast packets leave, and how many wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Bits per second.
    pub bits: u64,
    /// How long the last packet in a full queue waits; what comes then is dropped. Hundreds of milliseconds make bufferbloat.
    pub queue: Duration,
}

/// What happens to packets while a link is interrupted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meanwhile {
    /// They wait, and come all at once afterwards: a handover, a radio that scans.
    Held,
    /// They are lost: a tunnel.
    Lost,
}

/// Interruptions that come by themselves, at random, on average every so often.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Interruption {
    /// Mean time from the end of one to the beginning of the next (exponentially distributed).
    pub every: Duration,
    /// Shortest.
    pub least: Duration,
    /// Longest (uniformly distributed between the two).
    pub most: Duration,
    /// What happens to packets then.
    pub packets: Meanwhile,
}

/// All that can be wrong with one direction of a link. The default is a perfect one.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Impairment {
    /// Time that every packet is under way.
    pub delay: Duration,
    /// Time on top that varies.
    pub jitter: Option<Jitter>,
    /// Packets that do not arrive.
    pub loss: Loss,
    /// Probability that a packet arrives twice.
    pub duplicates: f64,
    /// How fast it is; `None`: as fast as one likes.
    pub rate: Option<Rate>,
    /// Interruptions.
    pub interruption: Option<Interruption>,
}

/// What becomes of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives at that time.
    Arrives(Instant),
    /// It arrives at both times.
    Twice(Instant, Instant),
    /// It is lost on the way.
    Lost,
    /// The queue was full.
    Overflow,
    /// The link is down.
    Down,
}

/// What a link did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Packets that it carried.
    pub carried: u64,
    /// Packets lost on the way.
    pub lost: u64,
    /// Packets that found the queue full.
    pub overflow: u64,
    /// Packets that came while it was down.
    pub down: u64,
    /// Packets that arrived twice.
    pub twice: u64,
}

/// One direction of a link at work.
#[derive(Debug)]
pub struct Link {
    impairment: Impairment,
    chance: StdRng,
    /// Down until somebody says otherwise.
    cut: bool,
    /// True in the bad state of Gilbert and Elliott.
    bad: bool,
    /// When the last queued packet will have left.
    busy_until: Option<Instant>,
    /// When the last packet in order arrives.
    last_arrival: Option<Instant>,
    /// The normally distributed value that the jitter follows, and when it had it.
    mood: Option<(Instant, f64)>,
    /// The current or the next interruption.
    interrupted: Option<(Instant, Instant)>,
    /// What it did so far.
    pub tally: Tally,
}

impl Link {
    /// A link whose chance is determined by `seed`.
    pub fn new(impairment: Impairment, seed: u64) -> Self {
        Self {
            impairment,
            chance: StdRng::seed_from_u64(seed),
            cut: false,
            bad: false,
            busy_until: None,
            last_arrival: None,
            mood: None,
            interrupted: None,
            tally: Tally::default(),
        }
    }

    /// Makes the link better or worse for the packets to come.
    pub fn change(&mut self, impairment: Impairment) {
        self.impairment = impairment;
        self.interrupted = None;
        self.mood = None;
    }

    /// Takes the link down, or up again.
    pub fn set_cut(&mut self, cut: bool) {
        self.cut = cut;
    }

    /// Sends a packet of `length` bytes on its way.
    pub fn carry(&mut self, now: Instant, length: usize) -> Fate {
        let fate = self.decide(now, length);
        match fate {
            Fate::Arrives(_) => self.tally.carried += 1,
            Fate::Twice(..) => {
                self.tally.carried += 1;
                self.tally.twice += 1;
            }
            Fate::Lost => self.tally.lost += 1,
            Fate::Overflow => self.tally.overflow += 1,
            Fate::Down => self.tally.down += 1,
        }
        fate
    }

    fn decide(&mut self, now: Instant, length: usize) -> Fate {
        if self.cut {
            return Fate::Down;
        }
        let mut start = now.max(self.busy_until.unwrap_or(now));
        if let Some((begin, end)) = self.interruption_at(start) {
            match self.impairment.interruption.map(|interruption| interruption.packets) {
                Some(Meanwhile::Lost) if begin <= now => return Fate::Down,
                Some(Meanwhile::Held) => start = end,
                _ => {}
            }
        }
        let leaves = match self.impairment.rate {
            None => start,
            // Time in an interruption is no queueing: a radio's buffer holds what a handover makes wait.
            Some(rate) if start.saturating_duration_since(now) > rate.queue + self.longest_hold() => {
                return Fate::Overflow;
            }
            Some(rate) => {
                let nanoseconds = length as u128 * 8 * 1_000_000_000 / u128::from(rate.bits.max(1));
                start + Duration::from_nanos(nanoseconds as u64)
            }
        };
        // A lost packet, too, took its time on the link.
        self.busy_until = (self.impairment.rate.is_some() || leaves > now).then_some(leaves);
        if self.loses() {
            return Fate::Lost;
        }
        let arrives = self.arrival(leaves);
        if self.impairment.duplicates > 0.0 && self.chance.random::<f64>() < self.impairment.duplicates {
            let again = self.arrival(leaves).max(arrives);
            return Fate::Twice(arrives, again);
        }
        Fate::Arrives(arrives)
    }

    fn longest_hold(&self) -> Duration {
        let holds = self.impairment.interruption.filter(|interruption| interruption.packets == Meanwhile::Held);
        holds.map_or(Duration::ZERO, |interruption| interruption.most)
    }

    fn loses(&mut self) -> bool {
        let probability = match self.impairment.loss {
            Loss::Never => return false,
            Loss::Bernoulli(probability) => probability,
            Loss::GilbertElliott { worsen, recover, bad, good } => {
                let change = if self.bad { recover } else { worsen };
                self.bad ^= self.chance.random::<f64>() < change;
                if self.bad { bad } else { good }
            }
        };
        self.chance.random::<f64>() < probability
    }

    fn arrival(&mut self, leaves: Instant) -> Instant {
        let Some(jitter) = self.impairment.jitter else {
            return self.in_order(leaves + self.impairment.delay, Order::Kept);
        };
        let delay = self.impairment.delay + self.variable(leaves, jitter);
        self.in_order(leaves + delay, jitter.order)
    }

    fn in_order(&mut self, arrives: Instant, order: Order) -> Instant {
        let last = self.last_arrival.unwrap_or(arrives);
        let arrives = if order == Order::Kept { arrives.max(last) } else { arrives };
        self.last_arrival = Some(arrives.max(last));
        arrives
    }

    /// The variable share of a delay: the exponential of an Ornstein–Uhlenbeck process.
    fn variable(&mut self, at: Instant, jitter: Jitter) -> Duration {
        let fresh = normal(&mut self.chance);
        let value = match self.mood {
            Some((then, value)) if !jitter.memory.is_zero() => {
                let passed = at.saturating_duration_since(then).as_secs_f64();
                let kept = (-passed / jitter.memory.as_secs_f64()).exp();
                value * kept + fresh * (1.0 - kept * kept).sqrt()
            }
            _ => fresh,
        };
        self.mood = Some((at, value));
        let spread = (jitter.ninetieth.as_secs_f64() / jitter.median.as_secs_f64().max(1e-9)).ln() / NINETIETH;
        // Four deviations: what comes once in thirty thousand is the worst that a link does without being interrupted.
        jitter.median.mul_f64((spread.max(0.0) * value.clamp(-4.0, 4.0)).exp())
    }

    /// The interruption that `at` falls into.
    fn interruption_at(&mut self, at: Instant) -> Option<(Instant, Instant)> {
        let interruption = self.impairment.interruption?;
        let mut current = match self.interrupted {
            Some(current) => current,
            None => self.next_interruption(at, interruption),
        };
        while current.1 <= at {
            current = self.next_interruption(current.1, interruption);
        }
        self.interrupted = Some(current);
        (current.0 <= at).then_some(current)
    }

    fn next_interruption(&mut self, after: Instant, interruption: Interruption) -> (Instant, Instant) {
        let wait = interruption.every.mul_f64(-(1.0 - self.chance.random::<f64>()).ln());
        let span = interruption.most.saturating_sub(interruption.least);
        let begin = after + wait;
        (begin, begin + interruption.least + span.mul_f64(self.chance.random::<f64>()))
    }
}

/// Where the standard normal distribution has nine tenths below it.
const NINETIETH: f64 = 1.281_551_565_5;

/// A standard normal number (Box and Muller 1958).
fn normal(chance: &mut StdRng) -> f64 {
    let radius = (-2.0 * (1.0 - chance.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * chance.random::<f64>()).cos()
}
