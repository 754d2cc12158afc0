//! What a room adds, measured as rooms are.

use super::*;
use crate::audio::spatial::Spatializer;

fn room(acoustics: Acoustics) -> Box<Room> {
    let mut room = Room::new(acoustics, &Spatializer::new().expect("the embedded set")).expect("a room");
    let (mut left, mut right) = ([0.0; QUANTUM], [0.0; QUANTUM]);
    // Until its doors are open.
    for _ in 0..20 {
        room.render(&mut left, &mut right);
    }
    room
}

fn at(azimuth_deg: f32, distance_m: f32) -> Position {
    Position { distance_m, ..Position::at_azimuth(azimuth_deg) }
}

/// What the left ear hears of the room after a click, for so long.
fn answer(acoustics: Acoustics, position: Position, seconds: f32) -> Vec<f32> {
    let mut room = room(acoustics);
    let (mut left, mut right) = ([0.0; QUANTUM], [0.0; QUANTUM]);
    let mut heard = Vec::new();
    let mut click = [0.0; QUANTUM];
    click[0] = 1.0;
    for _ in 0..(seconds * 400.0) as usize {
        room.feed(0, position, 0.0, &click);
        room.render(&mut left, &mut right);
        heard.extend(left);
        click[0] = 0.0;
    }
    heard
}

/// An octave around `hz`: a second-order band-pass, twice.
fn octave(sound: &[f32], hz: f32) -> Vec<f32> {
    let turn = f64::from(std::f32::consts::TAU * hz / 48_000.0);
    let alpha = turn.sin() / (2.0 * std::f64::consts::SQRT_2);
    let (b0, a1, a2) = (alpha / (1.0 + alpha), -2.0 * turn.cos() / (1.0 + alpha), (1.0 - alpha) / (1.0 + alpha));
    let once = |sound: Vec<f64>| -> Vec<f64> {
        let (mut x, mut y) = ([0.0; 2], [0.0; 2]);
        let step = |input: f64| {
            let out = b0 * (input - x[1]) - a1 * y[0] - a2 * y[1];
            (x, y) = ([input, x[0]], [out, y[0]]);
            out
        };
        sound.into_iter().map(step).collect()
    };
    once(once(sound.iter().map(|x| f64::from(*x)).collect())).into_iter().map(|x| x as f32).collect()
}

/// The reverberation time by Schroeder's integration: from the time in which what is still to come falls from `from_db` to −35 dB.
fn rt60_s(answer: &[f32], from_db: f64) -> f32 {
    let mut rest: Vec<f64> = answer
        .iter()
        .rev()
        .scan(0.0, |sum, x| {
            *sum += f64::from(*x).powi(2);
            Some(*sum)
        })
        .collect();
    rest.reverse();
    let at = |db: f64| rest.iter().position(|sum| 10.0 * (sum / rest[0]).log10() <= db).expect("it decays so far");
    60.0 / (from_db + 35.0) as f32 * (at(-35.0) - at(from_db)) as f32 / 48_000.0
}

fn energy_db(sound: &[f32]) -> f32 {
    10.0 * sound.iter().map(|x| x * x).sum::<f32>().max(1.0e-20).log10()
}

/// At 500 Hz and at 1 kHz, where a reverberation time is given by convention, and from −5 dB on; in the small room, whose late sound is
/// far below its first reflections, from where it begins. In the treble it is shorter.
#[test]
fn a_room_decays_as_it_is_set() {
    for (acoustics, plan, seconds, from_db) in
        [(Acoustics::Small, &SMALL, 1.0, -17.0), (Acoustics::Hall, &HALL, 4.0, -5.0)]
    {
        let answer = answer(acoustics, at(30.0, 2.0), seconds);
        for hz in [500.0, 1_000.0] {
            let measured = rt60_s(&octave(&answer, hz), from_db);
            let ratio = measured / plan.decay.rt60_s;
            assert!(
                (0.8..=1.2).contains(&ratio),
                "{acoustics} at {hz} Hz: {measured} s, set to {} s",
                plan.decay.rt60_s
            );
        }
        let treble = rt60_s(&octave(&answer, 8_000.0), from_db);
        assert!(treble < 0.85 * plan.decay.rt60_s, "{acoustics}: {treble} s at 8 kHz");
    }
}

