//! What happens where a flight ends: delivery, routing, NAT, size and age.

use super::{Flight, HostId, Member, NetworkId, Place, Router};
use crate::nat::Verdict;
use crate::nat::behaviour::Egress;
use crate::packet::icmp::{self, Complaint};
use crate::packet::{self, Header, TCP, UDP};
use crate::topology::ipv6;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

/// From where a packet comes into a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum From {
    /// From one of its own hosts, or from a network behind one of its edges.
    Inside,
    /// Through its own edge, or from its router itself.
    Outside,
}

impl Router {
    pub(super) fn land(&mut self, flight: Flight) {
        let Flight { at, place, origin, packet, .. } = flight;
        match place {
            Place::Host(host) => self.deliver(at, host, origin, packet),
            Place::Network(network) => self.forward(at, network, From::Inside, origin, packet),
            Place::Above(network) => {
                if let Some(parent) = self.plan.networks[network.0].parent {
                    self.forward(at, NetworkId(parent), From::Inside, origin, packet);
                }
            }
            Place::Edge(network) => self.enter(at, network, origin, packet),
        }
    }

    fn deliver(&mut self, now: Instant, host: HostId, origin: Option<HostId>, packet: Vec<u8>) {
        let Some(header) = packet::parse(&packet) else { return };
        let own = self.hosts[host.0].addresses.contains(&header.destination);
        if !own && !self.is_for_all(self.hosts[host.0].network, header.destination) {
            // It has moved away since.
            self.drops.unreachable += 1;
            return;
        }
        if let Some(origin) = origin {
            if self.parted.contains(&(origin.min(host), origin.max(host))) {
                self.drops.partition += 1;
                return;
            }
            self.arrivals.entry((origin, host)).or_default().note(now, header.length);
        }
        self.out.push_back((host, packet));
    }

    /// True for a multicast, or the broadcast address of that network.
    fn is_for_all(&self, network: NetworkId, destination: IpAddr) -> bool {
        let IpAddr::V4(address) = destination else { return destination.is_multicast() };
        let (prefix, length) = self.plan.networks[network.0].prefix;
        let last = u32::from(prefix) | u32::MAX.checked_shr(length.into()).unwrap_or(0);
        address.is_multicast() || address.is_broadcast() || u32::from(address) == last
    }

    /// Brings a packet on from inside a network.
    pub(super) fn forward(&mut self, now: Instant, at: NetworkId, from: From, origin: Option<HostId>, packet: Vec<u8>) {
        let Some(header) = packet::parse(&packet) else { return };
        if self.is_for_all(at, header.destination) {
            return self.spread(now, at, from, origin, packet);
        }
        match self.next_hop(at, header.destination) {
            Some(Member::Host(host)) => self.send_down(now, at, host, origin, packet, &header),
            Some(Member::Edge(child)) => self.descend(now, at, child, origin, packet, &header),
            None if from == From::Inside && header.destination == self.gateway(at, &header) => {
                self.ask_router(now, at, &packet, &header);
            }
            None if from == From::Inside && self.networks[at.0].edge.is_some() => {
                self.leave(now, at, origin, packet, &header);
            }
            None => {
                self.drops.unreachable += 1;
                self.complain(now, at, &packet, Complaint::NoRoute);
            }
        }
    }

    /// The router's own address in a network, of the packet's family.
    fn gateway(&self, network: NetworkId, header: &Header) -> IpAddr {
        match header.source {
            IpAddr::V4(_) => self.plan.networks[network.0].gateway().into(),
            IpAddr::V6(_) => ipv6(network.0, 1).into(),
        }
    }

    /// Who in a network is to get what is for that address: whoever has it, or the edge of the network that it lies in.
    fn next_hop(&self, at: NetworkId, destination: IpAddr) -> Option<Member> {
        if let Some(member) = self.networks[at.0].members.get(&destination) {
            return Some(*member);
        }
        let target = match destination {
            IpAddr::V6(address) => crate::topology::network_of(address)?,
            // Only public addresses are routed to; the private ones of other networks mean nothing here.
            IpAddr::V4(address) => {
                let lies_in = |network: &crate::topology::PlannedNetwork| {
                    network.parent == Some(at.0) && network.contains(address) && !address.is_private()
                };
                self.plan.networks.iter().position(lies_in).filter(|_| !is_shared(address))?
            }
        };
        if target >= self.plan.networks.len() {
            return None;
        }
        let way = self.plan.way_out(target);
        let place = way.iter().position(|network| *network == at.0)?;
        let child = way.get(place.checked_sub(1)?)?;
        Some(Member::Edge(NetworkId(*child)))
    }

    /// A multicast reaches everyone else in the network, and its router.
    fn spread(&mut self, now: Instant, at: NetworkId, from: From, origin: Option<HostId>, packet: Vec<u8>) {
        if !self.plan.networks[at.0].multicast || from == From::Outside {
            self.drops.unreachable += 1;
            return;
        }
        let Some(header) = packet::parse(&packet) else { return };
        for index in 0..self.hosts.len() {
            if self.hosts[index].network == at && origin != Some(HostId(index)) {
                self.send_down(now, at, HostId(index), origin, packet.clone(), &header);
            }
        }
        self.hear_router_called(now, at, &packet);
    }

