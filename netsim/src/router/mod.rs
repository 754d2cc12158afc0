//! The whole simulated Internet as one machine without a clock: packets of hosts go in ([`Router::handle_packet`]), packets for hosts come out
//! ([`Router::poll_transmit`]), and [`Router::poll_timeout`] says when to come back.
//!
//! ```text
//!   host ──up──▶ network ──NAT──uplink──▶ parent network ──▶ … Internet … ──downlink──NAT──▶ network ──down──▶ host
//! ```
//! Every arrow is a [`Link`]; what is on one waits with all others in one queue, ordered by arrival.

mod arrivals;
mod change;
mod forward;
mod local;

pub use arrivals::Arrivals;
pub use change::State;

use crate::impairment::{Fate, Link};
use crate::nat::behaviour::{Egress, PortControl};
use crate::nat::upnp::Gateway;
use crate::nat::{self, Nat};
use crate::packet;
use crate::topology::Plan;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

/// Packets on all links together at most. A long fat link at full rate holds some thousands; more is a loop or a flood.
const MAX_FLIGHTS: usize = 200_000;

/// A host, by its place in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostId(pub usize);

/// A network, by its place in the plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NetworkId(pub usize);

/// Who lives at an address of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Member {
    Host(HostId),
    /// The outer side of the edge of another network.
    Edge(NetworkId),
}

#[derive(Debug)]
struct Network {
    members: HashMap<IpAddr, Member>,
    edge: Option<Edge>,
}

#[derive(Debug)]
struct Edge {
    nat: Nat,
    /// The IPv6 half.
    firewall: Nat,
    egress: Egress,
    ports: PortControl,
    upnp: Gateway,
    up: Link,
    down: Link,
    mtu: usize,
}

#[derive(Debug)]
struct Host {
    network: NetworkId,
    addresses: Vec<IpAddr>,
    up: Link,
    down: Link,
    mtu: usize,
}

/// Where a flight ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// At a host.
    Host(HostId),
    /// In a network, sent by one of its hosts.
    Network(NetworkId),
    /// In the parent of a network, by its uplink.
    Above(NetworkId),
    /// At the edge of a network, from its parent.
    Edge(NetworkId),
}

/// A packet on a link.
#[derive(Debug)]
struct Flight {
    at: Instant,
    /// Flights that arrive at the same time do so in the order of their departure.
    number: u64,
    place: Place,
    /// The host that sent it; `None` for what a router says.
    origin: Option<HostId>,
    packet: Vec<u8>,
}

impl PartialEq for Flight {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.number) == (other.at, other.number)
    }
}

impl Eq for Flight {}

impl PartialOrd for Flight {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Flight {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

/// What was dropped, and why.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Drops {
    /// No IP packet, or with a source that is not the host's.
    pub malformed: u64,
    /// By a link (see its tally).
    pub link: u64,
    /// By a NAT or firewall.
    pub nat: u64,
    /// By what a network lets out.
    pub egress: u64,
    /// There was no way.
    pub unreachable: u64,
    /// Too big, too old, or too many at once.
    pub limits: u64,
    /// By a partition.
    pub partition: u64,
}

/// The simulated Internet.
#[derive(Debug)]
pub struct Router {
    plan: Plan,
    epoch: Instant,
    networks: Vec<Network>,
    hosts: Vec<Host>,
    flights: BinaryHeap<Reverse<Flight>>,
    next_flight: u64,
    out: VecDeque<(HostId, Vec<u8>)>,
    /// Pairs that do not hear one another.
    parted: BTreeSet<(HostId, HostId)>,
    arrivals: HashMap<(HostId, HostId), Arrivals>,
    /// What was dropped so far.
    pub drops: Drops,
}

impl Router {
    /// Builds what was planned. `seed` determines all that happens by chance; `now` is the beginning of its time.
    pub fn new(plan: Plan, seed: u64, now: Instant) -> Self {
        // Each generator its own, far from its neighbours' (the multiplier is that of SplitMix64).
        let seed_of = |kind: u64, index: usize| {
            seed.wrapping_add((kind << 32 | index as u64).wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15))
        };
        let link = |impairment, kind, index| Link::new(impairment, seed_of(kind, index));
        let mut networks: Vec<Network> = plan
            .networks
            .iter()
            .enumerate()
            .map(|(index, network)| Network {
                members: HashMap::new(),
                edge: network.edge.map(|edge| Edge {
                    nat: Nat::new(edge.behaviour, edge.outer, seed_of(1, index)),
                    firewall: Nat::new(edge.ipv6_firewall(), edge.outer, seed_of(2, index)),
                    egress: edge.egress,
                    ports: edge.ports,
                    upnp: Gateway::new(network.gateway(), seed_of(7, index)),
                    up: link(edge.uplink.up, 3, index),
                    down: link(edge.uplink.down, 4, index),
                    mtu: edge.mtu,
                }),
            })
            .collect();
        for (index, network) in plan.networks.iter().enumerate() {
            if let (Some(parent), Some(edge)) = (network.parent, network.edge) {
                networks[parent].members.insert(edge.outer.into(), Member::Edge(NetworkId(index)));
            }
        }
        let mut hosts = Vec::with_capacity(plan.hosts.len());
        for (index, host) in plan.hosts.iter().enumerate() {
            for address in &host.addresses {
                networks[host.network].members.insert(*address, Member::Host(HostId(index)));
            }
            hosts.push(Host {
                network: NetworkId(host.network),
                addresses: host.addresses.clone(),
                up: link(host.link.up, 5, index),
                down: link(host.link.down, 6, index),
                mtu: host.mtu,
            });
        }
        Self {
            plan,
            epoch: now,
            networks,
            hosts,
            flights: BinaryHeap::new(),
            next_flight: 0,
            out: VecDeque::new(),
            parted: BTreeSet::new(),
            arrivals: HashMap::new(),
            drops: Drops::default(),
        }
    }

