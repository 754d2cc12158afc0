//! The own voice before it is sent: echo cancelling, gain, noise suppression, by the crate `resonance-voice`, whose
//! engines a person can choose from.
//!
//! The echo canceller allocates inside, so with a real microphone all this runs on a thread of its own in front of the uplink, which
//! allocates from the [`reserve`](super::reserve): [`VoiceStage`]. What C++ allocates there, in the engine that is made of it, comes from
//! the system.

mod stage;
#[cfg(test)]
mod tests;

pub use resonance_voice::{Engine as VoiceEngine, Suppression, Voice};
pub use stage::VoiceStage;
