//! The own voice before it is sent: echo cancelling, gain, noise suppression, by the crate `resonance-voice`.
//!
//! The echo canceller allocates inside, so with a real microphone all this runs on a thread of its own in front of the uplink, which
//! allocates from the [`reserve`](super::reserve): [`VoiceStage`].

mod stage;
#[cfg(test)]
mod tests;

pub use resonance_voice::Voice;
pub use stage::VoiceStage;
