//! Opus, inward: packets to sound, and concealment where a packet is missing.

use super::economy::{Economy, Step};
use super::format::{LONGEST_PACKET, PacketTime};
use super::libopus::{self, OpusError};

/// From 5 on libopus makes up missing frames by a neural network (PESQ at 20 % random loss 2.2 instead of 2.0); more would only matter
/// below the rates that are used here.
const COMPLEXITY: i32 = 5;

/// Without the network.
const COMPLEXITY_LEAST: i32 = 0;

/// Set in the first byte of a packet in stereo (RFC 6716, section 3.1).
const STEREO: u8 = 4;

/// One remote voice's decoder: 48 kHz, mono, or in stereo while it is music. What comes out is the middle of both ears and, by itself, what
/// the left one has more of than that and the right one less: nothing in mono.
pub struct Decoder {
    voice: libopus::Decoder,
    music: libopus::Decoder,
    /// The last packet was in stereo.
    stereo: bool,
}

impl Decoder {
    /// Allocates the decoder.
    ///
    /// # Errors
    /// What libopus says, which is out of memory only.
    pub fn new() -> Result<Self, OpusError> {
        let (voice, music) = (libopus::Decoder::new(1, COMPLEXITY)?, libopus::Decoder::new(2, COMPLEXITY)?);
        Ok(Self { voice, music, stereo: false })
    }

    /// Leaves so much out from now on. Does not allocate.
    pub fn economize(&mut self, economy: Economy) {
        let plain = economy.leaves_out(Step::Concealment);
        for opus in [&mut self.voice, &mut self.music] {
            // Never out of its range.
            let _ = opus.set_complexity(if plain { COMPLEXITY_LEAST } else { COMPLEXITY });
        }
    }

    /// Samples that `packet` claims to hold, if that is a length that packets can have: nothing else is played.
    pub fn samples(packet: &[u8]) -> Option<usize> {
        let is = |samples: &usize| PacketTime::ALL.iter().any(|time| time.samples() == *samples);
        libopus::samples(packet).filter(is)
    }

    /// Whether the last packet was in stereo.
    pub fn is_stereo(&self) -> bool {
        self.stereo
    }

    /// Decodes one packet of as many samples as `mid` and `side` are long. False when it is not: then the frame was concealed instead. Does
    /// not allocate.
    pub fn decode(&mut self, packet: &[u8], mid: &mut [f32], side: &mut [f32]) -> bool {
        self.stereo = packet.first().is_some_and(|contents| contents & STEREO != 0);
        let decoded = self.run(mid, side, |opus, out| opus.decode(packet, out));
        if !decoded {
            self.conceal(mid, side);
        }
        decoded
    }

    /// Makes up one frame from what was heard before; fades to silence when called again and again. Does not allocate.
    pub fn conceal(&mut self, mid: &mut [f32], side: &mut [f32]) {
        if !self.run(mid, side, |opus, out| opus.conceal(out)) {
            mid.fill(0.0);
            side.fill(0.0);
        }
    }

    /// False when that does not give as much as there is room for, at most a packet's.
    fn run(
        &mut self,
        mid: &mut [f32],
        side: &mut [f32],
        decode: impl FnOnce(&mut libopus::Decoder, &mut [f32]) -> Result<usize, OpusError>,
    ) -> bool {
        let wanted = mid.len();
        let mut both = [0.0; 2 * LONGEST_PACKET];
        let decoded = match (self.stereo, both.get_mut(..2 * wanted)) {
            (false, _) => {
                side.fill(0.0);
                decode(&mut self.voice, mid)
            }
            (true, Some(both)) => decode(&mut self.music, both).inspect(|_| {
                for ((mid, side), [left, right]) in mid.iter_mut().zip(&mut *side).zip(both.as_chunks().0) {
                    (*mid, *side) = (0.5 * (left + right), 0.5 * (left - right));
                }
            }),
            (true, None) => return false,
        };
        sane(mid);
        sane(side);
        decoded.is_ok_and(|samples| samples == wanted)
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
        let (mut packet, mut out, mut side) = ([0; MAX_PACKET], [0.0; FRAME], [1.0; FRAME]);
        let mut tone = (0..).map(|n| 0.25 * (n as f32 * 440.0 * std::f32::consts::TAU / 48_000.0).sin());
        for _ in 0..50 {
            let frame: Block = std::array::from_fn(|_| tone.next().unwrap_or(0.0));
            let len = encoder.encode(&frame, &mut packet).expect("encodes");
            assert_eq!(Decoder::samples(&packet[..len]), Some(FRAME));
            assert!(decoder.decode(&packet[..len], &mut out, &mut side) && side == [0.0; FRAME]);
        }
        let played = energy(&out);
        assert!((played - 0.03125).abs() < 0.01, "{played}");
        decoder.conceal(&mut out, &mut side);
        assert!(energy(&out) > played * 0.2, "{}", energy(&out));
        for _ in 0..50 {
            decoder.conceal(&mut out, &mut side);
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
        for garbage in [[0xFF, 0xFF, 0xFF], [0xFB, 0xFF, 0xFF]] {
            let (mut out, mut side) = ([f32::NAN; FRAME], [f32::NAN; FRAME]);
            assert!(!Decoder::new().expect("decoder").decode(&garbage, &mut out, &mut side));
            assert!(out.iter().chain(&side).all(|x| x.is_finite()));
        }
    }
}
