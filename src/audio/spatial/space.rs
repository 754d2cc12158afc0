//! What voices are placed with: ears or speakers, and a room.

use super::choice::{Acoustics, Ears};
use super::room::Room;
use super::{LaneRenderer, SpatialError, Spatializer};
use std::sync::Arc;

/// Makes what the downlink renders with. Changing it changes nothing that was made before.
#[derive(Clone)]
pub struct Space {
    /// Whose ears.
    pub head: Spatializer,
    /// What is listened with.
    pub ears: Ears,
    /// Which room, for headphones: through speakers one's own room is heard.
    pub acoustics: Acoustics,
}

impl Space {
    /// Headphones in the open.
    pub fn new(head: Spatializer) -> Self {
        Self { head, ears: Ears::Headphones, acoustics: Acoustics::Off }
    }

    /// A renderer for one voice. Allocates everything that the voice will need.
    ///
    /// # Errors
    /// See [`SpatialError::Renderer`].
    pub fn lane(&self) -> Result<LaneRenderer, SpatialError> {
        match self.ears {
            Ears::Headphones => self.head.lane(),
            Ears::Speakers => Ok(LaneRenderer::speakers()),
        }
    }

    /// The room, if there is one.
    pub fn room(&self) -> Option<Box<Room>> {
        Room::new(self.heard_room(), &self.head)
    }

    /// Samples by which a voice from ahead is heard later for it.
    pub fn delay(&self) -> f32 {
        match self.ears {
            Ears::Headphones => self.head.delay(),
            Ears::Speakers => 0.0,
        }
    }

    /// Its name, for reports: the ears and the room.
    pub fn engine(&self) -> Arc<str> {
        match (self.ears, self.acoustics) {
            (Ears::Speakers, _) => "pan".into(),
            (Ears::Headphones, Acoustics::Off) => self.head.name().into(),
            (Ears::Headphones, room) => format!("{}+{room}", self.head.name()).into(),
        }
    }

    /// Whether voices are placed in the same way, whatever the room.
    pub fn places_like(&self, other: &Self) -> bool {
        self.ears == other.ears && (self.ears == Ears::Speakers || self.head.is(&other.head))
    }

    fn heard_room(&self) -> Acoustics {
        match self.ears {
            Ears::Headphones => self.acoustics,
            Ears::Speakers => Acoustics::Off,
        }
    }
}
