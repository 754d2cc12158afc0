//! Sealing and opening of sound: SFrame (RFC 9605) with one sender key each.
//!
//! ```text
//! Opus ─ frame ─▶ Sealer ─▶ SealedPacket ▸▸ network ▸▸ SealedPacket ─▶ Opener ─ frame ─▶ Opus
//!                   ▲                                                    ▲
//!               SenderKey ───────── MediaKey (a signal) ─────────▶ OpeningKey
//! ```

pub mod frame;
pub mod header;
mod key_schedule;
pub mod opener;
pub mod packet;
pub mod replay;
pub mod sealer;
pub mod sender_key;

pub use frame::Frame;
pub use opener::{Opener, Refused};
pub use packet::{InboundPacket, SealedPacket};
pub use sealer::{SealError, Sealer};
pub use sender_key::{OpeningKey, SenderKey};

#[cfg(test)]
mod tests;
