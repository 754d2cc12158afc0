//! Finding peers and getting acquainted with them: dialling, the handshake, who initiates.

use super::effect::{Effect, Ending};
use super::event::Undelivered;
use super::notice::Notice;
use super::peer::{Attempt, Door, Entrance, Peer, Side, Stage};
use super::{Entry, JOIN_PATIENCE, MAX_PEERS, Session};
use rand::CryptoRng;
use resonance_protocol::handshake::{Established, Initiator, LocalPeer, Responder, initiates};
use resonance_protocol::message::MessageKind;
use resonance_protocol::peer::{Address, TransportId};
use resonance_protocol::signal::Signal;
use std::time::{Duration, Instant};

/// A handshake must be done by then.
const HANDSHAKE_PATIENCE: Duration = Duration::from_secs(10);

/// Handshakes under way at once: each costs three Diffie–Hellman operations and some kilobytes.
const MAX_ATTEMPTS: usize = 16;

/// Messages of one handshake that are sent again because their connection broke.
const MAX_REPEATS: u32 = 4;

/// First messages that may go unanswered before a peer is taken to be of another session.
const MAX_REFUSALS: u32 = 2;

/// Handshakes that may fail with somebody found in the distributed hash table, where anybody can be found.
const MAX_FAILURES_OF_FOUND: u32 = 2;

impl<R: CryptoRng> Session<R> {
    /// Dials whom the entry names.
    pub(super) fn begin(&mut self, now: Instant) {
        let mut dials: Vec<(Option<TransportId>, Vec<Address>)> =
            self.bootstrap.iter().map(|(peer, address)| (*peer, vec![*address])).collect();
        match &self.entry {
            Entry::Create { link, .. } => self.notice(Notice::Created { link: Some(link.to_text()), room: None }),
            Entry::Lan(room) => self.notice(Notice::Created { link: None, room: Some(room.clone()) }),
            Entry::Join(link) => dials.push((Some(link.host), link.hints.clone())),
        }
        self.meet(now);
        for (peer, addresses) in dials {
            match peer {
                Some(id) if id != self.me => {
                    if self.want(now, id, "hint") {
                        self.learn_addresses(id, addresses.iter().copied());
                        self.do_this(Effect::Dial { peer, addresses });
                    }
                }
                Some(_) => {}
                None => self.do_this(Effect::Dial { peer: None, addresses }),
            }
        }
    }

    /// Takes note of a peer that should be in the session; false when it is not a new one or there is no room for more.
    pub(super) fn want(&mut self, now: Instant, id: TransportId, via: &'static str) -> bool {
        if id == self.me || (!self.peers.contains_key(&id) && self.peers.len() >= MAX_PEERS) {
            return false;
        }
        let peer = self.peers.entry(id).or_insert_with(|| Peer::new(via));
        let new = !peer.wanted && peer.member.is_none();
        if new {
            peer.wanted = true;
            peer.via = via;
            peer.retry_at = Some(now + Duration::from_secs(3));
            if via != "hint" {
                self.notice(Notice::PeerFound { peer: id.short(), via });
            }
        }
        new
    }

    /// True when something was new.
    pub(super) fn learn_addresses(&mut self, id: TransportId, addresses: impl IntoIterator<Item = Address>) -> bool {
        self.peers.get_mut(&id).is_some_and(|peer| peer.learn(addresses))
    }

    pub(super) fn discovered(&mut self, now: Instant, id: TransportId, via: &'static str) {
        if self.want(now, id, via) {
            match self.peers.get(&id) {
                Some(peer) if peer.connected => self.initiate(now, id),
                _ => self.do_this(Effect::Dial { peer: Some(id), addresses: Vec::new() }),
            }
            return;
        }
        // The host was wanted all along; now it is known where it is, by other means than its link's hints.
        let nowhere = |peer: &&mut Peer| peer.via == "hint" && !peer.connected && peer.member.is_none();
        if let Some(peer) = self.peers.get_mut(&id).filter(nowhere) {
            peer.via = via;
            self.notice(Notice::PeerFound { peer: id.short(), via });
        }
    }

