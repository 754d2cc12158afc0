//! An echo, a noise and a voice.

use super::*;
use crate::audio::rings;
use std::time::{Duration, Instant};

/// A fixed generator of white noise within ±1.
struct Noise(u32);

impl Noise {
    fn next(&mut self) -> f32 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as f32 / u32::MAX as f32 * 2.0 - 1.0
    }
}

/// Syllables: noise under a 4 Hz envelope, which is what an echo canceller takes for speech.
fn syllables(noise: &mut Noise, n: usize) -> f32 {
    let envelope = (n as f32 * 4.0 * std::f32::consts::TAU / 48_000.0).sin().max(0.0);
    noise.next() * envelope * 0.3
}

fn energy(block: &[f32]) -> f32 {
    block.iter().map(|x| x * x).sum()
}

fn echo_canceller() -> Voice {
    Voice { stages: Some(Box::new(Stages { echo_and_gain: echo_and_gain(), noise: None })) }
}

/// Five seconds of syllables come out of the speaker and back through a room (60 ms later, half as loud, with a decaying tail).
/// Returns the energies of what the microphone heard and of what was left, in the last two seconds.
fn echo(mut voice: Voice) -> (f32, f32) {
    let (mut noise, mut tail) = (Noise(7), Noise(9));
    let played: Vec<f32> = (0..240_000).map(|n| syllables(&mut noise, n)).collect();
    let room: Vec<f32> = (0..960).map(|n| tail.next() * 0.15 * (-(n as f32) / 200.0).exp()).collect();
    let (mut heard, mut left) = (0.0, 0.0);
    for frame in 0..500 {
        let start = frame * FRAME;
        let reference: Block = std::array::from_fn(|n| played[start + n]);
        let mut mic: Block = std::array::from_fn(|n| {
            let at = |delay: usize| (start + n).checked_sub(2_880 + delay).map_or(0.0, |m| played[m]);
            0.5 * at(0) + room.iter().enumerate().map(|(k, gain)| gain * at(k)).sum::<f32>()
        });
        let before = energy(&mic);
        voice.process(&mut mic, &reference);
        if frame >= 300 {
            heard += before;
            left += energy(&mic);
        }
    }
    (heard, left)
}

#[test]
fn an_echo_is_taken_out() {
    let (heard, left) = echo(echo_canceller());
    let enhancement_db = 10.0 * (heard / left.max(1e-12)).log10();
    assert!(enhancement_db > 20.0, "{enhancement_db} dB");
    let (heard, left) = echo(Voice::new(false));
    assert_eq!(heard, left, "without processing it stays");
}

#[test]
fn a_voice_with_nothing_played_comes_through() {
    let (mut voice, mut noise) = (echo_canceller(), Noise(3));
    let (mut before, mut after) = (0.0, 0.0);
    for frame in 0..400 {
        let mut mic: Block = std::array::from_fn(|n| syllables(&mut noise, frame * FRAME + n));
        before += energy(&mic);
        voice.process(&mut mic, &[0.0; FRAME]);
        after += energy(&mic);
    }
    let change_db = 10.0 * (after / before).log10();
    assert!((-3.0..MAX_GAIN_DB).contains(&change_db), "{change_db} dB");
}

/// A fan: noise that falls with 6 dB per octave above 400 Hz.
#[test]
fn a_steady_noise_is_suppressed() {
    let (mut voice, mut noise) = (Voice::new(true), Noise(5));
    let (mut before, mut after, mut fan) = (0.0, 0.0, 0.0);
    for frame in 0..500 {
        let mut mic: Block = std::array::from_fn(|_| {
            fan += 0.05 * (noise.next() * 0.05 - fan);
            fan
        });
        let loud = energy(&mic);
        voice.process(&mut mic, &[0.0; FRAME]);
        if frame >= 200 {
            before += loud;
            after += energy(&mic);
        }
    }
    let change_db = 10.0 * (after / before).log10();
    assert!(change_db < -6.0, "{change_db} dB");
}

#[test]
fn a_stage_hands_frames_on_and_keeps_lost_time() {
    let (out, mut uplink) = rings::mic(std::thread::current(), FRAME);
    let (_speaker, reference) = rings::reference();
    let (stage, mut card) = VoiceStage::start(Voice::new(false), out, reference).expect("a thread");
    let sound: Vec<f32> = (0..4 * FRAME).map(|n| n as f32).collect();
    // In pieces of odd sizes, as cards bring them.
    for piece in sound.chunks(333) {
        card.push(piece);
    }
    let mut got = Vec::new();
    let mut block = [0.0; FRAME];
    let patience = Instant::now() + Duration::from_secs(10);
    while got.len() < sound.len() && Instant::now() < patience {
        if uplink.pop(&mut block) {
            got.extend(block);
        } else {
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
    assert_eq!(got, sound);
    drop(card);
    assert!(stage.stop().is_some(), "the reference comes back for the next stage");
}
