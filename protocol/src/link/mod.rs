//! The link: what a person pastes to invite others. Text in and out, errors that say what to do, and the session's keys.
//!
//! ```text
//! resonance: base58( version · flags · expiry · host · authority hash · session secret · hints · checksum )
//! ```

mod base58;
mod find;
mod keys;

pub use keys::{SessionId, SessionKeys};

use crate::identity::cut_hash;
use crate::peer::{Address, TransportId};
use rand_core::CryptoRng;
use std::fmt;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// The secret that a link carries: whoever has it may join. Never leaves the process but inside a link's text.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct SessionSecret([u8; 16]);

impl SessionSecret {
    /// Bytes of a secret.
    pub const LEN: usize = 16;

    /// A fresh secret.
    pub fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut secret = Self([0; Self::LEN]);
        rng.fill_bytes(&mut secret.0);
        secret
    }

    pub(crate) const fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn as_bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }
}

/// An invitation to one session.
#[derive(Clone)]
pub struct Link {
    /// All zero in this version.
    pub flags: u8,
    /// Unix seconds after which it is not to be used; 0 = never expires.
    pub expires: u64,
    /// The peer to ask first: the session's creator.
    pub host: TransportId,
    /// Hash of the host's authority key: see [`AuthorityKey::hash`](crate::identity::AuthorityKey::hash).
    pub authority_hash: [u8; 16],
    secret: SessionSecret,
    /// Where the host may be reached: at most [`Link::MAX_HINTS`].
    pub hints: Vec<Address>,
}

/// Why a text gives no usable link. Each says what happened and what to do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// No "resonance:" followed by anything.
    #[error("there is no link here: paste the whole text that begins with \"resonance:\"")]
    NotFound,
    /// A character that links never contain.
    #[error("the link has a wrong character, {character:?}, at place {place}: copy it again instead of typing it")]
    WrongCharacter {
        /// The character.
        character: char,
        /// Its place after "resonance:", counted from 1.
        place: usize,
    },
    /// The end is missing.
    #[error("the link is cut short: copy it again, to its very end")]
    Truncated,
    /// More characters than any link has.
    #[error("this is too long for a link: paste the link alone")]
    TooLong,
    /// Every character is possible, but together they are no link.
    #[error("the link has a typing error, or a piece of it is missing: copy it again")]
    Checksum,
    /// Made by a version of resonance that this one does not understand.
    #[error("the link is of version {0}, which this program does not know: update resonance")]
    UnknownVersion(u8),
    /// Its checksum is right, its contents are not: whoever made it did so wrongly.
    #[error("the link is not well made: ask for a new one")]
    Malformed,
    /// Its time is over.
    #[error("the link expired {} ago: ask for a new one", duration(*.seconds_ago))]
    Expired {
        /// For how long.
        seconds_ago: u64,
    },
}

impl Link {
    /// The format's version.
    const VERSION: u8 = 1;
    /// Hints a link may carry: more would make it long, and the first ones are the best.
    pub const MAX_HINTS: usize = 6;
    /// What stands before the base58 characters.
    pub const SCHEME: &'static str = "resonance:";

    const CHECKSUM_LEN: usize = 4;
    /// Bytes without hints: version, flags, expiry, host, authority hash, secret, checksum.
    const MIN_LEN: usize = 1 + 1 + 8 + 32 + 16 + 16 + Self::CHECKSUM_LEN;
    const MAX_LEN: usize = Self::MIN_LEN + Self::MAX_HINTS * Address::IPV6_LEN;
    /// Expiry is below this (the year 36812): three bytes that are known to be zero tell links from chance.
    const MAX_EXPIRES: u64 = 1 << 40;

    /// A link to a new session with a fresh secret. Hints beyond [`Link::MAX_HINTS`] are left out.
    pub fn create(
        host: TransportId,
        authority_hash: [u8; 16],
        expires: u64,
        mut hints: Vec<Address>,
        rng: &mut impl CryptoRng,
    ) -> Link {
        let secret = SessionSecret::generate(rng);
        hints.truncate(Self::MAX_HINTS);
        Link {
            flags: 0,
            expires: expires.min(Self::MAX_EXPIRES.saturating_sub(1)),
            host,
            authority_hash,
            secret,
            hints,
        }
    }

    /// The secret that its holders share.
    pub fn secret(&self) -> &SessionSecret {
        &self.secret
    }

    /// A link to the same session, with the same name, by another secret: what remains after somebody was removed.
    pub fn with_secret(&self, secret: SessionSecret) -> Link {
        Link { secret, ..self.clone() }
    }

    /// The text to share. It holds the secret.
    pub fn to_text(&self) -> String {
        let mut bytes = Zeroizing::new(Vec::with_capacity(Self::MAX_LEN));
        bytes.extend_from_slice(&[Self::VERSION, self.flags]);
        bytes.extend_from_slice(&self.expires.to_be_bytes());
        bytes.extend_from_slice(self.host.as_bytes());
        bytes.extend_from_slice(&self.authority_hash);
        bytes.extend_from_slice(&self.secret.0);
        self.hints.iter().take(Self::MAX_HINTS).for_each(|hint| hint.write(&mut bytes));
        let checksum = checksum(&bytes);
        bytes.extend_from_slice(&checksum);
        [Self::SCHEME, &base58::encode(&bytes)].concat()
    }

