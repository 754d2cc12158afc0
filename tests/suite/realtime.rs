//! The audio threads' promise: after start-up `Uplink::process` and `Downlink::render` neither allocate nor free, whatever happens.
//!
//! Thirty seconds of conversation between one listener and up to seven others, who join and leave, over a network that loses, doubles,
//! delays and reorders, and by streams at the same time, with fresh keys all the time (some come after their packets) and steps between them, muting, moving, deafening, a changed
//! output, recordings, changing rooms, ears and heads, more and less economy, music between voices, copies of earlier frames in some packets, forged packets and an outage.

use crate::allocator::counted;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use resonance::audio::economy::Economy;
use resonance::audio::format::{Block, FRAME};
use resonance::audio::offline::Party;
use resonance::audio::record::{self, Writer};
use resonance::audio::spatial::Spatializer;
use resonance::audio::voice::Voice;
use resonance::audio::{Acoustics, Control, Cue, Ears, HrtfChoice, Protection};
use resonance::rate::Rate;
use resonance_protocol::identity::{Fingerprint, IdentityKey};
use resonance_protocol::link::SessionId;
use resonance_protocol::media::packet::AddressedPacket;
use resonance_protocol::media::{HopOpener, HopSealer, InboundPacket, KeyId, SealedPacket, SenderKey};
use resonance_protocol::peer::TransportId;
use resonance_protocol::position::Position;
use std::path::Path;
use std::time::{Duration, Instant};

const LISTENER: TransportId = TransportId::from_bytes([99; 32]);
const SESSION: SessionId = SessionId::from_bytes([3; 16]);

struct Speaker {
    party: Party,
    id: TransportId,
    fingerprint: Fingerprint,
    generation: u64,
    present: bool,
}

impl Speaker {
    fn new(n: u8, rng: &mut StdRng) -> Self {
        Self {
            party: Party::new(Voice::new(false)).expect("a pipeline"),
            id: TransportId::from_bytes([n; 32]),
            fingerprint: IdentityKey::generate(rng).public().fingerprint(),
            generation: 0,
            present: false,
        }
    }

    /// A fresh key: its sealer here; its opening key is for the listener. And a fresh seal for what goes to the listener by a
    /// stream, which every other speaker uses.
    fn rekey(&mut self, now: Instant, listener: &mut Party, rng: &mut StdRng) -> Control {
        let hop_key: [u8; 32] = rng.random();
        let hop = Box::new(HopSealer::new(&hop_key, self.id, LISTENER));
        self.party.control(Control::HopSealer { peer: LISTENER, hop }, now).expect("ordered");
        let on = self.generation % 2 == 1;
        self.party.control(Control::Stream { peer: LISTENER, on }, now).expect("ordered");
        let hop = Box::new(HopOpener::new(&hop_key, self.id, LISTENER));
        listener.control(Control::HopOpener { peer: self.id, hop }, now).expect("ordered");
        // The same in the other direction: the listener's own packets.
        let hop = Box::new(HopSealer::new(&hop_key, LISTENER, self.id));
        listener.control(Control::HopSealer { peer: self.id, hop }, now).expect("ordered");
        listener.control(Control::Stream { peer: self.id, on }, now).expect("ordered");
        let key = SenderKey::generate(self.generation, rng);
        self.generation += 1;
        let opening = Box::new(key.opening_key(&SESSION, &self.fingerprint));
        let sealer = Box::new(key.sealer(&SESSION, &self.fingerprint));
        self.party.control(Control::SenderKey(sealer), now).expect("ordered");
        Control::OpeningKey { peer: self.id, key: opening }
    }

    fn step(&mut self, now: Instant) {
        let step = KeyId::new(self.generation.saturating_sub(1), 1);
        self.party.control(Control::Step(step), now).expect("ordered");
    }
}

