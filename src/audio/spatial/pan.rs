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

/// Where on the base between both speakers, −1 to 1: seats from the far left to the far right are spread evenly over it; what is
/// behind comes from in front, and what is above moves to the middle: two speakers can do no more.
pub(super) fn across(position: Position) -> f32 {
    let folded = position.azimuth_deg.to_radians().sin().asin() / std::f32::consts::FRAC_PI_2;
    folded * position.elevation_deg.to_radians().cos()
}

/// Shares of the left and the right speaker.
fn shares(across: f32) -> [f32; 2] {
    let angle = (across + 1.0) * std::f32::consts::FRAC_PI_4;
    [angle.cos() * LOUDNESS, angle.sin() * LOUDNESS]
}

impl Panner {
    /// Writes both speakers' sound of a voice there.
    pub fn render(&mut self, position: Position, mono: &Quantum, left: &mut Quantum, right: &mut Quantum) {
        self.render_at(across(position), mono, left, right);
    }

    /// The same for a place on the base.
    pub fn render_at(&mut self, across: f32, mono: &Quantum, left: &mut Quantum, right: &mut Quantum) {
        let now = shares(across);
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
            let [left, right] = shares(across(Position::at_azimuth(azimuth as f32)));
            assert!((left.hypot(right) - LOUDNESS).abs() < 1.0e-5, "{azimuth}");
        }
        let [left, right] = shares(across(Position::at_azimuth(90.0)));
        assert!(left.abs() < 1.0e-4 && right > 0.7, "{left}, {right}");
        let [left, right] = shares(across(Position::at_azimuth(-30.0)));
        assert!(left > 1.5 * right, "{left}, {right}");
        let overhead = shares(across(Position { elevation_deg: 90.0, ..Position::at_azimuth(90.0) }));
        assert!((overhead[0] - overhead[1]).abs() < 1.0e-4);
    }
}
