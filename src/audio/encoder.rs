//! Opus, outward: one frame in, one packet of constant size out.

use super::economy::{Economy, Step};
use super::format::{LONGEST_PACKET, PacketTime};
use super::libopus::{self, Delay, OpusError, Setting};
use crate::rate::Rate;

impl Rate {
    /// How much sound is in a packet of whoever would rather send `usual` samples: where the path is narrow as much as can be.
    pub fn samples(self, usual: usize) -> usize {
        if self < Self::Full { LONGEST_PACKET } else { usual }
    }
}

/// Bits a second of the frames themselves, and of what they share with their copies while packets get lost.
///
/// PESQ-WB of recorded speech in 10 ms frames, coded as speech (6.5 ms late) and as sound (2.5 ms): 4.30 and 4.06 at 32 kb/s, 4.52 and 4.31 at
/// 48, 4.57 and 4.44 at 64, 4.51 and 4.49 at 80. So a frame and one copy take no more of the network than a frame alone. Rates below the full
/// one are those of packets of 20 ms, coded as speech: 3.44 at 12 kb/s, 4.41 at 32, 4.55 at 48. What is around a packet takes 66 kb/s of the
/// network in packets of 10 ms, half of that in those.
struct Rates {
    /// Alone, at the full rate,
    full: i32,
    /// and at the lower ones, the least first.
    lower: [i32; 3],
    /// Together with copies: at the most,
    most: i32,
    /// and at the least, with however many.
    least: i32,
    /// With all their copies, unless that would be too little for each.
    shared: i32,
}

/// A voice with all its copies.
const SHARED: i32 = 128_000;

/// A voice that takes less.
const LOWER: [i32; 3] = [12_000, 32_000, 48_000];

/// Of music, in stereo: alone what makes it as good as the original to nearly everybody, and copies for what it takes half as much more.
const MUSIC: Rates =
    Rates { full: 128_000, lower: [32_000, 48_000, 64_000], most: 96_000, least: 48_000, shared: 192_000 };

/// Short frames have to say everything more often.
const fn rates(time: PacketTime) -> Rates {
    let (full, most, least) = match time {
        PacketTime::Shortest => (96_000, 96_000, 64_000),
        PacketTime::Short => (64_000, 64_000, 48_000),
        PacketTime::Usual | PacketTime::Long => (80_000, 40_000, 32_000),
    };
    Rates { full, lower: LOWER, most, least, shared: SHARED }
}

impl Rates {
    /// Of each of so many copies and the frame itself. Where the rate is lowered the copies are paid for by the frames alone.
    fn each(&self, rate: Rate, copies: usize) -> i32 {
        let frames = 1 + i32::try_from(copies).unwrap_or(i32::MAX - 1);
        match self.lower.get(rate as usize) {
            Some(alone) => (alone / frames).max(self.lower[0] / 2),
            None if copies == 0 => self.full,
            None => (self.shared / frames).clamp(self.least, self.most),
        }
    }
}

/// How hard it tries: as hard as it can,
const COMPLEXITY: i32 = 10;
/// and while there is no time for that.
const COMPLEXITY_LEAST: i32 = 2;

/// Room for any single Opus frame (RFC 6716, section 3.2.1: at most 1,275 bytes).
pub const MAX_PACKET: usize = 1_275;

/// One voice's encoder: 48 kHz mono, a frame a packet; or that of music: the same in stereo.
///
/// Frames that go alone at the full rate are coded as sound, which is 4 ms sooner, and so are all that are shorter than 10 ms; others as
/// speech, which needs fewer bits. Decoders follow from one to the other by themselves. A frame may be longer than the one before it.
pub struct Encoder {
    full: libopus::Encoder,
    /// None for music.
    sparing: Option<libopus::Encoder>,
    /// Frames at the full rate are too short to be coded as speech.
    short: bool,
    rate: Rate,
    copies: usize,
    rates: Rates,
    /// The last frame, with which the other encoder is made ready when it is its turn, all channels together,
    before: [f32; 2 * LONGEST_PACKET],
    /// and its length.
    before_len: usize,
}

/// What an encoder is for.
struct Kind {
    channels: usize,
    signal: Setting,
}

