//! Our own sender key in time: a step forward every 5 s and before somebody is let in, a fresh one every 30 s and when somebody goes.

use rand::CryptoRng;
use resonance_protocol::media::{KeyId, Opener, SenderKey};
use resonance_protocol::peer::TransportId;
use resonance_protocol::signal::RekeyReason;
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// A step lasts so long; receivers count on it.
const STEP_EVERY: Duration = Opener::STEP;
/// A fresh key after so long, so that whoever stole one is rid of it.
const FRESH_EVERY: Duration = Duration::from_secs(30);
/// Who comes within so long after a step is let in by the next one: all together, as a generation has few steps.
const STEPS_APART: Duration = Duration::from_millis(200);
/// How long to wait for acknowledgements of a fresh key: nobody is harmed by the old one a little longer.
const PATIENCE: Duration = Duration::from_secs(1);
/// After somebody went: the old key is theirs too.
const LEAVE_PATIENCE: Duration = Duration::from_millis(250);

/// The machine that decides which of our keys seals, and who is handed which.
#[derive(Default)]
pub struct SenderKeys {
    generation: u64,
    active: Option<Active>,
    pending: Option<Pending>,
    /// They have no key of ours, or may have none.
    newcomers: BTreeSet<TransportId>,
}

struct Active {
    key: SenderKey,
    stepped_at: Instant,
    /// When somebody was last let in by a step.
    joined_at: Option<Instant>,
    fresh_at: Instant,
}

impl Active {
    fn timer(&self) -> Instant {
        self.stepped_at + STEP_EVERY
    }

    /// When the next who come are let in.
    fn door(&self) -> Instant {
        self.joined_at.map_or(self.stepped_at, |joined| joined + STEPS_APART)
    }
}

struct Pending {
    key: SenderKey,
    reason: RekeyReason,
    waiting: BTreeSet<TransportId>,
    deadline: Instant,
    fresh_at: Instant,
}

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Make a fresh key: call [`SenderKeys::rotate`].
    Fresh(RekeyReason),
    /// Seal with this step from now on.
    Step(KeyId),
    /// The same, and hand it to everyone: to those who come, and to the others, since its recipients are others now.
    Admit(KeyId),
    /// Hand the pending key to everyone, for the same reason.
    HandOver,
    /// Seal with the key that was pending: it is [`SenderKeys::newest`] now.
    Use(RekeyReason),
}

impl SenderKeys {
    /// Makes the next generation, for `recipients` to acknowledge; one that was pending is skipped.
    pub fn rotate(
        &mut self,
        now: Instant,
        reason: RekeyReason,
        recipients: impl Iterator<Item = TransportId>,
        rng: &mut impl CryptoRng,
    ) {
        // A leave that is still pending is neither delayed nor forgotten.
        let before = self.pending.as_ref().filter(|pending| pending.reason >= RekeyReason::Leave);
        let reason = before.map_or(reason, |pending| pending.reason.max(reason));
        let latest = now + if reason >= RekeyReason::Leave { LEAVE_PATIENCE } else { PATIENCE };
        let deadline = self.pending.as_ref().map_or(latest, |pending| pending.deadline.min(latest));
        self.generation += 1;
        let key = SenderKey::generate(self.generation, rng);
        self.newcomers.clear();
        self.pending =
            Some(Pending { key, reason, waiting: recipients.collect(), deadline, fresh_at: now + FRESH_EVERY });
    }

    /// Somebody is to hear us from now on, and to open nothing from before.
    pub fn welcome(&mut self, peer: TransportId) {
        self.newcomers.insert(peer);
    }

    /// The key that members must have by now, the pending one, else the one in use; and why they are handed it.
    pub fn newest(&self) -> Option<(&SenderKey, RekeyReason)> {
        let pending = self.pending.as_ref().map(|pending| (&pending.key, pending.reason));
        pending.or(self.active.as_ref().map(|active| (&active.key, RekeyReason::Join)))
    }

    /// A member has installed a generation.
    pub fn acknowledged(&mut self, from: TransportId, generation: u64) {
        if let Some(pending) = self.pending.as_mut().filter(|pending| pending.key.generation() == generation) {
            pending.waiting.remove(&from);
        }
    }

    /// Nothing is expected of a peer any more, and nothing is handed to it.
    pub fn forget(&mut self, peer: TransportId) {
        self.newcomers.remove(&peer);
        if let Some(pending) = &mut self.pending {
            pending.waiting.remove(&peer);
        }
    }

