//! `resonance helper`: a process that anyone may run for people who cannot reach each other directly. It is a place to
//! meet (Kademlia server), a relay (circuit relay v2) and a STUN and TURN server in one, takes part in no session, and
//! sees addresses and sealed bytes.
//!
//! ```text
//!  app ──Config──▶ Helper ─▶ swarm ──▶ kad · relay · autonat · identify · ping · credentials
//!      ◀──Event───   │         ├─ gate      how many connections from where
//!                    │         └─ lawful    whither it dials
//!                    ├─▶ network::turn      STUN and TURN
//!                    └─▶ metrics            figures in Prometheus's text form
//! ```

mod gate;
pub mod key;
mod lawful;
mod metrics;
mod swarm;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use futures::StreamExt;
use libp2p::core::transport::ListenerId;
use libp2p::identity::Keypair;
use libp2p::multiaddr::Protocol;
use libp2p::swarm::SwarmEvent;
use libp2p::swarm::dial_opts::DialOpts;
use libp2p::{Multiaddr, PeerId, Swarm, identify, kad, ping, request_response};
use tokio::time::{Interval, MissedTickBehavior, interval};
use zeroize::Zeroizing;

use crate::network::turn::offer::Desk;
use crate::network::turn::{Limits, TurnServer};
use metrics::{Counters, Scrape};
use swarm::{Behaviour, BehaviourEvent, Bounds};

/// The usual port of libp2p.
pub const DEFAULT_PORT: u16 = 4_001;

/// The usual port of STUN and TURN (RFC 8656 §4).
pub const DEFAULT_TURN_PORT: u16 = 3_478;

/// How often what has expired is looked for, and other helpers that were lost are tried again.
const HOUSEKEEPING: Duration = Duration::from_secs(20);

/// How long after an address the next one is waited for: a listener on all interfaces tells them one by one.
const SETTLING: Duration = Duration::from_millis(100);

/// Addresses of another DHT server that are remembered.
const MAX_ADDRESSES_PER_PEER: usize = 8;

/// Files that this process wants to have open: each connection and each relayed address is one.
const WANTED_FILES: u64 = 16_384;

/// How to start. There is no `Debug`: it holds a secret.
pub struct Config {
    /// Ed25519 seed of the helper's name.
    pub key: Zeroizing<[u8; 32]>,
    /// Multiaddrs to listen on; none means TCP and QUIC on port 4001 of all interfaces.
    pub listen: Vec<String>,
    /// UDP port of STUN and TURN, on the same IP addresses.
    pub turn_port: u16,
    /// Where others reach this machine, when that is not what its interfaces say.
    pub announce: Vec<IpAddr>,
    /// Other helpers to join the DHT through.
    pub bootstrap: Vec<String>,
    /// Where figures are served, if at all.
    pub metrics: Option<SocketAddr>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// It listens here.
    Listening(Multiaddr),
    /// It serves.
    Ready {
        /// Its name.
        peer: PeerId,
        /// Where others reach it, its name included.
        addresses: Vec<Multiaddr>,
        /// Where STUN and TURN are.
        turn: Vec<SocketAddr>,
        /// Where figures are served.
        metrics: Option<SocketAddr>,
    },
}

/// Why a helper could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Not a multiaddr.
    #[error("\"{0}\" is not an address like /ip4/0.0.0.0/tcp/4001 or /ip4/0.0.0.0/udp/4001/quic-v1")]
    BadAddress(String),
    /// The system does not let it listen there.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// Where.
        address: String,
        /// The system's words.
        reason: String,
    },
    /// A transport could not be set up.
    #[error("the network could not be set up: {0}")]
    Transport(String),
}

/// A running helper; it ends when it is dropped.
pub struct Helper {
    swarm: Swarm<Behaviour>,
    turn: TurnServer,
    desk: Desk,
    bootstrap: Vec<Multiaddr>,
    announce: Vec<IpAddr>,
    /// Listeners that have not said yet where they listen.
    silent: Vec<ListenerId>,
    /// When all addresses are taken to be known; `None` once that has been told.
    settled: Option<tokio::time::Instant>,
    scrapes: Option<Scrape>,
    counters: Counters,
    housekeeping: Interval,
}

