//! The task's part in sound: media connections, streams, and by which connection those go.

use std::time::{Duration, Instant};

use libp2p::PeerId;
use libp2p::swarm::ConnectionId;
use resonance_protocol::peer::TransportId;

use super::{Connected, Task};
use crate::network::candidates::Loopback;
use crate::network::media::FirstServers;
use crate::network::peer_connection::Opening;
use crate::network::relays::Class;
use crate::network::stream_protocol::{Happened, StreamEvent};
use crate::network::{Event, Relay, address};

impl Task {
    pub(super) async fn open_media(&mut self, peer: TransportId, number: u64, opening: Opening) {
        let local = self.peers.get(&peer).is_some_and(Connected::is_local);
        let loopback = if local { Loopback::Offer } else { Loopback::LastResort };
        if let Some(refusal) = self.media.open(peer, number, opening, loopback) {
            self.emit(refusal).await;
        }
    }

    /// The servers that help media through from now on. Connections that were begun without any may do better with one.
    pub(super) async fn set_servers(&mut self, servers: Vec<Relay>) {
        if self.media.set_servers(servers) == FirstServers::Yes {
            self.emit(Event::ServersKnown).await;
        }
    }

    pub(super) fn close_media(&mut self, peer: &TransportId) {
        self.media.close(peer);
        // That it is gone was asked for.
        let _ = self.streams.want(*peer, false);
    }

    pub(super) async fn want_stream(&mut self, peer: TransportId, on: bool) {
        if let Some(event) = self.streams.want(peer, on) {
            self.emit(event).await;
        }
        self.open_streams();
    }

    /// A connection's round-trip time is that of the stream which runs over it, if sound goes by that.
    pub(super) async fn on_measured(&mut self, id: PeerId, connection: ConnectionId, rtt: Duration) {
        let Some(peer) = address::transport_id(&id) else { return };
        if self.streams.runs_over(&peer, connection) && !self.media.stands(&peer) {
            self.emit(Event::MediaRtt { peer, rtt_ms: rtt.as_secs_f32() * 1_000.0 }).await;
        }
    }

    /// Sound to `peer` that goes by a connection in doubt goes by a better one, if there is any, as soon as that carries it.
    pub(super) fn leave_doubted(&mut self, peer: TransportId) {
        let Some(connected) = self.peers.get(&peer) else { return };
        let doubted = self.streams.connection(&peer).is_some_and(|by| self.is_doubted(&connected.id, by));
        let (id, Some(best)) = (connected.id, self.best(connected)) else { return };
        if doubted && !self.is_doubted(&id, best) && self.streams.move_to(&peer, best) {
            self.swarm.behaviour_mut().streams.open(id, best);
        }
    }

    /// Opens the streams that are wanted and can be had.
    pub(super) fn open_streams(&mut self) {
        for peer in self.streams.due(Instant::now()) {
            let announced = self.peers.get(&peer).filter(|connected| connected.announced);
            let Some((id, connection)) = announced.and_then(|peer| Some((peer.id, self.best(peer)?))) else { continue };
            self.streams.opening(peer, connection);
            self.swarm.behaviour_mut().streams.open(id, connection);
        }
    }

    /// The connection for sound: one that is not in doubt, the best kind that there is, of those the newest. Public relays carry none.
    fn best(&self, peer: &Connected) -> Option<ConnectionId> {
        let class = |id: &ConnectionId| self.class(&peer.id, *id).filter(|class| *class < Class::Foreign);
        let fit = peer.connections.iter().filter_map(|(id, link)| Some((class(id)?, link.since, *id)));
        fit.min_by_key(|(class, since, id)| (self.is_doubted(&peer.id, *id), *class, std::cmp::Reverse(*since)))
            .map(|(_, _, id)| id)
    }

    pub(super) async fn on_stream_event(&mut self, StreamEvent { peer: id, connection, happened }: StreamEvent) {
        let Some(peer) = address::transport_id(&id) else { return };
        match happened {
            Happened::Opened(stream) => {
                let way = self.way(&id, connection);
                if let Some(event) = self.streams.opened(peer, connection, way, stream) {
                    self.emit(event).await;
                }
            }
            Happened::Refused => self.streams.refused(peer, connection),
            // Sound of strangers would only fill the ring.
            Happened::Came(stream) => {
                if self.peers.get(&peer).is_some_and(|connected| connected.member) {
                    self.streams.came(peer, stream);
                }
            }
        }
    }
}
