//! The router as a whole, in virtual time.

use super::*;
use crate::packet::build::{end_of, udp, udp_payload};
use crate::packet::{End, icmp};
use crate::topology::{HostSpec, NetworkSpec, Topology};
use std::net::SocketAddr;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn build(topology: &Topology) -> (Router, Instant) {
    let now = Instant::now();
    (Router::new(Plan::new(topology).expect("a sound topology"), 1, now), now)
}

fn id(router: &Router, name: &str) -> HostId {
    HostId(router.plan().host(name).expect("a host"))
}

fn end(router: &Router, name: &str, port: u16) -> SocketAddr {
    SocketAddr::new(router.addresses(id(router, name))[0], port)
}

fn all(router: &mut Router, now: Instant) -> Vec<(HostId, Vec<u8>)> {
    std::iter::from_fn(|| router.poll_transmit(now)).collect()
}

/// Two homes, a server, a lonely network.
fn world() -> Topology {
    let mut topology = Topology::default();
    for (network, hosts) in [("north", ["ada", "abe"]), ("south", ["bo", "ben"])] {
        topology.add_network(network, "home");
        hosts.iter().for_each(|host| topology.add_host(host, network));
    }
    topology.add_host("server", "internet");
    topology.network.insert("hut".into(), NetworkSpec { edge: "isolated".into(), ..NetworkSpec::default() });
    topology.add_host("hermit", "hut");
    topology
}

#[test]
fn a_packet_goes_out_and_its_answer_comes_back() {
    let (mut router, now) = build(&world());
    let (ada, server) = (end(&router, "ada", 5_000), end(&router, "server", 53));
    let (ada_id, server_id) = (id(&router, "ada"), id(&router, "server"));
    router.handle_packet(now, ada_id, &udp(ada, server, b"question").expect("one family"));
    let arrived = all(&mut router, now);
    let [(at, question)] = &arrived[..] else { panic!("{arrived:?}") };
    assert_eq!(*at, server_id);
    let seen = end_of(question, End::Source).expect("ports");
    assert_eq!(
        Some(seen.ip()),
        router.outer(NetworkId(router.plan().network("north").expect("there"))).map(IpAddr::V4)
    );
    router.handle_packet(now, server_id, &udp(server, seen, b"answer").expect("one family"));
    let arrived = all(&mut router, now);
    assert_eq!(arrived.len(), 1);
    assert_eq!((arrived[0].0, udp_payload(&arrived[0].1)), (ada_id, Some(&b"answer"[..])));
    assert_eq!(router.arrivals(server_id, ada_id).map(|arrivals| arrivals.packets), Some(1));
}

#[test]
fn false_sources_and_noise_go_nowhere() {
    let (mut router, now) = build(&world());
    let (ada, server) = (id(&router, "ada"), end(&router, "server", 53));
    router.handle_packet(now, ada, &udp(end(&router, "abe", 1), server, b"").expect("one family"));
    router.handle_packet(now, ada, &[1, 2, 3]);
    router.handle_packet(now, HostId(99), &[]);
    assert!(all(&mut router, now).is_empty());
    assert_eq!(router.drops.malformed, 2);
}

#[test]
fn a_multicast_stays_in_its_network() {
    let (mut router, now) = build(&world());
    let packet = udp(end(&router, "ada", 5_353), "224.0.0.251:5353".parse().expect("an address"), b"who?").expect("v4");
    router.handle_packet(now, id(&router, "ada"), &packet);
    let arrived: Vec<HostId> = all(&mut router, now).into_iter().map(|(host, _)| host).collect();
    assert_eq!(arrived, [id(&router, "abe")]);
}

#[test]
fn private_addresses_of_others_mean_nothing_and_the_sender_is_told() {
    let (mut router, now) = build(&world());
    let server = id(&router, "server");
    let packet = udp(end(&router, "server", 1), "192.168.1.2:1".parse().expect("an address"), b"").expect("v4");
    router.handle_packet(now, server, &packet);
    let arrived = all(&mut router, now);
    assert_eq!(arrived.len(), 1);
    let header = packet::parse(&arrived[0].1).expect("a packet");
    assert!(icmp::quoted(&arrived[0].1, &header).is_some(), "an error came back");
    router.handle_packet(
        now,
        id(&router, "hermit"),
        &udp(end(&router, "hermit", 1), end(&router, "server", 1), b"").expect("v4"),
    );
    assert!(all(&mut router, now).iter().all(|(host, _)| *host != server));
}

