//! Signals as bytes: what was written is read, what is out of bounds is not, what is unknown is ignored.

use super::*;
use crate::authority::Statement;
use crate::handshake::MAX_NAME;
use crate::peer::{Listener, Transport};
use minicbor::Encoder;
use rand::{RngExt, SeedableRng, rngs::StdRng};

fn entry(seed: u8, addresses: usize) -> RosterEntry {
    let address = |port| Address {
        ip: [0x20, 1, 0xd, 0xb8, 0, 0, 0, seed.into()].into(),
        port,
        transport: Transport::Quic,
        listener: Listener::Peer,
    };
    RosterEntry {
        transport: TransportId::from_bytes([seed; 32]),
        identity: IdentityPublic::from_bytes([seed ^ 0xFF; 32]),
        addresses: (0..addresses as u16).map(address).collect(),
    }
}

fn media_key(generation: u64, step: u8) -> Signal {
    Signal::MediaKey(MediaKey {
        generation,
        step,
        secret: Zeroizing::new([3; 32]),
        recipients_hash: [4; 32],
        hop_key: Zeroizing::new([5; 32]),
        reason: RekeyReason::Kick,
    })
}

fn ruling(len: usize, secret: Option<[u8; 16]>) -> Signal {
    Signal::Ruling(Ruling { statement: vec![7; len], secret: secret.map(SessionSecret::from_bytes) })
}

fn knock(name: usize) -> Signal {
    let (transport, identity) = (TransportId::from_bytes([1; 32]), IdentityPublic::from_bytes([2; 32]));
    Signal::Knock { transport, identity, name: "x".repeat(name) }
}

/// One of each kind, at its bounds where it has some.
fn every_kind() -> Vec<Signal> {
    vec![
        Signal::Offer { sdp: "v=0\r\n".repeat(3_000), number: u64::MAX },
        Signal::Answer { sdp: String::new(), number: 0 },
        Signal::Candidate { candidate: "c".repeat(Signal::MAX_CANDIDATE), mid: "m".repeat(Signal::MAX_MID), number: 7 },
        media_key((1 << 60) - 1, 15),
        Signal::MediaKeyAck { generation: 7 },
        Signal::Roster(Vec::new()),
        Signal::Roster((0..8).map(|seed| entry(seed, 8)).collect()),
        Signal::State { muted: true, deafened: false, recording: true },
        Signal::Quality {
            loss: 0.25,
            jitter_ms: 3.5,
            buffer_ms: 40.0,
            burst: 2.5,
            queue_ms: 60_000.0,
            sending_ms: 25.5,
        },
        Signal::Text { body: "é".repeat(450), number: u64::MAX },
        Signal::Ping { id: u64::MAX },
        Signal::Pong { id: 0 },
        Signal::Bye { reason: ByeReason::Leaving },
        Signal::Bye { reason: ByeReason::Full },
        Signal::Bye { reason: ByeReason::Kicked },
        Signal::Bye { reason: ByeReason::Refused },
        Signal::Bye { reason: ByeReason::Expired },
        Signal::Bye { reason: ByeReason::Other },
        ruling(0, None),
        ruling(Statement::MAX_LEN, Some([9; 16])),
        knock(MAX_NAME),
        Signal::Admit { identity: IdentityPublic::from_bytes([5; 32]), verdict: Verdict::Refused },
        Signal::Admit { identity: IdentityPublic::from_bytes([5; 32]), verdict: Verdict::Admitted },
        Signal::Admit { identity: IdentityPublic::from_bytes([5; 32]), verdict: Verdict::Gone },
        Signal::Kept,
        Signal::Reconnect,
    ]
}

/// A padded signal around CBOR of one's own making.
fn padded(cbor: &[u8]) -> Vec<u8> {
    let mut bytes = (cbor.len() as u16).to_be_bytes().to_vec();
    bytes.extend_from_slice(cbor);
    bytes.resize(Signal::SIZE_CLASSES.into_iter().find(|&class| bytes.len() <= class).unwrap(), 0);
    bytes
}

