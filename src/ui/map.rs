//! The map of the room: where a place is on the screen, and which place a cell of the screen is.
//!
//! Seen from above, the listener looks upwards. Directions are true (a cell is taken to be twice as high as wide); distances
//! are drawn by their square root, so that those who are near keep apart when somebody is far away. Elevation is not shown:
//! a voice overhead is drawn at its distance.

use super::text;
use crate::session::view::{PeerView, View};
use ratatui::layout::Rect;
use resonance_protocol::position::Position;

/// Radii that the map can show, in metres. The last one holds everybody whom [`Position::DISTANCE_M`] allows.
const RADII_M: [f32; 5] = [1.25, 2.5, 5.0, 10.0, 20.0];
/// What a key moves somebody by, in metres; on a map of more than 2.5 m, a tenth of its radius.
const STEP_M: f32 = 0.25;
/// Where the ring that gives an idea of distance is, as a share of the radius: at 1, 2, 4, 8 or 16 m.
const RING: f32 = 0.8;
/// Cells kept free at each side so that names at the edge can be read.
const NAME_MARGIN: u16 = 3;
/// The widest name on the map, in cells.
const MAX_LABEL: usize = 14;

/// How the room is laid on an area of the screen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Projection {
    area: Rect,
    /// The listener's cell, counted from the area's corner.
    origin: (u16, u16),
    /// Share of the map's radius that a row is high.
    row: f32,
    radius_m: f32,
    facing_deg: f32,
}

impl Projection {
    /// The closest look at which everybody is on the map.
    pub(super) fn fit(area: Rect, view: &View) -> Self {
        let farthest = view.peers.iter().map(|peer| peer.position.normalised().distance_m).fold(0.0, f32::max);
        let radius_m = RADII_M.into_iter().find(|radius| *radius >= farthest).unwrap_or(RADII_M[RADII_M.len() - 1]);
        let column = area.width / 2;
        let beside = f32::from((area.width / 2).saturating_sub(NAME_MARGIN).max(2));
        let scale = |row: u16| (1.0 / f32::from(row.max(1))).max(2.0 / beside);
        let facing_deg = if view.me.facing_deg.is_finite() { view.me.facing_deg } else { 0.0 };
        // People sit ahead, so that the listener is drawn below the middle, unless somebody is too far behind for that,
        // or there is height enough for the whole circle.
        let low = (u32::from(area.height) * 3 / 4).min(u32::from(area.height.saturating_sub(1))) as u16;
        let mut map = Self { area, origin: (column, low), row: scale(low), radius_m, facing_deg };
        let room_behind = f32::from(area.height.saturating_sub(1 + low)) + 0.5;
        let behind = view.peers.iter().any(|peer| -map.shares(peer.position).1 > room_behind * map.row);
        let all_round = 2.0 / map.row < f32::from(area.height);
        if behind || all_round {
            let middle = area.height.saturating_sub(1) / 2;
            map.origin.1 = middle;
            map.row = scale(middle);
        }
        map
    }

    /// Metres to the right and ahead of the listener's nose.
    fn metres(&self, position: Position) -> (f32, f32) {
        let position = position.normalised();
        let angle = (position.azimuth_deg - self.facing_deg).to_radians();
        (position.distance_m * angle.sin(), position.distance_m * angle.cos())
    }

    /// The same direction in shares of the map's radius.
    fn shares(&self, position: Position) -> (f32, f32) {
        let (right, ahead) = self.metres(position);
        let distance_m = position.normalised().distance_m;
        let per_metre = (distance_m / self.radius_m).sqrt() / distance_m;
        (right * per_metre, ahead * per_metre)
    }

    /// The place that lies so many metres to the right and ahead, at the elevation that it had.
    fn place(&self, (right, ahead): (f32, f32), elevation_deg: f32) -> Position {
        let azimuth_deg = right.atan2(ahead).to_degrees() + self.facing_deg;
        Position { azimuth_deg, elevation_deg, distance_m: right.hypot(ahead) }.normalised()
    }

    /// The cell of a place; what would be outside is put on the edge.
    pub(super) fn cell(&self, position: Position) -> (u16, u16) {
        let (right, ahead) = self.shares(position);
        let column = f32::from(self.origin.0) + 2.0 * right / self.row;
        let row = f32::from(self.origin.1) - ahead / self.row;
        let within = |x: f32, length: u16| x.round().clamp(0.0, f32::from(length.saturating_sub(1))) as u16;
        (self.area.x + within(column, self.area.width), self.area.y + within(row, self.area.height))
    }

