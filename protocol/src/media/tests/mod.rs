//! Sealing and opening, as a sender and a receiver live through it.

use super::*;
use crate::identity::{Fingerprint, IdentityKey};
use crate::link::SessionId;
use crate::signal::RekeyReason;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use std::sync::LazyLock;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

const SESSION: SessionId = SessionId::from_bytes([7; 16]);

/// When the stories begin.
static START: LazyLock<Instant> = LazyLock::new(Instant::now);

fn at_ms(ms: u64) -> Instant {
    *START + Duration::from_millis(ms)
}

/// The key as a receiver makes it from the signal.
fn handed_over(key: &SenderKey, sender: &Fingerprint, reason: RekeyReason) -> OpeningKey {
    let signal = key.to_signal([0; 32], reason, Zeroizing::new([0; 32]));
    SenderKey::from_signal(&signal).opening_key(&SESSION, sender).because(reason)
}

struct Voice {
    rng: StdRng,
    fingerprint: Fingerprint,
}

impl Voice {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let fingerprint = IdentityKey::generate(&mut rng).public().fingerprint();
        Self { rng, fingerprint }
    }

    /// A generation: its sealer, and the key as a receiver makes it from the signal.
    fn generation(&mut self, generation: u64) -> (Sealer, OpeningKey) {
        let key = SenderKey::generate(generation, &mut self.rng);
        (key.sealer(&SESSION, &self.fingerprint), handed_over(&key, &self.fingerprint, RekeyReason::Timer))
    }
}

fn seal(sealer: &mut Sealer, text: &[u8]) -> SealedPacket {
    let mut packet = SealedPacket::empty();
    sealer.seal(text, &mut packet).unwrap();
    packet
}

fn open(opener: &mut Opener, packet: &SealedPacket) -> Result<Vec<u8>, Refused> {
    open_at(opener, at_ms(0), packet)
}

fn open_at(opener: &mut Opener, now: Instant, packet: &SealedPacket) -> Result<Vec<u8>, Refused> {
    let mut out = [0; SealedPacket::CAPACITY];
    opener.open(now, packet, &mut out).map(|len| out[..len].to_vec())
}

#[test]
fn a_receiver_hears_what_was_sealed_once_and_only_once() {
    let (mut sealer, key) = Voice::new(1).generation(0);
    let mut opener = Opener::new();
    opener.install(at_ms(0), &key);
    for frame in 0..2_000u32 {
        let packet = seal(&mut sealer, &frame.to_be_bytes());
        assert_eq!(open(&mut opener, &packet).as_deref(), Ok(&frame.to_be_bytes()[..]));
        assert_eq!(open(&mut opener, &packet), Err(Refused::Replayed));
    }
}

#[test]
fn every_packet_is_sealed_under_a_counter_of_its_own() {
    let (mut sealer, _) = Voice::new(2).generation(3);
    let mut counters = std::collections::HashSet::new();
    for _ in 0..70_000 {
        let packet = seal(&mut sealer, b"");
        let (header, _) = header::Header::parse(packet.as_slice()).unwrap();
        assert_eq!(header.kid, 3 << 4);
        assert!(counters.insert(header.ctr), "counter {} twice", header.ctr);
    }
    // Too long a frame takes no counter and no packet leaves.
    let mut packet = seal(&mut sealer, b"x");
    assert_eq!(sealer.seal(&[0; SealedPacket::CAPACITY], &mut packet), Err(SealError::TooLong));
    assert!(packet.as_slice().is_empty());
}

#[test]
fn a_spent_sealer_seals_nothing() {
    let (mut sealer, key) = Voice::new(3).generation(0);
    let mut opener = Opener::new();
    opener.install(at_ms(0), &key);
    sealer.skip_to(u64::MAX - 1);
    assert_eq!(open(&mut opener, &seal(&mut sealer, b"the last")).unwrap(), b"the last");
    assert_eq!(sealer.seal(b"one more", &mut SealedPacket::empty()), Err(SealError::Spent));
}

