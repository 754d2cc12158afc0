//! Where peers were said to be: so that a peer can be dialled by its name alone.

use std::collections::{HashMap, VecDeque};

use super::limits::{MAX_ADDRESSES_PER_PEER, MAX_REMEMBERED_PEERS};
use libp2p::{Multiaddr, PeerId};

/// Addresses of the peers heard of most recently; the oldest are forgotten first.
#[derive(Default)]
pub(super) struct AddressBook {
    entries: HashMap<PeerId, VecDeque<Multiaddr>>,
    order: VecDeque<PeerId>,
}

impl AddressBook {
    /// Remembers that `peer` may be at `address` (without `/p2p/…`).
    pub(super) fn remember(&mut self, peer: PeerId, address: Multiaddr) {
        if !self.entries.contains_key(&peer) {
            if self.order.len() >= MAX_REMEMBERED_PEERS
                && let Some(oldest) = self.order.pop_front()
            {
                self.entries.remove(&oldest);
            }
            self.order.push_back(peer);
        }
        let addresses = self.entries.entry(peer).or_default();
        if addresses.contains(&address) {
            return;
        }
        if addresses.len() >= MAX_ADDRESSES_PER_PEER {
            addresses.pop_front();
        }
        addresses.push_back(address);
    }

    /// Forgets one address, for example because its announcement expired.
    pub(super) fn forget(&mut self, peer: &PeerId, address: &Multiaddr) {
        let Some(addresses) = self.entries.get_mut(peer) else { return };
        addresses.retain(|known| known != address);
        if addresses.is_empty() {
            self.entries.remove(peer);
            self.order.retain(|known| known != peer);
        }
    }

    /// What is known of `peer`, oldest first.
    pub(super) fn addresses(&self, peer: &PeerId) -> impl Iterator<Item = &Multiaddr> {
        self.entries.get(peer).into_iter().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(port: usize) -> Multiaddr {
        format!("/ip4/10.0.0.1/tcp/{port}").parse().unwrap()
    }

    #[test]
    fn the_book_never_grows_past_its_bounds() {
        let mut book = AddressBook::default();
        let crowd: Vec<PeerId> = (0..MAX_REMEMBERED_PEERS + 10).map(|_| PeerId::random()).collect();
        for peer in &crowd {
            for port in 1..MAX_ADDRESSES_PER_PEER + 10 {
                book.remember(*peer, address(port));
            }
        }
        assert_eq!(book.entries.len(), MAX_REMEMBERED_PEERS);
        assert_eq!(book.order.len(), MAX_REMEMBERED_PEERS);
        assert_eq!(book.addresses(&crowd[0]).count(), 0, "the oldest is forgotten");
        let newest: Vec<_> = book.addresses(crowd.last().unwrap()).collect();
        assert_eq!(newest.len(), MAX_ADDRESSES_PER_PEER);
        assert_eq!(newest.last(), Some(&&address(MAX_ADDRESSES_PER_PEER + 9)));
    }

    #[test]
    fn an_expired_address_is_not_dialled_again() {
        let (mut book, peer) = (AddressBook::default(), PeerId::random());
        book.remember(peer, address(1));
        book.remember(peer, address(1));
        book.remember(peer, address(2));
        book.forget(&peer, &address(1));
        assert_eq!(book.addresses(&peer).collect::<Vec<_>>(), [&address(2)]);
        book.forget(&peer, &address(2));
        assert!(book.entries.is_empty() && book.order.is_empty());
    }
}
