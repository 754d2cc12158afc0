//! Against published numbers: Noise's vectors for our very pattern.

use super::*;
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{ChaCha20Poly1305, KeyInit};

/// One Noise transport message (§12.3: 32 zero bits ‖ the nonce, little-endian): ciphertext ‖ tag.
fn transport(key: &[u8; 32], text: &[u8]) -> Vec<u8> {
    let mut sealed = text.to_vec();
    let cipher = ChaCha20Poly1305::new(key.into());
    let tag = cipher.encrypt_inout_detached(&[0; 12].into(), &[], sealed.as_mut_slice().into()).unwrap();
    sealed.extend_from_slice(&tag);
    sealed
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn key(text: &str) -> [u8; 32] {
    hex(text).try_into().unwrap()
}

fn drawn(statik: &str, ephemeral: &str) -> Drawn {
    Drawn { statik: KeyPair::from_private(Zeroizing::new(key(statik))), ephemeral: Zeroizing::new(key(ephemeral)) }
}

#[test]
fn the_published_noise_vectors_come_out_byte_for_byte() {
    let file = include_str!("../../../tests/vectors/noise_xxpsk0.txt");
    let vectors: Vec<_> = file.split("\n\n").filter(|block| block.starts_with("handshake=")).collect();
    assert_eq!(vectors.len(), 3);
    for vector in vectors {
        let field =
            |name: &str| vector.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).map(str::to_owned);
        let must = |name: &str| field(name).unwrap();
        assert_eq!(must("handshake"), PATTERN);
        let (psk, prologue) = (key(&must("preshared_key")), hex(&field("prologue").unwrap_or_default()));
        let begin = |side, statik: &str, ephemeral: &str| {
            start(side, drawn(&must(statik), &must(ephemeral)), &psk, &prologue).unwrap()
        };
        let mut sides = [
            begin(Side::Initiator, "init_static", "gen_init_ephemeral"),
            begin(Side::Responder, "resp_static", "gen_resp_ephemeral"),
        ];
        for message in 0..3 {
            let (payload, expected) =
                (hex(&must(&format!("msg_{message}_payload"))), hex(&must(&format!("msg_{message}_ciphertext"))));
            let mut buffer = [0; 256];
            let len = sides[message % 2].write_message(&payload, &mut buffer).unwrap();
            assert_eq!(buffer[..len], expected, "message {message}");
            let mut read = [0; 256];
            let read_len = sides[1 - message % 2].read_message(&buffer[..len], &mut read).unwrap();
            assert_eq!(read[..read_len], payload);
        }
        // The keys of the raw split, which our root is made of, are those of Noise's transport messages.
        let (of_initiator, of_responder) = sides[0].dangerously_get_raw_split();
        assert_eq!((of_initiator, of_responder), sides[1].dangerously_get_raw_split());
        for (message, key) in [(3, of_initiator), (4, of_responder)] {
            let sealed = transport(&key, &hex(&must(&format!("msg_{message}_payload"))));
            assert_eq!(sealed, hex(&must(&format!("msg_{message}_ciphertext"))), "message {message}");
        }
    }
}

#[test]
fn a_point_of_small_order_ends_the_handshake() {
    let mut ours = X25519::default();
    assert!(ours.dh(&[9; 32], &mut [0; 32]).is_err(), "no key yet");
    ours.set(&[7; 32]);
    for point in crate::x25519::tests::small_order_points() {
        let mut out = [0xAA; 32];
        assert!(matches!(ours.dh(&point, &mut out), Err(snow::Error::Dh)), "{point:?}");
        assert_eq!(out, [0xAA; 32], "nothing is given out");
    }
    assert!(ours.dh(&[9; 32], &mut [0; 32]).is_ok());
}

#[test]
fn an_ephemeral_key_is_drawn_once() {
    let mut random = OneDraw(Some(Zeroizing::new([3; 32])));
    let mut bytes = [0; 32];
    assert!(random.try_fill_bytes(&mut bytes).is_ok());
    assert_eq!(bytes, [3; 32]);
    assert!(random.try_fill_bytes(&mut bytes).is_err());
}
