use super::*;
use crate::audio::Acoustics;
use crate::audio::decoder::Decoder;
use crate::audio::encoder::{Encoder, MAX_PACKET};
use crate::audio::format::{FRAME, MAX_LANES, PacketTime, QUANTUM};
use crate::audio::jitter::Urgency;
use crate::audio::level::Ramp;
use crate::audio::mixer::Mixer;
use crate::audio::spatial::{Room, Rooms, Spatializer};
use crate::audio::stretch::{self, Search, Wish};
use resonance_protocol::position::Position;
use std::io::Write;
use std::time::{Duration, Instant};

/// Something like a voice in front of a fan.
fn voice(n: usize) -> f32 {
    let t = n as f32 / 48_000.0;
    let phase = std::f32::consts::TAU * (140.0 * t + (t * 5.0).sin());
    let hiss = (n as u32).wrapping_mul(2_654_435_761) as f32 / u32::MAX as f32 - 0.5;
    (t * 9.0).sin().max(0.0) * (1..20).map(|k| (phase * k as f32).sin() * 0.2 / k as f32).sum::<f32>() + 0.01 * hiss
}

/// Quanta of a room's sound, with one voice in it.
fn room(rooms: &mut Rooms, quanta: std::ops::Range<usize>, economy: impl Fn(usize) -> Economy) -> Vec<f32> {
    let mut sound = Vec::new();
    for quantum in quanta {
        rooms.economize(economy(quantum));
        rooms.feed(0, Position::at_azimuth(40.0), 0.0, &std::array::from_fn(|n| voice(quantum * QUANTUM + n)));
        let (mut mixer, mut out) = (Mixer::default(), [[0.0; 2]; QUANTUM]);
        mixer.begin();
        rooms.render(Ramp(1.0, 1.0), &mut mixer);
        mixer.finish(&mut out);
        sound.extend(out.iter().map(|[left, _]| *left));
    }
    sound
}

fn hall() -> Rooms {
    let mut rooms = Rooms::default();
    rooms.change(Room::new(Acoustics::Hall, &Spatializer::new().expect("the embedded set")));
    rooms
}

#[test]
fn steps_are_taken_in_the_order_of_their_words() {
    let steps = [Step::Room, Step::Concealment, Step::Encoding, Step::Stretching, Step::Noise];
    let mut economy = Economy::NONE;
    for (taken, step) in steps.into_iter().enumerate() {
        assert_eq!(economy.words().len(), taken);
        assert!(!economy.leaves_out(step), "{step:?}");
        economy = economy.more();
        assert!(economy.leaves_out(step), "{step:?}");
    }
    assert_eq!((economy, economy.more()), (Economy::MOST, Economy::MOST));
    assert_eq!(economy.words().last(), Some(&"noise suppression"));
    assert_eq!(Economy::NONE.less(), Economy::NONE);
}

#[test]
fn the_uplink_is_heard_by_its_slowest_round_and_once() {
    let (here, there) = (Agreement::default(), Agreement::default());
    let other = here.clone();
    other.tell(0.25);
    other.tell(0.75);
    other.tell(0.5);
    assert_eq!((here.hear(), here.hear(), there.hear()), (0.75, 0.0, 0.0));
    here.agree(Economy::MOST);
    assert_eq!((other.economy(), there.economy()), (Economy::MOST, Economy::NONE));
}

#[test]
fn the_room_goes_and_comes_back_without_a_click_and_without_what_was_in_it() {
    let (mut with, mut without) = (hall(), hall());
    let at_first = room(&mut without, 0..400, |_| Economy::NONE);
    let sound = room(&mut with, 0..400, |n| if (100..200).contains(&n) { Economy::MOST } else { Economy::NONE });
    let power = |sound: &[f32]| stretch::power(sound);
    assert!(power(&at_first[..100 * QUANTUM]) > 1.0e-7);
    assert_eq!(sound[..100 * QUANTUM], at_first[..100 * QUANTUM]);
    assert!(sound[110 * QUANTUM..200 * QUANTUM].iter().all(|sample| *sample == 0.0), "it rests");
    assert!(
        power(&sound[200 * QUANTUM..210 * QUANTUM]) < 0.1 * power(&at_first[200 * QUANTUM..210 * QUANTUM]),
        "empty"
    );
    let (back, whole) = (power(&sound[350 * QUANTUM..]), power(&at_first[350 * QUANTUM..]));
    assert!(back > 0.3 * whole, "it fills again: {back} of {whole}");
    let steepest = |sound: &[f32]| sound.windows(2).map(|w| (w[1] - w[0]).abs()).fold(0.0, f32::max);
    assert!(steepest(&sound) <= 1.1 * steepest(&at_first), "{} after {}", steepest(&sound), steepest(&at_first));
}

