//! The plaintext inside a sealed packet: when a frame was spoken, and its Opus packet.

/// One 10 ms frame of one voice.
///
/// Bytes: flags (1, zero) ‖ timestamp (4, big-endian) ‖ Opus packet (≥ 1 byte).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// Number of the frame's first sample at 48 kHz, counted by the sender; wraps at 2³².
    pub timestamp: u32,
    /// One Opus packet (RFC 6716).
    pub opus: &'a [u8],
}

impl<'a> Frame<'a> {
    /// Bytes before the Opus packet.
    pub const OVERHEAD: usize = 5;

    /// Writes the frame at the start of `out` and returns its length; `None` when it does not fit or the Opus packet is empty.
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        if self.opus.is_empty() {
            return None;
        }
        let len = Self::OVERHEAD.checked_add(self.opus.len())?;
        let (prefix, opus) = out.get_mut(..len)?.split_first_chunk_mut::<{ Frame::OVERHEAD }>()?;
        let [a, b, c, d] = self.timestamp.to_be_bytes();
        *prefix = [0, a, b, c, d];
        opus.copy_from_slice(self.opus);
        Some(len)
    }

    /// Reads a frame; `None` when it is too short or carries a flag of a later version.
    pub fn parse(bytes: &'a [u8]) -> Option<Self> {
        let (&[flags, a, b, c, d], opus) = bytes.split_first_chunk::<{ Frame::OVERHEAD }>()?;
        (flags == 0 && !opus.is_empty()).then_some(Self { timestamp: u32::from_be_bytes([a, b, c, d]), opus })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_as_it_was_written() {
        let mut out = [0; 16];
        let frame = Frame { timestamp: 0xFFFF_FE20, opus: &[0xF8, 1, 2] };
        let len = frame.write(&mut out).unwrap();
        assert_eq!(out[..len], [0, 0xFF, 0xFF, 0xFE, 0x20, 0xF8, 1, 2]);
        assert_eq!(Frame::parse(&out[..len]), Some(frame));
    }

    #[test]
    fn what_does_not_fit_or_has_no_sound_is_not_written() {
        assert_eq!(Frame { timestamp: 0, opus: &[1, 2, 3] }.write(&mut [0; 7]), None);
        assert_eq!(Frame { timestamp: 0, opus: &[] }.write(&mut [0; 7]), None);
    }

    #[test]
    fn short_frames_and_unknown_flags_are_refused() {
        for len in 0..=Frame::OVERHEAD {
            assert_eq!(Frame::parse(&[0; 6][..len]), None, "{len} bytes");
        }
        for flag in 0..8 {
            assert_eq!(Frame::parse(&[1 << flag, 0, 0, 0, 0, 0xF8]), None, "flag {flag}");
        }
    }
}
