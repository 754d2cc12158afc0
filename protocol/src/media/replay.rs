//! The replay window: each counter is accepted once, and late ones within limits.

/// Remembers which of the newest [`ReplayWindow::SIZE`] counters were used.
///
/// Look first ([`is_fresh`](Self::is_fresh)), mark after authentication ([`mark`](Self::mark)): a forged message must not move it.
#[derive(Clone)]
pub struct ReplayWindow {
    /// The counter above the newest that was marked; 0 when none was. (The last counter of all, 2⁶⁴ − 1, is never used.)
    next: u64,
    /// Bit `counter mod SIZE` of each counter in `next − SIZE .. next`.
    seen: [u64; ReplayWindow::WORDS],
}

impl ReplayWindow {
    const WORDS: usize = 8;

    /// Counters remembered: 5.12 s of 10 ms packets. Packets came up to 2.6 s late after outages.
    pub const SIZE: u64 = 64 * Self::WORDS as u64;

    /// A window in which every counter is fresh.
    pub const fn new() -> Self {
        Self { next: 0, seen: [0; Self::WORDS] }
    }

    /// Whether `counter` was not marked yet and is not too old to tell.
    pub fn is_fresh(&self, counter: u64) -> bool {
        if counter == u64::MAX {
            return false;
        }
        if counter >= self.next {
            return true;
        }
        let age = self.next.wrapping_sub(counter);
        let (word, bit) = Self::place(counter);
        age <= Self::SIZE && self.seen.get(word).is_some_and(|word| word & bit == 0)
    }

    /// Marks an authenticated counter as used.
    pub fn mark(&mut self, counter: u64) {
        if counter == u64::MAX {
            return;
        }
        if counter >= self.next {
            let after = counter.saturating_add(1);
            if after.saturating_sub(self.next) >= Self::SIZE {
                self.seen = [0; Self::WORDS];
            } else {
                (self.next..after).for_each(|skipped| self.set(skipped, false));
            }
            self.next = after;
        }
        if self.next.saturating_sub(counter) <= Self::SIZE {
            self.set(counter, true);
        }
    }

    fn place(counter: u64) -> (usize, u64) {
        let index = counter % Self::SIZE;
        ((index / 64) as usize, 1 << (index % 64))
    }

    fn set(&mut self, counter: u64, used: bool) {
        let (word, bit) = Self::place(counter);
        if let Some(word) = self.seen.get_mut(word) {
            *word = if used { *word | bit } else { *word & !bit };
        }
    }
}

impl Default for ReplayWindow {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};
    use std::collections::HashSet;

    #[test]
    fn it_agrees_with_a_set_that_remembers_everything() {
        let mut rng = StdRng::seed_from_u64(9605);
        let (mut window, mut used, mut newest) = (ReplayWindow::new(), HashSet::new(), 0u64);
        for _ in 0..200_000 {
            let jump = if rng.random_ratio(1, 500) { rng.random_range(0..3_000) } else { rng.random_range(0..4) };
            let counter = (newest + jump).saturating_sub(rng.random_range(0..700));
            let too_old = counter + ReplayWindow::SIZE <= newest;
            assert_eq!(window.is_fresh(counter), !too_old && !used.contains(&counter), "{counter}, newest {newest}");
            if !too_old && rng.random_ratio(9, 10) {
                window.mark(counter);
                used.insert(counter);
                newest = newest.max(counter);
            }
        }
    }

    #[test]
    fn the_edges_of_the_number_space_hold() {
        let mut window = ReplayWindow::new();
        assert!(window.is_fresh(0) && window.is_fresh(u64::MAX - 1));
        window.mark(0);
        assert!(!window.is_fresh(0) && window.is_fresh(1));
        window.mark(u64::MAX - 1);
        assert!(!window.is_fresh(u64::MAX - 1) && !window.is_fresh(0) && window.is_fresh(u64::MAX - 2));
        window.mark(u64::MAX);
        assert!(!window.is_fresh(u64::MAX), "the last counter is never fresh");
    }

    #[test]
    fn marking_what_is_too_old_changes_nothing() {
        let mut window = ReplayWindow::new();
        window.mark(10_000);
        window.mark(10_001 - ReplayWindow::SIZE - 1);
        assert!(window.is_fresh(10_001 - ReplayWindow::SIZE), "its place in the window was not taken");
    }
}