    /// Finds the first link in a text: alone, in quotes, in the middle of a mail, or wrapped over several lines.
    /// `resonance://…` is understood too.
    ///
    /// # Errors
    /// See [`LinkError`]; expiry is not looked at here.
    pub fn find(text: &str) -> Result<Link, LinkError> {
        find::find(text)
    }

    /// Whether the link may still be used at `now_unix` (seconds).
    ///
    /// # Errors
    /// [`LinkError::Expired`].
    pub fn check_expiry(&self, now_unix: u64) -> Result<(), LinkError> {
        match now_unix.checked_sub(self.expires) {
            Some(seconds_ago) if self.expires != 0 => Err(LinkError::Expired { seconds_ago }),
            _ => Ok(()),
        }
    }

    /// The session's name and keys.
    pub fn keys(&self) -> SessionKeys {
        let Self { flags, expires, host, authority_hash, secret, .. } = self;
        let bound = keys::Bound { version: Self::VERSION, flags: *flags, expires: *expires, host, authority_hash };
        SessionKeys::of_link(&bound, &secret.0)
    }

    /// Reads the base58 characters of one whole link.
    fn decode(characters: &str) -> Result<Link, LinkError> {
        if let Some((index, character)) = characters.chars().enumerate().find(|(_, c)| base58::digit(*c).is_none()) {
            return Err(LinkError::WrongCharacter { character, place: index.saturating_add(1) });
        }
        let bytes = base58::decode(characters).ok_or(LinkError::Checksum)?;
        let (body, sum) = bytes.split_last_chunk::<{ Self::CHECKSUM_LEN }>().ok_or(LinkError::Truncated)?;
        if !bool::from(checksum(body).ct_eq(sum)) {
            return Err(if Self::is_cut_short(characters) { LinkError::Truncated } else { LinkError::Checksum });
        }
        Self::parse(body)
    }

    /// Reads what the checksum has vouched for.
    fn parse(body: &[u8]) -> Result<Link, LinkError> {
        let (&[version], rest) = body.split_first_chunk().ok_or(LinkError::Malformed)?;
        if version != Self::VERSION {
            return Err(LinkError::UnknownVersion(version));
        }
        let (&[flags], rest) = rest.split_first_chunk().ok_or(LinkError::Malformed)?;
        let (expires, rest) = rest.split_first_chunk().ok_or(LinkError::Malformed)?;
        let (host, rest) = rest.split_first_chunk().ok_or(LinkError::Malformed)?;
        let (authority_hash, rest) = rest.split_first_chunk().ok_or(LinkError::Malformed)?;
        let (secret, mut rest) = rest.split_first_chunk().ok_or(LinkError::Malformed)?;
        let expires = u64::from_be_bytes(*expires);
        let mut hints = Vec::new();
        while !rest.is_empty() {
            let (hint, after) = Address::parse(rest).ok_or(LinkError::Malformed)?;
            hints.push(hint);
            rest = after;
        }
        if flags != 0 || expires >= Self::MAX_EXPIRES || hints.len() > Self::MAX_HINTS {
            return Err(LinkError::Malformed);
        }
        let host = TransportId::from_bytes(*host);
        Ok(Link { flags, expires, host, authority_hash: *authority_hash, secret: SessionSecret(*secret), hints })
    }

    /// Whether these characters are the beginning of a link, so that a person can be told what is wrong with them.
    ///
    /// Once a number's length is known, its leading characters tell its leading bytes: so every possible length is tried.
    fn is_cut_short(characters: &str) -> bool {
        characters.len() < Self::characters_of(Self::MIN_LEN)
            || Self::lengths().map(Self::characters_of).filter(|&len| len > characters.len()).any(|len| {
                let completed = Zeroizing::new(format!("{characters:1<len$}"));
                base58::decode(&completed).is_some_and(|bytes| bytes.starts_with(&[Self::VERSION, 0, 0, 0, 0]))
            })
    }

    /// Every length of a link in bytes: with up to six hints of either size.
    fn lengths() -> impl Iterator<Item = usize> {
        let mixes = (0..=Self::MAX_HINTS)
            .flat_map(|ipv4| (0..=Self::MAX_HINTS.saturating_sub(ipv4)).map(move |ipv6| (ipv4, ipv6)));
        mixes.map(|(ipv4, ipv6)| {
            let hints = ipv4.saturating_mul(Address::IPV4_LEN).saturating_add(ipv6.saturating_mul(Address::IPV6_LEN));
            hints.saturating_add(Self::MIN_LEN)
        })
    }

    /// Base58 characters of so many bytes that begin with a one: 256^(len − 1) has log₅₈ 256 = 1.365658… digits a byte, and one.
    fn characters_of(len: usize) -> usize {
        len.saturating_sub(1).saturating_mul(1_365_658).div_euclid(1_000_000).saturating_add(1)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Link");
        shown.field("host", &self.host).field("expires", &self.expires).field("hints", &self.hints.len());
        shown.finish_non_exhaustive()
    }
}

fn checksum(body: &[u8]) -> [u8; Link::CHECKSUM_LEN] {
    let [a, b, c, d, ..] = cut_hash(&[b"resonance/v1/link", body]);
    [a, b, c, d]
}

/// "40 seconds", "3 minutes", "5 hours", "2 days".
fn duration(seconds: u64) -> String {
    let (count, unit) = match seconds {
        0..60 => (seconds, "second"),
        60..3_600 => (seconds.div_euclid(60), "minute"),
        3_600..86_400 => (seconds.div_euclid(3_600), "hour"),
        _ => (seconds.div_euclid(86_400), "day"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests;