    fn send_down(
        &mut self,
        now: Instant,
        at: NetworkId,
        host: HostId,
        origin: Option<HostId>,
        packet: Vec<u8>,
        header: &Header,
    ) {
        let mtu = self.hosts[host.0].mtu;
        for piece in self.fit(now, at, packet, header, mtu) {
            let fate = self.hosts[host.0].down.carry(now, piece.len());
            self.launch(fate, Place::Host(host), origin, piece);
        }
    }

    /// Down a link to the edge of a network behind this one.
    fn descend(
        &mut self,
        now: Instant,
        at: NetworkId,
        child: NetworkId,
        origin: Option<HostId>,
        mut packet: Vec<u8>,
        header: &Header,
    ) {
        if header.ttl <= 1 {
            self.drops.limits += 1;
            return self.complain(now, at, &packet, Complaint::TooOld);
        }
        packet::age(&mut packet);
        let Some(mtu) = self.networks[child.0].edge.as_ref().map(|edge| edge.mtu) else { return };
        for piece in self.fit(now, at, packet, header, mtu) {
            let Some(edge) = &mut self.networks[child.0].edge else { return };
            let fate = edge.down.carry(now, piece.len());
            self.launch(fate, Place::Edge(child), origin, piece);
        }
    }

    /// Out of a network, through its edge.
    fn leave(&mut self, now: Instant, at: NetworkId, origin: Option<HostId>, mut packet: Vec<u8>, header: &Header) {
        let Some(edge) = &mut self.networks[at.0].edge else { return };
        if header.destination == IpAddr::V4(edge.nat.outer()) {
            return match edge.nat.hairpin(now, &mut packet) {
                Verdict::Pass => self.forward(now, at, From::Outside, origin, packet),
                Verdict::Drop => self.drops.nat += 1,
            };
        }
        if !lets_out(edge.egress, &packet, header) {
            self.drops.egress += 1;
            return;
        }
        let mtu = edge.mtu;
        if header.ttl <= 1 {
            self.drops.limits += 1;
            return self.complain(now, at, &packet, Complaint::TooOld);
        }
        packet::age(&mut packet);
        for mut piece in self.fit(now, at, packet, header, mtu) {
            let Some(edge) = &mut self.networks[at.0].edge else { return };
            let nat = if header.source.is_ipv4() { &mut edge.nat } else { &mut edge.firewall };
            if nat.outbound(now, &mut piece) == Verdict::Drop {
                self.drops.nat += 1;
                continue;
            }
            let fate = edge.up.carry(now, piece.len());
            self.launch(fate, Place::Above(at), origin, piece);
        }
    }

    /// Into a network, through its edge.
    fn enter(&mut self, now: Instant, at: NetworkId, origin: Option<HostId>, mut packet: Vec<u8>) {
        let Some(edge) = &mut self.networks[at.0].edge else { return };
        let v4 = packet::parse(&packet).is_some_and(|header| header.source.is_ipv4());
        let nat = if v4 { &mut edge.nat } else { &mut edge.firewall };
        match nat.inbound(now, &mut packet) {
            Verdict::Pass => self.forward(now, at, From::Outside, origin, packet),
            Verdict::Drop => self.drops.nat += 1,
        }
    }

    /// The packet, or its pieces if it is too big and may be cut; nothing, and a complaint to its sender, if it may not.
    fn fit(&mut self, now: Instant, at: NetworkId, packet: Vec<u8>, header: &Header, mtu: usize) -> Vec<Vec<u8>> {
        if header.length <= mtu {
            vec![packet]
        } else if header.whole {
            self.drops.limits += 1;
            self.complain(now, at, &packet, Complaint::TooBig(mtu));
            Vec::new()
        } else {
            packet::fragments(&packet, header, mtu)
        }
    }

    /// The router of a network writes to the sender of a packet.
    fn complain(&mut self, now: Instant, at: NetworkId, packet: &[u8], complaint: Complaint) {
        let Some(header) = packet::parse(packet) else { return };
        let Some(error) = icmp::error(self.gateway(at, &header), packet, complaint) else { return };
        // Whom nobody here knows nobody complains to: a complaint about a complaint could go on for ever.
        if self.next_hop(at, header.source).is_some() {
            self.forward(now, at, From::Outside, None, error);
        } else if self.networks[at.0].edge.is_some() {
            let Some(header) = packet::parse(&error) else { return };
            self.leave(now, at, None, error, &header);
        }
    }
}

/// The addresses between carriers and homes (RFC 6598).
fn is_shared(address: Ipv4Addr) -> bool {
    address.octets()[0] == 100 && (64..128).contains(&address.octets()[1])
}

fn lets_out(egress: Egress, packet: &[u8], header: &Header) -> bool {
    let to_443 = || packet::flow(packet, header).is_some_and(|flow| SocketAddr::port(&flow.destination) == 443);
    match egress {
        Egress::Open => true,
        Egress::NoUdp => header.protocol != UDP,
        Egress::Https => header.protocol == TCP && to_443(),
        Egress::Nothing => false,
    }
}
