//! Speech to play, and what came of it: WAV files, lag by cross-correlation, likeness, gaps.
//!
//! The speech is real: eight short prompts spoken by one voice, which Debian's package `alsa-utils` ships for testing loudspeakers.

use realfft::RealFftPlanner;
use realfft::num_complex::Complex;
use std::path::{Path, PathBuf};

/// Samples per second of everything here.
pub const RATE: usize = 48_000;

/// The recordings: each says its name.
pub const PROMPTS: [&str; 8] =
    ["Front_Center", "Front_Left", "Front_Right", "Rear_Center", "Rear_Left", "Rear_Right", "Side_Left", "Side_Right"];

const PROMPT_FOLDER: &str = "/usr/share/sounds/alsa";

/// A file's samples; more than one channel is kept interleaved.
pub struct Wav {
    /// Samples per second.
    pub rate: usize,
    /// Channels.
    pub channels: usize,
    /// Interleaved samples, −1 to 1.
    pub samples: Vec<f32>,
}

/// Reads PCM (16, 24, 32 bits) or float WAV. A file whose writer was killed (lengths still zero, last sample cut) is read as far as it goes.
///
/// # Panics
/// When it is not such a file.
pub fn read(path: &Path) -> Wav {
    let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    assert!(
        bytes.len() >= 12 && &bytes[..4] == b"RIFF" && &bytes[8..12] == b"WAVE",
        "{} is no WAV file",
        path.display()
    );
    let number = |at: usize, width: usize| {
        bytes[at..at + width].iter().rev().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte))
    };
    let (mut at, mut format) = (12, None);
    while at + 8 <= bytes.len() {
        let (name, length, body) = (&bytes[at..at + 4], number(at + 4, 4), at + 8);
        if name == b"fmt " {
            // An extensible header carries the real format code in its sub-format.
            let code = if number(body, 2) == 0xfffe { number(body + 24, 2) } else { number(body, 2) };
            format = Some((code, number(body + 2, 2), number(body + 4, 4), number(body + 14, 2)));
        } else if name == b"data" {
            let end = if length == 0 { bytes.len() } else { (body + length).min(bytes.len()) };
            let (code, channels, rate, bits) = format.expect("the format comes before the data");
            let samples = bytes[body..end].chunks_exact(bits / 8).map(|sample| decode(code, sample)).collect();
            return Wav { rate, channels, samples };
        }
        at = body + length + length % 2;
    }
    panic!("{} holds no sound", path.display());
}

fn decode(code: usize, sample: &[u8]) -> f32 {
    match (code, sample) {
        (1, &[a, b]) => f32::from(i16::from_le_bytes([a, b])) / 32_768.0,
        (1, &[a, b, c]) => i32::from_le_bytes([0, a, b, c]) as f32 / 2_147_483_648.0,
        (1, &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]) as f32 / 2_147_483_648.0,
        (3, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
        _ => panic!("WAV format {code} with {} bytes a sample", sample.len()),
    }
}

/// Reads a mono file at 48 kHz.
///
/// # Panics
/// When it is anything else.
pub fn read_mono(path: &Path) -> Vec<f32> {
    let wav = read(path);
    assert_eq!((wav.rate, wav.channels), (RATE, 1), "{} is mono at 48 kHz", path.display());
    wav.samples
}

/// Writes a mono file: 48 kHz, 16 bits.
pub fn write(path: &Path, samples: &[f32]) {
    let format = hound::WavSpec {
        channels: 1,
        sample_rate: RATE as u32,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, format).expect("a writable file");
    for sample in samples {
        writer.write_sample((sample.clamp(-1.0, 1.0) * 32_767.0) as i16).expect("a writable file");
    }
    writer.finalize().expect("a writable file");
}

/// The recordings, if they are installed.
pub fn prompts() -> Option<Vec<Vec<f32>>> {
    let files = PROMPTS.map(|name| PathBuf::from(PROMPT_FOLDER).join(format!("{name}.wav")));
    files.iter().all(|file| file.is_file()).then(|| files.iter().map(|file| read_mono(file)).collect())
}

/// Real speech of that many seconds: the prompts one after another from the `first`, a quarter of a second apart, again from the start when they end.
pub fn speech(prompts: &[Vec<f32>], first: usize, seconds: usize) -> Vec<f32> {
    let pause = vec![0.0; RATE / 4];
    let mut samples = Vec::with_capacity((seconds + 2) * RATE);
    for prompt in prompts.iter().cycle().skip(first) {
        samples.extend_from_slice(prompt);
        samples.extend_from_slice(&pause);
        if samples.len() >= seconds * RATE {
            break;
        }
    }
    samples.truncate(seconds * RATE);
    samples
}

