//! What was said and what was heard: speech without pauses, the longest silence, where a recording lies in what was said.

use std::path::Path;

/// Samples per second of every file here.
pub const RATE: usize = 48_000;
/// Samples in 2.5 ms, the grain of all measurements.
const BLOCK: usize = RATE / 400;
/// −60 dBFS: nothing that a codec makes of speech.
const SILENT: f32 = 0.001;
/// −40 dBFS: speech, also in its soft consonants.
const TALKS: f32 = 0.01;
/// Pauses of speech that are longer are cut out, in blocks: 20 ms.
const LONGEST_PAUSE: usize = 8;
/// Recorded prompts of Debian's alsa-utils.
const PROMPTS: [&str; 8] =
    ["Front_Left", "Rear_Right", "Side_Left", "Front_Right", "Rear_Left", "Side_Right", "Front_Center", "Rear_Center"];

/// Why a sound file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SoundError {
    /// The file cannot be read or written.
    #[error(transparent)]
    File(#[from] hound::Error),
    /// It is something else.
    #[error("expected one channel at 48 kHz")]
    Format,
}

/// Reads a mono file.
///
/// # Errors
/// See [`SoundError`].
pub fn read(path: &Path) -> Result<Vec<f32>, SoundError> {
    let mut reader = hound::WavReader::open(path)?;
    let format = reader.spec();
    if (format.channels, format.sample_rate as usize) != (1, RATE) {
        return Err(SoundError::Format);
    }
    let samples: Result<Vec<f32>, hound::Error> = match format.sample_format {
        hound::SampleFormat::Float => reader.samples::<f32>().collect(),
        hound::SampleFormat::Int => {
            let full = (1_i64 << (format.bits_per_sample - 1)) as f32;
            reader.samples::<i32>().map(|sample| sample.map(|sample| sample as f32 / full)).collect()
        }
    };
    Ok(samples?)
}

/// Writes a mono file of 16 bits.
///
/// # Errors
/// The file's.
pub fn write(path: &Path, samples: &[f32]) -> Result<(), SoundError> {
    let sample_format = hound::SampleFormat::Int;
    let format = hound::WavSpec { channels: 1, sample_rate: RATE as u32, bits_per_sample: 16, sample_format };
    let mut writer = hound::WavWriter::create(path, format)?;
    for sample in samples {
        writer.write_sample((sample.clamp(-1.0, 1.0) * 32_767.0) as i16)?;
    }
    Ok(writer.finalize()?)
}

/// Speech without a pause, to be repeated: recorded words from `folder` if they are there, a voice made of harmonics if not. Each `number` is another.
pub fn speech(folder: &Path, number: usize) -> Vec<f32> {
    let read_prompt = |index: usize| read(&folder.join(format!("{}.wav", PROMPTS[index % PROMPTS.len()]))).ok();
    let words: Option<Vec<Vec<f32>>> = (0..PROMPTS.len()).map(|step| read_prompt(number * 3 + step)).collect();
    words.map_or_else(|| made_voice(number), |words| without_pauses(&words.concat()))
}

/// Leaves out what is quieter than speech for longer than speech is.
fn without_pauses(samples: &[f32]) -> Vec<f32> {
    let mut kept = Vec::with_capacity(samples.len());
    let mut quiet = 0;
    for block in samples.chunks_exact(BLOCK) {
        quiet = if level(block) > TALKS { 0 } else { quiet + 1 };
        if quiet <= LONGEST_PAUSE {
            kept.extend_from_slice(block);
        }
    }
    kept
}

/// Six seconds of a buzzing voice whose pitch and loudness wander.
fn made_voice(number: usize) -> Vec<f32> {
    let mut phase = 0.0_f32;
    let sample = |index: usize| {
        let t = index as f32 / RATE as f32;
        let wander = (t * (1.9 + number as f32 * 0.3)).sin() + (t * 3.7 + number as f32).sin();
        phase = (phase + (110.0 + 23.0 * number as f32 + 12.0 * wander) / RATE as f32).fract();
        let loudness = 0.15 + 0.1 * (t * std::f32::consts::TAU * 3.3 + wander).sin();
        let harmonics = (1..=24).map(|n| (std::f32::consts::TAU * phase * n as f32).sin() / n as f32).sum::<f32>();
        loudness * harmonics
    };
    (0..6 * RATE).map(sample).collect()
}

