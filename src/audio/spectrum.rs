//! What a voice is made of, for eyes: its power in bands as ears divide it, worked out on the app's thread from what an audio thread lets
//! fall into a ring while somebody looks.

use super::format::SILENCE_DB;
use super::level::power_db;
use super::rings;
use realfft::num_complex::Complex;
use realfft::{RealFftPlanner, RealToComplex};
use rtrb::{Consumer, Producer};
use std::array;
use std::f32::consts::TAU;
use std::sync::Arc;

/// Bands.
pub const BANDS: usize = 17;
/// The lowest edge and the highest, in Hz: what there is of a voice.
const EDGES_HZ: (f32, f32) = (80.0, 12_000.0);
/// Samples that are looked at: 43 ms, so that the lowest band has a bin of its own.
const WINDOW: usize = 2_048;
/// New samples that are worth a look: 21 ms.
const FRESH: usize = WINDOW / 2;

/// Power in each band in dBFS (a full-scale square wave is 0), the lowest first.
pub type Bands = [f32; BANDS];

/// Watches one voice for as long as it lives.
pub struct Spectrum {
    ring: Consumer<f32>,
    fft: Arc<dyn RealToComplex<f32>>,
    window: Vec<f32>,
    /// The newest samples, oldest first.
    samples: Vec<f32>,
    fresh: usize,
    input: Vec<f32>,
    bins: Vec<Complex<f32>>,
    scratch: Vec<Complex<f32>>,
    bands: Bands,
}

impl Spectrum {
    /// A watcher, and the end of its ring for the thread that has the voice.
    pub fn new() -> (Self, Producer<f32>) {
        let (producer, ring) = rings::watch();
        let fft = RealFftPlanner::new().plan_fft_forward(WINDOW);
        let hann = |n: usize| 0.5 - 0.5 * (TAU * n as f32 / WINDOW as f32).cos();
        let spectrum = Self {
            ring,
            window: (0..WINDOW).map(hann).collect(),
            samples: vec![0.0; WINDOW],
            fresh: 0,
            input: fft.make_input_vec(),
            bins: fft.make_output_vec(),
            scratch: fft.make_scratch_vec(),
            fft,
            bands: [SILENCE_DB; BANDS],
        };
        (spectrum, producer)
    }

    /// The bands as they are now.
    pub fn bands(&mut self) -> Bands {
        self.take();
        if self.fresh >= FRESH {
            self.fresh = 0;
            self.work_out();
        }
        self.bands
    }

    fn take(&mut self) {
        let waiting = self.ring.slots();
        let Ok(chunk) = self.ring.read_chunk(waiting) else { return };
        self.samples.extend(chunk);
        let old = self.samples.len().saturating_sub(WINDOW);
        self.samples.drain(..old);
        self.fresh += waiting;
    }

    fn work_out(&mut self) {
        for ((input, sample), weight) in self.input.iter_mut().zip(&self.samples).zip(&self.window) {
            *input = sample * weight;
        }
        if self.fft.process_with_scratch(&mut self.input, &mut self.bins, &mut self.scratch).is_err() {
            return;
        }
        // Parseval: the power of all bins, each there twice, is that of the samples.
        let weight: f32 = self.window.iter().map(|weight| weight * weight).sum();
        let scale = 2.0 / (WINDOW as f32 * weight);
        let bins = &self.bins;
        self.bands = array::from_fn(|band| {
            let bins = bins.get(first_bin(band)..first_bin(band + 1)).unwrap_or_default();
            power_db(scale * bins.iter().map(Complex::norm_sqr).sum::<f32>())
        });
    }
}

/// The first bin of a band: as far from that of the next as ears tell pitches apart.
fn first_bin(band: usize) -> usize {
    let (lowest, highest) = EDGES_HZ;
    let edge_hz = lowest * (highest / lowest).powf(band as f32 / BANDS as f32);
    (edge_hz * WINDOW as f32 / super::format::SAMPLE_RATE as f32).ceil() as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::format::SAMPLE_RATE;

    fn sine(hz: f32, amplitude: f32, samples: usize) -> Vec<f32> {
        (0..samples).map(|n| amplitude * (TAU * hz * n as f32 / SAMPLE_RATE as f32).sin()).collect()
    }

    fn loudest(bands: &Bands) -> usize {
        (0..BANDS).max_by(|a, b| bands[*a].total_cmp(&bands[*b])).unwrap_or(0)
    }

    #[test]
    fn a_tone_is_in_its_band_as_loud_as_it_is() {
        for hz in [90.0, 440.0, 1_000.0, 3_300.0, 9_000.0] {
            let (mut spectrum, mut voice) = Spectrum::new();
            let _ = voice.push_entire_slice(&sine(hz, 0.1, 4_000));
            let bands = spectrum.bands();
            let band = loudest(&bands);
            let bin = (hz * WINDOW as f32 / SAMPLE_RATE as f32).round() as usize;
            assert!((first_bin(band)..first_bin(band + 1)).contains(&bin), "{hz} Hz is in band {band}");
            assert!((bands[band] + 23.0).abs() < 3.5, "{hz} Hz: {} dB, of -23", bands[band]);
            let quiet = bands.iter().enumerate().filter(|(other, _)| other.abs_diff(band) > 3);
            assert!(quiet.clone().all(|(_, db)| *db < -50.0), "{hz} Hz: {bands:?}");
        }
    }

    #[test]
    fn every_band_has_a_bin_of_its_own() {
        assert!((0..BANDS).all(|band| first_bin(band) < first_bin(band + 1)));
        assert!(first_bin(BANDS) <= WINDOW / 2);
    }

    #[test]
    fn what_was_let_fall_while_nobody_looked_is_of_no_matter() {
        let (mut spectrum, mut voice) = Spectrum::new();
        assert_eq!(spectrum.bands(), [SILENCE_DB; BANDS]);
        let mut let_fall = 0;
        for _ in 0..1_000 {
            let samples = sine(1_000.0, 0.5, 96);
            let_fall += voice.push_partial_slice(&samples).1.len();
        }
        assert!(let_fall > 50_000, "a ring that is full stays as it is");
        assert!(spectrum.bands().iter().any(|db| *db > -12.0));
        let _ = voice.push_partial_slice(&[0.0; 3_000]);
        assert!(spectrum.bands().iter().all(|db| *db < -60.0), "silence is seen at once");
    }
}
