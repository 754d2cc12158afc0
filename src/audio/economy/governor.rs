//! Decides when to do less, and when to do more again.

use super::Economy;
use std::time::{Duration, Instant};

/// A round that took at least this share of its time was almost late: one is enough to do less.
const CLOSE: f32 = 0.8;
/// One that took at least this much was strained; so many of them
const STRAINED: f32 = 0.5;
const STRAINS: u32 = 3;
/// within this time are too many: one may be another program's hiccup.
const STRAINS_WITHIN: Duration = Duration::from_secs(1);
/// A step is given this time to show before the next one.
const SHOWS: Duration = Duration::from_millis(200);
/// Quiet for so long: a step is taken back, to see whether that goes well.
const REST: Duration = Duration::from_secs(2);
/// The longest that is waited for it, after tries that did not: with all steps taken back one by one that makes less than ten seconds.
const REST_MOST: Duration = Duration::from_secs(7);
/// A try went well when it has been quiet for so long since; then the next is due.
const TRIED: Duration = Duration::from_millis(500);

/// Takes shares of time in, and says how much is to be left out. Time is an input.
#[derive(Debug, Default)]
pub struct Governor {
    economy: Economy,
    strains: u32,
    /// When the first of them was.
    strained: Option<Instant>,
    /// When there was pressure last, or a step was taken.
    pressed: Option<Instant>,
    /// When a step was taken back last, and whether it is still to be seen how that goes.
    tried: Option<Instant>,
    /// How long it has to be quiet.
    rest: Duration,
}

impl Governor {
    /// A round that ended `now` took this share of its time.
    pub fn feed(&mut self, now: Instant, share: f32) -> Economy {
        if share >= STRAINED {
            self.strain(now, share);
        } else {
            self.relax(now);
        }
        self.economy
    }

    /// Sound was interrupted.
    pub fn late(&mut self, now: Instant) -> Economy {
        self.feed(now, f32::INFINITY)
    }

    fn strain(&mut self, now: Instant, share: f32) {
        let since = |at: Option<Instant>| at.map(|at| now.saturating_duration_since(at));
        if since(self.strained).is_none_or(|ago| ago > STRAINS_WITHIN) {
            (self.strained, self.strains) = (Some(now), 0);
        }
        self.strains += 1;
        if share < CLOSE && self.strains < STRAINS {
            return;
        }
        (self.strained, self.strains) = (None, 0);
        let shown = since(self.pressed).is_none_or(|ago| ago >= SHOWS) || self.tried.is_some();
        match self.tried.take() {
            Some(_) => self.rest = (self.rest * 2).min(REST_MOST),
            None => self.rest = self.rest.max(REST),
        }
        if shown {
            self.economy = self.economy.more();
            self.pressed = Some(now);
        }
    }

    fn relax(&mut self, now: Instant) {
        if self.economy == Economy::NONE && self.tried.is_none() {
            return;
        }
        let quiet = self.pressed.max(self.tried).max(self.strained);
        let quiet = quiet.map_or(Duration::MAX, |at| now.saturating_duration_since(at));
        let due = if self.tried.is_some() { quiet >= TRIED } else { quiet >= self.rest };
        if !due {
            return;
        }
        if self.economy == Economy::NONE {
            (self.tried, self.rest) = (None, REST);
        } else {
            self.economy = self.economy.less();
            self.tried = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND: Duration = Duration::from_millis(10);

    /// Runs it for a time, with rounds that take this share; says what it came to, and how often it changed.
    fn run(
        governor: &mut Governor,
        now: &mut Instant,
        time: Duration,
        share: impl Fn(Economy) -> f32,
    ) -> (Economy, usize) {
        let (mut economy, mut changes) = (governor.economy, 0);
        let until = *now + time;
        while *now < until {
            *now += ROUND;
            let next = governor.feed(*now, share(economy));
            changes += usize::from(next != economy);
            economy = next;
        }
        (economy, changes)
    }

    #[test]
    fn a_hiccup_changes_nothing_and_a_close_call_does() {
        let (mut governor, mut now) = (Governor::default(), Instant::now());
        for _ in 0..20 {
            now += Duration::from_millis(700);
            assert_eq!(governor.feed(now, 0.7), Economy::NONE);
            assert_eq!(run(&mut governor, &mut now, Duration::from_millis(300), |_| 0.1), (Economy::NONE, 0));
        }
        assert_eq!(governor.feed(now, 0.85).words(), ["room"]);
    }

    #[test]
    fn under_pressure_all_is_left_out_within_a_second_and_is_back_within_ten_of_relief() {
        let (mut governor, mut now) = (Governor::default(), Instant::now());
        let (economy, _) = run(&mut governor, &mut now, Duration::from_secs(1), |_| 0.6);
        assert_eq!(economy, Economy::MOST);
        let (economy, _) = run(&mut governor, &mut now, Duration::from_secs(3_600), |_| 0.9);
        assert_eq!(economy, Economy::MOST);
        let (economy, changes) = run(&mut governor, &mut now, Duration::from_millis(9_500), |_| 0.1);
        assert_eq!((economy, changes), (Economy::NONE, 5));
    }

    /// A machine that is fast enough for half of it: it is tried now and then whether it is faster by now, not all the time. And after an
    /// hour of that it takes no longer to come back.
    #[test]
    fn what_the_machine_can_do_is_found_and_tried_again_seldom() {
        let (mut governor, mut now) = (Governor::default(), Instant::now());
        let half = |economy: Economy| if economy.words().len() >= 2 { 0.2 } else { 0.9 };
        run(&mut governor, &mut now, Duration::from_secs(60), half);
        let (economy, changes) = run(&mut governor, &mut now, Duration::from_secs(60), half);
        assert!(!economy.words().is_empty(), "{economy:?}");
        assert!((8..=20).contains(&changes), "{changes} changes in a minute");
        run(&mut governor, &mut now, Duration::from_secs(3_600), half);
        let (economy, _) = run(&mut governor, &mut now, Duration::from_millis(9_500), |_| 0.1);
        assert_eq!(economy, Economy::NONE);
    }

    #[test]
    fn an_interruption_counts_whatever_was_measured() {
        let (mut governor, mut now) = (Governor::default(), Instant::now());
        assert_eq!(governor.late(now).words().len(), 1);
        assert_eq!(governor.late(now + ROUND).words().len(), 1, "the step has not shown yet");
        now += SHOWS;
        assert_eq!(governor.late(now).words().len(), 2);
    }
}
