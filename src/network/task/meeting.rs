//! Meeting beyond the local network: helpers, relays, the distributed hash table, and whether we can be reached ourselves.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use libp2p::core::ConnectedPoint;
use libp2p::kad::{self, GetProvidersOk, QueryResult};
use libp2p::multiaddr::Protocol;
use libp2p::swarm::behaviour::ExternalAddrConfirmed;
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ConnectionId, FromSwarm, NetworkBehaviour};
use libp2p::{Multiaddr, PeerId, identify, relay};
use resonance_protocol::peer::{Address, TransportId};

use super::Task;
use super::doubts::Wire;
use crate::network::limits::{MAX_AWAITED, NODE_PATIENCE, PROOF_PATIENCE};
use crate::network::relays::{self, Class, Passage, Purpose, Relays};
use crate::network::rendezvous::Rendezvous;
use crate::network::swarm::{BehaviourEvent, KADEMLIA, RelayedPeers};
use crate::network::turn::offer;
use crate::network::{Dht, Event, PUBLIC_ENTRANCES, Place, Way, address};

/// A peer at the other end of a connection, whoever it is.
pub(super) struct Node {
    since: Instant,
    pub(super) connections: HashMap<ConnectionId, Wire>,
    /// It relays (circuit relay v2).
    relays: bool,
    /// It serves the distributed hash table.
    serves_table: bool,
    /// It serves STUN and TURN.
    serves_media: bool,
}

impl Node {
    /// Where it is, if a connection leads there without anybody between.
    fn reached_at(&self) -> Option<&Multiaddr> {
        self.connections.values().find(|wire| wire.passage == Passage::Direct).map(|wire| &wire.at)
    }
}

/// What this side of the task remembers.
pub(in crate::network) struct Meeting {
    pub(super) rendezvous: Rendezvous<kad::QueryId>,
    pub(super) relays: Relays,
    /// Members, for whom we relay.
    pub(super) relayed: RelayedPeers,
    pub(super) nodes: HashMap<PeerId, Node>,
    /// Found in the table, being dialled or connected since; nothing proved yet.
    pub(super) unproved: HashMap<PeerId, Instant>,
    /// To be reached through a helper as soon as there is one.
    pub(super) awaited: HashMap<TransportId, Instant>,
    /// The table has nodes to ask.
    pub(super) entered: bool,
    /// Others reach us at an address of ours.
    pub(super) reachable: bool,
    /// The table is everybody's: addresses that mean nothing elsewhere have no place there.
    pub(super) public: bool,
    /// Members may be between us and others.
    pub(super) by_members: bool,
}

impl Meeting {
    /// What is known at the start.
    pub(in crate::network) fn new(dht: &Dht, helpers: Vec<Place>, by_members: bool, relayed: RelayedPeers) -> Self {
        let now = Instant::now();
        let mut relays = Relays::default();
        for helper in helpers {
            relays.learn(now, helper, Purpose::Helper);
        }
        let entrances = match dht {
            Dht::Off => Vec::new(),
            Dht::Public => PUBLIC_ENTRANCES.iter().filter_map(|text| Place::parse(text).ok()).collect(),
            Dht::At(places) => places.clone(),
        };
        for entrance in entrances {
            relays.learn(now, entrance, Purpose::Entrance);
        }
        Self {
            rendezvous: Rendezvous::new(now),
            relays,
            relayed,
            nodes: HashMap::new(),
            unproved: HashMap::new(),
            awaited: HashMap::new(),
            entered: false,
            reachable: false,
            public: *dht == Dht::Public,
            by_members,
        }
    }

    fn is_member(&self, peer: &PeerId) -> bool {
        self.relayed.lock().is_ok_and(|relayed| relayed.contains(peer))
    }

    /// What a connection of this way is good for.
    fn class(&self, way: Passage) -> Class {
        match way {
            Passage::Direct => Class::Direct,
            Passage::Circuit(relay) if self.relays.is_helper(&relay) || self.is_member(&relay) => Class::Through,
            Passage::Circuit(_) => Class::Foreign,
        }
    }

    /// Whether `peer` relays everything for us: a helper, or a member, unless nobody of the session may learn where we are.
    fn is_trusted(&self, peer: &PeerId) -> bool {
        self.relays.is_helper(peer) || self.by_members && self.is_member(peer)
    }

    /// Relays that carry everything, and where they are: those with whom a direct connection stands.
    fn trusted_relays(&self) -> impl Iterator<Item = (&PeerId, &Multiaddr)> {
        self.nodes.iter().filter_map(|(peer, node)| {
            let trusted = self.is_trusted(peer);
            (node.relays && trusted).then_some((peer, node.reached_at()?))
        })
    }

