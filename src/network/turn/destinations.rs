//! Whither a server relays: to the world, and never into the networks that only its own machine can see.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A range of addresses: its first, and how many leading bits all of it share.
type Range<A> = (A, u32);

/// Ranges that are somebody's own (RFC 1918, RFC 6598). A server that is announced in one serves those who live there.
const PRIVATE_V4: [Range<Ipv4Addr>; 4] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
];

/// Ranges that nobody is reached at (IANA IPv4 Special-Purpose Address Registry): this network, link-local, IETF's own,
/// 6to4 relays, multicast, reserved, broadcast.
const NEVER_V4: [Range<Ipv4Addr>; 6] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// Unique local addresses (RFC 4193).
const PRIVATE_V6: [Range<Ipv6Addr>; 1] = [(Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7)];

/// Unspecified and those that hide an IPv4 address in them (compatible, NAT64, Teredo, 6to4), discard-only, link-local,
/// site-local, multicast (IANA IPv6 Special-Purpose Address Registry).
const NEVER_V6: [Range<Ipv6Addr>; 9] = [
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0, 0, 0), 96),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96),
    (Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0), 48),
    (Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 0), 64),
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xfec0, 0, 0, 0, 0, 0, 0, 0), 10),
    (Ipv6Addr::new(0xff00, 0, 0, 0, 0, 0, 0, 0), 8),
];

/// Whither one server relays.
pub(crate) struct Destinations {
    /// Where it is announced: behind that address its own services answer, so only relayed addresses are taken there.
    own: Vec<IpAddr>,
    /// It listens on loopback addresses and no others: whoever talks to it is on this machine anyway.
    loopback: bool,
}

impl Destinations {
    /// For a server announced at `own` that listens at `listen`.
    pub(crate) fn new(own: Vec<IpAddr>, listen: &[IpAddr]) -> Self {
        let own = own.into_iter().map(|ip| ip.to_canonical()).collect();
        Self { own, loopback: !listen.is_empty() && listen.iter().all(IpAddr::is_loopback) }
    }

    /// One of the server's own addresses.
    pub(crate) fn is_own(&self, ip: IpAddr) -> bool {
        self.own.contains(&ip.to_canonical())
    }

    /// Whether packets may be sent to this address, which is none of the server's own.
    pub(crate) fn allows(&self, ip: IpAddr) -> bool {
        match ip.to_canonical() {
            IpAddr::V4(ip) if ip.is_loopback() => self.loopback,
            IpAddr::V6(ip) if ip.is_loopback() => self.loopback,
            IpAddr::V4(ip) => !within_any_v4(ip, &NEVER_V4) && self.shares(ip.into(), &PRIVATE_V4, within_v4),
            IpAddr::V6(ip) => !within_any_v6(ip, &NEVER_V6) && self.shares(ip.into(), &PRIVATE_V6, within_v6),
        }
    }

    /// In no private range, or in one that the server is announced in.
    fn shares<A>(&self, ip: IpAddr, ranges: &[Range<A>], within: fn(IpAddr, &Range<A>) -> bool) -> bool {
        let mut around = ranges.iter().filter(|range| within(ip, range));
        around.all(|range| self.own.iter().any(|own| within(*own, range)))
    }
}

fn within_v4(ip: IpAddr, (first, bits): &Range<Ipv4Addr>) -> bool {
    matches!(ip, IpAddr::V4(ip) if (ip.to_bits() ^ first.to_bits()) >> (32 - bits) == 0)
}

fn within_v6(ip: IpAddr, (first, bits): &Range<Ipv6Addr>) -> bool {
    matches!(ip, IpAddr::V6(ip) if (ip.to_bits() ^ first.to_bits()) >> (128 - bits) == 0)
}

fn within_any_v4(ip: Ipv4Addr, ranges: &[Range<Ipv4Addr>]) -> bool {
    ranges.iter().any(|range| within_v4(ip.into(), range))
}

fn within_any_v6(ip: Ipv6Addr, ranges: &[Range<Ipv6Addr>]) -> bool {
    ranges.iter().any(|range| within_v6(ip.into(), range))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    fn allowed<'a>(own: &[&str], listen: &str, destinations: &[&'a str]) -> Vec<&'a str> {
        let server = Destinations::new(own.iter().map(|own| ip(own)).collect(), &[ip(listen)]);
        destinations.iter().copied().filter(|to| server.allows(ip(to))).collect()
    }

    const WORLD: [&str; 5] = ["8.8.8.8", "172.32.0.1", "192.0.1.1", "2606:4700::1", "2a00::1"];
    const INSIDE: [&str; 5] = ["10.1.2.3", "172.31.255.255", "192.168.0.1", "100.127.0.1", "fd00::1"];
    const NOWHERE: [&str; 26] = [
        "127.0.0.1",
        "127.8.8.8",
        "0.0.0.0",
        "0.1.2.3",
        "169.254.169.254",
        "192.0.0.9",
        "192.88.99.1",
        "224.0.0.251",
        "239.255.255.250",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::7f00:1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "::ffff:169.254.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2002:7f00:1::",
        "fe80::1",
        "febf::1",
        "fec0::1",
        "ff02::1",
    ];

    #[test]
    fn a_public_server_relays_to_the_world_and_to_no_inside() {
        let all = [&WORLD[..], &INSIDE, &NOWHERE].concat();
        assert_eq!(allowed(&["203.0.113.7", "2606:4700::7"], "0.0.0.0", &all), WORLD);
        assert_eq!(allowed(&[], "0.0.0.0", &all), WORLD);
    }

    #[test]
    fn a_server_on_a_private_network_serves_that_network_alone() {
        let all = [&INSIDE[..], &NOWHERE].concat();
        assert_eq!(allowed(&["192.168.7.7"], "0.0.0.0", &all), ["192.168.0.1"]);
        assert_eq!(allowed(&["10.0.0.1", "fd12::1"], "0.0.0.0", &all), ["10.1.2.3", "fd00::1", "::ffff:10.0.0.1"]);
    }

    #[test]
    fn loopback_is_relayed_to_by_a_server_that_only_this_machine_reaches() {
        let mine = ["127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"];
        assert_eq!(
            allowed(&["127.0.0.1"], "127.0.0.1", &NOWHERE),
            mine[..2].iter().chain(&["::1", "::ffff:127.0.0.1"]).copied().collect::<Vec<_>>()
        );
        assert!(allowed(&["127.0.0.1"], "0.0.0.0", &NOWHERE).is_empty(), "announced there is not enough");
    }

    #[test]
    fn a_server_knows_its_own_address_in_both_spellings() {
        let server = Destinations::new(vec![ip("::ffff:203.0.113.7")], &[]);
        assert!(server.is_own(ip("203.0.113.7")) && server.is_own(ip("::ffff:203.0.113.7")));
        assert!(!server.is_own(ip("203.0.113.8")));
    }
}
