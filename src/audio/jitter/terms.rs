//! What the jitter buffer and the lane say to one another.

use std::time::Instant;

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It waits to be played.
    Kept,
    /// It came before.
    Duplicate,
    /// Its time is over (or it belongs to another timeline).
    Late,
}

/// What to play for the next frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull<'a> {
    /// This packet.
    Frame(&'a [u8]),
    /// Something made up: a frame is missing.
    Conceal,
    /// Nothing: the voice has not begun, or has ended.
    Silence,
}

/// Totals since the lane began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Packets that were the first of their frame.
    pub received: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Runs in which they were missing.
    pub gaps: u64,
    /// Frames that came in time as copies in later packets.
    pub repaired: u64,
    /// Packets that came after their time, or that were too old to be worth playing.
    pub late: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// Frames that were made up.
    pub concealed: u64,
    /// Samples that were taken out or put in.
    pub corrected: u64,
}

/// When the lane asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Moment {
    /// The time.
    pub now: Instant,
    /// Samples that were wanted at once with these, and before them.
    pub rendered: usize,
    /// Samples that are wanted at once, at the most lately.
    pub burst: usize,
}

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
