//! Fixed-size carriers for sealed packets, so that they move between threads without allocating.

use crate::peer::TransportId;
use std::time::Instant;

/// One sealed frame: what an RTP packet carries as its payload. Copied by value through lock-free rings.
#[derive(Clone, Copy)]
pub struct SealedPacket {
    len: u16,
    bytes: [u8; SealedPacket::CAPACITY],
}

impl SealedPacket {
    /// Fits one packet into every path's MTU (1,280 bytes in IPv6) with room for RTP, SRTP, UDP and IP headers.
    pub const CAPACITY: usize = 1_180;

    /// A packet of length zero.
    pub const fn empty() -> Self {
        Self { len: 0, bytes: [0; Self::CAPACITY] }
    }

    /// Copies `bytes` in; `None` when they do not fit.
    pub fn from_slice(bytes: &[u8]) -> Option<Self> {
        let mut packet = Self::empty();
        packet.bytes.get_mut(..bytes.len())?.copy_from_slice(bytes);
        packet.len = u16::try_from(bytes.len()).ok()?;
        Some(packet)
    }

    /// The sealed bytes.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&[])
    }

    /// The whole buffer for writing in place; call [`set_len`](Self::set_len) afterwards.
    pub fn buffer_mut(&mut self) -> &mut [u8; Self::CAPACITY] {
        &mut self.bytes
    }

    /// Declares how many bytes of the buffer are the packet (cut to the capacity).
    pub fn set_len(&mut self, len: usize) {
        self.len = len.min(Self::CAPACITY) as u16;
    }
}

/// A sealed packet as it came in, tagged with the peer **whose connection carried it**: only that authenticates the sender.
#[derive(Clone, Copy)]
pub struct InboundPacket {
    /// The peer at the other end of the connection.
    pub from: TransportId,
    /// When the network task took it from the connection.
    pub arrived: Instant,
    /// The sealed bytes.
    pub packet: SealedPacket,
}

/// A hop-sealed packet on its way out: for one peer only, by a way that is not our own connection to it.
#[derive(Clone, Copy)]
pub struct AddressedPacket {
    /// Whom it is sealed for.
    pub to: TransportId,
    /// The hop-sealed bytes.
    pub packet: SealedPacket,
}
