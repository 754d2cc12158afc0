//! Statements as bytes.
//!
//! ```text
//! statement = root key (32) ‖ count of handovers (1) ‖ handovers ‖ sequence (8) ‖ successor or zeros (32) ‖ signature (64) ‖ state
//! handover  = sequence (8) ‖ successor (32) ‖ SHA-256(state) (32) ‖ signature (64)
//! ```

use super::{Handover, Mark, State, Statement};
use crate::identity::{AuthorityPublic, IdentityPublic};
use sha2::{Digest, Sha256};

impl Handover {
    pub(super) const LEN: usize = 8 + 32 + 32 + 64;

    fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (sequence, rest) = bytes.split_first_chunk()?;
        let (successor, rest) = rest.split_first_chunk()?;
        let (state_hash, rest) = rest.split_first_chunk()?;
        let (signature, rest) = rest.split_first_chunk()?;
        let successor = Some(identity(successor)?);
        let mark = Mark { sequence: u64::from_be_bytes(*sequence), successor, state_hash: *state_hash };
        Some((Self { mark, signature: *signature }, rest))
    }
}

/// `None` for zeros, which stand for nobody.
fn identity(bytes: &[u8; 32]) -> Option<IdentityPublic> {
    (*bytes != [0; 32]).then_some(IdentityPublic::from_bytes(*bytes))
}

impl Statement {
    /// At most [`Statement::MAX_LEN`] bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::MAX_LEN);
        bytes.extend_from_slice(self.root.as_bytes());
        bytes.push(u8::try_from(self.handovers.len()).unwrap_or(u8::MAX));
        let successor = |mark: &Mark| mark.successor.map_or([0; 32], |key| *key.as_bytes());
        for Handover { mark, signature } in &self.handovers {
            bytes.extend_from_slice(&mark.sequence.to_be_bytes());
            bytes.extend_from_slice(&successor(mark));
            bytes.extend_from_slice(&mark.state_hash);
            bytes.extend_from_slice(signature);
        }
        bytes.extend_from_slice(&self.mark.sequence.to_be_bytes());
        bytes.extend_from_slice(&successor(&self.mark));
        bytes.extend_from_slice(&self.signature);
        bytes.extend_from_slice(&self.state.to_bytes());
        bytes
    }

    /// Reads a statement without believing it yet.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (root, rest) = bytes.split_first_chunk()?;
        let (&[count], mut rest) = rest.split_first_chunk()?;
        if bytes.len() > Self::MAX_LEN || usize::from(count) > Self::MAX_HANDOVERS {
            return None;
        }
        let mut handovers = Vec::with_capacity(usize::from(count));
        for _ in 0..count {
            let (handover, after) = Handover::parse(rest)?;
            handovers.push(handover);
            rest = after;
        }
        let (sequence, rest) = rest.split_first_chunk()?;
        let (successor, rest) = rest.split_first_chunk()?;
        let (signature, state) = rest.split_first_chunk()?;
        let mark = Mark {
            sequence: u64::from_be_bytes(*sequence),
            successor: identity(successor),
            state_hash: Sha256::digest(state).into(),
        };
        let state = State::parse(state)?;
        Some(Self { root: AuthorityPublic::from_bytes(*root), handovers, mark, signature: *signature, state })
    }
}
