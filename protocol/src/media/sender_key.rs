//! A sender's key of one generation, and what is made from it: one sealer here, an opening key at every other member.

use super::header::Header;
use super::ratchet::{self, BaseKey, KeyId, StepKeys};
use super::sealer::Sealer;
use crate::identity::Fingerprint;
use crate::link::SessionId;
use crate::signal::{MediaKey, RekeyReason};
use rand_core::CryptoRng;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use zeroize::Zeroizing;

/// Additional data of every packet (RFC 9605's metadata): session id ‖ sender's identity fingerprint.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Metadata([u8; Metadata::LEN]);

impl Metadata {
    const LEN: usize = 32;
    /// Room for the authenticated data: header ‖ metadata.
    const AAD_LEN: usize = Header::MAX_LEN + Self::LEN;

    pub fn empty() -> Self {
        Self([0; Self::LEN])
    }

    fn new(session: &SessionId, sender: &Fingerprint) -> Self {
        let mut metadata = Self::empty();
        for (to, from) in metadata.0.iter_mut().zip(session.as_bytes().iter().chain(sender.as_bytes())) {
            *to = *from;
        }
        metadata
    }

    /// header ‖ metadata, and its length.
    pub fn aad(&self, header: &[u8]) -> ([u8; Self::AAD_LEN], usize) {
        let mut aad = [0; Self::AAD_LEN];
        for (to, from) in aad.iter_mut().zip(header.iter().chain(&self.0)) {
            *to = *from;
        }
        (aad, header.len().saturating_add(Self::LEN).min(Self::AAD_LEN))
    }
}

/// The base key of one step of one generation of one sender, 32 bytes.
///
/// Whoever holds it can open what this sender seals in that generation from that step on, and nothing from before.
#[derive(Clone)]
pub struct SenderKey {
    id: KeyId,
    base_key: BaseKey,
    /// Shared with every clone: a second sealer would begin the counter again and repeat nonces.
    may_seal: Arc<AtomicBool>,
}

impl SenderKey {
    /// A fresh random key. `generation` counts up by one with each; only its lower 60 bits are used.
    pub fn generate(generation: u64, rng: &mut impl CryptoRng) -> Self {
        let mut base_key = Zeroizing::new([0; 32]);
        rng.fill_bytes(base_key.as_mut_slice());
        Self { id: KeyId::new(generation, 0), base_key, may_seal: Arc::new(AtomicBool::new(true)) }
    }

    /// The key another member handed over. It opens; its [`sealer`](Self::sealer) refuses.
    pub fn from_signal(key: &MediaKey) -> Self {
        Self {
            id: KeyId::new(key.generation, key.step),
            base_key: key.secret.clone(),
            may_seal: Arc::new(AtomicBool::new(false)),
        }
    }

    /// The signal that hands this key to one member. `recipients_hash`: see [`MediaKey::recipients_hash`]; `hop_key`: fresh.
    pub fn to_signal(&self, recipients_hash: [u8; 32], reason: RekeyReason, hop_key: Zeroizing<[u8; 32]>) -> MediaKey {
        MediaKey {
            generation: self.id.generation(),
            step: self.id.step(),
            secret: self.base_key.clone(),
            recipients_hash,
            hop_key,
            reason,
        }
    }

    /// Which of the sender's keys this is, and how far its ratchet has come.
    pub fn id(&self) -> KeyId {
        self.id
    }

    /// Which of the sender's keys this is.
    pub fn generation(&self) -> u64 {
        self.id.generation()
    }

    /// One step forward: the base key that was is overwritten. False, and nothing done, after the last step.
    #[must_use]
    pub fn advance(&mut self) -> bool {
        let Some(step) = self.id.step().checked_add(1).filter(|&step| step <= KeyId::MAX_STEP) else { return false };
        self.base_key = ratchet::next(&self.base_key);
        self.id = KeyId::new(self.id.generation(), step);
        true
    }

    /// The sealer of this generation, once: a second call, on this key or on a clone of it, and any call on another's key
    /// gives a sealer that refuses with [`SealError::Spent`](super::SealError::Spent), so that no nonce can be used twice.
    pub fn sealer(&self, session: &SessionId, sender: &Fingerprint) -> Sealer {
        let first = self.may_seal.swap(false, Ordering::AcqRel);
        Sealer::new(StepKeys::derive(self.id, &self.base_key), Metadata::new(session, sender), first)
    }

    /// What a receiver installs to open this generation of `sender`, from this step on.
    pub fn opening_key(&self, session: &SessionId, sender: &Fingerprint) -> OpeningKey {
        OpeningKey {
            steps: StepKeys::derive(self.id, &self.base_key),
            metadata: Metadata::new(session, sender),
            grace: OpeningKey::GRACE,
            age: Duration::ZERO,
        }
    }
}

/// Opens the packets of one sender in one generation. Large: moved in a box through rings, never cloned.
pub struct OpeningKey {
    pub(super) steps: StepKeys,
    pub(super) metadata: Metadata,
    /// How long older generations stay once this one is in use.
    pub(super) grace: Duration,
    /// How long it was on its way.
    pub(super) age: Duration,
}

impl OpeningKey {
    /// Packets of an older key may still be under way for so long after its successor was first used.
    pub const GRACE: Duration = Duration::from_secs(2);
    /// The same after somebody left or was sent away, who holds the older key too.
    pub const GRACE_AFTER_LEAVE: Duration = Duration::from_millis(300);

    /// Says why the sender made this key: it decides how soon the older ones are erased.
    pub fn because(mut self, reason: RekeyReason) -> Self {
        self.grace = match reason {
            RekeyReason::Join | RekeyReason::Timer => Self::GRACE,
            RekeyReason::Leave | RekeyReason::Kick => Self::GRACE_AFTER_LEAVE,
        };
        self
    }

    /// Says how long ago the sender handed it over: it is erased no later for having come late.
    pub fn sent(mut self, ago: Duration) -> Self {
        self.age = ago;
        self
    }

    /// Which of the sender's keys this is, and the first step that it opens.
    pub fn id(&self) -> KeyId {
        KeyId::new(self.steps.generation(), self.steps.first())
    }
}
