//! Two ends of a ratchet over a network that loses, repeats, swaps, delays and forges.

mod clock;
mod theft;

use super::*;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::cell::RefCell;
use std::collections::HashSet;

const SECOND: Duration = Duration::from_secs(1);

type KeyAndNonce = ([u8; 32], [u8; 12]);

std::thread_local! {
    /// Keys and nonces that this thread has sealed with, where a test asks for it.
    static USED: RefCell<Option<HashSet<KeyAndNonce>>> = const { RefCell::new(None) };
}

pub(super) fn record(key: &[u8; 32], nonce: &[u8; 12]) {
    let new = USED.with_borrow_mut(|used| used.as_mut().is_none_or(|used| used.insert((*key, *nonce))));
    assert!(new, "a key and nonce were used twice");
}

struct Pair {
    al: Ratchet,
    bo: Ratchet,
    now: Instant,
    rng: StdRng,
}

impl Pair {
    /// Al is the initiator.
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let (context, root) = ([7; 80], Secret::new(rng.random()));
        let (al, bo) = (KeyPair::generate(&mut rng), KeyPair::generate(&mut rng));
        let (al_key, bo_key) = (*al.public(), *bo.public());
        let now = Instant::now();
        let al = Ratchet::initiator(now, context, &root, al, &bo_key).unwrap();
        Self { al, bo: Ratchet::responder(now, context, &root, &bo, al_key).unwrap(), now, rng }
    }

    fn al_says(&mut self, text: &[u8]) -> Vec<u8> {
        sealed(&mut self.al, self.now, text, &mut self.rng)
    }

    fn bo_says(&mut self, text: &[u8]) -> Vec<u8> {
        sealed(&mut self.bo, self.now, text, &mut self.rng)
    }

    fn at_al(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        self.al.open(self.now, message).map(|text| text.to_vec())
    }

    fn at_bo(&mut self, message: &[u8]) -> Option<Vec<u8>> {
        self.bo.open(self.now, message).map(|text| text.to_vec())
    }

    /// Al says something and Bo answers; all of it arrives.
    fn round(&mut self) -> [Vec<u8>; 2] {
        let ping = self.al_says(b"ping");
        assert_eq!(self.at_bo(&ping).unwrap(), b"ping");
        let pong = self.bo_says(b"pong");
        assert_eq!(self.at_al(&pong).unwrap(), b"pong");
        [ping, pong]
    }
}

fn sealed(ratchet: &mut Ratchet, now: Instant, text: &[u8], rng: &mut StdRng) -> Vec<u8> {
    let message = ratchet.seal(now, 4, text, rng).unwrap();
    assert_eq!(message[0], 4);
    message[1..].to_vec()
}

fn part(message: &[u8]) -> KemPart {
    Header::parse(message).unwrap().0.part
}

/// All that a ratchet knows.
fn snapshot(ratchet: &Ratchet) -> Vec<u8> {
    let mut all = ratchet.root.to_vec();
    if let Some(sending) = &ratchet.sending {
        all.extend_from_slice(sending.pair.private());
        all.extend_from_slice(sending.chain.key());
        all.extend_from_slice(&sending.chain.number().to_be_bytes());
    }
    if let Some(receiving) = &ratchet.receiving {
        all.extend_from_slice(&receiving.key);
        all.extend_from_slice(receiving.chain.key());
        all.extend_from_slice(&receiving.chain.number().to_be_bytes());
    }
    all.extend_from_slice(&ratchet.previous.to_be_bytes());
    ratchet.skipped.keys().iter().for_each(|key| all.extend_from_slice(key));
    all.extend_from_slice(format!("{:?}{:?}", ratchet.clock.all(), ratchet.age).as_bytes());
    all.push(match &ratchet.mixing {
        Mixing::Initiator { offered, .. } => u8::from(offered.is_some()),
        Mixing::Responder { asked } => u8::from(asked.is_some()),
    });
    all
}

#[test]
fn both_may_begin() {
    for bo_first in [false, true] {
        let mut pair = Pair::new(1);
        for _ in 0..3 {
            let (from_al, from_bo) = (pair.al_says(b"from Al"), pair.bo_says(b"from Bo"));
            if bo_first {
                assert_eq!(pair.at_al(&from_bo).unwrap(), b"from Bo");
            }
            assert_eq!(pair.at_bo(&from_al).unwrap(), b"from Al");
            if !bo_first {
                assert_eq!(pair.at_al(&from_bo).unwrap(), b"from Bo");
            }
        }
    }
}

