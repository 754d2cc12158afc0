//! What loss does to a voice: recorded speech through the whole pipeline (encoder, seal, a network that loses, jitter buffer, decoder),
//! judged by PESQ-WB and STOI; the same losses met by concealment alone, and by what Opus has itself.
//!
//! The redundancy is chosen as in a call, from a report a second. What is scored is the second time that the speech is spoken, when
//! loss has lasted for 24 s; each figure is the mean of three loss patterns. Needs the tools of `make setup`. Parts of it:
//! `cargo bench --bench quality -- latency loss delay narrow rates`.

#[path = "../tests/quality/judge.rs"]
mod judge;

use judge::{Judge, Verdict, prompts};
use rand::SeedableRng;
use rand::rngs::StdRng;
use resonance::audio::format::{Block, FRAME, QUANTUM};
use resonance::audio::libopus::{Decoder, DeepRedundancy, Delay, Encoder, Setting, has_lbrr};
use resonance::audio::offline::Party;
use resonance::audio::voice::Voice;
use resonance::audio::{Control, LaneReport, Protection};
use resonance::session::protection::{Degree, Protection as Answer, Reception};
use resonance_netsim::impairment::{self, Fate, Impairment, Link, Loss};
use resonance_netsim::profiles;
use resonance_protocol::identity::{Fingerprint, IdentityKey};
use resonance_protocol::link::SessionKeys;
use resonance_protocol::media::{InboundPacket, SenderKey};
use resonance_protocol::peer::TransportId;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const FRAME_TIME: Duration = Duration::from_millis(10);
/// RTP header and its extension, SRTP tag, UDP and IPv4 headers: what a sealed packet has around it.
const HEADERS: usize = 58;
/// What waits at most for a copy, in frames.
const WAIT: usize = 10;
const PATTERNS: u64 = 3;

fn say(line: &str) {
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn main() {
    let (Some(prompts), Some(judge)) = (prompts(), Judge::new(env!("CARGO_MANIFEST_DIR"), "quality")) else {
        say(
            "quality: left out, since recorded speech or the Python environment is missing (`make setup` installs both)",
        );
        return;
    };
    let speech = spoken(&prompts);
    let reference = judge.write("reference", &speech);

    // With words after `--` only these parts.
    let parts: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|word| word == part);
    if wanted("latency") {
        latency(&speech);
    }
    if wanted("loss") {
        losses(&judge, &reference, &speech);
    }
    if wanted("delay") {
        delay(&speech);
    }
    if wanted("narrow") {
        narrow(&speech);
    }
    if wanted("rates") {
        rates(&judge, &reference, &speech);
    }
}

/// What the codec leaves of speech at constant rates, where nothing is lost.
fn rates(judge: &Judge, reference: &Path, speech: &[f32]) {
    for (bits, samples) in [(12_000, 960), (16_000, 960), (24_000, 960), (32_000, 960), (48_000, 960), (80_000, FRAME)]
    {
        let delay = if samples == FRAME { Delay::Low } else { Delay::Usual };
        let mut encoder = Encoder::new(1, delay).expect("an encoder");
        for setting in [Setting::Speech, Setting::Bitrate(bits), Setting::ConstantRate, Setting::Complexity(10)] {
            encoder.set(setting).expect("a setting");
        }
        let mut decoder = Decoder::new(1, 5).expect("a decoder");
        let mut heard = Vec::new();
        for frame in speech.chunks_exact(samples) {
            let (mut packet, mut out) = ([0; 1_275], [0.0; 2 * FRAME]);
            let len = encoder.encode(frame, &mut packet).expect("encoded");
            decoder.decode(&packet[..len], &mut out[..samples]).expect("decoded");
            heard.extend(&out[..samples]);
        }
        let file = judge.write("rate", &heard);
        let verdict = &judge.verdicts(reference, &[file])[0];
        let ms = samples / 48;
        say(&format!("{} kb/s in frames of {ms} ms: PESQ-WB {:.2}", bits / 1_000, verdict.pesq));
    }
}