#[test]
fn what_does_not_fit_is_cut_or_refused_with_the_size_that_does() {
    let mut topology = world();
    topology.network.get_mut("south").expect("there").mtu = 1_300;
    topology.network.get_mut("south").expect("there").ipv6 = true;
    topology.host.get_mut("server").expect("there").ipv6 = Some(true);
    let (mut router, now) = build(&topology);
    let (bo, server) = (id(&router, "bo"), end(&router, "server", 9));
    let mut big = udp(end(&router, "bo", 9), server, &[0; 1_400]).expect("v4");
    router.handle_packet(now, bo, &big);
    let refused = all(&mut router, now);
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].0, bo);
    assert_eq!(refused[0].1[20..28], [3, 4, refused[0].1[22], refused[0].1[23], 0, 0, 5, 20], "1300 would fit");
    // May be cut: bit "don't fragment" off, checksum by hand.
    big[6] = 0;
    big[10..12].fill(0);
    let sum = packet::checksum(&big[..20]);
    big[10..12].copy_from_slice(&sum.to_be_bytes());
    router.handle_packet(now, bo, &big);
    let pieces = all(&mut router, now);
    assert_eq!(pieces.len(), 2);
    assert!(pieces.iter().all(|(host, piece)| *host == id(&router, "server") && piece.len() <= 1_300));
    let six = |name: &str| SocketAddr::new(*router.addresses(id(&router, name)).last().expect("addresses"), 9);
    let big = udp(six("bo"), six("server"), &[0; 1_400]).expect("v6");
    router.handle_packet(now, bo, &big);
    let refused = all(&mut router, now);
    assert_eq!((refused.len(), refused[0].1[40], refused[0].1[47]), (1, 2, 20), "packet too big: 1300");
}

#[test]
fn a_packet_that_goes_round_dies() {
    let (mut router, now) = build(&world());
    let mut packet = udp(end(&router, "ada", 1), end(&router, "server", 1), b"").expect("v4");
    for _ in 0..63 {
        packet::age(&mut packet);
    }
    router.handle_packet(now, id(&router, "ada"), &packet);
    let arrived = all(&mut router, now);
    assert_eq!((arrived.len(), arrived[0].0, arrived[0].1[20]), (1, id(&router, "ada"), 11), "time exceeded");
}

#[test]
fn the_router_of_a_network_answers_pings_and_opens_ports() {
    let mut topology = world();
    topology.network.get_mut("north").expect("there").ports = PortControl::Both;
    let (mut router, now) = build(&topology);
    let (ada_id, ada) = (id(&router, "ada"), end(&router, "ada", 4_000));
    let gateway = "192.168.1.1".parse().expect("an address");
    let mut ping = build_ping(ada.ip(), gateway);
    let header = packet::parse(&ping).expect("a packet");
    icmp::seal(&mut ping, &header);
    router.handle_packet(now, ada_id, &ping);
    assert_eq!(all(&mut router, now).len(), 1, "a pong");
    let ask = udp(ada, SocketAddr::new(gateway, 5_351), &[0, 1, 0, 0, 15, 160, 15, 160, 0, 0, 0, 100]).expect("v4");
    router.handle_packet(now, ada_id, &ask);
    assert_eq!(all(&mut router, now).len(), 1, "granted");
    let outer = router.outer(NetworkId(router.plan().network("north").expect("there"))).expect("an edge");
    let cold = udp(end(&router, "server", 1), SocketAddr::from((outer, 4_000)), b"hello").expect("v4");
    router.handle_packet(now, id(&router, "server"), &cold);
    assert_eq!(all(&mut router, now)[0].0, ada_id);
    let search = "M-SEARCH * HTTP/1.1\r\nST:urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n";
    let search = udp(ada, "239.255.255.250:1900".parse().expect("an address"), search.as_bytes()).expect("v4");
    router.handle_packet(now, ada_id, &search);
    assert!(all(&mut router, now).iter().any(|(host, _)| *host == ada_id), "the gateway is found");
}

fn build_ping(from: IpAddr, to: IpAddr) -> Vec<u8> {
    packet::build::ip(from, to, packet::ICMP, &[8, 0, 0, 0, 0, 7, 0, 1]).expect("one family")
}

