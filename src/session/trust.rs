//! Whom to trust: who is known from before, which numbers were compared, and the alarms that only a person can answer.

use super::Session;
use super::effect::Effect;
use super::notice::Notice;
use super::view::{Alarm, Trust};
use rand::CryptoRng;
use resonance_protocol::contacts::ContactBook;
use resonance_protocol::identity::IdentityPublic;
use resonance_protocol::peer::TransportId;
use resonance_protocol::signal::{RosterEntry, Signal};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

/// Alarms of one kind raised in one session, answered or not: a member that raises them for fun is heard no further.
const MAX_ALARMS: usize = 64;

/// A known name or person came with another key.
const IDENTITY_CHANGED: &str = "identity_changed";
/// Members do not agree on somebody's identity.
const ROSTER_DISAGREES: &str = "roster_disagrees";

/// What this side knows about people.
pub struct Acquaintances {
    /// Who keeps an identity or was verified. Kept beyond the session only if our own identity is.
    book: ContactBook,
    kept: bool,
    /// Unix seconds when the session began here.
    began: u64,
    standing: VecDeque<(Alarm, IdentityPublic)>,
    /// What was raised, so that each is raised once: code, by whom, about whom.
    raised: BTreeSet<(&'static str, IdentityPublic, IdentityPublic)>,
}

impl Acquaintances {
    /// `book` is that of a kept identity; without one nothing outlives the session.
    pub fn new(book: Option<ContactBook>, began: u64) -> Self {
        let kept = book.is_some();
        let (standing, raised) = (VecDeque::new(), BTreeSet::new());
        Self { book: book.unwrap_or_default(), kept, began, standing, raised }
    }

    /// Unanswered alarms, the oldest first.
    pub fn alarms(&self) -> Vec<Alarm> {
        self.standing.iter().map(|(alarm, _)| alarm.clone()).collect()
    }
}

/// What one member has told about the session, and about itself.
#[derive(Default)]
pub struct Told {
    /// What it calls itself, sanitised; here it may have a number behind that.
    pub called: String,
    /// It keeps its identity.
    pub kept: bool,
    /// Generation, step and recipients of the newest sender key that it gave us.
    pub recipients: Option<((u64, u8), [u8; 32])>,
    /// Whom it has a channel with, and under which identities.
    pub roster: Vec<(TransportId, IdentityPublic)>,
}

impl<R: CryptoRng> Session<R> {
    /// How far a newcomer is trusted; `name` is what it calls itself, `shown` what it is called here.
    pub(super) fn recognise(
        &mut self,
        now: Instant,
        id: TransportId,
        identity: IdentityPublic,
        name: &str,
        shown: &str,
    ) -> Trust {
        let met = self.acquaintances.book.get(&identity).cloned();
        let same_name = met.as_ref().is_some_and(|contact| contact.name.to_lowercase() == name.to_lowercase());
        let namesake = self.acquaintances.book.namesake(name, &identity).filter(|_| !same_name);
        if let Some((known, contact)) = namesake.map(|(key, contact)| (*key, contact.clone())) {
            let (what, how) = match contact.verified {
                true => ("whose number you compared", "verified"),
                false => ("whom you have met", "known"),
            };
            let alarm = Alarm {
                code: IDENTITY_CHANGED,
                peer: Some(id.short()),
                name: shown.to_owned(),
                what: format!("{shown} comes with another key than the {} {what}.", contact.name),
                why: format!(
                    "Either {} has a new identity (another machine, a forgotten passphrase, --ephemeral), or somebody else uses \
                     the name. The {how} key is {}, this one is {}.",
                    contact.name,
                    known.fingerprint(),
                    identity.fingerprint()
                ),
                hint: format!("{shown} hears nothing from you until you answer. Compare the safety number first."),
            };
            if self.raise(now, alarm, known, identity) {
                return Trust::Changed;
            }
        }
        let Some(met) = met else { return Trust::NotVerified };
        self.remember(now, identity, name);
        if met.verified { Trust::Verified } else { Trust::NotVerified }
    }

