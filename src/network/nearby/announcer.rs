//! Telling who asks on this network which room we are in.

use super::interfaces::{self, Interface};
use super::words::{self, Told};
use super::{GROUP, MAX_DATAGRAM, MAX_PEOPLE, PORT};
use crate::token_bucket::TokenBucket;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

/// Answers at once: a few start pages that are opened together.
const BURST: f64 = 20.0;
/// Answers a second: each page asks once in two.
const RATE: f64 = 10.0;
/// How often networks that were joined meanwhile are looked for.
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// Tells of one room until it is dropped. Needs a tokio runtime.
pub struct Announcer {
    people: Arc<AtomicU8>,
    task: JoinHandle<()>,
}

impl Announcer {
    /// Begins to tell of this room, in which we are alone.
    ///
    /// # Errors
    /// The name cannot be told, or the system gives no socket.
    pub fn start(room: &str) -> io::Result<Self> {
        let room = words::fit(room).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no name to tell"))?;
        let socket = listening()?;
        let people = Arc::new(AtomicU8::new(1));
        let task = tokio::spawn(tell(socket, room, people.clone()));
        Ok(Self { people, task })
    }

    /// So many are in it, we among them.
    pub fn people(&self, count: usize) {
        let count = u8::try_from(count).unwrap_or(MAX_PEOPLE).clamp(1, MAX_PEOPLE);
        self.people.store(count, Ordering::Relaxed);
    }
}

impl Drop for Announcer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A socket for what is sent to the group, and for nothing that is sent to this machine alone: bound to the group's address.
fn listening() -> io::Result<UdpSocket> {
    let socket = Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
    // Others on this machine listen there, too.
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&SocketAddr::from((GROUP, PORT)).into())?;
    UdpSocket::from_std(socket.into())
}

async fn tell(socket: UdpSocket, room: String, people: Arc<AtomicU8>) {
    let instance = format!("{:08x}", rand::random::<u32>());
    let mut allowance = TokenBucket::new(BURST, RATE, Instant::now());
    let mut networks: Vec<Interface> = Vec::new();
    let mut looks = tokio::time::interval(LOOK_AGAIN);
    let mut datagram = [0; MAX_DATAGRAM];
    loop {
        tokio::select! {
            _ = looks.tick() => {
                networks = interfaces::all();
                for network in &networks {
                    // Refused where it was done before.
                    let _ = socket.join_multicast_v4(GROUP, network.address);
                }
            }
            received = socket.recv_from(&mut datagram) => {
                // A network that went away is said once, here; the next look finds what there is.
                let Ok((length, from)) = received else { continue };
                let here = networks.iter().any(|network| network.reaches(from.ip()));
                let Some((id, query)) = datagram.get(..length).filter(|_| here).and_then(words::asked) else { continue };
                let told = Told { room: room.clone(), people: people.load(Ordering::Relaxed) };
                if allowance.take(Instant::now())
                    && let SocketAddr::V4(from) = from
                    && let Some(answer) = words::answer(id, query, &instance, &told)
                {
                    give(&socket, &answer, from).await;
                }
            }
        }
    }
}

async fn give(socket: &UdpSocket, answer: &[u8], to: SocketAddrV4) {
    if let Err(error) = socket.send_to(answer, to).await {
        tracing::debug!(%error, "who asks for rooms cannot be answered");
    }
}
