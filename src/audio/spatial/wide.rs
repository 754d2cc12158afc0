//! Music in stereo, placed: as it was mixed when it is ahead, drawn to one side and narrower the further it is there.
//!
//! Not by the ears' responses: those colour what comes through them by many decibels, which makes a voice stand somewhere and music sound
//! wrong; and whoever mixed it for two ears or speakers has placed everything in it already.

use super::distance::Air;
use super::pan::{Panner, across};
use crate::audio::format::{QUANTUM, Quantum};
use resonance_protocol::position::Position;

/// Of each channel: what both have in common is as loud, together, as a voice ahead.
const LOUDNESS: f32 = std::f32::consts::FRAC_1_SQRT_2;

/// Renders one person's music.
#[derive(Default)]
pub struct Wide {
    air: [Air; 2],
    panners: [Panner; 2],
}

impl Wide {
    /// Writes what both ears hear of music at `position` relative to the head: the middle, and what the left has more than that and the
    /// right less. Does not allocate.
    pub fn render(
        &mut self,
        position: Position,
        mid: &Quantum,
        side: &Quantum,
        left: &mut Quantum,
        right: &mut Quantum,
    ) {
        let position = position.normalised();
        let centre = across(position);
        // As much of the base as there is around the centre.
        let half = 1.0 - centre.abs();
        for (index, sign) in [-1.0, 1.0].into_iter().enumerate() {
            let channel: Quantum = std::array::from_fn(|n| (mid[n] - sign * side[n]) * LOUDNESS);
            let arrived = self.air[index].carry(position.distance_m, &channel);
            let (mut near, mut far) = ([0.0; QUANTUM], [0.0; QUANTUM]);
            self.panners[index].render_at(centre + sign * half, &arrived, &mut near, &mut far);
            for (out, channel) in [(&mut *left, near), (&mut *right, far)] {
                for (out, sample) in out.iter_mut().zip(channel) {
                    *out = if index == 0 { sample } else { *out + sample };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What both ears hear in the end of 1 on the left channel and 0 on the right.
    fn heard(azimuth: f32) -> [f32; 2] {
        let mut wide = Wide::default();
        let (mut left, mut right) = ([9.0; QUANTUM], [9.0; QUANTUM]);
        wide.render(Position::at_azimuth(azimuth), &[0.5; QUANTUM], &[0.5; QUANTUM], &mut left, &mut right);
        [left[QUANTUM - 1], right[QUANTUM - 1]]
    }

    #[test]
    fn ahead_left_is_left_and_on_one_side_all_of_it_is_there() {
        let [left, right] = heard(0.0);
        assert!((left - 0.5).abs() < 1.0e-3 && right.abs() < 1.0e-3, "{left}, {right}");
        let [left, right] = heard(90.0);
        assert!((right - 0.5).abs() < 1.0e-3 && left.abs() < 1.0e-3, "{left}, {right}");
        // Half way there its left comes from the middle.
        let [left, right] = heard(45.0);
        assert!((left - right).abs() < 1.0e-3 && left > 0.3, "{left}, {right}");
    }
}
