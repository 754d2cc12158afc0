//! Who may come in: everyone keeps the newest word of the session's authority, acts on it, and hands it on.

use super::effect::Ending;
use super::notice::Notice;
use super::peer::{Attempt, Entrance, Side, Stage};
use super::view::{self, KnockView};
use super::{Entry, MAX_PEOPLE, Session};
use rand::CryptoRng;
use resonance_protocol::authority::{Authority, SecretCommitment, Signer, Standing, State, Statement};
use resonance_protocol::identity::IdentityPublic;
use resonance_protocol::link::SessionSecret;
use resonance_protocol::peer::TransportId;
use resonance_protocol::signal::{ByeReason, Ruling, Signal};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Clocks differ: a link takes people in for this long after its expiry.
const EXPIRY_GRACE: Duration = Duration::from_secs(60);

/// Identities remembered as not new: a full session's many times over.
const MAX_REMEMBERED: usize = 64;

/// What we know of who may come in.
#[derive(Default)]
pub struct Admission {
    /// The authority's newest word; `None` before the first: open, nobody removed, the link's own secret.
    statement: Option<Statement>,
    /// Whom members have let in since the authority is gone: as many as may knock.
    pub let_in: VecDeque<IdentityPublic>,
    /// Members, and whom they introduced: after the link's expiry they may still come back.
    remembered: VecDeque<IdentityPublic>,
    /// Who wants to come in, here or at another member.
    pub knocks: Vec<super::door::Knock>,
    /// A contradiction of the authority was told of, when this was its newest word.
    conflict_told: Option<u64>,
}

impl Admission {
    /// Takes note of an identity that is not new any more.
    pub fn remember(&mut self, identity: IdentityPublic) {
        if !self.remembered.contains(&identity) {
            if self.remembered.len() >= MAX_REMEMBERED {
                self.remembered.pop_front();
            }
            self.remembered.push_back(identity);
        }
    }

    fn state(&self) -> State {
        self.statement.as_ref().map(|statement| statement.state().clone()).unwrap_or_default()
    }

    fn is_locked(&self) -> bool {
        self.statement.as_ref().is_some_and(|statement| statement.state().locked)
    }

    fn is_admitted(&self, identity: &IdentityPublic) -> bool {
        self.statement.as_ref().is_some_and(|statement| statement.state().admitted().contains(identity))
    }

    fn authority(&self) -> Authority {
        self.statement.as_ref().map_or(Authority::Creator, Statement::authority)
    }
}

impl<R: CryptoRng> Session<R> {
    pub(super) fn is_removed(&self, identity: &IdentityPublic) -> bool {
        self.admission.statement.as_ref().is_some_and(|statement| statement.state().removed().contains(identity))
    }

    /// May a peer that has proven its identity come in?
    pub(super) fn entrance(&self, now: Instant, id: TransportId, identity: &IdentityPublic) -> Entrance {
        let member = self.peers.get(&id).and_then(|peer| peer.member.as_ref());
        let admission = &self.admission;
        if self.is_removed(identity) {
            Entrance::TurnedAway(ByeReason::Kicked)
        } else if member.is_none() && self.members().count() + 1 >= MAX_PEOPLE {
            Entrance::TurnedAway(ByeReason::Full)
        } else if member.is_some_and(|member| member.identity == *identity) || admission.is_admitted(identity) {
            Entrance::Open
        } else if self.expired(now) && !admission.remembered.contains(identity) {
            Entrance::TurnedAway(ByeReason::Expired)
        } else if !admission.is_locked() || (admission.let_in.contains(identity) && !self.authority_is_here()) {
            Entrance::Open
        } else if self.may_knock(identity) {
            Entrance::Knock
        } else {
            Entrance::TurnedAway(ByeReason::Refused)
        }
    }

    fn unix_now(&self, now: Instant) -> u64 {
        self.unix_time.saturating_add(now.saturating_duration_since(self.started).as_secs())
    }

    /// The link takes nobody new in any more.
    fn expired(&self, now: Instant) -> bool {
        let expires = self.link().map_or(0, |link| link.expires);
        expires != 0 && self.unix_now(now) >= expires.saturating_add(EXPIRY_GRACE.as_secs())
    }