#[test]
fn a_coarse_search_finds_the_same_place_of_a_voice() {
    let pcm: Vec<f32> = (0..2 * FRAME).map(|n| voice(9_000 + n)).collect();
    let wish = Wish { at_most: FRAME, urgency: Urgency::Now, quiet_power: 0.0, search: Search::Exact };
    let (mut exact, mut coarse) = (pcm.clone(), pcm);
    let removed = stretch::shorten(&mut exact, wish);
    assert!(removed > 0);
    assert_eq!(stretch::shorten(&mut coarse, Wish { search: Search::Coarse, ..wish }), removed);
}

#[test]
fn packets_stay_as_long_and_are_decoded_however_little_is_done() {
    let (mut encoder, mut decoder) = (Encoder::new(PacketTime::Usual).expect("one"), Decoder::new().expect("one"));
    let (mut packet, mut out, mut side) = ([0; MAX_PACKET], [0.0; FRAME], [0.0; FRAME]);
    let mut power = 0.0;
    for frame in 0..300 {
        let economy = if frame / 50 % 2 == 0 { Economy::NONE } else { Economy::MOST };
        encoder.economize(economy);
        decoder.economize(economy);
        let sound: Vec<f32> = (0..FRAME).map(|n| voice(frame * FRAME + n)).collect();
        assert_eq!(encoder.encode(&sound, &mut packet), Some(100));
        if frame % 10 == 9 {
            decoder.conceal(&mut out, &mut side);
        } else {
            assert!(decoder.decode(&packet[..100], &mut out, &mut side));
        }
        power += stretch::power(&out) / 300.0;
    }
    assert!(power > 1.0e-3, "{power}");
}

/// `cargo test --release --lib -- --ignored --nocapture measure_what_each_step_saves`
#[test]
#[ignore = "a measurement"]
fn measure_what_each_step_saves() {
    let of_a_core = |took: Duration, seconds: f32| took.as_secs_f32() / seconds * 100.0;
    let sounds: Vec<Vec<f32>> = (0..500).map(|frame| (0..FRAME).map(|n| voice(frame * FRAME + n)).collect()).collect();
    for economy in [Economy::NONE, Economy::MOST] {
        let (mut encoder, mut decoder) = (Encoder::new(PacketTime::Usual).expect("one"), Decoder::new().expect("one"));
        encoder.economize(economy);
        decoder.economize(economy);
        let began = Instant::now();
        let mut packet = [0; MAX_PACKET];
        let packets: Vec<Vec<u8>> = sounds
            .iter()
            .map(|sound| encoder.encode(sound, &mut packet).map(|len| packet[..len].to_vec()).unwrap_or_default())
            .collect();
        let encoding = of_a_core(began.elapsed(), 5.0);
        let (mut out, mut side) = ([0.0; FRAME], [0.0; FRAME]);
        let mut decode = |lost: usize| {
            let began = Instant::now();
            for (n, packet) in packets.iter().enumerate() {
                if lost > 0 && n % lost == 0 {
                    decoder.conceal(&mut out, &mut side);
                } else {
                    decoder.decode(packet, &mut out, &mut side);
                }
            }
            of_a_core(began.elapsed(), 5.0)
        };
        let decoding = [decode(0), decode(10), decode(2)];
        let mut rooms = hall();
        room(&mut rooms, 0..100, |_| economy);
        let began = Instant::now();
        room(&mut rooms, 100..1_300, |_| economy);
        let rooming = of_a_core(began.elapsed(), 3.0);
        let search = if economy == Economy::NONE { Search::Exact } else { Search::Coarse };
        let wish = Wish { at_most: FRAME, urgency: Urgency::Soon, quiet_power: 0.0, search };
        let began = Instant::now();
        for sound in sounds.windows(2).take(200) {
            stretch::shorten(&mut sound.concat(), wish);
        }
        let stretching = began.elapsed() / 200;
        let _ = writeln!(
            std::io::stderr(),
            "{:?}: encoding {encoding:.2} % of a core, a voice decoded {:.2} %, with 10 % lost {:.2} %, with 50 % {:.2} %, hall {rooming:.2} %, a search {stretching:?} ({MAX_LANES} voices at most)",
            economy.words(),
            decoding[0],
            decoding[1],
            decoding[2]
        );
    }
}
