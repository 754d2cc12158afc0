//! A kept identity, sealed under a passphrase: the bytes of its file.
//!
//! header ‖ ChaCha20-Poly1305(key = Argon2id(passphrase, header's costs and salt), AAD = label ‖ header) ‖ checksum.
//! The checksum lies outside the seal, so that a damaged file is told from a wrong passphrase; it authenticates nothing.

mod cbor;
#[cfg(test)]
mod tests;

use crate::contacts::{self, ContactBook};
use crate::identity::{IdentityKey, IdentityPublic};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit, Nonce};
use rand_core::CryptoRng;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use unicode_normalization::UnicodeNormalization;
use zeroize::{Zeroize, Zeroizing};

/// What every identity file begins with; the last byte is the version.
const MAGIC: [u8; 8] = *b"resoid\0\x01";
const SALT_LEN: usize = 16;
const NONCE_LEN: usize = 12;
const TAG_LEN: usize = 16;
const CHECKSUM_LEN: usize = 8;
/// Magic, t (4), m in KiB (4), p (4), salt, nonce.
const HEADER_LEN: usize = 8 + 4 + 4 + 4 + SALT_LEN + NONCE_LEN;

/// Work that Argon2id does for one guess of the passphrase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Costs {
    passes: u32,
    memory_kib: u32,
    lanes: u32,
}

impl Costs {
    /// RFC 9106's second recommendation: t = 3, p = 4, 64 MiB.
    const RECOMMENDED: Self = Self { passes: 3, memory_kib: 64 * 1024, lanes: 4 };
    /// More than this a file may not ask for: it could be anybody's.
    const MOST: Self = Self { passes: 10, memory_kib: 1024 * 1024, lanes: 16 };

    fn are_bearable(self) -> bool {
        let Self { passes, memory_kib, lanes } = self;
        passes <= Self::MOST.passes && memory_kib <= Self::MOST.memory_kib && lanes <= Self::MOST.lanes
    }
}

/// A person's identity with all that is remembered under it.
#[derive(Clone)]
pub struct KeptIdentity {
    secret: Zeroizing<[u8; 32]>,
    /// The name to go by: at most 64 bytes.
    pub name: String,
    /// Who was met.
    pub contacts: ContactBook,
}

/// Why a file does not open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    /// It is no identity file, or its bytes are not those that were written.
    #[error("the file is damaged, or no identity file")]
    Damaged,
    /// It was written by a later version.
    #[error("the file was written by a later version of resonance")]
    OtherVersion,
    /// It asks for more memory or work than an identity file may, or than this machine has; nothing was tried.
    #[error("the file asks for more memory or work than there is for it")]
    TooDear,
    /// It does not open with this passphrase: another one is needed, or somebody has altered it with care.
    #[error("the passphrase does not open this file")]
    Refused,
}

/// Why an identity could not be sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// An empty passphrase protects nothing.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// The name is longer than 64 bytes, or there is no memory for Argon2.
    #[error("the identity is out of bounds")]
    OutOfBounds,
}

impl KeptIdentity {
    /// The longest file: a full contact book.
    pub const MAX_FILE: usize = 256 * 1024;
    /// The sealed part grows in steps of this, so that the size of the file does not count the contacts.
    const STEP: usize = 4_096;
    const LENGTH_LEN: usize = 4;
    const LABEL: &'static [u8] = b"resonance/v1/identity-file";
    const CHECKSUM_LABEL: &'static [u8] = b"resonance/v1/identity-file-checksum";

    /// A new identity from 32 random bytes, that has met nobody; of a longer name the first 64 bytes.
    pub fn generate(name: &str, rng: &mut impl CryptoRng) -> Self {
        let mut secret = Zeroizing::new([0; 32]);
        rng.fill_bytes(secret.as_mut_slice());
        Self { secret, name: contacts::cut(name), contacts: ContactBook::default() }
    }

    /// The key to sign with.
    pub fn key(&self) -> IdentityKey {
        IdentityKey::from_secret(&self.secret)
    }

    /// The key that others know this person by.
    pub fn public(&self) -> IdentityPublic {
        self.key().public()
    }

    /// The file's bytes, under a fresh salt and nonce. Takes a moment and 64 MiB: Argon2id at RFC 9106's second recommendation.
    ///
    /// # Errors
    /// [`SealError`].
    pub fn seal(&self, passphrase: &str, rng: &mut impl CryptoRng) -> Result<Vec<u8>, SealError> {
        self.seal_at(Costs::RECOMMENDED, passphrase, rng)
    }

    fn seal_at(&self, costs: Costs, passphrase: &str, rng: &mut impl CryptoRng) -> Result<Vec<u8>, SealError> {
        if passphrase.is_empty() {
            return Err(SealError::EmptyPassphrase);
        }
        let mut header = Vec::with_capacity(Self::MAX_FILE);
        header.extend_from_slice(&MAGIC);
        [costs.passes, costs.memory_kib, costs.lanes]
            .iter()
            .for_each(|cost| header.extend_from_slice(&cost.to_be_bytes()));
        let mut drawn = [0; SALT_LEN + NONCE_LEN];
        rng.fill_bytes(&mut drawn);
        header.extend_from_slice(&drawn);

        let mut sealed = self.padded().ok_or(SealError::OutOfBounds)?;
        let parsed = Header::parse(&header).map_err(|_| SealError::OutOfBounds)?;
        let cipher = parsed.cipher(passphrase).map_err(|_| SealError::OutOfBounds)?;
        let tag =
            cipher.encrypt_inout_detached(&Nonce::from(parsed.nonce), &aad(&header), sealed.as_mut_slice().into());
        let tag = tag.map_err(|_| SealError::OutOfBounds)?;
        let mut file = header;
        file.extend_from_slice(&sealed);
        file.extend_from_slice(&tag);
        let checksum = checksum(&file);
        file.extend_from_slice(&checksum);
        if file.len() > Self::MAX_FILE { Err(SealError::OutOfBounds) } else { Ok(file) }
    }

