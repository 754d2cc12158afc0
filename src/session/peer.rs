//! One remote participant: how far the acquaintance has come.

use super::event::LaneReport;
use super::path::Paths;
use super::recording::Stated;
use super::texts::Texts;
use super::trust::Told;
use super::view::Trust;
use resonance_protocol::channel::SecureChannel;
use resonance_protocol::handshake::{Established, Initiator, Responder};
use resonance_protocol::identity::IdentityPublic;
use resonance_protocol::media::KeyId;
use resonance_protocol::peer::{Address, TransportId};
use resonance_protocol::position::Position;
use resonance_protocol::signal::{ByeReason, Signal};
use std::net::IpAddr;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// A peer that we know of; a member once the handshake is done.
pub struct Peer {
    /// How we heard of it: `hint`, `mdns`, `member`, or `""` when it came by itself.
    pub via: &'static str,
    /// Where it may be dialled. At most [`Peer::MAX_ADDRESSES`].
    pub addresses: Vec<Address>,
    /// A transport connection stands.
    pub connected: bool,
    /// Where it was directly seen last.
    pub seen_at: Option<IpAddr>,
    /// We want it in the session: dial it, start the handshake.
    pub wanted: bool,
    /// Next time to dial, or to start the handshake.
    pub retry_at: Option<Instant>,
    /// Failed tries since the last success.
    pub failures: u32,
    /// First messages of ours that it gave no answer to.
    pub refusals: u32,
    /// A handshake under way.
    pub attempt: Option<Attempt>,
    /// Keys stand, but it has not been let in here, or has not let us in.
    pub door: Option<Box<Door>>,
    /// Set once the handshake is done, one channel message has opened in each direction, and it was let in.
    pub member: Option<Box<Member>>,
}

impl Peer {
    /// Addresses kept of one peer: a laptop with several interfaces, each over TCP and QUIC.
    pub const MAX_ADDRESSES: usize = 16;

    /// A peer heard of in some way.
    pub fn new(via: &'static str) -> Self {
        Self {
            via,
            addresses: Vec::new(),
            connected: false,
            seen_at: None,
            wanted: false,
            retry_at: None,
            failures: 0,
            refusals: 0,
            attempt: None,
            door: None,
            member: None,
        }
    }

    /// Remembers where it may be dialled; true when something was new.
    pub fn learn(&mut self, addresses: impl IntoIterator<Item = Address>) -> bool {
        let known = self.addresses.len();
        for address in addresses {
            if self.addresses.len() < Self::MAX_ADDRESSES && !self.addresses.contains(&address) {
                self.addresses.push(address);
            }
        }
        self.addresses.len() > known
    }

    /// Plans the next try: soon at first, then ever less often.
    pub fn back_off(&mut self, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.retry_at = Some(now + Duration::from_millis(500 << self.failures.min(5)));
    }

    /// Nothing here is worth keeping.
    pub fn is_forgettable(&self) -> bool {
        !self.connected && !self.wanted && self.member.is_none() && self.attempt.is_none() && self.door.is_none()
    }
}

/// A handshake under way.
pub struct Attempt {
    /// Given up when it passes.
    pub deadline: Instant,
    /// Messages of ours that nobody would ask for again if they were lost, with the numbers of the `Send`s that carry them.
    pub under_way: Vec<(u64, Vec<u8>)>,
    /// Times that one of them was sent again.
    pub repeats: u32,
    /// How far it has come.
    pub stage: Stage,
}

/// How far a handshake has come.
pub enum Stage {
    /// Message 1 is out.
    Initiating {
        /// Waits for message 2.
        initiator: Initiator,
        /// Number of the `Send` that carried message 1.
        message: u64,
    },
    /// Message 2 is out.
    Responding(Responder),
    /// Keys stand; a message through the channel in each direction proves them.
    Confirming {
        /// The outcome.
        established: Box<Established>,
        /// Number of the `Send` that carried message 3; our greeting follows its delivery, as messages have no order.
        message3: Option<u64>,
        /// What our first channel message said, once it is out.
        greeted: Option<Entrance>,
        /// Theirs, which has opened here.
        greeting: Option<Signal>,
        /// Ours has opened there.
        answered: bool,
        /// We sent message 1: then the pings are ours.
        initiated: bool,
    },
}

