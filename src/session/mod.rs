//! The call as a pure machine: events in, effects out; time and chance are inputs.
//!
//! `handshakes` finds peers and gets acquainted · `admission` and `door` say who comes in · `members` keeps the conversation with those
//! who are in · `media` and `path` keep sound flowing · `texts` carries what is written · `trust` knows whom, raises alarms ·
//! `numbers` keeps the session's safety number · `commands` does what the person asks · `snapshot` makes the [`view::View`] ·
//! `sender_key` decides which key seals · `recording` says who records · `whereabouts` says where we are found.

mod admission;
mod allowance;
mod commands;
mod door;
pub mod effect;
pub mod event;
mod handshakes;
pub mod latency;
mod media;
mod members;
pub mod notice;
mod numbers;
pub mod path;
mod peer;
mod pose;
pub mod protection;
mod recording;
mod sender_key;
mod snapshot;
#[cfg(test)]
mod tests;
pub mod text;
mod texts;
mod trust;
mod upkeep;
pub mod view;
mod whereabouts;

use admission::Admission;
use allowance::Allowance;
use effect::{AudioEffect, Effect, Ending};
use event::{AudioReport, Event};
use notice::Notice;
use numbers::Numbers;
use peer::{Member, Peers};
use protection::Protection;
use rand::CryptoRng;
use resonance_protocol::contacts::ContactBook;
use resonance_protocol::identity::{AuthorityKey, IdentityKey};
use resonance_protocol::link::{Link, SessionKeys};
use resonance_protocol::peer::{Address, TransportId};
use resonance_protocol::signal::Signal;
use sender_key::SenderKeys;
use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};
use trust::Acquaintances;
use view::{TalkLine, View};

/// People in one session: every pair has a connection of its own, so a laptop's uplink sets the bound.
pub const MAX_PEOPLE: usize = 8;

/// What the audio room calls it when nothing can be heard of the person here…
const NO_INPUT: &str = "no-input";
/// … and when the person hears nothing.
const NO_OUTPUT: &str = "no-output";

/// A microphone or a speaker that is not there.
struct Missing {
    words: String,
    /// What takes its place was not told yet.
    is_news: bool,
}

/// Peers known at once, members or not: a busy LAN's worth, and no more memory than that.
const MAX_PEERS: usize = 64;

/// How long joining may take before it is given up.
const JOIN_PATIENCE: Duration = Duration::from_secs(30);

/// The machine looks around this often.
const TICK: Duration = Duration::from_millis(100);

/// How the session is entered.
pub enum Entry {
    /// We made it.
    Create {
        /// How others find it.
        link: Box<Link>,
        /// The key that the link names: with it we say who may come in.
        authority: Box<AuthorityKey>,
    },
    /// By a link.
    Join(Box<Link>),
    /// The room of this name on this network.
    Lan(String),
}

/// What a session starts from.
pub struct Config {
    /// How it is entered.
    pub entry: Entry,
    /// Seconds since 1970 at the start, as links count their expiry.
    pub unix_time: u64,
    /// Our transport identity.
    pub me: TransportId,
    /// Our identity.
    pub identity: IdentityKey,
    /// Who is known under it, if it is a kept one; `None` for an identity of this session only.
    pub contacts: Option<ContactBook>,
    /// Our name, as others will see it.
    pub name: String,
    /// Where members may be found besides the link's hints.
    pub bootstrap: Vec<(Option<TransportId>, Address)>,
}

/// The call.
pub struct Session<R> {
    entry: Entry,
    keys: SessionKeys,
    me: TransportId,
    identity: IdentityKey,
    name: String,
    bootstrap: Vec<(Option<TransportId>, Address)>,
    rng: R,
    started: Instant,
    unix_time: u64,
    /// The hour under whose key we are met, and the session's key then: both change.
    met_under: Option<[u8; 32]>,
    /// Joining is given up then.
    join_until: Instant,
    next_tick: Instant,
    next_second: Instant,
    peers: Peers,
    admission: Admission,
    allowance: Allowance,
    protection: Protection,
    /// Whether reports were sent in the last second.
    reports_due: bool,
    sender_keys: SenderKeys,
    acquaintances: Acquaintances,
    numbers: Numbers,
    addresses: Vec<Address>,
    /// They have changed, and the members do not know.
    moved: bool,
    joined: bool,
    muted: bool,
    deafened: bool,
    /// Where everybody is recorded.
    recording: Option<String>,
    facing_deg: f32,
    audio: AudioReport,
    audio_before: u64,
    devices: (String, String),
    /// What is missing to hear or be heard, by its code: it lasts until another device is there.
    missing: BTreeMap<&'static str, Missing>,
    talk: VecDeque<TalkLine>,
    /// How many texts we have written.
    texts_written: u64,
    next_message: u64,
    leaving: Option<Leaving>,
    effects: VecDeque<Effect>,
}

