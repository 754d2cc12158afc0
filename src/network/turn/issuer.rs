//! Who may use a server: short-lived credentials for the long-term mechanism (RFC 8489 §9.2).
//!
//! A user is a random name; its password is a MAC of that name under a key that the server made for itself and that
//! never leaves it, so no password is kept. A user begins new allocations for ten minutes. What it has allocated lives
//! on as long as its owner keeps asking for new credentials in time, and no longer.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use libp2p::PeerId;
use rtc::crypto::{HmacAlgorithm, RTCCryptoProvider};
use rtc::stun::integrity::MessageIntegrity;
use zeroize::Zeroizing;

use super::REALM;

/// How long a user begins new allocations.
pub(super) const CREDENTIAL_LIFETIME: Duration = Duration::from_secs(600);

/// Users of one owner: who asks again before the last one is due has two, and a third allows for impatience.
const MAX_USERS_PER_OWNER: usize = 3;

/// What a MAC is for is part of it.
const PASSWORD: &[u8] = b"resonance/v1/turn password";
/// See [`PASSWORD`].
const NONCE: &[u8] = b"resonance/v1/turn nonce";

/// Makes credentials and recognises them.
pub(super) struct Issuer {
    key: Zeroizing<[u8; 32]>,
    provider: Arc<dyn RTCCryptoProvider>,
    max_owners: usize,
    /// Each owner's users, the newest last, and when they expire.
    owners: HashMap<PeerId, VecDeque<(String, Instant)>>,
    users: HashMap<String, PeerId>,
}

impl Issuer {
    /// With a fresh random key; for so many owners at once.
    pub(super) fn new(key: Zeroizing<[u8; 32]>, provider: Arc<dyn RTCCryptoProvider>, max_owners: usize) -> Self {
        Self { key, provider, max_owners, owners: HashMap::new(), users: HashMap::new() }
    }

    /// Makes a user for `owner`; `None` when there are too many owners already.
    pub(super) fn issue(
        &mut self,
        owner: PeerId,
        now: Instant,
        random: [u8; 15],
    ) -> Option<(String, Zeroizing<String>)> {
        if !self.owners.contains_key(&owner) && self.owners.len() >= self.max_owners {
            return None;
        }
        let user = URL_SAFE_NO_PAD.encode(random);
        let password = self.password(&user)?;
        let issued = self.owners.entry(owner).or_default();
        if issued.len() >= MAX_USERS_PER_OWNER {
            issued.pop_front().map(|(oldest, _)| self.users.remove(&oldest));
        }
        issued.push_back((user.clone(), now + CREDENTIAL_LIFETIME));
        self.users.insert(user.clone(), owner);
        Some((user, password))
    }

    /// Whose this user is, as long as it may begin something.
    pub(super) fn owner(&self, user: &str, now: Instant) -> Option<PeerId> {
        let owner = self.users.get(user)?;
        let mut issued = self.owners.get(owner)?.iter();
        issued.any(|(issued, until)| issued == user && *until > now).then_some(*owner)
    }

    /// Whether the owner has credentials that have not expired.
    pub(super) fn is_current(&self, owner: &PeerId, now: Instant) -> bool {
        self.owners.get(owner).and_then(VecDeque::back).is_some_and(|(_, until)| *until > now)
    }

    /// Takes back all credentials of an owner.
    pub(super) fn revoke(&mut self, owner: &PeerId) {
        for (user, _) in self.owners.remove(owner).unwrap_or_default() {
            self.users.remove(&user);
        }
    }

    /// Forgets what has expired.
    pub(super) fn expire(&mut self, now: Instant) {
        let users = &mut self.users;
        self.owners.retain(|_, issued| {
            while let Some((user, _)) = issued.front().filter(|(_, until)| *until <= now) {
                users.remove(user);
                issued.pop_front();
            }
            !issued.is_empty()
        });
    }

    /// How many owners have credentials.
    pub(super) fn len(&self) -> usize {
        self.owners.len()
    }

