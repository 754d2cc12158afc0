//! The admission state that a statement is about, in its one encoding.

use crate::identity::IdentityPublic;
use crate::link::{SessionId, SessionSecret};
use sha2::{Digest, Sha256};
use std::fmt;
use subtle::ConstantTimeEq;

/// Everything that the authority decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct State {
    /// Only who is in `admitted` may come in; others knock.
    pub locked: bool,
    /// The session secret that took the place of the link's, after a removal; `None`: the link's own.
    pub secret: Option<SecretCommitment>,
    pub(super) admitted: Vec<IdentityPublic>,
    pub(super) removed: Vec<IdentityPublic>,
}

/// SHA-256("resonance/v1/secret" ‖ session id ‖ session secret): tells the true secret from others without telling it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct SecretCommitment([u8; 32]);

impl SecretCommitment {
    /// Commits to a secret of 128 random bits.
    pub fn of(session: &SessionId, secret: &SessionSecret) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"resonance/v1/secret");
        hash.update(session.as_bytes());
        hash.update(secret.as_bytes());
        Self(hash.finalize().into())
    }

    /// Whether this is the secret.
    pub fn is_of(&self, session: &SessionId, secret: &SessionSecret) -> bool {
        self.0.ct_eq(&Self::of(session, secret).0).into()
    }
}

impl fmt::Debug for SecretCommitment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretCommitment(…)")
    }
}

impl State {
    /// Identities on either list: a full session many times over, and a statement of 4 KiB at most.
    /// When one more comes, the oldest goes: a removed person's link is answered by nobody anyway.
    pub const MAX_LISTED: usize = 32;
    /// Bytes of the longest encoding.
    pub(super) const MAX_LEN: usize = 1 + 32 + 2 * (1 + Self::MAX_LISTED * 32);

    const LOCKED: u8 = 1;

    /// Who may come in while it is locked, the newest last.
    pub fn admitted(&self) -> &[IdentityPublic] {
        &self.admitted
    }

    /// Who may never come in, the newest last.
    pub fn removed(&self) -> &[IdentityPublic] {
        &self.removed
    }

    /// Locks: those may stay and come back.
    pub fn lock(&mut self, admitted: impl IntoIterator<Item = IdentityPublic>) {
        self.locked = true;
        self.admitted.clear();
        admitted.into_iter().for_each(|identity| self.admit(identity));
    }

    /// Unlocks: everyone with the link may come in, but for the removed.
    pub fn unlock(&mut self) {
        self.locked = false;
        self.admitted.clear();
    }

    /// Lets somebody in who is not removed.
    pub fn admit(&mut self, identity: IdentityPublic) {
        if !self.removed.contains(&identity) {
            append(&mut self.admitted, identity);
        }
    }

    /// Removes somebody; `secret` takes the place of the secret that the removed person has.
    pub fn remove(&mut self, identity: IdentityPublic, secret: SecretCommitment) {
        self.admitted.retain(|admitted| *admitted != identity);
        append(&mut self.removed, identity);
        self.secret = Some(secret);
    }

    /// flags (1) ‖ commitment or zeros (32) ‖ count (1) ‖ admitted ‖ count (1) ‖ removed.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(Self::MAX_LEN);
        bytes.push(if self.locked { Self::LOCKED } else { 0 });
        bytes.extend_from_slice(&self.secret.map_or([0; 32], |secret| secret.0));
        for list in [&self.admitted, &self.removed] {
            bytes.push(u8::try_from(list.len()).unwrap_or(u8::MAX));
            list.iter().for_each(|identity| bytes.extend_from_slice(identity.as_bytes()));
        }
        bytes
    }

    /// Reads the one encoding; `None` when it is another.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let (&[flags], rest) = bytes.split_first_chunk()?;
        let (commitment, rest) = rest.split_first_chunk::<32>()?;
        let (admitted, rest) = list(rest)?;
        let (removed, rest) = list(rest)?;
        let locked = flags & Self::LOCKED != 0;
        let sound = flags & !Self::LOCKED == 0
            && rest.is_empty()
            && (locked || admitted.is_empty())
            && !admitted.iter().any(|identity| removed.contains(identity));
        let secret = (*commitment != [0; 32]).then_some(SecretCommitment(*commitment));
        sound.then_some(Self { locked, secret, admitted, removed })
    }
}

/// Adds at the end, once; drops the oldest when the list is full.
fn append(list: &mut Vec<IdentityPublic>, identity: IdentityPublic) {
    list.retain(|listed| *listed != identity);
    if list.len() >= State::MAX_LISTED {
        list.remove(0);
    }
    list.push(identity);
}

/// Reads count (1) ‖ identities, each of them once.
fn list(bytes: &[u8]) -> Option<(Vec<IdentityPublic>, &[u8])> {
    let (&[count], mut rest) = bytes.split_first_chunk()?;
    let mut list = Vec::new();
    for _ in 0..count {
        let (identity, after) = rest.split_first_chunk()?;
        let identity = IdentityPublic::from_bytes(*identity);
        if list.len() >= State::MAX_LISTED || list.contains(&identity) {
            return None;
        }
        list.push(identity);
        rest = after;
    }
    Some((list, rest))
}
