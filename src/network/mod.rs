//! The room that touches the internet: libp2p for meeting and signalling, WebRTC for sound. It carries sealed bytes
//! only, and never holds a key that protects content.
//!
//! ```text
//!  Handle ──Command──▶ task ──▶ swarm ───▶ libp2p: TCP, QUIC, mDNS      signalling, deliveries, address_book
//!         ◀──Event───       ◀──                                        (one sealed message = one request)
//!                      task/meeting: distributed hash table, relays     rendezvous, relays
//!                       │
//!                       ├─▶ media ─▶ peer_connection ×7 ─▶ webrtc_setup  candidates
//!                       │              └─────────▶ ports         what the home's router lets in
//!                       └─▶ streams ─▶ stream_protocol            sound while there is no other way
//!  outbound rings ─▶ media_pump ─▶ every connected track (RTP), every stream that is wanted
//!  inbound rings  ◀─ inbound    ◀─ every remote track (RTP), every stream
//! ```
//!
//! Apart from that, [`nearby`]: names of rooms, asked for and told on the local network.
//!
//! What goes out is decided by the session; this room decides only how. Everything that others can make grow has its
//! bound in `limits`.

mod address;
mod address_book;
mod candidates;
mod command;
mod deliveries;
mod event;
mod inbound;
mod limits;
mod liveness;
mod media;
mod media_pump;
pub mod nearby;
mod peer_connection;
mod ports;
pub mod probe;
pub(crate) mod records;
mod relays;
mod rendezvous;
mod signalling;
mod stream_protocol;
mod streams;
mod swarm;
mod task;
pub mod turn;
mod webrtc_setup;

#[cfg(test)]
mod tests;

use std::io;
use std::thread::Thread;
use std::time::Duration;

use libp2p::Multiaddr;
use resonance_protocol::media::packet::{AddressedPacket, InboundPacket, SealedPacket};
use resonance_protocol::peer::{Address, TransportId};
use tokio::runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

pub use address::{Place, PlaceError};
pub use command::Command;
pub use event::{DescriptionKind, Event, Undelivered, Via};
pub use rendezvous::Haste;
pub use signalling::MAX_MESSAGE;

use inbound::InboundSink;
use media_pump::{MediaPump, Outlets};
use peer_connection::{Policy, Shared};
use ports::Ports;
use streams::Streams;
use swarm::{RelayedPeers, Settings};
use task::Meeting;

/// How long a message may wait for its answer, on both sides.
const ANSWER_DEADLINE: Duration = Duration::from_secs(10);

/// Where to listen when nothing is said: every interface, TCP and QUIC, a port that the system picks.
const DEFAULT_LISTEN: [&str; 4] =
    ["/ip4/0.0.0.0/tcp/0", "/ip4/0.0.0.0/udp/0/quic-v1", "/ip6/::/tcp/0", "/ip6/::/udp/0/quic-v1"];

/// How to start. There is no `Debug`: it holds a secret.
pub struct Config {
    /// Ed25519 seed of the transport identity, made for this session.
    pub transport_secret: Zeroizing<[u8; 32]>,
    /// How others are reached, and who learns our address by that.
    pub reach: Reach,
}

/// How others are reached.
#[derive(Clone, PartialEq, Eq)]
pub enum Reach {
    /// From address to address: everybody in the session learns ours.
    Direct {
        /// Multiaddrs to listen on; none means all interfaces.
        listen: Vec<String>,
        /// Look for others on the local network, and be found there.
        mdns: bool,
        /// The distributed hash table to meet by.
        dht: Dht,
        /// Helpers: relays, and entrances to the table.
        helpers: Vec<Place>,
    },
    /// Nobody but these learns our address: nobody else is dialled, nobody can connect to us.
    Only {
        /// Who is dialled, and relays.
        helpers: Vec<Place>,
        /// What else is dialled.
        places: Vec<Address>,
        /// What media goes through; without any there is none.
        relays: Vec<Relay>,
    },
}

/// The distributed hash table (Kademlia, `/ipfs/kad/1.0.0`) to meet by.
#[derive(Clone, PartialEq, Eq)]
pub enum Dht {
    /// None.
    Off,
    /// The public one.
    Public,
    /// The one that is entered here.
    At(Vec<Place>),
}

