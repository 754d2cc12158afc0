//! Two loudspeakers: a voice stands between them by its share of each, at constant power.

use crate::audio::format::Quantum;
use crate::audio::level::Ramp;
use resonance_protocol::position::Position;

/// Power of both speakers together for a voice at a metre: as loud as the measured ears make one ahead (−6 dB each).
const LOUDNESS: f32 = std::f32::consts::FRAC_1_SQRT_2;

/// Pans one voice. A change of place takes some 15 ms.
#[derive(Default)]
pub(super) struct Panner {
    before: Option<[f32; 2]>,
}

/// Shares of the left and the right speaker. Seats from the far left to the far right are spread evenly over the base; what is
/// behind comes from in front, and what is above moves to the middle: two speakers can do no more.
fn shares(position: Position) -> [f32; 2] {
    let folded = position.azimuth_deg.to_radians().sin().asin() / std::f32::consts::FRAC_PI_2;
    let across = folded * position.elevation_deg.to_radians().cos();
    let angle = (across + 1.0) * std::f32::consts::FRAC_PI_4;
    [angle.cos() * LOUDNESS, angle.sin() * LOUDNESS]
}

impl Panner {
    /// Writes both speakers' sound of a voice there.
    pub fn render(&mut self, position: Position, mono: &Quantum, left: &mut Quantum, right: &mut Quantum) {
        let now = shares(position);
        let before = self.before.get_or_insert(now);
        for ((out, share), before) in [left, right].into_iter().zip(now).zip(before) {
            let ramp = Ramp::towards(*before, share);
            *before = ramp.1;
            *out = *mono;
            ramp.apply(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn power_is_the_same_everywhere_and_right_is_right() {
        for azimuth in (-180..=180).step_by(15) {
            let [left, right] = shares(Position::at_azimuth(azimuth as f32));
            assert!((left.hypot(right) - LOUDNESS).abs() < 1.0e-5, "{azimuth}");
        }
        let [left, right] = shares(Position::at_azimuth(90.0));
        assert!(left.abs() < 1.0e-4 && right > 0.7, "{left}, {right}");
        let [left, right] = shares(Position::at_azimuth(-30.0));
        assert!(left > 1.5 * right, "{left}, {right}");
        let overhead = shares(Position { elevation_deg: 90.0, ..Position::at_azimuth(90.0) });
        assert!((overhead[0] - overhead[1]).abs() < 1.0e-4);
    }
}
