//! The secure conversation between two peers: signals sealed so that each message stands alone.
//!
//! Noise's transport messages (specification §5.1 and §11.4: messages with explicit nonces, since the network keeps no order),
//! with a replay window.

use crate::media::replay::ReplayWindow;
use crate::message::MessageKind;
use crate::signal::{Signal, WriteError};
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};
use zeroize::Zeroizing;

/// One end of the channel to one peer.
///
/// Messages may arrive in any order or not at all; each opens once. A message that is refused changes nothing.
pub struct SecureChannel {
    sending: Zeroizing<[u8; 32]>,
    receiving: Zeroizing<[u8; 32]>,
    /// The next nonce; `None` when there is none left.
    next: Option<u64>,
    window: ReplayWindow,
}

/// Why a signal was not sealed or a message not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// The signal is out of bounds: nothing was sealed.
    #[error(transparent)]
    Signal(#[from] WriteError),
    /// Every nonce is used up: nothing was sealed.
    #[error("this channel is used up")]
    Spent,
    /// Not sealed by the peer for us, altered, or not a channel message at all.
    #[error("the message is not authentic")]
    Refused,
    /// Opened before, or older than the replay window.
    #[error("the message was opened before")]
    Replayed,
    /// Authentic, but no signal that this version understands.
    #[error("the message is not readable")]
    Unreadable,
}

impl SecureChannel {
    const NONCE_LEN: usize = 8;
    const TAG_LEN: usize = 16;
    /// Bytes that sealing adds to a padded signal, besides the kind.
    pub(crate) const OVERHEAD: usize = Self::NONCE_LEN + Self::TAG_LEN;

    pub(crate) fn new(sending: Zeroizing<[u8; 32]>, receiving: Zeroizing<[u8; 32]>) -> Self {
        Self { sending, receiving, next: Some(0), window: ReplayWindow::new() }
    }

    /// Seals one signal: kind (1) ‖ nonce (8, big-endian) ‖ ciphertext ‖ tag (16).
    ///
    /// # Errors
    /// [`ChannelError::Signal`] and [`ChannelError::Spent`].
    pub fn seal(&mut self, signal: &Signal) -> Result<Vec<u8>, ChannelError> {
        let mut text = signal.write()?;
        let nonce = self.next.ok_or(ChannelError::Spent)?;
        // Noise reserves the last nonce of all.
        self.next = nonce.checked_add(1).filter(|&next| next != u64::MAX);
        let tag = cipher(&self.sending)
            .encrypt_inout_detached(&noise_nonce(nonce).into(), &[], text.as_mut_slice().into())
            .map_err(|_| ChannelError::Spent)?;
        Ok([&[MessageKind::Channel as u8], &nonce.to_be_bytes()[..], text.as_slice(), tag.as_slice()].concat())
    }

    /// Opens one message of the peer.
    ///
    /// # Errors
    /// [`ChannelError::Refused`], [`ChannelError::Replayed`], [`ChannelError::Unreadable`].
    pub fn open(&mut self, message: &[u8]) -> Result<Signal, ChannelError> {
        let sealed = MessageKind::Channel.strip(message).ok_or(ChannelError::Refused)?;
        let (nonce, sealed) = sealed.split_first_chunk::<{ Self::NONCE_LEN }>().ok_or(ChannelError::Refused)?;
        let (ciphertext, tag) = sealed.split_last_chunk::<{ Self::TAG_LEN }>().ok_or(ChannelError::Refused)?;
        let nonce = u64::from_be_bytes(*nonce);
        if !self.window.is_fresh(nonce) {
            return Err(ChannelError::Replayed);
        }
        let mut text = Zeroizing::new(ciphertext.to_vec());
        cipher(&self.receiving)
            .decrypt_inout_detached(&noise_nonce(nonce).into(), &[], text.as_mut_slice().into(), tag.into())
            .map_err(|_| ChannelError::Refused)?;
        self.window.mark(nonce);
        Signal::parse(&text).map_err(|_| ChannelError::Unreadable)
    }

    #[cfg(test)]
    pub(crate) fn skip_to(&mut self, nonce: u64) {
        self.next = Some(nonce);
    }
}

fn cipher(key: &[u8; 32]) -> ChaCha20Poly1305 {
    ChaCha20Poly1305::new(key.into())
}

/// Noise §12.3: 32 zero bits ‖ the nonce, little-endian.
fn noise_nonce(nonce: u64) -> [u8; 12] {
    let [a, b, c, d, e, f, g, h] = nonce.to_le_bytes();
    [0, 0, 0, 0, a, b, c, d, e, f, g, h]
}

#[cfg(test)]
pub(crate) mod tests;
