//! The audio room: from the microphone to sealed packets, and from sealed packets to the ears.
//!
//! ```text
//!  card     │ voice stage │ uplink worker                                      │ network room
//!  capture ─mic▶ voice ─mic▶ meter ▶ mute ▶ encoder ▶ seal ───────────── outbound ▶ ▸▸▸▸▸▸
//!                  ▲ reference
//!  playback ◀ speaker ─ mixer ◀ [ spatial ◀ level ◀ decoder ◀ jitter ◀ open ] ◀ inbound ─ ◂◂◂◂◂
//!  card     │ downlink worker    └──────────── a lane for each voice ────────┘
//! ```
//!
//! The speaker is the clock: no worker sleeps. The virtual card is a clock itself, and a speaker on a thread of ours waits a moment for what
//! it [demands](playback::SpeakerReader::demand). [`rings`] lists every lock-free
//! ring, [`record`] writes every voice to a file of its own, [`spectrum`] shows one while somebody looks, [`economy`] says what is left out
//! on a machine that is too slow, [`priority`] has the threads preferred. The [`Desk`](desk::Desk) turns what the app wants into orders and frees what
//! the workers hand back; the [`Engine`] adds the worker threads and the cards to it, [`offline`] drives the very same pipeline from a loop.

pub mod capture;
pub mod choice;
pub mod cue;
pub mod decoder;
pub mod delay;
pub mod desk;
pub mod device;
pub mod downlink;
pub mod economy;
pub mod encoder;
mod engine;
pub mod format;
pub mod interruptions;
pub mod jitter;
pub mod lane;
pub mod largest;
pub mod level;
pub mod libopus;
pub mod mixer;
pub mod offline;
pub mod pauses;
pub mod playback;
pub mod priority;
pub mod record;
pub mod redundancy;
pub mod reserve;
pub mod retired;
pub mod rings;
pub mod spatial;
pub mod spectrum;
pub mod stats;
pub mod stretch;
pub mod uplink;
pub mod voice;
pub mod workers;

pub use choice::{InputChoice, OutputChoice, VoiceMode};
pub use cue::Cue;
pub use delay::{Depth, Depths};
pub use desk::Spectra;
pub use engine::Engine;
pub use pauses::Pauses;
pub use redundancy::Protection;
pub use spatial::choice::{Acoustics, Ears, EarsChoice, HrtfChoice, SpaceChoice};
pub use voice::VoiceEngine;

use crate::latency::Delays;
use crate::rate::Rate;
use device::{CardError, FileError};
use format::PacketTime;
use resonance_protocol::media::packet::AddressedPacket;
use resonance_protocol::media::{HopOpener, HopSealer, InboundPacket, KeyId, OpeningKey, SealedPacket, Sealer};
use resonance_protocol::peer::TransportId;
use resonance_protocol::position::Position;
use spatial::Spatializer;
use std::io;
use std::sync::Arc;
use std::time::Instant;
use thiserror::Error;

/// What to start with.
#[derive(Clone, Debug, PartialEq)]
pub struct Config {
    /// Where this side's sound comes from.
    pub input: InputChoice,
    /// Where the others' sound goes.
    pub output: OutputChoice,
    /// Echo cancelling, noise suppression and gain.
    pub voice: VoiceMode,
    /// What does that.
    pub voice_engine: VoiceEngine,
    /// How much sound is in a packet of the own voice.
    pub packet: PacketTime,
    /// Whether silence is sent.
    pub pauses: Pauses,
    /// What voices are placed with.
    pub space: SpaceChoice,
}

/// The rings' ends that lead to the network; see [`rings::outbound`] and [`rings::inbound`].
pub struct MediaEnds {
    /// Where sealed packets go.
    pub outbound: rtrb::Producer<SealedPacket>,
    /// Who is to be woken when one has gone there.
    pub outbound_thread: std::thread::Thread,
    /// Where hop-sealed packets go.
    pub outbound_streamed: rtrb::Producer<AddressedPacket>,
    /// Where sealed packets come from.
    pub inbound: rtrb::Consumer<InboundPacket>,
    /// Where hop-sealed packets come from.
    pub inbound_streamed: rtrb::Consumer<InboundPacket>,
}

/// What the app can ask for while sound flows. Positions are in the room; volumes in dB.
pub enum Control {
    /// Seal with this from now on; before the first nothing is sent.
    SenderKey(Box<Sealer>),
    /// Seal with this step of it from now on: what was sealed before cannot be opened with what is held then.
    Step(KeyId),
    /// True: silence is sent, at the same pace.
    Mute(bool),
    /// Whether silence is sent.
    Pauses(Pauses),
    /// Frames have so many bits, and each packet carries earlier ones once more.
    Supply(Rate, Protection),
    /// What somebody is called; said before it is there. Only the files of a recording go by it.
    Name {
        /// Who.
        peer: TransportId,
        /// The name.
        name: String,
    },
    /// Somebody is there; at most [`format::MAX_LANES`].
    AddLane {
        /// Who.
        peer: TransportId,
    },
    /// Somebody's packets may be sealed with this.
    OpeningKey {
        /// Whose.
        peer: TransportId,
        /// The key.
        key: Box<OpeningKey>,
    },
    /// What goes to somebody by a stream is sealed with this from now on.
    HopSealer {
        /// To whom.
        peer: TransportId,
        /// The seal.
        hop: Box<HopSealer>,
    },
    /// What comes from somebody by a stream may be sealed with this.
    HopOpener {
        /// From whom.
        peer: TransportId,
        /// The seal.
        hop: Box<HopOpener>,
    },
    /// Whether somebody is sent each packet by a stream, too.
    Stream {
        /// Who.
        peer: TransportId,
        /// It is.
        on: bool,
    },
    /// Somebody has left.
    RemoveLane {
        /// Who.
        peer: TransportId,
    },
    /// Somebody stands elsewhere.
    Place {
        /// Who.
        peer: TransportId,
        /// Where in the room, the head at its centre.
        position: Position,
    },
    /// The head points there.
    Face {
        /// Degrees clockwise.
        deg: f32,
    },
    /// Somebody is to be louder or softer.
    Volume {
        /// Who.
        peer: TransportId,
        /// By so much, within [`desk::VOLUME_DB`].
        db: f32,
    },
    /// True: nothing is heard.
    Deafen(bool),
    /// Voices stand in another room.
    Acoustics(Acoustics),
    /// The ears here listen with something else.
    Ears(Ears),
    /// They are those of another head.
    Head(Box<Spatializer>),
    /// Somebody looks at the spectrum of this side, and of this peer; `desk::Desk::spectra` tells them.
    Watch {
        /// One's own is looked at.
        own: bool,
        /// Whose else.
        peer: Option<TransportId>,
    },
    /// A short sound for the ears here, nobody else's.
    Cue(Cue),
}

