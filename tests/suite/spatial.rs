//! Point by point what a placed voice does to the two ears, through the whole pipeline: spoken, encoded, sealed, opened, decoded,
//! placed and mixed by the code that runs live, without devices and in virtual time.

use crate::support::process::{Launch, Resonance};
use crate::support::sound_server::{self, SoundServer};
use crate::support::{alone, has_tool, say, skip};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use realfft::RealFftPlanner;
use realfft::num_complex::Complex;
use resonance::audio::Control;
use resonance::audio::HrtfChoice;
use resonance::audio::format::{Block, FRAME};
use resonance::audio::offline::Party;
use resonance::audio::spatial::Spatializer;
use resonance::audio::voice::Voice;
use resonance_protocol::identity::IdentityKey;
use resonance_protocol::link::SessionId;
use resonance_protocol::media::{InboundPacket, SenderKey};
use resonance_protocol::peer::TransportId;
use resonance_protocol::position::Position;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

const SESSION: SessionId = SessionId::from_bytes([4; 16]);
/// The measured set as it lies in the repository.
const KEMAR: &[u8] = include_bytes!("../../assets/MIT_KEMAR_normal_pinna.sofa");
/// Frames that are spoken: three seconds, begun and ended in silence.
const FRAMES: u64 = 300;
/// The band in which the codec leaves enough of the noise to measure with, in Hz.
const BAND_HZ: (f32, f32) = (200.0, 11_000.0);
/// Length of the transforms: the whole recording and the response's tail fit in.
const TRANSFORM: usize = 262_144;
/// Samples of a response that are compared: 13 ms at 48 kHz.
const RESPONSE: usize = 640;

/// What a listener got: the voice as it was decoded, and what was played to the left and to the right ear, sample by sample in step.
struct Heard {
    voice: Vec<f32>,
    ears: [Vec<f32>; 2],
}

/// Somebody stands at `position` and says three seconds of noise with the long-term spectrum of speech.
fn heard(position: Position) -> Heard {
    heard_by(&HrtfChoice::Embedded, position)
}

/// The same with another engine.
fn heard_by(engine: &HrtfChoice, position: Position) -> Heard {
    let mut rng = StdRng::seed_from_u64(4);
    let party = || Party::new(Voice::new(false)).expect("a pipeline");
    let (mut speaker, mut listener) = (party(), party());
    let peer = TransportId::from_bytes([1; 32]);
    let fingerprint = IdentityKey::generate(&mut rng).public().fingerprint();
    let key = SenderKey::generate(0, &mut rng);
    let began = Instant::now();
    for order in [
        Control::Head(Box::new(Spatializer::load(engine).expect("an engine"))),
        Control::AddLane { peer },
        Control::Place { peer, position },
        Control::OpeningKey { peer, key: Box::new(key.opening_key(&SESSION, &fingerprint)) },
    ] {
        listener.control(order, began).expect("ordered");
    }
    speaker.control(Control::SenderKey(Box::new(key.sealer(&SESSION, &fingerprint))), began).expect("ordered");

    let mut heard = Heard { voice: Vec::new(), ears: [Vec::new(), Vec::new()] };
    let mut low = 0.0;
    for frame in 0..FRAMES + 50 {
        let now = began + Duration::from_millis(10 * frame);
        let speaks = if (50..FRAMES).contains(&frame) { 1.0 } else { 0.0 };
        let mut mic: Block = std::array::from_fn(|_| {
            // Falls with 6 dB per octave above 1 kHz.
            low += 0.13 * (speaks * rng.random_range(-0.5..0.5_f32) - low);
            low
        });
        speaker.speak(&mut mic);
        while let Some(packet) = speaker.sealed() {
            assert!(listener.deliver(InboundPacket { from: peer, arrived: now, packet }));
        }
        let mut out = [[0.0; 2]; FRAME];
        listener.hear(now + Duration::from_millis(3), &mut out);
        for [left, right] in out {
            heard.ears[0].push(left);
            heard.ears[1].push(right);
        }
        let mut block = [0.0; FRAME];
        while listener.voice(peer, &mut block) {
            heard.voice.extend(block);
        }
        speaker.tidy();
        listener.tidy();
    }
    assert_eq!(heard.voice.len(), heard.ears[0].len(), "both begin with the lane");
    heard
}

