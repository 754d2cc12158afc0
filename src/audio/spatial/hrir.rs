//! The measured responses and what lies between them.

use super::SpatialError;
use crate::audio::format::SAMPLE_RATE;
use resonance_protocol::position::Position;
use sofar::reader::{Filter, OpenOptions};

/// Samples a second.
const SAMPLE_RATE_HZ: f32 = SAMPLE_RATE as f32;
/// Measured directions that are blended for one in between.
const BLENDED: usize = 4;
/// A response begins where it first exceeds this share of its peak. Of 0.1, 0.2, 0.3 and the lag of the minimum-phase response,
/// this predicts the embedded set's directions from their neighbours best (correlation 0.992, 0.986, 0.973, 0.984).
const ONSET: f32 = 0.1;
/// Samples before the earliest onset of all that are kept of every response: what comes before is the way from the measuring loudspeaker to
/// the head, 4 ms in the embedded set, which nobody wants to wait for.
const LEAD: usize = 16;
/// Directions nearer than this (as a chord on the unit sphere) are one direction: 0.01°.
const SAME: f32 = 2e-4;
/// Taps after which a response is that of a room, not of a head: 43 ms.
const MAX_TAPS: usize = 2_048;
/// Taps of the fractional delay on each side of its centre.
const SINC_HALF: isize = 16;

type Direction = [f32; 3];

/// A set of head-related impulse responses at 48 kHz.
pub(super) struct HrirSet {
    /// Unit vectors: x ahead, y left, z up (SOFA's axes).
    directions: Vec<Direction>,
    /// For each direction the left and then the right response, [`Self::measured_taps`] each.
    responses: Vec<f32>,
    /// For each direction and ear: where the response begins, in samples.
    onsets: Vec<[usize; 2]>,
    /// For each direction and ear: delay to add to the response, in samples.
    delays: Vec<[f32; 2]>,
    /// Samples by which all responses begin earlier than in the file.
    #[cfg_attr(not(test), expect(dead_code, reason = "compared with the file in tests"))]
    pub lead: usize,
    measured_taps: usize,
    taps: usize,
    lowest_deg: f32,
    highest_deg: f32,
}

/// Level of a voice ahead, as a factor (−6 dB): the ear's resonance lifts its consonants by twice as much, and several people
/// may speak at once, without the limiter being heard.
pub(super) const HEADROOM: f32 = 0.5;

/// How much louder speech from straight ahead becomes, as a factor.
fn loudness_ahead(directions: &[[f32; 3]], responses: &[f32], taps: usize) -> f32 {
    let ahead =
        directions.iter().enumerate().max_by(|(_, a), (_, b)| a[0].total_cmp(&b[0])).map_or(0, |(index, _)| index);
    speech_loudness(responses.chunks_exact(taps).skip(2 * ahead).take(2))
}

/// Where a voice has its power, …
const BAND_HZ: (f32, f32) = (200.0, 2_000.0);
/// … and at how many frequencies of it is looked.
const STEPS: usize = 20;

/// Radians a sample at each frequency that is looked at.
fn speech_band() -> impl Iterator<Item = f32> {
    (0..STEPS).map(|step| {
        let hz = BAND_HZ.0 * (BAND_HZ.1 / BAND_HZ.0).powf(step as f32 / (STEPS - 1) as f32);
        std::f32::consts::TAU * hz / SAMPLE_RATE_HZ
    })
}

/// The Fourier transform at one frequency: real and imaginary part.
fn transform(taps: impl Iterator<Item = f32>, turn: f32) -> [f32; 2] {
    taps.enumerate().fold([0.0, 0.0], |[re, im], (n, tap)| {
        let (sin, cos) = (turn * n as f32).sin_cos();
        [re + tap * cos, im - tap * sin]
    })
}

/// How much louder two ears make speech, as a factor: the mean over both of the response's power where a voice has its own, 200 Hz
/// to 2 kHz. Levelled on white noise instead, whose power sits in the ear's resonance at 3–5 kHz, voices would be some 10 dB too
/// quiet.
pub(super) fn speech_loudness<'a>(ears: impl Iterator<Item = &'a [f32]>) -> f32 {
    let power: f32 = ears
        .flat_map(|response| speech_band().map(|turn| transform(response.iter().copied(), turn)))
        .map(|[re, im]| re * re + im * im)
        .sum();
    (power / (2 * STEPS) as f32).sqrt()
}

/// Samples by which two ears delay speech: the group delay there, each frequency as much as it is heard.
pub(super) fn speech_delay(ears: &[Vec<f32>; 2]) -> f32 {
    let (mut power, mut delayed) = (0.0, 0.0);
    for (response, turn) in ears.iter().flat_map(|response| speech_band().map(move |turn| (response, turn))) {
        let [re, im] = transform(response.iter().copied(), turn);
        // The derivative of the spectrum is the spectrum of the ramp times the response.
        let [late_re, late_im] = transform(response.iter().enumerate().map(|(n, tap)| n as f32 * tap), turn);
        power += re * re + im * im;
        delayed += re * late_re + im * late_im;
    }
    if power > 0.0 { delayed / power } else { 0.0 }
}

