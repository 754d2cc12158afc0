//! Knocking: who has the link of a locked session waits outside until somebody lets it in. Outside, nothing of the session is told.

use super::effect::{Effect, Ending};
use super::notice::Notice;
use super::peer::{Door, Entrance, Member, Side};
use super::{MAX_PEOPLE, Session, admission, text};
use rand::CryptoRng;
use resonance_protocol::identity::IdentityPublic;
use resonance_protocol::peer::TransportId;
use resonance_protocol::signal::{ByeReason, Signal, Verdict};
use std::time::{Duration, Instant};

/// How long somebody may stand outside.
const KNOCK_PATIENCE: Duration = Duration::from_secs(5 * 60);

/// Who may knock at once: more than that is no gathering, but a siege.
const MAX_KNOCKS: usize = 8;

/// Somebody who wants to come in.
pub struct Knock {
    /// Its transport identity.
    pub transport: TransportId,
    /// Its identity.
    pub identity: IdentityPublic,
    /// Sanitised, unique.
    pub name: String,
    /// Since when.
    pub since: Instant,
}

impl<R: CryptoRng> Session<R> {
    /// There is room for one more to knock, or it does already.
    pub(super) fn may_knock(&self, identity: &IdentityPublic) -> bool {
        let knocks = &self.admission.knocks;
        knocks.len() < MAX_KNOCKS || knocks.iter().any(|knock| knock.identity == *identity)
    }

    /// We knock somewhere and wait.
    pub fn waits(&self) -> bool {
        let theirs = |door: &Door| door.side == Side::Theirs;
        self.members().next().is_none() && self.peers.values().any(|peer| peer.door.as_deref().is_some_and(theirs))
    }

    /// Whoever knocks may be let in from here: by the host, or while the host is gone by any member.
    pub(super) fn i_decide(&self) -> bool {
        self.link().is_some() && self.joined && !self.waits() && (self.i_am_authority() || !self.authority_is_here())
    }

    /// Keys stand, but one side has to let the other in first.
    pub(super) fn stand_at_door(&mut self, now: Instant, id: TransportId, door: Door) {
        let (side, identity, name) = (door.side, door.identity, door.name.clone());
        let waited = self.waits();
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.door = Some(Box::new(door));
        match side {
            Side::Theirs if !waited && self.waits() => {
                let name = self.name.clone();
                self.notice(Notice::Knock { peer: "me".to_owned(), name });
            }
            Side::Theirs => {}
            // Several may have come at once while there was room for one.
            Side::Ours if !self.may_knock(&identity) => self.close_door(now, id, ByeReason::Refused),
            Side::Ours => {
                self.note_knock(now, id, identity, &name);
                let knock = Signal::Knock { transport: id, identity, name };
                self.member_ids().into_iter().for_each(|member| self.tell(now, member, &knock));
            }
        }
    }

    fn note_knock(&mut self, now: Instant, transport: TransportId, identity: IdentityPublic, name: &str) {
        if !self.may_knock(&identity) || self.admission.knocks.iter().any(|knock| knock.identity == identity) {
            return;
        }
        let here = self.members().map(|(_, member)| member.name.as_str());
        let outside = self.admission.knocks.iter().map(|knock| knock.name.as_str());
        let taken: Vec<&str> = here.chain(outside).chain([self.name.as_str()]).collect();
        let name = text::unique(&text::name(name, &transport.short()), &taken);
        self.admission.knocks.push(Knock { transport, identity, name: name.clone(), since: now });
        self.talk(now, None, format!("{name} knocks"));
        self.notice(Notice::Knock { peer: transport.short(), name });
    }

    /// Who knocks here, for a member who was away.
    pub(super) fn tell_knocks(&mut self, now: Instant, to: TransportId) {
        let ours = self.peers.iter().filter_map(|(id, peer)| {
            let door = peer.door.as_deref().filter(|door| door.side == Side::Ours)?;
            Some(Signal::Knock { transport: *id, identity: door.identity, name: door.name.clone() })
        });
        for knock in ours.collect::<Vec<_>>() {
            self.tell(now, to, &knock);
        }
    }

