//! The conversation with those who are in: who is admitted, what they say, how their sound is set up.

use super::effect::{AudioEffect, Effect};
use super::notice::Notice;
use super::path::Paths;
use super::peer::Member;
use super::protection::{Given, Protection, Reception};
use super::recording::{State, Stated};
use super::sender_key::Due;
use super::texts::Texts;
use super::trust::Told;
use super::whereabouts::MAX_ROSTER_ADDRESSES;
use super::{Entry, Session, pose, text};
use rand::CryptoRng;
use resonance_protocol::channel::SecureChannel;
use resonance_protocol::identity::IdentityPublic;
use resonance_protocol::media::{HopOpener, SenderKey};
use resonance_protocol::peer::{Address, TransportId};
use resonance_protocol::safety_number::SafetyNumber;
use resonance_protocol::signal::{ByeReason, MediaKey, RekeyReason, RosterEntry, Signal};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// Pings by the handshake's initiator, answered at once, keep the ratchet turning and the channel's liveness known when nothing
/// else is said: both directions have healed from a theft after two of them.
pub(super) const PING_EVERY: Duration = Duration::from_secs(10);

impl<R: CryptoRng> Session<R> {
    /// A peer has proved that it belongs here.
    pub(super) fn admit(
        &mut self,
        now: Instant,
        id: TransportId,
        channel: SecureChannel,
        identity: IdentityPublic,
        name: &str,
        initiated: bool,
    ) {
        let ping_at = initiated.then_some(now + PING_EVERY);
        let offers = self.offers_to(id);
        if let Some(member) = self.member_mut(id)
            && member.identity == identity
        {
            if !offers {
                member.paths.count_anew();
            }
            member.channel = channel;
            member.ping_at = ping_at;
            member.last_signal = now;
            member.their_key = None;
            member.told.recipients = None;
        } else {
            let before = self.member_mut(id).map(|member| member.identity);
            if before.is_some() {
                self.remove_member(now, id, "timeout");
            }
            self.welcome(now, id, channel, identity, name, ping_at);
            if let Some(before) = before {
                self.changed_in_session(now, id, before, identity);
            }
        }
        if let Entry::Join(link) = &self.entry
            && !self.joined
        {
            self.joined = true;
            let link = link.to_text();
            self.notice(Notice::Joined { link });
        }
        self.announce_member(now, id);
    }

    fn welcome(
        &mut self,
        now: Instant,
        id: TransportId,
        channel: SecureChannel,
        identity: IdentityPublic,
        name: &str,
        ping_at: Option<Instant>,
    ) {
        let names: Vec<&str> =
            self.members().map(|(_, member)| member.name.as_str()).chain([self.name.as_str()]).collect();
        let called = text::name(name, &id.short());
        let name = text::unique(&called, &names);
        let seat = pose::free_seat(self.members().map(|(_, member)| member.seat).collect::<Vec<_>>().into_iter());
        let position = pose::seat_position(seat);
        let safety_number = SafetyNumber::between(&self.identity.public(), &identity).to_string();
        let trust = self.recognise(now, id, identity, &called, &name);
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.member = Some(Box::new(Member {
            channel,
            identity,
            name: name.clone(),
            safety_number: safety_number.clone(),
            trust,
            told: Told { called, ..Told::default() },
            texts: Texts::default(),
            seat,
            position,
            volume_db: 0.0,
            muted: false,
            deafened: false,
            recording: false,
            stated: Stated::new(now),
            paths: Paths::new(now),
            description: None,
            hop_key: None,
            their_key: None,
            our_key_at: now,
            withheld: false,
            resend_at: None,
            last_signal: now,
            last_sound: None,
            lost_since: None,
            ping_at,
            rtt_ms: None,
            sending_ms: None,
            loss_up: 0.0,
            loss_down: 0.0,
            burst_down: 0.0,
            bitrates: (0, 0),
            lane: None,
            lane_before: None,
            speaking: false,
        }));
        self.admission.remember(identity);
        self.audio(AudioEffect::Name { peer: id, name: name.clone() });
        self.audio(AudioEffect::AddLane(id));
        self.audio(AudioEffect::Place { peer: id, position });
        self.talk(now, None, format!("{name} joined"));
        let identity = identity.fingerprint().to_string();
        self.notice(Notice::PeerJoined { peer: id.short(), name, identity, safety_number });
    }

    /// Everyone needs to know each other, and the newcomer our sender key, from now on.
    fn announce_member(&mut self, now: Instant, id: TransportId) {
        self.tell_kept(now, id);
        self.compare_rosters(now);
        self.sender_keys.welcome(id);
        let roster = Signal::Roster(self.roster());
        for member in self.member_ids() {
            self.tell(now, member, &roster);
        }
        self.tell_admission(now, id);
        self.begin_paths(now, id);
    }