impl HrirSet {
    /// Reads, resamples and normalises; see [`super::Spatializer::from_sofa`].
    pub fn from_sofa(file: &[u8]) -> Result<Self, SpatialError> {
        // Its own interpolation is not used, so the search for neighbours that prepares it may be coarse.
        let sofa = OpenOptions::new().sample_rate(SAMPLE_RATE_HZ).neighbor_angle_step(45.0).open_data(file)?;
        let hrtf = sofa.hrtf();
        let dimensions = hrtf.dimensions();
        let (count, file_taps) = (dimensions.m as usize, dimensions.n as usize);
        let mut responses = hrtf.data_ir.values.clone();
        let positions = hrtf.source_position.values.as_slice();
        if dimensions.r != 2 || count == 0 || file_taps == 0 {
            return Err(SpatialError::Unusable("it needs two ears and at least one direction"));
        }
        if responses.len() != count * 2 * file_taps || positions.len() != count * 3 {
            return Err(SpatialError::Unusable("its arrays do not have the lengths that its dimensions say"));
        }
        if !responses.iter().chain(positions).all(|value| value.is_finite()) {
            return Err(SpatialError::Unusable("it holds numbers that are not finite"));
        }
        let directions: Vec<_> = positions.chunks_exact(3).map(|p| unit([p[0], p[1], p[2]])).collect();
        let loudness = loudness_ahead(&directions, &responses, file_taps);
        if loudness <= 0.0 {
            return Err(SpatialError::Unusable("it lets no speech through from ahead"));
        }
        responses.iter_mut().for_each(|tap| *tap *= HEADROOM / loudness);
        let elevations = || directions.iter().map(|direction| direction[2].clamp(-1.0, 1.0).asin().to_degrees());
        let (lowest_deg, highest_deg) = (elevations().fold(90.0, f32::min), elevations().fold(-90.0, f32::max));
        let lead = responses.chunks_exact(file_taps).map(onset).min().unwrap_or(0).saturating_sub(LEAD);
        let measured_taps = (file_taps - lead).min(MAX_TAPS);
        let responses: Vec<f32> = responses
            .chunks_exact(file_taps)
            .flat_map(|response| &response[lead..lead + measured_taps])
            .copied()
            .collect();
        let onsets = responses
            .chunks_exact(2 * measured_taps)
            .map(|pair| {
                let (left, right) = pair.split_at(measured_taps);
                [onset(left), onset(right)]
            })
            .collect();
        let mut delays = delays(&hrtf.data_delay.values, count)?;
        let least = delays.iter().flatten().copied().fold(f32::INFINITY, f32::min).floor();
        delays.iter_mut().flatten().for_each(|delay| *delay -= least);
        let longest = delays.iter().flatten().copied().fold(0.0, f32::max);
        let taps = measured_taps + longest.ceil() as usize;
        Ok(Self { directions, responses, onsets, delays, lead, measured_taps, taps, lowest_deg, highest_deg })
    }

    /// Length of the filters that [`Self::blend`] makes, in samples.
    pub fn taps(&self) -> usize {
        self.taps
    }

    /// Both ears' filters for a direction.
    pub fn responses(&self, direction: Position) -> [Vec<f32>; 2] {
        let mut filter = Filter::new(self.taps);
        self.blend(direction, &mut vec![0.0; self.taps], &mut filter);
        [filter.left.into_vec(), filter.right.into_vec()]
    }

    /// Writes both ears' filters for a direction into `filter`, whose two responses are [`Self::taps`] long. Elevations outside
    /// the measured range are taken at its edge. Does not allocate.
    pub fn blend(&self, position: Position, scratch: &mut [f32], filter: &mut Filter) {
        let position = position.normalised();
        let elevation_deg = position.elevation_deg.clamp(self.lowest_deg, self.highest_deg);
        let (sin_elevation, cos_elevation) = elevation_deg.to_radians().sin_cos();
        let (sin_azimuth, cos_azimuth) = position.azimuth_deg.to_radians().sin_cos();
        // SOFA's azimuth counts counter-clockwise, ours clockwise: y is to the left.
        let weights = self.weights([cos_elevation * cos_azimuth, -cos_elevation * sin_azimuth, sin_elevation]);
        for (ear, out) in [&mut filter.left, &mut filter.right].into_iter().enumerate() {
            let arrival: f32 = weights
                .iter()
                .map(|&(index, weight)| weight * (self.onsets[index][ear] as f32 + self.delays[index][ear]))
                .sum();
            let whole = arrival.round();
            scratch.fill(0.0);
            for (index, weight) in weights {
                let start = (index * 2 + ear) * self.measured_taps;
                let response = &self.responses[start..start + self.measured_taps];
                add_shifted(scratch, response, whole as isize - self.onsets[index][ear] as isize, weight);
            }
            delay_fraction(scratch, arrival - whole, out);
        }
        filter.ldelay = 0.0;
        filter.rdelay = 0.0;
    }

