//! A thief takes all that one person holds at one moment, and has recorded every signal and every packet of everybody, from the first
//! to the last: what does it open?
//!
//! A history is played from one seed to its end, and twice to the moment of the theft. What the victim is made of then is taken apart, with
//! its true channels, handshakes, openers and keys: no copy of a secret has to be possible for that.

use super::admission::{knows, link_of};
use super::secrecy::{CHANNEL_HEALED, HEALED, LEAVER, LOST, PAST};
use super::world::World;
use super::*;
use crate::session::peer::Stage;
use rand::RngExt;
use resonance_protocol::channel::SecureChannel;
use resonance_protocol::handshake::{LocalPeer, Responder};
use resonance_protocol::media::{KeyId, Opener, SealedPacket, SenderKey};
use resonance_protocol::peer::TransportId;
use resonance_protocol::signal::Signal;
use std::collections::BTreeMap;
use std::time::Instant;

/// Sessions look at the time this often: what expired since then is still there to be stolen.
const TICK: Duration = Duration::from_millis(100);

/// All that travelled.
#[derive(Default)]
pub struct Tape {
    signals: Vec<Signalled>,
    packets: Vec<Packet>,
}

struct Signalled {
    at: Instant,
    from: usize,
    to: TransportId,
    number: u64,
    bytes: Vec<u8>,
    arrived: Option<Instant>,
}

struct Packet {
    at: Instant,
    from: usize,
    id: KeyId,
    packet: SealedPacket,
}

impl Tape {
    pub fn signal(&mut self, at: Instant, from: usize, to: TransportId, number: u64, bytes: &[u8]) {
        self.signals.push(Signalled { at, from, to, number, bytes: bytes.to_vec(), arrived: None });
    }

    pub fn arrived(&mut self, now: Instant, from: usize, number: u64) {
        let mut newest = self.signals.iter_mut().rev();
        if let Some(signal) = newest.find(|signal| (signal.from, signal.number) == (from, number)) {
            signal.arrived = Some(now);
        }
    }

    pub fn packet(&mut self, at: Instant, from: usize, id: KeyId, packet: &SealedPacket) {
        self.packets.push(Packet { at, from, id, packet: *packet });
    }

    /// Whether this is how the other one begins, byte for byte.
    fn begins(&self, other: &Tape) -> bool {
        let same = |(mine, theirs): (&Signalled, &Signalled)| mine.bytes == theirs.bytes && mine.from == theirs.from;
        let heard = |(mine, theirs): (&Packet, &Packet)| mine.packet.as_slice() == theirs.packet.as_slice();
        self.signals.iter().zip(&other.signals).all(same) && self.packets.iter().zip(&other.packets).all(heard)
    }
}

/// Somebody went, in one way or another.
#[derive(Clone)]
struct Leave {
    /// Steps of the history before it.
    step: usize,
    who: usize,
    at: Instant,
    /// Who was told at once.
    told: Vec<usize>,
    /// Who could not know, and heard the one who went no more.
    missed: Vec<usize>,
}

impl Leave {
    /// When the last came of what it had sent to somebody.
    fn silent_since(&self, history: &History, to: usize) -> Instant {
        let id = history.world.people[to].id;
        let signals = &history.world.tape.as_ref().unwrap().signals;
        let heard = signals.iter().filter(|signal| signal.from == self.who && signal.to == id);
        heard.filter_map(|signal| signal.arrived).max().unwrap_or(self.at).max(self.at)
    }
}

/// A call in which everything happens at random: joins, leaves, kicks, partitions, lost packets, lost and late signals.
struct History {
    world: World,
    rng: StdRng,
    steps: usize,
    leaves: Vec<Leave>,
    /// Who could not reach whom, since when, until when.
    outages: Vec<(usize, usize, Instant, Option<Instant>)>,
}

impl History {
    fn play(began: Instant, seed: u64, steps: usize) -> Self {
        let mut world = World::beginning(began);
        world.tape = Some(Tape::default());
        world.frame = Duration::from_millis(100);
        let (_, link) = world.create("Ada");
        world.join("Bo", &link, &[]);
        world.run(SECOND);
        let rng = StdRng::seed_from_u64(seed);
        let mut history = Self { world, rng, steps: 0, leaves: Vec::new(), outages: Vec::new() };
        while history.steps < steps {
            history.step();
        }
        history
    }

