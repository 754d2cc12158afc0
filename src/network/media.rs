//! The media connections of all peers: at most one each, the newest.

use std::collections::HashMap;

use resonance_protocol::peer::TransportId;
use tokio::sync::mpsc;

use super::Event;
use super::candidates::Loopback;
use super::limits::MAX_MEDIA_CONNECTIONS;
use super::peer_connection::{self, Instruction, MediaEvents, Opening, Shared};

struct Connection {
    generation: u64,
    instructions: mpsc::Sender<Instruction>,
}

/// See the module.
pub(super) struct Media {
    connections: HashMap<TransportId, Connection>,
    next_generation: u64,
    shared: Shared,
    events: MediaEvents,
}

impl Media {
    /// None yet. What happens to each is sent to `events`.
    pub(super) fn new(shared: Shared, events: MediaEvents) -> Self {
        Self { connections: HashMap::new(), next_generation: 0, shared, events }
    }

    /// Starts a connection, in place of the one there may be. Gives the event to report when there is no room.
    pub(super) fn open(&mut self, peer: TransportId, opening: Opening, loopback: Loopback) -> Option<Event> {
        if !self.connections.contains_key(&peer) && self.connections.len() >= MAX_MEDIA_CONNECTIONS {
            return Some(Event::MediaDown { peer, reason: "too many media connections".into() });
        }
        let generation = self.next_generation;
        self.next_generation += 1;
        let instructions =
            peer_connection::spawn(peer, generation, opening, loopback, self.shared.clone(), self.events.clone());
        self.connections.insert(peer, Connection { generation, instructions });
        None
    }

    /// Passes an instruction on; without a connection, or with more instructions than any needs, it is dropped.
    pub(super) fn instruct(&self, peer: &TransportId, instruction: Instruction) {
        match self.connections.get(peer) {
            Some(connection) if connection.instructions.try_send(instruction).is_ok() => {}
            _ => tracing::debug!(%peer, "no media connection to take an instruction"),
        }
    }

    /// Ends the connection to `peer`, without an event.
    pub(super) fn close(&mut self, peer: &TransportId) {
        self.connections.remove(peer);
    }

    /// Ends all.
    pub(super) fn close_all(&mut self) {
        self.connections.clear();
    }

    /// Whether an event belongs to the newest connection of its peer. One that reports its end is forgotten.
    pub(super) fn is_current(&mut self, peer: &TransportId, generation: u64) -> bool {
        let Some(connection) = self.connections.get(peer).filter(|connection| connection.generation == generation)
        else {
            return false;
        };
        if connection.instructions.is_closed() {
            self.connections.remove(peer);
        }
        true
    }

    /// Packets that never reached the audio side: (because its ring was full, because they were unfit).
    pub(super) fn dropped(&self) -> (u64, u64) {
        self.shared.inbound.dropped()
    }
}