    /// The nearest measured directions with weights that add up to 1: a modified Shepard interpolation (Franke and Little),
    /// whose weights fall to zero where a direction leaves the neighbourhood, so that a moving voice meets no step, and which
    /// gives a measured direction back exactly.
    fn weights(&self, towards: Direction) -> [(usize, f32); BLENDED] {
        // One more than blended: its distance is where the weights end.
        let mut nearest = [(0, f32::INFINITY); BLENDED + 1];
        for (index, direction) in self.directions.iter().enumerate() {
            let distance = chord(*direction, towards);
            if distance < nearest[BLENDED].1 {
                nearest[BLENDED] = (index, distance);
                let mut slot = BLENDED;
                while slot > 0 && nearest[slot].1 < nearest[slot - 1].1 {
                    nearest.swap(slot, slot - 1);
                    slot -= 1;
                }
            }
        }
        let mut weights = [(nearest[0].0, 0.0); BLENDED];
        let reach = nearest[BLENDED].1;
        if nearest[0].1 < SAME || !reach.is_finite() {
            weights[0].1 = 1.0;
            return weights;
        }
        // A hair beyond, so that equal distances to all still leave a weight.
        let reach = reach * 1.0001;
        for (slot, &(index, distance)) in weights.iter_mut().zip(&nearest) {
            *slot = (index, ((reach - distance) / (reach * distance)).powi(2));
        }
        let sum: f32 = weights.iter().map(|(_, weight)| weight).sum();
        for (_, weight) in &mut weights {
            *weight /= sum;
        }
        weights
    }
}

fn unit(vector: Direction) -> Direction {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt().max(f32::MIN_POSITIVE);
    vector.map(|x| x / length)
}

fn chord(a: Direction, b: Direction) -> f32 {
    a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum::<f32>().sqrt()
}

fn onset(response: &[f32]) -> usize {
    let peak = response.iter().fold(0.0_f32, |peak, x| peak.max(x.abs()));
    response.iter().position(|x| x.abs() > ONSET * peak).unwrap_or(0)
}

/// `Data.Delay` for every direction and ear: the file gives one pair for all, or one pair each.
fn delays(values: &[f32], count: usize) -> Result<Vec<[f32; 2]>, SpatialError> {
    // Half a second is far beyond any real measurement.
    let sane = |pair: [f32; 2]| pair.iter().all(|delay| (0.0..SAMPLE_RATE_HZ / 2.0).contains(delay)).then_some(pair);
    let all: Option<Vec<_>> = match values.len() {
        0 => Some(vec![[0.0; 2]; count]),
        2 => sane([values[0], values[1]]).map(|pair| vec![pair; count]),
        n if n == 2 * count => values.chunks_exact(2).map(|pair| sane([pair[0], pair[1]])).collect(),
        _ => None,
    };
    all.ok_or(SpatialError::Unusable(
        "its delays are out of range, or neither one pair nor one pair for each direction",
    ))
}

/// `sum[n] += weight · response[n − shift]`
fn add_shifted(sum: &mut [f32], response: &[f32], shift: isize, weight: f32) {
    let (to, from) = if shift >= 0 { (shift as usize, 0) } else { (0, shift.unsigned_abs()) };
    if to < sum.len() && from < response.len() {
        for (s, r) in sum[to..].iter_mut().zip(&response[from..]) {
            *s += weight * r;
        }
    }
}

/// Delays by a fraction of a sample between −0.5 and 0.5: a sinc under a raised cosine.
fn delay_fraction(input: &[f32], fraction: f32, out: &mut [f32]) {
    if fraction.abs() < 1e-3 {
        out.copy_from_slice(input);
        return;
    }
    const TAPS: usize = 2 * SINC_HALF as usize + 1;
    let kernel: [f32; TAPS] = std::array::from_fn(|tap| {
        use std::f32::consts::PI;
        let x = tap as f32 - SINC_HALF as f32 - fraction;
        let window = 0.5 + 0.5 * (PI * x / (SINC_HALF as f32 + 1.0)).cos();
        window * (PI * x).sin() / (PI * x)
    });
    out.fill(0.0);
    for (tap, gain) in kernel.into_iter().enumerate() {
        add_shifted(out, input, tap as isize - SINC_HALF, gain);
    }
}