fn level(block: &[f32]) -> f32 {
    (block.iter().map(|sample| sample * sample).sum::<f32>() / block.len() as f32).sqrt()
}

/// Levels of a recording, block by block.
fn envelope(samples: &[f32]) -> Vec<f32> {
    samples.chunks_exact(BLOCK).map(level).collect()
}

/// What a recording of somebody who never pauses shows.
#[derive(Clone, Debug, PartialEq)]
pub struct Heard {
    /// Seconds from the first sound to the end.
    pub seconds: f64,
    /// Each silence after the first second of sound: its begin and end, in seconds from the recording's begin.
    pub silences: Vec<(f64, f64)>,
    /// The share of the time that is no silence.
    pub voiced: f64,
}

impl Heard {
    /// The longest silence, in milliseconds.
    pub fn silence_ms(&self) -> f64 {
        self.silences.iter().map(|(begin, end)| (end - begin) * 1e3).fold(0.0, f64::max)
    }
}

/// The longest silence in milliseconds, when from each the time is taken off that lies in one of `pauses`, in which there was nothing to be heard. All
/// times in seconds on one clock; the pauses must not overlap.
pub fn silence_outside(silences: &[(f64, f64)], pauses: &[(f64, f64)]) -> f64 {
    let outside = |(begin, end): &(f64, f64)| {
        let inside = |(from, to): &(f64, f64)| (end.min(*to) - begin.max(*from)).max(0.0);
        (end - begin - pauses.iter().map(inside).sum::<f64>()) * 1e3
    };
    silences.iter().map(outside).fold(0.0, f64::max)
}

/// How many samples a mono file of 16 bits that is being written holds so far.
pub fn samples_in(bytes: u64) -> u64 {
    /// Of a WAV file's header.
    const HEADER: u64 = 44;
    bytes.saturating_sub(HEADER) / 2
}

/// Seconds at the beginning of a call, and at its end, that are no part of a measurement: the one settles, the other is cut off by the farewell.
const SETTLING: usize = RATE;
const FAREWELL: usize = RATE * 7 / 10;

/// Looks for silence in a recording; `None` when there is no sound in it.
pub fn heard(recording: &[f32]) -> Option<Heard> {
    let levels = envelope(recording);
    let first = levels.iter().position(|level| *level > TALKS)?;
    let (from, to) = (first + SETTLING / BLOCK, levels.len().saturating_sub(FAREWELL / BLOCK));
    let part = levels.get(from..to).unwrap_or_default();
    let seconds = |blocks: usize| (blocks * BLOCK) as f64 / RATE as f64;
    let mut at = from;
    let runs = part.chunk_by(|a, b| (*a < SILENT) == (*b < SILENT)).map(|run| {
        at += run.len();
        (run[0] < SILENT).then(|| (seconds(at - run.len()), seconds(at)))
    });
    let silences = runs.flatten().collect();
    let voiced = part.iter().filter(|level| **level >= SILENT).count() as f64 / part.len().max(1) as f64;
    Some(Heard { seconds: seconds(levels.len() - first), silences, voiced })
}

/// A piece of a recording and the piece of what was said that is most like it, equally long.
pub struct Aligned {
    /// What was said.
    pub said: Vec<f32>,
    /// What was heard.
    pub heard: Vec<f32>,
    /// How like the loudness of both is (correlation, −1 to 1): the median over pieces of two seconds, each laid where it fits best, because the delay of
    /// a call moves.
    pub likeness: f32,
}

/// The last `seconds` of a recording, or all of it after the beginning if there is less (but three at least), laid beside what was said again and again.
pub fn align(said: &[f32], recording: &[f32], seconds: usize) -> Option<Aligned> {
    let first = recording.chunks_exact(BLOCK).position(|block| level(block) > TALKS)? * BLOCK + SETTLING;
    let end = recording.len().checked_sub(FAREWELL)?;
    let heard =
        recording.get(end.saturating_sub(seconds * RATE).max(first)..end).filter(|heard| heard.len() >= 3 * RATE)?;
    let (round, wanted) = (envelope(said), envelope(heard));
    let (lag, _) = best_lag(&round, &wanted)?;
    let pieces = wanted.chunks_exact(2 * RATE / BLOCK).filter_map(|piece| Some(best_lag(&round, piece)?.1));
    let mut likenesses: Vec<f32> = pieces.collect();
    likenesses.sort_by(f32::total_cmp);
    let said = said[..round.len() * BLOCK].iter().copied().cycle().skip(lag * BLOCK).take(heard.len()).collect();
    Some(Aligned { said, heard: heard.to_vec(), likeness: *likenesses.get(likenesses.len() / 2)? })
}