    pub(super) fn connected(&mut self, now: Instant, id: TransportId, remote: Option<Address>) {
        if !self.peers.contains_key(&id) {
            if self.peers.len() >= MAX_PEERS {
                return;
            }
            self.peers.insert(id, Peer::new(""));
        }
        if remote.is_some_and(|at| self.bootstrap.iter().any(|(_, address)| *address == at)) {
            self.want(now, id, "hint");
        }
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.connected = true;
        peer.seen_at = remote.map(|address| address.ip).or(peer.seen_at);
        let found = peer.wanted && peer.via == "hint" && peer.member.is_none();
        if let Some(member) = peer.member.as_deref_mut() {
            // What was sent while the connection was gone may be lost.
            member.resend_at = Some(now);
            self.renewed(now, id);
            return;
        }
        let wanted = peer.wanted && peer.door.is_none();
        if found {
            self.notice(Notice::PeerFound { peer: id.short(), via: "hint" });
        }
        if wanted {
            self.initiate(now, id);
        }
    }

    pub(super) fn disconnected(&mut self, now: Instant, id: TransportId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.connected = false;
        peer.attempt = None;
        self.door_lost(now, id);
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if peer.wanted || peer.member.is_some() {
            peer.retry_at = Some(now + Duration::from_millis(500));
        }
        if peer.is_forgettable() {
            self.peers.remove(&id);
        }
    }

    pub(super) fn dial_failed(&mut self, now: Instant, id: Option<TransportId>) {
        if let Some(peer) = id.and_then(|id| self.peers.get_mut(&id)).filter(|peer| !peer.connected) {
            peer.back_off(now);
        }
    }

    fn attempts(&self) -> usize {
        self.peers.values().filter(|peer| peer.attempt.is_some()).count()
    }

    /// Sends handshake message 1, unless a handshake is already under way.
    pub(super) fn initiate(&mut self, now: Instant, id: TransportId) {
        let busy = self.attempts() >= MAX_ATTEMPTS;
        let Some(peer) = self.peers.get_mut(&id) else { return };
        if peer.attempt.is_some() {
            return;
        }
        if busy {
            peer.retry_at = Some(now + Duration::from_secs(1));
            return;
        }
        let local = LocalPeer { identity: &self.identity, transport: self.me, name: &self.name };
        let Ok((initiator, message1)) = Initiator::start(&self.keys, &local, id, &mut self.rng) else { return };
        let message = self.post(id, message1);
        self.set_attempt(now, id, Stage::Initiating { initiator, message });
    }

