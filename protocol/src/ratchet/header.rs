//! What stands before each sealed text, in the open and authenticated.

use crate::kem;

/// One message's place in the conversation.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Header {
    /// Public half of the sender's DHs: names the chain.
    pub key: [u8; 32],
    /// PN: messages in the sender's chain before this one.
    pub previous: u32,
    /// N: the message's number in its chain.
    pub number: u32,
    /// The second in which it was sealed.
    pub second: u32,
    /// The same throughout a chain.
    pub part: KemPart,
}

/// The share of an ML-KEM exchange that a chain's headers carry, so that it arrives with whichever message comes first.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum KemPart {
    Nothing,
    /// Of an initiator's chain: to be answered.
    Key(Box<[u8; kem::KEY_LEN]>),
    /// Of the chain that answers.
    Ciphertext(Box<[u8; kem::CIPHERTEXT_LEN]>),
}

impl Header {
    /// Bytes of a header without an ML-KEM part.
    pub const LEN: usize = 1 + 32 + 4 + 4 + 4;
    /// Bytes of the longest header.
    pub const MAX_LEN: usize = Self::LEN + kem::KEY_LEN;

    /// part's kind (1: 0 nothing, 1 key, 2 ciphertext) ‖ DHs (32) ‖ PN (4) ‖ N (4) ‖ second (4) ‖ part (0, 1,184 or 1,088).
    pub fn write(&self, out: &mut Vec<u8>) {
        let (kind, part): (u8, &[u8]) = match &self.part {
            KemPart::Nothing => (0, &[]),
            KemPart::Key(key) => (1, key.as_slice()),
            KemPart::Ciphertext(ciphertext) => (2, ciphertext.as_slice()),
        };
        out.push(kind);
        out.extend_from_slice(&self.key);
        out.extend_from_slice(&self.previous.to_be_bytes());
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(&self.second.to_be_bytes());
        out.extend_from_slice(part);
    }

    /// Reads a header; gives it, its bytes, and what follows.
    pub fn parse(bytes: &[u8]) -> Option<(Self, &[u8], &[u8])> {
        let (&kind, rest) = bytes.split_first()?;
        let (&key, rest) = rest.split_first_chunk::<32>()?;
        let (&previous, rest) = rest.split_first_chunk::<4>()?;
        let (&number, rest) = rest.split_first_chunk::<4>()?;
        let (&second, rest) = rest.split_first_chunk::<4>()?;
        let (part, rest) = match kind {
            0 => (KemPart::Nothing, rest),
            1 => rest.split_first_chunk().map(|(key, rest)| (KemPart::Key(Box::new(*key)), rest))?,
            2 => rest.split_first_chunk().map(|(sealed, rest)| (KemPart::Ciphertext(Box::new(*sealed)), rest))?,
            _ => return None,
        };
        let (header, _) = bytes.split_at_checked(bytes.len().checked_sub(rest.len())?)?;
        let [previous, number, second] = [previous, number, second].map(u32::from_be_bytes);
        Some((Self { key, previous, number, second, part }, header, rest))
    }
}
