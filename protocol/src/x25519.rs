//! Key agreement on Curve25519 (RFC 7748) that gives nothing away when its result is all zero.

use rand_core::CryptoRng;
use subtle::ConstantTimeEq;
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};
use zeroize::Zeroizing;

/// A private key with its public one.
#[derive(Clone)]
pub(crate) struct KeyPair {
    private: Zeroizing<[u8; 32]>,
    public: [u8; 32],
}

impl KeyPair {
    /// A fresh pair from 32 random bytes.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut private = Zeroizing::new([0; 32]);
        rng.fill_bytes(private.as_mut_slice());
        Self::from_private(private)
    }

    pub fn from_private(private: Zeroizing<[u8; 32]>) -> Self {
        let public = x25519(*private, X25519_BASEPOINT_BYTES);
        Self { private, public }
    }

    pub fn private(&self) -> &[u8; 32] {
        &self.private
    }

    pub fn public(&self) -> &[u8; 32] {
        &self.public
    }

    /// The shared secret; `None` when it is all zero (their point is of small order; RFC 7748 §6.1, compared in constant time).
    pub fn agree(&self, theirs: &[u8; 32]) -> Option<Zeroizing<[u8; 32]>> {
        #[cfg(test)]
        tests::DH_COUNT.set(tests::DH_COUNT.get() + 1);
        let shared = Zeroizing::new(x25519(*self.private, *theirs));
        (!bool::from(shared.ct_eq(&[0; 32]))).then_some(shared)
    }
}

#[cfg(test)]
pub(crate) mod tests;
