//! An echo, a voice over it, a noise: what must hold whatever is tuned, of each engine that is built in. The bench says how well, with
//! recorded speech.

#[path = "../benches/voice/rooms.rs"]
mod rooms;

use resonance_voice::{Block, Engine, FRAME, SAMPLE_RATE, Voice};
use rooms::{at_level, convolve, drifted, fan, hiss, later, level, mixed, room};
use std::f32::consts::TAU;
use std::ops::Range;

const SECOND: usize = SAMPLE_RATE as usize;
const LENGTH: usize = 12 * SECOND;

/// Each of these with each engine, and the engine's name before the test's.
macro_rules! with_each_engine {
    ($($test:ident)*) => {
        mod sonora {
            $(#[test]
            fn $test() {
                super::$test(super::Engine::Sonora);
            })*
        }

        #[cfg(feature = "webrtc-apm")]
        mod webrtc {
            $(#[test]
            fn $test() {
                super::$test(super::Engine::Webrtc);
            })*
        }
    };
}

with_each_engine! {
    an_echo_is_taken_out_soon_and_stays_out_though_the_clocks_differ
    an_echo_that_moves_is_caught_again
    a_voice_over_an_echo_is_kept
    a_clean_voice_comes_through_as_it_was
    a_steady_noise_is_suppressed
    a_noise_that_begins_and_ends_leaves_no_click
    a_quiet_voice_is_raised_a_loud_one_is_not_and_nothing_clips
}

/// Something like speech: a buzz of this pitch that glides, in syllables, with a pause after every few.
fn speech(pitch: f32, syllables: f32) -> Vec<f32> {
    let mut phase = 0.0;
    let sound: Vec<f32> = (0..LENGTH)
        .map(|n| {
            let time = n as f32 / SECOND as f32;
            phase += TAU * pitch * (1.0 + 0.2 * (TAU * 0.7 * time).sin()) / SECOND as f32;
            let buzz: f32 = (1..14).map(|k| (phase * k as f32).sin() / k as f32).sum();
            let spoken = if (time * syllables / 5.0).fract() < 0.8 { 1.0 } else { 0.0 };
            buzz * (TAU * syllables * time).sin().max(0.0) * spoken
        })
        .collect();
    at_level(&sound, -24.0)
}

/// What comes out of a new voice processor, each frame where it was said.
fn processed(engine: Engine, mic: &[f32], far: &[f32]) -> Vec<f32> {
    let mut voice = Voice::with(engine).expect("it is built in");
    let mut out = vec![0.0; mic.len()];
    for (n, (mic, far)) in mic.chunks_exact(FRAME).zip(far.chunks_exact(FRAME)).enumerate() {
        let mut block: Block = mic.try_into().expect("a frame");
        voice.process(&mut block, far.try_into().expect("a frame"));
        if let Some(at) = (n * FRAME).checked_sub(voice.delay()) {
            out[at..at + FRAME].copy_from_slice(&block);
        }
    }
    out
}

/// How much less there is of `after` than of `before` in these seconds, in dB.
fn taken(before: &[f32], after: &[f32], seconds: Range<usize>) -> f64 {
    let part = seconds.start * SECOND..(seconds.end * SECOND).min(after.len());
    level(&before[part.clone()]) - level(&after[part])
}

/// How much these are alike in these seconds: 1 for the same, whatever the level.
fn likeness(one: &[f32], other: &[f32], seconds: Range<usize>) -> f64 {
    let part = seconds.start * SECOND..(seconds.end * SECOND).min(other.len());
    let (one, other) = (&one[part.clone()], &other[part]);
    let product: f64 = one.iter().zip(other).map(|(a, b)| f64::from(a * b)).sum();
    product / (rooms::energy(one) * rooms::energy(other)).sqrt()
}

/// How much less alike a voice is by the engine's own doing: the high-pass filter of WebRTC's own turns the phase of deep tones.
fn turned(engine: Engine) -> f64 {
    match engine {
        Engine::Sonora => 0.0,
        Engine::Webrtc => 0.2,
    }
}

fn silence() -> Vec<f32> {
    vec![0.0; LENGTH]
}

/// The loudspeaker's sound 40 ms later through a room, 6 dB below, and the microphone's own noise.
fn echo_of(far: &[f32]) -> Vec<f32> {
    let echo = convolve(&later(far, SECOND / 25), &room(0.3, 1));
    mixed(&at_level(&echo, level(far) - 6.0), &hiss(LENGTH, -75.0, 2))
}

