//! What a microphone hears of a loudspeaker in the same room, made up: rooms, clocks that differ, noise. The same numbers every time.

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use realfft::RealFftPlanner;
use resonance_voice::SAMPLE_RATE;
use std::f64::consts::PI;

const RATE: f64 = SAMPLE_RATE as f64;

/// A random number, very nearly of the normal distribution: the sum of twelve even ones.
fn normal(rng: &mut StdRng) -> f32 {
    (0..12).map(|_| rng.random::<f32>()).sum::<f32>() - 6.0
}

/// The way from a loudspeaker to a microphone at arm's length: direct sound, then a tail of noise that falls by 60 dB in `rt60` seconds
/// and is the stronger the longer it lasts (at 0.6 s 6 dB below the direct sound, as a hand's breadth from a laptop in a room of 50 m³).
pub fn room(rt60: f64, seed: u64) -> Vec<f32> {
    const DIRECT: usize = 70;
    let mut rng = StdRng::seed_from_u64(seed);
    let mut tail: Vec<f32> = (0..(rt60 * RATE) as usize)
        .map(|n| normal(&mut rng) * 10_f32.powf(-3.0 * (n as f64 / (rt60 * RATE)) as f32))
        .collect();
    // The tail begins two milliseconds behind the direct sound.
    tail[..DIRECT + 96].fill(0.0);
    let scale = (rt60 / 2.4 / energy(&tail)).sqrt() as f32;
    tail.iter_mut().for_each(|sample| *sample *= scale);
    tail[DIRECT] = 1.0;
    tail
}

/// `sound` as it is behind `response`; as long as `sound`.
pub fn convolve(sound: &[f32], response: &[f32]) -> Vec<f32> {
    let size = (sound.len() + response.len()).next_power_of_two();
    let mut planner = RealFftPlanner::<f32>::new();
    let (forward, backward) = (planner.plan_fft_forward(size), planner.plan_fft_inverse(size));
    let spectrum = |samples: &[f32]| {
        let mut padded = samples.to_vec();
        padded.resize(size, 0.0);
        let mut spectrum = forward.make_output_vec();
        forward.process(&mut padded, &mut spectrum).expect("right lengths");
        spectrum
    };
    let mut product = spectrum(sound);
    product.iter_mut().zip(spectrum(response)).for_each(|(a, b)| *a *= b);
    // Rounding leaves a trace where a real signal has none.
    product[0].im = 0.0;
    product[size / 2].im = 0.0;
    let mut out = backward.make_output_vec();
    backward.process(&mut product, &mut out).expect("right lengths");
    out[..sound.len()].iter().map(|sample| sample / size as f32).collect()
}

/// `sound` so many samples later.
pub fn later(sound: &[f32], samples: usize) -> Vec<f32> {
    std::iter::repeat_n(0.0, samples).chain(sound.iter().copied()).take(sound.len()).collect()
}

/// `sound` read by a clock that runs faster by so many millionths.
pub fn drifted(sound: &[f32], millionths: f64) -> Vec<f32> {
    const HALF: isize = 16;
    let read = |at: f64| {
        let whole = at.floor();
        (-HALF + 1..=HALF)
            .filter_map(|k| {
                let sample = *sound.get(usize::try_from(whole as isize + k).ok()?)?;
                let x = at - whole - k as f64;
                let sinc = if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) };
                let window = (PI * x / (2.0 * HALF as f64)).cos().powi(2);
                Some(f64::from(sample) * sinc * window)
            })
            .sum::<f64>() as f32
    };
    (0..sound.len()).map(|n| read(n as f64 / (1.0 + millionths * 1e-6))).collect()
}

/// A fan: noise that falls with 6 dB per octave above 400 Hz, at this level in dBFS.
pub fn fan(samples: usize, level_db: f64, seed: u64) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(seed);
    let mut low = 0.0;
    let noise: Vec<f32> = (0..samples)
        .map(|_| {
            low += 0.05 * (normal(&mut rng) - low);
            low
        })
        .collect();
    at_level(&noise, level_db)
}

/// White noise at this level in dBFS.
pub fn hiss(samples: usize, level_db: f64, seed: u64) -> Vec<f32> {
    let mut rng = StdRng::seed_from_u64(seed);
    let noise: Vec<f32> = (0..samples).map(|_| normal(&mut rng)).collect();
    at_level(&noise, level_db)
}

/// `sound` brought to this level in dBFS.
pub fn at_level(sound: &[f32], level_db: f64) -> Vec<f32> {
    let gain = 10_f64.powf((level_db - level(sound)) / 20.0) as f32;
    sound.iter().map(|sample| sample * gain).collect()
}

/// Both at once.
pub fn mixed(one: &[f32], other: &[f32]) -> Vec<f32> {
    one.iter().zip(other).map(|(a, b)| a + b).collect()
}

/// Sum of squares.
pub fn energy(sound: &[f32]) -> f64 {
    sound.iter().map(|sample| f64::from(*sample).powi(2)).sum()
}

/// Mean square in dBFS.
pub fn level(sound: &[f32]) -> f64 {
    10.0 * (energy(sound) / sound.len().max(1) as f64).max(1e-14).log10()
}
