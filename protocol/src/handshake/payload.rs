//! What messages 2 and 3 carry inside: who is speaking.

use super::MAX_NAME;
use crate::identity::IdentityPublic;
use minicbor::{Decoder, Encoder};

/// Identity, proof and name. As a CBOR map, so that later versions may add fields: 1 identity key (32 bytes),
/// 2 signature (64 bytes), 3 name (text), 4 capabilities (bits), 5 ratchet key (32 bytes).
pub(super) struct Payload {
    pub identity: IdentityPublic,
    pub signature: [u8; 64],
    pub name: String,
    /// What the peer can do beyond the first version: no bit is given yet, unknown ones are ignored.
    pub capabilities: u64,
    /// X25519 public key that the channel begins with.
    pub ratchet: [u8; 32],
}

impl Payload {
    /// Every payload is padded to this many bytes, so that the length of a name cannot be seen.
    pub const PADDED: usize = 256;
    const LENGTH_LEN: usize = 2;

    /// length (2, big-endian) ‖ CBOR ‖ zeros; `None` when the name is too long.
    pub fn write(&self) -> Option<[u8; Self::PADDED]> {
        (self.name.len() <= MAX_NAME).then_some(())?;
        let mut cbor = Encoder::new(Vec::with_capacity(Self::PADDED));
        cbor.map(5).ok()?.u8(1).ok()?.bytes(self.identity.as_bytes()).ok()?;
        cbor.u8(2).ok()?.bytes(&self.signature).ok()?.u8(3).ok()?.str(&self.name).ok()?;
        cbor.u8(4).ok()?.u64(self.capabilities).ok()?.u8(5).ok()?.bytes(&self.ratchet).ok()?;
        let cbor = cbor.into_writer();
        let mut padded = [0; Self::PADDED];
        let (len, rest) = padded.split_first_chunk_mut::<{ Self::LENGTH_LEN }>()?;
        *len = u16::try_from(cbor.len()).ok()?.to_be_bytes();
        rest.get_mut(..cbor.len())?.copy_from_slice(&cbor);
        Some(padded)
    }

    /// Reads a padded payload; `None` when it is not one or its name is too long.
    pub fn parse(padded: &[u8]) -> Option<Self> {
        let (len, rest) = padded.split_first_chunk::<{ Self::LENGTH_LEN }>()?;
        let cbor = rest.get(..usize::from(u16::from_be_bytes(*len)))?;
        let mut map = Decoder::new(cbor);
        let (mut identity, mut signature, mut name, mut capabilities, mut ratchet) = (None, None, None, None, None);
        for _ in 0..map.map().ok()?? {
            let new = match map.u32().ok()? {
                1 => identity.replace(map.bytes().ok()?.try_into().ok()?).is_none(),
                2 => signature.replace(map.bytes().ok()?.try_into().ok()?).is_none(),
                3 => name.replace(map.str().ok()?).is_none(),
                4 => capabilities.replace(map.u64().ok()?).is_none(),
                5 => ratchet.replace(map.bytes().ok()?.try_into().ok()?).is_none(),
                _ => map.skip().is_ok(),
            };
            new.then_some(())?;
        }
        let name = name.filter(|name| name.len() <= MAX_NAME)?.to_owned();
        let identity = IdentityPublic::from_bytes(identity?);
        Some(Self { identity, signature: signature?, name, capabilities: capabilities?, ratchet: ratchet? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{RngExt, SeedableRng, rngs::StdRng};

    fn payload(name: &str) -> Payload {
        Payload {
            identity: IdentityPublic::from_bytes([5; 32]),
            signature: [6; 64],
            name: name.to_owned(),
            capabilities: u64::MAX,
            ratchet: [7; 32],
        }
    }

    #[test]
    fn a_payload_comes_back_whatever_the_name() {
        for name in ["", "Bo", "Zoë 🦊", &"x".repeat(MAX_NAME)] {
            let read = Payload::parse(&payload(name).write().unwrap()).unwrap();
            assert_eq!((read.name.as_str(), read.capabilities), (name, u64::MAX));
            assert_eq!((read.identity.as_bytes(), read.signature, read.ratchet), (&[5; 32], [6; 64], [7; 32]));
        }
        assert!(payload(&"x".repeat(MAX_NAME + 1)).write().is_none());
    }

    #[test]
    fn fields_of_later_versions_are_ignored_and_missing_ones_refused() {
        let mut with_more = payload("Bo").write().unwrap();
        let len = usize::from(u16::from_be_bytes([with_more[0], with_more[1]]));
        with_more[2] = 0xA6; // a map of six
        with_more[2 + len..][..4].copy_from_slice(&[0x18, 99, 0x81, 0xF6]); // 99: [null]
        with_more[1] += 4;
        assert_eq!(Payload::parse(&with_more).unwrap().name, "Bo");
        let mut with_less = payload("Bo").write().unwrap();
        with_less[2] = 0xA4;
        assert!(Payload::parse(&with_less).is_none(), "no ratchet key");
    }

    #[test]
    fn chance_never_panics() {
        let mut rng = StdRng::seed_from_u64(1);
        let whole = payload("somebody").write().unwrap();
        for _ in 0..20_000 {
            let mut bytes = whole;
            for _ in 0..rng.random_range(1..4) {
                bytes[rng.random_range(0..220)] = rng.random();
            }
            let _ = Payload::parse(&bytes[..rng.random_range(0..=bytes.len())]);
        }
    }
}