    /// What requests of this user are signed with (RFC 8489 §9.2.2: MD5 of name, realm and password).
    pub(super) fn signing_key(&self, user: &str) -> Option<Zeroizing<Vec<u8>>> {
        let password = self.password(user)?;
        // The library wants strings of its own; it joins them into one that is freed, not erased.
        let (user, password) = (user.to_owned(), password.as_str().to_owned());
        let key = MessageIntegrity::long_term_integrity_key(user, REALM.into(), password, self.provider.crypto());
        key.ok().map(Zeroizing::new)
    }

    /// The tag that only this server can put on a nonce.
    pub(super) fn nonce_tag(&self, parts: &[&[u8]]) -> Option<[u8; 12]> {
        self.mac(NONCE, parts)?[..12].try_into().ok()
    }

    fn password(&self, user: &str) -> Option<Zeroizing<String>> {
        let tag = self.mac(PASSWORD, &[user.as_bytes()])?;
        Some(Zeroizing::new(URL_SAFE_NO_PAD.encode(&tag[..])))
    }

    fn mac(&self, purpose: &[u8], parts: &[&[u8]]) -> Option<Zeroizing<[u8; 32]>> {
        let mut mac = self.provider.crypto().new_hmac(HmacAlgorithm::Sha256, &self.key[..]).ok()?;
        let mut tag = Zeroizing::new([0; 32]);
        mac.sign(&[&[purpose], parts].concat(), &mut tag[..]).ok()?;
        Some(tag)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn issuer(max_owners: usize) -> Issuer {
        Issuer::new(Zeroizing::new([7; 32]), rtc::crypto::default_provider().unwrap(), max_owners)
    }

    #[test]
    fn a_user_is_good_for_ten_minutes_and_its_owner_for_as_long_as_it_asks() {
        let (mut issuer, start, owner) = (issuer(8), Instant::now(), PeerId::random());
        let (first, password) = issuer.issue(owner, start, [1; 15]).unwrap();
        assert_eq!(issuer.owner(&first, start), Some(owner));
        assert_eq!(issuer.password(&first), Some(password));
        assert_eq!(issuer.owner("somebody", start), None);
        let later = start + Duration::from_secs(500);
        let (second, other) = issuer.issue(owner, later, [2; 15]).unwrap();
        assert!(first != second && issuer.password(&first) != Some(other));
        let after = start + CREDENTIAL_LIFETIME;
        assert_eq!((issuer.owner(&first, after), issuer.owner(&second, after)), (None, Some(owner)));
        assert!(issuer.is_current(&owner, after));
        issuer.expire(after);
        assert_eq!(issuer.owner(&second, after), Some(owner));
        assert!(!issuer.is_current(&owner, later + CREDENTIAL_LIFETIME));
        issuer.revoke(&owner);
        assert_eq!((issuer.owner(&second, after), issuer.len(), issuer.users.len()), (None, 0, 0));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let (mut issuer, now, greedy) = (issuer(8), Instant::now(), PeerId::random());
        let users: Vec<String> = (0..50).map(|n| issuer.issue(greedy, now, [n; 15]).unwrap().0).collect();
        assert_eq!(issuer.users.len(), MAX_USERS_PER_OWNER);
        assert_eq!((issuer.owner(&users[0], now), issuer.owner(&users[49], now)), (None, Some(greedy)));
        let served = (0..50).filter(|n| issuer.issue(PeerId::random(), now, [100 + n; 15]).is_some()).count();
        assert_eq!((served, issuer.len()), (7, 8));
        issuer.expire(now + CREDENTIAL_LIFETIME);
        assert_eq!((issuer.len(), issuer.users.len()), (0, 0));
        assert!(issuer.issue(PeerId::random(), now, [0; 15]).is_some());
    }

    #[test]
    fn another_servers_password_is_another() {
        let provider = rtc::crypto::default_provider().unwrap();
        let other = Issuer::new(Zeroizing::new([8; 32]), provider, 8);
        assert_ne!(issuer(8).password("user"), other.password("user"));
        assert_ne!(issuer(8).signing_key("user"), other.signing_key("user"));
    }
}
