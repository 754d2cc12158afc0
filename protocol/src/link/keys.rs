//! What the holders of a link share: a public name of the session and secret keys.

use crate::identity::cut_hash;
use crate::peer::TransportId;
use hkdf::Hkdf;
use sha2::{Digest, Sha256};
use unicode_normalization::UnicodeNormalization;
use zeroize::Zeroizing;

/// The public name of a session. Not secret: it goes into hashes and additional data.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SessionId([u8; 16]);

impl SessionId {
    /// Wraps the 16 bytes.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The 16 bytes.
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl std::fmt::Debug for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// What everyone in a session can derive from its link, or from its room's name on a LAN.
#[derive(Clone)]
pub struct SessionKeys {
    /// The session's public name.
    pub session_id: SessionId,
    /// Pre-shared key of the Noise handshake.
    pub(crate) psk: Zeroizing<[u8; 32]>,
    /// Pseudorandom key of HKDF (RFC 5869), for what is derived later.
    prk: Zeroizing<[u8; 32]>,
}

/// The public parts of a link that its keys depend on.
pub(super) struct Bound<'a> {
    pub version: u8,
    pub flags: u8,
    pub expires: u64,
    pub host: &'a TransportId,
    pub authority_hash: &'a [u8; 16],
}

impl SessionKeys {
    pub(super) fn of_link(bound: &Bound<'_>, secret: &[u8; 16]) -> Self {
        let session_id = cut_hash(&[b"resonance/v1/session", bound.host.as_bytes(), bound.authority_hash]);
        let mut salt = Sha256::new();
        salt.update([bound.version, bound.flags]);
        salt.update(bound.expires.to_be_bytes());
        salt.update(bound.host.as_bytes());
        salt.update(bound.authority_hash);
        Self::derive(SessionId(session_id), &salt.finalize(), secret)
    }

    /// The keys of a room on the local network: anyone who knows or guesses its name has them.
    ///
    /// The name is normalised (Unicode NFC) first, so that every keyboard's way of typing it is the same room.
    pub fn for_lan_room(room: &str) -> Self {
        let room: String = room.nfc().collect();
        let session_id = cut_hash(&[b"resonance/v1/lan-session", room.as_bytes()]);
        Self::derive(SessionId(session_id), &[], &[b"resonance/v1/lan", room.as_bytes()].concat())
    }

    /// The key under which members are found from outside during the hour of `unix_seconds`; it links to no other hour.
    pub fn rendezvous_key(&self, unix_seconds: u64) -> [u8; 32] {
        let hour = unix_seconds.div_euclid(3_600);
        *self.expand(&[b"resonance/v1/rendezvous", &hour.to_be_bytes()])
    }

    fn derive(session_id: SessionId, salt: &[u8], secret: &[u8]) -> Self {
        let mut prk = Zeroizing::new([0; 32]);
        let (extracted, _) = Hkdf::<Sha256>::extract(Some(salt), secret);
        for (to, from) in prk.iter_mut().zip(Zeroizing::new(<[u8; 32]>::from(extracted)).iter()) {
            *to = *from;
        }
        let mut keys = Self { session_id, psk: Zeroizing::new([0; 32]), prk };
        keys.psk = keys.expand(&[b"resonance/v1/psk"]);
        keys
    }

    fn expand(&self, info: &[&[u8]]) -> Zeroizing<[u8; 32]> {
        let mut okm = Zeroizing::new([0; 32]);
        // Neither length can be wrong: a PRK of one hash and 32 bytes of output.
        if let Ok(hkdf) = Hkdf::<Sha256>::from_prk(self.prk.as_slice())
            && hkdf.expand_multi_info(info, okm.as_mut_slice()).is_err()
        {
            okm.fill(0);
        }
        okm
    }
}
