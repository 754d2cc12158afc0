//! The thread around the voice; what it does to a voice is tested where it is made.

use super::*;
use crate::audio::delay::Gauge;
use crate::audio::economy::Agreement;
use crate::audio::format::{Channels, FRAME};
use crate::audio::rings;
use std::time::{Duration, Instant};

#[test]
fn a_stage_hands_frames_on_and_keeps_lost_time() {
    let (out, mut uplink) = rings::mic(std::thread::current(), FRAME, Channels::One);
    let (_speaker, reference) = rings::reference();
    let stage = VoiceStage::start(Voice::new(false), out, Agreement::default(), Gauge::default());
    let (mut stage, mut card) = stage.expect("a thread");
    stage.hear(reference);
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
