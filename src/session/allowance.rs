//! How many handshakes others may begin with us: each costs us an ML-KEM encapsulation, Diffie–Hellman and a signature.

use crate::token_bucket::{Buckets, network};
use resonance_protocol::peer::TransportId;
use std::net::IpAddr;
use std::time::Instant;

/// First messages of one peer at once: two that cross, and a few that are repeated after an outage.
const PEER_BURST: f64 = 5.0;
/// Of one peer, per second: a handshake may take 10 s.
const PEER_RATE: f64 = 0.5;
/// Of all peers at one address at once: two full sessions behind one NAT, each member calling once or twice.
const ADDRESS_BURST: f64 = 20.0;
/// Of all peers at one address, per second. It slows such an address down and never bans it: others may live there, too.
const ADDRESS_RATE: f64 = 2.0;
/// Buckets of each kind that are remembered: as many peers as are known at once, twice over.
const MAX_BUCKETS: usize = 128;

/// Token buckets of the peers and of the addresses that they were directly seen at.
pub struct Allowance {
    peers: Buckets<TransportId>,
    addresses: Buckets<IpAddr>,
}

impl Default for Allowance {
    fn default() -> Self {
        Self {
            peers: Buckets::new(PEER_BURST, PEER_RATE, MAX_BUCKETS),
            addresses: Buckets::new(ADDRESS_BURST, ADDRESS_RATE, MAX_BUCKETS),
        }
    }
}

impl Allowance {
    /// A peer begins a handshake; `false` when it must wait. `address` is where it was seen, unless something stands between.
    pub fn take(&mut self, now: Instant, peer: TransportId, address: Option<IpAddr>) -> bool {
        self.peers.take(now, peer) && address.is_none_or(|ip| self.addresses.take(now, network(ip)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn peer(number: u16) -> TransportId {
        let mut bytes = [0; 32];
        bytes[..2].copy_from_slice(&number.to_be_bytes());
        TransportId::from_bytes(bytes)
    }

    #[test]
    fn a_peer_and_an_address_are_slowed_down_and_never_shut_out() {
        let (mut allowance, mut now) = (Allowance::default(), Instant::now());
        assert_eq!((0..20).filter(|_| allowance.take(now, peer(0), None)).count(), 5);
        now += Duration::from_secs(2);
        assert!(allowance.take(now, peer(0), None) && !allowance.take(now, peer(0), None));
        for (one, other) in
            [("192.0.2.1", "192.0.2.1"), ("::ffff:192.0.2.9", "192.0.2.9"), ("2001:db8::1", "2001:db8::2:3")]
        {
            now += Duration::from_secs(100);
            let (one, other) = (one.parse().unwrap(), other.parse().unwrap());
            let taken =
                (0..100).filter(|at| allowance.take(now, peer(*at), Some(if at % 2 == 0 { one } else { other })));
            assert_eq!(taken.count(), 20);
            assert!(allowance.take(now + Duration::from_secs(1), peer(101), Some(one)));
        }
    }

    #[test]
    fn what_is_remembered_is_bounded_and_a_flood_of_names_does_not_wash_an_empty_bucket_out() {
        let (mut allowance, now) = (Allowance::default(), Instant::now());
        assert_eq!((0..20).filter(|_| allowance.take(now, peer(0), None)).count(), 5);
        for number in 1..5_000 {
            let ip = IpAddr::from([10, 0, (number >> 8) as u8, number as u8]);
            assert!(allowance.take(now, peer(number), Some(ip)));
        }
        assert_eq!((allowance.peers.len(), allowance.addresses.len()), (MAX_BUCKETS, MAX_BUCKETS));
        assert!(!allowance.take(now, peer(0), None));
    }
}
