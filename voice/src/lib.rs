//! The own voice before it is sent: echo cancelling, gain, noise suppression.
//!
//! ```text
//! played ───▶ canceller ┄┄▶ gate
//! microphone ─▶ canceller ──▶ gate ──▶ gain ──▶ suppressor ──▶ sent
//! ```
//!
//! | stage | what | delay |
//! |---|---|---|
//! | canceller | `sonora`: WebRTC's AEC3, without its high-pass filter (clean speech: PESQ-WB 4.0 with it, 4.6 without) | 9 ms |
//! | gate | quieter still while only the others are heard: reverberation, and what comes while the canceller looks for a new delay | 0 |
//! | gain | `sonora`: WebRTC's AGC2, at most +20 dB; a quiet microphone is helped, a voice from the next room is not | 0 |
//! | suppressor | `nnnoiseless`: RNNoise, as much of it as there is noise | 10 ms |
//!
//! `cargo bench --workspace --bench voice` prints what it does to speech, noise and echo, and fails when that is not enough.
//!
//! The clocks of microphone and speaker need not agree: the canceller follows 100 millionths, so nothing is resampled for it.
//! It allocates inside (some fifty times a frame), as does the gain: who runs this in real time brings an allocator for it.

mod gate;
mod noise;

use gate::{Gate, power};
use noise::Suppressor;
use sonora::config::{AdaptiveDigital, EchoCanceller, GainController2, MaxProcessingRate, Pipeline};
use sonora::{AudioProcessing, Config, StreamConfig};

/// Samples a second.
pub const SAMPLE_RATE: u32 = 48_000;

/// Samples in the 10 ms that are worked on at a time.
pub const FRAME: usize = 480;

/// Those of one channel; full scale is ±1.
pub type Block = [f32; FRAME];

/// Samples by which what comes out is later than what goes in: 19 ms.
pub const DELAY: usize = 912;

/// Most that the gain adds, in dB.
const MAX_GAIN_DB: f32 = 20.0;

/// Cleans the own voice, one frame at a time.
pub struct Voice {
    stages: Option<Box<Stages>>,
}

/// What stands between the microphone and the encoder, in this order.
struct Stages {
    canceller: AudioProcessing,
    gate: Gate,
    gain: AudioProcessing,
    suppressor: Suppressor,
}

impl Voice {
    /// With all stages, or with none. Allocates what the stages need; a few megabytes and milliseconds.
    pub fn new(on: bool) -> Self {
        let stages = || Stages {
            canceller: canceller(),
            gate: Gate::default(),
            gain: gain(),
            suppressor: Suppressor::default(),
        };
        Self { stages: on.then(|| Box::new(stages())) }
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
        let Some(stages) = &mut self.stages else { return };
        stages.gate.hear(played);
        let mut unused = [0.0; FRAME];
        // Fails for other lengths or rates only, which the types rule out.
        let _ = stages.canceller.process_render_f32(&[played], &mut [&mut unused]);
    }

    /// Cleans 10 ms of the microphone in place. What comes out is [`DELAY`] older than what goes in.
    pub fn clean(&mut self, mic: &mut Block) {
        let Some(stages) = &mut self.stages else { return };
        let heard = power(mic);
        capture(&mut stages.canceller, mic);
        stages.gate.clean(heard, mic);
        capture(&mut stages.gain, mic);
        stages.suppressor.clean(mic);
    }

    /// [`hear`](Self::hear)s one frame and [`clean`](Self::clean)s one: for callers whose microphone and speaker go in step.
    pub fn process(&mut self, mic: &mut Block, reference: &Block) {
        self.hear(reference);
        self.clean(mic);
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
