//! A call that lasts for hours between two clocks that disagree, in compressed time: the whole receiving side, from sealed packets to
//! both ears. What is said is encoded once and said again and again.

use super::*;
use crate::audio::encoder::{Encoder, MAX_PACKET};
use crate::audio::format::PacketTime;
use resonance_protocol::media::{Frame, Sealer};

/// Opus packets of ten seconds.
fn said() -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(PacketTime::Usual).expect("an encoder");
    let frame = |n: usize| -> Block { std::array::from_fn(|i| voice(n * FRAME + i, 140.0)) };
    (0..1_000)
        .map(|n| {
            let mut out = [0; MAX_PACKET];
            let len = encoder.encode(&frame(n), &mut out).expect("encoded");
            out[..len].to_vec()
        })
        .collect()
}

/// The speaker's clock is so many millionths faster than the listener's.
#[allow(clippy::print_stderr, reason = "a figure for whoever looks")]
fn call(hours: f64, ppm: f64) {
    let mut rng = StdRng::seed_from_u64(8);
    let mut listener = Party::new(Voice::new(false)).expect("a pipeline");
    let (peer, began) = (TransportId::from_bytes([1; 32]), Instant::now());
    let fingerprint = IdentityKey::generate(&mut rng).public().fingerprint();
    listener.control(Control::AddLane { peer }, began).expect("a lane");
    let said = said();
    let mut key = SenderKey::generate(0, &mut rng);
    let mut sealer: Option<Sealer> = None;
    let frames = (hours * 360_000.0) as u32;
    let mut sent = 0_u32;
    let mut delays = (f32::MAX, 0.0_f32);
    let mut heard = [[0.0; 2]; FRAME];
    let mut energy = 0.0_f64;
    let mut last = None;
    for frame in 0..frames {
        let now = began + Duration::from_millis(10) * frame;
        // Its packets come when its clock says so, 5 ms before they are played if the clocks agree.
        while f64::from(sent) * 10.0 * (1.0 - ppm * 1e-6) <= f64::from(frame) * 10.0 - 5.0 {
            if sent.is_multiple_of(500) && !(sent > 0 && key.advance()) {
                key = SenderKey::generate(u64::from(sent), &mut rng);
                let opening = Box::new(key.opening_key(&SESSION, &fingerprint));
                listener.control(Control::OpeningKey { peer, key: opening }, now).expect("a key");
                sealer = Some(key.sealer(&SESSION, &fingerprint));
            }
            let sealer = sealer.as_mut().expect("there is a key");
            sealer.advance_to(key.id());
            let (mut plaintext, mut packet) = ([0; Sealer::MAX_PLAINTEXT], SealedPacket::empty());
            let opus = &said[sent as usize % said.len()];
            let len = Frame::write(sent.wrapping_mul(FRAME as u32), opus, &[], &mut plaintext).expect("it fits");
            sealer.seal(&plaintext[..len], &mut packet).expect("sealed");
            listener.deliver(InboundPacket { from: peer, arrived: now, packet });
            sent += 1;
        }
        listener.hear(now, &mut heard);
        energy += heard.iter().map(|[left, _]| f64::from(left * left)).sum::<f64>();
        let mut block = [0.0; FRAME];
        while listener.voice(peer, &mut block) {}
        listener.tidy();
        let Some(report) = listener.report(now).filter(|_| frame > 3_000) else { continue };
        let buffer_ms = report.lanes[0].buffer_ms;
        delays = (delays.0.min(buffer_ms), delays.1.max(buffer_ms));
        last = report.lanes.into_iter().next();
    }
    let lane = last.expect("it was reported");
    eprintln!("{hours} h at {ppm} ppm: {lane:?}, delay between {} and {} ms", delays.0, delays.1);
    assert_eq!((lane.late, lane.lost, lane.refused), (0, 0, 0), "{lane:?}");
    // Nothing but the moment before the first packets had come.
    assert!(lane.concealed_frames <= 1, "{lane:?}");
    assert!(delays.1 < 30.0 && delays.0 > 0.0, "the delay stays where it is: {delays:?}");
    let drift_frames = hours * 360_000.0 * ppm.abs() * 1e-6;
    assert!(
        (lane.corrections as f64 - drift_frames).abs() <= 0.1 * drift_frames + 3.0,
        "{lane:?}, {drift_frames} to do"
    );
    assert!(energy > f64::from(frames) * 0.01, "a voice was heard");
}

#[test]
fn six_minutes_of_drifting_clocks_pass_without_a_gap() {
    call(0.1, 150.0);
    call(0.1, -150.0);
}

#[test]
#[ignore = "eight hours of a call: some minutes"]
fn eight_hours_of_drifting_clocks_pass_without_a_gap() {
    call(8.0, 150.0);
    call(8.0, -150.0);
}
