//! The protocol through its public face: numbers published by others, and what must not allocate.

use rand::{RngExt, SeedableRng, rngs::StdRng};
use rand_core::{TryCryptoRng, TryRng};
use resonance_protocol::channel::SecureChannel;
use resonance_protocol::handshake::{Initiator, LocalPeer, Responder};
use resonance_protocol::identity::{AuthorityKey, IdentityKey};
use resonance_protocol::link::{Link, SessionKeys};
use resonance_protocol::media::{
    Frame, HeldPackets, HopOpener, HopSealer, InboundPacket, KeyId, Opener, OpeningKey, Refused, SealedPacket,
    SenderKey,
};
use resonance_protocol::peer::{Address, Listener, Transport, TransportId};
use resonance_protocol::safety_number::{Party, SafetyNumber};
use resonance_protocol::signal::{MediaKey, RekeyReason, Signal};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// The system's allocator, counting what each thread asks of it.
struct Counting;

thread_local! {
    static CALLS: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator as it came; counting touches a constant-initialised thread local only.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        CALLS.set(CALLS.get() + 1);
        unsafe { System.dealloc(memory, layout) }
    }

    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        unsafe { System.realloc(memory, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often this thread called the allocator while `work` ran.
fn allocator_calls(work: impl FnOnce()) -> usize {
    let before = CALLS.get();
    work();
    CALLS.get() - before
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// So many bytes that count up from `start`.
fn counting_up<const LEN: usize>(start: u8) -> [u8; LEN] {
    std::array::from_fn(|index| start.wrapping_add(index as u8))
}

/// Chance that was written down beforehand: gives these bytes in this order.
struct Scripted(VecDeque<u8>);

impl Scripted {
    /// 32 bytes that count up from each of `starts`.
    fn new(starts: &[u8]) -> Self {
        Self(starts.iter().flat_map(|&start| counting_up::<32>(start)).collect())
    }
}

impl TryRng for Scripted {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("only bytes are drawn")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("only bytes are drawn")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        bytes.iter_mut().for_each(|byte| *byte = self.0.pop_front().expect("no more is drawn than was written down"));
        Ok(())
    }
}

impl TryCryptoRng for Scripted {}

/// The script runs again and composes the very file that the next test holds the crate to.
#[test]
fn the_independent_reading_composes_the_same_file_again() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let target = std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| "target".into());
    let python = root.join(target).join("venv/bin/python");
    if !python.is_file() {
        let in_ci = std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "0" && value != "false");
        assert!(!in_ci, "no {}, and with CI set nothing may be left out", python.display());
        // Past the harness, which shows what the print macros write only when a test fails.
        let _ = writeln!(std::io::stderr().lock(), "    SKIPPED: no {}: run `make setup`", python.display());
        return;
    }
    let script = root.join("protocol/tests/reference/reference.py");
    let output = Command::new(python).arg("-B").arg(script).output().expect("the interpreter runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let (composed, kept) = (String::from_utf8(output.stdout).unwrap(), include_str!("vectors/resonance.txt"));
    for (composed, kept) in composed.lines().zip(kept.lines()) {
        assert_eq!(composed, kept);
    }
    assert_eq!(composed, kept);
}

