//! The libp2p side: which protocols are spoken, over which transports, within which bounds.

use std::collections::HashSet;
use std::num::{NonZeroU8, NonZeroUsize};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use libp2p::connection_limits::{self, ConnectionLimits};
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::request_response::{self, ProtocolSupport};
use libp2p::swarm::NetworkBehaviour;
use libp2p::swarm::behaviour::toggle::Toggle;
use libp2p::{
    Multiaddr, PeerId, StreamProtocol, Swarm, SwarmBuilder, autonat, dcutr, identify, kad, mdns, noise, relay, tcp,
    yamux,
};
use rand::rngs::StdRng;

use resonance_protocol::peer::Address;

use super::limits::{
    IDLE_TIMEOUT, MAX_ADDRESSES_PER_PEER, MAX_CONNECTIONS, MAX_CONNECTIONS_PER_PEER, MAX_INCOMING,
    MAX_PENDING_CONNECTIONS, MAX_PENDING_DIALS, MAX_RELAYED, MAX_STREAMS_PER_CONNECTION,
};
use super::liveness;
use super::records::{MAX_AT_MEMBER, PROVIDER_TTL, Records};
use super::signalling::SignallingCodec;
use super::stream_protocol;
use super::turn::offer;

/// How often the local network is asked again once somebody was found; before that the library asks after 0, 0.5, 1, 2,
/// 4 … seconds.
const MDNS_QUERY_INTERVAL: Duration = Duration::from_secs(30);

/// How long an announcement on the local network holds.
const MDNS_TTL: Duration = Duration::from_secs(120);

/// Questions under way at once in one query of the distributed hash table: three is usual; the first answer counts here.
const PARALLELISM: NonZeroUsize = NonZeroUsize::new(10).unwrap();

/// How long a query may take.
const QUERY_TIMEOUT: Duration = Duration::from_secs(20);

/// The public distributed hash table.
pub(super) const KADEMLIA: StreamProtocol = StreamProtocol::new("/ipfs/kad/1.0.0");

/// How often addresses at which others saw us are tried out from outside.
const PROBE_INTERVAL: Duration = Duration::from_millis(1_500);

/// How long a circuit through us may last, and a reservation until it is renewed.
const RELAYED_FOR: Duration = Duration::from_secs(12 * 60 * 60);

/// Whom we relay for.
pub(super) type RelayedPeers = Arc<Mutex<HashSet<PeerId>>>;

/// Everything that is spoken on a connection.
#[derive(NetworkBehaviour)]
pub(super) struct Behaviour {
    pub(super) limits: connection_limits::Behaviour,
    pub(super) signalling: request_response::Behaviour<SignallingCodec>,
    pub(super) identify: identify::Behaviour,
    pub(super) streams: stream_protocol::Behaviour,
    pub(super) liveness: liveness::Behaviour,
    /// Credentials for STUN and TURN servers, asked for and given.
    pub(super) offers: offer::Behaviour,
    pub(super) mdns: Toggle<mdns::tokio::Behaviour>,
    /// The distributed hash table.
    pub(super) kademlia: Toggle<kad::Behaviour<Records>>,
    /// Being reached through others.
    pub(super) relayed: relay::client::Behaviour,
    /// Others being reached through us.
    pub(super) relay: Toggle<relay::Behaviour>,
    /// From a relayed connection to a direct one.
    pub(super) dcutr: Toggle<dcutr::Behaviour>,
    /// Whether we can be reached.
    pub(super) autonat: Toggle<autonat::v2::client::Behaviour>,
    /// Telling others whether they can.
    pub(super) autonat_server: Toggle<autonat::v2::server::Behaviour>,
}

/// What distinguishes one swarm from another.
pub(super) struct Settings {
    /// The signalling protocol.
    pub(super) protocol: StreamProtocol,
    /// How long a message may wait for its answer.
    pub(super) answer_deadline: Duration,
    /// Announce ourselves on the local network, and look for others there.
    pub(super) mdns: bool,
    /// Meet by the distributed hash table.
    pub(super) dht: bool,
    /// The only places that are dialled, with those of the helpers; `None`: any.
    pub(super) only: Option<Vec<Address>>,
}

/// Finishes the builder, with or without names being resolved: the two are of different types.
macro_rules! finish {
    ($builder:expr, $settings:expr, $finder:expr, $relayed:expr) => {
        $builder
            .with_relay_client(noise::Config::new, yamux::Config::default)
            .map_err(|error| error.to_string())?
            .with_behaviour(|keypair, client| behaviour(keypair, client, $settings, $finder, $relayed))
            .map_err(|error| error.to_string())?
            .with_swarm_config(|config| {
                config
                    .with_idle_connection_timeout(IDLE_TIMEOUT)
                    // What is said goes with the protocol's name, not after the other side's answer to it: half the time, and where
                    // the way back is narrow that answer may not come.
                    .with_substream_upgrade_protocol_override(Version::V1Lazy)
                    .with_max_negotiating_inbound_streams(MAX_STREAMS_PER_CONNECTION)
                    .with_dial_concurrency_factor(
                        NonZeroU8::new(MAX_ADDRESSES_PER_PEER as u8).unwrap_or(NonZeroU8::MIN),
                    )
            })
            .build()
    };
}

