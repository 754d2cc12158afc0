//! Ears that open packets: one for each person who is heard.

use crate::session::event::LaneReport;
use resonance_protocol::media::{HeldPackets, HopOpener, InboundPacket, Opener, OpeningKey, Refused, SealedPacket};
use resonance_protocol::peer::TransportId;
use std::time::Instant;

#[derive(Default)]
pub struct Ear {
    pub opener: Opener,
    pub held: HeldPackets,
    pub opened: u64,
    pub refused: u64,
    pub last_opened: Option<Instant>,
    pub hops: Vec<HopOpener>,
    pub bytes: u64,
    pub streamed_bytes: u64,
}

/// As the audio room's lanes do it.
impl Ear {
    pub fn receive(&mut self, now: Instant, inbound: &InboundPacket) {
        self.bytes += inbound.packet.as_slice().len() as u64;
        self.hear(now, inbound);
    }

    pub fn receive_streamed(&mut self, now: Instant, inbound: &InboundPacket) {
        self.bytes += inbound.packet.as_slice().len() as u64;
        self.streamed_bytes += inbound.packet.as_slice().len() as u64;
        let mut packet = SealedPacket::empty();
        match self.hops.iter_mut().any(|hop| hop.open(&inbound.packet, &mut packet).is_ok()) {
            true => self.hear(now, &InboundPacket { packet, ..*inbound }),
            false => self.refused += 1,
        }
    }

    fn hear(&mut self, now: Instant, inbound: &InboundPacket) {
        match self.opener.open(now, &inbound.packet, &mut [0; 64]) {
            Ok(_) => (self.opened, self.last_opened) = (self.opened + 1, Some(now)),
            // The other way was faster.
            Err(Refused::Replayed) => {}
            Err(Refused::KeyToCome) if self.held.hold(now, inbound) => {}
            Err(_) => self.refused += 1,
        }
    }

    pub fn install(&mut self, now: Instant, key: &OpeningKey) {
        self.opener.install(now, key);
        for _ in 0..self.held.len() {
            if let Some(inbound) = self.held.release() {
                self.hear(now, &inbound);
            }
        }
    }

    pub fn advance(&mut self, now: Instant) {
        self.opener.advance(now);
        self.refused += self.held.expire(now) as u64;
    }
}

pub fn lane_report(peer: TransportId, ear: &Ear) -> LaneReport {
    LaneReport {
        peer,
        level_db: -30.0,
        speaking: false,
        received: ear.opened,
        lost: 0,
        gaps: 0,
        repaired: 0,
        concealed: 0,
        refused: ear.refused,
        jitter_ms: 0.0,
        buffer_ms: 20.0,
        queue_ms: 0.0,
        bytes: ear.bytes,
        streamed_bytes: ear.streamed_bytes,
        last_opened: ear.last_opened,
    }
}
