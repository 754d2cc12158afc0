//! Sealing one's own voice: once per frame, for everyone.

use super::header::Header;
use super::key_schedule::TAG_LEN;
use super::packet::SealedPacket;
use super::ratchet::{KeyId, StepKeys};
use super::sender_key::Metadata;

/// Seals frames under one generation of the own sender key. Does not allocate after it is made; cannot be cloned.
pub struct Sealer {
    steps: StepKeys,
    metadata: Metadata,
    step: u8,
    /// The next counter; it goes on through all steps. `None` when there is none left, or never was
    /// (see [`SenderKey::sealer`](super::SenderKey::sealer)).
    next: Option<u64>,
}

/// Why nothing was sealed. The packet is empty then.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The plaintext and its overhead do not fit into a packet.
    #[error("the frame does not fit into one packet")]
    TooLong,
    /// This sealer has no counter left that was never used: take the next generation.
    #[error("this sender key is spent")]
    Spent,
}

impl Sealer {
    /// Any plaintext up to this many bytes fits.
    pub const MAX_PLAINTEXT: usize = SealedPacket::CAPACITY - Header::MAX_LEN - TAG_LEN;

    pub(super) fn new(steps: StepKeys, metadata: Metadata, may_seal: bool) -> Self {
        Self { step: steps.first(), steps, metadata, next: may_seal.then_some(0) }
    }

    /// Which of the own sender keys this is, and the step that it seals with.
    pub fn id(&self) -> KeyId {
        KeyId::new(self.steps.generation(), self.step)
    }

    /// Which of the own sender keys this is.
    pub fn generation(&self) -> u64 {
        self.steps.generation()
    }

    /// Steps forward: what was sealed before cannot be opened with what is held from now on. The counter goes on.
    /// A step of another generation, or one that was taken already, changes nothing.
    pub fn advance_to(&mut self, id: KeyId) {
        if id.generation() == self.steps.generation() {
            while self.step < id.step() {
                self.steps.erase(self.step);
                self.step = self.step.saturating_add(1);
            }
        }
    }

    /// Seals `plaintext` into `out`: SFrame header ‖ ciphertext ‖ tag. Every call uses a counter of its own.
    ///
    /// # Errors
    /// See [`SealError`]; `out` is empty then.
    pub fn seal(&mut self, plaintext: &[u8], out: &mut SealedPacket) -> Result<(), SealError> {
        out.set_len(0);
        let ctr = self.next.ok_or(SealError::Spent)?;
        let header = Header { kid: self.id().kid(), ctr }.encode();
        let len = self.write(ctr, header.as_slice(), plaintext, out.buffer_mut()).ok_or(SealError::TooLong)?;
        // The last counter of all stays unused: replay windows count one past the newest.
        self.next = ctr.checked_add(1).filter(|&next| next != u64::MAX);
        out.set_len(len);
        Ok(())
    }

    fn write(&self, ctr: u64, header: &[u8], plaintext: &[u8], buffer: &mut [u8]) -> Option<usize> {
        let text_end = header.len().checked_add(plaintext.len())?;
        let end = text_end.checked_add(TAG_LEN)?;
        let (to_header, rest) = buffer.get_mut(..end)?.split_at_mut_checked(header.len())?;
        let (to_text, to_tag) = rest.split_at_mut_checked(plaintext.len())?;
        to_header.copy_from_slice(header);
        to_text.copy_from_slice(plaintext);
        let (aad, aad_len) = self.metadata.aad(header);
        let tag = self.steps.get(self.step)?.seal(ctr, aad.get(..aad_len)?, to_text)?;
        to_tag.copy_from_slice(&tag);
        Some(end)
    }

    #[cfg(test)]
    pub(super) fn skip_to(&mut self, ctr: u64) {
        self.next = Some(ctr);
    }
}
