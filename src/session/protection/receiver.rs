//! One receiver: what it needs, and what the path to it bears.

use super::Reception;
use super::load::{Degree, Load};
use std::time::{Duration, Instant};

/// Redundancy that is not needed any more goes on for so long.
const LINGER: Duration = Duration::from_secs(5);
/// Reports that are waited for before a change is judged: the path's queue and the report itself take their time.
const JUDGED_AFTER: u32 = 2;
/// A queue that grew by more than this, in ms, since more was given: the path is too narrow.
const QUEUE_GREW_MS: f32 = 60.0;
/// A queue is as long as before if it is no shorter than this share of that: measured it is never the same twice.
const AS_LONG: f32 = 0.9;
/// And so it is when this much more is lost than before.
const LOSS_GREW: f32 = 0.1;
/// Unless less than this share of it goes away when less is given.
const LOSS_EASED: f32 = 0.3;
/// A queue that is longer than this share of what it was, three reports after less was given, does not go soon.
const DRAINED: f32 = 0.7;
/// Where less is lost since less is given, and still more than this, there is too much.
const STILL_LOST: f32 = 0.15;
/// What is sent all the time at one rate makes a queue only where it is too much. Then the queue becomes longer from report to report,
/// by more than this, in ms,
const LONGER_MS: f32 = 10.0;
/// or it is full, and at least this share is lost.
const OVERFLOWS: f32 = 0.03;
/// The share of what came through that is sent from then on: the queue must go.
const DRAINS: f32 = 0.95;
/// A little more is tried after so long,
const TRIED_AFTER: Duration = Duration::from_secs(5);
/// and what was too much before after this, the first time; twice as long each time after.
const SPARED: Duration = Duration::from_secs(15);
/// And at the most.
const SPARED_AT_MOST: Duration = Duration::from_secs(240);
/// What is too much again after it was thought to be over for so long is so for the first time.
const FORGOTTEN: Duration = Duration::from_secs(60);
/// Loss that was not of our making is not blamed on us again for so long.
const CLEARED: Duration = Duration::from_secs(60);

/// A report that comes so much later than those of the last minutes is of the past.
const STALE: Duration = Duration::from_secs(2);
/// The latter are forgotten by so much with each: clocks drift.
const DRIFT: Duration = Duration::from_millis(5);
/// What comes sooner than this after another came with it, and both are one report.
const BUNCH: Duration = Duration::from_millis(400);
/// When no fresh report has come for so long something is wrong: at the worst there is one every two seconds,
const SILENT: Duration = Duration::from_millis(3_500);
/// and so it is again after this.
const SILENT_STILL: Duration = Duration::from_secs(2);
/// Round trips are longer than they were if it is by more than this, in ms.
const ROUND_TRIP_GREW_MS: f32 = 60.0;
/// The shortest is forgotten by so much a second.
const ROUND_TRIP_FORGOTTEN_MS: f32 = 0.5;
/// What is reported is of what was sent so long after a change, and longer by the queue.
const COVERS: Duration = Duration::from_millis(500);

