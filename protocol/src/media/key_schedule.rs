//! From a sender's base key to cipher key and salt (RFC 9605 §4.4.2), and the cipher itself (§4.4.3, §4.4.4).

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use hkdf::Hkdf;
use sha2::Sha256;
use std::marker::PhantomData;
use zeroize::{Zeroize, Zeroizing};

/// Bytes of the authentication tag, in every suite here.
pub const TAG_LEN: usize = 16;
/// Bytes of the nonce and of the salt.
pub const NONCE_LEN: usize = 12;
/// Room for the longest cipher key.
const MAX_KEY_LEN: usize = 32;

/// A cipher suite of RFC 9605 §4.5.
pub trait Suite {
    /// Its number in IANA's registry, or in the private range 0xF000–0xFFFF.
    const ID: u16;
    /// Bytes of the cipher key, Nk.
    const KEY_LEN: usize;

    /// HKDF-Expand(HKDF-Extract("", `base_key`), the parts of `label` joined); false when `out` is longer than HKDF gives.
    fn expand(base_key: &[u8], label: &[&[u8]], out: &mut [u8]) -> bool;

    /// Encrypts `text` in place and gives the tag.
    fn seal(key: &[u8], nonce: &[u8; NONCE_LEN], aad: &[u8], text: &mut [u8]) -> Option<[u8; TAG_LEN]>;

    /// Decrypts `text` in place; false, and `text` left as it was, when the tag is not its own.
    fn open(key: &[u8], nonce: &[u8; NONCE_LEN], aad: &[u8], text: &mut [u8], tag: &[u8; TAG_LEN]) -> bool;
}

/// ChaCha20-Poly1305 (RFC 8439) with SHA-256: resonance's own, private number 0xF001.
pub struct ChaCha20Poly1305Sha256;

impl Suite for ChaCha20Poly1305Sha256 {
    const ID: u16 = 0xF001;
    const KEY_LEN: usize = 32;

    fn expand(base_key: &[u8], label: &[&[u8]], out: &mut [u8]) -> bool {
        Hkdf::<Sha256>::new(Some(&[]), base_key).expand_multi_info(label, out).is_ok()
    }

    fn seal(key: &[u8], nonce: &[u8; NONCE_LEN], aad: &[u8], text: &mut [u8]) -> Option<[u8; TAG_LEN]> {
        let cipher = ChaCha20Poly1305::new_from_slice(key).ok()?;
        cipher.encrypt_inout_detached(nonce.into(), aad, text.into()).ok().map(Into::into)
    }

    fn open(key: &[u8], nonce: &[u8; NONCE_LEN], aad: &[u8], text: &mut [u8], tag: &[u8; TAG_LEN]) -> bool {
        ChaCha20Poly1305::new_from_slice(key)
            .is_ok_and(|cipher| cipher.decrypt_inout_detached(nonce.into(), aad, text.into(), tag.into()).is_ok())
    }
}

/// Cipher key and salt of one key ID.
pub struct FrameKey<S> {
    key: Zeroizing<[u8; MAX_KEY_LEN]>,
    salt: Zeroizing<[u8; NONCE_LEN]>,
    suite: PhantomData<fn() -> S>,
}

impl<S: Suite> FrameKey<S> {
    /// Derives both from the base key: labels "SFrame 1.0 Secret key " and "SFrame 1.0 Secret salt ", each with KID and suite.
    pub fn derive(base_key: &[u8], kid: u64) -> Option<Self> {
        let mut key = Zeroizing::new([0; MAX_KEY_LEN]);
        let mut salt = Zeroizing::new([0; NONCE_LEN]);
        let (kid, suite) = (kid.to_be_bytes(), S::ID.to_be_bytes());
        let derived = S::expand(base_key, &[b"SFrame 1.0 Secret key ", &kid, &suite], key.get_mut(..S::KEY_LEN)?)
            && S::expand(base_key, &[b"SFrame 1.0 Secret salt ", &kid, &suite], salt.as_mut_slice());
        derived.then_some(Self { key, salt, suite: PhantomData })
    }

    /// A key of zeros: a place that a key can be copied to.
    pub fn blank() -> Self {
        Self { key: Zeroizing::new([0; MAX_KEY_LEN]), salt: Zeroizing::new([0; NONCE_LEN]), suite: PhantomData }
    }

    /// Takes over another key, in place: nothing of it is left on the stack.
    pub fn copy_from(&mut self, other: &Self) {
        self.key.copy_from_slice(other.key.as_slice());
        self.salt.copy_from_slice(other.salt.as_slice());
    }

    /// Overwrites it.
    pub fn wipe(&mut self) {
        self.key.zeroize();
        self.salt.zeroize();
    }

    /// Encrypts `text` in place under counter `ctr`.
    pub fn seal(&self, ctr: u64, aad: &[u8], text: &mut [u8]) -> Option<[u8; TAG_LEN]> {
        S::seal(self.key.get(..S::KEY_LEN)?, &self.nonce(ctr), aad, text)
    }

    /// Decrypts `text` in place; false when anything about it is not as it was sealed.
    pub fn open(&self, ctr: u64, aad: &[u8], text: &mut [u8], tag: &[u8; TAG_LEN]) -> bool {
        self.key.get(..S::KEY_LEN).is_some_and(|key| S::open(key, &self.nonce(ctr), aad, text, tag))
    }

    /// The counter, big-endian and as long as the salt, XOR the salt.
    pub fn nonce(&self, ctr: u64) -> [u8; NONCE_LEN] {
        let mut nonce = *self.salt;
        for (byte, counter) in nonce.iter_mut().rev().zip(ctr.to_le_bytes()) {
            *byte ^= counter;
        }
        nonce
    }

    /// Whether both are the same key, in constant time.
    pub fn same_as(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq;
        bool::from(self.key.as_slice().ct_eq(other.key.as_slice()) & self.salt.as_slice().ct_eq(other.salt.as_slice()))
    }

    #[cfg(test)]
    pub fn parts(&self) -> (&[u8], &[u8; NONCE_LEN]) {
        (&self.key[..S::KEY_LEN], &self.salt)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_key_has_the_same_salt_too() {
        let key = FrameKey::<ChaCha20Poly1305Sha256>::derive(&[7; 32], 0).unwrap();
        let mut other = FrameKey::blank();
        other.copy_from(&key);
        assert!(key.same_as(&other));
        other.salt[0] ^= 1;
        assert!(!key.same_as(&other));
        other.copy_from(&key);
        other.key[31] ^= 1;
        assert!(!key.same_as(&other));
    }
}
