//! A NAT, or a firewall, between an inside and an outside: mappings, filters, and their end.
//!
//! Fragments: the first piece makes the way for the later ones, which carry no ports (RFC 4787 REQ-14, pieces in order).

pub mod behaviour;
pub mod pcp;
pub mod pmp;
mod table;
pub mod upnp;

use crate::packet::{self, End, Flow, Fragment, Header, Transport, icmp};
use behaviour::{Behaviour, Dependence, ECHO_TIMEOUT, Hairpin, Refresh, TCP_TRANSITORY, Translation};
use rand::SeedableRng;
use rand::rngs::StdRng;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::{Duration, Instant};
use table::{Mapping, Table};

/// Fragmented packets under way at most; a flood of first pieces must not fill the memory.
const MAX_FRAGMENTED: usize = 256;

/// What happened to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It goes on (translated where that is due).
    Pass,
    /// Nothing inside asked for it, or the NAT cannot do anything with it.
    Drop,
}

/// What a NAT did so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Packets let in.
    pub admitted: u64,
    /// Packets from outside for which there was no mapping.
    pub unknown: u64,
    /// Packets from outside that a mapping did not want.
    pub filtered: u64,
}

/// A NAT or firewall.
#[derive(Debug)]
pub struct Nat {
    behaviour: Behaviour,
    /// The address that others see; of no meaning without translation.
    outer: Ipv4Addr,
    table: Table,
    /// Where the first piece of a fragmented packet went, by its ends and identification.
    fragmented: HashMap<(IpAddr, IpAddr, u32), SocketAddr>,
    chance: StdRng,
    /// What it did so far.
    pub tally: Tally,
}

impl Nat {
    /// A NAT with an empty table.
    pub fn new(behaviour: Behaviour, outer: Ipv4Addr, seed: u64) -> Self {
        Self {
            behaviour,
            outer,
            table: Table::default(),
            fragmented: HashMap::new(),
            chance: StdRng::seed_from_u64(seed),
            tally: Tally::default(),
        }
    }

    /// Forgets everything and takes an address, as a router does that is restarted.
    pub fn restart(&mut self, outer: Ipv4Addr) {
        self.outer = outer;
        self.table = Table::default();
        self.fragmented.clear();
    }

    /// A packet from inside goes out.
    pub fn outbound(&mut self, now: Instant, packet: &mut [u8]) -> Verdict {
        let Some(header) = packet::parse(packet) else { return Verdict::Drop };
        if let Some(begin) = icmp::quoted(packet, &header) {
            return self.error_outbound(now, packet, &header, begin);
        }
        let piece = header.fragment;
        let Some(flow) = packet::flow(packet, &header) else {
            let known = piece.and_then(|piece| self.fragmented.get(&key(&header, piece)).copied());
            return self.pass_on(packet, &header, End::Source, known);
        };
        let Some(outer) = self.map_out(now, &flow, packet::tcp_flags(packet, &header)) else { return Verdict::Drop };
        self.remember(&header, piece, outer);
        self.pass_on(packet, &header, End::Source, Some(outer))
    }

    /// A packet from outside wants in.
    pub fn inbound(&mut self, now: Instant, packet: &mut [u8]) -> Verdict {
        let Some(header) = packet::parse(packet) else { return Verdict::Drop };
        if let Some(begin) = icmp::quoted(packet, &header) {
            return self.error_inbound(now, packet, &header, begin);
        }
        let piece = header.fragment;
        let Some(flow) = packet::flow(packet, &header) else {
            let known = piece.and_then(|piece| self.fragmented.get(&key(&header, piece)).copied());
            return self.pass_on(packet, &header, End::Destination, known);
        };
        let Some(inner) = self.map_in(now, &flow, packet::tcp_flags(packet, &header)) else { return Verdict::Drop };
        self.tally.admitted += 1;
        self.remember(&header, piece, inner);
        self.pass_on(packet, &header, End::Destination, Some(inner))
    }

    /// A packet from inside to the NAT's own outer address: out and in again, if it does that.
    pub fn hairpin(&mut self, now: Instant, packet: &mut [u8]) -> Verdict {
        if self.behaviour.hairpin == Hairpin::Off || self.outbound(now, packet) == Verdict::Drop {
            return Verdict::Drop;
        }
        self.inbound(now, packet)
    }