impl Stage {
    /// Keys stand. `message3` is the number of the `Send` that carried message 3, if we began.
    pub fn confirming(established: Box<Established>, message3: Option<u64>) -> Self {
        let initiated = message3.is_some();
        Self::Confirming { established, message3, greeted: None, greeting: None, answered: false, initiated }
    }
}

/// May a peer that has proven its identity come in?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entrance {
    /// At once.
    Open,
    /// When somebody lets it in.
    Knock,
    /// No.
    TurnedAway(ByeReason),
}

/// A channel to somebody who is not a member yet.
pub struct Door {
    /// The secure conversation, once it is one.
    pub channel: SecureChannel,
    /// Its identity key.
    pub identity: IdentityPublic,
    /// The name it gave itself; not sanitised.
    pub name: String,
    /// We sent message 1.
    pub initiated: bool,
    /// Who waits for whom.
    pub side: Side,
    /// Since when.
    pub since: Instant,
}

/// The sides of a door.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// It wants to come in to us.
    Ours,
    /// We want to come in to it.
    Theirs,
}

/// A peer that has completed the handshake and was let in.
pub struct Member {
    /// The secure conversation.
    pub channel: SecureChannel,
    /// Its identity key.
    pub identity: IdentityPublic,
    /// Sanitised, unique here.
    pub name: String,
    /// Safety number, 12 groups of five digits.
    pub safety_number: String,
    /// Whether it was compared.
    pub trust: Trust,
    /// What it has told about the others.
    pub told: Told,
    /// What was written to and by it.
    pub texts: Texts,
    /// Its place on the arc.
    pub seat: usize,
    /// Where its voice stands.
    pub position: Position,
    /// Its loudness in dB.
    pub volume_db: f32,
    /// It says that its microphone is closed.
    pub muted: bool,
    /// It says that it hears nobody.
    pub deafened: bool,
    /// It says that it records everybody.
    pub recording: bool,
    /// What it said last of all three.
    pub stated: Stated,
    /// The ways that sound takes.
    pub paths: Paths,
    /// What we said last of the newest negotiation.
    pub description: Option<Said>,
    /// The hop key that we handed over last, and the number of the `Send` that carries it: sealed with once it has arrived.
    pub hop_key: Option<(u64, Zeroizing<[u8; 32]>)>,
    /// The newest sender key that it gave us.
    pub their_key: Option<KeyId>,
    /// When it was last handed one of ours.
    pub our_key_at: Instant,
    /// Our sender keys are withheld until it shows a sign of life.
    pub withheld: bool,
    /// Something of ours did not reach it: say everything again.
    pub resend_at: Option<Instant>,
    /// A channel message was opened.
    pub last_signal: Instant,
    /// A packet of sound was opened.
    pub last_sound: Option<Instant>,
    /// Nothing was heard for 6 s: since then.
    pub lost_since: Option<Instant>,
    /// When to ping; `None` if the pings are the other side's.
    pub ping_at: Option<Instant>,
    /// Round trip of the media path.
    pub rtt_ms: Option<f32>,
    /// What it says its voice takes until it is sent.
    pub sending_ms: Option<f32>,
    /// Share of our packets that it says it misses.
    pub loss_up: f32,
    /// Share of its packets that we miss, over the last second or so.
    pub loss_down: f32,
    /// How many of them in a row, on average.
    pub burst_down: f32,
    /// Sealed bits sent to it and received from it in the last second.
    pub bitrates: (u64, u64),
    /// Newest report of its lane.
    pub lane: Option<LaneReport>,
    /// Report of a second ago, to take differences from.
    pub lane_before: Option<LaneReport>,
    /// Speaks now.
    pub speaking: bool,
}

/// A signal that is said again should it be lost.
pub struct Said {
    /// Number of the `Send` that carried it.
    pub message: u64,
    /// What was said.
    pub signal: Signal,
    /// How often it may still be said again.
    pub repeats: u8,
}

impl Member {
    /// Our sender keys go to everyone who is there and about whom no alarm stands.
    pub fn gets_our_keys(&self) -> bool {
        !self.withheld && self.trust != Trust::Changed
    }
}

/// The peers by name, in byte order.
pub type Peers = std::collections::BTreeMap<TransportId, Peer>;
