//! How often others may make us do something: a burst, and then a steady rate.

use std::collections::BTreeMap;
use std::net::IpAddr;
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
        self.take_many(1.0, now)
    }

    /// Takes as many tokens, or none and says `false`.
    pub fn take_many(&mut self, cost: f64, now: Instant) -> bool {
        self.tokens = self.tokens(now);
        self.filled = now;
        if self.tokens < cost {
            return false;
        }
        self.tokens -= cost;
        true
    }

    /// How many tokens there are.
    pub fn tokens(&self, now: Instant) -> f64 {
        let elapsed = now.saturating_duration_since(self.filled).as_secs_f64();
        (self.tokens + elapsed * self.per_second).min(self.size)
    }
}

/// A bucket for each of those who ask, of whom only so many are remembered.
pub struct Buckets<K> {
    size: f64,
    per_second: f64,
    remembered: usize,
    buckets: BTreeMap<K, TokenBucket>,
}

impl<K: Ord + Copy> Buckets<K> {
    /// Buckets of `size` that fill at `per_second`, for the latest `remembered` who ask.
    pub fn new(size: f64, per_second: f64, remembered: usize) -> Self {
        Self { size, per_second, remembered, buckets: BTreeMap::new() }
    }

    /// Takes a token from somebody's bucket; `false` when there is none.
    pub fn take(&mut self, now: Instant, key: K) -> bool {
        if self.buckets.len() >= self.remembered && !self.buckets.contains_key(&key) {
            // The fullest is the one whose loss allows least.
            let fullness = |entry: &(&K, &TokenBucket)| entry.1.tokens(now);
            let fullest = self.buckets.iter().max_by(|a, b| fullness(a).total_cmp(&fullness(b)));
            let fullest = fullest.map(|(key, _)| *key);
            fullest.map(|key| self.buckets.remove(&key));
        }
        let full = || TokenBucket::new(self.size, self.per_second, now);
        self.buckets.entry(key).or_insert_with(full).take(now)
    }

    /// How many are remembered.
    #[cfg(test)]
    pub fn len(&self) -> usize {
        self.buckets.len()
    }
}

/// What of an address one household has: whoever has one IPv6 address has its /64.
pub fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(ip) => IpAddr::V6((ip.to_bits() >> 64 << 64).into()),
        v4 => v4,
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
        assert!(!bucket.take_many(3.0, much_later + Duration::from_millis(200)), "all or nothing");
        assert!(bucket.take_many(3.0, much_later + Duration::from_millis(300)));
    }

    #[test]
    fn of_those_who_ask_the_busiest_are_remembered() {
        let now = Instant::now();
        let mut buckets = Buckets::new(2.0, 1.0, 3);
        assert!(buckets.take(now, 0) && buckets.take(now, 0) && !buckets.take(now, 0));
        for stranger in 1..100 {
            assert!(buckets.take(now, stranger));
            assert!(buckets.len() <= 3);
        }
        assert!(!buckets.take(now, 0), "others do not wash away who has asked too much");
    }
}