#[derive(Clone)]
struct Said {
    to_bo: bool,
    text: [u8; 4],
    message: Vec<u8>,
    at: Instant,
    delivered: bool,
}

/// A thousand conversations of 120 messages: each message opens once to what was said, or is cleanly refused because it came twice or too late.
#[test]
fn any_order_loss_and_repetition_gives_the_same_texts_or_a_clean_refusal() {
    let (mut opened, mut late, mut mixed) = (0u32, 0u32, 0u32);
    for seed in 0..1_000 {
        USED.set(Some(HashSet::new()));
        let mut pair = Pair::new(seed);
        let mut messages: Vec<Said> = Vec::new();
        for number in 0u32..120 {
            pair.now +=
                if pair.rng.random_ratio(1, 60) { 601 * SECOND } else { SECOND * pair.rng.random_range(0..3) / 2 };
            let (to_bo, text) = (pair.rng.random(), number.to_be_bytes());
            let message = if to_bo { pair.al_says(&text) } else { pair.bo_says(&text) };
            mixed += u32::from(part(&message) != KemPart::Nothing);
            messages.push(Said { to_bo, text, message, at: pair.now, delivered: false });
            for _ in 0..pair.rng.random_range(0..3) {
                // Mostly one of the last few; a fifth is never tried and so is lost.
                let reach = if pair.rng.random_ratio(1, 10) { messages.len() } else { messages.len().min(5) };
                let back = pair.rng.random_range(0..reach);
                let at = messages.len() - 1 - back;
                let Said { to_bo, text, message, at: sent, delivered } = messages[at].clone();
                let state = if to_bo { &pair.bo } else { &pair.al };
                let mut before = state.clone();
                before.forget_expired(pair.now);
                let result = if to_bo { pair.at_bo(&message) } else { pair.at_al(&message) };
                match result {
                    Some(read) => {
                        assert!(!delivered, "seed {seed}: message {at} opened twice");
                        assert_eq!(read, text);
                        messages[at].delivered = true;
                        opened += 1;
                    }
                    None => {
                        let age = pair.now - sent;
                        assert!(delivered || age > 7 * SECOND, "seed {seed}: message {at}, {age:?} old");
                        late += u32::from(!delivered);
                        assert!(snapshot(&before) == snapshot(if to_bo { &pair.bo } else { &pair.al }));
                    }
                }
            }
        }
    }
    USED.set(None);
    assert!(opened > 50_000 && late > 500 && mixed > 1_000, "{opened} opened, {late} too late, {mixed} with ML-KEM");
}

#[test]
fn a_flipped_bit_anywhere_is_refused_and_moves_nothing() {
    let mut pair = Pair::new(3);
    // Messages that begin a chain, that do not, that were skipped, and that carry each part of ML-KEM.
    pair.round();
    let skipped = pair.al_says(b"skipped");
    let within = pair.al_says(b"within");
    assert!(pair.at_bo(&within).is_some());
    check_flips(&mut pair, &skipped, true);
    let fresh = pair.bo_says(b"fresh");
    check_flips(&mut pair, &fresh, false);
    pair.now += MIX_EVERY;
    let with_key = pair.al_says(b"with a key");
    assert!(matches!(part(&with_key), KemPart::Key(_)));
    check_flips(&mut pair, &with_key, true);
    let with_ciphertext = pair.bo_says(b"with a ciphertext");
    assert!(matches!(part(&with_ciphertext), KemPart::Ciphertext(_)));
    check_flips(&mut pair, &with_ciphertext, false);
    pair.round();
}

fn check_flips(pair: &mut Pair, message: &[u8], to_bo: bool) {
    let now = pair.now;
    let ratchet = if to_bo { &mut pair.bo } else { &mut pair.al };
    ratchet.forget_expired(now);
    let before = snapshot(ratchet);
    for byte in 0..message.len() {
        for bit in 0..8 {
            let mut forged = message.to_vec();
            forged[byte] ^= 1 << bit;
            assert!(ratchet.open(now, &forged).is_none(), "byte {byte} bit {bit}");
        }
    }
    for len in 0..message.len() {
        assert!(ratchet.open(now, &message[..len]).is_none(), "{len} bytes");
    }
    assert!(before == snapshot(ratchet));
    assert!(ratchet.open(now, message).is_some(), "the true one still opens");
    assert!(ratchet.open(now, message).is_none(), "once");
}

