//! What sound comes from and goes to: real cards, or files and generators that keep time like a card.
//!
//! An input is opened with a [`MicWriter`](super::capture::MicWriter) and pushes samples at 48 kHz into it, mono or stereo; an output is opened
//! with a [`SpeakerReader`](super::playback::SpeakerReader) and pulls stereo frames at 48 kHz out of it. Both ends wake the worker
//! behind them; a card only converts and copies.

pub mod card;
pub mod sink;
pub mod source;
pub mod virtual_card;

use super::spatial::choice::Ears;
use std::path::PathBuf;
use std::time::Duration;
use thiserror::Error;

/// An open device: sound flows until it is dropped, which stops it and waits for its thread.
pub trait Card: Send {
    /// The device's name as people know it. It is another one when the system has moved the sound to another device.
    fn name(&self) -> String;

    /// What went wrong for good (unplugged, refused by the system), once it has. The engine then falls back and says so.
    fn fault(&self) -> Option<String>;

    /// What it says that one listens with, at present; none when it does not say.
    fn ears(&self) -> Option<Ears> {
        None
    }

    /// How long sound is under way through it at present, as far as it knows: between the air and the ring.
    fn delay(&self) -> Option<Duration> {
        None
    }

    /// Nothing that was wanted is behind it for the moment: what it brings is silence.
    fn is_absent(&self) -> bool {
        false
    }

    /// Interruptions that the device itself reported since it was opened.
    fn xruns(&self) -> u64 {
        0
    }
}

/// Which real card is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted<'a> {
    /// What the system prefers.
    Default,
    /// A device's name or id.
    Named(&'a str),
}

/// Why a real card could not be opened.
#[derive(Debug, Error)]
pub enum CardError {
    /// The machine has no such kind of device at all.
    #[error("there is no {kind} device on this machine")]
    NoDevice {
        /// "input" or "output".
        kind: &'static str,
    },
    /// Devices exist, but none of this name.
    #[error("there is no {kind} device \"{name}\"; there is {}", available.join(", "))]
    NotFound {
        /// "input" or "output".
        kind: &'static str,
        /// What was asked for.
        name: String,
        /// What there is.
        available: Vec<String>,
    },
    /// The device exists but does not work.
    #[error("{device} could not be opened: {reason}")]
    Refused {
        /// The device's name.
        device: String,
        /// What the system said.
        reason: String,
    },
}

/// Why a file could not be used as a device.
#[derive(Debug, Error)]
pub enum FileError {
    /// It does not exist, or is no sound that can be read.
    #[error("{} cannot be read as a WAV file: {reason}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What was wrong with it.
        reason: String,
    },
    /// It cannot be created, or no longer be written.
    #[error("{} cannot be written: {reason}", path.display())]
    Unwritable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
}
