//! The server without its sockets: datagrams in, datagrams out; time, chance and new sockets are inputs.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use libp2p::PeerId;
use rtc::crypto::RTCCryptoProvider;
use rtc::stun::message::{CLASS_INDICATION, CLASS_REQUEST, METHOD_SEND, Message, TransactionId};
use rtc::turn::proto::data::Data;
use rtc::turn::proto::peeraddr::PeerAddress;

use super::allocation::{Allocation, Client};
use super::destinations::Destinations;
use super::issuer::Issuer;
use super::wire::{self, Inbound};
use super::{Figures, Limits};
use crate::token_bucket::Buckets;

/// Answers to one network that showed no credentials, at once: eight people behind one NAT, each connecting to seven over
/// two interfaces, with repeats.
const STRANGER_BURST: f64 = 300.0;

/// See [`STRANGER_BURST`]; per second. Answers are hardly longer than questions, so little is gained by forged senders.
const STRANGER_RATE: f64 = 50.0;

/// Networks whose answers are counted.
const MAX_STRANGERS: usize = 1_024;

/// Something to send.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Output<S> {
    /// From one of the listening sockets.
    ToClient(Client, Vec<u8>),
    /// From a relayed address.
    ToPeer(S, SocketAddr, Vec<u8>),
}

/// Makes a socket for a relayed address: its own address as announced, and the socket; `None` when there is none to be had.
pub(super) type Opener<'a, S> = &'a mut dyn FnMut(IpAddr) -> Option<(SocketAddr, S)>;

/// The server's state.
pub(super) struct Machine<S> {
    pub(super) issuer: Issuer,
    pub(super) destinations: Destinations,
    /// Where relayed addresses are announced, the preferred first.
    pub(super) announced: Vec<IpAddr>,
    pub(super) limits: Limits,
    pub(super) figures: Figures,
    pub(super) crypto: Arc<dyn RTCCryptoProvider>,
    pub(super) allocations: HashMap<Client, Allocation<S>>,
    pub(super) relayed: HashMap<SocketAddr, Client>,
    /// When the server began: nonces count from there.
    pub(super) begun: Instant,
    strangers: Buckets<IpAddr>,
}

impl<S: Clone> Machine<S> {
    /// A server that has served nobody yet.
    pub(super) fn new(
        issuer: Issuer,
        crypto: Arc<dyn RTCCryptoProvider>,
        announced: Vec<IpAddr>,
        listen: &[IpAddr],
        limits: Limits,
        now: Instant,
    ) -> Self {
        Self {
            issuer,
            destinations: Destinations::new(announced.clone(), listen),
            announced,
            limits,
            figures: Figures::default(),
            crypto,
            allocations: HashMap::new(),
            relayed: HashMap::new(),
            begun: now,
            strangers: Buckets::new(STRANGER_BURST, STRANGER_RATE, MAX_STRANGERS),
        }
    }

    /// A datagram from a client. `transaction` is fresh randomness, for an indication that may follow.
    pub(super) fn on_client_datagram(
        &mut self,
        now: Instant,
        client: Client,
        datagram: &[u8],
        transaction: TransactionId,
        open: Opener<'_, S>,
    ) -> Option<Output<S>> {
        match wire::read(datagram)? {
            Inbound::Stun(message) if message.typ.class == CLASS_REQUEST => {
                let answer = self.on_request(now, client, &message, open)?;
                Some(Output::ToClient(client, answer))
            }
            Inbound::Stun(message) if message.typ.class == CLASS_INDICATION && message.typ.method == METHOD_SEND => {
                let to = peer_named(&message)?;
                let data: Data = wire::attribute(&message)?;
                self.relay(now, client, to, data.0, transaction)
            }
            Inbound::Stun(_) => None,
            Inbound::Channel(channel) => {
                let to = self.allocations.get(&client)?.peer_of(channel.number, now)?;
                self.relay(now, client, to, channel.data, transaction)
            }
        }
    }

