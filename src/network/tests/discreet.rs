//! A node that shows its address only where it was told to.

use super::*;
use tokio::net::UdpSocket;

/// Time in which whatever leaks would have come: checks start 20 ms after the answer.
const LOOK: Duration = Duration::from_millis(1_500);

/// The first datagram that comes to `socket` once a node has tried for a while to reach it, as the only candidate of its peer.
async fn knocks(node: &mut Node, peer: &mut Node, socket: &UdpSocket) -> Option<usize> {
    node.connect(peer).await;
    node.handle.command(Command::OpenMedia { peer: peer.id, number: 1, patient: false });
    let sdp = node.description(DescriptionKind::Offer).await;
    peer.handle.command(Command::AcceptOffer { peer: node.id, sdp, number: 1 });
    let answer = peer.description(DescriptionKind::Answer).await;
    let mut led_here: String =
        answer.lines().filter(|line| !line.starts_with("a=candidate")).map(|line| format!("{line}\r\n")).collect();
    let at = socket.local_addr().unwrap();
    led_here += &format!("a=candidate:1 1 udp 2130706431 {} {} typ host\r\n", at.ip(), at.port());
    node.handle.command(Command::AcceptAnswer { peer: peer.id, sdp: led_here });
    let mut datagram = [0; 2_048];
    timeout(LOOK, socket.recv(&mut datagram)).await.ok().and_then(Result::ok)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_relayed_mode_no_description_has_an_address_and_no_packet_leaves() {
    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let mut peer = Node::start(1).await;
    let mut open = Node::start(2).await;
    assert!(knocks(&mut open, &mut peer, &socket).await.is_some(), "the look sees what there is");

    let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    // It never answers, so that nothing is gathered but what must not be.
    let turn = UdpSocket::bind("127.0.0.1:0").await.unwrap();
    let relay = Relay {
        url: format!("turn:{}?transport=udp", turn.local_addr().unwrap()),
        username: "somebody".into(),
        credential: Zeroizing::new("secret".into()),
        way: Way::Relayed,
    };
    let mut peer = Node::start(3).await;
    let mut discreet = Node::discreet(4, peer.addresses.clone(), vec![relay]);
    assert_eq!(knocks(&mut discreet, &mut peer, &socket).await, None, "not one packet");
    let mut asked = [0; 2_048];
    assert!(turn.try_recv(&mut asked).is_ok(), "the relay was asked instead");

    discreet.handle.command(Command::OpenMedia { peer: peer.id, number: 1, patient: false });
    let offer = discreet.description(DescriptionKind::Offer).await;
    open.handle.command(Command::OpenMedia { peer: discreet.id, number: 1, patient: false });
    let sdp = open.description(DescriptionKind::Offer).await;
    discreet.handle.command(Command::AcceptOffer { peer: open.id, sdp, number: 2 });
    let answer = discreet.description(DescriptionKind::Answer).await;
    for sdp in [offer, answer] {
        assert!(!sdp.contains("a=candidate:"), "no relay answers, so nothing is gathered:\n{sdp}");
        let addresses = sdp.split_ascii_whitespace().filter_map(|word| word.parse::<std::net::IpAddr>().ok());
        assert!(addresses.into_iter().all(|address| address.is_unspecified()), "{sdp}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_relayed_mode_only_named_places_are_dialled_and_nothing_listens() {
    let mut helper = Node::start(5).await;
    let stranger = Node::start(6).await;
    let watched = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let introduced = Address {
        ip: [127, 0, 0, 1].into(),
        port: watched.local_addr().unwrap().port(),
        transport: Transport::Tcp,
        listener: Listener::Peer,
    };
    let mut discreet = Node::discreet(7, vec![helper.addresses[0]], Vec::new());

    discreet.handle.command(Command::Dial { peer: Some(stranger.id), addresses: vec![introduced] });
    let refused = |event| matches!(event, Event::DialFailed { peer: Some(_), .. }).then_some(());
    discreet.until(refused).await;
    // Without a name there is nobody of whom to say so.
    discreet.handle.command(Command::Dial { peer: None, addresses: vec![introduced] });
    discreet.send(&stranger, b"sealed", 1);
    let unreachable = |event| matches!(event, Event::Undelivered { id: 1, why, .. } if why == Undelivered::Unreachable);
    discreet.until(|event| unreachable(event).then_some(())).await;

    discreet.handle.command(Command::OpenMedia { peer: stranger.id, number: 1, patient: false });
    let down = |event| matches!(event, Event::MediaDown { .. }).then_some(());
    discreet.until(down).await;

    // A place that was named is dialled, even among others; it learns nothing by which to connect back.
    let addresses = [vec![introduced], helper.addresses.clone()].concat();
    discreet.handle.command(Command::Dial { peer: Some(helper.id), addresses });
    let me = discreet.id;
    let found = |event| match event {
        Event::Connected { peer, remote } if peer == me => Some(remote),
        _ => None,
    };
    assert!(helper.until(found).await.is_some());
    discreet.until(|event| matches!(event, Event::Connected { .. }).then_some(())).await;
    let tried = timeout(Duration::from_millis(500), watched.accept()).await;
    assert!(tried.is_err(), "nobody came to the introduced address");
    discreet.nothing_else_for(Duration::from_millis(100), |event| !matches!(event, Event::Listening { .. })).await;
}
