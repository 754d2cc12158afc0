//! Signals: the private control messages inside a channel. CBOR (RFC 8949) in and out, bounded, padded to size classes.

mod cbor;

use crate::identity::IdentityPublic;
use crate::link::SessionSecret;
use crate::peer::{Address, TransportId};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// One control message.
#[derive(Clone, Debug, PartialEq)]
pub enum Signal {
    /// A WebRTC offer.
    Offer {
        /// Session description, at most [`Signal::MAX_SDP`] bytes.
        sdp: String,
        /// Which of the sender's negotiations with the receiver this begins, counted up from 1; 0: it does not count them.
        number: u64,
    },
    /// The WebRTC answer to an offer.
    Answer {
        /// Session description, at most [`Signal::MAX_SDP`] bytes.
        sdp: String,
        /// The offer's.
        number: u64,
    },
    /// One ICE candidate.
    Candidate {
        /// The candidate line, at most [`Signal::MAX_CANDIDATE`] bytes.
        candidate: String,
        /// The media section it belongs to, at most [`Signal::MAX_MID`] bytes.
        mid: String,
        /// The negotiation's.
        number: u64,
    },
    /// A sender key, to hear its sender with.
    MediaKey(MediaKey),
    /// A sender key has come.
    MediaKeyAck {
        /// Which one.
        generation: u64,
    },
    /// Whom the sender has a channel with: at most [`Signal::MAX_ROSTER`].
    Roster(Vec<RosterEntry>),
    /// Microphone, ears and recorder of the sender.
    State {
        /// The microphone is closed.
        muted: bool,
        /// Nobody is heard.
        deafened: bool,
        /// Everybody is recorded.
        recording: bool,
    },
    /// How the receiver's voice arrives at the sender of this report. Always finite numbers within their bounds.
    Quality {
        /// Share of lost packets, 0–1.
        loss: f32,
        /// Variation of transit times, in ms.
        jitter_ms: f32,
        /// Sound waiting to be played, in ms.
        buffer_ms: f32,
        /// Lost packets in a row, on average; 0 when none was lost.
        burst: f32,
        /// How much longer packets are under way than the fastest lately, in ms: a queue.
        queue_ms: f32,
        /// What the reporter's own voice takes from its mouth until it is sent, in ms; 0: it does not say.
        sending_ms: f32,
    },
    /// Something written, to everyone.
    Text {
        /// At most [`Signal::MAX_TEXT`] bytes; not yet sanitised for a screen.
        body: String,
        /// Which of the sender's texts this is, counted up from 1: one that is said again has the same; 0: it does not count them.
        number: u64,
    },
    /// To be answered at once.
    Ping {
        /// Comes back in the answer.
        id: u64,
    },
    /// The answer to a ping.
    Pong {
        /// The ping's.
        id: u64,
    },
    /// The sender goes, or wants the receiver gone.
    Bye {
        /// Why.
        reason: ByeReason,
    },
    /// The newest word of the session's authority.
    Ruling(Ruling),
    /// Somebody waits to be let in: said to the members, and to the one who waits.
    Knock {
        /// Transport identity of who waits.
        transport: TransportId,
        /// Its identity key, proven to the sender of this.
        identity: IdentityPublic,
        /// The name it gave itself, at most [`MAX_NAME`](crate::handshake::MAX_NAME) bytes; not yet sanitised for a screen.
        name: String,
    },
    /// What becomes of somebody who waits. Not signed: see [`Verdict`] for when it counts.
    Admit {
        /// Who waits.
        identity: IdentityPublic,
        /// What becomes of it.
        verdict: Verdict,
    },
    /// The sender's identity is a kept one: whoever keeps contacts may remember it.
    Kept,
    /// The sender hears nothing of the receiver, or has another address: the one of the two who offers is to offer anew.
    Reconnect,
    /// Of a kind that this version does not know: to be counted and otherwise ignored. Cannot be written.
    Unknown,
}

/// A sender key on its way to one member.
#[derive(Clone)]
pub struct MediaKey {
    /// Counts the sender's keys; below 2⁶⁰.
    pub generation: u64,
    /// Ratchet step within the generation, 0–15.
    pub step: u8,
    /// SFrame base key.
    pub secret: Zeroizing<[u8; 32]>,
    /// [`MediaKey::hash_recipients`] of everyone who holds the key: agreement on it is agreement on who hears whom.
    pub recipients_hash: [u8; 32],
    /// For this recipient only: seals what does not travel over the sender's own connection to it
    /// (see [`HopSealer`](crate::media::HopSealer)).
    pub hop_key: Zeroizing<[u8; 32]>,
    /// Why the key is handed over.
    pub reason: RekeyReason,
}

/// Why a sender key is handed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RekeyReason {
    /// Somebody came, or came back.
    Join,
    /// The key before it was old.
    Timer,
    /// Somebody went, or is lost.
    Leave,
    /// Somebody was sent away.
    Kick,
}

/// Somebody whom a member has a channel with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterEntry {
    /// Transport identity, to dial.
    pub transport: TransportId,
    /// Identity key that the member saw.
    pub identity: IdentityPublic,
    /// Where it may be reached: at most [`Signal::MAX_ADDRESSES`].
    pub addresses: Vec<Address>,
}

/// A [`Statement`](crate::authority::Statement), and the session secret that it commits to.
#[derive(Clone)]
pub struct Ruling {
    /// The statement's bytes, not yet verified.
    pub statement: Vec<u8>,
    /// For members only; `None` while the link's own secret is in use.
    pub secret: Option<SessionSecret>,
}

