//! Meeting through others: the distributed hash table, and helpers that relay. The others are nodes of the library as it comes.

use super::*;
use futures::StreamExt;
use libp2p::core::PeerRecord;
use libp2p::kad::store::MemoryStore;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Swarm, SwarmBuilder, autonat, identify, kad, noise, relay, tcp, yamux};
use tokio::task::JoinHandle;

#[derive(NetworkBehaviour)]
struct OutsideBehaviour {
    identify: identify::Behaviour,
    table: kad::Behaviour<MemoryStore>,
    relay: relay::Behaviour,
    autonat: autonat::v2::server::Behaviour,
}

/// A node outside the session; ends when dropped.
struct Outside {
    places: Vec<Place>,
    task: JoinHandle<()>,
}

impl Drop for Outside {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Outside {
    fn swarm() -> Swarm<OutsideBehaviour> {
        SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_quic()
            .with_behaviour(|keypair| {
                let me = keypair.public().to_peer_id();
                let mut table = kad::Behaviour::new(me, MemoryStore::new(me));
                table.set_mode(Some(kad::Mode::Server));
                OutsideBehaviour {
                    identify: identify::Behaviour::new(identify::Config::new("outside/1".into(), keypair.public())),
                    table,
                    relay: relay::Behaviour::new(me, relay::Config::default()),
                    autonat: autonat::v2::server::Behaviour::default(),
                }
            })
            .unwrap()
            .build()
    }

