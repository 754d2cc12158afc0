//! How early packets are: the one measurement that the delay is set by.
//!
//! The *slack* of a packet is the time from its arrival to the moment its sound was needed; negative when it came too late.
//! It holds everything that matters at once: the network's jitter, the phase between arrival and playing, the uneven steps of the
//! speaker, and clocks that drift apart. Moon, Kurose and Towsley ("Packet audio playout delay adjustment", Multimedia Systems 6,
//! 1998) set the delay by a quantile of what recent packets needed; so is it here: the smallest slack of every quarter second is
//! kept for ten seconds, and the second smallest of those forty (the worst one forgiven as an outlier) says how early packets
//! reliably are.

use std::time::{Duration, Instant};

/// Intervals that are remembered.
const INTERVALS: usize = 40;
/// Length of one: ten seconds all together.
const INTERVAL: Duration = Duration::from_millis(250);
/// Below so many nothing is said: 2 s.
const MIN_INTERVALS: usize = 8;
/// From so many on the worst is forgiven: 5 s.
const FORGIVING: usize = 20;

#[derive(Clone, Copy, Debug, Default)]
struct Interval {
    min_ms: f32,
    mean_ms: f32,
}

/// How early packets reliably are.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Slack {
    /// What (nearly) every packet has, in ms.
    pub low_ms: f32,
    /// What packets have on average, in ms.
    pub mean_ms: f32,
}

/// Slack over the last ten seconds.
#[derive(Debug)]
pub struct SlackWindow {
    past: [Interval; INTERVALS],
    next: usize,
    filled: usize,
    begun: Option<Instant>,
    min_ms: f32,
    sum_ms: f32,
    count: u32,
    slack: Option<Slack>,
}

impl Default for SlackWindow {
    fn default() -> Self {
        Self {
            past: [Interval::default(); INTERVALS],
            next: 0,
            filled: 0,
            begun: None,
            min_ms: f32::INFINITY,
            sum_ms: 0.0,
            count: 0,
            slack: None,
        }
    }
}

impl SlackWindow {
    /// Takes one packet's slack in milliseconds.
    pub fn feed(&mut self, now: Instant, slack_ms: f32) {
        let begun = *self.begun.get_or_insert(now);
        if now.saturating_duration_since(begun) >= INTERVAL {
            self.close();
            self.begun = Some(now);
        }
        self.min_ms = self.min_ms.min(slack_ms);
        self.sum_ms += slack_ms;
        self.count += 1;
    }

    fn close(&mut self) {
        if self.count > 0 {
            self.past[self.next] = Interval { min_ms: self.min_ms, mean_ms: self.sum_ms / self.count as f32 };
            self.next = (self.next + 1) % INTERVALS;
            self.filled = (self.filled + 1).min(INTERVALS);
        }
        (self.min_ms, self.sum_ms, self.count) = (f32::INFINITY, 0.0, 0);
        self.slack = self.evaluate();
    }

    fn evaluate(&self) -> Option<Slack> {
        let past = &self.past[..self.filled];
        if past.len() < MIN_INTERVALS {
            return None;
        }
        let (mut worst, mut second) = (f32::INFINITY, f32::INFINITY);
        for interval in past {
            if interval.min_ms < worst {
                (worst, second) = (interval.min_ms, worst);
            } else {
                second = second.min(interval.min_ms);
            }
        }
        let low_ms = if past.len() >= FORGIVING { second } else { worst };
        let mean_ms = past.iter().map(|interval| interval.mean_ms).sum::<f32>() / past.len() as f32;
        Some(Slack { low_ms, mean_ms })
    }

    /// How early packets are; `None` before 2 s were seen.
    pub fn slack(&self) -> Option<Slack> {
        self.slack
    }

    /// The delay was changed by `ms`: packets of the past would have been that much earlier.
    pub fn shift(&mut self, ms: f32) {
        for interval in &mut self.past[..self.filled] {
            interval.min_ms += ms;
            interval.mean_ms += ms;
        }
        self.min_ms += ms;
        self.sum_ms += ms * self.count as f32;
        self.slack = self.evaluate();
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fed(slack_ms: impl Fn(u32) -> f32, packets: u32) -> SlackWindow {
        let start = Instant::now();
        let mut window = SlackWindow::default();
        for n in 0..packets {
            window.feed(start + Duration::from_millis(10) * n, slack_ms(n));
        }
        window
    }

    #[test]
    fn nothing_is_said_before_two_seconds() {
        assert_eq!(fed(|_| 9.0, 200).slack(), None);
        assert_eq!(fed(|_| 9.0, 202).slack(), Some(Slack { low_ms: 9.0, mean_ms: 9.0 }));
    }

    #[test]
    fn one_outlier_in_ten_seconds_is_forgiven_and_two_are_not() {
        let once = fed(|n| if n == 700 { -40.0 } else { 12.0 }, 1_101);
        assert_eq!(once.slack().map(|s| s.low_ms), Some(12.0));
        let twice = fed(|n| if n == 700 || n == 900 { -40.0 } else { 12.0 }, 1_101);
        assert_eq!(twice.slack().map(|s| s.low_ms), Some(-40.0));
    }

    #[test]
    fn what_is_older_than_ten_seconds_is_forgotten() {
        let window = fed(|n| if n < 500 { -40.0 } else { 12.0 }, 1_560);
        assert_eq!(window.slack().map(|s| s.low_ms), Some(12.0));
    }

    #[test]
    fn a_changed_delay_changes_the_past_with_it() {
        let mut window = fed(|_| 9.0, 500);
        window.shift(-4.0);
        assert_eq!(window.slack(), Some(Slack { low_ms: 5.0, mean_ms: 5.0 }));
    }
}
