//! What is done with the bytes that fuzzing thinks up; the saved ones are done again by the ordinary tests (`tests/corpora.rs`).
//!
//! Each body takes any bytes, panics when a promise is broken, and is the same function every time. Link and signal read the bytes as
//! what a stranger sends. The others read them as a play: two honest peers, and a network that the bytes direct.
#![allow(dead_code)] // Each target uses one of them.

use rand::SeedableRng;
use rand::rngs::StdRng;
use resonance_protocol::channel::SecureChannel;
use resonance_protocol::handshake::{Established, Initiator, LocalPeer, Responder};
use resonance_protocol::identity::IdentityKey;
use resonance_protocol::link::{Link, SessionKeys};
use resonance_protocol::media::{Opener, OpeningKey, SealedPacket, Sealer, SenderKey};
use resonance_protocol::peer::TransportId;
use resonance_protocol::signal::{RekeyReason, Signal};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// Every play begins here: times are differences only.
static DAWN: LazyLock<Instant> = LazyLock::new(Instant::now);

/// Takes from the front; zeros when there is nothing left.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn number(&mut self) -> usize {
        usize::from(u16::from_be_bytes([self.byte(), self.byte()]))
    }

    fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (now, later) = self.0.split_at(len.min(self.0.len()));
        self.0 = later;
        now
    }

    fn is_over(&self) -> bool {
        self.0.is_empty()
    }
}

/// Any text: a link that is found is one that can be written, and found again.
pub fn link(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let Ok(link) = Link::find(&text) else { return };
    let written = link.to_text();
    let again = Link::find(&written).expect("what was written can be read");
    assert_eq!(again.to_text(), written);
    assert_eq!(again.keys().session_id, link.keys().session_id);
    let _ = link.check_expiry(0);
}

/// Any bytes, as they are and as the CBOR inside a well-formed padding: what can be read and written is the same when read again.
pub fn signal(data: &[u8]) {
    let _ = Signal::parse(data);
    let Some(class) = Signal::SIZE_CLASSES.into_iter().find(|class| data.len() + 2 <= *class) else { return };
    let mut padded = vec![0; class];
    padded[..2].copy_from_slice(&u16::try_from(data.len()).expect("below the largest class").to_be_bytes());
    padded[2..2 + data.len()].copy_from_slice(data);
    let Ok(signal) = Signal::parse(&padded) else { return };
    // Of kinds that are unknown, and of values that only others write, nothing can be written.
    let Ok(written) = signal.write() else { return };
    let again = Signal::parse(&written).expect("what was written can be read");
    assert!(again == signal || format!("{signal:?}").contains("NaN"), "{signal:?} became {again:?}");
}

/// Two people of one session, and the pair they make.
struct Pair {
    keys: SessionKeys,
    ada: (IdentityKey, TransportId),
    bo: (IdentityKey, TransportId),
    rng: StdRng,
}

impl Pair {
    fn new() -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        let ada = (IdentityKey::generate(&mut rng), TransportId::from_bytes([1; 32]));
        let bo = (IdentityKey::generate(&mut rng), TransportId::from_bytes([2; 32]));
        Self { keys: SessionKeys::for_lan_room("fuzz"), ada, bo, rng }
    }

    /// Runs the handshake; `meddle` may change each of the three messages on its way. None when it is refused.
    fn meet(&mut self, mut meddle: impl FnMut(usize, &mut Vec<u8>)) -> Option<(Established, Established)> {
        let Self { keys, ada, bo, rng } = self;
        let mine = LocalPeer { identity: &ada.0, transport: ada.1, name: "Ada" };
        let theirs = LocalPeer { identity: &bo.0, transport: bo.1, name: "Bo" };
        let (initiator, mut message1) = Initiator::start(keys, &mine, bo.1, rng).expect("a valid start");
        meddle(0, &mut message1);
        let (responder, mut message2) = Responder::answer(keys, &theirs, ada.1, &message1, rng).ok()?;
        meddle(1, &mut message2);
        let (mut message3, of_ada) = initiator.finish(*DAWN, &mine, &message2, rng).ok()?;
        meddle(2, &mut message3);
        let of_bo = responder.finish(*DAWN, &theirs, &message3).ok()?;
        Some((of_ada, of_bo))
    }
}

