//! Base58 with Bitcoin's alphabet: text without 0, O, I and l, which a double click selects whole.

use zeroize::Zeroizing;

const ALPHABET: &[u8; 58] = b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/// The bytes as one big number in base 58; each leading zero byte is a leading '1'. Time grows with the square of the length.
pub fn encode(bytes: &[u8]) -> String {
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    let digits = convert(bytes.iter().copied(), 256, 58);
    let digits = std::iter::repeat_n(0, zeros).chain(digits.iter().rev().copied());
    digits.filter_map(|digit| ALPHABET.get(usize::from(digit))).map(|&character| char::from(character)).collect()
}

/// The number that the characters stand for, in bytes; `None` when a character is not in the alphabet.
pub fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digits = text.chars().map(digit).collect::<Option<Vec<u8>>>().map(Zeroizing::new)?;
    let zeros = digits.iter().take_while(|&&digit| digit == 0).count();
    let number = convert(digits.iter().copied(), 58, 256);
    Some(Zeroizing::new(std::iter::repeat_n(0, zeros).chain(number.iter().rev().copied()).collect()))
}

/// What a character counts, 0–57.
pub fn digit(character: char) -> Option<u8> {
    let place = ALPHABET.iter().position(|&known| char::from(known) == character)?;
    u8::try_from(place).ok()
}

/// Most significant digit first in one base, to least significant digit first in another, without leading zeros.
fn convert(digits: impl Iterator<Item = u8>, from: u32, to: u32) -> Zeroizing<Vec<u8>> {
    let mut out = Zeroizing::new(Vec::new());
    for digit in digits {
        let mut carry = u32::from(digit);
        for place in out.iter_mut() {
            carry = carry.wrapping_add(u32::from(*place).wrapping_mul(from));
            *place = carry.checked_rem(to).unwrap_or(0) as u8;
            carry = carry.checked_div(to).unwrap_or(0);
        }
        while carry > 0 {
            out.push(carry.checked_rem(to).unwrap_or(0) as u8);
            carry = carry.checked_div(to).unwrap_or(0);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_examples_come_out() {
        // draft-msporny-base58-03, section 5.
        let examples: [(&[u8], &str); 3] = [
            (b"Hello World!", "2NEpo7TZRRrLZSi2U"),
            (
                b"The quick brown fox jumps over the lazy dog.",
                "USm3fpXnKG5EUBx2ndxBDMPVciP5hGey2Jh4NDv6gmeo1LkMeiKrLJUUBk6Z",
            ),
            (&[0x00, 0x00, 0x28, 0x7f, 0xb4, 0xcd], "11233QC4"),
        ];
        for (bytes, text) in examples {
            assert_eq!(encode(bytes), text);
            assert_eq!(*decode(text).unwrap(), bytes);
        }
    }

    #[test]
    fn edges_and_strangers() {
        assert_eq!(encode(&[]), "");
        assert_eq!(*decode("").unwrap(), [0u8; 0]);
        assert_eq!(encode(&[0, 0]), "11");
        assert_eq!(encode(&[0xFF; 300]).len(), 410);
        for stranger in ['0', 'O', 'I', 'l', ' ', '-', 'é', '\0'] {
            assert!(decode(&format!("abc{stranger}")).is_none(), "{stranger:?}");
        }
    }
}
