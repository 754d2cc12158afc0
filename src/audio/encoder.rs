//! Opus, outward: one frame in, one packet of constant size out.

use super::economy::{Economy, Step};
use super::format::{LONGEST_PACKET, PacketTime};
use super::libopus::{self, Delay, OpusError, Setting};

/// Bits a second of the frames themselves, and of what they share with their copies while packets get lost: all packets of one degree of
/// protection have one size, since packet lengths of a variable rate tell what is said (Wright et al., "Spot me if you can",
/// IEEE S&P 2008).
///
/// PESQ-WB of recorded speech in 10 ms frames, coded as speech (6.5 ms late) and as sound (2.5 ms): 4.29 and 4.06 at 32 kb/s, 4.52 and 4.31 at
/// 48, 4.57 and 4.44 at 64, 4.51 and 4.49 at 80. So a frame and one copy take no more of the network than a frame alone.
struct Rates {
    /// Alone.
    alone: i32,
    /// Together with copies: at the most,
    most: i32,
    /// and at the least, with however many.
    least: i32,
    /// With all their copies, unless that would be too little for each.
    shared: i32,
}

/// A voice with all its copies.
const SHARED: i32 = 128_000;

/// Of music, in stereo: alone what makes it as good as the original to nearly everybody, and copies for what it takes half as much more.
const MUSIC: Rates = Rates { alone: 128_000, most: 96_000, least: 48_000, shared: 192_000 };

/// Short frames have to say everything more often.
const fn rates(time: PacketTime) -> Rates {
    match time {
        PacketTime::Shortest => Rates { alone: 96_000, most: 96_000, least: 64_000, shared: SHARED },
        PacketTime::Short => Rates { alone: 64_000, most: 64_000, least: 48_000, shared: SHARED },
        PacketTime::Usual | PacketTime::Long => Rates { alone: 80_000, most: 40_000, least: 32_000, shared: SHARED },
    }
}

/// How hard it tries: as hard as it can,
const COMPLEXITY: i32 = 10;
/// and while there is no time for that.
const COMPLEXITY_LEAST: i32 = 2;

/// Room for any single Opus frame (RFC 6716, section 3.2.1: at most 1,275 bytes).
pub const MAX_PACKET: usize = 1_275;

/// How frames are coded that go with copies, which leave few bits for each. Frames shorter than 10 ms are coded as sound in any case.
const fn delay_with_copies(time: PacketTime) -> Delay {
    match time {
        PacketTime::Shortest | PacketTime::Short => Delay::Low,
        PacketTime::Usual | PacketTime::Long => Delay::Usual,
    }
}

/// One voice's encoder: 48 kHz mono, a frame a packet; or that of music: the same in stereo.
///
/// Frames that go alone are coded as sound, which is 4 ms sooner; frames that share their packets with copies as speech, which needs fewer
/// bits. Decoders follow from one to the other by themselves.
pub struct Encoder {
    alone: libopus::Encoder,
    /// None where frames with copies are coded like those without.
    with_copies: Option<libopus::Encoder>,
    copies: usize,
    /// Of a frame, all channels together.
    samples: usize,
    rates: Rates,
    /// The last frame, with which the other encoder is made ready when it is its turn.
    before: [f32; 2 * LONGEST_PACKET],
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
        Self::with(Kind { channels: 1, signal: Setting::Speech }, [Delay::Low, delay_with_copies(time)], rates, time)
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
        let [alone, with_copies] = delays;
        Ok(Self {
            alone: encoder(alone, rates.alone)?,
            with_copies: (alone != with_copies).then(|| encoder(with_copies, rates.most)).transpose()?,
            copies: 0,
            samples: time.samples() * kind.channels,
            rates,
            before: [0.0; 2 * LONGEST_PACKET],
        })
    }

    /// From the next frame on each goes with so many copies of others. Does not allocate.
    pub fn share(&mut self, copies: usize) {
        let each = self.rates.shared / (1 + i32::try_from(copies).unwrap_or(i32::MAX - 1));
        let each = if copies == 0 { self.rates.alone } else { each.clamp(self.rates.least, self.rates.most) };
        let changes = self.with_copies.is_some() && (self.copies == 0) != (copies == 0);
        self.copies = copies;
        // Never out of its range.
        let _ = self.present().set(Setting::Bitrate(each));
        if changes {
            let (before, samples, mut nowhere) = (self.before, self.samples, [0; MAX_PACKET]);
            let _ = self.present().encode(&before[..samples], &mut nowhere);
        }
    }

    fn present(&mut self) -> &mut libopus::Encoder {
        self.with_copies.as_mut().filter(|_| self.copies > 0).unwrap_or(&mut self.alone)
    }

    /// Leaves so much out from now on. Does not allocate.
    pub fn economize(&mut self, economy: Economy) {
        let effort = if economy.leaves_out(Step::Encoding) { COMPLEXITY_LEAST } else { COMPLEXITY };
        // Never out of its range.
        for opus in self.with_copies.iter_mut().chain([&mut self.alone]) {
            let _ = opus.set(Setting::Complexity(effort));
        }
    }

    /// Encodes one frame into `out` ([`MAX_PACKET`] bytes are enough) and returns the packet's length; `None` when libopus refuses.
    /// Does not allocate.
    pub fn encode(&mut self, frame: &[f32], out: &mut [u8]) -> Option<usize> {
        self.before.get_mut(..frame.len())?.copy_from_slice(frame);
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
                encoder.share(copies);
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
                encoder.share(copies);
                let len = encoder.encode(&frame, &mut out).expect("encoded");
                assert!(len <= before, "{time} ms, {copies} copies: {len} after {before} bytes");
                before = len;
                if matches!(time, PacketTime::Usual | PacketTime::Long) {
                    // Up to a byte, of which there are whole ones only.
                    let bits = (len - 1) * (1 + copies) * 8 * 48_000 / time.samples();
                    assert!(bits <= 128_000, "{time} ms, {copies} copies: {bits} b/s");
                }
            }
            encoder.share(0);
            assert_eq!(encoder.encode(&frame, &mut out), Encoder::new(time).expect("encoder").encode(&frame, &mut out));
        }
    }
}
