//! Who is where: hosts in networks, networks behind edges, all of it in the Internet. As it is written ([`Topology`]) and as it is built ([`Plan`]).

mod plan;

pub use plan::{INTERNET, Plan, PlanError, PlannedEdge, PlannedHost, PlannedNetwork, ipv6, network_of};

use crate::nat::behaviour::{Dependence, Hairpin, PortControl, Ports, Refresh};
use serde::Deserialize;
use std::collections::BTreeMap;

/// What stands in a scenario's `[network.…]` and `[host.…]` tables.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Topology {
    /// Networks by name. `internet` is there without being named.
    #[serde(default)]
    pub network: BTreeMap<String, NetworkSpec>,
    /// Hosts by name.
    #[serde(default)]
    pub host: BTreeMap<String, HostSpec>,
}

/// A network and its way out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NetworkSpec {
    /// A kind of edge (see [`crate::edges`]), or `isolated`: a network without a way out.
    pub edge: String,
    /// The network in which its edge stands.
    pub behind: String,
    /// The link between its edge and that network: a profile.
    pub uplink: String,
    /// Whether it has IPv6 beside IPv4.
    pub ipv6: bool,
    /// Largest packet on the uplink, in bytes.
    pub mtu: usize,
    /// Whether its hosts may ask for ports.
    pub ports: PortControl,
    /// What its innermost router does otherwise than its kind.
    pub nat: NatSpec,
}

impl Default for NetworkSpec {
    fn default() -> Self {
        Self {
            edge: "home".into(),
            behind: INTERNET.into(),
            uplink: "perfect".into(),
            ipv6: false,
            mtu: 1_500,
            ports: PortControl::Off,
            nat: NatSpec::default(),
        }
    }
}

/// Departures from a kind of edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NatSpec {
    /// When two packets of one inner endpoint get the same outer endpoint.
    pub mapping: Option<Dependence>,
    /// Whom an outer endpoint lets in.
    pub filtering: Option<Dependence>,
    /// Which ports mappings get.
    pub ports: Option<Ports>,
    /// Whether inner hosts reach one another from outside.
    pub hairpin: Option<Hairpin>,
    /// What keeps a UDP mapping alive.
    pub refresh: Option<Refresh>,
    /// How long a UDP mapping lives unused, in seconds.
    pub udp_timeout: Option<u64>,
}

/// A host and its link.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HostSpec {
    /// Where it is.
    pub network: String,
    /// Its link to that network: a profile.
    pub link: String,
    /// How many IPv4 addresses it has.
    pub addresses: usize,
    /// Whether it has IPv6, where its network has. Hosts in the Internet itself have it when they say so.
    pub ipv6: Option<bool>,
    /// Largest packet on its link, in bytes.
    pub mtu: usize,
}

impl Default for HostSpec {
    fn default() -> Self {
        Self { network: INTERNET.into(), link: "perfect".into(), addresses: 1, ipv6: None, mtu: 1_500 }
    }
}

impl Topology {
    /// One more network behind an edge of that kind; for `public` none is made. Gives the network's name.
    pub fn add_network(&mut self, name: &str, edge: &str) -> String {
        if crate::edges::named(edge).is_some_and(|kind| kind.layers.is_empty()) {
            return INTERNET.into();
        }
        self.network.insert(name.into(), NetworkSpec { edge: edge.into(), ..NetworkSpec::default() });
        name.into()
    }

    /// One more host in a network.
    pub fn add_host(&mut self, name: &str, network: &str) {
        self.host.insert(name.into(), HostSpec { network: network.into(), ..HostSpec::default() });
    }
}