impl Helper {
    /// Starts, inside a tokio runtime.
    ///
    /// # Errors
    ///
    /// See [`StartError`]. Of the default addresses one has to work, of given ones all.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        let given = !config.listen.is_empty();
        let listen = if given { parse_all(&config.listen)? } else { default_addresses() };
        let bootstrap = parse_all(&config.bootstrap)?;
        let (turn, counters) = (start_turn(&config, &listen, given)?, Counters::default());
        let policy = lawful::Policy::new(&config.announce, &turn.servers(), &listen);
        let mut seed = config.key;
        let keypair =
            Keypair::ed25519_from_bytes(&mut seed[..]).map_err(|error| StartError::Transport(error.to_string()))?;
        let mut swarm = swarm::build(keypair, &Bounds::for_files(files()), policy).map_err(StartError::Transport)?;
        let mut silent = Vec::new();
        for address in &listen {
            match swarm.listen_on(address.clone()) {
                Ok(listener) => silent.push(listener),
                Err(error) if given => return Err(cannot_listen(address, &error)),
                Err(error) => tracing::info!(%error, "one of the usual addresses is not listened on"),
            }
        }
        let scrapes = match config.metrics {
            Some(address) => Some(Scrape::listen(address).await.map_err(|error| cannot_listen(&address, &error))?),
            None => None,
        };
        let mut housekeeping = interval(HOUSEKEEPING);
        housekeeping.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (announce, settled) = (config.announce, Some(tokio::time::Instant::now() + SETTLING));
        let desk = Desk::default();
        Ok(Self { swarm, turn, desk, bootstrap, announce, silent, settled, scrapes, counters, housekeeping })
    }

    /// Serves until there is something to tell. May be cancelled at any time.
    ///
    /// # Errors
    ///
    /// When it can listen nowhere any more.
    pub async fn next_event(&mut self) -> Result<Event, StartError> {
        loop {
            let settled = self.settled.filter(|_| self.silent.is_empty());
            tokio::select! {
                () = until(settled) => {
                    self.settled = None;
                    return Ok(self.ready());
                }
                event = self.swarm.select_next_some() => {
                    if let Some(event) = self.on_swarm_event(event)? {
                        return Ok(event);
                    }
                }
                Some(answer) = metrics::next(&mut self.scrapes) => {
                    // Whoever asked may be gone.
                    let _ = answer.send(self.figures());
                }
                _ = self.housekeeping.tick() => self.keep_house(),
            }
        }
    }

    fn on_swarm_event(&mut self, event: SwarmEvent<BehaviourEvent>) -> Result<Option<Event>, StartError> {
        match event {
            SwarmEvent::NewListenAddr { listener_id, address } => {
                self.show(&address);
                self.silent.retain(|silent| *silent != listener_id);
                self.settled = self.settled.map(|_| tokio::time::Instant::now() + SETTLING);
                let named = address.with(Protocol::P2p(*self.swarm.local_peer_id()));
                return Ok(Some(Event::Listening(named)));
            }
            SwarmEvent::ListenerClosed { listener_id, reason, addresses } => {
                self.silent.retain(|silent| *silent != listener_id);
                if let (None, Err(error)) = (self.swarm.listeners().next(), reason) {
                    let address = addresses.first().map_or("any address".into(), ToString::to_string);
                    return Err(StartError::Listen { address, reason: error.to_string() });
                }
            }
            SwarmEvent::ConnectionEstablished { .. } => self.counters.connected += 1,
            SwarmEvent::IncomingConnectionError { .. } => self.counters.refused += 1,
            SwarmEvent::Behaviour(event) => self.on_behaviour_event(event),
            _ => {}
        }
        Ok(None)
    }

    fn ready(&self) -> Event {
        let peer = *self.swarm.local_peer_id();
        let named = |address: &Multiaddr| address.clone().with(Protocol::P2p(peer));
        let mut addresses: Vec<Multiaddr> = self.swarm.external_addresses().map(named).collect();
        addresses.sort_by_cached_key(Multiaddr::to_string);
        let metrics = self.scrapes.as_ref().map(Scrape::address);
        Event::Ready { peer, addresses, turn: self.turn.servers(), metrics }
    }

    /// Lets others know of an address that is listened on, or of what it is announced as.
    fn show(&mut self, address: &Multiaddr) {
        let mut parts = address.iter();
        let ip = match parts.next() {
            Some(Protocol::Ip4(ip)) => IpAddr::V4(ip),
            Some(Protocol::Ip6(ip)) => IpAddr::V6(ip),
            _ => return,
        };
        // It means something only together with an interface, which others do not have.
        if matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local()) {
            return;
        }
        if self.announce.is_empty() {
            let only_here = self.swarm.listeners().all(is_loopback);
            if !ip.is_loopback() || only_here {
                self.swarm.add_external_address(address.clone());
            }
            return;
        }
        let rest: Multiaddr = parts.collect();
        for announced in self.announce.iter().filter(|announced| announced.is_ipv4() == ip.is_ipv4()) {
            let shown = rest.iter().fold(Multiaddr::from(*announced), Multiaddr::with);
            self.swarm.add_external_address(shown);
        }
    }

    fn on_behaviour_event(&mut self, event: BehaviourEvent) {
        match event {
            BehaviourEvent::Identify(identify::Event::Received { peer_id, info, .. }) => {
                self.on_identified(peer_id, info)
            }
            BehaviourEvent::Credentials(request_response::Event::Message { peer, connection_id, message, .. }) => {
                let request_response::Message::Request { channel, .. } = message else { return };
                let address = self.swarm.behaviour().gate.address_of(connection_id);
                let offer = self.desk.answer(&self.turn, peer, address, Instant::now());
                self.counters.credentials(&offer);
                // Whoever asked may be gone.
                let _ = self.swarm.behaviour_mut().credentials.send_response(channel, offer);
            }
            BehaviourEvent::Ping(ping::Event { connection, result: Err(ping::Failure::Timeout), .. }) => {
                self.swarm.close_connection(connection);
            }
            BehaviourEvent::Relay(event) => self.counters.relay(&event),
            BehaviourEvent::Kad(kad::Event::InboundRequest { .. }) => self.counters.dht_requests += 1,
            _ => {}
        }
    }

    fn on_identified(&mut self, peer: PeerId, info: identify::Info) {
        if !info.protocols.contains(&swarm::KADEMLIA) {
            return;
        }
        for address in info.listen_addrs.into_iter().take(MAX_ADDRESSES_PER_PEER) {
            self.swarm.behaviour_mut().kad.add_address(&peer, address);
        }
    }

    fn keep_house(&mut self) {
        self.swarm.behaviour_mut().kad.store_mut().expire(Instant::now());
        let known: Vec<Multiaddr> = self.bootstrap.clone();
        for address in known {
            let there = match address.iter().last() {
                Some(Protocol::P2p(peer)) => self.swarm.is_connected(&peer),
                _ => self.swarm.connected_peers().next().is_some(),
            };
            if !there && self.swarm.dial(DialOpts::from(address)).is_err() {
                tracing::debug!("another helper cannot be dialled now");
            }
        }
    }

    fn figures(&mut self) -> String {
        let connections = self.swarm.network_info().connection_counters().num_established();
        let records = self.swarm.behaviour_mut().kad.store_mut().len();
        self.counters.text(connections, records, &self.turn.figures())
    }
}

