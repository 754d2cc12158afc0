//! Nodes of one process, over loopback, with real sockets.

mod discreet;
mod drip;
mod fingerprint;
mod meeting;
mod paths;
mod relays;

use std::time::{Duration, Instant};

use libp2p::StreamProtocol;
use resonance_protocol::media::packet::{AddressedPacket, InboundPacket, SealedPacket};
use resonance_protocol::peer::{Address, Listener, Transport, TransportId};
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::*;

/// Nothing on loopback takes longer than this, even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(20);

/// A network with the outer ends of its rings.
struct Node {
    id: TransportId,
    handle: Handle,
    outbound: rtrb::Producer<SealedPacket>,
    outbound_streamed: rtrb::Producer<AddressedPacket>,
    inbound: rtrb::Consumer<InboundPacket>,
    inbound_streamed: rtrb::Consumer<InboundPacket>,
    /// Number of its next negotiation.
    number: u64,
    /// Where it listens: TCP first.
    addresses: Vec<Address>,
}

/// How the nodes of a test differ.
struct Kind {
    protocol: StreamProtocol,
    answer_deadline: Duration,
}

const USUAL: Kind = Kind { protocol: signalling::PROTOCOL, answer_deadline: ANSWER_DEADLINE };

impl Node {
    async fn start(seed: u8) -> Self {
        Self::of_kind(seed, USUAL).await
    }

    async fn of_kind(seed: u8, kind: Kind) -> Self {
        let listen = vec!["/ip4/127.0.0.1/tcp/0".into(), "/ip4/127.0.0.1/udp/0/quic-v1".into()];
        let reach = Reach::Direct { listen, mdns: false, dht: Dht::Off, helpers: Vec::new() };
        let mut node = Self::reaching(seed, kind, reach);
        while node.addresses.len() < 2 {
            if let Event::Listening { compact: Some(address), .. } = node.event().await {
                node.addresses.push(address);
            }
        }
        node.addresses.sort_by_key(|address| address.transport == Transport::Quic);
        node
    }

    /// A node that dials only these places, listens nowhere, and sends media through these relays only.
    fn discreet(seed: u8, places: Vec<Address>, relays: Vec<Relay>) -> Self {
        Self::reaching(seed, USUAL, Reach::Only { helpers: Vec::new(), places, relays })
    }

    fn reaching(seed: u8, kind: Kind, reach: Reach) -> Self {
        let (outbound, outbound_consumer) = rtrb::RingBuffer::new(64);
        let (inbound_producer, inbound) = rtrb::RingBuffer::new(2_048);
        let config = Config { transport_secret: Zeroizing::new([seed; 32]), reach };
        let (outbound_streamed, streamed_consumer) = rtrb::RingBuffer::new(64);
        let (streamed_producer, inbound_streamed) = rtrb::RingBuffer::new(2_048);
        let media = MediaEnds {
            outbound: outbound_consumer,
            outbound_streamed: streamed_consumer,
            inbound: inbound_producer,
            inbound_streamed: streamed_producer,
        };
        let handle = start_speaking(kind.protocol, kind.answer_deadline, config, media).unwrap();
        let id = transport_id(&[seed; 32]);
        Self { id, handle, outbound, outbound_streamed, inbound, inbound_streamed, number: 0, addresses: Vec::new() }
    }

    async fn event(&mut self) -> Event {
        timeout(PATIENCE, self.handle.next_event()).await.expect("an event in time").expect("a running network")
    }

    /// The next event that is no news of where we listen: members relay for each other.
    async fn news(&mut self) -> Event {
        self.until(|event| (!matches!(event, Event::Listening { .. })).then_some(event)).await
    }

    /// Waits for the event that `wanted` accepts, passing over others.
    async fn until<T>(&mut self, mut wanted: impl FnMut(Event) -> Option<T>) -> T {
        loop {
            if let Some(found) = wanted(self.event().await) {
                return found;
            }
        }
    }

    /// Nothing but what `expected` accepts happens for a while.
    async fn nothing_else_for(&mut self, time: Duration, expected: impl Fn(&Event) -> bool) {
        let end = tokio::time::Instant::now() + time;
        while let Ok(event) = tokio::time::timeout_at(end, self.handle.next_event()).await {
            let event = event.expect("a running network");
            let relayed = matches!(&event, Event::Listening { address, .. } if address.contains("/p2p-circuit"));
            assert!(relayed || expected(&event), "unexpected: {event:?}");
        }
    }