    /// A host has sent a packet.
    pub fn handle_packet(&mut self, now: Instant, host: HostId, packet: &[u8]) {
        let Some(sender) = self.hosts.get_mut(host.0) else { return };
        let Some(header) = packet::parse(packet).filter(|header| sender.addresses.contains(&header.source)) else {
            self.drops.malformed += 1;
            return;
        };
        let fate = sender.up.carry(now, header.length);
        let place = Place::Network(sender.network);
        self.launch(fate, place, Some(host), packet[..header.length].to_vec());
    }

    /// The next packet that has arrived at a host by now.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<(HostId, Vec<u8>)> {
        loop {
            if let Some(arrived) = self.out.pop_front() {
                return Some(arrived);
            }
            if self.flights.peek().is_none_or(|Reverse(flight)| flight.at > now) {
                return None;
            }
            let Reverse(flight) = self.flights.pop()?;
            self.land(flight);
        }
    }

    /// When something will arrive next; `None` while nothing is under way.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.flights.peek().map(|Reverse(flight)| flight.at)
    }

    /// What was built.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// A host's addresses at present, IPv4 first.
    pub fn addresses(&self, host: HostId) -> &[IpAddr] {
        self.hosts.get(host.0).map_or(&[], |host| &host.addresses)
    }

    /// The outer address of a network's edge.
    pub fn outer(&self, network: NetworkId) -> Option<Ipv4Addr> {
        self.networks.get(network.0)?.edge.as_ref().map(|edge| edge.nat.outer())
    }

    /// What arrived at `to` of what `from` sent.
    pub fn arrivals(&self, from: HostId, to: HostId) -> Option<&Arrivals> {
        self.arrivals.get(&(from, to))
    }

    /// What both directions of a host's link did so far: up, down.
    pub fn link_tallies(&self, host: HostId) -> Option<[crate::impairment::Tally; 2]> {
        self.hosts.get(host.0).map(|host| [host.up.tally, host.down.tally])
    }

    /// What a network's NAT did so far.
    pub fn nat_tally(&self, network: NetworkId) -> Option<nat::Tally> {
        self.networks.get(network.0)?.edge.as_ref().map(|edge| edge.nat.tally)
    }

    fn launch(&mut self, fate: Fate, place: Place, origin: Option<HostId>, packet: Vec<u8>) {
        let (at, again) = match fate {
            Fate::Arrives(at) => (at, None),
            Fate::Twice(at, again) => (at, Some(again)),
            Fate::Lost | Fate::Overflow | Fate::Down => {
                self.drops.link += 1;
                return;
            }
        };
        if let Some(again) = again {
            self.take_off(again, place, origin, packet.clone());
        }
        self.take_off(at, place, origin, packet);
    }

    fn take_off(&mut self, at: Instant, place: Place, origin: Option<HostId>, packet: Vec<u8>) {
        if self.flights.len() >= MAX_FLIGHTS {
            self.drops.limits += 1;
            return;
        }
        let number = self.next_flight;
        self.next_flight += 1;
        self.flights.push(Reverse(Flight { at, number, place, origin, packet }));
    }
}

#[cfg(test)]
mod tests;
