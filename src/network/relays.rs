//! Whom we know outside the session: helpers and entrances to the distributed hash table, and where we can be reached through others
//! (circuit relay v2). Pure: it is told what happened and says whom to dial.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use libp2p::core::ConnectedPoint;
use libp2p::core::transport::ListenerId;
use libp2p::multiaddr::Protocol;
use libp2p::{Multiaddr, PeerId};
use resonance_protocol::peer::{Address, Listener, TransportId};

use super::address::{self, Place};

/// Places that are remembered: a person's own helpers, and those of links and rosters.
const MAX_PLACES: usize = 16;

/// Reservations at relays found by chance: two, in case one goes.
const MAX_FOREIGN: usize = 2;

/// Reservations in total: seven members, a few helpers, and those.
const MAX_RESERVATIONS: usize = 12;

/// Longest pause before a place is dialled again.
const MAX_PAUSE: Duration = Duration::from_secs(30);

/// How long a relay is left alone after it refused or lost a reservation.
const REFUSAL_PAUSE: Duration = Duration::from_secs(20);

/// The same of a helper or a member, which may only just not have known yet that we are one.
const TRUSTED_PAUSE: Duration = Duration::from_secs(1);

/// What a connection leads through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Passage {
    /// From machine to machine.
    Direct,
    /// Through a relay.
    Circuit(PeerId),
}

impl Passage {
    /// The way of a connection.
    pub(super) fn of(endpoint: &ConnectedPoint) -> Self {
        let address = match endpoint {
            ConnectedPoint::Dialer { address, .. } => address,
            ConnectedPoint::Listener { local_addr, .. } => local_addr,
        };
        match relay_of(address) {
            Some(relay) => Passage::Circuit(relay),
            None => Passage::Direct,
        }
    }
}

/// The relay of a circuit's address: the peer named before `/p2p-circuit`.
pub(super) fn relay_of(address: &Multiaddr) -> Option<PeerId> {
    let mut relay = None;
    for part in address {
        match part {
            Protocol::P2p(peer) => relay = Some(peer),
            Protocol::P2pCircuit => return relay,
            _ => {}
        }
    }
    None
}

/// What a connection is good for, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Class {
    /// Everything.
    Direct,
    /// Everything, through a helper or a member.
    Through,
    /// Signalling only: a public relay, which carries little and not for long.
    Foreign,
}

/// What a place outside the session is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Helps this session: relays, STUN and TURN, the distributed hash table.
    Helper,
    /// An entrance to the distributed hash table.
    Entrance,
}

struct Known {
    place: Place,
    purpose: Purpose,
    /// Who answered there.
    peer: Option<PeerId>,
    connected: bool,
    dial_at: Instant,
    failures: u32,
}

struct Reservation {
    listener: ListenerId,
    foreign: bool,
}

/// See the module.
#[derive(Default)]
pub(super) struct Relays {
    known: Vec<Known>,
    reservations: HashMap<PeerId, Reservation>,
    refused: HashMap<PeerId, Instant>,
}

impl Relays {
    /// Remembers a place, to be dialled at once; nothing happens when it is known or there is no room.
    pub(super) fn learn(&mut self, now: Instant, place: Place, purpose: Purpose) {
        let known = self.known.iter().any(|known| known.place == place && known.purpose == purpose);
        if !known && self.known.len() < MAX_PLACES {
            self.known.push(Known { place, purpose, peer: None, connected: false, dial_at: now, failures: 0 });
        }
    }

    /// What to dial now. An entrance is dialled only while there is `need` of one.
    pub(super) fn due(&mut self, now: Instant, need: bool) -> Vec<Place> {
        let mut due = Vec::new();
        for known in &mut self.known {
            if !known.connected && known.dial_at <= now && (need || known.purpose == Purpose::Helper) {
                known.failures = known.failures.saturating_add(1);
                known.dial_at = now + MAX_PAUSE.min(Duration::from_secs(1 << known.failures.min(5)));
                due.push(known.place.clone());
            }
        }
        due
    }