/// What loss leaves of speech.
fn losses(judge: &Judge, reference: &Path, speech: &[f32]) {
    say("speech over a lossy network          PESQ-WB (STOI), 10 ms frames");
    say("loss                          as in a call     concealment    LBRR and DRED, 128 kb/s");
    for (name, loss) in [
        ("none", Loss::Never),
        ("20 %, random", Loss::Bernoulli(0.2)),
        ("20 %, bursts of 3", bursts(0.2, 3.0)),
        ("40 %, bursts of 8", bursts(0.4, 8.0)),
        ("50 %, random", Loss::Bernoulli(0.5)),
    ] {
        let impairment = Impairment { delay: Duration::from_millis(20), loss, ..Impairment::default() };
        let ours = mean(judge, reference, |seed| Call::new(impairment, seed).twice(speech, Mode::Answered));
        let bare = mean(judge, reference, |seed| Call::new(impairment, seed).twice(speech, Mode::Bare));
        let opus = mean(judge, reference, |seed| opus_alone(speech, impairment, seed));
        say(&format!("{name:<26} {ours}    {bare}    {opus}"));
    }
}

/// What redundancy costs in delay.
fn delay(speech: &[f32]) {
    let clean = Impairment { delay: Duration::from_millis(20), ..Impairment::default() };
    let mut call = Call::new(clean, 1);
    let before = call.delay_after(speech, 10);
    call.link.change(Impairment { loss: bursts(0.2, 3.0), ..clean });
    let during = call.delay_after(speech, 20);
    call.link.change(clean);
    let after = call.delay_after(speech, 5);
    say(&format!(
        "20 % lost for 20 s: the jitter buffer holds {before:.0} ms before, {during:.0} ms at its end, {after:.0} ms 5 s later"
    ));
}

/// What becomes of speech where there is little room for it.
fn narrow(speech: &[f32]) {
    say("a bottleneck with a queue of 250 ms, 10 ms frames, from the 20th second to the 140th");
    for (bits, loss) in
        [(60_000, 0.0), (100_000, 0.0), (100_000, 0.1), (120_000, 0.0), (150_000, 0.1), (1_000_000, 0.2)]
    {
        let narrow = Impairment {
            delay: Duration::from_millis(20),
            loss: if loss > 0.0 { Loss::Bernoulli(loss) } else { Loss::Never },
            rate: Some(impairment::Rate { bits, queue: Duration::from_millis(250) }),
            ..Impairment::default()
        };
        bottleneck(&format!("{} kb/s, {:.0} % lost by chance", bits / 1_000, 100.0 * loss), speech, narrow);
    }
    let wifi = profiles::named("busy wifi").expect("a profile").up;
    bottleneck("busy Wi-Fi", speech, wifi);
}

fn bottleneck(name: &str, speech: &[f32], impairment: Impairment) {
    const FROM: u32 = 20;
    const SECONDS: u32 = 120;
    let mut call = Call::new(impairment, 1);
    call.delay_after(speech, FROM);
    let (before, mut held_ms) = (call.tally(), 0.0);
    for _ in 0..SECONDS {
        held_ms += f64::from(call.delay_after(speech, 1)) / f64::from(SECONDS);
    }
    let [bytes, packets, arrived, made_up, under_way] = std::array::from_fn(|n| call.tally()[n] - before[n]);
    say(&format!(
        "{name:<34} {:>4.0} kb/s sent, {:>4.1} % of the packets lost, {:>4.1} % of the sound made up, {:>3.0} ms under way and {held_ms:>3.0} in the \
         jitter buffer; rate or copies changed {} times",
        bytes * 8.0 / 1_000.0 / f64::from(SECONDS),
        100.0 * (packets - arrived) / packets,
        100.0 * made_up / packets,
        1_000.0 * under_way / arrived,
        call.changes
    ));
}

