//! Where the walls are, and what they send back: the first reflection of a voice off each of the six.

use super::{BUSES, RING};
use crate::audio::format::SAMPLE_RATE;
use crate::audio::spatial::distance::NEAREST_M;
use resonance_protocol::position::Position;

/// Walls: left, right, behind, ahead, floor, ceiling.
pub(super) const WALLS: usize = 6;
/// Buses that one reflection goes to: two of the ring and one above or below.
const SHARES: usize = 3;
/// Nobody stands nearer to a wall than this, in metres.
const MARGIN_M: f32 = 0.2;
const SOUND_M_PER_S: f32 = 343.0;

/// A box with the listener in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Walls {
    /// Metres from the ears to each of [`WALLS`]. No two are alike, or their reflections would come at one time.
    pub to: [f32; WALLS],
    /// What a wall gives back, as a factor.
    pub reflects: f32,
}

/// One reflection: how much later than the voice itself it comes, and with what share of each bus.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Reflection {
    /// Samples.
    pub delay: usize,
    /// Buses and factors.
    pub shares: [(usize, f32); SHARES],
}

/// What the room makes of a voice at one place.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Reflections {
    /// One for each wall.
    pub each: [Reflection; WALLS],
    /// How much of the voice gets to the room at all: less than 1 for who stands outside.
    pub inside: f32,
}

impl Walls {
    /// The longest delay of any reflection, in samples: twice the way to the farthest wall.
    pub fn longest(&self) -> usize {
        let farthest = self.to.iter().fold(0.0_f32, |far, to| far.max(*to));
        (2.0 * farthest / SOUND_M_PER_S * SAMPLE_RATE as f32) as usize + 2
    }

    /// What comes back from a voice at `position` in the room, for a head that points to `facing_deg`.
    pub fn reflections(&self, position: Position, facing_deg: f32) -> Reflections {
        let distance = position.distance_m.max(NEAREST_M);
        let (sin_azimuth, cos_azimuth) = position.azimuth_deg.to_radians().sin_cos();
        let (sin_elevation, cos_elevation) = position.elevation_deg.to_radians().sin_cos();
        // x to the right, y ahead, z up.
        let towards = [cos_elevation * sin_azimuth, cos_elevation * cos_azimuth, sin_elevation];
        // The last point inside on the way to a voice that stands outside.
        let way = towards.iter().enumerate().fold(distance, |way, (axis, part)| {
            let wall = self.to[2 * axis + usize::from(*part >= 0.0)];
            way.min((wall - MARGIN_M) / part.abs().max(1.0e-3))
        });
        let voice = towards.map(|part| part * way);
        let mut reflections = Reflections { inside: way / distance, ..Reflections::default() };
        for (wall, (to, reflection)) in self.to.into_iter().zip(&mut reflections.each).enumerate() {
            let at = if wall % 2 == 0 { -to } else { to };
            let mut image = voice;
            image[wall / 2] = 2.0 * at - image[wall / 2];
            let flat = image[0].hypot(image[1]);
            let far = flat.hypot(image[2]);
            let later = (far - way).max(0.0) / SOUND_M_PER_S * SAMPLE_RATE as f32;
            let azimuth_deg = image[0].atan2(image[1]).to_degrees() - facing_deg;
            let factor = self.reflects * reflections.inside / far.max(NEAREST_M);
            *reflection = Reflection {
                delay: later as usize + 1,
                shares: shares(azimuth_deg, flat / far.max(1.0e-3), image[2] < 0.0, factor),
            };
        }
        reflections
    }
}

/// Shares of the buses for a direction, at constant power: the two of the ring that it lies between, and the one above or below.
fn shares(azimuth_deg: f32, level: f32, below: bool, factor: f32) -> [(usize, f32); SHARES] {
    let at = (azimuth_deg - RING[0]).rem_euclid(360.0) / (360.0 / RING.len() as f32);
    let first = (at as usize).min(RING.len() - 1);
    let (sin, cos) = ((at - first as f32) * std::f32::consts::FRAC_PI_2).sin_cos();
    let upright = (1.0 - level * level).max(0.0).sqrt();
    let pole = if below { BUSES - 1 } else { BUSES - 2 };
    [(first, factor * level * cos), ((first + 1) % RING.len(), factor * level * sin), (pole, factor * upright)]
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: Walls = Walls { to: [2.0, 2.4, 2.2, 3.0, 1.2, 1.4], reflects: 0.5 };

    fn power(reflection: &Reflection) -> f32 {
        reflection.shares.iter().map(|(_, share)| share * share).sum()
    }

    #[test]
    fn each_wall_sends_a_voice_back_as_from_its_mirror_image() {
        let ahead = ROOM.reflections(Position { distance_m: 2.0, ..Position::at_azimuth(0.0) }, 0.0);
        // Off the wall ahead: 1 m behind the voice, so 4 m away and 2 m later.
        let front = ahead.each[3];
        assert!((power(&front).sqrt() - 0.5 / 4.0).abs() < 1.0e-3, "{front:?}");
        assert_eq!(front.delay, (2.0_f32 / 343.0 * 48_000.0) as usize + 1);
        // Off the one on the right: as from 4.8 m right and 2 m ahead, 67 degrees to the right: between the buses at 30 and 90.
        let right = ahead.each[1];
        assert_eq!([right.shares[0].0, right.shares[1].0], [0, 1]);
        assert!(right.shares[1].1 > right.shares[0].1, "{right:?}");
        // Off the floor it comes from below.
        assert_eq!(ahead.each[4].shares[2].0, BUSES - 1);
        assert!(ahead.each[4].shares[2].1 > 0.0);
        let turned = ROOM.reflections(Position { distance_m: 2.0, ..Position::at_azimuth(0.0) }, 90.0);
        assert_eq!(turned.each[3].shares[0].0, 4, "ahead in the room is on the left of a head that looks right");
    }

    #[test]
    fn no_reflection_comes_before_its_voice_or_later_than_the_line_is_long() {
        for azimuth in (-180..180).step_by(7) {
            for elevation in [-90.0, -20.0, 0.0, 45.0, 90.0] {
                for distance_m in [0.2, 1.0, 3.0, 20.0] {
                    let position = Position { azimuth_deg: azimuth as f32, elevation_deg: elevation, distance_m };
                    let all = ROOM.reflections(position.normalised(), 33.0);
                    for reflection in all.each {
                        assert!((1..=ROOM.longest()).contains(&reflection.delay), "{position:?}: {reflection:?}");
                        assert!(power(&reflection).sqrt() <= 0.5 / NEAREST_M, "{position:?}: {reflection:?}");
                    }
                    assert!((0.05..=1.0).contains(&all.inside), "{position:?}: {}", all.inside);
                }
            }
        }
    }
}