    /// What is to be done, one thing after the other.
    pub fn poll(&mut self, now: Instant) -> Option<Due> {
        if let Some(pending) = &mut self.pending {
            if !self.newcomers.is_empty() {
                pending.waiting.append(&mut self.newcomers);
                return Some(Due::HandOver);
            }
            if pending.waiting.is_empty() || pending.deadline <= now {
                let Pending { key, reason, fresh_at, .. } = self.pending.take()?;
                self.active = Some(Active { key, stepped_at: now, joined_at: None, fresh_at });
                return Some(Due::Use(reason));
            }
        }
        let Some(active) = &mut self.active else {
            return (self.pending.is_none() && !self.newcomers.is_empty()).then_some(Due::Fresh(RekeyReason::Join));
        };
        let joins = !self.newcomers.is_empty() && active.door() <= now;
        let timer = active.timer() <= now;
        let last = active.key.id().step() == KeyId::MAX_STEP;
        if self.pending.is_none() && (active.fresh_at <= now || (last && (joins || timer))) {
            return Some(Due::Fresh(if joins { RekeyReason::Join } else { RekeyReason::Timer }));
        }
        if last || !(joins || timer) || !active.key.advance() {
            return None;
        }
        if !joins {
            // On the timer's own grid, so that receivers who count along stay with us.
            active.stepped_at = active.timer();
            return Some(Due::Step(active.key.id()));
        }
        (active.stepped_at, active.joined_at) = (now, Some(now));
        self.newcomers.clear();
        Some(Due::Admit(active.key.id()))
    }

    /// When to look again.
    pub fn poll_timeout(&self) -> Option<Instant> {
        let deadline = self.pending.as_ref().map(|pending| pending.deadline);
        let active = self.active.as_ref();
        let may_step = |active: &&Active| self.pending.is_none() || active.key.id().step() < KeyId::MAX_STEP;
        let door = |active: &Active| if self.newcomers.is_empty() { active.timer() } else { active.door() };
        let step = active.filter(may_step).map(|active| active.timer().min(door(active)));
        let fresh = active.filter(|_| self.pending.is_none()).map(|active| active.fresh_at);
        deadline.into_iter().chain(step).chain(fresh).min()
    }

