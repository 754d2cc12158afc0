//! Two peers become a pair; strangers, forgers and those in between do not.

mod attacks;

use super::*;
use crate::channel::ChannelError;
use crate::kem::tests::KEM_COUNT;
use crate::link::{Link, SessionSecret};
use crate::safety_number::SafetyNumber;
use crate::signal::Signal;
use crate::x25519::tests::DH_COUNT;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::sync::LazyLock;
use std::time::Instant;

/// All happens at one moment.
static NOW: LazyLock<Instant> = LazyLock::new(Instant::now);

struct Person {
    identity: IdentityKey,
    transport: TransportId,
    name: &'static str,
    rng: StdRng,
}

impl Person {
    fn new(name: &'static str, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        Self { identity: IdentityKey::generate(&mut rng), transport: TransportId::from_bytes(rng.random()), name, rng }
    }

    fn local(&self) -> LocalPeer<'_> {
        LocalPeer { identity: &self.identity, transport: self.transport, name: self.name }
    }

    fn start(&mut self, keys: &SessionKeys, remote: TransportId) -> (Initiator, Vec<u8>) {
        let mut rng = StdRng::seed_from_u64(self.rng.random());
        Initiator::start(keys, &self.local(), remote, &mut rng).unwrap()
    }

    fn answer(
        &mut self,
        keys: &SessionKeys,
        remote: TransportId,
        one: &[u8],
    ) -> Result<(Responder, Vec<u8>), HandshakeError> {
        let mut rng = StdRng::seed_from_u64(self.rng.random());
        Responder::answer(keys, &self.local(), remote, one, &mut rng)
    }

    fn finish(&self, initiator: Initiator, two: &[u8]) -> Result<(Vec<u8>, Established), HandshakeError> {
        initiator.finish(*NOW, &self.local(), two, &mut StdRng::seed_from_u64(self.transport.as_bytes()[0].into()))
    }
}

fn link(seed: u64) -> Link {
    let mut rng = StdRng::seed_from_u64(seed);
    Link::create(TransportId::from_bytes([seed as u8; 32]), [0; 16], 0, Vec::new(), &mut rng)
}

fn session(seed: u64) -> SessionKeys {
    link(seed).keys()
}

/// What somebody has who knows everything of a session but its secret.
fn without_the_secret(seed: u64) -> SessionKeys {
    let keys = link(seed).with_secret(SessionSecret::generate(&mut StdRng::seed_from_u64(99))).keys();
    assert_eq!(keys.session_id, session(seed).session_id);
    keys
}

/// A whole handshake; each side's view of the other.
fn handshake(keys: &SessionKeys, al: &mut Person, bo: &mut Person) -> (Established, Established) {
    let (initiator, one) = al.start(keys, bo.transport);
    let (responder, two) = bo.answer(keys, al.transport, &one).unwrap();
    let (three, at_al) = al.finish(initiator, &two).unwrap();
    (at_al, responder.finish(*NOW, &bo.local(), &three).unwrap())
}

std::thread_local! {
    /// What the channels draw from.
    static CHANCE: std::cell::RefCell<StdRng> = std::cell::RefCell::new(StdRng::seed_from_u64(8));
}

/// Sends a signal through a channel; what the other end makes of it.
fn pass(from: &mut SecureChannel, to: &mut SecureChannel, signal: &Signal) -> Result<Signal, ChannelError> {
    to.open(*NOW, &CHANCE.with_borrow_mut(|rng| from.seal(*NOW, signal, rng)).unwrap())
}

fn assert_they_talk(one: &mut SecureChannel, other: &mut SecureChannel) {
    for id in 0..3 {
        assert_eq!(pass(one, other, &Signal::Ping { id }), Ok(Signal::Ping { id }));
        assert_eq!(pass(other, one, &Signal::Pong { id }), Ok(Signal::Pong { id }));
    }
}

