//! The ratchet's key derivations (Double Ratchet §5.2: KDF_RK, KDF_CK, ENCRYPT) and the chains made by them.

use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use hkdf::Hkdf;
use sha2::Sha256;
use zeroize::Zeroizing;

/// Thirty-two secret bytes.
pub(crate) type Secret = Zeroizing<[u8; 32]>;

/// KDF_RK(rk, DH ‖ ss): HKDF with the root key as salt. Gives the next root key and a new chain.
pub(super) fn next_root(root: &Secret, shared: &Secret, hybrid: Option<&Secret>) -> Option<(Secret, Chain)> {
    let (mut ikm, mut okm) = (Zeroizing::new([0; 64]), Zeroizing::new([0; 64]));
    let (dh, ss) = ikm.split_first_chunk_mut::<32>()?;
    *dh = **shared;
    let ikm = match hybrid {
        Some(secret) => {
            ss.copy_from_slice(secret.as_slice());
            ikm.as_slice()
        }
        None => shared.as_slice(),
    };
    Hkdf::<Sha256>::new(Some(root.as_slice()), ikm).expand(b"resonance/v1/ratchet/root", okm.as_mut_slice()).ok()?;
    let (mut next, mut key) = (Secret::default(), Secret::default());
    let (first, second) = okm.split_first_chunk::<32>()?;
    *next = *first;
    key.copy_from_slice(second);
    Some((next, Chain { key, number: 0 }))
}

/// A symmetric-key ratchet: CKs with Ns, or CKr with Nr.
#[derive(Clone)]
pub(super) struct Chain {
    key: Secret,
    number: u32,
}

impl Chain {
    /// The number of the next message.
    pub fn number(&self) -> u32 {
        self.number
    }

    /// KDF_CK: gives the next message's key and moves on; `None` when the chain's numbers are used up.
    pub fn step(&mut self) -> Option<MessageKey> {
        let number = self.number.checked_add(1)?;
        let hkdf = Hkdf::<Sha256>::from_prk(self.key.as_slice()).ok()?;
        let (mut next, mut key) = (Secret::default(), Secret::default());
        hkdf.expand(b"resonance/v1/ratchet/message", key.as_mut_slice()).ok()?;
        hkdf.expand(b"resonance/v1/ratchet/chain", next.as_mut_slice()).ok()?;
        (self.key, self.number) = (next, number);
        Some(MessageKey(key))
    }

    #[cfg(test)]
    pub fn jump_to(&mut self, number: u32) {
        self.number = number;
    }

    #[cfg(test)]
    pub fn key(&self) -> &[u8; 32] {
        &self.key
    }
}

/// mk: of one message, and of no use without the key of the second in which it was sealed.
pub(super) struct MessageKey(Secret);

impl MessageKey {
    /// The key that seals this message in this second.
    pub fn within(&self, second: &Secret) -> Option<SealingKey> {
        let mut key = Secret::default();
        let hkdf = Hkdf::<Sha256>::new(Some(second.as_slice()), self.0.as_slice());
        hkdf.expand(b"resonance/v1/ratchet/seal", key.as_mut_slice()).ok()?;
        Some(SealingKey(key))
    }

    #[cfg(test)]
    pub fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A key that seals one message only: therefore under an all-zero nonce.
pub(super) struct SealingKey(Secret);

impl SealingKey {
    const NONCE: [u8; 12] = [0; 12];
    pub const TAG_LEN: usize = 16;

    /// Seals `text` where it lies; gives the tag.
    pub fn seal(self, associated_data: &[u8], text: &mut [u8]) -> Option<[u8; Self::TAG_LEN]> {
        #[cfg(test)]
        super::tests::record(&self.0, &Self::NONCE);
        let tag = self.cipher().encrypt_inout_detached(&Self::NONCE.into(), associated_data, text.into()).ok()?;
        Some(tag.into())
    }

    /// Opens ciphertext ‖ tag; `None` when it is not authentic.
    pub fn open(&self, associated_data: &[u8], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        let (ciphertext, tag) = sealed.split_last_chunk::<{ Self::TAG_LEN }>()?;
        let mut text = Zeroizing::new(ciphertext.to_vec());
        let opened = self.cipher().decrypt_inout_detached(
            &Self::NONCE.into(),
            associated_data,
            text.as_mut_slice().into(),
            tag.into(),
        );
        opened.ok().map(|()| text)
    }

    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new((&*self.0).into())
    }
}
