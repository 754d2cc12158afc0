//! Rooms of the local network by name, before anybody joins one: who asks is told by the members that tell, and by nobody else.
//!
//! ```text
//!  Browser (start page)                              Announcer (a member of a room)
//!   every 2 s: PTR _resonance._udp.local? ──▶ 224.0.0.251:5353 ──▶ is it from this network, and not too often?
//!   Heard: names, people, who has fallen silent ◀── one datagram back: room=NAME, people=N
//! ```
//!
//! Nothing is told unasked, and a question is a one-shot query of multicast DNS (RFC 6762 §5.1) whose answer goes to the asker alone
//! (§6.7). A room that nobody tells of three times is gone: also when its people's machines fell asleep. IPv4, as libp2p's search is.

mod announcer;
mod browser;
mod interfaces;
mod words;

pub use announcer::Announcer;
pub use browser::{Browser, Nearby};

use std::net::Ipv4Addr;

/// The group and the port of multicast DNS.
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 251);
const PORT: u16 = 5353;

/// The longest name of a room, in bytes of UTF-8.
const MAX_ROOM_BYTES: usize = 64;
/// The most people that a room is said to have: what others say is not known to be true.
const MAX_PEOPLE: u8 = 8;
/// The longest datagram that is read: one of ours has less than 250 bytes.
const MAX_DATAGRAM: usize = 1_500;
