//! The machine's ways onto local networks.

use nix::ifaddrs::getifaddrs;
use nix::net::if_::InterfaceFlags;
use std::net::{IpAddr, Ipv4Addr};

/// Networks that are looked at: more belong to virtual machines.
const MAX_INTERFACES: usize = 16;

/// One address of this machine, and whose neighbours it has there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interface {
    pub(super) address: Ipv4Addr,
    pub(super) mask: Ipv4Addr,
}

impl Interface {
    /// Whether `ip` is on that network.
    pub(super) fn reaches(&self, ip: IpAddr) -> bool {
        let IpAddr::V4(ip) = ip else { return false };
        let mask = self.mask.to_bits();
        ip.to_bits() & mask == self.address.to_bits() & mask
    }
}

/// Those that are up and take multicast; loopback is none of them.
pub(super) fn all() -> Vec<Interface> {
    let wanted = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_MULTICAST;
    let found = getifaddrs().into_iter().flatten().filter(|found| {
        found.flags.contains(wanted)
            && !found.flags.intersects(InterfaceFlags::IFF_LOOPBACK | InterfaceFlags::IFF_POINTOPOINT)
    });
    let interface = |found: nix::ifaddrs::InterfaceAddress| {
        let address = found.address.as_ref()?.as_sockaddr_in()?.ip();
        let mask = found.netmask.as_ref()?.as_sockaddr_in()?.ip();
        Some(Interface { address, mask })
    };
    found.filter_map(interface).take(MAX_INTERFACES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_those_of_the_network() {
        let home = Interface { address: Ipv4Addr::new(192, 168, 1, 7), mask: Ipv4Addr::new(255, 255, 255, 0) };
        for (ip, reached) in [
            ("192.168.1.200", true),
            ("192.168.1.7", true),
            ("192.168.2.7", false),
            ("203.0.113.9", false),
            ("fe80::1", false),
        ] {
            assert_eq!(home.reaches(ip.parse().expect("an address")), reached, "{ip}");
        }
    }
}
