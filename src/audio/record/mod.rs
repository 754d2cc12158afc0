//! Recording: one mono WAV file a participant, all of one length and beginning at one instant, so that they can be laid under one another.
//!
//! ```text
//!  uplink worker    ─ after voice processing and mute, before the encoder ─▶ a ring each ─▶ writer ─▶ NAME-ID.wav
//!  downlink worker  ─ each voice as decoded, before place and loudness ────▶ (its own thread)
//! ```
//!
//! Every piece of 10 ms carries the number of its first sample and the moment that this sample belongs to: of the own voice, when the
//! microphone took it in; of the others, when it is handed to the speaker. From these `timeline` reckons where in the files it is to
//! lie: what somebody heard while saying something lies beside it. What a device adds by itself (its buffers and converters, a few
//! milliseconds that it does not tell reliably) and the voice stage's own delay are not in this.
//!
//! Pieces are counted, so whatever is missing (somebody was not there, the disk was too slow) is silence of the right length.

mod recorder;
mod timeline;
mod track;
mod writer;

pub use recorder::Recorder;
pub use writer::Writer;

use super::device::FileError;
use super::format::{Block, FRAME, SAMPLE_RATE};
use super::rings;
use resonance_protocol::peer::TransportId;
use rtrb::{Consumer, Producer};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// Files of one recording: in an evening people come and go, but not so often. Whoever comes beyond it is not recorded.
pub const MAX_TRACKS: usize = 64;

/// Bytes of a participant's name in a file's.
const MAX_NAME: usize = 40;

/// The place of a block in its stream and in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp {
    /// Number of its first sample.
    pub at: u64,
    /// The moment that this sample belongs to.
    pub when: Instant,
}

impl Stamp {
    /// Of a block whose first sample lies `samples` after `now`.
    pub fn ahead(at: u64, now: Instant, samples: usize) -> Self {
        Self { at, when: now + duration(samples) }
    }

    /// Of the sample that comes so much later.
    fn later(self, samples: usize) -> Self {
        Self { at: self.at + samples as u64, when: self.when + duration(samples) }
    }

    /// Of a block whose last sample has just come.
    pub fn complete(at: u64, now: Instant, samples: usize) -> Self {
        Self { at, when: now.checked_sub(duration(samples)).unwrap_or(now) }
    }
}

/// How long so many samples last.
pub(super) fn duration(samples: usize) -> Duration {
    Duration::from_nanos(samples as u64 * 1_000_000_000 / u64::from(SAMPLE_RATE))
}

/// 10 ms on their way to a file.
pub struct Piece {
    stamp: Stamp,
    /// Pieces that found no room before this one.
    missed: u64,
    samples: Block,
}

/// An audio worker's end: makes pieces of what comes, and never waits.
pub struct Tap {
    ring: Producer<Piece>,
    missed: u64,
    /// The stamp of the piece that is being filled, and how much of it there is.
    begun: Option<Stamp>,
    len: usize,
    samples: Block,
}

impl Tap {
    fn new(ring: Producer<Piece>) -> Self {
        Self { ring, missed: 0, begun: None, len: 0, samples: [0.0; FRAME] }
    }

    /// Hands on what follows, however much it is. Real-time: when the writer is behind, whole pieces are dropped, and counted with
    /// the next that is not.
    pub fn push(&mut self, stamp: Stamp, samples: &[f32]) {
        if self.begun.is_some_and(|begun| begun.at + self.len as u64 != stamp.at) {
            // Something is missing in between: what was begun cannot be filled any more.
            (self.begun, self.len) = (None, 0);
        }
        let mut done = 0;
        while let Some(rest) = samples.get(done..).filter(|rest| !rest.is_empty()) {
            let begun = *self.begun.get_or_insert_with(|| stamp.later(done));
            let taken = rest.len().min(FRAME - self.len);
            self.samples[self.len..self.len + taken].copy_from_slice(&rest[..taken]);
            self.len += taken;
            done += taken;
            if self.len == FRAME {
                let piece = Piece { stamp: begun, missed: self.missed, samples: self.samples };
                self.missed = if self.ring.push(piece).is_ok() { 0 } else { self.missed + 1 };
                (self.begun, self.len) = (None, 0);
            }
        }
    }
}