    /// A connection stands to `peer`, who was dialled at `address`. True if that is one of our places.
    pub(super) fn connected(&mut self, peer: PeerId, address: &Multiaddr) -> bool {
        let mut ours = false;
        for known in self.known.iter_mut().filter(|known| known.place.is_at(address)) {
            (known.peer, known.connected, known.failures) = (Some(peer), true, 0);
            ours = true;
        }
        ours
    }

    /// `peer` may not be connected any more without anybody having noticed: it is dialled anew.
    pub(super) fn doubt(&mut self, now: Instant, peer: &PeerId) {
        for known in self.known.iter_mut().filter(|known| known.peer == Some(*peer) && known.connected) {
            (known.connected, known.dial_at) = (false, now);
        }
    }

    /// The connection to `peer` stands after all.
    pub(super) fn trust(&mut self, peer: &PeerId) {
        self.known.iter_mut().filter(|known| known.peer == Some(*peer)).for_each(|known| known.connected = true);
    }

    /// The last connection to `peer` is gone.
    pub(super) fn disconnected(&mut self, now: Instant, peer: &PeerId) {
        for known in self.known.iter_mut().filter(|known| known.peer == Some(*peer) && known.connected) {
            known.connected = false;
            known.dial_at = now + Duration::from_secs(1);
        }
    }

    /// Whether `peer` is one of our helpers.
    pub(super) fn is_helper(&self, peer: &PeerId) -> bool {
        self.known.iter().any(|known| known.peer == Some(*peer) && known.purpose == Purpose::Helper)
    }

    /// Whether `peer` is an entrance that a person named.
    pub(super) fn is_place(&self, peer: &PeerId) -> bool {
        self.known.iter().any(|known| known.peer == Some(*peer))
    }

    /// The helpers that were named, as links and rosters carry them.
    pub(super) fn address_of_helper(&self, peer: &PeerId) -> Option<Address> {
        let at = self.known.iter().filter(|known| known.peer == Some(*peer) && known.purpose == Purpose::Helper);
        at.filter_map(|known| known.place.address())
            .next()
            .map(|address| Address { listener: Listener::Helper, ..address })
    }

    /// Whether to ask `relay` for a reservation: `trusted` is a helper or a member, others are asked only when there is `need`.
    pub(super) fn wants(&self, now: Instant, relay: &PeerId, trusted: bool, need: bool) -> bool {
        let foreign = self.reservations.values().filter(|reservation| reservation.foreign).count();
        let pause = if trusted { TRUSTED_PAUSE } else { REFUSAL_PAUSE };
        let rests = self.refused.get(relay).is_some_and(|at| now.saturating_duration_since(*at) < pause);
        !rests
            && !self.reservations.contains_key(relay)
            && self.reservations.len() < MAX_RESERVATIONS
            && (trusted || need && foreign < MAX_FOREIGN)
    }

    /// A reservation was asked for.
    pub(super) fn reserve(&mut self, relay: PeerId, listener: ListenerId, trusted: bool) {
        self.reservations.insert(relay, Reservation { listener, foreign: !trusted });
    }

    /// A reservation is gone. True if it was one of ours.
    pub(super) fn lost(&mut self, now: Instant, listener: ListenerId) -> bool {
        let relay = self.reservations.iter().find(|(_, reservation)| reservation.listener == listener);
        let Some(relay) = relay.map(|(relay, _)| *relay) else { return false };
        self.refuse(now, relay);
        true
    }

    /// `relay` gives no reservation: it is left alone for a while.
    pub(super) fn refuse(&mut self, now: Instant, relay: PeerId) {
        self.reservations.remove(&relay);
        self.refused.retain(|_, at| now.saturating_duration_since(*at) < REFUSAL_PAUSE);
        self.refused.insert(relay, now);
    }

    /// Whether there is, or is about to be, a reservation at `relay`.
    pub(super) fn is_reserved(&self, relay: &PeerId) -> bool {
        self.reservations.contains_key(relay)
    }
}

/// Where `peer` is reached through `relay`, which is at `relay_address`.
pub(super) fn circuit(relay: &PeerId, relay_address: &Multiaddr, peer: &TransportId) -> Option<Multiaddr> {
    let peer = address::peer_id(peer)?;
    Some(reservation(relay, relay_address).with(Protocol::P2p(peer)))
}