/// What the independent Python script reads in SPEC.md, from a link to the first words heard.
#[test]
fn an_independent_reading_of_the_specification_gives_the_same_bytes() {
    let file = include_str!("vectors/resonance.txt");
    let text = |name: &str| {
        file.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('=')).expect("a number of that name")
    };
    let bytes = |name: &str| hex(text(name));

    let authority = AuthorityKey::generate(&mut Scripted::new(&[0x01]));
    assert_eq!(authority.hash().to_vec(), bytes("authority_hash"));
    let [al_transport, bo_transport] = [0x20, 0x60].map(|start| TransportId::from_bytes(counting_up(start)));
    let hints = vec![
        Address { ip: [192, 0, 2, 7].into(), port: 4_001, transport: Transport::Tcp, listener: Listener::Peer },
        Address {
            ip: [0x2001, 0xdb8, 0, 0, 0, 0, 0, 1].into(),
            port: 443,
            transport: Transport::Quic,
            listener: Listener::Peer,
        },
    ];
    let link = Link::create(al_transport, authority.hash(), 1_900_000_000, hints, &mut Scripted::new(&[0xA0]));
    assert_eq!(link.to_text(), text("link"));
    let keys = Link::find(text("link")).unwrap().keys();
    assert_eq!(keys.session_id.as_bytes().to_vec(), bytes("session_id"));
    assert_eq!(keys.rendezvous_key(1_800_000_000).to_vec(), bytes("rendezvous_key"));
    let lan = SessionKeys::for_lan_room("cafe\u{301}");
    assert_eq!(lan.session_id.as_bytes().to_vec(), bytes("lan_session_id"));
    assert_eq!(lan.rendezvous_key(0).to_vec(), bytes("lan_rendezvous_key"));

    let [al_identity, bo_identity] = [0x11, 0x33].map(|start| IdentityKey::generate(&mut Scripted::new(&[start])));
    let [al_key, bo_key] = [al_identity.public(), bo_identity.public()];
    let fingerprint = al_key.fingerprint();
    assert_eq!(al_key.as_bytes().to_vec(), bytes("al_identity"));
    assert_eq!(bo_key.as_bytes().to_vec(), bytes("bo_identity"));
    assert_eq!(fingerprint.to_string(), text("al_fingerprint"));
    assert_eq!(SafetyNumber::between(&al_key, &bo_key).to_string(), text("safety_number"));

    let al = LocalPeer { identity: &al_identity, transport: al_transport, name: "Al 🎧" };
    let bo = LocalPeer { identity: &bo_identity, transport: bo_transport, name: "Bo" };
    let mut chance = Scripted::new(&[0x41, 0x71, 0x91, 0xB1]);
    let (initiator, one) = Initiator::start(&keys, &bo, al_transport, &mut chance).unwrap();
    assert_eq!(one, bytes("handshake_1"));
    let mut chance = Scripted::new(&[0x51, 0x81, 0x61, 0x31]);
    let (responder, two) = Responder::answer(&keys, &al, bo_transport, &one, &mut chance).unwrap();
    assert_eq!(two, bytes("handshake_2"));
    let start = Instant::now();
    let (three, mut at_bo) = initiator.finish(start, &bo, &two, &mut Scripted::new(&[0x21])).unwrap();
    assert_eq!(three, bytes("handshake_3"));
    let mut at_al = responder.finish(start, &al, &three).unwrap();

    let recipients = MediaKey::hash_recipients([al_key, bo_key]);
    assert_eq!(recipients.to_vec(), bytes("recipients_hash"));
    let key = SenderKey::generate(300, &mut Scripted::new(&[0xC0]));
    let hop_key = Zeroizing::new(counting_up(0x90));
    let handed_over = Signal::MediaKey(key.to_signal(recipients, RekeyReason::Join, hop_key.clone()));
    conversation(start, &mut at_al.channel, &mut at_bo.channel, &handed_over, &bytes);

    let mut frame = [0; 45];
    assert_eq!(Frame::write(480, &counting_up::<40>(0xE0), &[], &mut frame), Some(45));
    assert_eq!(frame.to_vec(), bytes("frame"));
    let mut sealer = key.sealer(&keys.session_id, &fingerprint);
    let mut packet = SealedPacket::empty();
    for ctr in 0..10 {
        sealer.seal(&frame, &mut packet).unwrap();
        assert_eq!(packet.as_slice(), bytes(&format!("packet_{ctr}")), "packet {ctr}");
    }
    let mut key = key;
    for step in 1..=KeyId::MAX_STEP {
        assert!(key.advance());
        let handed_over = key.to_signal(recipients, RekeyReason::Join, hop_key.clone());
        assert_eq!(handed_over.secret.to_vec(), bytes(&format!("base_key_of_step_{step}")));
        sealer.advance_to(key.id());
        sealer.seal(&frame, &mut packet).unwrap();
        assert_eq!(packet.as_slice(), bytes(&format!("packet_of_step_{step}")), "step {step}");
    }
    let mut hop = HopSealer::new(&hop_key, al_transport, bo_transport);
    for counter in 0..2 {
        let inner = SealedPacket::from_slice(&bytes(&format!("packet_{counter}"))).unwrap();
        hop.seal(&inner, &mut packet).unwrap();
        assert_eq!(packet.as_slice(), bytes(&format!("hop_{counter}")));
    }
}

