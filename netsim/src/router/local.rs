//! What a network's own router answers: pings, NAT-PMP, PCP, UPnP.

use super::forward::From;
use super::{NetworkId, Router};
use crate::nat::behaviour::PortControl;
use crate::nat::{pcp, pmp, upnp};
use crate::packet::{self, Header, TCP, UDP, build, icmp};
use std::net::SocketAddr;
use std::time::Instant;

impl Router {
    /// A packet for the router itself, from inside.
    pub(super) fn ask_router(&mut self, now: Instant, at: NetworkId, packet: &[u8], header: &Header) {
        if let Some(reply) = icmp::answer(packet, header) {
            return self.forward(now, at, From::Outside, None, reply);
        }
        let Some(flow) = packet::flow(packet, header) else { return };
        let uptime = now.saturating_duration_since(self.epoch);
        let Some(edge) = &mut self.networks[at.0].edge else { return };
        let offers = |control| edge.ports == control || edge.ports == PortControl::Both;
        let (by_pmp, by_upnp) = (offers(PortControl::NatPmp), offers(PortControl::Upnp));
        let by_pcp = edge.ports == PortControl::Pcp;
        let reply = if (by_pmp || by_pcp) && header.protocol == UDP && flow.destination.port() == pmp::PORT {
            let SocketAddr::V4(from) = flow.source else { return };
            let answer = if by_pcp { pcp::answer } else { pmp::answer };
            build::udp_payload(packet)
                .and_then(|request| answer(&mut edge.nat, now, uptime, from, request))
                .and_then(|reply| build::udp(flow.destination, flow.source, &reply))
        } else if by_upnp && header.protocol == TCP && flow.destination.port() == upnp::PORT {
            edge.upnp.handle(&mut edge.nat, now, uptime, packet)
        } else {
            None
        };
        if let Some(reply) = reply {
            self.forward(now, at, From::Outside, None, reply);
        }
    }

    /// A multicast that the router hears: somebody looks for an Internet gateway.
    pub(super) fn hear_router_called(&mut self, now: Instant, at: NetworkId, packet: &[u8]) {
        let Some(edge) = &self.networks[at.0].edge else { return };
        if !matches!(edge.ports, PortControl::Upnp | PortControl::Both) {
            return;
        }
        if let Some(reply) = upnp::discovered(self.plan.networks[at.0].gateway(), packet) {
            self.forward(now, at, From::Outside, None, reply);
        }
    }
}