    /// What somebody who stole this could open: of each of these generations, from that step on.
    #[cfg(test)]
    pub fn held(&self) -> impl Iterator<Item = KeyId> {
        let active = self.active.iter().map(|active| active.key.id());
        active.chain(self.pending.iter().map(|pending| pending.key.id()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn peer(byte: u8) -> TransportId {
        TransportId::from_bytes([byte; 32])
    }

    struct Story {
        keys: SenderKeys,
        rng: StdRng,
        start: Instant,
    }

    impl Story {
        fn new() -> Self {
            Self { keys: SenderKeys::default(), rng: StdRng::seed_from_u64(1), start: Instant::now() }
        }

        /// Generation 1 is in use at 0 ms.
        fn begun() -> Self {
            let mut story = Self::new();
            story.rotate(0, RekeyReason::Join, &[]);
            assert_eq!(story.poll(0), [Due::Use(RekeyReason::Join)]);
            story
        }

        fn at(&self, ms: u64) -> Instant {
            self.start + Duration::from_millis(ms)
        }

        fn rotate(&mut self, ms: u64, reason: RekeyReason, recipients: &[u8]) {
            let now = self.at(ms);
            self.keys.rotate(now, reason, recipients.iter().map(|byte| peer(*byte)), &mut self.rng);
        }

        fn poll(&mut self, ms: u64) -> Vec<Due> {
            let now = self.at(ms);
            std::iter::from_fn(|| self.keys.poll(now)).take(20).collect()
        }

        fn newest(&self) -> KeyId {
            self.keys.newest().expect("a key").0.id()
        }
    }

    fn step(step: u8) -> Due {
        Due::Step(KeyId::new(1, step))
    }

    fn admit(step: u8) -> Due {
        Due::Admit(KeyId::new(1, step))
    }

    #[test]
    fn a_key_is_used_when_all_have_it_or_when_time_is_up() {
        let mut story = Story::new();
        story.rotate(0, RekeyReason::Join, &[1, 2]);
        story.keys.acknowledged(peer(1), 1);
        story.keys.acknowledged(peer(2), 7);
        assert_eq!(story.poll(0), [], "an acknowledgement of another generation counts for nothing");
        story.keys.acknowledged(peer(2), 1);
        assert_eq!(story.poll(0), [Due::Use(RekeyReason::Join)], "once");
        assert_eq!(story.newest(), KeyId::new(1, 0));

        for (reason, patience) in [(RekeyReason::Leave, 250), (RekeyReason::Kick, 250), (RekeyReason::Timer, 1_000)] {
            story.rotate(10, reason, &[1]);
            assert_eq!(story.poll(10 + patience - 1), [], "a silent member delays {reason:?}");
            assert_eq!(story.poll(10 + patience), [Due::Use(reason)]);
        }
    }

    #[test]
    fn a_timer_does_not_prolong_a_leave_and_a_kick_stays_a_kick() {
        let mut story = Story::new();
        story.rotate(0, RekeyReason::Kick, &[1]);
        story.rotate(100, RekeyReason::Timer, &[1, 2]);
        story.rotate(150, RekeyReason::Leave, &[1, 2]);
        assert_eq!(story.keys.poll_timeout(), Some(story.at(250)));
        assert_eq!(story.newest(), KeyId::new(3, 0));
        story.keys.forget(peer(1));
        story.keys.forget(peer(2));
        assert_eq!(story.poll(151), [Due::Use(RekeyReason::Kick)]);
    }

    #[test]
    fn it_steps_every_five_seconds_and_is_fresh_every_thirty() {
        let mut story = Story::begun();
        for number in 1..=5u8 {
            let due = u64::from(number) * 5_000;
            assert_eq!(story.keys.poll_timeout(), Some(story.at(due)));
            assert_eq!(story.poll(due - 1), []);
            // A little late: the next one is not.
            assert_eq!(story.poll(due + 40), [step(number)]);
        }
        let again = story.poll(30_000);
        assert!(
            again.len() == 20 && again.iter().all(|due| *due == Due::Fresh(RekeyReason::Timer)),
            "until it is made"
        );
        story.rotate(30_000, RekeyReason::Timer, &[1]);
        assert_eq!(story.poll(30_000), [step(6)], "the old one goes on stepping until then");
        story.keys.acknowledged(peer(1), 2);
        assert_eq!(story.poll(30_010), [Due::Use(RekeyReason::Timer)]);
        assert_eq!(story.keys.poll_timeout(), Some(story.at(35_010)));
    }

    #[test]
    fn a_join_steps_first_and_joins_within_200_ms_are_let_in_together() {
        let mut story = Story::begun();
        story.keys.welcome(peer(1));
        assert_eq!(story.poll(1_000), [admit(1)], "at once");
        story.keys.welcome(peer(2));
        assert_eq!(story.poll(1_050), []);
        story.keys.welcome(peer(3));
        assert_eq!(story.keys.poll_timeout(), Some(story.at(1_200)));
        assert_eq!(story.poll(1_199), []);
        assert_eq!(story.poll(1_200), [admit(2)]);
        assert_eq!(story.poll(6_199), []);
        assert_eq!(story.poll(6_200), [step(3)], "five seconds after that");
    }

    #[test]
    fn the_first_to_come_makes_the_first_key_and_who_comes_while_one_is_pending_gets_that() {
        let mut story = Story::new();
        assert_eq!((story.poll(0), story.keys.poll_timeout()), (vec![], None));
        story.keys.welcome(peer(1));
        assert_eq!(story.keys.poll(story.at(0)), Some(Due::Fresh(RekeyReason::Join)));
        story.rotate(0, RekeyReason::Join, &[1]);
        story.keys.welcome(peer(2));
        assert_eq!(story.poll(10), [Due::HandOver]);
        story.keys.acknowledged(peer(1), 1);
        assert_eq!(story.poll(20), [], "it is waited for, too");
        story.keys.acknowledged(peer(2), 1);
        assert_eq!(story.poll(30), [Due::Use(RekeyReason::Join)]);
    }

    #[test]
    fn after_fifteen_steps_a_fresh_key_is_due() {
        let mut story = Story::begun();
        for number in 1..=15u8 {
            story.keys.welcome(peer(number));
            assert_eq!(story.poll(u64::from(number) * 300), [admit(number)]);
        }
        assert_eq!(story.poll(9_499), []);
        assert_eq!(story.keys.poll(story.at(9_500)), Some(Due::Fresh(RekeyReason::Timer)));
        story.keys.welcome(peer(16));
        assert_eq!(story.keys.poll(story.at(9_500)), Some(Due::Fresh(RekeyReason::Join)));
        story.rotate(9_500, RekeyReason::Join, &[1]);
        assert_eq!(story.keys.poll_timeout(), Some(story.at(10_500)), "and nothing else until it is used");
    }

    #[test]
    fn a_session_that_slept_catches_up() {
        let mut story = Story::begun();
        let due = story.poll(26_000);
        assert_eq!(due, [1, 2, 3, 4, 5].map(step));
    }
}