#[test]
fn skipped_keys_are_few_and_soon_forgotten() {
    let mut pair = Pair::new(4);
    let messages: Vec<_> = (0..100u8).map(|number| pair.al_says(&[number])).collect();
    assert!(pair.at_bo(&messages[99]).is_some());
    assert_eq!(pair.bo.skipped.keys().len(), SkippedKeys::MAX);
    assert!(pair.at_bo(&messages[34]).is_none(), "number 65 before");
    assert_eq!(pair.at_bo(&messages[35]).unwrap(), [35]);
    pair.now += SkippedKeys::MAX_AGE - Duration::from_millis(1);
    assert_eq!(pair.at_bo(&messages[36]).unwrap(), [36]);
    pair.now += Duration::from_millis(1);
    assert!(pair.at_bo(&messages[37]).is_none(), "8 s old");
    assert_eq!(pair.bo.skipped.keys().len(), 0, "a refused message lets go what has expired");
}

#[test]
fn skipped_keys_go_when_time_passes_and_nothing_comes() {
    let mut pair = Pair::new(5);
    pair.al_says(b"lost");
    let message = pair.al_says(b"comes");
    assert!(pair.at_bo(&message).is_some());
    assert_eq!(pair.bo.skipped.keys().len(), 1);
    pair.bo.forget_expired(pair.now + SkippedKeys::MAX_AGE);
    assert_eq!(pair.bo.skipped.keys().len(), 0);
}

#[test]
fn a_jump_is_followed_within_bounds() {
    let mut pair = Pair::new(6);
    let messages: Vec<_> = (0..=MAX_JUMP + 1).map(|_| pair.al_says(b"far ahead")).collect();
    let before = snapshot(&pair.bo);
    assert!(pair.at_bo(messages.last().unwrap()).is_none());
    assert!(before == snapshot(&pair.bo));
    assert!(pair.at_bo(&messages[MAX_JUMP as usize]).is_some());
    assert_eq!(pair.bo.skipped.keys().len(), SkippedKeys::MAX);
    assert!(pair.at_bo(messages.last().unwrap()).is_some(), "the next one");
}

#[test]
fn a_used_up_chain_seals_nothing_until_it_is_answered() {
    let mut pair = Pair::new(7);
    let first = pair.al_says(b"first");
    pair.al.sending.as_mut().unwrap().chain.jump_to(u32::MAX - 1);
    pair.al_says(b"last");
    assert!(pair.al.seal(pair.now, 4, b"one more", &mut pair.rng).is_none());
    assert!(pair.at_bo(&first).is_some());
    let answer = pair.bo_says(b"answer");
    assert!(pair.at_al(&answer).is_some());
    assert!(pair.al.seal(pair.now, 4, b"again", &mut pair.rng).is_some());
}

#[test]
fn what_comes_back_to_its_sender_is_refused() {
    let mut pair = Pair::new(8);
    let first = pair.al_says(b"to Bo");
    assert!(pair.at_al(&first).is_none());
    let [ping, pong] = pair.round();
    assert!(pair.at_al(&ping).is_none() && pair.at_bo(&pong).is_none());
    let next = pair.al_says(b"to Bo");
    assert!(pair.at_al(&next).is_none());
}

/// The same keys in another session, or between other identities, are worth nothing: each byte of the context counts.
#[test]
fn what_was_sealed_in_another_context_is_refused() {
    let mut pair = Pair::new(13);
    let message = pair.al_says(b"hello");
    for byte in 0..pair.bo.context.len() {
        let mut elsewhere = pair.bo.clone();
        elsewhere.context[byte] ^= 1;
        assert!(elsewhere.open(pair.now, &message).is_none(), "byte {byte}");
    }
    assert!(pair.at_bo(&message).is_some());
}

#[test]
fn a_ratchet_key_of_small_order_is_refused() {
    for point in crate::x25519::tests::small_order_points() {
        let (now, root, mut rng) = (Instant::now(), Secret::default(), StdRng::seed_from_u64(1));
        let mut pair = || KeyPair::generate(&mut rng);
        assert!(Ratchet::initiator(now, [0; 80], &root, pair(), &point).is_none());
        assert!(Ratchet::responder(now, [0; 80], &root, &pair(), point).is_none());
        let mut pair = Pair::new(9);
        pair.round();
        let mut message = pair.al_says(b"next");
        message[1..33].copy_from_slice(&point);
        let before = snapshot(&pair.bo);
        assert!(pair.at_bo(&message).is_none());
        assert!(before == snapshot(&pair.bo));
    }
}

