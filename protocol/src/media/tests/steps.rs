//! Steps, the clock, and what a stolen state opens.

use super::*;
use std::collections::HashSet;

/// A sender key with its sealer, stepping together as the session and the uplink do.
struct Speaker {
    key: SenderKey,
    sealer: Sealer,
    fingerprint: Fingerprint,
}

impl Speaker {
    fn new(seed: u64, generation: u64) -> Self {
        let mut voice = Voice::new(seed);
        let key = SenderKey::generate(generation, &mut voice.rng);
        Self { sealer: key.sealer(&SESSION, &voice.fingerprint), key, fingerprint: voice.fingerprint }
    }

    fn step(&mut self) {
        assert!(self.key.advance());
        self.sealer.advance_to(self.key.id());
    }

    fn opening(&self, reason: RekeyReason) -> OpeningKey {
        handed_over(&self.key, &self.fingerprint, reason)
    }

    fn say(&mut self) -> SealedPacket {
        seal(&mut self.sealer, b"hm")
    }

    /// The next generation, of the same sender.
    fn renewed(&self, seed: u64) -> Self {
        let key = SenderKey::generate(self.key.generation() + 1, &mut StdRng::seed_from_u64(seed));
        Self { sealer: key.sealer(&SESSION, &self.fingerprint), key, fingerprint: self.fingerprint }
    }
}

fn header(packet: &SealedPacket) -> header::Header {
    header::Header::parse(packet.as_slice()).unwrap().0
}

#[test]
fn the_counter_goes_on_through_all_steps_and_no_key_meets_a_nonce_twice() {
    let mut seen = HashSet::new();
    for generation in 0..20 {
        let mut speaker = Speaker::new(1, generation);
        let mut expected = 0;
        for step in 0..=KeyId::MAX_STEP {
            for _ in 0..50 {
                let header = header(&speaker.say());
                assert_eq!((header.kid, header.ctr), (KeyId::new(generation, step).kid(), expected));
                assert!(seen.insert((header.kid, header.ctr)));
                expected += 1;
            }
            if step < KeyId::MAX_STEP {
                speaker.step();
            }
        }
        assert!(!speaker.key.advance(), "after fifteen steps a fresh key is due");
        assert_eq!(speaker.key.id(), KeyId::new(generation, 15));
    }
}

#[test]
fn a_sealer_never_steps_back_nor_into_another_generation() {
    let mut speaker = Speaker::new(2, 7);
    speaker.sealer.advance_to(KeyId::new(7, 4));
    for id in [KeyId::new(7, 4), KeyId::new(7, 1), KeyId::new(8, 9), KeyId::new(6, 9)] {
        speaker.sealer.advance_to(id);
        assert_eq!((speaker.sealer.id(), speaker.sealer.generation()), (KeyId::new(7, 4), 7));
    }
    assert_eq!(header(&speaker.say()).ctr, 0);
}

#[test]
fn a_receiver_follows_every_step_and_catches_up_fifteen_at_once() {
    let mut speaker = Speaker::new(3, 0);
    let (mut follower, mut sleeper) = (Opener::new(), Opener::new());
    follower.install(at_ms(0), &speaker.opening(RekeyReason::Join));
    sleeper.install(at_ms(0), &speaker.opening(RekeyReason::Join));
    for step in 0..15 {
        assert!(open_at(&mut follower, at_ms(200 * step), &speaker.say()).is_ok());
        speaker.step();
    }
    let last = speaker.say();
    assert!(open_at(&mut follower, at_ms(3_000), &last).is_ok());
    assert!(open_at(&mut sleeper, at_ms(3_000), &last).is_ok());
    for step in 0..15 {
        assert!(sleeper.holds(KeyId::new(0, step)), "packets of step {step} may still be under way");
    }
}