/// Both begin at once; a message is lost, another overtaken; after ten minutes ML-KEM is mixed in. Bo is the initiator.
fn conversation(
    start: Instant,
    al: &mut SecureChannel,
    bo: &mut SecureChannel,
    handed_over: &Signal,
    bytes: &impl Fn(&str) -> Vec<u8>,
) {
    let seal = |from: &mut SecureChannel, name: &str, seconds, draws: &[u8], signal: &Signal| {
        let now = start + Duration::from_secs(seconds);
        let message = from.seal(now, signal, &mut Scripted::new(draws)).unwrap();
        assert_eq!(message, bytes(name), "{name}");
        message
    };
    let open = |to: &mut SecureChannel, seconds, message: &[u8]| to.open(start + Duration::from_secs(seconds), message);

    let (ping, pong) = (|id| Signal::Ping { id }, |id| Signal::Pong { id });
    let first = seal(al, "channel_1_of_responder", 0, &[0x03], handed_over);
    seal(bo, "channel_2_of_initiator", 0, &[], &Signal::Text { body: "hello".into(), number: 1 });
    let acknowledged = Signal::MediaKeyAck { generation: 300 };
    let overtaken = seal(bo, "channel_3_of_initiator", 0, &[], &acknowledged);
    assert_eq!(open(bo, 0, &first).as_ref(), Ok(handed_over));
    let message = seal(bo, "channel_4_of_initiator", 0, &[0x13], &ping(1));
    assert_eq!(open(al, 0, &message), Ok(ping(1)));
    assert_eq!(open(al, 0, &overtaken), Ok(acknowledged));
    let message = seal(al, "channel_5_of_responder", 0, &[0x23], &pong(1));
    assert_eq!(open(bo, 0, &message), Ok(pong(1)));
    seal(bo, "channel_6_of_initiator_after_600_s", 600, &[0x33, 0x43, 0x63], &ping(2));
    let message = seal(bo, "channel_7_of_initiator", 600, &[], &ping(3));
    assert_eq!(open(al, 600, &message), Ok(ping(3)));
    seal(al, "channel_8_of_responder", 600, &[0x53, 0x63], &pong(2));
    let message = seal(al, "channel_9_of_responder", 600, &[], &pong(3));
    assert_eq!(open(bo, 600, &message), Ok(pong(3)));
    let message = seal(bo, "channel_10_of_initiator", 601, &[0x73], &ping(4));
    assert_eq!(open(al, 601, &message), Ok(ping(4)));
    let message = seal(al, "channel_11_of_responder", 601, &[0x83], &pong(4));
    assert_eq!(open(bo, 601, &message), Ok(pong(4)));
}

/// Keys and openers move to the audio threads, channels and handshakes between tasks.
#[test]
fn everything_moves_between_threads() {
    fn moves<T: Send + 'static>() {}
    moves::<(resonance_protocol::media::Sealer, Opener, OpeningKey, SenderKey, SealedPacket)>();
    moves::<(Initiator, Responder, resonance_protocol::handshake::Established, Link, SessionKeys, IdentityKey, Signal)>(
    );
}

/// libsignal's published example: the tests of its numeric fingerprint, version 0 of the scannable form.
#[test]
fn libsignals_numeric_fingerprint_comes_out() {
    let alice = hex("0506863bc66d02b40d27b8d49ca7c09e9239236f9d7d25d6fcca5ce13c7064d868");
    let bob = hex("05f781b6fb32fed9ba1cf2de978d4d5da28dc34046ae814402b5c0dbd96fda907b");
    let alice = Party { key: &alice, stable_id: b"+14152222222" };
    let bob = Party { key: &bob, stable_id: b"+14153333333" };
    let number = SafetyNumber::pairwise(0, &alice, &bob);
    let published = "300354477692869396892869876765458257569162576843440918079131";
    assert_eq!(number.to_string().replace(' ', ""), published);
    assert_eq!(number, SafetyNumber::pairwise(0, &bob, &alice));
}