    /// The place that a cell shows; cells outside count as the edge.
    pub(super) fn position(&self, (column, row): (u16, u16), elevation_deg: f32) -> Position {
        let offset = |at: u16, from: u16, length: u16, origin: u16| {
            f32::from(at.saturating_sub(from).min(length.saturating_sub(1))) - f32::from(origin)
        };
        let right = offset(column, self.area.x, self.area.width, self.origin.0) * self.row / 2.0;
        let ahead = -offset(row, self.area.y, self.area.height, self.origin.1) * self.row;
        let metres_per_share = self.radius_m * right.hypot(ahead);
        self.place((right * metres_per_share, ahead * metres_per_share), elevation_deg)
    }

    /// The place one step of a key further to the right and ahead (each −1, 0 or 1).
    pub(super) fn step(&self, position: Position, right: f32, ahead: f32) -> Position {
        let step = STEP_M.max(self.radius_m / 10.0);
        let from = self.metres(position);
        self.place((from.0 + right * step, from.1 + ahead * step), position.elevation_deg)
    }

    /// The listener's own cell.
    pub(super) fn listener(&self) -> (u16, u16) {
        (self.area.x + self.origin.0, self.area.y + self.origin.1)
    }

    /// Radius in metres of the ring that gives an idea of distance.
    pub(super) fn ring_m(&self) -> f32 {
        self.radius_m * RING
    }

    /// Cells on the ring; some may be outside of the area.
    pub(super) fn ring(&self) -> impl Iterator<Item = (u16, u16)> + use<> {
        let map = *self;
        (0..180).filter_map(move |step| {
            let angle = (step as f32 * 2.0).to_radians();
            let reach = RING.sqrt() / map.row;
            let column = f32::from(map.origin.0) + 2.0 * reach * angle.sin();
            let row = f32::from(map.origin.1) - reach * angle.cos();
            let (column, row) = (column.round(), row.round());
            let inside = |x: f32, length: u16| x >= 0.0 && x < f32::from(length);
            (inside(column, map.area.width) && inside(row, map.area.height))
                .then(|| (map.area.x + column as u16, map.area.y + row as u16))
        })
    }
}

/// A name on the map.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Label {
    /// Place in the list of people.
    pub peer: usize,
    /// One row.
    pub area: Rect,
    pub text: String,
}

/// The words at the listener's cell.
pub(super) const YOU: &str = "▲ you";