/// Saying goodbye: waits shortly for these messages to be acknowledged.
struct Leaving {
    byes: Vec<u64>,
    deadline: Instant,
}

impl<R: CryptoRng> Session<R> {
    /// Starts a session now.
    pub fn new(config: Config, now: Instant, rng: R) -> Self {
        let Config { entry, me, identity, contacts, unix_time, name, bootstrap } = config;
        let keys = match &entry {
            Entry::Create { link, .. } | Entry::Join(link) => link.keys(),
            Entry::Lan(room) => SessionKeys::for_lan_room(room),
        };
        let mut session = Self {
            keys,
            me,
            identity,
            name: text::name(&name, "someone"),
            bootstrap,
            rng,
            started: now,
            unix_time,
            met_under: None,
            join_until: now + JOIN_PATIENCE,
            next_tick: now + TICK,
            next_second: now + Duration::from_secs(1),
            peers: Peers::new(),
            admission: Admission::default(),
            protection: Protection::default(),
            reports_due: false,
            allowance: Allowance::default(),
            sender_keys: SenderKeys::default(),
            acquaintances: Acquaintances::new(contacts, unix_time),
            numbers: Numbers::default(),
            addresses: Vec::new(),
            moved: false,
            joined: !matches!(entry, Entry::Join(_)),
            muted: false,
            deafened: false,
            recording: None,
            facing_deg: 0.0,
            audio: AudioReport { input_level_db: -90.0, output_level_db: -90.0, ..AudioReport::default() },
            audio_before: 0,
            devices: (String::new(), String::new()),
            missing: BTreeMap::new(),
            talk: VecDeque::new(),
            texts_written: 0,
            next_message: 0,
            leaving: None,
            effects: VecDeque::new(),
            entry,
        };
        session.begin(now);
        session
    }

    /// Our name as others see it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Somebody has let us in, or nobody needs to.
    pub fn joined(&self) -> bool {
        self.joined
    }

    /// Something happened.
    pub fn handle_event(&mut self, now: Instant, event: Event) {
        match event {
            Event::Listening(address) => self.listens(now, address),
            Event::Reached(address) => self.learn_own_address(now, address),
            Event::Discovered { peer, via } => self.discovered(now, peer, via),
            Event::DiscoveryFailed(reason) => {
                let message = format!("This network cannot be searched: {reason}.");
                let hint = "People on it will be found only through a link or --bootstrap.".to_owned();
                self.notice(Notice::Warning { code: "no_mdns", message, hint });
            }
            Event::Connected { peer, remote } => self.connected(now, peer, remote),
            Event::Disconnected(peer) => self.disconnected(now, peer),
            Event::DialFailed(peer) => self.dial_failed(now, peer),
            Event::Message { from, bytes, receipt } => self.message(now, from, &bytes, receipt),
            Event::Delivered { to, id } => self.delivered(now, to, id),
            Event::Undelivered { to, id, why } => self.undelivered(now, to, id, why),
            Event::ForeignVersion(peer) => self.foreign_version(peer),
            Event::Description { peer, kind, sdp, number } => self.describe_media(now, peer, kind, sdp, number),
            Event::Candidate { peer, candidate, mid } => self.found_candidate(now, peer, candidate, mid),
            Event::MediaUp { peer, route, setup_ms } => self.media_up(now, peer, route, setup_ms),
            Event::MediaDown { peer, reason } => self.media_down(now, peer, reason),
            Event::StreamUp { peer, route } => self.stream_changed(now, peer, Some(route)),
            Event::StreamDown(peer) => self.stream_changed(now, peer, None),
            Event::Renewed(peer) => self.renewed(now, peer),
            Event::NotListening(address) => self.listens_no_more(address),
            Event::ServersKnown => self.member_ids().into_iter().for_each(|id| self.renewed(now, id)),
            Event::MediaRtt { peer, rtt_ms } => {
                if let Some(member) = self.member_mut(peer) {
                    member.rtt_ms = Some(rtt_ms);
                }
            }
            Event::Audio(report) => self.audio_report(now, report),
            Event::Devices { input, output } => {
                let devices = (text::line(&input, 120), text::line(&output, 120));
                self.found(NO_INPUT, devices.0 != self.devices.0);
                self.found(NO_OUTPUT, devices.1 != self.devices.1);
                if devices != self.devices {
                    self.notice(Notice::Devices { input: devices.0.clone(), output: devices.1.clone() });
                }
                self.devices = devices;
            }
            Event::AudioProblem { code, message, hint } => {
                if [NO_INPUT, NO_OUTPUT].contains(&code) {
                    self.missing.insert(code, Missing { words: format!("{message} {hint}"), is_news: true });
                }
                self.notice(Notice::Warning { code, message, hint });
            }
            Event::Recording(news) => self.recording(now, news),
            Event::Command(command) => self.command(now, command),
        }
        self.tend_sender_key(now);
        self.refresh_number();
    }