fn level_db(sound: &[f32]) -> f32 {
    10.0 * (sound.iter().map(|x| x * x).sum::<f32>() / sound.len() as f32).max(1e-12).log10()
}

/// How much louder the right ear is, in dB.
fn ild_db([left, right]: &[Vec<f32>; 2]) -> f32 {
    level_db(right) - level_db(left)
}

/// How much earlier the right ear hears, in milliseconds: where the ears' cross-correlation is largest within 1.5 ms.
fn itd_ms([left, right]: &[Vec<f32>; 2]) -> f32 {
    const REACH: usize = 72;
    let at_lag = |lag: usize| -> f32 {
        right[REACH..right.len() - REACH].iter().zip(&left[lag..]).map(|(right, left)| right * left).sum()
    };
    let best = (0..=2 * REACH).max_by(|a, b| at_lag(*a).total_cmp(&at_lag(*b))).unwrap_or(REACH);
    (best as f32 - REACH as f32) / 48.0
}

#[test]
fn a_voice_is_louder_and_earlier_in_the_ear_it_is_nearer_to() {
    let right = heard(Position::at_azimuth(90.0)).ears;
    assert!(ild_db(&right) > 5.0, "ILD {} dB", ild_db(&right));
    assert!((0.5..=0.9).contains(&itd_ms(&right)), "ITD {} ms", itd_ms(&right));

    let left = heard(Position::at_azimuth(-90.0)).ears;
    assert!(ild_db(&left) < -5.0, "ILD {} dB", ild_db(&left));
    assert!((-0.9..=-0.5).contains(&itd_ms(&left)), "ITD {} ms", itd_ms(&left));

    let ahead = heard(Position::at_azimuth(0.0)).ears;
    assert!(ild_db(&ahead).abs() < 1.0, "ILD {} dB", ild_db(&ahead));
    assert!(itd_ms(&ahead).abs() < 0.05, "ITD {} ms", itd_ms(&ahead));
    assert!(level_db(&ahead[0]) > -50.0, "something was heard");
}

fn spectrum(sound: &[f32]) -> Vec<Complex<f32>> {
    let forward = RealFftPlanner::new().plan_fft_forward(TRANSFORM);
    let mut padded = sound.to_vec();
    padded.resize(TRANSFORM, 0.0);
    let mut spectrum = forward.make_output_vec();
    forward.process(&mut padded, &mut spectrum).expect("lengths fit");
    spectrum
}

/// A response's first samples, everything outside the band taken away.
fn in_band(mut spectrum: Vec<Complex<f32>>) -> Vec<f32> {
    let hz = 48_000.0 / TRANSFORM as f32;
    for (bin, value) in spectrum.iter_mut().enumerate() {
        let frequency = bin as f32 * hz;
        if !(BAND_HZ.0..=BAND_HZ.1).contains(&frequency) {
            *value = Complex::default();
        }
    }
    let inverse = RealFftPlanner::new().plan_fft_inverse(TRANSFORM);
    let mut sound = inverse.make_output_vec();
    inverse.process(&mut spectrum, &mut sound).expect("lengths fit");
    sound.truncate(RESPONSE);
    sound.iter().map(|sample| sample / TRANSFORM as f32).collect()
}

/// What turns the decoded voice into what the ears got: the responses as they were really rendered.
fn rendered(position: Position) -> [Vec<f32>; 2] {
    rendered_by(&HrtfChoice::Embedded, position)
}

fn rendered_by(engine: &HrtfChoice, position: Position) -> [Vec<f32>; 2] {
    let heard = heard_by(engine, position);
    let voice = spectrum(&heard.voice);
    let loudest = voice.iter().map(|bin| bin.norm_sqr()).fold(0.0, f32::max);
    heard.ears.map(|ear| {
        let response = spectrum(&ear)
            .into_iter()
            .zip(&voice)
            // A trifle against dividing by nothing: 90 dB below the loudest.
            .map(|(ear, voice)| ear * voice.conj() / (voice.norm_sqr() + 1e-9 * loudest))
            .collect();
        in_band(response)
    })
}