    /// The transport identity of somebody who is here was used under another identity key.
    pub(super) fn changed_in_session(
        &mut self,
        now: Instant,
        id: TransportId,
        before: IdentityPublic,
        identity: IdentityPublic,
    ) {
        let Some(name) = self.member_mut(id).map(|member| member.name.clone()) else { return };
        let alarm = Alarm {
            code: IDENTITY_CHANGED,
            peer: Some(id.short()),
            name: name.clone(),
            what: format!("{name} has changed its identity in the middle of the session."),
            why: format!(
                "The key was {} and is {}. No program of ours does that.",
                before.fingerprint(),
                identity.fingerprint()
            ),
            hint: format!("{name} hears nothing from you until you answer. Compare the safety number first."),
        };
        if self.raise(now, alarm, before, identity)
            && let Some(member) = self.member_mut(id)
        {
            member.trust = Trust::Changed;
        }
    }

    /// Whether the alarm stands now; false when it was answered before, or is one of too many.
    fn raise(&mut self, now: Instant, alarm: Alarm, by: IdentityPublic, about: IdentityPublic) -> bool {
        let all = &mut self.acquaintances;
        let raised = (alarm.code, by, about);
        if all.raised.contains(&raised) {
            // Still unanswered: whoever leaves and comes back finds the door as it was.
            return all.standing.iter().any(|(standing, whom)| standing.code == alarm.code && *whom == about);
        }
        if all.raised.iter().filter(|(code, ..)| *code == alarm.code).count() >= MAX_ALARMS {
            // Lies are heard no further, but nobody slips in behind a flood: only comparing numbers opens that door.
            return alarm.code == IDENTITY_CHANGED;
        }
        all.raised.insert(raised);
        let Alarm { code, what, why, hint, .. } = alarm.clone();
        all.standing.push_back((alarm, about));
        self.talk(now, None, format!("⚠ {what}"));
        self.notice(Notice::Warning {
            code,
            message: format!("{what} {why}"),
            hint: format!("{hint} `dismiss` answers."),
        });
        true
    }

    /// The person has read the oldest alarm and goes on.
    pub(super) fn dismiss(&mut self, now: Instant) {
        let Some((alarm, about)) = self.acquaintances.standing.pop_front() else {
            let message = "There is no alarm to dismiss.".to_owned();
            self.notice(Notice::Error { code: "no_alarm", message, hint: String::new() });
            return;
        };
        self.talk(now, None, format!("You dismissed the alarm about {}", alarm.name));
        self.settle_identity(now, about, Trust::NotVerified);
    }

    /// Opens the microphone again to everybody of this identity about whom no alarm stands any more.
    fn settle_identity(&mut self, now: Instant, identity: IdentityPublic, trust: Trust) {
        let unanswered = |(alarm, about): &(Alarm, _)| alarm.code == IDENTITY_CHANGED && *about == identity;
        if self.acquaintances.standing.iter().any(unanswered) {
            return;
        }
        let here: Vec<_> = self.members().filter(|(_, member)| member.identity == identity).map(|(id, _)| id).collect();
        for id in here {
            let Some(member) = self.member_mut(id) else { continue };
            let closed = member.trust == Trust::Changed;
            if closed || trust == Trust::Verified {
                member.trust = trust;
            }
            if closed {
                self.sender_keys.welcome(id);
            }
            self.remember_if_wanted(now, id);
        }
    }

