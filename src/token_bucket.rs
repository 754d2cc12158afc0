//! How often others may make us do something: a burst, and then a steady rate.

use std::time::Instant;

/// A bucket that fills with tokens at a steady rate up to its size; what is done costs one.
pub struct TokenBucket {
    tokens: f64,
    size: f64,
    per_second: f64,
    filled: Instant,
}

impl TokenBucket {
    /// A full bucket.
    pub fn new(size: f64, per_second: f64, now: Instant) -> Self {
        Self { tokens: size, size, per_second, filled: now }
    }

    /// Takes a token; `false` when there is none.
    pub fn take(&mut self, now: Instant) -> bool {
        self.tokens = self.tokens(now);
        self.filled = now;
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }

    /// How many tokens there are.
    pub fn tokens(&self, now: Instant) -> f64 {
        let elapsed = now.saturating_duration_since(self.filled).as_secs_f64();
        (self.tokens + elapsed * self.per_second).min(self.size)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_bucket_allows_a_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut bucket = TokenBucket::new(5.0, 10.0, start);
        assert_eq!((0..9).filter(|_| bucket.take(start)).count(), 5);
        let later = start + Duration::from_millis(250);
        assert_eq!((0..9).filter(|_| bucket.take(later)).count(), 2);
        let much_later = later + Duration::from_secs(3_600);
        assert_eq!((0..9).filter(|_| bucket.take(much_later)).count(), 5);
    }
}
