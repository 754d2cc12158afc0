//! A helper on real sockets, and guests that are plain libp2p nodes.

use std::time::Duration;

use libp2p::multiaddr::Protocol;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, SwarmBuilder, identify, kad, noise, ping, relay, tcp, yamux};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::oneshot;
use tokio::time::timeout;
use zeroize::Zeroizing;

use super::*;
use crate::network::turn::offer::{self, Offer, Refusal};

const PATIENCE: Duration = Duration::from_secs(20);

/// A helper that runs by itself until this is dropped.
struct Running {
    addresses: Vec<Multiaddr>,
    metrics: SocketAddr,
    _stop: oneshot::Sender<()>,
}

async fn run(announce: Vec<IpAddr>, bootstrap: Vec<String>) -> Running {
    let config = Config {
        key: Zeroizing::new(rand::random()),
        listen: vec!["/ip4/127.0.0.1/tcp/0".into(), "/ip4/127.0.0.1/udp/0/quic-v1".into()],
        turn_port: 0,
        announce,
        bootstrap,
        metrics: Some("127.0.0.1:0".parse().unwrap()),
    };
    let mut helper = Helper::start(config).await.unwrap();
    let (addresses, metrics) = loop {
        if let Event::Ready { addresses, metrics, .. } = helper.next_event().await.unwrap() {
            break (addresses, metrics);
        }
    };
    let (stop, stopped) = oneshot::channel::<()>();
    tokio::spawn(async move {
        tokio::select! {
            _ = stopped => {}
            _ = async { while helper.next_event().await.is_ok() {} } => {}
        }
    });
    Running { addresses, metrics: metrics.unwrap(), _stop: stop }
}

#[derive(NetworkBehaviour)]
struct GuestBehaviour {
    relay: relay::client::Behaviour,
    kad: kad::Behaviour<kad::store::MemoryStore>,
    credentials: offer::Behaviour,
    identify: identify::Behaviour,
    ping: ping::Behaviour,
}

struct Guest(Swarm<GuestBehaviour>);

impl Guest {
    fn new() -> Self {
        let swarm = SwarmBuilder::with_new_identity()
            .with_tokio()
            .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_quic()
            .with_relay_client(noise::Config::new, yamux::Config::default)
            .unwrap()
            .with_behaviour(|keypair, relay| {
                let own = keypair.public().to_peer_id();
                let mut kad = kad::Behaviour::with_config(
                    own,
                    kad::store::MemoryStore::new(own),
                    kad::Config::new(swarm::KADEMLIA),
                );
                kad.set_mode(Some(kad::Mode::Client));
                GuestBehaviour {
                    relay,
                    kad,
                    credentials: offer::behaviour(ProtocolSupport::Outbound),
                    identify: identify::Behaviour::new(identify::Config::new("resonance/1".into(), keypair.public())),
                    ping: ping::Behaviour::default(),
                }
            })
            .unwrap()
            .with_swarm_config(|config| config.with_idle_connection_timeout(PATIENCE))
            .build();
        Self(swarm)
    }

    /// Connects to a helper and waits until it has said what it speaks.
    async fn meet(&mut self, address: &Multiaddr) -> Vec<String> {
        self.0.dial(address.clone()).unwrap();
        let info = self
            .until(|event| match event {
                SwarmEvent::Behaviour(GuestBehaviourEvent::Identify(identify::Event::Received { info, .. })) => {
                    Some(info)
                }
                SwarmEvent::OutgoingConnectionError { error, .. } => panic!("{error}"),
                _ => None,
            })
            .await;
        info.protocols.iter().map(ToString::to_string).collect()
    }

    async fn until<T>(&mut self, wanted: impl Fn(SwarmEvent<GuestBehaviourEvent>) -> Option<T>) -> T {
        let search = async {
            loop {
                if let Some(found) = wanted(self.0.select_next_some().await) {
                    return found;
                }
            }
        };
        timeout(PATIENCE, search).await.expect("in time")
    }

