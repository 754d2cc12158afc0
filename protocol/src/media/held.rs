//! Packets that came before their key: signalling and media travel different ways, and either may be the faster one.

use super::packet::InboundPacket;
use std::time::{Duration, Instant};

/// Holds the packets of one sender that [`Refused::KeyToCome`](super::Refused::KeyToCome) refused, until the key comes or it is too late.
///
/// Allocates when it is made and never again.
pub struct HeldPackets {
    packets: Vec<(Instant, InboundPacket)>,
}

impl HeldPackets {
    /// Packets held at once: 320 ms of sound, more than what is held for so long.
    pub const MAX: usize = 32;
    /// A packet is held for so long: later it would not be played any more.
    pub const PATIENCE: Duration = Duration::from_millis(300);

    /// Holds nothing.
    pub fn new() -> Self {
        Self { packets: Vec::with_capacity(Self::MAX) }
    }

    /// Holds a packet; false when there is no room.
    #[must_use]
    pub fn hold(&mut self, now: Instant, packet: &InboundPacket) -> bool {
        let room = self.packets.len() < Self::MAX;
        if room {
            self.packets.push((now.checked_add(Self::PATIENCE).unwrap_or(now), *packet));
        }
        room
    }

    /// Gives back the packet that was held first, if any.
    pub fn release(&mut self) -> Option<InboundPacket> {
        (!self.packets.is_empty()).then(|| self.packets.remove(0).1)
    }

    /// How many are held.
    pub fn len(&self) -> usize {
        self.packets.len()
    }

    /// Whether none is held.
    pub fn is_empty(&self) -> bool {
        self.packets.is_empty()
    }

    /// Drops what was held for too long; returns how many that were.
    pub fn expire(&mut self, now: Instant) -> usize {
        let before = self.packets.len();
        self.packets.retain(|(until, _)| now < *until);
        before.saturating_sub(self.packets.len())
    }
}

impl Default for HeldPackets {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::SealedPacket;
    use crate::peer::TransportId;

    fn packet(number: u8, now: Instant) -> InboundPacket {
        let packet = SealedPacket::from_slice(&[number]).unwrap();
        InboundPacket { from: TransportId::from_bytes([1; 32]), arrived: now, packet }
    }

    #[test]
    fn thirty_two_packets_wait_for_300_ms_and_come_back_in_their_order() {
        let (mut held, now) = (HeldPackets::new(), Instant::now());
        let at = |ms: u64| now + Duration::from_millis(ms);
        for number in 0..40 {
            assert_eq!(held.hold(at(number.into()), &packet(number, now)), number < 32, "{number}");
        }
        assert!(held.len() == 32 && !held.is_empty());
        assert_eq!(held.expire(at(300 + 9)), 10, "those of the first ten milliseconds");
        let order: Vec<u8> = std::iter::from_fn(|| held.release()).map(|held| held.packet.as_slice()[0]).collect();
        assert_eq!(order, (10..32).collect::<Vec<_>>());
        assert_eq!(held.len(), 0);
        assert!(held.is_empty() && held.release().is_none());
    }
}
