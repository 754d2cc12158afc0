//! Finding out what the network between us and others lets through; it tells, and changes nothing. For `resonance doctor`.

mod helper;
mod local;
mod mapping;
mod router;

use std::net::IpAddr;
use std::time::Duration;

pub use helper::{Visit, visit};
pub use local::{multicast, route_to_world};
pub use mapping::{Mapping, Observation, Observed, classify, observe};
pub use router::{Router, gateway, routers};

/// How long one question over the network may take.
pub const PATIENCE: Duration = Duration::from_secs(5);

/// Whose an address is, as far as its range tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Range {
    /// The Internet's.
    Public,
    /// A private network's (RFC 1918, RFC 4193).
    Private,
    /// A carrier's, behind its NAT (RFC 6598).
    Carrier,
    /// One link's, or this machine's.
    Local,
}

/// Whose `ip` is.
pub fn range(ip: IpAddr) -> Range {
    match ip.to_canonical() {
        IpAddr::V4(ip) if ip.is_loopback() || ip.is_link_local() || ip.is_unspecified() => Range::Local,
        IpAddr::V4(ip) if ip.is_private() => Range::Private,
        IpAddr::V4(ip) if ip.to_bits() >> 22 == 0x6440_0000 >> 22 => Range::Carrier,
        IpAddr::V6(ip) if ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unspecified() => Range::Local,
        IpAddr::V6(ip) if ip.is_unique_local() => Range::Private,
        _ => Range::Public,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_told_apart() {
        for (ip, expected) in [
            ("8.8.8.8", Range::Public),
            ("100.63.255.255", Range::Public),
            ("100.64.0.1", Range::Carrier),
            ("100.127.255.255", Range::Carrier),
            ("100.128.0.0", Range::Public),
            ("10.0.0.1", Range::Private),
            ("::ffff:192.168.1.1", Range::Private),
            ("127.0.0.1", Range::Local),
            ("169.254.1.1", Range::Local),
            ("fe80::1", Range::Local),
            ("fd00::1", Range::Private),
            ("2a00::1", Range::Public),
        ] {
            assert_eq!(range(ip.parse().unwrap()), expected, "{ip}");
        }
    }
}