    fn alive(&self) -> Vec<usize> {
        (0..self.world.people.len()).filter(|index| self.world.people[*index].alive).collect()
    }

    fn step(&mut self) {
        let alive = self.alive();
        let (one, other) = (alive[self.rng.random_range(0..alive.len())], alive[self.rng.random_range(0..alive.len())]);
        let many = alive.len() > 2;
        match self.rng.random_range(0..15) {
            0..=3 if alive.len() < 4 => {
                let link = link_of(&self.world, alive[0]);
                self.world.join("P", &link, &alive);
            }
            4 if many => {
                self.leave(one, |world, told| !world.is_cut(one, told));
                self.world.command(one, Command::Quit);
            }
            5 if many => {
                self.leave(one, |_, _| false);
                self.world.kill(one);
            }
            6 if many && one != 0 && alive[0] == 0 && !self.world.is_cut(0, one) && knows(&self.world, 0, one) => {
                self.leave(one, |world, told| told == 0 || !world.is_cut(0, told) && knows(world, 0, told));
                // Who does not hear of it hears the one who was removed no less than before.
                self.leaves.iter_mut().last().unwrap().missed.clear();
                let name = self.world.people[one].id.short();
                self.world.command(0, Command::Kick(name));
            }
            7..=8 if one != other => self.cut(one, other),
            9..=10 => self.heal(),
            11 => self.world.loss = [0.0, 0.05, 0.3, 0.9][self.rng.random_range(0..4)],
            12 => self.spoil(),
            13 => self.world.late = [0.0, 0.05, 0.5][self.rng.random_range(0..3)],
            _ => {}
        }
        self.world.run(Duration::from_millis(self.rng.random_range(100..3_000)));
        self.steps += 1;
    }

    fn leave(&mut self, who: usize, told: impl Fn(&World, usize) -> bool) {
        (self.world.middle, self.world.late) = (None, 0.0);
        let others = self.alive().into_iter().filter(|other| *other != who && knows(&self.world, *other, who));
        let (told, missed) = others.partition(|other| told(&self.world, *other));
        self.leaves.push(Leave { step: self.steps, who, at: self.world.now, told, missed });
    }

    fn cut(&mut self, one: usize, other: usize) {
        if self.world.is_cut(one, other) {
            return;
        }
        self.world.cut.push((one, other));
        self.outages.push((one, other, self.world.now, None));
        if self.rng.random() {
            let ids = [one, other].map(|index| self.world.people[index].id);
            self.world.happen(one, Duration::ZERO, Event::Disconnected(ids[1]));
            self.world.happen(other, Duration::ZERO, Event::Disconnected(ids[0]));
        }
    }

    fn heal(&mut self) {
        self.world.heal();
        for (.., until) in &mut self.outages {
            until.get_or_insert(self.world.now);
        }
    }

    /// From now on somebody on the way alters some signals, or none.
    fn spoil(&mut self) {
        let share = [0.0, 0.0, 0.05, 0.4][self.rng.random_range(0..4)];
        let mut rng = StdRng::seed_from_u64(self.rng.random());
        self.world.middle = Some(Box::new(move |_, _, bytes| {
            if rng.random_bool(share) {
                let at = rng.random_range(1..bytes.len());
                bytes[at] ^= 1;
            }
        }));
    }

