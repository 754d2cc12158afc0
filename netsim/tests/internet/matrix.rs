//! Every kind of edge against every other, in virtual time: what hosts with ICE's manners reach is what the oracle says.

use resonance_netsim::edges::EDGES;
use resonance_netsim::oracle::{self, Reach};
use resonance_netsim::packet::build::{Segment, end_of, tcp, udp, udp_payload};
use resonance_netsim::packet::{End, TCP, parse, tcp_flags};
use resonance_netsim::router::{HostId, NetworkId, Router};
use resonance_netsim::topology::{NetworkSpec, Plan, Topology};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// Checks to each candidate, one every twenty milliseconds, as ICE paces them.
const ROUNDS: u32 = 40;
const PACE: Duration = Duration::from_millis(20);
/// Where everyone's one UDP socket is.
const PORT: u16 = 4_000;

/// A program with one UDP socket, which knows what ICE knows.
struct Agent {
    host: HostId,
    own: Vec<SocketAddr>,
    reflexive: BTreeSet<SocketAddr>,
    others: BTreeSet<SocketAddr>,
    connected: bool,
}

struct World {
    router: Router,
    now: Instant,
    server: HostId,
    agents: [Agent; 2],
    /// Which transports to the server brought an answer, by host: UDP, TCP to any port, TCP to 443.
    served: BTreeMap<HostId, [bool; 3]>,
}

impl World {
    fn new(topology: &Topology, seed: u64) -> Self {
        let now = Instant::now();
        let router = Router::new(Plan::new(topology).expect("a sound topology"), seed, now);
        let host = |name: &str| HostId(router.plan().host(name).expect("a host"));
        let agent = |name: &str| {
            let own = router.addresses(host(name)).iter().map(|address| SocketAddr::new(*address, PORT)).collect();
            Agent { host: host(name), own, reflexive: BTreeSet::new(), others: BTreeSet::new(), connected: false }
        };
        let (server, agents) = (host("server"), [agent("a"), agent("b")]);
        Self { router, now, server, agents, served: BTreeMap::new() }
    }

    fn server_at(&self, port: u16, like: SocketAddr) -> Option<SocketAddr> {
        let address = self.router.addresses(self.server).iter().find(|address| address.is_ipv4() == like.is_ipv4())?;
        Some(SocketAddr::new(*address, port))
    }

    fn send(&mut self, from: HostId, packet: Option<Vec<u8>>) {
        if let Some(packet) = packet {
            self.router.handle_packet(self.now, from, &packet);
        }
    }

    /// Both ask the server who they are, and try its transports.
    fn ask_server(&mut self) {
        for index in 0..2 {
            let (host, own) = (self.agents[index].host, self.agents[index].own.clone());
            for socket in own {
                if let Some(server) = self.server_at(3_478, socket) {
                    self.send(host, udp(socket, server, b"who am I?"));
                }
            }
            let socket = self.agents[index].own[0];
            for port in [3_478, 443] {
                let server = self.server_at(port, socket).expect("the server speaks whatever they speak");
                self.send(host, tcp(socket, server, Segment { flags: 2, ..Segment::default() }, b""));
            }
        }
        self.pass(Duration::from_millis(500));
    }

