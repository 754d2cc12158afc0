//! Safety numbers: what two people, or all of a session, compare to know that nobody sits between them.
//!
//! Signal's published numeric fingerprint: half the digits come from each identity, so that both sides see the same number.

use crate::identity::IdentityPublic;
use sha2::{Digest, Sha512};
use std::collections::BTreeSet;
use std::fmt;

/// 60 decimal digits, the same on both sides.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SafetyNumber([u8; 60]);

/// One side of a pairwise number.
#[derive(Clone, Copy, Debug)]
pub struct Party<'a> {
    /// The public identity key's bytes.
    pub key: &'a [u8],
    /// What else names the person.
    pub stable_id: &'a [u8],
}

impl SafetyNumber {
    /// Rounds of SHA-512, which make it dear to search for a key with a similar number.
    pub const ITERATIONS: u32 = 5_200;

    /// Stands for the stable ID of everyone: in resonance an identity is its key and nothing else.
    const STABLE_ID: &'static [u8] = b"resonance/v1/safety-number";

    /// Of two identities of resonance; the order makes no difference.
    pub fn between(one: &IdentityPublic, other: &IdentityPublic) -> Self {
        let party = |key: &'_ IdentityPublic| half(0, &Party { key: key.as_bytes(), stable_id: Self::STABLE_ID });
        Self::sorted(party(one), party(other))
    }

    /// Of everyone in a session: SHA-512 × 5,200 over "resonance/v1/session-number" ‖ count (1) ‖ identity keys, each once, in
    /// byte order; the first 60 bytes as twelve times five digits.
    pub fn of_session(identities: impl IntoIterator<Item = IdentityPublic>) -> Self {
        let sorted: BTreeSet<_> = identities.into_iter().collect();
        let mut hash = Sha512::new_with_prefix(b"resonance/v1/session-number");
        hash.update([u8::try_from(sorted.len()).unwrap_or(u8::MAX)]);
        sorted.iter().for_each(|identity| hash.update(identity.as_bytes()));
        let mut hash = hash.finalize();
        for _ in 1..Self::ITERATIONS {
            hash = Sha512::digest(hash);
        }
        Self(digits(&hash))
    }

    /// Signal's numeric fingerprint as published: `version` is 0 there, keys have 33 bytes, stable IDs are phone numbers.
    pub fn pairwise(version: u16, mine: &Party<'_>, theirs: &Party<'_>) -> Self {
        Self::sorted(half(version, mine), half(version, theirs))
    }

    /// The smaller half first.
    fn sorted(one: [u8; 30], other: [u8; 30]) -> Self {
        let mut digits = [0; 60];
        for (to, from) in digits.iter_mut().zip(one.min(other).into_iter().chain(one.max(other))) {
            *to = from;
        }
        Self(digits)
    }

    /// The 12 groups of five digits, for whoever lays them out differently.
    pub fn groups(&self) -> [String; 12] {
        let mut groups = [const { String::new() }; 12];
        for (group, digits) in groups.iter_mut().zip(self.0.chunks_exact(5)) {
            group.extend(digits.iter().map(|&digit| char::from(digit)));
        }
        groups
    }
}

impl fmt::Display for SafetyNumber {
    /// 12 groups of five, with single spaces between.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.groups().join(" "))
    }
}

impl fmt::Debug for SafetyNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// 30 digits of one party: SHA-512 over version ‖ key ‖ stable ID ‖ key, then over the hash ‖ key again and again;
/// of the last hash six times five bytes, each as a number modulo 100,000.
fn half(version: u16, party: &Party<'_>) -> [u8; 30] {
    let mut hash = Sha512::new()
        .chain_update(version.to_be_bytes())
        .chain_update(party.key)
        .chain_update(party.stable_id)
        .chain_update(party.key)
        .finalize();
    for _ in 1..SafetyNumber::ITERATIONS {
        hash = Sha512::new().chain_update(hash).chain_update(party.key).finalize();
    }
    digits(&hash)
}

/// Each five bytes as a number modulo 100,000, in five digits; as many as fit.
fn digits<const LEN: usize>(hash: &[u8]) -> [u8; LEN] {
    let mut digits = [b'0'; LEN];
    for (group, bytes) in digits.chunks_exact_mut(5).zip(hash.chunks_exact(5)) {
        let number = bytes.iter().fold(0u64, |number, &byte| (number << 8) | u64::from(byte)) % 100_000;
        for (digit, shown) in group.iter_mut().zip(format!("{number:05}").bytes()) {
            *digit = shown;
        }
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::IdentityKey;
    use rand::{SeedableRng, rngs::StdRng};

    #[test]
    fn both_sides_see_the_same_number_and_a_stranger_another() {
        let mut rng = StdRng::seed_from_u64(5200);
        let [al, bo, eve] = [(); 3].map(|()| IdentityKey::generate(&mut rng).public());
        let number = SafetyNumber::between(&al, &bo);
        assert_eq!(number, SafetyNumber::between(&bo, &al));
        assert_ne!(number, SafetyNumber::between(&al, &eve));
        assert_ne!(number, SafetyNumber::between(&eve, &bo));
    }

    #[test]
    fn a_session_has_one_number_whatever_the_order_and_another_for_any_other_set() {
        let mut rng = StdRng::seed_from_u64(60);
        let [al, bo, cy, eve] = [(); 4].map(|()| IdentityKey::generate(&mut rng).public());
        let number = SafetyNumber::of_session([al, bo, cy]);
        assert_eq!(number, SafetyNumber::of_session([cy, al, bo, al]));
        for other in [&[al, bo][..], &[al, bo, eve], &[al, bo, cy, eve]] {
            assert_ne!(number, SafetyNumber::of_session(other.iter().copied()));
        }
        assert_ne!(SafetyNumber::of_session([al, bo]), SafetyNumber::between(&al, &bo));
    }

    #[test]
    fn it_is_shown_in_twelve_groups_of_five() {
        let key = IdentityPublic::from_bytes([9; 32]);
        let shown = SafetyNumber::between(&key, &IdentityPublic::from_bytes([8; 32])).to_string();
        let groups: Vec<_> = shown.split(' ').collect();
        assert_eq!(groups.len(), 12);
        assert!(groups.iter().all(|group| group.len() == 5 && group.bytes().all(|b| b.is_ascii_digit())), "{shown}");
    }
}
