//! The task's part in reaching peers: which addresses are dialled, when.

use libp2p::Multiaddr;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use resonance_protocol::peer::{Address, Listener, TransportId};

use super::{Task, explain};
use crate::network::limits::{MAX_ADDRESSES_PER_PEER, MAX_PENDING_DIALS};
use crate::network::{Event, address};

impl Task {
    pub(super) async fn dial(&mut self, peer: Option<TransportId>, addresses: &[Address]) {
        match peer {
            Some(peer) if self.peers.contains_key(&peer) => self.learn_helpers(Some(peer), &helpers_of(addresses)),
            Some(peer) => self.dial_anew(peer, addresses).await,
            None => {
                self.learn_helpers(None, &helpers_of(addresses));
                for multiaddr in self.dialable(addresses) {
                    let options = DialOpts::unknown_peer_id().address(multiaddr).build();
                    self.start_dial(None, options).await;
                }
            }
        }
    }

    /// At most as many as are dialled at once, and none that may not be.
    fn dialable(&self, addresses: &[Address]) -> Vec<Multiaddr> {
        let allowed = |address: &&Address| {
            address.listener == Listener::Peer && self.settings.only.as_ref().is_none_or(|only| only.contains(address))
        };
        addresses.iter().filter(allowed).map(address::multiaddr).take(MAX_ADDRESSES_PER_PEER).collect()
    }

    /// Whether it is connected or not.
    pub(super) async fn dial_anew(&mut self, peer: TransportId, addresses: &[Address]) {
        self.learn_helpers(Some(peer), &helpers_of(addresses));
        self.dial_peer(peer, addresses).await;
        self.dial_through(peer).await;
    }

    async fn dial_peer(&mut self, peer: TransportId, addresses: &[Address]) {
        let Some(id) = address::peer_id(&peer) else {
            let reason = "its name is not a valid key".into();
            return self.emit(Event::DialFailed { peer: Some(peer), reason }).await;
        };
        for multiaddr in self.dialable(addresses) {
            self.addresses.remember(id, multiaddr);
        }
        let known = self.addresses.addresses(&id).cloned().collect();
        // Always: a dial of stale addresses that is still waiting must not keep fresh ones from being tried, nor a connection that
        // has died unnoticed.
        let options = DialOpts::peer_id(id).condition(PeerCondition::Always).addresses(known).build();
        self.start_dial(Some(peer), options).await;
    }

    pub(super) async fn start_dial(&mut self, peer: Option<TransportId>, options: DialOpts) {
        let connection = options.connection_id();
        if self.dials.len() >= MAX_PENDING_DIALS as usize {
            let reason = "too many connections are being set up".into();
            return self.emit(Event::DialFailed { peer, reason }).await;
        }
        let liveness = &mut self.swarm.behaviour_mut().liveness;
        match peer.and_then(|peer| address::peer_id(&peer)) {
            Some(id) => liveness.watch(id),
            None => liveness.watch_dial(connection),
        }
        match self.swarm.dial(options) {
            Ok(()) => {
                self.dials.insert(connection, peer);
            }
            Err(error) => self.emit(Event::DialFailed { peer, reason: explain(&error) }).await,
        }
    }
}

/// Where helpers listen who lead to a peer.
fn helpers_of(addresses: &[Address]) -> Vec<Address> {
    addresses.iter().filter(|address| address.listener == Listener::Helper).copied().collect()
}