/// Entrances to the public distributed hash table, run by the libp2p project for everybody's use (docs.ipfs.tech, "Bootstrap").
pub const PUBLIC_ENTRANCES: [&str; 5] = [
    "/dnsaddr/bootstrap.libp2p.io/p2p/QmNnooDu7bfjPFoTZYxMNLWUQJyrVwtbZg5gBMjTezGAJN",
    "/dnsaddr/bootstrap.libp2p.io/p2p/QmQCU2EcMqAqQPR2i9bChDtGNJchTbq5TbXJJ16u19uLTa",
    "/dnsaddr/bootstrap.libp2p.io/p2p/QmbLHAnMoJPWSCR5Zhtx6BHJX9KiKNN6tpvbUcqanj75Nb",
    "/dnsaddr/bootstrap.libp2p.io/p2p/QmcZf59bWwK5XFi76CZX8cbJ4BhTzzA3gU1ZjYZcYW3dwt",
    "/ip4/104.131.131.82/tcp/4001/p2p/QmaCpDMGvV2BGHeYERUEnRQAwe3N8SzbUtfsmvsqQLuvuJ",
];

/// A TURN server (RFC 8656).
#[derive(Clone, PartialEq, Eq)]
pub struct Relay {
    /// As in RFC 7065: `turn:192.0.2.1:3478?transport=udp`.
    pub url: String,
    /// Who we are there.
    pub username: String,
    /// What shows it.
    pub credential: Zeroizing<String>,
    /// Who runs it: what a way through it is called.
    pub way: Way,
}

/// Who is between two peers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// Nobody.
    Direct,
    /// A helper.
    Relayed,
    /// A member.
    Member,
}

/// The way that sound takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Who is between.
    pub way: Way,
    /// Type of our candidate: `host`, `srflx`, `prflx`, `relay` (RFC 8445 §5.1.1), `unknown`; or `stream`.
    pub local: &'static str,
    /// Type of theirs.
    pub remote: &'static str,
}

/// This room's ends of the two rings.
pub struct MediaEnds {
    /// Packets to send to everyone.
    pub outbound: rtrb::Consumer<SealedPacket>,
    /// Hop-sealed packets, each to send to one peer by its stream.
    pub outbound_streamed: rtrb::Consumer<AddressedPacket>,
    /// Packets that came in.
    pub inbound: rtrb::Producer<InboundPacket>,
    /// Hop-sealed packets that came in by streams.
    pub inbound_streamed: rtrb::Producer<InboundPacket>,
}

/// Why the network could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Not a multiaddr.
    #[error("\"{0}\" is not an address to listen on; an example is /ip4/0.0.0.0/udp/4001/quic-v1")]
    BadListenAddress(String),
    /// The system does not let us listen there.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The multiaddr.
        address: String,
        /// The system's words.
        reason: String,
    },
    /// A transport could not be set up.
    #[error("the network could not be set up: {0}")]
    Transport(String),
    /// The system gives no thread.
    #[error("the sending thread could not be started: {0}")]
    Thread(#[from] io::Error),
    /// Called from outside a tokio runtime.
    #[error("the network needs a running tokio runtime")]
    NoRuntime,
}

/// The running network. Dropping it leaves at once; [`shutdown`](Self::shutdown) waits until that is done.
pub struct Handle {
    commands: mpsc::UnboundedSender<Command>,
    events: mpsc::Receiver<Event>,
    task: JoinHandle<()>,
    pump: MediaPump,
}

impl Handle {
    /// Asks for something. Never waits: the queue is bounded by what the application itself asks for.
    pub fn command(&self, command: Command) {
        if self.commands.send(command).is_err() {
            tracing::error!("the network task has ended");
        }
    }

