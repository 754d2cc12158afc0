//! Calling on a helper, or on any node of the DHT: does it answer, and what does it offer?

use std::time::{Duration, Instant};

use futures::StreamExt;
use libp2p::core::multiaddr::Protocol;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::swarm::{NetworkBehaviour, SwarmEvent};
use libp2p::{Multiaddr, PeerId, Swarm, SwarmBuilder, identify, noise, relay, tcp, yamux};
use tokio::time::{Instant as Deadline, timeout_at};

use super::PATIENCE;
use crate::network::turn::Credentials;
use crate::network::turn::offer;

/// What a DHT server speaks.
const KADEMLIA: &str = "/ipfs/kad/1.0.0";

/// What a relay speaks.
const HOP: &str = "/libp2p/circuit/relay/0.2.0/hop";

/// What was found at an address.
#[derive(Default)]
pub struct Visit {
    /// How long the connection took; `None` when nobody answered.
    pub connected: Option<Duration>,
    /// It is a server of the DHT.
    pub dht: bool,
    /// It calls itself a relay.
    pub relay: bool,
    /// It took a reservation: others can reach us through it.
    pub reserved: bool,
    /// It gave credentials for its STUN and TURN server.
    pub credentials: Option<Credentials>,
}

#[derive(NetworkBehaviour)]
struct Behaviour {
    identify: identify::Behaviour,
    relay: relay::client::Behaviour,
    credentials: offer::Behaviour,
}

/// Calls on whoever is at `address`, a multiaddr. Takes as long as that one takes to answer, and at most 5 s.
///
/// # Errors
///
/// A sentence, when the address is none or the network cannot be set up.
pub async fn visit(address: &str) -> Result<Visit, String> {
    let address: Multiaddr = address.parse().map_err(|_| "this is not a multiaddr".to_owned())?;
    let mut caller = Caller { swarm: build()?, address, visit: Visit::default(), host: None, open: vec![] };
    let begun = Instant::now();
    caller.swarm.dial(DialOpts::from(caller.address.clone())).map_err(|_| "this cannot be dialled".to_owned())?;
    let deadline = Deadline::now() + PATIENCE;
    while !caller.is_done() {
        let Ok(event) = timeout_at(deadline, caller.swarm.select_next_some()).await else { break };
        caller.on_event(event, begun);
    }
    Ok(caller.visit)
}

fn build() -> Result<Swarm<Behaviour>, String> {
    let swarm = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .map_err(|error| error.to_string())?
        .with_quic()
        .with_dns()
        .map_err(|error| error.to_string())?
        .with_relay_client(noise::Config::new, yamux::Config::default)
        .map_err(|error| error.to_string())?
        .with_behaviour(|keypair, relay| {
            let identify = identify::Config::new("resonance/1".into(), keypair.public())
                .with_agent_version("resonance".into())
                .with_hide_listen_addrs(true);
            Behaviour {
                identify: identify::Behaviour::new(identify),
                relay,
                credentials: offer::behaviour(ProtocolSupport::Outbound),
            }
        })
        .map_err(|error| error.to_string())?
        .with_swarm_config(|config| config.with_idle_connection_timeout(PATIENCE))
        .build();
    Ok(swarm)
}

/// What is still asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Question {
    Reservation,
    Credentials,
}

struct Caller {
    swarm: Swarm<Behaviour>,
    address: Multiaddr,
    visit: Visit,
    /// Who answered, once it has said what it speaks; nothing more comes after a failure.
    host: Option<Result<PeerId, ()>>,
    open: Vec<Question>,
}

impl Caller {
    fn is_done(&self) -> bool {
        self.host.is_some() && self.open.is_empty()
    }

    fn answered(&mut self, question: Question) {
        self.open.retain(|open| *open != question);
    }

    fn on_event(&mut self, event: SwarmEvent<BehaviourEvent>, begun: Instant) {
        match event {
            SwarmEvent::ConnectionEstablished { .. } => {
                self.visit.connected.get_or_insert_with(|| begun.elapsed());
            }
            SwarmEvent::OutgoingConnectionError { .. } if self.visit.connected.is_none() => self.host = Some(Err(())),
            SwarmEvent::Behaviour(BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. })) => {
                self.on_identified(peer_id, &info);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Relay(relay::client::Event::ReservationReqAccepted { .. })) => {
                self.visit.reserved = true;
                self.answered(Question::Reservation);
            }
            SwarmEvent::ListenerClosed { .. } | SwarmEvent::ListenerError { .. } => {
                self.answered(Question::Reservation);
            }
            SwarmEvent::Behaviour(BehaviourEvent::Credentials(event)) => self.on_credentials(event),
            _ => {}
        }
    }

    fn on_identified(&mut self, host: PeerId, info: &identify::Info) {
        if self.host.is_some() {
            return;
        }
        self.host = Some(Ok(host));
        let speaks = |name: &str| info.protocols.iter().any(|protocol| protocol.as_ref() == name);
        (self.visit.dht, self.visit.relay) = (speaks(KADEMLIA), speaks(HOP));
        if speaks(offer::PROTOCOL.as_ref()) {
            self.swarm.behaviour_mut().credentials.send_request(&host, ());
            self.open.push(Question::Credentials);
        }
        let mut base = self.address.clone();
        if !matches!(base.iter().last(), Some(Protocol::P2p(_))) {
            base.push(Protocol::P2p(host));
        }
        if self.visit.relay && self.swarm.listen_on(base.with(Protocol::P2pCircuit)).is_ok() {
            self.open.push(Question::Reservation);
        }
    }

    fn on_credentials(&mut self, event: request_response::Event<(), offer::Offer>) {
        if let request_response::Event::Message {
            message: request_response::Message::Response { response, .. }, ..
        } = event
        {
            self.visit.credentials = response.ok();
        }
        self.answered(Question::Credentials);
    }
}
