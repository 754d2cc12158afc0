//! Who may come in, as the session's authority states it: one signed statement of the whole admission state, of which the newest counts.
//!
//! A statement carries the root key, whose hash the link has, and every handover since: a newcomer who knows nothing but the link checks it.
//! Because each statement is the whole state, members that were away need only the newest, and partitions heal into it.

mod reading;
mod state;

pub use state::{SecretCommitment, State};

use crate::identity::{AuthorityKey, AuthorityPublic, IdentityKey, IdentityPublic};
use crate::link::SessionId;
use sha2::{Digest, Sha256};

/// What is signed is one of these: a link of the chain of handovers, or the newest of all.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Mark {
    /// Counts the session's statements, whoever signs them.
    sequence: u64,
    /// From the next sequence on this key is the authority.
    successor: Option<IdentityPublic>,
    /// SHA-256 of the state's bytes.
    state_hash: [u8; 32],
}

/// A handover in the chain. The state that it came with is gone; its hash is left.
#[derive(Clone)]
struct Handover {
    mark: Mark,
    signature: [u8; 64],
}

/// An authentic statement: it can only be had by signing or by [`Statement::verify`].
#[derive(Clone)]
pub struct Statement {
    root: AuthorityPublic,
    handovers: Vec<Handover>,
    mark: Mark,
    signature: [u8; 64],
    state: State,
}

/// Whose word counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// The creator of the session, by the key that the link names.
    Creator,
    /// The member with this identity, to whom it was handed over.
    Successor(IdentityPublic),
}

/// The secret key of the authority of the moment.
#[derive(Clone, Copy)]
pub enum Signer<'a> {
    /// The creator's.
    Creator(&'a AuthorityKey),
    /// A successor's.
    Successor(&'a IdentityKey),
}

/// How a statement stands to the one that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It takes the place of the known one.
    Newer,
    /// It says the same.
    Same,
    /// It was overtaken.
    Older,
    /// The two cannot both be honest: one sequence with two meanings, or the word of one who has handed over. The known one stays.
    Conflict,
}

/// Why a statement is not believed: cut short, not canonical, not signed by the authority of this session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a statement of this session's authority")]
pub struct Refused;

/// Why nothing was signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The key is not that of the authority.
    #[error("only the authority can state who may come in")]
    NotTheAuthority,
    /// More than [`Statement::MAX_HANDOVERS`], or every sequence is used up.
    #[error("the authority was handed over too often")]
    Exhausted,
}

impl Statement {
    /// Handovers of one session: each is checked by every newcomer, so the chain stays short.
    pub const MAX_HANDOVERS: usize = 8;
    /// Bytes of the longest statement; with a session secret it fits a signal of 4 KiB.
    pub const MAX_LEN: usize = 32 + 1 + Self::MAX_HANDOVERS * Handover::LEN + 8 + 32 + 64 + State::MAX_LEN;

    /// States `state` after `before` (`None`: the first statement); with a successor, for the last time.
    ///
    /// # Errors
    /// [`SignError`].
    pub fn sign(
        before: Option<&Statement>,
        signer: Signer<'_>,
        session: &SessionId,
        state: State,
        successor: Option<IdentityPublic>,
    ) -> Result<Statement, SignError> {
        let (root, handovers, last) = match (before, signer) {
            (None, Signer::Creator(key)) => (key.public(), Vec::new(), 0),
            (None, Signer::Successor(_)) => return Err(SignError::NotTheAuthority),
            (Some(before), _) => (before.root, before.chain(), before.mark.sequence),
        };
        let theirs = match handovers.last().and_then(|handover| handover.mark.successor) {
            Some(successor) => successor,
            None => IdentityPublic::from_bytes(*root.as_bytes()),
        };
        let mine = match signer {
            Signer::Creator(key) => IdentityPublic::from_bytes(*key.public().as_bytes()),
            Signer::Successor(key) => key.public(),
        };
        if mine != theirs {
            return Err(SignError::NotTheAuthority);
        }
        let sequence = last.checked_add(1).ok_or(SignError::Exhausted)?;
        let chain = handovers.len().saturating_add(usize::from(successor.is_some()));
        if chain > Self::MAX_HANDOVERS {
            return Err(SignError::Exhausted);
        }
        let mark = Mark { sequence, successor, state_hash: Sha256::digest(state.to_bytes()).into() };
        let message = mark.message(session);
        let signature = match signer {
            Signer::Creator(key) => key.sign(&message),
            Signer::Successor(key) => key.sign(&message),
        };
        Ok(Statement { root, handovers, mark, signature, state })
    }

