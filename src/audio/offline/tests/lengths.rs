//! Packets of every length: heard, and told apart when their sender begins anew with others.

use super::*;
use crate::audio::Protection;
use crate::audio::format::PacketTime;
use crate::rate::Rate;

fn call(time: PacketTime) -> Call {
    let mut call = Call::connected();
    call.alice.party = Party::with(Voice::new(false), time).expect("a pipeline");
    call.rekey(1);
    call
}

#[test]
fn packets_of_every_length_are_heard_as_they_were_said() {
    for time in PacketTime::ALL {
        let mut call = call(time);
        call.run(4.0);
        let lane = call.report_after(Duration::from_millis(100)).lanes[0].clone();
        let packets = 4 * SAMPLE_RATE as u64 / time.samples() as u64;
        assert!(lane.received.abs_diff(packets) <= 20, "{time} ms: {lane:?}");
        assert_eq!((lane.lost, lane.refused, lane.concealed_frames), (0, 0, 0), "{time} ms: {lane:?}");
        // Only their counter gets longer, with the eighth and again with the 256th.
        let (least, most) = (call.sent.iter().min(), call.sent.iter().max());
        let (Some(least), Some(most)) = (least, most) else { panic!("{time} ms: nothing was sent") };
        assert!(most - least <= 2 && call.sent.is_sorted(), "{time} ms: {least} to {most} bytes");
        let second = SAMPLE_RATE as usize;
        let (lag, alike) =
            best_match(&call.alice.spoken[2 * second..3 * second], &call.voice[2 * second..3 * second + 9_600]);
        assert!(alike > 0.9, "{time} ms: {alike}");
        // The way takes 20 ms, a frame of 10 ms is handed in at once, and a packet is whole when its last sample is there.
        let ms = lag as f32 / 48.0;
        assert!(ms < 20.0 + 10.0 + 25.0, "{time} ms: heard {ms} ms later");
    }
}

#[test]
fn a_sender_that_begins_anew_with_other_packets_is_heard_again_at_once() {
    let mut call = Call::connected();
    call.run(2.0);
    let times = [PacketTime::Short, PacketTime::Long, PacketTime::Shortest, PacketTime::Usual];
    for (generation, time) in (1..).zip(times) {
        call.alice.party = Party::with(Voice::new(false), time).expect("a pipeline");
        call.rekey(generation);
        let before = call.voice.len();
        call.run(2.0);
        let power =
            |from: usize| call.voice[from..].iter().map(|x| x * x).sum::<f32>() / (call.voice.len() - from) as f32;
        assert!(power(before + 9_600) > 1.0e-3, "{time} ms: {}", power(before + 9_600));
    }
}

#[test]
fn a_sender_that_cannot_decide_costs_nothing_and_breaks_nothing() {
    let mut call = Call::connected();
    let peer = call.alice.id;
    let mut others = PacketTime::ALL.map(|time| Party::with(Voice::new(false), time).expect("a pipeline"));
    let (fingerprint, key) = (call.alice.fingerprint, SenderKey::generate(9, &mut call.rng));
    call.tell_bob(Control::OpeningKey { peer, key: Box::new(key.opening_key(&SESSION, &fingerprint)) });
    for other in &mut others {
        // The same key for all of them: their packets come again by their counters, save those that are first.
        other.control(Control::SenderKey(Box::new(key.sealer(&SESSION, &fingerprint))), call.began).expect("ordered");
    }
    for round in 0..400 {
        let other = &mut others[round % 4];
        for _ in 0..2 {
            other.speak(&mut [0.1; FRAME]);
        }
        while let Some(packet) = other.sealed() {
            call.under_way.push((call.frame, packet));
        }
        call.hear();
    }
    call.alice.party = Party::with(Voice::new(false), PacketTime::Usual).expect("a pipeline");
    call.rekey(10);
    let before = call.voice.len();
    call.run(2.0);
    let heard = call.voice[before + 48_000..].iter().map(|x| x * x).sum::<f32>();
    assert!(heard > 50.0, "an honest voice is heard afterwards: {heard}");
}

/// Where the path is narrow packets hold more, and how long they were under way is measured on.
#[test]
fn a_lower_rate_comes_in_long_packets_of_one_size_and_shows_a_queue_that_was_there_before() {
    for time in PacketTime::ALL {
        let mut call = call(time);
        call.run(4.0);
        let queue_ms = |call: &mut Call| call.report_after(Duration::from_millis(100)).lanes[0].queue_ms;
        assert!(queue_ms(&mut call) < 5.0, "{time} ms");
        // Everything is 100 ms later from here on, and half a second after that the rate is lower.
        call.delay_frames += 10;
        call.run(0.5);
        call.tell_alice(Control::Supply(Rate::Less, Protection::None));
        let (sent, heard) = (call.sent.len(), call.voice.len());
        call.run(3.0);
        assert_eq!(call.sent.len() - sent, 150, "{time} ms");
        let sizes = &call.sent[sent..];
        assert!(sizes.iter().all(|size| (sizes[0]..sizes[0] + 2).contains(size)), "{time} ms: {sizes:?}");
        let lane = call.report_after(Duration::from_millis(100)).lanes[0].clone();
        assert!((80.0..125.0).contains(&lane.queue_ms), "{time} ms: {lane:?}");
        assert_eq!((lane.lost, lane.refused), (0, 0), "{time} ms: {lane:?}");
        let power = |voice: &[f32]| voice.iter().map(|x| x * x).sum::<f32>() / voice.len() as f32;
        assert!(power(&call.voice[heard + 48_000..]) > 1.0e-3, "{time} ms");
        call.tell_alice(Control::Supply(Rate::Full, Protection::None));
        let heard = call.voice.len();
        call.run(2.0);
        assert!(power(&call.voice[heard + 48_000..]) > 1.0e-3, "{time} ms, whole again");
    }
}
