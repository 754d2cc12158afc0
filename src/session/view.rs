//! The plain snapshot that faces draw from: no keys, no handles, nothing to lock. Every text in it is already sanitised.

use super::latency::{Delays, MouthToEar, Queues};
use resonance_protocol::position::Position;
use std::borrow::Cow;
use std::time::Duration;

/// Everything a face needs to draw one moment of the session.
#[derive(Clone, Debug, PartialEq)]
pub struct View {
    /// Time since the session was started here.
    pub elapsed: Duration,
    /// How people come in.
    pub invite: Invite,
    /// Who may come in.
    pub admission: Admission,
    /// This side.
    pub me: Me,
    /// The safety number of all.
    pub session_number: SessionNumber,
    /// Alarms that nobody has answered yet, the oldest first.
    pub alarms: Vec<Alarm>,
    /// The others, in the order of their seats. At most 7.
    pub peers: Vec<PeerView>,
    /// What happened and what was written, oldest first. At most [`View::MAX_TALK`] lines.
    pub talk: Vec<TalkLine>,
    /// One line about being found: "waiting for somebody to join", "looking on this network…".
    pub reach: String,
    /// Problems that last, the most important first; each names itself and what to do.
    pub problems: Vec<String>,
    /// What is left out while the machine is too slow for everything, what is missed least first; as a rule nothing.
    pub reduced: &'static [&'static str],
}

impl View {
    /// Lines of talk that are kept: a screen or two.
    pub const MAX_TALK: usize = 200;

    /// What is not as it should be, in words, the most important first.
    pub fn troubles(&self) -> impl Iterator<Item = Cow<'_, str>> {
        self.problems.iter().map(Cow::from).chain(self.busy().map(Cow::from))
    }

    /// That less is done, in words.
    pub fn busy(&self) -> Option<String> {
        (!self.reduced.is_empty()).then(|| format!("The machine is busy. Reduced: {}.", self.reduced.join(", ")))
    }
}

/// How far somebody who joins has come: nobody has let them in yet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seeking {
    /// For how long already.
    pub elapsed: Duration,
    /// When it is given up.
    pub left: Duration,
    /// Addresses in the link.
    pub hints: usize,
    /// What became of them, and of whoever was found in another way.
    pub ways: Vec<WayIn>,
    /// Somebody is there, and keys are being exchanged.
    pub greeting: bool,
    /// Somebody is reached through others only; a direct way is looked for.
    pub relayed: bool,
}

/// One way of finding others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WayIn {
    /// `hint`, `mdns`, `dht` or `member`.
    pub via: &'static str,
    /// Who was found, or is to be dialled.
    pub found: usize,
    /// Of those, who is connected.
    pub connected: usize,
    /// The most tries that failed with one of them.
    pub failures: u32,
}

/// How people come in.
#[derive(Clone, Debug, PartialEq)]
pub enum Invite {
    /// By pasting this link.
    Link(String),
    /// By being on the same network and naming the same room; open to everyone there.
    Lan {
        /// The room's name.
        room: String,
    },
}

/// Who may come in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admission {
    /// Newcomers have to knock.
    pub locked: bool,
    /// Id of the host, if it is here; one's own when one is the host.
    pub host: Option<String>,
    /// Whoever knocks may be let in or refused from here.
    pub i_decide: bool,
    /// Who knocks, the first one first.
    pub knocks: Vec<KnockView>,
    /// Until the link takes nobody in any more; `None`: for ever, or a room without a link.
    pub expires_in: Option<Duration>,
}

/// Somebody who wants to come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnockView {
    /// Short stable id.
    pub id: String,
    /// Sanitised, made unique among those here and those who knock.
    pub name: String,
}

