//! A room that another can take the place of while sound flows.

use super::Room;
use crate::audio::economy::{Economy, Step};
use crate::audio::format::{QUANTUM, Quantum};
use crate::audio::level::Ramp;
use crate::audio::mixer::Mixer;
use resonance_protocol::position::Position;

/// The room that voices stand in, if they do, and the one before it, which fades out.
#[derive(Default)]
pub struct Rooms {
    room: Option<Box<Room>>,
    /// There is no time for it: it fades out, and stays silent until there is.
    resting: bool,
    /// How much of it is taken away by now: 1 is all.
    silence: f32,
    /// Fades out, and is still so loud.
    before: Option<(Box<Room>, f32)>,
    /// Has faded out; freed elsewhere.
    spent: Option<Box<Room>>,
}

impl Rooms {
    /// Puts voices into another room, or into none; gives back one that has to go at once, since another is still fading out.
    pub fn change(&mut self, room: Option<Box<Room>>) -> Option<Box<Room>> {
        let left = std::mem::replace(&mut self.room, room)?;
        if self.before.is_some() || self.spent.is_some() {
            return Some(left);
        }
        self.before = Some((left, 1.0));
        None
    }

    /// Leaves the room out while that is wanted. It comes back empty, and fills.
    pub fn economize(&mut self, economy: Economy) {
        self.resting = economy.leaves_out(Step::Room);
    }

    /// The one that has faded out, to be freed.
    pub fn take_spent(&mut self) -> Option<Box<Room>> {
        self.spent.take()
    }

    /// See [`Room::feed`].
    pub fn feed(&mut self, slot: usize, position: Position, facing_deg: f32, voice: &Quantum) {
        if let Some(room) = self.room.as_mut().filter(|_| !self.resting) {
            room.feed(slot, position, facing_deg, voice);
        }
    }

    /// Adds what is heard of the room, as loud as everyone is.
    pub fn render(&mut self, presence: Ramp, mixer: &mut Mixer) {
        let silence = Ramp::towards(self.silence, if self.resting { 1.0 } else { 0.0 });
        if let Some(room) = self.room.as_mut().filter(|_| silence != Ramp(1.0, 1.0)) {
            sound(room, [presence, Ramp(1.0 - silence.0, 1.0 - silence.1)], mixer);
            if silence.1 == 1.0 {
                room.forget();
            }
        }
        self.silence = silence.1;
        if let Some((before, loudness)) = &mut self.before {
            let fade = Ramp::towards(*loudness, 0.0);
            sound(before, [presence, fade], mixer);
            *loudness = fade.1;
            if *loudness == 0.0 {
                self.spent = self.before.take().map(|(before, _)| before);
            }
        }
    }
}

fn sound(room: &mut Room, loudness: [Ramp; 2], mixer: &mut Mixer) {
    let (mut left, mut right) = ([0.0; QUANTUM], [0.0; QUANTUM]);
    if room.render(&mut left, &mut right) {
        for ramp in loudness {
            ramp.apply(&mut left);
            ramp.apply(&mut right);
        }
        mixer.add(&left, &right);
    }
}