#[test]
fn thirty_seconds_of_joins_leaves_loss_reordering_and_rekeys_allocate_nothing() {
    let mut rng = StdRng::seed_from_u64(30);
    let mut speakers: Vec<Speaker> = (1..=7).map(|n| Speaker::new(n, &mut rng)).collect();
    let mut listener = Party::new(Voice::new(false)).expect("a pipeline");
    let head = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/MIT_KEMAR_normal_pinna.sofa");
    let other_head = Spatializer::load(&HrtfChoice::File(head)).expect("the set in the repository");
    let own_fingerprint = IdentityKey::generate(&mut rng).public().fingerprint();
    let began = Instant::now();
    let mut under_way: Vec<(u64, InboundPacket)> = Vec::new();
    let mut late_keys: Vec<(u64, Control)> = Vec::new();
    let (mut uplink_calls, mut downlink_calls, mut heard) = (0, 0, 0.0_f64);
    let mut largest = 0.0_f32;
    let (mut streamed, mut whispered) = (0, 0);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut writer: Option<Writer> = None;

    for frame in 0..3_000_u64 {
        let now = began + Duration::from_millis(10 * frame);
        // Orders come between frames, from the app's side, which may allocate.
        for (n, speaker) in speakers.iter_mut().enumerate() {
            let turn = frame + 37 * n as u64;
            if !speaker.present && turn % 400 == 100 {
                listener.control(Control::AddLane { peer: speaker.id }, now).expect("a lane");
                let position = Position::at_azimuth(rng.random_range(-180.0..180.0));
                listener.control(Control::Place { peer: speaker.id, position }, now).expect("ordered");
                speaker.present = true;
                let opening = speaker.rekey(now, &mut listener, &mut rng);
                listener.control(opening, now).expect("ordered");
            } else if speaker.present && n >= 2 && turn % 900 == 850 {
                // The first two stay from beginning to end, so that their jitter buffers have time to learn.
                listener.control(Control::RemoveLane { peer: speaker.id }, now).expect("ordered");
                speaker.present = false;
            } else if speaker.present && turn.is_multiple_of(150) {
                // By turns at once, and later than the first packets sealed with it.
                late_keys.push((frame + 8 * (turn / 150 % 2), speaker.rekey(now, &mut listener, &mut rng)));
            } else if turn % 150 == 75 {
                speaker.step(now);
            }
            if turn.is_multiple_of(200) {
                let degrees = [Protection::Heavy, Protection::None, Protection::Medium, Protection::Light];
                let protection = degrees[(turn / 200 % 4) as usize];
                let rate = [Rate::Full, Rate::Least, Rate::Full, Rate::Reduced][(turn / 200 % 4) as usize];
                speaker.party.control(Control::Supply(rate, protection), now).expect("ordered");
            }
            if turn.is_multiple_of(70) {
                let position = Position { azimuth_deg: turn as f32, elevation_deg: 20.0, distance_m: 2.0 };
                listener.control(Control::Place { peer: speaker.id, position }, now).expect("ordered");
                let db = rng.random_range(-30.0..10.0);
                listener.control(Control::Volume { peer: speaker.id, db }, now).expect("ordered");
            }
        }
        if frame % 1_000 == 40 {
            let folder = folder.path().join(frame.to_string());
            let (tapper, new) = record::begin(&folder, ("me", "me"), now).expect("a recording");
            listener.record(Some(tapper));
            writer = Some(new);
        } else if frame % 1_000 == 700 {
            listener.record(None);
            writer.take().expect("a recording").finish().expect("written");
        }
        // A disk that is too slow now and then.
        if let Some(writer) = writer.as_mut().filter(|_| frame % 1_000 < 100 || frame % 1_000 > 400) {
            writer.step().expect("written");
        }
        for (_, opening) in late_keys.extract_if(.., |(at, _)| *at <= frame) {
            listener.control(opening, now).expect("ordered");
        }
        match frame % 500 {
            0 => {
                let key = SenderKey::generate(frame, &mut rng);
                let sealer = Box::new(key.sealer(&SESSION, &own_fingerprint));
                listener.control(Control::SenderKey(sealer), now).expect("ordered");
            }
            300 => listener.control(Control::Step(KeyId::new(frame - 300, 1)), now).expect("ordered"),
            20 => listener.control(Control::Supply(Rate::Full, Protection::Heavy), now).expect("ordered"),
            50 => listener.control(Control::Mute(true), now).expect("ordered"),
            90 => listener.control(Control::Mute(false), now).expect("ordered"),
            150 => listener.control(Control::Deafen(true), now).expect("ordered"),
            180 => listener.control(Control::Deafen(false), now).expect("ordered"),
            200 => listener.control(Control::Cue(Cue::Knock), now).expect("ordered"),
            220 => listener.control(Control::Acoustics(Acoustics::Hall), now).expect("ordered"),
            280 => listener.control(Control::Ears(Ears::Speakers), now).expect("ordered"),
            320 => listener.control(Control::Ears(Ears::Headphones), now).expect("ordered"),
            360 => listener.control(Control::Head(Box::new(other_head.clone())), now).expect("ordered"),
            400 => listener.control(Control::Acoustics(Acoustics::Small), now).expect("ordered"),
            480 => listener.control(Control::Acoustics(Acoustics::Off), now).expect("ordered"),
            250 => listener.control(Control::Face { deg: frame as f32 }, now).expect("ordered"),
            _ => {}
        }

        for speaker in &mut speakers {
            let mut mic: Block = std::array::from_fn(|n| {
                let t = (frame * FRAME as u64 + n as u64) as f32 / 48_000.0;
                0.2 * (t * 1_000.0).sin() * (t * 9.0).sin().max(0.0) + 0.01 * rng.random_range(-1.0..1.0_f32)
            });
            // One of them plays music now and then.
            if speaker.id == TransportId::from_bytes([2; 32]) && frame % 400 < 150 {
                speaker.party.uplink.process_stereo(&mut mic.map(|sample| [sample, -0.5 * sample]));
            } else {
                speaker.party.uplink.process(&mut mic);
            }
            while let Some(AddressedPacket { packet, .. }) = speaker.party.hop_sealed() {
                streamed += 1;
                listener.deliver_streamed(InboundPacket { from: speaker.id, arrived: now, packet });
            }
            while let Some(packet) = speaker.party.sealed() {
                send(&mut under_way, InboundPacket { from: speaker.id, arrived: now, packet }, frame, &mut rng);
            }
            speaker.party.tidy();
        }
        // Two hundred milliseconds in which nothing comes, then everything at once.
        if frame % 1_000 > 20 {
            under_way.retain(|(at, packet)| {
                let here = *at <= frame;
                if here {
                    listener.deliver(InboundPacket { arrived: now, ..*packet });
                }
                !here
            });
        }

        let mut mic: Block = std::array::from_fn(|_| rng.random_range(-0.3..0.3));
        let economy = if frame % 700 < 60 { Economy::MOST } else { Economy::NONE };
        let ((), calls) = counted(|| {
            listener.uplink.economize(economy);
            if frame % 600 < 50 {
                listener.uplink.process_stereo(&mut mic.map(|sample| [sample, 0.5]));
            } else {
                listener.uplink.process(&mut mic);
            }
        });
        uplink_calls += calls;
        let mut out = [[0.0; 2]; FRAME];
        let ((), calls) = counted(|| listener.downlink.economize(economy));
        downlink_calls += calls;
        let ((), calls) = counted(|| listener.hear(now + Duration::from_millis(4), &mut out));
        downlink_calls += calls;
        for [left, right] in out {
            largest = largest.max(left.abs()).max(right.abs());
            heard += f64::from(left * left + right * right);
        }
        while listener.sealed().is_some() {}
        while listener.hop_sealed().is_some() {
            whispered += 1;
        }
        for speaker in &speakers {
            let mut block = [0.0; FRAME];
            while listener.voice(speaker.id, &mut block) {}
        }
        listener.tidy();
    }

    let report = listener.report(began + Duration::from_secs(60)).expect("a report");
    let total = |count: fn(&resonance::audio::LaneReport) -> u64| report.lanes.iter().map(count).sum::<u64>();
    assert_eq!((uplink_calls, downlink_calls), (0, 0), "calls of the allocator in the uplink and in the downlink");
    // All of it really happened.
    assert!(heard > 100.0 && largest <= 1.0, "{heard}, {largest}");
    assert!(report.frames_sent == 3_000 && report.lanes.len() >= 3, "{report:?}");
    assert!(total(|lane| lane.lost) > 10 && total(|lane| lane.late) > 0, "{report:?}");
    assert!(total(|lane| lane.concealed_frames) > 50 && total(|lane| lane.corrections) > 0, "{report:?}");
    assert!(
        streamed > 3_000 && whispered > 3_000 && total(|lane| lane.streamed_bytes) > 100_000,
        "{streamed}, {whispered}, {report:?}"
    );
    assert!(total(|lane| lane.repaired) > 10, "{report:?}");
    for recording in ["40", "1040", "2040"] {
        let files = std::fs::read_dir(folder.path().join(recording)).expect("a folder").count();
        assert!(files > 3, "{recording}: {files}");
    }
    assert!(total(|lane| lane.duplicates) > 10 && total(|lane| lane.refused) > 10, "{report:?}");
}

/// A bad network: 4 % lost, 2 % twice, 3 % forged, up to 40 ms of delay, which reorders, and half a second for one in a hundred.
fn send(under_way: &mut Vec<(u64, InboundPacket)>, packet: InboundPacket, frame: u64, rng: &mut StdRng) {
    if rng.random_bool(0.04) {
        return;
    }
    if rng.random_bool(0.02) {
        under_way.push((frame + 3, packet));
    }
    if rng.random_bool(0.03) {
        let mut bytes = packet.packet.as_slice().to_vec();
        if let Some(last) = bytes.last_mut() {
            *last ^= 1;
        }
        if let Some(forged) = SealedPacket::from_slice(&bytes) {
            under_way.push((frame + 1, InboundPacket { packet: forged, ..packet }));
        }
    }
    let delay = if rng.random_bool(0.01) { 50 } else { rng.random_range(0..4) };
    under_way.push((frame + delay, packet));
}