/// This side of the session.
#[derive(Clone, Debug, PartialEq)]
pub struct Me {
    /// Short stable id.
    pub id: String,
    /// The name that others see.
    pub name: String,
    /// The microphone is closed.
    pub muted: bool,
    /// Nobody is heard (implies that nothing is played).
    pub deafened: bool,
    /// The folder in which everybody is recorded.
    pub recording: Option<String>,
    /// Speech is being picked up.
    pub speaking: bool,
    /// Level of the microphone in dBFS, −90 when silent.
    pub level_db: f32,
    /// Where the head points: degrees clockwise.
    pub facing_deg: f32,
    /// Name of the input in use ("none" without one).
    pub input: String,
    /// Name of the output in use ("none" without one).
    pub output: String,
    /// Where time goes on this side.
    pub delays: Delays,
    /// What waited lately.
    pub queues: Queues,
    /// Bits a second of the own voice's frames themselves, and how many copies of earlier ones go with each.
    pub sent: (u32, u32),
    /// What places voices: `pan` through speakers, otherwise the head and the room, as in `hrtf:mit-kemar+small`.
    pub spatial_engine: String,
}

/// One of the others.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerView {
    /// Short stable id.
    pub id: String,
    /// Sanitised, made unique among those here ("Bo", "Bo (2)").
    pub name: String,
    /// Decides who may come in.
    pub host: bool,
    /// Voice level in dBFS, −90 when silent.
    pub level_db: f32,
    /// Speaks now.
    pub speaking: bool,
    /// Says that its microphone is closed.
    pub muted: bool,
    /// Says that it hears nobody.
    pub deafened: bool,
    /// Says that it records everybody.
    pub recording: bool,
    /// Whether the safety number was compared.
    pub trust: Trust,
    /// How its sound comes here.
    pub connection: Connection,
    /// Round-trip time of the media path in milliseconds.
    pub rtt_ms: Option<f32>,
    /// Share of its packets that I miss, 0–1.
    pub loss_down: f32,
    /// Share of my packets that it says it misses, 0–1.
    pub loss_up: f32,
    /// How unevenly its packets come (RFC 3550, 6.4.1), in milliseconds.
    pub jitter_ms: f32,
    /// What the jitter buffer holds back, in milliseconds.
    pub jitter_buffer_ms: f32,
    /// How late it is heard here, as far as that is known.
    pub delay: Option<MouthToEar>,
    /// Where its voice stands (azimuth in the room, before [`Me::facing_deg`] is taken off).
    pub position: Position,
    /// Its loudness in dB.
    pub volume_db: f32,
    /// 60 digits in 12 groups of five, separated by single spaces.
    pub safety_number: String,
}

impl PeerView {
    /// Loudness from which on nothing is heard of it here, in dB: the lowest that can be asked for.
    const SILENT_DB: f32 = -60.0;

    /// Whether it is turned down to silence here.
    pub fn is_silenced(&self) -> bool {
        self.volume_db <= Self::SILENT_DB
    }
}

/// The safety number of all who are in the session.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionNumber {
    /// 60 digits in 12 groups of five; `None` while alone or incomplete.
    pub number: Option<String>,
    /// How many people it is about, with oneself.
    pub members: usize,
    /// Who does not reach whom, in words: "Bo does not reach Cy".
    pub incomplete: Vec<String>,
    /// Why it is another than before: "Bo joined". `None` for the first one.
    pub changed: Option<String>,
}

/// Something that only the person can answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Stable word: `identity_changed`, `roster_disagrees`.
    pub code: &'static str,
    /// Id of the person to compare numbers with.
    pub peer: Option<String>,
    /// Its name.
    pub name: String,
    /// What happened.
    pub what: String,
    /// What that may mean.
    pub why: String,
    /// What to do.
    pub hint: String,
}

/// Whether a safety number was compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// Not compared yet.
    NotVerified,
    /// Compared by the person here and found equal.
    Verified,
    /// Comes with another key than before; hears nothing until the alarm is answered.
    Changed,
}

/// How a peer's sound comes here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// Member, but no sound yet.
    Connecting,
    /// Sound flows straight between the two.
    Direct,
    /// A helper passes it on.
    Relayed,
    /// A member passes it on.
    Member,
    /// Nothing heard for this long.
    Reconnecting {
        /// How long nothing was heard.
        silent_for: Duration,
    },
}

impl Connection {
    /// Sound flows.
    pub fn stands(&self) -> bool {
        matches!(self, Self::Direct | Self::Relayed | Self::Member)
    }
}

/// One line of talk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TalkLine {
    /// When, since the session was started here.
    pub at: Duration,
    /// Who wrote it; `None` for something that happened.
    pub from: Option<String>,
    /// The text.
    pub text: String,
}