/// How long one round of a [`voice`] takes. A shorter one would be like the others by chance: all of them are one person's.
pub const VOICE_SECONDS: usize = 10;

/// One of five unlike voices, ten seconds to be repeated: two prompts in turn, at a speed of the voice's own, and so of its own pitch and formants,
/// which changes a little from prompt to prompt. The first four voices share no prompt; the fifth says two of theirs at another speed.
pub fn voice(prompts: &[Vec<f32>], index: usize) -> Vec<f32> {
    /// Two prompts and their speed.
    const CAST: [(usize, usize, f32); 5] = [(0, 4, 1.00), (1, 7, 1.12), (3, 6, 1.25), (2, 5, 1.40), (4, 2, 1.55)];
    /// For each pair of prompts.
    const CHANGES: [f32; 6] = [1.00, 1.12, 0.92, 1.06, 0.97, 1.18];
    let (one, other, speed) = CAST[index];
    let mut samples = Vec::with_capacity((VOICE_SECONDS + 2) * RATE);
    for change in CHANGES.iter().cycle() {
        for prompt in [one, other] {
            samples.extend(at_speed(&prompts[prompt], speed * change));
            samples.extend([0.0; RATE / 10]);
        }
        if samples.len() >= VOICE_SECONDS * RATE {
            break;
        }
    }
    samples.truncate(VOICE_SECONDS * RATE);
    samples
}

fn at_speed(samples: &[f32], speed: f32) -> Vec<f32> {
    let count = ((samples.len() - 1) as f32 / speed) as usize;
    (0..count)
        .map(|index| {
            let position = index as f64 * f64::from(speed);
            let (before, part) = (position as usize, position.fract() as f32);
            samples[before] * (1.0 - part) + samples[before + 1] * part
        })
        .collect()
}