#[test]
fn a_host_that_moves_has_another_address_and_loses_what_was_under_way() {
    let mut topology = world();
    topology.host.insert("ada".into(), HostSpec { network: "north".into(), link: "lte".into(), ..HostSpec::default() });
    let (mut router, now) = build(&topology);
    let (ada, server) = (id(&router, "ada"), end(&router, "server", 7));
    router.handle_packet(now, ada, &udp(end(&router, "ada", 7), server, b"hi").expect("v4"));
    let later = now + 1_000 * MS;
    let seen = end_of(&all(&mut router, later)[0].1, End::Source).expect("ports");
    router.handle_packet(later, id(&router, "server"), &udp(server, seen, b"late").expect("v4"));
    let before = router.addresses(ada).to_vec();
    let south = NetworkId(router.plan().network("south").expect("there"));
    let addresses = router.move_host(ada, south).expect("there is room");
    assert_ne!(addresses, before);
    assert!(all(&mut router, later + 1_000 * MS).iter().all(|(host, _)| *host != ada), "what was under way is lost");
    let there = udp(SocketAddr::new(addresses[0], 7), server, b"again").expect("v4");
    router.handle_packet(later, ada, &there);
    let arrived = all(&mut router, later + 1_000 * MS);
    assert_eq!(end_of(&arrived[0].1, End::Source).map(|end| end.ip()), router.outer(south).map(IpAddr::V4));
}

#[test]
fn an_edge_that_is_restarted_has_another_address_and_forgets() {
    let (mut router, now) = build(&world());
    let (ada, server) = (end(&router, "ada", 7), end(&router, "server", 7));
    router.handle_packet(now, id(&router, "ada"), &udp(ada, server, b"hi").expect("v4"));
    let seen = end_of(&all(&mut router, now)[0].1, End::Source).expect("ports");
    let north = NetworkId(router.plan().network("north").expect("there"));
    let outer = router.renumber(north).expect("there is room").expect("it has an edge");
    assert_ne!(IpAddr::V4(outer), seen.ip());
    for to in [seen, SocketAddr::from((outer, seen.port()))] {
        router.handle_packet(now, id(&router, "server"), &udp(server, to, b"?").expect("v4"));
    }
    assert!(all(&mut router, now).iter().all(|(host, _)| *host != id(&router, "ada")));
}

#[test]
fn an_edge_that_rebinds_keeps_its_address_and_forgets() {
    let mut topology = world();
    topology.network.get_mut("north").expect("there").edge = "symmetric".into();
    let (mut router, now) = build(&topology);
    let (ada, server) = (end(&router, "ada", 7), end(&router, "server", 7));
    let seen = |router: &mut Router| {
        router.handle_packet(now, id(router, "ada"), &udp(ada, server, b"hi").expect("v4"));
        end_of(&all(router, now)[0].1, End::Source).expect("ports")
    };
    let before = seen(&mut router);
    assert_eq!(seen(&mut router), before);
    router.rebind(NetworkId(router.plan().network("north").expect("there")));
    router.handle_packet(now, id(&router, "server"), &udp(server, before, b"?").expect("v4"));
    assert!(all(&mut router, now).is_empty(), "the old mapping is gone");
    let after = seen(&mut router);
    assert!(after.ip() == before.ip() && after.port() != before.port(), "{before} {after}");
}

#[test]
fn what_is_cut_or_parted_is_silent_until_it_heals() {
    let (mut router, now) = build(&world());
    let (ada, abe) = (id(&router, "ada"), id(&router, "abe"));
    let hello = udp(end(&router, "ada", 1), end(&router, "abe", 1), b"hello").expect("v4");
    let arrives = |router: &mut Router| {
        router.handle_packet(now, ada, &hello);
        !all(router, now).is_empty()
    };
    assert!(arrives(&mut router));
    router.part(abe, ada);
    assert!(!arrives(&mut router));
    router.heal();
    router.set_host_state(abe, State::Down);
    assert!(!arrives(&mut router));
    router.set_host_state(abe, State::Up);
    assert!(arrives(&mut router));
}

#[test]
fn timeouts_say_when_something_arrives() {
    let mut topology = world();
    topology.host.get_mut("server").expect("there").link = "satellite".into();
    let (mut router, now) = build(&topology);
    router.handle_packet(
        now,
        id(&router, "ada"),
        &udp(end(&router, "ada", 1), end(&router, "server", 1), b"").expect("v4"),
    );
    let mut hops = 0;
    let arrived = loop {
        let next = router.poll_timeout().expect("something is under way");
        if router.poll_transmit(next).is_some() {
            break next;
        }
        hops += 1;
        assert!(hops < 10);
    };
    assert!(arrived - now >= 284 * MS && router.poll_timeout().is_none());
}
