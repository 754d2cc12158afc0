//! Somebody who asks a TURN server for relayed addresses, as many as it may have and more.

use resonance::network::turn::Credentials;
use rtc::sansio::Protocol;
use rtc::shared::{TransportContext, TransportMessage, TransportProtocol};
use rtc::turn::client::{Client, ClientConfig, Event};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::{Duration, Instant};

/// How long an answer is waited for: those who have had their share get one, too.
const PATIENCE: Duration = Duration::from_millis(200);

/// One allocation after the other as one user, each from a socket of its own on that address: the sockets of those that were given.
pub fn allocate(from: IpAddr, server: SocketAddr, user: &Credentials, times: usize) -> Vec<UdpSocket> {
    (0..times).filter_map(|_| ask(from, server, user)).collect()
}

fn ask(from: IpAddr, server: SocketAddr, user: &Credentials) -> Option<UdpSocket> {
    let socket = UdpSocket::bind((from, 0)).ok()?;
    socket.connect(server).ok()?;
    socket.set_read_timeout(Some(PATIENCE)).ok()?;
    let local_addr = socket.local_addr().ok()?;
    let config = ClientConfig {
        turn_serv_addr: server.to_string(),
        local_addr,
        username: user.username.clone(),
        password: user.password.to_string(),
        ..ClientConfig::default()
    };
    let mut client = Client::new(config, rtc::crypto::default_provider().ok()?).ok()?;
    client.allocate(Instant::now()).ok()?;
    let mut buffer = [0; 2_048];
    // The question, its refusal with a nonce, and the signed question.
    for _ in 0..2 {
        while let Some(datagram) = client.poll_write() {
            socket.send(&datagram.message).ok()?;
        }
        let length = socket.recv(&mut buffer).ok()?;
        let transport =
            TransportContext { local_addr, peer_addr: server, transport_protocol: TransportProtocol::UDP, ecn: None };
        let message = bytes::BytesMut::from(&buffer[..length]);
        // What is no answer is none.
        let _ = client.handle_read(TransportMessage { now: Instant::now(), transport, message });
    }
    matches!(client.poll_event(), Some(Event::AllocateResponse(..))).then_some(socket)
}
