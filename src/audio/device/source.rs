//! Sound that comes from no microphone: a WAV file, a tone, silence.

use super::super::choice::InputChoice;
use super::super::format::{FRAME, SAMPLE_RATE};
use super::FileError;
use audioadapter_buffers::direct::InterleavedSlice;
use hound::{SampleFormat, WavReader};
use rubato::{Fft, FixedSync, Resampler};
use std::collections::VecDeque;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// Level of a tone: −12 dBFS.
const TONE_AMPLITUDE: f32 = 0.25;

/// A generated input, block by block.
pub enum Source {
    /// A file.
    Wav(Box<WavSource>),
    /// A sine: samples since its beginning, and its frequency in Hz.
    Tone(u64, f32),
    /// Silence.
    Silence,
}

impl Source {
    /// Opens what was chosen; `None` when that is a real device.
    ///
    /// # Errors
    /// The file does not exist or is no WAV file that can be read.
    pub fn open(choice: &InputChoice) -> Result<Option<Self>, FileError> {
        Ok(match choice {
            InputChoice::Default | InputChoice::Device(_) => None,
            InputChoice::Wav { path, looped } => Some(Self::Wav(Box::new(WavSource::open(path, *looped)?))),
            InputChoice::Tone { hz } => Some(Self::Tone(0, *hz)),
            InputChoice::Silence => Some(Self::Silence),
        })
    }

    /// The next 10 ms.
    pub fn fill(&mut self, block: &mut [[f32; 2]; FRAME]) {
        match self {
            Self::Wav(wav) => wav.fill(block),
            Self::Tone(played, hz) => {
                for (n, frame) in block.iter_mut().enumerate() {
                    let seconds = (*played + n as u64) as f64 / f64::from(SAMPLE_RATE);
                    *frame = [TONE_AMPLITUDE * (std::f64::consts::TAU * f64::from(*hz) * seconds).sin() as f32; 2];
                }
                *played += FRAME as u64;
            }
            Self::Silence => block.fill([0.0; 2]),
        }
    }
}

/// A WAV file of any rate and number of channels, read as it is played, brought to 48 kHz and to two channels: more are mixed.
pub struct WavSource {
    file: WavFile,
    rate: Option<RateConverter>,
}

impl WavSource {
    /// Opens the file and looks whether sound can be read from it.
    ///
    /// # Errors
    /// It does not exist, is no WAV file, or its rate is beyond what can be converted.
    pub fn open(path: &Path, looped: bool) -> Result<Self, FileError> {
        let unreadable = |reason: String| FileError::Unreadable { path: path.into(), reason };
        let reader = WavReader::open(path).map_err(|error| unreadable(error.to_string()))?;
        let spec = reader.spec();
        if spec.channels == 0 || !(1_000..=768_000).contains(&spec.sample_rate) {
            return Err(unreadable(format!("{} channels at {} Hz", spec.channels, spec.sample_rate)));
        }
        let rate = match spec.sample_rate {
            SAMPLE_RATE => None,
            other => Some(RateConverter::new(other).map_err(unreadable)?),
        };
        Ok(Self { file: WavFile { reader, looped, ended: false }, rate })
    }

    fn fill(&mut self, block: &mut [[f32; 2]; FRAME]) {
        match &mut self.rate {
            None => block.fill_with(|| self.file.next()),
            Some(rate) => block.fill_with(|| rate.next(&mut self.file)),
        }
    }
}

struct WavFile {
    reader: WavReader<BufReader<File>>,
    looped: bool,
    ended: bool,
}

impl WavFile {
    /// The next left and right; silence once the file has ended.
    fn next(&mut self) -> [f32; 2] {
        if !self.ended {
            let frame = self.read().or_else(|| {
                // Once more from the beginning; a file that has none to give is over.
                self.looped.then(|| self.reader.seek(0).ok()).flatten().and_then(|()| self.read())
            });
            if let Some(frame) = frame {
                return frame;
            }
            self.ended = true;
        }
        [0.0; 2]
    }