/// Where each name is drawn: at its place, or in the nearest free row when another name is there already.
/// The chosen person is set in brackets, whoever speaks has `))`.
pub(super) fn labels(map: &Projection, peers: &[PeerView], chosen: Option<usize>) -> Vec<Label> {
    let area = map.area;
    let (column, row) = map.listener();
    let mut taken = vec![Rect::new(column, row, text::width(YOU) as u16, 1)];
    let mut labels = Vec::new();
    for (index, peer) in peers.iter().enumerate() {
        let (open, close) = if chosen == Some(index) { ("[", "]") } else { ("", "") };
        let sound = if peer.speaking { " ))" } else { "" };
        let name_cells = MAX_LABEL.min(usize::from(area.width)).saturating_sub(text::width(open) * 2 + sound.len());
        let words = format!("{open}{}{close}{sound}", text::cut(&peer.name, name_cells.max(1)));
        let cells = (text::width(&words) as u16).min(area.width);
        let (column, row) = map.cell(peer.position);
        let left = column.saturating_sub(cells / 2).clamp(area.x, area.right().saturating_sub(cells).max(area.x));
        let free = |y: i32| {
            let y = u16::try_from(y).ok().filter(|y| (area.y..area.bottom()).contains(y))?;
            let place = Rect::new(left, y, cells, 1);
            let apart = |other: &Rect| !other.intersects(Rect { x: left.saturating_sub(1), width: cells + 2, ..place });
            taken.iter().all(apart).then_some(place)
        };
        let row = i32::from(row);
        let near = (0..i32::from(area.height)).flat_map(|away| [row - away, row + away]);
        if let Some(place) = near.into_iter().find_map(free) {
            taken.push(place);
            labels.push(Label { peer: index, area: place, text: words });
        }
    }
    labels
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::tests::{call, peer};

    const AREA: Rect = Rect { x: 40, y: 2, width: 40, height: 12 };

    fn position(azimuth_deg: f32, distance_m: f32) -> Position {
        Position { azimuth_deg, elevation_deg: 10.0, distance_m }
    }

    #[test]
    fn ahead_is_up_and_right_is_right() {
        let map = Projection::fit(AREA, &call());
        let (column, row) = map.listener();
        let (ahead, right) = (map.cell(position(0.0, 1.0)), map.cell(position(90.0, 1.0)));
        assert!(ahead.0 == column && ahead.1 < row);
        assert!(right.0 > column && right.1 == row);
        assert!(map.cell(position(180.0, 1.0)).1 > row);
    }

    /// Whoever looks to the right has on the left what was ahead.
    #[test]
    fn the_map_turns_with_the_head() {
        let mut view = call();
        view.me.facing_deg = 90.0;
        let map = Projection::fit(AREA, &view);
        assert!(map.cell(position(0.0, 1.0)).0 < map.listener().0);
        assert_eq!(map.cell(position(90.0, 1.0)).0, map.listener().0);
        let clicked = map.position(map.cell(position(90.0, 1.0)), 0.0);
        assert!((clicked.azimuth_deg - 90.0).abs() < 1.0);
    }

    /// What is put on a cell is drawn on that cell, wherever that is and however the room is looked at.
    #[test]
    fn a_cell_and_its_place_belong_together() {
        for (farthest, behind, facing_deg) in [(1.0, 0.0, 0.0), (6.0, 180.0, 30.0), (20.0, 90.0, -170.0)] {
            let mut view = call();
            view.me.facing_deg = facing_deg;
            view.peers[0].position = position(behind, farthest);
            let map = Projection::fit(AREA, &view);
            for column in AREA.x..AREA.right() {
                for row in AREA.y..AREA.bottom() {
                    let there = map.position((column, row), 10.0);
                    // Nearer than the nearest distance, or farther than the farthest, is put to those.
                    let clamped = there.distance_m <= 0.201 || there.distance_m >= 19.9;
                    assert!(clamped || map.cell(there) == (column, row), "{column} {row} {there:?}");
                    assert_eq!(there.elevation_deg, 10.0);
                }
            }
        }
    }

    #[test]
    fn everybody_is_on_the_map_however_far() {
        for distance_m in [0.2, 1.0, 1.3, 4.0, 9.0, 20.0] {
            for azimuth_deg in [-180.0, -135.0, -90.0, 0.0, 60.0, 100.0, 179.0] {
                let mut view = call();
                view.peers = vec![peer("a", "A", 0.0)];
                view.peers[0].position = position(azimuth_deg, distance_m);
                let map = Projection::fit(AREA, &view);
                let back = map.position(map.cell(view.peers[0].position), 10.0);
                let turned = (back.azimuth_deg - azimuth_deg + 540.0).rem_euclid(360.0) - 180.0;
                assert!(turned.abs() < 16.0, "{azimuth_deg}° at {distance_m} m is drawn at {}°", back.azimuth_deg);
                assert!((back.distance_m / distance_m).sqrt() < 1.6, "{distance_m} {}", back.distance_m);
            }
        }
    }

    #[test]
    fn one_can_be_walked_through() {
        let view = call();
        let map = Projection::fit(AREA, &view);
        let mut at = position(0.0, 1.0);
        for _ in 0..8 {
            at = map.step(at, 0.0, -1.0);
        }
        assert!((at.azimuth_deg.abs() - 180.0).abs() < 0.01 && (at.distance_m - 1.0).abs() < 0.06, "{at:?}");
    }

    #[test]
    fn names_never_cover_each_other() {
        let mut view = call();
        view.peers = (0..7).map(|index| peer(&index.to_string(), "Somebody", 0.0)).collect();
        let labels = labels(&Projection::fit(AREA, &view), &view.peers, Some(3));
        assert_eq!(labels.len(), 7);
        for (index, label) in labels.iter().enumerate() {
            assert_eq!(label.area.intersection(AREA), label.area);
            assert!(labels[index + 1..].iter().all(|other| !other.area.intersects(label.area)));
        }
        assert_eq!(labels[3].text, "[Somebody]");
    }
}
