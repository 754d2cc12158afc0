//! `/resonance/turn/1`: asking a helper or a member for credentials on its server, one libp2p stream each.
//!
//! The request is empty. The response is a length (2 bytes, big-endian) and that many bytes of CBOR (RFC 8949): an array
//! `[servers, username, password, seconds]`, each server an array of IP address (4 or 16 bytes) and UDP port; or a number
//! that says why not. Whoever speaks it lists it by identify: that is how a peer is known to serve.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use futures::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use libp2p::request_response::{self, Codec, ProtocolSupport};
use libp2p::{PeerId, StreamProtocol};
use minicbor::data::Type;
use minicbor::{Decoder, Encoder};
use zeroize::Zeroizing;

use super::{Credentials, MAX_SERVERS, TurnServer};
use crate::token_bucket::{Buckets, network};

/// The protocol of this version.
pub(crate) const PROTOCOL: StreamProtocol = StreamProtocol::new("/resonance/turn/1");

/// Longest response in bytes: four IPv6 servers, and names as long as they may be.
const MAX_RESPONSE: usize = 512;

/// Longest username and longest password in bytes.
const MAX_TEXT: usize = 128;

/// Longest lifetime that is believed; shorter ones are asked for again in time.
const MAX_LIFETIME: Duration = Duration::from_secs(24 * 60 * 60);

/// How long an answer is waited for.
const DEADLINE: Duration = Duration::from_secs(5);

/// Requests at once on one connection: one is enough, and a second may overlap.
const MAX_STREAMS: usize = 2;

/// Requests of one peer at once: one when it comes, and a few after changes of its network.
const PEER_BURST: f64 = 6.0;
/// Requests of one peer per second: it needs one in five minutes.
const PEER_RATE: f64 = 1.0 / 30.0;
/// Requests of one address at once: several people behind one NAT, each with a new name for each session.
const ADDRESS_BURST: f64 = 40.0;
/// Requests of one address per second.
const ADDRESS_RATE: f64 = 0.5;
/// Peers and addresses whose requests are counted.
const MAX_COUNTED: usize = 1_024;

/// Why there are no credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Too many peers use the server already.
    #[error("the server is full")]
    Full,
    /// The peer asks too often.
    #[error("asked too often")]
    TooOften,
    /// The server serves members of its session, and the peer is none.
    #[error("it serves the members of its session only")]
    Stranger,
    /// Nobody is known to reach the peer, so it has no server.
    #[error("nobody is known to reach it")]
    Unreached,
    /// Any other reason.
    #[error("it gives no reason that this version knows")]
    Other,
}

impl Refusal {
    const NUMBERED: [(u8, Self); 4] = [(1, Self::Full), (2, Self::TooOften), (3, Self::Stranger), (4, Self::Unreached)];

    fn number(self) -> u8 {
        Self::NUMBERED.into_iter().find(|(_, refusal)| *refusal == self).map_or(0, |(number, _)| number)
    }

    fn from_number(number: u64) -> Self {
        let known = Self::NUMBERED.into_iter().find(|(known, _)| u64::from(*known) == number);
        known.map_or(Self::Other, |(_, refusal)| refusal)
    }
}

/// The response.
pub type Offer = Result<Credentials, Refusal>;

/// The libp2p behaviour of either side.
pub(crate) type Behaviour = request_response::Behaviour<OfferCodec>;

/// The behaviour of who asks, who answers, or both.
pub(crate) fn behaviour(support: ProtocolSupport) -> Behaviour {
    let config =
        request_response::Config::default().with_request_timeout(DEADLINE).with_max_concurrent_streams(MAX_STREAMS);
    Behaviour::new([(PROTOCOL, support)], config)
}

/// Answers requests, within their rates.
pub(crate) struct Desk {
    peers: Buckets<PeerId>,
    addresses: Buckets<IpAddr>,
}

impl Default for Desk {
    fn default() -> Self {
        Self {
            peers: Buckets::new(PEER_BURST, PEER_RATE, MAX_COUNTED),
            addresses: Buckets::new(ADDRESS_BURST, ADDRESS_RATE, MAX_COUNTED),
        }
    }
}

impl Desk {
    /// Answers a peer; `address` is where it is connected from, unless something stands between.
    pub(crate) fn answer(&mut self, server: &TurnServer, peer: PeerId, address: Option<IpAddr>, now: Instant) -> Offer {
        let in_time = self.peers.take(now, peer) && address.is_none_or(|ip| self.addresses.take(now, network(ip)));
        if !in_time {
            return Err(Refusal::TooOften);
        }
        server.issue(peer, now).ok_or(Refusal::Full)
    }
}

/// Reads and writes what is described above.
#[derive(Clone, Copy, Default)]
pub(crate) struct OfferCodec;