#[test]
fn two_with_the_same_link_become_a_pair() {
    let (keys, mut al, mut bo) = (session(1), Person::new("Al", 1), Person::new("Bo 🎧", 2));
    let (mut at_al, mut at_bo) = handshake(&keys, &mut al, &mut bo);
    assert_eq!((at_al.name.as_str(), at_al.identity), ("Bo 🎧", bo.identity.public()));
    assert_eq!((at_bo.name.as_str(), at_bo.identity), ("Al", al.identity.public()));
    assert_they_talk(&mut at_al.channel, &mut at_bo.channel);
}

#[test]
fn the_messages_have_their_lengths_whatever_the_names() {
    for name in ["", "A name of quite some length that nobody should see from outside"] {
        let (keys, mut al, mut bo) = (session(1), Person::new(name, 1), Person::new(name, 2));
        let (initiator, one) = al.start(&keys, bo.transport);
        let (_, two) = bo.answer(&keys, al.transport, &one).unwrap();
        let (three, _) = al.finish(initiator, &two).unwrap();
        assert_eq!([one.len(), two.len(), three.len()], MESSAGE_LENGTHS);
        for (message, kind) in [&one, &two, &three].into_iter().zip([1, 2, 3]) {
            assert_eq!((message[0], MessageKind::of(message).map(|kind| kind as u8)), (kind, Some(kind)));
        }
    }
    assert_eq!(MESSAGE_LENGTHS, [1_233, 1_441, 321]);
}

#[test]
fn neither_names_nor_identity_keys_travel_in_the_clear() {
    let (keys, mut al, mut bo) = (session(1), Person::new("Aloysius", 1), Person::new("Boudicca", 2));
    let (initiator, one) = al.start(&keys, bo.transport);
    let (_, two) = bo.answer(&keys, al.transport, &one).unwrap();
    let (three, _) = al.finish(initiator, &two).unwrap();
    let all = [one, two, three].concat();
    for private in [&b"Aloysius"[..], b"Boudicca", al.identity.public().as_bytes(), bo.identity.public().as_bytes()] {
        assert!(!all.windows(private.len()).any(|window| window == private));
    }
}

#[test]
fn the_message_of_a_stranger_is_refused_before_any_diffie_hellman_or_ml_kem() {
    let (mut al, mut bo) = (Person::new("Al", 1), Person::new("Bo", 2));
    let strangers = [session(2), SessionKeys::for_lan_room("kitchen"), without_the_secret(1)];
    let (_, truth) = al.start(&session(1), bo.transport);
    DH_COUNT.set(0);
    KEM_COUNT.set(0);
    for keys in strangers {
        let (_, one) = al.start(&keys, bo.transport);
        assert_eq!(bo.answer(&session(1), al.transport, &one).err(), Some(HandshakeError::Refused));
    }
    assert_eq!((DH_COUNT.get(), KEM_COUNT.get()), (0, 0));
    assert!(bo.answer(&session(1), al.transport, &truth).is_ok());
    assert_eq!((DH_COUNT.get(), KEM_COUNT.get()), (2, 2), "ee and es; the check of the key and the encapsulation");
}

#[test]
fn each_altered_byte_of_each_message_is_refused() {
    let (keys, mut al, mut bo) = (session(1), Person::new("Al", 1), Person::new("Bo", 2));
    for at in 0..MESSAGE_LENGTHS[0] {
        let (_, mut one) = al.start(&keys, bo.transport);
        one[at] ^= 0x10;
        assert_eq!(bo.answer(&keys, al.transport, &one).err(), Some(HandshakeError::Refused), "message 1 byte {at}");
    }
    for at in 0..MESSAGE_LENGTHS[1] {
        let (initiator, one) = al.start(&keys, bo.transport);
        let (_, mut two) = bo.answer(&keys, al.transport, &one).unwrap();
        two[at] ^= 0x10;
        assert_eq!(al.finish(initiator, &two).err(), Some(HandshakeError::Refused), "message 2 byte {at}");
    }
    for at in 0..MESSAGE_LENGTHS[2] {
        let (initiator, one) = al.start(&keys, bo.transport);
        let (responder, two) = bo.answer(&keys, al.transport, &one).unwrap();
        let (mut three, _) = al.finish(initiator, &two).unwrap();
        three[at] ^= 0x10;
        assert_eq!(
            responder.finish(*NOW, &bo.local(), &three).err(),
            Some(HandshakeError::Refused),
            "message 3 byte {at}"
        );
    }
}

