//! The helper's figures, in Prometheus's text form over plain HTTP (exposition formats, version 0.0.4). No addresses, no
//! names: only counts.

use std::fmt::Write;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use libp2p::relay;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::network::turn::Figures;
use crate::network::turn::offer::Offer;

/// Requests at once; more wait to be accepted.
const MAX_REQUESTS: usize = 4;

/// Longest request in bytes: a scraper's headers are a few hundred.
const MAX_REQUEST: usize = 8 * 1024;

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What the helper has done.
pub(super) struct Counters {
    begun: Instant,
    pub(super) connected: u64,
    pub(super) refused: u64,
    pub(super) dht_requests: u64,
    reservations: i64,
    circuits: i64,
    circuits_begun: u64,
    relay_denied: u64,
    credentials_issued: u64,
    credentials_refused: u64,
}

impl Default for Counters {
    fn default() -> Self {
        Self {
            begun: Instant::now(),
            connected: 0,
            refused: 0,
            dht_requests: 0,
            reservations: 0,
            circuits: 0,
            circuits_begun: 0,
            relay_denied: 0,
            credentials_issued: 0,
            credentials_refused: 0,
        }
    }
}

impl Counters {
    /// Counts what the relay did.
    pub(super) fn relay(&mut self, event: &relay::Event) {
        match event {
            relay::Event::ReservationReqAccepted { renewed: false, .. } => self.reservations += 1,
            relay::Event::ReservationClosed { .. } | relay::Event::ReservationTimedOut { .. } => self.reservations -= 1,
            relay::Event::CircuitReqAccepted { .. } => {
                self.circuits += 1;
                self.circuits_begun += 1;
            }
            relay::Event::CircuitClosed { .. } => self.circuits -= 1,
            relay::Event::ReservationReqDenied { .. } | relay::Event::CircuitReqDenied { .. } => self.relay_denied += 1,
            _ => {}
        }
    }

    /// Counts an answer to somebody who wants to use TURN.
    pub(super) fn credentials(&mut self, offer: &Offer) {
        match offer {
            Ok(_) => self.credentials_issued += 1,
            Err(_) => self.credentials_refused += 1,
        }
    }

    /// All figures.
    pub(super) fn text(&self, connections: u32, records: usize, turn: &Figures) -> String {
        let gauges: [(&str, &str, i64); 8] = [
            ("uptime_seconds", "Time since the helper started.", self.begun.elapsed().as_secs() as i64),
            ("connections", "libp2p connections.", connections.into()),
            ("dht_provider_records", "Provider records kept for others.", records as i64),
            ("relay_reservations", "Reservations on the circuit relay.", self.reservations),
            ("relay_circuits", "Circuits through the relay.", self.circuits),
            ("turn_users", "Peers that hold TURN credentials.", turn.users as i64),
            ("turn_allocations", "Relayed addresses.", turn.allocations as i64),
            ("resident_memory_bytes", "Memory in use; 0 where the system does not tell.", resident_memory() as i64),
        ];
        let counters: [(&str, &str, u64); 14] = [
            ("connections_total", "libp2p connections so far.", self.connected),
            ("connections_refused_total", "Incoming connections that failed or were one too many.", self.refused),
            ("dht_requests_total", "Requests of others to the DHT server.", self.dht_requests),
            ("relay_circuits_total", "Circuits so far.", self.circuits_begun),
            ("relay_denied_total", "Reservations and circuits that were denied.", self.relay_denied),
            ("turn_credentials_issued_total", "TURN credentials given.", self.credentials_issued),
            ("turn_credentials_refused_total", "TURN credentials not given.", self.credentials_refused),
            ("turn_allocations_total", "Relayed addresses so far.", turn.allocated),
            ("turn_packets_total", "Packets relayed by TURN.", turn.packets),
            ("turn_bytes_total", "Bytes relayed by TURN, without headers.", turn.bytes),
            ("turn_refused_credentials_total", "Requests with bad credentials.", turn.refused_credentials),
            ("turn_refused_quota_total", "Relayed addresses that were one too many.", turn.refused_quota),
            (
                "turn_refused_destination_total",
                "Packets and permissions to forbidden places.",
                turn.refused_destination,
            ),
            ("turn_refused_rate_total", "Packets and questions beyond their rate.", turn.refused_rate),
        ];
        let gauges = gauges.map(|(name, help, value)| (name, help, "gauge", value.to_string()));
        let counters = counters.map(|(name, help, value)| (name, help, "counter", value.to_string()));
        gauges.into_iter().chain(counters).fold(String::new(), |mut text, (name, help, kind, value)| {
            // Writing into a string cannot fail.
            let _ = writeln!(text, "# HELP resonance_helper_{name} {help}");
            let _ = writeln!(text, "# TYPE resonance_helper_{name} {kind}\nresonance_helper_{name} {value}");
            text
        })
    }
}

/// Bytes of memory in use (proc(5), `VmRSS` of `/proc/self/status`).
fn resident_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

type Question = oneshot::Sender<String>;

/// Serves the figures to whoever asks at its address.
pub(super) struct Scrape {
    address: SocketAddr,
    questions: mpsc::Receiver<Question>,
    server: AbortHandle,
}

impl Scrape {
    /// Listens.
    ///
    /// # Errors
    /// When the address cannot be listened on.
    pub(super) async fn listen(address: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let (sender, questions) = mpsc::channel(MAX_REQUESTS);
        let server = tokio::spawn(serve(listener, sender)).abort_handle();
        Ok(Self { address, questions, server })
    }

    /// Where.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Scrape {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// The next question for the figures; never, when nobody may ask.
pub(super) async fn next(scrapes: &mut Option<Scrape>) -> Option<Question> {
    match scrapes {
        Some(scrapes) => scrapes.questions.recv().await,
        None => std::future::pending().await,
    }
}

async fn serve(listener: TcpListener, questions: mpsc::Sender<Question>) {
    let places = Arc::new(Semaphore::new(MAX_REQUESTS));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // Out of files, perhaps.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        let questions = questions.clone();
        tokio::spawn(async move {
            // A scraper that does not get its answer asks again.
            let _ = timeout(PATIENCE, answer(stream, questions)).await;
            drop(place);
        });
    }
}

async fn answer(mut stream: TcpStream, questions: mpsc::Sender<Question>) -> io::Result<()> {
    let mut request = Vec::with_capacity(1_024);
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        if request.len() >= MAX_REQUEST || stream.read_buf(&mut request).await? == 0 {
            return Ok(());
        }
    }
    let line = request.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let (status, body) = match line {
        b"GET /metrics HTTP/1.1" | b"GET /metrics HTTP/1.0" => {
            let (sender, figures) = oneshot::channel();
            // Both fail only when the helper is ending.
            let _ = questions.send(sender).await;
            ("200 OK", figures.await.unwrap_or_default())
        }
        _ => ("404 Not Found", "The figures are at /metrics.\n".to_owned()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).await?;
    stream.write_all(body.as_bytes()).await?;
    stream.shutdown().await
}
