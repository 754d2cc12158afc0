//! What stands between a device and the Internet, by name: homes, carriers, offices.

use crate::nat::behaviour::{Behaviour, Dependence, Egress, Hairpin, Ports};

/// One router on the way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layer {
    /// What its NAT or firewall does.
    pub behaviour: Behaviour,
    /// What it lets out.
    pub egress: Egress,
    /// Which addresses are used behind it.
    pub inside: Inside,
}

/// Which addresses a network uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside {
    /// 192.168.1.0/24, like everybody's.
    Home,
    /// 100.64.0.0/10 (RFC 6598).
    Carrier,
    /// 10.20.0.0/16.
    Office,
    /// Public ones.
    Public,
    /// IPv6 ones only.
    Six,
}

/// A kind of edge.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EdgeKind {
    /// What scenarios call it.
    pub name: &'static str,
    /// Who has such a one.
    pub says: &'static str,
    /// Its routers, the outermost first; none for a host with a public address.
    pub layers: &'static [Layer],
}

const fn home(behaviour: Behaviour) -> Layer {
    Layer { behaviour, egress: Egress::Open, inside: Inside::Home }
}

const fn carrier(behaviour: Behaviour) -> Layer {
    Layer { behaviour, egress: Egress::Open, inside: Inside::Carrier }
}

const fn office(egress: Egress) -> Layer {
    Layer { behaviour: Behaviour::SYMMETRIC, egress, inside: Inside::Office }
}

const FULL_CONE: Behaviour = Behaviour { filtering: Dependence::EndpointIndependent, ..Behaviour::HOME };
const RESTRICTED: Behaviour = Behaviour { filtering: Dependence::AddressDependent, ..Behaviour::HOME };
const PER_ADDRESS: Behaviour =
    Behaviour { mapping: Dependence::AddressDependent, ports: Ports::Random, ..Behaviour::HOME };
const LENIENT: Behaviour = Behaviour { filtering: Dependence::EndpointIndependent, ..Behaviour::SYMMETRIC };
const LOOPING: Behaviour = Behaviour { hairpin: Hairpin::On, ..Behaviour::HOME };
const SEQUENTIAL: Behaviour = Behaviour { ports: Ports::Sequential, ..Behaviour::SYMMETRIC };

/// All of them.
pub const EDGES: [EdgeKind; 17] = [
    EdgeKind { name: "public", says: "a rented server: a public address, nothing in front", layers: &[] },
    EdgeKind {
        name: "firewall",
        says: "public addresses behind a firewall that lets in what was asked for",
        layers: &[Layer { behaviour: Behaviour::FIREWALL, egress: Egress::Open, inside: Inside::Public }],
    },
    EdgeKind {
        name: "full cone",
        says: "a home router that lets everybody in by a used port",
        layers: &[home(FULL_CONE)],
    },
    EdgeKind {
        name: "restricted",
        says: "a home router that lets in whom it has sent to, from any port",
        layers: &[home(RESTRICTED)],
    },
    EdgeKind { name: "home", says: "the usual home router: port-restricted", layers: &[home(Behaviour::HOME)] },
    EdgeKind {
        name: "hairpin",
        says: "the same, and its hosts reach one another from outside",
        layers: &[home(LOOPING)],
    },
    EdgeKind { name: "per address", says: "a home router with a port for each address", layers: &[home(PER_ADDRESS)] },
    EdgeKind {
        name: "symmetric",
        says: "a home router with a port for each endpoint",
        layers: &[home(Behaviour::SYMMETRIC)],
    },
    EdgeKind { name: "sequential", says: "the same, with one port after another", layers: &[home(SEQUENTIAL)] },
    EdgeKind { name: "lenient symmetric", says: "the same, and everybody may answer", layers: &[home(LENIENT)] },
    EdgeKind { name: "carrier", says: "a phone behind a carrier's NAT", layers: &[carrier(Behaviour::CARRIER)] },
    EdgeKind {
        name: "double nat",
        says: "a home router behind a carrier's NAT",
        layers: &[carrier(Behaviour::CARRIER), home(Behaviour::HOME)],
    },
    EdgeKind {
        name: "mobile",
        says: "a phone behind a symmetric carrier's NAT",
        layers: &[carrier(Behaviour::SYMMETRIC)],
    },
    EdgeKind { name: "office", says: "an office with a symmetric NAT", layers: &[office(Egress::Open)] },
    EdgeKind { name: "no udp", says: "an office that lets no UDP out", layers: &[office(Egress::NoUdp)] },
    EdgeKind {
        name: "https only",
        says: "an office that lets TCP to port 443 out, nothing else",
        layers: &[office(Egress::Https)],
    },
    EdgeKind {
        name: "ipv6 only",
        says: "a network without IPv4, behind a firewall that lets in what was asked for",
        layers: &[Layer { behaviour: Behaviour::FIREWALL, egress: Egress::Open, inside: Inside::Six }],
    },
];

/// The edge of that name.
pub fn named(name: &str) -> Option<&'static EdgeKind> {
    EDGES.iter().find(|kind| kind.name == name)
}
