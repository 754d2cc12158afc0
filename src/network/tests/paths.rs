//! One way that sound takes is replaced by another while it flows.

use super::*;

/// Connections of about the same age are left alone.
const OLD: Duration = Duration::from_millis(3_200);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_connection_takes_anothers_place_not_a_packet_is_lost() {
    let (mut ann, mut bo) = (Node::start(1).await, Node::start(2).await);
    ann.connect(&mut bo).await;
    ann.talk_to(&mut bo).await;
    ann.number += 1;
    ann.handle.command(Command::OpenMedia { peer: bo.id, number: ann.number, patient: false });
    let (mut said, mut heard, mut up) = (0_u16, Vec::new(), [false; 2]);
    let mut pace = tokio::time::interval(Duration::from_millis(5));
    // A second longer, so that the old one is closed by then.
    let mut left = 200;
    while left > 0 {
        tokio::select! {
            _ = pace.tick() => {
                ann.say(&packet(0, said));
                said += 1;
                left -= u16::from(up == [true; 2]);
            }
            event = ann.event() => match event {
                Event::LocalDescription { sdp, number, .. } => {
                    bo.handle.command(Command::AcceptOffer { peer: ann.id, sdp, number });
                }
                Event::MediaUp { .. } => up[0] = true,
                event => assert!(matches!(event, Event::MediaRtt { .. }), "{event:?}"),
            },
            event = bo.event() => match event {
                Event::LocalDescription { sdp, .. } => {
                    ann.handle.command(Command::AcceptAnswer { peer: bo.id, sdp });
                }
                Event::MediaUp { .. } => up[1] = true,
                event => assert!(matches!(event, Event::MediaRtt { .. }), "{event:?}"),
            },
        }
        heard.extend(bo.heard().into_iter().map(|(_, bytes)| u16::from_be_bytes([bytes[0], bytes[1]])));
        assert!(said < 4_000, "no connection");
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    heard.extend(bo.heard().into_iter().map(|(_, bytes)| u16::from_be_bytes([bytes[0], bytes[1]])));
    let twice = heard.len();
    heard.sort_unstable();
    heard.dedup();
    assert!(heard.iter().copied().eq(0..said), "{} of {said} were heard", heard.len());
    let twice = twice - heard.len();
    assert!((10..150).contains(&twice), "{twice} came by both, while both stood");
}

impl Node {
    /// Gives one packet to the media pump, for one peer's stream.
    fn whisper(&mut self, to: TransportId, bytes: &[u8]) {
        let packet = SealedPacket::from_slice(bytes).unwrap();
        assert!(self.outbound_streamed.push(AddressedPacket { to, packet }).is_ok(), "room in the ring");
        self.handle.outbound_thread().unpark();
    }

    /// Everything that has come by streams.
    fn whispers(&mut self) -> Vec<(TransportId, Vec<u8>)> {
        std::iter::from_fn(|| self.inbound_streamed.pop().ok())
            .map(|inbound| (inbound.from, inbound.packet.as_slice().to_vec()))
            .collect()
    }

    async fn stream_up(&mut self, to: TransportId) {
        let route = Route { way: Way::Direct, local: "stream", remote: "stream" };
        self.until(|event| (event == Event::StreamUp { peer: to, route }).then_some(())).await;
    }

    /// They know each other as members: each has acknowledged a message of the other.
    async fn befriend(&mut self, other: &mut Node) {
        self.connect(other).await;
        self.send(other, b"sealed", 1);
        let (_, _, receipt) = other.message().await;
        other.handle.command(Command::Acknowledge { receipt });
        self.until(|event| matches!(event, Event::Delivered { .. }).then_some(())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_carry_packets_to_those_they_are_for_and_outlive_a_connection() {
    let (mut ann, mut bo, mut cy) = (Node::start(1).await, Node::start(2).await, Node::start(3).await);
    ann.befriend(&mut bo).await;
    ann.befriend(&mut cy).await;
    ann.whisper(bo.id, b"nobody asked for a stream");
    tokio::time::sleep(Duration::from_millis(200)).await;
    for to in [bo.id, cy.id] {
        ann.handle.command(Command::Stream { peer: to, on: true });
        ann.stream_up(to).await;
    }
    for number in 0..50 {
        ann.whisper(bo.id, &packet(0, number));
        ann.whisper(cy.id, &packet(1, number));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    tokio::time::sleep(Duration::from_millis(200)).await;
    for (speaker, node) in [(0, &mut bo), (1, &mut cy)] {
        let said: Vec<_> = (0..50).map(|number| (ann.id, packet(speaker, number))).collect();
        assert_eq!(node.whispers(), said);
        assert_eq!(node.heard(), [], "by its own ring");
    }

    tokio::time::sleep(OLD).await;
    bo.handle.command(Command::Renew { peer: ann.id, addresses: ann.addresses.clone() });
    bo.until(|event| (event == Event::Renewed { peer: ann.id }).then_some(())).await;
    ann.stream_up(bo.id).await;
    ann.whisper(bo.id, b"again");
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(bo.whispers(), [(ann.id, b"again".to_vec())]);

    ann.handle.command(Command::Stream { peer: bo.id, on: false });
    ann.until(|event| (event == Event::StreamDown { peer: bo.id }).then_some(())).await;
    ann.whisper(bo.id, b"no more");
    let moves = |event: &Event| matches!(event, Event::Renewed { .. } | Event::StreamUp { .. });
    ann.nothing_else_for(Duration::from_millis(600), moves).await;
    assert_eq!(bo.whispers(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_somebody_who_belongs_nowhere_is_not_listened_to() {
    let (mut eve, mut bo) = (Node::start(1).await, Node::start(2).await);
    eve.connect(&mut bo).await;
    eve.handle.command(Command::Stream { peer: bo.id, on: true });
    eve.stream_up(bo.id).await;
    eve.whisper(bo.id, b"sealed by nobody");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(bo.whispers(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn dials_that_cross_close_nothing() {
    let (mut ann, mut bo) = (Node::start(1).await, Node::start(2).await);
    ann.befriend(&mut bo).await;
    tokio::time::sleep(OLD).await;
    ann.handle.command(Command::Renew { peer: bo.id, addresses: bo.addresses.clone() });
    bo.handle.command(Command::Renew { peer: ann.id, addresses: ann.addresses.clone() });
    let quiet = |event: &Event| matches!(event, Event::Renewed { .. } | Event::DialFailed { .. });
    ann.nothing_else_for(Duration::from_secs(2), quiet).await;
    bo.nothing_else_for(Duration::from_millis(100), quiet).await;
    ann.send(&bo, b"still there", 2);
    assert_eq!(bo.message().await.1, b"still there");
}