    /// Both try everything that they know of the other.
    fn meet(&mut self) {
        let known = |agent: &Agent| agent.own.iter().chain(&agent.reflexive).copied().collect();
        let [a, b]: [BTreeSet<SocketAddr>; 2] = [known(&self.agents[0]), known(&self.agents[1])];
        self.agents[0].others = b;
        self.agents[1].others = a;
        for _ in 0..ROUNDS {
            for index in 0..2 {
                let (host, own) = (self.agents[index].host, self.agents[index].own.clone());
                for other in self.agents[index].others.clone() {
                    for socket in own.iter().filter(|socket| socket.is_ipv4() == other.is_ipv4()) {
                        // As in ICE, a check says whose it is: in a home of the same addresses it may reach oneself.
                        self.send(host, udp(*socket, other, if index == 0 { b"check a" } else { b"check b" }));
                    }
                }
            }
            self.pass(PACE);
        }
        self.pass(Duration::from_millis(500));
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            while let Some((host, packet)) = self.router.poll_transmit(self.now) {
                self.receive(host, &packet);
            }
            match self.router.poll_timeout().filter(|next| *next <= end) {
                Some(next) => self.now = next,
                None => break,
            }
        }
        self.now = end;
    }

    fn receive(&mut self, host: HostId, packet: &[u8]) {
        let (Some(from), Some(to)) = (end_of(packet, End::Source), end_of(packet, End::Destination)) else { return };
        let header = parse(packet).expect("it has been routed");
        if header.protocol == TCP {
            if host == self.server && tcp_flags(packet, &header) == 2 {
                self.send(host, tcp(to, from, Segment { flags: 18, ..Segment::default() }, b""));
            } else if tcp_flags(packet, &header) == 18 {
                let served = self.served.entry(host).or_default();
                served[if from.port() == 443 { 2 } else { 1 }] = true;
            }
            return;
        }
        let Some(payload) = udp_payload(packet) else { return };
        if host == self.server {
            let answer = format!("you are {from}");
            return self.send(host, udp(to, from, answer.as_bytes()));
        }
        let Some(index) = self.agents.iter().position(|agent| agent.host == host) else { return };
        let agent = &mut self.agents[index];
        let text = std::str::from_utf8(payload).expect("we sent it");
        match text.strip_prefix("you are ") {
            Some(seen) => {
                agent.reflexive.insert(seen.parse().expect("an address"));
                self.served.entry(host).or_default()[0] = true;
            }
            // ICE answers to wherever a check came from, and checks there, too.
            None if text == ["check b", "check a"][index] => {
                agent.others.insert(from);
                self.send(host, udp(to, from, b"answer"));
            }
            None => agent.connected |= text == "answer",
        }
    }

    fn reach(&self) -> Reach {
        if self.agents.iter().any(|agent| agent.connected) {
            return Reach::Direct;
        }
        let served = |agent: &Agent| self.served.get(&agent.host).copied().unwrap_or_default();
        let both = |transports: &[usize]| {
            self.agents.iter().all(|agent| transports.iter().any(|transport| served(agent)[*transport]))
        };
        match () {
            () if both(&[0]) => Reach::RelayedByUdp,
            () if both(&[0, 1]) => Reach::RelayedByTcp,
            () if both(&[0, 1, 2]) => Reach::RelayedByHttps,
            () => Reach::Impossible,
        }
    }
}

/// Builds both worlds, the one that runs and the one that is reasoned about, and compares.
fn hold(topology: &Topology, what: &str, seed: u64) -> Reach {
    let plan = Plan::new(topology).expect("a sound topology");
    let host = |name| plan.host(name).expect("a host");
    let said = oracle::reach(&plan, host("a"), host("b"));
    assert_eq!(said, oracle::reach(&plan, host("b"), host("a")), "{what}: the same from both sides");
    let mut world = World::new(topology, seed);
    world.ask_server();
    world.meet();
    assert_eq!(world.reach(), said, "{what}: simulated, then said by the oracle");
    said
}

#[test]
fn every_pair_of_edges_reaches_what_the_oracle_says() {
    let mut count = BTreeMap::<Reach, u32>::new();
    for (number, first) in EDGES.iter().enumerate() {
        for second in &EDGES[number..] {
            let mut topology = Topology::default();
            topology.add_host("server", "internet");
            topology.host.get_mut("server").expect("just made").ipv6 = Some(true);
            for (name, kind, network) in [("a", first, "one"), ("b", second, "two")] {
                let network = topology.add_network(network, kind.name);
                topology.add_host(name, &network);
            }
            let what = format!("{} and {}", first.name, second.name);
            for seed in 0..3 {
                *count.entry(hold(&topology, &what, seed)).or_default() += 1;
            }
        }
    }
    let kinds: Vec<_> = count.keys().collect();
    assert!(kinds.len() >= 4, "the matrix has easy and hard pairs: {count:?}");
}

/// The whole field of RFC 4787: every mapping with every filter, against every other.
#[test]
fn every_mapping_with_every_filter_reaches_what_the_oracle_says() {
    use resonance_netsim::nat::behaviour::Dependence::*;
    let kinds = [EndpointIndependent, AddressDependent, AddressAndPortDependent];
    let all: Vec<_> = kinds.iter().flat_map(|mapping| kinds.map(|filtering| (*mapping, filtering))).collect();
    for (number, first) in all.iter().enumerate() {
        for second in &all[number..] {
            for carriers in 0..3 {
                let mut topology = Topology::default();
                topology.add_host("server", "internet");
                topology.add_network("carrier", "carrier");
                topology.add_network("strict carrier", "mobile");
                for (name, (mapping, filtering), network) in [("a", first, "one"), ("b", second, "two")] {
                    let mut spec = NetworkSpec { edge: "symmetric".into(), ..NetworkSpec::default() };
                    (spec.nat.mapping, spec.nat.filtering) = (Some(*mapping), Some(*filtering));
                    match (carriers, name) {
                        (1, "a") => spec.behind = "carrier".into(),
                        (2, "a") => spec.behind = "strict carrier".into(),
                        _ => {}
                    }
                    topology.network.insert(network.into(), spec);
                    topology.add_host(name, network);
                }
                hold(&topology, &format!("{first:?} and {second:?}, carriers {carriers}"), 1);
            }
        }
    }
}

