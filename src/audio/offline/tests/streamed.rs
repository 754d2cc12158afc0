//! Packets by stream: sealed twice, and heard like all others.

use super::*;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use resonance_protocol::identity::IdentityKey;
use resonance_protocol::link::SessionId;
use resonance_protocol::media::{HopOpener, HopSealer, SenderKey};
use std::time::Duration;

const ANN: TransportId = TransportId::from_bytes([1; 32]);
const BO: TransportId = TransportId::from_bytes([2; 32]);
const CY: TransportId = TransportId::from_bytes([3; 32]);

#[test]
fn what_comes_by_a_stream_opens_under_its_senders_own_seal_only() {
    let mut rng = StdRng::seed_from_u64(7);
    let (session, ann_identity) = (SessionId::from_bytes([1; 16]), IdentityKey::generate(&mut rng).public());
    let [mut ann, mut bo] = [(); 2].map(|()| Party::new(Voice::new(false)).expect("a pipeline"));
    let key = SenderKey::generate(0, &mut rng);
    let hop_keys: [[u8; 32]; 4] = rng.random();
    let began = Instant::now();
    let seal = |key: &[u8; 32], to| Control::HopSealer { peer: to, hop: Box::new(HopSealer::new(key, ANN, to)) };
    let open = |key: &[u8; 32]| Control::HopOpener { peer: ANN, hop: Box::new(HopOpener::new(key, ANN, BO)) };
    let ann_says = [
        Control::SenderKey(Box::new(key.sealer(&session, &ann_identity.fingerprint()))),
        seal(&hop_keys[0], BO),
        seal(&hop_keys[3], CY),
        Control::Stream { peer: BO, on: true },
        Control::Stream { peer: CY, on: true },
    ];
    ann_says.into_iter().for_each(|control| ann.control(control, began).expect("ordered"));
    let opening = Box::new(key.opening_key(&session, &ann_identity.fingerprint()));
    let bo_says = [Control::AddLane { peer: ANN }, Control::OpeningKey { peer: ANN, key: opening }, open(&hop_keys[0])];
    bo_says.into_iter().for_each(|control| bo.control(control, began).expect("ordered"));

    let (mut heard, mut strays) = (0.0_f32, 0);
    for frame in 0..200_u64 {
        let now = began + Duration::from_millis(10 * frame);
        match frame {
            // Fresh seals: Bo has two more, Ann still uses the first; then she goes on to the last.
            50 => hop_keys[1..3].iter().for_each(|key| bo.control(open(key), now).expect("ordered")),
            100 => ann.control(seal(&hop_keys[2], BO), now).expect("ordered"),
            _ => {}
        }
        let tone = |n: usize| 0.3 * ((frame as f32 * FRAME as f32 + n as f32) * 0.06).sin();
        ann.speak(&mut std::array::from_fn(tone));
        let own = ann.sealed().expect("a packet for everyone");
        while let Some(AddressedPacket { to, packet }) = ann.hop_sealed() {
            assert_ne!(packet.as_slice(), own.as_slice());
            strays += u64::from(to == CY);
            // What was meant for Cy is led to Bo.
            assert!(bo.deliver_streamed(InboundPacket { from: ANN, arrived: now, packet }));
        }
        if frame >= 150 {
            assert!(bo.deliver(InboundPacket { from: ANN, arrived: now, packet: own }), "by both ways at once");
        }
        let mut out = [[0.0; 2]; FRAME];
        bo.hear(now + Duration::from_millis(4), &mut out);
        heard += if frame > 20 { out.iter().map(|[left, _]| left * left).sum::<f32>() } else { 0.0 };
        bo.tidy();
    }
    let lane = bo.report(began + Duration::from_secs(9)).expect("a report").lanes[0].clone();
    assert_eq!((lane.received, lane.lost, strays), (200, 0, 200), "{lane:?}");
    // A stray whose counter Ann's own packets have used is taken for one of those that comes again.
    assert_eq!((lane.refused + lane.duplicates, lane.refused), (250, 100), "{lane:?}");
    assert!(heard > 100.0 && lane.streamed_bytes > lane.bytes / 2, "{heard}, {lane:?}");
    ann.control(Control::Stream { peer: BO, on: false }, began).expect("ordered");
    ann.control(Control::RemoveLane { peer: CY }, began).expect("ordered");
    ann.speak(&mut [0.0; FRAME]);
    assert!(ann.sealed().is_some() && ann.hop_sealed().is_none(), "nobody is on a stream any more");
}