    /// When the channel between two has healed from a theft: both were there, and nothing got lost or came late, for two pings and a round trip.
    /// And when no key is handed over any more that a thief could read: not later, and not after one of them was missed.
    fn healed(&self, since: Instant, one: usize, other: usize) -> (Instant, Instant) {
        let gone = self.leaves.iter().filter(|leave| [one, other].contains(&leave.who)).map(|leave| leave.at).min();
        let ids = [one, other].map(|index| self.world.people[index].id);
        let tape = self.world.tape.as_ref().unwrap();
        let between = |signal: &&Signalled| {
            (signal.from == one && signal.to == ids[1]) || (signal.from == other && signal.to == ids[0])
        };
        let between = tape.signals.iter().filter(between);
        let missed = between.filter(|signal| signal.arrived.is_none_or(|at| at > signal.at + TICK));
        let missed = missed.map(|signal| (signal.at, signal.arrived.unwrap_or(signal.at)));
        let pair = |a: usize, b: usize| [a, b] == [one, other] || [b, a] == [one, other];
        let outages = self.outages.iter().filter(|(a, b, ..)| pair(*a, *b));
        let outages = outages.map(|(.., from, until)| (*from, until.unwrap_or(self.world.now)));
        let mut interruptions: Vec<_> = missed.chain(outages).collect();
        interruptions.sort();
        let mut calm = since;
        for (from, until) in interruptions {
            if from >= calm + CHANNEL_HEALED {
                break;
            }
            calm = calm.max(until);
        }
        let healed = calm + CHANNEL_HEALED;
        match gone.filter(|gone| *gone < healed) {
            Some(gone) => (self.world.now, (gone + LOST).clamp(since, healed)),
            None => (healed, healed),
        }
    }
}

/// A channel that was stolen, or the handshake that becomes it.
struct Line {
    other: TransportId,
    /// Opens what comes.
    channel: Option<SecureChannel>,
    handshake: Option<Responder>,
    /// The same channel once more: goes on in the victim's sending chain as the victim does.
    mirror: Option<SecureChannel>,
    /// How the headers of that chain begin.
    chain: Vec<u8>,
}

impl Line {
    /// Bytes of the smallest signals, with which media keys travel.
    const TEXT: usize = 256;
    const TAG: usize = 16;
    /// Kind of the part, DHs, PN.
    const CHAIN: usize = 1 + 32 + 4;

    fn split(message: &[u8]) -> Option<(&[u8], &[u8])> {
        message.split_at_checked(message.len().checked_sub(Self::TEXT + Self::TAG)?)
    }

    fn seal(channel: &mut SecureChannel, now: Instant) -> Option<Vec<u8>> {
        channel.seal(now, &Signal::Ping { id: 0 }, &mut StdRng::seed_from_u64(6)).ok()
    }

    fn new(now: Instant, other: TransportId, mut channel: SecureChannel, mirror: SecureChannel) -> Self {
        let chain = Self::seal(&mut channel, now).map_or(Vec::new(), |sealed| sealed[1..=Self::CHAIN].to_vec());
        Self { other, channel: Some(channel), handshake: None, mirror: Some(mirror), chain }
    }

    fn responding(other: TransportId, handshake: Responder) -> Self {
        Self { other, channel: None, handshake: Some(handshake), mirror: None, chain: Vec::new() }
    }

    /// What the victim sends: its key is made from the chain and the time alone, so who has the chain seals under the same one.
    fn overhears(&mut self, now: Instant, message: &[u8]) -> Option<Signal> {
        let mirror = self.mirror.as_mut().filter(|_| message[1..].starts_with(&self.chain))?;
        let known = Signal::Ping { id: 0 }.write().unwrap();
        let mine = Self::seal(mirror, now)?;
        let ((mine, sealed), (theirs, secret)) = (Self::split(&mine)?, Self::split(message)?);
        if mine != theirs {
            return None;
        }
        let text: Vec<u8> = secret.iter().zip(sealed).zip(known.iter()).map(|((a, b), c)| a ^ b ^ c).collect();
        Signal::parse(&text).ok()
    }

    /// What came to the victim, or should have.
    fn opens(&mut self, now: Instant, local: &LocalPeer<'_>, message: &[u8]) -> Option<Signal> {
        if message[0] == 3
            && let Some(responder) = self.handshake.take()
        {
            self.channel = responder.finish(now, local, message).ok().map(|established| established.channel);
        }
        self.channel.as_mut()?.open(now, message).ok()
    }
}

/// All that one person held, and what was made of it since.
struct Thief {
    at: Instant,
    victim: usize,
    /// As it was at the moment of the theft.
    stolen: World,
    lines: Vec<Line>,
    /// By the keys in the signals that it could read.
    openers: BTreeMap<usize, Vec<Opener>>,
}