#[test]
fn those_who_share_a_network_a_carrier_or_nothing() {
    let mut same = Topology::default();
    same.add_host("server", "internet");
    same.host.get_mut("server").expect("just made").ipv6 = Some(true);
    for kind in EDGES.iter().filter(|kind| !kind.layers.is_empty()) {
        let mut topology = same.clone();
        topology.add_network("one", kind.name);
        topology.add_host("a", "one");
        topology.add_host("b", "one");
        assert_eq!(hold(&topology, kind.name, 1), Reach::Direct, "same network");
    }
    // Two homes of one carrier, which turns packets round or does not.
    for (carrier, expected) in [("carrier", Reach::Direct), ("mobile", Reach::RelayedByUdp)] {
        let mut topology = same.clone();
        topology.add_network("carrier", carrier);
        for (host, network) in [("a", "one"), ("b", "two")] {
            topology.add_network(network, "home");
            topology.network.get_mut(network).expect("just made").behind = "carrier".into();
            topology.add_host(host, network);
        }
        assert_eq!(hold(&topology, carrier, 1), expected);
    }
    let mut apart = same.clone();
    apart.network.insert("hut".into(), NetworkSpec { edge: "isolated".into(), ..NetworkSpec::default() });
    apart.add_host("a", "hut");
    apart.add_host("b", "internet");
    assert_eq!(hold(&apart, "a hut", 1), Reach::Impossible);
}

/// What IPv4 refuses IPv6 allows: nobody translates there.
#[test]
fn symmetric_edges_with_ipv6_meet() {
    let mut topology = Topology::default();
    topology.add_host("server", "internet");
    topology.host.get_mut("server").expect("just made").ipv6 = Some(true);
    for (host, network) in [("a", "one"), ("b", "two")] {
        topology.add_network(network, "symmetric");
        topology.add_host(host, network);
    }
    assert_eq!(hold(&topology, "without", 1), Reach::RelayedByUdp);
    topology.network.values_mut().for_each(|network| network.ipv6 = true);
    assert_eq!(hold(&topology, "with", 1), Reach::Direct);
}

/// Who has IPv6 only and who has IPv4 only need somebody who has both; with IPv6 on both sides they do not.
#[test]
fn those_without_a_common_family_meet_at_somebody_who_has_both() {
    let mut topology = Topology::default();
    topology.add_host("server", "internet");
    topology.host.get_mut("server").expect("just made").ipv6 = Some(true);
    topology.add_network("six", "ipv6 only");
    topology.add_host("a", "six");
    topology.add_host("b", "internet");
    assert_eq!(hold(&topology, "a public host without IPv6", 1), Reach::RelayedByUdp);
    topology.host.get_mut("b").expect("just made").ipv6 = Some(true);
    assert_eq!(hold(&topology, "a public host with both", 1), Reach::Direct);
    topology.add_network("home", "home");
    topology.host.get_mut("b").expect("just made").network = "home".into();
    assert_eq!(hold(&topology, "a home without IPv6", 1), Reach::RelayedByUdp);
    topology.network.get_mut("home").expect("just made").ipv6 = true;
    assert_eq!(hold(&topology, "a home with both", 1), Reach::Direct);
}

/// Nobody but a public host is reached by a packet that comes out of nowhere, also at the endpoint that it used for something else, except where the
/// NAT lets everybody in there.
#[test]
fn only_public_hosts_are_reached_cold() {
    for kind in &EDGES {
        let mut topology = Topology::default();
        topology.add_host("server", "internet");
        topology.add_host("b", "internet");
        let network = topology.add_network("one", kind.name);
        topology.add_host("a", &network);
        let plan = Plan::new(&topology).expect("a sound topology");
        let [a, b] = ["a", "b"].map(|name| plan.host(name).expect("a host"));
        assert_eq!(oracle::is_reachable(&plan, a), kind.layers.is_empty(), "{}", kind.name);
        assert!(oracle::is_reachable(&plan, b));
        let mut world = World::new(&topology, 1);
        let outer = match world.router.plan().network("one") {
            Some(one) => world.router.outer(NetworkId(one)).map(|outer| SocketAddr::from((outer, PORT))),
            None => Some(world.agents[0].own[0]),
        };
        let from = world.agents[1].own[0];
        world.send(HostId(b), udp(from, outer.expect("it has an edge, or an address"), b"check b"));
        world.pass(PACE);
        assert_eq!(!world.agents[0].others.is_empty(), kind.layers.is_empty(), "{}", kind.name);
    }
}
