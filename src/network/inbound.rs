//! Sealed packets on their way in: from the peer connections to the ring that the audio side reads.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use resonance_protocol::media::packet::{InboundPacket, SealedPacket};
use resonance_protocol::peer::TransportId;
use rtc::rtp;
use webrtc::media_stream::track_remote::{TrackRemote, TrackRemoteEvent};

use super::limits::{PACKET_BURST, PACKET_RATE};
use super::media_pump::PAYLOAD_TYPE;
use crate::token_bucket::TokenBucket;

/// Packets that never reached the audio side, since the start.
#[derive(Default)]
pub(super) struct Dropped {
    /// The ring was full: the audio side has stalled.
    ring_full: AtomicU64,
    /// Of another payload type, empty, too long, or more than a voice can need.
    unfit: AtomicU64,
}

/// The writing end of the ring, shared by the readers of all connections.
#[derive(Clone)]
pub(super) struct InboundSink {
    ring: Arc<Mutex<rtrb::Producer<InboundPacket>>>,
    dropped: Arc<Dropped>,
}

impl InboundSink {
    /// Takes the ring's writing end.
    pub(super) fn new(ring: rtrb::Producer<InboundPacket>) -> Self {
        Self { ring: Arc::new(Mutex::new(ring)), dropped: Arc::default() }
    }

    /// What one peer may send.
    pub(super) fn allowance() -> TokenBucket {
        TokenBucket::new(PACKET_BURST, PACKET_RATE, Instant::now())
    }

    /// Packets dropped since the start: (because the ring was full, because they were unfit).
    pub(super) fn dropped(&self) -> (u64, u64) {
        (self.dropped.ring_full.load(Ordering::Relaxed), self.dropped.unfit.load(Ordering::Relaxed))
    }

    /// Passes on what `track` brings until it ends. `from` is the peer at the other end of the connection: nothing in
    /// the packet itself says who sent it.
    pub(super) async fn drain(self, track: Arc<dyn TrackRemote>, from: TransportId) {
        let mut allowance = Self::allowance();
        while let Some(event) = track.poll().await {
            match event {
                TrackRemoteEvent::OnRtpPacket(packet) => self.take(&mut allowance, from, &packet),
                TrackRemoteEvent::OnEnded | TrackRemoteEvent::OnError => break,
                _ => {}
            }
        }
    }

    fn take(&self, allowance: &mut TokenBucket, from: TransportId, packet: &rtp::Packet) {
        let negotiated = packet.header.payload_type == PAYLOAD_TYPE;
        let sealed = if negotiated { SealedPacket::from_slice(&packet.payload) } else { None };
        self.put(allowance, from, sealed);
    }

    /// Passes on a packet of `from`; `None`: one that does not fit.
    pub(super) fn put(&self, allowance: &mut TokenBucket, from: TransportId, packet: Option<SealedPacket>) {
        let arrived = Instant::now();
        let fit = packet.filter(|packet| !packet.as_slice().is_empty() && allowance.take(arrived));
        let Some(packet) = fit else {
            self.dropped.unfit.fetch_add(1, Ordering::Relaxed);
            return;
        };
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        if ring.push(InboundPacket { from, arrived, packet }).is_err() {
            self.dropped.ring_full.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rtp(payload_type: u8, payload: Vec<u8>) -> rtp::Packet {
        let header = rtp::header::Header { payload_type, ..Default::default() };
        rtp::Packet { header, payload: payload.into() }
    }

    #[test]
    fn only_what_was_negotiated_and_fits_gets_in() {
        let (producer, mut ring) = rtrb::RingBuffer::new(4);
        let sink = InboundSink::new(producer);
        let from = TransportId::from_bytes([3; 32]);
        let mut allowance = TokenBucket::new(100.0, 100.0, Instant::now());
        sink.take(&mut allowance, from, &rtp(PAYLOAD_TYPE, b"sealed".to_vec()));
        sink.take(&mut allowance, from, &rtp(0, b"another type".to_vec()));
        sink.take(&mut allowance, from, &rtp(PAYLOAD_TYPE, Vec::new()));
        sink.take(&mut allowance, from, &rtp(PAYLOAD_TYPE, vec![0; SealedPacket::CAPACITY + 1]));
        sink.take(&mut allowance, from, &rtp(PAYLOAD_TYPE, vec![1; SealedPacket::CAPACITY]));
        let first = ring.pop().unwrap();
        assert_eq!((first.from, first.packet.as_slice()), (from, &b"sealed"[..]));
        assert_eq!(ring.pop().unwrap().packet.as_slice().len(), SealedPacket::CAPACITY);
        assert!(ring.is_empty());
        assert_eq!(sink.dropped(), (0, 3));
    }

    #[test]
    fn a_full_ring_and_a_flood_are_counted_and_dropped() {
        let (producer, _ring) = rtrb::RingBuffer::new(4);
        let sink = InboundSink::new(producer);
        let mut allowance = TokenBucket::new(6.0, 0.0, Instant::now());
        for _ in 0..10 {
            sink.take(&mut allowance, TransportId::from_bytes([3; 32]), &rtp(PAYLOAD_TYPE, vec![1]));
        }
        assert_eq!(sink.dropped(), (2, 4));
    }
}