    async fn ask_for_credentials(&mut self, helper: PeerId) -> Offer {
        self.0.behaviour_mut().credentials.send_request(&helper, ());
        self.until(|event| match event {
            SwarmEvent::Behaviour(GuestBehaviourEvent::Credentials(request_response::Event::Message {
                message: request_response::Message::Response { response, .. },
                ..
            })) => Some(response),
            SwarmEvent::Behaviour(GuestBehaviourEvent::Credentials(request_response::Event::OutboundFailure {
                error,
                ..
            })) => panic!("{error}"),
            _ => None,
        })
        .await
    }

    /// Goes on living while others act.
    fn live(mut self) {
        tokio::spawn(async move {
            loop {
                self.0.select_next_some().await;
            }
        });
    }
}

fn name_of(address: &Multiaddr) -> PeerId {
    match address.iter().last() {
        Some(Protocol::P2p(peer)) => peer,
        _ => panic!("an address with a name: {address}"),
    }
}

#[tokio::test]
async fn two_guests_connect_through_the_relay_over_tcp_and_quic() {
    let helper = run(Vec::new(), Vec::new()).await;
    assert_eq!(helper.addresses.len(), 2);
    for address in &helper.addresses {
        let (mut ada, mut bo) = (Guest::new(), Guest::new());
        let speaks = ada.meet(address).await;
        for protocol in [
            "/ipfs/kad/1.0.0",
            "/libp2p/circuit/relay/0.2.0/hop",
            "/resonance/turn/1",
            "/libp2p/autonat/2/dial-request",
        ] {
            assert!(speaks.iter().any(|spoken| spoken == protocol), "{protocol} is missing from {speaks:?}");
        }
        ada.0.listen_on(address.clone().with(Protocol::P2pCircuit)).unwrap();
        ada.until(|event| match event {
            SwarmEvent::Behaviour(GuestBehaviourEvent::Relay(relay::client::Event::ReservationReqAccepted {
                limit,
                ..
            })) => Some(limit),
            _ => None,
        })
        .await;
        let to = *ada.0.local_peer_id();
        ada.live();
        bo.0.dial(address.clone().with(Protocol::P2pCircuit).with(Protocol::P2p(to))).unwrap();
        bo.until(|event| match event {
            SwarmEvent::Behaviour(GuestBehaviourEvent::Ping(ping::Event { peer, result: Ok(_), .. })) if peer == to => {
                Some(())
            }
            SwarmEvent::OutgoingConnectionError { error, .. } => panic!("{error}"),
            _ => None,
        })
        .await;
    }
}

#[tokio::test]
async fn who_provides_a_key_is_found_by_another_guest_of_another_helper() {
    let first = run(Vec::new(), Vec::new()).await;
    let second = run(Vec::new(), vec![first.addresses[0].to_string()]).await;
    let key = kad::RecordKey::new(b"\x12\x20 an hourly key of 32 bytes.......");
    let (mut ada, mut bo) = (Guest::new(), Guest::new());
    ada.0.add_external_address("/ip4/127.0.0.1/tcp/9".parse().unwrap());
    ada.meet(&first.addresses[0]).await;
    ada.0.behaviour_mut().kad.add_address(&name_of(&first.addresses[0]), first.addresses[0].clone());
    ada.0.behaviour_mut().kad.start_providing(key.clone()).unwrap();
    ada.until(|event| match event {
        SwarmEvent::Behaviour(GuestBehaviourEvent::Kad(kad::Event::OutboundQueryProgressed {
            result: kad::QueryResult::StartProviding(result),
            ..
        })) => Some(result.expect("published")),
        _ => None,
    })
    .await;
    let expected = *ada.0.local_peer_id();
    ada.live();
    bo.0.behaviour_mut().kad.add_address(&name_of(&second.addresses[0]), second.addresses[0].clone());
    bo.meet(&second.addresses[0]).await;
    // The helpers may not have met yet.
    let search = async {
        loop {
            bo.0.behaviour_mut().kad.get_providers(key.clone());
            let found = bo
                .until(|event| match event {
                    SwarmEvent::Behaviour(GuestBehaviourEvent::Kad(kad::Event::OutboundQueryProgressed {
                        result: kad::QueryResult::GetProviders(result),
                        ..
                    })) => Some(match result {
                        Ok(kad::GetProvidersOk::FoundProviders { providers, .. }) => providers.contains(&expected),
                        _ => false,
                    }),
                    _ => None,
                })
                .await;
            if found {
                return;
            }
        }
    };
    timeout(PATIENCE, search).await.expect("found in time");
}

