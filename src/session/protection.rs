//! How much redundancy goes with the own voice: as much as the worst of the receivers needs, no more than the narrowest path bears.
//!
//! Every second each receiver reports which share of the packets it missed, in what runs, and how long they queued. More is given at
//! once, and taken back when it was not needed for five seconds. Where it makes matters worse (a queue grows, or more is lost than
//! before) the path is too narrow: less is given, longer each time. Loss that stays when less is given was not of our making.

use resonance_protocol::peer::TransportId;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// How many earlier frames go with each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Degree {
    /// None.
    #[default]
    None,
    /// One.
    Light,
    /// Two.
    Medium,
    /// Three.
    Heavy,
}

impl Degree {
    fn less(self) -> Self {
        match self {
            Self::None | Self::Light => Self::None,
            Self::Medium => Self::Light,
            Self::Heavy => Self::Medium,
        }
    }
}

/// What one receiver says of the last second.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Reception {
    /// Share of packets that it missed, 0–1.
    pub loss: f32,
    /// How many in a row, on average.
    pub burst: f32,
    /// How long packets queued on the way, in ms.
    pub queue_ms: f32,
}

impl Reception {
    /// What would mend this.
    fn needs(self) -> Degree {
        match self {
            Self { loss, .. } if loss < 0.01 => Degree::None,
            Self { loss, burst, .. } if loss < 0.06 && burst < 1.5 => Degree::Light,
            Self { loss, burst, .. } if loss < 0.12 && burst < 2.5 => Degree::Medium,
            _ => Degree::Heavy,
        }
    }
}

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
/// How long a narrow path is spared, the first time; twice as long each time after.
const SPARED: Duration = Duration::from_secs(15);
/// And at the most.
const SPARED_AT_MOST: Duration = Duration::from_secs(240);
/// Loss that was not of our making is not blamed on us again for so long.
const CLEARED: Duration = Duration::from_secs(60);

/// What is being tried with a receiver.
#[derive(Clone, Copy, Debug)]
enum Trial {
    /// Nothing: things are as they are.
    Settled,
    /// More was given; before, it was like this.
    More { before: Reception, reports: u32 },
    /// Less was given, because it had become like this.
    Less { worst: Reception, reports: u32 },
}

#[derive(Clone, Copy, Debug)]
struct Receiver {
    degree: Degree,
    /// Until when it needed that much.
    needed: Instant,
    /// No more than this until then.
    most: Option<(Degree, Instant)>,
    spared: Duration,
    cleared_until: Option<Instant>,
    trial: Trial,
    last: Reception,
}

impl Receiver {
    fn new(now: Instant) -> Self {
        Self {
            degree: Degree::None,
            needed: now,
            most: None,
            spared: SPARED,
            cleared_until: None,
            trial: Trial::Settled,
            last: Reception::default(),
        }
    }

    fn report(&mut self, now: Instant, report: Reception, sent: Degree) {
        self.most = self.most.filter(|(_, until)| now < *until);
        self.judge(now, report, sent);
        let most = self.most.map_or(Degree::Heavy, |(most, _)| most);
        let needs = report.needs().min(most);
        if needs >= self.degree {
            self.needed = now;
        }
        if needs > self.degree {
            self.degree = needs;
        } else if self.degree > most || now.saturating_duration_since(self.needed) >= LINGER {
            self.degree = needs;
            self.needed = now;
        }
        self.last = report;
    }

