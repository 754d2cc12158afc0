//! Whole conversations: two pipelines, sealed packets between them, virtual time.

use super::super::cue::Cue;
use super::super::format::SAMPLE_RATE;
use super::*;
use rand::SeedableRng;
use rand::rngs::StdRng;
use resonance_protocol::identity::{Fingerprint, IdentityKey};
use resonance_protocol::link::SessionId;
use resonance_protocol::media::SenderKey;
use resonance_protocol::position::Position;
use std::time::Duration;

const SESSION: SessionId = SessionId::from_bytes([7; 16]);

/// Something like a voice: a gliding pitch with overtones, in syllables with pauses between.
fn voice(n: usize, pitch_hz: f32) -> f32 {
    let t = n as f32 / SAMPLE_RATE as f32;
    let syllable = (t * 3.0).fract();
    if syllable > 0.7 {
        return 0.0;
    }
    let loud = (syllable / 0.7 * std::f32::consts::PI).sin();
    let phase = std::f32::consts::TAU * (pitch_hz * t + 3.0 * (t * 1.7).sin());
    loud * (1..12).map(|k| (phase * k as f32 + (k * k) as f32).sin() * 0.25 / k as f32).sum::<f32>()
}

struct Person {
    party: Party,
    id: TransportId,
    fingerprint: Fingerprint,
    spoken: Vec<f32>,
    pitch_hz: f32,
}

/// Two people and a network of constant delay; `alice` speaks, `bob` listens.
struct Call {
    alice: Person,
    bob: Person,
    rng: StdRng,
    /// Alice's key, which steps as a session lets it.
    key: Option<SenderKey>,
    began: Instant,
    frame: u64,
    under_way: Vec<(u64, SealedPacket)>,
    delay_frames: u64,
    heard: Vec<[f32; 2]>,
    voice: Vec<f32>,
    sent: Vec<usize>,
}

fn person(n: u8, pitch_hz: f32, rng: &mut StdRng) -> Person {
    let party = Party::new(Voice::new(false)).expect("a pipeline");
    let fingerprint = IdentityKey::generate(rng).public().fingerprint();
    Person { party, id: TransportId::from_bytes([n; 32]), fingerprint, spoken: Vec::new(), pitch_hz }
}

impl Call {
    fn new() -> Self {
        let mut rng = StdRng::seed_from_u64(1);
        let (alice, bob) = (person(1, 120.0, &mut rng), person(2, 210.0, &mut rng));
        Self {
            alice,
            bob,
            rng,
            key: None,
            began: Instant::now(),
            frame: 0,
            under_way: Vec::new(),
            delay_frames: 2,
            heard: Vec::new(),
            voice: Vec::new(),
            sent: Vec::new(),
        }
    }

    /// Alice's packets open at Bob's.
    fn connected() -> Self {
        let mut call = Self::new();
        let peer = call.alice.id;
        call.tell_bob(Control::AddLane { peer });
        call.rekey(0);
        call
    }

    fn now(&self) -> Instant {
        self.began + Duration::from_micros(10_000 * self.frame + 3_000)
    }

    fn tell_alice(&mut self, control: Control) {
        let now = self.now();
        self.alice.party.control(control, now).expect("done");
    }

    fn tell_bob(&mut self, control: Control) {
        let now = self.now();
        self.bob.party.control(control, now).expect("done");
    }

    fn rekey(&mut self, generation: u64) {
        let key = SenderKey::generate(generation, &mut self.rng);
        let (peer, fingerprint) = (self.alice.id, self.alice.fingerprint);
        self.tell_bob(Control::OpeningKey { peer, key: Box::new(key.opening_key(&SESSION, &fingerprint)) });
        self.tell_alice(Control::SenderKey(Box::new(key.sealer(&SESSION, &fingerprint))));
        self.key = Some(key);
    }

    /// Every five seconds of speech.
    fn step(&mut self) {
        let stepped = self.key.as_mut().and_then(|key| key.advance().then(|| key.id()));
        if let Some(id) = stepped {
            self.tell_alice(Control::Step(id));
        }
    }

    fn run(&mut self, seconds: f64) {
        for _ in 0..(seconds * 100.0) as usize {
            self.speak();
            self.hear();
        }
    }