impl Encoder {
    /// Allocates and sets up the encoder.
    ///
    /// # Errors
    /// What libopus says, which is out of memory only.
    pub fn new(time: PacketTime) -> Result<Self, OpusError> {
        let rates = rates(time);
        // The mode "audio" told that it is speech codes as "voip" does, without that mode's high-pass filter: as good by PESQ (4.31 both), and the
        // waveform stays (correlation 0.98 instead of 0.93).
        Self::with(Kind { channels: 1, signal: Setting::Speech }, [Delay::Low, Delay::Usual], rates, time)
    }

    /// The same for music, which is coded as sound in any case: frames are left, right, left, right.
    ///
    /// # Errors
    /// What libopus says, which is out of memory only.
    pub fn music(time: PacketTime) -> Result<Self, OpusError> {
        Self::with(Kind { channels: 2, signal: Setting::Music }, [Delay::Low; 2], MUSIC, time)
    }

    fn with(kind: Kind, delays: [Delay; 2], rates: Rates, time: PacketTime) -> Result<Self, OpusError> {
        let encoder = |delay, bitrate| {
            let mut opus = libopus::Encoder::new(kind.channels, delay)?;
            for setting in
                [kind.signal, Setting::Bitrate(bitrate), Setting::ConstantRate, Setting::Complexity(COMPLEXITY)]
            {
                opus.set(setting)?;
            }
            Ok(opus)
        };
        let [full, sparing] = delays;
        Ok(Self {
            full: encoder(full, rates.each(Rate::Full, 0))?,
            sparing: (full != sparing).then(|| encoder(sparing, rates.most)).transpose()?,
            rate: Rate::Full,
            copies: 0,
            short: matches!(time, PacketTime::Shortest | PacketTime::Short),
            rates,
            before: [0.0; 2 * LONGEST_PACKET],
            before_len: time.samples() * kind.channels,
        })
    }

    /// From the next frame on they have so many bits, and each goes with so many copies of others. Does not allocate.
    pub fn supply(&mut self, rate: Rate, copies: usize) {
        let before = self.is_sparing();
        (self.rate, self.copies) = (rate, copies);
        let each = self.rates.each(rate, copies);
        // Never out of its range.
        let _ = self.present().set(Setting::Bitrate(each));
        if self.sparing.is_some() && before != self.is_sparing() {
            let (before, len, mut nowhere) = (self.before, self.before_len, [0; MAX_PACKET]);
            let _ = self.present().encode(&before[..len], &mut nowhere);
        }
    }

    /// Bits a second of the frames themselves.
    pub fn bits(&self) -> u32 {
        self.rates.each(self.rate, self.copies).unsigned_abs()
    }

    fn is_sparing(&self) -> bool {
        self.rate < Rate::Full || self.copies > 0 && !self.short
    }

    fn present(&mut self) -> &mut libopus::Encoder {
        let sparing = self.is_sparing();
        self.sparing.as_mut().filter(|_| sparing).unwrap_or(&mut self.full)
    }

    /// Leaves so much out from now on. Does not allocate.
    pub fn economize(&mut self, economy: Economy) {
        let effort = if economy.leaves_out(Step::Encoding) { COMPLEXITY_LEAST } else { COMPLEXITY };
        // Never out of its range.
        for opus in self.sparing.iter_mut().chain([&mut self.full]) {
            let _ = opus.set(Setting::Complexity(effort));
        }
    }

    /// Encodes one frame into `out` ([`MAX_PACKET`] bytes are enough) and returns the packet's length; `None` when libopus refuses.
    /// Does not allocate.
    pub fn encode(&mut self, frame: &[f32], out: &mut [u8]) -> Option<usize> {
        self.before.get_mut(..frame.len())?.copy_from_slice(frame);
        self.before_len = frame.len();
        self.present().encode(frame, out).ok().filter(|&len| len > 0)
    }