#[test]
fn every_kind_comes_back_as_it_was_written() {
    for signal in every_kind() {
        let written = signal.write().unwrap();
        assert!(Signal::SIZE_CLASSES.contains(&written.len()), "{signal:?}");
        assert_eq!(Signal::parse(&written), Ok(signal));
    }
}

#[test]
fn the_bytes_are_those_of_the_specification() {
    let written = Signal::State { muted: true, deafened: false, recording: true }.write().unwrap();
    let state = [0, 9, 0xA4, 0, 7, 1, 0xF5, 2, 0xF4, 3, 0xF5];
    assert_eq!(written[..11], state, "a map of four: kind 7, true, false, true");
    assert!(written[11..].iter().all(|&byte| byte == 0));
    // Versions that do not know of recordings do not say that they do not record.
    let mut older = written.clone();
    (older[1], older[2], older[9], older[10]) = (7, 0xA3, 0, 0);
    assert_eq!(Signal::parse(&older), Ok(Signal::State { muted: true, deafened: false, recording: false }));
    let mut strange = written.clone();
    strange[10] = 5;
    assert!(Signal::parse(&strange).is_err(), "a number is no answer to whether somebody records");
    let quality =
        Signal::Quality { loss: 1.0, jitter_ms: 0.5, buffer_ms: 0.0, burst: 2.0, queue_ms: 0.5, sending_ms: 2.0 };
    let mut expected = vec![0xA7, 0, 8, 1, 0xFA, 0x3F, 0x80, 0, 0, 2, 0xFA, 0x3F, 0, 0, 0, 3, 0xFA, 0, 0, 0, 0];
    expected.extend([4, 0xFA, 0x40, 0, 0, 0, 5, 0xFA, 0x3F, 0, 0, 0, 6, 0xFA, 0x40, 0, 0, 0]);
    assert_eq!(quality.write().unwrap()[2..41], expected, "single-precision numbers");
}

#[test]
fn what_is_out_of_bounds_is_not_written() {
    let too_much = [
        Signal::Offer { sdp: "x".repeat(Signal::MAX_SDP + 1), number: 1 },
        Signal::Answer { sdp: "x".repeat(100_000), number: 1 },
        Signal::Candidate { candidate: "x".repeat(Signal::MAX_CANDIDATE + 1), mid: String::new(), number: 1 },
        Signal::Candidate { candidate: String::new(), mid: "x".repeat(Signal::MAX_MID + 1), number: 1 },
        media_key(1 << 60, 0),
        media_key(0, 16),
        Signal::Roster((0..9).map(|seed| entry(seed, 0)).collect()),
        Signal::Roster(vec![entry(0, 9)]),
        Signal::Text { body: "x".repeat(Signal::MAX_TEXT + 1), number: 1 },
        ruling(Statement::MAX_LEN + 1, None),
        knock(MAX_NAME + 1),
        Signal::Unknown,
    ];
    for signal in too_much {
        assert_eq!(signal.write().map(|_| ()), Err(WriteError::OutOfBounds), "{signal:?}");
    }
}