impl Codec for OfferCodec {
    type Protocol = StreamProtocol;
    type Request = ();
    type Response = Offer;

    async fn read_request<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<()>
    where
        T: AsyncRead + Unpin + Send,
    {
        match io.read(&mut [0; 1]).await? {
            0 => Ok(()),
            _ => Err(io::ErrorKind::InvalidData.into()),
        }
    }

    async fn read_response<T>(&mut self, _: &StreamProtocol, io: &mut T) -> io::Result<Offer>
    where
        T: AsyncRead + Unpin + Send,
    {
        let mut length = [0; 2];
        io.read_exact(&mut length).await?;
        let length = usize::from(u16::from_be_bytes(length));
        if length > MAX_RESPONSE {
            return Err(io::ErrorKind::InvalidData.into());
        }
        let mut bytes = Zeroizing::new(vec![0; length]);
        io.read_exact(&mut bytes).await?;
        parse(&bytes).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    async fn write_request<T>(&mut self, _: &StreamProtocol, _: &mut T, (): ()) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        Ok(())
    }

    async fn write_response<T>(&mut self, _: &StreamProtocol, io: &mut T, offer: Offer) -> io::Result<()>
    where
        T: AsyncWrite + Unpin + Send,
    {
        let bytes = write(&offer).ok_or(io::ErrorKind::InvalidInput)?;
        let length = u16::try_from(bytes.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        io.write_all(&length.to_be_bytes()).await?;
        io.write_all(&bytes).await
    }
}

/// The CBOR of an offer; `None` when it does not fit.
fn write(offer: &Offer) -> Option<Zeroizing<Vec<u8>>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_RESPONSE));
    // Writing into a vector cannot fail.
    let mut encoder = Encoder::new(&mut *bytes);
    match offer {
        Err(refusal) => drop(encoder.u8(refusal.number())),
        Ok(credentials) => {
            let servers = &credentials.servers[..credentials.servers.len().min(MAX_SERVERS)];
            encoder.array(4).ok()?.array(servers.len() as u64).ok()?;
            for server in servers {
                encoder.array(2).ok()?;
                match server.ip() {
                    IpAddr::V4(ip) => encoder.bytes(&ip.octets()).ok()?,
                    IpAddr::V6(ip) => encoder.bytes(&ip.octets()).ok()?,
                }
                .u16(server.port())
                .ok()?;
            }
            let (username, password) = (&credentials.username, &credentials.password);
            encoder.str(username).ok()?.str(password).ok()?.u64(credentials.lifetime.as_secs()).ok()?;
        }
    }
    (bytes.len() <= MAX_RESPONSE).then_some(bytes)
}

/// Reads an offer; `None` when it is none. Servers that nobody can be reached at are left out.
fn parse(bytes: &[u8]) -> Option<Offer> {
    let mut decoder = Decoder::new(bytes);
    if matches!(decoder.datatype().ok()?, Type::U8 | Type::U16 | Type::U32 | Type::U64) {
        let number = decoder.u64().ok()?;
        return is_read(&decoder, bytes).then(|| Err(Refusal::from_number(number)));
    }
    // Later versions may say more.
    if decoder.array().ok()?? < 4 {
        return None;
    }
    let count = decoder.array().ok()??;
    if count > MAX_SERVERS as u64 {
        return None;
    }
    let mut servers = Vec::new();
    for _ in 0..count {
        if decoder.array().ok()?? != 2 {
            return None;
        }
        let ip = address(decoder.bytes().ok()?)?;
        let server = SocketAddr::new(ip, decoder.u16().ok()?);
        if is_place(server) && !servers.contains(&server) {
            servers.push(server);
        }
    }
    let username = short(decoder.str().ok()?)?;
    let password = Zeroizing::new(short(decoder.str().ok()?)?);
    let lifetime = Duration::from_secs(decoder.u64().ok()?).min(MAX_LIFETIME);
    Some(Ok(Credentials { servers, username, password, lifetime }))
}

fn is_read(decoder: &Decoder<'_>, bytes: &[u8]) -> bool {
    decoder.position() == bytes.len()
}

fn address(bytes: &[u8]) -> Option<IpAddr> {
    match bytes.len() {
        4 => <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from),
        16 => <[u8; 16]>::try_from(bytes).ok().map(|octets| IpAddr::from(octets).to_canonical()),
        _ => None,
    }
}

/// One host, at a port.
fn is_place(server: SocketAddr) -> bool {
    let broadcast = matches!(server.ip(), IpAddr::V4(ip) if ip.is_broadcast());
    !(server.ip().is_unspecified() || server.ip().is_multicast() || broadcast || server.port() == 0)
}

