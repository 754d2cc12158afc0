//! The threads and the virtual card in real time, for a second or so.

use super::super::format::SAMPLE_RATE;
use super::super::{Acoustics, Ears, EarsChoice, Report, rings};
use super::*;
use hound::WavReader;
use rand::SeedableRng;
use rand::rngs::StdRng;
use resonance_protocol::identity::IdentityKey;
use resonance_protocol::link::SessionId;
use resonance_protocol::media::{InboundPacket, SealedPacket, SenderKey};
use resonance_protocol::peer::TransportId;
use rtrb::Consumer;
use std::path::Path;
use std::time::Duration;

const PEER: TransportId = TransportId::from_bytes([9; 32]);

/// Ends without streams.
fn ends(outbound: Producer<SealedPacket>, inbound: Consumer<InboundPacket>) -> MediaEnds {
    MediaEnds {
        outbound,
        outbound_thread: std::thread::current(),
        outbound_streamed: rings::outbound_streamed().0,
        inbound,
        inbound_streamed: rings::inbound().1,
    }
}

/// An engine that hears itself: what it sends comes back from a peer.
struct Echo {
    engine: Engine,
    outbound: Consumer<SealedPacket>,
    inbound: Producer<InboundPacket>,
    events: Vec<Event>,
}

impl Echo {
    fn start(input: InputChoice, output: OutputChoice) -> Self {
        let (to_network, outbound) = rings::outbound();
        let (inbound, from_network) = rings::inbound();
        let media = ends(to_network, from_network);
        let (packet, space) = (PacketTime::default(), SpaceChoice::default());
        let (voice, voice_engine, pauses) = (VoiceMode::Auto, VoiceEngine::default(), Pauses::Sent);
        let config = Config { input, output, voice, voice_engine, packet, pauses, space };
        let mut engine = Engine::start(config, media).expect("starts");
        let mut rng = StdRng::seed_from_u64(4);
        let (session, fingerprint) =
            (SessionId::from_bytes([1; 16]), IdentityKey::generate(&mut rng).public().fingerprint());
        let key = SenderKey::generate(0, &mut rng);
        engine.control(Control::AddLane { peer: PEER });
        let opening = Box::new(key.opening_key(&session, &fingerprint));
        engine.control(Control::OpeningKey { peer: PEER, key: opening });
        engine.control(Control::SenderKey(Box::new(key.sealer(&session, &fingerprint))));
        Self { engine, outbound, inbound, events: Vec::new() }
    }

    fn run(&mut self, seconds: f32) {
        let began = Instant::now();
        while began.elapsed().as_secs_f32() < seconds {
            while let Ok(packet) = self.outbound.pop() {
                let _ = self.inbound.push(InboundPacket { from: PEER, arrived: Instant::now(), packet });
            }
            self.events.extend(std::iter::from_fn(|| self.engine.poll_event()));
            std::thread::park_timeout(Duration::from_millis(2));
        }
    }

    fn last_report(&self) -> &Report {
        let report = |event: &'_ Event| matches!(event, Event::Report(_));
        let Some(Event::Report(report)) = self.events.iter().rfind(|event| report(event)) else { panic!("no report") };
        report
    }
}

fn read(path: &Path) -> Vec<f32> {
    WavReader::open(path).expect("opens").samples::<i16>().map(|x| f32::from(x.expect("reads")) / 32_768.0).collect()
}

/// Amplitude of the part of `samples` at `hz`: the median over pieces of 50 ms, so that a busy machine's hiccup does not matter.
fn tone(samples: &[f32], hz: f32) -> f32 {
    let mut amplitudes: Vec<f32> = samples
        .chunks_exact(SAMPLE_RATE as usize / 20)
        .map(|piece| {
            let (mut re, mut im) = (0.0, 0.0);
            for (n, x) in piece.iter().enumerate() {
                let phase = n as f32 / SAMPLE_RATE as f32 * hz * std::f32::consts::TAU;
                re += x * phase.cos();
                im += x * phase.sin();
            }
            2.0 * (re * re + im * im).sqrt() / piece.len() as f32
        })
        .collect();
    amplitudes.sort_by(f32::total_cmp);
    amplitudes[amplitudes.len() / 2]
}

