//! Doing less before anything is late: what is left out while the machine is too slow, and when.
//!
//! Nothing is guessed from the kind of machine. The workers measure, by the wall's clock, how much of the time that they had each of their
//! rounds took ([`Call`]): so a slow processor shows, other programs, and a limit that the system sets. The [`Governor`] on the downlink
//! worker takes one [`Step`] after the other, what is missed least first, and takes them back when it has been quiet for a while.
//!
//! What each saves, of one core of a small server: the hall 0.4 %; the network that conceals, with 10 % of the packets lost, 0.4 % for
//! each voice; encoding as well as possible 0.5 %; an exact search 40 µs each time; suppressing noise 1.7 %.

mod call;
mod governor;

pub use call::Call;
pub use governor::Governor;

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};

/// What can be left out, in the order in which it is missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The room around the voices.
    Room,
    /// The neural network that makes up what got lost: the plain way is kept.
    Concealment,
    /// The encoder's search for the best of all packets: the second best sounds almost like it.
    Encoding,
    /// The exact search for the place where a voice can be stretched.
    Stretching,
    /// The suppression of noise around the own voice.
    Noise,
}

/// The first so many steps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Economy(u8);

impl Economy {
    /// Nothing is left out.
    pub const NONE: Self = Self(0);
    /// Everything that can be is left out.
    pub const MOST: Self = Self(Self::WORDS.len() as u8);
    /// What a person is told is reduced, step by step.
    const WORDS: [&'static str; 5] = ["room", "concealment", "encoding", "stretching", "noise suppression"];

    /// Whether that is left out.
    pub fn leaves_out(self, step: Step) -> bool {
        self.0 > step as u8
    }

    /// What is reduced, in words.
    pub fn words(self) -> &'static [&'static str] {
        Self::WORDS.get(..usize::from(self.0)).unwrap_or(&Self::WORDS)
    }

    fn more(self) -> Self {
        Self(self.0 + 1).min(Self::MOST)
    }

    fn less(self) -> Self {
        Self(self.0.saturating_sub(1))
    }
}

/// What the workers tell one another: how the own voice's do, and what is left out.
#[derive(Clone, Default)]
pub struct Agreement(Arc<Shared>);

#[derive(Default)]
struct Shared {
    economy: AtomicU8,
    /// The largest share of its time that a round of theirs took since the downlink last asked, in thousandths.
    uplink: AtomicU32,
}

impl Agreement {
    /// What is left out now.
    pub fn economy(&self) -> Economy {
        Economy(self.0.economy.load(Ordering::Relaxed)).min(Economy::MOST)
    }

    /// Leaves so much out from now on.
    pub fn agree(&self, economy: Economy) {
        self.0.economy.store(economy.0, Ordering::Relaxed);
    }

    /// A round of the own voice's took this share of its time.
    pub fn tell(&self, share: f32) {
        self.0.uplink.fetch_max((share * 1_000.0) as u32, Ordering::Relaxed);
    }

    /// The largest share since the last call.
    pub fn hear(&self) -> f32 {
        self.0.uplink.swap(0, Ordering::Relaxed) as f32 / 1_000.0
    }
}

#[cfg(test)]
mod tests;