    fn speak(&mut self) {
        let from = self.alice.spoken.len();
        if from > 0 && from.is_multiple_of(5 * SAMPLE_RATE as usize) {
            self.step();
        }
        let mut mic: Block = std::array::from_fn(|n| voice(from + n, self.alice.pitch_hz));
        self.alice.spoken.extend(mic);
        self.alice.party.speak(&mut mic);
        self.alice.party.tidy();
        while let Some(packet) = self.alice.party.sealed() {
            self.sent.push(packet.as_slice().len());
            self.under_way.push((self.frame + self.delay_frames, packet));
        }
    }

    /// What has arrived by now is delivered, one frame is played, and 10 ms have passed.
    fn hear(&mut self) {
        let (frame, from) = (self.frame, self.alice.id);
        let arrived = self.began + Duration::from_millis(10 * frame);
        let bob = &mut self.bob.party;
        self.under_way.retain(|(at, packet)| {
            let here = *at <= frame;
            if here {
                bob.deliver(InboundPacket { from, arrived, packet: *packet });
            }
            !here
        });
        let mut out = [[0.0; 2]; FRAME];
        let now = self.now();
        self.bob.party.hear(now, &mut out);
        self.heard.extend(out);
        let mut block = [0.0; FRAME];
        while self.bob.party.voice(from, &mut block) {
            self.voice.extend(block);
        }
        self.bob.party.tidy();
        self.frame += 1;
    }

    fn report(&mut self) -> Report {
        self.report_after(Duration::from_secs(1))
    }

    fn report_after(&mut self, while_nothing_was_asked: Duration) -> Report {
        let now = self.now();
        self.bob.party.report(now + while_nothing_was_asked).expect("there is news")
    }
}

/// The lag (up to a fifth of a second) at which `later` is most like `earlier`, and the correlation there.
fn best_match(earlier: &[f32], later: &[f32]) -> (usize, f32) {
    let score = |lag: usize| {
        let pairs = || earlier.iter().zip(&later[lag..]);
        let ab: f32 = pairs().map(|(a, b)| a * b).sum();
        let (aa, bb): (f32, f32) = (pairs().map(|(a, _)| a * a).sum(), pairs().map(|(_, b)| b * b).sum());
        ab / (aa * bb).sqrt().max(1.0e-9)
    };
    let mut best = (0, -1.0);
    for lag in 0..9_600 {
        let score = score(lag);
        if score > best.1 {
            best = (lag, score);
        }
    }
    best
}

fn loudness_db(samples: impl Iterator<Item = f32>) -> f32 {
    let (sum, count) = samples.fold((0.0, 0), |(sum, count), x| (sum + x * x, count + 1));
    10.0 * (sum / count.max(1) as f32 + 1.0e-12).log10()
}

#[test]
fn what_is_said_here_is_heard_there_whole_and_soon() {
    let mut call = Call::connected();
    call.run(6.0);
    let (lag, likeness) = best_match(&call.alice.spoken[48_000..72_000], &call.voice[48_000..]);
    assert!(likeness > 0.9, "{likeness}");
    // 20 ms of network, up to 25 of buffer, 6.5 of codec, and the frame itself counted from its beginning.
    assert!(lag < 48 * 65, "{} ms", lag as f32 / 48.0);
    let report = call.report();
    let lane = &report.lanes[0];
    assert_eq!((lane.lost, lane.late, lane.concealed_frames, lane.refused, lane.duplicates), (0, 0, 0, 0, 0));
    assert!(lane.received > 590 && lane.buffer_ms < 25.0, "{lane:?}");
    assert!(lane.level_db > -40.0 && lane.bytes > 590 * 40);
    assert_eq!(report.unknown_sender, 0);
}

#[test]
fn packets_all_have_one_size_speaking_or_not() {
    let mut call = Call::connected();
    call.run(1.0);
    call.tell_alice(Control::Mute(true));
    call.run(1.0);
    call.tell_alice(Control::Mute(false));
    call.run(1.0);
    assert_eq!(call.sent.len(), 300);
    // The frame's counter grows by a byte now and then (RFC 9605, section 4.3); nothing else may show.
    let sealed = &call.sent;
    assert!(sealed.iter().all(|len| (sealed[0]..=sealed[0] + 2).contains(len)), "{sealed:?}");
    assert!(sealed.windows(2).all(|w| w[0] <= w[1]), "only the counter grows");
}