#[test]
fn a_forged_step_or_generation_moves_nothing() {
    let mut speaker = Speaker::new(4, 2);
    let mut opener = Opener::new();
    opener.install(at_ms(0), &speaker.opening(RekeyReason::Join));
    assert!(open_at(&mut opener, at_ms(0), &speaker.say()).is_ok());
    let true_packet = speaker.say();
    for step in 0..16 {
        let mut forged = SealedPacket::empty();
        let head = header::Header { kid: KeyId::new(2, step).kid(), ctr: 77 }.encode();
        let body = &true_packet.as_slice()[2..];
        forged.buffer_mut()[..head.as_slice().len()].copy_from_slice(head.as_slice());
        forged.buffer_mut()[head.as_slice().len()..][..body.len()].copy_from_slice(body);
        forged.set_len(head.as_slice().len() + body.len());
        assert_eq!(open_at(&mut opener, at_ms(1), &forged), Err(Refused::Forged));
    }
    // Had one of them begun step 15, step 0 would be gone by now.
    assert!(open_at(&mut opener, at_ms(4_900), &true_packet).is_ok());
}

#[test]
fn a_step_is_erased_two_seconds_after_its_successor() {
    let mut speaker = Speaker::new(5, 0);
    let mut opener = Opener::new();
    opener.install(at_ms(0), &speaker.opening(RekeyReason::Join));
    let late: Vec<_> = (0..2).map(|_| speaker.say()).collect();
    assert!(open_at(&mut opener, at_ms(0), &speaker.say()).is_ok());
    speaker.step();
    assert!(open_at(&mut opener, at_ms(1_000), &speaker.say()).is_ok());
    assert!(open_at(&mut opener, at_ms(2_999), &late[0]).is_ok());
    assert_eq!(open_at(&mut opener, at_ms(3_000), &late[1]), Err(Refused::UnknownKey));
    assert!(!opener.opens_for_a_thief(&late[1]), "the key is not in its memory any more");
}

#[test]
fn a_step_is_erased_seven_seconds_after_its_first_use_though_no_packet_comes() {
    let mut speaker = Speaker::new(6, 0);
    let mut opener = Opener::new();
    opener.install(at_ms(0), &speaker.opening(RekeyReason::Join));
    let recorded = speaker.say();
    assert!(open_at(&mut opener, at_ms(100), &recorded).is_ok());
    opener.advance(at_ms(7_099));
    assert!(opener.holds(KeyId::new(0, 0)) && opener.opens_for_a_thief(&recorded));
    opener.advance(at_ms(7_100));
    assert!(!opener.holds(KeyId::new(0, 0)) && !opener.opens_for_a_thief(&recorded));
    assert!(opener.holds(KeyId::new(0, 1)), "it has gone forward by itself");
    // The sender, cut off in the meantime, is where the receiver's clock says.
    speaker.step();
    assert!(open_at(&mut opener, at_ms(7_200), &speaker.say()).is_ok());
}

#[test]
fn a_step_is_erased_seven_seconds_after_its_first_use_whatever_comes() {
    let mut speaker = Speaker::new(32, 0);
    let mut opener = Opener::new();
    opener.install(at_ms(0), &speaker.opening(RekeyReason::Join));
    for ms in (0..7_000).step_by(100) {
        assert!(open_at(&mut opener, at_ms(ms), &speaker.say()).is_ok(), "{ms} ms");
    }
    let late = speaker.say();
    assert_eq!(open_at(&mut opener, at_ms(7_000), &late), Err(Refused::UnknownKey));
    assert!(!opener.opens_for_a_thief(&late));
}

#[test]
fn a_key_that_is_handed_over_twice_begins_nothing_and_lasts_no_longer() {
    let mut before = Speaker::new(35, 0);
    let mut after = before.renewed(36);
    let mut opener = Opener::new();
    opener.install(at_ms(0), &before.opening(RekeyReason::Join));
    assert!(open_at(&mut opener, at_ms(0), &before.say()).is_ok());
    for ms in [100, 200] {
        opener.install(at_ms(ms), &after.opening(RekeyReason::Leave));
    }
    assert!(open_at(&mut opener, at_ms(900), &before.say()).is_ok(), "it is in use until the next one is");
    assert!(open_at(&mut opener, at_ms(1_000), &after.say()).is_ok());
    opener.install(at_ms(5_000), &after.opening(RekeyReason::Leave));
    opener.advance(at_ms(7_999));
    assert!(opener.holds(KeyId::new(1, 0)));
    opener.advance(at_ms(8_000));
    assert!(!opener.holds(KeyId::new(1, 0)), "seven seconds after its first use");
}