    /// Time has passed; see [`poll_timeout`](Self::poll_timeout).
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.next_tick <= now {
            self.next_tick = now + TICK;
            self.tick(now);
        }
        if self.next_second <= now {
            self.next_second = now + Duration::from_secs(1);
            self.every_second(now);
        }
        self.tend_sender_key(now);
        self.refresh_number();
    }

    /// What to do next.
    pub fn poll_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// When to call [`handle_timeout`](Self::handle_timeout).
    pub fn poll_timeout(&self) -> Instant {
        let soonest = self.next_tick.min(self.next_second);
        self.sender_keys.poll_timeout().map_or(soonest, |at| at.min(soonest))
    }

    fn do_this(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    fn audio(&mut self, effect: AudioEffect) {
        self.do_this(Effect::Audio(effect));
    }

    fn notice(&mut self, notice: Notice) {
        self.do_this(Effect::Notice(notice));
    }

    fn end(&mut self, ending: Ending) {
        self.do_this(Effect::Ended(ending));
    }

    /// Devices are told; `is_another`: the one that this code is about is another than before. The first that are told after a
    /// warning are those that take the place of what is missing.
    fn found(&mut self, code: &'static str, is_another: bool) {
        if let Some(missing) = self.missing.get_mut(code)
            && (std::mem::take(&mut missing.is_news) || !is_another)
        {
            return;
        }
        self.missing.remove(code);
    }

    /// Adds to the talk that the screen shows.
    fn talk(&mut self, now: Instant, from: Option<String>, text: String) {
        if self.talk.len() == View::MAX_TALK {
            self.talk.pop_front();
        }
        self.talk.push_back(TalkLine { at: now.saturating_duration_since(self.started), from, text });
    }

    fn post(&mut self, to: TransportId, bytes: Vec<u8>) -> u64 {
        let id = self.next_message;
        self.next_message += 1;
        self.do_this(Effect::Send { to, bytes, id });
        id
    }

    fn member_mut(&mut self, peer: TransportId) -> Option<&mut Member> {
        self.peers.get_mut(&peer)?.member.as_deref_mut()
    }

    fn members(&self) -> impl Iterator<Item = (TransportId, &Member)> {
        self.peers.iter().filter_map(|(id, peer)| Some((*id, peer.member.as_deref()?)))
    }

    /// Who of those here has this id.
    pub fn member(&self, id: &str) -> Option<TransportId> {
        self.members().find(|(member, _)| member.short() == id).map(|(member, _)| member)
    }

    /// How many there are, oneself among them.
    pub fn people(&self) -> usize {
        1 + self.members().count()
    }

    fn member_ids(&self) -> Vec<TransportId> {
        self.members().map(|(id, _)| id).collect()
    }

    /// Seals a signal for a member and sends it; `None` if there is no such member.
    fn tell(&mut self, now: Instant, peer: TransportId, signal: &Signal) {
        let _ = self.tell_numbered(now, peer, signal);
    }

    fn tell_numbered(&mut self, now: Instant, peer: TransportId, signal: &Signal) -> Option<u64> {
        let member = self.peers.get_mut(&peer)?.member.as_deref_mut()?;
        let sealed = match member.channel.seal(now, signal, &mut self.rng) {
            Ok(sealed) => sealed,
            Err(error) => {
                // A channel that cannot seal any more (its counter is used up) is replaced by a new handshake.
                tracing::warn!(%peer, %error, "a message could not be sealed");
                self.initiate(now, peer);
                return None;
            }
        };
        Some(self.post(peer, sealed))
    }
}
