//! How two strangers with the same link become a pair: Noise XXpsk0 with ML-KEM-768 beside it, and a signature that binds
//! each identity to it.
//!
//! ```text
//! initiator                                                    responder
//!     │── 1: e, {ML-KEM key} ─────────────────────────────────────▶ │  psk0: a stranger's is refused before any
//!     │◀─ 2: e, ee, s, es, {ciphertext, identity, signature, name, ratchet key} ─│  Diffie–Hellman or ML-KEM, unanswered
//!     │── 3: s, se, {identity, signature, name, ratchet key} ─────▶ │
//! ```
//! The root of the channel depends on both: k1 ‖ k2 of Noise, and the ML-KEM secret ss. A wrong ss shows only when the first
//! message through the channel does not open: nobody is to be believed before that.
//!
//! Sans-IO: bytes in, bytes out. The caller bounds how many are in flight and for how long.

mod noise;
mod payload;

use crate::channel::SecureChannel;
use crate::identity::{IdentityKey, IdentityPublic};
use crate::kem;
use crate::link::{SessionId, SessionKeys};
use crate::message::MessageKind;
use crate::peer::TransportId;
use crate::ratchet::{Context, Ratchet, Secret};
use crate::x25519::KeyPair;
use hkdf::Hkdf;
use noise::{Drawn, Side};
use payload::Payload;
use rand_core::CryptoRng;
use sha2::Sha256;
use snow::HandshakeState;
use std::time::Instant;
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
    1 + 32 + kem::KEY_LEN + TAG_LEN,
    1 + 32 + (32 + TAG_LEN) + kem::CIPHERTEXT_LEN + Payload::PADDED + TAG_LEN,
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
pub struct Initiator {
    pending: Pending,
    kem: kem::DecapsulationKey,
}

