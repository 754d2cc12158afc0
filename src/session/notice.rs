//! What a person or a script is told, when it happens. The headless face prints these as they are.

pub use super::event::AudioReport;
use super::latency::MouthToEar;

/// Something worth telling. Peers are named by their short ids; texts are sanitised.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// The session can be joined by this link (`None`: a LAN room).
    Created {
        /// The link.
        link: Option<String>,
        /// The LAN room's name.
        room: Option<String>,
    },
    /// Somebody let us in.
    Joined {
        /// The link.
        link: String,
    },
    /// A peer that may belong to the session was found.
    PeerFound {
        /// Who.
        peer: String,
        /// `hint`, `mdns`, `member`.
        via: &'static str,
    },
    /// The handshake is done: a member.
    PeerJoined {
        /// Who.
        peer: String,
        /// Display name, unique here.
        name: String,
        /// Identity fingerprint.
        identity: String,
        /// 60 digits in 12 groups.
        safety_number: String,
    },
    /// Sound can flow.
    MediaConnected {
        /// With whom.
        peer: String,
        /// `direct`, `relayed` (through a helper), `member` (through a member).
        path: &'static str,
        /// Candidate type here, or `stream`.
        local: &'static str,
        /// Candidate type there.
        remote: &'static str,
        /// How long it took.
        setup_ms: u64,
    },
    /// Nothing is heard any more.
    MediaLost {
        /// From whom.
        peer: String,
        /// `silence` or what broke.
        reason: String,
        /// How long it had been silent.
        after_ms: u64,
    },
    /// It is heard again.
    MediaRestored {
        /// From whom.
        peer: String,
        /// How it came back.
        reason: String,
        /// How long it was gone.
        after_ms: u64,
    },
    /// A sender key is another from now on, ours or one that we were handed.
    Rekeyed {
        /// Whose sender key (or `me`).
        peer: String,
        /// `join`, `leave`, `timer`, `kick`.
        reason: &'static str,
    },
    /// Somebody starts or stops speaking.
    Speaking {
        /// Who (or `me`).
        peer: String,
        /// Starts.
        on: bool,
    },
    /// Somebody wrote a line.
    Text {
        /// Who.
        peer: String,
        /// Sanitised.
        body: String,
    },
    /// A safety number that was asked for.
    SafetyNumber {
        /// Whose.
        peer: String,
        /// 60 digits in 12 groups.
        number: String,
        /// Whether it was compared.
        verified: bool,
    },
    /// The session's safety number has changed, or was asked for.
    SessionSafetyNumber {
        /// 60 digits in 12 groups; `None` while not everyone reaches the same people.
        number: Option<String>,
        /// How many people it is about, with oneself.
        members: usize,
        /// Who does not reach whom, in words.
        incomplete: Vec<String>,
    },
    /// The link that was asked for.
    Link {
        /// The link; `None` in a LAN room.
        link: Option<String>,
    },
    /// Somebody wants to come in; `me`: we do.
    Knock {
        /// Who.
        peer: String,
        /// The name it gives itself.
        name: String,
    },
    /// Somebody who knocked is let in.
    Admitted {
        /// Who.
        peer: String,
        /// The name it gives itself.
        name: String,
    },
    /// Somebody who wanted to come in is not let in, or has given up.
    Refused {
        /// Who.
        peer: String,
        /// The name it gives itself.
        name: String,
    },
    /// Somebody is removed from the session.
    Kicked {
        /// Who.
        peer: String,
        /// Its name.
        name: String,
    },
    /// The session was locked or unlocked.
    Locked {
        /// By whom; `me`: by us.
        peer: String,
        /// Their name; empty when they are not here.
        name: String,
        /// Locked now.
        on: bool,
    },
    /// Sound comes from and goes to these devices from now on.
    Devices {
        /// The microphone; `none` where there is none.
        input: String,
        /// The speaker.
        output: String,
    },
    /// Somebody begins or ends to record everybody.
    Recording {
        /// Who; `me`: we do.
        peer: String,
        /// Its name.
        name: String,
        /// Begins.
        on: bool,
        /// The folder, if it is here.
        dir: Option<String>,
    },
    /// Measurements of one peer, every second.
    Stats(Box<Stats>),
    /// Measurements of the sound here, every second.
    Audio(Box<AudioReport>),
    /// Somebody is not there any more.
    PeerLeft {
        /// Who.
        peer: String,
        /// `bye`, `timeout`, `kicked`, or `locked`: it came in while a lock was on its way here, and has to knock now.
        reason: &'static str,
    },
    /// Something is not as it should be, and the session goes on.
    Warning {
        /// Stable word.
        code: &'static str,
        /// One sentence.
        message: String,
        /// What to do.
        hint: String,
    },
    /// What was asked for did not happen.
    Error {
        /// Stable word.
        code: &'static str,
        /// One sentence.
        message: String,
        /// What to do.
        hint: String,
    },
}

/// One peer's measurements.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// Who.
    pub peer: String,
    /// Round trip of the media path.
    pub rtt_ms: Option<f32>,
    /// Interarrival jitter of its packets.
    pub jitter_ms: f32,
    /// Share of mine that it misses.
    pub loss_up: f32,
    /// Share of its that I miss.
    pub loss_down: f32,
    /// Frames of it whose packets were lost, and that came as copies in later ones, in total.
    pub repaired: u64,
    /// Frames of it that were made up, in total.
    pub concealed: u64,
    /// Held back, in milliseconds.
    pub jitter_buffer_ms: f32,
    /// How late it is heard here.
    pub delay: Option<MouthToEar>,
    /// Sealed bits a second to it.
    pub bitrate_up: u64,
    /// Bits a second of my frames themselves: lower where somebody's path is narrow.
    pub codec_up: u32,
    /// Copies of earlier frames that go with each.
    pub copies_up: u32,
    /// Sealed bits a second from it.
    pub bitrate_down: u64,
    /// `direct`, `relayed`, `member`, or `none` while there is none.
    pub path: &'static str,
    /// Packets that failed to open, in total.
    pub refused: u64,
}
