//! MKSKIPPED: keys of messages that others have overtaken.

use super::keys::MessageKey;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Keys of messages that have not come yet, few and for a short time: whoever steals them can open those messages.
#[derive(Clone, Default)]
pub(super) struct SkippedKeys(VecDeque<SkippedKey>);

#[derive(Clone)]
struct SkippedKey {
    /// The chain's ratchet key.
    chain: [u8; 32],
    number: u32,
    since: Instant,
    /// Shared with the working copies of a ratchet; wiped when the last of them is gone.
    key: Arc<MessageKey>,
}

impl SkippedKeys {
    /// Keys kept at once: more than the messages that travel between two peers at one time.
    pub const MAX: usize = 64;

    /// How long a key is kept: as long as it can be of use, see [`Clock`](super::clock::Clock).
    pub const MAX_AGE: Duration = Duration::from_secs(8);

    /// Keeps a key; the oldest makes room.
    pub fn keep(&mut self, now: Instant, chain: [u8; 32], number: u32, key: MessageKey) {
        if self.0.len() >= Self::MAX {
            self.0.pop_front();
        }
        self.0.push_back(SkippedKey { chain, number, since: now, key: Arc::new(key) });
    }

    pub fn find(&self, chain: &[u8; 32], number: u32) -> Option<Arc<MessageKey>> {
        let skipped = self.0.iter().find(|skipped| skipped.chain == *chain && skipped.number == number)?;
        Some(Arc::clone(&skipped.key))
    }

    pub fn remove(&mut self, chain: &[u8; 32], number: u32) {
        self.0.retain(|skipped| skipped.chain != *chain || skipped.number != number);
    }

    pub fn forget_expired(&mut self, now: Instant) {
        self.0.retain(|skipped| now.saturating_duration_since(skipped.since) < Self::MAX_AGE);
    }

    #[cfg(test)]
    pub fn keys(&self) -> Vec<[u8; 32]> {
        self.0.iter().map(|skipped| *skipped.key.bytes()).collect()
    }
}
