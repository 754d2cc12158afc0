//! Somebody who sends next to nothing while silent: nobody hears the difference, nobody takes it for loss.

use super::*;
use crate::audio::pauses::Pauses;
use rand::RngExt;

/// Says a word of 0.6 s every two seconds; of its packets so many per cent are lost on the way.
fn talk(call: &mut Call, seconds: f64, loss: f64) -> Vec<usize> {
    let mut sent_each_frame = Vec::new();
    for _ in 0..(seconds * 100.0) as usize {
        let from = call.alice.spoken.len();
        if from > 0 && from.is_multiple_of(5 * SAMPLE_RATE as usize) {
            call.step();
        }
        let mut mic: Block = std::array::from_fn(|n| {
            let n = from + n;
            if n % 96_000 < 28_800 { voice(n, 120.0) + voice(n + 9_000, 120.0) } else { 0.0 }
        });
        call.alice.spoken.extend(mic);
        call.alice.party.speak(&mut mic);
        call.alice.party.tidy();
        let mut sent = 0;
        while let Some(packet) = call.alice.party.sealed() {
            sent += 1;
            if !call.rng.random_bool(loss) {
                call.under_way.push((call.frame + call.delay_frames, packet));
            }
        }
        sent_each_frame.push(sent);
        call.hear();
    }
    sent_each_frame
}

#[test]
fn pauses_take_next_to_nothing_and_are_no_loss() {
    let mut call = Call::connected();
    call.tell_alice(Control::Pauses(Pauses::Spared));
    let sent = talk(&mut call, 20.0, 0.0);
    // Each word is followed by 650 ms in which it may go on, and 60 in which the pause is told of.
    let (all, pause) = (sent.iter().sum::<usize>(), sent[145..195].iter().sum::<usize>());
    assert!((600..1_400).contains(&all), "{all} packets for 2,000 frames");
    assert!((2..=3).contains(&pause), "{pause} in half a second of silence");
    let lane = call.report().lanes[0].clone();
    assert_eq!((lane.lost, lane.concealed_frames, lane.late, lane.duplicates), (0, 0, 0, 0), "{lane:?}");
    assert!(lane.received as usize + 3 > all, "{lane:?}");
    for word in 2..9 {
        let said = &call.alice.spoken[96_000 * word..][..24_000];
        let (_, alike) = best_match(said, &call.voice[96_000 * word..][..24_000 + 9_600]);
        assert!(alike > 0.9, "word {word}: {alike}");
        let pause = loudness_db(call.voice[96_000 * word + 60_000..96_000 * (word + 1)].iter().copied());
        assert!(pause < -80.0, "{pause:.1} dB in the pause after word {word}");
    }
}

#[test]
fn what_is_lost_counts_and_what_was_not_sent_does_not() {
    let mut call = Call::connected();
    call.tell_alice(Control::Pauses(Pauses::Spared));
    let all = talk(&mut call, 60.0, 0.1).iter().sum::<usize>() as u64;
    let lane = call.report().lanes[0].clone();
    let missing = all - lane.received;
    assert!(missing > all / 20, "{missing} of {all} were lost");
    assert!(lane.lost <= missing && lane.lost + 30 > missing * 7 / 10, "{missing} were lost: {lane:?}");
    assert!(lane.concealed_frames < missing + 40, "{missing} were lost: {lane:?}");
}

/// As before: the wish can be taken back while it goes on.
#[test]
fn pauses_are_sent_again_when_that_is_wanted() {
    let mut call = Call::connected();
    call.tell_alice(Control::Pauses(Pauses::Spared));
    talk(&mut call, 3.5, 0.0);
    call.tell_alice(Control::Pauses(Pauses::Sent));
    let sent = talk(&mut call, 2.0, 0.0);
    assert!(sent.iter().all(|sent| *sent == 1), "{sent:?}");
    let lane = call.report().lanes[0].clone();
    assert_eq!((lane.lost, lane.concealed_frames), (0, 0), "{lane:?}");
}
