//! How a NAT or firewall behaves, in the words of RFC 4787 (UDP) and RFC 5382 (TCP).

use serde::Deserialize;
use std::time::Duration;

/// What a decision depends on besides the inner endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dependence {
    /// On nothing else (RFC 4787 §4.1 and §5).
    EndpointIndependent,
    /// On the other side's address.
    AddressDependent,
    /// On the other side's address and port.
    AddressAndPortDependent,
}

/// Which outer port a mapping gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ports {
    /// The inner one if it is free, else the next that is (RFC 4787 §4.2.1, port preservation).
    Preserved,
    /// One after another.
    Sequential,
    /// Any that is free.
    Random,
}

/// Whether two inner hosts reach one another by their outer endpoints (RFC 4787 §6). The source they see is the outer one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hairpin {
    /// They do.
    On,
    /// They do not.
    Off,
}

/// Which packets keep a UDP mapping alive (RFC 4787 §4.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refresh {
    /// Those from inside.
    Outbound,
    /// Those from both sides.
    Both,
}

/// Whether addresses are translated at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Translation {
    /// To the one outer address.
    Address,
    /// Not at all: a firewall.
    None,
}

/// A NAT's or a firewall's behaviour.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// Whether it translates.
    pub translation: Translation,
    /// When two packets of one inner endpoint get the same outer endpoint.
    pub mapping: Dependence,
    /// Whom an outer endpoint lets in.
    pub filtering: Dependence,
    /// Which ports mappings get.
    pub ports: Ports,
    /// Whether inner hosts reach one another from outside.
    pub hairpin: Hairpin,
    /// What keeps a UDP mapping alive.
    pub refresh: Refresh,
    /// How long a UDP mapping lives unused.
    pub udp_timeout: Duration,
    /// How long an established TCP connection's mapping lives unused.
    pub tcp_timeout: Duration,
}

/// A TCP connection that is not, or no longer, established is forgotten after this (RFC 5382 REQ-5: not less than 4 minutes).
pub const TCP_TRANSITORY: Duration = Duration::from_secs(240);
/// An unanswered ping is forgotten after this (RFC 5508 REQ-1: not less than 60 s).
pub const ECHO_TIMEOUT: Duration = Duration::from_secs(60);

impl Behaviour {
    /// What most homes have: RFC 4787's recommended mapping with the strictest filtering, which Linux routers show.
    pub const HOME: Self = Self {
        translation: Translation::Address,
        mapping: Dependence::EndpointIndependent,
        filtering: Dependence::AddressAndPortDependent,
        ports: Ports::Preserved,
        hairpin: Hairpin::Off,
        refresh: Refresh::Both,
        // Linux: nf_conntrack_udp_timeout_stream is 120 s; RFC 4787 REQ-5 asks for two minutes at least.
        udp_timeout: Duration::from_secs(120),
        // RFC 5382 REQ-5: two hours and four minutes.
        tcp_timeout: Duration::from_secs(7_440),
    };

    /// A carrier's NAT as RFC 6888 wants it: endpoint-independent in both, and hairpinning.
    pub const CARRIER: Self =
        Self { filtering: Dependence::EndpointIndependent, ports: Ports::Random, hairpin: Hairpin::On, ..Self::HOME };

    /// A symmetric NAT: nothing that one server sees helps another.
    pub const SYMMETRIC: Self =
        Self { mapping: Dependence::AddressAndPortDependent, ports: Ports::Random, ..Self::HOME };

    /// A firewall that lets in what was asked for.
    pub const FIREWALL: Self = Self { translation: Translation::None, ..Self::HOME };

    /// No obstacle: what is reachable by everyone.
    pub const OPEN: Self = Self { filtering: Dependence::EndpointIndependent, ..Self::FIREWALL };
}

/// What a network lets out at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Egress {
    /// Everything.
    Open,
    /// Everything but UDP.
    NoUdp,
    /// TCP to port 443 only.
    Https,
    /// Nothing.
    Nothing,
}

/// Whether hosts inside may ask for ports (RFC 6886, RFC 6887, UPnP IGD).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PortControl {
    /// They may not.
    Off,
    /// By NAT-PMP.
    NatPmp,
    /// By PCP, and not by its predecessor.
    Pcp,
    /// By UPnP IGD.
    Upnp,
    /// By NAT-PMP and UPnP IGD.
    Both,
}
