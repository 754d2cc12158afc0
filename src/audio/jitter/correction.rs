//! What the jitter buffer asks of the lane.

/// Time that should be taken out of or put into the sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Correction {
    /// Which way.
    pub change: Change,
    /// At most so many samples, in one step or several.
    pub at_most: usize,
    /// What may be risked for it.
    pub urgency: Urgency,
}

/// Which way time is corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Take samples out: the delay is longer than needed.
    Remove,
    /// Put samples in: the delay is too short.
    Add,
}

/// What may be risked for a correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Only in a pause.
    Calm,
    /// In a pause or where the voice repeats itself.
    Soon,
    /// At the best place in sight.
    Now,
}
