//! Packets that wait to be played: fixed slots, addressed by frame number.

use resonance_protocol::media::SealedPacket;
use std::time::Instant;

/// Frames that can wait at once: 3.2 s, what the worst networks need and a margin.
pub const CAPACITY: i64 = 320;

/// Bytes of one waiting packet: no sealed packet carries more.
pub const MAX_BYTES: usize = SealedPacket::CAPACITY;

struct Slot {
    /// The frame's number while it waits.
    frame: Option<i64>,
    arrived: Instant,
    len: usize,
    bytes: [u8; MAX_BYTES],
}

/// The slots. All frames in it lie within [`CAPACITY`] of one another.
pub struct Store {
    slots: Box<[Slot]>,
    oldest: Option<i64>,
    newest: i64,
    count: usize,
}

impl Store {
    /// Allocates all slots.
    pub fn new(now: Instant) -> Self {
        let slot = || Slot { frame: None, arrived: now, len: 0, bytes: [0; MAX_BYTES] };
        Self { slots: (0..CAPACITY).map(|_| slot()).collect(), oldest: None, newest: 0, count: 0 }
    }

    fn at(frame: i64) -> usize {
        frame.rem_euclid(CAPACITY) as usize
    }

    /// Keeps a packet. False when it is too long, or too far from what waits already.
    pub fn put(&mut self, frame: i64, arrived: Instant, packet: &[u8]) -> bool {
        let (low, high) = self.oldest.map_or((frame, frame), |oldest| (oldest.min(frame), self.newest.max(frame)));
        if packet.len() > MAX_BYTES || high - low >= CAPACITY {
            return false;
        }
        let slot = &mut self.slots[Self::at(frame)];
        self.count += usize::from(slot.frame.is_none());
        slot.frame = Some(frame);
        slot.arrived = arrived;
        slot.len = packet.len();
        slot.bytes[..packet.len()].copy_from_slice(packet);
        (self.oldest, self.newest) = (Some(low), high);
        true
    }

    /// Takes the packet of this frame out: when it arrived, and its bytes (which stay readable until the next call).
    pub fn take(&mut self, frame: i64) -> Option<(Instant, &[u8])> {
        if !self.has(frame) {
            return None;
        }
        self.slots[Self::at(frame)].frame = None;
        self.count -= 1;
        if self.count == 0 {
            self.oldest = None;
        } else if self.oldest == Some(frame) {
            self.oldest = (frame + 1..=self.newest).find(|&next| self.has(next));
        }
        let slot = &self.slots[Self::at(frame)];
        Some((slot.arrived, &slot.bytes[..slot.len]))
    }

    /// Whether this frame waits.
    pub fn has(&self, frame: i64) -> bool {
        self.slots[Self::at(frame)].frame == Some(frame)
    }

    /// The oldest frame that waits, and when it arrived.
    pub fn oldest(&self) -> Option<(i64, Instant)> {
        self.oldest.map(|frame| (frame, self.slots[Self::at(frame)].arrived))
    }

    /// The newest frame that waits; if none does, the newest that did.
    pub fn newest(&self) -> i64 {
        self.newest
    }

    /// Throws away everything before `frame` and returns how many packets that were.
    pub fn drop_before(&mut self, frame: i64) -> u64 {
        let mut dropped = 0;
        while let Some(oldest) = self.oldest
            && oldest < frame
        {
            self.take(oldest);
            dropped += 1;
        }
        dropped
    }

    /// Packets that wait.
    pub fn len(&self) -> usize {
        self.count
    }
}
