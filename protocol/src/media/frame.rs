//! The plaintext inside a sealed packet: when a frame was spoken, its Opus packet, and copies of earlier frames for those whose
//! packets get lost (RFC 2198's idea, inside the seal).

/// One frame of one voice.
///
/// Bytes: number of copies (1, at most [`MAX_COPIES`](Self::MAX_COPIES); and 8 if a pause is told of) ‖ timestamp (4, big-endian) ‖ the
/// pause (1, if it is) ‖ the copies, each age (1, in units of [`AGE_UNIT`](Self::AGE_UNIT), not 0) ‖ length (1, not 0) ‖ Opus packet ‖ the frame's own Opus packet (≥ 1 byte).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Number of the frame's first sample at 48 kHz, counted by the sender; wraps at 2³².
    pub timestamp: u32,
    /// One Opus packet (RFC 6716).
    pub opus: &'a [u8],
    /// What a sender that sends nothing while it has nothing to say tells of that.
    pub pause: Option<Pause>,
    /// The copies, checked.
    copies: &'a [u8],
}

/// About a pause in which nothing is sent, so that nobody takes it for loss.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pause {
    /// So many frames (at most 127) were sent since the last pause, which reached to the first of them.
    Ended(u8),
    /// So many more frames (at most 126) come before the next one.
    Begins(u8),
    /// It goes on: this packet only shows that its sender is there, and holds no sound.
    Lasts,
}

impl Pause {
    fn byte(self) -> u8 {
        match self {
            Self::Ended(frames) => frames.min(0x7F),
            Self::Begins(frames) => 0x80 | frames.min(0x7E),
            Self::Lasts => 0xFF,
        }
    }

    fn read(byte: u8) -> Self {
        match byte {
            0xFF => Self::Lasts,
            0x80.. => Self::Begins(byte & 0x7F),
            _ => Self::Ended(byte),
        }
    }
}

/// An earlier frame once more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameCopy<'a> {
    /// How much earlier its first sample was than that of the frame it travels with, in units of [`Frame::AGE_UNIT`].
    pub age: u8,
    /// Its Opus packet.
    pub opus: &'a [u8],
}

impl FrameCopy<'_> {
    /// Its age in samples.
    pub fn samples(&self) -> u32 {
        u32::from(self.age).saturating_mul(Frame::AGE_UNIT)
    }
}

impl<'a> Frame<'a> {
    /// Bytes before the copies.
    pub const OVERHEAD: usize = 5;
    /// Bytes that come with each copy.
    pub const COPY_OVERHEAD: usize = 2;
    /// Copies in one packet: more would be waited for longer than anybody wants.
    pub const MAX_COPIES: usize = 7;
    /// Set beside the number of copies when a byte about a pause follows the timestamp.
    const PAUSE: u8 = 8;
    /// Samples that one unit of age stands for: 2.5 ms, Opus' shortest frame.
    pub const AGE_UNIT: u32 = 120;

    /// Writes a frame and its copies at the start of `out` and returns the length; `None` when it does not fit, when an Opus packet is
    /// empty, or a copy has no age or is longer than 255 bytes.
    pub fn write(timestamp: u32, opus: &[u8], copies: &[FrameCopy<'_>], out: &mut [u8]) -> Option<usize> {
        Self::write_beside(None, timestamp, opus, copies, out)
    }

    /// The same for a frame that stands beside a pause, or in one.
    pub fn write_beside(
        pause: Option<Pause>,
        timestamp: u32,
        opus: &[u8],
        copies: &[FrameCopy<'_>],
        out: &mut [u8],
    ) -> Option<usize> {
        if opus.is_empty() || copies.len() > Self::MAX_COPIES {
            return None;
        }
        let (prefix, mut rest) = out.split_first_chunk_mut::<{ Frame::OVERHEAD }>()?;
        let [a, b, c, d] = timestamp.to_be_bytes();
        let told = if pause.is_some() { Self::PAUSE } else { 0 };
        *prefix = [u8::try_from(copies.len()).ok()? | told, a, b, c, d];
        let mut len = Self::OVERHEAD;
        if let Some(pause) = pause {
            let (byte, behind) = rest.split_first_mut()?;
            *byte = pause.byte();
            rest = behind;
            len = len.checked_add(1)?;
        }
        for copy in copies {
            let size = u8::try_from(copy.opus.len()).ok()?;
            if size == 0 || copy.age == 0 {
                return None;
            }
            let (header, behind) = rest.split_first_chunk_mut::<{ Frame::COPY_OVERHEAD }>()?;
            *header = [copy.age, size];
            behind.get_mut(..copy.opus.len())?.copy_from_slice(copy.opus);
            rest = behind.get_mut(copy.opus.len()..)?;
            len = len.checked_add(Self::COPY_OVERHEAD)?.checked_add(copy.opus.len())?;
        }
        rest.get_mut(..opus.len())?.copy_from_slice(opus);
        len.checked_add(opus.len())
    }

    /// Reads a frame; `None` when it is too short, or what it says of its copies cannot be.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (&[first, a, b, c, d], behind) = bytes.split_first_chunk::<{ Frame::OVERHEAD }>()?;
        let count = first & !Self::PAUSE;
        if usize::from(count) > Self::MAX_COPIES {
            return None;
        }
        let (pause, behind) = if first == count {
            (None, behind)
        } else {
            let (byte, behind) = behind.split_first()?;
            (Some(Pause::read(*byte)), behind)
        };
        let mut rest = behind;
        for _ in 0..count {
            (_, rest) = split(rest)?;
        }
        let copies = behind.get(..behind.len().checked_sub(rest.len())?)?;
        (!rest.is_empty()).then_some(Self { timestamp: u32::from_be_bytes([a, b, c, d]), opus: rest, pause, copies })
    }

    /// The copies of earlier frames, in the order of the packet.
    pub fn copies(&self) -> impl Iterator<Item = FrameCopy<'a>> {
        let mut rest = self.copies;
        std::iter::from_fn(move || {
            let (copy, behind) = split(rest)?;
            rest = behind;
            Some(copy)
        })
    }
}