    async fn connect(&mut self, other: &mut Node) {
        self.handle.command(Command::Dial { peer: Some(other.id), addresses: other.addresses.clone() });
        let (me, them) = (self.id, other.id);
        self.until(|event| matches!(event, Event::Connected { peer, .. } if peer == them).then_some(())).await;
        other.until(|event| matches!(event, Event::Connected { peer, .. } if peer == me).then_some(())).await;
    }

    fn send(&self, to: &Node, bytes: &[u8], id: u64) {
        self.handle.command(Command::Send { to: to.id, bytes: bytes.to_vec(), id });
    }

    async fn message(&mut self) -> (TransportId, Vec<u8>, u64) {
        self.until(|event| match event {
            Event::Message { from, bytes, receipt } => Some((from, bytes, receipt)),
            _ => None,
        })
        .await
    }

    async fn description(&mut self, wanted: DescriptionKind) -> String {
        self.until(|event| match event {
            Event::LocalDescription { kind, sdp, number, .. } if kind == wanted => {
                assert!(number > 0, "the number of the command");
                Some(sdp)
            }
            _ => None,
        })
        .await
    }

    /// Waits for media; how long it took, in ms, and what kind of address the other side's turned out to be.
    async fn media_up(&mut self, with: TransportId) -> (u64, &'static str) {
        self.until(|event| match event {
            Event::MediaUp { peer, route: Route { way, local, remote }, setup_ms } if peer == with => {
                assert_eq!((way, local), (Way::Direct, "host"));
                Some((setup_ms, remote))
            }
            Event::MediaDown { reason, .. } => panic!("media down: {reason}"),
            _ => None,
        })
        .await
    }

    /// Offers media to `other` and carries the descriptions across; how long each side took, in ms.
    async fn talk_to(&mut self, other: &mut Node) -> (u64, u64) {
        self.number += 1;
        self.handle.command(Command::OpenMedia { peer: other.id, number: self.number, patient: false });
        let offer = self.description(DescriptionKind::Offer).await;
        other.handle.command(Command::AcceptOffer { peer: self.id, sdp: offer, number: self.number });
        let answer = other.description(DescriptionKind::Answer).await;
        self.handle.command(Command::AcceptAnswer { peer: other.id, sdp: answer });
        let (offerer_ms, theirs) = self.media_up(other.id).await;
        let (answerer_ms, ours) = other.media_up(self.id).await;
        assert_eq!(ours, "host", "the answerer has read our candidates");
        assert!(["host", "prflx"].contains(&theirs), "{theirs}: a check may come before the answer");
        (offerer_ms, answerer_ms)
    }

