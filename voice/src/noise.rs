//! Steady noise, taken out as far as there is any.
//!
//! RNNoise costs a clean voice something (PESQ-WB 4.0 instead of 4.6) and does much for one in noise. So it is mixed in by the level of
//! the background: nothing of it where there is no noise that anybody could hear, all of it where there is.
//!
//! It also hands out every frame a frame later. Where nothing of it is wanted for a while, nobody waits for it: the next pause of speech is
//! made 10 ms shorter, and 10 ms longer when there is noise again. Nor does it work there: it is half of all that is done to a voice.

use crate::gate::{db, power};
use crate::{Block, FRAME};
use nnnoiseless::DenoiseState;

/// RNNoise works on samples in the range of 16-bit integers.
const INTEGER_SCALE: f32 = 32_768.0;
/// Background that nobody hears beside a voice, in dBFS: left as it is.
const QUIET_DB: f32 = -75.0;
/// Background from which on something is done against it, in dBFS: until it is below [`QUIET_DB`] again, so that one between does not make
/// the delay change now and then.
const NOTICED_DB: f32 = -70.0;
/// Background from which on all is done against it, in dBFS.
const NOISY_DB: f32 = -60.0;
/// The estimate of the background rises by this a frame (3 dB a second) and falls at once, so the pauses of speech set it.
const RISE_DB: f32 = 0.03;
/// So many frames without any noise to take out make a quiet place: a second.
const QUIET_FRAMES: u32 = 100;
/// A frame that is no louder than the background by more than this is a pause, in dB.
const PAUSE_DB: f32 = 6.0;
/// So many frames of pause in a row, in which the background falls no further, are noise and not the end of a word: 200 ms.
const STEADY_FRAMES: u32 = 20;
/// A background that fell by more than this meanwhile, in dB, was a louder sound's end: steady noise varies by less.
const FALL_DB: f32 = 3.0;
/// For so many frames such a pause is waited for once there is noise: half a second.
const PATIENCE_FRAMES: u32 = 50;
/// And for so many while nothing is known of the background yet: two seconds.
const FIRST_PATIENCE_FRAMES: u32 = 200;
/// It is looked for within these, in dBFS: below there is nothing to hear, above it is no background.
const RANGE_DB: [f32; 2] = [-80.0, -40.0];

/// Whether noise is suppressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Suppression {
    /// As far as there is any.
    #[default]
    On,
    /// Not at all: the network, half of all the work, has a rest.
    Off,
}

pub(crate) struct Suppressor {
    network: Box<DenoiseState<'static>>,
    /// The last frame as it came: what the network hands out is that one.
    late: Block,
    background_db: f32,
    share: f32,
    /// Frames for which it should have been waited for the network, and was not, or the other way round.
    otherwise: u32,
    patience: u32,
    /// Frames of pause in a row at one background, and what that was when they began.
    steady: u32,
    steady_from_db: f32,
    /// Whether what comes out is what the network hands out, a frame later.
    waits: bool,
    suppression: Suppression,
}

impl Default for Suppressor {
    fn default() -> Self {
        // Taken for noisy until something quieter was heard; but nobody waits before a pause has shown that there is noise: who speaks from
        // the beginning in a quiet place would wait for nothing.
        Self {
            network: DenoiseState::new(),
            late: [0.0; FRAME],
            background_db: RANGE_DB[1],
            share: 1.0,
            otherwise: 0,
            patience: FIRST_PATIENCE_FRAMES,
            steady: 0,
            steady_from_db: RANGE_DB[1],
            waits: false,
            suppression: Suppression::On,
        }
    }
}

impl Suppressor {
    /// Samples by which what comes out is later than what goes in.
    pub(crate) fn delay(&self) -> usize {
        if self.waits { FRAME } else { 0 }
    }

    /// Goes over to that within a frame.
    pub(crate) fn suppress(&mut self, suppression: Suppression) {
        self.suppression = suppression;
    }