    /// The person has compared the numbers, or takes that back.
    pub(super) fn set_trust(&mut self, now: Instant, peer: &str, trust: Trust) {
        let Some(id) = self.resolve(peer) else { return };
        let Some(member) = self.member_mut(id) else { return };
        let (name, called, identity) = (member.name.clone(), member.told.called.clone(), member.identity);
        let verified = trust == Trust::Verified;
        if verified {
            // Comparing is a better answer than dismissing: it answers every alarm about this key.
            self.acquaintances.standing.retain(|(alarm, about)| alarm.code != IDENTITY_CHANGED || *about != identity);
            self.settle_identity(now, identity, Trust::Verified);
            self.remember(now, identity, &called);
        } else if let Some(member) = self.member_mut(id).filter(|member| member.trust == Trust::Verified) {
            member.trust = Trust::NotVerified;
        }
        if self.acquaintances.book.set_verified(&identity, verified) {
            self.keep_contacts();
        }
        let what = if verified { "is verified" } else { "is not verified any more" };
        self.talk(now, None, format!("{name} {what}"));
        self.tell_safety(Some(&id.short()));
    }

    /// A member says that it keeps its identity.
    pub(super) fn told_kept(&mut self, now: Instant, from: TransportId) {
        if let Some(member) = self.member_mut(from) {
            member.told.kept = true;
        }
        self.remember_if_wanted(now, from);
    }

    /// Keys that are gone with their session are not worth remembering; nor is one that an alarm stands about.
    fn remember_if_wanted(&mut self, now: Instant, id: TransportId) {
        let Some(member) = self.member_mut(id) else { return };
        if member.told.kept && member.trust != Trust::Changed {
            let (identity, name) = (member.identity, member.told.called.clone());
            self.remember(now, identity, &name);
        }
    }

    fn remember(&mut self, now: Instant, identity: IdentityPublic, name: &str) {
        if identity == self.identity.public() {
            return;
        }
        let at = self.acquaintances.began + now.saturating_duration_since(self.started).as_secs();
        self.acquaintances.book.meet(identity, name, at);
        self.keep_contacts();
    }

    fn keep_contacts(&mut self) {
        if self.acquaintances.kept {
            let book = Box::new(self.acquaintances.book.clone());
            self.do_this(Effect::KeepContacts(book));
        }
    }

    /// Tells a newcomer that ours is worth remembering.
    pub(super) fn tell_kept(&mut self, now: Instant, id: TransportId) {
        if self.acquaintances.kept {
            self.tell(now, id, &Signal::Kept);
        }
    }

    /// Keeps what a member says about the others, and compares it with what is known.
    pub(super) fn hear_roster(&mut self, now: Instant, from: TransportId, entries: &[RosterEntry]) {
        if let Some(member) = self.member_mut(from) {
            member.told.roster = entries.iter().map(|entry| (entry.transport, entry.identity)).collect();
        }
        self.compare_rosters(now);
    }

    /// Everyone must see the same identity behind the same transport identity; what is seen here counts first.
    pub(super) fn compare_rosters(&mut self, now: Instant) {
        let mut seen: BTreeMap<TransportId, IdentityPublic> =
            self.members().map(|(id, member)| (id, member.identity)).collect();
        seen.insert(self.me, self.identity.public());
        let mut disagreements = Vec::new();
        for (id, member) in self.members() {
            for (whom, identity) in &member.told.roster {
                if *seen.entry(*whom).or_insert(*identity) != *identity {
                    disagreements.push((id, *whom, *identity));
                }
            }
        }
        for (by, whom, claimed) in disagreements {
            let name = |id: TransportId| {
                let member = self.members().find(|(other, _)| *other == id);
                member.map_or_else(|| id.short(), |(_, member)| member.name.clone())
            };
            let (says, about) = (name(by), if whom == self.me { "you".to_owned() } else { name(whom) });
            let is = if whom == self.me { "are" } else { "is" };
            let Some(sayer) = self.member_mut(by).map(|member| member.identity) else { continue };
            let alarm = Alarm {
                code: ROSTER_DISAGREES,
                peer: Some(by.short()),
                name: says.clone(),
                what: format!("{says} says that {about} {is} somebody else than your program sees."),
                why: format!(
                    "Somebody stands between {says} and {about}, or {says} does not tell the truth. Nothing was closed: else a \
                     lie could keep people apart."
                ),
                hint: "Compare safety numbers with everybody concerned.".to_owned(),
            };
            self.raise(now, alarm, sayer, claimed);
        }
    }
}
