//! Who stands where: seats on an arc in front of the listener, movable.

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
}
