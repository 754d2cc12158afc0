//! The one format inside: 48 kHz, 32-bit float, blocks of 10 ms. Everything else is converted at the edges.

use std::fmt;
use std::str::FromStr;
use thiserror::Error;

/// Samples a second, of every ring, timestamp and file.
pub const SAMPLE_RATE: u32 = 48_000;

/// Samples in one block of work, and in a packet unless another length is chosen: 10 ms.
pub const FRAME: usize = 480;

/// Samples that the ears' side renders at a time: 2.5 ms. Packets wait for the next one of these, not for the next frame.
pub const QUANTUM: usize = 120;

/// That of one channel.
pub type Quantum = [f32; QUANTUM];

/// One frame of one channel; full scale is ±1.
pub type Block = [f32; FRAME];

/// How much of a microphone's sound there is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Channels {
    /// A voice.
    #[default]
    One,
    /// Left and right, each sample of the one beside its of the other.
    Two,
}

impl Channels {
    /// Their number.
    pub const fn count(self) -> usize {
        match self {
            Self::One => 1,
            Self::Two => 2,
        }
    }
}

/// Samples in the longest packet: 20 ms.
pub const LONGEST_PACKET: usize = 960;

/// How much sound is in a packet (RFC 8866, ptime): shorter ones are sooner there, longer ones cost less beside the sound itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PacketTime {
    /// 2.5 ms.
    Shortest,
    /// 5 ms.
    Short,
    /// 10 ms.
    #[default]
    Usual,
    /// 20 ms.
    Long,
}

impl PacketTime {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Shortest, Self::Short, Self::Usual, Self::Long];

    /// Samples in a packet.
    pub const fn samples(self) -> usize {
        match self {
            Self::Shortest => QUANTUM,
            Self::Short => 240,
            Self::Usual => FRAME,
            Self::Long => LONGEST_PACKET,
        }
    }

    fn words(self) -> &'static str {
        match self {
            Self::Shortest => "2.5",
            Self::Short => "5",
            Self::Usual => "10",
            Self::Long => "20",
        }
    }
}

impl fmt::Display for PacketTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.words())
    }
}

/// No length that packets can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a packet holds 2.5, 5, 10 or 20 ms")]
pub struct NoPacketTime;

impl FromStr for PacketTime {
    type Err = NoPacketTime;

    fn from_str(text: &str) -> Result<Self, NoPacketTime> {
        Self::ALL.into_iter().find(|time| time.words() == text).ok_or(NoPacketTime)
    }
}

/// Writes the mean of left and right.
pub fn mix(stereo: &[[f32; 2]], mono: &mut [f32]) {
    for (mono, [left, right]) in mono.iter_mut().zip(stereo) {
        *mono = 0.5 * (left + right);
    }
}

/// Remote voices at once: a session has at most eight people.
pub const MAX_LANES: usize = 7;

/// Level that stands for silence, in dBFS.
pub const SILENCE_DB: f32 = -90.0;

/// Milliseconds that `samples` last.
pub fn milliseconds(samples: f32) -> f32 {
    samples * 1_000.0 / SAMPLE_RATE as f32
}
