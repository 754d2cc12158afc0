//! Sound that goes to no speaker: WAV files, or nowhere.

use super::super::choice::OutputChoice;
use super::super::format::{FRAME, SAMPLE_RATE};
use super::FileError;
use hound::{SampleFormat, WavSpec, WavWriter};
use resonance_protocol::peer::TransportId;
use rtrb::Consumer;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::mpsc;

/// Hands a voice's tap to the files that are written from it.
pub type TapSender = mpsc::Sender<(TransportId, Consumer<f32>)>;

/// Frames between two times that what is written becomes a whole file: whoever is killed leaves at most a second unwritten.
const FLUSH_EVERY: u64 = 100;

/// A file's header does not know more than this; a call of six hours fits into it twice.
const MAX_BYTES: u64 = u32::MAX as u64 - 4_096;

/// A written output, block by block.
pub enum Sink {
    /// What the ears would hear.
    Wav(WavFile),
    /// One file a voice.
    PerPeer(Box<PerPeer>),
    /// Nowhere.
    Null,
}

impl Sink {
    /// Creates what was chosen, and for files by peer the sender of taps; `None` when a real device is meant.
    ///
    /// # Errors
    /// The file or folder cannot be written.
    pub fn create(choice: &OutputChoice) -> Result<Option<(Self, Option<TapSender>)>, FileError> {
        Ok(match choice {
            OutputChoice::Default | OutputChoice::Device(_) => None,
            OutputChoice::Wav(path) => Some((Self::Wav(WavFile::create(path, 2)?), None)),
            OutputChoice::WavPerPeer(folder) => {
                let (per_peer, taps) = PerPeer::create(folder)?;
                Some((Self::PerPeer(Box::new(per_peer)), Some(taps)))
            }
            OutputChoice::Null => Some((Self::Null, None)),
        })
    }

    /// Writes 10 ms.
    ///
    /// # Errors
    /// The disk is full, or gone.
    pub fn write(&mut self, block: &[[f32; 2]; FRAME]) -> Result<(), FileError> {
        match self {
            Self::Wav(file) => file.write(block.as_flattened()),
            Self::PerPeer(files) => files.write(),
            Self::Null => Ok(()),
        }
    }

    /// Makes the files whole.
    ///
    /// # Errors
    /// The disk is full, or gone.
    pub fn finish(self) -> Result<(), FileError> {
        match self {
            Self::Wav(file) => file.finish(),
            Self::PerPeer(files) => files.finish(),
            Self::Null => Ok(()),
        }
    }
}

/// A WAV file being written: 48 kHz, 16 bit.
pub struct WavFile {
    path: PathBuf,
    file: WavWriter<BufWriter<File>>,
    blocks: u64,
    bytes: u64,
}

impl WavFile {
    fn create(path: &Path, channels: u16) -> Result<Self, FileError> {
        let spec =
            WavSpec { channels, sample_rate: SAMPLE_RATE, bits_per_sample: 16, sample_format: SampleFormat::Int };
        let mut file = WavWriter::create(path, spec).map_err(|error| unwritable(path, &error))?;
        file.flush().map_err(|error| unwritable(path, &error))?;
        Ok(Self { path: path.into(), file, blocks: 0, bytes: 0 })
    }

    fn write(&mut self, samples: &[f32]) -> Result<(), FileError> {
        self.bytes += samples.len() as u64 * 2;
        if self.bytes > MAX_BYTES {
            return Err(FileError::Unwritable { path: self.path.clone(), reason: "it has reached 4 GiB".into() });
        }
        for sample in samples {
            let value = (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16;
            self.file.write_sample(value).map_err(|error| unwritable(&self.path, &error))?;
        }
        self.blocks += 1;
        if self.blocks.is_multiple_of(FLUSH_EVERY) {
            self.file.flush().map_err(|error| unwritable(&self.path, &error))?;
        }
        Ok(())
    }

    fn finish(self) -> Result<(), FileError> {
        let path = self.path;
        self.file.finalize().map_err(|error| unwritable(&path, &error))
    }
}

fn unwritable(path: &Path, reason: &impl ToString) -> FileError {
    FileError::Unwritable { path: path.into(), reason: reason.to_string() }
}

/// A folder of mono files, one a voice, all on one timeline: whoever comes later begins with silence.
pub struct PerPeer {
    folder: PathBuf,
    taps: mpsc::Receiver<(TransportId, Consumer<f32>)>,
    voices: BTreeMap<TransportId, Voice>,
    /// Frames of 10 ms that have been played.
    played: u64,
}

struct Voice {
    tap: Consumer<f32>,
    file: WavFile,
    /// Samples written.
    written: u64,
}

impl PerPeer {
    fn create(folder: &Path) -> Result<(Self, TapSender), FileError> {
        fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
        let probe = folder.join(".resonance");
        fs::write(&probe, []).and_then(|()| fs::remove_file(&probe)).map_err(|error| unwritable(folder, &error))?;
        let (sender, taps) = mpsc::channel();
        Ok((Self { folder: folder.into(), taps, voices: BTreeMap::new(), played: 0 }, sender))
    }

