//! Short sounds that say what happened without a word: a few soft notes, made while they are played.

use super::format::{QUANTUM, Quantum, SAMPLE_RATE};
use std::f32::consts::{PI, TAU};

/// What a sound says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cue {
    /// Somebody came: up.
    Joined,
    /// Somebody went: down.
    Left,
    /// Somebody is not heard any more, and is looked for: twice the same, low.
    Lost,
    /// Somebody is heard again: twice the same, then up.
    Back,
    /// Somebody wants to come in: knocks, high.
    Knock,
}

/// How long a note sounds, in ms.
const NOTE_MS: f32 = 140.0;
/// A note's peak: −20 dBFS, under every voice.
const PEAK: f32 = 0.1;
/// How fast a note begins, in ms: soft, without a click.
const ATTACK_MS: f32 = 8.0;
/// Sounds that may wait for their turn; what comes on top of them says no more than they do.
const WAITING: usize = 3;

impl Cue {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Joined, Self::Left, Self::Lost, Self::Back, Self::Knock];

    /// Its notes: pitch in Hz, and beginning in ms.
    fn notes(self) -> &'static [(f32, f32)] {
        match self {
            Self::Joined => &[(523.3, 0.0), (784.0, 90.0)],
            Self::Left => &[(784.0, 0.0), (523.3, 90.0)],
            Self::Lost => &[(261.6, 0.0), (261.6, 180.0)],
            Self::Back => &[(392.0, 0.0), (392.0, 90.0), (523.3, 180.0)],
            Self::Knock => &[(1046.5, 0.0), (1046.5, 120.0), (1046.5, 240.0)],
        }
    }

    /// Samples from its beginning to its end.
    fn samples(self) -> usize {
        let last_ms = self.notes().iter().fold(0.0_f32, |last, (_, at_ms)| last.max(*at_ms));
        ((last_ms + NOTE_MS) * SAMPLE_RATE as f32 / 1_000.0) as usize
    }

    fn sample(self, at: usize) -> f32 {
        let ms = at as f32 * 1_000.0 / SAMPLE_RATE as f32;
        let since = self.notes().iter().map(|(pitch_hz, at_ms)| (pitch_hz, ms - at_ms));
        let sounding = since.filter(|(_, ms)| (0.0..NOTE_MS).contains(ms));
        sounding.map(|(pitch_hz, ms)| loudness(ms) * (TAU * pitch_hz * ms / 1_000.0).sin()).sum()
    }
}

/// Of a note, so many ms after its beginning: quickly up, slowly down to nothing.
fn loudness(ms: f32) -> f32 {
    let up = (ms / ATTACK_MS).min(1.0);
    let down = 0.5 + 0.5 * (PI * ms / NOTE_MS).cos();
    PEAK * up * down
}

/// Plays them one after the other.
///
/// Real-time: does not allocate, free, lock, block, log or panic.
#[derive(Debug, Default)]
pub struct Cues {
    waiting: [Option<Cue>; WAITING],
    /// Samples of the first one that were played.
    played: usize,
}

impl Cues {
    /// Plays one as soon as those before it are over.
    pub fn play(&mut self, cue: Cue) {
        if let Some(free) = self.waiting.iter_mut().find(|place| place.is_none()) {
            *free = Some(cue);
        }
    }

    /// The next 2.5 ms; `None` when there is nothing to hear.
    pub fn render(&mut self) -> Option<Quantum> {
        let [first, ..] = self.waiting;
        let cue = first?;
        let mut block = [0.0; QUANTUM];
        for (sample, at) in block.iter_mut().zip(self.played..cue.samples()) {
            *sample = cue.sample(at);
        }
        self.played += QUANTUM;
        if self.played >= cue.samples() {
            self.played = 0;
            self.waiting.rotate_left(1);
            if let Some(last) = self.waiting.last_mut() {
                *last = None;
            }
        }
        Some(block)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All of a sound.
    fn sound(cue: Cue) -> Vec<f32> {
        let mut cues = Cues::default();
        cues.play(cue);
        std::iter::from_fn(|| cues.render()).flatten().collect()
    }

    #[test]
    fn each_is_short_soft_and_begins_and_ends_in_silence() {
        for cue in Cue::ALL {
            let sound = sound(cue);
            assert!(
                (0.2..0.5).contains(&(sound.len() as f32 / SAMPLE_RATE as f32)),
                "{cue:?}: {} samples",
                sound.len()
            );
            let peak = sound.iter().fold(0.0_f32, |peak, sample| peak.max(sample.abs()));
            assert!((0.03..0.2).contains(&peak), "{cue:?}: {peak}");
            assert!(
                sound.iter().take(5).chain(sound.iter().rev().take(5)).all(|sample| sample.abs() < 0.001),
                "{cue:?}"
            );
            // Nothing jumps: from one sample to the next less than the highest note at its peak does, for two notes at once.
            let steepest = sound.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
            assert!(steepest < 2.0 * PEAK * TAU * 1_046.5 / SAMPLE_RATE as f32, "{cue:?}: {steepest}");
        }
    }

    #[test]
    fn no_two_sound_alike() {
        let sounds = Cue::ALL.map(sound);
        for (index, one) in sounds.iter().enumerate() {
            for other in &sounds[index + 1..] {
                let apart: f32 = one.iter().zip(other).map(|(a, b)| (a - b) * (a - b)).sum();
                let power: f32 = one.iter().map(|a| a * a).sum();
                assert!(apart > power / 2.0, "{apart} of {power}");
            }
        }
    }

    #[test]
    fn they_wait_for_one_another_and_a_crowd_of_them_is_cut_short() {
        let mut cues = Cues::default();
        assert_eq!(cues.render(), None);
        for _ in 0..10 {
            cues.play(Cue::Joined);
        }
        let blocks = std::iter::from_fn(|| cues.render()).count();
        assert_eq!(blocks, WAITING * sound(Cue::Joined).len() / QUANTUM);
    }
}
