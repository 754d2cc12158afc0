//! Steady noise, taken out as far as there is any.
//!
//! RNNoise costs a clean voice something (PESQ-WB 4.0 instead of 4.6) and does much for one in noise. So it is mixed in by the level of
//! the background: nothing of it where there is no noise that anybody could hear, all of it where there is.

use crate::gate::{db, power};
use crate::{Block, FRAME};
use nnnoiseless::DenoiseState;

/// RNNoise works on samples in the range of 16-bit integers.
const INTEGER_SCALE: f32 = 32_768.0;
/// Background that nobody hears beside a voice, in dBFS: left as it is.
const QUIET_DB: f32 = -75.0;
/// Background from which on all is done against it, in dBFS.
const NOISY_DB: f32 = -60.0;
/// The estimate of the background rises by this a frame (3 dB a second) and falls at once, so the pauses of speech set it.
const RISE_DB: f32 = 0.03;
/// It is looked for within these, in dBFS: below there is nothing to hear, above it is no background.
const RANGE_DB: [f32; 2] = [-90.0, -40.0];

pub(crate) struct Suppressor {
    network: Box<DenoiseState<'static>>,
    /// The last frame as it came: what the network hands out is that one.
    late: Block,
    background_db: f32,
    share: f32,
}

impl Default for Suppressor {
    fn default() -> Self {
        // Taken for noisy until a pause has shown something else.
        Self { network: DenoiseState::new(), late: [0.0; FRAME], background_db: NOISY_DB, share: 1.0 }
    }
}

impl Suppressor {
    /// Works in place; what comes out is a frame older than what goes in.
    pub(crate) fn clean(&mut self, mic: &mut Block) {
        let [lowest, highest] = RANGE_DB;
        self.background_db = (self.background_db + RISE_DB).min(db(power(mic))).clamp(lowest, highest);
        let (from, to) = (self.share, ((self.background_db - QUIET_DB) / (NOISY_DB - QUIET_DB)).clamp(0.0, 1.0));
        self.share = to;

        let loud = mic.map(|sample| sample * INTEGER_SCALE);
        let mut cleaned = [0.0; FRAME];
        self.network.process_frame(&mut cleaned, &loud);
        let late = std::mem::replace(&mut self.late, *mic);
        *mic = std::array::from_fn(|n| {
            let share = from + (to - from) * (n as f32 / FRAME as f32);
            (late[n] + (cleaned[n] / INTEGER_SCALE - late[n]) * share).clamp(-1.0, 1.0)
        });
    }
}