#[test]
fn what_is_out_of_bounds_is_not_read_either() {
    let mut text = Encoder::new(Vec::new());
    text.map(2).unwrap().u8(0).unwrap().u8(9).unwrap().u8(1).unwrap().str(&"x".repeat(Signal::MAX_TEXT + 1)).unwrap();
    assert_eq!(Signal::parse(&padded(text.writer())), Err(Unreadable));
    let mut roster = Encoder::new(Vec::new());
    roster.map(2).unwrap().u8(0).unwrap().u8(6).unwrap().u8(1).unwrap().array(u64::MAX).unwrap();
    assert_eq!(Signal::parse(&padded(roster.writer())), Err(Unreadable), "a list that claims to be endless");
    for cbor in [
        &[][..],
        &[0xA3, 0, 13, 1, 0x41, 1, 2, 0x41, 1],   // a secret of one byte
        &[0xA1, 0, 13],                           // a ruling without its statement
        &[0xA0],                                  // no kind
        &[0xA1, 0, 9],                            // a text without its body
        &[0xA2, 0, 9, 1, 0x41, b'x'],             // bytes where a text belongs
        &[0xA2, 0, 9, 1, 0x7F, 0x61, b'x', 0xFF], // a text in pieces
        &[0xA2, 0, 9, 1, 0x61, 0xFF],             // not UTF-8
        &[0xBF, 0, 10, 1, 7, 0xFF],               // a map of unknown length
        &[0xA3, 0, 10, 1, 7, 1, 8],               // a field twice
        &[0xA3, 0, 10, 0, 11, 1, 7],              // two kinds
        &[0xA2, 0, 10, 1, 7, 0],                  // something left over
        &[0xA2, 0, 10, 1, 0x38, 6],               // a negative number
        &[0xA2, 0, 10, 1],                        // cut short
        &[0x82, 10, 7],                           // not a map
    ] {
        assert_eq!(Signal::parse(&padded(cbor)), Err(Unreadable), "{cbor:02x?}");
    }
    let mut long = padded(&[0xA2, 0, 10, 1, 7]);
    long[0] = 0xFF;
    assert_eq!(Signal::parse(&long), Err(Unreadable), "a length beyond the end");
    assert_eq!(Signal::parse(&padded(&[0xA2, 0, 10, 1, 7])[..255]), Err(Unreadable), "no size class");
}

#[test]
fn what_later_versions_add_is_ignored() {
    let ping_with_more = [0xA4, 0, 10, 1, 7, 5, 0x82, 1, 0xA1, 2, 0xF6, 0x18, 200, 0x61, b'x'];
    assert_eq!(Signal::parse(&padded(&ping_with_more)), Ok(Signal::Ping { id: 7 }));
    let offer = Signal::Offer { sdp: "x".into(), number: 0 };
    assert_eq!(Signal::parse(&padded(&[0xA2, 0, 1, 1, 0x61, b'x'])), Ok(offer), "who does not count negotiations");
    assert_eq!(Signal::parse(&padded(&[0xA3, 0, 1, 1, 0x61, b'x', 2, 0x61, b'x'])), Err(Unreadable));
    let text = Signal::Text { body: "x".into(), number: 0 };
    assert_eq!(Signal::parse(&padded(&[0xA2, 0, 9, 1, 0x61, b'x'])), Ok(text), "who does not count texts");
    assert_eq!(Signal::parse(&padded(&[0xA2, 1, 7, 0, 10])), Ok(Signal::Ping { id: 7 }), "the kind may come last");
    assert_eq!(Signal::parse(&padded(&[0xA1, 0, 0x18, 99])), Ok(Signal::Unknown));
    assert_eq!(Signal::parse(&padded(&[0xA1, 0, 0x1B, 1, 0, 0, 0, 0, 0, 0, 0x0A])), Ok(Signal::Unknown), "2⁵⁶ + 10");
    assert_eq!(Signal::parse(&padded(&[0xA2, 0, 12, 1, 0x18, 77])), Ok(Signal::Bye { reason: ByeReason::Other }));
    // A roster with an address of an unknown kind keeps the others.
    let mut roster = Encoder::new(Vec::new());
    roster.map(2).unwrap().u8(0).unwrap().u8(6).unwrap().u8(1).unwrap().array(1).unwrap();
    roster.map(3).unwrap().u8(1).unwrap().bytes(&[1; 32]).unwrap().u8(2).unwrap().bytes(&[2; 32]).unwrap();
    roster.u8(3).unwrap().array(2).unwrap().bytes(&[0x80, 1, 2]).unwrap().bytes(&[0, 10, 0, 0, 1, 0, 80]).unwrap();
    let Ok(Signal::Roster(entries)) = Signal::parse(&padded(roster.writer())) else { panic!("a roster") };
    assert_eq!(
        entries[0].addresses,
        [Address { ip: [10, 0, 0, 1].into(), port: 80, transport: Transport::Tcp, listener: Listener::Peer }]
    );
}