    /// Whether a member is the authority: known by its transport identity, or once handed over by its identity.
    pub(super) fn is_authority(&self, id: TransportId, identity: &IdentityPublic) -> bool {
        match self.admission.authority() {
            Authority::Creator => self.link().is_some_and(|link| link.host == id),
            Authority::Successor(successor) => *identity == successor,
        }
    }

    pub(super) fn i_am_authority(&self) -> bool {
        self.is_authority(self.me, &self.identity.public())
    }

    pub(super) fn authority_is_here(&self) -> bool {
        self.i_am_authority() || self.members().any(|(id, member)| self.is_authority(id, &member.identity))
    }

    /// The host's id and name: ours, or those of a member.
    fn host(&self) -> Option<(String, String)> {
        if self.i_am_authority() {
            return Some(("me".to_owned(), self.name.clone()));
        }
        let host = self.members().find(|(id, member)| self.is_authority(*id, &member.identity));
        host.map(|(id, member)| (id.short(), member.name.clone()))
    }

    /// States a changed admission state, and acts on it like everyone else. Says why not when it cannot be.
    fn rule(
        &mut self,
        now: Instant,
        change: impl FnOnce(&mut State),
        secret: Option<SessionSecret>,
        successor: Option<IdentityPublic>,
    ) {
        let mut state = self.admission.state();
        change(&mut state);
        let signer = match &self.entry {
            Entry::Create { authority, .. } if self.admission.authority() == Authority::Creator => {
                Signer::Creator(authority)
            }
            _ => Signer::Successor(&self.identity),
        };
        let before = self.admission.statement.as_ref();
        match Statement::sign(before, signer, &self.keys.session_id, state, successor) {
            Ok(statement) => self.adopt(now, statement, secret, None),
            Err(error) => {
                let hint = "Nothing has changed.".to_owned();
                self.notice(Notice::Error { code: "host_only", message: format!("That cannot be: {error}."), hint });
            }
        }
    }

    /// Whether we may do what only the host may; says so when not.
    fn host_only(&mut self) -> bool {
        if self.link().is_none() {
            let message =
                "This room is open to everyone on this network: nobody can lock it or remove others.".to_owned();
            let hint = "Make a session with a link for that: `resonance create`.".to_owned();
            self.notice(Notice::Error { code: "open_room", message, hint });
            return false;
        }
        if self.i_am_authority() {
            return true;
        }
        let (message, hint) = match self.host() {
            Some((_, name)) => ("Only the host may do that.".to_owned(), format!("The host is {name}.")),
            None => (
                "Only the host may do that, and the host is gone.".to_owned(),
                "While the host is gone a lock stays, and any member may let people in.".to_owned(),
            ),
        };
        self.notice(Notice::Error { code: "host_only", message, hint });
        false
    }

    pub(super) fn lock(&mut self, now: Instant) {
        if !self.host_only() {
            return;
        }
        // Also whom we do not reach ourselves: a member's roster names it.
        let introduced =
            self.members().flat_map(|(_, member)| member.told.roster.iter().map(|(_, identity)| *identity));
        let members = self.members().map(|(_, member)| member.identity);
        let here: Vec<_> = introduced.chain(members).chain([self.identity.public()]).collect();
        self.rule(now, |state| state.lock(here), None, None);
    }

    pub(super) fn unlock(&mut self, now: Instant) {
        if self.host_only() {
            self.rule(now, State::unlock, None, None);
        }
    }

    pub(super) fn kick(&mut self, now: Instant, peer: &str) {
        if !self.host_only() {
            return;
        }
        let Some(id) = self.resolve(peer) else { return };
        let Some(identity) = self.member_mut(id).map(|member| member.identity) else { return };
        let secret = SessionSecret::generate(&mut self.rng);
        let commitment = SecretCommitment::of(&self.keys.session_id, &secret);
        self.rule(now, |state| state.remove(identity, commitment), Some(secret), None);
    }