/// From a sample at the microphone to the same sample at the ear without a network, whatever the phase between the two cards.
fn latency(speech: &[f32]) {
    let (mut lags, mut buffered) = (Vec::new(), 0.0);
    for phase in 0..10 {
        let mut call = Call::new(Impairment::default(), 1);
        call.phase = Duration::from_micros(250 * phase + 125);
        buffered += f64::from(call.delay_after(speech, 4)) / 10.0;
        // The frame's last sample is there when it is sent; its first one is a frame older.
        let waited = FRAME_TIME.as_secs_f64() * 1_000.0 + call.phase.as_secs_f64() * 1_000.0;
        lags.push(lag_ms(&speech[2 * 48_000..3 * 48_000], &call.left_ear[2 * 48_000..]) + waited);
    }
    lags.sort_by(f64::total_cmp);
    let codec = Encoder::new(1, Delay::Low)
        .and_then(|mut encoder| encoder.lookahead())
        .map_or(0.0, |samples| f64::from(samples) / 48.0);
    let mean = lags.iter().sum::<f64>() / lags.len() as f64;
    say(&format!(
        "microphone to ear without a network and without cards: {mean:.1} ms ({:.1} to {:.1}): frame 10.0, codec {codec:.1}, jitter buffer \
         {buffered:.1}, ears {:.1}",
        lags[0],
        lags[lags.len() - 1],
        mean - 10.0 - codec - buffered
    ));
}

/// How much later than the reference this sounds, in ms: where it is most like it.
fn lag_ms(reference: &[f32], heard: &[f32]) -> f64 {
    let likeness = |lag: usize| reference.iter().zip(&heard[lag..]).map(|(a, b)| a * b).sum::<f32>();
    let best = (0..4_800).max_by(|a, b| likeness(*a).total_cmp(&likeness(*b))).unwrap_or(0);
    best as f64 / 48.0
}

fn bursts(share: f64, mean: f64) -> Loss {
    Loss::GilbertElliott { worsen: share / (1.0 - share) / mean, recover: 1.0 / mean, bad: 1.0, good: 0.0 }
}

/// The prompts one after the other, twice, in whole frames.
fn spoken(prompts: &[Vec<f32>]) -> Vec<f32> {
    let mut speech = prompts.concat();
    speech.truncate(speech.len() / FRAME * FRAME);
    speech.repeat(2)
}

/// The mean figures over the patterns.
fn mean(judge: &Judge, reference: &Path, mut heard: impl FnMut(u64) -> Vec<f32>) -> String {
    let files: Vec<PathBuf> = (1..=PATTERNS).map(|seed| judge.write(&format!("heard-{seed}"), &heard(seed))).collect();
    let verdicts = judge.verdicts(reference, &files);
    let mean = |of: fn(&Verdict) -> f64| verdicts.iter().map(of).sum::<f64>() / PATTERNS as f64;
    format!("{:.2} ({:.3})", mean(|verdict| verdict.pesq), mean(|verdict| verdict.stoi))
}

/// How loss is met.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    /// As in a call: the receiver reports, the sender answers.
    Answered,
    /// By concealment alone.
    Bare,
}

const SPEAKER: TransportId = TransportId::from_bytes([1; 32]);

/// One speaks, the other listens.
struct Call {
    speaker: Party,
    listener: Party,
    fingerprint: Fingerprint,
    key: SenderKey,
    generation: u64,
    link: Link,
    answer: Answer,
    began: Instant,
    /// From the end of a frame at the microphone to the speaker's next wish, 2.5 ms at the most.
    phase: Duration,
    frame: u32,
    under_way: Vec<InboundPacket>,
    /// Bytes and packets on the wire, and how many of them arrived after how many seconds together.
    sent: u64,
    packets: u64,
    arrived: u64,
    under_way_s: f64,
    /// How often the sender gave more or less.
    changes: u32,
    last: Figures,
    buffer_ms: f32,
    left_ear: Vec<f32>,
}

#[derive(Clone, Copy, Default)]
struct Figures {
    received: u64,
    lost: u64,
    gaps: u64,
    made_up: u64,
    queue_ms: f32,
}