    fn circuits_to(&self, peer: &TransportId) -> Vec<Multiaddr> {
        let itself = address::peer_id(peer);
        let others = self.trusted_relays().filter(|(relay, _)| Some(**relay) != itself);
        others.filter_map(|(relay, at)| relays::circuit(relay, at, peer)).collect()
    }

    /// Somebody that stays connected though it never proves to be a member.
    fn is_needed(&self, peer: &PeerId) -> bool {
        self.relays.is_helper(peer) || self.relays.is_reserved(peer)
    }
}

impl Task {
    /// What a connection to `peer` is good for.
    pub(super) fn class(&self, peer: &PeerId, connection: ConnectionId) -> Option<Class> {
        let wire = self.meeting.nodes.get(peer)?.connections.get(&connection)?;
        Some(self.meeting.class(wire.passage))
    }

    /// Who is between on a connection to `peer`.
    pub(super) fn way(&self, peer: &PeerId, connection: ConnectionId) -> Way {
        let node = self.meeting.nodes.get(peer);
        match node.and_then(|node| node.connections.get(&connection)).map(|wire| wire.passage) {
            Some(Passage::Circuit(relay)) if self.is_relayed(&relay) => Way::Member,
            Some(Passage::Circuit(_)) => Way::Relayed,
            Some(Passage::Direct) | None => Way::Direct,
        }
    }

    /// A connection stands, to whomever. True when it leads to a place that was to be reached.
    pub(super) fn node_connected(&mut self, peer: PeerId, connection: ConnectionId, endpoint: &ConnectedPoint) -> bool {
        let now = Instant::now();
        let address = endpoint.get_remote_address().clone();
        let watched = self.swarm.behaviour().liveness.watches(connection);
        let named = endpoint.is_dialer() && self.meeting.relays.connected(peer, &address);
        let new = || Node {
            since: now,
            connections: HashMap::new(),
            relays: false,
            serves_table: false,
            serves_media: false,
        };
        let node = self.meeting.nodes.entry(peer).or_insert_with(new);
        node.connections.insert(connection, Wire::new(now, Passage::of(endpoint), address, watched));
        if let Some(since) = self.meeting.unproved.get_mut(&peer) {
            *since = now;
        }
        named || endpoint.is_dialer()
    }

    /// A connection is gone.
    pub(super) fn node_disconnected(&mut self, peer: PeerId, connection: ConnectionId) {
        let Some(node) = self.meeting.nodes.get_mut(&peer) else { return };
        node.connections.remove(&connection);
        if node.connections.is_empty() {
            self.meeting.nodes.remove(&peer);
            self.meeting.unproved.remove(&peer);
            self.meeting.relays.disconnected(Instant::now(), &peer);
            if let Ok(mut relayed) = self.meeting.relayed.lock() {
                relayed.remove(&peer);
            }
            self.serve_no_more(&peer);
        }
    }

    /// A dial of `peer` failed.
    pub(super) fn node_not_reached(&mut self, peer: Option<PeerId>) {
        if let Some(peer) = peer
            && !self.meeting.nodes.contains_key(&peer)
        {
            self.meeting.unproved.remove(&peer);
        }
    }

    /// `peer` says what it speaks. True if it is of use though it may not be of the session.
    pub(super) fn node_identified(&mut self, peer: PeerId, info: &identify::Info) -> bool {
        let Some(node) = self.meeting.nodes.get_mut(&peer) else { return false };
        node.relays = info.protocols.contains(&relay::HOP_PROTOCOL_NAME);
        node.serves_table = info.protocols.contains(&KADEMLIA);
        node.serves_media = info.protocols.contains(&offer::PROTOCOL);
        let useful = node.relays || node.serves_table || node.serves_media;
        self.tend_meeting(Instant::now());
        // Whoever asks the table of us speaks nothing of its own.
        useful || self.meeting.relays.is_place(&peer) || self.meeting.reachable
    }

    /// Helpers and members who serve STUN and TURN, the helpers first, and where they are.
    pub(super) fn serving(&self) -> Vec<(PeerId, bool)> {
        let serving = self.meeting.nodes.iter().filter(|(_, node)| node.serves_media);
        let mut serving: Vec<(PeerId, bool)> = serving
            .map(|(peer, _)| (*peer, self.is_helper(peer)))
            .filter(|(peer, helper)| *helper || self.settings.only.is_none() && self.is_relayed(peer))
            .collect();
        serving.sort_by_key(|(peer, helper)| (!helper, *peer));
        serving
    }

    /// Whether `peer` is a helper of ours.
    pub(super) fn is_helper(&self, peer: &PeerId) -> bool {
        self.meeting.relays.is_helper(peer)
    }

