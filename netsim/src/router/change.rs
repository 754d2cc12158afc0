//! What changes while it runs: links get worse and better, hosts move, networks fall apart and heal.

use super::{HostId, Member, NetworkId, Router};
use crate::profiles::Profile;
use crate::topology::PlanError;
use std::net::{IpAddr, Ipv4Addr};

/// Whether something is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It works.
    Up,
    /// It does not.
    Down,
}

impl Router {
    /// Gives a host another link.
    pub fn set_link(&mut self, host: HostId, profile: &Profile) {
        if let Some(host) = self.hosts.get_mut(host.0) {
            host.up.change(profile.up);
            host.down.change(profile.down);
        }
    }

    /// Gives a network another uplink.
    pub fn set_uplink(&mut self, network: NetworkId, profile: &Profile) {
        if let Some(edge) = self.networks.get_mut(network.0).and_then(|network| network.edge.as_mut()) {
            edge.up.change(profile.up);
            edge.down.change(profile.down);
        }
    }

    /// Takes a host's link down or up, both ways.
    pub fn set_host_state(&mut self, host: HostId, state: State) {
        if let Some(host) = self.hosts.get_mut(host.0) {
            host.up.set_cut(state == State::Down);
            host.down.set_cut(state == State::Down);
        }
    }

    /// Takes a network's uplink down or up, both ways.
    pub fn set_uplink_state(&mut self, network: NetworkId, state: State) {
        if let Some(edge) = self.networks.get_mut(network.0).and_then(|network| network.edge.as_mut()) {
            edge.up.set_cut(state == State::Down);
            edge.down.set_cut(state == State::Down);
        }
    }

    /// Two hosts hear nothing more of one another.
    pub fn part(&mut self, a: HostId, b: HostId) {
        self.parted.insert((a.min(b), a.max(b)));
    }

    /// Everyone hears everyone again.
    pub fn heal(&mut self) {
        self.parted.clear();
    }

    /// A host goes into another network and gets addresses there, which are returned. What is under way to the old ones is lost.
    ///
    /// # Errors
    /// When the network is full.
    pub fn move_host(&mut self, host: HostId, network: NetworkId) -> Result<Vec<IpAddr>, PlanError> {
        let Some(moving) = self.hosts.get_mut(host.0) else { return Ok(Vec::new()) };
        let count = moving.addresses.iter().filter(|address| address.is_ipv4()).count();
        let addresses = self.plan.take_addresses(network.0, count, network.0 > 0)?;
        let old = std::mem::replace(&mut moving.addresses, addresses.clone());
        let left = std::mem::replace(&mut moving.network, network);
        for address in old {
            self.networks[left.0].members.remove(&address);
        }
        for address in &addresses {
            self.networks[network.0].members.insert(*address, Member::Host(host));
        }
        Ok(addresses)
    }

    /// A network's edge forgets every mapping.
    pub fn rebind(&mut self, network: NetworkId) {
        if let Some(edge) = self.networks.get_mut(network.0).and_then(|network| network.edge.as_mut()) {
            edge.nat.restart(edge.nat.outer());
            edge.firewall.restart(edge.firewall.outer());
        }
    }

    /// A network's edge is restarted: it gets another outer address, which is returned, and has forgotten every mapping.
    ///
    /// # Errors
    /// When the network around it is full.
    pub fn renumber(&mut self, network: NetworkId) -> Result<Option<Ipv4Addr>, PlanError> {
        let Some(parent) = self.plan.networks.get(network.0).and_then(|network| network.parent) else {
            return Ok(None);
        };
        let number = self.plan.take_number(parent)?;
        let outer = self.plan.networks[parent].address(number);
        let Some(edge) = self.networks[network.0].edge.as_mut() else { return Ok(None) };
        let old = edge.nat.outer();
        edge.nat.restart(outer);
        edge.firewall.restart(outer);
        self.networks[parent].members.remove(&IpAddr::V4(old));
        self.networks[parent].members.insert(outer.into(), Member::Edge(network));
        Ok(Some(outer))
    }
}