impl Call {
    fn new(impairment: Impairment, seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let party = || Party::new(Voice::new(false)).expect("a pipeline");
        let (speaker, mut listener) = (party(), party());
        let began = Instant::now();
        listener.control(Control::AddLane { peer: SPEAKER }, began).expect("a lane");
        Self {
            speaker,
            listener,
            fingerprint: IdentityKey::generate(&mut rng).public().fingerprint(),
            key: SenderKey::generate(0, &mut rng),
            generation: 0,
            link: Link::new(impairment, seed),
            answer: Answer::default(),
            began,
            phase: Duration::from_millis(1),
            frame: 0,
            under_way: Vec::new(),
            sent: 0,
            packets: 0,
            arrived: 0,
            under_way_s: 0.0,
            changes: 0,
            last: Figures::default(),
            buffer_ms: 0.0,
            left_ear: Vec::new(),
        }
    }

    /// Ten milliseconds: what is said, and what is heard of this voice before it is placed.
    fn step(&mut self, mic: &[f32], mode: Mode, heard: &mut Vec<f32>) {
        let now = self.began + FRAME_TIME * self.frame;
        let mut block: Block = mic.try_into().expect("a frame");
        if self.frame.is_multiple_of(500) {
            self.step_key(now);
        }
        self.speaker.speak(&mut block);
        while let Some(packet) = self.speaker.sealed() {
            let length = packet.as_slice().len() + HEADERS;
            self.sent += length as u64;
            self.packets += 1;
            if let Fate::Arrives(arrived) = self.link.carry(now, length) {
                self.arrived += 1;
                self.under_way_s += (arrived - now).as_secs_f64();
                self.under_way.push(InboundPacket { from: SPEAKER, arrived, packet });
            }
        }
        let wanted = now + self.phase;
        for quantum in 0..FRAME / QUANTUM {
            // A card that takes 2.5 ms at a time.
            let wanted = wanted + FRAME_TIME * quantum as u32 / (FRAME / QUANTUM) as u32;
            for packet in self.under_way.extract_if(.., |packet| packet.arrived <= wanted) {
                self.listener.deliver(packet);
            }
            let mut ears = [[0.0; 2]; QUANTUM];
            self.listener.hear_quantum(wanted, &mut ears);
            self.left_ear.extend(ears.iter().map(|[left, _]| left));
        }
        let mut voice = [0.0; FRAME];
        while self.listener.voice(SPEAKER, &mut voice) {
            heard.extend(voice);
        }
        self.speaker.tidy();
        self.listener.tidy();
        self.frame += 1;
        if self.frame.is_multiple_of(100) {
            self.report(now, mode);
        }
    }

    /// Keys step forward every five seconds, and there is another when the last step is over.
    fn step_key(&mut self, now: Instant) {
        if self.frame > 0 && self.key.advance() {
            self.speaker.control(Control::Step(self.key.id()), now).expect("a step");
            return;
        }
        let session = SessionKeys::for_lan_room("quality").session_id;
        self.generation += 1;
        self.key = SenderKey::generate(self.generation, &mut StdRng::seed_from_u64(self.generation));
        let sealer = Box::new(self.key.sealer(&session, &self.fingerprint));
        self.speaker.control(Control::SenderKey(sealer), now).expect("a key");
        let key = Box::new(self.key.opening_key(&session, &self.fingerprint));
        self.listener.control(Control::OpeningKey { peer: SPEAKER, key }, now).expect("a key");
    }

    fn report(&mut self, now: Instant, mode: Mode) {
        let Some(lane) = self.listener.report(now).and_then(|report| report.lanes.into_iter().next()) else { return };
        let before = self.last;
        self.last = figures(&lane);
        self.buffer_ms = lane.buffer_ms;
        let Some(reception) = self.reception(before).filter(|_| mode == Mode::Answered) else { return };
        if let Some(given) = self.answer.report(now, SPEAKER, Duration::ZERO, reception) {
            self.changes += 1;
            let protection = match given.degree {
                Degree::None => Protection::None,
                Degree::Light => Protection::Light,
                Degree::Medium => Protection::Medium,
                Degree::Heavy => Protection::Heavy,
            };
            self.speaker.control(Control::Supply(given.rate, protection), now).expect("ordered");
        }
    }

