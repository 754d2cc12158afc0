//! Long-lived names of people and of a session's host: Ed25519 keys (RFC 8032).

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use std::fmt;
use zeroize::Zeroizing;

/// A person's secret identity key: made for one session and in memory only, or kept in an
/// [identity file](crate::identity_file).
pub struct IdentityKey(SigningKey);

/// A person's public identity key: 32 bytes that travel encrypted only, inside the handshake and in rosters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IdentityPublic([u8; 32]);

/// A short name of an identity key: SHA-256("resonance/v1/identity-fingerprint" ‖ key), first 16 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 16]);

/// The secret key of a session's host, apart from everyone's identity: the link names it, so that the host can rule the session.
pub struct AuthorityKey(SigningKey);

/// The public half of an [`AuthorityKey`].
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct AuthorityPublic([u8; 32]);

fn generate(rng: &mut impl CryptoRng) -> SigningKey {
    let mut seed = Zeroizing::new([0; 32]);
    rng.fill_bytes(seed.as_mut_slice());
    SigningKey::from_bytes(&seed)
}

impl IdentityKey {
    /// A fresh key from 32 random bytes.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(generate(rng))
    }

    /// The key of a kept identity.
    pub(crate) fn from_secret(secret: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(secret))
    }

    /// The key that others know this person by.
    pub fn public(&self) -> IdentityPublic {
        IdentityPublic(self.0.verifying_key().to_bytes())
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl IdentityPublic {
    /// Wraps 32 bytes that somebody claims to be an identity key; only a signature proves them.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The Ed25519 public key.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The short name of this key.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint(cut_hash(&[b"resonance/v1/identity-fingerprint", &self.0]))
    }

    /// Strict verification: no small-order keys, no malleable signatures.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8; 64]) -> bool {
        VerifyingKey::from_bytes(&self.0)
            .is_ok_and(|key| key.verify_strict(message, &Signature::from_bytes(signature)).is_ok())
    }
}

impl fmt::Debug for IdentityPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IdentityPublic({})", self.fingerprint())
    }
}

impl Fingerprint {
    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl AuthorityKey {
    /// A fresh key from 32 random bytes.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        Self(generate(rng))
    }

    /// The key that members check the host's word with.
    pub fn public(&self) -> AuthorityPublic {
        AuthorityPublic(self.0.verifying_key().to_bytes())
    }

    /// What the link carries: see [`AuthorityPublic::hash`].
    pub fn hash(&self) -> [u8; 16] {
        self.public().hash()
    }

    pub(crate) fn sign(&self, message: &[u8]) -> [u8; 64] {
        self.0.sign(message).to_bytes()
    }
}

impl AuthorityPublic {
    /// Wraps 32 bytes that somebody claims to be an authority key; only the link's hash and a signature prove them.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The Ed25519 public key.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// SHA-256 of the key, first 16 bytes: the link's commitment to it.
    pub fn hash(&self) -> [u8; 16] {
        cut_hash(&[&self.0])
    }
}

impl fmt::Debug for AuthorityPublic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AuthorityPublic(")?;
        self.hash().iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        f.write_str(")")
    }
}

/// The first 16 bytes of SHA-256 over the parts joined.
pub(crate) fn cut_hash(parts: &[&[u8]]) -> [u8; 16] {
    let mut hash = Sha256::new();
    parts.iter().for_each(|part| hash.update(part));
    let mut cut = [0; 16];
    for (to, from) in cut.iter_mut().zip(hash.finalize()) {
        *to = from;
    }
    cut
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn a_signature_holds_for_its_message_and_key_only() {
        let mut rng = StdRng::seed_from_u64(8032);
        let (al, bo) = (IdentityKey::generate(&mut rng), IdentityKey::generate(&mut rng));
        let signature = al.sign(b"it is me");
        assert!(al.public().verifies(b"it is me", &signature));
        assert!(!al.public().verifies(b"it is he", &signature));
        assert!(!bo.public().verifies(b"it is me", &signature));
        for at in 0..64 {
            let mut altered = signature;
            altered[at] ^= 1;
            assert!(!al.public().verifies(b"it is me", &altered), "byte {at}");
        }
    }

    #[test]
    fn keys_of_small_order_prove_nothing() {
        // With the neutral element as key and as R, and s = 0, the plain equation of RFC 8032 holds for every message.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        let key = VerifyingKey::from_bytes(&neutral).unwrap();
        assert!(ed25519_dalek::Verifier::verify(&key, b"anything", &Signature::from_bytes(&signature)).is_ok());
        assert!(!IdentityPublic::from_bytes(neutral).verifies(b"anything", &signature));
    }

    #[test]
    fn bytes_that_are_no_key_verify_nothing() {
        assert!(!IdentityPublic::from_bytes([0xFF; 32]).verifies(b"", &[0; 64]));
    }
}
