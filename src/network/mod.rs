//! The room that touches the internet: libp2p for meeting and signalling, WebRTC for sound. It carries sealed bytes
//! only, and never holds a key that protects content.
//!
//! ```text
//!  Handle ──Command──▶ task ──▶ swarm ───▶ libp2p: TCP, QUIC, mDNS      signalling, deliveries, address_book
//!         ◀──Event───       ◀──                                        (one sealed message = one request)
//!                      task/meeting: distributed hash table, relays     rendezvous, relays
//!                       │
//!                       └─▶ media ─▶ peer_connection ×7 ─▶ webrtc_setup  candidates
//!  outbound ring ─▶ media_pump ─▶ every connected track         RTP
//!  inbound ring  ◀─ inbound    ◀─ every remote track            RTP
//! ```
//!
//! What goes out is decided by the session; this room decides only how. Everything that others can make grow has its
//! bound in `limits`.

mod address;
mod address_book;
mod candidates;
mod deliveries;
mod inbound;
mod limits;
mod media;
mod media_pump;
mod peer_connection;
pub mod probe;
pub(crate) mod records;
mod relays;
mod rendezvous;
mod signalling;
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
use resonance_protocol::media::packet::{InboundPacket, SealedPacket};
use resonance_protocol::peer::{Address, TransportId};
use tokio::runtime;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

pub use address::{Place, PlaceError};
pub use signalling::MAX_MESSAGE;

use inbound::InboundSink;
use media_pump::{MediaPump, Outlets};
use peer_connection::Shared;
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
}

/// This room's ends of the two rings.
pub struct MediaEnds {
    /// Packets to send to everyone.
    pub outbound: rtrb::Consumer<SealedPacket>,
    /// Packets that came in.
    pub inbound: rtrb::Producer<InboundPacket>,
}

