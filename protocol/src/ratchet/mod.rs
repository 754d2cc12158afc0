//! The Double Ratchet (Signal's specification, revision 1) with ML-KEM mixed in again and again: whoever steals a state
//! opens little of the past, and nothing once both sides have spoken again.
//!
//! ```text
//!            RK ──KDF_RK(DH)──▶ RK ──KDF_RK(DH ‖ ss)──▶ RK …      a step at each change of direction
//!                    │                  │
//!                    ▼ CKr              ▼ CKs ──KDF_CK──▶ CKs ──KDF_CK──▶ …
//!                                         │                 │
//!                                         ▼ message key 0   ▼ message key 1
//! ```
//! And beside it a chain that moves by the clock, a key for each second ([`Clock`]): a message opens with both keys, so that one
//! that was lost does not wait to be opened by a thief until the next one comes.
//!
//! The sending half of a step waits for the next message to be sealed (Double Ratchet §6, "deferring new ratchet key
//! generation"): until then there is no private key to steal. The bytes are the same.

mod clock;
mod header;
mod keys;
mod skipped;

use crate::kem;
use crate::x25519::KeyPair;
use clock::Clock;
use header::{Header, KemPart};
pub(crate) use keys::Secret;
use keys::{Chain, SealingKey, next_root};
use rand_core::CryptoRng;
use skipped::SkippedKeys;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// How often the initiator mixes ML-KEM in.
const MIX_EVERY: Duration = Duration::from_secs(10 * 60);

/// Messages that one may be ahead of the last: more than are sent in the 90 s after which a silent peer's channel is erased.
const MAX_JUMP: u32 = 1_024;

/// Begins the additional data: session id ‖ identity of the initiator ‖ identity of the responder.
pub(crate) type Context = [u8; 16 + 32 + 32];

/// One end of a conversation. Without `Debug`; its secrets are wiped when it goes.
#[derive(Clone)]
pub(crate) struct Ratchet {
    context: Context,
    /// RK.
    root: Secret,
    /// `None` after a key of the other side has come: the next message begins a chain of its own.
    sending: Option<Sending>,
    /// `None` at an initiator to whom nothing has come.
    receiving: Option<Receiving>,
    /// PN.
    previous: u32,
    skipped: SkippedKeys,
    clock: Clock,
    /// Of the message that opened last, when it did.
    age: Duration,
    mixing: Mixing,
}

#[derive(Clone)]
struct Sending {
    /// DHs.
    pair: KeyPair,
    /// CKs, Ns.
    chain: Chain,
    part: KemPart,
}

#[derive(Clone)]
struct Receiving {
    /// DHr.
    key: [u8; 32],
    /// CKr, Nr.
    chain: Chain,
}

/// Each side's part in mixing ML-KEM in.
#[derive(Clone)]
enum Mixing {
    Initiator {
        /// When a chain of ours last began to carry a key; at first, when the first message was sealed.
        last: Option<Instant>,
        /// Of the key that our chain carries, until it is answered.
        offered: Option<kem::DecapsulationKey>,
    },
    Responder {
        /// The key that their chain carries: our next chain answers it.
        asked: Option<kem::EncapsulationKey>,
    },
}

impl Ratchet {
    /// Bytes that sealing adds at most.
    pub const MAX_OVERHEAD: usize = Header::MAX_LEN + SealingKey::TAG_LEN;

    /// Alice: `mine` goes out now, in message 3; `theirs` came in message 2. `None` when `theirs` is of small order.
    pub fn initiator(now: Instant, context: Context, root: &Secret, mine: KeyPair, theirs: &[u8; 32]) -> Option<Self> {
        let clock = Clock::new(now, root)?;
        let (root, chain) = next_root(root, &mine.agree(theirs)?, None)?;
        Some(Self {
            context,
            root,
            sending: Some(Sending { pair: mine, chain, part: KemPart::Nothing }),
            receiving: None,
            previous: 0,
            skipped: SkippedKeys::default(),
            clock,
            age: Duration::ZERO,
            mixing: Mixing::Initiator { last: None, offered: None },
        })
    }

    /// Bob: `mine` went out in message 2, `theirs` has just come in message 3 and is stepped to at once, so that both may send.
    pub fn responder(now: Instant, context: Context, root: &Secret, mine: &KeyPair, theirs: [u8; 32]) -> Option<Self> {
        let clock = Clock::new(now, root)?;
        let (root, chain) = next_root(root, &mine.agree(&theirs)?, None)?;
        Some(Self {
            context,
            root,
            sending: None,
            receiving: Some(Receiving { key: theirs, chain }),
            previous: 0,
            skipped: SkippedKeys::default(),
            clock,
            age: Duration::ZERO,
            mixing: Mixing::Responder { asked: None },
        })
    }

    /// Seals one text behind `prefix`: prefix ‖ header ‖ ciphertext ‖ tag. `None` when the chain is used up.
    pub fn seal(&mut self, now: Instant, prefix: u8, text: &[u8], rng: &mut impl CryptoRng) -> Option<Vec<u8>> {
        self.forget_expired(now);
        if let Mixing::Initiator { last, .. } = &mut self.mixing {
            last.get_or_insert(now);
        }
        if self.sending.is_none() {
            let pair = KeyPair::generate(rng);
            let (part, hybrid) = self.mix(now, rng);
            self.begin_sending(pair, part, hybrid.as_ref())?;
        }
        let (second, second_key) = self.clock.now(now)?;
        let sending = self.sending.as_mut()?;
        let header = Header {
            key: *sending.pair.public(),
            previous: self.previous,
            number: sending.chain.number(),
            second,
            part: sending.part.clone(),
        };
        let key = sending.chain.step()?.within(&second_key)?;
        // As large as it gets, so that no outgrown buffer with the text stays behind in memory.
        let capacity = text.len().saturating_add(Self::MAX_OVERHEAD).saturating_add(1);
        let mut message = Vec::with_capacity(capacity);
        message.push(prefix);
        header.write(&mut message);
        let associated_data = self.associated_data(message.get(1..)?);
        let begin = message.len();
        message.extend_from_slice(text);
        let tag = key.seal(&associated_data, message.get_mut(begin..)?)?;
        message.extend_from_slice(&tag);
        Some(message)
    }