#[tokio::test]
async fn a_guest_gets_credentials_that_work_and_only_so_many() {
    let helper = run(Vec::new(), Vec::new()).await;
    let mut ada = Guest::new();
    ada.meet(&helper.addresses[0]).await;
    let host = name_of(&helper.addresses[0]);
    let offer = ada.ask_for_credentials(host).await;
    let credentials = offer.expect("credentials");
    assert_eq!(credentials.lifetime, Duration::from_secs(600));
    assert!(credentials.servers.iter().all(|server| server.ip().is_loopback() && server.port() != 0));
    let mut refused = 0;
    for _ in 0..20 {
        refused += u32::from(ada.ask_for_credentials(host).await.err() == Some(Refusal::TooOften));
    }
    assert_eq!(refused, 15);
    let figures = scrape(helper.metrics, "GET /metrics HTTP/1.1").await;
    assert!(figures.starts_with("HTTP/1.1 200 OK\r\n"), "{figures}");
    for line in
        ["turn_credentials_issued_total 6", "turn_credentials_refused_total 15", "turn_users 1", "connections 1"]
    {
        assert!(figures.contains(&format!("\nresonance_helper_{line}\n")), "{line} is missing from {figures}");
    }
    assert!(scrape(helper.metrics, "GET / HTTP/1.1").await.starts_with("HTTP/1.1 404"));
    assert!(scrape(helper.metrics, "\0\0\0").await.starts_with("HTTP/1.1 404"));
}

async fn scrape(address: SocketAddr, line: &str) -> String {
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(format!("{line}\r\nHost: x\r\n\r\n").as_bytes()).await.unwrap();
    let mut answer = String::new();
    timeout(PATIENCE, stream.read_to_string(&mut answer)).await.expect("in time").unwrap();
    answer
}

#[tokio::test]
async fn a_slow_or_endless_scraper_holds_nobody_up() {
    let helper = run(Vec::new(), Vec::new()).await;
    let mut silent = Vec::new();
    for _ in 0..8 {
        silent.push(tokio::net::TcpStream::connect(helper.metrics).await.unwrap());
    }
    let mut endless = silent.pop().unwrap();
    // Until it is cut off.
    while endless.write_all(&[b'x'; 4_096]).await.is_ok() {}
    assert!(
        scrape(helper.metrics, "GET /metrics HTTP/1.1").await.contains("uptime"),
        "after the silent ones' time is up"
    );
}

#[tokio::test]
async fn one_place_cannot_take_all_connections() {
    let helper = run(Vec::new(), Vec::new()).await;
    let mut served = 0;
    for _ in 0..80 {
        let mut guest = Guest::new();
        guest.0.dial(helper.addresses[0].clone()).unwrap();
        let met = guest
            .until(|event| match event {
                SwarmEvent::Behaviour(GuestBehaviourEvent::Identify(identify::Event::Received { .. })) => Some(true),
                SwarmEvent::OutgoingConnectionError { .. } | SwarmEvent::ConnectionClosed { .. } => Some(false),
                _ => None,
            })
            .await;
        served += u32::from(met);
        guest.live();
    }
    assert_eq!(served, 64);
}

#[tokio::test]
async fn what_is_announced_is_what_others_are_told() {
    let helper = run(vec!["203.0.113.9".parse().unwrap()], Vec::new()).await;
    let texts: Vec<String> = helper.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(texts.len(), 2);
    assert!(texts.iter().all(|text| text.starts_with("/ip4/203.0.113.9/") && text.contains("/p2p/")), "{texts:?}");
}