    /// Two channels as they are, one for both sides, the mean of more.
    fn read(&mut self) -> Option<[f32; 2]> {
        let spec = self.reader.spec();
        let (mut sum, mut first) = (0.0, 0.0);
        for channel in 0..spec.channels {
            let sample = match spec.sample_format {
                SampleFormat::Float => self.reader.samples::<f32>().next()?.ok()?,
                SampleFormat::Int => {
                    let full_scale = (1_i64 << (spec.bits_per_sample.clamp(1, 32) - 1)) as f32;
                    self.reader.samples::<i32>().next()?.ok()? as f32 / full_scale
                }
            };
            sum += sample;
            if channel == 0 {
                first = sample;
            }
        }
        let mean = sum / f32::from(spec.channels);
        Some(if spec.channels == 2 { [first, sum - first] } else { [mean; 2] })
    }
}

struct RateConverter {
    fft: Fft<f32>,
    input: Vec<[f32; 2]>,
    output: Vec<[f32; 2]>,
    ready: VecDeque<[f32; 2]>,
    /// Silence that the filter begins with.
    skip: usize,
}

impl RateConverter {
    fn new(from: u32) -> Result<Self, String> {
        let fft = Fft::new(from as usize, SAMPLE_RATE as usize, FRAME, 2, FixedSync::Output)
            .map_err(|error| error.to_string())?;
        let (input, output) = (vec![[0.0; 2]; fft.input_frames_max()], vec![[0.0; 2]; fft.output_frames_max()]);
        let skip = fft.output_delay();
        Ok(Self { fft, input, output, ready: VecDeque::new(), skip })
    }

    fn next(&mut self, file: &mut WavFile) -> [f32; 2] {
        loop {
            match self.ready.pop_front() {
                Some(_) if self.skip > 0 => self.skip -= 1,
                Some(frame) => return frame,
                None if !self.convert(file) => return [0.0; 2],
                None => {}
            }
        }
    }

