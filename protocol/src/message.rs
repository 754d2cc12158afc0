//! What a message on the signalling protocol is: its first byte says.

/// The kinds of message that two peers send each other, each in a request of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum MessageKind {
    /// First of the handshake, from the initiator.
    Handshake1 = 1,
    /// Second of the handshake, from the responder.
    Handshake2 = 2,
    /// Third and last of the handshake, from the initiator.
    Handshake3 = 3,
    /// A sealed signal, in either direction.
    Channel = 4,
}

impl MessageKind {
    /// The longest message of any kind, in bytes: a signal of the largest size class behind a header with an ML-KEM key.
    pub const MAX_LEN: usize = crate::channel::SecureChannel::MAX_OVERHEAD + crate::signal::Signal::MAX_PADDED;

    /// What `message` says it is; `None` when it is empty, too long or of an unknown kind.
    pub fn of(message: &[u8]) -> Option<Self> {
        let kinds = [Self::Handshake1, Self::Handshake2, Self::Handshake3, Self::Channel];
        let first = *message.first()?;
        kinds.into_iter().find(|kind| *kind as u8 == first && message.len() <= Self::MAX_LEN)
    }

    /// What follows the first byte, when the message is of this kind.
    pub(crate) fn strip(self, message: &[u8]) -> Option<&[u8]> {
        (Self::of(message)? == self).then(|| message.get(1..)).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_as_long_as_the_largest_signal_behind_the_largest_header_and_no_longer() {
        let longest = crate::channel::SecureChannel::MAX_OVERHEAD + crate::signal::Signal::MAX_PADDED;
        let mut message = vec![4; longest];
        assert_eq!(MessageKind::of(&message), Some(MessageKind::Channel));
        message.push(0);
        assert_eq!(MessageKind::of(&message), None);
        assert_eq!((MessageKind::of(&[]), MessageKind::of(&[0]), MessageKind::of(&[5])), (None, None, None));
    }
}
