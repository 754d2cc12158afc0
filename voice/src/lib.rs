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
//! | suppressor | `nnnoiseless`: RNNoise, as much of it as there is noise | 10 ms; none where there is no noise |
//!
//! That is the engine [`Engine::Sonora`]. With the feature `webrtc-apm` there is [`Engine::Webrtc`] beside it: WebRTC's own code in C++,
//! which suppresses noise as it cancels echo, with the same gate behind it.
//!
//! `cargo bench --workspace --bench voice` prints what they do to speech, noise and echo, and fails when that is not enough.
//!
//! The clocks of microphone and speaker need not agree: the canceller follows 100 millionths, so nothing is resampled for it.
//! It allocates inside (some fifty times a frame), as does the gain: who runs this in real time brings an allocator for it.

mod engine;
mod gate;
mod noise;
#[cfg(feature = "webrtc-apm")]
mod original;
mod ported;

pub use engine::{Absent, Engine, Unknown};
pub use noise::Suppression;

/// Samples a second.
pub const SAMPLE_RATE: u32 = 48_000;

/// Samples in the 10 ms that are worked on at a time.
pub const FRAME: usize = 480;

/// Those of one channel; full scale is ±1.
pub type Block = [f32; FRAME];

/// Most that the gain adds, in dB.
const MAX_GAIN_DB: f32 = 20.0;

/// Cleans the own voice, one frame at a time.
pub struct Voice {
    chain: Option<Box<dyn Chain>>,
}

/// What an engine puts between the microphone and the encoder.
trait Chain: Send {
    /// What it is made of, for reports.
    fn name(&self) -> &'static str;
    /// Samples by which what comes out is later than what goes in.
    fn delay(&self) -> usize;
    /// Hears what is being played.
    fn hear(&mut self, played: &Block);
    /// Suppresses noise from the next frame on, or does not. An engine that cannot do without goes on.
    fn suppress(&mut self, _suppression: Suppression) {}
    /// Works in place on what the microphone brought.
    fn clean(&mut self, mic: &mut Block);
}

impl Voice {
    /// Of the engine that is always there, or without any processing. Allocates what its stages need; a few megabytes and milliseconds.
    pub fn new(on: bool) -> Self {
        Self { chain: on.then(|| Box::new(ported::Ported::default()) as Box<dyn Chain>) }
    }

    /// Of this engine.
    ///
    /// # Errors
    /// See [`Absent`].
    pub fn with(engine: Engine) -> Result<Self, Absent> {
        match engine {
            Engine::Sonora => Ok(Self::new(true)),
            #[cfg(feature = "webrtc-apm")]
            Engine::Webrtc => Ok(Self { chain: Some(Box::new(original::Original::new()?)) }),
            #[cfg(not(feature = "webrtc-apm"))]
            Engine::Webrtc => Err(Absent::NotBuiltIn),
        }
    }

    /// What processes the voice, for reports.
    pub fn engine(&self) -> &'static str {
        self.chain.as_ref().map_or("off", |chain| chain.name())
    }

    /// Samples by which what comes out is later than what goes in, at present.
    pub fn delay(&self) -> usize {
        self.chain.as_ref().map_or(0, |chain| chain.delay())
    }

    /// Hears 10 ms of what is being played, mono. Call it for every frame, in order, before the microphone can have picked it up;
    /// how much earlier is found out, up to half a second, and a frame too many or too few now and then does no harm.
    pub fn hear(&mut self, played: &Block) {
        if let Some(chain) = &mut self.chain {
            chain.hear(played);
        }
    }

    /// Suppresses noise from the next frame on, or does not, if its engine can do without. Does not allocate.
    pub fn suppress(&mut self, suppression: Suppression) {
        if let Some(chain) = &mut self.chain {
            chain.suppress(suppression);
        }
    }

    /// Cleans 10 ms of the microphone in place. What comes out is [`delay`](Self::delay) older than what goes in.
    pub fn clean(&mut self, mic: &mut Block) {
        if let Some(chain) = &mut self.chain {
            chain.clean(mic);
        }
    }

    /// [`hear`](Self::hear)s one frame and [`clean`](Self::clean)s one: for callers whose microphone and speaker go in step.
    pub fn process(&mut self, mic: &mut Block, reference: &Block) {
        self.hear(reference);
        self.clean(mic);
    }
}