fn an_echo_is_taken_out_soon_and_stays_out_though_the_clocks_differ(engine: Engine) {
    let far = speech(110.0, 4.0);
    let mic = echo_of(&far);
    let out = processed(engine, &mic, &far);
    assert!(taken(&mic, &out, 0..1) > 15.0, "{} dB in the first second", taken(&mic, &out, 0..1));
    assert!(taken(&mic, &out, 2..12) > 30.0, "{} dB later", taken(&mic, &out, 2..12));
    let mic = drifted(&mic, 100.0);
    let out = processed(engine, &mic, &far);
    assert!(taken(&mic, &out, 2..12) > 25.0, "{} dB with other clocks", taken(&mic, &out, 2..12));

    let unheard = processed(engine, &mic, &silence());
    let without = taken(&mic, &unheard, 2..12);
    assert!(without < 6.0, "it is the reference that does it: {without} dB");
}

fn an_echo_that_moves_is_caught_again(engine: Engine) {
    let far = speech(110.0, 4.0);
    let mut mic = echo_of(&far);
    let jumped = later(&mic, SECOND * 60 / 1_000);
    mic[6 * SECOND..].copy_from_slice(&jumped[6 * SECOND..]);
    let out = processed(engine, &mic, &far);
    assert!(taken(&mic, &out, 9..12) > 25.0, "{} dB", taken(&mic, &out, 9..12));
}

fn a_voice_over_an_echo_is_kept(engine: Engine) {
    let (far, near) = (speech(110.0, 4.0), speech(190.0, 3.1));
    let echo = at_level(&echo_of(&far), level(&near) - 12.0);
    let near = later(&near, 3 * SECOND);
    let out = processed(engine, &mixed(&near, &echo), &far);
    let change = taken(&near, &out, 4..12);
    assert!((-8.0..8.0).contains(&change), "{change} dB of the voice lost");
    let alike = likeness(&near, &out, 4..12);
    assert!(alike > 0.8 - turned(engine), "{alike}");
}

fn a_clean_voice_comes_through_as_it_was(engine: Engine) {
    let near = speech(190.0, 3.1);
    let out = processed(engine, &near, &silence());
    assert!(taken(&near, &out, 2..12).abs() < 6.0, "{} dB", taken(&near, &out, 2..12));
    let alike = likeness(&near, &out, 2..12);
    assert!(alike > 0.95 - turned(engine), "{alike}");
    let mut off = Voice::new(false);
    let mut block: Block = near[SECOND..SECOND + FRAME].try_into().expect("a frame");
    off.process(&mut block, &[0.5; FRAME]);
    assert_eq!(block[..], near[SECOND..SECOND + FRAME], "without processing not a bit is changed");
}

fn a_steady_noise_is_suppressed(engine: Engine) {
    let noise = fan(LENGTH, -45.0, 5);
    let out = processed(engine, &noise, &silence());
    assert!(taken(&noise, &out, 3..12) > 10.0, "{} dB", taken(&noise, &out, 3..12));
}

/// Where there is no noise nobody waits for its suppressor, so the delay changes; that must not be heard.
fn a_noise_that_begins_and_ends_leaves_no_click(engine: Engine) {
    let near = speech(190.0, 3.1);
    let mut noisy = near.clone();
    // Long, since it takes some seconds until a noise is known to be one.
    let noise = fan(7 * SECOND, -45.0, 5);
    noisy[3 * SECOND..10 * SECOND].iter_mut().zip(noise).for_each(|(sample, noise)| *sample += noise);
    let mut voice = Voice::with(engine).expect("it is built in");
    let (mut out, mut delays) = (Vec::new(), Vec::new());
    for mic in noisy.chunks_exact(FRAME) {
        let mut block: Block = mic.try_into().expect("a frame");
        voice.process(&mut block, &[0.0; FRAME]);
        out.extend(block);
        delays.push(voice.delay());
    }
    let steepest = |sound: &[f32]| sound.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max);
    let (before, after) = (steepest(&noisy), steepest(&out));
    // The gain may raise it a little.
    assert!(after < 2.0 * before, "a step of {after}, where the steepest was {before}");
    if engine == Engine::Sonora {
        let at = |second: usize| delays[second * SECOND / FRAME - 1];
        assert_eq!((at(3), at(10), at(12)), (432, 912, 432), "samples of delay");
    }
}

fn a_quiet_voice_is_raised_a_loud_one_is_not_and_nothing_clips(engine: Engine) {
    let quiet = at_level(&speech(190.0, 3.1), -45.0);
    let out = processed(engine, &quiet, &silence());
    let raised = -taken(&quiet, &out, 10..12);
    assert!((3.0..21.0).contains(&raised), "{raised} dB");
    let loud = at_level(&speech(190.0, 3.1), -14.0);
    let out = processed(engine, &loud, &silence());
    assert!(-taken(&loud, &out, 4..12) < 1.0, "{} dB", -taken(&loud, &out, 4..12));
    assert!(out.iter().all(|sample| sample.abs() <= 1.0));
}