#[test]
fn messages_of_any_other_length_are_refused() {
    let (keys, mut al, mut bo) = (session(1), Person::new("Al", 1), Person::new("Bo", 2));
    let (_, one) = al.start(&keys, bo.transport);
    for len in 0..one.len() {
        assert!(bo.answer(&keys, al.transport, &one[..len]).is_err(), "{len} bytes");
    }
    let mut longer = one.clone();
    for _ in 0..300 {
        longer.push(0);
        assert!(bo.answer(&keys, al.transport, &longer).is_err(), "{} bytes", longer.len());
    }
    assert!(bo.answer(&keys, al.transport, &vec![1; 1 << 20]).is_err());
    // Also when a link holder has written it.
    for more in [0, 1, 200] {
        let mut rng = StdRng::seed_from_u64(5);
        let mut pending = Pending::new(Side::Initiator, &keys, &al.local(), bo.transport, &mut rng).unwrap();
        let key = kem::DecapsulationKey::generate(&mut rng).encapsulation_key();
        let mut message = vec![0; one.len() + more];
        message[0] = MessageKind::Handshake1 as u8;
        pending.noise.write_message(&[key.as_slice(), &vec![0; more]].concat(), &mut message[1..]).unwrap();
        assert_eq!(bo.answer(&keys, al.transport, &message).is_ok(), more == 0, "{more} more");
    }
}

#[test]
fn a_message_that_comes_back_to_its_sender_is_refused() {
    let (keys, mut al, bo) = (session(1), Person::new("Al", 1), Person::new("Bo", 2));
    let (initiator, one) = al.start(&keys, bo.transport);
    assert_eq!(al.answer(&keys, bo.transport, &one).err(), Some(HandshakeError::Refused), "as if Bo had sent it");
    assert_eq!(al.answer(&keys, al.transport, &one).err(), Some(HandshakeError::Oneself));
    assert_eq!(al.finish(initiator, &one).err(), Some(HandshakeError::Refused), "as if it were Bo's answer");
}

#[test]
fn an_answer_belongs_to_one_beginning() {
    let (keys, mut al, mut bo) = (session(1), Person::new("Al", 1), Person::new("Bo", 2));
    let (first, one) = al.start(&keys, bo.transport);
    let (second, _) = al.start(&keys, bo.transport);
    let (responder, two) = bo.answer(&keys, al.transport, &one).unwrap();
    assert_eq!(al.finish(second, &two).err(), Some(HandshakeError::Refused));
    let (three, _) = al.finish(first, &two).unwrap();
    let (other_responder, _) = bo.answer(&keys, al.transport, &one).unwrap();
    assert_eq!(other_responder.finish(*NOW, &bo.local(), &three).err(), Some(HandshakeError::Refused));
    assert!(responder.finish(*NOW, &bo.local(), &three).is_ok());
}

#[test]
fn a_handshake_meant_for_another_transport_identity_is_refused() {
    let (keys, mut al, mut bo, eve) = (session(1), Person::new("Al", 1), Person::new("Bo", 2), Person::new("Eve", 3));
    let (_, one) = al.start(&keys, bo.transport);
    assert_eq!(
        bo.answer(&keys, eve.transport, &one).err(),
        Some(HandshakeError::Refused),
        "it came over Eve's connection"
    );
    let (_, for_eve) = al.start(&keys, eve.transport);
    assert_eq!(
        bo.answer(&keys, al.transport, &for_eve).err(),
        Some(HandshakeError::Refused),
        "it was Eve whom Al called"
    );
}