    fn judge(&mut self, now: Instant, report: Reception, sent: Degree) {
        match &mut self.trial {
            Trial::Settled => {}
            Trial::More { before, reports } => {
                *reports += 1;
                if *reports < JUDGED_AFTER {
                    return;
                }
                let cleared = self.cleared_until.is_some_and(|until| now < until);
                let queued = report.queue_ms > before.queue_ms + QUEUE_GREW_MS
                    && report.queue_ms >= AS_LONG * self.last.queue_ms;
                let lost =
                    !cleared && report.loss > before.loss + LOSS_GREW && self.last.loss > before.loss + LOSS_GREW;
                if queued || lost {
                    self.most = Some((sent.less(), now + self.spared));
                    self.spared = (self.spared * 2).min(SPARED_AT_MOST);
                    self.trial = Trial::Less { worst: report, reports: 0 };
                } else if *reports > 2 * JUDGED_AFTER {
                    self.trial = Trial::Settled;
                }
            }
            Trial::Less { worst, reports } => {
                *reports += 1;
                if *reports <= JUDGED_AFTER {
                    return;
                }
                let eased =
                    report.loss <= worst.loss * (1.0 - LOSS_EASED) || report.queue_ms < worst.queue_ms - QUEUE_GREW_MS;
                let queued = report.queue_ms > QUEUE_GREW_MS
                    && report.queue_ms >= AS_LONG * worst.queue_ms
                    && sent > Degree::None;
                if queued {
                    // Still too much.
                    self.most = self.most.map(|(_, until)| (sent.less(), until));
                    self.trial = Trial::Less { worst: report, reports: 0 };
                } else {
                    self.trial = Trial::Settled;
                    if !eased && report.queue_ms <= QUEUE_GREW_MS {
                        (self.most, self.spared) = (None, SPARED);
                        self.cleared_until = Some(now + CLEARED);
                    }
                }
            }
        }
    }
}

/// All receivers together: everybody gets the same packets.
#[derive(Debug, Default)]
pub struct Protection {
    receivers: BTreeMap<TransportId, Receiver>,
    degree: Degree,
}

impl Protection {
    /// Takes one receiver's report in; returns the degree when it changes.
    pub fn report(&mut self, now: Instant, from: TransportId, report: Reception) -> Option<Degree> {
        let sent = self.degree;
        self.receivers.entry(from).or_insert_with(|| Receiver::new(now)).report(now, report, sent);
        self.decide()
    }

    /// Somebody does not receive any more; returns the degree when it changes.
    pub fn forget(&mut self, peer: TransportId) -> Option<Degree> {
        self.receivers.remove(&peer);
        self.decide()
    }