/// Every header of the initiator's chain carries the key, every header of the answering chain the ciphertext, so that loss
/// does not matter; and the next chains carry nothing.
#[test]
fn ml_kem_is_mixed_in_every_ten_minutes_whatever_is_lost() {
    let mut pair = Pair::new(10);
    let begin = pair.now;
    let mut mixed_at = Vec::new();
    while pair.now < begin + 35 * 60 * SECOND {
        let lost = pair.al_says(b"lost");
        let ping = pair.al_says(b"ping");
        assert!(part(&lost) == part(&ping));
        assert!(pair.at_bo(&ping).is_some());
        let (lost, pong) = (pair.bo_says(b"lost"), pair.bo_says(b"pong"));
        assert!(part(&lost) == part(&pong));
        match (part(&ping), part(&pong)) {
            (KemPart::Nothing, KemPart::Nothing) => {}
            (KemPart::Key(_), KemPart::Ciphertext(_)) => mixed_at.push((pair.now - begin).as_secs()),
            _ => panic!("a key without its answer"),
        }
        assert!(pair.at_al(&pong).is_some());
        pair.now += 10 * SECOND;
    }
    assert_eq!(mixed_at, [600, 1_200, 1_800]);
}

#[test]
fn parts_that_nobody_asked_for_are_refused() {
    let mut pair = Pair::new(11);
    pair.round();
    let key = kem::DecapsulationKey::generate(&mut pair.rng).encapsulation_key();
    let ciphertext = kem::EncapsulationKey::parse(&key).unwrap().encapsulate(&mut pair.rng).0;
    // Bo, who may not offer keys and was asked for nothing, sends them all the same.
    for unasked in [KemPart::Key(key.clone()), KemPart::Ciphertext(ciphertext.clone())] {
        let (al, bo) = (pair.al.clone(), pair.bo.clone());
        let ping = pair.al_says(b"ping");
        assert!(pair.at_bo(&ping).is_some());
        let fresh = KeyPair::generate(&mut pair.rng);
        pair.bo.begin_sending(fresh, unasked, None).unwrap();
        let message = pair.bo_says(b"unasked");
        let before = snapshot(&pair.al);
        assert!(pair.at_al(&message).is_none());
        assert!(before == snapshot(&pair.al));
        (pair.al, pair.bo) = (al, bo);
    }
    // Al sends a ciphertext, and a key that is none.
    let bad = Box::new([0xFF; kem::KEY_LEN]);
    for unasked in [KemPart::Ciphertext(ciphertext), KemPart::Key(bad)] {
        let (al, bo) = (pair.al.clone(), pair.bo.clone());
        let fresh = KeyPair::generate(&mut pair.rng);
        pair.al.begin_sending(fresh, unasked, None).unwrap();
        let message = pair.al_says(b"unasked");
        let before = snapshot(&pair.bo);
        assert!(pair.at_bo(&message).is_none());
        assert!(before == snapshot(&pair.bo));
        (pair.al, pair.bo) = (al, bo);
    }
    // An answer without the ciphertext that was asked for.
    pair.now += MIX_EVERY;
    let ping = pair.al_says(b"ping");
    assert!(pair.at_bo(&ping).is_some());
    let fresh = KeyPair::generate(&mut pair.rng);
    pair.bo.begin_sending(fresh, KemPart::Nothing, None).unwrap();
    let message = pair.bo_says(b"downgraded");
    assert!(pair.at_al(&message).is_none());
}

#[test]
fn no_part_of_a_ratchet_can_be_shown() {
    assert_never_shown!(Ratchet, Sending, Receiving, Mixing, Chain, Clock, keys::MessageKey, SealingKey, SkippedKeys);
}

#[test]
fn chance_is_refused() {
    let mut pair = Pair::new(12);
    pair.round();
    let before = snapshot(&pair.bo);
    for _ in 0..5_000 {
        let mut bytes = vec![0; pair.rng.random_range(0..1_400)];
        pair.rng.fill(&mut bytes[..]);
        if let Some(kind) = bytes.first_mut() {
            *kind %= 4;
        }
        assert!(pair.at_bo(&bytes).is_none());
    }
    assert!(before == snapshot(&pair.bo));
}
