//! What is to be taken out of the sound or put in, so that the delay is what the network needs.

use super::super::format::{FRAME, SAMPLE_RATE, milliseconds};
use super::{Change, Correction, JitterBuffer, MARGIN_MS, QUANTUM_MS, Urgency, signed_ms};
use std::time::{Duration, Instant};

/// The most that is corrected at once, in milliseconds.
const STEP_MS: f64 = FRAME as f64 * 1_000.0 / SAMPLE_RATE as f64;
/// Superfluous by this share of what jitter needs before any is taken out, which keeps the measurement's noise from going to and fro;
const NOISE_SHARE: f64 = 0.15;
/// at most so much together with a burst, in ms,
const MAX_WITH_BURST_MS: f64 = 12.5;
/// and never less than this, or than this share, when the network needs that much.
const LEAST_NOISE_MS: f64 = 2.5;
const LEAST_NOISE_SHARE: f64 = 0.015;
/// Packets that stay away for longer than this, or than two of them last, are more than uneven.
const DRY_MS: f64 = 21.0;
/// And then the sound is slowed down when less of the delay than this waits;
const LOW_SHARE: f64 = 0.8;
/// but not where the delay is shorter than this: there is nothing to gain;
const SHORT_MS: f64 = 30.0;
/// nor once it is longer than the network needs by this factor: where packets come in crowds, each pause would make it longer still.
const SLOWED_BY: f64 = 2.25;

impl JitterBuffer {
    /// What should be corrected now, if anything. On a steady network this is `None` for good once the delay has settled.
    pub fn correction(&mut self, now: Instant) -> Option<Correction> {
        let Some((change, at_most, off_ms)) = self.find_correction(now) else {
            self.wanted_since = None;
            return None;
        };
        let wanted_for = now.saturating_duration_since(*self.wanted_since.get_or_insert(now));
        let urgency = match change {
            Change::Remove if off_ms > 120.0 => Urgency::Now,
            Change::Remove if off_ms > 15.0 || wanted_for > Duration::from_secs(3) => Urgency::Soon,
            Change::Remove => Urgency::Calm,
            Change::Add if off_ms > 5.0 || wanted_for > Duration::from_secs(1) => Urgency::Now,
            Change::Add => Urgency::Soon,
        };
        // Corrections that follow one another faster are heard as a change of pace.
        let rest = Duration::from_millis(match urgency {
            Urgency::Now if change == Change::Add => 20,
            Urgency::Now => 40,
            Urgency::Soon | Urgency::Calm => 60,
        });
        let rested = self.last_correction.is_none_or(|last| now.saturating_duration_since(last) >= rest);
        rested.then_some(Correction { change, at_most, urgency })
    }

    fn find_correction(&self, now: Instant) -> Option<(Change, usize, f64)> {
        if !self.playing || self.held > 0 {
            return None;
        }
        if self.runs_dry(now) {
            return Some((Change::Add, FRAME, STEP_MS));
        }
        let (pulled_ms, ahead_ms, wanted_ms) = (self.pulled.value()?, self.ahead.value()?, self.wanted_ms(now)?);
        let burst_ms = self.burst_ms.max(QUANTUM_MS);
        if pulled_ms < wanted_ms - MARGIN_MS * 0.5 {
            let short_ms = wanted_ms - pulled_ms;
            let later_ms = (short_ms / burst_ms).ceil() * burst_ms - ahead_ms;
            return Some((Change::Add, samples(later_ms.clamp(QUANTUM_MS, STEP_MS)), short_ms));
        }
        let needed_ms = wanted_ms - self.delays.lowest_ms();
        let most_noise_ms = (MAX_WITH_BURST_MS - burst_ms).max(LEAST_NOISE_MS).max(LEAST_NOISE_SHARE * needed_ms);
        let noise_ms = (NOISE_SHARE * needed_ms).min(most_noise_ms);
        let bursts = ((pulled_ms - wanted_ms - noise_ms) / burst_ms).floor().max(0.0);
        let superfluous_ms = ahead_ms + bursts * burst_ms;
        (superfluous_ms >= QUANTUM_MS + noise_ms).then_some((
            Change::Remove,
            samples(superfluous_ms.min(STEP_MS)),
            superfluous_ms,
        ))
    }

    /// Packets stay away, not because they are lost, and the sound that waits will not last.
    fn runs_dry(&self, now: Instant) -> bool {
        let Some((last_arrived, _)) = self.last_arrival else { return false };
        let Some(pulled_ms) = self.pulled.value().filter(|_| self.copies_ms(now) == 0.0) else { return false };
        let needed_ms = self.wanted_ms(now).unwrap_or_default() - self.delays.lowest_ms();
        let delay_ms = pulled_ms - self.delays.lowest_ms();
        let waiting_ms = self.store.len() as f64 * self.frame_ms();
        let slowed = (SHORT_MS..needed_ms * SLOWED_BY).contains(&delay_ms);
        signed_ms(now, last_arrived) > DRY_MS.max(2.1 * self.frame_ms()) && slowed && waiting_ms < delay_ms * LOW_SHARE
    }

    /// The lane took `samples` out or put them in (at most what was asked for, at least one).
    pub fn corrected(&mut self, now: Instant, change: Change, samples: usize) {
        self.last_correction = Some(now);
        self.totals.corrected += samples as u64;
        let ms = f64::from(milliseconds(samples as f32));
        self.waited_ms += if change == Change::Add { ms } else { -ms };
        // What it led to is seen from the next pulls.
        self.forget_pulls();
    }
}

fn samples(ms: f64) -> usize {
    (ms * f64::from(SAMPLE_RATE) / 1_000.0).round() as usize
}