/// Where `needle` lies in `haystack` (samples from its start), and how like the two are there: normalised correlation, −1 to 1.
///
/// # Panics
/// When the haystack is shorter than the needle.
pub fn find(needle: &[f32], haystack: &[f32]) -> (usize, f32) {
    assert!(haystack.len() >= needle.len(), "{} samples are looked for in {}", needle.len(), haystack.len());
    let products = correlate(needle, haystack);
    let own = energy(needle);
    let mut sums = Vec::with_capacity(haystack.len() + 1);
    sums.push(0.0_f64);
    for sample in haystack {
        sums.push(sums[sums.len() - 1] + f64::from(sample * sample));
    }
    let likeness = |lag: usize| {
        // Where there is next to nothing to compare with, likeness would be a quotient of two rounding errors.
        let there = sums[lag + needle.len()] - sums[lag];
        if there < own * 1e-4 { 0.0 } else { (f64::from(products[lag]) / (own * there).sqrt()) as f32 }
    };
    (0..=haystack.len() - needle.len())
        .map(|lag| (lag, likeness(lag)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
        .unwrap_or((0, 0.0))
}

fn energy(samples: &[f32]) -> f64 {
    samples.iter().map(|sample| f64::from(*sample).powi(2)).sum()
}

/// Sum over n of needle[n] · haystack[n + lag], for every lag, by way of the frequency domain.
fn correlate(needle: &[f32], haystack: &[f32]) -> Vec<f32> {
    let length = (needle.len() + haystack.len()).next_power_of_two();
    let mut planner = RealFftPlanner::<f32>::new();
    let forward = planner.plan_fft_forward(length);
    let spectrum = |samples: &[f32]| {
        let mut padded = samples.to_vec();
        padded.resize(length, 0.0);
        let mut spectrum = forward.make_output_vec();
        forward.process(&mut padded, &mut spectrum).expect("lengths agree");
        spectrum
    };
    let mut product: Vec<Complex<f32>> =
        spectrum(haystack).iter().zip(spectrum(needle)).map(|(h, n)| h * n.conj()).collect();
    // Rounding leaves a little imaginary part where a real signal has none, which the inverse would refuse.
    product[0].im = 0.0;
    product[length / 2].im = 0.0;
    let inverse = planner.plan_fft_inverse(length);
    let mut products = inverse.make_output_vec();
    inverse.process(&mut product, &mut products).expect("lengths agree");
    let scale = 1.0 / length as f32;
    products.iter().map(|value| value * scale).collect()
}

/// How like a recording is to a repeated voice: the median, over as many rounds as the recording holds, of the correlation of one whole round
/// with the voice at whatever delay suits it best. The first two seconds, while the call settles, are left out.
///
/// # Panics
/// When the recording is shorter than that and one round.
pub fn likeness(recording: &[f32], voice: &[f32]) -> f32 {
    let settled = &recording[(2 * RATE).min(recording.len())..];
    let twice = [voice, voice].concat();
    let like = |round| likeness_in_place(&twice[find(round, &twice).0..][..voice.len()], round);
    let mut rounds: Vec<f32> = settled.chunks_exact(voice.len()).map(like).collect();
    assert!(!rounds.is_empty(), "a recording of {} s holds no whole round", recording.len() / RATE);
    rounds.sort_by(f32::total_cmp);
    rounds[rounds.len() / 2]
}

/// Correlation of two signals that begin together; a delay that moves (a jitter buffer that adapts) is followed.
pub fn likeness_in_place(reference: &[f32], recording: &[f32]) -> f32 {
    find(reference, &follow(reference, recording)).1
}

/// Samples in 2.5 ms, the grain in which gaps are measured.
const BLOCK: usize = RATE / 400;

/// The longest stretch, in milliseconds, where the reference talks and the recording is silent, and the second at which it begins.
///
/// Both begin together. A delay that moves during the recording (a jitter buffer that adapts) is followed; what it leaves out or repeats is no gap,
/// but silence that it puts in is.
pub fn longest_gap(reference: &[f32], recording: &[f32]) -> (f32, f32) {
    let (in_place, inserted) = (longest_missing(reference, recording), longest_inserted(reference, recording));
    let (blocks, at) = in_place.max(inserted);
    (blocks as f32 * 2.5, (at * BLOCK) as f32 / RATE as f32)
}

/// Length and begin, in blocks, of the longest silence over a talking reference.
fn longest_missing(reference: &[f32], recording: &[f32]) -> (usize, usize) {
    let talks = blocks_where(reference, |level| level > TALKS);
    let silent = blocks_where(&follow(reference, recording), |level| level < SILENT);
    let missing: Vec<bool> = talks.iter().zip(&silent).map(|(talks, silent)| *talks && *silent).collect();
    runs(&missing).into_iter().max().unwrap_or_default()
}

/// Length and begin, in blocks, of the longest silence in the recording that has no quiet moment of about that length near it in the reference.
fn longest_inserted(reference: &[f32], recording: &[f32]) -> (usize, usize) {
    /// 60 ms before and after.
    const NEAR: usize = 24;
    let quiet = runs(&blocks_where(reference, |level| level <= TALKS));
    let silent = runs(&blocks_where(&recording[..recording.len().min(reference.len())], |level| level < SILENT));
    let excused = |&(length, begin): &(usize, usize)| {
        let near = |&&(_, at): &&(usize, usize)| at <= begin + length + NEAR;
        quiet.iter().filter(near).any(|&(pause, at)| at + pause + NEAR >= begin && pause + 2 >= length)
    };
    silent.into_iter().filter(|run| !excused(run)).max().unwrap_or_default()
}

/// −40 dBFS: speech, also in its soft consonants.
const TALKS: f32 = 0.01;

/// −60 dBFS: nothing that a codec makes of speech.
const SILENT: f32 = 0.001;

fn blocks_where(samples: &[f32], holds: impl Fn(f32) -> bool) -> Vec<bool> {
    samples.chunks_exact(BLOCK).map(|block| holds((energy(block) / BLOCK as f64).sqrt() as f32)).collect()
}

/// Length and begin of every run of `true`.
fn runs(flags: &[bool]) -> Vec<(usize, usize)> {
    let mut begin = 0;
    let mut found = Vec::new();
    for piece in flags.chunk_by(|a, b| a == b) {
        if piece[0] {
            found.push((piece.len(), begin));
        }
        begin += piece.len();
    }
    found
}

/// The recording, laid piece by piece where it is most like the reference, at most 60 ms from where it should be.
///
/// A second at a time; where a second fits but not well, its eighths, because the delay moved within it. A second that does not fit at all, because it is
/// another voice or mostly missing, stays where the one before it was: what is unlike does not become alike by looking longer.
fn follow(reference: &[f32], recording: &[f32]) -> Vec<f32> {
    let mut shift = 0;
    let mut aligned = Vec::with_capacity(reference.len());
    for (index, second) in reference.chunks(RATE).enumerate() {
        let fit = best_shift(second, index * RATE, recording).filter(|(_, likeness)| *likeness > 0.5);
        let steps = if fit.is_some_and(|(_, likeness)| likeness < 0.97) { 8 } else { 1 };
        shift = fit.map_or(shift, |(best, _)| best);
        for (step, piece) in second.chunks(RATE / steps).enumerate() {
            let due = index * RATE + step * RATE / steps;
            if steps > 1 {
                shift = best_shift(piece, due, recording)
                    .filter(|(_, likeness)| *likeness > 0.8)
                    .map_or(shift, |(best, _)| best);
            }
            let begin = due as isize + shift;
            aligned.extend((begin..begin + piece.len() as isize).map(|at| sample(recording, at)));
        }
    }
    aligned
}

/// How much later than due a piece is most like the recording, in samples, and how like; nothing where the piece is next to silent.
fn best_shift(piece: &[f32], due: usize, recording: &[f32]) -> Option<(isize, f32)> {
    const REACH: usize = RATE * 60 / 1000;
    let from = due.saturating_sub(REACH);
    let to = (due + piece.len() + REACH).min(recording.len());
    let worth_a_look = energy(piece) > 0.1 * piece.len() as f64 / RATE as f64 && to.saturating_sub(from) > piece.len();
    worth_a_look
        .then(|| find(piece, &recording[from..to]))
        .map(|(lag, likeness)| ((from + lag) as isize - due as isize, likeness))
}

fn sample(recording: &[f32], at: isize) -> f32 {
    usize::try_from(at).ok().and_then(|at| recording.get(at)).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: u64, count: usize) -> Vec<f32> {
        let mut state = seed;
        (0..count)
            .map(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                (state >> 40) as f32 / 16_777_216.0 - 0.5
            })
            .collect()
    }

    #[test]
    fn a_delayed_copy_is_found_where_it_lies() {
        let needle = noise(1, 4_000);
        let haystack = [noise(2, 1_234), needle.iter().map(|sample| sample * 0.3).collect(), noise(3, 999)].concat();
        let (lag, likeness) = find(&needle, &haystack);
        assert_eq!(lag, 1_234);
        assert!(likeness > 0.999, "{likeness}");
        assert!(find(&noise(4, 4_000), &haystack).1 < 0.1);
    }

    /// What the mesh is measured by must be far apart to begin with.
    #[test]
    fn the_five_voices_are_unlike_one_another() {
        let Some(prompts) = prompts() else {
            return crate::support::skip(
                "sound::the_five_voices_are_unlike_one_another",
                "the recorded prompts are missing",
            );
        };
        let voices: Vec<Vec<f32>> = (0..5).map(|index| voice(&prompts, index)).collect();
        for (index, one) in voices.iter().enumerate() {
            let twice = [&one[..], one].concat();
            let alike: Vec<f32> = voices.iter().map(|other| find(other, &twice).1).collect();
            for (other, likeness) in alike.iter().enumerate() {
                assert!(
                    if other == index { *likeness > 0.999 } else { *likeness < 0.085 },
                    "voice {index} is like the others by {alike:?}"
                );
            }
        }
    }

    #[test]
    fn a_hole_in_the_talk_is_a_gap() {
        let talk = noise(5, 4 * RATE);
        assert_eq!(longest_gap(&talk, &talk).0, 0.0);
        let mut broken = talk.clone();
        broken[RATE + 480..RATE + 480 + 720].fill(0.0);
        let (length, at) = longest_gap(&talk, &broken);
        assert!((12.5..=15.0).contains(&length) && (1.0..1.02).contains(&at), "{length} ms at {at} s");
    }

    #[test]
    fn silence_put_in_is_a_gap_but_a_delay_that_moves_is_none() {
        let talk = noise(6, 4 * RATE);
        let (before, after) = talk.split_at(2 * RATE);
        let stalled = [before, &[0.0; RATE / 50], after].concat();
        assert!((17.5..=20.0).contains(&longest_gap(&talk, &stalled).0), "{:?}", longest_gap(&talk, &stalled));
        let stretched = [before, &before[before.len() - RATE / 50..], after].concat();
        assert!(longest_gap(&talk, &stretched).0 <= 2.5, "{:?}", longest_gap(&talk, &stretched));
    }
}