    /// Says again all that a member must know, after something did not reach it.
    pub(super) fn resend(&mut self, now: Instant, id: TransportId) {
        let state = self.state();
        let roster = Signal::Roster(self.roster());
        self.tell(now, id, &state);
        self.tell_admission(now, id);
        self.tell(now, id, &roster);
        self.tell_kept(now, id);
        self.sender_keys.welcome(id);
    }

    /// Of each pair, the one with the smaller transport identity offers media.
    pub(super) fn offers_to(&self, id: TransportId) -> bool {
        self.me < id
    }

    pub(super) fn roster(&self) -> Vec<RosterEntry> {
        let addresses = |known: &[Address]| known.iter().take(MAX_ROSTER_ADDRESSES).copied().collect();
        let mine =
            RosterEntry { transport: self.me, identity: self.identity.public(), addresses: addresses(&self.addresses) };
        let others = self.peers.iter().filter_map(|(id, peer)| {
            let member = peer.member.as_deref()?;
            (member.lost_since.is_none()).then(|| RosterEntry {
                transport: *id,
                identity: member.identity,
                addresses: addresses(&peer.addresses),
            })
        });
        std::iter::once(mine).chain(others).collect()
    }

    /// Makes our next sender key and hands it to everyone who is not lost.
    pub(super) fn rotate_sender_key(&mut self, now: Instant, reason: RekeyReason) {
        let recipients = self.key_recipients();
        self.sender_keys.rotate(now, reason, recipients.into_iter(), &mut self.rng);
        self.hand_over_to_all(now);
    }

    fn key_recipients(&self) -> Vec<TransportId> {
        self.members().filter(|(_, member)| member.gets_our_keys()).map(|(id, _)| id).collect()
    }

    fn hand_over_to_all(&mut self, now: Instant) {
        for id in self.key_recipients() {
            self.hand_over_key(now, id);
        }
    }

    fn hand_over_key(&mut self, now: Instant, id: TransportId) {
        let holders = self.members().filter(|(_, member)| member.gets_our_keys()).map(|(_, member)| member.identity);
        let recipients_hash = MediaKey::hash_recipients(holders.chain([self.identity.public()]));
        let mut hop_key = Zeroizing::new([0; 32]);
        self.rng.fill_bytes(hop_key.as_mut_slice());
        let Some((key, reason)) = self.sender_keys.newest() else { return };
        let signal = Signal::MediaKey(key.to_signal(recipients_hash, reason, hop_key.clone()));
        let message = self.tell_numbered(now, id, &signal);
        if let Some(member) = self.member_mut(id) {
            member.our_key_at = now;
            member.hop_key = message.map(|message| (message, hop_key));
        }
    }

    /// Does with our sender key what is due by now.
    pub(super) fn tend_sender_key(&mut self, now: Instant) {
        while let Some(due) = self.sender_keys.poll(now) {
            match due {
                Due::Fresh(reason) => self.rotate_sender_key(now, reason),
                Due::Step(id) => self.audio(AudioEffect::Step(id)),
                Due::Admit(id) => {
                    self.audio(AudioEffect::Step(id));
                    self.notice_rekeyed("me".to_owned(), RekeyReason::Join);
                    self.hand_over_to_all(now);
                }
                Due::HandOver => self.hand_over_to_all(now),
                Due::Use(reason) => {
                    let (session, fingerprint) = (self.keys.session_id, self.identity.public().fingerprint());
                    let Some((key, _)) = self.sender_keys.newest() else { return };
                    let sealer = Box::new(key.sealer(&session, &fingerprint));
                    self.audio(AudioEffect::SenderKey(sealer));
                    self.notice_rekeyed("me".to_owned(), reason);
                }
            }
        }
    }

    fn notice_rekeyed(&mut self, peer: String, reason: RekeyReason) {
        self.notice(Notice::Rekeyed { peer, reason: reason.word() });
    }

    /// A member says something.
    pub(super) fn signal(&mut self, now: Instant, from: TransportId, signal: Signal) {
        let offers = self.offers_to(from);
        let Some(member) = self.member_mut(from) else { return };
        member.last_signal = now;
        if std::mem::replace(&mut member.withheld, false) {
            // A sign of life: whoever returns gets the current key only.
            self.sender_keys.welcome(from);
        }
        match signal {
            Signal::Offer { sdp, number } if !offers => self.hear_offer(now, from, sdp, number),
            Signal::Answer { sdp, number } if offers => self.hear_answer(now, from, sdp, number),
            Signal::Candidate { candidate, mid, number } => self.hear_candidate(from, candidate, mid, number),
            Signal::Reconnect => self.hear_reconnect(now, from),
            Signal::MediaKey(key) => {
                self.hear_recipients(from, &key);
                self.install_key(now, from, &key);
            }
            Signal::MediaKeyAck { generation } => self.sender_keys.acknowledged(from, generation),
            Signal::Roster(entries) => {
                self.hear_roster(now, from, &entries);
                self.introductions(now, from, entries);
            }
            Signal::Kept => self.told_kept(now, from),
            Signal::State { muted, deafened, recording } => {
                self.hear_state(now, from, State { muted, deafened, recording });
            }
            Signal::Quality { loss, burst, queue_ms, sending_ms, .. } => {
                if let Some(member) = self.member_mut(from) {
                    member.sending_ms = (sending_ms > 0.0).then_some(sending_ms);
                    member.loss_up = loss;
                    let (age, report) = (member.channel.age(), Reception { loss, burst, queue_ms });
                    self.protect(|protection| protection.report(now, from, age, report));
                }
            }
            Signal::Text { body, number } => self.hear_text(now, from, &body, number),
            Signal::Ping { id } => self.tell(now, from, &Signal::Pong { id }),
            Signal::Bye { reason: ByeReason::Kicked } => self.sent_away(now, from),
            Signal::Bye { .. } => self.remove_member(now, from, "bye"),
            Signal::Ruling(ruling) => self.hear_ruling(now, from, &ruling),
            Signal::Knock { transport, identity, name } => self.hear_knock(now, from, transport, identity, &name),
            Signal::Admit { identity, verdict } => self.hear_verdict(now, from, identity, verdict),
            Signal::Offer { .. } | Signal::Answer { .. } | Signal::Pong { .. } | Signal::Unknown => {}
        }
    }