/// Messages that are replaced or altered: unless all arrive as sent, nobody ends up with a channel that works.
pub fn handshake(data: &[u8]) {
    let mut script = Script(data);
    let mut altered = false;
    let met = Pair::new().meet(|_, message| {
        let sent = message.clone();
        match script.byte() % 4 {
            0 => {}
            1 => {
                for _ in 0..script.byte() % 8 {
                    let at = script.number() % message.len();
                    message[at] ^= script.byte();
                }
            }
            2 => message.truncate(script.number()),
            _ => {
                let len = script.number();
                *message = script.bytes(len).to_vec();
            }
        }
        altered |= *message != sent;
    });
    match met {
        None => assert!(altered, "an untouched handshake succeeds"),
        Some((mut ada, mut bo)) => {
            let now = *DAWN;
            let mut rng = StdRng::seed_from_u64(2);
            let ping = Signal::Ping { id: 7 };
            let sealed = ada.channel.seal(now, &ping, &mut rng).expect("a fresh channel seals");
            let opened = bo.channel.open(now, &sealed);
            assert_eq!(opened.is_ok(), !altered, "an altered handshake gives no channel");
        }
    }
}

/// One end of the play: its channel, what it said, and how often each of that was heard.
struct End {
    channel: SecureChannel,
    said: Vec<Vec<u8>>,
    heard: Vec<u32>,
}

/// Two channels and a network that delivers what it likes, as often and as late as it likes, and adds of its own.
pub fn channel(data: &[u8]) {
    const MAX_SAID: usize = 200;
    let mut script = Script(data);
    let (ada, bo) = Pair::new().meet(|_, _| {}).expect("an untouched handshake succeeds");
    let end = |pair: Established| End { channel: pair.channel, said: Vec::new(), heard: Vec::new() };
    let mut ends = [end(ada), end(bo)];
    let mut rng = StdRng::seed_from_u64(3);
    let mut now = *DAWN;
    while !script.is_over() {
        let step = script.byte();
        let from = usize::from(step & 1);
        let [sender, receiver] = if from == 0 { [0, 1] } else { [1, 0] };
        match (step >> 1) % 8 {
            0..=2 if ends[sender].said.len() < MAX_SAID => {
                let id = ends[sender].said.len() as u64;
                let message = ends[sender].channel.seal(now, &Signal::Ping { id }, &mut rng).expect("it seals");
                ends[sender].said.push(message);
                ends[sender].heard.push(0);
            }
            3 | 4 if !ends[sender].said.is_empty() => {
                let which = script.number() % ends[sender].said.len();
                let message = ends[sender].said[which].clone();
                if let Ok(signal) = ends[receiver].channel.open(now, &message) {
                    assert_eq!(signal, Signal::Ping { id: which as u64 });
                    ends[sender].heard[which] += 1;
                    assert_eq!(ends[sender].heard[which], 1, "a message opens once");
                }
            }
            5 if !ends[sender].said.is_empty() => {
                let which = script.number() % ends[sender].said.len();
                let mut message = ends[sender].said[which].clone();
                let (at, with) = (script.number() % message.len(), script.byte());
                message[at] ^= with;
                if with != 0 {
                    assert!(ends[receiver].channel.open(now, &message).is_err(), "altered");
                }
                assert!(ends[sender].channel.open(now, &message).is_err(), "reflected");
            }
            6 => {
                let len = script.number();
                assert!(ends[receiver].channel.open(now, script.bytes(len)).is_err(), "made up");
            }
            _ => now += Duration::from_millis(100) * u32::from(script.byte()),
        }
    }
    // Whatever happened, the two still understand each other.
    for [from, to] in [[0, 1], [1, 0], [0, 1]] {
        let ping = Signal::Ping { id: u64::MAX };
        let message = ends[from].channel.seal(now, &ping, &mut rng).expect("it seals");
        assert_eq!(ends[to].channel.open(now, &message).ok(), Some(ping));
    }
}