    /// Reads a statement and checks it against what the link says: every handover and the statement itself.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn verify(bytes: &[u8], session: &SessionId, authority_hash: &[u8; 16]) -> Result<Statement, Refused> {
        let statement = Self::parse(bytes).ok_or(Refused)?;
        if statement.root.hash() != *authority_hash {
            return Err(Refused);
        }
        let mut key = IdentityPublic::from_bytes(*statement.root.as_bytes());
        let mut sequence = 0;
        let newest = [(&statement.mark, &statement.signature)];
        let chain = statement.handovers.iter().map(|handover| (&handover.mark, &handover.signature));
        for (mark, signature) in chain.chain(newest) {
            if mark.sequence <= sequence || !key.verifies(&mark.message(session), signature) {
                return Err(Refused);
            }
            sequence = mark.sequence;
            key = mark.successor.unwrap_or(key);
        }
        Ok(statement)
    }

    /// What it states.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// Its number in the session.
    pub fn sequence(&self) -> u64 {
        self.mark.sequence
    }

    /// Whose word counts from now on.
    pub fn authority(&self) -> Authority {
        let handed_over = self.handovers.last().and_then(|handover| handover.mark.successor);
        self.mark.successor.or(handed_over).map_or(Authority::Creator, Authority::Successor)
    }

    /// How this one stands to `known`.
    ///
    /// A handover binds: of statements that do not build on the handovers that are known, none is followed.
    pub fn standing(&self, known: &Statement) -> Standing {
        let settled = known.chain();
        let marks = |chain: &[Handover]| chain.iter().map(|handover| handover.mark).collect::<Vec<_>>();
        let (ours, theirs) = (marks(&settled), marks(&self.handovers));
        let said = marks(&self.chain());
        let further = said.strip_prefix(ours.as_slice()).and_then(|further| further.first());
        if further.is_some_and(|handover| handover.sequence <= known.mark.sequence) {
            // What is known was said by one who had handed over already.
            return Standing::Conflict;
        }
        if theirs.starts_with(&ours) {
            return match self.mark.sequence.cmp(&known.mark.sequence) {
                std::cmp::Ordering::Greater => Standing::Newer,
                std::cmp::Ordering::Equal if self.mark == known.mark => Standing::Same,
                std::cmp::Ordering::Equal => Standing::Conflict,
                std::cmp::Ordering::Less => Standing::Older,
            };
        }
        // It does not know of our last handovers: then it must have been said before the first that it lacks.
        let lacking = ours.strip_prefix(theirs.as_slice()).and_then(|lacking| lacking.first());
        match lacking {
            Some(handover) if self.mark == known.mark && *handover == known.mark => Standing::Same,
            Some(handover) if self.mark.sequence < handover.sequence || self.mark == *handover => Standing::Older,
            _ => Standing::Conflict,
        }
    }

    /// The handovers so far, this statement's own included.
    fn chain(&self) -> Vec<Handover> {
        let own = Handover { mark: self.mark, signature: self.signature };
        self.handovers.iter().cloned().chain(self.mark.successor.map(|_| own)).collect()
    }
}

impl Mark {
    /// "resonance/v1/authority" ‖ session id ‖ sequence ‖ successor or zeros ‖ SHA-256(state).
    fn message(&self, session: &SessionId) -> Vec<u8> {
        let successor = self.successor.map_or([0; 32], |key| *key.as_bytes());
        [b"resonance/v1/authority", &session.as_bytes()[..], &self.sequence.to_be_bytes(), &successor, &self.state_hash]
            .concat()
    }
}

#[cfg(test)]
mod tests;
