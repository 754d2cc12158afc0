//! How many connections may come from one place, so that nobody takes all there are.

use std::collections::HashMap;
use std::convert::Infallible;
use std::net::IpAddr;
use std::task::{Context, Poll};

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
    dummy,
};
use libp2p::{Multiaddr, PeerId};

use super::ip_of;
use crate::token_bucket::network;

/// Connections from one network are used up.
#[derive(Debug, thiserror::Error)]
#[error("too many connections from there")]
struct TooMany;

/// Counts connections by where they come from.
pub(super) struct Gate {
    most: usize,
    /// By network: an IPv4 address, or an IPv6 address's /64.
    counts: HashMap<IpAddr, usize>,
    connections: HashMap<ConnectionId, IpAddr>,
}

impl Gate {
    /// Lets in so many from one network.
    pub(super) fn new(most: usize) -> Self {
        Self { most, counts: HashMap::new(), connections: HashMap::new() }
    }

    /// Where a connection leads.
    pub(super) fn address_of(&self, connection: ConnectionId) -> Option<IpAddr> {
        self.connections.get(&connection).copied()
    }

    fn is_full(&self, address: &Multiaddr) -> bool {
        ip_of(address).is_some_and(|ip| self.counts.get(&network(ip)).is_some_and(|count| *count >= self.most))
    }
}

impl NetworkBehaviour for Gate {
    type ConnectionHandler = dummy::ConnectionHandler;
    type ToSwarm = Infallible;

    fn handle_pending_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<(), ConnectionDenied> {
        if self.is_full(remote) { Err(ConnectionDenied::new(TooMany)) } else { Ok(()) }
    }

    fn handle_established_inbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        // Once more: others may have come while this one was being set up.
        if self.is_full(remote) { Err(ConnectionDenied::new(TooMany)) } else { Ok(dummy::ConnectionHandler) }
    }

    fn handle_established_outbound_connection(
        &mut self,
        _: ConnectionId,
        _: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        Ok(dummy::ConnectionHandler)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionEstablished(established) => {
                if let Some(ip) = ip_of(established.endpoint.get_remote_address()) {
                    self.connections.insert(established.connection_id, ip);
                    *self.counts.entry(network(ip)).or_default() += 1;
                }
            }
            FromSwarm::ConnectionClosed(closed) => {
                let Some(ip) = self.connections.remove(&closed.connection_id) else { return };
                if let Some(count) = self.counts.get_mut(&network(ip)) {
                    *count -= 1;
                    if *count == 0 {
                        self.counts.remove(&network(ip));
                    }
                }
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, _: PeerId, _: ConnectionId, event: THandlerOutEvent<Self>) {
        match event {}
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Infallible, THandlerInEvent<Self>>> {
        Poll::Pending
    }
}
