//! A relay between two members: whatever it does with hop-sealed packets, the destination takes each once and from its source only.

use super::*;
use crate::media::key_schedule::{ChaCha20Poly1305Sha256, Suite};
use crate::peer::TransportId;

const AL: TransportId = TransportId::from_bytes([1; 32]);
const BO: TransportId = TransportId::from_bytes([2; 32]);
const KEY: [u8; 32] = [9; 32];

fn pair() -> (HopSealer, HopOpener) {
    (HopSealer::new(&KEY, AL, BO), HopOpener::new(&KEY, AL, BO))
}

fn packet(text: &[u8]) -> SealedPacket {
    SealedPacket::from_slice(text).unwrap()
}

fn hop_seal(sealer: &mut HopSealer, text: &[u8]) -> SealedPacket {
    let mut out = SealedPacket::empty();
    sealer.seal(&packet(text), &mut out).unwrap();
    out
}

fn hop_open(opener: &mut HopOpener, sealed: &SealedPacket) -> Result<Vec<u8>, Refused> {
    let mut out = SealedPacket::empty();
    let opened = opener.open(sealed, &mut out);
    assert!(opened.is_ok() || out.as_slice().is_empty(), "nothing of what is refused comes out");
    opened.map(|()| out.as_slice().to_vec())
}

#[test]
fn the_bytes_are_counter_and_ciphertext() {
    let (mut sealer, mut opener) = pair();
    for counter in 0..3u8 {
        let sealed = hop_seal(&mut sealer, b"a sealed frame");
        assert_eq!(sealed.as_slice()[..8], [0, 0, 0, 0, 0, 0, 0, counter]);
        let (text, tag) = sealed.as_slice()[8..].split_last_chunk().unwrap();
        let nonce = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, counter];
        let aad = [&b"resonance/v1/hop"[..], AL.as_bytes(), BO.as_bytes()].concat();
        assert!(ChaCha20Poly1305Sha256::open(&KEY, &nonce, &aad, &mut text.to_vec(), tag), "under that nonce");
        assert_eq!(sealed.as_slice().len(), 14 + HopSealer::OVERHEAD);
        assert_eq!(hop_open(&mut opener, &sealed).unwrap(), b"a sealed frame");
    }
    let mut out = SealedPacket::empty();
    let largest = [7; SealedPacket::CAPACITY - HopSealer::OVERHEAD];
    assert_eq!(sealer.seal(&packet(&largest), &mut out), Ok(()));
    assert_eq!(hop_open(&mut opener, &out).unwrap(), largest);
    assert_eq!(sealer.seal(&packet(&[7; SealedPacket::CAPACITY - 23]), &mut out), Err(SealError::TooLong));
    assert!(out.as_slice().is_empty());
}

#[test]
fn a_relay_that_alters_anything_is_refused_and_nothing_is_lost_by_it() {
    let (mut sealer, mut opener) = pair();
    let sealed = hop_seal(&mut sealer, b"ten milliseconds");
    for at in 0..sealed.as_slice().len() {
        for bit in 0..8 {
            let mut bytes = sealed.as_slice().to_vec();
            bytes[at] ^= 1 << bit;
            assert_eq!(hop_open(&mut opener, &packet(&bytes)), Err(Refused::Forged), "byte {at} bit {bit}");
        }
        let cut = packet(&sealed.as_slice()[..at]);
        assert!(hop_open(&mut opener, &cut).is_err(), "{at} bytes");
    }
    assert_eq!(hop_open(&mut opener, &sealed).unwrap(), b"ten milliseconds");
}

