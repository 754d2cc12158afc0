//! The own voice before it is sent: echo cancelling, gain, noise suppression.
//!
//! | stage | engine | delay | clean speech, PESQ-WB |
//! |---|---|---|---|
//! | echo | `sonora`: WebRTC's AEC3 | 9 ms | 4.64 |
//! | gain | `sonora`: WebRTC's AGC2, at most +20 dB | 0 | 4.64 |
//! | noise | `nnnoiseless`: RNNoise | 10 ms | 4.49 |
//! | all three | | 19 ms | 4.48 |
//!
//! Chosen by measuring with real recorded speech. `sonora` couples a high-pass filter to its echo canceller (switched off here: 4.03
//! with it) and cannot separate it from its noise suppressor. That suppressor by itself, without the filter: clean 4.39, 4.01, 3.34
//! for its levels low, moderate, high, and speech in a fan's noise 20 dB below it (1.47 untouched): 1.87, 2.30, 2.51; RNNoise: clean
//! 4.49, noisy 2.26, so as much noise gone as at moderate and far more of the voice left.
//!
//! The clocks of microphone and speaker need not agree. With one running up to 200 millionths faster the canceller took 48–52 dB of an
//! echo away (51–53 dB with one clock), but for one stretch of ten seconds with 34 dB at 100 millionths; so nothing is resampled for
//! it, and nothing else here joins the two clocks.
//!
//! The echo canceller allocates inside (43 times a frame, the gain 11 times), so with a real microphone all this runs on a thread of
//! its own in front of the uplink, which allocates from the [`reserve`](super::reserve): [`VoiceStage`].

mod stage;
#[cfg(test)]
mod tests;

pub use stage::VoiceStage;

use super::format::{Block, FRAME, SAMPLE_RATE};
use nnnoiseless::DenoiseState;
use sonora::config::{AdaptiveDigital, EchoCanceller, GainController2, MaxProcessingRate, Pipeline};
use sonora::{AudioProcessing, Config, StreamConfig};

/// RNNoise works on samples in the range of 16-bit integers.
const INTEGER_SCALE: f32 = 32_768.0;

/// Most that the gain adds, in dB: a quiet microphone, not a voice from the next room.
const MAX_GAIN_DB: f32 = 20.0;

/// Cleans the own voice, one frame at a time.
pub struct Voice {
    stages: Option<Box<Stages>>,
}

/// What stands between the microphone and the encoder, in this order.
struct Stages {
    echo_and_gain: AudioProcessing,
    noise: Option<Box<DenoiseState<'static>>>,
}

impl Voice {
    /// With all stages, or with none. Allocates what the stages need; a few megabytes and milliseconds.
    pub fn new(on: bool) -> Self {
        Self {
            stages: on.then(|| Box::new(Stages { echo_and_gain: echo_and_gain(), noise: Some(DenoiseState::new()) })),
        }
    }

    /// What processes the voice, for reports.
    pub fn engine(&self) -> &'static str {
        match self.stages {
            Some(_) => "sonora-aec3-agc2+rnnoise",
            None => "off",
        }
    }

    /// Hears 10 ms of what is being played, mono. Call it for every frame, in order, before the microphone can have picked it up;
    /// how much earlier is found out, up to half a second, and a frame too many or too few now and then does no harm.
    pub fn hear(&mut self, played: &Block) {
        if let Some(stages) = &mut self.stages {
            let mut unused = [0.0; FRAME];
            // Fails for other lengths or rates only, which the types rule out.
            let _ = stages.echo_and_gain.process_render_f32(&[played], &mut [&mut unused]);
        }
    }

    /// Cleans 10 ms of the microphone in place. What comes out is 19 ms older than what goes in.
    pub fn clean(&mut self, mic: &mut Block) {
        let Some(stages) = &mut self.stages else { return };
        let mut cleaned = [0.0; FRAME];
        if stages.echo_and_gain.process_capture_f32(&[mic], &mut [&mut cleaned]).is_err() {
            return;
        }
        *mic = cleaned;
        if let Some(noise) = &mut stages.noise {
            let loud = mic.map(|sample| sample * INTEGER_SCALE);
            noise.process_frame(&mut cleaned, &loud);
            *mic = cleaned.map(|sample| (sample / INTEGER_SCALE).clamp(-1.0, 1.0));
        }
    }

    /// [`hear`](Self::hear)s one frame and [`clean`](Self::clean)s one: for callers whose microphone and speaker go in step.
    pub fn process(&mut self, mic: &mut Block, reference: &Block) {
        self.hear(reference);
        self.clean(mic);
    }
}

fn echo_and_gain() -> AudioProcessing {
    let mono = StreamConfig::new(SAMPLE_RATE, 1);
    let config = Config {
        pipeline: Pipeline {
            maximum_internal_processing_rate: MaxProcessingRate::Rate48kHz,
            multi_channel_render: false,
            multi_channel_capture: false,
            ..Pipeline::default()
        },
        echo_canceller: Some(EchoCanceller { enforce_high_pass_filtering: false, ..EchoCanceller::default() }),
        gain_controller2: Some(GainController2 {
            adaptive_digital: Some(AdaptiveDigital {
                initial_gain_db: 0.0,
                max_gain_db: MAX_GAIN_DB,
                ..AdaptiveDigital::default()
            }),
            ..GainController2::default()
        }),
        ..Config::default()
    };
    AudioProcessing::builder().config(config).capture_config(mono).render_config(mono).build()
}
