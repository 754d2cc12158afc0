//! One NAT at a time, packet by packet.

use super::behaviour::{Behaviour, Dependence, Egress, Hairpin, Ports, Refresh};
use super::*;
use crate::packet::build::{self, Segment, end_of, tcp, udp};
use crate::packet::{FIN, SYN};

const OUTER: Ipv4Addr = Ipv4Addr::new(20, 0, 0, 9);

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

fn nat(behaviour: Behaviour) -> Nat {
    Nat::new(behaviour, OUTER, 1)
}

/// Sends out and gives the source that others see.
fn out(nat: &mut Nat, now: Instant, from: &str, to: &str) -> Option<SocketAddr> {
    let mut packet = udp(at(from), at(to), b"out")?;
    (nat.outbound(now, &mut packet) == Verdict::Pass).then(|| end_of(&packet, End::Source))?
}

/// Sends in and gives the inner endpoint that gets it.
fn back(nat: &mut Nat, now: Instant, from: &str, to: SocketAddr) -> Option<SocketAddr> {
    let mut packet = udp(at(from), to, b"in")?;
    (nat.inbound(now, &mut packet) == Verdict::Pass).then(|| end_of(&packet, End::Destination))?
}

const INNER: &str = "192.168.1.2:4000";
const OTHERS: [&str; 4] = ["20.0.0.1:1000", "20.0.0.1:2000", "20.0.0.2:1000", "20.0.0.2:2000"];

#[test]
fn mappings_are_shared_as_far_as_their_kind_says() {
    use Dependence::*;
    for (mapping, different) in [(EndpointIndependent, 1), (AddressDependent, 2), (AddressAndPortDependent, 4)] {
        let mut nat = nat(Behaviour { mapping, ..Behaviour::SYMMETRIC });
        let now = Instant::now();
        let seen: std::collections::BTreeSet<_> =
            OTHERS.iter().map(|other| out(&mut nat, now, INNER, other).expect("it goes out")).collect();
        assert_eq!(seen.len(), different, "{mapping:?}");
        assert!(seen.iter().all(|end| end.ip() == IpAddr::V4(OUTER)));
    }
}

#[test]
fn filters_let_in_whom_their_kind_says() {
    use Dependence::*;
    let let_in = [
        (EndpointIndependent, [true; 4]),
        (AddressDependent, [true, true, false, false]),
        (AddressAndPortDependent, [true, false, false, false]),
    ];
    for (filtering, expected) in let_in {
        let mut nat = nat(Behaviour { filtering, ..Behaviour::HOME });
        let now = Instant::now();
        let seen = out(&mut nat, now, INNER, OTHERS[0]).expect("it goes out");
        let got = OTHERS.map(|other| back(&mut nat, now, other, seen) == Some(at(INNER)));
        assert_eq!(got, expected, "{filtering:?}");
    }
}

#[test]
fn a_port_is_preserved_or_not() {
    let now = Instant::now();
    let mut preserving = nat(Behaviour::HOME);
    assert_eq!(out(&mut preserving, now, INNER, OTHERS[0]).map(|end| end.port()), Some(4_000));
    assert_eq!(out(&mut preserving, now, "192.168.1.3:4000", OTHERS[0]).map(|end| end.port()), Some(4_001));
    let mut random = nat(Behaviour { ports: Ports::Random, ..Behaviour::HOME });
    assert_ne!(out(&mut random, now, INNER, OTHERS[0]).map(|end| end.port()), Some(4_000));
    let mut sequential = nat(Behaviour { ports: Ports::Sequential, ..Behaviour::SYMMETRIC });
    let ports: Vec<u16> =
        OTHERS.iter().filter_map(|other| Some(out(&mut sequential, now, INNER, other)?.port())).collect();
    assert_eq!(ports, [1_024, 1_025, 1_026, 1_027]);
}

#[test]
fn a_mapping_ends_when_nothing_keeps_it() {
    let second = Duration::from_secs(1);
    for (refresh, alive) in [(Refresh::Outbound, false), (Refresh::Both, true)] {
        let mut nat = nat(Behaviour { refresh, udp_timeout: 30 * second, ..Behaviour::HOME });
        let now = Instant::now();
        let seen = out(&mut nat, now, INNER, OTHERS[0]).expect("it goes out");
        assert!(back(&mut nat, now + 29 * second, OTHERS[0], seen).is_some());
        assert_eq!(back(&mut nat, now + 45 * second, OTHERS[0], seen).is_some(), alive, "{refresh:?}");
        assert!(back(&mut nat, now + 120 * second, OTHERS[0], seen).is_none());
    }
}

