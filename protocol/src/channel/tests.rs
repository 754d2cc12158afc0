//! A channel between two peers over a network that loses, repeats, swaps and forges.

use super::*;
use crate::ratchet::Secret;
use crate::signal::ByeReason;
use crate::x25519::KeyPair;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::collections::HashSet;

struct Side {
    channel: SecureChannel,
    now: Instant,
    rng: StdRng,
}

impl Side {
    fn seal(&mut self, signal: &Signal) -> Vec<u8> {
        self.try_seal(signal).unwrap()
    }

    fn try_seal(&mut self, signal: &Signal) -> Result<Vec<u8>, ChannelError> {
        self.channel.seal(self.now, signal, &mut self.rng)
    }

    fn open(&mut self, message: &[u8]) -> Result<Signal, ChannelError> {
        self.channel.open(self.now, message)
    }
}

fn pair() -> (Side, Side) {
    let mut rng = StdRng::seed_from_u64(1);
    let (al, bo) = (KeyPair::generate(&mut rng), KeyPair::generate(&mut rng));
    let (al_key, bo_key, root) = (*al.public(), *bo.public(), Secret::new([3; 32]));
    let now = Instant::now();
    let side = |ratchet: Option<Ratchet>, seed| Side {
        channel: SecureChannel::new(ratchet.unwrap()),
        now,
        rng: StdRng::seed_from_u64(seed),
    };
    let al = Ratchet::initiator(now, [7; 80], &root, al, &bo_key);
    let bo = Ratchet::responder(now, [7; 80], &root, &bo, al_key);
    (side(al, 2), side(bo, 3))
}

#[test]
fn signals_come_out_in_whatever_order_and_once() {
    let (mut al, mut bo) = pair();
    let mut messages: Vec<_> = (0..60).map(|id| (id, al.seal(&Signal::Ping { id }))).collect();
    messages.shuffle(&mut StdRng::seed_from_u64(1));
    for (id, message) in &messages {
        assert_eq!(bo.open(message), Ok(Signal::Ping { id: *id }));
        assert_eq!(bo.open(message), Err(ChannelError::Refused));
    }
    let back = bo.seal(&Signal::Pong { id: 7 });
    assert_eq!(al.open(&back), Ok(Signal::Pong { id: 7 }));
}

#[test]
fn a_message_that_comes_back_to_its_sender_is_refused() {
    let (mut al, mut bo) = pair();
    let message = al.seal(&Signal::Bye { reason: ByeReason::Leaving });
    assert_eq!(al.open(&message), Err(ChannelError::Refused));
    let message = bo.seal(&Signal::Bye { reason: ByeReason::Leaving });
    assert_eq!(bo.open(&message), Err(ChannelError::Refused));
}

#[test]
fn any_altered_byte_is_refused_and_moves_nothing() {
    let (mut al, mut bo) = pair();
    let message = al.seal(&Signal::Text { body: "at eight".into(), number: 1 });
    for at in 0..message.len() {
        let mut forged = message.clone();
        forged[at] ^= 0x40;
        assert_eq!(bo.open(&forged), Err(ChannelError::Refused), "byte {at}");
    }
    for len in 0..message.len() {
        assert_eq!(bo.open(&message[..len]), Err(ChannelError::Refused), "{len} bytes");
    }
    assert_eq!(bo.open(&message), Ok(Signal::Text { body: "at eight".into(), number: 1 }));
}

#[test]
fn a_message_that_comes_eight_seconds_late_is_refused() {
    let (mut al, mut bo) = pair();
    let early = [al.seal(&Signal::Ping { id: 0 }), al.seal(&Signal::Ping { id: 1 })];
    assert!(bo.open(&al.seal(&Signal::Ping { id: 2 })).is_ok());
    bo.now += std::time::Duration::from_millis(7_999);
    bo.channel.handle_timeout(bo.now);
    assert_eq!(bo.open(&early[1]), Ok(Signal::Ping { id: 1 }));
    bo.now += std::time::Duration::from_millis(1);
    assert_eq!(bo.open(&early[0]), Err(ChannelError::Refused));
}

