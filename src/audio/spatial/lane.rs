//! One voice on its way from mono to two ears.

use super::SpatialError;
use super::hrir::HrirSet;
use crate::audio::format::{FRAME, QUANTUM, Quantum};
use crate::audio::lane::Ramp;
use resonance_protocol::position::Position;
use sofar::reader::Filter;
use sofar::render::{FilterTransition, Renderer, RendererPlan};
use std::sync::Arc;

/// Nearer than this a voice does not get louder, in metres: at most +6 dB, so that nobody shouts into an ear.
const NEAREST_M: f32 = 0.5;
/// A voice that turned less than this since its filter was made keeps it, in degrees: a tenth of what listeners notice.
const STILL_DEG: f32 = 0.1;

/// Renders one voice. Blocks come out as they go in: the only delay is the one that the measured responses carry.
///
/// Loudness falls with distance as 1/r (6 dB for each doubling), 0 dB at 1 m, and stays at +6 dB nearer than 0.5 m.
pub struct LaneRenderer {
    set: Arc<HrirSet>,
    convolution: Renderer,
    filter: Filter,
    scratch: Box<[f32]>,
    /// Where the filter in use points; none before the first block.
    pointed: Option<Position>,
    /// Samples until the filter in use has faded in.
    fading: usize,
    gain: f32,
}

impl LaneRenderer {
    pub(super) fn new(set: Arc<HrirSet>, plan: &RendererPlan) -> Result<Self, SpatialError> {
        let fade = FilterTransition::crossfade(FRAME);
        let mut convolution = Renderer::builder(plan).with_filter_transition(fade).build()?;
        let filter = Filter::new(set.taps());
        // The convolution needs storage for two filters, the one that fades out and the one that fades in, and takes it when
        // they are first set: here, with silence, out of which a new voice then fades in.
        let (mut left, mut right) = ([0.0; QUANTUM], [0.0; QUANTUM]);
        for _ in 0..2 {
            convolution.set_filter(&filter)?;
            for _ in 0..FRAME / QUANTUM {
                convolution.process_block(&[0.0; QUANTUM], &mut left, &mut right)?;
            }
        }
        let scratch = vec![0.0; set.taps()].into_boxed_slice();
        Ok(Self { set, convolution, filter, scratch, pointed: None, fading: 0, gain: 0.0 })
    }

    /// Renders 2.5 ms of a voice at `position` relative to the head (its forehead is azimuth 0) into both ears, replacing what
    /// was there. A change of place fades in over 10 ms: the old and the new filter by a raised cosine, loudness faster first.
    /// Does not allocate or lock.
    pub fn render(&mut self, position: Position, mono: &Quantum, left: &mut Quantum, right: &mut Quantum) {
        let position = position.normalised();
        let gain = 1.0 / position.distance_m.max(NEAREST_M);
        let from = if self.pointed.is_some() { self.gain } else { gain };
        let ramp = Ramp::towards(from, gain);
        self.gain = ramp.1;
        let mut input = *mono;
        ramp.apply(&mut input);
        self.fading = self.fading.saturating_sub(QUANTUM);
        let turned = self.fading == 0 && self.pointed.is_none_or(|pointed| turned(pointed, position));
        if turned {
            self.fading = FRAME;
            self.set.blend(position, &mut self.scratch, &mut self.filter);
        }
        // Neither can fail with lengths that are fixed at compile time and a filter made by the set itself; silence if it did.
        let done = (!turned || self.convolution.set_filter(&self.filter).is_ok())
            && self.convolution.process_block(&input, left, right).is_ok();
        if done {
            self.pointed = Some(if turned { position } else { self.pointed.unwrap_or(position) });
        } else {
            left.fill(0.0);
            right.fill(0.0);
        }
    }
}

fn turned(from: Position, to: Position) -> bool {
    let mut azimuth = (from.azimuth_deg - to.azimuth_deg).abs();
    if azimuth > 180.0 {
        azimuth = 360.0 - azimuth;
    }
    azimuth > STILL_DEG || (from.elevation_deg - to.elevation_deg).abs() > STILL_DEG
}
