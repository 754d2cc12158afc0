//! STUN and TURN for others (RFC 8489, RFC 8656): whoever is behind a NAT learns its public address here, and gets an
//! address that others can send to. Served by helpers and by members that can be reached.
//!
//! ```text
//!  offer ─ issue ──▶ issuer          who may use it, for how long
//!  sockets ────────▶ machine ──▶ requests   what clients ask for       wire: bytes
//!                       └──────▶ allocation  one relayed address       destinations: whither it may send
//! ```
//!
//! The machine is our own on the media stack's codec: the crates `turn` and `turn-server-proto` keep a nonce for every
//! sender of an unsigned request, so a flood of forged ones fills the memory. This one keeps nothing until a request is
//! signed, and everything after that is counted.

mod allocation;
pub(crate) mod destinations;
mod issuer;
mod machine;
pub(crate) mod offer;
mod requests;
mod sockets;
mod wire;

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use std::{fmt, io};

use libp2p::PeerId;
use zeroize::Zeroizing;

use super::{Relay, Way};
use destinations::Destinations;
use issuer::CREDENTIAL_LIFETIME;
use sockets::Sockets;

/// The realm of all our servers: it tells nothing.
const REALM: &str = "resonance";

/// Addresses that a server announces at most, each with its port: two of each family.
pub(crate) const MAX_SERVERS: usize = 4;

/// What a server allows.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Peers that hold credentials at once.
    pub users: usize,
    /// Relayed addresses in total; each is a socket.
    pub allocations: usize,
    /// Relayed addresses of one peer: seven media connections over two interfaces, each perhaps being replaced.
    pub allocations_per_user: usize,
    /// Relayed addresses of clients in one network (an IPv4 address, or the first 64 bits of an IPv6 one), whatever names
    /// they have there: names cost nothing. Eight people behind one NAT need 112.
    pub allocations_per_network: usize,
    /// Bytes a second through one relayed address, each way; what is more is dropped. Sealed speech in the shortest
    /// frames takes 40,000.
    pub bytes_per_second: f64,
    /// Bytes at once.
    pub burst_bytes: f64,
}

impl Limits {
    /// For a member, which serves its session.
    pub const MEMBER: Self = Self {
        users: 16,
        allocations: 128,
        allocations_per_user: 32,
        allocations_per_network: 128,
        bytes_per_second: 100_000.0,
        burst_bytes: 100_000.0,
    };

    /// For a helper, which serves anybody. One file descriptor each: half of what a process usually gets.
    pub const HELPER: Self = Self { users: 4_096, allocations: 500, ..Self::MEMBER };
}

/// What a server has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Figures {
    /// Peers that hold credentials now.
    pub users: usize,
    /// Relayed addresses now.
    pub allocations: usize,
    /// Relayed addresses so far.
    pub allocated: u64,
    /// Packets relayed, both ways.
    pub packets: u64,
    /// Bytes relayed, both ways, without any header.
    pub bytes: u64,
    /// Requests with wrong, expired or revoked credentials.
    pub refused_credentials: u64,
    /// Relayed addresses that were one too many.
    pub refused_quota: u64,
    /// Packets and permissions to where nothing is relayed, and packets from whom the client did not permit.
    pub refused_destination: u64,
    /// Packets beyond the bandwidth, and questions of strangers beyond their rate.
    pub refused_rate: u64,
}

/// What a peer needs to use a server. Shown, it says nothing: it holds a secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Where the server listens, for STUN and for TURN over UDP; at most four.
    pub servers: Vec<SocketAddr>,
    /// Who the peer is there.
    pub username: String,
    /// What shows it.
    pub password: Zeroizing<String>,
    /// How long it begins something new; whoever asks again before that also keeps what it has.
    pub lifetime: Duration,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").finish_non_exhaustive()
    }
}

impl Credentials {
    /// One for each of the server's addresses; `way` is what a way through it is called.
    pub fn relays(&self, way: Way) -> Vec<Relay> {
        let relay = |server: &SocketAddr| Relay {
            url: format!("turn:{server}?transport=udp"),
            username: self.username.clone(),
            credential: self.password.clone(),
            way,
        };
        self.servers.iter().map(relay).collect()
    }
}

/// A running server; it ends when it is dropped.
pub struct TurnServer {
    sockets: Sockets,
}

impl TurnServer {
    /// Listens on these UDP addresses, in the current tokio runtime. `announced` is where others reach this machine, the
    /// preferred address of each family first: a private one among them says that its range is to be served. Without any
    /// it is the addresses that are listened on, and for `0.0.0.0` and `::` those of this machine's interfaces, the
    /// private ones only if there are no others.
    ///
    /// # Errors
    ///
    /// When one of the addresses cannot be listened on, or none is given.
    pub fn start(listen: &[SocketAddr], announced: Vec<IpAddr>, limits: Limits) -> io::Result<Self> {
        Ok(Self { sockets: Sockets::open(listen, announced, limits)? })
    }

    /// Makes credentials for a peer; `None` when there are too many peers, or no address to announce.
    pub fn issue(&self, user: PeerId, now: Instant) -> Option<Credentials> {
        let servers = self.servers();
        if servers.is_empty() {
            return None;
        }
        let (username, password) = self.sockets.lock().issuer.issue(user, now, rand::random())?;
        Some(Credentials { servers, username, password, lifetime: CREDENTIAL_LIFETIME })
    }

    /// Takes back a peer's credentials and ends what it had.
    pub fn revoke(&self, user: &PeerId) {
        self.sockets.lock().revoke(user);
    }

    /// What has been done so far.
    pub fn figures(&self) -> Figures {
        self.sockets.lock().figures()
    }

    /// Where the server is announced, the preferred address first.
    pub fn servers(&self) -> Vec<SocketAddr> {
        self.sockets.servers()
    }
}

/// Addresses to announce: the given ones, else those listened on, else those of this machine.
fn announce(given: Vec<IpAddr>, listen: &[SocketAddr]) -> Vec<IpAddr> {
    let mut announced = given;
    if announced.is_empty() {
        announced = listen.iter().map(SocketAddr::ip).filter(|ip| !ip.is_unspecified()).collect();
    }
    if announced.is_empty() {
        let found = super::candidates::local_addresses(super::candidates::Loopback::LastResort);
        announced = outermost(found.iter().map(SocketAddr::ip).collect());
    }
    let reached = |ip: &IpAddr| listen.iter().any(|listen| listen.is_ipv4() == ip.is_ipv4());
    let mut distinct = Vec::new();
    for ip in announced.into_iter().map(|ip| ip.to_canonical()).filter(reached) {
        if !distinct.contains(&ip) && distinct.len() < MAX_SERVERS {
            distinct.push(ip);
        }
    }
    distinct
}

/// The public ones, if there are any: who rents a machine with a second, inner network opens only the outer one.
fn outermost(mut addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let public = Destinations::new(Vec::new(), &[]);
    if addresses.iter().any(|ip| public.allows(*ip)) {
        addresses.retain(|ip| public.allows(*ip));
    }
    addresses
}
