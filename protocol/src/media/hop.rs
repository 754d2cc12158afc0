//! The hop seal: a second, pairwise seal for packets that do not travel over their sender's own DTLS connection.
//!
//! Every member holds every sender key, so a sealed packet alone does not say who sent it: its connection does. What travels through a
//! member or any other stream has no such connection, and is sealed once more under a key that only its source and its
//! destination hold.
//!
//! ```text
//! counter (8) ‖ ChaCha20-Poly1305(hop key, nonce 0⁴ ‖ counter, AAD "resonance/v1/hop" ‖ source ‖ destination)
//! ```

use super::key_schedule::{ChaCha20Poly1305Sha256, NONCE_LEN, Suite, TAG_LEN};
use super::opener::Refused;
use super::packet::SealedPacket;
use super::replay::ReplayWindow;
use super::sealer::SealError;
use crate::peer::TransportId;
use zeroize::Zeroizing;

const LABEL: &[u8; 16] = b"resonance/v1/hop";
const COUNTER_LEN: usize = 8;
const AAD_LEN: usize = 80;

/// The key from one source to one destination, as `MediaKey` hands it over.
struct HopKey {
    key: Zeroizing<[u8; 32]>,
    aad: [u8; AAD_LEN],
}

impl HopKey {
    fn new(key: &[u8; 32], source: TransportId, destination: TransportId) -> Self {
        let mut aad = [0; AAD_LEN];
        for (to, from) in aad.iter_mut().zip(LABEL.iter().chain(source.as_bytes()).chain(destination.as_bytes())) {
            *to = *from;
        }
        Self { key: Zeroizing::new(*key), aad }
    }

    fn nonce(counter: u64) -> [u8; NONCE_LEN] {
        let mut nonce = [0; NONCE_LEN];
        for (to, from) in nonce.iter_mut().skip(NONCE_LEN - COUNTER_LEN).zip(counter.to_be_bytes()) {
            *to = from;
        }
        nonce
    }
}

/// Seals packets at their source for one destination. Does not allocate; cannot be cloned.
pub struct HopSealer {
    key: HopKey,
    next: Option<u64>,
}

/// Opens packets at their destination, from one source. Does not allocate.
pub struct HopOpener {
    key: HopKey,
    window: ReplayWindow,
}

impl HopSealer {
    /// Bytes that the seal adds.
    pub const OVERHEAD: usize = COUNTER_LEN + TAG_LEN;

    /// Of a hop key that was drawn for this pair and direction and has sealed nothing yet: counters begin at 0.
    pub fn new(key: &[u8; 32], source: TransportId, destination: TransportId) -> Self {
        Self { key: HopKey::new(key, source, destination), next: Some(0) }
    }

    /// Seals `packet` into `out`. Every call uses a counter of its own.
    ///
    /// # Errors
    /// See [`SealError`]; `out` is empty then.
    pub fn seal(&mut self, packet: &SealedPacket, out: &mut SealedPacket) -> Result<(), SealError> {
        out.set_len(0);
        let counter = self.next.ok_or(SealError::Spent)?;
        let len = self.write(counter, packet.as_slice(), out.buffer_mut()).ok_or(SealError::TooLong)?;
        self.next = counter.checked_add(1).filter(|&next| next != u64::MAX);
        out.set_len(len);
        Ok(())
    }

    fn write(&self, counter: u64, packet: &[u8], buffer: &mut [u8]) -> Option<usize> {
        let end = packet.len().checked_add(Self::OVERHEAD)?;
        let (to_counter, rest) = buffer.get_mut(..end)?.split_first_chunk_mut::<COUNTER_LEN>()?;
        let (to_text, to_tag) = rest.split_last_chunk_mut::<TAG_LEN>()?;
        *to_counter = counter.to_be_bytes();
        to_text.copy_from_slice(packet);
        let HopKey { key, aad } = &self.key;
        *to_tag = ChaCha20Poly1305Sha256::seal(key.as_slice(), &HopKey::nonce(counter), aad, to_text)?;
        Some(end)
    }

    #[cfg(test)]
    pub(super) fn skip_to(&mut self, counter: u64) {
        self.next = Some(counter);
    }
}

impl HopOpener {
    /// Of one source this many are kept: a fresh key is sealed with once its arrival is known, and another may follow meanwhile.
    pub const KEPT: usize = 3;

    /// Of the hop key that `source` handed to `destination`.
    pub fn new(key: &[u8; 32], source: TransportId, destination: TransportId) -> Self {
        Self { key: HopKey::new(key, source, destination), window: ReplayWindow::new() }
    }

    /// Opens `sealed` into `out`: the packet as its source sealed it for everyone.
    ///
    /// # Errors
    /// See [`Refused`]. What is refused changes nothing; `out` is empty then.
    pub fn open(&mut self, sealed: &SealedPacket, out: &mut SealedPacket) -> Result<(), Refused> {
        out.set_len(0);
        let (counter, rest) = sealed.as_slice().split_first_chunk::<COUNTER_LEN>().ok_or(Refused::Unreadable)?;
        let (ciphertext, tag) = rest.split_last_chunk::<TAG_LEN>().ok_or(Refused::Unreadable)?;
        let counter = u64::from_be_bytes(*counter);
        if !self.window.is_fresh(counter) {
            return Err(Refused::Replayed);
        }
        let text = out.buffer_mut().get_mut(..ciphertext.len()).ok_or(Refused::Unreadable)?;
        text.copy_from_slice(ciphertext);
        let HopKey { key, aad } = &self.key;
        if !ChaCha20Poly1305Sha256::open(key.as_slice(), &HopKey::nonce(counter), aad, text, tag) {
            return Err(Refused::Forged);
        }
        self.window.mark(counter);
        out.set_len(ciphertext.len());
        Ok(())
    }
}