#[test]
fn a_closed_microphone_is_silent_and_neither_closing_nor_opening_clicks() {
    let mut call = Call::connected();
    call.run(2.1);
    let steepest = |voice: &[f32]| voice.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
    let ordinary = steepest(&call.voice);
    call.tell_alice(Control::Mute(true));
    call.run(2.0);
    let silent = &call.voice[48_000 * 3..48_000 * 4];
    assert!(loudness_db(silent.iter().copied()) < -75.0, "{}", loudness_db(silent.iter().copied()));
    call.tell_alice(Control::Mute(false));
    call.run(2.0);
    assert!(loudness_db(call.voice[48_000 * 5..].iter().copied()) > -40.0);
    assert!(steepest(&call.voice) < ordinary * 1.3, "{} against {ordinary}", steepest(&call.voice));
}

#[test]
fn nothing_is_sent_before_there_is_a_key_and_nothing_opens_without_one() {
    let mut call = Call::new();
    call.run(0.5);
    assert!(call.sent.is_empty());
    call.rekey(0);
    call.run(0.5);
    assert_eq!(call.report().unknown_sender, 48, "no lane: dropped and counted");
    let peer = call.alice.id;
    call.tell_bob(Control::AddLane { peer });
    call.run(0.5);
    // Held for a while, as the key might come; the two that were under way have come meanwhile.
    for _ in 0..40 {
        call.hear();
    }
    let lane = call.report().lanes[0].clone();
    assert_eq!((lane.received, lane.refused), (0, 52));
    assert!(call.heard.iter().all(|frame| *frame == [0.0; 2]), "and nothing was heard");
}

#[test]
fn a_new_key_is_taken_up_without_a_gap() {
    let mut call = Call::connected();
    for generation in 1..8 {
        call.run(0.5);
        call.rekey(generation);
    }
    call.run(1.0);
    let lane = call.report().lanes[0].clone();
    assert_eq!((lane.refused, lane.concealed_frames, lane.lost), (0, 0, 0));
}

#[test]
fn a_short_sound_is_heard_by_whoever_hears_at_all() {
    let mut call = Call::connected();
    let peer = call.alice.id;
    call.tell_bob(Control::Volume { peer, db: -60.0 });
    let mut with_sound = |deafened| {
        call.tell_bob(Control::Deafen(deafened));
        call.run(0.5);
        let from = call.heard.len();
        call.tell_bob(Control::Cue(Cue::Joined));
        call.run(0.4);
        loudness_db(call.heard[from..].iter().map(|f| f[0]))
    };
    let (heard, deafened) = (with_sound(false), with_sound(true));
    assert!((-40.0..-20.0).contains(&heard) && deafened < -90.0, "{heard}, {deafened}");
}

#[test]
fn a_voice_can_be_placed_turned_away_from_made_softer_and_shut_out() {
    let mut call = Call::connected();
    let peer = call.alice.id;
    let ears = |call: &mut Call, control: Option<Control>| {
        if let Some(control) = control {
            call.tell_bob(control);
        }
        call.run(0.3);
        let from = call.heard.len();
        call.run(2.0);
        let heard = &call.heard[from..];
        [loudness_db(heard.iter().map(|f| f[0])), loudness_db(heard.iter().map(|f| f[1]))]
    };
    let [left, right] = ears(&mut call, None);
    assert!((left - right).abs() < 1.5, "ahead: {left}, {right}");
    let ahead = left;
    let [left, right] = ears(&mut call, Some(Control::Place { peer, position: Position::at_azimuth(90.0) }));
    assert!(right - left > 2.5, "to the right: {left}, {right}");
    let [left, right] = ears(&mut call, Some(Control::Face { deg: 180.0 }));
    assert!(left - right > 2.5, "turned round: {left}, {right}");
    ears(&mut call, Some(Control::Face { deg: 90.0 }));
    let [left, _] = ears(&mut call, Some(Control::Volume { peer, db: -12.0 }));
    assert!((ahead - 12.0 - left).abs() < 1.5, "ahead again and softer: {left} after {ahead}");
    let [left, right] = ears(&mut call, Some(Control::Deafen(true)));
    assert!(left < -90.0 && right < -90.0, "{left}, {right}");
    let [left, _] = ears(&mut call, Some(Control::Deafen(false)));
    assert!((ahead - 12.0 - left).abs() < 1.5);
}