    /// A datagram that came to a relayed address.
    pub(super) fn on_peer_datagram(
        &mut self,
        now: Instant,
        relayed: SocketAddr,
        peer: SocketAddr,
        bytes: &[u8],
        transaction: TransactionId,
    ) -> Option<Output<S>> {
        let peer = wire::canonical(peer);
        let client = *self.relayed.get(&relayed)?;
        let allocation = self.allocations.get_mut(&client).filter(|allocation| allocation.until > now)?;
        if !allocation.permits(peer.ip(), now) {
            self.figures.refused_destination += 1;
            return None;
        }
        if !allocation.spend_inward(bytes.len(), now) {
            self.figures.refused_rate += 1;
            return None;
        }
        let datagram = match allocation.channel_to(peer, now) {
            Some(number) => wire::channel_data(number, bytes),
            None => wire::data_indication(peer, bytes, transaction),
        }?;
        self.figures.packets += 1;
        self.figures.bytes += bytes.len() as u64;
        Some(Output::ToClient(client, datagram))
    }

    /// From an allocation to a peer: into the world, or to another relayed address of this server.
    fn relay(
        &mut self,
        now: Instant,
        client: Client,
        to: SocketAddr,
        bytes: Vec<u8>,
        transaction: TransactionId,
    ) -> Option<Output<S>> {
        let allocation = self.allocations.get_mut(&client).filter(|allocation| allocation.until > now)?;
        let own = self.destinations.is_own(to.ip());
        let lawful = to.port() != 0 && (own || self.destinations.allows(to.ip()));
        if !lawful || !allocation.permits(to.ip(), now) || (own && !self.relayed.contains_key(&to)) {
            self.figures.refused_destination += 1;
            return None;
        }
        if !allocation.spend_outward(bytes.len(), now) {
            self.figures.refused_rate += 1;
            return None;
        }
        let (from, socket) = (allocation.relayed, allocation.socket.clone());
        if own {
            // It need not leave this machine; behind a router that does not turn packets round it could not come back.
            return self.on_peer_datagram(now, to, from, &bytes, transaction);
        }
        self.figures.packets += 1;
        self.figures.bytes += bytes.len() as u64;
        Some(Output::ToPeer(socket, to, bytes))
    }

    /// Whether one more answer may go to somebody who showed no credentials.
    pub(super) fn answers_stranger(&mut self, now: Instant, client: Client) -> bool {
        let answers = self.strangers.take(now, crate::token_bucket::network(client.address.ip()));
        self.figures.refused_rate += u64::from(!answers);
        answers
    }

    /// Ends what is over.
    pub(super) fn expire(&mut self, now: Instant) {
        self.issuer.expire(now);
        self.keep(|allocation| allocation.until > now);
    }

    /// Takes back an owner's credentials and ends its allocations.
    pub(super) fn revoke(&mut self, owner: &PeerId) {
        self.issuer.revoke(owner);
        self.keep(|allocation| allocation.owner != *owner);
    }

    /// Ends one allocation.
    pub(super) fn end(&mut self, client: &Client) {
        if let Some(allocation) = self.allocations.remove(client) {
            self.relayed.remove(&allocation.relayed);
        }
    }

    fn keep(&mut self, stays: impl Fn(&Allocation<S>) -> bool) {
        let relayed = &mut self.relayed;
        self.allocations.retain(|_, allocation| {
            let stays = stays(allocation);
            if !stays {
                relayed.remove(&allocation.relayed);
            }
            stays
        });
    }

    /// What has been done so far.
    pub(super) fn figures(&self) -> Figures {
        Figures { allocations: self.allocations.len(), users: self.issuer.len(), ..self.figures }
    }
}

/// The peer that an indication or a request for a channel names.
pub(super) fn peer_named(message: &Message) -> Option<SocketAddr> {
    let peer: PeerAddress = wire::attribute(message)?;
    Some(wire::canonical(SocketAddr::new(peer.ip, peer.port)))
}
