//! Adding the voices up, and keeping the sum within full scale.

use super::format::{QUANTUM, Quantum, SAMPLE_RATE};

/// Up to this the limiter does nothing at all: −3 dBFS.
const THRESHOLD: f32 = 0.707;
/// The gain comes back with this time constant, in seconds: slower than a syllable's pitch, faster than a word.
const RELEASE_S: f32 = 0.08;

/// A soft limiter for both ears together (so that it moves no voice): exact below its threshold, bent above it, never beyond 1.
///
/// It follows the louder ear's peaks without delay and lets go slowly; what it lets through for a peak `p` above the threshold `t`
/// is `t + (1 − t)·tanh((p − t)/(1 − t))`.
#[derive(Debug)]
pub struct Limiter {
    envelope: f32,
    release: f32,
}

impl Default for Limiter {
    fn default() -> Self {
        Self { envelope: 0.0, release: (-1.0 / (RELEASE_S * SAMPLE_RATE as f32)).exp() }
    }
}

impl Limiter {
    /// Limits one stereo frame.
    pub fn limit(&mut self, [left, right]: [f32; 2]) -> [f32; 2] {
        let peak = left.abs().max(right.abs());
        self.envelope = peak.max(self.envelope * self.release);
        if self.envelope <= THRESHOLD {
            return [left, right];
        }
        const ROOM: f32 = 1.0 - THRESHOLD;
        let gain = (THRESHOLD + ROOM * ((self.envelope - THRESHOLD) / ROOM).tanh()) / self.envelope;
        // Rounding must not carry anything beyond full scale.
        [(left * gain).clamp(-1.0, 1.0), (right * gain).clamp(-1.0, 1.0)]
    }
}

/// Adds voices up.
pub struct Mixer {
    left: Quantum,
    right: Quantum,
    limiter: Limiter,
}

impl Default for Mixer {
    fn default() -> Self {
        Self { left: [0.0; QUANTUM], right: [0.0; QUANTUM], limiter: Limiter::default() }
    }
}

impl Mixer {
    /// Begins the next 2.5 ms with silence.
    pub fn begin(&mut self) {
        self.left.fill(0.0);
        self.right.fill(0.0);
    }

    /// Adds one voice.
    pub fn add(&mut self, left: &Quantum, right: &Quantum) {
        for (sum, voice) in self.left.iter_mut().zip(left) {
            *sum += voice;
        }
        for (sum, voice) in self.right.iter_mut().zip(right) {
            *sum += voice;
        }
    }

    /// Writes the limited sum.
    pub fn finish(&mut self, out: &mut [[f32; 2]; QUANTUM]) {
        for ((out, left), right) in out.iter_mut().zip(&self.left).zip(&self.right) {
            *out = self.limiter.limit([*left, *right]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn below_the_threshold_every_bit_stays() {
        let mut limiter = Limiter::default();
        for n in 0..48_000 {
            let x = (n as f32 * 0.013).sin() * 0.7;
            assert_eq!(limiter.limit([x, -x]), [x, -x]);
        }
    }

    #[test]
    fn nothing_ever_exceeds_full_scale() {
        let mut limiter = Limiter::default();
        let mut seed = 7_u32;
        for n in 0..200_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let loud = [0.1, 1.0, 8.0, 1.0e6][n / 1_000 % 4];
            let x = (seed as f32 / u32::MAX as f32 - 0.5) * 2.0 * loud;
            let [left, right] = limiter.limit([x, x * 0.3]);
            assert!(left.abs() <= 1.0 && right.abs() <= 1.0, "{x} became {left}, {right}");
        }
    }

    #[test]
    fn both_ears_are_turned_down_alike_and_the_gain_comes_back() {
        let mut limiter = Limiter::default();
        let [left, right] = limiter.limit([4.0, 1.0]);
        assert!((left / right - 4.0).abs() < 1.0e-4, "the voice stays where it is: {left}, {right}");
        for _ in 0..SAMPLE_RATE / 2 {
            limiter.limit([0.0, 0.0]);
        }
        assert_eq!(limiter.limit([0.5, 0.5]), [0.5, 0.5]);
    }

    #[test]
    fn voices_add_up() {
        let mut mixer = Mixer::default();
        mixer.begin();
        mixer.add(&[0.25; QUANTUM], &[0.0; QUANTUM]);
        mixer.add(&[0.125; QUANTUM], &[0.5; QUANTUM]);
        let mut out = [[0.0; 2]; QUANTUM];
        mixer.finish(&mut out);
        assert_eq!(out, [[0.375, 0.5]; QUANTUM]);
    }
}