    /// Opens header ‖ ciphertext ‖ tag. `None` when it is refused: then nothing has changed, except that keys may have expired.
    pub fn open(&mut self, now: Instant, message: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
        self.forget_expired(now);
        let (header, header_bytes, sealed) = Header::parse(message)?;
        let second = self.clock.key(header.second)?;
        let associated_data = self.associated_data(header_bytes);
        if let Some(key) = self.skipped.find(&header.key, header.number) {
            let text = key.within(&second)?.open(&associated_data, sealed)?;
            self.skipped.remove(&header.key, header.number);
            self.hear(now, header.second);
            return Some(text);
        }
        let mut next = self.clone();
        if next.receiving.as_ref().is_none_or(|receiving| receiving.key != header.key) {
            next.begin_receiving(now, &header)?;
        }
        next.skip_to(now, header.number)?;
        let chain = &mut next.receiving.as_mut()?.chain;
        if chain.number() != header.number {
            return None;
        }
        let text = chain.step()?.within(&second)?.open(&associated_data, sealed)?;
        *self = next;
        self.hear(now, header.second);
        Some(text)
    }

    fn hear(&mut self, now: Instant, second: u32) {
        self.clock.hear(now, second);
        self.age = self.clock.age(now, second);
    }

    /// How old the message that opened last was then: up to a second too much, and too little by what this side's clock is behind.
    pub fn age(&self) -> Duration {
        self.age
    }

    /// Forgets the keys that are too old: skipped ones, and those of seconds.
    pub fn forget_expired(&mut self, now: Instant) {
        self.skipped.forget_expired(now);
        self.clock.forget_expired(now);
    }

    /// What a new chain of ours has to do with ML-KEM: what its headers carry, and the secret to mix in.
    fn mix(&mut self, now: Instant, rng: &mut impl CryptoRng) -> (KemPart, Option<Secret>) {
        match &mut self.mixing {
            Mixing::Initiator { last: Some(last), offered } if now.saturating_duration_since(*last) >= MIX_EVERY => {
                *last = now;
                let key = offered.insert(kem::DecapsulationKey::generate(rng));
                (KemPart::Key(key.encapsulation_key()), None)
            }
            Mixing::Responder { asked } => match asked.take() {
                Some(key) => {
                    let (ciphertext, secret) = key.encapsulate(rng);
                    (KemPart::Ciphertext(ciphertext), Some(secret))
                }
                None => (KemPart::Nothing, None),
            },
            Mixing::Initiator { .. } => (KemPart::Nothing, None),
        }
    }

    /// The sending half of a step: RK, CKs = KDF_RK(RK, DH(DHs, DHr) ‖ ss).
    fn begin_sending(&mut self, pair: KeyPair, part: KemPart, hybrid: Option<&Secret>) -> Option<()> {
        let shared = pair.agree(&self.receiving.as_ref()?.key)?;
        let (root, chain) = next_root(&self.root, &shared, hybrid)?;
        self.root = root;
        self.sending = Some(Sending { pair, chain, part });
        Some(())
    }

    /// The receiving half of a step: keeps what is missing of the chain before, then RK, CKr = KDF_RK(RK, DH(DHs, DHr) ‖ ss).
    fn begin_receiving(&mut self, now: Instant, header: &Header) -> Option<()> {
        // A key of theirs answers one of ours: before we have sent ours, there is none.
        let sending = self.sending.take()?;
        let hybrid = match (&mut self.mixing, &header.part) {
            (Mixing::Initiator { offered: None, .. } | Mixing::Responder { .. }, KemPart::Nothing) => None,
            (Mixing::Initiator { offered, .. }, KemPart::Ciphertext(ciphertext)) => {
                Some(offered.take()?.decapsulate(ciphertext))
            }
            (Mixing::Responder { asked }, KemPart::Key(key)) => {
                *asked = Some(kem::EncapsulationKey::parse(key)?);
                None
            }
            _ => return None,
        };
        if self.receiving.is_some() {
            self.skip_to(now, header.previous)?;
        }
        let shared = sending.pair.agree(&header.key)?;
        let (root, chain) = next_root(&self.root, &shared, hybrid.as_ref())?;
        self.root = root;
        self.previous = sending.chain.number();
        self.receiving = Some(Receiving { key: header.key, chain });
        Some(())
    }

    /// Keeps the keys of the messages that come before number `until` in the current chain, as far as there is room.
    fn skip_to(&mut self, now: Instant, until: u32) -> Option<()> {
        let Receiving { key, chain } = self.receiving.as_mut()?;
        if until.saturating_sub(chain.number()) > MAX_JUMP {
            return None;
        }
        while chain.number() < until {
            let number = chain.number();
            let message_key = chain.step()?;
            if until.saturating_sub(number) as usize <= SkippedKeys::MAX {
                self.skipped.keep(now, *key, number, message_key);
            }
        }
        Some(())
    }

    fn associated_data(&self, header: &[u8]) -> Vec<u8> {
        [&self.context, header].concat()
    }
}

#[cfg(test)]
mod tests;
