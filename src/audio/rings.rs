//! Every lock-free ring in one place: capacity, who writes, who reads, and what happens when it is full.
//!
//! | ring | carries | capacity | writer → reader | when full | when empty |
//! |---|---|---|---|---|---|
//! | mic | samples, mono or stereo | 200 ms | capture → uplink worker; with voice processing: capture → voice stage → uplink worker | newest dropped, counted; timestamps jump over them | worker parks |
//! | speaker | stereo frames | 100 ms | downlink worker → playback | cannot: the worker fills to a target only | silence played, counted |
//! | reference | mono samples | 100 ms | playback → voice stage | newest dropped | nothing to hear |
//! | references | another speaker's reference | 4, and 4 back | engine ↔ voice stage | the engine drops it: an echo is heard | the reference stays |
//! | tap | mono samples | 500 ms | downlink worker → virtual card's files | cannot: the card that empties it is the clock | silence written |
//! | record | [`Piece`] of 10 ms, one ring for each voice | 200 (2 s) | uplink and downlink worker → recorder | newest dropped, counted; silence in the file | nothing to write |
//! | watch | mono samples | 85 ms | uplink and downlink worker → desk | newest dropped: nobody looks that often | the picture stays |
//! | outbound | sealed packets | 64 (640 ms) | uplink worker → network | newest dropped, counted | the pump parks |
//! | outbound streamed | hop-sealed packets, one for each peer on a stream | 140 (7 people × 200 ms) | uplink worker → network | newest dropped, counted | the pump parks |
//! | inbound | sealed packets | 512 (7 people × 730 ms) | network → downlink worker | newest dropped by the network | nothing to open |
//! | inbound streamed | hop-sealed packets | 512 | network → downlink worker | newest dropped by the network | nothing to open |
//! | uplink orders | [`UplinkOrder`] | 64 | engine → uplink worker | they wait at the desk | nothing to do |
//! | downlink orders | [`DownlinkOrder`] | 256 | engine → downlink worker | they wait at the desk | nothing to do |
//! | retired | [`Retired`] | 64 each worker | workers → engine | orders wait, since each may retire something | nothing to free |
//! | mics, speakers | another card's ring | 4 each | engine → workers | the engine says busy | the card stays |
//! | uplink, downlink stats | snapshots | 8 each | workers → engine | newest dropped: totals lose nothing | no news |

use super::capture::{MicReader, MicWriter};
use super::downlink::DownlinkOrder;
use super::format::{Channels, FRAME};
use super::playback::{SpeakerReader, SpeakerWriter};
use super::record::Piece;
use super::retired::Retired;
use super::stats::{DownlinkStats, UplinkStats};
use super::uplink::UplinkOrder;
use resonance_protocol::media::packet::AddressedPacket;
use resonance_protocol::media::{InboundPacket, SealedPacket};
use rtrb::{Consumer, Producer, RingBuffer};
use std::thread::Thread;

/// Samples of each channel between the capture callback and the uplink worker: a stall of 200 ms loses nothing.
pub const MIC_SAMPLES: usize = 20 * FRAME;
/// Stereo frames between the downlink worker and the playback callback: room for the largest callback seen and its margin.
pub const SPEAKER_FRAMES: usize = 10 * FRAME;
/// Mono samples of what is played, on their way to the echo canceller.
pub const REFERENCE_SAMPLES: usize = 10 * FRAME;
/// Mono samples of one voice on their way to its own file: the virtual card may be late by half a second.
pub const TAP_SAMPLES: usize = 50 * FRAME;
/// Mono samples of one voice for its spectrum: looked at twenty times a second, or less often, which loses what nobody sees.
pub const WATCH_SAMPLES: usize = 4_096;
/// Pieces of 10 ms of one voice on their way to a recording: a disk may take two seconds.
pub const RECORD_PIECES: usize = 200;
/// Sealed packets waiting for the network.
pub const OUTBOUND_PACKETS: usize = 64;
/// Hop-sealed packets waiting for the network, for all peers together.
pub const OUTBOUND_STREAMED_PACKETS: usize = 140;
/// Sealed packets waiting to be opened, of all peers together.
pub const INBOUND_PACKETS: usize = 512;
/// Orders from the engine to the uplink worker.
pub const UPLINK_ORDERS: usize = 64;
/// Orders from the engine to the downlink worker: a join sends about five for each of seven peers.
pub const DOWNLINK_ORDERS: usize = 256;
/// Things on their way back to be freed.
pub const RETIRED: usize = 64;
/// Changes of card that a worker has not carried out yet.
pub const CARDS: usize = 4;
/// Snapshots of totals, ten a second.
pub const SNAPSHOTS: usize = 8;

