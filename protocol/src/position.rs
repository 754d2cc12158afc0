//! Where a voice stands, seen from the listener's head.

/// A place in the listener's room (the SOFA convention's angles, but azimuth counts clockwise).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Position {
    /// Degrees clockwise from straight ahead: 0 = ahead, 90 = right, −90 = left, ±180 = behind.
    pub azimuth_deg: f32,
    /// Degrees above the ears' plane: 90 = overhead.
    pub elevation_deg: f32,
    /// Metres from the head's centre.
    pub distance_m: f32,
}

impl Position {
    /// Distances that can be asked for, in metres: nearer than 0.2 m is inside the head, and beyond 20 m is silence.
    pub const DISTANCE_M: std::ops::RangeInclusive<f32> = 0.2..=20.0;

    /// A place in the ears' plane at 1 m.
    pub fn at_azimuth(azimuth_deg: f32) -> Self {
        Self { azimuth_deg, elevation_deg: 0.0, distance_m: 1.0 }.normalised()
    }

    /// The same place with azimuth in (−180, 180], elevation in [−90, 90], distance in range; not-a-number becomes ahead.
    pub fn normalised(self) -> Self {
        let finite = |x: f32, or: f32| if x.is_finite() { x } else { or };
        let mut azimuth = finite(self.azimuth_deg, 0.0).rem_euclid(360.0);
        if azimuth > 180.0 {
            azimuth -= 360.0;
        }
        Self {
            azimuth_deg: azimuth,
            elevation_deg: finite(self.elevation_deg, 0.0).clamp(-90.0, 90.0),
            distance_m: finite(self.distance_m, 1.0).clamp(*Self::DISTANCE_M.start(), *Self::DISTANCE_M.end()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_has_one_name() {
        for (given, azimuth) in [
            (0.0, 0.0),
            (180.0, 180.0),
            (-180.0, 180.0),
            (181.0, -179.0),
            (270.0, -90.0),
            (-90.0, -90.0),
            (725.0, 5.0),
            (f32::NAN, 0.0),
        ] {
            assert_eq!(Position::at_azimuth(given).azimuth_deg, azimuth, "{given}");
        }
        let far = Position { azimuth_deg: 0.0, elevation_deg: 100.0, distance_m: 1_000.0 }.normalised();
        assert_eq!((far.elevation_deg, far.distance_m), (90.0, 20.0));
        let below = Position { azimuth_deg: 0.0, elevation_deg: -60.0, distance_m: 0.0 }.normalised();
        assert_eq!((below.elevation_deg, below.distance_m), (-60.0, 0.2));
        let nowhere = Position { azimuth_deg: 0.0, elevation_deg: f32::NAN, distance_m: f32::INFINITY }.normalised();
        assert_eq!((nowhere.elevation_deg, nowhere.distance_m), (0.0, 1.0));
    }
}
