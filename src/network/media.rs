//! The media connections of all peers: the one that carries sound, and one that may be about to take its place.

use std::collections::HashMap;
use std::time::Duration;

use resonance_protocol::peer::TransportId;
use tokio::sync::mpsc;

use super::candidates::Loopback;
use super::limits::MAX_MEDIA_CONNECTIONS;
use super::peer_connection::{self, Instruction, MediaEvents, Opening, Shared};
use super::{Event, Relay};

/// How long a connection is still sent by and listened to when another has taken its place: that may stand a moment later on the
/// other side.
const OVERLAP: Duration = Duration::from_millis(300);

/// Whether there were no servers before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FirstServers {
    /// There were none.
    Yes,
    /// There were, or there are none.
    No,
}

struct Connection {
    generation: u64,
    up: bool,
    instructions: mpsc::Sender<Instruction>,
}

/// See the module.
pub(super) struct Media {
    /// Of each peer at most two, the newest last: before it one that stands, or stood and may recover.
    connections: HashMap<TransportId, Vec<Connection>>,
    next_generation: u64,
    shared: Shared,
    events: MediaEvents,
}

impl Media {
    /// None yet. What happens to each is sent to `events`.
    pub(super) fn new(shared: Shared, events: MediaEvents) -> Self {
        Self { connections: HashMap::new(), next_generation: 0, shared, events }
    }

    /// The servers that help connections through from now on; those of before are forgotten.
    pub(super) fn set_servers(&mut self, servers: Vec<Relay>) -> FirstServers {
        let first = self.shared.servers.is_empty() && !servers.is_empty();
        self.shared.servers = servers.into();
        if first { FirstServers::Yes } else { FirstServers::No }
    }

    /// Starts a connection beside the one that may stand; what else was begun is given up. Gives the event to report when
    /// there is no room.
    pub(super) fn open(
        &mut self,
        peer: TransportId,
        number: u64,
        opening: Opening,
        loopback: Loopback,
    ) -> Option<Event> {
        let others: usize = self.connections.iter().filter(|(id, _)| **id != peer).map(|(_, two)| two.len()).sum();
        if others + 2 > MAX_MEDIA_CONNECTIONS {
            return Some(Event::MediaDown { peer, reason: "too many media connections".into() });
        }
        let generation = self.next_generation;
        self.next_generation += 1;
        let instructions = peer_connection::spawn(
            peer,
            (generation, number),
            opening,
            loopback,
            self.shared.clone(),
            self.events.clone(),
        );
        let connections = self.connections.entry(peer).or_default();
        // The newest that stands; else the oldest, which once did and may recover.
        let kept = connections.iter().rposition(|connection| connection.up).unwrap_or(0);
        let mut at = 0..;
        connections.retain(|_| at.next() == Some(kept));
        connections.push(Connection { generation, up: false, instructions });
        None
    }

    /// Passes an instruction on to the newest connection; without one, or with more instructions than any needs, it is dropped.
    pub(super) fn instruct(&self, peer: &TransportId, instruction: Instruction) {
        match self.connections.get(peer).and_then(|connections| connections.last()) {
            Some(connection) if connection.instructions.try_send(instruction).is_ok() => {}
            _ => tracing::debug!(%peer, "no media connection to take an instruction"),
        }
    }

    /// Ends the connections to `peer`, without an event.
    pub(super) fn close(&mut self, peer: &TransportId) {
        self.connections.remove(peer);
    }

    /// Ends all.
    pub(super) fn close_all(&mut self) {
        self.connections.clear();
    }

    /// Whether a connection to `peer` stands.
    pub(super) fn stands(&self, peer: &TransportId) -> bool {
        self.connections.get(peer).is_some_and(|connections| connections.iter().any(|connection| connection.up))
    }

    /// Takes note of what happened to a connection. Gives it back if the application is to know: it sees one connection, and
    /// not how one takes the place of another.
    pub(super) fn follow(&mut self, peer: TransportId, generation: u64, event: Event) -> Option<Event> {
        let connections = self.connections.get_mut(&peer)?;
        let at = connections.iter().position(|connection| connection.generation == generation)?;
        let newest = at + 1 == connections.len();
        match &event {
            Event::MediaUp { .. } => {
                connections[at].up = true;
                if newest && at > 0 {
                    dismiss(connections.drain(..at).collect());
                }
                // Another that recovers while a new one stands has nothing to say.
                (newest || !connections[at + 1..].iter().any(|newer| newer.up)).then_some(event)
            }
            Event::MediaDown { .. } => {
                let was_up = std::mem::replace(&mut connections[at].up, false);
                if connections[at].instructions.is_closed() {
                    connections.remove(at);
                }
                let another = connections.iter().any(|connection| connection.up);
                if connections.is_empty() {
                    self.connections.remove(&peer);
                }
                (!another && (was_up || newest)).then_some(event)
            }
            Event::MediaRtt { .. } => connections[at].up.then_some(event),
            _ => newest.then_some(event),
        }
    }

    /// Packets that never reached the audio side: (because its ring was full, because they were unfit).
    pub(super) fn dropped(&self) -> (u64, u64) {
        self.shared.inbound.dropped()
    }
}

/// Lets connections go after a moment.
fn dismiss(connections: Vec<Connection>) {
    tokio::spawn(async move {
        tokio::time::sleep(OVERLAP).await;
        drop(connections);
    });
}