/// Whose voice a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Whose {
    /// The person's here.
    Own,
    /// One of the others'.
    Peer(TransportId),
}

/// Another voice for the writer.
struct Arrival {
    whose: Whose,
    file: String,
    ring: Consumer<Piece>,
}

/// Makes taps whose other ends are with the writer.
pub struct Tapper {
    own_file: String,
    arrivals: mpsc::Sender<Arrival>,
    known: BTreeSet<Whose>,
}

impl Tapper {
    /// A tap for somebody; whoever was there before goes on in the same file. `None`: recording has ended, or there are too many.
    pub fn tap(&mut self, whose: Whose, name: &str) -> Option<Box<Tap>> {
        if !self.known.contains(&whose) && self.known.len() >= MAX_TRACKS {
            return None;
        }
        let file = match whose {
            Whose::Own => self.own_file.clone(),
            Whose::Peer(peer) => file_name(name, &peer.short()),
        };
        let (producer, ring) = rings::record();
        self.arrivals.send(Arrival { whose, file, ring }).ok()?;
        self.known.insert(whose);
        Some(Box::new(Tap::new(producer)))
    }
}

/// Begins a recording at `began`, in a folder that is new or empty; what belongs to `me` (name and short id) is there at once.
///
/// # Errors
/// The folder holds something already, or cannot be written.
pub fn begin(folder: &Path, me: (&str, &str), began: Instant) -> Result<(Tapper, Writer), FileError> {
    make_folder(folder).map_err(|error| unwritable(folder, &error))?;
    let mut left = fs::read_dir(folder).map_err(|error| unwritable(folder, &error))?;
    if left.next().is_some() {
        return Err(FileError::Unwritable { path: folder.into(), reason: "it is not empty".into() });
    }
    let own_file = file_name(me.0, me.1);
    let (arrivals, receiver) = mpsc::channel();
    let writer = Writer::new(folder.into(), receiver, began, &own_file)?;
    Ok((Tapper { own_file, arrivals, known: BTreeSet::new() }, writer))
}

/// Makes a folder that only its owner can look into, as what is said in a call is for those who are in it.
fn make_folder(folder: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// A name from somebody else, made harmless for a file's: letters, digits, `-` and `_`.
fn file_name(name: &str, id: &str) -> String {
    let mut safe = String::new();
    for character in name.chars() {
        let kept = character.is_alphanumeric() || character == '_';
        let character = if kept { character } else { '-' };
        if safe.len() + character.len_utf8() > MAX_NAME {
            break;
        }
        if kept || !safe.ends_with('-') {
            safe.push(character);
        }
    }
    match safe.trim_matches('-') {
        "" => format!("someone-{id}"),
        safe => format!("{safe}-{id}"),
    }
}

fn unwritable(path: &Path, error: &io::Error) -> FileError {
    let reason = match error.kind() {
        io::ErrorKind::StorageFull => "the disk is full".to_owned(),
        _ => error.to_string(),
    };
    FileError::Unwritable { path: path.into(), reason }
}

/// Where to record: `wanted` itself while it is new or empty, else a folder of its own in it, named by `stamp`. Nothing that is there is
/// ever touched.
pub fn folder_for(wanted: &Path, own_folder: bool, stamp: &str) -> PathBuf {
    let is_free = |path: &Path| match fs::read_dir(path) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if !own_folder && is_free(wanted) {
        return wanted.into();
    }
    let name = |number: u32| match number {
        1 => wanted.join(format!("resonance-{stamp}")),
        more => wanted.join(format!("resonance-{stamp}-{more}")),
    };
    (1..100).map(name).find(|folder| is_free(folder)).unwrap_or_else(|| name(100))
}

#[cfg(test)]
mod tests;