/// Nothing has to come for that: time passes.
#[test]
fn what_is_overdue_is_forgotten_and_what_comes_late_has_an_age() {
    let (mut al, mut bo) = pair();
    let (early, late, never) = (al.now, al.seal(&Signal::Ping { id: 0 }), al.seal(&Signal::Ping { id: 1 }));
    bo.now += std::time::Duration::from_secs(7);
    bo.channel.handle_timeout(bo.now);
    assert_eq!(bo.open(&late), Ok(Signal::Ping { id: 0 }));
    assert_eq!(bo.channel.age(), std::time::Duration::from_secs(7));
    bo.channel.handle_timeout(bo.now + std::time::Duration::from_secs(1));
    bo.now = early;
    assert_eq!(bo.open(&never), Err(ChannelError::Refused), "not even if the clock were put back");
}

#[test]
fn what_cannot_be_written_is_not_sealed() {
    let (mut al, _) = pair();
    assert_eq!(al.try_seal(&Signal::Unknown), Err(ChannelError::Signal(WriteError::OutOfBounds)));
}

/// Four sizes of signals, behind three sizes of headers: plain, with an ML-KEM key, with a ciphertext.
#[test]
fn the_length_tells_the_size_class_only() {
    let (mut al, mut bo) = pair();
    let texts = ["".to_owned(), "yes".to_owned(), "x".repeat(200)].map(|body| Signal::Text { body, number: 1 });
    let lengths: HashSet<_> = texts.each_ref().map(|text| al.seal(text).len()).into();
    assert_eq!(lengths, HashSet::from([1 + 45 + 256 + 16]));
    for side in [&mut al, &mut bo] {
        side.now += std::time::Duration::from_secs(600);
    }
    let message = al.seal(&texts[0]);
    bo.open(&message).unwrap();
    let answer = bo.seal(&texts[0]);
    al.open(&answer).unwrap();
    let lengths: HashSet<_> = texts.each_ref().map(|text| al.seal(text).len()).into();
    assert_eq!(lengths, HashSet::from([1 + 45 + 1_184 + 256 + 16]));
    let longest = al.seal(&Signal::Offer { sdp: "v".repeat(Signal::MAX_SDP), number: 1 });
    assert_eq!(longest.len(), MessageKind::MAX_LEN);
    assert!(longest.len() <= 20 * 1024, "it fits the signalling protocol's requests");
    bo.open(&longest).unwrap();
    let lengths: HashSet<_> = texts.map(|text| bo.seal(&text).len()).into();
    assert_eq!(lengths, HashSet::from([1 + 45 + 1_088 + 256 + 16]));
}

#[test]
fn an_authentic_message_that_is_no_signal_is_told_from_a_forged_one() {
    let (mut al, mut bo) = pair();
    let message = al.channel.0.seal(al.now, MessageKind::Channel as u8, &[0xFF; 256], &mut al.rng).unwrap();
    assert_eq!(bo.open(&message), Err(ChannelError::Unreadable));
    assert_eq!(bo.open(&message), Err(ChannelError::Refused));
}

#[test]
fn chance_and_oversize_are_refused() {
    let (_, mut bo) = pair();
    let mut rng = StdRng::seed_from_u64(2);
    for _ in 0..5_000 {
        let mut bytes = vec![0; rng.random_range(0..400)];
        rng.fill(&mut bytes[..]);
        if let Some(kind) = bytes.first_mut() {
            *kind = MessageKind::Channel as u8;
        }
        assert_eq!(bo.open(&bytes), Err(ChannelError::Refused));
    }
    assert_eq!(bo.open(&vec![MessageKind::Channel as u8; MessageKind::MAX_LEN + 1]), Err(ChannelError::Refused));
    assert_eq!(MessageKind::of(&[]), None);
    assert_eq!(MessageKind::of(&[5]), None);
}
