//! The media stack's TURN client, which speaks to the server in these tests as it does in a call.

use std::net::SocketAddr;
use std::time::Instant;

use bytes::BytesMut;
use rtc::sansio::Protocol;
use rtc::shared::{TransportContext, TransportMessage, TransportProtocol};
use rtc::turn::client::{Client, ClientConfig, Event};

/// A client and the address it is seen at.
pub(super) struct Caller {
    pub(super) client: Client,
    pub(super) address: SocketAddr,
    pub(super) server: SocketAddr,
    /// Its relayed address, once it has one.
    pub(super) relayed: Option<SocketAddr>,
    /// What peers sent it.
    pub(super) heard: Vec<(SocketAddr, Vec<u8>)>,
    /// What was refused, in the library's words.
    pub(super) refused: Vec<String>,
    /// Peers it may send to.
    pub(super) permitted: Vec<SocketAddr>,
}

impl Caller {
    pub(super) fn new(address: SocketAddr, server: SocketAddr, username: &str, password: &str) -> Self {
        let config = ClientConfig {
            turn_serv_addr: server.to_string(),
            stun_serv_addr: server.to_string(),
            local_addr: address,
            username: username.into(),
            password: password.into(),
            ..ClientConfig::default()
        };
        let client = Client::new(config, rtc::crypto::default_provider().unwrap()).unwrap();
        Self { client, address, server, relayed: None, heard: vec![], refused: vec![], permitted: vec![] }
    }

    /// The next datagram for the server.
    pub(super) fn next_datagram(&mut self) -> Option<Vec<u8>> {
        self.client.poll_write().map(|datagram| datagram.message.to_vec())
    }

    /// A datagram from the server.
    pub(super) fn take_in(&mut self, now: Instant, datagram: &[u8]) {
        let transport = TransportContext {
            local_addr: self.address,
            peer_addr: self.server,
            transport_protocol: TransportProtocol::UDP,
            ecn: None,
        };
        // What the library cannot read is dropped, as a call would.
        let _ = self.client.handle_read(TransportMessage { now, transport, message: BytesMut::from(datagram) });
        self.note_events();
    }

    /// Lets time pass.
    pub(super) fn pass_time(&mut self, now: Instant) {
        self.client.handle_timeout(now).unwrap();
        self.note_events();
    }

    pub(super) fn permit(&mut self, now: Instant, peer: SocketAddr) {
        let relayed = self.relayed.expect("an allocation");
        self.client.relay(relayed).unwrap().create_permission(now, peer).unwrap();
    }

    /// Sends through the relayed address; false when the client has no permission yet.
    pub(super) fn say(&mut self, now: Instant, to: SocketAddr, bytes: &[u8]) -> bool {
        let relayed = self.relayed.expect("an allocation");
        self.client.relay(relayed).unwrap().send_to(now, bytes, to).is_ok()
    }

    fn note_events(&mut self) {
        while let Some(event) = self.client.poll_event() {
            match event {
                Event::AllocateResponse(_, relayed) => self.relayed = Some(relayed),
                Event::CreatePermissionResponse(_, peer) => self.permitted.push(peer),
                Event::DataIndicationOrChannelData(_, from, bytes) => self.heard.push((from, bytes.to_vec())),
                Event::AllocateError(_, error) | Event::CreatePermissionError(_, error) => {
                    self.refused.push(error.to_string());
                }
                Event::TransactionTimeout(_) => self.refused.push("no answer".into()),
                _ => {}
            }
        }
    }
}