/// A name or a password: not empty, not long, and nothing that another reader could stumble over.
fn short(text: &str) -> Option<String> {
    let fits = !text.is_empty() && text.len() <= MAX_TEXT && text.chars().all(|c| c.is_ascii_graphic());
    fits.then(|| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::block_on;
    use futures::io::Cursor;

    fn credentials(servers: &[&str]) -> Credentials {
        Credentials {
            servers: servers.iter().map(|server| server.parse().unwrap()).collect(),
            username: "user".into(),
            password: Zeroizing::new("pass".into()),
            lifetime: Duration::from_secs(600),
        }
    }

    fn travels(offer: &Offer) -> Option<Offer> {
        let mut wire = Vec::new();
        block_on(OfferCodec.write_response(&PROTOCOL, &mut wire, offer.clone())).unwrap();
        block_on(OfferCodec.read_response(&PROTOCOL, &mut Cursor::new(wire))).ok()
    }

    #[test]
    fn an_offer_travels_whole() {
        let offer = Ok(credentials(&["192.0.2.1:3478", "[2001:db8::1]:3479"]));
        assert!(travels(&offer) == Some(offer.clone()));
        let relays = offer.map(|credentials| credentials.relays(crate::network::Way::Relayed)).unwrap_or_default();
        let urls: Vec<&str> = relays.iter().map(|relay| relay.url.as_str()).collect();
        assert_eq!(urls, ["turn:192.0.2.1:3478?transport=udp", "turn:[2001:db8::1]:3479?transport=udp"]);
        assert!(relays.iter().all(|relay| relay.username == "user" && *relay.credential == "pass"));
        for refusal in [Refusal::Full, Refusal::TooOften, Refusal::Stranger, Refusal::Other] {
            assert!(travels(&Err(refusal)) == Some(Err(refusal)));
        }
    }

    #[test]
    fn servers_that_are_no_place_are_left_out() {
        let strange = ["0.0.0.0:1", "224.0.0.251:5353", "192.0.2.1:0", "192.0.2.1:3478"];
        let read = travels(&Ok(credentials(&strange))).unwrap().map(|read| read.servers);
        assert_eq!(read.ok(), Some(vec!["192.0.2.1:3478".parse().unwrap()]));
        let many: Vec<String> = (1..100).map(|port| format!("192.0.2.1:{port}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        assert_eq!(travels(&Ok(credentials(&many))).unwrap().map(|read| read.servers.len()).ok(), Some(MAX_SERVERS));
    }

    #[test]
    fn what_is_no_offer_is_refused_and_nothing_panics() {
        let good = write(&Ok(credentials(&["192.0.2.1:3478"]))).unwrap();
        for cut in 0..good.len() {
            assert!(parse(&good[..cut]).is_none(), "{cut} bytes");
        }
        for at in 0..good.len() {
            for bit in 0..8 {
                let mut changed = good.to_vec();
                changed[at] ^= 1 << bit;
                let read = parse(&changed);
                assert!(read.is_none_or(|offer| offer.is_ok_and(|read| read.servers.len() <= 1)), "byte {at}");
            }
        }
        let mut wire = ((MAX_RESPONSE + 1) as u16).to_be_bytes().to_vec();
        wire.resize(2_000, 0);
        assert!(block_on(OfferCodec.read_response(&PROTOCOL, &mut Cursor::new(wire))).is_err(), "too long");
        assert!(
            block_on(OfferCodec.read_request(&PROTOCOL, &mut Cursor::new(b"x"))).is_err(),
            "nothing is asked but that"
        );
        assert!(block_on(OfferCodec.read_request(&PROTOCOL, &mut Cursor::new(b""))).is_ok());
        let spaced = Credentials { username: "a b".into(), ..credentials(&[]) };
        assert!(travels(&Ok(spaced)).is_none());
    }

    #[tokio::test]
    async fn who_asks_too_often_waits_and_nobody_else_does() {
        let local = "127.0.0.1:0".parse().unwrap();
        let server = TurnServer::start(&[local], Vec::new(), super::super::Limits::HELPER).unwrap();
        let (mut desk, now) = (Desk::default(), Instant::now());
        let greedy = PeerId::random();
        let given = (0..50).filter(|_| desk.answer(&server, greedy, None, now).is_ok()).count();
        assert_eq!(given, 6);
        assert!(desk.answer(&server, greedy, None, now).err() == Some(Refusal::TooOften));
        assert!(desk.answer(&server, PeerId::random(), None, now).is_ok());
        let home = "198.51.100.1".parse().ok();
        let given = (0..200).filter(|_| desk.answer(&server, PeerId::random(), home, now).is_ok()).count();
        assert_eq!(given, 40);
        assert!(desk.answer(&server, PeerId::random(), home, now + Duration::from_secs(2)).is_ok());
        assert!(desk.answer(&server, PeerId::random(), "198.51.100.2".parse().ok(), now).is_ok());
    }
}
