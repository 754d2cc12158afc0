//! The room that voices stand in: the first reflection off each wall, for every voice its own, and one late sound for all.
//!
//! Without a room a voice in headphones stands inside the head. What tells where it is are its first reflections, later and from
//! elsewhere than itself, and how loud the room is beside it: a voice gets softer with distance, the room hardly does. Each voice
//! runs through a delay line with a tap for each wall; taps and late sound go to eight directions around the head ([`bus`]), so that
//! seven voices cost hardly more than one.

mod bus;
mod geometry;
mod reverb;
#[cfg(test)]
mod tests;

use super::Spatializer;
use super::choice::Acoustics;
use crate::audio::format::{FRAME, MAX_LANES, QUANTUM, Quantum};
use crate::audio::level::Ramp;
use bus::Buses;
use geometry::{Reflection, Reflections, Walls};
use resonance_protocol::position::Position;
use reverb::{Decay, Reverb};

/// Azimuths of the buses around the head, in degrees, a sixth of a turn from each other.
const RING: [f32; 6] = [30.0, 90.0, 150.0, -150.0, -90.0, -30.0];
/// Elevations of the two others: above and below, the latter at the edge of what is measured.
const POLES: [f32; 2] = [90.0, -40.0];
const BUSES: usize = RING.len() + POLES.len();
/// Below this mean square nothing is heard, even through the loudest volume: −140 dBFS.
const INAUDIBLE: f32 = 1.0e-14;

/// What makes a room.
struct Plan {
    walls: Walls,
    /// Pole of the low-pass that stands for what walls take of the treble.
    dull: f32,
    decay: Decay,
}

/// A furnished room, 4.4 × 5.2 × 2.6 m, with curtains and a carpet. What takes a voice out of the head are the first reflections, 11 dB
/// below a voice at a metre; the late sound, 24 dB below it, only joins them. That is what intelligibility bears: recorded speech at
/// 48 kb/s has PESQ-WB 4.48 without a room, 3.95 with these two levels, 2.92 with 10 and 15 dB.
const SMALL: Plan = Plan {
    walls: Walls { to: [2.0, 2.4, 2.2, 3.0, 1.2, 1.4], reflects: 0.43 },
    dull: 0.35,
    decay: Decay { rt60_s: 0.25, treble_s: 0.12, lines: [311, 389, 461, 541, 617, 701, 787, 863], level_db: -24.0 },
};

/// A hall for a few hundred people, 18 × 28 × 9 m.
const HALL: Plan = Plan {
    walls: Walls { to: [8.3, 9.7, 11.8, 16.2, 1.3, 7.7], reflects: 0.75 },
    dull: 0.2,
    decay: Decay {
        rt60_s: 1.6,
        treble_s: 0.5,
        lines: [1_531, 1_777, 2_027, 2_309, 2_591, 2_879, 3_163, 3_457],
        level_db: -9.0,
    },
};

/// One voice in the room.
struct Slot {
    line: Box<[f32]>,
    at: usize,
    dulled: f32,
    /// Where it was last fed from, for which head, and what comes back from there: found out once.
    stood: Option<(Position, f32, Reflections)>,
    /// What is heard: what came back from where it was, and what comes back from where it is.
    reflections: Option<[Reflections; 2]>,
    /// Samples of the change from the former to the latter that are done.
    faded: usize,
    /// Loudness of its way into the late sound.
    inside: f32,
    /// It was heard in this block.
    fed: bool,
    /// Samples until the last of it has left the line.
    rings: usize,
}

/// A room with its sound. Everything is allocated by [`new`](Self::new).
pub struct Room {
    plan: &'static Plan,
    slots: [Slot; MAX_LANES],
    sent: Quantum,
    buses: Box<[Quantum; BUSES]>,
    reverb: Reverb,
    ears: Buses,
    /// A change of place: how much of the new one is heard at each sample of it, by a raised cosine.
    fade: Box<[f32; FRAME]>,
    /// A new room opens its doors slowly, or a word that is being said would begin with a click.
    opens: Ramp,
    /// Samples since something was heard.
    silent: usize,
    /// Samples that sound can be inside without being heard: when it was silent for longer, nothing is worked on.
    inside: usize,
}

impl Room {
    /// A room that is heard with these ears; none for the open air.
    pub fn new(acoustics: Acoustics, head: &Spatializer) -> Option<Box<Self>> {
        let plan = match acoustics {
            Acoustics::Off => return None,
            Acoustics::Small => &SMALL,
            Acoustics::Hall => &HALL,
        };
        let length = (plan.walls.longest() + QUANTUM).next_power_of_two();
        let around = RING.map(Position::at_azimuth);
        let poles = POLES.map(|elevation_deg| Position { elevation_deg, ..Position::at_azimuth(0.0) });
        let directions: [Position; BUSES] =
            std::array::from_fn(|bus| around.iter().chain(&poles).nth(bus).copied().unwrap_or(around[0]));
        let reverb = Reverb::new(&plan.decay);
        let inside = reverb.longest().max(length) + 4 * QUANTUM;
        Some(Box::new(Self {
            plan,
            slots: std::array::from_fn(|_| Slot {
                line: vec![0.0; length].into(),
                at: 0,
                dulled: 0.0,
                stood: None,
                reflections: None,
                faded: 0,
                inside: 0.0,
                fed: false,
                rings: 0,
            }),
            sent: [0.0; QUANTUM],
            buses: Box::new([[0.0; QUANTUM]; BUSES]),
            reverb,
            ears: Buses::new(directions.map(|direction| head.responses(direction))),
            fade: Box::new(std::array::from_fn(|n| 0.5 - 0.5 * (n as f32 / FRAME as f32 * std::f32::consts::PI).cos())),
            opens: Ramp::towards(0.0, 1.0),
            silent: usize::MAX,
            inside,
        }))
    }

