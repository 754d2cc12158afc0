//! What Linux gives: network namespaces, TUN devices, and the netlink messages that give them addresses.

mod netlink;
pub mod netns;
pub mod tun;