/// What the app is told.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Something a person should know; sound goes on.
    Warning {
        /// A stable word.
        code: &'static str,
        /// A sentence.
        message: String,
        /// What to do about it.
        hint: String,
    },
    /// What is in use now.
    Devices {
        /// The input's name.
        input: String,
        /// The output's name.
        output: String,
    },
    /// A recording is over: all files are finished.
    Recorded {
        /// Why, if it was not stopped.
        problem: Option<String>,
    },
    /// How it goes, about every 100 ms.
    Report(Report),
}

/// How it goes. Counters are totals since the engine (or the lane) began, levels in dBFS.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// Level of the microphone after voice processing.
    pub input_level_db: f32,
    /// Level of what is played.
    pub output_level_db: f32,
    /// Speech is being picked up and sent.
    pub speaking: bool,
    /// Interruptions of sound: at the microphone, at the speaker, reported by the devices.
    pub xruns: u64,
    /// What processes the voice.
    pub voice_engine: &'static str,
    /// What places voices in space.
    pub spatial_engine: Arc<str>,
    /// Share of one core that the two audio workers took since the last report, 0–200.
    pub cpu_percent: f32,
    /// Sealed packets handed to the network.
    pub frames_sent: u64,
    /// Their bytes.
    pub bytes_sent: u64,
    /// Bits a second of the frames themselves, without copies.
    pub codec_bits: u32,
    /// Frames that could not be sent: the network was too slow.
    pub unsent: u64,
    /// Packets of peers without a lane.
    pub unknown_sender: u64,
    /// What is left out while the machine is too slow, in words; see [`economy`].
    pub reduced: &'static [&'static str],
    /// When the ears last looked for packets.
    pub listened: Option<Instant>,
    /// Where time goes on this side.
    pub delays: Delays,
    /// What waited in the rings since the last report.
    pub depths: Depths,
    /// Every voice.
    pub lanes: Vec<LaneReport>,
}

/// How it goes with one voice.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneReport {
    /// Whose.
    pub peer: TransportId,
    /// Its level.
    pub level_db: f32,
    /// It speaks.
    pub speaking: bool,
    /// Packets that opened and were the first of their frame.
    pub received: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Runs in which they were missing.
    pub gaps: u64,
    /// Frames that came in time as copies in later packets.
    pub repaired: u64,
    /// Packets that came too late to be played.
    pub late: u64,
    /// Frames that were made up.
    pub concealed_frames: u64,
    /// Times that 10 ms of sound, all in all, were taken out or put in to change the delay.
    pub corrections: u64,
    /// Packets that did not open.
    pub refused: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// Interarrival jitter (RFC 3550) in ms.
    pub jitter_ms: f32,
    /// Time that sound waits in the jitter buffer, in ms.
    pub buffer_ms: f32,
    /// How much longer packets are under way than the fastest lately, in ms.
    pub queue_ms: f32,
    /// Bytes of all its sealed packets.
    pub bytes: u64,
    /// Those of them that came by a stream.
    pub streamed_bytes: u64,
    /// When the last packet that opened arrived.
    pub last_opened: Option<Instant>,
}

/// Why no sound can be made at all.
#[derive(Debug, Error)]
pub enum StartError {
    /// A file that was named cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The HRTF set cannot be used.
    #[error("no spatial sound: {0}")]
    Spatial(#[from] spatial::SpatialError),
    /// libopus refuses: out of memory.
    #[error("the Opus codec could not be set up: {0}")]
    Codec(#[from] libopus::OpusError),
    /// The system has no thread left.
    #[error("no audio thread could be started: {0}")]
    Thread(#[from] io::Error),
}

/// Why nothing is recorded.
#[derive(Debug, Error)]
pub enum RecordError {
    /// The folder or a file in it cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The system has no thread left.
    #[error("no thread could be started: {0}")]
    Thread(#[from] io::Error),
    /// There is a recording already, or its files are still being finished.
    #[error("there is a recording already")]
    Busy,
}

/// Why the device or file stays what it was.
#[derive(Debug, Error)]
pub enum SwitchError {
    /// The file that was named cannot be used.
    #[error(transparent)]
    File(#[from] FileError),
    /// The device that was named cannot be used.
    #[error(transparent)]
    Card(#[from] CardError),
    /// The system has no thread left.
    #[error("no audio thread could be started: {0}")]
    Thread(#[from] io::Error),
    /// The last change has not been carried out yet.
    #[error("the last change of device is still under way; try again in a moment")]
    Busy,
}
