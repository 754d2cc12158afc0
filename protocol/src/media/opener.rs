//! Opening one remote voice: the newest generations of its sender key, each with its replay window.

use super::header::Header;
use super::key_schedule::TAG_LEN;
use super::packet::SealedPacket;
use super::replay::ReplayWindow;
use super::sender_key::OpeningKey;

/// Opens the packets of one remote sender. Give it only what that sender's own connection carried: a key ID authenticates nobody.
///
/// Neither [`install`](Self::install) nor [`open`](Self::open) allocates.
#[derive(Default)]
pub struct Opener {
    slots: [Option<Slot>; Opener::GENERATIONS],
}

struct Slot {
    key: OpeningKey,
    window: ReplayWindow,
}

/// Why a packet was not opened. All of them are concealed and counted, never played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not an SFrame packet, or it does not fit the output.
    #[error("not a sealed packet")]
    Unreadable,
    /// Sealed in a generation that was not handed to us, or no longer is held.
    #[error("sealed with a key that is not held")]
    UnknownKey,
    /// Opened before, or older than the replay window.
    #[error("replayed or too old")]
    Replayed,
    /// Not sealed by the key it names, or altered on the way.
    #[error("not authentic")]
    Forged,
}

impl Opener {
    /// Generations held at once: the one in use, the one before (packets still under way), the next (handed over, not yet used).
    pub const GENERATIONS: usize = 3;

    /// An opener without any key: everything is [`Refused::UnknownKey`].
    pub const fn new() -> Self {
        Self { slots: [const { None }; Self::GENERATIONS] }
    }

    /// Takes a key in. When all slots are full the oldest generation goes, unless the new one is older still.
    ///
    /// A key that is held already keeps its replay window; another key under the same key ID replaces it.
    pub fn install(&mut self, key: OpeningKey) {
        if self.slots.iter().flatten().any(|slot| slot.key.same_as(&key)) {
            return;
        }
        // An empty slot counts as the oldest, the slot of the same key ID as older than that.
        let age = |slot: &Option<Slot>| match slot {
            Some(slot) if slot.key.kid == key.kid => (0, 0),
            None => (1, 0),
            Some(slot) => (2, slot.key.kid),
        };
        let Some(oldest) = self.slots.iter_mut().min_by_key(|slot| age(slot)) else { return };
        if oldest.as_ref().is_none_or(|slot| slot.key.kid <= key.kid) {
            *oldest = Some(Slot { key, window: ReplayWindow::new() });
        }
    }

    /// Opens `packet` into the start of `out` and returns the plaintext's length.
    /// `out` holds every possible plaintext when it has [`SealedPacket::CAPACITY`] bytes.
    ///
    /// # Errors
    /// See [`Refused`]. A refused packet changes nothing; `out` holds nothing of use.
    pub fn open(&mut self, packet: &SealedPacket, out: &mut [u8]) -> Result<usize, Refused> {
        let bytes = packet.as_slice();
        let (header, header_len) = Header::parse(bytes).ok_or(Refused::Unreadable)?;
        let (header_bytes, sealed) = bytes.split_at_checked(header_len).ok_or(Refused::Unreadable)?;
        let (ciphertext, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(Refused::Unreadable)?;
        let text = out.get_mut(..ciphertext.len()).ok_or(Refused::Unreadable)?;
        let slot =
            self.slots.iter_mut().flatten().find(|slot| slot.key.kid == header.kid).ok_or(Refused::UnknownKey)?;
        if !slot.window.is_fresh(header.ctr) {
            return Err(Refused::Replayed);
        }
        text.copy_from_slice(ciphertext);
        let (aad, aad_len) = slot.key.aad(header_bytes);
        let aad = aad.get(..aad_len).ok_or(Refused::Unreadable)?;
        let opened = slot.key.key.as_ref().is_some_and(|key| key.open(header.ctr, aad, text, tag));
        if !opened {
            return Err(Refused::Forged);
        }
        slot.window.mark(header.ctr);
        Ok(ciphertext.len())
    }
}
