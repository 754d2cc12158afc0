//! What the ears get, checked against the measured set itself.

mod clicks;

use super::*;
use crate::audio::format::{Block, FRAME};
use resonance_protocol::position::Position;
use sofar::reader::OpenOptions;
use std::sync::LazyLock;

static SPATIALIZER: LazyLock<Spatializer> = LazyLock::new(|| Spatializer::new().expect("the embedded set"));

fn at(azimuth_deg: f32, elevation_deg: f32, distance_m: f32) -> Position {
    Position { azimuth_deg, elevation_deg, distance_m }
}

/// Both ears' sound of a voice that stays at one place; `sound` is padded to whole blocks and two more for the tail.
fn rendered(position: Position, sound: &[f32]) -> [Vec<f32>; 2] {
    moving(|_| position, sound)
}

fn moving(position: impl FnMut(usize) -> Position, sound: &[f32]) -> [Vec<f32>; 2] {
    through(SPATIALIZER.lane().expect("a lane"), position, sound)
}

fn through(mut lane: LaneRenderer, mut position: impl FnMut(usize) -> Position, sound: &[f32]) -> [Vec<f32>; 2] {
    let mut ears = [vec![], vec![]];
    let (mut left, mut right) = ([0.0; QUANTUM], [0.0; QUANTUM]);
    // The filter fades in during the first block, which therefore is silent here and left out.
    for _ in 0..FRAME / QUANTUM {
        lane.render(position(0), &[0.0; QUANTUM], &mut left, &mut right);
    }
    for block in 0..sound.len().div_ceil(FRAME) + 2 {
        let mono: Block = std::array::from_fn(|n| sound.get(block * FRAME + n).copied().unwrap_or(0.0));
        for quantum in mono.as_chunks::<QUANTUM>().0 {
            lane.render(position(block), quantum, &mut left, &mut right);
            ears[0].extend(left);
            ears[1].extend(right);
        }
    }
    ears
}

fn impulse(position: Position) -> [Vec<f32>; 2] {
    rendered(position, &[1.0])
}

/// Noise with the spectrum of speech, roughly: white below 500 Hz, falling with 6 dB per octave above. A fixed generator.
fn speech_like(samples: usize) -> Vec<f32> {
    let mut state = 0x2545_F491_u32;
    let mut low = 0.0;
    (0..samples)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            let white = state as f32 / u32::MAX as f32 - 0.5;
            low += 0.063 * (white - low);
            low
        })
        .collect()
}

fn level_db(sound: &[f32]) -> f32 {
    10.0 * (sound.iter().map(|x| x * x).sum::<f32>() / sound.len() as f32).log10()
}

/// How much earlier the right ear hears, in milliseconds: the lag of the largest cross-correlation within ±1.5 ms.
fn itd_ms([left, right]: &[Vec<f32>; 2]) -> f32 {
    const REACH: usize = 72;
    let at_lag = |lag: usize| -> f32 {
        // lag counts from −REACH: positive where the left ear is later.
        (REACH..left.len() - REACH).map(|n| left[n + lag - REACH] * right[n]).sum()
    };
    let best = (0..=2 * REACH).max_by(|a, b| at_lag(*a).total_cmp(&at_lag(*b))).unwrap_or(REACH);
    (best as f32 - REACH as f32) / 48.0
}

#[test]
fn a_voice_on_the_right_is_louder_and_earlier_in_the_right_ear() {
    let ears = rendered(at(90.0, 0.0, 1.0), &speech_like(24_000));
    let (ild, itd) = (level_db(&ears[1]) - level_db(&ears[0]), itd_ms(&ears));
    assert!(ild > 5.0, "ILD {ild} dB");
    assert!((0.5..=0.9).contains(&itd), "ITD {itd} ms");
}

/// What is told to people: as much as their voices are later for it.
#[test]
fn the_delay_is_that_of_speech() {
    let told = SPATIALIZER.delay();
    let rendered = impulse(at(0.0, 0.0, 1.0));
    assert!(
        (hrir::speech_delay(&rendered) - told).abs() < 0.5,
        "{} rendered, {told} told",
        hrir::speech_delay(&rendered)
    );
    let later = rendered.map(|response| [vec![0.0; 100], response].concat());
    assert!((hrir::speech_delay(&later) - told - 100.0).abs() < 0.5, "{}", hrir::speech_delay(&later));
    assert!((16.0..240.0).contains(&told), "{told} samples: a head's way, and what is kept before it");
}