#[test]
fn a_key_that_was_overtaken_by_the_next_one_is_taken_until_that_is_used() {
    let mut before = Speaker::new(33, 4);
    let mut after = before.renewed(34);
    let mut opener = Opener::new();
    opener.install(at_ms(0), &after.opening(RekeyReason::Timer));
    opener.install(at_ms(10), &before.opening(RekeyReason::Timer));
    assert!(open_at(&mut opener, at_ms(20), &before.say()).is_ok());
    assert!(open_at(&mut opener, at_ms(30), &after.say()).is_ok());
}

#[test]
fn a_generation_that_is_never_replaced_runs_out() {
    let mut speaker = Speaker::new(7, 0);
    let mut opener = Opener::new();
    opener.install(at_ms(0), &speaker.opening(RekeyReason::Join));
    for second in 0..82 {
        assert!(open_at(&mut opener, at_ms(1_000 * second), &speaker.say()).is_ok(), "{second}");
        if second % 5 == 4 && second < 75 {
            speaker.step();
        }
    }
    assert_eq!(open_at(&mut opener, at_ms(82_000), &speaker.say()), Err(Refused::KeyToCome));
}

#[test]
fn older_generations_end_two_seconds_after_a_timer_and_300_ms_after_a_leave_or_kick() {
    for (reason, grace) in
        [(RekeyReason::Timer, 2_000), (RekeyReason::Join, 2_000), (RekeyReason::Leave, 300), (RekeyReason::Kick, 300)]
    {
        let mut before = Speaker::new(8, 0);
        let mut after = before.renewed(9);
        let mut opener = Opener::new();
        opener.install(at_ms(0), &before.opening(RekeyReason::Join));
        assert!(open_at(&mut opener, at_ms(0), &before.say()).is_ok());
        opener.install(at_ms(100), &after.opening(reason));
        assert!(open_at(&mut opener, at_ms(900), &before.say()).is_ok(), "it is in use until the next one is");
        assert!(open_at(&mut opener, at_ms(1_000), &after.say()).is_ok());
        assert!(open_at(&mut opener, at_ms(999 + grace), &before.say()).is_ok(), "{reason:?}");
        let late = before.say();
        assert_eq!(open_at(&mut opener, at_ms(1_000 + grace), &late), Err(Refused::UnknownKey), "{reason:?}");
        assert!(!opener.opens_for_a_thief(&late));
        // A signal that took its time does not bring it back.
        opener.install(at_ms(4_000), &before.opening(RekeyReason::Join));
        assert!(!opener.holds(before.key.id()));
    }
}

#[test]
fn a_key_that_came_is_taken_to_be_used_after_two_seconds() {
    let mut speaker = Speaker::new(16, 0);
    let next = speaker.renewed(17);
    let mut opener = Opener::new();
    opener.install(at_ms(0), &speaker.opening(RekeyReason::Join));
    assert!(open_at(&mut opener, at_ms(0), &speaker.say()).is_ok());
    opener.install(at_ms(1_000), &next.opening(RekeyReason::Leave));
    opener.advance(at_ms(3_299));
    assert!(opener.holds(KeyId::new(0, 0)));
    opener.advance(at_ms(3_300));
    assert!(!opener.holds(KeyId::new(0, 0)) && !opener.holds(KeyId::new(0, 15)), "2 s and the 300 ms after a leave");
    assert!(opener.holds(KeyId::new(1, 0)));
    // Another key is no news of this one: it ends 8 s after it came.
    opener.install(at_ms(8_000), &next.renewed(18).opening(RekeyReason::Timer));
    opener.advance(at_ms(8_999));
    assert!(opener.holds(KeyId::new(1, 0)) && opener.holds(KeyId::new(2, 0)));
    opener.advance(at_ms(9_000));
    assert!((0..16).all(|step| !opener.holds(KeyId::new(1, step))) && opener.holds(KeyId::new(2, 0)));
}