/// A voice gets softer with distance and the room does not: that is how one hears how far it is.
#[test]
fn the_room_is_louder_beside_a_voice_that_is_far() {
    let ratio = |acoustics, distance_m| {
        let mut lane = Spatializer::new().expect("the set").lane().expect("a lane");
        let (mut left, mut right) = ([0.0; QUANTUM], [0.0; QUANTUM]);
        let mut direct = 0.0;
        for block in 0..16 {
            let mut click = [0.0; QUANTUM];
            click[0] = if block == 8 { 1.0 } else { 0.0 };
            lane.render(at(0.0, distance_m), &click, &mut left, &mut right);
            direct += left.iter().map(|x| x * x).sum::<f32>();
        }
        10.0 * direct.log10() - energy_db(&answer(acoustics, at(0.0, distance_m), 2.0))
    };
    let [near, far] = [1.0, 10.0].map(|distance_m| ratio(Acoustics::Hall, distance_m));
    assert!(near > 3.0 && near - far > 15.0, "direct over room: {near} dB at 1 m, {far} dB at 10 m");
    let [near, far] = [1.0, 2.0].map(|distance_m| ratio(Acoustics::Small, distance_m));
    assert!((4.0..15.0).contains(&near) && near - far > 3.0, "{near} dB at 1 m, {far} dB at 2 m");
}

/// The late sound comes to both ears from everywhere: alike in level, unlike in detail.
#[test]
fn the_late_sound_is_around_the_head() {
    let mut room = room(Acoustics::Hall);
    let mut ears = [Vec::new(), Vec::new()];
    let mut click = [0.0; QUANTUM];
    click[0] = 1.0;
    let (mut left, mut right) = ([0.0; QUANTUM], [0.0; QUANTUM]);
    for block in 0..400 {
        room.feed(0, at(90.0, 2.0), 0.0, &click);
        room.render(&mut left, &mut right);
        click[0] = 0.0;
        if block >= 80 {
            ears[0].extend(left);
            ears[1].extend(right);
        }
    }
    let ears = ears.map(|ear| octave(&ear, 2_000.0));
    let levels = [energy_db(&ears[0]), energy_db(&ears[1])];
    assert!((levels[0] - levels[1]).abs() < 2.0, "{levels:?}");
    let together: f32 = ears[0].iter().zip(&ears[1]).map(|(left, right)| left * right).sum();
    let alike = together / 10_f32.powf((levels[0] + levels[1]) / 20.0);
    assert!(alike.abs() < 0.5, "coherence {alike}");
}

#[test]
fn who_leaves_fades_away_and_an_empty_room_costs_nothing() {
    let mut room = room(Acoustics::Small);
    let (mut left, mut right) = ([0.0; QUANTUM], [0.0; QUANTUM]);
    assert!(!room.render(&mut left, &mut right), "nobody has spoken yet");
    for block in 0..80 {
        let tone = std::array::from_fn(|n| ((block * QUANTUM + n) as f32 * 0.05).sin());
        room.feed(3, at(-40.0, 1.0), 0.0, &tone);
        assert!(room.render(&mut left, &mut right));
    }
    let mut levels = Vec::new();
    while room.render(&mut left, &mut right) {
        levels.push(energy_db(&left));
        assert!(levels.len() < 1_600, "it ends: {levels:?}");
    }
    assert!(levels[4] > -40.0, "what is under way is still heard: {levels:?}");
    assert!(levels.last().is_some_and(|last| *last < -100.0) && left == [0.0; QUANTUM], "{levels:?}");
    // And somebody else may stand there.
    room.feed(3, at(40.0, 1.0), 0.0, &[0.1; QUANTUM]);
    assert!(room.render(&mut left, &mut right));
}