#[test]
fn a_tone_goes_round_in_real_time_and_the_files_last_as_long_as_the_call() {
    let folder = tempfile::tempdir().expect("folder");
    let both = folder.path().join("both.wav");
    let mut echo = Echo::start(InputChoice::Tone { hz: 500.0 }, OutputChoice::Wav(both.clone()));
    let began = Instant::now();
    echo.run(1.5);
    echo.engine.set_output(OutputChoice::WavPerPeer(folder.path().join("voices"))).expect("switches");
    let switched = began.elapsed().as_secs_f32();
    echo.run(1.0);
    echo.engine.set_input(InputChoice::Tone { hz: 1_500.0 }).expect("switches");
    echo.run(1.0);
    let report = echo.last_report().clone();
    assert_eq!((report.voice_engine, report.unsent), ("off", 0), "{report:?}");
    assert_eq!(report.lanes.len(), 1);
    assert!(report.frames_sent > 250 && report.lanes[0].received > 200, "{report:?}");
    assert!((report.input_level_db + 15.0).abs() < 1.0, "{report:?}");
    assert!(matches!(&echo.events[0], Event::Devices { input, .. } if input == "tone:500"));
    echo.engine.stop();

    let heard = read(&both);
    let seconds = heard.len() as f32 / 2.0 / SAMPLE_RATE as f32;
    assert!((seconds - switched).abs() < 0.1, "{seconds} s of file for {switched} s");
    let left: Vec<f32> = heard.iter().step_by(2).copied().collect();
    assert!(tone(&left[left.len() / 2..], 500.0) > 0.03, "{}", tone(&left[left.len() / 2..], 500.0));
    let voice = read(&folder.path().join("voices").join(format!("{}.wav", PEER.short())));
    let half = SAMPLE_RATE as usize / 2;
    assert!((tone(&voice[voice.len() - 3 * half..voice.len() - 2 * half - half / 2], 500.0) - 0.25).abs() < 0.03);
    assert!((tone(&voice[voice.len() - half..], 1_500.0) - 0.25).abs() < 0.03, "the other tone after the change");
}

#[test]
fn a_voice_is_cleaned_by_what_was_chosen_or_by_what_is_always_there_and_a_warning() {
    let mut echo = Echo::start(InputChoice::Tone { hz: 500.0 }, OutputChoice::Null);
    echo.engine.set_voice(VoiceMode::On).expect("switches");
    echo.run(0.5);
    assert!(echo.last_report().voice_engine.starts_with("sonora"), "{:?}", echo.last_report());
    echo.engine.set_voice_engine(VoiceEngine::Webrtc).expect("switches");
    echo.run(0.5);
    echo.engine.set_input(InputChoice::Silence).expect("switches");
    echo.run(0.5);
    let (engine, warnings) = match VoiceEngine::BUILT_IN.contains(&VoiceEngine::Webrtc) {
        true => ("webrtc", 0),
        false => ("sonora", 1),
    };
    assert!(echo.last_report().voice_engine.starts_with(engine), "{:?}", echo.last_report());
    let warned = |event: &&Event| matches!(event, Event::Warning { code: "voice-engine", .. });
    assert_eq!(echo.events.iter().filter(warned).count(), warnings, "said once: {:?}", echo.events);
}