    /// Opens a port from outside for good or until `lifetime` has passed, as a port-control protocol asks. Gives the outer port; `None` when it is
    /// somebody else's.
    pub fn open(
        &mut self,
        now: Instant,
        transport: Transport,
        inner: SocketAddrV4,
        outer_port: u16,
        lifetime: Duration,
    ) -> Option<u16> {
        let outer = SocketAddr::from((self.outer, outer_port));
        if self.table.by_outer(now, transport, outer).is_some_and(|mapping| mapping.inner != SocketAddr::V4(inner)) {
            return None;
        }
        self.table.insert(now, Mapping::opened(transport, inner.into(), outer, now + lifetime));
        Some(outer_port)
    }

    /// The same with the next port that is free where the wanted one is taken (RFC 6886 §3.3); 0 wants the inner one.
    fn open_near(
        &mut self,
        now: Instant,
        transport: Transport,
        inner: SocketAddrV4,
        wanted: u16,
        lifetime: Duration,
    ) -> Option<u16> {
        let first = if wanted == 0 { inner.port() } else { wanted };
        (0..64).find_map(|step| self.open(now, transport, inner, first.wrapping_add(step), lifetime))
    }

    /// Closes a port that was opened.
    pub fn close(&mut self, transport: Transport, outer_port: u16) {
        self.table.remove_opened(transport, SocketAddr::from((self.outer, outer_port)));
    }

    /// Closes the port that was opened for an inner endpoint.
    pub fn close_inner(&mut self, transport: Transport, inner: SocketAddrV4) {
        if let Some(outer) = self.table.opened_for(transport, inner.into()) {
            self.table.remove_opened(transport, outer);
        }
    }

    /// Who asked for that outer port.
    pub fn opened(&mut self, now: Instant, transport: Transport, outer_port: u16) -> Option<SocketAddr> {
        let outer = SocketAddr::from((self.outer, outer_port));
        self.table.by_outer(now, transport, outer).filter(|mapping| mapping.is_open()).map(|mapping| mapping.inner)
    }

    /// The address that others see.
    pub fn outer(&self) -> Ipv4Addr {
        self.outer
    }

    fn pass_on(&self, packet: &mut [u8], header: &Header, end: End, to: Option<SocketAddr>) -> Verdict {
        match to {
            Some(to) => {
                if self.behaviour.translation == Translation::Address {
                    packet::rewrite(packet, header, end, to);
                }
                Verdict::Pass
            }
            // A firewall that does not translate lets protocols without ports out; in, nothing that was not asked for.
            None if self.behaviour.translation == Translation::None && end == End::Source => Verdict::Pass,
            None => Verdict::Drop,
        }
    }

    fn remember(&mut self, header: &Header, piece: Option<Fragment>, to: SocketAddr) {
        let Some(piece) = piece else { return };
        if self.fragmented.len() >= MAX_FRAGMENTED {
            self.fragmented.clear();
        }
        self.fragmented.insert(key(header, piece), to);
    }

    fn map_out(&mut self, now: Instant, flow: &Flow, flags: u8) -> Option<SocketAddr> {
        // The answer to a ping from outside goes back by the mapping it came by.
        let flow = &if flow.transport == Transport::Echo && flow.source.port() == 0 {
            let port = flow.destination.port();
            Flow {
                source: SocketAddr::new(flow.source.ip(), port),
                destination: SocketAddr::new(flow.destination.ip(), 0),
                ..*flow
            }
        } else {
            *flow
        };
        // Whoever came in by a port that was opened on request is answered through it, whatever the NAT does else.
        if let Some(mapping) = self.table.by_inner(now, flow, None).filter(|mapping| mapping.is_open())
            && mapping.asked.contains(&flow.destination)
        {
            mapping.see(End::Source, flags);
            return Some(mapping.outer);
        }
        let seen = match self.behaviour.mapping {
            Dependence::EndpointIndependent => None,
            Dependence::AddressDependent => Some(SocketAddr::new(flow.destination.ip(), 0)),
            Dependence::AddressAndPortDependent => Some(flow.destination),
        };
        if !self.table.holds(now, flow, seen) {
            let outer = self.new_outer(now, flow)?;
            self.table.insert(now, Mapping::new(flow.transport, flow.source, seen, outer, now));
        }
        let behaviour = self.behaviour;
        let mapping = self.table.by_inner(now, flow, seen)?;
        mapping.asked.insert(remote(flow.destination, behaviour.filtering));
        mapping.see(End::Source, flags);
        mapping.keep(now + lifetime(&behaviour, mapping));
        Some(mapping.outer)
    }