/// One voice: a sender that steps and renews its key, and a receiver to whom packets and keys come as the bytes say.
pub fn sframe(data: &[u8]) {
    const MAX_SENT: usize = 300;
    let mut script = Script(data);
    let mut rng = StdRng::seed_from_u64(4);
    let keys = SessionKeys::for_lan_room("fuzz");
    let sender = IdentityKey::generate(&mut rng).public().fingerprint();
    let opening = |key: &SenderKey, reason| key.opening_key(&keys.session_id, &sender).because(reason);
    let fresh = |generation, rng: &mut StdRng| {
        let key = SenderKey::generate(generation, rng);
        let sealer: Sealer = key.sealer(&keys.session_id, &sender);
        (key, sealer)
    };
    let (mut key, mut sealer) = fresh(1, &mut rng);
    let mut handed_over: Vec<OpeningKey> = vec![opening(&key, RekeyReason::Join)];
    let (mut sent, mut heard): (Vec<SealedPacket>, Vec<bool>) = (Vec::new(), Vec::new());
    let (mut opener, mut now, mut out) = (Opener::new(), *DAWN, [0; SealedPacket::CAPACITY]);
    while !script.is_over() {
        match script.byte() % 8 {
            0 | 1 if sent.len() < MAX_SENT => {
                let mut packet = SealedPacket::empty();
                let number = u16::try_from(sent.len()).expect("few").to_be_bytes();
                sealer.seal(&number, &mut packet).expect("a counter is left");
                sent.push(packet);
                heard.push(false);
            }
            2 | 3 if !sent.is_empty() => {
                let which = script.number() % sent.len();
                if let Ok(len) = opener.open(now, &sent[which], &mut out) {
                    assert_eq!(out[..len], u16::try_from(which).expect("few").to_be_bytes());
                    assert!(!std::mem::replace(&mut heard[which], true), "a packet opens once");
                }
            }
            4 if !sent.is_empty() => {
                let mut bytes = sent[script.number() % sent.len()].as_slice().to_vec();
                let (at, with) = (script.number() % bytes.len(), script.byte());
                bytes[at] ^= with;
                let altered = SealedPacket::from_slice(&bytes).expect("as long as before");
                assert!(with == 0 || opener.open(now, &altered, &mut out).is_err(), "altered");
            }
            5 => {
                if script.byte().is_multiple_of(4) || !key.advance() {
                    (key, sealer) = fresh(key.generation() + 1, &mut rng);
                }
                sealer.advance_to(key.id());
                let reasons = [RekeyReason::Join, RekeyReason::Leave, RekeyReason::Timer, RekeyReason::Kick];
                handed_over.push(opening(&key, reasons[usize::from(script.byte() % 4)]));
            }
            6 => {
                let key = &handed_over[script.number() % handed_over.len()];
                opener.install(now, key);
            }
            7 if script.byte().is_multiple_of(2) => {
                let len = script.number();
                if let Some(packet) = SealedPacket::from_slice(script.bytes(len)) {
                    assert!(opener.open(now, &packet, &mut out).is_err(), "made up");
                }
            }
            _ => {
                now += Duration::from_millis(50) * u32::from(script.byte());
                opener.advance(now);
            }
        }
    }
    // Whatever happened, a fresh key that comes at last is heard at once.
    let (key, mut sealer) = fresh(key.generation() + 1, &mut rng);
    opener.install(now, &opening(&key, RekeyReason::Timer));
    let mut packet = SealedPacket::empty();
    sealer.seal(b"the end", &mut packet).expect("a counter is left");
    let len = opener.open(now, &packet, &mut out).expect("the newest key opens");
    assert_eq!(&out[..len], b"the end");
}