    /// Bytes, packets, those that arrived, frames that were made up, and seconds under way.
    fn tally(&self) -> [f64; 5] {
        let counted = [self.sent, self.packets, self.arrived, self.last.made_up].map(|count| count as f64);
        [counted[0], counted[1], counted[2], counted[3], self.under_way_s]
    }

    /// What was received since these figures.
    fn reception(&self, before: Figures) -> Option<Reception> {
        let (received, lost) = (self.last.received - before.received, self.last.lost - before.lost);
        (received + lost > 0).then(|| Reception {
            loss: lost as f32 / (received + lost) as f32,
            burst: lost as f32 / (self.last.gaps - before.gaps).max(1) as f32,
            queue_ms: self.last.queue_ms,
        })
    }

    /// Speaks it twice; returns what was heard of the second time.
    fn twice(mut self, speech: &[f32], mode: Mode) -> Vec<f32> {
        let mut heard = Vec::new();
        for _ in 0..2 {
            heard.clear();
            for mic in speech.chunks_exact(FRAME) {
                self.step(mic, mode, &mut heard);
            }
        }
        heard
    }

    /// Goes on for so many seconds; returns what the jitter buffer holds then, in ms.
    fn delay_after(&mut self, speech: &[f32], seconds: u32) -> f32 {
        let mut heard = Vec::new();
        for _ in 0..seconds * 100 {
            let at = self.frame as usize * FRAME % speech.len();
            self.step(&speech[at..at + FRAME], Mode::Answered, &mut heard);
        }
        self.buffer_ms
    }
}

fn figures(lane: &LaneReport) -> Figures {
    Figures {
        received: lane.received,
        lost: lane.lost,
        gaps: lane.gaps,
        made_up: lane.concealed_frames,
        queue_ms: lane.queue_ms,
    }
}

/// What Opus has itself, at the same rate and the same wait: LBRR for a packet that is lost alone, DRED for the others, deep
/// concealment for the rest.
fn opus_alone(speech: &[f32], impairment: Impairment, seed: u64) -> Vec<f32> {
    let mut encoder = Encoder::new(1, Delay::Usual).expect("an encoder");
    for setting in [
        Setting::Speech,
        Setting::Bitrate(128_000),
        Setting::ConstantRate,
        Setting::Complexity(10),
        Setting::Lbrr(true),
        Setting::ExpectedLoss(20),
        Setting::DeepRedundancy(20),
    ] {
        encoder.set(setting).expect("a setting");
    }
    let (mut link, began) = (Link::new(impairment, seed), Instant::now());
    let packets: Vec<Option<Vec<u8>>> = (0_u32..)
        .zip(speech.chunks_exact(FRAME))
        .map(|(n, frame)| {
            let mut out = [0; 1_275];
            let len = encoder.encode(frame, &mut out).expect("encoded");
            let arrives = matches!(link.carry(began + FRAME_TIME * n, len), Fate::Arrives(_));
            arrives.then(|| out[..len].to_vec())
        })
        .collect();
    let mut decoder = Decoder::new(1, 5).expect("a decoder");
    let mut deep = DeepRedundancy::new().expect("its redundancy");
    let mut heard = Vec::new();
    for at in 0..packets.len() {
        let mut out = [0.0; FRAME];
        let next = (at + 1..packets.len().min(at + 1 + WAIT)).find_map(|n| Some((n, packets[n].as_deref()?)));
        let decoded = match (&packets[at], next) {
            (Some(packet), _) => decoder.decode(packet, &mut out),
            (None, Some((n, packet))) if n == at + 1 && has_lbrr(packet) => decoder.decode_lbrr(packet, &mut out),
            (None, Some((n, packet))) if deep.read(packet, (n - at) * FRAME) >= (n - at) * FRAME => {
                decoder.decode_deep(&deep, (n - at) * FRAME, &mut out)
            }
            _ => decoder.conceal(&mut out),
        };
        decoded.expect("decoded");
        heard.extend(out);
    }
    heard
}