    /// The next event; `None` when the network has ended. May be cancelled at any time.
    pub async fn next_event(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// The thread to unpark after a packet was pushed into the outbound ring.
    pub fn outbound_thread(&self) -> Thread {
        self.pump.thread()
    }

    /// Closes all connections in order, within about 300 ms.
    pub async fn shutdown(self) {
        let Self { commands, mut events, task, pump } = self;
        drop(pump);
        drop(commands);
        // The task may be waiting for room in the queue.
        while events.recv().await.is_some() {}
        if let Err(error) = task.await {
            tracing::error!(%error, "the network task ended badly");
        }
    }
}

/// The transport identity that belongs to a seed.
pub fn transport_id(secret: &[u8; 32]) -> TransportId {
    address::own_id(secret)
}

/// Starts the network: a task in the current tokio runtime, and one thread.
///
/// # Errors
///
/// See [`StartError`]. Of the default addresses one has to work, of given ones all.
pub fn start(config: Config, media: MediaEnds) -> Result<Handle, StartError> {
    start_speaking(signalling::PROTOCOL, ANSWER_DEADLINE, config, media)
}

/// [`start`] with another protocol version and patience.
fn start_speaking(
    protocol: libp2p::StreamProtocol,
    answer_deadline: Duration,
    config: Config,
    media: MediaEnds,
) -> Result<Handle, StartError> {
    let runtime = runtime::Handle::try_current().map_err(|_| StartError::NoRuntime)?;
    let (listen, mdns, dht, helpers, only, relays) = match config.reach {
        Reach::Direct { listen, mdns, dht, helpers } => (Some(listen), mdns, dht, helpers, None, None),
        Reach::Only { helpers, places, relays } => (None, false, Dht::Off, helpers, Some(places), Some(relays)),
    };
    let settings = Settings { protocol, answer_deadline, mdns, dht: dht != Dht::Off, only };
    let keypair = address::key_pair(&config.transport_secret);
    let relayed = RelayedPeers::default();
    let (mut swarm, problem) = swarm::build(keypair, &settings, &relayed).map_err(StartError::Transport)?;
    if let Some(listen) = listen {
        listen_on(&mut swarm, &listen_addresses(&listen)?, !listen.is_empty())?;
    }

    let outlets = Outlets::default();
    let (ssrc, policy) = (rand::random(), if relays.is_some() { Policy::RelaysOnly } else { Policy::AnyWay });
    let servers = relays.unwrap_or_default().into();
    // Who is not to be found from afar, or to be seen by nobody, asks no router.
    let ports = (policy == Policy::AnyWay && settings.dht).then(Ports::default);
    let inbound = InboundSink::new(media.inbound);
    let shared = Shared { inbound, outlets: outlets.clone(), ssrc, policy, servers, ports };
    let (streams, sinks) = Streams::new(InboundSink::new(media.inbound_streamed));
    let pump = MediaPump::start(media.outbound, media.outbound_streamed, outlets, sinks, ssrc)?;
    let (commands, command_receiver) = mpsc::unbounded_channel();
    let (event_sender, events) = mpsc::channel(limits::EVENT_QUEUE);
    if let Some(reason) = problem {
        // The queue is empty: there is room.
        let _ = event_sender.try_send(Event::DiscoveryFailed { reason });
    }
    let meeting = Meeting::new(&dht, helpers, policy == Policy::AnyWay, relayed);
    let task = task::Task::new(swarm, settings, meeting, shared, streams, command_receiver, event_sender);
    Ok(Handle { commands, events, task: runtime.spawn(task.run()), pump })
}

fn listen_addresses(given: &[String]) -> Result<Vec<Multiaddr>, StartError> {
    let parse = |text: &str| text.parse().map_err(|_| StartError::BadListenAddress(text.into()));
    if given.is_empty() {
        return DEFAULT_LISTEN.into_iter().map(parse).collect();
    }
    given.iter().map(|text| parse(text)).collect()
}

fn listen_on(
    swarm: &mut libp2p::Swarm<swarm::Behaviour>,
    addresses: &[Multiaddr],
    all_must_work: bool,
) -> Result<(), StartError> {
    let mut failure = None;
    let mut works = 0;
    for address in addresses {
        match swarm.listen_on(address.clone()) {
            Ok(_) => works += 1,
            Err(error) => {
                let failed = StartError::Listen { address: address.to_string(), reason: error.to_string() };
                if all_must_work {
                    return Err(failed);
                }
                failure = Some(failed);
            }
        }
    }
    match failure {
        Some(failure) if works == 0 => Err(failure),
        _ => Ok(()),
    }
}