#[test]
fn an_established_connection_is_kept_for_two_hours_and_a_half_open_one_for_minutes() {
    let minute = Duration::from_secs(60);
    let segment = |flags| Segment { flags, ..Segment::default() };
    let mut nat = nat(Behaviour::HOME);
    let now = Instant::now();
    let (inner, other, seen) = (at(INNER), at("20.0.0.1:443"), SocketAddr::from((OUTER, 4_000)));
    let mut pass = |now, from: SocketAddr, to: SocketAddr, flags| {
        let mut packet = tcp(from, to, segment(flags), b"").expect("one family");
        let inbound = to.ip() == IpAddr::V4(OUTER);
        let verdict = if inbound { nat.inbound(now, &mut packet) } else { nat.outbound(now, &mut packet) };
        verdict == Verdict::Pass
    };
    assert!(pass(now, inner, other, SYN));
    assert!(!pass(now + 5 * minute, other, seen, SYN | 16), "half open for more than four minutes");
    let now = now + 6 * minute;
    assert!(pass(now, inner, other, SYN) && pass(now, other, seen, SYN | 16));
    assert!(pass(now + 100 * minute, other, seen, 16));
    assert!(pass(now + 101 * minute, inner, other, FIN) && pass(now + 101 * minute, other, seen, FIN));
    assert!(!pass(now + 106 * minute, other, seen, 16), "closed for more than four minutes");
}

#[test]
fn inner_hosts_meet_outside_only_where_packets_are_turned() {
    let now = Instant::now();
    for (hairpin, meets) in [(Hairpin::On, true), (Hairpin::Off, false)] {
        let mut nat = nat(Behaviour { hairpin, filtering: Dependence::EndpointIndependent, ..Behaviour::HOME });
        let other = out(&mut nat, now, "192.168.1.3:5000", OTHERS[0]).expect("it goes out");
        let mut packet = udp(at(INNER), other, b"hello").expect("one family");
        assert_eq!(nat.hairpin(now, &mut packet) == Verdict::Pass, meets);
        if meets {
            // RFC 4787 REQ-9: the source is the outer endpoint.
            assert_eq!(end_of(&packet, End::Source), Some(SocketAddr::from((OUTER, 4_000))));
            assert_eq!(end_of(&packet, End::Destination), Some(at("192.168.1.3:5000")));
        }
    }
}

#[test]
fn a_ping_and_an_error_find_their_way_back() {
    let now = Instant::now();
    let mut nat = nat(Behaviour::HOME);
    let mut packet = udp(at(INNER), at(OTHERS[0]), &[0; 1_400]).expect("one family");
    assert_eq!(nat.outbound(now, &mut packet), Verdict::Pass);
    let router = "20.0.0.200".parse().expect("an address");
    let mut error = icmp::error(router, &packet, icmp::Complaint::TooBig(1_280)).expect("an error");
    assert_eq!(nat.inbound(now, &mut error), Verdict::Pass);
    let header = packet::parse(&error).expect("a packet");
    let begin = icmp::quoted(&error, &header).expect("it quotes");
    let about = packet::parse_quoted(&error[begin..]).expect("a packet's beginning");
    assert_eq!(header.destination, at(INNER).ip());
    assert_eq!(packet::flow(&error[begin..], &about).map(|flow| flow.source), Some(at(INNER)));
    assert_eq!(packet::checksum(&error[header.transport..]), 0, "ICMP's checksum is right");
    assert_eq!(packet::checksum(&error[begin..begin + 20]), 0, "and the quoted header's");
}

#[test]
fn later_pieces_follow_the_first() {
    let now = Instant::now();
    let mut nat = nat(Behaviour::HOME);
    let mut whole = udp(at(INNER), at(OTHERS[0]), &[0; 3_000]).expect("one family");
    whole[6] = 0;
    let header = packet::parse(&whole).expect("a packet");
    for mut piece in packet::fragments(&whole, &header, 1_280) {
        assert_eq!(nat.outbound(now, &mut piece), Verdict::Pass);
        assert_eq!(packet::parse(&piece).map(|header| header.source), Some(OUTER.into()));
    }
}