#[test]
fn a_device_that_is_not_there_becomes_silence_and_a_warning_and_a_file_an_error() {
    let mut echo = Echo::start(InputChoice::Device("no such microphone".into()), OutputChoice::Null);
    echo.run(0.3);
    assert!(echo.events.iter().any(|event| matches!(event, Event::Warning { code: "no-input", .. })));
    assert!(echo.events.iter().any(|event| matches!(event, Event::Devices { input, .. } if input == "silence")));
    assert!(echo.last_report().frames_sent > 10, "silence is sent");
    let missing = InputChoice::Wav { path: "/no/such/file.wav".into(), looped: false };
    assert!(matches!(echo.engine.set_input(missing.clone()), Err(SwitchError::File(_))));
    assert!(echo.engine.set_output(OutputChoice::Device("no such speaker".into())).is_err());
    echo.run(0.2);
    assert!(!echo.events.iter().any(|event| matches!(event, Event::Warning { code: "no-output", .. })));

    let (outbound, _keep) = rings::outbound();
    let (_keep, inbound) = rings::inbound();
    let media = ends(outbound, inbound);
    let config = Config {
        input: missing,
        output: OutputChoice::Null,
        voice: VoiceMode::Auto,
        voice_engine: VoiceEngine::default(),
        pauses: Pauses::Sent,
        packet: PacketTime::default(),
        space: SpaceChoice::default(),
    };
    assert!(matches!(Engine::start(config, media), Err(StartError::File(_))));
}

/// Whatever is wrong with a head's file, sound goes on with the one before; a good one takes over by itself.
#[test]
fn another_head_and_another_room_are_heard_at_once_and_a_bad_head_never() {
    let folder = tempfile::tempdir().expect("folder");
    let assets = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/MIT_KEMAR_normal_pinna.sofa");
    let whole = std::fs::read(assets).expect("the set in the repository");
    let file = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        std::fs::write(&path, bytes).expect("writable");
        path
    };
    let mut damaged = whole.clone();
    for byte in &mut damaged[whole.len() / 3..whole.len() / 3 + 20_000] {
        *byte ^= 0x5A;
    }
    let bad = [
        folder.path().join("missing.sofa"),
        file("short.sofa", &whole[..whole.len() / 2]),
        file("other.sofa", b"RIFF, not a head"),
        file("empty.sofa", b""),
        file("damaged.sofa", &damaged),
    ];
    let good = file("mine.sofa", &whole);

    let (outbound, _keep) = rings::outbound();
    let (_keep, inbound) = rings::inbound();
    let space =
        SpaceChoice { hrtf: HrtfChoice::File(bad[0].clone()), acoustics: Acoustics::Small, ears: EarsChoice::Auto };
    let config = Config {
        input: InputChoice::Silence,
        output: OutputChoice::Null,
        voice: VoiceMode::Off,
        voice_engine: VoiceEngine::default(),
        pauses: Pauses::Sent,
        packet: PacketTime::default(),
        space: space.clone(),
    };
    let mut engine = Engine::start(config, ends(outbound, inbound)).expect("starts all the same");
    engine.control(Control::AddLane { peer: PEER });
    let mut refusals = 0;
    let mut until = |engine: &mut Engine, wanted: &str, refused: usize| {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            match engine.poll_event() {
                Some(Event::Warning { code: "hrtf", message, .. }) => {
                    assert!(message.contains(".sofa cannot be used"), "{message}");
                    refusals += 1;
                }
                Some(Event::Report(report)) if &*report.spatial_engine == wanted && refusals == refused => return,
                Some(_) => {}
                None => std::thread::sleep(Duration::from_millis(10)),
            }
            assert!(Instant::now() < deadline, "{wanted}, {refusals} of {refused} refusals");
        }
    };
    until(&mut engine, "hrtf:mit-kemar+small", 1);
    for (count, bad) in bad[1..].iter().enumerate() {
        engine.set_space(SpaceChoice { hrtf: HrtfChoice::File(bad.clone()), ..space.clone() });
        until(&mut engine, "hrtf:mit-kemar+small", 2 + count);
        assert_eq!(engine.space().hrtf, HrtfChoice::Embedded, "what holds is what is heard");
    }
    let mine = SpaceChoice { hrtf: HrtfChoice::File(good), acoustics: Acoustics::Hall, ears: EarsChoice::Auto };
    engine.set_space(mine.clone());
    until(&mut engine, "hrtf:mine+hall", 5);
    engine.set_space(SpaceChoice { ears: EarsChoice::Are(Ears::Speakers), ..mine.clone() });
    until(&mut engine, "pan", 5);
    engine.set_space(SpaceChoice { acoustics: Acoustics::Off, ..mine });
    until(&mut engine, "hrtf:mine", 5);
    engine.stop();
}
