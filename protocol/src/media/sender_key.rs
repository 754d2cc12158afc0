//! A sender's key of one generation, and what is made from it: one sealer here, an opening key at every other member.

use super::header::Header;
use super::key_schedule::{ChaCha20Poly1305Sha256, FrameKey};
use super::sealer::Sealer;
use crate::identity::Fingerprint;
use crate::link::SessionId;
use crate::signal::MediaKey;
use rand_core::CryptoRng;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use zeroize::Zeroizing;

/// Cipher key and salt in resonance's suite.
pub(super) type VoiceKey = FrameKey<ChaCha20Poly1305Sha256>;

/// Additional data of every packet (RFC 9605's metadata): session id ‖ sender's identity fingerprint.
pub(super) const METADATA_LEN: usize = 32;

/// Room for the authenticated data: header ‖ metadata.
const AAD_LEN: usize = Header::MAX_LEN + METADATA_LEN;

/// The base key of one generation of one sender, 32 bytes.
///
/// Whoever holds it can open what this sender seals in that generation.
#[derive(Clone)]
pub struct SenderKey {
    generation: u64,
    step: u8,
    base_key: Zeroizing<[u8; 32]>,
    /// Shared with every clone: a second sealer would begin the counter again and repeat nonces.
    may_seal: Arc<AtomicBool>,
}

impl SenderKey {
    /// Generations are below this: the key ID is generation ‖ step (4 bits) in 64 bits.
    pub const MAX_GENERATION: u64 = u64::MAX >> Self::STEP_BITS;
    /// Steps are below 16.
    pub const MAX_STEP: u8 = 15;
    const STEP_BITS: u32 = 4;

    /// A fresh random key. `generation` counts up by one with each; only its lower 60 bits are used.
    pub fn generate(generation: u64, rng: &mut impl CryptoRng) -> Self {
        let mut base_key = Zeroizing::new([0; 32]);
        rng.fill_bytes(base_key.as_mut_slice());
        Self {
            generation: generation & Self::MAX_GENERATION,
            step: 0,
            base_key,
            may_seal: Arc::new(AtomicBool::new(true)),
        }
    }

    /// The key another member handed over. It opens; its [`sealer`](Self::sealer) refuses.
    pub fn from_signal(key: &MediaKey) -> Self {
        Self {
            generation: key.generation & Self::MAX_GENERATION,
            step: key.step & Self::MAX_STEP,
            base_key: key.secret.clone(),
            may_seal: Arc::new(AtomicBool::new(false)),
        }
    }

    /// The signal that hands this key to a member. `recipients_hash`: see [`MediaKey::recipients_hash`].
    pub fn to_signal(&self, recipients_hash: [u8; 32]) -> MediaKey {
        MediaKey { generation: self.generation, step: self.step, secret: self.base_key.clone(), recipients_hash }
    }

    /// Which of the sender's keys this is.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// The sealer of this generation, once: a second call, on this key or on a clone of it, and any call on another's key
    /// gives a sealer that refuses with [`SealError::Spent`](super::SealError::Spent), so that no nonce can be used twice.
    pub fn sealer(&self, session: &SessionId, sender: &Fingerprint) -> Sealer {
        let first = self.may_seal.swap(false, Ordering::AcqRel);
        Sealer::new(self.opening_key(session, sender), first)
    }

    /// What a receiver installs to open this generation of `sender`.
    pub fn opening_key(&self, session: &SessionId, sender: &Fingerprint) -> OpeningKey {
        let kid = (self.generation << Self::STEP_BITS) | u64::from(self.step);
        let mut metadata = [0; METADATA_LEN];
        for (to, from) in metadata.iter_mut().zip(session.as_bytes().iter().chain(sender.as_bytes())) {
            *to = *from;
        }
        OpeningKey { kid, key: VoiceKey::derive(self.base_key.as_slice(), kid), metadata }
    }
}

/// Opens the packets of one sender in one generation. Large: moved in a box through rings, never cloned.
pub struct OpeningKey {
    pub(super) kid: u64,
    /// `None` never happens (HKDF gives 44 bytes without fail) and opens nothing.
    pub(super) key: Option<VoiceKey>,
    pub(super) metadata: [u8; METADATA_LEN],
}

impl OpeningKey {
    /// Which of the sender's keys this is.
    pub fn generation(&self) -> u64 {
        self.kid >> SenderKey::STEP_BITS
    }

    /// header ‖ metadata, and its length.
    pub(super) fn aad(&self, header: &[u8]) -> ([u8; AAD_LEN], usize) {
        let mut aad = [0; AAD_LEN];
        for (to, from) in aad.iter_mut().zip(header.iter().chain(&self.metadata)) {
            *to = *from;
        }
        (aad, header.len().saturating_add(METADATA_LEN).min(AAD_LEN))
    }

    /// Whether both name the same KID and hold the same key.
    pub(super) fn same_as(&self, other: &Self) -> bool {
        let same_key = match (&self.key, &other.key) {
            (Some(mine), Some(theirs)) => mine.same_as(theirs),
            _ => false,
        };
        self.kid == other.kid && self.metadata == other.metadata && same_key
    }
}