/// What the application asks for. Commands never fail by themselves; what becomes of them is told by events.
pub enum Command {
    /// Connect to a peer at all these addresses at once, and at those remembered from the local network. Without a
    /// peer, each address is dialled for whoever is there. Nothing happens when the peer is connected already.
    Dial {
        /// Who must answer; `None` = whoever does.
        peer: Option<TransportId>,
        /// At most 16 are used.
        addresses: Vec<Address>,
    },
    /// Send one sealed message; [`Event::Delivered`] or [`Event::Undelivered`] follows. Dials when need be.
    Send {
        /// To whom.
        to: TransportId,
        /// 1 to [`MAX_MESSAGE`] bytes.
        bytes: Vec<u8>,
        /// Comes back in the event.
        id: u64,
    },
    /// Answer a message. Those that are not acknowledged within 10 s are dropped, and their sender hears nothing.
    Acknowledge {
        /// From [`Event::Message`].
        receipt: u64,
    },
    /// Give a message no answer at all: its sender learns at once that it will get none, and nothing else.
    Refuse {
        /// From [`Event::Message`].
        receipt: u64,
    },
    /// Be found under `own` in the distributed hash table, and look for others under `keys`; [`Event::Discovered`] follows.
    Meet {
        /// 32 bytes that everyone of the session knows.
        own: [u8; 32],
        /// The same of other hours, and of this one.
        keys: Vec<[u8; 32]>,
    },
    /// Close all libp2p connections to a peer; its media connection stays.
    Disconnect {
        /// Who.
        peer: TransportId,
    },
    /// Start a media connection, in place of one that may exist: [`Event::LocalDescription`] with an offer follows.
    OpenMedia {
        /// To whom.
        peer: TransportId,
    },
    /// Start a media connection by answering an offer, in place of one that may exist: [`Event::LocalDescription`]
    /// with an answer follows.
    AcceptOffer {
        /// Whose offer.
        peer: TransportId,
        /// The session description.
        sdp: String,
    },
    /// The answer to our offer.
    AcceptAnswer {
        /// Whose answer.
        peer: TransportId,
        /// The session description.
        sdp: String,
    },
    /// A candidate that the peer found after its description.
    AddCandidate {
        /// Whose candidate.
        peer: TransportId,
        /// The candidate line (RFC 8839 §5.1).
        candidate: String,
        /// The media section it belongs to.
        mid: String,
    },
    /// End the media connection; no event follows.
    CloseMedia {
        /// With whom.
        peer: TransportId,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// We can be reached here. One for each interface address, loopback included.
    Listening {
        /// As a multiaddr.
        address: String,
        /// As links and rosters carry it.
        compact: Option<Address>,
    },
    /// Somebody who may belong to the session; dial by name alone.
    Discovered {
        /// Who.
        peer: TransportId,
        /// Where it was found.
        via: Via,
    },
    /// The local network cannot be searched.
    DiscoveryFailed {
        /// Why.
        reason: String,
    },
    /// The first connection to a peer stands.
    Connected {
        /// Who.
        peer: TransportId,
        /// Where it was dialled or came from; in the latter case the port need not be one that it listens on.
        remote: Option<Address>,
    },
    /// The last connection to a peer is gone.
    Disconnected {
        /// Who.
        peer: TransportId,
    },
    /// A dial came to nothing.
    DialFailed {
        /// Who was dialled, if that was said.
        peer: Option<TransportId>,
        /// A phrase without addresses.
        reason: String,
    },
    /// A sealed message came in.
    Message {
        /// Who is at the other end of the connection.
        from: TransportId,
        /// 1 to [`MAX_MESSAGE`] bytes.
        bytes: Vec<u8>,
        /// For [`Command::Acknowledge`].
        receipt: u64,
    },
    /// A message was acknowledged.
    Delivered {
        /// By whom.
        to: TransportId,
        /// Which.
        id: u64,
    },
    /// A message will not be acknowledged. It may have arrived nevertheless.
    Undelivered {
        /// By whom.
        to: TransportId,
        /// Which.
        id: u64,
        /// Why.
        why: Undelivered,
    },
    /// A peer speaks resonance, but no version that we speak.
    ForeignVersion {
        /// Who.
        peer: TransportId,
    },
    /// Our session description is ready to be sent to the peer.
    LocalDescription {
        /// To whom.
        peer: TransportId,
        /// Offer or answer.
        kind: DescriptionKind,
        /// The session description, with all candidates known so far.
        sdp: String,
    },
    /// A candidate was found after the description.
    LocalCandidate {
        /// For whom.
        peer: TransportId,
        /// The candidate line.
        candidate: String,
        /// The media section it belongs to; may be empty.
        mid: String,
    },
    /// Media flows.
    MediaUp {
        /// To and from whom.
        peer: TransportId,
        /// Type of our candidate: `host`, `srflx`, `prflx`, `relay` (RFC 8445 §5.1.1), `unknown`.
        local: &'static str,
        /// Type of theirs.
        remote: &'static str,
        /// Time since it was asked for, or since it broke, in ms.
        setup_ms: u64,
    },
    /// Media flows no more, or could not be made to. After an interruption [`Event::MediaUp`] may follow by itself.
    MediaDown {
        /// To and from whom.
        peer: TransportId,
        /// A sentence.
        reason: String,
    },
    /// Round-trip time of the media path, about every second.
    MediaRtt {
        /// To whom.
        peer: TransportId,
        /// In ms.
        rtt_ms: f32,
    },
}

/// Where somebody was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// On the local network.
    Mdns,
    /// In the distributed hash table; it is connected.
    Dht,
}

/// Which half of the negotiation a description is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DescriptionKind {
    /// The first.
    Offer,
    /// The second.
    Answer,
}

/// Why a message was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// The peer has no protocol version in common with us.
    Unsupported,
    /// It was there and did not answer.
    Refused,
    /// No connection, or it broke.
    Unreachable,
    /// Empty, or more than [`MAX_MESSAGE`] bytes; nothing was sent.
    TooLarge,
    /// Too many messages wait for answers; nothing was sent.
    Busy,
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
    let ssrc = rand::random();
    let shared =
        Shared { inbound: InboundSink::new(media.inbound), outlets: outlets.clone(), ssrc, only_relays: relays };
    let pump = MediaPump::start(media.outbound, outlets, ssrc)?;
    let (commands, command_receiver) = mpsc::unbounded_channel();
    let (event_sender, events) = mpsc::channel(limits::EVENT_QUEUE);
    if let Some(reason) = problem {
        // The queue is empty: there is room.
        let _ = event_sender.try_send(Event::DiscoveryFailed { reason });
    }
    let meeting = Meeting::new(&dht, helpers, relayed);
    let task = task::Task::new(swarm, settings, meeting, shared, command_receiver, event_sender);
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