    /// Whether `peer` is a member, for whom we relay.
    pub(super) fn is_relayed(&self, peer: &PeerId) -> bool {
        self.meeting.is_member(peer)
    }

    /// Where `peer` is connected from, if directly.
    pub(super) fn seen_at(&self, peer: &PeerId) -> Option<IpAddr> {
        let (_, at) = address::compact(self.meeting.nodes.get(peer)?.reached_at()?)?;
        Some(at.ip)
    }

    /// Whether `peer` was found in the table.
    pub(super) fn was_found(&self, peer: &PeerId) -> bool {
        self.meeting.unproved.contains_key(peer)
    }

    /// `peer` has proved that it belongs to the session.
    pub(super) fn node_proved(&mut self, peer: PeerId) {
        self.meeting.unproved.remove(&peer);
        if let Ok(mut relayed) = self.meeting.relayed.lock() {
            relayed.insert(peer);
        }
    }

    /// Takes the helpers out of the addresses of `peer`, who is then to be reached through them.
    pub(super) fn learn_helpers(&mut self, peer: Option<TransportId>, helpers: &[Address]) {
        let now = Instant::now();
        if self.settings.only.is_none() {
            for helper in helpers {
                self.meeting.relays.learn(now, Place::of(helper), Purpose::Helper);
            }
        }
        if let Some(peer) = peer {
            self.meeting.awaited.retain(|_, since| now.saturating_duration_since(*since) < NODE_PATIENCE);
            if self.meeting.awaited.len() < MAX_AWAITED {
                self.meeting.awaited.insert(peer, now);
            }
        }
        self.tend_meeting(now);
    }

    /// Tries to reach `peer` through every helper and member there is.
    pub(super) async fn dial_through(&mut self, peer: TransportId) {
        let circuits = self.meeting.circuits_to(&peer);
        if let Some(id) = address::peer_id(&peer)
            && !circuits.is_empty()
        {
            let options = DialOpts::peer_id(id).condition(PeerCondition::Always).addresses(circuits).build();
            self.start_dial(Some(peer), options).await;
        }
    }

    /// Reaches those who wait for `relay` to be there.
    pub(super) async fn dial_awaited(&mut self) {
        let awaited: Vec<TransportId> =
            self.meeting.awaited.keys().filter(|peer| !self.peers.contains_key(peer)).copied().collect();
        for peer in awaited {
            if !self.meeting.circuits_to(&peer).is_empty() {
                self.meeting.awaited.remove(&peer);
                self.dial_through(peer).await;
            }
        }
    }

    /// What the libraries that serve meeting have to say.
    pub(super) async fn on_meeting_event(&mut self, event: BehaviourEvent) {
        let now = Instant::now();
        match event {
            BehaviourEvent::Kademlia(kad::Event::RoutingUpdated { .. }) if !self.meeting.entered => {
                self.meeting.entered = true;
                self.meeting.rendezvous.publish_soon(now);
                tracing::info!("the distributed hash table is entered");
            }
            BehaviourEvent::Kademlia(kad::Event::OutboundQueryProgressed { id, result, step, .. }) => {
                if let QueryResult::GetProviders(Ok(GetProvidersOk::FoundProviders { providers, .. })) = result {
                    for peer in providers {
                        self.found(now, peer);
                    }
                }
                if step.last {
                    self.meeting.rendezvous.answered(&id);
                }
            }
            BehaviourEvent::Relayed(event) => tracing::debug!(?event, "relay"),
            BehaviourEvent::Dcutr(event) => {
                tracing::debug!(peer = %event.remote_peer_id, direct = event.result.is_ok(), "hole punching");
            }
            BehaviourEvent::Autonat(event) => tracing::debug!(reached = event.result.is_ok(), "reachability probed"),
            _ => {}
        }
        self.tend_meeting(now);
        self.dial_awaited().await;
    }

    /// Does whatever is due: dials, reservations, questions to the table.
    pub(super) fn tend_meeting(&mut self, now: Instant) {
        let need = self.settings.dht && !self.meeting.entered;
        for place in self.meeting.relays.due(now, need) {
            let options = DialOpts::unknown_peer_id().address(place.multiaddr().clone()).build();
            self.swarm.behaviour_mut().liveness.watch_dial(options.connection_id());
            // An error only says that it is tried again later.
            let _ = self.swarm.dial(options);
        }
        self.doubt_helpers(now);
        self.reserve(now);
        if let Some(table) = self.swarm.behaviour_mut().kademlia.as_mut() {
            table.store_mut().expire(now);
        }
        if self.meeting.entered {
            self.ask_table(now);
        }
        self.dial_found(now);
        self.close_worse_ways(now);
    }

