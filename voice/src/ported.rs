//! WebRTC's echo cancelling and gain ported to Rust, and a neural network against noise.

use crate::gate::{Gate, power};
use crate::noise::{Suppression, Suppressor};
use crate::{Block, Chain, FRAME, MAX_GAIN_DB, SAMPLE_RATE};
use sonora::config::{AdaptiveDigital, EchoCanceller, GainController2, MaxProcessingRate, Pipeline};
use sonora::{AudioProcessing, Config, StreamConfig};

/// The canceller's: 9 ms.
const DELAY: usize = 432;

/// The stages, in this order.
pub(crate) struct Ported {
    canceller: AudioProcessing,
    gate: Gate,
    gain: AudioProcessing,
    suppressor: Suppressor,
}

impl Default for Ported {
    fn default() -> Self {
        Self { canceller: canceller(), gate: Gate::default(), gain: gain(), suppressor: Suppressor::default() }
    }
}

impl Chain for Ported {
    fn name(&self) -> &'static str {
        "sonora-aec3-agc2+rnnoise"
    }

    fn delay(&self) -> usize {
        DELAY + self.suppressor.delay()
    }

    fn hear(&mut self, played: &Block) {
        self.gate.hear(played);
        let mut unused = [0.0; FRAME];
        // Fails for other lengths or rates only, which the types rule out.
        let _ = self.canceller.process_render_f32(&[played], &mut [&mut unused]);
    }

    fn suppress(&mut self, suppression: Suppression) {
        self.suppressor.suppress(suppression);
    }

    fn clean(&mut self, mic: &mut Block) {
        let heard = power(mic);
        capture(&mut self.canceller, mic);
        self.gate.clean(heard, mic);
        capture(&mut self.gain, mic);
        self.suppressor.clean(mic);
    }
}

/// Passes the microphone through one of sonora's stages.
fn capture(stage: &mut AudioProcessing, mic: &mut Block) {
    let mut processed = [0.0; FRAME];
    if stage.process_capture_f32(&[mic], &mut [&mut processed]).is_ok() {
        *mic = processed;
    }
}

fn canceller() -> AudioProcessing {
    let echo = EchoCanceller { enforce_high_pass_filtering: false, ..EchoCanceller::default() };
    stage(Config { echo_canceller: Some(echo), ..Config::default() })
}

fn gain() -> AudioProcessing {
    let adaptive = AdaptiveDigital { initial_gain_db: 0.0, max_gain_db: MAX_GAIN_DB, ..AdaptiveDigital::default() };
    let gain = GainController2 { adaptive_digital: Some(adaptive), ..GainController2::default() };
    stage(Config { gain_controller2: Some(gain), ..Config::default() })
}

fn stage(config: Config) -> AudioProcessing {
    let mono = StreamConfig::new(SAMPLE_RATE, 1);
    let pipeline = Pipeline {
        maximum_internal_processing_rate: MaxProcessingRate::Rate48kHz,
        multi_channel_render: false,
        multi_channel_capture: false,
        ..Pipeline::default()
    };
    AudioProcessing::builder().config(Config { pipeline, ..config }).capture_config(mono).render_config(mono).build()
}