#[test]
fn a_link_holder_in_the_middle_is_seen_in_the_safety_numbers() {
    let (keys, mut al, mut bo) = (session(1), Person::new("Al", 1), Person::new("Bo", 2));
    let honest = {
        let (at_al, at_bo) = handshake(&keys, &mut al, &mut bo);
        let number = SafetyNumber::between(&al.identity.public(), &at_al.identity);
        assert_eq!(number, SafetyNumber::between(&bo.identity.public(), &at_bo.identity));
        number
    };
    // Eve has the link, so both shake hands with her; each believes to have found the other.
    let (mut eve_as_bo, mut eve_as_al) = (Person::new("Bo", 3), Person::new("Al", 4));
    let (at_al, _) = handshake(&keys, &mut al, &mut eve_as_bo);
    let (_, at_bo) = handshake(&keys, &mut eve_as_al, &mut bo);
    assert_eq!((at_al.name.as_str(), at_bo.name.as_str()), ("Bo", "Al"));
    let seen_by_al = SafetyNumber::between(&al.identity.public(), &at_al.identity);
    let seen_by_bo = SafetyNumber::between(&bo.identity.public(), &at_bo.identity);
    assert_ne!(seen_by_al, seen_by_bo);
    assert!(seen_by_al != honest && seen_by_bo != honest);
}

#[test]
fn when_both_begin_at_once_one_attempt_wins_on_both_sides() {
    let (keys, mut al, mut bo) = (session(1), Person::new("Al", 1), Person::new("Bo", 2));
    for _ in 0..2 {
        assert_ne!(initiates(&al.transport, &bo.transport), initiates(&bo.transport, &al.transport));
        assert!(!initiates(&al.transport, &al.transport));
        let small = al.transport.as_bytes().min(bo.transport.as_bytes());
        assert_eq!(initiates(&al.transport, &bo.transport), small == al.transport.as_bytes());
        let (of_al, one_of_al) = al.start(&keys, bo.transport);
        let (of_bo, one_of_bo) = bo.start(&keys, al.transport);
        // The one with the smaller transport identity goes on; the other drops its own attempt and answers.
        let (small, attempt, one, large) = if initiates(&al.transport, &bo.transport) {
            (&mut al, of_al, one_of_al, &mut bo)
        } else {
            (&mut bo, of_bo, one_of_bo, &mut al)
        };
        let (responder, two) = large.answer(&keys, small.transport, &one).unwrap();
        let (three, mut at_small) = small.finish(attempt, &two).unwrap();
        let mut at_large = responder.finish(*NOW, &large.local(), &three).unwrap();
        assert_they_talk(&mut at_small.channel, &mut at_large.channel);
        std::mem::swap(&mut al, &mut bo);
    }
}

#[test]
fn each_handshake_has_keys_of_its_own() {
    let (keys, mut al, mut bo) = (session(1), Person::new("Al", 1), Person::new("Bo", 2));
    let (mut first, _) = handshake(&keys, &mut al, &mut bo);
    let (_, mut second) = handshake(&keys, &mut al, &mut bo);
    assert_eq!(pass(&mut first.channel, &mut second.channel, &Signal::Ping { id: 1 }), Err(ChannelError::Refused));
}

#[test]
fn a_name_that_is_too_long_is_told_to_the_one_who_chose_it() {
    let long: &'static str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef!";
    let (keys, al) = (session(1), Person::new(long, 1));
    let result = Initiator::start(&keys, &al.local(), TransportId::from_bytes([0; 32]), &mut StdRng::seed_from_u64(1));
    assert_eq!(result.err(), Some(HandshakeError::NameTooLong));
}

#[test]
fn chance_is_refused() {
    let (keys, mut al, mut bo) = (session(1), Person::new("Al", 1), Person::new("Bo", 2));
    let mut rng = StdRng::seed_from_u64(7);
    for _ in 0..200 {
        for (length, kind) in MESSAGE_LENGTHS.into_iter().zip(1..) {
            let mut noise = vec![0; length];
            rng.fill(&mut noise[1..]);
            noise[0] = kind;
            assert!(bo.answer(&keys, al.transport, &noise).is_err());
            let (initiator, one) = al.start(&keys, bo.transport);
            assert!(al.finish(initiator, &noise).is_err());
            let (responder, _) = bo.answer(&keys, al.transport, &one).unwrap();
            assert!(responder.finish(*NOW, &bo.local(), &noise).is_err());
        }
    }
}