/// The microphone's ring; `worker` is woken when `whole` samples of each of the channels are there.
pub fn mic(worker: Thread, whole: usize, channels: Channels) -> (MicWriter, MicReader) {
    let (producer, consumer) = RingBuffer::new(MIC_SAMPLES * channels.count());
    super::capture::ends(producer, consumer, worker, whole, channels)
}

/// The speaker's ring; `worker` is woken when it runs below its target.
pub fn speaker(worker: Thread) -> (SpeakerWriter, SpeakerReader) {
    let (producer, consumer) = RingBuffer::new(SPEAKER_FRAMES);
    super::playback::ends(producer, consumer, worker)
}

/// What a speaker plays, for the echo canceller.
pub fn reference() -> (Producer<f32>, Consumer<f32>) {
    RingBuffer::new(REFERENCE_SAMPLES)
}

/// Other speakers' references for the voice stage, and its old ones on their way back.
pub fn references() -> (Producer<Consumer<f32>>, Consumer<Consumer<f32>>) {
    RingBuffer::new(CARDS)
}

/// One voice before it is placed, for its own file.
pub fn tap() -> (Producer<f32>, Consumer<f32>) {
    RingBuffer::new(TAP_SAMPLES)
}

/// One voice for its spectrum.
pub fn watch() -> (Producer<f32>, Consumer<f32>) {
    RingBuffer::new(WATCH_SAMPLES)
}

/// One voice for a recording.
pub fn record() -> (Producer<Piece>, Consumer<Piece>) {
    RingBuffer::new(RECORD_PIECES)
}

/// Sealed packets to the network.
pub fn outbound() -> (Producer<SealedPacket>, Consumer<SealedPacket>) {
    RingBuffer::new(OUTBOUND_PACKETS)
}

/// Hop-sealed packets to the network.
pub fn outbound_streamed() -> (Producer<AddressedPacket>, Consumer<AddressedPacket>) {
    RingBuffer::new(OUTBOUND_STREAMED_PACKETS)
}

/// Sealed packets from the network; the same for hop-sealed ones, which come by a ring of their own: how a packet came says how it is
/// sealed.
pub fn inbound() -> (Producer<InboundPacket>, Consumer<InboundPacket>) {
    RingBuffer::new(INBOUND_PACKETS)
}

/// Orders to the uplink worker.
pub fn uplink_orders() -> (Producer<UplinkOrder>, Consumer<UplinkOrder>) {
    RingBuffer::new(UPLINK_ORDERS)
}

/// Orders to the downlink worker.
pub fn downlink_orders() -> (Producer<DownlinkOrder>, Consumer<DownlinkOrder>) {
    RingBuffer::new(DOWNLINK_ORDERS)
}

/// What a worker hands back to be freed.
pub fn retired() -> (Producer<Retired>, Consumer<Retired>) {
    RingBuffer::new(RETIRED)
}

/// Other microphones for the uplink worker.
pub fn mics() -> (Producer<MicReader>, Consumer<MicReader>) {
    RingBuffer::new(CARDS)
}

/// Other speakers for the downlink worker.
pub fn speakers() -> (Producer<SpeakerWriter>, Consumer<SpeakerWriter>) {
    RingBuffer::new(CARDS)
}

/// Totals of the uplink.
pub fn uplink_stats() -> (Producer<UplinkStats>, Consumer<UplinkStats>) {
    RingBuffer::new(SNAPSHOTS)
}

/// Totals of the downlink.
pub fn downlink_stats() -> (Producer<DownlinkStats>, Consumer<DownlinkStats>) {
    RingBuffer::new(SNAPSHOTS)
}