#[test]
fn a_pair_is_made_and_its_voices_are_heard() {
    let mut rng = StdRng::seed_from_u64(1);
    let (al_transport, bo_transport) = (TransportId::from_bytes([1; 32]), TransportId::from_bytes([2; 32]));
    let link = Link::create(al_transport, [3; 16], 0, Vec::new(), &mut rng);
    let joined = Link::find(&format!("Bo, come in: {}", link.to_text())).unwrap();
    let (al_identity, bo_identity) = (IdentityKey::generate(&mut rng), IdentityKey::generate(&mut rng));
    let al = LocalPeer { identity: &al_identity, transport: al_transport, name: "Al" };
    let bo = LocalPeer { identity: &bo_identity, transport: bo_transport, name: "Bo" };

    let (initiator, one) = Initiator::start(&joined.keys(), &bo, al_transport, &mut rng).unwrap();
    let (responder, two) = Responder::answer(&link.keys(), &al, bo_transport, &one, &mut rng).unwrap();
    let now = Instant::now();
    let (three, mut at_bo) = initiator.finish(now, &bo, &two, &mut rng).unwrap();
    let mut at_al = responder.finish(now, &al, &three).unwrap();

    let session = link.keys().session_id;
    let everyone = MediaKey::hash_recipients([al_identity.public(), at_al.identity]);
    let key = SenderKey::generate(0, &mut rng);
    let media_key = Signal::MediaKey(key.to_signal(everyone, RekeyReason::Join, Zeroizing::new([4; 32])));
    let handed_over = at_al.channel.seal(now, &media_key, &mut rng).unwrap();
    let Ok(Signal::MediaKey(received)) = at_bo.channel.open(now, &handed_over) else { panic!("a sender key") };
    assert_eq!(received.recipients_hash, everyone);
    let mut opener = Opener::new();
    opener.install(now, &SenderKey::from_signal(&received).opening_key(&session, &at_bo.identity.fingerprint()));

    let mut packet = SealedPacket::empty();
    key.sealer(&session, &al_identity.public().fingerprint()).seal(b"hello", &mut packet).unwrap();
    let mut out = [0; SealedPacket::CAPACITY];
    let len = opener.open(now, &packet, &mut out).unwrap();
    assert_eq!(&out[..len], b"hello");
}

#[test]
fn sealing_opening_installing_and_advancing_never_call_the_allocator() {
    let mut rng = StdRng::seed_from_u64(2);
    let session = Link::create(TransportId::from_bytes([1; 32]), [3; 16], 0, Vec::new(), &mut rng).keys().session_id;
    let sender = IdentityKey::generate(&mut rng).public().fingerprint();
    let (mut opener, mut packet, mut out) = (Opener::new(), SealedPacket::empty(), [0; SealedPacket::CAPACITY]);
    let (mut held, mut noise) = (HeldPackets::new(), SealedPacket::empty());
    rng.fill(&mut noise.buffer_mut()[..]);
    noise.set_len(150);
    let start = Instant::now();
    for generation in 0..6u64 {
        let key = SenderKey::generate(generation, &mut rng);
        let (mut sealer, opening) = (key.sealer(&session, &sender), key.opening_key(&session, &sender));
        let calls = allocator_calls(|| {
            let mut now = start + Duration::from_secs(30 * generation);
            sealer.seal(&[0xA5; 60], &mut packet).unwrap();
            assert_eq!(opener.open(now, &packet, &mut out), Err(Refused::KeyToCome));
            assert!(held.hold(now, &InboundPacket { from: TransportId::from_bytes([1; 32]), arrived: now, packet }));
            opener.install(now, &opening);
            opener.install(now, &opening);
            assert_eq!(opener.open(now, &held.release().unwrap().packet, &mut out), Ok(60));
            for frame in 0..3_000u64 {
                now += Duration::from_millis(10);
                sealer.advance_to(KeyId::new(generation, (frame / 500) as u8));
                sealer.seal(&[0xA5; 60], &mut packet).unwrap();
                assert_eq!(opener.open(now, &packet, &mut out), Ok(60));
                assert_eq!(opener.open(now, &packet, &mut out), Err(Refused::Replayed));
                packet.buffer_mut()[20] ^= 1;
                assert!(opener.open(now, &packet, &mut out).is_err());
                assert!(opener.open(now, &noise, &mut out).is_err());
                opener.advance(now);
                held.expire(now);
            }
        });
        assert_eq!(calls, 0);
    }
    let ends = [1, 2].map(|end| TransportId::from_bytes([end; 32]));
    let (mut hop, mut unhop) = (HopSealer::new(&[7; 32], ends[0], ends[1]), HopOpener::new(&[7; 32], ends[0], ends[1]));
    let (mut sealed, mut opened) = (SealedPacket::empty(), SealedPacket::empty());
    let calls = allocator_calls(|| {
        hop.seal(&packet, &mut sealed).unwrap();
        unhop.open(&sealed, &mut opened).unwrap();
    });
    assert_eq!((calls, opened.as_slice()), (0, packet.as_slice()));
    assert!(allocator_calls(|| drop(std::hint::black_box(vec![0u8; 10]))) > 0, "the counter counts");
}