#[test]
fn a_sender_that_is_silent_for_eight_seconds_is_forgotten() {
    let mut speaker = Speaker::new(10, 0);
    let next = speaker.renewed(11);
    let mut opener = Opener::new();
    opener.install(at_ms(0), &speaker.opening(RekeyReason::Join));
    assert!(open_at(&mut opener, at_ms(1_000), &speaker.say()).is_ok());
    opener.install(at_ms(2_000), &next.opening(RekeyReason::Timer));
    opener.advance(at_ms(9_999));
    assert!(opener.holds(KeyId::new(1, 0)) && opener.holds(KeyId::new(1, 15)));
    opener.advance(at_ms(10_000));
    assert!((0..2).all(|generation| (0..16).all(|step| !opener.holds(KeyId::new(generation, step)))));
    // It comes back with the key that it has then.
    let mut current = next.renewed(12);
    opener.install(at_ms(60_000), &current.opening(RekeyReason::Join));
    assert!(open_at(&mut opener, at_ms(60_100), &current.say()).is_ok());
}

#[test]
fn a_newcomer_opens_nothing_from_before_its_join() {
    let mut speaker = Speaker::new(13, 0);
    let before: Vec<_> = (0..100).map(|_| speaker.say()).collect();
    speaker.step();
    let mut newcomer = Opener::new();
    newcomer.install(at_ms(0), &speaker.opening(RekeyReason::Join));
    assert!(before.iter().all(|packet| !newcomer.opens_for_a_thief(packet)));
    assert!(before.iter().all(|packet| open(&mut newcomer, packet) == Err(Refused::UnknownKey)));
    assert!(open(&mut newcomer, &speaker.say()).is_ok());
}

#[test]
fn a_stolen_key_opens_nothing_of_the_next_generation() {
    let speaker = Speaker::new(14, 0);
    let mut thief = Opener::new();
    thief.install(at_ms(0), &speaker.opening(RekeyReason::Join));
    let mut renewed = speaker.renewed(15);
    for _ in 0..16 {
        let packet = renewed.say();
        assert!(!thief.opens_for_a_thief(&packet), "after a leave, and once the channel has healed");
        assert_eq!(open(&mut thief, &packet), Err(Refused::KeyToCome));
        let _ = renewed.key.advance();
        renewed.sealer.advance_to(renewed.key.id());
    }
}

/// Steps by timer and by joins at random, losses, delays and outages: whenever the receiver's memory is stolen, it opens nothing
/// that was sealed ten seconds before.
#[test]
fn a_stolen_opener_opens_nothing_that_was_sealed_ten_seconds_before() {
    let mut heard = 0;
    for seed in 0..50 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut speaker = Speaker::new(seed, 0);
        let mut opener = Opener::new();
        opener.install(at_ms(0), &speaker.opening(RekeyReason::Join));
        let (mut step_at, mut fresh_at, mut outage_until) = (5_000, 30_000, 0);
        let mut recorded: Vec<(u64, SealedPacket)> = Vec::new();
        let mut under_way: Vec<(u64, SealedPacket)> = Vec::new();
        for now in (0..90_000).step_by(50) {
            let fresh = now >= fresh_at || speaker.key.id().step() == 15;
            if fresh {
                speaker = speaker.renewed(seed ^ now);
                (fresh_at, step_at) = (now + 30_000, now + 5_000);
                let reason = if rng.random() { RekeyReason::Timer } else { RekeyReason::Leave };
                // Whoever cannot be reached for 6 s is not given the new key.
                if now < outage_until || rng.random_ratio(1, 20) {
                    outage_until = outage_until.max(now + 6_000);
                } else {
                    opener.install(at_ms(now), &speaker.opening(reason));
                }
            } else if now >= step_at || rng.random_ratio(1, 150) {
                speaker.step();
                step_at = now + 5_000;
            }
            if rng.random_ratio(1, 300) {
                outage_until = now + rng.random_range(100..9_000);
            } else if outage_until != 0 && now >= outage_until {
                // Whoever returns is handed the current key, one step on.
                outage_until = 0;
                if speaker.key.id().step() < 15 {
                    speaker.step();
                    step_at = now + 5_000;
                    opener.install(at_ms(now), &speaker.opening(RekeyReason::Join));
                }
            }
            let packet = speaker.say();
            recorded.push((now, packet));
            if now >= outage_until && rng.random_ratio(19, 20) {
                under_way.push((now + rng.random_range(5..400), packet));
            }
            under_way.retain(|(at, packet)| {
                heard += u32::from(*at <= now && open_at(&mut opener, at_ms(now), packet).is_ok());
                *at > now
            });
            opener.advance(at_ms(now));
            recorded.retain(|(sealed, _)| sealed + 13_000 > now);
            if now % 500 == 0 {
                for (sealed, packet) in recorded.iter().filter(|(sealed, _)| sealed + 10_000 < now).step_by(17) {
                    let id = KeyId::from_kid(header(packet).kid);
                    let stolen = opener.opens_for_a_thief(packet);
                    assert!(!stolen, "seed {seed}: stolen at {now}, opens {id} sealed at {sealed}");
                    assert!(!opener.holds(id));
                }
            }
        }
    }
    assert!(heard > 50 * 900, "{heard} of 90000 packets were heard, outages and all");
}

