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
