//! Who stands where: seats on an arc in front of the listener, round a table, or on a stage; all of them movable.

use resonance_protocol::position::Position;

/// Azimuths of the seats in the order they are taken: the first voice straight ahead, the next ones spread evenly
/// to both sides. A seat never moves because somebody else comes or goes: ears learn who sits where.
const ARC_DEG: [f32; 7] = [0.0, -30.0, 30.0, -60.0, 60.0, -90.0, 90.0];

/// The lowest free seat among those `taken`; seats run from 0.
pub fn free_seat(taken: impl Iterator<Item = usize> + Clone) -> usize {
    (0..).find(|seat| !taken.clone().any(|other| other == *seat)).unwrap_or_default()
}

/// Where a seat is, at 1 m in the ears' plane.
pub fn seat_position(seat: usize) -> Position {
    Position::at_azimuth(ARC_DEG[seat % ARC_DEG.len()])
}

/// Radius of the table, in metres: with seven others at it the nearest are at arm's length and a half.
const TABLE_M: f32 = 1.0;
/// How far the stage is, in metres, and how wide, in degrees to either side: what a listener in the first rows sees.
const STAGE_M: f32 = 3.0;
const STAGE_DEG: f32 = 40.0;

/// The place of somebody, counted from 0, of `count` at a round table, at which the listener sits, too; clockwise from the left.
pub fn at_table(place: usize, count: usize) -> Position {
    let angle = (place + 1) as f32 / (count + 1) as f32 * std::f32::consts::TAU;
    // The table's middle is ahead, the listener is at the edge.
    let (right, ahead) = (-TABLE_M * angle.sin(), TABLE_M - TABLE_M * angle.cos());
    let azimuth_deg = right.atan2(ahead).to_degrees();
    Position { azimuth_deg, elevation_deg: 0.0, distance_m: right.hypot(ahead) }.normalised()
}

/// The place of somebody, counted from 0, of `count` on a stage; from the left.
pub fn on_stage(place: usize, count: usize) -> Position {
    let share = if count > 1 { place as f32 / (count - 1) as f32 } else { 0.5 };
    Position { distance_m: STAGE_M, ..Position::at_azimuth(STAGE_DEG * (2.0 * share - 1.0)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seats_are_filled_from_the_front_and_reused() {
        assert_eq!(free_seat([].into_iter()), 0);
        assert_eq!(free_seat([0, 1, 3].into_iter()), 2);
        assert_eq!(seat_position(0).azimuth_deg, 0.0);
        let mut azimuths: Vec<_> = (0..7).map(|seat| seat_position(seat).azimuth_deg).collect();
        azimuths.sort_by(f32::total_cmp);
        assert!(azimuths.windows(2).all(|pair| pair[1] - pair[0] >= 29.0), "no two seats are near: {azimuths:?}");
        assert!(azimuths.iter().all(|azimuth| azimuth.abs() <= 90.0), "all seats are in front: {azimuths:?}");
    }

    /// However many there are: nobody sits on anybody else, all are ahead, from left to right.
    #[test]
    fn at_a_table_and_on_a_stage_everybody_has_a_place() {
        for count in 1..=7 {
            for arrangement in [at_table, on_stage] {
                let places: Vec<Position> = (0..count).map(|place| arrangement(place, count)).collect();
                assert!(places.windows(2).all(|pair| pair[1].azimuth_deg - pair[0].azimuth_deg > 5.0), "{places:?}");
                assert!(
                    places.iter().all(|place| place.azimuth_deg.abs() < 90.0 && place.distance_m > 0.4),
                    "{places:?}"
                );
            }
        }
        let across = at_table(0, 1);
        assert!(
            across.azimuth_deg.abs() < 0.1 && (across.distance_m - 2.0).abs() < 0.01,
            "one sits across: {across:?}"
        );
        assert_eq!(on_stage(0, 1).azimuth_deg, 0.0);
    }
}