/// At that time; never, when there is none.
async fn until(time: Option<tokio::time::Instant>) {
    match time {
        Some(time) => tokio::time::sleep_until(time).await,
        None => std::future::pending().await,
    }
}

fn parse_all(texts: &[String]) -> Result<Vec<Multiaddr>, StartError> {
    texts.iter().map(|text| text.trim().parse().map_err(|_| StartError::BadAddress(text.clone()))).collect()
}

fn default_addresses() -> Vec<Multiaddr> {
    let any = [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)].map(Multiaddr::from);
    let both = |ip: Multiaddr| {
        let udp = ip.clone().with(Protocol::Udp(DEFAULT_PORT)).with(Protocol::QuicV1);
        [ip.with(Protocol::Tcp(DEFAULT_PORT)), udp]
    };
    any.into_iter().flat_map(both).collect()
}

/// STUN and TURN on every IP address that is listened on.
fn start_turn(config: &Config, listen: &[Multiaddr], all_must_work: bool) -> Result<TurnServer, StartError> {
    let mut places: Vec<SocketAddr> = Vec::new();
    for ip in listen.iter().filter_map(ip_of) {
        let place = SocketAddr::new(ip, config.turn_port);
        if !places.contains(&place) {
            places.push(place);
        }
    }
    let limits = Limits { allocations: Bounds::for_files(files()).allocations, ..Limits::HELPER };
    let start = |places: &[SocketAddr]| TurnServer::start(places, config.announce.clone(), limits);
    let started = match start(&places) {
        // A machine without IPv6.
        Err(_) if !all_must_work => {
            places.retain(SocketAddr::is_ipv4);
            start(&places)
        }
        started => started,
    };
    started.map_err(|error| {
        let address = places.first().map_or("any UDP port".into(), |place| format!("UDP {place} (STUN and TURN)"));
        StartError::Listen { address, reason: error.to_string() }
    })
}

fn cannot_listen(address: &impl ToString, error: &impl ToString) -> StartError {
    StartError::Listen { address: address.to_string(), reason: error.to_string() }
}

fn ip_of(address: &Multiaddr) -> Option<IpAddr> {
    match address.iter().next()? {
        Protocol::Ip4(ip) => Some(ip.into()),
        Protocol::Ip6(ip) => Some(ip.into()),
        _ => None,
    }
}

fn is_loopback(address: &Multiaddr) -> bool {
    ip_of(address).is_some_and(|ip| ip.is_loopback())
}

/// Files that this process may have open, after asking for as many as the system allows.
fn files() -> u64 {
    /// What nearly every system gives.
    const USUAL: u64 = 1_024;
    rlimit::increase_nofile_limit(WANTED_FILES).unwrap_or(USUAL)
}