/// How much earlier everything is heard than the file has it, in samples: the way from the loudspeaker that it was measured with. One
/// number for all directions and both ears, found ahead.
static LEAD: LazyLock<usize> = LazyLock::new(|| {
    let ([ours, _], [theirs, _]) = (rendered(Position::at_azimuth(0.0)), measured_early(0.0, 0.0, 0));
    let likeness = |lead: &usize| ours.iter().zip(&theirs[*lead..]).map(|(a, b)| a * b).sum::<f32>();
    (0..400).max_by(|a, b| likeness(a).total_cmp(&likeness(b))).unwrap_or(0)
});

/// The file's own pair for a direction (SOFA's angles: azimuth counter-clockwise), as early as it is heard.
fn measured(azimuth_deg: f32, elevation_deg: f32) -> [Vec<f32>; 2] {
    measured_early(azimuth_deg, elevation_deg, *LEAD)
}

/// The same, so many samples earlier; brought from 44.1 to 48 kHz by a windowed sinc.
fn measured_early(azimuth_deg: f32, elevation_deg: f32, lead: usize) -> [Vec<f32>; 2] {
    use std::f64::consts::PI;
    static FILE: LazyLock<sofar::reader::Sofar> = LazyLock::new(|| {
        let file = sofar::reader::OpenOptions::new().sample_rate(44_100.0).normalized(false).open_data(KEMAR);
        file.expect("the set in the repository")
    });
    let set = FILE.hrtf();
    let taps = set.dimensions().n as usize;
    let (azimuth, elevation) = (azimuth_deg.to_radians(), elevation_deg.to_radians());
    let towards = [elevation.cos() * azimuth.cos(), elevation.cos() * azimuth.sin(), elevation.sin()];
    let index = set
        .source_position
        .values
        .chunks_exact(3)
        // Measured at 1.4 m.
        .position(|place| place.iter().zip(towards).all(|(a, b)| (a / 1.4 - b).abs() < 1e-3))
        .expect("a measured direction");
    std::array::from_fn(|ear| {
        let delay = f64::from(set.data_delay.values[ear]);
        let response = &set.data_ir.values[(index * 2 + ear) * taps..][..taps];
        let resampled: Vec<f32> = (0..RESPONSE)
            .map(|n| {
                let time = (n + lead) as f64 * 44_100.0 / 48_000.0 - delay;
                let near = response.iter().enumerate().filter(|(k, _)| (time - *k as f64).abs() < 48.0);
                near.map(|(k, value)| {
                    let x = PI * (time - k as f64);
                    let sinc = if x == 0.0 { 1.0 } else { x.sin() / x };
                    f64::from(*value) * sinc * (0.5 + 0.5 * (x / 48.0).cos())
                })
                .sum::<f64>() as f32
            })
            .collect();
        in_band(spectrum(&resampled))
    })
}

/// The file's directions that are looked at one by one (its angles): all around, above and below.
const DIRECTIONS: [(f32, f32); 24] = [
    (0.0, 0.0),
    (30.0, 0.0),
    (60.0, 0.0),
    (90.0, 0.0),
    (120.0, 0.0),
    (150.0, 0.0),
    (180.0, 0.0),
    (210.0, 0.0),
    (240.0, 0.0),
    (270.0, 0.0),
    (300.0, 0.0),
    (330.0, 0.0),
    (60.0, 30.0),
    (120.0, 30.0),
    (180.0, 30.0),
    (240.0, 30.0),
    (300.0, 30.0),
    (0.0, 30.0),
    (60.0, -30.0),
    (180.0, -30.0),
    (300.0, -30.0),
    (90.0, 60.0),
    (270.0, 60.0),
    (0.0, 90.0),
];

