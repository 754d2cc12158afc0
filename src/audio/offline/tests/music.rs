//! Music: both ears, all of the treble, through the whole pipeline.

use super::*;
use realfft::RealFftPlanner;

/// Samples of one spectrum; half of them to the next.
const WINDOW: usize = 4_096;

/// Alice plays for so many seconds what `sound` says; the pace is that of [`Call::run`].
fn play(call: &mut Call, seconds: f64, mut sound: impl FnMut(usize) -> [f32; 2]) {
    let mut at = 0;
    for _ in 0..(seconds * 100.0) as usize {
        let music: [[f32; 2]; FRAME] = std::array::from_fn(|n| sound(at + n));
        at += FRAME;
        call.alice.party.play_at(Instant::now(), &music);
        call.alice.party.tidy();
        while let Some(packet) = call.alice.party.sealed() {
            call.sent.push(packet.as_slice().len());
            call.under_way.push((call.frame + call.delay_frames, packet));
        }
        call.hear();
    }
}

/// Power in each of a window's bins, over all of the sound.
fn spectrum(sound: impl Iterator<Item = f32>) -> Vec<f64> {
    let sound: Vec<f32> = sound.collect();
    let transform = RealFftPlanner::<f32>::new().plan_fft_forward(WINDOW);
    let (mut out, mut power) = (transform.make_output_vec(), vec![0.0; WINDOW / 2 + 1]);
    for from in (0..sound.len() - WINDOW).step_by(WINDOW / 2) {
        let window = |n: usize| 0.5 - 0.5 * (n as f32 / WINDOW as f32 * std::f32::consts::TAU).cos();
        let mut piece: Vec<f32> = sound[from..][..WINDOW].iter().enumerate().map(|(n, x)| x * window(n)).collect();
        transform.process(&mut piece, &mut out).expect("lengths fit");
        power.iter_mut().zip(&out).for_each(|(power, bin)| *power += f64::from(bin.norm_sqr()));
    }
    power
}

/// Power between two frequencies in Hz, in dB.
fn band_db(spectrum: &[f64], from: f64, to: f64) -> f64 {
    let bin = |hz: f64| (hz * WINDOW as f64 / f64::from(SAMPLE_RATE)) as usize;
    10.0 * (spectrum[bin(from)..bin(to)].iter().sum::<f64>() + 1.0e-12).log10()
}

fn ear(heard: &[[f32; 2]], side: usize) -> impl Iterator<Item = f32> {
    heard[2 * SAMPLE_RATE as usize..].iter().map(move |both| both[side])
}

/// Music that has everything: two noises, another for each ear.
fn noise() -> impl FnMut(usize) -> [f32; 2] {
    let mut seed = 7_u64;
    let mut next = move || {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        0.2 * ((seed >> 40) as f32 / (1_u64 << 24) as f32 - 0.5)
    };
    move |_| [next(), next()]
}

#[test]
fn what_is_played_left_is_heard_left_and_nothing_of_it_right() {
    let mut call = Call::connected();
    let tone = |at: usize, hz: f32| 0.2 * (at as f32 / SAMPLE_RATE as f32 * hz * std::f32::consts::TAU).sin();
    play(&mut call, 6.0, |at| [tone(at, 400.0), tone(at, 1_500.0)]);
    let [left, right] = [0, 1].map(|side| spectrum(ear(&call.heard, side)));
    for (own, other, hz) in [(&left, &right, 400.0), (&right, &left, 1_500.0)] {
        let [here, there] = [own, other].map(|ear| band_db(ear, hz - 50.0, hz + 50.0));
        assert!(here - there > 35.0, "{hz} Hz: {here:.1} dB in its ear, {there:.1} in the other");
    }
    let lane = call.report().lanes[0].clone();
    assert_eq!((lane.lost, lane.concealed_frames, lane.refused), (0, 0, 0), "{lane:?}");
}