    /// Something comes through the channel to somebody who is not a member; `None`: it is refused, and will be said again.
    pub(super) fn at_the_door(&mut self, now: Instant, from: TransportId, signal: Signal) -> Option<()> {
        let side = self.peers.get(&from)?.door.as_ref()?.side;
        match (side, signal) {
            (Side::Ours, Signal::Bye { .. }) => self.door_lost(now, from),
            (Side::Ours, _) => return None,
            (Side::Theirs, Signal::Knock { .. } | Signal::Pong { .. }) => {}
            (Side::Theirs, Signal::Bye { reason }) => {
                let waited = self.waits();
                let peer = self.peers.get_mut(&from)?;
                (peer.door, peer.wanted) = (None, false);
                if waited && !self.waits() {
                    self.turned_away(reason);
                }
            }
            (Side::Theirs, signal) => {
                if self.waits() {
                    let name = self.name.clone();
                    self.notice(Notice::Admitted { peer: "me".to_owned(), name });
                }
                self.pass_door(now, from);
                self.signal(now, from, signal);
            }
        }
        Some(())
    }

    /// From inside to outside: who came in while a lock was on its way.
    pub(super) fn put_out(&mut self, now: Instant, id: TransportId, side: Side) {
        let connected = self.peers.get(&id).is_some_and(|peer| peer.connected);
        if side == Side::Ours
            && let Some(member) = self.member_mut(id)
        {
            let (identity, name) = (member.identity, member.name.clone());
            self.tell(now, id, &Signal::Knock { transport: id, identity, name });
        }
        let Some(member) = self.take_member(now, id, "locked").filter(|_| connected) else { return };
        let initiated = member.ping_at.is_some();
        let Member { channel, identity, name, .. } = *member;
        self.stand_at_door(now, id, Door { channel, identity, name, initiated, side, since: now });
    }