#[test]
fn a_port_is_opened_by_pmp_and_closed_again() {
    let now = Instant::now();
    let mut nat = nat(Behaviour::HOME);
    let from = "192.168.1.2:9".parse().expect("an address");
    let address = pmp::answer(&mut nat, now, Duration::from_secs(7), from, &[0, 0]).expect("an answer");
    assert_eq!(address, [0, 128, 0, 0, 0, 0, 0, 7, 20, 0, 0, 9]);
    let ask = |nat: &mut Nat, life: u8| {
        pmp::answer(nat, now, Duration::ZERO, from, &[0, 1, 0, 0, 15, 160, 0x20, 0, 0, 0, 0, life])
    };
    assert_eq!(ask(&mut nat, 100).expect("an answer")[8..12], [15, 160, 0x20, 0]);
    let open = SocketAddr::from((OUTER, 0x2000));
    assert_eq!(back(&mut nat, now, OTHERS[3], open), Some(at(INNER)));
    assert_eq!(back(&mut nat, now + Duration::from_secs(101), OTHERS[3], open), None, "the lease is over");
    assert!(ask(&mut nat, 100).is_some() && ask(&mut nat, 0).is_some());
    assert_eq!(back(&mut nat, now, OTHERS[3], open), None, "closed");
    // Whoever closes a port names the inner one, and no outer one.
    assert!(ask(&mut nat, 100).is_some());
    let closed = pmp::answer(&mut nat, now, Duration::ZERO, from, &[0, 1, 0, 0, 15, 160, 0, 0, 0, 0, 0, 0]);
    assert_eq!(closed.expect("an answer")[8..], [15, 160, 0, 0, 0, 0, 0, 0]);
    assert_eq!(back(&mut nat, now, OTHERS[3], open), None, "closed by its inner end");
}

#[test]
fn a_port_is_opened_by_pcp_for_its_owner_alone() {
    let now = Instant::now();
    let mut nat = nat(Behaviour::HOME);
    let from: SocketAddrV4 = "192.168.1.2:9".parse().expect("an address");
    let mut ask = |version: u8, code: u8, owner: Ipv4Addr, life: u8| {
        let mut request = vec![version, code, 0, 0, 0, 0, 0, life];
        request.extend_from_slice(&owner.to_ipv6_mapped().octets());
        request.extend_from_slice(&[7; 12]);
        request.extend_from_slice(&[17, 0, 0, 0, 15, 160, 0x20, 0]);
        request.extend_from_slice(&Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets());
        pcp::answer(&mut nat, now, Duration::from_secs(7), from, &request)
            .map(|reply| (reply, nat.opened(now, Transport::Udp, 0x2000)))
    };
    let (given, opened) = ask(2, 1, *from.ip(), 100).expect("an answer");
    assert_eq!(given[..12], [2, 129, 0, 0, 0, 0, 0, 100, 0, 0, 0, 7]);
    assert_eq!(given[24..44], [&[7; 12][..], &[17, 0, 0, 0, 15, 160, 0x20, 0]].concat());
    assert_eq!(given[44..], OUTER.to_ipv6_mapped().octets());
    assert_eq!(opened, Some(at(INNER)));
    let result = |answer: Option<(Vec<u8>, Option<SocketAddr>)>| {
        answer.map(|(reply, opened)| (reply[0], reply[3], opened.is_some()))
    };
    assert_eq!(result(ask(2, 1, Ipv4Addr::new(192, 168, 1, 3), 0)), Some((2, 12, true)), "for somebody else");
    assert_eq!(
        result(ask(0, 0, *from.ip(), 0)),
        Some((2, 1, true)),
        "its predecessor is told that it is spoken no more"
    );
    assert_eq!(result(ask(2, 0, *from.ip(), 0)), Some((2, 0, true)), "an announcement is answered");
    assert_eq!(result(ask(2, 129, *from.ip(), 0)), None, "an answer is none");
    assert_eq!(result(ask(2, 1, *from.ip(), 0)), Some((2, 0, false)), "closed");
}

/// A symmetric NAT: who comes in by an opened port hears the answers from there, everybody else from other ports.
#[test]
fn an_opened_port_answers_from_itself() {
    let now = Instant::now();
    let mut nat = nat(Behaviour::SYMMETRIC);
    let SocketAddr::V4(inner) = at(INNER) else { unreachable!("an IPv4 address") };
    assert_eq!(nat.open(now, Transport::Udp, inner, 0x2000, Duration::from_secs(100)), Some(0x2000));
    let open = SocketAddr::from((OUTER, 0x2000));
    assert_ne!(out(&mut nat, now, INNER, OTHERS[0]), Some(open));
    assert_eq!(back(&mut nat, now, OTHERS[3], open), Some(at(INNER)));
    assert_eq!(out(&mut nat, now, INNER, OTHERS[3]), Some(open));
}

