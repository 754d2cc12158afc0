//! The server's sockets: one for each listening address, one for each relayed address, and what is read from them.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket as StdSocket};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use rtc::stun::message::TransactionId;
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::UdpSocket;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{MissedTickBehavior, interval};
use zeroize::Zeroizing;

use super::allocation::Client;
use super::issuer::Issuer;
use super::machine::{Machine, Output};
use super::{Limits, announce};

/// The longest datagram in bytes that is relayed: what fits into an Ethernet frame, and some. Longer ones are dropped.
const MAX_DATAGRAM: usize = 2_048;

/// How often what has expired is looked for.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// How long a socket rests after an error that is not one packet's.
const ERROR_PAUSE: Duration = Duration::from_millis(100);

/// The socket of a relayed address, and the task that reads from it.
pub(super) struct RelaySocket {
    socket: Arc<UdpSocket>,
    reader: AbortHandle,
}

impl Drop for RelaySocket {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

pub(super) type Relayed = Arc<RelaySocket>;

struct Shared {
    machine: Mutex<Machine<Relayed>>,
    listeners: Vec<UdpSocket>,
}

/// All sockets of a server.
pub(super) struct Sockets {
    shared: Arc<Shared>,
    servers: Vec<SocketAddr>,
    /// Ends with this.
    _tasks: JoinSet<()>,
}

impl Sockets {
    /// See [`super::TurnServer::start`].
    pub(super) fn open(listen: &[SocketAddr], announced: Vec<IpAddr>, limits: Limits) -> io::Result<Self> {
        if listen.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "no address to listen on"));
        }
        let listeners: Vec<UdpSocket> = listen.iter().map(|address| bind(*address)).collect::<io::Result<_>>()?;
        let bound: Vec<SocketAddr> = listeners.iter().map(UdpSocket::local_addr).collect::<io::Result<_>>()?;
        let announced = announce(announced, &bound);
        let servers = announced.iter().filter_map(|ip| {
            let listener = bound.iter().find(|bound| bound.is_ipv4() == ip.is_ipv4())?;
            Some(SocketAddr::new(*ip, listener.port()))
        });
        let servers = servers.collect();
        let crypto = rtc::crypto::default_provider().map_err(io::Error::other)?;
        let issuer = Issuer::new(Zeroizing::new(rand::random()), crypto.clone(), limits.users);
        let ips: Vec<IpAddr> = bound.iter().map(SocketAddr::ip).collect();
        let machine = Machine::new(issuer, crypto, announced, &ips, limits, Instant::now());
        let shared = Arc::new(Shared { machine: Mutex::new(machine), listeners });
        let mut tasks = JoinSet::new();
        for (listener, bound) in bound.iter().enumerate() {
            tasks.spawn(listen_to_clients(shared.clone(), listener, bound.ip()));
        }
        tasks.spawn(keep_house(shared.clone()));
        Ok(Self { shared, servers, _tasks: tasks })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Machine<Relayed>> {
        self.shared.lock()
    }

    pub(super) fn servers(&self) -> Vec<SocketAddr> {
        self.servers.clone()
    }
}

impl Shared {
    /// A panic under the lock would be a bug; the state is whole between any two datagrams all the same.
    fn lock(&self) -> MutexGuard<'_, Machine<Relayed>> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends at once or not at all: sound that waits is sound that comes too late.
    fn send(&self, output: Output<Relayed>) {
        let sent = match &output {
            Output::ToClient(client, bytes) => self.listeners[client.listener].try_send_to(bytes, client.address),
            Output::ToPeer(relayed, peer, bytes) => relayed.socket.try_send_to(bytes, *peer),
        };
        if let Err(error) = sent {
            tracing::trace!(%error, "a datagram could not be sent");
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
    if address.is_ipv6() {
        // The other family has a socket of its own, perhaps on the same port.
        socket.set_only_v6(true)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    UdpSocket::from_std(StdSocket::from(socket))
}

async fn listen_to_clients(shared: Arc<Shared>, listener: usize, local: IpAddr) {
    let mut buffer = [0; MAX_DATAGRAM];
    loop {
        let Some((length, address)) = receive(&shared.listeners[listener], &mut buffer).await else { continue };
        let client = Client { listener, address };
        let mut open = |announced: IpAddr| open_relayed(&shared, local, announced).ok();
        let now = Instant::now();
        let output =
            shared.lock().on_client_datagram(now, client, &buffer[..length], TransactionId(rand::random()), &mut open);
        if let Some(output) = output {
            shared.send(output);
        }
    }
}

/// Opens a socket for a relayed address, on the address that the server listens on or on any of the wanted family.
fn open_relayed(shared: &Arc<Shared>, local: IpAddr, announced: IpAddr) -> io::Result<(SocketAddr, Relayed)> {
    let any = if announced.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let local = if local.is_ipv4() == announced.is_ipv4() { local } else { any };
    let socket = Arc::new(bind(SocketAddr::new(local, 0))?);
    let relayed = SocketAddr::new(announced, socket.local_addr()?.port());
    let reader = tokio::spawn(listen_to_peers(Arc::downgrade(shared), socket.clone(), relayed)).abort_handle();
    Ok((relayed, Arc::new(RelaySocket { socket, reader })))
}

/// The state owns this task, and not the other way round: both end with the server.
async fn listen_to_peers(shared: Weak<Shared>, socket: Arc<UdpSocket>, relayed: SocketAddr) {
    let mut buffer = [0; MAX_DATAGRAM];
    loop {
        let Some((length, peer)) = receive(&socket, &mut buffer).await else { continue };
        let Some(shared) = shared.upgrade() else { return };
        let transaction = TransactionId(rand::random());
        let output = shared.lock().on_peer_datagram(Instant::now(), relayed, peer, &buffer[..length], transaction);
        if let Some(output) = output {
            shared.send(output);
        }
    }
}

/// The next datagram; `None` for one that is too long, and after an error.
async fn receive(socket: &UdpSocket, buffer: &mut [u8; MAX_DATAGRAM]) -> Option<(usize, SocketAddr)> {
    match socket.recv_from(buffer).await {
        Ok((length, from)) => (length < MAX_DATAGRAM).then_some((length, from)),
        Err(error) => {
            // Usually an ICMP message about a packet that was sent before.
            tracing::trace!(%error, "a datagram could not be received");
            if error.kind() != io::ErrorKind::ConnectionRefused {
                tokio::time::sleep(ERROR_PAUSE).await;
            }
            None
        }
    }
}

async fn keep_house(shared: Arc<Shared>) {
    let mut ticks = interval(HOUSEKEEPING);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shared.lock().expire(Instant::now());
    }
}