/// Where in a round, in blocks, a piece fits best, and how well.
fn best_lag(round: &[f32], piece: &[f32]) -> Option<(usize, f32)> {
    (0..round.len())
        .map(|lag| (lag, correlation(round.iter().cycle().skip(lag), piece)))
        .max_by(|a, b| a.1.total_cmp(&b.1))
}

fn correlation<'a>(reference: impl Iterator<Item = &'a f32> + Clone, wanted: &[f32]) -> f32 {
    let count = wanted.len() as f32;
    let mean = |values: &mut dyn Iterator<Item = &f32>| values.sum::<f32>() / count;
    let (a, b) = (mean(&mut reference.clone().take(wanted.len())), mean(&mut wanted.iter()));
    let (mut both, mut own, mut other) = (0.0, 1e-12, 1e-12);
    for (x, y) in reference.zip(wanted) {
        both += (x - a) * (y - b);
        own += (x - a) * (x - a);
        other += (y - b) * (y - b);
    }
    both / (own * other).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_is_a_silence_and_a_voice_has_none() {
        let mut voice = made_voice(1);
        let whole = heard(&voice).expect("it talks");
        assert!(whole.silence_ms() < 20.0 && whole.voiced > 0.99, "{whole:?}");
        voice[2 * RATE..2 * RATE + RATE / 4].fill(0.0);
        let broken = heard(&voice).expect("it talks");
        assert!((245.0..=252.5).contains(&broken.silence_ms()), "{broken:?}");
        let (begin, end) =
            broken.silences.iter().copied().max_by(|a, b| (a.1 - a.0).total_cmp(&(b.1 - b.0))).expect("one");
        assert!((begin - 2.0).abs() < 0.01 && (end - 2.25).abs() < 0.01, "{broken:?}");
        assert_eq!(heard(&vec![0.0; RATE]), None);
    }

    /// Only the very time without packets is taken off: a pause elsewhere excuses nothing, however long it is.
    #[test]
    fn a_silence_is_excused_by_a_pause_at_its_own_time_only() {
        let silences = [(2.0, 2.3), (5.0, 5.5)];
        for (pauses, left) in [
            (&[][..], 500.0),
            (&[(2.0, 2.3), (8.0, 9.0)], 500.0),
            (&[(5.1, 5.5)], 300.0),
            (&[(4.0, 5.2), (5.3, 6.0)], 300.0),
            (&[(1.0, 2.2), (4.0, 5.2), (5.3, 6.0)], 100.0),
            (&[(0.0, 9.0)], 0.0),
        ] {
            assert!((silence_outside(&silences, pauses) - left).abs() < 1e-6, "{pauses:?}");
        }
    }

    #[test]
    fn a_recording_is_found_in_what_was_said_and_another_voice_is_not() {
        let said = made_voice(2);
        let recording: Vec<f32> = said.iter().cycle().skip(77_777).take(8 * RATE).map(|sample| sample * 0.4).collect();
        let found = align(&said, &recording, 4).expect("it is long enough");
        assert!(found.likeness > 0.95, "{}", found.likeness);
        assert_eq!(found.said.len(), found.heard.len());
        let other = align(&made_voice(5), &recording, 4).expect("it is long enough");
        assert!(other.likeness < 0.8, "{}", other.likeness);
    }

    #[test]
    fn pauses_are_cut_out() {
        let talk = made_voice(3);
        let paused = [&talk[..RATE], &vec![0.0; RATE], &talk[RATE..]].concat();
        assert!(without_pauses(&paused).len() < talk.len() + RATE / 20);
        assert!(!speech(Path::new("/nowhere"), 0).is_empty());
    }
}
