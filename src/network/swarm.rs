//! The libp2p side: which protocols are spoken, over which transports, within which bounds.

use std::num::NonZeroU8;
use std::time::Duration;

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::identity::Keypair;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{StreamProtocol, Swarm, SwarmBuilder, identify, mdns, noise, ping, tcp, yamux};

use resonance_protocol::peer::Address;

use super::limits::{
    IDLE_TIMEOUT, MAX_ADDRESSES_PER_PEER, MAX_CONNECTIONS, MAX_CONNECTIONS_PER_PEER, MAX_PENDING_CONNECTIONS,
    MAX_STREAMS_PER_CONNECTION,
};
use super::signalling::SignallingCodec;
use super::stream_protocol;

/// How often a connection is probed. A probe that goes unanswered for [`PING_TIMEOUT`] ends the connection.
const PING_INTERVAL: Duration = Duration::from_secs(5);

/// See [`PING_INTERVAL`].
const PING_TIMEOUT: Duration = Duration::from_secs(10);

/// How often the local network is asked again once somebody was found; before that the library asks after 0, 0.5, 1, 2,
/// 4 … seconds.
const MDNS_QUERY_INTERVAL: Duration = Duration::from_secs(30);

/// How long an announcement on the local network holds.
const MDNS_TTL: Duration = Duration::from_secs(120);

/// Everything that is spoken on a connection.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    pub(super) limits: connection_limits::Behaviour,
    pub(super) signalling: request_response::Behaviour<SignallingCodec>,
    pub(super) identify: identify::Behaviour,
    pub(super) streams: stream_protocol::Behaviour,
    pub(super) ping: ping::Behaviour,
    pub(super) mdns: Toggle<mdns::tokio::Behaviour>,
}

/// What distinguishes one swarm from another.
pub(super) struct Settings {
    /// The signalling protocol.
    pub(super) protocol: StreamProtocol,
    /// How long a message may wait for its answer.
    pub(super) answer_deadline: Duration,
    /// Announce ourselves on the local network, and look for others there.
    pub(super) mdns: bool,
    /// The only places that are dialled; `None`: any.
    pub(super) only: Option<Vec<Address>>,
}

/// Builds the swarm; it listens nowhere yet. The second part says why the local network is not searched, when it should
/// be and cannot.
///
/// # Errors
///
/// A sentence, when a transport cannot be set up.
pub(super) fn build(keypair: Keypair, settings: &Settings) -> Result<(Swarm<Behaviour>, Option<String>), String> {
    let (finder, problem) = if settings.mdns { find_locally(&keypair) } else { (None, None) };
    let swarm = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .map_err(|error| error.to_string())?
        .with_quic()
        .with_behaviour(|keypair| behaviour(keypair, settings, finder))
        .map_err(|error| error.to_string())?
        .with_swarm_config(|config| {
            config
                .with_idle_connection_timeout(IDLE_TIMEOUT)
                .with_max_negotiating_inbound_streams(MAX_STREAMS_PER_CONNECTION)
                .with_dial_concurrency_factor(NonZeroU8::new(MAX_ADDRESSES_PER_PEER as u8).unwrap_or(NonZeroU8::MIN))
        })
        .build();
    Ok((swarm, problem))
}

fn find_locally(keypair: &Keypair) -> (Option<mdns::tokio::Behaviour>, Option<String>) {
    let config = mdns::Config { ttl: MDNS_TTL, query_interval: MDNS_QUERY_INTERVAL, enable_ipv6: false };
    match mdns::tokio::Behaviour::new(config, keypair.public().to_peer_id()) {
        Ok(finder) => (Some(finder), None),
        Err(error) => (None, Some(error.to_string())),
    }
}

fn behaviour(keypair: &Keypair, settings: &Settings, finder: Option<mdns::tokio::Behaviour>) -> Behaviour {
    let limits = ConnectionLimits::default()
        .with_max_pending_incoming(Some(MAX_PENDING_CONNECTIONS))
        .with_max_pending_outgoing(Some(MAX_PENDING_CONNECTIONS))
        .with_max_established(Some(MAX_CONNECTIONS))
        .with_max_established_per_peer(Some(MAX_CONNECTIONS_PER_PEER));
    let signalling = request_response::Config::default()
        .with_request_timeout(settings.answer_deadline)
        .with_max_concurrent_streams(MAX_STREAMS_PER_CONNECTION);
    // Strangers learn neither where else we listen nor which build this is; members tell each other under seal.
    let identify = identify::Config::new("resonance/1".into(), keypair.public())
        .with_agent_version("resonance".into())
        .with_hide_listen_addrs(true)
        .with_push_listen_addr_updates(false)
        .with_cache_size(0);
    Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        signalling: request_response::Behaviour::new([(settings.protocol.clone(), ProtocolSupport::Full)], signalling),
        identify: identify::Behaviour::new(identify),
        streams: stream_protocol::Behaviour::default(),
        ping: ping::Behaviour::new(ping::Config::new().with_interval(PING_INTERVAL).with_timeout(PING_TIMEOUT)),
        mdns: Toggle::from(finder),
    }
}