/// What becomes of somebody who waits to be let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Turned away. Counts from the authority; while it is gone, from any member.
    Refused,
    /// Let in. Counts while the authority is gone, from any member: the authority says it by a statement.
    Admitted,
    /// It went away by itself.
    Gone,
}

/// Why somebody goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByeReason {
    /// Of its own will.
    Leaving,
    /// The session is full.
    Full,
    /// Sent away by the host.
    Kicked,
    /// Not let in.
    Refused,
    /// The link's time is over.
    Expired,
    /// A reason that this version does not know.
    Other,
}

/// Why a signal could not be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WriteError {
    /// A text or list is longer than its bound, a number out of range, or the kind is [`Signal::Unknown`].
    #[error("the signal is out of bounds")]
    OutOfBounds,
}

/// The bytes are no signal: cut short, out of bounds, or not CBOR as we write it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a signal")]
pub struct Unreadable;

impl Signal {
    /// Bytes of a session description. WebRTC audio takes 1–3 KiB.
    pub const MAX_SDP: usize = 15_000;
    /// Bytes of a candidate line.
    pub const MAX_CANDIDATE: usize = 800;
    /// Bytes of a media section's name.
    pub const MAX_MID: usize = 64;
    /// Entries of a roster: a full session.
    pub const MAX_ROSTER: usize = 8;
    /// Addresses of one roster entry.
    pub const MAX_ADDRESSES: usize = 8;
    /// Bytes of a text.
    pub const MAX_TEXT: usize = 900;

    /// The lengths that signals are padded to: an observer learns a message's size class and nothing finer.
    pub const SIZE_CLASSES: [usize; 4] = [256, 1_024, 4_096, 16_384];
    /// The largest of them.
    pub const MAX_PADDED: usize = 16_384;
    /// Bytes of the length before the CBOR.
    const LENGTH_LEN: usize = 2;

    /// length (2, big-endian) ‖ CBOR ‖ zeros up to the next size class.
    ///
    /// # Errors
    /// [`WriteError::OutOfBounds`].
    pub fn write(&self) -> Result<Zeroizing<Vec<u8>>, WriteError> {
        let cbor = cbor::encode(self).ok_or(WriteError::OutOfBounds)?;
        let len = u16::try_from(cbor.len()).map_err(|_| WriteError::OutOfBounds)?;
        let used = cbor.len().saturating_add(Self::LENGTH_LEN);
        let class = Self::SIZE_CLASSES.into_iter().find(|&class| used <= class).ok_or(WriteError::OutOfBounds)?;
        let mut padded = Zeroizing::new(Vec::with_capacity(class));
        padded.extend_from_slice(&len.to_be_bytes());
        padded.extend_from_slice(&cbor);
        padded.resize(class, 0);
        Ok(padded)
    }

    /// Reads what [`write`](Self::write) wrote, or what a later version did: unknown fields are ignored,
    /// unknown kinds are [`Signal::Unknown`].
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn parse(padded: &[u8]) -> Result<Self, Unreadable> {
        let (len, rest) = padded.split_first_chunk::<{ Self::LENGTH_LEN }>().ok_or(Unreadable)?;
        if !Self::SIZE_CLASSES.contains(&padded.len()) {
            return Err(Unreadable);
        }
        let cbor = rest.get(..usize::from(u16::from_be_bytes(*len))).ok_or(Unreadable)?;
        cbor::decode(cbor).ok_or(Unreadable)
    }
}

impl RekeyReason {
    /// The word that people and scripts see.
    pub fn word(self) -> &'static str {
        match self {
            RekeyReason::Join => "join",
            RekeyReason::Timer => "timer",
            RekeyReason::Leave => "leave",
            RekeyReason::Kick => "kick",
        }
    }
}

impl MediaKey {
    /// SHA-256("resonance/v1/recipients" ‖ count (1) ‖ identity keys, each once, in byte order) of the sender and all
    /// whom it hands the key to.
    pub fn hash_recipients(identities: impl IntoIterator<Item = IdentityPublic>) -> [u8; 32] {
        let sorted: BTreeSet<_> = identities.into_iter().collect();
        let mut hash = Sha256::new();
        hash.update(b"resonance/v1/recipients");
        hash.update([u8::try_from(sorted.len()).unwrap_or(u8::MAX)]);
        sorted.iter().for_each(|identity| hash.update(identity.as_bytes()));
        hash.finalize().into()
    }
}

impl PartialEq for Ruling {
    fn eq(&self, other: &Self) -> bool {
        let same_secret = match (&self.secret, &other.secret) {
            (Some(mine), Some(theirs)) => bool::from(mine.as_bytes().ct_eq(theirs.as_bytes())),
            (mine, theirs) => mine.is_none() && theirs.is_none(),
        };
        same_secret && self.statement == other.statement
    }
}

impl fmt::Debug for Ruling {
    /// Without the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ruling").field("statement", &self.statement.len()).finish_non_exhaustive()
    }
}

impl PartialEq for MediaKey {
    fn eq(&self, other: &Self) -> bool {
        let same_keys = self.secret.as_slice().ct_eq(other.secret.as_slice())
            & self.hop_key.as_slice().ct_eq(other.hop_key.as_slice());
        bool::from(same_keys)
            && self.generation == other.generation
            && self.step == other.step
            && self.recipients_hash == other.recipients_hash
            && self.reason == other.reason
    }
}

impl fmt::Debug for MediaKey {
    /// Without the secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MediaKey")
            .field("generation", &self.generation)
            .field("step", &self.step)
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
