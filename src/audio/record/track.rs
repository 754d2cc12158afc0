//! One participant's file: mono, 48 kHz, 16 bit. Silence is a hole in the file, which costs neither disk nor time, however long it is.

use super::super::device::FileError;
use super::super::format::SAMPLE_RATE;
use super::unwritable;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes of a header.
const HEADER: u64 = 44;
/// Bytes of a sample.
const SAMPLE: u64 = 2;
/// Samples of a file: 12 hours, as a RIFF file's lengths end at 4 GiB. After that every participant's recording goes on in another file.
pub(super) const PART: u64 = 12 * 3_600 * SAMPLE_RATE as u64;

/// One participant's files.
pub(super) struct Track {
    folder: PathBuf,
    name: String,
    part_len: u64,
    part: u64,
    file: Part,
    /// Where on the time line the next sample is written.
    end: u64,
}

/// One of them.
struct Part {
    path: PathBuf,
    out: BufWriter<File>,
    /// Samples in it, silence included.
    len: u64,
}

impl Track {
    /// Creates the first file; `part_len` samples go into each.
    pub(super) fn create(folder: &Path, name: &str, part_len: u64) -> Result<Self, FileError> {
        let file = Part::create(folder, name, 0)?;
        Ok(Self { folder: folder.into(), name: name.into(), part_len, part: 0, file, end: 0 })
    }

    /// Writes samples that begin at `start` on the time line, after silence if there is a gap; what lies before what was written last is
    /// left out.
    pub(super) fn write(&mut self, start: i64, samples: &[f32]) -> Result<(), FileError> {
        let late = usize::try_from(self.end as i64 - start).unwrap_or(0);
        let Some(mut samples) = samples.get(late..).filter(|samples| !samples.is_empty()) else { return Ok(()) };
        let mut start = start.max(self.end as i64) as u64;
        while !samples.is_empty() {
            self.enter(start / self.part_len)?;
            let within = start % self.part_len;
            let room = usize::try_from(self.part_len - within).unwrap_or(usize::MAX).min(samples.len());
            let (now, later) = samples.split_at(room);
            self.file.write(within, now).map_err(|error| unwritable(&self.file.path, &error))?;
            (samples, start) = (later, start + room as u64);
        }
        self.end = start;
        Ok(())
    }

    /// Makes what is written so far a whole file.
    pub(super) fn flush(&mut self) -> Result<(), FileError> {
        self.file.flush().map_err(|error| unwritable(&self.file.path, &error))
    }

    /// Where on the time line it ends.
    pub(super) fn end(&self) -> u64 {
        self.end
    }

    /// Ends it at `end` on the time line, with silence if need be.
    pub(super) fn finish(mut self, end: u64) -> Result<(), FileError> {
        // A part that would hold nothing is not begun.
        self.enter(end.saturating_sub(1) / self.part_len)?;
        let len = end - self.part * self.part_len;
        self.file.extend(len).map_err(|error| unwritable(&self.file.path, &error))
    }

    /// Goes on in the file of this part; those in between would be silence only.
    fn enter(&mut self, part: u64) -> Result<(), FileError> {
        if part == self.part {
            return Ok(());
        }
        self.file.extend(self.part_len).map_err(|error| unwritable(&self.file.path, &error))?;
        self.file = Part::create(&self.folder, &self.name, part)?;
        self.part = part;
        Ok(())
    }
}

impl Part {
    fn create(folder: &Path, name: &str, part: u64) -> Result<Self, FileError> {
        let path = match part {
            0 => folder.join(format!("{name}.wav")),
            later => folder.join(format!("{name}-part{}.wav", later + 1)),
        };
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let open = || {
            let mut file = Self { path: path.clone(), out: BufWriter::new(options.open(&path)?), len: 0 };
            file.flush()?;
            Ok(file)
        };
        open().map_err(|error| unwritable(&path, &error))
    }

    fn write(&mut self, at: u64, samples: &[f32]) -> io::Result<()> {
        if at != self.len {
            self.out.seek(SeekFrom::Start(HEADER + SAMPLE * at))?;
        }
        for sample in samples {
            let value = (sample * 32_768.0).round().clamp(-32_768.0, 32_767.0) as i16;
            self.out.write_all(&value.to_le_bytes())?;
        }
        self.len = at + samples.len() as u64;
        Ok(())
    }

    fn extend(&mut self, len: u64) -> io::Result<()> {
        self.out.flush()?;
        self.out.get_ref().set_len(HEADER + SAMPLE * len)?;
        self.len = len;
        self.flush()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.seek(SeekFrom::Start(0))?;
        self.out.write_all(&header(self.len))?;
        // Flushes, too.
        self.out.seek(SeekFrom::Start(HEADER + SAMPLE * self.len))?;
        Ok(())
    }
}