/// Where to listen through `relay`.
pub(super) fn reservation(relay: &PeerId, relay_address: &Multiaddr) -> Multiaddr {
    let bare: Multiaddr = relay_address.iter().filter(|part| !matches!(part, Protocol::P2p(_))).collect();
    bare.with(Protocol::P2p(*relay)).with(Protocol::P2pCircuit)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(text: &str) -> Place {
        Place::parse(text).unwrap()
    }

    #[test]
    fn a_helper_is_dialled_until_it_answers_and_again_when_it_goes() {
        let now = Instant::now();
        let mut relays = Relays::default();
        let (helper, entrance) = (place("/ip4/192.0.2.1/tcp/4001"), place("/dns4/node.example.org/tcp/4001"));
        relays.learn(now, helper.clone(), Purpose::Helper);
        relays.learn(now, helper.clone(), Purpose::Helper);
        relays.learn(now, entrance.clone(), Purpose::Entrance);
        assert_eq!(relays.due(now, true), [helper.clone(), entrance]);
        assert_eq!(relays.due(now, true), []);
        assert_eq!(
            relays.due(now + Duration::from_secs(2), false),
            std::slice::from_ref(&helper),
            "an entrance only when there is need"
        );
        let peer = PeerId::random();
        let at = format!("/ip4/192.0.2.1/tcp/4001/p2p/{peer}").parse().unwrap();
        assert!(relays.connected(peer, &at) && relays.is_helper(&peer));
        assert_eq!(relays.address_of_helper(&peer).unwrap().listener, Listener::Helper);
        assert_eq!(relays.due(now + Duration::from_secs(100), false), []);
        relays.disconnected(now, &peer);
        assert_eq!(relays.due(now + Duration::from_secs(1), false), [helper]);
        for port in 1..100 {
            relays.learn(now, place(&format!("/ip4/192.0.2.1/tcp/{port}")), Purpose::Helper);
        }
        assert_eq!(relays.known.len(), MAX_PLACES);
    }

    #[test]
    fn relays_found_by_chance_are_asked_when_needed_and_few() {
        let now = Instant::now();
        let mut relays = Relays::default();
        let peers: Vec<PeerId> = (0..20).map(|_| PeerId::random()).collect();
        assert!(!relays.wants(now, &peers[0], false, false), "who can be reached needs none");
        for peer in &peers[..MAX_FOREIGN] {
            assert!(relays.wants(now, peer, false, true));
            relays.reserve(*peer, ListenerId::next(), false);
        }
        assert!(!relays.wants(now, &peers[5], false, true) && relays.wants(now, &peers[5], true, true));
        let listener = ListenerId::next();
        relays.reserve(peers[6], listener, true);
        assert!(relays.is_reserved(&peers[6]) && relays.lost(now, listener) && !relays.lost(now, listener));
        assert!(!relays.wants(now, &peers[6], true, true), "not at once again");
        assert!(relays.wants(now + TRUSTED_PAUSE, &peers[6], true, true));
        assert!(!relays.wants(now + TRUSTED_PAUSE, &peers[6], false, true), "others are asked elsewhere meanwhile");
        for peer in &peers[7..] {
            if relays.wants(now, peer, true, true) {
                relays.reserve(*peer, ListenerId::next(), true);
            }
        }
        assert_eq!(relays.reservations.len(), MAX_RESERVATIONS);
    }

    #[test]
    fn the_way_of_a_connection_is_read_from_its_address() {
        let (relay, peer) = (PeerId::random(), TransportId::from_bytes(*address::own_id(&[7; 32]).as_bytes()));
        let at: Multiaddr = "/ip4/192.0.2.1/udp/4001/quic-v1".parse().unwrap();
        let through = circuit(&relay, &at, &peer).unwrap();
        assert_eq!(relay_of(&through), Some(relay));
        assert_eq!(relay_of(&at.clone().with(Protocol::P2p(relay))), None);
        assert_eq!(
            reservation(&relay, &at.with(Protocol::P2p(relay))).to_string(),
            format!("/ip4/192.0.2.1/udp/4001/quic-v1/p2p/{relay}/p2p-circuit")
        );
        assert!(Class::Direct < Class::Through && Class::Through < Class::Foreign);
    }
}
