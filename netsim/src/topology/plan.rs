//! A topology worked out: every router on the way, every address.

use super::{NatSpec, Topology};
use crate::edges::{self, Inside};
use crate::nat::behaviour::{Behaviour, Egress, PortControl, Translation};
use crate::profiles::{self, Profile};
use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

/// The name of the network that all others are behind.
pub const INTERNET: &str = "internet";

/// Networks at most: the number is part of addresses.
const MAX_NETWORKS: usize = 250;
/// Hosts and edges in one network at most: the last byte of an address, less the special ones.
const MAX_MEMBERS: usize = 200;

/// Why a topology cannot be built.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// A network named somewhere is not there.
    #[error("{whose} is in the network {network:?}, which is not there")]
    NoNetwork {
        /// Who names it.
        whose: String,
        /// The name.
        network: String,
    },
    /// There is no such kind of edge.
    #[error("network {network:?} has the edge {edge:?}, which is none of: isolated, {known}", known = names(edges::EDGES.iter().map(|kind| kind.name)))]
    NoEdge {
        /// The network.
        network: String,
        /// The name.
        edge: String,
    },
    /// There is no such profile.
    #[error("{whose} has the link {profile:?}, which is none of: {known}", known = names(profiles::PROFILES.iter().map(|profile| profile.name)))]
    NoProfile {
        /// Who names it.
        whose: String,
        /// The name.
        profile: String,
    },
    /// Networks are behind one another in a circle.
    #[error("network {0:?} is behind itself")]
    Circle(String),
    /// Public addresses behind a NAT would be reached by nobody.
    #[error("network {0:?} has public addresses and is not directly in the Internet")]
    HiddenPublic(String),
    /// There are too many of something.
    #[error("too many {0}")]
    TooMany(&'static str),
    /// A packet size that IP does not know.
    #[error("{0:?}: an MTU is between 576 and 65535 bytes (1280 with IPv6)")]
    BadMtu(String),
}

fn names<'a>(all: impl Iterator<Item = &'a str>) -> String {
    all.collect::<Vec<_>>().join(", ")
}

/// A network's router towards its parent.
#[derive(Clone, Copy, Debug)]
pub struct PlannedEdge {
    /// Its NAT or firewall.
    pub behaviour: Behaviour,
    /// What it lets out.
    pub egress: Egress,
    /// Whether hosts may ask it for ports.
    pub ports: PortControl,
    /// The link to the parent.
    pub uplink: &'static Profile,
    /// Largest packet on that link.
    pub mtu: usize,
    /// Its address in the parent network.
    pub outer: Ipv4Addr,
}

/// A network.
#[derive(Clone, Debug)]
pub struct PlannedNetwork {
    /// Its name.
    pub name: String,
    /// The network that its edge stands in; `None` for the Internet and for isolated networks.
    pub parent: Option<usize>,
    /// Its way out.
    pub edge: Option<PlannedEdge>,
    /// Its IPv4 addresses: everything that begins so.
    pub prefix: (Ipv4Addr, u8),
    /// Whether it has IPv4.
    pub ipv4: bool,
    /// Whether it has IPv6, and its router an IPv6 firewall.
    pub ipv6: bool,
    /// True where a multicast reaches everyone: not in the Internet, and not in a carrier's network.
    pub multicast: bool,
}

impl PlannedNetwork {
    /// The address with that number in the network.
    pub fn address(&self, number: usize) -> Ipv4Addr {
        Ipv4Addr::from(u32::from(self.prefix.0) + number as u32)
    }

    /// The address of its router.
    pub fn gateway(&self) -> Ipv4Addr {
        self.address(1)
    }

    /// True if the address is one of its own.
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix.1)).unwrap_or(0);
        u32::from(address) & mask == u32::from(self.prefix.0)
    }
}

/// A host.
#[derive(Clone, Debug)]
pub struct PlannedHost {
    /// Its name.
    pub name: String,
    /// Where it is.
    pub network: usize,
    /// Its addresses, IPv4 first.
    pub addresses: Vec<IpAddr>,
    /// Its link.
    pub link: &'static Profile,
    /// Largest packet on its link.
    pub mtu: usize,
}

/// A topology worked out. Network 0 is the Internet.
#[derive(Clone, Debug)]
pub struct Plan {
    /// All networks, parents before their children.
    pub networks: Vec<PlannedNetwork>,
    /// All hosts, in the order of their names.
    pub hosts: Vec<PlannedHost>,
    /// How many members each network has had, which is also the number of the newest one's address.
    pub members: Vec<usize>,
}

/// The IPv6 address with that number in a network.
pub fn ipv6(network: usize, number: usize) -> Ipv6Addr {
    Ipv6Addr::new(0x2a00, network as u16, 0, 0, 0, 0, 0, number as u16)
}

/// The network that an IPv6 address belongs to.
pub fn network_of(address: Ipv6Addr) -> Option<usize> {
    (address.segments()[0] == 0x2a00).then(|| usize::from(address.segments()[1]))
}