#[test]
fn a_key_that_is_handed_over_again_after_a_silence_brings_nothing_back() {
    let (mut speaker, mut opener, mut out, now) = (Speaker::new(17, 3), Opener::new(), [0; 64], Instant::now());
    let first = speaker.opening(RekeyReason::Join);
    let early = speaker.say();
    speaker.step();
    let heard = speaker.say();
    let unheard = speaker.say();
    opener.install(now, &first);
    assert!(opener.open(now, &early, &mut out).is_ok() && opener.open(now, &heard, &mut out).is_ok());

    let later = now + Opener::SILENCE;
    opener.advance(later);
    assert!(!opener.holds(speaker.key.id()), "forgotten");
    opener.install(later, &first);
    assert_eq!(opener.open(later, &early, &mut out), Err(Refused::UnknownKey), "an older step stays erased");
    assert_eq!(opener.open(later, &heard, &mut out), Err(Refused::Replayed), "its window was kept");
    assert!(opener.open(later, &unheard, &mut out).is_ok(), "what was not heard is");

    let mut next = speaker.renewed(18);
    opener.install(later, &next.opening(RekeyReason::Timer));
    assert!(opener.open(later, &next.say(), &mut out).is_ok());
    let end = later + Opener::SILENCE;
    opener.advance(end);
    opener.install(end, &first);
    assert!(!opener.holds(speaker.key.id()), "a generation that was replaced does not come back either");
}

/// The signal that hands it over says when it was sealed, so a key that was long on its way is as old here as its sender takes it to be.
#[test]
fn a_key_that_comes_late_is_erased_no_later_for_that() {
    let late = Duration::from_secs(6);
    let (mut before, mut key) = (Speaker::new(30, 1), Speaker::new(31, 2));
    let mut opener = Opener::new();
    opener.install(at_ms(0), &before.opening(RekeyReason::Join));
    assert!(open_at(&mut opener, at_ms(5_900), &before.say()).is_ok());
    opener.install(at_ms(6_000), &key.opening(RekeyReason::Timer).sent(late));
    for (ms, held) in [(6_000, true), (8_999, true), (9_000, false)] {
        opener.advance(at_ms(ms));
        assert_eq!(opener.holds(KeyId::new(2, 0)), held, "{ms} ms");
        assert!(!opener.holds(KeyId::new(1, 0)), "it has been in use for four seconds");
    }
    // A step that was reached long ago ends the steps before it as long ago.
    assert!(
        open_at(&mut opener, at_ms(9_100), &{
            key.step();
            key.say()
        })
        .is_ok()
    );
    key.step();
    key.step();
    opener.install(at_ms(9_200), &key.opening(RekeyReason::Join).sent(late));
    opener.advance(at_ms(9_201));
    assert!(opener.holds(KeyId::new(2, 3)) && !opener.holds(KeyId::new(2, 2)) && !opener.holds(KeyId::new(2, 1)));
}
