//! How soon a dead connection is noticed: those that matter are probed every other second, those to nodes of the distributed hash table
//! rarely. A question to the table connects to dozens of them, and each would cost as much as a member does.

use std::collections::HashSet;
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::Endpoint;
use libp2p::core::transport::PortUse;
use libp2p::swarm::{
    ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, THandler, THandlerInEvent, THandlerOutEvent, ToSwarm,
};
use libp2p::{Multiaddr, PeerId, ping};

/// How often a connection that matters is probed. One that does not answer two probes is doubted.
pub(super) const PROBE_INTERVAL: Duration = Duration::from_secs(2);

/// How often any other is.
const RARE_INTERVAL: Duration = Duration::from_secs(30);

/// A probe that goes unanswered for so long ends the connection.
const TIMEOUT: Duration = Duration::from_secs(10);

/// Peers that are remembered as mattering: far more than a session, its helpers and those who may belong to it.
const MAX_WATCHED: usize = 512;

/// See the module.
pub(super) struct Behaviour {
    often: ping::Behaviour,
    rarely: ping::Behaviour,
    peers: HashSet<PeerId>,
    dials: HashSet<ConnectionId>,
    /// Connections that are probed often.
    watched: HashSet<ConnectionId>,
}

impl Default for Behaviour {
    fn default() -> Self {
        let every = |interval| ping::Behaviour::new(ping::Config::new().with_interval(interval).with_timeout(TIMEOUT));
        let (peers, dials, watched) = Default::default();
        Self { often: every(PROBE_INTERVAL), rarely: every(RARE_INTERVAL), peers, dials, watched }
    }
}

impl Behaviour {
    /// Connections to this peer matter from now on.
    pub(super) fn watch(&mut self, peer: PeerId) {
        if self.peers.len() >= MAX_WATCHED {
            self.peers.clear();
        }
        self.peers.insert(peer);
    }

    /// The connection that comes of this dial matters, whoever answers.
    pub(super) fn watch_dial(&mut self, dial: ConnectionId) {
        if self.dials.len() >= MAX_WATCHED {
            self.dials.clear();
        }
        self.dials.insert(dial);
    }

    /// Whether this connection is probed often.
    pub(super) fn watches(&self, connection: ConnectionId) -> bool {
        self.watched.contains(&connection)
    }
}

impl NetworkBehaviour for Behaviour {
    type ConnectionHandler = THandler<ping::Behaviour>;
    type ToSwarm = ping::Event;

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        local: &Multiaddr,
        remote: &Multiaddr,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        // Whoever comes may be a member.
        self.watched.insert(connection);
        self.often.handle_established_inbound_connection(connection, peer, local, remote)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        address: &Multiaddr,
        role: Endpoint,
        port: PortUse,
    ) -> Result<THandler<Self>, ConnectionDenied> {
        let matters = self.dials.remove(&connection) | self.peers.contains(&peer);
        if matters {
            self.watched.insert(connection);
        }
        let kind = if matters { &mut self.often } else { &mut self.rarely };
        kind.handle_established_outbound_connection(connection, peer, address, role, port)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionClosed(closed) => {
                self.watched.remove(&closed.connection_id);
            }
            FromSwarm::DialFailure(failed) => {
                self.dials.remove(&failed.connection_id);
            }
            _ => {}
        }
    }

    fn on_connection_handler_event(&mut self, peer: PeerId, connection: ConnectionId, event: THandlerOutEvent<Self>) {
        self.often.on_connection_handler_event(peer, connection, event);
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        // What either handler says is kept by this one.
        self.often.poll(context)
    }
}
