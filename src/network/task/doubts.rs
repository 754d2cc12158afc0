//! Connections that may have died without anybody having noticed. None is closed for a doubt alone: what can go another way does, and
//! whoever is in doubt is dialled anew; a new connection then takes the place of those before it.
//!
//! Whoever dialled again had a reason, which the other side may not know: there a new connection carries sound at once, and those
//! before it are closed if they stay silent. AutoNAT's servers dial, too, to see whether they can: their connections do no harm.

use std::time::{Duration, Instant};

use libp2p::multiaddr::Protocol;
use libp2p::swarm::ConnectionId;
use libp2p::{Multiaddr, PeerId};
use resonance_protocol::peer::TransportId;

use super::{Connected, Link, Task};
use crate::network::liveness::PROBE_INTERVAL;
use crate::network::relays::Passage;
use crate::network::{Event, address};

/// A connection by which nothing has come for so long is in doubt: two probes have gone unanswered.
const SILENCE: Duration = PROBE_INTERVAL.saturating_mul(2).saturating_add(Duration::from_millis(500));

/// A connection that is so new is not in doubt because nothing was heard before it came.
const NEW: Duration = Duration::from_secs(1);

/// Connections of a peer whose ages differ by less were dialled from both sides at once.
const CROSSING: Duration = Duration::from_secs(3);

/// A connection before which others stood has proved itself after so long: those that were silent meanwhile are dead.
const PROVED: Duration = PROBE_INTERVAL.saturating_add(Duration::from_secs(1));

/// When there are more connections than these, those before it are not needed any more after so long, though they be alive.
const SETTLED: Duration = Duration::from_secs(6);
const FEW: usize = 2;

/// One connection, to whomever.
pub(super) struct Wire {
    /// What it leads through.
    pub(super) passage: Passage,
    /// Where it leads.
    pub(super) at: Multiaddr,
    since: Instant,
    /// When something came by it last.
    alive_at: Instant,
    /// It is probed so often that silence says something.
    watched: bool,
    /// There is reason to believe that it is dead, and nothing came by it since.
    doubted: bool,
}

impl Wire {
    /// It stands now.
    pub(super) fn new(now: Instant, passage: Passage, at: Multiaddr, watched: bool) -> Self {
        Self { passage, at, since: now, alive_at: now, watched, doubted: false }
    }

    /// Whether it may be dead.
    pub(super) fn is_doubted(&self, now: Instant) -> bool {
        self.doubted || self.watched && now.saturating_duration_since(self.alive_at) > SILENCE
    }

    fn doubt(&mut self, now: Instant) {
        self.doubted |= now.saturating_duration_since(self.since) > NEW;
    }

    /// What ran over an address that is gone is dead. QUIC moves to another one.
    fn is_bound_to_an_address(&self) -> bool {
        self.passage == Passage::Direct && self.at.iter().any(|part| matches!(part, Protocol::Tcp(_)))
    }
}

impl Connected {
    /// Connections that stood before this one.
    fn before(&self, connection: ConnectionId) -> Vec<ConnectionId> {
        let Some(since) = self.connections.get(&connection).map(|link| link.since) else { return Vec::new() };
        let is_before = |link: &Link| since.saturating_duration_since(link.since) > CROSSING;
        self.connections.iter().filter(|(_, link)| is_before(link)).map(|(id, _)| *id).collect()
    }
}

impl Task {
    /// Something came by this connection.
    pub(super) fn shows_life(&mut self, peer: &PeerId, connection: ConnectionId) {
        let Some(node) = self.meeting.nodes.get_mut(peer) else { return };
        if let Some(wire) = node.connections.get_mut(&connection) {
            (wire.alive_at, wire.doubted) = (Instant::now(), false);
            if wire.passage == Passage::Direct {
                self.meeting.relays.trust(peer);
            }
        }
    }

    /// Nothing is heard of `peer` although there should be: whatever leads to it may be dead.
    pub(super) fn doubt(&mut self, peer: &TransportId) {
        let now = Instant::now();
        if let Some(connected) = self.peers.get_mut(peer) {
            connected.renewing = Some(now);
        }
        let node = address::peer_id(peer).and_then(|id| self.meeting.nodes.get_mut(&id));
        node.into_iter().flat_map(|node| node.connections.values_mut()).for_each(|wire| wire.doubt(now));
    }

