//! Sessions in one virtual-time world: a network that carries their messages in order of time, and ears that open packets.

mod sound;

use super::ear::Ear;
use super::thief::Tape;
use crate::command::Command;
use crate::session::effect::{Effect, Ending};
use crate::session::event::{Description, Event, Undelivered};
use crate::session::notice::Notice;
use crate::session::path::{Route, Way};
use crate::session::{Config, Entry, Session};
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};
use resonance_protocol::contacts::ContactBook;
use resonance_protocol::identity::{AuthorityKey, IdentityKey};
use resonance_protocol::link::Link;
use resonance_protocol::media::{HopSealer, KeyId, Sealer};
use resonance_protocol::peer::{Address, Listener, Transport, TransportId};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

/// One way through the virtual network.
const DELAY: Duration = Duration::from_millis(5);

/// A channel takes messages that are not later than this.
pub const LATE: Duration = Duration::from_millis(6_500);

/// Seconds since 1970 when the world begins.
pub const UNIX_TIME: u64 = 1_800_000_000;

pub struct Person {
    pub session: Session<StdRng>,
    pub id: TransportId,
    pub notices: Vec<Notice>,
    pub ended: Option<Ending>,
    pub alive: bool,
    /// What the session wanted kept last.
    pub contacts: Option<ContactBook>,
    pub joined: Instant,
    sealer: Option<Box<Sealer>>,
    ears: BTreeMap<TransportId, Ear>,
    media: BTreeMap<TransportId, bool>,
    hops: BTreeMap<TransportId, HopSealer>,
    /// To whom streams are open, and to whom is sent by them.
    streams: [BTreeSet<TransportId>; 2],
}

pub type Middle = Box<dyn FnMut(usize, usize, &mut Vec<u8>)>;

pub struct World {
    pub now: Instant,
    began: Instant,
    pub people: Vec<Person>,
    /// Pairs that cannot reach each other, by number.
    pub cut: Vec<(usize, usize)>,
    /// Every byte of signalling that travelled.
    pub wire: Vec<u8>,
    /// Of every message who sent it, and its kind.
    pub wire_log: Vec<(usize, u8)>,
    /// A recording of everything, if there is to be one.
    pub tape: Option<Tape>,
    /// Somebody on the way, who sees (from, to, message) and may change it.
    pub middle: Option<Middle>,
    /// Everyone seals a packet this often.
    pub frame: Duration,
    /// Whether connections for media can be had; without, there are streams only.
    pub udp: bool,
    /// Share of packets that are lost.
    pub loss: f64,
    /// Share of sealed signals that come later, and how much at most.
    pub late: f64,
    pub lateness: Duration,
    /// Acknowledgements come back.
    pub acknowledged: bool,
    /// Receipts that were acknowledged and that no message of anybody here had.
    pub strays: BTreeSet<u64>,
    /// Who sealed with which key, first and last when.
    pub sealed: BTreeMap<(usize, KeyId), (Instant, Instant)>,
    /// Every key that was handed over: when, by whom, to whom.
    pub handed_over: Vec<(Instant, usize, usize, KeyId)>,
    chance: StdRng,
    queue: BTreeMap<(Instant, u64), (usize, Event)>,
    receipts: BTreeMap<u64, (usize, usize, u64)>,
    /// The next person's kept identity: the seed of its key, and whom it knows.
    pub next: Option<(u64, ContactBook)>,
    /// Whether the next person listens anywhere.
    pub listens: bool,
    serial: u64,
    next_frame: Instant,
}

impl World {
    pub fn new() -> Self {
        Self::beginning(Instant::now())
    }

    pub fn beginning(now: Instant) -> Self {
        Self {
            now,
            began: now,
            people: Vec::new(),
            cut: Vec::new(),
            wire: Vec::new(),
            wire_log: Vec::new(),
            tape: None,
            middle: None,
            frame: Duration::from_millis(20),
            udp: true,
            loss: 0.0,
            late: 0.0,
            lateness: LATE,
            acknowledged: true,
            strays: BTreeSet::new(),
            sealed: BTreeMap::new(),
            handed_over: Vec::new(),
            chance: StdRng::seed_from_u64(4),
            queue: BTreeMap::new(),
            receipts: BTreeMap::new(),
            next: None,
            listens: true,
            serial: 0,
            next_frame: now,
        }
    }