#[test]
fn music_is_flat_to_16_khz_in_both_ears_and_of_a_constant_rate() {
    let mut call = Call::connected();
    play(&mut call, 10.0, noise());
    let mut same = noise();
    let played: Vec<[f32; 2]> = (0..8 * SAMPLE_RATE as usize).map(&mut same).collect();
    for side in [0, 1] {
        let (was, is) = (spectrum(played.iter().map(|both| both[side])), spectrum(ear(&call.heard, side)));
        let gain = |from, to| band_db(&is, from, to) - band_db(&was, from, to);
        let middle = gain(900.0, 1_100.0);
        // Thirds of an octave from 50 Hz to 16 kHz.
        for third in 0..25 {
            let from = 50.0 * 2.0_f64.powf(f64::from(third) / 3.0);
            let to = (from * 2.0_f64.powf(1.0 / 3.0)).min(16_000.0);
            let off = gain(from, to) - middle;
            assert!(off.abs() < 1.5, "ear {side}, {from:.0} to {to:.0} Hz: {off:.2} dB");
        }
    }
    // 160 bytes of Opus, and what stands around it.
    assert_eq!(call.sent.len(), 1_000);
    let (least, most) = (call.sent.iter().min().copied(), call.sent.iter().max().copied());
    assert!(least >= Some(165) && most <= Some(200) && call.sent.is_sorted(), "{least:?} to {most:?} bytes");
}

/// One becomes the other without a click, and what was a voice in its place is one again.
#[test]
fn a_voice_and_music_take_turns() {
    let mut call = Call::connected();
    let peer = call.alice.id;
    call.tell_bob(Control::Place { peer, position: Position::at_azimuth(60.0) });
    call.run(3.0);
    let steepest = |heard: &[[f32; 2]]| {
        heard.windows(2).map(|w| (w[1][0] - w[0][0]).abs().max((w[1][1] - w[0][1]).abs())).fold(0.0, f32::max)
    };
    let from = call.alice.spoken.len();
    play(&mut call, 2.0, |at| [voice(from + at, 120.0); 2]);
    call.run(3.0);
    let second = SAMPLE_RATE as usize;
    let ordinary = [second..5 * second / 2, 7 * second / 2..9 * second / 2].map(|range| steepest(&call.heard[range]));
    let largest = steepest(&call.heard);
    assert!(largest < 1.3 * ordinary[0].max(ordinary[1]), "{largest} beside {ordinary:?}");
    let db = |range: std::ops::Range<usize>, side: usize| loudness_db(call.heard[range].iter().map(|both| both[side]));
    for range in [2 * second..3 * second, 4 * second..5 * second, 7 * second..8 * second] {
        let [left, right] = [0, 1].map(|side| db(range.clone(), side));
        assert!(right > left + 3.0 && right > -45.0, "{range:?}: {left:.1} and {right:.1} dB");
    }
    let lane = call.report().lanes[0].clone();
    assert_eq!((lane.lost, lane.concealed_frames, lane.refused), (0, 0, 0), "{lane:?}");
}

/// Lost packets of music are mended as those of a voice are, and stretching keeps both channels together.
#[test]
fn both_ears_stay_together_while_music_is_stretched() {
    let mut call = Call::connected();
    call.delay_frames = 2;
    let chord = |at: usize| {
        let tone = |hz: f32| 0.1 * (at as f32 / SAMPLE_RATE as f32 * hz * std::f32::consts::TAU).sin();
        let both = tone(200.0) + tone(300.0) + tone(500.0);
        [both, -both]
    };
    for delay in [2, 5, 3, 6, 2] {
        call.delay_frames = delay;
        play(&mut call, 3.0, chord);
    }
    assert!(call.report().lanes[0].corrections > 0);
    let apart = call.heard[SAMPLE_RATE as usize..].iter().map(|[left, right]| (left + right).abs()).fold(0.0, f32::max);
    assert!(apart < 0.02, "left and right are each other's opposite: {apart}");
}
