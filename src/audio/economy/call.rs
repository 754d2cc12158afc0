//! When a card called for its worker, and how long it can wait: told from the card's thread to the worker's.

use crate::audio::format::SAMPLE_RATE;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// One call at a time: until it is answered further ones are the same. Neither end waits for the other.
pub struct Call {
    epoch: Instant,
    /// Nanoseconds since the epoch at which it was made; 0: there is none.
    made: AtomicU64,
    /// Samples until the card is in need.
    patience: AtomicU32,
}

impl Default for Call {
    fn default() -> Self {
        Self { epoch: Instant::now(), made: AtomicU64::new(0), patience: AtomicU32::new(0) }
    }
}

impl Call {
    /// The card calls, and will be in need in so many samples.
    pub fn make(&self, patience: usize) {
        if self.made.load(Ordering::Relaxed) == 0 {
            self.patience.store(u32::try_from(patience).unwrap_or(u32::MAX), Ordering::Relaxed);
            let since = u64::try_from(self.epoch.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.made.store(since.max(1), Ordering::Release);
        }
    }

    /// The worker has done what it was called for: which share of the time that it had that took. None if it was not called.
    pub fn answer(&self, now: Instant) -> Option<f32> {
        let made = self.made.swap(0, Ordering::Acquire);
        if made == 0 {
            return None;
        }
        let took = now.saturating_duration_since(self.epoch).saturating_sub(Duration::from_nanos(made));
        let had = self.patience.load(Ordering::Relaxed).max(1) as f32 / SAMPLE_RATE as f32;
        Some(took.as_secs_f32() / had)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_answered_once_and_counts_from_when_it_was_made() {
        let call = Call::default();
        assert_eq!(call.answer(Instant::now()), None, "nobody called");
        let before = Instant::now();
        call.make(480);
        let after = Instant::now();
        // The card grows impatient; it is still the first call.
        call.make(48_000);
        let share = call.answer(before + Duration::from_millis(5)).expect("it was made");
        assert!(share <= 0.5, "{share} of 10 ms");
        call.make(480);
        let share = call.answer(after + Duration::from_secs(1)).expect("it was made");
        assert!(share > 10.0, "a second is long for 10 ms: {share}");
        assert_eq!(call.answer(Instant::now()), None, "it was answered");
    }
}