    /// Reads what [`seal`](Self::seal) wrote. Takes as long as that.
    ///
    /// # Errors
    /// [`OpenError`]; whatever is wrong with a file whose checksum is right is one refusal.
    pub fn open(file: &[u8], passphrase: &str) -> Result<Self, OpenError> {
        if file.len() > Self::MAX_FILE {
            return Err(OpenError::Damaged);
        }
        let (body, claimed) = file.split_last_chunk::<CHECKSUM_LEN>().ok_or(OpenError::Damaged)?;
        if !bool::from(checksum(body).ct_eq(claimed)) {
            return Err(OpenError::Damaged);
        }
        let header = Header::parse(body)?;
        let (authenticated, sealed) = body.split_at_checked(HEADER_LEN).ok_or(OpenError::Damaged)?;
        let (ciphertext, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(OpenError::Damaged)?;
        let cipher = header.cipher(passphrase)?;
        let mut text = Zeroizing::new(ciphertext.to_vec());
        cipher
            .decrypt_inout_detached(
                &Nonce::from(header.nonce),
                &aad(authenticated),
                text.as_mut_slice().into(),
                &(*tag).into(),
            )
            .map_err(|_| OpenError::Refused)?;
        let (len, rest) = text.split_first_chunk::<{ Self::LENGTH_LEN }>().ok_or(OpenError::Refused)?;
        let len = usize::try_from(u32::from_be_bytes(*len)).map_err(|_| OpenError::Refused)?;
        rest.get(..len).and_then(cbor::read).ok_or(OpenError::Refused)
    }

    /// length (4) ‖ CBOR ‖ zeros, to a multiple of [`STEP`](Self::STEP).
    fn padded(&self) -> Option<Zeroizing<Vec<u8>>> {
        let cbor = cbor::write(self)?;
        let len = u32::try_from(cbor.len()).ok()?;
        let used = cbor.len().checked_add(Self::LENGTH_LEN)?;
        let whole = used.checked_next_multiple_of(Self::STEP)?;
        let mut padded = Zeroizing::new(Vec::with_capacity(whole));
        padded.extend_from_slice(&len.to_be_bytes());
        padded.extend_from_slice(&cbor);
        padded.resize(whole, 0);
        Some(padded)
    }
}

/// What lies open in a file, and is authenticated.
struct Header {
    costs: Costs,
    salt: [u8; SALT_LEN],
    nonce: [u8; NONCE_LEN],
}

impl Header {
    fn parse(file: &[u8]) -> Result<Self, OpenError> {
        let (magic, rest) = file.split_first_chunk::<8>().ok_or(OpenError::Damaged)?;
        if magic != &MAGIC {
            let ours = magic.split_last().map(|(_, name)| name) == MAGIC.split_last().map(|(_, name)| name);
            return Err(if ours { OpenError::OtherVersion } else { OpenError::Damaged });
        }
        let (passes, rest) = rest.split_first_chunk::<4>().ok_or(OpenError::Damaged)?;
        let (memory_kib, rest) = rest.split_first_chunk::<4>().ok_or(OpenError::Damaged)?;
        let (lanes, rest) = rest.split_first_chunk::<4>().ok_or(OpenError::Damaged)?;
        let (salt, rest) = rest.split_first_chunk::<SALT_LEN>().ok_or(OpenError::Damaged)?;
        let (nonce, _) = rest.split_first_chunk::<NONCE_LEN>().ok_or(OpenError::Damaged)?;
        let [passes, memory_kib, lanes] = [passes, memory_kib, lanes].map(|cost| u32::from_be_bytes(*cost));
        let costs = Costs { passes, memory_kib, lanes };
        if !costs.are_bearable() {
            return Err(OpenError::TooDear);
        }
        Ok(Self { costs, salt: *salt, nonce: *nonce })
    }

    /// Argon2id over the passphrase in Unicode NFC: the same on every keyboard.
    fn cipher(&self, passphrase: &str) -> Result<ChaCha20Poly1305, OpenError> {
        let Costs { passes, memory_kib, lanes } = self.costs;
        let params = Params::new(memory_kib, passes, lanes, Some(32)).map_err(|_| OpenError::Refused)?;
        let mut normal = Zeroizing::new(String::with_capacity(passphrase.len().saturating_mul(4)));
        normal.extend(passphrase.nfc());
        let mut memory = Vec::new();
        memory.try_reserve_exact(params.block_count()).map_err(|_| OpenError::TooDear)?;
        memory.resize(params.block_count(), Block::default());
        let mut key = Zeroizing::new([0; 32]);
        let hashed = Argon2::new(Algorithm::Argon2id, Version::V0x13, params).hash_password_into_with_memory(
            normal.as_bytes(),
            &self.salt,
            key.as_mut_slice(),
            &mut memory,
        );
        memory.iter_mut().for_each(Zeroize::zeroize);
        hashed.map_err(|_| OpenError::Refused)?;
        Ok(ChaCha20Poly1305::new((&*key).into()))
    }
}

fn aad(header: &[u8]) -> Vec<u8> {
    [KeptIdentity::LABEL, header].concat()
}

fn checksum(body: &[u8]) -> [u8; CHECKSUM_LEN] {
    let hash = Sha256::new().chain_update(KeptIdentity::CHECKSUM_LABEL).chain_update(body).finalize();
    let mut cut = [0; CHECKSUM_LEN];
    for (to, from) in cut.iter_mut().zip(hash) {
        *to = from;
    }
    cut
}
