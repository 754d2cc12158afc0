//! Snapshots of totals that the workers send to the engine ten times a second: plain numbers, copied through rings.

use super::economy::Economy;
use super::format::{MAX_LANES, SAMPLE_RATE, SILENCE_DB};
use resonance_protocol::peer::TransportId;
use std::time::{Duration, Instant};

/// Samples between two snapshots: 100 ms.
pub const SNAPSHOT_EVERY: usize = SAMPLE_RATE as usize / 10;

/// The uplink's totals and levels.
#[derive(Clone, Copy, Debug)]
pub struct UplinkStats {
    /// Level of the microphone after voice processing, in dBFS.
    pub level_db: f32,
    /// Speech is being picked up, and the microphone is open.
    pub speaking: bool,
    /// Sealed packets handed to the network.
    pub frames_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Bits a second of the frames themselves, without copies.
    pub codec_bits: u32,
    /// Samples in a packet.
    pub packet: usize,
    /// Packets that the network was too slow to take, and frames that could not be encoded or sealed.
    pub unsent: u64,
    /// Times that samples of the microphone were lost.
    pub overruns: u64,
    /// Samples that the encoder looks ahead.
    pub lookahead: i32,
    /// Time spent working.
    pub busy: Duration,
}

impl Default for UplinkStats {
    fn default() -> Self {
        Self {
            level_db: SILENCE_DB,
            speaking: false,
            frames_sent: 0,
            bytes_sent: 0,
            codec_bits: 0,
            packet: 0,
            unsent: 0,
            overruns: 0,
            lookahead: 0,
            busy: Duration::ZERO,
        }
    }
}

/// The downlink's totals and levels.
#[derive(Clone, Copy, Debug)]
pub struct DownlinkStats {
    /// Level of what is played, in dBFS, the louder ear.
    pub level_db: f32,
    /// Times that the speaker had to play silence because nothing was ready.
    pub underruns: u64,
    /// Packets of peers without a lane.
    pub unknown_sender: u64,
    /// Time spent working.
    pub busy: Duration,
    /// When it last looked for packets.
    pub listened: Option<Instant>,
    /// What is left out.
    pub economy: Economy,
    /// Every lane there is.
    pub lanes: [Option<LaneStats>; MAX_LANES],
}

impl Default for DownlinkStats {
    fn default() -> Self {
        Self {
            level_db: SILENCE_DB,
            underruns: 0,
            unknown_sender: 0,
            busy: Duration::ZERO,
            listened: None,
            economy: Economy::NONE,
            lanes: [None; MAX_LANES],
        }
    }
}

/// One voice's totals since its lane began, and its levels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LaneStats {
    /// Whose voice.
    pub peer: TransportId,
    /// Its level in dBFS.
    pub level_db: f32,
    /// It speaks.
    pub speaking: bool,
    /// Packets that were opened and were the first of their frame.
    pub received: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Runs in which they were missing.
    pub gaps: u64,
    /// Frames that came in time as copies in later packets.
    pub repaired: u64,
    /// Packets that came after their time.
    pub late: u64,
    /// Frames that were made up.
    pub concealed: u64,
    /// Times that 10 ms, all in all, were taken out or put in to change the delay.
    pub corrections: u64,
    /// Packets that did not open, or held no frame of sound.
    pub refused: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// Interarrival jitter (RFC 3550) in ms.
    pub jitter_ms: f32,
    /// Time that sound waits in the jitter buffer, in ms.
    pub buffer_ms: f32,
    /// How much longer packets are under way than the fastest lately, in ms.
    pub queue_ms: f32,
    /// Bytes of all sealed packets.
    pub bytes: u64,
    /// Those of them that came by a stream.
    pub streamed_bytes: u64,
    /// When the last packet that opened arrived.
    pub last_opened: Option<Instant>,
}