/// How much earlier the right ear hears what a head shadows least, below 1.5 kHz, in microseconds: the peak of the ears'
/// cross-correlation, between samples by a parabola.
fn low_itd_us(ears: &[Vec<f32>; 2]) -> f32 {
    const REACH: usize = 60;
    let [left, right] = [0, 1].map(|ear| {
        // Half of the reach in front of it, so that lags to both sides stay inside.
        let mut padded = vec![0.0; 2 * REACH];
        padded.extend(&ears[ear]);
        let mut sound = spectrum(&padded);
        let hz = 48_000.0 / TRANSFORM as f32;
        for (bin, value) in sound.iter_mut().enumerate() {
            if !(BAND_HZ.0..=1_500.0).contains(&(bin as f32 * hz)) {
                *value = Complex::default();
            }
        }
        let inverse = RealFftPlanner::new().plan_fft_inverse(TRANSFORM);
        let mut time = inverse.make_output_vec();
        inverse.process(&mut sound, &mut time).expect("lengths fit");
        time.truncate(RESPONSE + 4 * REACH);
        time
    });
    let at_lag = |lag: usize| -> f32 {
        right[REACH..right.len() - REACH].iter().zip(&left[lag..]).map(|(right, left)| right * left).sum()
    };
    let best = (1..2 * REACH).max_by(|a, b| at_lag(*a).total_cmp(&at_lag(*b))).unwrap_or(REACH);
    let [before, peak, after] = [best - 1, best, best + 1].map(at_lag);
    let between = 0.5 * (before - after) / (before - 2.0 * peak + after);
    (best as f32 + between - REACH as f32) / 0.048
}

/// What tells the direction: the difference of both ears in time and in level is the measured head's own.
#[test]
fn the_ears_differ_in_time_and_level_as_the_measured_head_has_it() {
    let test = "spatial::the_ears_differ_in_time_and_level_as_the_measured_head_has_it";
    differ_as_measured(&HrtfChoice::Embedded);
    match Spatializer::load(&HrtfChoice::SteamAudio) {
        Ok(_) => differ_as_measured(&HrtfChoice::SteamAudio),
        Err(error) => say(&format!("{test}: Steam Audio is not measured: {error}")),
    }
    // Directions that are ten degrees apart differ by more than is allowed: the measure tells them apart.
    let [here, there] = [measured(0.0, 0.0), measured(10.0, 0.0)];
    assert!((low_itd_us(&here) - low_itd_us(&there)).abs() > 60.0);
}

fn differ_as_measured(engine: &HrtfChoice) {
    let (mut latest, mut loudest) = (0.0_f32, 0.0_f32);
    for (azimuth_deg, elevation_deg) in DIRECTIONS {
        let theirs = measured(azimuth_deg, elevation_deg);
        let ours = rendered_by(engine, Position { azimuth_deg: -azimuth_deg, elevation_deg, distance_m: 1.0 });
        let itd = (low_itd_us(&ours) - low_itd_us(&theirs)).abs();
        let ild = (ild_db(&ours) - ild_db(&theirs)).abs();
        assert!(itd < 60.0, "azimuth {azimuth_deg}, elevation {elevation_deg}: ITD off by {itd} µs");
        assert!(ild < 1.5, "azimuth {azimuth_deg}, elevation {elevation_deg}: ILD off by {ild} dB");
        (latest, loudest) = (latest.max(itd), loudest.max(ild));
    }
    say(&format!("{engine}, 24 directions: ITD off by at most {latest:.1} µs, ILD by at most {loudest:.2} dB"));
}

/// Similarity of two pairs, sample by sample without any shift, both ears in one number.
fn correlation(a: &[Vec<f32>; 2], b: &[Vec<f32>; 2]) -> f32 {
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b).flat_map(|(a, b)| a.iter().zip(b)) {
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    ab / (aa * bb).sqrt()
}

/// Each ear's true level and arrival, and nothing else of the head: what placing by level and delay could do at best.
fn panned(theirs: &[Vec<f32>; 2]) -> [Vec<f32>; 2] {
    std::array::from_fn(|ear| {
        let loudest = |a: &usize, b: &usize| theirs[ear][*a].abs().total_cmp(&theirs[ear][*b].abs());
        let mut impulse = vec![0.0; RESPONSE];
        let arrival = (0..RESPONSE).max_by(loudest).unwrap_or(0);
        impulse[arrival] = theirs[ear][arrival].signum();
        let mut band = in_band(spectrum(&impulse));
        let energy = |sound: &[f32]| sound.iter().map(|x| x * x).sum::<f32>();
        let gain = (energy(&theirs[ear]) / energy(&band)).sqrt();
        band.iter_mut().for_each(|sample| *sample *= gain);
        band
    })
}