    fn new_outer(&mut self, now: Instant, flow: &Flow) -> Option<SocketAddr> {
        if self.behaviour.translation == Translation::None {
            return Some(flow.source);
        }
        let port = self.table.free_port(
            now,
            flow.transport,
            self.outer,
            flow.source.port(),
            self.behaviour.ports,
            &mut self.chance,
        )?;
        Some(SocketAddr::from((self.outer, port)))
    }

    fn map_in(&mut self, now: Instant, flow: &Flow, flags: u8) -> Option<SocketAddr> {
        let behaviour = self.behaviour;
        // A ping from outside has its identifier at the source: only a firewall that is open to all can place it.
        let request = flow.transport == Transport::Echo && flow.destination.port() == 0;
        let open = behaviour.translation == Translation::None && behaviour.filtering == Dependence::EndpointIndependent;
        if open {
            return Some(flow.destination);
        }
        let Some(mapping) = self.table.by_outer(now, flow.transport, flow.destination).filter(|_| !request) else {
            self.tally.unknown += 1;
            return None;
        };
        let from = remote(flow.source, behaviour.filtering);
        if !mapping.is_open()
            && behaviour.filtering != Dependence::EndpointIndependent
            && !mapping.asked.contains(&from)
        {
            self.tally.filtered += 1;
            return None;
        }
        if mapping.is_open() {
            mapping.asked.insert(flow.source);
        }
        mapping.see(End::Destination, flags);
        if behaviour.refresh == Refresh::Both || flow.transport == Transport::Tcp {
            mapping.keep(now + lifetime(&behaviour, mapping));
        }
        Some(mapping.inner)
    }

    /// An error from inside about a packet that came in.
    fn error_outbound(&mut self, now: Instant, packet: &mut [u8], header: &Header, begin: usize) -> Verdict {
        let about = packet::parse_quoted(&packet[begin..]);
        let Some((about, flow)) = about.and_then(|about| Some((about, packet::flow(&packet[begin..], &about)?))) else {
            return Verdict::Drop;
        };
        let Some(outer) = self.table.outer_of(now, flow.transport, flow.destination, flow.source) else {
            return Verdict::Drop;
        };
        if self.behaviour.translation == Translation::Address {
            packet::rewrite(&mut packet[begin..], &about, End::Destination, outer);
            icmp::seal_quoted(&mut packet[begin..]);
            packet::rewrite(packet, header, End::Source, outer);
            icmp::seal(packet, header);
        }
        Verdict::Pass
    }

    /// An error from outside about a packet that went out.
    fn error_inbound(&mut self, now: Instant, packet: &mut [u8], header: &Header, begin: usize) -> Verdict {
        let about = packet::parse_quoted(&packet[begin..]);
        let Some((about, flow)) = about.and_then(|about| Some((about, packet::flow(&packet[begin..], &about)?))) else {
            return Verdict::Drop;
        };
        // RFC 5508 REQ-3: such errors pass without regard to the filter and keep nothing alive.
        let Some(mapping) = self.table.by_outer(now, flow.transport, flow.source) else {
            self.tally.unknown += 1;
            return Verdict::Drop;
        };
        let inner = mapping.inner;
        if self.behaviour.translation == Translation::Address {
            packet::rewrite(&mut packet[begin..], &about, End::Source, inner);
            icmp::seal_quoted(&mut packet[begin..]);
            packet::rewrite(packet, header, End::Destination, inner);
            icmp::seal(packet, header);
        }
        self.tally.admitted += 1;
        Verdict::Pass
    }
}

fn key(header: &Header, piece: Fragment) -> (IpAddr, IpAddr, u32) {
    (header.source, header.destination, piece.id)
}

/// As much of the other side's endpoint as the filter looks at.
fn remote(endpoint: SocketAddr, filtering: Dependence) -> SocketAddr {
    match filtering {
        Dependence::AddressAndPortDependent => endpoint,
        _ => SocketAddr::new(endpoint.ip(), 0),
    }
}

fn lifetime(behaviour: &Behaviour, mapping: &Mapping) -> Duration {
    match mapping.transport {
        Transport::Udp => behaviour.udp_timeout,
        Transport::Echo => ECHO_TIMEOUT,
        Transport::Tcp if mapping.established() => behaviour.tcp_timeout,
        Transport::Tcp => TCP_TRANSITORY,
    }
}

#[cfg(test)]
mod tests;