    /// Takes in 2.5 ms of what the voice of this number says at `position` in the room, to a head that points to `facing_deg`. A change
    /// of either fades over 10 ms. Does not allocate or lock.
    pub fn feed(&mut self, slot: usize, position: Position, facing_deg: f32, mono: &Quantum) {
        let Some(slot) = self.slots.get_mut(slot) else { return };
        if mono.iter().map(|x| x * x).sum::<f32>() > INAUDIBLE * QUANTUM as f32 {
            self.silent = 0;
        } else if self.silent > self.inside {
            return;
        }
        let now = match slot.stood {
            Some((at, facing, reflections)) if at == position && facing == facing_deg => reflections,
            _ => self.plan.walls.reflections(position.normalised(), facing_deg),
        };
        slot.stood = Some((position, facing_deg, now));
        let begins = !slot.fed && slot.rings == 0;
        slot.fed = true;
        let mut voice = *mono;
        self.opens.apply(&mut voice);
        slot.hear(&voice, self.plan.dull);
        slot.reflect(&now, &self.fade, &mut self.buses);
        let inside = if begins { Ramp(now.inside, now.inside) } else { Ramp::towards(slot.inside, now.inside) };
        slot.inside = inside.1;
        inside.apply(&mut voice);
        for (sent, sample) in self.sent.iter_mut().zip(voice) {
            *sent += sample;
        }
    }

    /// What both ears hear of the room, written over `left` and `right`; false when that is silence. Does not allocate or lock.
    pub fn render(&mut self, left: &mut Quantum, right: &mut Quantum) -> bool {
        self.opens = Ramp::towards(self.opens.1, 1.0);
        if self.silent > self.inside {
            left.fill(0.0);
            right.fill(0.0);
            return false;
        }
        for slot in &mut self.slots {
            // Who has left is still on the way.
            if !slot.fed && slot.rings > 0 {
                let stood = slot.reflections.map_or_else(Reflections::default, |[_, to]| to);
                slot.hear(&[0.0; QUANTUM], self.plan.dull);
                slot.reflect(&stood, &self.fade, &mut self.buses);
            }
            if slot.rings == 0 {
                slot.reflections = None;
            }
            slot.fed = false;
        }
        self.reverb.carry(&self.sent, &mut self.buses);
        let power: f32 = self.buses.iter().flatten().map(|x| x * x).sum();
        self.silent = if power > INAUDIBLE * QUANTUM as f32 { 0 } else { self.silent.saturating_add(QUANTUM) };
        self.ears.render(&self.buses, left, right);
        self.sent.fill(0.0);
        self.buses.iter_mut().for_each(|bus| bus.fill(0.0));
        if self.silent > self.inside {
            self.clear();
        }
        true
    }

    /// Forgets everything that is inside, as if it were new. Does not allocate.
    pub fn forget(&mut self) {
        self.clear();
        self.sent.fill(0.0);
        self.silent = usize::MAX;
        self.opens = Ramp::towards(0.0, 1.0);
        for slot in &mut self.slots {
            (slot.reflections, slot.fed) = (None, false);
        }
    }

    /// Forgets what is too soft to be heard: left alone it would shrink to numbers that processors are slow with.
    fn clear(&mut self) {
        self.reverb.clear();
        self.ears.clear();
        for slot in &mut self.slots {
            slot.line.fill(0.0);
            slot.dulled = 0.0;
            slot.rings = 0;
        }
    }
}

impl Slot {
    /// Puts sound into the line, dulled as walls do.
    fn hear(&mut self, mono: &Quantum, dull: f32) {
        let mask = self.line.len() - 1;
        for (n, sample) in mono.iter().enumerate() {
            self.dulled = sample + dull * (self.dulled - sample);
            self.line[(self.at + n) & mask] = self.dulled;
        }
        self.at = (self.at + QUANTUM) & mask;
        self.rings = if self.fed { self.line.len() } else { self.rings.saturating_sub(QUANTUM) };
    }

    /// Adds the newest sound's reflections from a place, or of the change to it that is under way.
    fn reflect(&mut self, now: &Reflections, fade: &[f32; FRAME], buses: &mut [Quantum; BUSES]) {
        let [from, to] = self.reflections.get_or_insert([*now; 2]);
        if from == to && to != now {
            (*to, self.faded) = (*now, 0);
        }
        let line = Line { samples: &self.line, newest: self.at + self.line.len() - QUANTUM };
        if from == to {
            for reflection in &to.each {
                line.read(reflection, |_| 1.0, buses);
            }
            return;
        }
        let fade = &fade[self.faded..self.faded + QUANTUM];
        for (old, new) in from.each.iter().zip(&to.each) {
            line.read(old, |n| 1.0 - fade[n], buses);
            line.read(new, |n| fade[n], buses);
        }
        self.faded += QUANTUM;
        if self.faded >= FRAME {
            *from = *to;
        }
    }
}

/// A voice's line, from which its reflections are read.
struct Line<'a> {
    samples: &'a [f32],
    newest: usize,
}

impl Line<'_> {
    fn read(&self, reflection: &Reflection, loudness: impl Fn(usize) -> f32, buses: &mut [Quantum; BUSES]) {
        let mask = self.samples.len() - 1;
        let sound: Quantum =
            std::array::from_fn(|n| loudness(n) * self.samples[(self.newest + n - reflection.delay) & mask]);
        for &(bus, share) in &reflection.shares {
            for (out, sample) in buses[bus].iter_mut().zip(&sound) {
                *out += share * sample;
            }
        }
    }
}
