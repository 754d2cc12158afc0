//! Sound through a TURN server that is not ours: coturn's.

use std::process::{Child, Command as Program, Stdio};

use super::*;

/// coturn on loopback, until this is dropped.
struct Coturn {
    child: Child,
    relay: Relay,
    _folder: tempfile::TempDir,
}

impl Coturn {
    /// `None` where it is not installed; on CI it must be.
    #[allow(clippy::print_stderr, reason = "what is left out is seen")]
    fn start(way: Way) -> Option<Self> {
        let free = std::net::UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port");
        let folder = tempfile::tempdir().expect("a folder");
        let child = Program::new("turnserver")
            .args([
                "-n",
                "--listening-ip=127.0.0.1",
                "--relay-ip=127.0.0.1",
                "--allow-loopback-peers",
                "--lt-cred-mech",
            ])
            .args([
                "--no-tcp",
                "--no-tls",
                "--no-dtls",
                "--no-cli",
                "--user=ann:secret",
                "--realm=here",
                "--log-file=stdout",
            ])
            .arg(format!("--listening-port={}", free.port()))
            .arg(format!("--pidfile={}", folder.path().join("pid").display()))
            .arg(format!("--db={}", folder.path().join("db").display()))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let child = match child {
            Ok(child) => child,
            Err(error) if std::env::var_os("CI").is_none() => {
                eprintln!("SKIPPED network::relays: turnserver (package coturn): {error}");
                return None;
            }
            Err(error) => panic!("turnserver (package coturn): {error}"),
        };
        let relay = Relay {
            url: format!("turn:{free}?transport=udp"),
            username: "ann".into(),
            credential: Zeroizing::new("secret".into()),
            way,
        };
        Some(Self { child, relay, _folder: folder })
    }

    /// Waits until it answers a STUN binding request (RFC 8489 §5).
    async fn ready(&self) {
        let at = self.relay.url.trim_start_matches("turn:").trim_end_matches("?transport=udp");
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let request = [&[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42][..], &[7; 12]].concat();
        let asked = async {
            loop {
                // Refused while nobody listens.
                let _ = socket.send_to(&request, at).await;
                let _ = timeout(Duration::from_millis(100), socket.readable()).await;
                if socket.try_recv(&mut [0; 200]).is_ok() {
                    return;
                }
            }
        };
        timeout(PATIENCE, asked).await.expect("turnserver answers");
    }
}

impl Drop for Coturn {
    fn drop(&mut self) {
        // An error only says that it has ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Passes on what each says of candidates, until both have media; how each came.
async fn meet(ann: &mut Node, bo: &mut Node) -> [Route; 2] {
    ann.handle.command(Command::OpenMedia { peer: bo.id, number: 1, patient: false });
    let mut routes = [None; 2];
    while routes.contains(&None) {
        let (from_ann, event) = tokio::select! {
            event = ann.event() => (true, event),
            event = bo.event() => (false, event),
        };
        let (speaker, listener) = if from_ann { (&*ann, &*bo) } else { (&*bo, &*ann) };
        match event {
            Event::LocalDescription { kind: DescriptionKind::Offer, sdp, number, .. } => {
                listener.handle.command(Command::AcceptOffer { peer: speaker.id, sdp, number });
            }
            Event::LocalDescription { sdp, .. } => {
                listener.handle.command(Command::AcceptAnswer { peer: speaker.id, sdp });
            }
            Event::LocalCandidate { candidate, mid, .. } => {
                listener.handle.command(Command::AddCandidate { peer: speaker.id, candidate, mid });
            }
            Event::MediaUp { route, .. } => routes[usize::from(!from_ann)] = Some(route),
            Event::MediaDown { reason, .. } => panic!("{reason}"),
            _ => {}
        }
    }
    routes.map(|route| route.expect("both"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_show_no_address_talk_through_a_relay() {
    for (way, both) in [(Way::Relayed, true), (Way::Member, false)] {
        let Some(coturn) = Coturn::start(way) else { return };
        coturn.ready().await;
        // The places are where the other is dialled; media goes through the relay alone.
        let mut bo = Node::start(2).await;
        let mut ann = Node::discreet(1, bo.addresses.clone(), vec![coturn.relay.clone()]);
        bo.handle.command(Command::Servers { servers: vec![coturn.relay.clone()] });
        bo.until(|event| (event == Event::ServersKnown).then_some(())).await;
        ann.connect(&mut bo).await;
        let routes = meet(&mut ann, &mut bo).await;
        assert_eq!((routes[0].way, routes[0].local), (way, "relay"));
        assert_eq!((routes[1].way, routes[1].remote), (way, "relay"), "seen from the other side");
        // The relay's own set-up may still be under way for the first packets.
        for _ in 0..20 {
            ann.say(b"begin");
            bo.say(b"begin");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(ann.heard().len() > 10 && bo.heard().len() > 10);
        let mut nodes = [&mut ann, &mut bo];
        let heard = converse(&mut nodes, 200).await;
        assert_everyone_was_understood(&nodes, &heard, 200);
        if both {
            let rtt =
                ann.until(|event| if let Event::MediaRtt { rtt_ms, .. } = event { Some(rtt_ms) } else { None }).await;
            assert!(rtt < 500.0, "{rtt} ms");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_never_answers_delays_nothing_that_needs_none() {
    let silent = std::net::UdpSocket::bind("127.0.0.1:0").expect("a socket");
    let relay = Relay {
        url: format!("turn:{}?transport=udp", silent.local_addr().expect("bound")),
        username: "ann".into(),
        credential: Zeroizing::new("secret".into()),
        way: Way::Relayed,
    };
    let (mut ann, mut bo) = (Node::start(1).await, Node::start(2).await);
    for node in [&mut ann, &mut bo] {
        node.handle.command(Command::Servers { servers: vec![relay.clone()] });
        node.until(|event| (event == Event::ServersKnown).then_some(())).await;
    }
    ann.connect(&mut bo).await;
    let routes = meet(&mut ann, &mut bo).await;
    assert!(routes.iter().all(|route| route.way == Way::Direct), "{routes:?}");
}