/// RIFF/WAVE with a PCM format and one data chunk (Multimedia Programming Interface and Data Specifications 1.0).
fn header(samples: u64) -> [u8; HEADER as usize] {
    let data = u32::try_from(samples * SAMPLE).unwrap_or(u32::MAX - HEADER as u32);
    let mut header = [0; HEADER as usize];
    let rate = SAMPLE_RATE.to_le_bytes();
    let parts: [&[u8]; 13] = [
        b"RIFF",
        &(data + HEADER as u32 - 8).to_le_bytes(),
        b"WAVE",
        b"fmt ",
        &16_u32.to_le_bytes(),
        // PCM, one channel.
        &1_u16.to_le_bytes(),
        &1_u16.to_le_bytes(),
        &rate,
        &(SAMPLE_RATE * SAMPLE as u32).to_le_bytes(),
        &(SAMPLE as u16).to_le_bytes(),
        &16_u16.to_le_bytes(),
        b"data",
        &data.to_le_bytes(),
    ];
    let bytes = parts.into_iter().flatten();
    header.iter_mut().zip(bytes).for_each(|(place, byte)| *place = *byte);
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use hound::WavReader;

    fn read(path: PathBuf) -> Vec<i16> {
        WavReader::open(path).expect("opens").samples().map(|sample| sample.expect("reads")).collect()
    }

    #[test]
    fn gaps_are_silence_and_what_comes_twice_is_written_once() {
        let folder = tempfile::tempdir().expect("folder");
        let mut track = Track::create(folder.path(), "Bo-1", PART).expect("creates");
        track.write(-2, &[0.9, 0.9, 0.5, 0.5]).expect("writes");
        track.write(5, &[0.25, 2.0, -2.0]).expect("writes");
        track.write(6, &[0.9, 0.9, 0.125]).expect("writes");
        track.write(3, &[0.9]).expect("writes");
        track.flush().expect("flushes");
        let path = folder.path().join("Bo-1.wav");
        let so_far = [16_384, 16_384, 0, 0, 0, 8_192, 32_767, -32_768, 4_096];
        assert_eq!(read(path.clone()), so_far, "whole before it is finished");
        track.finish(12).expect("finishes");
        assert_eq!(read(path.clone()), [&so_far[..], &[0; 3]].concat());
        let spec = WavReader::open(path).expect("opens").spec();
        assert_eq!((spec.channels, spec.sample_rate, spec.bits_per_sample), (1, 48_000, 16));
    }

    #[test]
    fn hours_of_silence_take_no_room_and_no_time() {
        let folder = tempfile::tempdir().expect("folder");
        let mut track = Track::create(folder.path(), "Bo-1", PART).expect("creates");
        let hours = 11 * 3_600 * u64::from(SAMPLE_RATE);
        track.write(hours as i64, &[0.5]).expect("writes");
        track.finish(hours + 1).expect("finishes");
        let file = File::open(folder.path().join("Bo-1.wav")).expect("opens").metadata().expect("is there");
        assert_eq!(file.len(), HEADER + SAMPLE * (hours + 1));
        #[cfg(unix)]
        assert!(std::os::unix::fs::MetadataExt::blocks(&file) * 512 < 1_000_000, "{file:?}");
    }

    #[test]
    fn what_a_file_cannot_hold_goes_on_in_the_next_at_the_same_sample_for_everyone() {
        let folder = tempfile::tempdir().expect("folder");
        let [mut ada, mut bo] = ["Ada", "Bo"].map(|name| Track::create(folder.path(), name, 4).expect("creates"));
        ada.write(0, &[0.25, 0.25, 0.25, 0.25, 0.5, 0.5]).expect("writes");
        bo.write(1, &[0.125]).expect("writes");
        bo.write(9, &[0.5]).expect("writes");
        for track in [ada, bo] {
            track.finish(10).expect("finishes");
        }
        let part = |name: &str| read(folder.path().join(name));
        assert_eq!(part("Ada.wav"), [8_192; 4]);
        assert_eq!(part("Ada-part2.wav"), [16_384, 16_384, 0, 0]);
        assert_eq!(part("Ada-part3.wav"), [0, 0]);
        assert_eq!(part("Bo.wav"), [0, 4_096, 0, 0]);
        assert!(!folder.path().join("Bo-part2.wav").exists(), "nothing but silence");
        assert_eq!(part("Bo-part3.wav"), [0, 16_384]);
        const { assert!(PART * SAMPLE + HEADER < u32::MAX as u64, "twelve hours fit into a RIFF file") };
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_it_and_nothing_is_overwritten() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().expect("folder");
        let track = Track::create(folder.path(), "Bo-1", PART).expect("creates");
        let mode = track.file.out.get_ref().metadata().expect("is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(Track::create(folder.path(), "Bo-1", PART).is_err());
    }
}
