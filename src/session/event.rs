//! What can happen to a session: everything comes in through these.

use super::latency::{Delays, Queues};
use super::path::Route;
use crate::command::Command;
use resonance_protocol::peer::{Address, TransportId};
use std::sync::Arc;
use std::time::Instant;

/// Something happened.
pub enum Event {
    /// We can be reached here.
    Listening(Address),
    /// Everybody reaches us here, at a router's address or through a helper.
    Reached(Address),
    /// Somebody was found; whether it belongs to this session the handshake will tell.
    Discovered {
        /// Who.
        peer: TransportId,
        /// Where: `mdns` on this network, `dht` in the distributed hash table.
        via: &'static str,
    },
    /// The local network cannot be searched; says why.
    DiscoveryFailed(String),
    /// A transport connection stands.
    Connected {
        /// The other end.
        peer: TransportId,
        /// Where it is, if that is an address others could dial.
        remote: Option<Address>,
    },
    /// The last transport connection to a peer is gone.
    Disconnected(TransportId),
    /// Nobody could be reached there.
    DialFailed(Option<TransportId>),
    /// A signalling message came in.
    Message {
        /// From the peer at the other end of the connection.
        from: TransportId,
        /// Sealed, or a handshake message.
        bytes: Vec<u8>,
        /// To acknowledge or refuse it by.
        receipt: u64,
    },
    /// A message was acknowledged.
    Delivered {
        /// By whom.
        to: TransportId,
        /// Its number from `Effect::Send`.
        id: u64,
    },
    /// A message was not acknowledged.
    Undelivered {
        /// By whom.
        to: TransportId,
        /// Its number from `Effect::Send`.
        id: u64,
        /// Why not.
        why: Undelivered,
    },
    /// A peer speaks resonance, but only other versions of it.
    ForeignVersion(TransportId),
    /// Our half of a media negotiation is ready to be sent.
    Description {
        /// For whom.
        peer: TransportId,
        /// Offer or answer.
        kind: Description,
        /// SDP text.
        sdp: String,
        /// Of the negotiation.
        number: u64,
    },
    /// A way to reach our media socket.
    Candidate {
        /// For whom.
        peer: TransportId,
        /// ICE candidate line.
        candidate: String,
        /// Media section's identification.
        mid: String,
    },
    /// Sound can flow.
    MediaUp {
        /// With whom.
        peer: TransportId,
        /// The way it takes.
        route: Route,
        /// From the start of the negotiation.
        setup_ms: u64,
    },
    /// The media connection broke.
    MediaDown {
        /// With whom.
        peer: TransportId,
        /// In words.
        reason: String,
    },
    /// Packets can be sent by a sealed stream.
    StreamUp {
        /// To whom.
        peer: TransportId,
        /// The way it takes.
        route: Route,
    },
    /// They cannot any more.
    StreamDown(TransportId),
    /// Another transport connection has taken the place of those to a peer.
    Renewed(TransportId),
    /// We cannot be reached there any more.
    NotListening(Address),
    /// Servers that help sound through have become known.
    ServersKnown,
    /// The media path was measured.
    MediaRtt {
        /// With whom.
        peer: TransportId,
        /// Round trip in milliseconds.
        rtt_ms: f32,
    },
    /// What the ears and the microphone noticed, ten times a second.
    Audio(AudioReport),
    /// Devices in use changed.
    Devices {
        /// Name of the input.
        input: String,
        /// Name of the output.
        output: String,
    },
    /// Something is wrong with the sound; it lasts until devices change.
    AudioProblem {
        /// Stable word.
        code: &'static str,
        /// One sentence.
        message: String,
        /// What to do.
        hint: String,
    },
    /// What became of a recording.
    Recording(Recording),
    /// A person asks for something.
    Command(Command),
}

/// What became of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Recording {
    /// It has begun, in this folder.
    Began(String),
    /// It has not, and why.
    NotBegun(String),
    /// All files are finished.
    Ended {
        /// Why, if that was not asked for.
        problem: Option<String>,
    },
}

/// Why a message was not acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// The peer speaks no version of ours.
    Unsupported,
    /// It gave no answer.
    Refused,
    /// There is no way to it.
    Unreachable,
}

/// Half of a media negotiation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Description {
    /// The first half.
    Offer,
    /// The second half.
    Answer,
}

/// What the ears and the microphone noticed. Counters are totals.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct AudioReport {
    /// Microphone in dBFS.
    pub input_level_db: f32,
    /// Speaker in dBFS.
    pub output_level_db: f32,
    /// I speak.
    pub speaking: bool,
    /// Times that a device ran dry or over.
    pub xruns: u64,
    /// Share of one core that the audio threads use, in percent.
    pub cpu_percent: f32,
    /// Name of the engine that cleans the microphone.
    pub voice_engine: &'static str,
    /// Name of the engine that places voices.
    pub spatial_engine: Arc<str>,
    /// What is left out while the machine is too slow.
    pub reduced: &'static [&'static str],
    /// Where time goes on this side.
    pub delays: Delays,
    /// What waited lately.
    pub queues: Queues,
    /// Sealed bytes handed to the network.
    pub bytes_sent: u64,
    /// Bits a second of the own voice's frames themselves, without copies.
    pub codec_bits: u32,
    /// When the ears last looked for packets.
    pub listened: Option<Instant>,
    /// One for each peer that has a lane.
    pub lanes: Vec<LaneReport>,
}

/// What one lane noticed. Counters are totals since the lane began.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LaneReport {
    /// Whose.
    pub peer: TransportId,
    /// Voice in dBFS.
    pub level_db: f32,
    /// Speaks now.
    pub speaking: bool,
    /// Packets opened.
    pub received: u64,
    /// Packets that never came.
    pub lost: u64,
    /// Runs in which they were missing.
    pub gaps: u64,
    /// Frames that came in time as copies in later packets.
    pub repaired: u64,
    /// Frames that were made up.
    pub concealed: u64,
    /// Packets that failed to open.
    pub refused: u64,
    /// Interarrival jitter in milliseconds (RFC 3550 §6.4.1).
    pub jitter_ms: f32,
    /// Held back by the jitter buffer, in milliseconds.
    pub buffer_ms: f32,
    /// How much longer packets are under way than the fastest lately, in milliseconds.
    pub queue_ms: f32,
    /// Sealed bytes that came in.
    pub bytes: u64,
    /// Those of them that came by the stream.
    pub streamed_bytes: u64,
    /// When the last packet was opened.
    pub last_opened: Option<Instant>,
}
