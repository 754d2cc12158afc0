//! Takes pieces from the rings, finds their place, and writes them: pure but for the files, so that it runs in virtual time, too.

use super::super::device::FileError;
use super::super::format::{Block, FRAME, SAMPLE_RATE};
use super::timeline::Timeline;
use super::track::{PART, Track};
use super::{Arrival, Piece, Whose};
use rtrb::Consumer;
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Instant;

/// Files are made whole so often, in samples: whoever is killed loses two seconds.
const FLUSH_EVERY: u64 = SAMPLE_RATE as u64;
/// Rings are gone over until nothing new is in them, but not for ever.
const MAX_PASSES: usize = 8;

/// The files of a recording.
pub struct Writer {
    folder: PathBuf,
    arrivals: mpsc::Receiver<Arrival>,
    /// The own voice, counted by the microphone.
    own: Stream,
    /// The others, counted by the speaker.
    others: Stream,
    missed: u64,
    flushed: u64,
}

struct Stream {
    timeline: Timeline,
    voices: BTreeMap<Whose, Voice>,
}

struct Voice {
    ring: Option<Consumer<Piece>>,
    waiting: VecDeque<Piece>,
    track: Track,
}

impl Writer {
    /// Nothing is written yet but the own voice's file, to see that it can be.
    pub(super) fn new(
        folder: PathBuf,
        arrivals: mpsc::Receiver<Arrival>,
        began: Instant,
        own_file: &str,
    ) -> Result<Self, FileError> {
        let stream = || Stream { timeline: Timeline::new(began), voices: BTreeMap::new() };
        let (mut own, others) = (stream(), stream());
        let track = Track::create(&folder, own_file, PART)?;
        own.voices.insert(Whose::Own, Voice { ring: None, waiting: VecDeque::new(), track });
        Ok(Self { folder, arrivals, own, others, missed: 0, flushed: 0 })
    }

    /// Writes what has come and has its place; to be called a few times a second.
    ///
    /// # Errors
    /// The disk is full, or gone.
    pub fn step(&mut self) -> Result<(), FileError> {
        self.take()?;
        self.place(false)?;
        let end = self.end();
        if end >= self.flushed + FLUSH_EVERY {
            self.flushed = end;
            self.voices().try_for_each(|voice| voice.track.flush())?;
        }
        Ok(())
    }

    /// Writes the rest, and lets all files end together.
    ///
    /// # Errors
    /// The disk is full, or gone: as much as possible is whole all the same.
    pub fn finish(mut self) -> Result<(), FileError> {
        let written = self.take().and_then(|()| self.place(true));
        let end = self.end();
        let voices = self.own.voices.into_values().chain(self.others.voices.into_values());
        voices.map(|voice| voice.track.finish(end)).fold(written, Result::and)
    }

    /// Pieces of 10 ms that found no room so far: the disk is too slow.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    fn voices(&mut self) -> impl Iterator<Item = &mut Voice> {
        self.own.voices.values_mut().chain(self.others.voices.values_mut())
    }

    fn end(&self) -> u64 {
        let voices = self.own.voices.values().chain(self.others.voices.values());
        voices.map(|voice| voice.track.end()).max().unwrap_or(0)
    }

    /// Empties the rings: over and over until there is nothing in any of them, so that none is a second behind the others.
    fn take(&mut self) -> Result<(), FileError> {
        for _ in 0..MAX_PASSES {
            let mut came = 0;
            for stream in [&mut self.own, &mut self.others] {
                for voice in stream.voices.values_mut() {
                    came += voice.take(&mut stream.timeline, &mut self.missed);
                }
            }
            while let Ok(arrival) = self.arrivals.try_recv() {
                self.welcome(arrival)?;
                came += 1;
            }
            if came == 0 {
                break;
            }
        }
        Ok(())
    }

    fn welcome(&mut self, Arrival { whose, file, ring }: Arrival) -> Result<(), FileError> {
        let stream = if whose == Whose::Own { &mut self.own } else { &mut self.others };
        match stream.voices.get_mut(&whose) {
            Some(voice) => {
                voice.take(&mut stream.timeline, &mut self.missed);
                voice.ring = Some(ring);
            }
            None => {
                let track = Track::create(&self.folder, &file, PART)?;
                stream.voices.insert(whose, Voice { ring: Some(ring), waiting: VecDeque::new(), track });
            }
        }
        Ok(())
    }

    fn place(&mut self, at_once: bool) -> Result<(), FileError> {
        for stream in [&mut self.own, &mut self.others] {
            while let Some(place) = stream.timeline.settle(at_once) {
                for voice in stream.voices.values_mut() {
                    while voice.waiting.front().is_some_and(|piece| piece.stamp.at < place.at) {
                        voice.waiting.pop_front();
                    }
                    if let Some(piece) = voice.waiting.pop_front_if(|piece| piece.stamp.at == place.at) {
                        let mut room = [0.0; FRAME + 1];
                        voice.track.write(place.start, fitted(&piece.samples, place.len, &mut room))?;
                    }
                }
            }
        }
        Ok(())
    }
}

impl Voice {
    fn take(&mut self, timeline: &mut Timeline, missed: &mut u64) -> usize {
        let Some(ring) = &mut self.ring else { return 0 };
        let mut came = 0;
        while let Ok(piece) = ring.pop() {
            *missed += piece.missed;
            timeline.hear(piece.stamp);
            self.waiting.push_back(piece);
            came += 1;
        }
        came
    }
}

/// A block in one sample more or less: read between its samples by a cubic (Catmull and Rom), so that nothing clicks.
fn fitted<'a>(block: &'a Block, len: usize, room: &'a mut [f32; FRAME + 1]) -> &'a [f32] {
    if len == FRAME {
        return block;
    }
    let sample = |n: usize| block[n.min(FRAME - 1)];
    let pace = FRAME as f32 / len as f32;
    for (n, out) in room.iter_mut().take(len).enumerate() {
        let x = n as f32 * pace;
        let (whole, t) = (x as usize, x.fract());
        let [a, b, c, d] = [sample(whole.saturating_sub(1)), sample(whole), sample(whole + 1), sample(whole + 2)];
        *out = b + 0.5 * t * (c - a + t * (2.0 * a - 5.0 * b + 4.0 * c - d + t * (3.0 * (b - c) + d - a)));
    }
    &room[..len.min(FRAME + 1)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tone_stays_a_tone_in_one_sample_more_or_less() {
        let block: Block = std::array::from_fn(|n| (n as f32 * 0.13).sin());
        for len in [FRAME - 1, FRAME + 1] {
            let mut room = [0.0; FRAME + 1];
            let fitted = fitted(&block, len, &mut room);
            assert_eq!(fitted.len(), len);
            let pace = FRAME as f32 / len as f32;
            let error = |(n, sample): (usize, &f32)| (sample - (n as f32 * pace * 0.13).sin()).abs();
            // The last two have nothing after them to be read from.
            let worst =
                fitted[1..len - 2].iter().enumerate().map(|(n, sample)| error((n + 1, sample))).fold(0.0, f32::max);
            assert!(worst < 2.0e-4, "{len}: {worst}");
        }
    }
}
