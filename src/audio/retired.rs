//! What the audio threads no longer need: it travels back to the engine, since freeing is not done in real time.

use super::capture::MicReader;
use super::lane::Lane;
use super::playback::SpeakerWriter;
use super::record::Tap;
use super::spatial::{LaneRenderer, Room};
use resonance_protocol::media::{HopOpener, HopSealer, OpeningKey, Sealer};
use rtrb::Producer;

/// Something to be freed by the engine.
pub enum Retired {
    /// A voice that left.
    Lane(Box<Lane>),
    /// A key that a lane has taken over; it is wiped when it is freed.
    Key(Box<OpeningKey>),
    /// An own sender key's sealer.
    Sealer(Box<Sealer>),
    /// The seal of what went to a peer by a stream.
    HopSealer(Box<HopSealer>),
    /// The seal of what came from a peer by a stream.
    HopOpener(Box<HopOpener>),
    /// The end of a voice's tap, of what shows its spectrum, or of the reference.
    Samples(Producer<f32>),
    /// The end of a voice's ring to a recording.
    Tap(Box<Tap>),
    /// What a voice was placed with.
    Renderer(Box<LaneRenderer>),
    /// The room that voices stood in.
    Room(Box<Room>),
    /// The end of another microphone's ring.
    Mic(MicReader),
    /// The end of another speaker's ring.
    Speaker(SpeakerWriter),
}

/// A worker's end of its retired ring.
pub struct Retirement {
    ring: Producer<Retired>,
}

impl Retirement {
    /// Wraps the ring's end.
    pub fn new(ring: Producer<Retired>) -> Self {
        Self { ring }
    }

    /// Whether something can be handed back now. Orders are taken only when it can, and each retires at most one thing.
    pub fn has_room(&self) -> bool {
        !self.ring.is_full()
    }

    /// Hands something back. Frees it here and now only if [`has_room`](Self::has_room) was not asked.
    pub fn retire(&mut self, retired: Retired) {
        let _ = self.ring.push(retired);
    }
}