/// The first copy, and what is behind it.
fn split(bytes: &[u8]) -> Option<(FrameCopy<'_>, &[u8])> {
    let (&[age, size], behind) = bytes.split_first_chunk::<{ Frame::COPY_OVERHEAD }>()?;
    let (opus, rest) = behind.split_at_checked(usize::from(size))?;
    (age != 0 && size != 0).then_some((FrameCopy { age, opus }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_as_it_was_written() {
        let mut out = [0; 16];
        let len = Frame::write(0xFFFF_FE20, &[0xF8, 1, 2], &[], &mut out).unwrap();
        assert_eq!(out[..len], [0, 0xFF, 0xFF, 0xFE, 0x20, 0xF8, 1, 2]);
        let frame = Frame::parse(&out[..len]).unwrap();
        assert_eq!((frame.timestamp, frame.opus, frame.copies().count()), (0xFFFF_FE20, &[0xF8, 1, 2][..], 0));
    }

    #[test]
    fn copies_come_back_in_their_order() {
        let copies = [FrameCopy { age: 16, opus: &[7, 8] }, FrameCopy { age: 40, opus: &[9] }];
        let mut out = [0; 32];
        let len = Frame::write(480, &[0xF8, 1], &copies, &mut out).unwrap();
        assert_eq!(out[..len], [2, 0, 0, 1, 0xE0, 16, 2, 7, 8, 40, 1, 9, 0xF8, 1]);
        let frame = Frame::parse(&out[..len]).unwrap();
        assert_eq!((frame.timestamp, frame.opus), (480, &[0xF8, 1][..]));
        assert!(frame.copies().eq(copies));
        assert_eq!(copies[0].samples(), 4 * 480);
        let most = [FrameCopy { age: 1, opus: &[1] }; Frame::MAX_COPIES];
        let len = Frame::write(480, &[0xF8], &most, &mut out).unwrap();
        assert!(Frame::parse(&out[..len]).unwrap().copies().eq(most));
    }

    #[test]
    fn a_pause_is_told_of_in_one_byte_more() {
        let mut out = [0; 32];
        let copies = [FrameCopy { age: 16, opus: &[7, 8] }];
        for (pause, byte) in [
            (Pause::Ended(0), 0),
            (Pause::Ended(127), 127),
            (Pause::Begins(0), 128),
            (Pause::Begins(126), 254),
            (Pause::Lasts, 255),
        ] {
            let len = Frame::write_beside(Some(pause), 480, &[0xF8, 1], &copies, &mut out).unwrap();
            assert_eq!(out[..len], [9, 0, 0, 1, 0xE0, byte, 16, 2, 7, 8, 0xF8, 1]);
            let frame = Frame::parse(&out[..len]).unwrap();
            assert_eq!((frame.pause, frame.timestamp, frame.opus), (Some(pause), 480, &[0xF8, 1][..]));
            assert!(frame.copies().eq(copies));
        }
        assert_eq!(Frame::write_beside(Some(Pause::Lasts), 0, &[1], &[], &mut [0; 6]), None);
        for short in [&[8, 0, 0, 0, 0][..], &[8, 0, 0, 0, 0, 255]] {
            assert_eq!(Frame::parse(short), None, "no sound behind it");
        }
    }

    #[test]
    fn what_does_not_fit_or_has_no_sound_is_not_written() {
        assert_eq!(Frame::write(0, &[1, 2, 3], &[], &mut [0; 7]), None);
        assert_eq!(Frame::write(0, &[], &[], &mut [0; 7]), None);
        let write = |copy: FrameCopy<'_>, room: usize| Frame::write(0, &[1], &[copy], &mut [0; 400][..room]);
        assert_eq!(write(FrameCopy { age: 4, opus: &[1, 2] }, 9), None);
        assert_eq!(write(FrameCopy { age: 4, opus: &[1, 2] }, 10), Some(10));
        assert_eq!(write(FrameCopy { age: 0, opus: &[1, 2] }, 400), None);
        assert_eq!(write(FrameCopy { age: 4, opus: &[] }, 400), None);
        assert_eq!(write(FrameCopy { age: 4, opus: &[0; 256] }, 400), None);
        assert_eq!(Frame::write(0, &[1], &[FrameCopy { age: 1, opus: &[1] }; 8], &mut [0; 400]), None);
    }

    #[test]
    fn short_frames_and_copies_that_cannot_be_are_refused() {
        for len in 0..=Frame::OVERHEAD {
            assert_eq!(Frame::parse(&[0; 6][..len]), None, "{len} bytes");
        }
        for count in 16..=255 {
            let mut bytes = [1; 600];
            bytes[0] = count;
            assert_eq!(Frame::parse(&bytes), None, "{count} copies");
        }
        // A copy without age, without sound, reaching beyond the end, and one behind which no frame comes.
        for bytes in [
            [1, 0, 0, 0, 0, 0, 1, 9, 1],
            [1, 0, 0, 0, 0, 4, 0, 9, 1],
            [1, 0, 0, 0, 0, 4, 3, 9, 1],
            [1, 0, 0, 0, 0, 4, 2, 9, 1],
        ] {
            assert_eq!(Frame::parse(&bytes), None, "{bytes:?}");
        }
    }
}
