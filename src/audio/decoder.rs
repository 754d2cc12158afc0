//! Opus, inward: packets to sound, and concealment where a packet is missing.

use super::economy::{Economy, Step};
use super::format::PacketTime;
use super::libopus::{self, OpusError};

/// From 5 on libopus makes up missing frames by a neural network (PESQ at 20 % random loss 2.2 instead of 2.0); more would only matter
/// below the rates that are used here.
const COMPLEXITY: i32 = 5;

/// Without the network.
const COMPLEXITY_LEAST: i32 = 0;

/// One remote voice's decoder: 48 kHz mono.
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

    /// Leaves so much out from now on. Does not allocate.
    pub fn economize(&mut self, economy: Economy) {
        let plain = economy.leaves_out(Step::Concealment);
        // Never out of its range.
        let _ = self.opus.set_complexity(if plain { COMPLEXITY_LEAST } else { COMPLEXITY });
    }

    /// Samples that `packet` claims to hold, if that is a length that packets can have: nothing else is played.
    pub fn samples(packet: &[u8]) -> Option<usize> {
        let is = |samples: &usize| PacketTime::ALL.iter().any(|time| time.samples() == *samples);
        libopus::samples(packet).filter(is)
    }

    /// Decodes one packet of as many samples as `out` is long. False when it is not: then the frame was concealed instead. Does not
    /// allocate.
    pub fn decode(&mut self, packet: &[u8], out: &mut [f32]) -> bool {
        let good = self.opus.decode(packet, out).is_ok_and(|samples| samples == out.len());
        if !good {
            self.conceal(out);
        }
        sane(out);
        good
    }

    /// Makes up one frame from what was heard before; fades to silence when called again and again. Does not allocate.
    pub fn conceal(&mut self, out: &mut [f32]) {
        if !self.opus.conceal(out).is_ok_and(|samples| samples == out.len()) {
            out.fill(0.0);
        }
        sane(out);
    }
}

/// Keeps what a hostile packet can do to filters further on within bounds.
fn sane(block: &mut [f32]) {
    for sample in block {
        *sample = if sample.is_finite() { sample.clamp(-2.0, 2.0) } else { 0.0 };
    }
}

#[cfg(test)]
mod tests {
    use super::super::encoder::{Encoder, MAX_PACKET};
    use super::super::format::{Block, FRAME};
    use super::*;

    fn energy(block: &Block) -> f32 {
        block.iter().map(|x| x * x).sum::<f32>() / block.len() as f32
    }

    #[test]
    fn a_tone_comes_back_and_a_missing_packet_is_concealed_by_more_of_it() {
        let (mut encoder, mut decoder) =
            (Encoder::new(PacketTime::Usual).expect("encoder"), Decoder::new().expect("decoder"));
        let (mut packet, mut out) = ([0; MAX_PACKET], [0.0; FRAME]);
        let mut tone = (0..).map(|n| 0.25 * (n as f32 * 440.0 * std::f32::consts::TAU / 48_000.0).sin());
        for _ in 0..50 {
            let frame: Block = std::array::from_fn(|_| tone.next().unwrap_or(0.0));
            let len = encoder.encode(&frame, &mut packet).expect("encodes");
            assert_eq!(Decoder::samples(&packet[..len]), Some(FRAME));
            assert!(decoder.decode(&packet[..len], &mut out));
        }
        let played = energy(&out);
        assert!((played - 0.03125).abs() < 0.01, "{played}");
        decoder.conceal(&mut out);
        assert!(energy(&out) > played * 0.2, "{}", energy(&out));
        for _ in 0..50 {
            decoder.conceal(&mut out);
        }
        assert!(energy(&out) < played * 0.05, "half a second later it has faded: {}", energy(&out));
    }

    #[test]
    fn other_durations_and_garbage_are_not_accepted() {
        // Table of contents bytes (RFC 6716, section 3.1): configurations 2 and 3 are SILK 40 and 60 ms, 28 to 31 CELT 2.5 to 20 ms; code 1 means
        // two frames.
        assert_eq!(Decoder::samples(&[]), None);
        for (config, samples) in
            [(2, None), (3, None), (28, Some(120)), (29, Some(240)), (30, Some(480)), (31, Some(960))]
        {
            assert_eq!(Decoder::samples(&[config << 3, 0]), samples, "configuration {config}");
        }
        assert_eq!(Decoder::samples(&[(31 << 3) | 1, 0, 0]), None);
        let mut out = [0.0; FRAME];
        assert!(!Decoder::new().expect("decoder").decode(&[0xFF, 0xFF, 0xFF], &mut out));
        assert!(out.iter().all(|x| x.is_finite()));
    }
}