    pub(super) fn hand_over(&mut self, now: Instant, peer: &str) {
        if !self.host_only() {
            return;
        }
        let Some(id) = self.resolve(peer) else { return };
        let Some(identity) = self.member_mut(id).map(|member| member.identity) else { return };
        self.rule(now, |_| {}, None, Some(identity));
    }

    /// Lets in by the authority's word.
    pub(super) fn admit_identity(&mut self, now: Instant, identity: IdentityPublic) {
        self.rule(now, |state| state.admit(identity), None, None);
    }

    /// What a member must know of who may come in: the newest word, and who knocks here.
    pub(super) fn tell_admission(&mut self, now: Instant, id: TransportId) {
        if let Some(ruling) = self.ruling() {
            self.tell(now, id, &ruling);
        }
        self.tell_knocks(now, id);
    }

    pub(super) fn ruling(&self) -> Option<Signal> {
        let statement = self.admission.statement.as_ref()?;
        let secret = statement.state().secret.and(self.link()).map(|link| link.secret().clone());
        Some(Signal::Ruling(Ruling { statement: statement.to_bytes(), secret }))
    }

    /// A member hands on the authority's word.
    pub(super) fn hear_ruling(&mut self, now: Instant, from: TransportId, ruling: &Ruling) {
        let Some(link) = self.link() else { return };
        let Ok(heard) = Statement::verify(&ruling.statement, &self.keys.session_id, &link.authority_hash) else {
            tracing::debug!(peer = %from, "a statement was refused");
            return;
        };
        let known = self.admission.statement.as_ref();
        match known.map_or(Standing::Newer, |known| heard.standing(known)) {
            Standing::Newer => {
                let commitment = heard.state().secret;
                let changed = commitment != known.and_then(|known| known.state().secret);
                let true_secret = |secret: &&SessionSecret| {
                    commitment.is_some_and(|commitment| commitment.is_of(&self.keys.session_id, secret))
                };
                match ruling.secret.as_ref().filter(true_secret) {
                    Some(secret) if changed => self.adopt(now, heard, Some(secret.clone()), Some(from)),
                    None if changed => tracing::debug!(peer = %from, "a statement came without its secret"),
                    _ => self.adopt(now, heard, None, Some(from)),
                }
            }
            Standing::Same => {}
            Standing::Older => {
                if let Some(ruling) = self.ruling() {
                    self.tell(now, from, &ruling);
                }
            }
            Standing::Conflict => self.alarm_of_conflict(),
        }
    }

    fn alarm_of_conflict(&mut self) {
        let newest = self.admission.statement.as_ref().map(Statement::sequence);
        if self.admission.conflict_told == newest {
            return;
        }
        self.admission.conflict_told = newest;
        let message = "The host has said two different things about who may come in.".to_owned();
        let hint = "Ask the host, and compare safety numbers: somebody else may have the host's key.".to_owned();
        self.notice(Notice::Warning { code: "authority_conflict", message, hint });
    }

    /// Acts on the authority's new word, and hands it to all but the member who brought it.
    fn adopt(&mut self, now: Instant, statement: Statement, secret: Option<SessionSecret>, from: Option<TransportId>) {
        let (was_locked, was_host) = (self.admission.is_locked(), self.host());
        self.admission.statement = Some(statement);
        self.admission.let_in.clear();
        if self.is_removed(&self.identity.public()) {
            self.end(Ending::Refused(REMOVED.to_owned()));
            return;
        }
        self.remove_the_removed(now);
        self.put_out_the_unlisted(now);
        let changed = secret.is_some_and(|secret| self.change_secret(now, secret));
        for id in self.member_ids().into_iter().filter(|id| Some(*id) != from) {
            if let Some(ruling) = self.ruling() {
                self.tell(now, id, &ruling);
            }
        }
        if changed {
            // Whoever could not reach each other between the old secret and the new one tries again.
            let roster = Signal::Roster(self.roster());
            self.member_ids().into_iter().for_each(|id| self.tell(now, id, &roster));
        }
        let (on, host) = (self.admission.is_locked(), self.host());
        if host != was_host
            && let Some((peer, name)) = &host
        {
            let told = if peer == "me" { "You are the host now".to_owned() } else { format!("{name} is the host now") };
            self.talk(now, None, told);
        }
        if on != was_locked {
            let (peer, name) = host.unwrap_or_default();
            let what = if on { "locked: who comes has to knock" } else { "unlocked" };
            self.talk(now, None, format!("the session is {what}"));
            self.notice(Notice::Locked { peer, name, on });
        }
        self.answer_doors(now);
    }

