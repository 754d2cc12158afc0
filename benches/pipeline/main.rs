//! What we claim to be fast at: medians over many runs, and shares of the time that the sound itself lasts.

mod screen;

use rand::SeedableRng;
use rand::rngs::StdRng;
use resonance::audio::format::{Block, FRAME};
use resonance::audio::offline::Party;
use resonance::audio::voice::Voice;
use resonance::audio::{Acoustics, Control};
use resonance_protocol::handshake::{Initiator, LocalPeer, Responder};
use resonance_protocol::identity::{Fingerprint, IdentityKey};
use resonance_protocol::link::SessionKeys;
use resonance_protocol::media::{InboundPacket, KeyId, Opener, SealedPacket, SenderKey};
use resonance_protocol::peer::TransportId;
use resonance_protocol::position::Position;
use resonance_protocol::safety_number::SafetyNumber;
use std::hint::black_box;
use std::io::Write;
use std::time::{Duration, Instant};

/// One frame lasts this long.
const FRAME_TIME: Duration = Duration::from_millis(10);
/// Senders step forward at the latest in this frame, after 5 s, or they are not heard any more.
const STEP_AT: usize = 500;
/// The most voices that are heard at once.
const VOICES: u8 = 7;

fn median(runs: usize, mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..runs)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    times.sort();
    times[times.len() / 2]
}

fn report(what: &str, time: Duration, per: Option<Duration>) {
    let share =
        per.map(|per| format!("{:>7.2} % of the time it lasts", 100.0 * time.as_secs_f64() / per.as_secs_f64()));
    let micros = time.as_secs_f64() * 1e6;
    let _ = writeln!(std::io::stdout(), "{what:<52} {micros:>9.1} µs {}", share.unwrap_or_default());
}

fn peer(number: u8) -> TransportId {
    TransportId::from_bytes([number; 32])
}

fn voice_block(at: usize) -> Block {
    std::array::from_fn(|i| {
        let t = (at * FRAME + i) as f32 / 48_000.0;
        (1..6).map(|n| (t * 140.0 * n as f32 * std::f32::consts::TAU).sin() / n as f32).sum::<f32>() * 0.1
    })
}

/// Everything that the ears' side does for one frame: open, wait, decode, place and mix every voice, in a room.
fn downlink(room: &str, acoustics: Acoustics, keys: &SessionKeys, fingerprint: &Fingerprint, rng: &mut StdRng) {
    let mut speakers: Vec<Party> = Vec::new();
    let mut listener = Party::new(Voice::new(false)).expect("a pipeline");
    let start = Instant::now();
    listener.control(Control::Acoustics(acoustics), start).expect("a room");
    for number in 1..=VOICES {
        let key = SenderKey::generate(1, rng);
        let mut speaker = Party::new(Voice::new(false)).expect("a pipeline");
        let sealer = Box::new(key.sealer(&keys.session_id, fingerprint));
        speaker.control(Control::SenderKey(sealer), start).expect("a key");
        speakers.push(speaker);
        let opening = Box::new(key.opening_key(&keys.session_id, fingerprint));
        let position = Position::at_azimuth(f32::from(number) * 40.0);
        for control in [
            Control::AddLane { peer: peer(number) },
            Control::Place { peer: peer(number), position },
            Control::OpeningKey { peer: peer(number), key: opening },
        ] {
            listener.control(control, start).expect("a lane");
        }
    }
    let (mut at, mut heard) = (0, [[0.0; 2]; FRAME]);
    let mut times = Vec::new();
    for _ in 0..1_000 {
        at += 1;
        let now = start + FRAME_TIME * at as u32;
        for (speaker, number) in speakers.iter_mut().zip(1..) {
            if at == STEP_AT {
                speaker.control(Control::Step(KeyId::new(1, 1)), now).expect("a step");
            }
            speaker.speak(&mut voice_block(at));
            while let Some(packet) = speaker.sealed() {
                listener.deliver(InboundPacket { from: peer(number), arrived: now, packet });
            }
        }
        let began = Instant::now();
        listener.hear(now, &mut heard);
        times.push(began.elapsed());
        black_box(&heard);
    }
    times.sort();
    report(&format!("downlink: {VOICES} voices heard{room}"), times[times.len() / 2], Some(FRAME_TIME));
    report(&format!("downlink: the slowest of a hundred{room}"), times[times.len() * 99 / 100], Some(FRAME_TIME));
}

fn main() {
    let mut rng = StdRng::seed_from_u64(1);
    let keys = SessionKeys::for_lan_room("bench");
    let fingerprint = IdentityKey::generate(&mut rng).public().fingerprint();

    for (what, cleaned) in [("uplink: encode and seal", false), ("uplink: clean, encode and seal", true)] {
        let mut party = Party::new(Voice::new(cleaned)).expect("a pipeline");
        let sealer = SenderKey::generate(1, &mut rng).sealer(&keys.session_id, &fingerprint);
        party.control(Control::SenderKey(Box::new(sealer)), Instant::now()).expect("a key");
        let mut at = 0;
        let time = median(1_000, || {
            at += 1;
            party.speak(&mut voice_block(at));
            while party.sealed().is_some() {}
        });
        report(&format!("{what}, one frame"), time, Some(FRAME_TIME));
    }

    for (room, acoustics) in [("", Acoustics::Off), (", small room", Acoustics::Small), (", hall", Acoustics::Hall)] {
        downlink(room, acoustics, &keys, &fingerprint, &mut rng);
    }

    let start = Instant::now();
    let key = SenderKey::generate(1, &mut rng);
    let mut sealer = key.sealer(&keys.session_id, &fingerprint);
    let mut opener = Opener::new();
    opener.install(start, &key.opening_key(&keys.session_id, &fingerprint));
    let mut packets = vec![SealedPacket::empty(); 10_000];
    let (mut sealed, mut opened, mut plain) = (packets.iter_mut(), 0, [0; 256]);
    let time = median(10_000, || sealer.seal(&[7; 45], sealed.next().expect("one of them")).expect("sealed"));
    report("seal one packet", time, Some(FRAME_TIME));
    let time = median(10_000, || {
        black_box(opener.open(start, &packets[opened], &mut plain)).expect("opened");
        opened += 1;
    });
    report("open one packet", time, Some(FRAME_TIME));

    let (ada, bo) = (IdentityKey::generate(&mut rng), IdentityKey::generate(&mut rng));
    let time = median(50, || {
        let mine = LocalPeer { identity: &ada, transport: peer(1), name: "Ada" };
        let theirs = LocalPeer { identity: &bo, transport: peer(2), name: "Bo" };
        let (initiator, message1) = Initiator::start(&keys, &mine, peer(2), &mut rng).expect("message 1");
        let (responder, message2) = Responder::answer(&keys, &theirs, peer(1), &message1, &mut rng).expect("message 2");
        let (message3, _) = initiator.finish(start, &mine, &message2, &mut rng).expect("message 3");
        black_box(responder.finish(start, &theirs, &message3).expect("the end"));
    });
    report("handshake, both sides (three messages, ML-KEM-768)", time, None);
    let time = median(20, || {
        black_box(SafetyNumber::between(&ada.public(), &bo.public()));
    });
    report("safety number", time, None);

    screen::run();
}
