//! Nothing that changes may be heard as a click: with a low tone in, next to nothing may come out in the treble.

use super::*;
use crate::audio::level::Ramp;
use crate::audio::mixer::Mixer;
use crate::audio::spatial::choice::{Acoustics, Ears};
use realfft::RealFftPlanner;
use sofar::render::FilterTransition;

const TONE_HZ: f64 = 500.0;
/// From here on up a click shows, and the tone does not.
const TREBLE_HZ: f32 = 3_000.0;
/// What may be there at most, below everything that is heard, in dB. What moves leaves −90 dB, other rooms −78, a change that takes
/// no time −46.
const QUIET_DB: f32 = -75.0;
const BLOCKS: usize = 200;

fn tone() -> Vec<f32> {
    let phase = |n| n as f64 * TONE_HZ * std::f64::consts::TAU / 48_000.0;
    (0..BLOCKS * FRAME).map(|n| 0.5 * phase(n).sin() as f32).collect()
}

/// How loud the treble is, beside all of it, in dB, once the beginning is over.
fn treble_db(ears: &[Vec<f32>; 2]) -> f32 {
    let length = (BLOCKS - 10) * FRAME;
    let transform = RealFftPlanner::<f32>::new().plan_fft_forward(length);
    let (mut all, mut treble) = (0.0, 0.0);
    for ear in ears {
        let window = |n: usize| 0.5 - 0.5 * (n as f32 / length as f32 * std::f32::consts::TAU).cos();
        let mut sound: Vec<f32> =
            ear[5 * FRAME..][..length].iter().enumerate().map(|(n, sample)| sample * window(n)).collect();
        let mut spectrum = transform.make_output_vec();
        transform.process(&mut sound, &mut spectrum).expect("lengths fit");
        for (bin, value) in spectrum.iter().enumerate() {
            all += value.norm_sqr();
            if bin as f32 * 48_000.0 / length as f32 > TREBLE_HZ {
                treble += value.norm_sqr();
            }
        }
    }
    10.0 * (treble / all).log10()
}

/// Half a turn a second, up and down, near and far; and every tenth block a leap to the other side.
fn path(block: usize) -> Position {
    let turn = block as f32 * 1.8 + if block % 20 < 10 { 0.0 } else { 150.0 };
    at(turn, 40.0 * turn.to_radians().sin(), 2.0 + 1.5 * (3.0 * turn).to_radians().cos())
}

#[test]
fn a_voice_that_moves_leaves_the_treble_alone() {
    let moved = treble_db(&moving(path, &tone()));
    assert!(moved < QUIET_DB, "{moved} dB");
    // The same without fading from one filter to the next: the measure notices.
    let abrupt = LaneRenderer::ears(SPATIALIZER.set.clone(), &SPATIALIZER.plan, FilterTransition::Immediate);
    let abrupt = treble_db(&through(abrupt.expect("a lane"), path, &tone()));
    assert!(abrupt > QUIET_DB + 20.0, "{abrupt} dB");
    let panned = treble_db(&through(LaneRenderer::speakers(), path, &tone()));
    assert!(panned < QUIET_DB, "{panned} dB");
}

/// A voice walks and leaps through a room, and the head turns.
#[test]
fn a_voice_that_moves_in_a_room_leaves_the_treble_alone() {
    for acoustics in [Acoustics::Small, Acoustics::Hall] {
        let mut room = Room::new(acoustics, &SPATIALIZER).expect("a room");
        let mut ears = [vec![], vec![]];
        let (mut left, mut right) = ([0.0; QUANTUM], [0.0; QUANTUM]);
        for (block, sound) in tone().as_chunks::<QUANTUM>().0.iter().enumerate() {
            let block = block / 4;
            let facing_deg = if block % 30 < 15 { 0.0 } else { 70.0 };
            room.feed(0, path(block), facing_deg, sound);
            room.render(&mut left, &mut right);
            ears[0].extend(left);
            ears[1].extend(right);
        }
        let moved = treble_db(&ears);
        assert!(moved < QUIET_DB, "{acoustics}: {moved} dB");
    }
}

/// Other ears, other rooms, speakers and headphones, by turns, in the middle of a tone.
#[test]
fn what_places_voices_changes_without_a_click() {
    let mut space = Space::new(SPATIALIZER.clone());
    let mut placer = Placer::new(space.lane().expect("a lane"));
    let (mut rooms, mut mixer) = (Rooms::default(), Mixer::default());
    let mut ears = [vec![], vec![]];
    let (mut left, mut right) = ([0.0; QUANTUM], [0.0; QUANTUM]);
    let mut spent = 0;
    for (quantum, voice) in tone().as_chunks::<QUANTUM>().0.iter().enumerate() {
        let block = quantum / 4;
        if block % 20 == 10 && quantum % 4 == 0 {
            space.ears = if block % 40 == 10 { Ears::Speakers } else { Ears::Headphones };
            space.acoustics = if block % 80 == 30 { Acoustics::Hall } else { Acoustics::Small };
            assert!(placer.change(Box::new(space.lane().expect("a lane"))).is_none());
            assert!(rooms.change(space.room()).is_none());
        }
        mixer.begin();
        placer.render(at(50.0, 0.0, 1.0), voice, &mut left, &mut right);
        mixer.add(&left, &right);
        rooms.feed(0, at(50.0, 0.0, 1.0), 0.0, voice);
        rooms.render(Ramp(1.0, 1.0), &mut mixer);
        let mut out = [[0.0; 2]; QUANTUM];
        mixer.finish(&mut out);
        for [left, right] in out {
            ears[0].push(left);
            ears[1].push(right);
        }
        spent += usize::from(placer.take_spent().is_some()) + usize::from(rooms.take_spent().is_some());
    }
    assert!(spent >= 14, "both really changed: {spent}");
    let changed = treble_db(&ears);
    assert!(changed < QUIET_DB, "{changed} dB");
}