#[test]
fn what_reaches_the_ears_is_the_measured_head_and_no_pan() {
    let directions =
        [(0.0, 0.0), (45.0, 0.0), (90.0, 0.0), (180.0, 0.0), (270.0, 0.0), (60.0, -30.0), (90.0, 30.0), (300.0, 60.0)];
    for (azimuth_deg, elevation_deg) in directions {
        let theirs = measured(azimuth_deg, elevation_deg);
        // Our azimuth counts clockwise.
        let ours = rendered(Position { azimuth_deg: -azimuth_deg, elevation_deg, distance_m: 1.0 });
        let likeness = correlation(&ours, &theirs);
        assert!(likeness > 0.99, "azimuth {azimuth_deg}, elevation {elevation_deg}: {likeness}");
        let pan = correlation(&panned(&theirs), &theirs);
        assert!(pan < 0.95, "a pan with a delay passes at azimuth {azimuth_deg}, elevation {elevation_deg}: {pan}");
    }
}

/// As people say it: on the command line, by commands, and by a file that is not what it says.
#[test]
fn head_room_and_ears_are_chosen_and_changed_by_words() {
    let patience = Duration::from_secs(20);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let head = folder.path().join("mine.sofa");
    std::fs::write(&head, KEMAR).expect("writable");
    let no_head = folder.path().join("none.sofa");
    std::fs::write(&no_head, &KEMAR[..1_000]).expect("writable");
    let mut ada = Launch::create("Ada")
        .by_link_only()
        .argument("--acoustics")
        .argument("hall")
        .argument("--hrtf")
        .argument(&head)
        .start();
    let placed_by = |ada: &Resonance, engine: &str| {
        ada.wait_for(engine, patience, |event| event.kind() == "audio" && event.text("spatial_engine") == engine);
    };
    placed_by(&ada, "hrtf:mine+hall");
    ada.command("acoustics off");
    placed_by(&ada, "hrtf:mine");
    ada.command("ears speakers");
    placed_by(&ada, "pan");
    ada.command("ears auto");
    ada.command("acoustics small");
    ada.command("hrtf default");
    placed_by(&ada, "hrtf:mit-kemar+small");
    let mark = ada.mark();
    ada.command(&format!("hrtf {}", no_head.display()));
    let warning = ada.wait_since(mark, "why not", patience, |event| event.kind() == "warning");
    assert_eq!(warning.text("code"), "hrtf");
    assert!(warning.text("message").contains("part of it is missing"), "{}", warning.text("message"));
    let mark = ada.mark();
    ada.wait_since(mark, "the same ears", patience, |event| event.text("spatial_engine") == "hrtf:mit-kemar+small");
    ada.command("acoustics cave");
    let refused = ada.wait_for("usage", patience, |event| event.text("code") == "bad_command");
    assert!(refused.text("message").contains("off|small|hall"));
    ada.quit();
}

/// What a device says about itself decides whether voices are placed for two ears or for two speakers.
#[test]
fn a_device_says_what_one_listens_with() {
    let test = "spatial::a_device_says_what_one_listens_with";
    let _alone = alone();
    if let Some(lacks) = sound_server::lacks().or((!has_tool("pactl")).then_some("pactl is missing")) {
        return skip(test, lacks);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = SoundServer::start(folder.path());
    for name in ["Loudspeakers", "Headset"] {
        server.load(&["module-null-sink", &format!("sink_properties=device.description={name}")]);
    }
    let ada = Launch::create("Ada").by_link_only().output("Loudspeakers").argument("--acoustics").argument("small");
    let variables = server.environment();
    let mut ada = variables.into_iter().fold(ada, |ada, (name, value)| ada.environment(name, value)).start();
    for (command, engine) in [
        ("stats", "pan"),
        ("output Headset", "hrtf:mit-kemar+small"),
        ("ears speakers", "pan"),
        ("output Loudspeakers", "pan"),
        ("ears headphones", "hrtf:mit-kemar+small"),
        ("ears auto", "pan"),
        // Which says nothing.
        ("output default", "hrtf:mit-kemar+small"),
    ] {
        let mark = ada.mark();
        ada.command(command);
        ada.wait_since(mark, &format!("{engine} after {command}"), Duration::from_secs(20), |event| {
            event.text("spatial_engine") == engine
        });
    }
    ada.quit();
}