#[test]
fn one_key_gives_one_sealer_and_only_to_its_owner() {
    let mut voice = Voice::new(4);
    let key = SenderKey::generate(0, &mut voice.rng);
    let copy = key.clone();
    let mut packet = SealedPacket::empty();
    assert_eq!(key.sealer(&SESSION, &voice.fingerprint).seal(b"mine", &mut packet), Ok(()));
    for second in
        [&key, &copy, &SenderKey::from_signal(&key.to_signal([0; 32], RekeyReason::Join, Zeroizing::new([0; 32])))]
    {
        assert_eq!(second.sealer(&SESSION, &voice.fingerprint).seal(b"again", &mut packet), Err(SealError::Spent));
    }
}

#[test]
fn the_largest_plaintext_fits_at_every_header_length() {
    let mut voice = Voice::new(5);
    let mut longest = 0;
    for generation in [0, 1, 1 << 20, KeyId::MAX_GENERATION] {
        let (mut sealer, key) = voice.generation(generation);
        let mut opener = Opener::new();
        opener.install(at_ms(0), &key);
        for ctr in [0, 8, 1 << 30, u64::MAX - 1] {
            sealer.skip_to(ctr);
            let text = [0xA5; Sealer::MAX_PLAINTEXT];
            let packet = seal(&mut sealer, &text);
            assert_eq!(open(&mut opener, &packet).unwrap(), text, "generation {generation} ctr {ctr}");
            longest = longest.max(packet.as_slice().len());
        }
    }
    assert_eq!(longest, SealedPacket::CAPACITY, "and nothing larger does");
}

#[test]
fn any_altered_byte_is_refused_and_the_true_packet_still_opens() {
    let (mut sealer, key) = Voice::new(6).generation(40);
    let mut opener = Opener::new();
    opener.install(at_ms(0), &key);
    sealer.skip_to(0x1234);
    let packet = seal(&mut sealer, b"ten milliseconds");
    for at in 0..packet.as_slice().len() {
        for bit in 0..8 {
            let mut bytes = packet.as_slice().to_vec();
            bytes[at] ^= 1 << bit;
            let forged = SealedPacket::from_slice(&bytes).unwrap();
            assert!(open(&mut opener, &forged).is_err(), "byte {at} bit {bit}");
        }
    }
    for len in 0..packet.as_slice().len() {
        let cut = SealedPacket::from_slice(&packet.as_slice()[..len]).unwrap();
        assert!(open(&mut opener, &cut).is_err(), "{len} bytes");
    }
    assert_eq!(open(&mut opener, &packet).unwrap(), b"ten milliseconds");
}

#[test]
fn packets_out_of_order_open_and_what_is_too_old_does_not() {
    let (mut sealer, key) = Voice::new(7).generation(0);
    let mut opener = Opener::new();
    opener.install(at_ms(0), &key);
    let packets: Vec<_> = (0..replay::ReplayWindow::SIZE + 1).map(|_| seal(&mut sealer, b"hm")).collect();
    for packet in packets.iter().skip(1).rev() {
        assert!(open(&mut opener, packet).is_ok());
    }
    assert_eq!(open(&mut opener, &packets[0]), Err(Refused::Replayed), "one older than the window");
}

#[test]
fn generations_overlap_and_the_fourth_takes_the_place_of_the_first() {
    let mut voice = Voice::new(8);
    let mut opener = Opener::new();
    let mut sealers = Vec::new();
    for generation in 0..4 {
        let (sealer, key) = voice.generation(generation);
        sealers.push(sealer);
        opener.install(at_ms(0), &key);
        let oldest_held = (generation + 1).saturating_sub(Opener::GENERATIONS as u64) as usize;
        for (of, sealer) in sealers.iter_mut().enumerate() {
            let opened = open(&mut opener, &seal(sealer, b"hm"));
            assert_eq!(opened.err(), (of < oldest_held).then_some(Refused::UnknownKey), "of {of} at {generation}");
        }
    }
}

