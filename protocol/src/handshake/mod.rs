//! How two strangers with the same link become a pair: Noise XXpsk0, with a signature that binds each identity to it.
//!
//! ```text
//! initiator                                  responder
//!     │── 1: e                         ────────▶ │  psk0: a stranger's is refused before any Diffie–Hellman, unanswered
//!     │◀──────── 2: e, ee, s, es, {identity, signature, name} ──│
//!     │── 3: s, se, {identity, signature, name} ▶ │
//! ```
//! Sans-IO: bytes in, bytes out. The caller bounds how many are in flight and for how long.

mod noise;
mod payload;

use crate::channel::SecureChannel;
use crate::identity::{IdentityKey, IdentityPublic};
use crate::link::{SessionId, SessionKeys};
use crate::message::MessageKind;
use crate::peer::TransportId;
use noise::{Drawn, Side};
use payload::Payload;
use rand_core::CryptoRng;
use snow::HandshakeState;
use zeroize::Zeroizing;

/// This side, as it presents itself.
#[derive(Clone, Copy)]
pub struct LocalPeer<'a> {
    /// Signs the handshake.
    pub identity: &'a IdentityKey,
    /// The own transport identity.
    pub transport: TransportId,
    /// Display name, at most [`MAX_NAME`] bytes of UTF-8.
    pub name: &'a str,
}

/// Bytes of a display name.
pub const MAX_NAME: usize = 64;

/// Bytes of the three messages, kind included. They never vary, so that they tell nothing.
pub const MESSAGE_LENGTHS: [usize; 3] = [
    1 + 32 + TAG_LEN,
    1 + 32 + (32 + TAG_LEN) + Payload::PADDED + TAG_LEN,
    1 + (32 + TAG_LEN) + Payload::PADDED + TAG_LEN,
];

const TAG_LEN: usize = 16;

/// Why a handshake did not go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HandshakeError {
    /// The message is not that of a member of this session to us, or was altered. Not to be answered.
    #[error("refused")]
    Refused,
    /// The own name is longer than [`MAX_NAME`] bytes.
    #[error("the name is longer than {MAX_NAME} bytes")]
    NameTooLong,
    /// The peer's transport identity is our own.
    #[error("a handshake with oneself")]
    Oneself,
}

/// A handshake that we began, waiting for message 2.
pub struct Initiator(Pending);

/// A handshake that we answered, waiting for message 3.
pub struct Responder(Pending);

/// A pair: who the other is, and the channel to it.
pub struct Established {
    /// Seals and opens signals.
    pub channel: SecureChannel,
    /// The other's identity key, proven by signature.
    pub identity: IdentityPublic,
    /// The name it gave itself, at most [`MAX_NAME`] bytes; not yet sanitised for a screen.
    pub name: String,
}

/// Whether it is for `mine` to begin: the smaller transport identity initiates, and drops the other's attempt.
pub fn initiates(mine: &TransportId, theirs: &TransportId) -> bool {
    mine < theirs
}

impl Initiator {
    /// Begins a handshake with `remote`; gives message 1.
    ///
    /// # Errors
    /// [`HandshakeError::NameTooLong`], [`HandshakeError::Oneself`].
    pub fn start(
        keys: &SessionKeys,
        local: &LocalPeer<'_>,
        remote: TransportId,
        rng: &mut impl CryptoRng,
    ) -> Result<(Initiator, Vec<u8>), HandshakeError> {
        let mut pending = Pending::new(Side::Initiator, keys, local, remote, rng)?;
        let message = pending.write(MessageKind::Handshake1, &[])?;
        Ok((Initiator(pending), message))
    }

    /// Takes message 2; gives message 3 and the pair.
    ///
    /// `_rng` is not drawn from yet: it holds the place of the ratchet key that message 3 will carry.
    ///
    /// # Errors
    /// [`HandshakeError::Refused`], and [`HandshakeError::NameTooLong`] when `local` changed.
    pub fn finish(
        self,
        local: &LocalPeer<'_>,
        message2: &[u8],
        _rng: &mut impl CryptoRng,
    ) -> Result<(Vec<u8>, Established), HandshakeError> {
        let Self(mut pending) = self;
        let theirs = pending.read_payload(MessageKind::Handshake2, message2)?;
        let message = pending.write_payload(MessageKind::Handshake3, local)?;
        Ok((message, pending.established(theirs)))
    }
}

