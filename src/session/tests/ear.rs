//! Ears that open packets: one for each person who is heard.

use crate::session::event::LaneReport;
use resonance_protocol::media::{HeldPackets, InboundPacket, Opener, OpeningKey, Refused};
use resonance_protocol::peer::TransportId;
use std::time::Instant;

#[derive(Default)]
pub struct Ear {
    pub opener: Opener,
    pub held: HeldPackets,
    pub opened: u64,
    pub refused: u64,
    pub last_opened: Option<Instant>,
}

/// As the audio room's lanes do it.
impl Ear {
    pub fn hear(&mut self, now: Instant, inbound: &InboundPacket) {
        match self.opener.open(now, &inbound.packet, &mut [0; 64]) {
            Ok(_) => (self.opened, self.last_opened) = (self.opened + 1, Some(now)),
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
        concealed: 0,
        refused: ear.refused,
        jitter_ms: 0.0,
        buffer_ms: 20.0,
        queue_ms: 0.0,
        bytes: 0,
        last_opened: ear.last_opened,
    }
}
