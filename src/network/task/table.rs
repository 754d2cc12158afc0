//! The distributed hash table: what it is asked, and what becomes of those found there.

use std::time::Instant;

use libp2p::PeerId;
use libp2p::core::Endpoint;
use libp2p::kad;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, NetworkBehaviour};
use resonance_protocol::peer::TransportId;

use super::Task;
use crate::network::limits::{MAX_UNPROVED, PROOF_PATIENCE};
use crate::network::rendezvous::{Ask, Haste};
use crate::network::{Event, Via, address};

impl Task {
    /// Where we are met, and where to look for others.
    pub(super) fn meet(&mut self, own: [u8; 32], keys: Vec<[u8; 32]>, haste: Haste) {
        let before = self.meeting.rendezvous.set_keys(Instant::now(), own, keys, haste);
        if let (Some(before), Some(table)) = (before, self.swarm.behaviour_mut().kademlia.as_mut()) {
            table.stop_providing(&record_key(&before));
        }
        self.tend_meeting(Instant::now());
    }

    /// `peer` is under a key of the session.
    pub(super) fn found(&mut self, now: Instant, peer: PeerId) {
        let Some(name) = address::transport_id(&peer) else { return };
        if peer == *self.swarm.local_peer_id() || self.peers.contains_key(&name) {
            return;
        }
        let Some(table) = self.swarm.behaviour_mut().kademlia.as_mut() else { return };
        // The table knows its addresses only as long as the query runs.
        let known =
            table.handle_pending_outbound_connection(ConnectionId::new_unchecked(0), Some(peer), &[], Endpoint::Dialer);
        let public = self.meeting.public;
        let mut addresses = known.unwrap_or_default();
        addresses.retain(|at| !public || address::is_global(at));
        self.meeting.rendezvous.found(now, peer, addresses);
    }

    pub(super) fn ask_table(&mut self, now: Instant) {
        let reachable = self.swarm.external_addresses().next().is_some();
        let in_company = self.peers.values().any(|peer| peer.member);
        while let Some(ask) = self.meeting.rendezvous.poll(now, reachable, in_company) {
            let Some(table) = self.swarm.behaviour_mut().kademlia.as_mut() else { return };
            let query = match ask {
                Ask::Publish(key) => table.start_providing(record_key(&key)).ok(),
                Ask::LookUp(key) => Some(table.get_providers(record_key(&key))),
            };
            self.meeting.rendezvous.asked(ask, query);
        }
    }

    pub(super) fn dial_found(&mut self, now: Instant) {
        let late = |since: &Instant| now.saturating_duration_since(*since) > PROOF_PATIENCE;
        let late: Vec<PeerId> =
            self.meeting.unproved.iter().filter(|(_, since)| late(since)).map(|(peer, _)| *peer).collect();
        for peer in late {
            self.meeting.unproved.remove(&peer);
            // An error only says that it was not connected.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        while self.meeting.unproved.len() < MAX_UNPROVED
            && let Some((peer, addresses)) = self.meeting.rendezvous.next_found()
        {
            let options = DialOpts::peer_id(peer).condition(PeerCondition::Disconnected).addresses(addresses).build();
            self.swarm.behaviour_mut().liveness.watch(peer);
            if self.swarm.dial(options).is_ok() {
                self.meeting.unproved.insert(peer, now);
            }
        }
    }

    /// Somebody found in the table turned out to speak resonance: the session is told.
    pub(super) async fn tell_found(&mut self, peer: TransportId) {
        self.emit(Event::Discovered { peer, via: Via::Dht }).await;
    }

    /// Somebody of the session is gone: others may know where it is now.
    pub(super) fn look_again(&mut self) {
        self.meeting.rendezvous.look_soon(Instant::now());
    }
}

/// A key as the table wants it: the multihash of something hashed by SHA-256 (0x12), 32 bytes.
fn record_key(key: &[u8; 32]) -> kad::RecordKey {
    kad::RecordKey::new(&[&[0x12, 0x20], &key[..]].concat())
}