    /// Converts one more piece. False when that failed, which well-formed lengths never do.
    fn convert(&mut self, file: &mut WavFile) -> bool {
        let wanted = self.fft.input_frames_next();
        self.input[..wanted].fill_with(|| file.next());
        let frames = self.output.len();
        let (Ok(input), Ok(mut output)) = (
            InterleavedSlice::new(self.input[..wanted].as_flattened(), 2, wanted),
            InterleavedSlice::new_mut(self.output.as_flattened_mut(), 2, frames),
        ) else {
            return false;
        };
        let Ok((_, written)) = self.fft.process_into_buffer(&input, &mut output, None) else { return false };
        self.ready.extend(&self.output[..written]);
        written > 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hound::{WavSpec, WavWriter};

    fn write(path: &Path, rate: u32, channels: u16, bits: u16, format: SampleFormat, frames: u32) {
        let spec = WavSpec { channels, sample_rate: rate, bits_per_sample: bits, sample_format: format };
        let mut file = WavWriter::create(path, spec).expect("creates");
        for n in 0..frames {
            let x = 0.5 * (n as f32 / rate as f32 * 500.0 * std::f32::consts::TAU).sin();
            for _ in 0..channels {
                match format {
                    SampleFormat::Float => file.write_sample(x).expect("writes"),
                    SampleFormat::Int => file.write_sample((x * (1_i64 << (bits - 1)) as f32) as i32).expect("writes"),
                }
            }
        }
        file.finalize().expect("finishes");
    }

    fn read(path: &Path, looped: bool, blocks: usize) -> Vec<f32> {
        let choice = InputChoice::Wav { path: path.into(), looped };
        let mut source = Source::open(&choice).expect("opens").expect("is a file");
        let mut block = [[0.0; 2]; FRAME];
        (0..blocks)
            .flat_map(|_| {
                source.fill(&mut block);
                block.map(|[left, right]| 0.5 * (left + right))
            })
            .collect()
    }

    #[test]
    fn files_of_every_kind_become_the_same_sound() {
        let folder = tempfile::tempdir().expect("folder");
        for (rate, channels, bits, format, tolerance) in [
            (48_000, 1, 16, SampleFormat::Int, 1.0e-4),
            (48_000, 2, 24, SampleFormat::Int, 1.0e-6),
            (48_000, 3, 32, SampleFormat::Float, 1.0e-6),
            (44_100, 2, 16, SampleFormat::Int, 0.02),
            (16_000, 1, 32, SampleFormat::Float, 0.02),
        ] {
            let path = folder.path().join("a.wav");
            write(&path, rate, channels, bits, format, rate);
            let sound = read(&path, false, 110);
            // The edges of a converted file ring a little, and it may come half a sample early or late.
            for (n, sample) in sound.iter().enumerate().take(47_000).skip(1_000) {
                let expected = 0.5 * (n as f32 / 48_000.0 * 500.0 * std::f32::consts::TAU).sin();
                assert!((sample - expected).abs() < tolerance, "{rate} Hz, sample {n}: {sample} for {expected}");
            }
            let rest = &sound[48_000 + 480..];
            assert!(rest.iter().all(|x| x.abs() < 1.0e-3), "{rate} Hz: silence after the end");
        }
    }

    #[test]
    fn left_is_left_at_every_rate() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.wav");
        for rate in [48_000, 44_100] {
            let spec =
                WavSpec { channels: 2, sample_rate: rate, bits_per_sample: 16, sample_format: SampleFormat::Int };
            let mut file = WavWriter::create(&path, spec).expect("creates");
            for n in 0..rate {
                let x = (n as f32 / rate as f32 * 500.0 * std::f32::consts::TAU).sin();
                file.write_sample((16_000.0 * x) as i16).expect("writes");
                file.write_sample(0_i16).expect("writes");
            }
            file.finalize().expect("finishes");
            let mut source = Source::open(&InputChoice::Wav { path: path.clone(), looped: false }).expect("opens");
            let mut block = [[0.0; 2]; FRAME];
            (0..50).for_each(|_| source.as_mut().expect("a file").fill(&mut block));
            assert!(block.iter().all(|[_, right]| right.abs() < 1.0e-4), "{rate} Hz");
            assert!(block.iter().any(|[left, _]| *left > 0.4), "{rate} Hz");
        }
    }

    #[test]
    fn a_looped_file_goes_on_without_a_gap() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.wav");
        write(&path, 48_000, 1, 32, SampleFormat::Float, 960);
        let sound = read(&path, true, 10);
        assert_eq!(sound[..960], sound[960..1_920]);
        assert_eq!(sound[..960], sound[3_840..]);
    }

    #[test]
    fn what_is_no_sound_is_refused_when_opened() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.wav");
        assert!(matches!(WavSource::open(&path, false), Err(FileError::Unreadable { .. })));
        std::fs::write(&path, b"this is no WAV file at all").expect("writes");
        assert!(matches!(WavSource::open(&path, false), Err(FileError::Unreadable { .. })));
        // An empty one is silence, looped or not.
        write(&path, 48_000, 1, 16, SampleFormat::Int, 0);
        assert_eq!(read(&path, true, 2), vec![0.0; 960]);
    }

    #[test]
    fn a_tone_goes_on_smoothly_from_block_to_block() {
        let mut source = Source::open(&InputChoice::Tone { hz: 441.0 }).expect("opens").expect("is generated");
        let mut sound = Vec::new();
        for _ in 0..10 {
            let mut block = [[0.0; 2]; FRAME];
            source.fill(&mut block);
            sound.extend(block.map(|[left, _]| left));
        }
        let steepest = TONE_AMPLITUDE * 441.0 * std::f32::consts::TAU / 48_000.0;
        assert!(sound.windows(2).all(|w| (w[1] - w[0]).abs() <= steepest * 1.001));
        assert!(sound.iter().any(|x| *x > 0.249));
    }
}