    fn write(&mut self) -> Result<(), FileError> {
        while let Ok((peer, tap)) = self.taps.try_recv() {
            match self.voices.get_mut(&peer) {
                // Somebody came back: the file goes on where it should be by now.
                Some(voice) => voice.tap = tap,
                None => {
                    let file = WavFile::create(&self.folder.join(format!("{}.wav", peer.short())), 1)?;
                    self.voices.insert(peer, Voice { tap, file, written: 0 });
                }
            }
        }
        self.played += 1;
        for voice in self.voices.values_mut() {
            voice.write(self.played * FRAME as u64)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<(), FileError> {
        self.voices.into_values().try_for_each(|voice| voice.file.finish())
    }
}

impl Voice {
    /// Writes what is there, after silence for the time in which there was nothing.
    fn write(&mut self, until: u64) -> Result<(), FileError> {
        let mut block = [0.0; FRAME];
        while self.tap.slots() >= FRAME {
            // A voice may be ahead by what the speaker's ring holds, never behind.
            let there = self.tap.slots() as u64;
            while self.written + there < until {
                let silence = (until - self.written - there).min(FRAME as u64);
                self.file.write(&[0.0; FRAME][..silence as usize])?;
                self.written += silence;
            }
            if self.tap.pop_entire_slice(&mut block).is_err() {
                break;
            }
            self.file.write(&block)?;
            self.written += FRAME as u64;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::rings;
    use super::*;
    use hound::WavReader;

    fn peer(n: u8) -> TransportId {
        TransportId::from_bytes([n; 32])
    }

    #[test]
    fn what_is_heard_is_written_and_too_loud_a_sound_does_not_wrap() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.wav");
        let (mut sink, taps) = Sink::create(&OutputChoice::Wav(path.clone())).expect("creates").expect("a file");
        assert!(taps.is_none());
        sink.write(&[[0.5, -0.25]; FRAME]).expect("writes");
        sink.write(&[[1.5, -1.5]; FRAME]).expect("writes");
        sink.finish().expect("finishes");
        let mut file = WavReader::open(&path).expect("opens");
        assert_eq!((file.spec().channels, file.spec().sample_rate), (2, 48_000));
        let samples: Vec<i16> = file.samples().map(|x| x.expect("reads")).collect();
        assert_eq!(samples[..2], [16_384, -8_192]);
        assert_eq!(samples[960..962], [32_767, -32_768]);
        assert_eq!(samples.len(), 1_920);
    }

    #[test]
    fn a_file_is_whole_once_a_second_even_if_nobody_finishes_it() {
        let folder = tempfile::tempdir().expect("folder");
        let path = folder.path().join("a.wav");
        let (mut sink, _) = Sink::create(&OutputChoice::Wav(path.clone())).expect("creates").expect("a file");
        for _ in 0..150 {
            sink.write(&[[0.1, 0.1]; FRAME]).expect("writes");
        }
        assert_eq!(WavReader::open(&path).expect("opens").duration(), 48_000);
        sink.finish().expect("finishes");
        assert_eq!(WavReader::open(&path).expect("opens").duration(), 72_000);
    }

    #[test]
    fn every_voice_has_its_own_file_on_one_timeline() {
        let folder = tempfile::tempdir().expect("folder");
        let choice = OutputChoice::WavPerPeer(folder.path().join("voices"));
        let (mut sink, taps) = Sink::create(&choice).expect("creates").expect("files");
        let taps = taps.expect("takes taps");
        let mut playing: Vec<(TransportId, rtrb::Producer<f32>, f32)> = Vec::new();
        for n in 0..100 {
            // The first is there from the beginning, the second joins, the first leaves and comes back.
            match n {
                0 | 30 | 70 => {
                    let who = peer(if n == 30 { 2 } else { 1 });
                    let (producer, consumer) = rings::tap();
                    taps.send((who, consumer)).expect("sends");
                    playing.push((who, producer, if n == 30 { 0.25 } else { 0.5 }));
                }
                50 => playing.retain(|(who, ..)| *who != peer(1)),
                _ => {}
            }
            for (_, tap, value) in &mut playing {
                tap.push_entire_slice(&[*value; FRAME]).expect("room");
            }
            sink.write(&[[0.0; 2]; FRAME]).expect("writes");
        }
        sink.finish().expect("finishes");
        let read = |n: u8| -> Vec<i16> {
            let path = folder.path().join("voices").join(format!("{}.wav", peer(n).short()));
            let samples: Vec<i16> =
                WavReader::open(path).expect("opens").samples().map(|x| x.expect("reads")).collect();
            samples.chunks(FRAME).map(|block| block[0]).collect()
        };
        let expected = |on: &dyn Fn(usize) -> bool, value| -> Vec<i16> {
            (0..100).map(|n| if on(n) { value } else { 0 }).collect()
        };
        assert_eq!(read(1), expected(&|n| !(50..70).contains(&n), 16_384));
        assert_eq!(read(2), expected(&|n| n >= 30, 8_192));
    }

    #[test]
    fn what_cannot_be_written_is_refused_at_once() {
        let folder = tempfile::tempdir().expect("folder");
        let inside_a_file = folder.path().join("file");
        fs::write(&inside_a_file, b"x").expect("writes");
        for choice in [
            OutputChoice::Wav(folder.path().join("no/such/folder.wav")),
            OutputChoice::WavPerPeer(inside_a_file.join("folder")),
        ] {
            assert!(matches!(Sink::create(&choice), Err(FileError::Unwritable { .. })), "{choice}");
        }
    }
}