#[test]
fn a_key_that_comes_twice_keeps_its_replay_window() {
    let mut voice = Voice::new(9);
    let key = SenderKey::generate(5, &mut voice.rng);
    let mut sealer = key.sealer(&SESSION, &voice.fingerprint);
    let mut opener = Opener::new();
    opener.install(at_ms(0), &key.opening_key(&SESSION, &voice.fingerprint));
    let packet = seal(&mut sealer, b"once");
    assert!(open(&mut opener, &packet).is_ok());
    opener.install(at_ms(0), &key.opening_key(&SESSION, &voice.fingerprint));
    assert_eq!(open(&mut opener, &packet), Err(Refused::Replayed));
    // A sender that began anew under the same generation is heard again, and its old packets are not.
    let (mut renewed, other) = voice.generation(5);
    opener.install(at_ms(0), &other);
    assert_eq!(open(&mut opener, &packet), Err(Refused::Forged));
    assert!(open(&mut opener, &seal(&mut renewed, b"new")).is_ok());
}

#[test]
fn a_late_old_generation_does_not_push_out_newer_ones() {
    let mut voice = Voice::new(10);
    let mut opener = Opener::new();
    let (mut old, old_key) = voice.generation(1);
    let mut newer: Vec<_> = (2..5).map(|generation| voice.generation(generation)).collect();
    for (_, key) in newer.iter_mut() {
        let (_, taken) = voice.generation(99);
        opener.install(at_ms(0), &std::mem::replace(key, taken));
    }
    opener.install(at_ms(0), &old_key);
    assert_eq!(open(&mut opener, &seal(&mut old, b"late")), Err(Refused::UnknownKey));
    for (sealer, _) in &mut newer {
        assert!(open(&mut opener, &seal(sealer, b"hm")).is_ok());
    }
}

#[test]
fn another_session_or_another_sender_is_not_opened() {
    let mut voice = Voice::new(11);
    let key = SenderKey::generate(0, &mut voice.rng);
    let packet = seal(&mut key.sealer(&SESSION, &voice.fingerprint), b"to this session");
    let mut elsewhere = Opener::new();
    elsewhere.install(at_ms(0), &key.opening_key(&SessionId::from_bytes([8; 16]), &voice.fingerprint));
    assert_eq!(open(&mut elsewhere, &packet), Err(Refused::Forged));
    let mut of_another = Opener::new();
    of_another.install(at_ms(0), &key.opening_key(&SESSION, &Voice::new(12).fingerprint));
    assert_eq!(open(&mut of_another, &packet), Err(Refused::Forged));
}

#[test]
fn noise_from_the_network_opens_nothing_and_breaks_nothing() {
    let mut rng = StdRng::seed_from_u64(13);
    let (mut sealer, key) = Voice::new(13).generation(0);
    let mut opener = Opener::new();
    opener.install(at_ms(0), &key);
    for _ in 0..20_000 {
        let mut bytes = vec![0u8; rng.random_range(0..64)];
        rng.fill(&mut bytes[..]);
        if let Some(config) = bytes.first_mut().filter(|_| rng.random()) {
            *config &= 0b0000_1111; // generation 0, so that it gets as far as the cipher
        }
        assert!(open(&mut opener, &SealedPacket::from_slice(&bytes).unwrap()).is_err());
    }
    assert!(open(&mut opener, &seal(&mut sealer, b"still here")).is_ok());
    let long = seal(&mut sealer, &[0; 100]);
    assert_eq!(opener.open(at_ms(0), &long, &mut [0; 99]), Err(Refused::Unreadable), "an output that is too short");
    assert_eq!(opener.open(at_ms(0), &long, &mut [0; 100]), Ok(100), "and the packet is not lost by that");
}

/// Property tests: chance orders, loses, doubles and alters what two sides say to one another.
mod chance;
/// The second seal of what travels through others.
mod hop;
/// RFC 9605, appendix C: headers, and the AES-GCM suites 4 and 5 (built for the tests only).
mod rfc_9605;
/// Steps, the clock, and what a stolen state opens.
mod steps;

#[test]
fn no_part_of_a_media_key_can_be_shown() {
    assert_never_shown!(ratchet::StepKeys, ratchet::VoiceKey);
}