/// Builds the swarm; it listens nowhere yet. The second part says why the local network is not searched, when it should
/// be and cannot.
///
/// # Errors
///
/// A sentence, when a transport cannot be set up.
pub(super) fn build(
    keypair: Keypair,
    settings: &Settings,
    relayed: &RelayedPeers,
) -> Result<(Swarm<Behaviour>, Option<String>), String> {
    let (finder, problem) = if settings.mdns { find_locally(&keypair) } else { (None, None) };
    let transports = SwarmBuilder::with_existing_identity(keypair)
        .with_tokio()
        .with_tcp(tcp::Config::default().nodelay(true), noise::Config::new, yamux::Config::default)
        .map_err(|error| error.to_string())?
        .with_quic();
    // A machine that does not say how it resolves names can do without them.
    let swarm = if std::path::Path::new(RESOLVER).exists() {
        finish!(transports.with_dns().map_err(|error| error.to_string())?, settings, finder, relayed)
    } else {
        finish!(transports, settings, finder, relayed)
    };
    Ok((swarm, problem))
}

/// How this machine resolves names.
const RESOLVER: &str = "/etc/resolv.conf";

fn find_locally(keypair: &Keypair) -> (Option<mdns::tokio::Behaviour>, Option<String>) {
    let config = mdns::Config { ttl: MDNS_TTL, query_interval: MDNS_QUERY_INTERVAL, enable_ipv6: false };
    match mdns::tokio::Behaviour::new(config, keypair.public().to_peer_id()) {
        Ok(finder) => (Some(finder), None),
        Err(error) => (None, Some(error.to_string())),
    }
}

fn behaviour(
    keypair: &Keypair,
    client: relay::client::Behaviour,
    settings: &Settings,
    finder: Option<mdns::tokio::Behaviour>,
    relayed: &RelayedPeers,
) -> Behaviour {
    let limits = ConnectionLimits::default()
        .with_max_pending_incoming(Some(MAX_PENDING_CONNECTIONS))
        .with_max_pending_outgoing(Some(MAX_PENDING_DIALS))
        .with_max_established_incoming(Some(MAX_INCOMING))
        .with_max_established(Some(MAX_CONNECTIONS))
        .with_max_established_per_peer(Some(MAX_CONNECTIONS_PER_PEER));
    let signalling = request_response::Config::default()
        .with_request_timeout(settings.answer_deadline)
        .with_max_concurrent_streams(MAX_STREAMS_PER_CONNECTION);
    // Strangers learn neither where else we listen nor which build this is; members tell each other under seal.
    // What is told, the addresses at which others reach us, is signed: whoever passes it on cannot change it.
    let identify = identify::Config::new_with_signed_peer_record("resonance/1".into(), keypair)
        .with_agent_version("resonance".into())
        .with_hide_listen_addrs(true)
        .with_push_listen_addr_updates(false)
        .with_cache_size(0);
    let me = keypair.public().to_peer_id();
    let direct = settings.only.is_none();
    let public = direct && settings.dht;
    let probe = || autonat::v2::client::Config::default().with_probe_interval(PROBE_INTERVAL);
    Behaviour {
        limits: connection_limits::Behaviour::new(limits),
        signalling: request_response::Behaviour::new([(settings.protocol.clone(), ProtocolSupport::Full)], signalling),
        identify: identify::Behaviour::new(identify),
        streams: stream_protocol::Behaviour::default(),
        liveness: liveness::Behaviour::default(),
        offers: offer::behaviour(if direct { ProtocolSupport::Full } else { ProtocolSupport::Outbound }),
        mdns: Toggle::from(finder),
        kademlia: Toggle::from(public.then(|| kademlia(me))),
        relayed: client,
        relay: Toggle::from(direct.then(|| relay_for_members(me, relayed))),
        dcutr: Toggle::from(direct.then(|| dcutr::Behaviour::new(me))),
        autonat: Toggle::from(direct.then(|| autonat::v2::client::Behaviour::new(rand::make_rng::<StdRng>(), probe()))),
        autonat_server: Toggle::from(direct.then(autonat::v2::server::Behaviour::default)),
    }
}

fn kademlia(me: PeerId) -> kad::Behaviour<Records> {
    let mut config = kad::Config::new(KADEMLIA);
    config
        .set_parallelism(PARALLELISM)
        .set_query_timeout(QUERY_TIMEOUT)
        .set_provider_record_ttl(Some(PROVIDER_TTL))
        .set_provider_publication_interval(None);
    let mut table = kad::Behaviour::with_config(me, Records::new(me, MAX_AT_MEMBER), config);
    // A client until it is known that we can be reached.
    table.set_mode(Some(kad::Mode::Client));
    table
}

/// Members relay for members: a peer that cannot reach another goes through somebody whom both reach.
fn relay_for_members(me: PeerId, relayed: &RelayedPeers) -> relay::Behaviour {
    let may = |relayed: RelayedPeers| {
        move |peer: PeerId, _: &Multiaddr, _| relayed.lock().is_ok_and(|relayed| relayed.contains(&peer))
    };
    let config = relay::Config {
        max_reservations: MAX_RELAYED,
        max_reservations_per_peer: 2,
        reservation_duration: Duration::from_secs(60 * 60),
        reservation_rate_limiters: vec![Box::new(may(relayed.clone()))],
        max_circuits: MAX_RELAYED,
        max_circuits_per_peer: MAX_RELAYED,
        max_circuit_duration: RELAYED_FOR,
        // Without a bound: sound flows through it.
        max_circuit_bytes: 0,
        circuit_src_rate_limiters: vec![Box::new(may(relayed.clone()))],
    };
    let mut relay = relay::Behaviour::new(me, config);
    relay.set_status(Some(relay::Status::Enable));
    relay
}