    /// Where person number `index` can be dialled.
    pub fn address(index: usize) -> Address {
        Address {
            ip: IpAddr::V4(Ipv4Addr::LOCALHOST),
            port: 1_000 + index as u16,
            transport: Transport::Tcp,
            listener: Listener::Peer,
        }
    }

    fn rng(&self) -> StdRng {
        StdRng::seed_from_u64(1_000 + self.people.len() as u64)
    }

    fn add(&mut self, name: &str, entry: Entry, id: TransportId, bootstrap: Vec<Address>) -> usize {
        let (seed, contacts) = self.next.take().unzip();
        let identity = match seed {
            Some(seed) => IdentityKey::generate(&mut StdRng::seed_from_u64(seed)),
            None => IdentityKey::generate(&mut self.rng()),
        };
        self.add_as(identity, contacts, name, entry, id, bootstrap)
    }

    fn add_as(
        &mut self,
        identity: IdentityKey,
        contacts: Option<ContactBook>,
        name: &str,
        entry: Entry,
        id: TransportId,
        bootstrap: Vec<Address>,
    ) -> usize {
        let rng = self.rng();
        let bootstrap = bootstrap.into_iter().map(|address| (None, address)).collect();
        let config = Config {
            entry,
            contacts,
            unix_time: UNIX_TIME + self.now.duration_since(self.began).as_secs(),
            me: id,
            identity,
            name: name.to_owned(),
            bootstrap,
        };
        let index = self.people.len();
        self.people.push(Person {
            session: Session::new(config, self.now, rng),
            id,
            notices: Vec::new(),
            ended: None,
            alive: true,
            contacts: None,
            joined: self.now,
            sealer: None,
            ears: BTreeMap::new(),
            media: BTreeMap::new(),
            hops: BTreeMap::new(),
            streams: [BTreeSet::new(), BTreeSet::new()],
        });
        if self.listens {
            self.happen(index, Duration::ZERO, Event::Listening(Self::address(index)));
        }
        self.settle(index);
        index
    }

    fn fresh_id(&self) -> TransportId {
        let mut bytes = [0; 32];
        StdRng::seed_from_u64(77 + self.people.len() as u64).fill_bytes(&mut bytes);
        TransportId::from_bytes(bytes)
    }

    pub fn create(&mut self, name: &str) -> (usize, Link) {
        self.create_for_a_time(name, 0)
    }

    pub fn create_for_a_time(&mut self, name: &str, expires: u64) -> (usize, Link) {
        let (id, mut rng) = (self.fresh_id(), self.rng());
        let authority = Box::new(AuthorityKey::generate(&mut rng));
        let link = Link::create(id, authority.hash(), expires, vec![Self::address(self.people.len())], &mut rng);
        let index = self.add(name, Entry::Create { link: Box::new(link.clone()), authority }, id, vec![]);
        (index, link)
    }

    pub fn join(&mut self, name: &str, link: &Link, bootstrap: &[usize]) -> usize {
        let entry = Entry::Join(Box::new(link.clone()));
        let bootstrap = bootstrap.iter().map(|index| Self::address(*index)).collect();
        self.add(name, entry, self.fresh_id(), bootstrap)
    }

    /// Joins by the identity of somebody who is or was here, from another process.
    pub fn join_again(&mut self, name: &str, link: &Link, who: usize) -> usize {
        let identity = IdentityKey::generate(&mut StdRng::seed_from_u64(1_000 + who as u64));
        self.add_as(identity, None, name, Entry::Join(Box::new(link.clone())), self.fresh_id(), vec![])
    }

    /// The authority key of somebody who made a session.
    pub fn authority_of(&self, index: usize) -> AuthorityKey {
        AuthorityKey::generate(&mut StdRng::seed_from_u64(1_000 + index as u64))
    }

    /// These reach only each other from now on.
    pub fn part(&mut self, island: &[usize]) {
        for (a, b) in self.pairs() {
            if island.contains(&a) != island.contains(&b) && !self.is_cut(a, b) {
                self.cut.push((a, b));
                let (of_a, of_b) = (self.people[a].id, self.people[b].id);
                self.happen(a, DELAY, Event::Disconnected(of_b));
                self.happen(b, DELAY, Event::Disconnected(of_a));
            }
        }
    }