#[test]
fn a_voice_that_leaves_is_gone_and_one_that_comes_back_is_heard() {
    let mut call = Call::connected();
    let peer = call.alice.id;
    call.run(1.0);
    call.tell_bob(Control::RemoveLane { peer });
    call.run(0.2);
    let from = call.heard.len();
    call.run(1.0);
    assert!(call.heard[from..].iter().all(|frame| *frame == [0.0; 2]));
    call.tell_bob(Control::AddLane { peer });
    call.rekey(1);
    call.run(2.0);
    assert_eq!(call.report().lanes.len(), 1);
    assert!(loudness_db(call.heard[call.heard.len() - 48_000..].iter().map(|f| f[0])) > -45.0);
}

#[test]
fn an_eighth_voice_is_refused() {
    let mut call = Call::new();
    for n in 10..17 {
        call.tell_bob(Control::AddLane { peer: TransportId::from_bytes([n; 32]) });
    }
    let (now, peer) = (call.now(), TransportId::from_bytes([17; 32]));
    assert!(matches!(call.bob.party.control(Control::AddLane { peer }, now), Err(LaneError::Full)));
}

#[test]
fn samples_lost_at_the_microphone_cost_no_delay() {
    let mut call = Call::connected();
    call.run(1.0);
    // The card stalled: 55 ms were dropped; no frame was made for that time.
    call.alice.party.uplink.skip(2_640);
    for _ in 0..5 {
        call.hear();
    }
    call.run(1.0);
    let lane = call.report().lanes[0].clone();
    assert_eq!(lane.late, 0);
    assert!(lane.buffer_ms < 30.0, "{}", lane.buffer_ms);
}

#[test]
fn clocks_that_differ_are_followed_by_stretching_the_voice_without_a_click_or_a_gap() {
    // By then it is known that the network is even, and the margin of the first moments is taken out.
    const SETTLED: u32 = 500;
    // More than bad crystals do, so that a few frames come or go within half a minute.
    let listen = |ppm: f64, ticks: u32| {
        let mut call = Call::connected();
        let (mut spoken, mut settled) = (0_u32, 0);
        for tick in 0..ticks {
            if tick == SETTLED {
                settled = call.report_after(Duration::from_secs(60)).lanes[0].corrections;
            }
            let ms = f64::from(tick) * 10.0 * (1.0 + ppm * 1.0e-6);
            while f64::from(spoken) * 10.0 + 20.0 <= ms + 3.0 {
                call.speak();
                spoken += 1;
            }
            let at = |ms: f64| call.began + Duration::from_secs_f64(ms / 1_000.0);
            let (from, now) = (call.alice.id, at(ms + 3.0));
            for (n, (_, packet)) in (0..).zip(call.under_way.drain(..)) {
                let arrived = at(f64::from(spoken - 1 - n) * 10.0 + 20.0);
                call.bob.party.deliver(InboundPacket { from, arrived, packet });
            }
            let mut out = [[0.0; 2]; FRAME];
            call.bob.party.hear(now, &mut out);
            let mut block = [0.0; FRAME];
            while call.bob.party.voice(from, &mut block) {
                call.voice.extend(block);
            }
            call.bob.party.tidy();
        }
        let lane = call.report_after(Duration::from_secs(3_600)).lanes[0].clone();
        assert_eq!((lane.concealed_frames, lane.lost, lane.late), (0, 0, 0), "{ppm} ppm: {lane:?}");
        assert!(lane.buffer_ms < 30.0, "{ppm} ppm: {lane:?}");
        let steepest = call.voice.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
        (lane.corrections - settled, steepest, loudness_db(call.voice[24_000..].iter().copied()))
    };
    let (corrections, ordinary, level) = listen(0.0, 1_000);
    assert_eq!(corrections, 0);
    for ppm in [-600.0, 600.0] {
        let (corrections, steepest, stretched) = listen(ppm, 3_500);
        assert!((1..=3).contains(&corrections), "{ppm} ppm: {corrections} for 18 ms");
        assert!(steepest < ordinary * 1.3, "{ppm} ppm: {steepest} against {ordinary}");
        assert!((stretched - level).abs() < 0.5, "{ppm} ppm: {stretched} against {level} dB");
    }
}

mod hours;
mod lengths;
mod music;
mod sparing;
mod streamed;