impl Responder {
    /// Takes message 1 of `remote`; gives message 2. When it is refused, nothing is to be answered.
    ///
    /// # Errors
    /// [`HandshakeError::Refused`], [`HandshakeError::NameTooLong`], [`HandshakeError::Oneself`].
    pub fn answer(
        keys: &SessionKeys,
        local: &LocalPeer<'_>,
        remote: TransportId,
        message1: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<(Responder, Vec<u8>), HandshakeError> {
        let mut pending = Pending::new(Side::Responder, keys, local, remote, rng)?;
        pending.read(MessageKind::Handshake1, message1)?;
        let message = pending.write_payload(MessageKind::Handshake2, local)?;
        Ok((Responder(pending), message))
    }

    /// Takes message 3; gives the pair. `_local` is not used: the signature went out with message 2.
    ///
    /// # Errors
    /// [`HandshakeError::Refused`].
    pub fn finish(self, _local: &LocalPeer<'_>, message3: &[u8]) -> Result<Established, HandshakeError> {
        let Self(mut pending) = self;
        let theirs = pending.read_payload(MessageKind::Handshake3, message3)?;
        Ok(pending.established(theirs))
    }
}

/// What both sides keep between messages.
struct Pending {
    side: Side,
    session: SessionId,
    mine: TransportId,
    theirs: TransportId,
    static_public: [u8; 32],
    noise: HandshakeState,
}

impl Pending {
    fn new(
        side: Side,
        keys: &SessionKeys,
        local: &LocalPeer<'_>,
        theirs: TransportId,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, HandshakeError> {
        if local.name.len() > MAX_NAME {
            return Err(HandshakeError::NameTooLong);
        }
        if local.transport == theirs {
            return Err(HandshakeError::Oneself);
        }
        let (mine, session) = (local.transport, keys.session_id);
        let (initiator, responder) = match side {
            Side::Initiator => (mine, theirs),
            Side::Responder => (theirs, mine),
        };
        let prologue =
            [b"resonance/v1", &session.as_bytes()[..], &initiator.peer_id_bytes(), &responder.peer_id_bytes()].concat();
        let drawn = Drawn::new(rng);
        let static_public = noise::public(&drawn.statik);
        let noise = noise::start(side, drawn, &keys.psk, &prologue).map_err(|_| HandshakeError::Refused)?;
        Ok(Self { side, session, mine, theirs, static_public, noise })
    }

    fn write(&mut self, kind: MessageKind, payload: &[u8]) -> Result<Vec<u8>, HandshakeError> {
        let mut message = vec![0; length(kind)];
        let (first, noise) = message.split_first_mut().ok_or(HandshakeError::Refused)?;
        *first = kind as u8;
        match self.noise.write_message(payload, noise) {
            Ok(written) if written == noise.len() => Ok(message),
            // An all-zero Diffie–Hellman result: the other side's key was not a true one.
            _ => Err(HandshakeError::Refused),
        }
    }

    fn read(&mut self, kind: MessageKind, message: &[u8]) -> Result<Zeroizing<Vec<u8>>, HandshakeError> {
        let noise = kind.strip(message).filter(|_| message.len() == length(kind)).ok_or(HandshakeError::Refused)?;
        let mut payload = Zeroizing::new(vec![0; noise.len()]);
        let len = self.noise.read_message(noise, &mut payload).map_err(|_| HandshakeError::Refused)?;
        payload.truncate(len);
        Ok(payload)
    }

    /// Writes a message that says who we are.
    fn write_payload(&mut self, kind: MessageKind, local: &LocalPeer<'_>) -> Result<Vec<u8>, HandshakeError> {
        let signed = self.signed(self.side, self.noise.get_handshake_hash(), &self.static_public, &self.mine);
        let payload = Payload {
            identity: local.identity.public(),
            signature: local.identity.sign(&signed),
            name: local.name.to_owned(),
            capabilities: 0,
        };
        let padded = payload.write().ok_or(HandshakeError::NameTooLong)?;
        self.write(kind, padded.as_slice())
    }

    /// Reads a message that says who the other is, and checks that it is.
    fn read_payload(&mut self, kind: MessageKind, message: &[u8]) -> Result<Payload, HandshakeError> {
        let hash_before = self.noise.get_handshake_hash().to_vec();
        let payload = Payload::parse(&self.read(kind, message)?).ok_or(HandshakeError::Refused)?;
        let their_side = match self.side {
            Side::Initiator => Side::Responder,
            Side::Responder => Side::Initiator,
        };
        let their_static = self.noise.get_remote_static().ok_or(HandshakeError::Refused)?;
        let signed = self.signed(their_side, &hash_before, their_static, &self.theirs);
        if payload.identity.verifies(&signed, &payload.signature) { Ok(payload) } else { Err(HandshakeError::Refused) }
    }

    /// What an identity signs: "resonance/v1/identity" ‖ role ‖ session id ‖ handshake hash before this message ‖ Noise
    /// static key ‖ transport peer ID.
    fn signed(&self, side: Side, hash: &[u8], statik: &[u8], transport: &TransportId) -> Vec<u8> {
        let role = match side {
            Side::Initiator => 0,
            Side::Responder => 1,
        };
        let parts: [&[u8]; 6] =
            [b"resonance/v1/identity", &[role], self.session.as_bytes(), hash, statik, &transport.peer_id_bytes()];
        parts.concat()
    }

    fn established(mut self, theirs: Payload) -> Established {
        let (of_initiator, of_responder) = self.noise.dangerously_get_raw_split();
        let (of_initiator, of_responder) = (Zeroizing::new(of_initiator), Zeroizing::new(of_responder));
        let channel = match self.side {
            Side::Initiator => SecureChannel::new(of_initiator, of_responder),
            Side::Responder => SecureChannel::new(of_responder, of_initiator),
        };
        Established { channel, identity: theirs.identity, name: theirs.name }
    }
}

const fn length(kind: MessageKind) -> usize {
    let [first, second, third] = MESSAGE_LENGTHS;
    match kind {
        MessageKind::Handshake1 => first,
        MessageKind::Handshake2 => second,
        MessageKind::Handshake3 => third,
        MessageKind::Channel => 0,
    }
}

#[cfg(test)]
mod tests;