    /// Everyone who was cut off from somebody is connected again.
    pub fn heal(&mut self) {
        for (a, b) in std::mem::take(&mut self.cut) {
            let (of_a, of_b) = (self.people[a].id, self.people[b].id);
            self.happen(a, Duration::ZERO, Event::Connected { peer: of_b, remote: None });
            self.happen(b, Duration::ZERO, Event::Connected { peer: of_a, remote: None });
        }
    }

    fn pairs(&self) -> Vec<(usize, usize)> {
        let alive: Vec<_> = (0..self.people.len()).filter(|index| self.people[*index].alive).collect();
        alive.iter().flat_map(|a| alive.iter().filter(move |b| a < b).map(move |b| (*a, *b))).collect()
    }

    pub fn lan(&mut self, name: &str, room: &str) -> usize {
        self.add(name, Entry::Lan(room.to_owned()), self.fresh_id(), vec![])
    }

    pub fn happen(&mut self, index: usize, after: Duration, event: Event) {
        self.serial += 1;
        self.queue.insert((self.now + after, self.serial), (index, event));
    }

    pub fn command(&mut self, index: usize, command: Command) {
        let now = self.now;
        self.people[index].session.handle_event(now, Event::Command(command));
        self.settle(index);
    }

    /// The process is gone from one moment to the next.
    pub fn kill(&mut self, index: usize) {
        self.people[index].alive = false;
        let id = self.people[index].id;
        for other in 0..self.people.len() {
            self.people[other].media.remove(&id);
            self.happen(other, DELAY, Event::Disconnected(id));
        }
    }

