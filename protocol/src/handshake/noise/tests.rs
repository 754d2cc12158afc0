//! Against published numbers: Noise's vectors for our very pattern, RFC 7748's key agreement and small-order points.

use super::*;
use crate::channel::tests::transport;

std::thread_local! {
    /// Diffie–Hellman operations done on this thread.
    pub static DH_COUNT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

fn key(text: &str) -> [u8; 32] {
    hex(text).try_into().unwrap()
}

fn drawn(statik: &str, ephemeral: &str) -> Drawn {
    Drawn { statik: Zeroizing::new(key(statik)), ephemeral: Zeroizing::new(key(ephemeral)) }
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
        // Our channel's cipher and nonce are those of Noise's transport messages.
        let (of_initiator, of_responder) = sides[0].dangerously_get_raw_split();
        assert_eq!((of_initiator, of_responder), sides[1].dangerously_get_raw_split());
        for (message, key) in [(3, of_initiator), (4, of_responder)] {
            let sealed = transport(&key, 0, &hex(&must(&format!("msg_{message}_payload"))));
            assert_eq!(sealed, hex(&must(&format!("msg_{message}_ciphertext"))), "message {message}");
        }
    }
}

#[test]
fn the_key_agreement_is_that_of_rfc_7748() {
    // §6.1.
    let alice = key("77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a");
    let bob = key("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
    assert_eq!(public(&alice), key("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a"));
    let mut dh = X25519::default();
    dh.set(&alice);
    let mut shared = [0; 32];
    dh.dh(&public(&bob), &mut shared).unwrap();
    assert_eq!(shared, key("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742"));
}

#[test]
fn results_that_are_all_zero_are_refused() {
    // The points of small order and their twins above 2²⁵⁵ − 19, in the encodings that reach X25519 (the top bit is ignored).
    let small_order = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "0000000000000000000000000000000000000000000000000000000000000080",
    ];
    let mut ours = X25519::default();
    ours.set(&[7; 32]);
    for point in small_order {
        let mut out = [0xAA; 32];
        assert!(matches!(ours.dh(&key(point), &mut out), Err(snow::Error::Dh)), "{point}");
        assert_eq!(out, [0xAA; 32], "nothing is given out");
    }
    assert!(ours.dh(&public(&[8; 32]), &mut [0; 32]).is_ok());
}

#[test]
fn an_ephemeral_key_is_drawn_once() {
    let mut random = OneDraw(Some(Zeroizing::new([3; 32])));
    let mut bytes = [0; 32];
    assert!(random.try_fill_bytes(&mut bytes).is_ok());
    assert_eq!(bytes, [3; 32]);
    assert!(random.try_fill_bytes(&mut bytes).is_err());
}
