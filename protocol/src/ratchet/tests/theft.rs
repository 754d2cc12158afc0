//! What somebody can read who had the memory of one side, or of both, at one moment; and somebody who breaks X25519.

use super::*;

/// A stolen state, used as well as can be: to open what comes to its owner, and what its owner sends.
struct Thief(Ratchet);

impl Thief {
    fn opens(&mut self, now: Instant, message: &[u8]) -> bool {
        if self.0.open(now, message).is_some() {
            return true;
        }
        let mut mirror = self.0.clone();
        mirror.receiving = self
            .0
            .sending
            .as_ref()
            .map(|sending| Receiving { key: *sending.pair.public(), chain: sending.chain.clone() });
        mirror.open(now, message).is_some()
    }
}

/// What travelled: when it was sealed, and what.
type Tape = Vec<(Instant, Vec<u8>)>;

/// Both talk twice a second for so long; messages are lost, now and then everything for up to half a minute, others come up to
/// 6 s late.
fn talk(pair: &mut Pair, span: Duration, tape: &mut Tape) {
    let end = pair.now + span;
    let mut under_way: Vec<(Instant, bool, Vec<u8>)> = Vec::new();
    let mut silent_until = [pair.now; 2];
    while pair.now < end {
        for to_bo in [true, false] {
            let message = if to_bo { pair.al_says(b"text") } else { pair.bo_says(b"text") };
            tape.push((pair.now, message.clone()));
            let silent_until = &mut silent_until[usize::from(to_bo)];
            if pair.rng.random_ratio(1, 40) {
                *silent_until = pair.now + SECOND * pair.rng.random_range(1..30);
            }
            if *silent_until <= pair.now && !pair.rng.random_ratio(1, 5) {
                let late = if pair.rng.random_ratio(1, 10) { 6_000 } else { 400 };
                let arrives = pair.now + Duration::from_millis(pair.rng.random_range(0..late));
                under_way.push((arrives, to_bo, message));
            }
        }
        pair.now += SECOND / 2;
        under_way.sort_by_key(|(arrives, ..)| *arrives);
        let arrived = under_way.partition_point(|(arrives, ..)| *arrives <= pair.now);
        for (_, to_bo, message) in under_way.drain(..arrived) {
            let opened = if to_bo { pair.at_bo(&message) } else { pair.at_al(&message) };
            assert!(opened.is_some());
        }
        pair.al.forget_expired(pair.now);
        pair.bo.forget_expired(pair.now);
    }
}

#[test]
fn a_stolen_state_opens_nothing_that_was_sent_ten_seconds_before() {
    let mut recent = 0;
    for seed in 0..200 {
        let (mut pair, mut tape) = (Pair::new(seed), Tape::new());
        let span = Duration::from_millis(pair.rng.random_range(12_000..60_000));
        talk(&mut pair, span, &mut tape);
        let now = pair.now;
        for state in [&pair.al, &pair.bo] {
            for (sent, message) in &tape {
                let opens = Thief(state.clone()).opens(now, message);
                assert!(!opens || now - *sent <= 10 * SECOND, "seed {seed}: {:?} old", now - *sent);
                recent += u32::from(opens);
            }
        }
    }
    assert!(recent > 0, "a thief can open what is on its way: the attack is a real one");
}

#[test]
fn after_two_rounds_of_pings_a_stolen_state_opens_nothing() {
    for both in [false, true] {
        for victim_is_al in [true, false] {
            let mut pair = Pair::new(20);
            (0..5).for_each(|_| drop(pair.round()));
            let mut thieves = vec![Thief(if victim_is_al { &pair.al } else { &pair.bo }.clone())];
            if both {
                thieves.push(Thief(if victim_is_al { &pair.bo } else { &pair.al }.clone()));
            }
            let mut opened = Vec::new();
            for round in 0..10 {
                pair.now += 10 * SECOND;
                for message in pair.round() {
                    if thieves.iter_mut().any(|thief| thief.opens(pair.now, &message)) {
                        opened.push(round);
                    }
                }
            }
            assert!(opened.iter().all(|round| *round < 2), "opened in rounds {opened:?}");
        }
    }
}

/// Somebody who can compute private X25519 keys from public ones: follows every classical step from one stolen state on.
struct Quantum(Ratchet);

impl Quantum {
    /// Al has sealed something: if it began a chain, its private key is known as soon as its public one is.
    fn follow(&mut self, al: &Ratchet) {
        let theirs = al.sending.as_ref().unwrap();
        let known = self.0.sending.as_ref().is_some_and(|sending| sending.pair.public() == theirs.pair.public());
        if !known && self.0.receiving.is_some() {
            self.0.begin_sending(theirs.pair.clone(), theirs.part.clone(), None).unwrap();
        }
    }
}

#[test]
fn breaking_x25519_opens_nothing_once_ml_kem_is_mixed_in_again() {
    for knows_the_kem_secret in [false, true] {
        let mut pair = Pair::new(30);
        pair.round();
        let mut attacker = Quantum(pair.al.clone());
        let (begin, mut last_opened) = (pair.now, Duration::ZERO);
        while pair.now < begin + 15 * 60 * SECOND {
            pair.now += 10 * SECOND;
            let ping = pair.al_says(b"ping");
            attacker.follow(&pair.al);
            if let (Mixing::Initiator { offered: theirs, .. }, Mixing::Initiator { offered, .. }) =
                (&pair.al.mixing, &mut attacker.0.mixing)
                && theirs.is_some()
            {
                let guess = Some(kem::DecapsulationKey::generate(&mut pair.rng));
                *offered = if knows_the_kem_secret { theirs.clone() } else { guess };
            }
            assert!(pair.at_bo(&ping).is_some());
            let pong = pair.bo_says(b"pong");
            if attacker.0.open(pair.now, &pong).is_some() {
                last_opened = pair.now - begin;
            }
            assert!(pair.at_al(&pong).is_some());
        }
        match knows_the_kem_secret {
            true => assert_eq!(last_opened, 15 * 60 * SECOND, "the attack is a real one"),
            false => assert_eq!(last_opened, 590 * SECOND, "to the last answer before the first mixing"),
        }
    }
}