    /// Lets the rate and the redundancy of the own voice follow what receivers say.
    pub(super) fn protect(&mut self, change: impl FnOnce(&mut Protection) -> Option<Given>) {
        if let Some(given) = change(&mut self.protection) {
            self.audio(AudioEffect::Give(given));
        }
    }

    fn install_key(&mut self, now: Instant, from: TransportId, key: &MediaKey) {
        let session = self.keys.session_id;
        let Some(member) = self.member_mut(from) else { return };
        let handed_over = SenderKey::from_signal(key);
        if member.their_key.is_none_or(|newest| newest < handed_over.id()) {
            member.their_key = Some(handed_over.id());
            let (sender, ago) = (member.identity.fingerprint(), member.channel.age());
            let opening = Box::new(handed_over.opening_key(&session, &sender).because(key.reason).sent(ago));
            self.audio(AudioEffect::OpeningKey { peer: from, key: opening });
            self.notice_rekeyed(from.short(), key.reason);
        }
        let hop = Box::new(HopOpener::new(&key.hop_key, from, self.me));
        self.audio(AudioEffect::HopOpener { peer: from, hop });
        self.tell(now, from, &Signal::MediaKeyAck { generation: key.generation });
    }

    /// Members introduce members: whoever knows one of us soon knows all.
    fn introductions(&mut self, now: Instant, from: TransportId, entries: Vec<RosterEntry>) {
        let mut news = false;
        for entry in entries {
            let id = entry.transport;
            if id == self.me || self.is_removed(&entry.identity) {
                continue;
            }
            self.admission.remember(entry.identity);
            if id == from {
                news |= self.learn_addresses(id, entry.addresses);
                continue;
            }
            // Whoever introduced it first may not have known yet where it listens: addresses that come later are dialled, too.
            let new = self.want(now, id, "member");
            let learned = self.learn_addresses(id, entry.addresses);
            let Some(peer) = self.peers.get(&id).filter(|peer| peer.wanted && peer.member.is_none()) else { continue };
            if peer.connected && new {
                self.initiate(now, id);
            } else if !peer.connected && (new || learned) {
                let addresses = peer.addresses.clone();
                self.do_this(Effect::Dial { peer: Some(id), addresses });
            }
        }
        if news {
            // It was introduced to the others when it came in, before it had said where it listens.
            let roster = Signal::Roster(self.roster());
            for member in self.member_ids().into_iter().filter(|member| *member != from) {
                self.tell(now, member, &roster);
            }
        }
    }

    /// A member is gone for good.
    pub(super) fn remove_member(&mut self, now: Instant, id: TransportId, reason: &'static str) {
        let _ = self.take_member(now, id, reason);
    }

    /// Ends somebody's membership, and gives back what it was.
    pub(super) fn take_member(&mut self, now: Instant, id: TransportId, reason: &'static str) -> Option<Box<Member>> {
        let peer = self.peers.get_mut(&id)?;
        let member = peer.member.take()?;
        peer.wanted = false;
        peer.retry_at = None;
        if peer.is_forgettable() {
            self.peers.remove(&id);
        }
        self.do_this(Effect::CloseMedia(id));
        self.audio(AudioEffect::RemoveLane(id));
        self.protect(|protection| protection.forget(now, id));
        let how = match reason {
            "bye" => "left",
            "kicked" => "was removed",
            "locked" => "has to knock",
            _ => "left (connection lost)",
        };
        self.talk(now, None, format!("{} {how}", member.name));
        self.notice(Notice::PeerLeft { peer: id.short(), reason });
        self.give_texts_up(now, &member);
        self.sender_keys.forget(id);
        self.rotate_sender_key(now, if reason == "kicked" { RekeyReason::Kick } else { RekeyReason::Leave });
        Some(member)
    }
}