#[test]
fn a_voice_on_the_left_is_its_mirror_image() {
    let ears = rendered(at(-90.0, 0.0, 1.0), &speech_like(24_000));
    let (ild, itd) = (level_db(&ears[0]) - level_db(&ears[1]), -itd_ms(&ears));
    assert!(ild > 5.0, "ILD {ild} dB");
    assert!((0.5..=0.9).contains(&itd), "ITD {itd} ms");
}

#[test]
fn a_voice_ahead_is_equal_in_both_ears_and_has_headroom() {
    let sound = speech_like(24_000);
    let ears = rendered(at(0.0, 0.0, 1.0), &sound);
    assert!((level_db(&ears[0]) - level_db(&ears[1])).abs() < 1.0);
    assert!(itd_ms(&ears).abs() < 0.05);
    // Levelled on the band of speech, 6 dB down; the ear canal lifts what is above it.
    let gain = level_db(&ears[0][..24_000]) - level_db(&sound);
    assert!((-8.0..-3.0).contains(&gain), "{gain} dB");
}

// ---- Against the file's own data -------------------------------------------------------------------------------------------

/// Directions of the check, in SOFA's angles (azimuth counter-clockwise, degrees). All of them are measured ones.
const DIRECTIONS: [(f32, f32); 12] = [
    (0.0, 0.0),
    (45.0, 0.0),
    (90.0, 0.0),
    (135.0, 0.0),
    (180.0, 0.0),
    (225.0, 0.0),
    (270.0, 0.0),
    (315.0, 0.0),
    (60.0, -30.0),
    (90.0, 30.0),
    (300.0, 60.0),
    (0.0, 90.0),
];

/// The measured pair for a direction as the file has it (44.1 kHz), brought to 48 kHz here by a windowed sinc.
fn measured(azimuth_deg: f32, elevation_deg: f32) -> [Vec<f32>; 2] {
    static RAW: LazyLock<sofar::reader::Sofar> = LazyLock::new(|| {
        OpenOptions::new().sample_rate(44_100.0).normalized(false).open_data(KEMAR).expect("the embedded set")
    });
    let hrtf = RAW.hrtf();
    let taps = hrtf.dimensions().n as usize;
    let (azimuth, elevation) = (azimuth_deg.to_radians(), elevation_deg.to_radians());
    let towards = [elevation.cos() * azimuth.cos(), elevation.cos() * azimuth.sin(), elevation.sin()];
    // The file's positions are 1.4 m away.
    let index = hrtf
        .source_position
        .values
        .chunks_exact(3)
        .position(|p| p.iter().zip(towards).all(|(a, b)| (a / 1.4 - b).abs() < 1e-3))
        .expect("a measured direction");
    std::array::from_fn(|ear| {
        let delay = hrtf.data_delay.values[ear];
        let start = (index * 2 + ear) * taps;
        let response = &hrtf.data_ir.values[start..start + taps];
        (0..2 * FRAME)
            .map(|n| {
                let time = (n + SPATIALIZER.set.lead) as f64 * 44_100.0 / 48_000.0 - f64::from(delay);
                let sum: f64 = response
                    .iter()
                    .enumerate()
                    .map(|(k, value)| {
                        let x = time - k as f64;
                        let window =
                            if x.abs() < 48.0 { 0.5 + 0.5 * (std::f64::consts::PI * x / 48.0).cos() } else { 0.0 };
                        let sinc = if x.abs() < 1e-9 {
                            1.0
                        } else {
                            (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x)
                        };
                        f64::from(*value) * window * sinc
                    })
                    .sum();
                sum as f32
            })
            .collect()
    })
}

