//! The late sound of a room, one for all voices: a feedback delay network (Jot and Chaigne 1991) whose lines lose treble sooner than
//! the rest, as rooms do.

use super::BUSES;
use crate::audio::format::{QUANTUM, Quantum, SAMPLE_RATE};

/// Lines of the network, each of which ends in a bus of its own: sound from all sides, each with another.
const LINES: usize = BUSES;
/// What the diffusers give back.
const DIFFUSION: f32 = 0.6;
/// Their lengths in samples.
const DIFFUSERS: [usize; 2] = [113, 241];

/// How a room decays.
#[derive(Clone, Copy, Debug)]
pub(super) struct Decay {
    /// Seconds in which sound of low and middle pitch falls by 60 dB.
    pub rt60_s: f32,
    /// The same for the highest pitch there is.
    pub treble_s: f32,
    /// Lengths of the lines in samples: primes, so that their echoes do not fall together.
    pub lines: [usize; LINES],
    /// Energy of the late sound of a voice, in dB below that of the voice itself at a metre.
    pub level_db: f32,
}

/// One line: a delay, and what its way takes of the sound.
struct Line {
    samples: Box<[f32]>,
    at: usize,
    /// `state ← gain · sample + pole · state`
    gain: f32,
    pole: f32,
    state: f32,
}

impl Line {
    fn new(length: usize, decay: &Decay) -> Self {
        let lost = |seconds: f32| 10_f32.powf(-3.0 * length as f32 / SAMPLE_RATE as f32 / seconds);
        let (low, high) = (lost(decay.rt60_s), lost(decay.treble_s));
        // One pole, with the wanted loss at both ends of the spectrum.
        let pole = (low - high) / (low + high);
        Self { samples: vec![0.0; length].into(), at: 0, gain: low * (1.0 - pole), pole, state: 0.0 }
    }

    fn out(&mut self) -> f32 {
        self.state = self.gain * self.samples[self.at] + self.pole * self.state;
        self.state
    }

    fn put(&mut self, sample: f32) {
        self.samples[self.at] = sample;
        self.at += 1;
        if self.at == self.samples.len() {
            self.at = 0;
        }
    }
}

/// Spreads a click over time and leaves its spectrum: Schroeder's all-pass.
struct Diffuser {
    samples: Box<[f32]>,
    at: usize,
}

impl Diffuser {
    fn pass(&mut self, sample: f32) -> f32 {
        let delayed = self.samples[self.at];
        let inner = sample + DIFFUSION * delayed;
        self.samples[self.at] = inner;
        self.at += 1;
        if self.at == self.samples.len() {
            self.at = 0;
        }
        delayed - DIFFUSION * inner
    }
}

pub(super) struct Reverb {
    lines: [Line; LINES],
    diffusers: [Diffuser; DIFFUSERS.len()],
    level: f32,
}

impl Reverb {
    /// Allocates it, and finds out how loud it is by listening to its answer to a click: some milliseconds of work.
    pub fn new(decay: &Decay) -> Self {
        let mut reverb = Self::silent(decay, 1.0);
        let mut sound = [0.0; QUANTUM];
        sound[0] = 1.0;
        let mut energy = 0.0_f64;
        for _ in 0..(decay.rt60_s * SAMPLE_RATE as f32) as usize / QUANTUM + 1 {
            let mut buses = [[0.0; QUANTUM]; BUSES];
            reverb.carry(&sound, &mut buses);
            energy += buses.iter().flatten().map(|x| f64::from(*x).powi(2)).sum::<f64>();
            sound[0] = 0.0;
        }
        let level = 10_f32.powf(decay.level_db / 20.0) / (energy.max(1.0e-9) as f32).sqrt();
        Self::silent(decay, level)
    }

    fn silent(decay: &Decay, level: f32) -> Self {
        Self {
            lines: decay.lines.map(|length| Line::new(length, decay)),
            diffusers: DIFFUSERS.map(|length| Diffuser { samples: vec![0.0; length].into(), at: 0 }),
            level,
        }
    }

    /// The longest time that sound can be inside without being heard, in samples.
    pub fn longest(&self) -> usize {
        let line = self.lines.iter().map(|line| line.samples.len()).max().unwrap_or(0);
        line + DIFFUSERS.iter().sum::<usize>()
    }

    /// Takes in what all voices send, and adds what comes of it to the buses.
    pub fn carry(&mut self, sent: &Quantum, buses: &mut [Quantum; BUSES]) {
        for (n, sample) in sent.iter().enumerate() {
            let input = self.diffusers.iter_mut().fold(sample * self.level, |sound, diffuser| diffuser.pass(sound));
            let mut sounds = [0.0; LINES];
            for ((sound, line), bus) in sounds.iter_mut().zip(&mut self.lines).zip(buses.iter_mut()) {
                *sound = line.out();
                bus[n] += *sound;
            }
            mix(&mut sounds);
            for (index, (line, sound)) in self.lines.iter_mut().zip(sounds).enumerate() {
                line.put(sound + if index % 2 == 0 { input } else { -input });
            }
        }
    }

    /// Forgets what is inside.
    pub fn clear(&mut self) {
        for line in &mut self.lines {
            line.samples.fill(0.0);
            line.state = 0.0;
        }
        for diffuser in &mut self.diffusers {
            diffuser.samples.fill(0.0);
        }
    }
}

/// Hands each line's sound to all of them without gain or loss: a Hadamard matrix in three steps.
fn mix(sounds: &mut [f32; LINES]) {
    let mut half = 1;
    while half < LINES {
        for start in (0..LINES).step_by(2 * half) {
            for at in start..start + half {
                let (a, b) = (sounds[at], sounds[at + half]);
                (sounds[at], sounds[at + half]) = (a + b, a - b);
            }
        }
        half *= 2;
    }
    const SCALE: f32 = 0.353_553_4;
    sounds.iter_mut().for_each(|sound| *sound *= SCALE);
}