    /// A node of the table, entered at `entrance`, which relays for everybody.
    async fn start(entrance: Option<&Outside>) -> Self {
        let mut swarm = Self::swarm();
        for at in ["/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"] {
            swarm.listen_on(at.parse().unwrap()).unwrap();
        }
        let mut places = Vec::new();
        while places.len() < 2 {
            if let SwarmEvent::NewListenAddr { address, .. } = swarm.select_next_some().await {
                places.push(Place::parse(&format!("{address}/p2p/{}", swarm.local_peer_id())).unwrap());
                swarm.add_external_address(address);
            }
        }
        if let Some(entrance) = entrance {
            let at = entrance.places[0].multiaddr().clone();
            swarm.behaviour_mut().table.add_address(&entrance.places[0].peer_id().unwrap(), at);
            swarm.behaviour_mut().table.bootstrap().unwrap();
        }
        let task = tokio::spawn(async move {
            loop {
                swarm.select_next_some().await;
            }
        });
        Self { places, task }
    }
}

fn found_by(dht: Vec<Place>, helpers: Vec<Place>) -> Reach {
    let listen = vec!["/ip4/127.0.0.1/tcp/0".into(), "/ip4/127.0.0.1/udp/0/quic-v1".into()];
    Reach::Direct { listen, mdns: false, dht: Dht::At(dht), helpers }
}

/// Where others reach us is told under our signature: whoever passes it on cannot change it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stranger_is_told_of_our_addresses_is_signed_by_us() {
    let ann = Node::start(37).await;
    let mut stranger = Outside::swarm();
    stranger.dial(address::multiaddr(&ann.addresses[0])).unwrap();
    let told = async {
        loop {
            let event = stranger.select_next_some().await;
            if let SwarmEvent::Behaviour(OutsideBehaviourEvent::Identify(identify::Event::Received { info, .. })) =
                event
            {
                return info;
            }
        }
    };
    let info = timeout(PATIENCE, told).await.expect("it says who it is");
    let record = PeerRecord::from_signed_envelope(info.signed_peer_record.expect("signed")).expect("and by whom");
    assert_eq!(Some(record.peer_id()), address::peer_id(&ann.id));
    assert_eq!(record.addresses(), info.listen_addrs, "and nothing is told beside it");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_know_nothing_but_a_key_meet_in_the_table() {
    let first = Outside::start(None).await;
    let mut others = Vec::new();
    for _ in 0..4 {
        others.push(Outside::start(Some(&first)).await);
    }
    let mut ann = Node::reaching(31, USUAL, found_by(others[0].places.clone(), Vec::new()));
    let mut bo = Node::reaching(32, USUAL, found_by(others[1].places.clone(), Vec::new()));
    let mut eve = Node::reaching(33, USUAL, found_by(others[2].places.clone(), Vec::new()));
    let hours = |own: u8| Command::Meet {
        own: [own; 32],
        keys: vec![[own - 1; 32], [own; 32], [own + 1; 32]],
        haste: Haste::Seek,
    };
    // Bo's clock is an hour ahead; Eve is of another session.
    ann.handle.command(hours(50));
    bo.handle.command(hours(51));
    eve.handle.command(hours(90));
    let (a, b) = (ann.id, bo.id);
    let met = async |node: &mut Node, other: TransportId| {
        let mut connected = false;
        node.until(|event| {
            connected |= matches!(event, Event::Connected { peer, .. } if peer == other);
            connected.then_some(())
        })
        .await;
    };
    tokio::join!(met(&mut ann, b), met(&mut bo, a));
    eve.nothing_else_for(Duration::from_secs(2), |event| !matches!(event, Event::Discovered { .. })).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_show_their_address_to_nobody_but_a_helper_meet_through_it() {
    let helper = Outside::start(None).await;
    let reach = || Reach::Only { helpers: vec![helper.places[0].clone()], places: Vec::new(), relays: Vec::new() };
    let mut ann = Node::reaching(41, USUAL, reach());
    let at_helper = |event| match event {
        Event::Reached { address, compact } => Some((address, compact)),
        _ => None,
    };
    let (circuit, compact) = ann.until(at_helper).await;
    assert!(circuit.contains("/p2p-circuit"), "{circuit}");
    assert_eq!(
        (compact.listener, Some(compact.port)),
        (Listener::Helper, helper.places[0].address().map(|at| at.port))
    );

    let mut bo = Node::reaching(42, USUAL, reach());
    bo.handle.command(Command::Dial { peer: Some(ann.id), addresses: vec![compact] });
    let connected = |event| match event {
        Event::Connected { peer, remote } => Some((peer, remote)),
        _ => None,
    };
    assert_eq!(bo.until(connected).await, (ann.id, None), "nobody sees where the other is");
    assert_eq!(ann.until(connected).await, (bo.id, None));
    bo.send(&ann, b"sealed", 7);
    let message = |event| match event {
        Event::Message { bytes, receipt, .. } => Some((bytes, receipt)),
        _ => None,
    };
    let (bytes, receipt) = ann.until(message).await;
    assert_eq!(bytes, b"sealed");
    ann.handle.command(Command::Acknowledge { receipt });
    bo.until(|event| matches!(event, Event::Delivered { id: 7, .. }).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_who_do_not_reach_each_other_meet_through_a_member_whom_both_reach() {
    let mut middle = Node::start(51).await;
    let mut ann = Node::start(52).await;
    let mut bo = Node::start(53).await;
    // Whoever is acknowledged belongs to the session.
    for node in [&mut ann, &mut bo] {
        node.connect(&mut middle).await;
        node.send(&middle, b"sealed", 1);
        let receipt = middle
            .until(|event| match event {
                Event::Message { receipt, .. } => Some(receipt),
                _ => None,
            })
            .await;
        middle.handle.command(Command::Acknowledge { receipt });
        node.until(|event| matches!(event, Event::Delivered { .. }).then_some(())).await;
        middle.send(node, b"sealed", 2);
        let receipt = node
            .until(|event| match event {
                Event::Message { receipt, .. } => Some(receipt),
                _ => None,
            })
            .await;
        node.handle.command(Command::Acknowledge { receipt });
        let reserved = |event| match event {
            Event::Listening { address, .. } => address.contains("/p2p-circuit").then_some(()),
            _ => None,
        };
        node.until(reserved).await;
    }
    // No address of Bo's is known to Ann.
    ann.handle.command(Command::Dial { peer: Some(bo.id), addresses: Vec::new() });
    let them = bo.id;
    ann.until(|event| matches!(event, Event::Connected { peer, .. } if peer == them).then_some(())).await;
}
