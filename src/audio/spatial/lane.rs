//! One voice on its way from mono to two ears.

use super::SpatialError;
use super::distance::Air;
use super::hrir::HrirSet;
use super::pan::Panner;
#[cfg(feature = "steam-audio")]
use super::steam::SteamHead;
use crate::audio::format::{FRAME, QUANTUM, Quantum};
use resonance_protocol::position::Position;
use sofar::reader::Filter;
use sofar::render::{FilterTransition, Renderer, RendererPlan};
use std::sync::Arc;

/// A voice that turned less than this since its filter was made keeps it, in degrees: a tenth of what listeners notice.
const STILL_DEG: f32 = 0.1;
/// A change of direction: the old and the new filter's sound fade over within 10 ms.
pub(super) const FADE: FilterTransition = FilterTransition::crossfade(FRAME);

/// Renders one voice. Blocks come out as they go in: the only delay is the one that the measured responses carry.
///
/// Loudness falls with distance as 1/r (6 dB for each doubling), 0 dB at 1 m, and stays at +6 dB nearer than 0.5 m; treble falls
/// as air takes it.
pub struct LaneRenderer {
    air: Air,
    direction: Direction,
}

/// How the direction is made.
enum Direction {
    /// With two measured ears.
    Ears(Box<Head>),
    /// The same by Steam Audio.
    #[cfg(feature = "steam-audio")]
    Steam(Box<SteamHead>),
    /// By two loudspeakers.
    Speakers(Panner),
}

impl LaneRenderer {
    pub(super) fn ears(set: Arc<HrirSet>, plan: &RendererPlan, fade: FilterTransition) -> Result<Self, SpatialError> {
        Ok(Self { air: Air::default(), direction: Direction::Ears(Box::new(Head::new(set, plan, fade)?)) })
    }

    #[cfg(feature = "steam-audio")]
    pub(super) fn steam(file: &[u8]) -> Result<Self, SpatialError> {
        Ok(Self { air: Air::default(), direction: Direction::Steam(Box::new(SteamHead::new(file)?)) })
    }

    pub(super) fn speakers() -> Self {
        Self { air: Air::default(), direction: Direction::Speakers(Panner::default()) }
    }

    /// Renders 2.5 ms of a voice at `position` relative to the head (its forehead is azimuth 0) into both ears, replacing what
    /// was there. A change of place fades in over 10 ms: the old and the new filter by a raised cosine. Does not
    /// allocate or lock.
    pub fn render(&mut self, position: Position, mono: &Quantum, left: &mut Quantum, right: &mut Quantum) {
        let position = position.normalised();
        let arrived = self.air.carry(position.distance_m, mono);
        match &mut self.direction {
            Direction::Ears(head) => head.render(position, &arrived, left, right),
            #[cfg(feature = "steam-audio")]
            Direction::Steam(head) => head.render(position, &arrived, left, right),
            Direction::Speakers(panner) => panner.render(position, &arrived, left, right),
        }
    }
}

/// A convolution with the responses of a measured head.
struct Head {
    set: Arc<HrirSet>,
    convolution: Renderer,
    filter: Filter,
    scratch: Box<[f32]>,
    /// Where the filter in use points; none before the first block.
    pointed: Option<Position>,
    /// Samples until the filter in use has faded in.
    fading: usize,
}

impl Head {
    fn new(set: Arc<HrirSet>, plan: &RendererPlan, fade: FilterTransition) -> Result<Self, SpatialError> {
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
        Ok(Self { set, convolution, filter, scratch, pointed: None, fading: 0 })
    }

    fn render(&mut self, position: Position, mono: &Quantum, left: &mut Quantum, right: &mut Quantum) {
        self.fading = self.fading.saturating_sub(QUANTUM);
        let turned = self.fading == 0 && self.pointed.is_none_or(|pointed| turned(pointed, position));
        if turned {
            self.fading = FRAME;
            self.set.blend(position, &mut self.scratch, &mut self.filter);
        }
        // Neither can fail with lengths that are fixed at compile time and a filter made by the set itself; silence if it did.
        let done = (!turned || self.convolution.set_filter(&self.filter).is_ok())
            && self.convolution.process_block(mono, left, right).is_ok();
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
