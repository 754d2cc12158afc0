//! Chance between a sender and a receiver: any order, loss, duplication and alteration gives the words that were said, each once,
//! or a clean refusal.

use super::*;
use std::collections::HashSet;

/// What is under way: a key by signalling, or a packet by media; neither keeps any order.
enum Mail {
    Key(SenderKey, RekeyReason),
    Packet(Box<SealedPacket>),
}

#[test]
fn any_order_loss_and_duplication_gives_what_was_said_once_or_a_clean_refusal() {
    let mut total = 0;
    for seed in 0..200 {
        let mut voice = Voice::new(1_000 + seed);
        let mut rng = StdRng::seed_from_u64(seed);
        let mut generation = 0;
        let mut key = SenderKey::generate(generation, &mut voice.rng);
        let mut sealer = key.sealer(&SESSION, &voice.fingerprint);
        let mut opener = Opener::new();
        let mut mail = vec![(0, Mail::Key(key.clone(), RekeyReason::Join))];
        let (mut heard, mut waiting) = (HashSet::new(), HeldPackets::new());
        for said in 0..600u64 {
            let now = said * 20;
            match rng.random_range(0..200) {
                0 => {
                    generation += 1;
                    key = SenderKey::generate(generation, &mut voice.rng);
                    sealer = key.sealer(&SESSION, &voice.fingerprint);
                    let reason = if rng.random() { RekeyReason::Leave } else { RekeyReason::Timer };
                    mail.push((now + rng.random_range(0..250), Mail::Key(key.clone(), reason)));
                }
                1..4 if key.advance() => sealer.advance_to(key.id()),
                4 => mail.push((now, Mail::Key(key.clone(), RekeyReason::Join))),
                _ => {}
            }
            let packet = seal(&mut sealer, &said.to_be_bytes());
            for _ in 0..rng.random_range(0..3) {
                mail.push((now + rng.random_range(0..300), Mail::Packet(Box::new(packet))));
            }
            let mut later = Vec::new();
            for (at, item) in mail.drain(..) {
                match item {
                    item if at > now => later.push((at, item)),
                    Mail::Key(key, reason) => {
                        opener.install(at_ms(now), &handed_over(&key, &voice.fingerprint, reason));
                        while let Some(held) = waiting.release() {
                            hear(&mut opener, now, &held.packet, &mut heard);
                        }
                    }
                    Mail::Packet(packet) => {
                        refuse_every_kind_of_damage(&mut opener, now, &packet, &mut rng);
                        if hear(&mut opener, now, &packet, &mut heard) == Some(Refused::KeyToCome) {
                            let from = crate::peer::TransportId::from_bytes([1; 32]);
                            let _ =
                                waiting.hold(at_ms(now), &InboundPacket { from, arrived: at_ms(now), packet: *packet });
                        }
                    }
                }
            }
            mail = later;
            waiting.expire(at_ms(now));
        }
        assert!(heard.iter().all(|said| *said < 600));
        total += heard.len();
    }
    // Of 200 × 600 words two thirds are sent at all.
    assert!(total > 70_000, "{total} words were heard");
}

/// Opens a packet; what comes out was said and was not heard before.
fn hear(opener: &mut Opener, now: u64, packet: &SealedPacket, heard: &mut HashSet<u64>) -> Option<Refused> {
    match open_at(opener, at_ms(now), packet) {
        Ok(text) => {
            assert!(heard.insert(u64::from_be_bytes(text[..].try_into().unwrap())), "heard twice");
            None
        }
        Err(refused) => {
            assert_ne!(refused, Refused::Forged, "it was not altered");
            Some(refused)
        }
    }
}

/// A flipped bit, a cut, something appended: refused, and the opener holds what it held.
fn refuse_every_kind_of_damage(opener: &mut Opener, now: u64, packet: &SealedPacket, rng: &mut StdRng) {
    opener.advance(at_ms(now));
    let before: Vec<bool> = (0..6 * 16).map(|kid| opener.holds(KeyId::from_kid(kid))).collect();
    let mut bytes = packet.as_slice().to_vec();
    match rng.random_range(0..10) {
        0 => bytes.truncate(rng.random_range(0..bytes.len())),
        1 => bytes.push(rng.random()),
        _ => {
            let at = rng.random_range(0..bytes.len());
            bytes[at] ^= 1 << rng.random_range(0..8);
        }
    }
    assert!(open_at(opener, at_ms(now), &SealedPacket::from_slice(&bytes).unwrap()).is_err());
    let after: Vec<bool> = (0..6 * 16).map(|kid| opener.holds(KeyId::from_kid(kid))).collect();
    assert_eq!(before, after);
}