/// What a program's UPnP library does: look, read, ask.
#[test]
fn a_port_is_opened_by_upnp() {
    let now = Instant::now();
    let mut nat = nat(Behaviour::HOME);
    let search = "M-SEARCH * HTTP/1.1\r\nHOST:239.255.255.250:1900\r\nMAN:\"ssdp:discover\"\r\nMX:2\r\n\
                  ST:urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n\r\n";
    let packet = udp(at(INNER), at("239.255.255.250:1900"), search.as_bytes()).expect("one family");
    let router = Ipv4Addr::new(192, 168, 1, 1);
    let found = upnp::discovered(router, &packet).expect("an answer");
    let text = String::from_utf8_lossy(build::udp_payload(&found).expect("a datagram")).into_owned();
    assert!(text.contains("LOCATION: http://192.168.1.1:5000/description.xml"), "{text}");
    let mut gateway = upnp::Gateway::new(router, 1);
    let mut ask = |nat: &mut Nat, port: u16, request: &str| {
        let (from, to) = (SocketAddr::from(([192, 168, 1, 2], port)), SocketAddr::from((router, upnp::PORT)));
        let mut say = |nat: &mut Nat, sequence, flags, data: &[u8]| {
            let packet = tcp(from, to, Segment { sequence, acknowledgement: 0, flags }, data).expect("one family");
            gateway.handle(nat, now, Duration::ZERO, &packet)
        };
        say(nat, 100, SYN, b"").expect("it is accepted");
        let (head, body) = request.split_at(request.len() / 2);
        say(nat, 101, 16, head.as_bytes()).expect("the first half is acknowledged");
        let sequence = 101 + head.len() as u32;
        let first = say(nat, sequence, 24, body.as_bytes()).expect("an answer");
        assert_eq!(say(nat, sequence, 24, body.as_bytes()), Some(first.clone()), "lost answers are asked for again");
        String::from_utf8_lossy(&first[40..]).into_owned()
    };
    let description = ask(&mut nat, 1, "GET /description.xml HTTP/1.1\r\nHost: router\r\n\r\n");
    assert!(description.contains("WANIPConnection:1") && description.contains("<controlURL>/control"));
    assert!(ask(&mut nat, 2, "GET /actions.xml HTTP/1.1\r\n\r\n").contains("NewPortMappingDescription"));
    let body = "<NewRemoteHost></NewRemoteHost><NewExternalPort>7000</NewExternalPort><NewProtocol>UDP</NewProtocol>\
                <NewInternalPort>4000</NewInternalPort><NewInternalClient>192.168.1.2</NewInternalClient><NewLeaseDuration>0</NewLeaseDuration>";
    let soap = |action: &str, body: &str| {
        format!(
            "POST /control HTTP/1.1\r\nSOAPAction: \"urn:schemas-upnp-org:service:WANIPConnection:1#{action}\"\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
    };
    assert!(ask(&mut nat, 3, &soap("GetExternalIPAddress", "")).contains("20.0.0.9"));
    assert!(ask(&mut nat, 4, &soap("AddPortMapping", body)).contains("200 OK"));
    assert_eq!(back(&mut nat, now, OTHERS[3], SocketAddr::from((OUTER, 7_000))), Some(at(INNER)));
    let stranger = body.replace("192.168.1.2", "192.168.1.66");
    assert!(ask(&mut nat, 5, &soap("AddPortMapping", &stranger)).contains("606"), "only for itself");
    assert!(ask(&mut nat, 6, &soap("DeletePortMapping", body)).contains("200 OK"));
    assert_eq!(back(&mut nat, now, OTHERS[3], SocketAddr::from((OUTER, 7_000))), None);
}

#[test]
fn a_firewall_changes_nothing_and_lets_in_what_was_asked_for() {
    let now = Instant::now();
    let mut wall = nat(Behaviour::FIREWALL);
    assert_eq!(back(&mut wall, now, OTHERS[0], at("21.0.1.2:4000")), None);
    assert_eq!(out(&mut wall, now, "21.0.1.2:4000", OTHERS[0]), Some(at("21.0.1.2:4000")));
    assert_eq!(back(&mut wall, now, OTHERS[0], at("21.0.1.2:4000")), Some(at("21.0.1.2:4000")));
    let mut none = nat(Behaviour::OPEN);
    assert_eq!(back(&mut none, now, OTHERS[0], at("21.0.1.2:4000")), Some(at("21.0.1.2:4000")));
    assert!(Egress::Open < Egress::NoUdp && Egress::NoUdp < Egress::Https);
}

/// A flood from inside fills the table and no more.
#[test]
fn a_flood_is_bounded() {
    let mut nat = nat(Behaviour::SYMMETRIC);
    let now = Instant::now();
    let passed = (0..70_000_u32)
        .filter(|n| {
            let other = SocketAddr::from(([20, 1, (n >> 8) as u8, *n as u8], (n >> 16) as u16 + 1));
            let mut packet = udp(at(INNER), other, b"").expect("one family");
            nat.outbound(now, &mut packet) == Verdict::Pass
        })
        .count();
    assert_eq!(passed, 32_768);
}