    fn set_attempt(&mut self, now: Instant, id: TransportId, stage: Stage) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.attempt =
                Some(Attempt { deadline: now + HANDSHAKE_PATIENCE, under_way: Vec::new(), repeats: 0, stage });
        }
    }

    /// Sends a message of a handshake, and again while the handshake lasts should its connection break: of several that are dialled at
    /// once all but one are given up, and what was on its way by those is gone.
    fn post_until_delivered(&mut self, to: TransportId, bytes: Vec<u8>) {
        let id = self.post(to, bytes.clone());
        if let Some(attempt) = self.peers.get_mut(&to).and_then(|peer| peer.attempt.as_mut()) {
            attempt.under_way.push((id, bytes));
        }
    }

    /// A message was not delivered: gives it to be sent again, if it belongs to a handshake under way and was not repeated too often.
    fn lost_on_the_way(&mut self, to: TransportId, id: u64) -> Option<Vec<u8>> {
        let attempt = self.peers.get_mut(&to)?.attempt.as_mut()?;
        let at = attempt.under_way.iter().position(|(under_way, _)| *under_way == id)?;
        let (_, bytes) = attempt.under_way.swap_remove(at);
        attempt.repeats += 1;
        (attempt.repeats <= MAX_REPEATS).then_some(bytes)
    }

    /// A signalling message came in: it is acknowledged if it was what it should be, else it gets no answer.
    pub(super) fn message(&mut self, now: Instant, from: TransportId, bytes: &[u8], receipt: u64) {
        let accepted = match MessageKind::of(bytes) {
            Some(MessageKind::Handshake1) => self.first_message(now, from, bytes),
            Some(MessageKind::Handshake2) => self.second_message(now, from, bytes),
            Some(MessageKind::Handshake3) => self.third_message(now, from, bytes),
            Some(MessageKind::Channel) => self.channel_message(now, from, bytes),
            None => None,
        };
        if accepted.is_none() {
            tracing::debug!(peer = %from, "a message was refused");
        }
        self.do_this(if accepted.is_some() { Effect::Acknowledge(receipt) } else { Effect::Refuse(receipt) });
    }

    fn first_message(&mut self, now: Instant, from: TransportId, message: &[u8]) -> Option<()> {
        let attempts = self.attempts();
        let attempt = self.peers.get(&from)?.attempt.as_ref();
        // Glare: both sent message 1; the smaller peer ID initiates, the other's attempt is dropped.
        let ours_goes_on = attempt.is_some_and(|attempt| {
            matches!(attempt.stage, Stage::Initiating { .. } | Stage::Confirming { initiated: true, .. })
        });
        if (ours_goes_on && initiates(&self.me, &from)) || (attempt.is_none() && attempts >= MAX_ATTEMPTS) {
            return None;
        }
        let seen_at = self.peers.get(&from)?.seen_at;
        if !self.allowance.take(now, from, seen_at) {
            return None;
        }
        let local = LocalPeer { identity: &self.identity, transport: self.me, name: &self.name };
        let (responder, message2) = Responder::answer(&self.keys, &local, from, message, &mut self.rng).ok()?;
        self.set_attempt(now, from, Stage::Responding(responder));
        self.post_until_delivered(from, message2);
        if let Some(peer) = self.peers.get_mut(&from) {
            // It belongs here: what it refused before was one of two attempts that crossed.
            peer.refusals = 0;
        }
        Some(())
    }

    fn second_message(&mut self, now: Instant, from: TransportId, message: &[u8]) -> Option<()> {
        let peer = self.peers.get_mut(&from)?;
        let attempt = peer.attempt.take_if(|attempt| matches!(attempt.stage, Stage::Initiating { .. }))?;
        let Stage::Initiating { initiator, .. } = attempt.stage else { return None };
        let local = LocalPeer { identity: &self.identity, transport: self.me, name: &self.name };
        match initiator.finish(now, &local, message, &mut self.rng) {
            Ok((message3, established)) => {
                let message3 = self.post(from, message3);
                let established = Box::new(established);
                self.set_attempt(now, from, Stage::confirming(established, Some(message3)));
                Some(())
            }
            Err(_) => {
                self.attempt_failed(now, from);
                None
            }
        }
    }

    fn third_message(&mut self, now: Instant, from: TransportId, message: &[u8]) -> Option<()> {
        let peer = self.peers.get_mut(&from)?;
        let attempt = peer.attempt.take_if(|attempt| matches!(attempt.stage, Stage::Responding(_)))?;
        let Stage::Responding(responder) = attempt.stage else { return None };
        let local = LocalPeer { identity: &self.identity, transport: self.me, name: &self.name };
        let established = Box::new(responder.finish(now, &local, message).ok()?);
        self.set_attempt(now, from, Stage::confirming(established, None));
        self.greet(now, from);
        Some(())
    }

    /// Sends the first message through a new channel: it proves our keys, and tells who may not come in that it may not, or has to wait.
    pub(super) fn greet(&mut self, now: Instant, id: TransportId) {
        let confirming = |peer: &Peer| match &peer.attempt {
            Some(Attempt { stage: Stage::Confirming { established, greeted: None, .. }, .. }) => {
                Some((established.identity, established.name.clone()))
            }
            _ => None,
        };
        let Some((identity, name)) = self.peers.get(&id).and_then(confirming) else { return };
        let entrance = self.entrance(now, id, &identity);
        let signal = match entrance {
            Entrance::Open => self.state(),
            Entrance::Knock => Signal::Knock { transport: id, identity, name: name.clone() },
            Entrance::TurnedAway(reason) => Signal::Bye { reason },
        };
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let Some(Attempt { stage: Stage::Confirming { established, greeted, .. }, .. }) = &mut peer.attempt else {
            return;
        };
        *greeted = Some(entrance);
        let Ok(sealed) = established.channel.seal(now, &signal, &mut self.rng) else { return };
        if let Entrance::TurnedAway(reason) = entrance {
            peer.attempt = None;
            peer.wanted = false;
            self.tell_of_turning_away(id, &name, reason);
        }
        self.post_until_delivered(id, sealed);
    }

    /// A channel message: proves a new channel, or belongs to a member's.
    fn channel_message(&mut self, now: Instant, from: TransportId, message: &[u8]) -> Option<()> {
        let peer = self.peers.get_mut(&from)?;
        if let Some(Attempt { stage: Stage::Confirming { established, .. }, .. }) = &mut peer.attempt
            && let Ok(signal) = established.channel.open(now, message)
        {
            self.confirm(now, from, signal);
            return Some(());
        }
        if let Some(door) = &mut peer.door
            && let Ok(signal) = door.channel.open(now, message)
        {
            return self.at_the_door(now, from, signal);
        }
        let signal = self.member_mut(from)?.channel.open(now, message).ok()?;
        self.signal(now, from, signal);
        Some(())
    }

    /// A message has come through a new channel. A greeting shows that theirs open here, and is answered; the answer to ours, or
    /// whatever is said only after it, shows that ours open there. With both, the two sides hold the same keys.
    fn confirm(&mut self, now: Instant, from: TransportId, signal: Signal) {
        if let Signal::Bye { reason } = signal {
            if let Some(peer) = self.peers.get_mut(&from) {
                peer.attempt = None;
                peer.wanted = false;
            }
            if !self.joined {
                self.turned_away(reason);
            }
            return;
        }
        self.greet(now, from);
        let Some(peer) = self.peers.get_mut(&from) else { return };
        // `greet` has ended the attempt if it may not come in.
        let Some(Attempt { stage: Stage::Confirming { established, greeting, answered, .. }, .. }) = &mut peer.attempt
        else {
            return;
        };
        let mut answer = None;
        match signal {
            Signal::Pong { .. } => *answered = true,
            Signal::State { .. } | Signal::Knock { .. } => {
                *greeting = Some(signal);
                answer = established.channel.seal(now, &Signal::Pong { id: 0 }, &mut self.rng).ok();
            }
            other => (*greeting, *answered) = (Some(other), true),
        }
        let first = greeting.take_if(|_| *answered);
        if let Some(answer) = answer {
            self.post_until_delivered(from, answer);
        }
        if let Some(first) = first {
            self.confirmed(now, from, first);
        }
    }

    /// A message has opened in each direction of a new channel.
    fn confirmed(&mut self, now: Instant, from: TransportId, first: Signal) {
        let Some(peer) = self.peers.get_mut(&from) else { return };
        let Some(Attempt { stage: Stage::Confirming { established, initiated, greeted, .. }, .. }) =
            peer.attempt.take()
        else {
            return;
        };
        peer.failures = 0;
        peer.refusals = 0;
        peer.retry_at = None;
        let Established { channel, identity, name, .. } = *established;
        let side = match (greeted, &first) {
            (Some(Entrance::Knock), _) => Side::Ours,
            (_, Signal::Knock { .. }) => Side::Theirs,
            _ => {
                peer.wanted = true;
                let locked_meanwhile = self.entrance(now, from, &identity) == Entrance::Knock;
                self.admit(now, from, channel, identity, &name, initiated);
                self.signal(now, from, first);
                if locked_meanwhile {
                    self.put_out(now, from, Side::Ours);
                }
                return;
            }
        };
        self.stand_at_door(now, from, Door { channel, identity, name, initiated, side, since: now });
    }

    fn attempt_failed(&mut self, now: Instant, id: TransportId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.attempt = None;
        peer.back_off(now);
        if peer.via == "dht" && peer.member.is_none() && peer.failures >= MAX_FAILURES_OF_FOUND {
            self.give_up_on(id, Undelivered::Refused, false);
        }
    }

    pub(super) fn delivered(&mut self, now: Instant, to: TransportId, id: u64) {
        if let Some(peer) = self.peers.get(&to)
            && let Some(Attempt { stage: Stage::Confirming { message3, .. }, .. }) = &peer.attempt
            && *message3 == Some(id)
        {
            self.greet(now, to);
        }
        if let Some(member) = self.member_mut(to) {
            member.texts.delivered(id);
        }
        self.media_delivered(to, id);
        self.bye_settled(now, id);
    }

    pub(super) fn undelivered(&mut self, now: Instant, to: TransportId, id: u64, why: Undelivered) {
        self.bye_settled(now, id);
        let Some(peer) = self.peers.get_mut(&to) else { return };
        let (first, ours) = match &peer.attempt {
            Some(Attempt { stage: Stage::Initiating { message, .. }, .. }) => (*message == id, *message == id),
            Some(Attempt { stage: Stage::Confirming { message3, .. }, .. }) => (false, *message3 == Some(id)),
            _ => (false, false),
        };
        if !ours {
            if let Some(member) = peer.member.as_deref_mut() {
                member.resend_at = Some(now + Duration::from_secs(1));
                member.texts.undelivered(now, id);
            }
            if why == Undelivered::Unreachable
                && let Some(bytes) = self.lost_on_the_way(to, id)
            {
                return self.post_until_delivered(to, bytes);
            }
            self.media_undelivered(now, to, id);
            return;
        }
        if first && why == Undelivered::Refused {
            peer.refusals += 1;
        }
        let (refusals, hinted) = (peer.refusals, peer.via == "hint");
        self.attempt_failed(now, to);
        if why == Undelivered::Unsupported || refusals >= MAX_REFUSALS {
            self.give_up_on(to, why, hinted);
        }
    }

    /// A peer that does not belong to this session; if it is the one the link names, joining has failed.
    fn give_up_on(&mut self, id: TransportId, why: Undelivered, hinted: bool) {
        if let Some(peer) = self.peers.get_mut(&id) {
            peer.wanted = false;
            peer.retry_at = None;
        }
        self.do_this(Effect::Disconnect(id));
        let only_hope = !self.peers.values().any(|peer| peer.wanted);
        if !self.joined && hinted && only_hope {
            self.end(Ending::Refused(match why {
                Undelivered::Unsupported => {
                    "The other side speaks another version of resonance. Install the same version on both sides."
                        .to_owned()
                }
                _ => "The other side does not accept this link: it is for another session, was changed on its way, \
                      or has been replaced. Ask for the link again."
                    .to_owned(),
            }));
        }
    }

    pub(super) fn foreign_version(&mut self, id: TransportId) {
        let message = format!("Peer {} speaks another version of resonance and was refused.", id.short());
        let hint = "Install the same version on both sides.".to_owned();
        self.notice(Notice::Warning { code: "other_version", message, hint });
        let hinted = self.peers.get(&id).is_some_and(|peer| peer.via == "hint");
        self.give_up_on(id, Undelivered::Unsupported, hinted);
    }

    /// Looks after peers that are not there yet: dials, retries, gives up.
    pub(super) fn tick_acquaintance(&mut self, now: Instant) {
        let mut redo = Vec::new();
        for (id, peer) in &mut self.peers {
            if let Some(Attempt { stage: Stage::Confirming { established, .. }, .. }) = &mut peer.attempt {
                established.channel.handle_timeout(now);
            }
            if peer.attempt.as_ref().is_some_and(|attempt| attempt.deadline <= now) {
                peer.attempt = None;
                peer.back_off(now);
            }
            let due = peer.retry_at.is_some_and(|at| at <= now);
            if due && (peer.wanted || peer.member.is_some()) {
                peer.retry_at = None;
                redo.push((*id, peer.connected, peer.member.is_some()));
            }
        }
        for (id, connected, member) in redo {
            match (connected, member) {
                (true, false) => self.initiate(now, id),
                (true, true) => {}
                (false, _) => {
                    let addresses = self.peers.get(&id).map(|peer| peer.addresses.clone()).unwrap_or_default();
                    if let Some(peer) = self.peers.get_mut(&id) {
                        peer.retry_at = Some(now + Duration::from_secs(4));
                    }
                    self.do_this(Effect::Dial { peer: Some(id), addresses });
                }
            }
        }
        if self.waits() {
            // Somebody has answered and may take their time.
            self.join_until = now + JOIN_PATIENCE;
        }
        if !self.joined && self.join_until <= now {
            let tried = self.peers.values().map(|peer| peer.addresses.len()).sum::<usize>() + self.bootstrap.len();
            self.end(Ending::Unreachable(format!(
                "Nobody answered within {} seconds (tried {tried} addresses, this network, and the public network unless it was \
                 switched off). Is somebody still in the session? `resonance doctor` says what works from here.",
                JOIN_PATIENCE.as_secs()
            )));
        }
    }
}
