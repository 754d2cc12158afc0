//! How a NAT maps what leaves through it (RFC 4787 §4.1, RFC 5780 §4.3): the same socket asks several servers, or several
//! ports of one, as which address it comes.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtc::sansio::Protocol;
use rtc::shared::{TransportContext, TransportMessage, TransportProtocol};
use rtc::turn::client::{Client, ClientConfig, Event};
use tokio::net::UdpSocket;
use tokio::time::{Instant as Deadline, timeout_at};

use super::PATIENCE;
use crate::network::turn::Credentials;

/// What a packet says that is sent to oneself through a relay.
const PROBE: &[u8] = b"resonance doctor";

/// How often a probe is repeated until it comes back.
const REPEAT: Duration = Duration::from_millis(300);

/// What one server told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Observation {
    /// Our own address and port.
    pub local: SocketAddr,
    /// Where our packets went.
    pub asked: SocketAddr,
    /// As whom we came there.
    pub seen: SocketAddr,
}

/// How a NAT maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// There is none: others see our own address.
    None,
    /// Whomever we send to, we come as the same address: others can send to it.
    Independent,
    /// Each destination sees another address ("symmetric"): nobody else can use what one saw.
    Dependent,
    /// There is a NAT, and one answer is too few to tell how it maps.
    Unclear,
}

/// What the answers for one socket say.
pub fn classify(observations: &[Observation]) -> Option<Mapping> {
    let (first, rest) = observations.split_first()?;
    Some(if observations.iter().all(|one| one.seen == one.local) {
        Mapping::None
    } else if rest.iter().any(|one| one.seen != first.seen) {
        Mapping::Dependent
    } else if rest.is_empty() {
        Mapping::Unclear
    } else {
        Mapping::Independent
    })
}

/// What the servers of one family see of one socket, and whether sound could be relayed.
#[derive(Debug, Default)]
pub struct Observed {
    /// One for each server that answered, and one for each relayed address that our packets came to.
    pub observations: Vec<Observation>,
    /// A relay gave us an address, and let a packet through.
    pub relays: bool,
}

/// Asks these servers as whom one socket comes to them, within 10 s. All are of the first one's family, others are left
/// out.
///
/// # Errors
///
/// When there is no socket to be had, or no way to the first server.
pub async fn observe(servers: &[(SocketAddr, Credentials)]) -> io::Result<Observed> {
    let Some((first, _)) = servers.first() else { return Ok(Observed::default()) };
    let any = if first.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).await?;
    let local = SocketAddr::new(source(*first)?, socket.local_addr()?.port());
    let mut observed = Observed::default();
    let end = Deadline::now() + 2 * PATIENCE;
    for (server, credentials) in servers.iter().filter(|(server, _)| server.is_ipv4() == first.is_ipv4()) {
        let mut probe = Probe::new(&socket, local, *server, credentials)?;
        probe.run(end.min(Deadline::now() + PATIENCE)).await;
        observed.relays |= probe.relayed_back.is_some();
        let seen = |asked, seen: SocketAddr| Observation { local, asked, seen };
        observed.observations.extend(probe.seen.map(|address| seen(*server, address)));
        observed.observations.extend(probe.relayed_back.map(|(relayed, address)| seen(relayed, address)));
    }
    Ok(observed)
}

/// The address that packets to `server` leave from; nothing is sent.
fn source(server: SocketAddr) -> io::Result<IpAddr> {
    let any = if server.is_ipv4() { IpAddr::V4(Ipv4Addr::UNSPECIFIED) } else { IpAddr::V6(Ipv6Addr::UNSPECIFIED) };
    let socket = std::net::UdpSocket::bind(SocketAddr::new(any, 0))?;
    socket.connect(server)?;
    Ok(socket.local_addr()?.ip())
}

/// One server: a Binding, then a relayed address, then a packet from the same socket to that address, whose sender the
/// relay tells.
struct Probe<'a> {
    socket: &'a UdpSocket,
    local: SocketAddr,
    server: SocketAddr,
    client: Client,
    seen: Option<SocketAddr>,
    relayed: Option<SocketAddr>,
    permitted: bool,
    /// The relayed address, and as whom our packet came there.
    relayed_back: Option<(SocketAddr, SocketAddr)>,
    failed: bool,
}

impl<'a> Probe<'a> {
    fn new(
        socket: &'a UdpSocket,
        local: SocketAddr,
        server: SocketAddr,
        credentials: &Credentials,
    ) -> io::Result<Self> {
        let config = ClientConfig {
            stun_serv_addr: server.to_string(),
            turn_serv_addr: server.to_string(),
            local_addr: local,
            username: credentials.username.clone(),
            password: credentials.password.as_str().to_owned(),
            ..ClientConfig::default()
        };
        let crypto = rtc::crypto::default_provider().map_err(io::Error::other)?;
        let mut client = Client::new(config, crypto).map_err(io::Error::other)?;
        client.send_binding_request(Instant::now()).map_err(io::Error::other)?;
        let (seen, relayed, relayed_back) = (None, None, None);
        Ok(Self { socket, local, server, client, seen, relayed, permitted: false, relayed_back, failed: false })
    }

