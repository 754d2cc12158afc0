//! ML-KEM-768 (FIPS 203): the half of key agreement that a quantum computer does not undo.

use ml_kem::{Decapsulate, Encapsulate, FromSeed, Kem, KeyExport, MlKem768};
use rand_core::CryptoRng;
use zeroize::{Zeroize, Zeroizing};

/// Bytes of an encapsulation key.
pub(crate) const KEY_LEN: usize = 1_184;
/// Bytes of a ciphertext.
pub(crate) const CIPHERTEXT_LEN: usize = 1_088;

/// A secret key as its seed d ‖ z (FIPS 203 §3.3): expanded when it is used, which is once.
#[derive(Clone)]
pub(crate) struct DecapsulationKey(Zeroizing<[u8; 64]>);

/// Somebody's public key that has passed the check of FIPS 203 §7.2.
#[derive(Clone)]
pub(crate) struct EncapsulationKey(Box<<MlKem768 as Kem>::EncapsulationKey>);

impl DecapsulationKey {
    /// A fresh key from 64 random bytes.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut seed = Zeroizing::new([0; 64]);
        rng.fill_bytes(seed.as_mut_slice());
        Self(seed)
    }

    /// The public key, encoded.
    pub fn encapsulation_key(&self) -> Box<[u8; KEY_LEN]> {
        let (_, public) = MlKem768::from_seed(&(*self.0).into());
        Box::new(public.to_bytes().into())
    }

    /// The secret inside: another one, which nobody else has, when the ciphertext was not made for this key (§6.3).
    pub fn decapsulate(&self, ciphertext: &[u8; CIPHERTEXT_LEN]) -> Zeroizing<[u8; 32]> {
        let (secret, _) = MlKem768::from_seed(&(*self.0).into());
        wiped(secret.decapsulate(&(*ciphertext).into()))
    }
}

impl EncapsulationKey {
    /// Reads a key; `None` when a coefficient is not reduced (the modulus check of §7.2).
    pub fn parse(bytes: &[u8; KEY_LEN]) -> Option<Self> {
        #[cfg(test)]
        tests::KEM_COUNT.set(tests::KEM_COUNT.get() + 1);
        Some(Self(Box::new(<MlKem768 as Kem>::EncapsulationKey::new(&(*bytes).into()).ok()?)))
    }

    /// Draws a secret (32 random bytes) and wraps it for the owner of this key.
    pub fn encapsulate(&self, rng: &mut impl CryptoRng) -> (Box<[u8; CIPHERTEXT_LEN]>, Zeroizing<[u8; 32]>) {
        #[cfg(test)]
        tests::KEM_COUNT.set(tests::KEM_COUNT.get() + 1);
        let (ciphertext, secret) = self.0.encapsulate_with_rng(rng);
        (Box::new(ciphertext.into()), wiped(secret))
    }
}

fn wiped(mut secret: ml_kem::SharedKey) -> Zeroizing<[u8; 32]> {
    let mut kept = Zeroizing::new([0; 32]);
    kept.copy_from_slice(&secret);
    secret.as_mut_slice().zeroize();
    kept
}

#[cfg(test)]
pub(crate) mod tests;