    /// Waits until the media pump has caught up: it drops what piles up, which is right but not what is tested here.
    async fn breath(&self) {
        while self.outbound.buffer().capacity() - self.outbound.slots() > 5 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Gives one packet to the media pump, as the audio worker does.
    fn say(&mut self, bytes: &[u8]) {
        self.outbound.push(SealedPacket::from_slice(bytes).unwrap()).expect("room in the ring");
        self.handle.outbound_thread().unpark();
    }

    /// Everything that has arrived: who sent it, and the bytes.
    fn heard(&mut self) -> Vec<(TransportId, Vec<u8>)> {
        std::iter::from_fn(|| self.inbound.pop().ok())
            .map(|inbound| (inbound.from, inbound.packet.as_slice().to_vec()))
            .collect()
    }
}

/// Packet `number` of `speaker`: as long as a real one, each byte depending on both.
fn packet(speaker: u8, number: u16) -> Vec<u8> {
    let mut bytes: Vec<u8> = (0..120).map(|at: u16| (at * 7 + number) as u8 ^ speaker).collect();
    bytes[..2].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// All nodes speak `count` packets, one each 2 ms; what each heard.
async fn converse(nodes: &mut [&mut Node], count: u16) -> Vec<Vec<(TransportId, Vec<u8>)>> {
    let mut heard: Vec<Vec<(TransportId, Vec<u8>)>> = nodes.iter().map(|_| Vec::new()).collect();
    let mut pace = tokio::time::interval(Duration::from_millis(2));
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for number in 0..count {
        pace.tick().await;
        for (at, node) in nodes.iter_mut().enumerate() {
            node.breath().await;
            node.say(&packet(at as u8, number));
            heard[at].extend(node.heard());
        }
    }
    let expected = (nodes.len() - 1) * usize::from(count);
    let end = Instant::now() + PATIENCE;
    while heard.iter().any(|heard| heard.len() < expected) && Instant::now() < end {
        tokio::time::sleep(Duration::from_millis(2)).await;
        for (at, node) in nodes.iter_mut().enumerate() {
            heard[at].extend(node.heard());
        }
    }
    heard
}

/// Each heard exactly what each of the others said, in order.
fn assert_everyone_was_understood(nodes: &[&mut Node], heard: &[Vec<(TransportId, Vec<u8>)>], count: u16) {
    for (listener, heard) in heard.iter().enumerate() {
        for (speaker, node) in nodes.iter().enumerate().filter(|(speaker, _)| *speaker != listener) {
            let from_them: Vec<&Vec<u8>> =
                heard.iter().filter(|(from, _)| *from == node.id).map(|(_, bytes)| bytes).collect();
            let said: Vec<Vec<u8>> = (0..count).map(|number| packet(speaker as u8, number)).collect();
            let numbers = |packets: &[&Vec<u8>]| {
                packets.iter().map(|bytes| u16::from_be_bytes([bytes[0], bytes[1]])).collect::<Vec<_>>()
            };
            assert!(from_them.iter().copied().eq(&said), "{listener} heard of {speaker}: {:?}", numbers(&from_them));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_is_delivered_when_it_is_acknowledged() {
    let (mut ann, mut bo) = (Node::start(1).await, Node::start(2).await);
    ann.connect(&mut bo).await;
    ann.send(&bo, b"sealed", 7);
    let (from, bytes, receipt) = bo.message().await;
    assert_eq!((from, &bytes[..]), (ann.id, &b"sealed"[..]));
    bo.handle.command(Command::Acknowledge { receipt });
    assert_eq!(ann.event().await, Event::Delivered { to: bo.id, id: 7 });
    bo.handle.shutdown().await;
    assert_eq!(ann.event().await, Event::Disconnected { peer: transport_id(&[2; 32]) });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_is_not_acknowledged_is_refused_by_silence() {
    let patience = Duration::from_millis(400);
    let impatient = || Kind { answer_deadline: patience, ..USUAL };
    let (mut ann, mut bo) = (Node::of_kind(1, impatient()).await, Node::of_kind(2, impatient()).await);
    ann.connect(&mut bo).await;
    let sent = Instant::now();
    ann.send(&bo, b"from a stranger", 1);
    let (_, _, receipt) = bo.message().await;
    assert_eq!(ann.event().await, Event::Undelivered { to: bo.id, id: 1, why: Undelivered::Refused });
    assert!(sent.elapsed() >= patience, "nothing tells a refusal from slowness");
    // Too late: the receipt has expired, and nothing happens on either side.
    tokio::time::sleep(2 * patience).await;
    bo.handle.command(Command::Acknowledge { receipt });
    ann.nothing_else_for(patience, |_| false).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn peers_of_another_version_are_told_apart() {
    let future = Kind { protocol: StreamProtocol::new("/resonance/signal/2"), ..USUAL };
    let (mut ann, mut bo) = (Node::start(1).await, Node::of_kind(2, future).await);
    ann.connect(&mut bo).await;
    ann.send(&bo, b"sealed", 1);
    let (mut undelivered, mut foreign) = (false, false);
    while !(undelivered && foreign) {
        match ann.event().await {
            Event::Undelivered { id: 1, why, .. } => {
                assert_eq!(why, Undelivered::Unsupported);
                undelivered = true;
            }
            event => {
                assert_eq!(event, Event::ForeignVersion { peer: bo.id });
                foreign = true;
            }
        }
    }
    assert_eq!(bo.event().await, Event::ForeignVersion { peer: ann.id });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_too_long_never_leaves() {
    let (mut ann, mut bo) = (Node::start(1).await, Node::start(2).await);
    ann.connect(&mut bo).await;
    ann.send(&bo, &vec![1; MAX_MESSAGE + 1], 1);
    assert_eq!(ann.event().await, Event::Undelivered { to: bo.id, id: 1, why: Undelivered::TooLarge });
    ann.send(&bo, b"", 2);
    assert_eq!(ann.event().await, Event::Undelivered { to: bo.id, id: 2, why: Undelivered::TooLarge });
    let longest: Vec<u8> = (0..MAX_MESSAGE).map(|at| at as u8).collect();
    ann.send(&bo, &longest, 3);
    assert_eq!(bo.message().await.1, longest, "the longest message is the first that arrives");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_is_dropped_and_does_not_keep_others_from_being_heard() {
    let impatient = Kind { answer_deadline: Duration::from_secs(2), ..USUAL };
    let mut bo = Node::of_kind(2, Kind { answer_deadline: Duration::from_secs(60), ..USUAL }).await;
    let (mut eve, mut ann) = (Node::of_kind(1, impatient).await, Node::start(3).await);
    eve.connect(&mut bo).await;
    ann.connect(&mut bo).await;
    let flood = 400;
    for id in 0..flood {
        eve.send(&bo, b"again", id);
    }
    let mut failed = 0;
    while failed < flood {
        if let Event::Undelivered { why, .. } = eve.event().await {
            assert!(matches!(why, Undelivered::Busy | Undelivered::Refused), "{why:?}");
            failed += 1;
        }
    }
    ann.send(&bo, b"hello", 1);
    let mut from_eve = 0;
    loop {
        let (from, bytes, receipt) = bo.message().await;
        if from == ann.id {
            assert_eq!(bytes, b"hello");
            bo.handle.command(Command::Acknowledge { receipt });
            break;
        }
        from_eve += 1;
    }
    assert_eq!(ann.news().await, Event::Delivered { to: bo.id, id: 1 });
    assert!(from_eve <= limits::MAX_PENDING_RECEIPTS / 8, "{from_eve} messages wait for the session");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_heard_each_time_is_not_heard_as_often_as_it_likes() {
    let impatient = Kind { answer_deadline: Duration::from_millis(500), ..USUAL };
    let (mut eve, mut bo) = (Node::of_kind(1, impatient).await, Node::start(2).await);
    eve.connect(&mut bo).await;
    let begun = Instant::now();
    let mut heard = 0;
    for batch in 0..6 {
        for id in 0..30 {
            eve.send(&bo, b"again", 30 * batch + id);
        }
        let mut settled = 0;
        while settled < 30 {
            tokio::select! {
                (_, _, receipt) = bo.message() => {
                    heard += 1;
                    bo.handle.command(Command::Acknowledge { receipt });
                }
                event = eve.event() => {
                    settled += u32::from(matches!(event, Event::Delivered { .. } | Event::Undelivered { .. }));
                }
            }
        }
    }
    let allowed = limits::MESSAGE_BURST + limits::MESSAGE_RATE * begun.elapsed().as_secs_f64();
    assert!(heard >= 30 && f64::from(heard) <= allowed + 1.0, "{heard} of {allowed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bootstrap_address_needs_no_name() {
    for transport in [Transport::Tcp, Transport::Quic] {
        let (mut ann, mut bo) = (Node::start(1).await, Node::start(2).await);
        bo.addresses.retain(|address| address.transport == transport);
        ann.handle.command(Command::Dial { peer: None, addresses: bo.addresses.clone() });
        assert_eq!(ann.event().await, Event::Connected { peer: bo.id, remote: Some(bo.addresses[0]) });
        assert!(matches!(bo.event().await, Event::Connected { peer, .. } if peer == ann.id));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dial_that_fails_says_why() {
    let (mut ann, bo) = (Node::start(1).await, Node::start(2).await);
    let absent = TransportId::from_bytes(*transport_id(&[9; 32]).as_bytes());
    ann.handle.command(Command::Dial { peer: Some(absent), addresses: Vec::new() });
    let failed = |reason: &str| Event::DialFailed { peer: Some(absent), reason: reason.into() };
    assert_eq!(ann.event().await, failed("no address of it is known"));
    ann.handle.command(Command::Dial { peer: Some(absent), addresses: bo.addresses[..1].to_vec() });
    assert_eq!(ann.event().await, failed("somebody else answers at its address"));
    let closed = Address { port: 1, ..bo.addresses[0] };
    ann.handle.command(Command::Dial { peer: None, addresses: vec![closed] });
    let reason = "its address does not answer".into();
    assert_eq!(ann.event().await, Event::DialFailed { peer: None, reason });
    ann.handle.command(Command::Send { to: transport_id(&[8; 32]), bytes: vec![1], id: 5 });
    let why = Undelivered::Unreachable;
    assert_eq!(ann.event().await, Event::Undelivered { to: transport_id(&[8; 32]), id: 5, why });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hear_each_other_unaltered_and_in_order() {
    let (mut ann, mut bo) = (Node::start(1).await, Node::start(2).await);
    ann.connect(&mut bo).await;
    let (offerer, answerer) = ann.talk_to(&mut bo).await;
    assert!(offerer < 2_000 && answerer < 2_000, "set-up took {offerer} and {answerer} ms");
    let mut nodes = [&mut ann, &mut bo];
    let heard = converse(&mut nodes, 500).await;
    assert_everyone_was_understood(&nodes, &heard, 500);
    let rtt = ann.until(|event| if let Event::MediaRtt { rtt_ms, .. } = event { Some(rtt_ms) } else { None }).await;
    assert!(rtt > 0.0 && rtt < 500.0, "{rtt} ms on loopback");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_make_a_full_mesh() {
    let (mut ann, mut bo, mut cy) = (Node::start(1).await, Node::start(2).await, Node::start(3).await);
    ann.connect(&mut bo).await;
    ann.connect(&mut cy).await;
    bo.connect(&mut cy).await;
    ann.talk_to(&mut bo).await;
    ann.talk_to(&mut cy).await;
    bo.talk_to(&mut cy).await;
    let mut nodes = [&mut ann, &mut bo, &mut cy];
    let heard = converse(&mut nodes, 200).await;
    assert_everyone_was_understood(&nodes, &heard, 200);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn media_closes_and_opens_again() {
    let (mut ann, mut bo) = (Node::start(1).await, Node::start(2).await);
    ann.connect(&mut bo).await;
    ann.talk_to(&mut bo).await;
    ann.handle.command(Command::CloseMedia { peer: bo.id });
    bo.handle.command(Command::CloseMedia { peer: ann.id });
    tokio::time::sleep(Duration::from_millis(200)).await;
    ann.say(&packet(0, 0));
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(bo.heard(), [], "a closed connection carries nothing");
    // Replaced without being closed, and in the other direction.
    ann.talk_to(&mut bo).await;
    bo.talk_to(&mut ann).await;
    // Until the old one is closed, what is said comes by both.
    tokio::time::sleep(Duration::from_millis(600)).await;
    let mut nodes = [&mut ann, &mut bo];
    let heard = converse(&mut nodes, 100).await;
    assert_everyone_was_understood(&nodes, &heard, 100);
    let quiet = |event: &Event| matches!(event, Event::MediaRtt { .. });
    ann.nothing_else_for(Duration::from_millis(300), quiet).await;
    bo.nothing_else_for(Duration::from_millis(300), quiet).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_description_that_is_not_ours_is_refused() {
    let (mut ann, bo) = (Node::start(1).await, Node::start(2).await);
    let video = "v=0\r\na=fingerprint:sha-256 AB\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n";
    for (sdp, reason) in [
        (video.to_string(), "the description is not one of a single audio stream"),
        ("x".repeat(60_000), "the description is too long"),
    ] {
        ann.handle.command(Command::AcceptOffer { peer: bo.id, sdp, number: 1 });
        assert_eq!(ann.event().await, Event::MediaDown { peer: bo.id, reason: reason.into() });
    }
    let nonsense = "v=0\r\na=fingerprint:sha-256 AB\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n".into();
    ann.handle.command(Command::AcceptOffer { peer: bo.id, sdp: nonsense, number: 2 });
    assert!(matches!(ann.event().await, Event::MediaDown { .. }));
    // The answer to no offer, candidates for no connection: nothing.
    ann.handle.command(Command::AcceptAnswer { peer: bo.id, sdp: video.into() });
    ann.handle.command(Command::AddCandidate { peer: bo.id, candidate: "x".into(), mid: String::new() });
    ann.nothing_else_for(Duration::from_millis(200), |_| false).await;
}

#[tokio::test]
async fn bad_listen_addresses_are_named() {
    let start_on = |listen: &str| {
        let (_, outbound) = rtrb::RingBuffer::new(1);
        let (inbound, _) = rtrb::RingBuffer::new(1);
        let (_, outbound_streamed) = rtrb::RingBuffer::new(1);
        let (inbound_streamed, _) = rtrb::RingBuffer::new(1);
        let secret = Zeroizing::new([1; 32]);
        let reach = Reach::Direct { listen: vec![listen.into()], mdns: false, dht: Dht::Off, helpers: Vec::new() };
        let config = Config { transport_secret: secret, reach };
        start(config, MediaEnds { outbound, outbound_streamed, inbound, inbound_streamed }).err()
    };
    assert!(matches!(start_on("localhost:4001"), Some(StartError::BadListenAddress(_))));
    assert!(matches!(start_on("/ip4/192.0.2.1/tcp/0"), Some(StartError::Listen { .. })));
}
