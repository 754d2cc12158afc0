//! The contact book: which identity keys were met under which names, when, and whether their numbers were compared.
//!
//! Times are Unix seconds, given by the caller.

use crate::identity::IdentityPublic;
use std::collections::BTreeMap;

/// One person, known by its identity key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Contact {
    /// The name it last went by: at most [`Contact::MAX_NAME`] bytes.
    pub name: String,
    /// When it was first met.
    pub first_met: u64,
    /// When it last came into a session.
    pub last_met: u64,
    /// Its safety number was compared.
    pub verified: bool,
}

impl Contact {
    /// Bytes of a name: what the handshake carries.
    pub const MAX_NAME: usize = 64;
}

/// Everyone who is remembered, by identity key. At most [`ContactBook::MAX`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ContactBook(BTreeMap<IdentityPublic, Contact>);

impl ContactBook {
    /// Contacts in a book: more people than anyone meets, and a file of a fraction of a megabyte.
    pub const MAX: usize = 1_000;

    /// Who this key belongs to.
    pub fn get(&self, key: &IdentityPublic) -> Option<&Contact> {
        self.0.get(key)
    }

    /// Everyone, in the order of their keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&IdentityPublic, &Contact)> {
        self.0.iter()
    }

    /// Somebody else who goes by this name, whatever the case of its letters: whoever is verified first, then whoever was
    /// met last.
    pub fn namesake(&self, name: &str, key: &IdentityPublic) -> Option<(&IdentityPublic, &Contact)> {
        let name = name.to_lowercase();
        let alike = self.0.iter().filter(|(other, contact)| *other != key && contact.name.to_lowercase() == name);
        alike.max_by_key(|(_, contact)| (contact.verified, contact.last_met))
    }

    /// Somebody came into a session. In a full book the one takes its place who was not met for longest, the verified last.
    pub fn meet(&mut self, key: IdentityPublic, name: &str, now: u64) {
        let name = cut(name);
        if let Some(contact) = self.0.get_mut(&key) {
            contact.name = name;
            contact.last_met = contact.last_met.max(now);
            return;
        }
        self.insert(key, Contact { name, first_met: now, last_met: now, verified: false });
    }

    /// Adds or replaces a contact.
    pub fn insert(&mut self, key: IdentityPublic, contact: Contact) {
        if !self.0.contains_key(&key) && self.0.len() >= Self::MAX {
            let least = self.0.iter().min_by_key(|(_, contact)| (contact.verified, contact.last_met));
            if let Some(least) = least.map(|(key, _)| *key) {
                self.0.remove(&least);
            }
        }
        self.0.insert(key, Contact { name: cut(&contact.name), ..contact });
    }

    /// The numbers were compared, or that is taken back; false when nobody is known by this key.
    pub fn set_verified(&mut self, key: &IdentityPublic, verified: bool) -> bool {
        self.0.get_mut(key).map(|contact| contact.verified = verified).is_some()
    }
}

/// At most [`Contact::MAX_NAME`] bytes, whole characters.
pub(crate) fn cut(name: &str) -> String {
    let end = name.floor_char_boundary(Contact::MAX_NAME);
    name.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(number: u16) -> IdentityPublic {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        IdentityPublic::from_bytes(bytes)
    }

    #[test]
    fn a_name_under_another_key_is_noticed_whatever_its_case() {
        let mut book = ContactBook::default();
        book.meet(key(1), "Bo", 100);
        book.meet(key(2), "BO", 200);
        assert_eq!(book.namesake("bo", &key(3)).map(|(key, _)| *key), Some(key(2)), "who was met last");
        book.set_verified(&key(1), true);
        assert_eq!(book.namesake("bo", &key(3)).map(|(key, _)| *key), Some(key(1)), "who is verified");
        assert_eq!(book.namesake("Bo", &key(1)).map(|(key, _)| *key), Some(key(2)), "oneself is no namesake");
        assert_eq!(book.namesake("Cy", &key(3)), None);
    }

    #[test]
    fn a_long_name_is_cut_at_a_whole_character_also_when_a_contact_is_put_in() {
        let mut book = ContactBook::default();
        let long = "é".repeat(Contact::MAX_NAME);
        book.insert(key(1), Contact { name: long, first_met: 100, last_met: 100, verified: false });
        let name = &book.get(&key(1)).unwrap().name;
        assert_eq!(*name, "é".repeat(Contact::MAX_NAME / 2));
    }

    #[test]
    fn meeting_again_changes_the_name_and_the_last_time_alone() {
        let mut book = ContactBook::default();
        book.meet(key(1), "Bo", 100);
        book.set_verified(&key(1), true);
        book.meet(key(1), "Bobby", 300);
        book.meet(key(1), "Bobby", 200);
        let expected = Contact { name: "Bobby".into(), first_met: 100, last_met: 300, verified: true };
        assert_eq!(book.get(&key(1)), Some(&expected));
        assert!(!book.set_verified(&key(9), true));
    }

    #[test]
    fn a_full_book_forgets_who_was_not_met_for_longest_and_the_verified_last() {
        let mut book = ContactBook::default();
        for number in 0..ContactBook::MAX as u16 {
            book.meet(key(number), "x", u64::from(number));
        }
        book.set_verified(&key(0), true);
        book.meet(key(5_000), &"é".repeat(40), 9_999);
        assert_eq!(book.iter().len(), ContactBook::MAX);
        assert!(book.get(&key(0)).is_some() && book.get(&key(1)).is_none());
        assert_eq!(book.get(&key(5_000)).unwrap().name.len(), Contact::MAX_NAME);
    }
}
