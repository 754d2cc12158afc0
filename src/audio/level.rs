//! How loud a voice is, whether it speaks, and how it becomes louder or softer.

use super::format::{FRAME, SILENCE_DB};

/// Frames over which a level is averaged: 50 ms.
const AVERAGED: f32 = 5.0;
/// Quieter than this is never speech, in dBFS.
const SPEECH_FLOOR_DB: f32 = -50.0;
/// Speech stands out of the background by at least this, in dB.
const SPEECH_ABOVE_NOISE_DB: f32 = 9.0;
/// The estimate of the background rises by this a frame (3 dB a second) and falls at once, so pauses set it.
const NOISE_RISE_DB: f32 = 0.03;
/// The background is never taken for louder than this, in dBFS: whoever speaks without a pause stays a speaker.
const NOISE_CEILING_DB: f32 = -40.0;
/// Frames for which "speaking" outlasts the last loud one: 300 ms bridge the gaps between words.
const HANGOVER: u32 = 30;

/// Level and speech of one signal, fed block by block.
#[derive(Clone, Copy, Debug)]
pub struct Meter {
    /// Squares of a frame that is not whole yet, added up, and how many.
    energy: f32,
    samples: usize,
    power: f32,
    noise_db: f32,
    hangover: u32,
}

impl Default for Meter {
    fn default() -> Self {
        Self { energy: 0.0, samples: 0, power: 0.0, noise_db: SPEECH_FLOOR_DB, hangover: 0 }
    }
}

impl Meter {
    /// Takes a block in, no longer than a frame.
    pub fn feed(&mut self, block: &[f32]) {
        self.feed_energy(block.iter().map(|x| x * x).sum::<f32>(), block.len());
    }

    /// Takes the sum of so many samples' squares in, no more than a frame's.
    pub fn feed_energy(&mut self, energy: f32, samples: usize) {
        self.energy += energy;
        self.samples += samples;
        if self.samples >= FRAME {
            self.feed_power(self.energy / self.samples as f32);
            (self.energy, self.samples) = (0.0, 0);
        }
    }

    /// Takes the mean square of one frame in.
    fn feed_power(&mut self, power: f32) {
        self.power += (power - self.power) / AVERAGED;
        let level = self.level_db();
        self.noise_db = (self.noise_db + NOISE_RISE_DB).min(level).clamp(SILENCE_DB, NOISE_CEILING_DB);
        let loud = level > SPEECH_FLOOR_DB && (level > self.noise_db + SPEECH_ABOVE_NOISE_DB);
        self.hangover = if loud { HANGOVER } else { self.hangover.saturating_sub(1) };
    }

    /// Level in dBFS (a full-scale square wave is 0), not below [`SILENCE_DB`].
    pub fn level_db(&self) -> f32 {
        power_db(self.power)
    }

    /// Whether there is speech now or was a moment ago.
    pub fn speaking(&self) -> bool {
        self.hangover > 0
    }
}

/// Changes of loudness that apply to a whole block: from the first number at its beginning to the second at its end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ramp(pub f32, pub f32);

impl Ramp {
    /// The next 2.5 ms of the way from one loudness to another, which takes some 15 ms: half of what is left.
    pub fn towards(from: f32, to: f32) -> Self {
        let half = (from + to) * 0.5;
        Self(from, if (to - half).abs() < 0.01 * to.abs().max(0.1) { to } else { half })
    }

    /// Applies it.
    pub fn apply(self, block: &mut [f32]) {
        if self == Self(1.0, 1.0) {
            return;
        }
        let step = (self.1 - self.0) / block.len() as f32;
        for (n, sample) in block.iter_mut().enumerate() {
            *sample *= self.0 + step * (n + 1) as f32;
        }
    }
}

/// Mean square to dBFS, not below [`SILENCE_DB`].
pub fn power_db(power: f32) -> f32 {
    (10.0 * power.max(1.0e-12).log10()).max(SILENCE_DB)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_the_floor_and_a_sine_reads_three_decibels_below_its_peak() {
        let mut meter = Meter::default();
        meter.feed(&[0.0; FRAME]);
        assert_eq!(meter.level_db(), SILENCE_DB);
        assert!(!meter.speaking());
        for _ in 0..100 {
            meter.feed(&std::array::from_fn::<f32, FRAME, _>(|n| (n as f32 * std::f32::consts::TAU / 48.0).sin()));
        }
        assert!((meter.level_db() + 3.01).abs() < 0.05, "{}", meter.level_db());
    }

    #[test]
    fn speaking_begins_at_once_bridges_words_and_ends() {
        let mut meter = Meter::default();
        let mut feed = |power: f32, frames: usize| {
            for _ in 0..frames {
                meter.feed_power(power);
            }
            meter.speaking()
        };
        assert!(!feed(1.0e-7, 500), "background noise at -70 dBFS");
        assert!(feed(1.0e-2, 3), "a loud word after 30 ms");
        assert!(feed(1.0e-7, 25), "a short pause");
        assert!(feed(1.0e-2, 30));
        assert!(!feed(1.0e-7, 100), "a second later");
    }

    #[test]
    fn steady_noise_is_not_speech_for_long_but_a_long_speech_is() {
        let mut meter = Meter::default();
        for _ in 0..1_000 {
            meter.feed_power(2.0e-5);
        }
        assert!(!meter.speaking(), "a fan at -47 dBFS");
        for _ in 0..6_000 {
            meter.feed_power(1.0e-2);
        }
        assert!(meter.speaking(), "a minute without a pause");
    }
}
