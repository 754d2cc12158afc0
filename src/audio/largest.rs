//! A running maximum that forgets, counted in samples.

use super::format::SAMPLE_RATE;

/// The largest amount of the last one to two spans.
#[derive(Clone, Copy, Debug)]
pub struct Largest {
    span: usize,
    now: usize,
    before: usize,
    since: usize,
}

impl Largest {
    /// Forgets after one or two times so many seconds.
    pub fn of_seconds(seconds: usize) -> Self {
        Self { span: seconds * SAMPLE_RATE as usize, now: 0, before: 0, since: 0 }
    }

    /// Takes an amount in, while so many samples pass; returns the largest.
    pub fn feed(&mut self, amount: usize, samples: usize) -> usize {
        self.now = self.now.max(amount);
        self.since += samples;
        if self.since >= self.span {
            self.since = 0;
            self.before = std::mem::replace(&mut self.now, amount);
        }
        self.now.max(self.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_is_remembered_for_a_span_and_forgotten_after_two() {
        let mut largest = Largest::of_seconds(1);
        assert_eq!(largest.feed(960, 960), 960);
        for block in 1..50 {
            assert_eq!(largest.feed(120, 960), 960, "block {block}");
        }
        let mut after = 0;
        while largest.feed(120, 960) > 120 {
            after += 1;
        }
        assert!(after <= 50, "a second later, {after} blocks");
    }
}