impl Plan {
    /// Works a topology out.
    ///
    /// # Errors
    /// See [`PlanError`].
    pub fn new(topology: &Topology) -> Result<Self, PlanError> {
        let internet = PlannedNetwork {
            name: INTERNET.into(),
            parent: None,
            edge: None,
            prefix: (Ipv4Addr::new(20, 0, 0, 0), 24),
            ipv4: true,
            ipv6: true,
            multicast: false,
        };
        let mut plan = Self { networks: vec![internet], hosts: Vec::new(), members: vec![1] };
        let mut built = BTreeMap::from([(INTERNET, 0)]);
        for name in topology.network.keys() {
            plan.build_network(topology, name, &mut built, 0)?;
        }
        for (name, spec) in &topology.host {
            let network = *built.get(spec.network.as_str()).ok_or_else(|| PlanError::NoNetwork {
                whose: format!("host {name:?}"),
                network: spec.network.clone(),
            })?;
            let ipv6_wanted = spec.ipv6.unwrap_or(network > 0);
            plan.hosts.push(PlannedHost {
                name: name.clone(),
                network,
                addresses: Vec::new(),
                link: profile(&format!("host {name:?}"), &spec.link)?,
                mtu: checked_mtu(name, spec.mtu)?,
            });
            let addresses = plan.take_addresses(network, spec.addresses.max(1), ipv6_wanted)?;
            if let Some(host) = plan.hosts.last_mut() {
                host.addresses = addresses;
            }
        }
        Ok(plan)
    }

    /// Addresses for a host that comes into a network.
    ///
    /// # Errors
    /// When the network is full.
    pub fn take_addresses(&mut self, network: usize, count: usize, ipv6_too: bool) -> Result<Vec<IpAddr>, PlanError> {
        let first = self.take_number(network)?;
        let more = (1..count).map(|_| self.take_number(network)).collect::<Result<Vec<_>, _>>()?;
        let place = &self.networks[network];
        let v4 = std::iter::once(first).chain(more).filter(|_| place.ipv4);
        let mut addresses: Vec<IpAddr> = v4.map(|number| place.address(number).into()).collect();
        if ipv6_too && place.ipv6 {
            addresses.push(ipv6(network, first).into());
        }
        Ok(addresses)
    }

    /// The number of a new member of a network. The first is the router.
    pub fn take_number(&mut self, network: usize) -> Result<usize, PlanError> {
        let members = &mut self.members[network];
        *members += 1;
        if *members > MAX_MEMBERS { Err(PlanError::TooMany("hosts in one network")) } else { Ok(*members) }
    }

    /// The host of that name.
    pub fn host(&self, name: &str) -> Option<usize> {
        self.hosts.iter().position(|host| host.name == name)
    }

    /// The network of that name.
    pub fn network(&self, name: &str) -> Option<usize> {
        self.networks.iter().position(|network| network.name == name)
    }

    /// The networks from this one outwards, itself first.
    pub fn way_out(&self, network: usize) -> Vec<usize> {
        std::iter::successors(Some(network), |at| self.networks[*at].parent).collect()
    }

    fn build_network<'a>(
        &mut self,
        topology: &'a Topology,
        name: &'a str,
        built: &mut BTreeMap<&'a str, usize>,
        depth: usize,
    ) -> Result<usize, PlanError> {
        if let Some(done) = built.get(name) {
            return Ok(*done);
        }
        if depth > topology.network.len() {
            return Err(PlanError::Circle(name.into()));
        }
        let spec = &topology.network[name];
        let uplink = profile(&format!("network {name:?}"), &spec.uplink)?;
        let mtu = checked_mtu(name, spec.mtu)?;
        if spec.edge == "isolated" {
            let index = self.push(name, None, None, Inside::Home, spec.ipv6)?;
            built.insert(name, index);
            return Ok(index);
        }
        let kind = edges::named(&spec.edge)
            .filter(|kind| !kind.layers.is_empty())
            .ok_or_else(|| PlanError::NoEdge { network: name.into(), edge: spec.edge.clone() })?;
        let behind = topology.network.get_key_value(&spec.behind).map_or(INTERNET, |(key, _)| key.as_str());
        if behind != spec.behind {
            return Err(PlanError::NoNetwork { whose: format!("network {name:?}"), network: spec.behind.clone() });
        }
        let mut parent = self.build_network(topology, behind, built, depth + 1)?;
        let perfect = &profiles::PROFILES[0];
        for (place, layer) in kind.layers.iter().enumerate() {
            let innermost = place + 1 == kind.layers.len();
            if layer.inside == Inside::Public && parent != 0 {
                return Err(PlanError::HiddenPublic(name.into()));
            }
            let number = self.take_number(parent)?;
            let edge = PlannedEdge {
                behaviour: if innermost { spec.nat.applied_to(layer.behaviour) } else { layer.behaviour },
                egress: layer.egress,
                ports: if innermost { spec.ports } else { PortControl::Off },
                // A carrier's NAT stands in its core; what is slow is the way to it.
                uplink: if innermost { uplink } else { perfect },
                mtu,
                outer: self.networks[parent].address(number),
            };
            let full = if innermost { name.to_owned() } else { format!("{name}: its carrier") };
            parent = self.push(&full, Some(parent), Some(edge), layer.inside, spec.ipv6)?;
        }
        built.insert(name, parent);
        Ok(parent)
    }

    fn push(
        &mut self,
        name: &str,
        parent: Option<usize>,
        edge: Option<PlannedEdge>,
        inside: Inside,
        ipv6: bool,
    ) -> Result<usize, PlanError> {
        let index = self.networks.len();
        if index > MAX_NETWORKS {
            return Err(PlanError::TooMany("networks"));
        }
        let prefix = match inside {
            Inside::Home => (Ipv4Addr::new(192, 168, 1, 0), 24),
            Inside::Carrier => (Ipv4Addr::new(100, 64, 0, 0), 16),
            Inside::Office => (Ipv4Addr::new(10, 20, 0, 0), 16),
            Inside::Public => (Ipv4Addr::new(21, 0, index as u8, 0), 24),
            // Nobody has an address of these.
            Inside::Six => (Ipv4Addr::UNSPECIFIED, 32),
        };
        let (ipv4, ipv6) = (inside != Inside::Six, ipv6 || inside == Inside::Six);
        let multicast = inside != Inside::Carrier;
        self.networks.push(PlannedNetwork { name: name.into(), parent, edge, prefix, ipv4, ipv6, multicast });
        self.members.push(1);
        Ok(index)
    }
}

