//! What the canceller leaves of an echo: reverberation that lasts longer than its filter, and everything while it looks for a new delay.
//!
//! Judged by levels alone, since those need no delay: how loud the echo is against what was played shows while the canceller takes
//! nearly everything away. Whatever is not louder than that is echo, and made quieter; but not for a while after something louder was
//! heard: then somebody speaks, and the canceller alone does what it can without harm to the voice.

use crate::{Block, FRAME};

/// Most that is taken away, in dB.
const MOST_DB: f32 = 27.0;
/// An echo comes within so many frames after it was played.
const DELAY_FRAMES: usize = 25;
/// Then the room decays by so much a frame, in dB: by 60 in 0.6 s.
const DECAY_DB: f32 = 1.0;
/// What is played more quietly leaves no echo to hear, in dBFS.
const PLAYED_FLOOR_DB: f32 = -60.0;
/// If the canceller takes so much away, in dB, it was all echo.
const ALL_ECHO_DB: f32 = 15.0;
/// How fast the strength of the echo is learnt, a share a frame; faster upward, so that it stands for the loudest of it.
const LEARN_UP: f32 = 0.2;
const LEARN_DOWN: f32 = 0.003;
/// So much below it there is a pause, which says nothing, in dB.
const PAUSE_DB: f32 = 10.0;
/// So much above the strongest echo there is a voice, in dB.
const VOICE_DB: f32 = 4.0;
/// The gate closes over so many dB.
const SLOPE_DB: f32 = 4.0;
/// A voice keeps the gate open for so many frames: over the gaps between words, whatever the echo does in them.
const VOICE_FRAMES: u32 = 150;
/// How fast levels are followed, a share a frame.
const FOLLOW: f32 = 0.5;
/// How fast the gate moves, a share a frame.
const MOVE: f32 = 0.6;
/// Power of silence, so that it has a level.
const SILENCE: f32 = 1e-10;

pub(crate) struct Gate {
    /// Level of what was played and may still be heard.
    played_db: f32,
    /// Levels of what was played last.
    recent: [f32; DELAY_FRAMES],
    /// Level of its echo against that, once it has shown.
    strength_db: Option<f32>,
    /// Power at the microphone one frame ago: the canceller answers later.
    late: f32,
    heard: f32,
    left: f32,
    /// Frames for which a voice keeps the gate open.
    voice: u32,
    closed_db: f32,
}

impl Default for Gate {
    fn default() -> Self {
        Self {
            played_db: PLAYED_FLOOR_DB,
            recent: [PLAYED_FLOOR_DB; DELAY_FRAMES],
            strength_db: None,
            late: SILENCE,
            heard: SILENCE,
            left: SILENCE,
            voice: 0,
            closed_db: 0.0,
        }
    }
}

impl Gate {
    /// Hears what is being played.
    pub(crate) fn hear(&mut self, played: &Block) {
        self.recent.rotate_left(1);
        self.recent[DELAY_FRAMES - 1] = db(power(played));
        let loudest = self.recent.iter().copied().fold(PLAYED_FLOOR_DB, f32::max);
        self.played_db = loudest.max(self.played_db - DECAY_DB);
    }

    /// Works in place on what the canceller left of a frame with the power `heard`.
    pub(crate) fn clean(&mut self, heard: f32, left: &mut Block) {
        let late = std::mem::replace(&mut self.late, heard);
        self.heard += FOLLOW * (late - self.heard);
        self.left += FOLLOW * (power(left) - self.left);
        let wanted = self.wanted();
        let from = self.closed_db;
        self.closed_db += MOVE * (wanted - from);
        let (from, to) = (gain(-from), gain(-self.closed_db));
        for (n, sample) in left.iter_mut().enumerate() {
            *sample *= from + (to - from) * (n as f32 / FRAME as f32);
        }
    }

    /// How far the gate should be closed, in dB.
    fn wanted(&mut self) -> f32 {
        self.voice = self.voice.saturating_sub(1);
        if self.played_db <= PLAYED_FLOOR_DB {
            return 0.0;
        }
        let strength = db(self.heard) - self.played_db;
        if db(self.heard) - db(self.left) > ALL_ECHO_DB {
            let learnt = self.strength_db.get_or_insert(strength);
            if strength > *learnt {
                *learnt += (strength - *learnt) * LEARN_UP;
            } else if strength > *learnt - PAUSE_DB {
                *learnt += (strength - *learnt) * LEARN_DOWN;
            }
        }
        let Some(echo) = self.strength_db else { return 0.0 };
        if strength > echo + VOICE_DB {
            self.voice = VOICE_FRAMES;
        }
        if self.voice > 0 { 0.0 } else { MOST_DB * ((echo + SLOPE_DB - strength) / SLOPE_DB).clamp(0.0, 1.0) }
    }
}

/// Mean square.
pub(crate) fn power(block: &Block) -> f32 {
    block.iter().map(|sample| sample * sample).sum::<f32>() / FRAME as f32 + SILENCE
}

pub(crate) fn db(power: f32) -> f32 {
    10.0 * power.log10()
}

fn gain(db: f32) -> f32 {
    10_f32.powf(db / 20.0)
}
