//! Which addresses a link carries.

use crate::network;
use resonance_protocol::peer::{Address, Listener};
use std::net::IpAddr;

/// Addresses that a link carries at most.
const MAX_HINTS: usize = 6;

/// Helpers among them.
const MAX_HELPER_HINTS: usize = 2;

/// The same address, as that of a helper.
pub fn as_helper(address: Address) -> Address {
    Address { listener: Listener::Helper, ..address }
}

/// What a link carries: two helpers at most, and as many of our own addresses as there is room for.
pub fn hints_of(mut own: Vec<Address>, mut helpers: Vec<Address>) -> Vec<Address> {
    helpers.truncate(MAX_HELPER_HINTS);
    own.truncate(MAX_HINTS - helpers.len());
    own.extend(helpers);
    own
}

/// The addresses for a link: those that others can reach first; loopback only when there is nothing else.
pub fn own_addresses(events: &[network::Event]) -> Vec<Address> {
    let all: Vec<Address> = events
        .iter()
        .filter_map(|event| match event {
            network::Event::Listening { compact, .. } => *compact,
            network::Event::Reached { compact, .. } => Some(*compact),
            _ => None,
        })
        .filter(|address| address.listener == Listener::Peer)
        .collect();
    // A link-local IPv6 address says nothing without the interface that it belongs to.
    let reachable = |ip: IpAddr| !ip.is_loopback() && !matches!(ip, IpAddr::V6(ip) if ip.is_unicast_link_local());
    let mut useful: Vec<Address> = all.iter().filter(|address| reachable(address.ip)).copied().collect();
    if useful.is_empty() {
        useful = all;
    }
    useful.truncate(MAX_HINTS);
    useful
}