    fn reserve(&mut self, now: Instant) {
        let need = self.settings.dht && !self.meeting.reachable;
        let mut asked = Vec::new();
        for (peer, node) in self.meeting.nodes.iter().filter(|(_, node)| node.relays) {
            let trusted = self.meeting.is_trusted(peer);
            if let Some(at) = node.reached_at()
                && self.meeting.relays.wants(now, peer, trusted, need)
            {
                asked.push((*peer, relays::reservation(peer, at), trusted));
            }
        }
        for (peer, at, trusted) in asked {
            match self.swarm.listen_on(at) {
                Ok(listener) => self.meeting.relays.reserve(peer, listener, trusted),
                Err(error) => {
                    tracing::debug!(%error, "no reservation");
                    self.meeting.relays.refuse(now, peer);
                }
            }
        }
    }

    /// Closes connections through relays once a better one has stood for a while, and shows out nodes of the table.
    fn close_worse_ways(&mut self, now: Instant) {
        let mut superfluous = Vec::new();
        let mut strangers = Vec::new();
        for (peer, node) in &self.meeting.nodes {
            let alive = node.connections.values().filter(|wire| !wire.is_doubted(now));
            let best = alive.map(|wire| self.meeting.class(wire.passage)).min();
            let settled = now.saturating_duration_since(node.since) > PROOF_PATIENCE;
            let worse = |wire: &Wire| settled && best.is_some_and(|best| self.meeting.class(wire.passage) > best);
            superfluous.extend(node.connections.iter().filter(|(_, wire)| worse(wire)).map(|(id, _)| *id));
            let of_session = self.meeting.is_member(peer)
                || address::transport_id(peer)
                    .and_then(|name| self.peers.get(&name))
                    .is_some_and(|peer| peer.announced);
            if !of_session && !self.meeting.is_needed(peer) && now.saturating_duration_since(node.since) > NODE_PATIENCE
            {
                strangers.push(*peer);
            }
        }
        for connection in superfluous {
            self.swarm.close_connection(connection);
        }
        for peer in strangers {
            // An error only says that it left by itself.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
    }

    /// We listen at one more address.
    pub(super) async fn listens(&mut self, at: &Multiaddr) {
        if let Some(relay) = relays::relay_of(at) {
            let event = match self.meeting.relays.address_of_helper(&relay) {
                Some(compact) => Event::Reached { address: at.to_string(), compact },
                None => Event::Listening { address: at.to_string(), compact: None },
            };
            return self.emit(event).await;
        }
        // A relay hands out only addresses that it takes to be its own; members reach this one already.
        if let Some(relay) = self.swarm.behaviour_mut().relay.as_mut() {
            relay.on_swarm_event(FromSwarm::ExternalAddrConfirmed(ExternalAddrConfirmed { addr: at }));
        }
        self.open_port(at);
        let compact = address::compact(at).map(|(_, compact)| compact);
        self.emit(Event::Listening { address: at.to_string(), compact }).await;
    }

    /// Others reach us at this address.
    pub(super) async fn is_reached_at(&mut self, at: Multiaddr) {
        let now = Instant::now();
        if self.meeting.public && !address::is_global(&at) {
            // It would be published, and means nothing elsewhere.
            return self.swarm.remove_external_address(&at);
        }
        if relays::relay_of(&at).is_none() {
            if !std::mem::replace(&mut self.meeting.reachable, true) {
                tracing::info!("others can reach this machine");
            }
            if let Some(table) = self.swarm.behaviour_mut().kademlia.as_mut() {
                table.set_mode(Some(kad::Mode::Server));
            }
            let bare: Multiaddr = at.iter().filter(|part| !matches!(part, Protocol::P2p(_))).collect();
            self.serve_media(&bare);
            let known = self.swarm.listeners().any(|listener| *listener == bare);
            if let Some((_, compact)) = address::compact(&bare)
                && !known
            {
                self.emit(Event::Reached { address: bare.to_string(), compact }).await;
            }
        }
        self.meeting.rendezvous.publish_soon(now);
    }

    /// Nobody reaches us at this address any more.
    pub(super) fn is_reached_no_more(&mut self) {
        self.meeting.reachable = self.swarm.external_addresses().any(|at| relays::relay_of(at).is_none());
        if !self.meeting.reachable
            && let Some(table) = self.swarm.behaviour_mut().kademlia.as_mut()
        {
            table.set_mode(Some(kad::Mode::Client));
        }
        self.meeting.rendezvous.publish_soon(Instant::now());
    }

    /// We listen somewhere no more.
    pub(super) fn listens_no_more(&mut self, listener: libp2p::core::transport::ListenerId) {
        let now = Instant::now();
        if self.meeting.relays.lost(now, listener) {
            tracing::debug!("a reservation is gone");
        }
    }
}