/// Similarity of two ear pairs, sample by sample without any shift, both ears in one number: a wrong delay, level or ear
/// between the two shows as much as a wrong shape.
fn correlation(a: &[Vec<f32>; 2], b: &[Vec<f32>; 2]) -> f32 {
    let (mut ab, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in a.iter().zip(b).flat_map(|(a, b)| a.iter().zip(b)) {
        ab += x * y;
        aa += x * x;
        bb += y * y;
    }
    ab / (aa * bb).sqrt()
}

fn clockwise(azimuth_deg: f32) -> f32 {
    -azimuth_deg
}

#[test]
fn the_rendered_impulse_is_the_measured_one() {
    for (azimuth, elevation) in DIRECTIONS {
        let ours = impulse(at(clockwise(azimuth), elevation, 1.0));
        let theirs = measured(azimuth, elevation);
        let both = correlation(&ours, &theirs);
        assert!(both > 0.99, "azimuth {azimuth}, elevation {elevation}: {both}");
        for ear in 0..2 {
            let one = correlation(&[ours[ear].clone(), vec![]], &[theirs[ear].clone(), vec![]]);
            assert!(one > 0.99, "azimuth {azimuth}, elevation {elevation}, ear {ear}: {one}");
        }
    }
}

/// The same check must refuse what is not a measured response: the best pan with a delay that there is (each ear's true level
/// and arrival), and a swap of the ears.
#[test]
fn a_pan_with_a_delay_is_not_the_measured_one() {
    for (azimuth, elevation) in DIRECTIONS {
        let theirs = measured(azimuth, elevation);
        let pan: [Vec<f32>; 2] = std::array::from_fn(|ear| {
            let mut panned = vec![0.0; theirs[ear].len()];
            let loudest = |a: &usize, b: &usize| theirs[ear][*a].abs().total_cmp(&theirs[ear][*b].abs());
            let arrival = (0..panned.len()).max_by(loudest).unwrap_or(0);
            panned[arrival] = theirs[ear].iter().map(|x| x * x).sum::<f32>().sqrt() * theirs[ear][arrival].signum();
            panned
        });
        let likeness = correlation(&pan, &theirs);
        assert!(likeness < 0.9, "azimuth {azimuth}, elevation {elevation}: {likeness}");
    }
    let [left, right] = measured(90.0, 0.0);
    assert!(correlation(&[right, left], &measured(90.0, 0.0)) < 0.9);
}

/// Between measured directions the arrival moves on smoothly and nothing is combed away.
#[test]
fn between_measured_directions_the_voice_keeps_its_colour() {
    let sound = speech_like(9_600);
    let mut previous: Option<f32> = None;
    for step in 0..=40 {
        let azimuth = 30.0 + step as f32 * 0.5;
        let level = level_db(&rendered(at(azimuth, 3.0, 1.0), &sound)[1]);
        if let Some(previous) = previous {
            assert!((level - previous).abs() < 0.3, "azimuth {azimuth}: {previous} dB, then {level} dB");
        }
        previous = Some(level);
    }
}

#[test]
fn what_was_not_measured_is_taken_at_the_edge() {
    let under = impulse(at(20.0, -90.0, 1.0));
    let edge = impulse(at(20.0, -40.0, 1.0));
    assert!(correlation(&under, &edge) > 0.9999);
    let not_a_number = impulse(at(f32::NAN, f32::NAN, f32::NAN));
    assert!(correlation(&not_a_number, &impulse(at(0.0, 0.0, 1.0))) > 0.9999);
}

#[test]
fn loudness_halves_with_each_doubling_of_the_distance() {
    let level = |distance_m| level_db(&rendered(at(30.0, 0.0, distance_m), &speech_like(4_800))[0]);
    let reference = level(1.0);
    assert!((level(2.0) - reference + 6.02).abs() < 0.1);
    assert!((level(8.0) - reference + 18.06).abs() < 0.1);
    assert!((level(0.5) - reference - 6.02).abs() < 0.1);
    assert!((level(0.2) - level(0.5)).abs() < 0.1, "nearer than half a metre it gets no louder");
}

/// A tone that circles the head (half a turn a second, up and down, near and far) never jumps more from sample to sample
/// than the same tone does where it is loudest, plus what a 10 ms fade adds.
#[test]
fn a_moving_voice_does_not_click() {
    let tone: Vec<f32> = (0..96_000).map(|n| (n as f32 * 440.0 * std::f32::consts::TAU / 48_000.0).sin()).collect();
    let steepest = |ears: &[Vec<f32>; 2]| {
        let settled = 2 * FRAME..96_000;
        ears.iter()
            .flat_map(|ear| ear[settled.clone()].windows(2))
            .fold(0.0_f32, |steepest, pair| steepest.max((pair[1] - pair[0]).abs()))
    };
    let still = (0..24).map(|k| steepest(&rendered(at(k as f32 * 15.0, 0.0, 1.0), &tone))).fold(0.0, f32::max);
    let path = |block: usize| {
        let turn = block as f32 * 1.8;
        at(turn, 40.0 * turn.to_radians().sin(), 1.5 + 0.5 * (3.0 * turn).to_radians().cos())
    };
    let circling = steepest(&moving(path, &tone));
    assert!(circling < 1.1 * still, "{circling} against {still}");
    // Jumps across the head, each block another side.
    let jumping = steepest(&moving(|block| at(if block % 2 == 0 { 90.0 } else { -90.0 }, 0.0, 1.0), &tone));
    assert!(jumping < 1.5 * still, "{jumping} against {still}");
}