#[test]
fn quality_is_always_within_its_bounds() {
    for (given, loss, ms) in
        [(f32::NAN, 0.0, 0.0), (f32::INFINITY, 1.0, 60_000.0), (-1.0, 0.0, 0.0), (1e9, 1.0, 60_000.0)]
    {
        let mut cbor = vec![0xA4, 0, 8];
        for field in 1..=3 {
            cbor.extend_from_slice(&[field, 0xFA]);
            cbor.extend_from_slice(&given.to_be_bytes());
        }
        assert_eq!(
            Signal::parse(&padded(&cbor)),
            Ok(Signal::Quality { loss, jitter_ms: ms, buffer_ms: ms, burst: 0.0, queue_ms: 0.0, sending_ms: 0.0 }),
            "{given}, without the later fields"
        );
        cbor[0] = 0xA7;
        for field in 4..=6 {
            cbor.extend_from_slice(&[field, 0xFA]);
            cbor.extend_from_slice(&given.to_be_bytes());
        }
        assert_eq!(
            Signal::parse(&padded(&cbor)),
            Ok(Signal::Quality { loss, jitter_ms: ms, buffer_ms: ms, burst: ms, queue_ms: ms, sending_ms: ms }),
            "{given}"
        );
    }
}

#[test]
fn a_key_is_compared_but_not_shown() {
    let shown = format!("{:?}", media_key(9, 2));
    assert_eq!(shown, "MediaKey(MediaKey { generation: 9, step: 2, reason: Kick, .. })");
    assert_eq!(format!("{:?}", ruling(3, Some([9; 16]))), "Ruling(Ruling { statement: 3, .. })");
    assert_eq!(ruling(3, Some([9; 16])), ruling(3, Some([9; 16])));
    assert_ne!(ruling(3, Some([9; 16])), ruling(3, Some([8; 16])));
    assert_ne!(ruling(3, Some([9; 16])), ruling(3, None));
    assert_eq!(media_key(9, 2), media_key(9, 2));
    assert_ne!(media_key(9, 2), media_key(9, 3));
    let Signal::MediaKey(key) = media_key(9, 2) else { unreachable!() };
    for other in [
        MediaKey { secret: Zeroizing::new([0; 32]), ..key.clone() },
        MediaKey { hop_key: Zeroizing::new([0; 32]), ..key.clone() },
        MediaKey { generation: 8, ..key.clone() },
        MediaKey { recipients_hash: [0; 32], ..key.clone() },
        MediaKey { reason: RekeyReason::Join, ..key.clone() },
    ] {
        assert_ne!(other, key);
    }
}

#[test]
fn the_reasons_of_fresh_keys_have_their_words() {
    let reasons = [RekeyReason::Join, RekeyReason::Timer, RekeyReason::Leave, RekeyReason::Kick];
    assert_eq!(reasons.map(RekeyReason::word), ["join", "timer", "leave", "kick"]);
    let Signal::MediaKey(key) = media_key(9, 2) else { unreachable!() };
    for reason in reasons {
        let signal = Signal::MediaKey(MediaKey { reason, ..key.clone() });
        assert_eq!(Signal::parse(&signal.write().unwrap()), Ok(signal));
    }
}

#[test]
fn everyone_hashes_the_same_recipients_alike() {
    let [al, bo, cy] = [1, 2, 3].map(|seed| IdentityPublic::from_bytes([seed; 32]));
    let hash = MediaKey::hash_recipients([al, bo, cy]);
    assert_eq!(hash, MediaKey::hash_recipients([cy, al, bo, al]));
    assert_ne!(hash, MediaKey::hash_recipients([al, bo]));
}

#[test]
fn chance_never_panics() {
    let mut rng = StdRng::seed_from_u64(8949);
    let written: Vec<_> = every_kind().iter().map(|signal| signal.write().unwrap()).collect();
    for round in 0..20_000 {
        let mut bytes = written[round % written.len()].to_vec();
        let end = usize::from(u16::from_be_bytes([bytes[0], bytes[1]])) + 2;
        for _ in 0..rng.random_range(1..6) {
            bytes[rng.random_range(0..end.min(80))] = rng.random();
        }
        let _ = Signal::parse(&bytes);
        let mut noise = [0; 256];
        rng.fill(&mut noise[..]);
        noise[0] = 0;
        let _ = Signal::parse(&noise);
    }
}
