//! The one format inside: 48 kHz, 32-bit float, blocks of 10 ms. Everything else is converted at the edges.

/// Samples a second, of every ring, timestamp and file.
pub const SAMPLE_RATE: u32 = 48_000;

/// Samples in one frame (one packet, one block of work): 10 ms.
pub const FRAME: usize = 480;

/// Samples that the ears' side renders at a time: 2.5 ms. Packets wait for the next one of these, not for the next frame.
pub const QUANTUM: usize = 120;

/// That of one channel.
pub type Quantum = [f32; QUANTUM];

/// One frame of one channel; full scale is ±1.
pub type Block = [f32; FRAME];

/// Remote voices at once: a session has at most eight people.
pub const MAX_LANES: usize = 7;

/// Level that stands for silence, in dBFS.
pub const SILENCE_DB: f32 = -90.0;

/// Milliseconds that `samples` last.
pub fn milliseconds(samples: f32) -> f32 {
    samples * 1_000.0 / SAMPLE_RATE as f32
}
