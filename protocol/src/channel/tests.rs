//! A channel between two peers over a network that loses, repeats, swaps and forges.

use super::*;
use crate::signal::ByeReason;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::collections::HashSet;

/// One Noise transport message without additional data: ciphertext ‖ tag.
pub(crate) fn transport(key: &[u8; 32], nonce: u64, text: &[u8]) -> Vec<u8> {
    let mut sealed = text.to_vec();
    let tag =
        cipher(key).encrypt_inout_detached(&noise_nonce(nonce).into(), &[], sealed.as_mut_slice().into()).unwrap();
    sealed.extend_from_slice(&tag);
    sealed
}

fn pair() -> (SecureChannel, SecureChannel) {
    let keys = || (Zeroizing::new([1; 32]), Zeroizing::new([2; 32]));
    let ((a, b), (c, d)) = (keys(), keys());
    (SecureChannel::new(a, b), SecureChannel::new(d, c))
}

#[test]
fn signals_come_out_in_whatever_order_and_once() {
    let (mut al, mut bo) = pair();
    let mut messages: Vec<_> = (0..200).map(|id| (id, al.seal(&Signal::Ping { id }).unwrap())).collect();
    messages.shuffle(&mut StdRng::seed_from_u64(1));
    for (id, message) in &messages {
        assert_eq!(bo.open(message), Ok(Signal::Ping { id: *id }));
        assert_eq!(bo.open(message), Err(ChannelError::Replayed));
    }
    let back = bo.seal(&Signal::Pong { id: 7 }).unwrap();
    assert_eq!(al.open(&back), Ok(Signal::Pong { id: 7 }));
}

#[test]
fn a_message_that_comes_back_to_its_sender_is_refused() {
    let (mut al, _) = pair();
    let message = al.seal(&Signal::Bye { reason: ByeReason::Leaving }).unwrap();
    assert_eq!(al.open(&message), Err(ChannelError::Refused));
}

#[test]
fn any_altered_byte_is_refused_and_moves_nothing() {
    let (mut al, mut bo) = pair();
    let message = al.seal(&Signal::Text { body: "at eight".into() }).unwrap();
    for at in 0..message.len() {
        let mut forged = message.clone();
        forged[at] ^= 0x40;
        assert_eq!(bo.open(&forged), Err(ChannelError::Refused), "byte {at}");
    }
    for len in 0..message.len() {
        assert_eq!(bo.open(&message[..len]), Err(ChannelError::Refused), "{len} bytes");
    }
    assert_eq!(bo.open(&message), Ok(Signal::Text { body: "at eight".into() }));
}

#[test]
fn what_is_older_than_the_window_is_refused() {
    let (mut al, mut bo) = pair();
    let early = al.seal(&Signal::Ping { id: 0 }).unwrap();
    al.skip_to(ReplayWindow::SIZE);
    assert!(bo.open(&al.seal(&Signal::Ping { id: 1 }).unwrap()).is_ok());
    assert_eq!(bo.open(&early), Err(ChannelError::Replayed));
}

#[test]
fn no_nonce_is_used_twice_and_the_last_one_never() {
    let (mut al, mut bo) = pair();
    let mut nonces = HashSet::new();
    for _ in 0..1_000 {
        assert!(nonces.insert(al.seal(&Signal::Ping { id: 0 }).unwrap()[1..9].to_vec()));
    }
    assert_eq!(al.seal(&Signal::Unknown), Err(ChannelError::Signal(WriteError::OutOfBounds)));
    al.skip_to(u64::MAX - 1);
    let last = al.seal(&Signal::Ping { id: 1 }).unwrap();
    assert!(bo.open(&last).is_ok());
    assert_eq!(al.seal(&Signal::Ping { id: 2 }), Err(ChannelError::Spent));
}

#[test]
fn the_length_tells_the_size_class_only() {
    let (mut al, _) = pair();
    let lengths: HashSet<_> =
        ["", "yes", &"x".repeat(200)].map(|body| al.seal(&Signal::Text { body: body.into() }).unwrap().len()).into();
    assert_eq!(lengths, HashSet::from([1 + SecureChannel::OVERHEAD + 256]));
    let longest = al.seal(&Signal::Offer { sdp: "v".repeat(Signal::MAX_SDP) }).unwrap();
    assert_eq!(longest.len(), MessageKind::MAX_LEN);
    assert!(longest.len() <= 20 * 1024, "it fits the signalling protocol's requests");
}

#[test]
fn an_authentic_message_that_is_no_signal_is_told_from_a_forged_one() {
    let (al, mut bo) = pair();
    let sealed = transport(&al.sending, 0, &[0xFF; 256]);
    let message = [&[MessageKind::Channel as u8], &0u64.to_be_bytes()[..], &sealed].concat();
    assert_eq!(bo.open(&message), Err(ChannelError::Unreadable));
    assert_eq!(bo.open(&message), Err(ChannelError::Replayed));
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
