//! Sealing and opening of sound: SFrame (RFC 9605) with one sender key each.
//!
//! ```text
//! Opus ─ frame ─▶ Sealer ─▶ SealedPacket ▸▸ network ▸▸ SealedPacket ─▶ Opener ─ frame ─▶ Opus
//!                   ▲                                                    ▲
//!               SenderKey ───────── MediaKey (a signal) ─────────▶ OpeningKey
//! ```

pub mod frame;
pub mod header;
pub mod held;
pub mod hop;
mod key_schedule;
pub mod opener;
pub mod packet;
mod ratchet;
pub mod replay;
pub mod sealer;
pub mod sender_key;

pub use frame::{Frame, FrameCopy, Pause};
pub use held::HeldPackets;
pub use hop::{HopOpener, HopSealer};
pub use opener::{Opener, Refused};
pub use packet::{InboundPacket, SealedPacket};
pub use ratchet::KeyId;
pub use sealer::{SealError, Sealer};
pub use sender_key::{OpeningKey, SenderKey};

#[cfg(test)]
mod tests;
