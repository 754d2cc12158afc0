//! Which protocols a helper speaks, and within which bounds.

use std::num::NonZeroU32;
use std::time::Duration;

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::core::Transport;
use libp2p::core::muxing::StreamMuxerBox;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::request_response::ProtocolSupport;
use libp2p::swarm::NetworkBehaviour;
use libp2p::{
    PeerId, StreamProtocol, Swarm, SwarmBuilder, autonat, identify, kad, noise, ping, quic, relay, tcp, yamux,
};

use super::gate::Gate;
use super::lawful::{Lawful, Policy};
use crate::network::records::{MAX_AT_HELPER, PROVIDER_TTL, Records};
use crate::network::turn::offer;

/// The public DHT's protocol.
pub(super) const KADEMLIA: StreamProtocol = StreamProtocol::new("/ipfs/kad/1.0.0");

/// How long a connection lasts on which nothing happens: longer than between two questions of somebody who looks for others.
const IDLE_TIMEOUT: Duration = Duration::from_secs(120);

/// How often a connection is probed, and how long an answer may take before it counts as dead: circuits to whoever has moved would
/// otherwise be led into its old connection.
const PING_INTERVAL: Duration = Duration::from_secs(5);
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections of one peer: two transports, and one more while its network changes.
const MAX_CONNECTIONS_PER_PEER: u32 = 4;

/// Connections from one network, an office or a carrier's NAT say.
const MAX_CONNECTIONS_PER_NETWORK: usize = 64;

/// Connections that are still being set up, in each direction.
const MAX_PENDING_CONNECTIONS: u32 = 256;

/// Streams that are still being set up on a connection.
const MAX_NEGOTIATING_STREAMS: usize = 64;

/// How long a reservation holds until it is renewed.
const RESERVATION_DURATION: Duration = Duration::from_secs(60 * 60);

/// How long a circuit lasts: a long evening. Whoever talks on makes a new one.
const CIRCUIT_DURATION: Duration = Duration::from_secs(12 * 60 * 60);

/// Bytes through a circuit: sealed speech both ways is 150 MB an hour.
const CIRCUIT_BYTES: u64 = 4 << 30;

/// Circuits of one peer: to or from each of seven others, each perhaps being replaced, in two sessions.
const MAX_CIRCUITS_PER_PEER: usize = 28;

/// Reservations of one peer: over each of its connections.
const MAX_RESERVATIONS_PER_PEER: usize = 4;

/// What is counted in total; everything takes a file or two.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// Connections.
    pub(super) connections: u32,
    /// Relayed addresses of the TURN server.
    pub(super) allocations: usize,
    /// Circuits between two connections.
    pub(super) circuits: usize,
}

impl Bounds {
    /// For a process that may have so many files open: half of them, but a few, for connections, half for relayed addresses.
    pub(super) fn for_files(files: u64) -> Self {
        /// Standard streams, listeners, timers, name service.
        const RESERVED: u64 = 64;
        let half = files.saturating_sub(RESERVED).min(16_384) / 2;
        Self { connections: half as u32, allocations: half as usize, circuits: 2 * half as usize }
    }
}

/// Everything that is spoken on a connection.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    pub(super) limits: connection_limits::Behaviour,
    pub(super) gate: Gate,
    pub(super) kad: kad::Behaviour<Records>,
    pub(super) relay: relay::Behaviour,
    pub(super) autonat: autonat::v2::server::Behaviour,
    pub(super) credentials: offer::Behaviour,
    pub(super) identify: identify::Behaviour,
    pub(super) ping: ping::Behaviour,
}

/// Builds the swarm; it listens nowhere yet.
///
/// # Errors
///
/// A sentence, when a transport cannot be set up.
pub(super) fn build(keypair: Keypair, bounds: &Bounds, policy: Policy) -> Result<Swarm<Behaviour>, String> {
    let swarm = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_other_transport(|keypair| {
            let tcp = tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
                .upgrade(Version::V1Lazy)
                .authenticate(noise::Config::new(keypair)?)
                .multiplex(yamux::Config::default())
                .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
            let quic = quic::tokio::Transport::new(quic::Config::new(keypair))
                .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(muxer)));
            Ok(Lawful::new(tcp.or_transport(quic).map(|either, _| either.into_inner()).boxed(), policy))
        })
        .map_err(|error| error.to_string())?
        .with_behaviour(|keypair| behaviour(keypair, bounds))
        .map_err(|error| error.to_string())?
        .with_swarm_config(|config| {
            config
                .with_idle_connection_timeout(IDLE_TIMEOUT)
                .with_max_negotiating_inbound_streams(MAX_NEGOTIATING_STREAMS)
        })
        .build();
    Ok(swarm)
}

fn behaviour(keypair: &Keypair, bounds: &Bounds) -> Behaviour {
    let own = keypair.public().to_peer_id();
    let limits = ConnectionLimits::default()
        .with_max_pending_incoming(Some(MAX_PENDING_CONNECTIONS))
        .with_max_pending_outgoing(Some(MAX_PENDING_CONNECTIONS))
        .with_max_established(Some(bounds.connections))
        .with_max_established_per_peer(Some(MAX_CONNECTIONS_PER_PEER));
    // Nobody needs its addresses from identify but the DHT; its version is nobody's business.
    let identify = identify::Config::new_with_signed_peer_record("resonance/1".into(), keypair)
        .with_agent_version("resonance-helper".into())
        .with_cache_size(0);
    let mut relay = relay::Behaviour::new(own, relay_config(bounds));
    relay.set_status(Some(relay::Status::Enable));
    Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        gate: Gate::new(MAX_CONNECTIONS_PER_NETWORK),
        kad: dht(own),
        relay,
        autonat: autonat::v2::server::Behaviour::default(),
        credentials: offer::behaviour(ProtocolSupport::Inbound),
        identify: identify::Behaviour::new(identify),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_INTERVAL).with_timeout(PING_TIMEOUT)),
    }
}

fn dht(own: PeerId) -> kad::Behaviour<Records> {
    let mut config = kad::Config::new(KADEMLIA);
    config.set_provider_record_ttl(Some(PROVIDER_TTL));
    let mut kad = kad::Behaviour::with_config(own, Records::new(own, MAX_AT_HELPER), config);
    kad.set_mode(Some(kad::Mode::Server));
    kad
}

/// Wide enough for hours of sound, and counted in every direction.
fn relay_config(bounds: &Bounds) -> relay::Config {
    let rate = |limit: u32| NonZeroU32::new(limit).unwrap_or(NonZeroU32::MIN);
    let config = relay::Config {
        max_reservations: bounds.connections as usize,
        max_reservations_per_peer: MAX_RESERVATIONS_PER_PEER,
        reservation_duration: RESERVATION_DURATION,
        reservation_rate_limiters: Vec::new(),
        max_circuits: bounds.circuits,
        max_circuits_per_peer: MAX_CIRCUITS_PER_PEER,
        max_circuit_duration: CIRCUIT_DURATION,
        max_circuit_bytes: CIRCUIT_BYTES,
        circuit_src_rate_limiters: Vec::new(),
    };
    // So many at once, and then one more each time that the interval has passed.
    config
        .reservation_rate_per_peer(rate(20), Duration::from_secs(30))
        .reservation_rate_per_ip(rate(120), Duration::from_secs(5))
        .circuit_src_per_peer(rate(60), Duration::from_secs(10))
        .circuit_src_per_ip(rate(300), Duration::from_secs(2))
}
