//! WebRTC's own voice processing, in C++.
//!
//! The canceller works with the high-pass filter that its noise suppressor brings along, which costs this code little (clean speech:
//! PESQ-WB 4.6 without both, 4.4 with them). It takes memory as it works, a few times a frame where the port does fifty times, some of it
//! from the system's allocator, and locks of its own that nobody else wants.

use crate::gate::{Gate, power};
use crate::{Absent, Block, Chain, MAX_GAIN_DB, SAMPLE_RATE};
use webrtc_audio_processing::config::{
    AdaptiveDigital, EchoCanceller, GainController, GainController2, NoiseSuppression, NoiseSuppressionLevel,
};
use webrtc_audio_processing::{Config, Processor};

/// Of the canceller 9 ms, of the suppressor 6.
const DELAY: usize = 720;

/// The stages, in this order.
pub(crate) struct Original {
    canceller: Processor,
    gate: Gate,
    gain: Processor,
}

impl Original {
    pub(crate) fn new() -> Result<Self, Absent> {
        let noise = NoiseSuppression { level: NoiseSuppressionLevel::Moderate, ..NoiseSuppression::default() };
        let canceller = stage(Config {
            echo_canceller: Some(EchoCanceller::Full { stream_delay_ms: None }),
            noise_suppression: Some(noise),
            ..Config::default()
        })?;
        let adaptive = AdaptiveDigital { initial_gain_db: 0.0, max_gain_db: MAX_GAIN_DB, ..AdaptiveDigital::default() };
        let gain = GainController2 { adaptive_digital: Some(adaptive), ..GainController2::default() };
        let gain = stage(Config { gain_controller: Some(GainController::GainController2(gain)), ..Config::default() })?;
        Ok(Self { canceller, gate: Gate::default(), gain })
    }
}

impl Chain for Original {
    fn name(&self) -> &'static str {
        "webrtc-aec3-ns-agc2"
    }

    fn delay(&self) -> usize {
        DELAY
    }

    fn hear(&mut self, played: &Block) {
        self.gate.hear(played);
        // Fails for other lengths or rates only, which the types rule out.
        let _ = self.canceller.analyze_render_frame([played]);
    }

    fn clean(&mut self, mic: &mut Block) {
        let heard = power(mic);
        // As above: no other frame than this goes in.
        let _ = self.canceller.process_capture_frame([&mut *mic]);
        self.gate.clean(heard, mic);
        let _ = self.gain.process_capture_frame([&mut *mic]);
        mic.iter_mut().for_each(|sample| *sample = sample.clamp(-1.0, 1.0));
    }
}

fn stage(config: Config) -> Result<Processor, Absent> {
    let stage = Processor::new(SAMPLE_RATE).map_err(|error| Absent::Refused(error.to_string()))?;
    stage.set_config(config);
    Ok(stage)
}
