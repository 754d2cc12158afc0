//! A key for each second, the same on both sides and forgotten by each side's own clock. Chains move when messages come; this one
//! moves when nothing does: what was lost on its way can be opened by nobody a few seconds later.

use super::keys::Secret;
use hkdf::Hkdf;
use sha2::Sha256;
use std::time::{Duration, Instant};

/// Seconds since the channel was made, as far as this side knows, and the keys of the last of them.
#[derive(Clone)]
pub(super) struct Clock {
    /// This second began then: second 0 with the channel, or one in which the other side was when we were still before it.
    began: (u32, Instant),
    /// The first second whose key is held; the later ones are made from it.
    first: u32,
    key: Secret,
}

impl Clock {
    /// Seconds whose keys are held: a message may come up to 7 s late, whatever overtakes it, and whoever steals the state opens
    /// nothing older than 9 s; one more is left for the network.
    pub const WINDOW: u32 = 8;

    /// How far ahead the other side may be: more than the 90 s after which a peer that is silent, because its machine sleeps, is gone.
    pub const MAX_AHEAD: u32 = 128;

    /// Begins with second 0.
    pub fn new(now: Instant, root: &Secret) -> Option<Self> {
        Some(Self { began: (0, now), first: 0, key: next(root)? })
    }

    /// The second that it is here, and its key.
    pub fn now(&mut self, now: Instant) -> Option<(u32, Secret)> {
        self.forget_expired(now);
        let second = self.second(now);
        Some((second, self.key(second)?))
    }

    /// The key of a second; `None` when it is forgotten, or too far away.
    pub fn key(&self, second: u32) -> Option<Secret> {
        let steps =
            second.checked_sub(self.first).filter(|steps| *steps < Self::WINDOW.saturating_add(Self::MAX_AHEAD))?;
        (0..steps).try_fold(self.key.clone(), |key, _| next(&key))
    }

    /// The other side has sealed something in this second: then it is no earlier here.
    pub fn hear(&mut self, now: Instant, second: u32) {
        if second > self.second(now) {
            self.began = (second, now);
        }
    }

    /// How long ago a second began, at most.
    pub fn age(&self, now: Instant, second: u32) -> Duration {
        self.time(now).saturating_sub(Duration::from_secs(second.into()))
    }

    /// Forgets the keys of seconds that are over for too long.
    pub fn forget_expired(&mut self, now: Instant) {
        let first = self.second(now).saturating_sub(Self::WINDOW.saturating_sub(1));
        while self.first < first {
            // HKDF gives far more than 32 bytes without fail; if it did not, nothing would open any more.
            self.key = next(&self.key).unwrap_or_default();
            self.first = self.first.saturating_add(1);
        }
    }

    fn time(&self, now: Instant) -> Duration {
        let (second, began) = self.began;
        now.saturating_duration_since(began).saturating_add(Duration::from_secs(second.into()))
    }

    fn second(&self, now: Instant) -> u32 {
        u32::try_from(self.time(now).as_secs()).unwrap_or(u32::MAX)
    }

    #[cfg(test)]
    pub fn all(&self) -> (u32, Instant, u32, [u8; 32]) {
        (self.began.0, self.began.1, self.first, *self.key)
    }
}

/// HKDF-Expand(key, "resonance/v1/ratchet/second", 32).
fn next(key: &Secret) -> Option<Secret> {
    let mut next = Secret::default();
    Hkdf::<Sha256>::from_prk(key.as_slice()).ok()?.expand(b"resonance/v1/ratchet/second", next.as_mut_slice()).ok()?;
    Some(next)
}
