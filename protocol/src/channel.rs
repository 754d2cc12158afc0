//! The secure conversation between two peers: signals, padded and sealed by a Double Ratchet so that each message stands alone.

use crate::message::MessageKind;
use crate::ratchet::Ratchet;
use crate::signal::{Signal, WriteError};
use rand_core::CryptoRng;
use std::time::{Duration, Instant};

/// One end of the channel to one peer.
///
/// Messages may arrive in any order or not at all; each opens once. A message that is refused changes nothing.
pub struct SecureChannel(Ratchet);

/// Why a signal was not sealed or a message not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChannelError {
    /// The signal is out of bounds: nothing was sealed.
    #[error(transparent)]
    Signal(#[from] WriteError),
    /// As many messages as can be numbered have gone out without an answer: nothing was sealed.
    #[error("this channel is used up")]
    Spent,
    /// Not sealed by the peer for us, altered, opened before, come too late, or not a channel message at all.
    #[error("the message is not authentic")]
    Refused,
    /// Authentic, but no signal that this version understands.
    #[error("the message is not readable")]
    Unreadable,
}

impl SecureChannel {
    /// Bytes that sealing adds to a padded signal at most.
    pub(crate) const MAX_OVERHEAD: usize = 1 + Ratchet::MAX_OVERHEAD;

    pub(crate) fn new(ratchet: Ratchet) -> Self {
        Self(ratchet)
    }

    /// Seals one signal: kind (1) ‖ ratchet header ‖ ciphertext ‖ tag (16). Draws from `rng` when a new chain begins.
    ///
    /// # Errors
    /// [`ChannelError::Signal`] and [`ChannelError::Spent`].
    pub fn seal(&mut self, now: Instant, signal: &Signal, rng: &mut impl CryptoRng) -> Result<Vec<u8>, ChannelError> {
        let text = signal.write()?;
        self.0.seal(now, MessageKind::Channel as u8, &text, rng).ok_or(ChannelError::Spent)
    }

    /// Opens one message of the peer.
    ///
    /// # Errors
    /// [`ChannelError::Refused`], [`ChannelError::Unreadable`].
    pub fn open(&mut self, now: Instant, message: &[u8]) -> Result<Signal, ChannelError> {
        let sealed = MessageKind::Channel.strip(message).ok_or(ChannelError::Refused)?;
        let text = self.0.open(now, sealed).ok_or(ChannelError::Refused)?;
        Signal::parse(&text).map_err(|_| ChannelError::Unreadable)
    }

    /// How long ago the message that opened last was sealed, when it opened. Up to a second too much; too little by what our clock
    /// is behind theirs: what the handshake's last message, and a second at most, took to come.
    pub fn age(&self) -> Duration {
        self.0.age()
    }

    /// Time has passed: forgets the keys of messages that are overdue. To be called several times a second, as nothing else may
    /// happen on a channel for long.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.0.forget_expired(now);
    }
}

#[cfg(test)]
mod tests;