    /// Samples by which the decoded sound is later than what went in.
    ///
    /// # Errors
    /// What libopus says.
    pub fn lookahead(&mut self) -> Result<i32, OpusError> {
        self.present().lookahead()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_packet_has_the_same_size_whatever_is_said() {
        let mut encoder = Encoder::new(PacketTime::Usual).expect("encoder");
        let mut out = [0; MAX_PACKET];
        let mut noise = 1_u32;
        for n in 0..200 {
            let mut frame = [0.0; 480];
            for (i, sample) in frame.iter_mut().enumerate() {
                noise = noise.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *sample = match n / 50 {
                    0 => 0.0,
                    1 => (i as f32 * 0.05).sin() * 0.5,
                    2 => noise as f32 / u32::MAX as f32 - 0.5,
                    _ => 1.0e-4 * (i as f32 * 0.3).sin(),
                };
            }
            assert_eq!(encoder.encode(&frame, &mut out), Some(100), "frame {n}");
        }
    }

    #[test]
    fn music_is_stereo_at_a_constant_rate_and_its_copies_have_their_bound() {
        for time in PacketTime::ALL {
            let mut encoder = Encoder::music(time).expect("encoder");
            let mut out = [0; MAX_PACKET];
            let per_second = 48_000 / time.samples();
            for n in 0..60 {
                let loud = [0.0, 0.01, 0.3][n / 20];
                let wave = |i: usize| {
                    loud * ((n * time.samples() + i / 2) as f32 * if i.is_multiple_of(2) { 0.05 } else { 0.31 }).sin()
                };
                let frame: Vec<f32> = (0..2 * time.samples()).map(wave).collect();
                let len = encoder.encode(&frame, &mut out).expect("encoded");
                assert_eq!(len * 8 * per_second, 128_000, "{time} ms, frame {n}");
                assert_eq!(out[0] & 4, 4, "stereo, by its table of contents (RFC 6716, section 3.1)");
            }
            for copies in 0..4 {
                encoder.supply(Rate::Full, copies);
                let len = encoder.encode(&vec![0.1; 2 * time.samples()], &mut out).expect("encoded");
                assert!(
                    (len - 1) * (1 + copies) * 8 * per_second <= 192_000,
                    "{time} ms, {copies} copies: {len} bytes"
                );
            }
        }
    }

    #[test]
    fn with_copies_each_takes_less_and_all_together_no_more_than_there_is() {
        for time in PacketTime::ALL {
            let mut encoder = Encoder::new(time).expect("encoder");
            let frame = vec![0.1; time.samples()];
            let mut out = [0; MAX_PACKET];
            let mut before = usize::MAX;
            for copies in 0..4 {
                encoder.supply(Rate::Full, copies);
                let len = encoder.encode(&frame, &mut out).expect("encoded");
                assert!(len <= before, "{time} ms, {copies} copies: {len} after {before} bytes");
                before = len;
                if matches!(time, PacketTime::Usual | PacketTime::Long) {
                    // Up to a byte, of which there are whole ones only.
                    let bits = (len - 1) * (1 + copies) * 8 * 48_000 / time.samples();
                    assert!(bits <= 128_000, "{time} ms, {copies} copies: {bits} b/s");
                }
            }
            encoder.supply(Rate::Full, 0);
            assert_eq!(encoder.encode(&frame, &mut out), Encoder::new(time).expect("encoder").encode(&frame, &mut out));
        }
    }

    #[test]
    fn at_every_rate_packets_have_one_size_whatever_is_said_and_copies_take_no_more() {
        for time in PacketTime::ALL {
            let mut encoder = Encoder::new(time).expect("encoder");
            let mut above = u32::MAX;
            for rate in [Rate::Full, Rate::Reduced, Rate::Less, Rate::Least] {
                encoder.supply(rate, 0);
                let (bits, samples) = (encoder.bits(), rate.samples(time.samples()));
                assert!(bits < above, "{time} ms, {rate:?}: {bits} after {above} b/s");
                above = bits;
                let mut out = [0; MAX_PACKET];
                for n in 0..60 {
                    let loud = [0.0, 0.01, 0.3][n / 20];
                    let at = |i: usize| loud * ((n * samples + i) as f32 * 0.05).sin();
                    let frame: Vec<f32> = (0..samples).map(at).collect();
                    let len = encoder.encode(&frame, &mut out).expect("encoded");
                    assert_eq!(len as u32, bits / 8 / (48_000 / samples) as u32, "{time} ms, {rate:?}, frame {n}");
                }
            }
            encoder.supply(Rate::Reduced, 0);
            let alone = encoder.bits();
            encoder.supply(Rate::Reduced, 1);
            assert!(2 * encoder.bits() <= alone, "{time} ms: {} b/s twice of {alone}", encoder.bits());
        }
    }
}