#[test]
fn a_relay_that_delays_drops_reorders_and_replays_changes_no_word() {
    let mut rng = StdRng::seed_from_u64(1);
    let (mut sealer, mut opener) = pair();
    let mut heard = std::collections::HashSet::new();
    let mut relay: Vec<SealedPacket> = Vec::new();
    for number in 0..20_000u32 {
        let sealed = hop_seal(&mut sealer, &number.to_be_bytes());
        if rng.random_ratio(9, 10) {
            relay.push(sealed);
        }
        for _ in 0..rng.random_range(0..3) {
            let Some(index) = (!relay.is_empty()).then(|| rng.random_range(0..relay.len())) else { break };
            match hop_open(&mut opener, &relay[index]) {
                Ok(text) => assert!(heard.insert(text), "heard twice"),
                Err(refused) => assert_eq!(refused, Refused::Replayed),
            }
            if relay.len() > 300 {
                relay.swap_remove(index);
            }
        }
    }
    assert!(heard.len() > 5_000);
    assert!(heard.iter().all(|text| u32::from_be_bytes(text[..].try_into().unwrap()) < 20_000));
}

#[test]
fn nothing_that_is_reflected_or_led_elsewhere_opens() {
    let (mut sealer, _) = pair();
    let sealed = hop_seal(&mut sealer, b"to Bo");
    let cy = TransportId::from_bytes([3; 32]);
    // Even under the same key: source and destination are authenticated.
    for (source, destination) in [(BO, AL), (AL, cy), (cy, BO), (AL, AL)] {
        assert_eq!(hop_open(&mut HopOpener::new(&KEY, source, destination), &sealed), Err(Refused::Forged));
    }
    assert_eq!(hop_open(&mut HopOpener::new(&[8; 32], AL, BO), &sealed), Err(Refused::Forged), "another pair's key");
}

/// Cy relays Al's voice to Bo. As a member it holds Al's sender key and can seal frames as Al; Bo must not hear them as Al's.
#[test]
fn a_member_that_relays_cannot_speak_as_another() {
    let mut al = Voice::new(21);
    let key = SenderKey::generate(0, &mut al.rng);
    let mut als_sealer = key.sealer(&SESSION, &al.fingerprint);
    // What Cy can make of Al's key outside of this program: a sealer of its own, and so frames that open as Al's.
    let stolen = SenderKey::generate(0, &mut StdRng::seed_from_u64(0));
    let mut forger = Voice::new(21);
    let forged_key = SenderKey::generate(0, &mut forger.rng);
    let mut forging = forged_key.sealer(&SESSION, &al.fingerprint);
    forging.skip_to(100);
    let forged = seal(&mut forging, b"I never said that");

    let mut ears = Opener::new();
    ears.install(at_ms(0), &key.opening_key(&SESSION, &al.fingerprint));
    assert!(open(&mut ears, &forged).is_ok(), "the sender key alone does not tell them apart");

    // Over its own connection: frames are opened with the keys of whoever's connection carried them.
    let mut cys_lane = Opener::new();
    cys_lane.install(at_ms(0), &stolen.opening_key(&SESSION, &Voice::new(22).fingerprint));
    assert_eq!(open(&mut cys_lane, &forged), Err(Refused::Forged));

    // Through relaying: Al's packets come hop-sealed, and Cy does not hold that key.
    let (mut hop, mut at_bo) = pair();
    let mut out = SealedPacket::empty();
    hop.seal(&seal(&mut als_sealer, b"I said this"), &mut out).unwrap();
    let genuine = hop_open(&mut at_bo, &out).unwrap();
    assert_eq!(open(&mut ears, &packet(&genuine)).unwrap(), b"I said this");
    assert!(hop_open(&mut at_bo, &forged).is_err(), "without the hop seal");
    let mut made_up = HopSealer::new(&[4; 32], AL, BO);
    made_up.skip_to(1);
    let own = hop_seal(&mut made_up, forged.as_slice());
    assert_eq!(hop_open(&mut at_bo, &own), Err(Refused::Forged), "with a key that it made up");
}

#[test]
fn a_spent_hop_sealer_seals_nothing() {
    let (mut sealer, mut opener) = pair();
    sealer.skip_to(u64::MAX - 1);
    assert!(hop_open(&mut opener, &hop_seal(&mut sealer, b"the last")).is_ok());
    assert_eq!(sealer.seal(&packet(b"one more"), &mut SealedPacket::empty()), Err(SealError::Spent));
}
