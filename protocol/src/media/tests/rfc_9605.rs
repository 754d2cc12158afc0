//! RFC 9605's own numbers: its headers, and its key schedule and sealing in suites 4 and 5, through the code that seals voices.

use crate::media::header::Header;
use crate::media::key_schedule::{ChaCha20Poly1305Sha256, FrameKey, NONCE_LEN, Suite, TAG_LEN};
use aes_gcm::aead::AeadInPlace;
use aes_gcm::{Aes128Gcm, Aes256Gcm, KeyInit};
use hkdf::Hkdf;
use sha2::{Sha256, Sha512};

const VECTORS: &str = include_str!("../../../tests/vectors/rfc9605.txt");

macro_rules! aes_gcm_suite {
    ($name:ident, $id:literal, $key_len:literal, $cipher:ty, $hash:ty) => {
        struct $name;

        impl Suite for $name {
            const ID: u16 = $id;
            const KEY_LEN: usize = $key_len;

            fn expand(base_key: &[u8], label: &[&[u8]], out: &mut [u8]) -> bool {
                Hkdf::<$hash>::new(Some(&[]), base_key).expand_multi_info(label, out).is_ok()
            }

            fn seal(key: &[u8], nonce: &[u8; NONCE_LEN], aad: &[u8], text: &mut [u8]) -> Option<[u8; TAG_LEN]> {
                let cipher = <$cipher>::new_from_slice(key).ok()?;
                cipher.encrypt_in_place_detached(nonce.into(), aad, text).ok().map(Into::into)
            }

            fn open(key: &[u8], nonce: &[u8; NONCE_LEN], aad: &[u8], text: &mut [u8], tag: &[u8; TAG_LEN]) -> bool {
                let cipher = <$cipher>::new_from_slice(key).unwrap();
                cipher.decrypt_in_place_detached(nonce.into(), aad, text, tag.into()).is_ok()
            }
        }
    };
}

aes_gcm_suite!(Aes128GcmSha256, 4, 16, Aes128Gcm, Sha256);
aes_gcm_suite!(Aes256GcmSha512, 5, 32, Aes256Gcm, Sha512);

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn number(text: &str) -> u64 {
    u64::from_str_radix(text.strip_prefix("0x").unwrap(), 16).unwrap()
}

#[test]
fn the_headers_are_those_of_appendix_c_1() {
    let lines: Vec<_> = VECTORS.lines().filter_map(|line| line.strip_prefix("header kid=")).collect();
    assert!(lines.len() > 40);
    for line in lines {
        let (kid, rest) = line.split_once(" ctr=").unwrap();
        let (ctr, encoded) = rest.split_once(' ').unwrap();
        let (header, encoded) = (Header { kid: number(kid), ctr: number(ctr) }, hex(encoded));
        assert_eq!(header.encode().as_slice(), encoded);
        assert_eq!(Header::parse(&encoded), Some((header, encoded.len())));
    }
}

/// Runs the vector of one suite of appendix C.3.
fn run<S: Suite>() {
    let suite = format!("cipher_suite: 0x{:04x}\n", S::ID);
    let vector = VECTORS.split("\n\n").find(|block| block.starts_with(&suite)).unwrap();
    let field = |name: &str| vector.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).unwrap();
    let header = Header { kid: number(field("kid")), ctr: number(field("ctr")) };
    let key = FrameKey::<S>::derive(&hex(field("base_key")), header.kid).unwrap();
    assert_eq!(key.parts(), (&hex(field("sframe_key"))[..], &hex(field("sframe_salt")).try_into().unwrap()));
    assert_eq!(key.nonce(header.ctr).to_vec(), hex(field("nonce")));
    let header_bytes = header.encode();
    let aad = [header_bytes.as_slice(), &hex(field("metadata"))].concat();
    assert_eq!(aad, hex(field("aad")));
    let mut text = hex(field("pt"));
    let tag = key.seal(header.ctr, &aad, &mut text).unwrap();
    assert_eq!([header_bytes.as_slice(), &text, &tag].concat(), hex(field("ct")));
    assert!(key.open(header.ctr, &aad, &mut text, &tag));
    assert_eq!(text, hex(field("pt")));
}

#[test]
fn key_schedule_and_sealing_are_those_of_appendix_c_3() {
    run::<Aes128GcmSha256>();
    run::<Aes256GcmSha512>();
}

#[test]
fn our_suite_is_rfc_8439_under_a_private_number() {
    assert_eq!((ChaCha20Poly1305Sha256::ID, ChaCha20Poly1305Sha256::KEY_LEN), (0xF001, 32));
    // RFC 8439 §2.8.2.
    let key: Vec<u8> = (0x80..0xA0).collect();
    let nonce = [7, 0, 0, 0, 0x40, 0x41, 0x42, 0x43, 0x44, 0x45, 0x46, 0x47];
    let aad = hex("50515253c0c1c2c3c4c5c6c7");
    let plain = b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, sunscreen would be it.";
    let mut text = plain.to_vec();
    let tag = ChaCha20Poly1305Sha256::seal(&key, &nonce, &aad, &mut text).unwrap();
    assert_eq!(text[..16], hex("d31a8d34648e60db7b86afbc53ef7ec2"));
    assert_eq!(tag.to_vec(), hex("1ae10b594f09e26a7e902ecbd0600691"));
    assert!(ChaCha20Poly1305Sha256::open(&key, &nonce, &aad, &mut text, &tag));
    assert_eq!(text, plain);
}

#[test]
fn our_expansion_is_rfc_5869() {
    // Test case 3: no salt, no info.
    let mut okm = [0; 42];
    assert!(ChaCha20Poly1305Sha256::expand(&[0x0B; 22], &[], &mut okm));
    assert_eq!(
        okm.to_vec(),
        hex("8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8")
    );
}