/// Counts, to see that there was something to open.
#[derive(Default)]
struct Counts {
    thefts: u64,
    signals: u64,
    packets: u64,
    opened: u64,
    latest: Duration,
    oldest: Duration,
    wrong: Vec<String>,
}

impl Counts {
    fn claim(&mut self, holds: bool, otherwise: impl FnOnce() -> String) {
        if !holds {
            self.wrong.push(otherwise());
        }
    }
}

impl Thief {
    /// `again` is another copy of the same moment.
    fn steal([mut stolen, mut again]: [World; 2], victim: usize) -> Self {
        let (at, mut lines) = (stolen.now, Vec::new());
        let peers = std::mem::take(&mut stolen.people[victim].session.peers);
        for (other, peer) in peers {
            let same = again.people[victim].session.peers.remove(&other).unwrap();
            let members = peer.member.zip(same.member).map(|(one, two)| (one.channel, two.channel));
            let doors = peer.door.zip(same.door).map(|(one, two)| (one.channel, two.channel));
            for (channel, mirror) in members.into_iter().chain(doors) {
                lines.push(Line::new(at, other, channel, mirror));
            }
            match peer.attempt.zip(same.attempt).map(|(one, two)| (one.stage, two.stage)) {
                Some((Stage::Confirming { established, .. }, Stage::Confirming { established: same, .. })) => {
                    lines.push(Line::new(at, other, established.channel, same.channel));
                }
                Some((Stage::Responding(responder), _)) => lines.push(Line::responding(other, responder)),
                _ => {}
            }
        }
        Self { at, victim, stolen, lines, openers: BTreeMap::new() }
    }

    /// Opens all signals that can be; gives their numbers on the tape.
    fn read(&mut self, all: &World, tape: &Tape) -> Vec<usize> {
        let (mut opened, mut keys) = (Vec::new(), Vec::new());
        let sent_before = self.stolen.tape.as_ref().unwrap().signals.len();
        let session = &self.stolen.people[self.victim].session;
        let (me, session_id) = (session.me, session.keys.session_id);
        let local = LocalPeer { identity: &session.identity, transport: me, name: &session.name };
        for (number, signal) in tape.signals.iter().enumerate() {
            let sent = signal.from == self.victim;
            // A thief forgets nothing of what was there.
            let now = if number < sent_before { self.at - TICK } else { signal.at };
            let other = if sent { signal.to } else { all.people[signal.from].id };
            let mut lines = self.lines.iter_mut().filter(|line| line.other == other && (sent || signal.to == me));
            let read = lines.find_map(|line| match sent {
                true => line.overhears(now, &signal.bytes),
                false => line.opens(now, &local, &signal.bytes),
            });
            let Some(read) = read else { continue };
            opened.push(number);
            if let Signal::MediaKey(key) = read {
                keys.push((signal.from, key));
            }
        }
        for (from, key) in keys {
            let sender = all.people[from].session.identity.public().fingerprint();
            let mut opener = Opener::new();
            opener.install(self.at, &SenderKey::from_signal(&key).opening_key(&session_id, &sender));
            self.openers.entry(from).or_default().push(opener);
        }
        opened
    }

    /// Whether a packet can be opened: with what was held, or by the key in a signal that could be opened.
    fn opens(&mut self, packet: &Packet) -> bool {
        let known = packet.from < self.stolen.people.len();
        let (at, openers) = (self.at, self.openers.get_mut(&packet.from));
        known && self.stolen.could_open(self.victim, packet.from, packet.id)
            || openers.into_iter().flatten().any(|opener| opener.open(at, &packet.packet, &mut [0; 64]).is_ok())
    }