    fn decide(&mut self) -> Option<Degree> {
        let wanted = self.receivers.values().map(|receiver| receiver.degree).max().unwrap_or_default();
        let most = self.receivers.values().filter_map(|receiver| receiver.most.map(|(most, _)| most)).min();
        let degree = wanted.min(most.unwrap_or(Degree::Heavy));
        if degree > self.degree {
            // Everybody gets more, whoever asked for it.
            for receiver in self.receivers.values_mut().filter(|receiver| matches!(receiver.trial, Trial::Settled)) {
                receiver.trial = Trial::More { before: receiver.last, reports: 0 };
            }
        }
        (std::mem::replace(&mut self.degree, degree) != degree).then_some(degree)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    const PEER: TransportId = TransportId::from_bytes([1; 32]);

    /// A path that loses `share` in runs of `burst` by itself, and carries so many kb/s before its queue of 250 ms fills.
    struct Path {
        share: f32,
        burst: f32,
        kilobits: f32,
        queued_ms: f32,
        /// Its shortest queue of the last half minute is what a receiver takes for none.
        lately_ms: VecDeque<f32>,
    }

    impl Path {
        fn second(&mut self, degree: Degree) -> Reception {
            // Bytes of Opus, copies, seal, SRTP, UDP and IP at 100 packets a second.
            let sent = [146.0, 148.0, 189.0, 199.0][degree as usize];
            let through = (self.kilobits / sent).min(1.0);
            self.queued_ms = (self.queued_ms + (sent / self.kilobits - 1.0) * 1_000.0).clamp(0.0, 250.0);
            let full = self.queued_ms >= 250.0;
            let kept = (1.0 - self.share) * if full { through } else { 1.0 };
            self.lately_ms.push_back(self.queued_ms);
            if self.lately_ms.len() > 32 {
                self.lately_ms.pop_front();
            }
            let shortest_ms = self.lately_ms.iter().copied().fold(f32::INFINITY, f32::min);
            // What is measured in a second is never quite the same.
            let noise = (self.lately_ms.len() * 7 + (self.queued_ms * 10.0) as usize) % 5;
            let queue_ms = self.queued_ms - shortest_ms + noise as f32;
            Reception { loss: 1.0 - kept + 0.01 * (noise as f32 - 2.0) * self.share, burst: self.burst, queue_ms }
        }

        fn new(share: f32, burst: f32, kilobits: f32) -> Self {
            Self { share, burst, kilobits, queued_ms: 0.0, lately_ms: VecDeque::new() }
        }
    }

    fn degrees(path: &mut Path, seconds: u64, protection: &mut Protection, from: Instant) -> Vec<Degree> {
        (0..seconds)
            .map(|second| {
                let report = path.second(protection.degree);
                protection.report(from + Duration::from_secs(second), PEER, report);
                protection.degree
            })
            .collect()
    }

    fn share_of(degree: Degree, degrees: &[Degree]) -> f32 {
        degrees.iter().filter(|&&each| each == degree).count() as f32 / degrees.len() as f32
    }

    #[test]
    fn loss_is_answered_at_once_and_the_answer_ends_five_seconds_after_it() {
        let (mut protection, began) = (Protection::default(), Instant::now());
        let report = |protection: &mut Protection, second: u64, loss: f32, burst: f32| {
            protection.report(began + Duration::from_secs(second), PEER, Reception { loss, burst, queue_ms: 1.0 })
        };
        assert_eq!(report(&mut protection, 0, 0.0, 0.0), None);
        assert_eq!(report(&mut protection, 1, 0.03, 1.1), Some(Degree::Light));
        assert_eq!(report(&mut protection, 2, 0.2, 3.0), Some(Degree::Heavy));
        let changes: Vec<_> = (3..10).map(|second| report(&mut protection, second, 0.0, 0.0)).collect();
        assert_eq!(changes, [None, None, None, None, Some(Degree::None), None, None]);
    }

    #[test]
    fn on_a_wide_path_heavy_loss_keeps_its_answer_even_though_it_came_all_of_a_sudden() {
        let mut protection = Protection::default();
        let began = Instant::now();
        degrees(&mut Path::new(0.0, 0.0, 1_000.0), 10, &mut protection, began);
        protection.report(began + Duration::from_secs(10), PEER, Reception { loss: 0.05, burst: 2.0, queue_ms: 0.0 });
        let mut path = Path::new(0.4, 8.0, 1_000.0);
        let answer = degrees(&mut path, 60, &mut protection, began + Duration::from_secs(11));
        assert!(share_of(Degree::Heavy, &answer) > 0.9, "{answer:?}");
        assert!(share_of(Degree::Heavy, &answer[8..]) == 1.0, "{answer:?}");
    }

    #[test]
    fn behind_a_bottleneck_it_backs_off_instead_of_adding() {
        let mut path = Path::new(0.1, 2.0, 150.0);
        let mut protection = Protection::default();
        let answer = degrees(&mut path, 300, &mut protection, Instant::now());
        let narrow = share_of(Degree::None, &answer) + share_of(Degree::Light, &answer);
        assert!(narrow > 0.85, "what the path bears, nearly always: {answer:?}");
        assert!(share_of(Degree::Light, &answer) > 0.5, "and that much is given: {answer:?}");
        // The attempts become rarer.
        let too_much = |part: &[Degree]| part.iter().filter(|degree| **degree > Degree::Light).count();
        assert!(too_much(&answer[200..]) <= too_much(&answer[..100]), "{answer:?}");
    }

    #[test]
    fn the_worst_receiver_is_served_and_the_narrowest_path_is_spared() {
        let (mut protection, now) = (Protection::default(), Instant::now());
        let other = TransportId::from_bytes([2; 32]);
        protection.report(now, PEER, Reception { loss: 0.03, burst: 1.0, queue_ms: 0.0 });
        assert_eq!(
            protection.report(now, other, Reception { loss: 0.3, burst: 3.0, queue_ms: 0.0 }),
            Some(Degree::Heavy)
        );
        for second in 1..4 {
            let narrow = Reception { loss: 0.03, burst: 1.0, queue_ms: 90.0 * second as f32 };
            protection.report(now + Duration::from_secs(second), PEER, narrow);
        }
        assert!(protection.degree < Degree::Heavy, "{:?}", protection.degree);
        protection.forget(PEER);
        assert_eq!(protection.degree, Degree::Heavy);
        assert_eq!(protection.forget(other), Some(Degree::None));
    }
}