fn profile(whose: &str, name: &str) -> Result<&'static Profile, PlanError> {
    profiles::named(name).ok_or_else(|| PlanError::NoProfile { whose: whose.into(), profile: name.into() })
}

fn checked_mtu(whose: &str, mtu: usize) -> Result<usize, PlanError> {
    if (576..=65_535).contains(&mtu) { Ok(mtu) } else { Err(PlanError::BadMtu(whose.into())) }
}

impl NatSpec {
    fn applied_to(self, kind: Behaviour) -> Behaviour {
        Behaviour {
            translation: kind.translation,
            mapping: self.mapping.unwrap_or(kind.mapping),
            filtering: self.filtering.unwrap_or(kind.filtering),
            ports: self.ports.unwrap_or(kind.ports),
            hairpin: self.hairpin.unwrap_or(kind.hairpin),
            refresh: self.refresh.unwrap_or(kind.refresh),
            udp_timeout: self.udp_timeout.map_or(kind.udp_timeout, Duration::from_secs),
            tcp_timeout: kind.tcp_timeout,
        }
    }
}

impl PlannedEdge {
    /// The IPv6 half of the edge: home routers filter as RFC 6092 wants, and translate nothing.
    pub fn ipv6_firewall(&self) -> Behaviour {
        Behaviour { translation: Translation::None, filtering: self.behaviour.filtering, ..Behaviour::FIREWALL }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topology::NetworkSpec;

    fn network(edge: &str, behind: &str) -> NetworkSpec {
        NetworkSpec { edge: edge.into(), behind: behind.into(), ..NetworkSpec::default() }
    }

    #[test]
    fn a_kind_with_several_routers_is_as_many_networks() {
        let mut topology = Topology::default();
        topology.add_network("one", "double nat");
        topology.add_host("a", "one");
        topology.network.insert("two".into(), network("home", "one"));
        topology.add_host("b", "two");
        let plan = Plan::new(&topology).expect("a sound topology");
        let [a, b] = ["a", "b"].map(|name| plan.host(name).expect("a host"));
        assert_eq!(plan.way_out(plan.hosts[a].network).len(), 3, "home, carrier, Internet");
        assert_eq!(plan.way_out(plan.hosts[b].network).len(), 4, "home behind home, too");
        assert_eq!(plan.hosts[a].addresses, ["192.168.1.3".parse::<IpAddr>().expect("an address")]);
    }

    #[test]
    fn what_cannot_be_is_refused_in_words() {
        let refused = |networks: &[(&str, NetworkSpec)], word: &str| {
            let mut topology = Topology::default();
            topology.network.extend(networks.iter().map(|(name, spec)| ((*name).to_owned(), spec.clone())));
            let error = Plan::new(&topology).expect_err(word).to_string();
            assert!(error.contains(word), "{error}");
        };
        refused(&[("one", network("home", "two")), ("two", network("home", "one"))], "behind itself");
        refused(&[("one", network("home", "nowhere"))], "not there");
        refused(&[("one", network("castle", "internet"))], "castle");
        refused(&[("one", network("home", "internet")), ("two", network("firewall", "one"))], "public addresses");
        refused(&[("one", NetworkSpec { mtu: 100, ..NetworkSpec::default() })], "MTU");
        refused(&[("one", NetworkSpec { uplink: "string".into(), ..NetworkSpec::default() })], "string");
        let mut crowd = Topology::default();
        (0..MAX_MEMBERS).for_each(|number| crowd.add_host(&format!("host {number}"), "internet"));
        assert_eq!(Plan::new(&crowd).err(), Some(PlanError::TooMany("hosts in one network")));
    }
}
