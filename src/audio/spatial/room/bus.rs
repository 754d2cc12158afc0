//! A few directions that all reflections and the late sound come from: what goes to each is heard with the measured ears there, for
//! the price of one transform a direction and two for the ears.

use super::BUSES;
use crate::audio::format::{QUANTUM, Quantum};
use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};
use std::sync::Arc;

const TRANSFORM: usize = 2 * QUANTUM;
const BINS: usize = QUANTUM + 1;
/// Parts of a response, each as long as what is rendered at a time.
const PARTS: usize = 2;
/// Taps of the responses that are used: what is later than 5 ms adds nothing to sound from everywhere.
const TAPS: usize = PARTS * QUANTUM;
/// Longer ones end softly over so many of them.
const SOFT_END: usize = 40;

type Spectrum = [Complex<f32>; BINS];

/// What goes to one direction.
struct Bus {
    /// What went there before.
    before: Quantum,
    /// The spectra of the last blocks, the newest at `newest`.
    spectra: [Spectrum; PARTS],
    /// For each ear the parts of its response there.
    head: [[Spectrum; PARTS]; 2],
}

/// Convolves every bus with both ears' responses (uniformly partitioned overlap-save), and adds them up.
pub(super) struct Buses {
    forward: Arc<dyn RealToComplex<f32>>,
    inverse: Arc<dyn ComplexToReal<f32>>,
    buses: Vec<Bus>,
    newest: usize,
    time: [f32; TRANSFORM],
    scratch: Box<[Complex<f32>]>,
}

impl Buses {
    /// Allocates it, for these pairs of responses.
    pub fn new(responses: [[Vec<f32>; 2]; BUSES]) -> Self {
        let mut planner = RealFftPlanner::new();
        let (forward, inverse) = (planner.plan_fft_forward(TRANSFORM), planner.plan_fft_inverse(TRANSFORM));
        let scratch = forward.get_scratch_len().max(inverse.get_scratch_len());
        let mut buses = Self {
            forward,
            inverse,
            buses: Vec::with_capacity(BUSES),
            newest: 0,
            time: [0.0; TRANSFORM],
            scratch: vec![Complex::default(); scratch].into(),
        };
        for pair in responses {
            let head = pair.map(|response| std::array::from_fn(|part| buses.part(&response, part)));
            let silence = [Complex::default(); BINS];
            buses.buses.push(Bus { before: [0.0; QUANTUM], spectra: [silence; PARTS], head });
        }
        buses
    }

    /// The spectrum of one part of a response.
    fn part(&mut self, response: &[f32], part: usize) -> Spectrum {
        self.time.fill(0.0);
        let taps = response.iter().enumerate().skip(part * QUANTUM).take(QUANTUM);
        for (to, (n, tap)) in self.time.iter_mut().zip(taps) {
            let end = if response.len() > TAPS { ((TAPS - n) as f32 / SOFT_END as f32).min(1.0) } else { 1.0 };
            // The inverse transform multiplies by its length.
            *to = tap * end / TRANSFORM as f32;
        }
        let mut spectrum = [Complex::default(); BINS];
        transform(&*self.forward, &mut self.time, &mut spectrum, &mut self.scratch);
        spectrum
    }

    /// What both ears hear of these buses, written over `left` and `right`.
    pub fn render(&mut self, sounds: &[Quantum; BUSES], left: &mut Quantum, right: &mut Quantum) {
        self.newest = (self.newest + PARTS - 1) % PARTS;
        let mut sums = [[Complex::default(); BINS]; 2];
        for (bus, sound) in self.buses.iter_mut().zip(sounds) {
            self.time[..QUANTUM].copy_from_slice(&bus.before);
            self.time[QUANTUM..].copy_from_slice(sound);
            bus.before = *sound;
            transform(&*self.forward, &mut self.time, &mut bus.spectra[self.newest], &mut self.scratch);
            for (sum, parts) in sums.iter_mut().zip(&bus.head) {
                for (age, part) in parts.iter().enumerate() {
                    let spectrum = &bus.spectra[(self.newest + age) % PARTS];
                    for ((sum, sound), head) in sum.iter_mut().zip(spectrum).zip(part) {
                        *sum += sound * head;
                    }
                }
            }
        }
        let scratch = self.inverse.get_scratch_len();
        for (sum, out) in sums.iter_mut().zip([left, right]) {
            // Both ends are real numbers by what they are; rounding may leave a trifle that the transform refuses.
            sum[0].im = 0.0;
            sum[BINS - 1].im = 0.0;
            match self.inverse.process_with_scratch(sum, &mut self.time, &mut self.scratch[..scratch]) {
                Ok(()) => out.copy_from_slice(&self.time[QUANTUM..]),
                // Lengths are fixed where this is made.
                Err(_) => out.fill(0.0),
            }
        }
    }

    /// Forgets what it heard.
    pub fn clear(&mut self) {
        for bus in &mut self.buses {
            bus.before.fill(0.0);
            bus.spectra = [[Complex::default(); BINS]; PARTS];
        }
    }
}

/// Transforms `time`, which is lost.
fn transform(
    forward: &dyn RealToComplex<f32>,
    time: &mut [f32; TRANSFORM],
    spectrum: &mut Spectrum,
    scratch: &mut [Complex<f32>],
) {
    let scratch = &mut scratch[..forward.get_scratch_len()];
    if forward.process_with_scratch(time, spectrum, scratch).is_err() {
        spectrum.fill(Complex::default());
    }
}
