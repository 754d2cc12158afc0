//! Rates other than 48 kHz, inside the callbacks: pieces of any size go in and come out, nothing allocates.

use crate::audio::format::SAMPLE_RATE;
use audioadapter_buffers::direct::InterleavedSlice;
use rubato::{Async, FixedAsync, Resampler, ResamplerConstructionError, SincInterpolationParameters, WindowFunction};

/// Frames that are converted at once: 1.3 ms at 48 kHz.
const CHUNK: usize = 64;
/// Length of the filter, in samples of the lower rate: flat to 20 kHz between 44.1 and 48 kHz, and as much delay as half of it.
const FILTER: usize = 128;

fn resampler(from: u32, to: u32, channels: usize, fixed: FixedAsync) -> Result<Async<f32>, ResamplerConstructionError> {
    let filter = SincInterpolationParameters::new(FILTER, WindowFunction::BlackmanHarris2);
    Async::new_sinc(f64::from(to) / f64::from(from), 1.0, &filter, CHUNK, channels, fixed)
}

/// From a microphone's rate to 48 kHz, mono.
pub(super) struct FromDevice {
    resampler: Async<f32>,
    waiting: Vec<f32>,
    made: Vec<f32>,
}

impl FromDevice {
    /// # Errors
    /// The rate is zero or absurd.
    pub fn new(rate: u32) -> Result<Self, ResamplerConstructionError> {
        let resampler = resampler(rate, SAMPLE_RATE, 1, FixedAsync::Input)?;
        let made = vec![0.0; resampler.output_frames_max()];
        Ok(Self { resampler, waiting: Vec::with_capacity(CHUNK), made })
    }

    /// Takes any number of samples and hands on what they make, in pieces.
    pub fn push(&mut self, mut samples: &[f32], mut deliver: impl FnMut(&[f32])) {
        while !samples.is_empty() {
            let (now, later) = samples.split_at(samples.len().min(CHUNK - self.waiting.len()));
            self.waiting.extend_from_slice(now);
            samples = later;
            if self.waiting.len() == CHUNK {
                deliver(convert(&mut self.resampler, &self.waiting, &mut self.made, 1));
                self.waiting.clear();
            }
        }
    }
}

/// From 48 kHz to a speaker's rate, stereo.
pub(super) struct ToDevice {
    resampler: Async<f32>,
    taken: Vec<[f32; 2]>,
    made: [[f32; 2]; CHUNK],
    /// Frames of `made` that were given away.
    given: usize,
}

impl ToDevice {
    /// # Errors
    /// The rate is zero or absurd.
    pub fn new(rate: u32) -> Result<Self, ResamplerConstructionError> {
        let resampler = resampler(SAMPLE_RATE, rate, 2, FixedAsync::Output)?;
        let taken = vec![[0.0; 2]; resampler.input_frames_max()];
        Ok(Self { resampler, taken, made: [[0.0; 2]; CHUNK], given: CHUNK })
    }

    /// The most frames at 48 kHz that the next so many of the device's take.
    #[cfg(target_os = "linux")]
    pub fn wants(&self, frames: usize) -> usize {
        frames.saturating_sub(CHUNK - self.given).div_ceil(CHUNK) * self.taken.len()
    }

    /// Fills `out`, taking frames at 48 kHz from `source` as they are needed.
    pub fn pull(&mut self, out: &mut [[f32; 2]], mut source: impl FnMut(&mut [[f32; 2]])) {
        let mut filled = 0;
        while filled < out.len() {
            if self.given == CHUNK {
                let wanted = self.resampler.input_frames_next().min(self.taken.len());
                let input = &mut self.taken[..wanted];
                source(input);
                convert(&mut self.resampler, input.as_flattened(), self.made.as_flattened_mut(), 2);
                self.given = 0;
            }
            let now = (out.len() - filled).min(CHUNK - self.given);
            out[filled..filled + now].copy_from_slice(&self.made[self.given..self.given + now]);
            filled += now;
            self.given += now;
        }
    }
}

/// Converts one chunk; silence where the resampler refuses, which it does for wrong lengths only.
fn convert<'a>(resampler: &mut Async<f32>, input: &[f32], output: &'a mut [f32], channels: usize) -> &'a [f32] {
    let room = output.len() / channels;
    let frames = match (
        InterleavedSlice::new(input, channels, input.len() / channels),
        InterleavedSlice::new_mut(output, channels, room),
    ) {
        (Ok(from), Ok(mut to)) => resampler.process_into_buffer(&from, &mut to, None).map(|(_, made)| made).ok(),
        _ => None,
    };
    match frames {
        Some(frames) => &output[..frames * channels],
        None => {
            output.fill(0.0);
            output
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tone(rate: u32, seconds: f32) -> Vec<f32> {
        let samples = (rate as f32 * seconds) as usize;
        (0..samples)
            .map(|n| 0.5 * (n as f64 * 1_000.0 * std::f64::consts::TAU / f64::from(rate)).sin() as f32)
            .collect()
    }

    /// Signal over everything that is not the signal, in dB, after the best sine of 1 kHz is taken out.
    fn purity_db(sound: &[f32]) -> f64 {
        let (mut sine, mut cosine, mut energy) = (0.0, 0.0, 0.0);
        for (n, sample) in sound.iter().enumerate() {
            let (s, c) = (n as f64 * 1_000.0 * std::f64::consts::TAU / f64::from(SAMPLE_RATE)).sin_cos();
            sine += s * f64::from(*sample);
            cosine += c * f64::from(*sample);
            energy += f64::from(*sample).powi(2);
        }
        let signal = 2.0 * (sine * sine + cosine * cosine) / sound.len() as f64;
        10.0 * (signal / (energy - signal).max(1e-12)).log10()
    }

    #[test]
    fn a_microphone_at_44_1_khz_keeps_its_tone_and_its_pace() {
        for rate in [8_000, 44_100, 96_000] {
            let mut from = FromDevice::new(rate).expect("a sane rate");
            let mut got = Vec::new();
            for piece in tone(rate, 2.0).chunks(317) {
                from.push(piece, |samples| got.extend_from_slice(samples));
            }
            assert!((95_000..=96_100).contains(&got.len()), "{rate} Hz: {} samples", got.len());
            let middle = &got[24_000..72_000];
            assert!(purity_db(middle) > 80.0, "{rate} Hz: {} dB", purity_db(middle));
        }
    }

    #[test]
    fn a_speaker_at_44_1_khz_takes_48_khz_in_any_pieces() {
        let mut to = ToDevice::new(44_100).expect("a sane rate");
        let sound = tone(SAMPLE_RATE, 2.0);
        let mut taken = 0;
        let mut played = Vec::new();
        for size in [441, 882, 13, 1, 500].into_iter().cycle().take(200) {
            let mut out = vec![[9.0; 2]; size];
            to.pull(&mut out, |frames| {
                for frame in frames {
                    *frame = [sound[taken % 96_000], -sound[taken % 96_000]];
                    taken += 1;
                }
            });
            played.extend(out);
        }
        let expected = played.len() as f64 * 48_000.0 / 44_100.0;
        assert!((taken as f64 - expected).abs() < 400.0, "{taken} for {expected}");
        assert!(played.iter().all(|[left, right]| (left + right).abs() < 1e-6 && left.abs() < 0.51));
    }
}
