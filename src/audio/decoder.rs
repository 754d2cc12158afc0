//! Opus, inward: packets to sound, and concealment where a packet is missing.

use super::format::{Block, FRAME};
use super::libopus::{self, OpusError};

/// From 5 on libopus makes up missing frames by a neural network (PESQ at 20 % random loss 2.2 instead of 2.0); more would only matter
/// below the rates that are used here.
const COMPLEXITY: i32 = 5;

/// One remote voice's decoder: 48 kHz mono, 10 ms frames.
pub struct Decoder {
    opus: libopus::Decoder,
}

impl Decoder {
    /// Allocates the decoder.
    ///
    /// # Errors
    /// What libopus says, which is out of memory only.
    pub fn new() -> Result<Self, OpusError> {
        Ok(Self { opus: libopus::Decoder::new(1, COMPLEXITY)? })
    }

    /// Whether `packet` claims to hold exactly one frame's worth of sound: nothing else is played.
    pub fn accepts(packet: &[u8]) -> bool {
        libopus::samples(packet) == Some(FRAME)
    }

    /// Decodes one packet. False when it is not Opus: then the frame was concealed instead. Does not allocate.
    pub fn decode(&mut self, packet: &[u8], out: &mut Block) -> bool {
        let good = self.opus.decode(packet, out).is_ok_and(|samples| samples == FRAME);
        if !good {
            self.conceal(out);
        }
        sane(out);
        good
    }

    /// Makes up one frame from what was heard before; fades to silence when called again and again. Does not allocate.
    pub fn conceal(&mut self, out: &mut Block) {
        if !self.opus.conceal(out).is_ok_and(|samples| samples == FRAME) {
            out.fill(0.0);
        }
        sane(out);
    }
}

/// Keeps what a hostile packet can do to filters further on within bounds.
fn sane(block: &mut Block) {
    for sample in block {
        *sample = if sample.is_finite() { sample.clamp(-2.0, 2.0) } else { 0.0 };
    }
}

#[cfg(test)]
mod tests {
    use super::super::encoder::{Encoder, MAX_PACKET};
    use super::*;

    fn energy(block: &Block) -> f32 {
        block.iter().map(|x| x * x).sum::<f32>() / block.len() as f32
    }

    #[test]
    fn a_tone_comes_back_and_a_missing_packet_is_concealed_by_more_of_it() {
        let (mut encoder, mut decoder) = (Encoder::new().expect("encoder"), Decoder::new().expect("decoder"));
        let (mut packet, mut out) = ([0; MAX_PACKET], [0.0; FRAME]);
        let mut tone = (0..).map(|n| 0.25 * (n as f32 * 440.0 * std::f32::consts::TAU / 48_000.0).sin());
        for _ in 0..50 {
            let frame: Block = std::array::from_fn(|_| tone.next().unwrap_or(0.0));
            let len = encoder.encode(&frame, &mut packet).expect("encodes");
            assert!(Decoder::accepts(&packet[..len]));
            assert!(decoder.decode(&packet[..len], &mut out));
        }
        let played = energy(&out);
        assert!((played - 0.03125).abs() < 0.01, "{played}");
        decoder.conceal(&mut out);
        assert!(energy(&out) > played * 0.3, "{}", energy(&out));
        for _ in 0..50 {
            decoder.conceal(&mut out);
        }
        assert!(energy(&out) < played * 0.05, "half a second later it has faded: {}", energy(&out));
    }

    #[test]
    fn other_durations_and_garbage_are_not_accepted() {
        // Table of contents bytes (RFC 6716, section 3.1): configuration 1 is SILK 20 ms, 31 CELT 20 ms; code 1 means two frames.
        assert!(!Decoder::accepts(&[]));
        assert!(!Decoder::accepts(&[1 << 3, 0]));
        assert!(!Decoder::accepts(&[31 << 3, 0]));
        assert!(!Decoder::accepts(&[(30 << 3) | 1, 0, 0]));
        assert!(Decoder::accepts(&[30 << 3, 0]));
        let mut out = [0.0; FRAME];
        assert!(!Decoder::new().expect("decoder").decode(&[0xFF, 0xFF, 0xFF], &mut out));
        assert!(out.iter().all(|x| x.is_finite()));
    }
}
