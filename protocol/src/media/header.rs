//! The SFrame header (RFC 9605 §4.3): which key, and which use of it.
//!
//! ```text
//! config byte: X (1) · K (3) · Y (1) · C (3)      then KID (1–8 bytes when X), then CTR (1–8 bytes when Y)
//! ```

/// Key identifier and counter of one sealed frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Key ID: generation ‖ step (4 bits).
    pub kid: u64,
    /// Counter: never repeats under one key.
    pub ctr: u64,
}

/// A header in its bytes.
#[derive(Clone, Copy)]
pub struct HeaderBytes {
    bytes: [u8; Header::MAX_LEN],
    len: usize,
}

impl HeaderBytes {
    /// The encoded header.
    pub fn as_slice(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or(&[])
    }

    fn push(&mut self, byte: u8) {
        if let Some(place) = self.bytes.get_mut(self.len) {
            *place = byte;
            self.len = self.len.saturating_add(1);
        }
    }

    /// Appends a number that is too large for the config byte and returns its three bits: the length minus one.
    fn push_number(&mut self, number: u64) -> u8 {
        let bytes = number.to_be_bytes();
        let zeros = number.leading_zeros().div_euclid(8) as u8;
        for &byte in bytes.iter().skip(usize::from(zeros)) {
            self.push(byte);
        }
        7u8.saturating_sub(zeros)
    }
}

impl Header {
    /// The longest header: config byte and two 8-byte numbers.
    pub const MAX_LEN: usize = 17;

    /// Numbers up to this are held by the config byte itself.
    const INLINE_MAX: u64 = 7;

    /// Writes the header, both numbers with as few bytes as possible.
    pub fn encode(self) -> HeaderBytes {
        let mut out = HeaderBytes { bytes: [0; Self::MAX_LEN], len: 1 };
        let mut field = |number: u64| {
            if number <= Self::INLINE_MAX { number as u8 } else { 0b1000 | out.push_number(number) }
        };
        let kid = field(self.kid);
        let ctr = field(self.ctr);
        if let Some(config) = out.bytes.first_mut() {
            *config = (kid << 4) | ctr;
        }
        out
    }

    /// Reads a header and returns it with its length; `None` when it is cut short or not in its shortest form.
    pub fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let (&config, rest) = bytes.split_first()?;
        let (kid, rest) = number(config >> 4, rest)?;
        let (ctr, rest) = number(config & 0b1111, rest)?;
        Some((Self { kid, ctr }, bytes.len().checked_sub(rest.len())?))
    }
}

/// Reads one number by its four config bits; gives it with what follows.
fn number(config: u8, bytes: &[u8]) -> Option<(u64, &[u8])> {
    let bits = config & 0b111;
    if config & 0b1000 == 0 {
        return Some((u64::from(bits), bytes));
    }
    let (field, rest) = bytes.split_at_checked(usize::from(bits).checked_add(1)?)?;
    let value = field.iter().fold(0u64, |value, &byte| (value << 8) | u64::from(byte));
    // One form only, or a packet could be rewritten without being forged: the RFC demands the shortest.
    let shortest = value > Header::INLINE_MAX && field.first().is_some_and(|&first| first != 0);
    shortest.then_some((value, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_of_number_comes_back() {
        let edges = (0..64).flat_map(|bit| [1u64 << bit, (1 << bit) - 1]).chain([u64::MAX]);
        for kid in edges.clone() {
            for ctr in edges.clone() {
                let header = Header { kid, ctr };
                let bytes = header.encode();
                assert_eq!(Header::parse(bytes.as_slice()), Some((header, bytes.as_slice().len())));
                assert_eq!(
                    Header::parse(&bytes.as_slice()[..bytes.as_slice().len() - 1]),
                    None,
                    "{header:?} cut short"
                );
            }
        }
    }

    #[test]
    fn longer_forms_than_needed_are_refused() {
        assert_eq!(Header::parse(&[0b1000_0000, 7]), None, "7 fits the config byte");
        assert_eq!(Header::parse(&[0b1001_0000, 0, 200]), None, "a leading zero byte");
        assert_eq!(Header::parse(&[0b0000_1000, 3]), None);
        assert_eq!(Header::parse(&[0b1000_0000, 8]), Some((Header { kid: 8, ctr: 0 }, 2)));
    }
}