/// What is being tried with a receiver.
#[derive(Clone, Copy, Debug)]
enum Trial {
    /// Nothing: things are as they are.
    Settled,
    /// More was given than this; before, it was like this.
    More { from: Load, before: Reception, reports: u32 },
    /// Less was given, because it had become like this.
    Less { worst: Reception, reports: u32 },
    /// Less was given for somebody else's sake: what is reported is still of before.
    Waits { reports: u32 },
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Receiver {
    pub(super) degree: Degree,
    /// Until when it needed that much.
    needed: Instant,
    /// No more than this until then.
    most: Option<(Load, Instant)>,
    /// What was too much last, and until when that is remembered.
    failed: Option<(Load, Instant)>,
    spared: Duration,
    cleared_until: Option<Instant>,
    trial: Trial,
    last: Reception,
    before_last: Reception,
    /// When the newest report was made, by its own words, and when it came.
    made: Option<Instant>,
    came: Option<Instant>,
    /// The least that reports took lately, with what clocks are apart.
    least_age: Duration,
    /// When a fresh one came, or what it would have told was last thought of.
    fresh: Instant,
    patience: Duration,
    /// When what is sent changed.
    changed: Instant,
    least_round_trip_ms: Option<f32>,
}

impl Receiver {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            degree: Degree::None,
            needed: now,
            most: None,
            failed: None,
            spared: SPARED,
            cleared_until: None,
            trial: Trial::Settled,
            last: Reception::default(),
            before_last: Reception::default(),
            made: None,
            came: None,
            least_age: Duration::MAX,
            fresh: now,
            patience: SILENT,
            changed: now,
            least_round_trip_ms: None,
        }
    }

    /// The most that the path to it bears.
    pub(super) fn most(&self) -> Load {
        self.most.map_or(Load::Heavy, |(most, _)| most)
    }

    /// It gets more from now on, whoever asked for it.
    pub(super) fn gets_more(&mut self, now: Instant, from: Load) {
        self.changed = now;
        if matches!(self.trial, Trial::Settled) {
            self.trial = Trial::More { from, before: self.last, reports: 0 };
        }
    }

    /// It gets less from now on, for whomever.
    pub(super) fn gets_less(&mut self, now: Instant, from: Load, to: Load) {
        self.changed = now;
        if to < Load::Full && self.most() > to {
            // More than half have found out; whoever has not yet need not try it again.
            self.remember(now, from, to);
        }
        if !matches!(self.trial, Trial::Less { .. }) {
            self.trial = Trial::Waits { reports: 0 };
        }
    }

    pub(super) fn report(&mut self, now: Instant, age: Duration, report: Reception, sent: Load) {
        self.least_age = age.min(self.least_age.saturating_add(DRIFT));
        let late = age - self.least_age;
        let made = now.checked_sub(age);
        if late >= STALE || made.is_some_and(|made| self.made.is_some_and(|newest| made < newest)) {
            return;
        }
        let bunched = self.came.is_some_and(|came| now.saturating_duration_since(came) < BUNCH);
        (self.made, self.came, self.fresh, self.patience) = (made.or(self.made), Some(now), now, SILENT);
        if bunched {
            self.last = report;
            return;
        }
        let queue = Duration::from_secs_f32(report.queue_ms.clamp(0.0, 60_000.0) / 1_000.0);
        let covered = now.checked_sub(late + queue).is_some_and(|covered| covered >= self.changed + COVERS);
        if !covered && !matches!(self.trial, Trial::Settled) {
            // Of before the change, or of both.
            (self.before_last, self.last) = (self.last, report);
            return;
        }
        self.judge(now, report, sent);
        self.try_more(now, report, sent);
        self.answer(now, report);
        (self.before_last, self.last) = (self.last, report);
    }

    /// Where no fresh report comes, and round trips take longer than they did, less is sent, and again less after a while.
    pub(super) fn listen(&mut self, now: Instant, round_trip_ms: Option<f32>, sent: Load) {
        let least = self.least_round_trip_ms.map(|least| least + ROUND_TRIP_FORGOTTEN_MS);
        self.least_round_trip_ms = round_trip_ms.map(|trip| least.map_or(trip, |least| trip.min(least))).or(least);
        let longer = match (round_trip_ms, self.least_round_trip_ms) {
            (Some(trip), Some(least)) => trip > least + ROUND_TRIP_GREW_MS,
            _ => true,
        };
        if now.saturating_duration_since(self.fresh) < self.patience || !longer {
            return;
        }
        (self.fresh, self.patience) = (now, SILENT_STILL);
        let sent = sent.min(self.most());
        if sent > Load::Least {
            self.cut(now, self.last, sent, sent.less().min(Load::Reduced));
        }
    }

    pub(super) fn excuse(&mut self, now: Instant) {
        (self.fresh, self.patience) = (now, SILENT);
    }

    /// Lets the copies follow what is lost.
    fn answer(&mut self, now: Instant, report: Reception) {
        let mut needs = report.needs();
        if report.queue_ms > QUEUE_GREW_MS && !self.is_cleared(now) {
            // First it has to show whether that comes of what is sent already.
            needs = needs.min(self.degree);
        }
        if needs >= self.degree {
            self.needed = now;
        }
        if needs > self.degree || now.saturating_duration_since(self.needed) >= LINGER {
            self.degree = needs;
            self.needed = now;
        }
    }

    fn judge(&mut self, now: Instant, report: Reception, sent: Load) {
        match &mut self.trial {
            Trial::Settled => {
                if self.is_cleared(now) || !self.is_crowded(report) {
                    return;
                }
                if sent > Load::Least {
                    self.cut(now, report, sent, self.room(report, sent));
                } else {
                    // There is no less, and so no way to learn whether it comes of what is sent.
                    self.most = Some((sent, now + self.wait(sent)));
                }
            }
            Trial::More { from, before, reports } => {
                *reports += 1;
                if *reports < JUDGED_AFTER {
                    return;
                }
                let (from, before, tried) = (*from, *before, *reports > 2 * JUDGED_AFTER);
                let queued = report.queue_ms > before.queue_ms + QUEUE_GREW_MS
                    && report.queue_ms >= AS_LONG * self.last.queue_ms;
                let lost = !self.is_cleared(now)
                    && report.loss > before.loss + LOSS_GREW
                    && self.last.loss > before.loss + LOSS_GREW;
                if queued || lost {
                    // Without copies the queue has to go, too, before it is as good as before.
                    let to = if sent > Load::Full { from } else { from.min(self.room(report, sent)) };
                    self.cut(now, report, sent, to);
                } else if tried {
                    self.trial = Trial::Settled;
                }
            }
            Trial::Waits { reports } => {
                *reports += 1;
                if *reports >= JUDGED_AFTER {
                    self.trial = Trial::Settled;
                }
            }
            Trial::Less { .. } if self.most.is_some_and(|(most, _)| sent > most) => {
                // The others do not want less: this is its own way in.
                if report.queue_ms <= QUEUE_GREW_MS && report.loss < OVERFLOWS {
                    self.trial = Trial::Settled;
                }
            }
            Trial::Less { worst, reports } => {
                *reports += 1;
                if *reports <= JUDGED_AFTER {
                    return;
                }
                let worst = *worst;
                let loss = 0.5 * (report.loss + self.last.loss);
                let eased = loss <= worst.loss * (1.0 - LOSS_EASED) || report.queue_ms < worst.queue_ms - QUEUE_GREW_MS;
                let queued = report.queue_ms > QUEUE_GREW_MS && report.queue_ms >= DRAINED * worst.queue_ms;
                // Something drops what is too much without making it wait.
                let dropped = worst.queue_ms <= QUEUE_GREW_MS && eased && loss > STILL_LOST;
                if (queued || dropped) && sent > Load::Least {
                    // Still too much, or the queue does not go.
                    let to = Load::within(sent.kilobits() * DRAINS).min(sent.less());
                    self.most = Some((to, now + self.wait(to)));
                    self.trial = Trial::Less { worst, reports: 0 };
                    return;
                }
                if !eased {
                    (self.most, self.failed, self.spared) = (None, None, SPARED);
                    self.cleared_until = Some(now + CLEARED);
                }
                self.trial = Trial::Settled;
            }
        }
    }

    fn is_cleared(&self, now: Instant) -> bool {
        self.cleared_until.is_some_and(|until| now < until)
    }

    /// Whether the path has been too narrow for two seconds.
    fn is_crowded(&self, report: Reception) -> bool {
        let (last, before) = (self.last, self.before_last);
        let stands = last.queue_ms > QUEUE_GREW_MS && report.queue_ms > before.queue_ms - LONGER_MS;
        let overflows = report.loss.min(last.loss) >= OVERFLOWS;
        let grows = report.queue_ms > last.queue_ms + LONGER_MS && last.queue_ms > before.queue_ms + LONGER_MS;
        report.queue_ms > QUEUE_GREW_MS && stands && (overflows || grows)
    }

    /// What has room where this is reported of what is sent: less in any case.
    fn room(&self, report: Reception, sent: Load) -> Load {
        let grew_s = ((report.queue_ms - self.last.queue_ms) / 1_000.0).max(0.0);
        let through = sent.kilobits() * (1.0 - report.loss) / (1.0 + grew_s);
        Load::within(through * DRAINS).min(sent.less())
    }

    /// No more than `to` from now on.
    fn cut(&mut self, now: Instant, worst: Reception, sent: Load, to: Load) {
        self.remember(now, sent, to);
        self.trial = Trial::Less { worst, reports: 0 };
    }

    /// What was sent was too much, and `to` is not.
    fn remember(&mut self, now: Instant, sent: Load, to: Load) {
        let again = self.failed.is_some_and(|(load, until)| sent >= load && now < until);
        self.spared = if again { (self.spared * 2).min(SPARED_AT_MOST) } else { SPARED };
        self.failed = Some((sent, now + 2 * self.spared + FORGOTTEN));
        self.most = Some((to, now + self.wait(to)));
    }

    /// How long it stays with this before more is tried.
    fn wait(&self, most: Load) -> Duration {
        if self.failed.is_some_and(|(load, _)| most.more() == load) { self.spared } else { TRIED_AFTER }
    }

    fn try_more(&mut self, now: Instant, report: Reception, sent: Load) {
        let Some((most, until)) = self.most else { return };
        let settled = matches!(self.trial, Trial::Settled) && report.queue_ms <= QUEUE_GREW_MS;
        if now < until || !settled {
            return;
        }
        // What somebody else's path keeps away from it is not tried.
        let tried = sent >= most.min(Load::of(self.degree));
        let next = if tried { most.more() } else { most };
        self.most = (next < Load::Heavy).then(|| (next, now + self.wait(next)));
    }
}
