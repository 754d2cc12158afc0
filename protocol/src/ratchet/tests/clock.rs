//! Two clocks that are not the same, and what is lost while nothing comes.

use super::*;

/// Al and Bo each by a clock of their own.
struct Apart {
    pair: Pair,
    al: Instant,
    bo: Instant,
}

impl Apart {
    fn new() -> Self {
        let mut pair = Pair::new(40);
        pair.round();
        Self { al: pair.now, bo: pair.now, pair }
    }

    /// What one says, the other hears; whether it opened.
    fn says(&mut self, to_bo: bool) -> bool {
        self.pair.now = if to_bo { self.al } else { self.bo };
        let message = if to_bo { self.pair.al_says(b"text") } else { self.pair.bo_says(b"text") };
        self.pair.now = if to_bo { self.bo } else { self.al };
        if to_bo { self.pair.at_bo(&message).is_some() } else { self.pair.at_al(&message).is_some() }
    }
}

/// In the chain that it follows, in one that it has not heard of, and one whose key was skipped: with or without a later message.
#[test]
fn what_was_lost_opens_for_seven_seconds_and_for_nobody_after_eight_though_nothing_comes() {
    for (new_chain, overtaken) in [(false, false), (true, false), (false, true), (true, true)] {
        let mut pair = Pair::new(41);
        pair.round();
        if new_chain {
            pair.round();
        } else {
            let begun = pair.al_says(b"the chain has begun");
            assert!(pair.at_bo(&begun).is_some());
        }
        let sealed = pair.now;
        let lost = pair.al_says(b"lost");
        if overtaken {
            let next = pair.al_says(b"overtakes");
            assert!(pair.at_bo(&next).is_some());
        }
        for (ms, opens) in [(0, true), (7_999, true), (8_000, false), (60_000, false)] {
            let mut thief = pair.bo.clone();
            thief.forget_expired(sealed + Duration::from_millis(ms));
            // A thief does not mind what time it is.
            assert_eq!(thief.open(sealed, &lost).is_some(), opens, "{ms} ms, {new_chain}, {overtaken}");
        }
    }
}

#[test]
fn the_age_of_a_message_is_known_to_a_second() {
    let mut pair = Pair::new(42);
    pair.now += Duration::from_millis(2_300);
    let messages = [pair.al_says(b"first"), pair.al_says(b"second")];
    pair.now += Duration::from_millis(4_000);
    assert!(pair.at_bo(&messages[1]).is_some());
    assert_eq!(pair.bo.age(), Duration::from_millis(4_300));
    pair.now += SECOND;
    assert!(pair.at_bo(&messages[0]).is_some());
    assert_eq!(pair.bo.age(), Duration::from_millis(5_300), "of one that was overtaken, too");
}

#[test]
fn who_has_slept_is_put_right_by_the_first_message() {
    let mut apart = Apart::new();
    apart.al += 60 * SECOND;
    assert!(!apart.says(false), "sealed a minute ago, for all that Al knows");
    assert!(apart.says(true));
    assert_eq!(apart.pair.bo.age(), Duration::ZERO);
    assert!(apart.says(false));
    (apart.al, apart.bo) = (apart.al + 5 * SECOND, apart.bo + 5 * SECOND);
    assert!(apart.says(true) && apart.says(false));
    assert_eq!(apart.pair.al.age(), Duration::ZERO, "no further than that");
}

#[test]
fn nobody_is_followed_further_than_two_minutes() {
    let ahead = |seconds: u32| {
        let mut apart = Apart::new();
        apart.al += seconds * SECOND;
        let before = snapshot(&apart.pair.bo);
        let heard = apart.says(true);
        assert!(heard || before == snapshot(&apart.pair.bo));
        heard
    };
    assert!(ahead(Clock::MAX_AHEAD) && ahead(Clock::WINDOW + Clock::MAX_AHEAD - 1));
    assert!(!ahead(Clock::WINDOW + Clock::MAX_AHEAD));
    // By one's own clock any time may pass.
    let mut apart = Apart::new();
    (apart.al, apart.bo) = (apart.al + 10_000 * SECOND, apart.bo + 10_000 * SECOND);
    assert!(apart.says(true) && apart.says(false));
}

#[test]
fn clocks_that_run_apart_stay_together_while_they_talk() {
    for (al, bo) in [(1_000, 1_050), (1_050, 1_000)] {
        let mut apart = Apart::new();
        for second in 0..300 {
            (apart.al, apart.bo) = (apart.al + Duration::from_millis(al), apart.bo + Duration::from_millis(bo));
            assert!(apart.says(true) && apart.says(false), "second {second}");
        }
    }
}

#[test]
fn a_clock_is_not_held_back_by_what_comes_within_its_second() {
    let mut apart = Apart::new();
    for _ in 0..30 {
        (apart.al, apart.bo) = (apart.al + SECOND / 3, apart.bo + SECOND / 3);
        assert!(apart.says(true) && apart.says(false));
    }
    for (side, now) in [(&mut apart.pair.al, apart.al), (&mut apart.pair.bo, apart.bo)] {
        assert_eq!(side.clock.now(now + SECOND / 100).unwrap().0, 10);
    }
}

#[test]
fn each_second_has_a_key_of_its_own() {
    let clock = Clock::new(Instant::now(), &Secret::new([7; 32])).unwrap();
    let keys: HashSet<[u8; 32]> = (0..100).map(|second| *clock.key(second).unwrap()).collect();
    assert_eq!(keys.len(), 100);
}

#[test]
fn a_message_opens_with_the_key_of_its_second_only() {
    let mut pair = Pair::new(43);
    let message = pair.al_says(b"text");
    let mut other = pair.bo.clone();
    other.clock = Clock::new(pair.now, &Secret::new([7; 32])).unwrap();
    assert!(other.open(pair.now, &message).is_none());
    assert!(pair.at_bo(&message).is_some());
}
