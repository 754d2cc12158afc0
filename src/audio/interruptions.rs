//! Interruptions of sound that are worth a longer delay: those that come back.
//!
//! A machine that stood still for a moment interrupts once, and more waiting afterwards helps nobody.

use super::format::SAMPLE_RATE;

/// What follows sooner than so many samples belongs to the same trouble: half a second;
const APART: u64 = SAMPLE_RATE as u64 / 2;
/// what follows later than so many to none: 20 s.
const REMEMBERED: u64 = 20 * SAMPLE_RATE as u64;

/// Counts samples from one interruption to the next.
#[derive(Clone, Copy, Debug)]
pub struct Interruptions {
    since: u64,
}

impl Default for Interruptions {
    fn default() -> Self {
        Self { since: REMEMBERED }
    }
}

impl Interruptions {
    /// So many samples were played.
    pub fn pass(&mut self, samples: usize) {
        self.since = self.since.saturating_add(samples as u64);
    }

    /// There is one. True when it is one of several, so that something should be done about the next.
    pub fn another(&mut self) -> bool {
        if self.since < APART {
            return false;
        }
        let again = self.since < REMEMBERED;
        self.since = 0;
        again
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_happens_once_is_no_rule_and_what_comes_back_is() {
        let mut interruptions = Interruptions::default();
        let after = |interruptions: &mut Interruptions, ms: usize| {
            interruptions.pass(ms * 48);
            interruptions.another()
        };
        let told = [0, 5, 100, 600, 19_000, 400, 21_000, 500].map(|ms| after(&mut interruptions, ms));
        // A second one 705 ms after the first, a third 19 s later, which has an echo; one after a long peace, and another soon.
        assert_eq!(told, [false, false, false, true, true, false, false, true]);
    }
}