    /// An address of ours is gone.
    pub(super) fn doubt_tcp(&mut self) {
        let now = Instant::now();
        let wires = self.meeting.nodes.values_mut().flat_map(|node| node.connections.values_mut());
        wires.filter(|wire| wire.is_bound_to_an_address()).for_each(|wire| wire.doubt(now));
    }

    /// Helpers to whom no connection is beyond doubt are dialled.
    pub(super) fn doubt_helpers(&mut self, now: Instant) {
        for (peer, node) in &self.meeting.nodes {
            if self.meeting.relays.is_helper(peer) && node.connections.values().all(|wire| wire.is_doubted(now)) {
                self.meeting.relays.doubt(now, peer);
            }
        }
    }

    /// Whether this connection may be dead.
    pub(super) fn is_doubted(&self, peer: &PeerId, connection: ConnectionId) -> bool {
        let wire = self.meeting.nodes.get(peer).and_then(|node| node.connections.get(&connection));
        wire.is_some_and(|wire| wire.is_doubted(Instant::now()))
    }

    /// A peer has spoken on this connection. If it is a helper, those before it that are in doubt are not needed any more, and
    /// reservations and circuits would be asked for by them. Members' are replaced with what goes by them.
    pub(super) fn close_doubted(&mut self, peer: &PeerId, connection: ConnectionId) {
        self.shows_life(peer, connection);
        if !self.is_helper(peer) {
            return;
        }
        let now = Instant::now();
        let wires = || self.meeting.nodes.get(peer).into_iter().flat_map(|node| &node.connections);
        let Some(since) = wires().find(|(id, _)| **id == connection).map(|(_, wire)| wire.since) else { return };
        let dead = |wire: &Wire| wire.since < since && wire.is_doubted(now);
        let dead: Vec<ConnectionId> = wires().filter(|(_, wire)| dead(wire)).map(|(id, _)| *id).collect();
        for id in dead {
            tracing::debug!(%peer, "a helper is connected anew");
            self.swarm.close_connection(id);
        }
    }

    /// A connected peer has spoken on a connection. If that is a new one, one of the two sides had a reason to dial again: all that
    /// came before it are in doubt.
    pub(super) async fn connected_anew(&mut self, peer: TransportId, connection: ConnectionId) {
        let Some(connected) = self.peers.get_mut(&peer) else { return };
        let Some(link) = connected.connections.get_mut(&connection) else { return };
        if std::mem::replace(&mut link.spoken, true) {
            return;
        }
        let (id, since) = (connected.id, link.since);
        let asked = connected.renewing.take_if(|asked| *asked <= since).is_some();
        let before = connected.before(connection);
        // Those that have shown life since another was asked for are not among them.
        let dead: Vec<ConnectionId> =
            before.iter().filter(|old| asked && self.is_doubted(&id, **old)).copied().collect();
        for old in dead {
            self.swarm.close_connection(old);
        }
        let Some(node) = self.meeting.nodes.get_mut(&id) else { return };
        for old in &before {
            node.connections.get_mut(old).into_iter().for_each(|wire| wire.doubted = true);
        }
        self.leave_doubted(peer);
        if asked || !before.is_empty() {
            tracing::debug!(%peer, asked, before = before.len(), "connected anew");
            self.emit(Event::Renewed { peer }).await;
        }
    }

    /// Closes connections that newer ones have replaced.
    pub(super) fn close_replaced(&mut self, now: Instant) {
        let mut replaced = Vec::new();
        for connected in self.peers.values() {
            let spoken = connected.connections.iter().filter(|(_, link)| link.spoken);
            let Some((newest, since)) = spoken.map(|(id, link)| (*id, link.since)).max_by_key(|(_, since)| *since)
            else {
                continue;
            };
            let age = now.saturating_duration_since(since);
            let class = self.class(&connected.id, newest);
            // One through a relay says nothing of one that needs none and is alive.
            let superfluous = |id: &ConnectionId| {
                let wire = self.meeting.nodes.get(&connected.id).and_then(|node| node.connections.get(id));
                let silent = wire.is_none_or(|wire| wire.watched && wire.alive_at <= since);
                let many = age > SETTLED && connected.connections.len() > FEW;
                silent || many && self.class(&connected.id, *id) >= class
            };
            if age > PROVED {
                replaced.extend(connected.before(newest).into_iter().filter(superfluous));
            }
        }
        for connection in replaced {
            self.swarm.close_connection(connection);
        }
    }
}