    /// From outside to inside, through the channel that stands already.
    fn pass_door(&mut self, now: Instant, id: TransportId) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let Some(door) = peer.door.take() else { return };
        peer.wanted = true;
        let Door { channel, identity, name, initiated, .. } = *door;
        self.admit(now, id, channel, identity, &name, initiated);
    }

    /// The rules have changed: lets in or turns away whoever stands outside and does not have to wait any longer.
    pub(super) fn answer_doors(&mut self, now: Instant) {
        for (id, identity) in self.doors() {
            match self.entrance(now, id, &identity) {
                Entrance::Open => {
                    self.forget_knock(&identity, |peer, name| Notice::Admitted { peer, name });
                    self.pass_door(now, id);
                    let state = self.state();
                    self.tell(now, id, &state);
                }
                Entrance::Knock => {}
                Entrance::TurnedAway(reason) => self.close_door(now, id, reason),
            }
        }
        // Those who knock elsewhere.
        for (transport, identity) in self.knockers() {
            match self.entrance(now, transport, &identity) {
                Entrance::Open => self.forget_knock(&identity, |peer, name| Notice::Admitted { peer, name }),
                Entrance::Knock => {}
                Entrance::TurnedAway(_) => self.forget_knock(&identity, |peer, name| Notice::Refused { peer, name }),
            }
        }
    }

    /// Doors here at which somebody stands.
    fn doors(&self) -> Vec<(TransportId, IdentityPublic)> {
        let ours = |door: &&super::peer::Door| door.side == Side::Ours;
        let doors = self.peers.iter().map(|(id, peer)| (id, peer.door.as_deref().filter(ours)));
        doors.filter_map(|(id, door)| Some((*id, door?.identity))).collect()
    }

    fn knockers(&self) -> Vec<(TransportId, IdentityPublic)> {
        self.admission.knocks.iter().map(|knock| (knock.transport, knock.identity)).collect()
    }

    fn forget_knock(&mut self, identity: &IdentityPublic, notice: fn(String, String) -> Notice) {
        let knocks = &mut self.admission.knocks;
        if let Some(index) = knocks.iter().position(|knock| knock.identity == *identity) {
            let knock = knocks.remove(index);
            self.notice(notice(knock.transport.short(), knock.name));
        }
    }

    /// Turns away somebody who stands here.
    fn close_door(&mut self, now: Instant, id: TransportId, reason: ByeReason) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let Some(mut door) = peer.door.take() else { return };
        peer.wanted = false;
        let bye = door.channel.seal(now, &Signal::Bye { reason }, &mut self.rng);
        self.forget_knock(&door.identity, |peer, name| Notice::Refused { peer, name });
        self.tell_all_of(now, door.identity, Verdict::Gone);
        if let Ok(sealed) = bye {
            self.post(id, sealed);
        }
    }

    /// Somebody who stood here is gone, or the door at which we stood.
    pub(super) fn door_lost(&mut self, now: Instant, id: TransportId) {
        let Some(door) = self.peers.get_mut(&id).and_then(|peer| peer.door.take()) else { return };
        if door.side == Side::Ours {
            self.forget_knock(&door.identity, |peer, name| Notice::Refused { peer, name });
            self.tell_all_of(now, door.identity, Verdict::Gone);
        }
    }

    fn tell_all_of(&mut self, now: Instant, identity: IdentityPublic, verdict: Verdict) {
        let signal = Signal::Admit { identity, verdict };
        self.member_ids().into_iter().for_each(|id| self.tell(now, id, &signal));
    }

    /// A member says who knocks at its door.
    pub(super) fn hear_knock(
        &mut self,
        now: Instant,
        from: TransportId,
        transport: TransportId,
        identity: IdentityPublic,
        name: &str,
    ) {
        if transport == self.me {
            self.put_out(now, from, Side::Theirs);
            return;
        }
        if self.link().is_none() || self.is_removed(&identity) {
            return;
        }
        let is_in =
            self.admission.let_in.contains(&identity) || self.members().any(|(_, member)| member.identity == identity);
        if is_in && !self.authority_is_here() {
            // It was let in while that member was away.
            self.tell(now, from, &Signal::Admit { identity, verdict: Verdict::Admitted });
        } else if self.entrance(now, transport, &identity) == Entrance::Knock {
            self.note_knock(now, transport, identity, name);
        }
    }

    /// A member says what becomes of somebody who knocks.
    pub(super) fn hear_verdict(&mut self, now: Instant, from: TransportId, identity: IdentityPublic, verdict: Verdict) {
        let sender = self.member_mut(from).map(|member| member.identity);
        let by_host = sender.is_some_and(|sender| self.is_authority(from, &sender));
        match verdict {
            Verdict::Admitted if self.link().is_some() && !self.authority_is_here() => self.let_in(now, identity),
            Verdict::Refused if by_host || !self.authority_is_here() => self.turn_away(now, identity),
            Verdict::Gone if !self.doors().iter().any(|(_, here)| *here == identity) => {
                self.forget_knock(&identity, |peer, name| Notice::Refused { peer, name });
            }
            Verdict::Admitted | Verdict::Refused | Verdict::Gone => {}
        }
    }

    /// Lets in without the authority, which is gone.
    fn let_in(&mut self, now: Instant, identity: IdentityPublic) {
        if self.is_removed(&identity) || self.admission.let_in.contains(&identity) {
            return;
        }
        if self.admission.let_in.len() >= MAX_KNOCKS {
            self.admission.let_in.pop_front();
        }
        self.admission.let_in.push_back(identity);
        self.answer_doors(now);
    }

    fn turn_away(&mut self, now: Instant, identity: IdentityPublic) {
        for (id, _) in self.doors().into_iter().filter(|(_, here)| *here == identity) {
            self.close_door(now, id, ByeReason::Refused);
        }
        self.forget_knock(&identity, |peer, name| Notice::Refused { peer, name });
    }

    pub(super) fn admit_by_name(&mut self, now: Instant, peer: &str) {
        let Some(identity) = self.decide_on(peer) else { return };
        if self.i_am_authority() {
            self.admit_identity(now, identity);
        } else {
            self.tell_all_of(now, identity, Verdict::Admitted);
            self.let_in(now, identity);
        }
    }

    pub(super) fn refuse_by_name(&mut self, now: Instant, peer: &str) {
        let Some(identity) = self.decide_on(peer) else { return };
        self.tell_all_of(now, identity, Verdict::Refused);
        self.turn_away(now, identity);
    }

    /// Who knocks under this name, if it is for us to decide; says so when not.
    fn decide_on(&mut self, peer: &str) -> Option<IdentityPublic> {
        if !self.i_decide() {
            let (code, message, hint) = match self.link() {
                None => ("open_room", "Nobody has to knock here.", "This room is open to everyone on this network."),
                Some(_) if !self.joined => ("not_in", "You are not in the session yet.", "Somebody has to let you in."),
                Some(_) => ("host_only", "Only the host lets people in.", "When the host is gone, any member may."),
            };
            self.notice(Notice::Error { code, message: message.to_owned(), hint: hint.to_owned() });
            return None;
        }
        let outside = self.admission.knocks.iter().map(|knock| (knock.transport, knock.name.clone())).collect();
        let id = self.resolve_among(peer, outside, "Nobody knocks.")?;
        self.admission.knocks.iter().find(|knock| knock.transport == id).map(|knock| knock.identity)
    }

    /// Ten times a second: nobody stands outside for ever.
    pub(super) fn tick_doors(&mut self, now: Instant) {
        self.peers.values_mut().filter_map(|peer| peer.door.as_mut()).for_each(|door| door.channel.handle_timeout(now));
        let over = |since: Instant| now.saturating_duration_since(since) >= KNOCK_PATIENCE;
        for (id, _) in self.doors() {
            let since = self.peers.get(&id).and_then(|peer| peer.door.as_ref()).map(|door| door.since);
            if since.is_some_and(over) {
                self.close_door(now, id, ByeReason::Refused);
            }
        }
        let over: Vec<_> =
            self.admission.knocks.iter().filter(|knock| over(knock.since)).map(|knock| knock.identity).collect();
        for identity in over {
            self.forget_knock(&identity, |peer, name| Notice::Refused { peer, name });
        }
    }

    /// Tells the person here that somebody who may not come in was told so.
    pub(super) fn tell_of_turning_away(&mut self, id: TransportId, name: &str, reason: ByeReason) {
        let name = text::name(name, &id.short());
        if reason != ByeReason::Full {
            self.notice(Notice::Refused { peer: id.short(), name });
            return;
        }
        let message = format!("{name} was turned away: the session is full.");
        let hint = format!("A session holds {MAX_PEOPLE} people: somebody has to leave first.");
        self.notice(Notice::Warning { code: "session_full", message, hint });
    }

    /// We may not come in.
    pub(super) fn turned_away(&mut self, reason: ByeReason) {
        let why = match reason {
            ByeReason::Full => format!(
                "The session is full: it holds {MAX_PEOPLE} people. Ask somebody to leave, or make a session of your own."
            ),
            ByeReason::Kicked => admission::REMOVED.to_owned(),
            ByeReason::Expired => "The link has expired: ask for a new one.".to_owned(),
            ByeReason::Refused => {
                "The session is locked, and nobody let you in. Ask the person who sent the link.".to_owned()
            }
            _ => "The session would not have you. Ask the person who sent the link.".to_owned(),
        };
        self.do_this(Effect::Ended(Ending::Refused(why)));
    }
}