    fn judge(mut self, history: &History, seed: u64, leave: Option<&Leave>, counts: &mut Counts) {
        let (at, victim, tape) = (self.at, self.victim, history.world.tape.as_ref().unwrap());
        assert!(self.stolen.tape.as_ref().unwrap().begins(tape), "seed {seed}: both histories are one");
        let joined = self.stolen.people[victim].joined;
        let people = 0..self.stolen.people.len();
        let healed: Vec<_> = people.clone().map(|other| history.healed(at, victim, other)).collect();
        let others = people.filter(|other| *other != victim).map(|other| healed[other].1);
        let all_healed = others.max().unwrap_or(at);
        let who = |from: usize| format!("seed {seed}: from {from} to the thief of {victim}");
        counts.thefts += 1;
        for number in self.read(&history.world, tape) {
            let signal = &tape.signals[number];
            counts.signals += 1;
            if signal.at < at {
                let age = at - signal.at;
                counts.claim(age <= PAST, || format!("{}: a signal {age:?} old", who(signal.from)));
            } else {
                let other = history.world.people.iter().position(|person| person.id == signal.to).unwrap();
                let other = if signal.from == victim { other } else { signal.from };
                let healed = healed.get(other).map_or(at, |(channel, _)| *channel);
                counts.claim(signal.at <= healed, || {
                    format!("{}: a signal {:?} later", who(signal.from), signal.at - at)
                });
            }
        }
        for packet in &tape.packets {
            counts.packets += 1;
            if !self.opens(packet) {
                continue;
            }
            counts.opened += 1;
            let (from, id) = (packet.from, packet.id);
            counts.claim(packet.at >= joined, || format!("{}: {id} is from before it came", who(from)));
            if packet.at <= at {
                let age = at - packet.at;
                counts.claim(age <= PAST, || format!("{}: {id} is {age:?} old", who(from)));
                counts.oldest = counts.oldest.max(age);
                continue;
            }
            let late = packet.at - at;
            let healed = if from == victim { all_healed } else { healed.get(from).map_or(at, |(_, keys)| *keys) };
            let bound = (healed - at) + (HEALED - CHANNEL_HEALED);
            counts.claim(late <= bound, || format!("{}: {id} is {late:?} later, bound {bound:?}", who(from)));
            counts.latest = counts.latest.max(late);
            if let Some(leave) = leave {
                let bound = match (leave.told.contains(&from), leave.missed.contains(&from)) {
                    (true, _) => LEAVER + Duration::from_millis(10),
                    (_, true) => LOST + LEAVER,
                    _ => continue,
                };
                let left = packet.at.saturating_duration_since(leave.silent_since(history, from));
                counts.claim(left <= bound, || format!("{}: {id} {left:?} after it left", who(from)));
            }
        }
    }
}

fn histories(seeds: std::ops::Range<u64>) {
    const STEPS: usize = 70;
    let (mut counts, began) = (Counts::default(), Instant::now());
    for seed in seeds {
        let history = History::play(began, seed, STEPS);
        let until = |steps| [(); 2].map(|()| History::play(began, seed, steps).world);
        let mut rng = StdRng::seed_from_u64(!seed);
        let stolen = until(rng.random_range(4..STEPS - 25));
        let alive: Vec<_> = (0..stolen[0].people.len()).filter(|index| stolen[0].people[*index].alive).collect();
        let victim = alive[rng.random_range(0..alive.len())];
        Thief::steal(stolen, victim).judge(&history, seed, None, &mut counts);
        if !history.leaves.is_empty() {
            let leave = &history.leaves[rng.random_range(0..history.leaves.len())];
            Thief::steal(until(leave.step), leave.who).judge(&history, seed, Some(leave), &mut counts);
        }
    }
    #[allow(clippy::print_stdout, reason = "figures for whoever runs it with --nocapture")]
    {
        println!(
            "{} thefts, {} claims broken: {} signals and {} of {} packets open; {:?} the oldest, {:?} the latest",
            counts.thefts,
            counts.wrong.len(),
            counts.signals,
            counts.opened,
            counts.packets,
            counts.oldest,
            counts.latest
        );
    }
    assert!(counts.wrong.is_empty(), "{:#?}", &counts.wrong[..counts.wrong.len().min(20)]);
    assert!(counts.signals > counts.thefts && counts.opened > 100 * counts.thefts, "the attack is a real one");
}

#[test]
fn a_whole_stolen_state_and_a_recording_of_everything_open_what_is_claimed_and_no_more() {
    histories(0..20);
}

#[test]
#[ignore = "2,000 histories, each played up to five times; make deep runs it"]
fn a_whole_stolen_state_opens_no_more_than_is_claimed_in_thousands_of_histories() {
    histories(10_000..12_000);
}
