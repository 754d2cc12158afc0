//! What two resonance peers say to one another: links, identities, the handshake, the secure channel, media sealing.
//!
//! Pure: no clock, no socket, no thread, no operating-system randomness. Time and chance are parameters.
//! `SPEC.md` beside this crate has the exact bytes.
//!
//! ```text
//! Link ─▶ SessionKeys ─▶ Initiator / Responder ─▶ Established { SecureChannel, identity, name }
//!                                                       │ Signal::MediaKey
//!                                       SenderKey ──────┘──────▶ Sealer, Opener (HopSealer, HopOpener on the way through others)
//! ```
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::unreachable,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

/// Compiles only while none of these types can be shown: an implementation of `Debug` would make the call ambiguous.
#[cfg(test)]
macro_rules! assert_never_shown {
    ($($type:ty),+ $(,)?) => {{
        trait Shown<Marker> {
            fn check() {}
        }
        struct WithDebug;
        impl<T: ?Sized> Shown<()> for T {}
        impl<T: ?Sized + std::fmt::Debug> Shown<WithDebug> for T {}
        $(<$type as Shown<_>>::check();)+
    }};
}

pub mod authority;
pub mod channel;
pub mod contacts;
pub mod handshake;
pub mod identity;
pub mod identity_file;
mod kem;
pub mod link;
pub mod media;
pub mod message;
pub mod peer;
pub mod position;
mod ratchet;
pub mod safety_number;
pub mod signal;
mod x25519;

#[cfg(test)]
mod tests {
    #[test]
    fn nothing_that_holds_a_secret_can_be_shown() {
        assert_never_shown!(
            crate::channel::SecureChannel,
            crate::handshake::Established,
            crate::handshake::Initiator,
            crate::handshake::Responder,
            crate::identity::AuthorityKey,
            crate::identity::IdentityKey,
            crate::identity_file::KeptIdentity,
            crate::kem::DecapsulationKey,
            crate::link::SessionKeys,
            crate::link::SessionSecret,
            crate::media::HopOpener,
            crate::media::HopSealer,
            crate::media::Opener,
            crate::media::OpeningKey,
            crate::media::Sealer,
            crate::media::SenderKey,
            crate::x25519::KeyPair,
        );
    }
}