    pub fn run(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            let due = self.people.iter().filter(|p| p.alive).map(|p| p.session.poll_timeout()).min();
            let queued = self.queue.keys().next().map(|(at, _)| *at);
            let next = [due, queued, Some(self.next_frame), Some(end)].into_iter().flatten().min().unwrap_or(end);
            self.now = self.now.max(next);
            if self.next_frame <= self.now {
                self.next_frame = self.now + self.frame;
                self.speak();
            }
            while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let (index, event) = entry.remove();
                if self.people[index].alive {
                    self.people[index].session.handle_event(self.now, event);
                    self.settle(index);
                }
            }
            for index in 0..self.people.len() {
                if self.people[index].alive {
                    self.people[index].session.handle_timeout(self.now);
                    self.settle(index);
                }
            }
        }
    }

    /// Whether a thief, who has stolen all that `victim` holds at this moment, could open what `from` seals with that key.
    pub fn could_open(&self, victim: usize, from: usize, id: KeyId) -> bool {
        let person = &self.people[victim];
        if victim == from {
            let sealing = person.sealer.as_ref().map(|sealer| sealer.id());
            let opens = |held: KeyId| held.generation() == id.generation() && held.step() <= id.step();
            return person.session.sender_keys.held().chain(sealing).any(opens);
        }
        person.ears.get(&self.people[from].id).is_some_and(|ear| ear.opener.holds(id))
    }

    pub fn opened(&self, by: usize, from: usize) -> u64 {
        self.people[by].ears.get(&self.people[from].id).map_or(0, |ear| ear.opened)
    }

    pub fn refused(&self, by: usize, from: usize) -> u64 {
        self.people[by].ears.get(&self.people[from].id).map_or(0, |ear| ear.refused)
    }

    pub fn is_cut(&self, a: usize, b: usize) -> bool {
        self.cut.contains(&(a, b)) || self.cut.contains(&(b, a))
    }

    fn find(&self, id: TransportId) -> Option<usize> {
        self.people.iter().position(|person| person.id == id && person.alive)
    }

    fn settle(&mut self, index: usize) {
        while let Some(effect) = self.people[index].session.poll_effect() {
            self.perform(index, effect);
        }
    }

    fn perform(&mut self, index: usize, effect: Effect) {
        let me = self.people[index].id;
        match effect {
            Effect::Dial { peer, addresses } => {
                let by_address = addresses.iter().map(|address| usize::from(address.port) - 1_000);
                let target = by_address.chain(peer.and_then(|id| self.find(id))).find(|target| {
                    let there = self.people.get(*target).filter(|person| person.alive);
                    there.is_some_and(|person| peer.is_none_or(|id| id == person.id)) && !self.is_cut(index, *target)
                });
                match target {
                    Some(target) => {
                        let remote = Some(Self::address(target));
                        self.happen(index, DELAY, Event::Connected { peer: self.people[target].id, remote });
                        self.happen(target, DELAY, Event::Connected { peer: me, remote: None });
                    }
                    None => self.happen(index, DELAY, Event::DialFailed(peer)),
                }
            }
            Effect::Send { to, mut bytes, id } => {
                self.wire.extend_from_slice(&bytes);
                self.wire_log.push((index, bytes[0]));
                self.tape.iter_mut().for_each(|tape| tape.signal(self.now, index, to, id, &bytes));
                match self.find(to).filter(|target| !self.is_cut(index, *target)) {
                    Some(target) => {
                        if let Some(middle) = &mut self.middle {
                            middle(index, target, &mut bytes);
                        }
                        self.serial += 1;
                        let receipt = self.serial;
                        self.receipts.insert(receipt, (index, target, id));
                        let late = bytes[0] == 4 && self.late > 0.0 && self.chance.random_bool(self.late);
                        let delay = if late { self.chance.random_range(DELAY..self.lateness) } else { DELAY };
                        self.happen(target, delay, Event::Message { from: me, bytes, receipt });
                    }
                    None => self.happen(index, DELAY, Event::Undelivered { to, id, why: Undelivered::Unreachable }),
                }
            }
            Effect::Acknowledge(receipt) => match self.receipts.remove(&receipt) {
                Some((sender, target, id)) => {
                    self.tape.iter_mut().for_each(|tape| tape.arrived(self.now, sender, id));
                    let to = self.people[target].id;
                    let lost = Event::Undelivered { to, id, why: Undelivered::Refused };
                    let arrived = if self.acknowledged { Event::Delivered { to, id } } else { lost };
                    self.happen(sender, DELAY, arrived);
                }
                None => {
                    self.strays.insert(receipt);
                }
            },
            Effect::Refuse(receipt) => {
                if let Some((sender, target, id)) = self.receipts.remove(&receipt) {
                    let to = self.people[target].id;
                    self.happen(sender, DELAY, Event::Undelivered { to, id, why: Undelivered::Refused });
                }
            }
            Effect::OpenMedia { peer, number, .. } => self.happen(
                index,
                DELAY,
                Event::Description { peer, kind: Description::Offer, sdp: "fingerprint of the offer".into(), number },
            ),
            Effect::AcceptOffer { peer, sdp, number } => {
                assert_eq!(sdp, "fingerprint of the offer");
                let sdp = "fingerprint of the answer".into();
                self.happen(index, DELAY, Event::Description { peer, kind: Description::Answer, sdp, number });
            }
            Effect::AcceptAnswer { peer, sdp } => {
                assert_eq!(sdp, "fingerprint of the answer");
                if let Some(other) = self.find(peer).filter(|other| self.udp && !self.is_cut(index, *other)) {
                    self.connect_media(index, other);
                    self.connect_media(other, index);
                }
            }
            Effect::CloseMedia(peer) => {
                self.people[index].media.remove(&peer);
                self.people[index].streams[0].remove(&peer);
            }
            Effect::Stream { peer, on: true } => {
                self.people[index].streams[0].insert(peer);
                let route = Route { way: Way::Direct, local: "stream", remote: "stream" };
                self.happen(index, DELAY, Event::StreamUp { peer, route });
            }
            Effect::Stream { peer, on: false } => {
                self.people[index].streams[0].remove(&peer);
                self.happen(index, DELAY, Event::StreamDown(peer));
            }
            Effect::Renew { peer, .. } => {
                if let Some(other) = self.find(peer).filter(|other| !self.is_cut(index, *other)) {
                    self.happen(index, DELAY, Event::Renewed(peer));
                    self.happen(other, DELAY, Event::Renewed(me));
                }
            }
            Effect::Audio(effect) => self.hear(index, effect),
            Effect::KeepContacts(contacts) => self.people[index].contacts = Some(*contacts),
            Effect::Notice(notice) => self.people[index].notices.push(notice),
            Effect::Ended(ending) => {
                let person = &mut self.people[index];
                person.ended = person.ended.take().or(Some(ending));
                person.alive = false;
            }
            Effect::AddCandidate { .. } | Effect::Disconnect(_) | Effect::Meet { .. } => {}
        }
    }
}
