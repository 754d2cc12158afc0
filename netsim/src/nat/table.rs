//! The table of a NAT: mappings by their inner and by their outer end.

use super::behaviour::Ports;
use crate::packet::{End, FIN, Flow, RST, SYN, Transport};
use rand::RngExt;
use rand::rngs::StdRng;
use std::collections::{BTreeSet, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// Mappings at most: what a small router's memory holds, and half of what there are ports, so that a free one is found soon.
const MAX_MAPPINGS: usize = 32_768;
/// A full table is swept this often at most.
const SWEEP: Duration = Duration::from_secs(1);
/// Endpoints that one mapping may have asked; the oldest go by their order of address, for a flood only.
const MAX_ASKED: usize = 4_096;
/// Ports that mappings get: none that belongs to a service.
const FIRST_PORT: u16 = 1_024;

/// One mapping: an inner endpoint and what others see of it.
#[derive(Debug)]
pub(super) struct Mapping {
    pub transport: Transport,
    pub inner: SocketAddr,
    /// The other side it holds for; `None` for all.
    seen: Option<SocketAddr>,
    pub outer: SocketAddr,
    pub expires: Instant,
    /// Whom the inner side has sent to, as far as the filter looks.
    pub asked: Asked,
    tcp: Tcp,
    open: bool,
}

/// A bounded set of endpoints.
#[derive(Debug, Default)]
pub(super) struct Asked(BTreeSet<SocketAddr>);

impl Asked {
    pub fn insert(&mut self, endpoint: SocketAddr) {
        if self.0.len() >= MAX_ASKED && !self.0.contains(&endpoint) {
            self.0.pop_first();
        }
        self.0.insert(endpoint);
    }

    pub fn contains(&self, endpoint: &SocketAddr) -> bool {
        self.0.contains(endpoint)
    }
}

/// How far a TCP connection has got.
#[derive(Clone, Copy, Debug, Default)]
struct Tcp {
    opened: [bool; 2],
    closed: [bool; 2],
    reset: bool,
}

impl Mapping {
    pub fn new(
        transport: Transport,
        inner: SocketAddr,
        seen: Option<SocketAddr>,
        outer: SocketAddr,
        expires: Instant,
    ) -> Self {
        Self { transport, inner, seen, outer, expires, asked: Asked::default(), tcp: Tcp::default(), open: false }
    }

    /// One that a host asked for: open to all.
    pub fn opened(transport: Transport, inner: SocketAddr, outer: SocketAddr, expires: Instant) -> Self {
        Self { open: true, ..Self::new(transport, inner, None, outer, expires) }
    }

    pub fn is_open(&self) -> bool {
        self.open
    }

    /// Lets it live until then; what was opened on request lives as long as was granted.
    pub fn keep(&mut self, until: Instant) {
        if !self.open {
            self.expires = until;
        }
    }

    /// A TCP segment with these flags went by, from inside (`Source`) or from outside.
    pub fn see(&mut self, from: End, flags: u8) {
        if self.transport != Transport::Tcp {
            return;
        }
        let side = usize::from(from == End::Destination);
        if flags & SYN != 0 {
            // A fresh connection by the same endpoint begins anew.
            let fresh = self.tcp.reset || self.tcp.closed != [false; 2];
            self.tcp = if fresh { Tcp::default() } else { self.tcp };
            self.tcp.opened[side] = true;
        }
        self.tcp.closed[side] |= flags & FIN != 0;
        self.tcp.reset |= flags & RST != 0;
    }

    /// True while a TCP connection is open in both directions.
    pub fn established(&self) -> bool {
        self.tcp.opened == [true; 2] && self.tcp.closed != [true; 2] && !self.tcp.reset
    }
}

type Inner = (Transport, SocketAddr, Option<SocketAddr>);
type Outer = (Transport, SocketAddr);

/// All mappings.
#[derive(Debug, Default)]
pub(super) struct Table {
    mappings: HashMap<Outer, Mapping>,
    by_inner: HashMap<Inner, SocketAddr>,
    next_port: u16,
    swept: Option<Instant>,
}

impl Table {
    /// True if there is a living mapping for what `flow` sends.
    pub fn holds(&mut self, now: Instant, flow: &Flow, seen: Option<SocketAddr>) -> bool {
        self.by_inner(now, flow, seen).is_some()
    }

    pub fn by_inner(&mut self, now: Instant, flow: &Flow, seen: Option<SocketAddr>) -> Option<&mut Mapping> {
        let outer = *self.by_inner.get(&(flow.transport, flow.source, seen))?;
        self.by_outer(now, flow.transport, outer)
    }

    pub fn by_outer(&mut self, now: Instant, transport: Transport, outer: SocketAddr) -> Option<&mut Mapping> {
        if self.mappings.get(&(transport, outer))?.expires < now {
            self.remove((transport, outer));
            return None;
        }
        self.mappings.get_mut(&(transport, outer))
    }

    /// The outer end of the mapping by which `inner` talks with `other`.
    pub fn outer_of(
        &mut self,
        now: Instant,
        transport: Transport,
        inner: SocketAddr,
        other: SocketAddr,
    ) -> Option<SocketAddr> {
        let seen = [None, Some(SocketAddr::new(other.ip(), 0)), Some(other)];
        let outer = seen.iter().find_map(|seen| self.by_inner.get(&(transport, inner, *seen)).copied())?;
        self.by_outer(now, transport, outer).map(|mapping| mapping.outer)
    }

    pub fn insert(&mut self, now: Instant, mapping: Mapping) {
        if self.has_room(now) {
            self.by_inner.insert((mapping.transport, mapping.inner, mapping.seen), mapping.outer);
            self.mappings.insert((mapping.transport, mapping.outer), mapping);
        }
    }

    fn has_room(&mut self, now: Instant) -> bool {
        let due = self.swept.is_none_or(|swept| now.saturating_duration_since(swept) >= SWEEP);
        if self.mappings.len() >= MAX_MAPPINGS && due {
            self.swept = Some(now);
            let old = self.mappings.iter().filter(|(_, mapping)| mapping.expires < now).map(|(outer, _)| *outer);
            old.collect::<Vec<_>>().into_iter().for_each(|outer| self.remove(outer));
        }
        self.mappings.len() < MAX_MAPPINGS
    }

    /// The outer end that was opened for `inner` on request.
    pub fn opened_for(&self, transport: Transport, inner: SocketAddr) -> Option<SocketAddr> {
        let outer = *self.by_inner.get(&(transport, inner, None))?;
        self.mappings.get(&(transport, outer)).filter(|mapping| mapping.is_open()).map(|mapping| mapping.outer)
    }

    pub fn remove_opened(&mut self, transport: Transport, outer: SocketAddr) {
        if self.mappings.get(&(transport, outer)).is_some_and(Mapping::is_open) {
            self.remove((transport, outer));
        }
    }

    fn remove(&mut self, outer: Outer) {
        let Some(mapping) = self.mappings.remove(&outer) else { return };
        let inner = (mapping.transport, mapping.inner, mapping.seen);
        // A port that was opened since may have taken its place.
        if self.by_inner.get(&inner) == Some(&mapping.outer) {
            self.by_inner.remove(&inner);
        }
    }

    /// A port of `address` that no living mapping has.
    pub fn free_port(
        &mut self,
        now: Instant,
        transport: Transport,
        address: Ipv4Addr,
        wanted: u16,
        ports: Ports,
        chance: &mut StdRng,
    ) -> Option<u16> {
        let first = match ports {
            Ports::Preserved => wanted,
            Ports::Sequential => self.next_port.max(FIRST_PORT),
            Ports::Random => chance.random_range(FIRST_PORT..=u16::MAX),
        };
        if !self.has_room(now) {
            return None;
        }
        let tries = u32::from(u16::MAX);
        let port = (0..tries)
            .map(|step| first.wrapping_add(step as u16))
            .filter(|port| *port >= FIRST_PORT || (*port == wanted && ports == Ports::Preserved && *port > 0))
            .find(|port| self.by_outer(now, transport, SocketAddr::from((address, *port))).is_none())?;
        self.next_port = port.wrapping_add(1);
        Some(port)
    }
}