    async fn run(&mut self, deadline: Deadline) {
        let mut buffer = [0; 2_048];
        while self.relayed_back.is_none() && !self.failed && Deadline::now() < deadline {
            while let Some(datagram) = self.client.poll_write() {
                // A packet that cannot be sent is one that does not arrive: the deadline ends it.
                let _ = self.socket.send_to(&datagram.message, self.server).await;
            }
            if let (Some(relayed), true) = (self.relayed, self.permitted) {
                let _ = self.socket.send_to(PROBE, relayed).await;
            }
            let wake = deadline.min(Deadline::now() + REPEAT);
            if let Ok(Ok((length, from))) = timeout_at(wake, self.socket.recv_from(&mut buffer)).await
                && from == self.server
            {
                self.take_in(&buffer[..length]);
            }
            // An error says that there is nothing to repeat.
            let _ = self.client.handle_timeout(Instant::now());
            self.go_on();
        }
        if let Some(relayed) = self.relayed
            && let Ok(mut relay) = self.client.relay(relayed)
            && relay.close(Instant::now()).is_ok()
            && let Some(farewell) = self.client.poll_write()
        {
            let _ = self.socket.send_to(&farewell.message, self.server).await;
        }
    }

    fn take_in(&mut self, datagram: &[u8]) {
        let transport = TransportContext {
            local_addr: self.local,
            peer_addr: self.server,
            transport_protocol: TransportProtocol::UDP,
            ecn: None,
        };
        // What is no answer is ignored.
        let message = BytesMut::from(datagram);
        let _ = self.client.handle_read(TransportMessage { now: Instant::now(), transport, message });
    }

    fn go_on(&mut self) {
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::BindingResponse(_, seen) => {
                    self.seen = Some(seen);
                    self.failed |= self.client.allocate(Instant::now()).is_err();
                }
                Event::AllocateResponse(_, relayed) => {
                    self.relayed = Some(relayed);
                    let permission = self.seen.and_then(|seen| {
                        let mut relay = self.client.relay(relayed).ok()?;
                        relay.create_permission(Instant::now(), seen).ok()
                    });
                    self.failed |= permission.is_none();
                }
                Event::CreatePermissionResponse(..) => self.permitted = true,
                Event::DataIndicationOrChannelData(_, from, bytes) if bytes[..] == *PROBE => {
                    self.relayed_back = self.relayed.map(|relayed| (relayed, from));
                }
                Event::TransactionTimeout(_)
                | Event::BindingError(..)
                | Event::AllocateError(..)
                | Event::CreatePermissionError(..) => self.failed = true,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::turn::{Limits, TurnServer};
    use libp2p::PeerId;

    fn observations(local: &str, seen: &[&str]) -> Vec<Observation> {
        let at = |text: &str| text.parse().unwrap();
        let one = |(port, seen): (usize, &&str)| Observation {
            local: at(local),
            asked: SocketAddr::from(([198, 51, 100, 1], port as u16 + 1)),
            seen: at(seen),
        };
        seen.iter().enumerate().map(one).collect()
    }

    #[test]
    fn kinds_of_mapping_are_told_apart() {
        let home = "192.168.1.2:5000";
        for (local, seen, expected) in [
            (home, &[][..], None),
            (home, &["203.0.113.1:5000"][..], Some(Mapping::Unclear)),
            (home, &["203.0.113.1:5000", "203.0.113.1:5000"][..], Some(Mapping::Independent)),
            (home, &["203.0.113.1:5000", "203.0.113.1:5001"][..], Some(Mapping::Dependent)),
            (home, &["203.0.113.1:5000", "203.0.113.2:5000"][..], Some(Mapping::Dependent)),
            ("203.0.113.1:5000", &["203.0.113.1:5000"][..], Some(Mapping::None)),
        ] {
            assert_eq!(classify(&observations(local, seen)), expected, "{seen:?}");
        }
    }

    #[tokio::test]
    async fn one_server_shows_the_mapping_at_two_of_its_ports_and_relays() {
        // The relay sends nothing to its own address, so the asker is at another.
        let server = TurnServer::start(&["127.0.0.2:0".parse().unwrap()], Vec::new(), Limits::HELPER).unwrap();
        let credentials = server.issue(PeerId::random(), Instant::now()).unwrap();
        let observed = observe(&[(server.servers()[0], credentials)]).await.unwrap();
        assert!(observed.relays);
        assert_eq!(observed.observations.len(), 2);
        assert_eq!(classify(&observed.observations), Some(Mapping::None));
        assert_ne!(observed.observations[0].asked, observed.observations[1].asked);
        let left = async {
            while server.figures().allocations > 0 {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, left).await.expect("it leaves nothing behind");
    }
}
