//! What the way through the air does to a voice: it gets softer, and duller.

use crate::audio::format::{Quantum, SAMPLE_RATE};

/// Nearer than this a voice does not get louder, in metres: at most +6 dB, so that nobody shouts into an ear.
pub(super) const NEAREST_M: f32 = 0.5;
/// Where the responses were measured the air has done its part already, in metres.
const REFERENCE_M: f32 = 1.0;
/// What air takes away at [`MATCHED_HZ`], in dB a metre: ISO 9613-1 at 20 °C, half as moist as it could be.
const AIR_DB_PER_M: f32 = 0.105;
/// Where the filter takes away just what air does. It has one pole: a little too much below (0.05 dB a metre at 4 kHz, where air has
/// 0.03), too little above.
const MATCHED_HZ: f32 = 8_000.0;

/// Loudness at this distance, as a factor: 1/r, 1 at a metre.
pub(super) fn gain(distance_m: f32) -> f32 {
    1.0 / distance_m.max(NEAREST_M)
}

/// The pole of a low-pass that takes away what the air does on this way.
fn pole(distance_m: f32) -> f32 {
    let lost_db = AIR_DB_PER_M * (distance_m - REFERENCE_M).max(0.0);
    if lost_db < 1.0e-3 {
        return 0.0;
    }
    // The smaller root of (1 − g)·a² − 2·(1 − g·cos)·a + (1 − g) = 0: |H|² = g at the matched frequency.
    let power = 10_f32.powf(-lost_db / 10.0);
    let cos = (std::f32::consts::TAU * MATCHED_HZ / SAMPLE_RATE as f32).cos();
    let (outer, half) = (1.0 - power, 1.0 - power * cos);
    (half - (half * half - outer * outer).max(0.0).sqrt()) / outer
}

/// A number on its way to another, without a corner at which a click would be heard: two poles of 1.7 ms each.
#[derive(Clone, Copy, Debug)]
struct Glide([f32; 2]);

impl Glide {
    /// The next sample's, on the way to `to`.
    fn next(&mut self, to: f32) -> f32 {
        const SHARE: f32 = 1.0 / 80.0;
        let [first, second] = &mut self.0;
        *first += SHARE * (to - *first);
        *second += SHARE * (*first - *second);
        *second
    }

    /// Is there when it is as good as there.
    fn settle(&mut self, to: f32) {
        if self.0.iter().all(|now| (now - to).abs() < 1.0e-5) {
            self.0 = [to; 2];
        }
    }
}

/// One voice's way through the air. Changes take some 10 ms.
#[derive(Default)]
pub(super) struct Air {
    /// Gain and pole; none in the beginning.
    now: Option<[Glide; 2]>,
    state: f32,
}

impl Air {
    /// Carries 2.5 ms over this distance.
    pub fn carry(&mut self, distance_m: f32, mono: &Quantum) -> Quantum {
        let to = [gain(distance_m), pole(distance_m)];
        let [gain, pole] = self.now.get_or_insert_with(|| to.map(|to| Glide([to; 2])));
        let out = mono.map(|sample| {
            self.state = sample + pole.next(to[1]) * (self.state - sample);
            // Whoever is silent for hours is not worked on in the slowest numbers that there are.
            if self.state.abs() < 1.0e-20 {
                self.state = 0.0;
            }
            self.state * gain.next(to[0])
        });
        gain.settle(to[0]);
        pole.settle(to[1]);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::format::QUANTUM;

    /// What is left of a tone after this way, in dB, without what distance itself takes.
    fn air_db(distance_m: f32, hz: f32) -> f32 {
        let mut air = Air::default();
        let (mut before, mut after) = (0.0, 0.0);
        for block in 0..80 {
            let tone: Quantum = std::array::from_fn(|n| {
                ((block * QUANTUM + n) as f32 * hz * std::f32::consts::TAU / SAMPLE_RATE as f32).sin()
            });
            let out = air.carry(distance_m, &tone);
            if block > 7 {
                before += tone.iter().map(|x| x * x).sum::<f32>();
                after += out.iter().map(|x| x * x).sum::<f32>();
            }
        }
        10.0 * (after / before).log10() - 20.0 * gain(distance_m).log10()
    }

    #[test]
    fn air_takes_the_treble_as_the_standard_says() {
        // dB a metre at 20 °C and 50 % by ISO 9613-1: 0.0047 at 1 kHz, 0.030 at 4 kHz, 0.105 at 8 kHz.
        for distance_m in [5.0, 20.0] {
            let way = distance_m - 1.0;
            assert!((air_db(distance_m, 8_000.0) + 0.105 * way).abs() < 0.05, "{}", air_db(distance_m, 8_000.0));
            assert!((air_db(distance_m, 4_000.0) + 0.030 * way).abs() < 0.5, "{}", air_db(distance_m, 4_000.0));
            assert!((air_db(distance_m, 1_000.0) + 0.005 * way).abs() < 0.1, "{}", air_db(distance_m, 1_000.0));
        }
        for hz in [100.0, 8_000.0, 20_000.0] {
            assert!(air_db(1.0, hz).abs() < 1.0e-3, "at a metre nothing is lost");
        }
    }
}
