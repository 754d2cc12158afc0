//! The session's safety number: one for everyone, shown only when all hand their sender keys to the same people.

use super::Session;
use super::notice::Notice;
use super::peer::Member;
use super::view::SessionNumber;
use rand::CryptoRng;
use resonance_protocol::identity::IdentityPublic;
use resonance_protocol::peer::TransportId;
use resonance_protocol::safety_number::SafetyNumber;
use resonance_protocol::signal::MediaKey;
use std::collections::BTreeMap;

/// The number as it stands, and what it was computed from.
pub struct Numbers {
    /// What the person and scripts were told last.
    told: SessionNumber,
    /// The people of the last complete number, with their names.
    people: BTreeMap<IdentityPublic, String>,
    /// The number of these people: thousands of hashes, so it is computed when they change only.
    number: String,
}

impl Default for Numbers {
    /// Alone.
    fn default() -> Self {
        let told = SessionNumber { members: 1, ..SessionNumber::default() };
        Self { told, people: BTreeMap::new(), number: String::new() }
    }
}

impl Numbers {
    pub fn view(&self) -> SessionNumber {
        self.told.clone()
    }
}

impl<R: CryptoRng> Session<R> {
    /// A member's sender key came: what it says about its other recipients.
    pub(super) fn hear_recipients(&mut self, from: TransportId, key: &MediaKey) {
        let age = (key.generation, key.step);
        if let Some(member) = self.member_mut(from)
            && member.told.recipients.is_none_or(|(newest, _)| newest <= age)
        {
            member.told.recipients = Some((age, key.recipients_hash));
        }
    }

    /// Looks whether the number is still the same, and says so when it is not.
    pub(super) fn refresh_number(&mut self) {
        let mut people: BTreeMap<_, _> =
            self.reached().map(|(_, member)| (member.identity, member.name.clone())).collect();
        people.insert(self.identity.public(), self.name.clone());
        let incomplete = self.unreached(&people);
        let members = people.len();
        let complete = members > 1 && incomplete.is_empty();
        let mut changed = self.numbers.told.changed.clone();
        if complete && !people.keys().eq(self.numbers.people.keys()) {
            changed = why(&self.numbers.people, &people);
            self.numbers.number = SafetyNumber::of_session(people.keys().copied()).to_string();
            self.numbers.people = people;
        }
        let number = complete.then(|| self.numbers.number.clone());
        let new = SessionNumber { number, members, incomplete, changed };
        if new != self.numbers.told {
            self.numbers.told = new;
            self.tell_session_number();
        }
    }

    pub(super) fn tell_session_number(&mut self) {
        let SessionNumber { number, members, incomplete, .. } = self.numbers.view();
        self.notice(Notice::SessionSafetyNumber { number, members, incomplete });
    }

    /// The members to whom our sender key goes.
    fn reached(&self) -> impl Iterator<Item = (TransportId, &Member)> {
        self.members().filter(|(_, member)| member.gets_our_keys())
    }

    /// Who does not reach whom, in words; empty when everyone's recipients are the same.
    fn unreached(&self, people: &BTreeMap<IdentityPublic, String>) -> Vec<String> {
        let mine = MediaKey::hash_recipients(people.keys().copied());
        let mut lines: Vec<String> = self
            .members()
            .filter(|(_, member)| !member.gets_our_keys() && member.lost_since.is_none())
            .map(|(_, member)| format!("you do not reach {}", member.name))
            .collect();
        for (_, member) in self.reached() {
            let name = &member.name;
            match &member.told.recipients {
                Some((_, hash)) if *hash == mine => continue,
                None => {
                    lines.push(format!("{name} does not reach you yet"));
                    continue;
                }
                Some(_) => {}
            }
            let sees = |identity: &IdentityPublic| member.told.roster.iter().any(|(_, seen)| seen == identity);
            let before = lines.len();
            let missed = people.iter().filter(|(identity, _)| **identity != member.identity && !sees(identity));
            lines.extend(missed.map(|(identity, whom)| match *identity == self.identity.public() {
                true => format!("{name} does not reach you"),
                false => format!("{name} does not reach {whom}"),
            }));
            let strangers = member.told.roster.iter().filter(|(_, identity)| !people.contains_key(identity));
            lines.extend(
                strangers
                    .filter(|(id, _)| !self.members().any(|(member, _)| member == *id))
                    .map(|(id, _)| format!("you do not reach {}, whom {name} has met", id.short())),
            );
            if lines.len() == before {
                lines.push(format!("{name} has not confirmed yet"));
            }
        }
        lines
    }
}

/// `Bo joined`, `Cy left`: what makes the difference; `None` for the first number.
fn why(before: &BTreeMap<IdentityPublic, String>, now: &BTreeMap<IdentityPublic, String>) -> Option<String> {
    let names = |of: &BTreeMap<IdentityPublic, String>, not_in: &BTreeMap<IdentityPublic, String>, what: &str| {
        let names: Vec<&str> =
            of.iter().filter(|(key, _)| !not_in.contains_key(key)).map(|(_, name)| name.as_str()).collect();
        (!names.is_empty()).then(|| format!("{} {what}", names.join(", ")))
    };
    let changes: Vec<_> = [names(now, before, "joined"), names(before, now, "left")].into_iter().flatten().collect();
    (!before.is_empty()).then(|| changes.join(" and "))
}
