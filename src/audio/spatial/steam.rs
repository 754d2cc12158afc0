//! Steam Audio as the engine that makes directions, where the program was built with it.
//!
//! Its calls trust their callers: buffers must be as long as was said when the effect was made, which the types here see to. A head must
//! stay with one thread at a time, so each voice has a context and a head of its own. Its axes: x to the right, y up, −z ahead.

use super::SpatialError;
use super::hrir::{HEADROOM, speech_loudness};
use crate::audio::format::{QUANTUM, Quantum, SAMPLE_RATE};
use audionimbus::{
    AudioBufferMut, AudioBufferRef, AudioSettings, BinauralEffect, BinauralEffectParams, BinauralEffectSettings,
    Context, ContextSettings, Direction, Hrtf, HrtfInterpolation, HrtfSettings, Sofa,
};
use resonance_protocol::position::Position;

/// Samples of an impulse's answer that its loudness is found from.
const ANSWER: usize = 8 * QUANTUM;

/// One voice's effect, with all that it needs.
pub(super) struct SteamHead {
    effect: BinauralEffect,
    params: BinauralEffectParams,
    /// So that a voice ahead is as loud as with the other engine.
    gain: f32,
    // Dropped last: the others live in it.
    _context: Context,
}

impl SteamHead {
    /// Allocates everything that the voice will need; it is heard with the responses of this SOFA file.
    pub fn new(file: &[u8]) -> Result<Self, SpatialError> {
        let refused = |error: audionimbus::SteamAudioError| SpatialError::Steam(error.to_string());
        let context = Context::try_new(&ContextSettings::default()).map_err(refused)?;
        let settings = AudioSettings { sampling_rate: SAMPLE_RATE, frame_size: QUANTUM as u32 };
        let responses = HrtfSettings { sofa_information: Some(Sofa::Buffer(file.to_vec())), ..HrtfSettings::default() };
        let hrtf = Hrtf::try_new(&context, &settings, &responses).map_err(refused)?;
        let effect = BinauralEffect::try_new(&context, &settings, &BinauralEffectSettings { hrtf: hrtf.clone() })
            .map_err(refused)?;
        let params = BinauralEffectParams {
            direction: Direction::new(0.0, 0.0, -1.0),
            interpolation: HrtfInterpolation::Bilinear,
            spatial_blend: 1.0,
            hrtf,
            peak_delays: None,
        };
        let mut head = Self { effect, params, gain: 1.0, _context: context };
        head.level();
        Ok(head)
    }

    /// Renders 2.5 ms. Does not allocate.
    pub fn render(&mut self, position: Position, mono: &Quantum, left: &mut Quantum, right: &mut Quantum) {
        let (sin_azimuth, cos_azimuth) = position.azimuth_deg.to_radians().sin_cos();
        let (sin_elevation, cos_elevation) = position.elevation_deg.to_radians().sin_cos();
        self.params.direction =
            Direction::new(cos_elevation * sin_azimuth, sin_elevation, -cos_elevation * cos_azimuth);
        let sound = mono.map(|sample| sample * self.gain);
        let mut ears = [left.as_mut_slice(), right.as_mut_slice()];
        let done = AudioBufferRef::try_new(&sound, 1).ok().and_then(|input| {
            let mut output = AudioBufferMut::try_from_channels(ears.iter_mut().map(|ear| &mut **ear)).ok()?;
            self.effect.apply(&self.params, &input, &mut output).ok()
        });
        if done.is_none() {
            left.fill(0.0);
            right.fill(0.0);
        }
    }

    /// Finds out how loud speech from ahead becomes, and evens it out.
    fn level(&mut self) {
        let mut answers = [Vec::with_capacity(ANSWER), Vec::with_capacity(ANSWER)];
        let (mut left, mut right) = ([0.0; QUANTUM], [0.0; QUANTUM]);
        let mut click = [0.0; QUANTUM];
        click[0] = 1.0;
        for _ in 0..ANSWER / QUANTUM {
            self.render(Position::at_azimuth(0.0), &click, &mut left, &mut right);
            answers[0].extend(left);
            answers[1].extend(right);
            click[0] = 0.0;
        }
        let level = speech_loudness(answers.iter().map(Vec::as_slice));
        if level > 0.0 {
            self.gain = HEADROOM / level;
        }
        self.effect.reset();
    }
}