/// A handshake that we answered, waiting for message 3.
pub struct Responder {
    pending: Pending,
    /// ss.
    hybrid: Secret,
    ratchet: KeyPair,
}

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
        let kem = kem::DecapsulationKey::generate(rng);
        let message = pending.write(MessageKind::Handshake1, kem.encapsulation_key().as_slice())?;
        Ok((Initiator { pending, kem }, message))
    }

    /// Takes message 2; gives message 3 and the pair, whose clock begins now.
    ///
    /// # Errors
    /// [`HandshakeError::Refused`], and [`HandshakeError::NameTooLong`] when `local` changed.
    pub fn finish(
        self,
        now: Instant,
        local: &LocalPeer<'_>,
        message2: &[u8],
        rng: &mut impl CryptoRng,
    ) -> Result<(Vec<u8>, Established), HandshakeError> {
        let Self { mut pending, kem } = self;
        let (ciphertext, theirs) =
            pending.read_payload::<{ kem::CIPHERTEXT_LEN }>(MessageKind::Handshake2, message2)?;
        let ratchet = KeyPair::generate(rng);
        let message = pending.write_payload(MessageKind::Handshake3, local, &[], &ratchet)?;
        Ok((message, pending.established(now, theirs, &kem.decapsulate(&ciphertext), ratchet, local)?))
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
        let payload = pending.read(MessageKind::Handshake1, message1)?;
        let key = payload.first_chunk().and_then(kem::EncapsulationKey::parse).ok_or(HandshakeError::Refused)?;
        let (ciphertext, hybrid) = key.encapsulate(rng);
        let ratchet = KeyPair::generate(rng);
        let message = pending.write_payload(MessageKind::Handshake2, local, ciphertext.as_slice(), &ratchet)?;
        Ok((Responder { pending, hybrid, ratchet }, message))
    }

    /// Takes message 3; gives the pair, whose clock begins now.
    ///
    /// # Errors
    /// [`HandshakeError::Refused`].
    pub fn finish(self, now: Instant, local: &LocalPeer<'_>, message3: &[u8]) -> Result<Established, HandshakeError> {
        let Self { mut pending, hybrid, ratchet } = self;
        let ([], theirs) = pending.read_payload(MessageKind::Handshake3, message3)?;
        pending.established(now, theirs, &hybrid, ratchet, local)
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
        let static_public = *drawn.statik.public();
        let noise = noise::start(side, drawn, &keys.psk, &prologue).map_err(|_| HandshakeError::Refused)?;
        Ok(Self { side, session, mine, theirs, static_public, noise })
    }

    fn write(&mut self, kind: MessageKind, payload: &[u8]) -> Result<Vec<u8>, HandshakeError> {
        let mut message = vec![0; length(kind)];
        let (first, noise) = message.split_first_mut().ok_or(HandshakeError::Refused)?;
        *first = kind as u8;
        // It fills the message. An error is an all-zero Diffie–Hellman result: the other side's key was not a true one.
        self.noise.write_message(payload, noise).map_err(|_| HandshakeError::Refused)?;
        Ok(message)
    }

    fn read(&mut self, kind: MessageKind, message: &[u8]) -> Result<Zeroizing<Vec<u8>>, HandshakeError> {
        let noise = kind.strip(message).filter(|_| message.len() == length(kind)).ok_or(HandshakeError::Refused)?;
        let mut payload = Zeroizing::new(vec![0; noise.len()]);
        let len = self.noise.read_message(noise, &mut payload).map_err(|_| HandshakeError::Refused)?;
        payload.truncate(len);
        Ok(payload)
    }

    /// Writes a message that says who we are, behind `before`.
    fn write_payload(
        &mut self,
        kind: MessageKind,
        local: &LocalPeer<'_>,
        before: &[u8],
        ratchet: &KeyPair,
    ) -> Result<Vec<u8>, HandshakeError> {
        let signed = self.signed(self.side, self.noise.get_handshake_hash(), &self.static_public, &self.mine);
        let payload = Payload {
            identity: local.identity.public(),
            signature: local.identity.sign(&signed),
            name: local.name.to_owned(),
            capabilities: 0,
            ratchet: *ratchet.public(),
        };
        let padded = payload.write().ok_or(HandshakeError::NameTooLong)?;
        self.write(kind, &[before, padded.as_slice()].concat())
    }

    /// Reads a message that says who the other is, behind `BEFORE` bytes of something else, and checks that it is.
    fn read_payload<const BEFORE: usize>(
        &mut self,
        kind: MessageKind,
        message: &[u8],
    ) -> Result<([u8; BEFORE], Payload), HandshakeError> {
        let hash_before = self.noise.get_handshake_hash().to_vec();
        let bytes = self.read(kind, message)?;
        let (before, padded) = bytes.split_first_chunk::<BEFORE>().ok_or(HandshakeError::Refused)?;
        let payload = Payload::parse(padded).ok_or(HandshakeError::Refused)?;
        let their_side = match self.side {
            Side::Initiator => Side::Responder,
            Side::Responder => Side::Initiator,
        };
        let their_static = self.noise.get_remote_static().ok_or(HandshakeError::Refused)?;
        let signed = self.signed(their_side, &hash_before, their_static, &self.theirs);
        let proven = payload.identity.verifies(&signed, &payload.signature);
        if proven { Ok((*before, payload)) } else { Err(HandshakeError::Refused) }
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

    /// root = HKDF(salt = h, ikm = k1 ‖ k2 ‖ ss, info = "resonance/v1/root" ‖ identity I ‖ identity R), and the channel on it.
    fn established(
        mut self,
        now: Instant,
        theirs: Payload,
        hybrid: &Secret,
        ratchet: KeyPair,
        local: &LocalPeer<'_>,
    ) -> Result<Established, HandshakeError> {
        let (k1, k2) = self.noise.dangerously_get_raw_split();
        let (k1, k2) = (Zeroizing::new(k1), Zeroizing::new(k2));
        let ikm = Zeroizing::new([k1.as_slice(), k2.as_slice(), hybrid.as_slice()].concat());
        let mine = local.identity.public();
        let (initiator, responder) = match self.side {
            Side::Initiator => (mine.as_bytes(), theirs.identity.as_bytes()),
            Side::Responder => (theirs.identity.as_bytes(), mine.as_bytes()),
        };
        let mut root = Secret::default();
        Hkdf::<Sha256>::new(Some(self.noise.get_handshake_hash()), &ikm)
            .expand_multi_info(&[b"resonance/v1/root", initiator, responder], root.as_mut_slice())
            .map_err(|_| HandshakeError::Refused)?;
        let context: Context = [self.session.as_bytes().as_slice(), initiator, responder]
            .concat()
            .try_into()
            .map_err(|_| HandshakeError::Refused)?;
        let ratchet = match self.side {
            Side::Initiator => Ratchet::initiator(now, context, &root, ratchet, &theirs.ratchet),
            Side::Responder => Ratchet::responder(now, context, &root, &ratchet, theirs.ratchet),
        };
        let channel = SecureChannel::new(ratchet.ok_or(HandshakeError::Refused)?);
        Ok(Established { channel, identity: theirs.identity, name: theirs.name })
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
