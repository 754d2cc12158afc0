//! What must be possible between two hosts, from the behaviour of what stands between them: the truth that tests are held to.
//!
//! It reasons about endpoints and does not simulate: both hosts know one another's outermost UDP endpoint, as a STUN server sees it, and everything
//! that ICE (RFC 8445) does with that knowledge: both send at once, again and again, and answer to wherever a packet seems to come from.

use crate::nat::behaviour::{Behaviour, Dependence, Egress, Hairpin};
use crate::topology::Plan;

/// The best way between two hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Straight.
    Direct,
    /// Through somebody whom both reach by UDP.
    RelayedByUdp,
    /// Through somebody whom both reach, one of them by TCP at most.
    RelayedByTcp,
    /// Through somebody who listens on TCP port 443, because one of them gets nowhere else.
    RelayedByHttps,
    /// Not at all.
    Impossible,
}

/// What stands between a host and the network that two hosts share.
struct Way<'a> {
    plan: &'a Plan,
    /// Networks from the host outwards, up to the shared one, without it.
    layers: Vec<usize>,
}

impl Way<'_> {
    fn behaviours(&self) -> impl Iterator<Item = Behaviour> {
        self.layers.iter().filter_map(|network| self.plan.networks[*network].edge.map(|edge| edge.behaviour))
    }

    fn egress(&self) -> Egress {
        let all = self.layers.iter().filter_map(|network| self.plan.networks[*network].edge.map(|edge| edge.egress));
        all.max().unwrap_or(Egress::Open)
    }

    fn has_v6(&self) -> bool {
        self.layers.iter().all(|network| self.plan.networks[*network].ipv6)
    }

    /// True if the endpoint that a STUN server sees is the one that everybody sees.
    fn is_predictable(&self) -> bool {
        self.behaviours().all(|layer| layer.mapping == Dependence::EndpointIndependent)
    }

    /// True if a packet to the endpoint that the STUN server saw comes in, when the other side's packets come from where the STUN server saw them
    /// (`other_predictable`) or from another port of the same address.
    fn lets_in(&self, other_predictable: bool) -> bool {
        let mut same_mapping = true;
        self.behaviours().all(|layer| {
            // What was sent to the other side went by the mapping that the packet now comes by only if no router so far made a new one for it.
            same_mapping &= layer.mapping == Dependence::EndpointIndependent;
            match layer.filtering {
                Dependence::EndpointIndependent => true,
                Dependence::AddressDependent => same_mapping,
                Dependence::AddressAndPortDependent => same_mapping && other_predictable,
            }
        })
    }

    /// True if an answer comes in at the endpoint from which something was sent: from where it was sent to, or, unless that side is predictable, from
    /// another port of its address.
    fn hears_answer(&self, other_predictable: bool) -> bool {
        other_predictable || self.behaviours().all(|layer| layer.filtering != Dependence::AddressAndPortDependent)
    }
}

/// The best way between two hosts of a plan.
pub fn reach(plan: &Plan, a: usize, b: usize) -> Reach {
    let [from_a, from_b] = [a, b].map(|host| plan.way_out(plan.hosts[host].network));
    let Some(shared) = from_a.iter().find(|network| from_b.contains(network)).copied() else {
        return Reach::Impossible;
    };
    let way = |from: &[usize], until: Option<usize>| Way {
        plan,
        layers: from.iter().copied().take_while(|network| Some(*network) != until).collect(),
    };
    let [to_a, to_b] = [&from_a, &from_b].map(|from| way(from, Some(shared)));
    let udp = to_a.egress() <= Egress::Open && to_b.egress() <= Egress::Open;
    let both_have =
        |v6: bool| [a, b].iter().all(|host| plan.hosts[*host].addresses.iter().any(|own| own.is_ipv6() == v6));
    let neighbours = to_a.layers.is_empty() && to_b.layers.is_empty() && (both_have(false) || both_have(true));
    // IPv6 is translated by nobody: both know one another's true address, and the filters on the way let in what was asked for.
    let by_v6 = both_have(true) && [&to_a, &to_b].iter().all(|way| way.has_v6());
    if neighbours || udp && (by_v6 || both_have(false) && straight(plan, shared, &from_a, &from_b)) {
        return Reach::Direct;
    }
    // A relay stands in the Internet.
    let worst = way(&from_a, Some(0)).egress().max(way(&from_b, Some(0)).egress());
    let outside = from_a.contains(&0) && from_b.contains(&0);
    match worst {
        _ if !outside => Reach::Impossible,
        Egress::Open => Reach::RelayedByUdp,
        Egress::NoUdp => Reach::RelayedByTcp,
        Egress::Https => Reach::RelayedByHttps,
        Egress::Nothing => Reach::Impossible,
    }
}

/// True if they reach one another by IPv4.
fn straight(plan: &Plan, shared: usize, from_a: &[usize], from_b: &[usize]) -> bool {
    let both_hidden = from_a[0] != shared && from_b[0] != shared;
    // Seen from outside, both are at the outer address of the network that they share: they meet if its router turns packets round, and by its rules.
    let turned = shared != 0 && both_hidden;
    if turned && plan.networks[shared].edge.is_none_or(|edge| edge.behaviour.hairpin == Hairpin::Off) {
        return false;
    }
    let way = |from: &[usize]| {
        let count = from.iter().take_while(|network| **network != shared).count() + usize::from(turned);
        Way { plan, layers: from[..count].to_vec() }
    };
    let (a, b) = (way(from_a), way(from_b));
    let (a_known, b_known) = (a.is_predictable(), b.is_predictable());
    let heard_by_a = a.lets_in(b_known) && b.hears_answer(a_known);
    let heard_by_b = b.lets_in(a_known) && a.hears_answer(b_known);
    heard_by_a || heard_by_b
}

/// True if anybody can begin to talk with this host without its doing anything first: what joining by an address in a link needs.
pub fn is_reachable(plan: &Plan, host: usize) -> bool {
    plan.way_out(plan.hosts[host].network).iter().all(|network| plan.networks[*network].edge.is_none())
        && plan.way_out(plan.hosts[host].network).contains(&0)
}
