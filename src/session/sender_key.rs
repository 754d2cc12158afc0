//! Our own sender key: handed to every member, a fresh one when somebody comes or goes, in use when all have it or time is up.

use rand::CryptoRng;
use resonance_protocol::media::sender_key::SenderKey;
use resonance_protocol::peer::TransportId;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long to wait for acknowledgements after somebody came: nobody is harmed by the old key a little longer.
const JOIN_PATIENCE: Duration = Duration::from_secs(1);
/// After somebody went: the old key is theirs too.
const LEAVE_PATIENCE: Duration = Duration::from_millis(250);

/// Why a fresh key is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Somebody came.
    Join,
    /// Somebody went, or is lost.
    Leave,
}

impl Reason {
    /// The word that scripts see.
    pub fn word(self) -> &'static str {
        match self {
            Reason::Join => "join",
            Reason::Leave => "leave",
        }
    }
}

/// The machine that decides which of our generations is in use.
#[derive(Default)]
pub struct SenderKeys {
    generation: u64,
    active: Option<SenderKey>,
    pending: Option<Pending>,
}

struct Pending {
    key: SenderKey,
    reason: Reason,
    waiting: BTreeSet<TransportId>,
    deadline: Instant,
}

impl SenderKeys {
    /// Makes the next generation, for `recipients` to acknowledge; one that was pending is skipped.
    pub fn rotate(
        &mut self,
        now: Instant,
        reason: Reason,
        recipients: impl Iterator<Item = TransportId>,
        rng: &mut impl CryptoRng,
    ) {
        // A leave that is still pending must not be delayed by a join.
        let reason = match &self.pending {
            Some(pending) if pending.reason == Reason::Leave => Reason::Leave,
            _ => reason,
        };
        let latest = now + if reason == Reason::Leave { LEAVE_PATIENCE } else { JOIN_PATIENCE };
        let deadline = self.pending.as_ref().map_or(latest, |pending| pending.deadline.min(latest));
        self.generation += 1;
        let key = SenderKey::generate(self.generation, rng);
        self.pending = Some(Pending { key, reason, waiting: recipients.collect(), deadline });
    }

    /// The key that members must have by now: the pending one, else the one in use.
    pub fn newest(&self) -> Option<&SenderKey> {
        self.pending.as_ref().map(|pending| &pending.key).or(self.active.as_ref())
    }

    /// A member has installed a generation.
    pub fn acknowledged(&mut self, from: TransportId, generation: u64) {
        if let Some(pending) = self.pending.as_mut().filter(|pending| pending.key.generation() == generation) {
            pending.waiting.remove(&from);
        }
    }

    /// Nothing is expected of a peer any more.
    pub fn forget(&mut self, peer: TransportId) {
        if let Some(pending) = &mut self.pending {
            pending.waiting.remove(&peer);
        }
    }

    /// The key to use from now on, once: when all have it, or when the deadline has passed.
    pub fn poll_activation(&mut self, now: Instant) -> Option<(&SenderKey, Reason)> {
        let due = self.pending.as_ref().is_some_and(|pending| pending.waiting.is_empty() || pending.deadline <= now);
        let pending = if due { self.pending.take()? } else { return None };
        self.active = Some(pending.key);
        self.active.as_ref().map(|key| (key, pending.reason))
    }

    /// When to look again.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.pending.as_ref().map(|pending| pending.deadline)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;

    fn peer(byte: u8) -> TransportId {
        TransportId::from_bytes([byte; 32])
    }

    #[test]
    fn a_key_is_used_when_all_have_it_or_when_time_is_up() {
        let (mut keys, mut rng, now) = (SenderKeys::default(), rand::rngs::StdRng::seed_from_u64(1), Instant::now());
        keys.rotate(now, Reason::Join, [peer(1), peer(2)].into_iter(), &mut rng);
        keys.acknowledged(peer(1), 1);
        keys.acknowledged(peer(2), 7);
        assert!(keys.poll_activation(now).is_none(), "an acknowledgement of another generation counts for nothing");
        keys.acknowledged(peer(2), 1);
        assert_eq!(keys.poll_activation(now).map(|(key, reason)| (key.generation(), reason)), Some((1, Reason::Join)));
        assert!(keys.poll_activation(now).is_none(), "once");

        keys.rotate(now, Reason::Leave, [peer(1)].into_iter(), &mut rng);
        assert!(keys.poll_activation(now + Duration::from_millis(249)).is_none());
        assert!(
            keys.poll_activation(now + Duration::from_millis(250)).is_some(),
            "a silent member delays a leave by 250 ms"
        );
    }

    #[test]
    fn a_join_does_not_prolong_a_leave() {
        let (mut keys, mut rng, now) = (SenderKeys::default(), rand::rngs::StdRng::seed_from_u64(2), Instant::now());
        keys.rotate(now, Reason::Leave, [peer(1)].into_iter(), &mut rng);
        keys.rotate(now + Duration::from_millis(100), Reason::Join, [peer(1), peer(2)].into_iter(), &mut rng);
        assert_eq!(keys.poll_timeout(), Some(now + Duration::from_millis(250)));
        assert_eq!(keys.newest().map(SenderKey::generation), Some(2));
        keys.forget(peer(1));
        keys.forget(peer(2));
        assert!(keys.poll_activation(now + Duration::from_millis(101)).is_some());
    }
}