    /// Works in place; what comes out is a frame older than what goes in where there is noise.
    pub(crate) fn clean(&mut self, mic: &mut Block) {
        let [lowest, highest] = RANGE_DB;
        let now_db = db(power(mic));
        self.background_db = (self.background_db + RISE_DB).min(now_db).clamp(lowest, highest);
        let noticed = self.background_db > if self.waits { QUIET_DB } else { NOTICED_DB };
        let level = ((self.background_db - QUIET_DB) / (NOISY_DB - QUIET_DB)).clamp(0.0, 1.0);
        let noise = if noticed { level } else { 0.0 };
        let (from, to) = (self.share, if self.suppression == Suppression::On { noise } else { 0.0 });
        self.share = to;

        let mut cleaned = [0.0; FRAME];
        if from > 0.0 || to > 0.0 {
            let loud = mic.map(|sample| sample * INTEGER_SCALE);
            self.network.process_frame(&mut cleaned, &loud);
        }
        let late = std::mem::replace(&mut self.late, *mic);
        let waited = self.waits;
        self.decide(now_db, noise > 0.0);
        let direct = |waits: bool| if waits { 0.0 } else { 1.0 };
        let (direct_from, direct_to) = (direct(waited), direct(self.waits));
        *mic = std::array::from_fn(|n| {
            let passed = n as f32 / FRAME as f32;
            let share = from + (to - from) * passed;
            let direct = direct_from + (direct_to - direct_from) * passed;
            let waited = late[n] + (cleaned[n] / INTEGER_SCALE - late[n]) * share;
            (waited + (mic[n] - waited) * direct).clamp(-1.0, 1.0)
        });
    }

    /// Whether the network is waited for from the next frame on: a change is made in a pause.
    fn decide(&mut self, now_db: f32, noise: bool) {
        if noise == self.waits {
            (self.otherwise, self.patience) = (0, PATIENCE_FRAMES);
        } else {
            self.otherwise = self.otherwise.saturating_add(1);
        }
        let pause = now_db < self.background_db + PAUSE_DB;
        if pause && self.background_db > self.steady_from_db - FALL_DB {
            self.steady = self.steady.saturating_add(1);
        } else {
            (self.steady, self.steady_from_db) = (0, self.background_db);
        }
        let change = match self.waits {
            true => self.otherwise > QUIET_FRAMES && pause,
            false => self.otherwise > 0 && (self.steady >= STEADY_FRAMES || self.otherwise > self.patience),
        };
        if change {
            self.waits = !self.waits;
            self.otherwise = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Frames of hiss whose samples lie within this of zero.
    fn hiss() -> impl FnMut(f32) -> Block {
        let mut seed = 1_u32;
        move |loudest| {
            std::array::from_fn(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                2.0 * loudest * (seed as f32 / u32::MAX as f32 - 0.5)
            })
        }
    }

    /// After how many of such frames the network is waited for.
    fn waited_after(frames: usize, mut loudest: impl FnMut(usize) -> f32) -> Option<usize> {
        let (mut suppressor, mut noise) = (Suppressor::default(), hiss());
        (0..frames).find(|&frame| {
            suppressor.clean(&mut noise(loudest(frame)));
            suppressor.delay() > 0
        })
    }

    #[test]
    fn who_begins_in_the_midst_of_a_word_waits_for_nothing() {
        // Syllables of 150 ms that die away like in a room, 1.5 dB a frame, into near silence, 6 in a row without a pause between.
        let decay = |frame: usize| 10_f32.powf(-0.075 * frame as f32);
        let spoken = |frame: usize| match frame % 150 {
            within @ 0..90 => 0.2 * decay(within % 15),
            after => 0.2 * decay(after - 75).max(0.0003),
        };
        assert_eq!(waited_after(1_000, spoken), None);
    }

    #[test]
    fn noise_is_waited_for_within_half_a_second_and_under_a_voice_within_two() {
        // -54 dBFS; a voice without a pause over it.
        let noise = 0.0035;
        assert!(waited_after(50, |_| noise).is_some(), "noise alone");
        assert!(waited_after(210, |frame| if frame % 10 < 7 { 0.2 } else { noise }).is_some(), "under a voice");
    }

    #[test]
    fn a_network_that_rests_lets_the_sound_through_as_it_is_and_goes_on_where_it_was() {
        let (mut suppressor, mut noise) = (Suppressor::default(), hiss());
        let (mut last, mut out) = ([0.0; FRAME], Vec::new());
        for frame in 0..600 {
            let resting = (200..400).contains(&frame);
            suppressor.suppress(if resting { Suppression::Off } else { Suppression::On });
            let came = noise(0.01);
            let mut mic = came;
            suppressor.clean(&mut mic);
            assert!(!resting || frame == 200 || mic == last, "frame {frame} comes out a frame later, untouched");
            out.push(power(&mic));
            last = came;
        }
        let mean = |frames: std::ops::Range<usize>| out[frames.clone()].iter().sum::<f32>() / frames.len() as f32;
        assert!(mean(150..200) < 0.8 * mean(250..400), "{} while it works", mean(150..200));
        assert!(mean(450..600) < 0.8 * mean(250..400), "{} when it works again", mean(450..600));
    }
}