    fn remove_the_removed(&mut self, now: Instant) {
        for id in self.peers.keys().copied().collect::<Vec<_>>() {
            let Some(peer) = self.peers.get(&id) else { continue };
            let confirming = match &peer.attempt {
                Some(Attempt { stage: Stage::Confirming { established, .. }, .. }) => Some(established.identity),
                _ => None,
            };
            let member = peer.member.as_deref().map(|member| (member.identity, member.name.clone()));
            if confirming.is_some_and(|identity| self.is_removed(&identity))
                && let Some(peer) = self.peers.get_mut(&id)
            {
                peer.attempt = None;
                peer.wanted = false;
            }
            if let Some((_, name)) = member.filter(|(identity, _)| self.is_removed(identity)) {
                self.tell(now, id, &Signal::Bye { reason: ByeReason::Kicked });
                self.notice(Notice::Kicked { peer: id.short(), name });
                self.remove_member(now, id, "kicked");
            }
        }
    }

    /// The newest word is the whole truth: who came in elsewhere while a lock was on its way has to knock.
    fn put_out_the_unlisted(&mut self, now: Instant) {
        if !self.admission.is_locked() {
            return;
        }
        let i_am_out = !self.i_am_authority() && !self.admission.is_admitted(&self.identity.public());
        for id in self.member_ids() {
            let Some(identity) = self.member_mut(id).map(|member| member.identity) else { continue };
            if i_am_out {
                self.put_out(now, id, Side::Theirs);
            } else if !self.admission.is_admitted(&identity) && !self.is_authority(id, &identity) {
                self.put_out(now, id, Side::Ours);
            }
        }
    }

    /// The old link opens nothing from now on; true.
    fn change_secret(&mut self, now: Instant, secret: SessionSecret) -> bool {
        let (Entry::Create { link, .. } | Entry::Join(link)) = &mut self.entry else { return false };
        **link = link.with_secret(secret);
        self.keys = link.keys();
        let link = Some(link.to_text());
        for peer in self.peers.values_mut() {
            // A handshake with the old secret goes no further; where keys stand already, the other side may count us as a member.
            let begun = |attempt: &mut Attempt| !matches!(attempt.stage, Stage::Confirming { .. });
            if peer.attempt.take_if(begun).is_some() && peer.wanted {
                peer.retry_at = Some(now + Duration::from_millis(500));
            }
            peer.refusals = 0;
        }
        self.talk(now, None, "the link has changed: the old one opens nothing any more".to_owned());
        self.notice(Notice::Link { link });
        true
    }

    /// A member says that we were removed: true if the host says so, or if nobody is left.
    pub(super) fn sent_away(&mut self, now: Instant, from: TransportId) {
        let by_host = self.member_mut(from).map(|member| member.identity);
        let by_host = by_host.is_some_and(|identity| self.is_authority(from, &identity));
        self.remove_member(now, from, "bye");
        if by_host || self.members().next().is_none() {
            self.end(Ending::Refused(REMOVED.to_owned()));
        }
    }

    pub(super) fn admission_view(&self, now: Instant) -> view::Admission {
        let me = self.i_am_authority().then(|| self.me.short());
        let left = self.link().filter(|link| link.expires != 0).map(|link| link.expires);
        view::Admission {
            locked: self.admission.is_locked(),
            host: me.or_else(|| self.host().map(|(id, _)| id)),
            i_decide: self.i_decide(),
            knocks: self
                .admission
                .knocks
                .iter()
                .map(|knock| KnockView { id: knock.transport.short(), name: knock.name.clone() })
                .collect(),
            expires_in: left.map(|expires| Duration::from_secs(expires.saturating_sub(self.unix_now(now)))),
        }
    }
}

/// What somebody is told who was removed.
pub(super) const REMOVED: &str = "You were removed from the session by its host.";
