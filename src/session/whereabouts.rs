//! Where we are found: our addresses as rosters and the link carry them, and the keys of the distributed hash table.

use super::effect::Effect;
use super::notice::Notice;
use super::{Entry, Session};
use rand::CryptoRng;
use resonance_protocol::link::Link;
use resonance_protocol::peer::{Address, Listener};
use resonance_protocol::signal::Signal;
use std::net::IpAddr;
use std::time::Instant;

/// Addresses of one peer in a roster.
pub(super) const MAX_ROSTER_ADDRESSES: usize = 8;

impl<R: CryptoRng> Session<R> {
    /// This machine has one more address: sound may have a better way.
    pub(super) fn listens(&mut self, now: Instant, address: Address) {
        self.moved |= !self.addresses.contains(&address) && self.members().next().is_some();
        self.learn_own_address(now, address);
    }

    /// This machine has lost an address.
    pub(super) fn listens_no_more(&mut self, address: Address) {
        let known = self.addresses.len();
        self.addresses.retain(|own| *own != address);
        self.moved |= self.addresses.len() < known && self.members().next().is_some();
    }

    /// We can be reached here: members are told, and the link says so, too.
    pub(super) fn learn_own_address(&mut self, now: Instant, address: Address) {
        if self.addresses.contains(&address) {
            return;
        }
        let before = self.addresses.clone();
        self.addresses.push(address);
        self.addresses.sort_by_key(worth);
        self.addresses.truncate(MAX_ROSTER_ADDRESSES);
        if self.addresses == before {
            return;
        }
        let roster = Signal::Roster(self.roster());
        for member in self.member_ids() {
            self.tell(now, member, &roster);
        }
        if worth(&address) == Worth::Anywhere {
            self.improve_link(address);
        }
    }

    /// Puts an address at which everybody reaches us into a link that carries addresses of ours and not this one.
    fn improve_link(&mut self, address: Address) {
        let Entry::Create { link, .. } = &mut self.entry else { return };
        if link.hints.is_empty() || link.hints.contains(&address) {
            return;
        }
        link.hints.insert(0, address);
        link.hints.sort_by_key(worth);
        link.hints.truncate(Link::MAX_HINTS);
        let link = Some(link.to_text());
        self.notice(Notice::Link { link });
    }

    /// Says where we are to be met when that has changed: with the hour, and with the link's secret. A room of this network is found there only.
    pub(super) fn meet(&mut self, now: Instant) {
        if matches!(self.entry, Entry::Lan(_)) {
            return;
        }
        let unix = self.unix_time.saturating_add(now.saturating_duration_since(self.started).as_secs());
        let own = self.keys.rendezvous_key(unix);
        if self.met_under.replace(own) != Some(own) {
            let hours = [unix, unix.saturating_sub(3_600), unix.saturating_add(3_600)];
            let keys = hours.map(|hour| self.keys.rendezvous_key(hour)).to_vec();
            self.do_this(Effect::Meet { own, keys, seeking: !self.joined });
        }
    }
}

/// What an address is worth to others, the best first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    /// Everybody reaches it.
    Anywhere,
    /// A helper: everybody reaches it, and we are one step further.
    Helper,
    /// Those on the same network.
    Nearby,
    /// This machine only.
    Here,
}

fn worth(address: &Address) -> Worth {
    let nearby = match address.ip {
        IpAddr::V4(ip) => {
            let carrier = ip.octets()[0] == 100 && ip.octets()[1] & 0xC0 == 64;
            ip.is_private() || ip.is_link_local() || carrier
        }
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_unicast_link_local(),
    };
    match address.listener {
        Listener::Helper => Worth::Helper,
        Listener::Peer if address.ip.is_loopback() => Worth::Here,
        Listener::Peer if nearby => Worth::Nearby,
        Listener::Peer => Worth::Anywhere,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use resonance_protocol::peer::Transport;

    #[test]
    fn what_everybody_reaches_comes_first() {
        let at = |ip: &str, listener| Address { ip: ip.parse().unwrap(), port: 1, transport: Transport::Tcp, listener };
        let best = at("203.0.113.1", Listener::Peer);
        let mut addresses = [
            at("127.0.0.1", Listener::Peer),
            at("192.168.1.2", Listener::Peer),
            at("fe80::1", Listener::Peer),
            at("198.51.100.7", Listener::Helper),
            best,
        ];
        addresses.sort_by_key(worth);
        assert_eq!(
            (addresses[0], addresses[1].listener, addresses[4].ip),
            (best, Listener::Helper, [127, 0, 0, 1].into())
        );
    }
}
