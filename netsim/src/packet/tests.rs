//! Packets as the standards have them, and as chance has them.

use super::build::{Segment, tcp, udp};
use super::*;
use rand::rngs::StdRng;
use rand::{Rng, RngExt, SeedableRng};

fn at(text: &str) -> SocketAddr {
    text.parse().expect("an address")
}

/// True if the packet's checksums are those that its bytes ask for.
fn sound(packet: &[u8]) -> bool {
    let header = parse(packet).expect("a packet");
    let head = header.source.is_ipv6() || checksum(&packet[..header.transport]) == 0;
    let place = header.transport
        + match header.protocol {
            UDP => 6,
            TCP => 16,
            _ => 2,
        };
    let mut zeroed = packet.to_vec();
    zeroed[place..place + 2].fill(0);
    head && packet[place..place + 2] == of_transport(&zeroed, &header).to_be_bytes()
}

/// RFC 1071 §3's numerical example: the sum of these is ddf2.
#[test]
fn the_checksum_is_that_of_rfc_1071() {
    assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
}

/// RFC 1624 §4's example: a field 5555 becomes 3285 under the checksum dd2f, which must become 0000 and not ffff.
#[test]
fn the_difference_is_that_of_rfc_1624() {
    let mut packet = [0xdd, 0x2f];
    super::checksum::adjust(&mut packet, 0, &[0x55, 0x55], &[0x32, 0x85]);
    assert_eq!(packet, [0, 0]);
}

#[test]
fn a_packet_is_read_as_it_was_made() {
    for (source, destination) in [("192.168.1.2:4000", "20.0.0.1:53"), ("[2a00::1]:4000", "[2a00::2]:53")] {
        let packet = udp(at(source), at(destination), b"hello").expect("one family");
        let header = parse(&packet).expect("a packet");
        assert_eq!((header.protocol, header.length, header.ttl), (UDP, packet.len(), 64));
        let flow = flow(&packet, &header).expect("ports");
        assert_eq!((flow.source, flow.destination), (at(source), at(destination)));
        assert!(sound(&packet));
        assert_eq!(build::udp_payload(&packet), Some(&b"hello"[..]));
    }
}

#[test]
fn a_rewritten_packet_is_as_sound_as_one_made_so() {
    let mut rng = StdRng::seed_from_u64(1);
    for _ in 0..5_000 {
        let mut end = || SocketAddr::from((rng.random::<[u8; 4]>(), rng.random::<u16>()));
        let (from, to, new) = (end(), end(), end());
        let body: Vec<u8> = (0..rng.random_range(0..64)).map(|_| rng.random()).collect();
        let segment = Segment { sequence: rng.random(), acknowledgement: 0, flags: 16 };
        for make in [&(|a, b| udp(a, b, &body)) as &dyn Fn(_, _) -> _, &|a, b| tcp(a, b, segment, &body)] {
            for (which, wanted) in [(End::Source, make(new, to)), (End::Destination, make(from, new))] {
                let mut packet = make(from, to).expect("one family");
                let header = parse(&packet).expect("a packet");
                rewrite(&mut packet, &header, which, new);
                assert!(sound(&packet), "{packet:02x?}");
                // One's complement has two zeros: the sums may differ in nothing else.
                assert_eq!(parse(&packet), parse(&wanted.expect("one family")));
            }
        }
    }
}

#[test]
fn a_datagram_without_checksum_stays_without() {
    let mut packet = udp(at("10.0.0.1:1"), at("10.0.0.2:2"), b"x").expect("one family");
    packet[26..28].fill(0);
    let header = parse(&packet).expect("a packet");
    rewrite(&mut packet, &header, End::Source, at("20.0.0.1:9"));
    assert_eq!(packet[26..28], [0, 0]);
    assert_eq!(checksum(&packet[..20]), 0);
}

#[test]
fn pieces_come_together_again() {
    let body: Vec<u8> = (0..3_000_u32).map(|n| n as u8).collect();
    let mut packet = udp(at("10.0.0.1:1"), at("10.0.0.2:2"), &body).expect("one family");
    packet[6] = 0;
    let header = parse(&packet).expect("a packet");
    let pieces = fragments(&packet, &header, 1_280);
    assert_eq!(pieces.len(), 3);
    let mut whole = vec![0; header.length - 20];
    for piece in &pieces {
        assert!(piece.len() <= 1_280 && checksum(&piece[..20]) == 0);
        let header = parse(piece).expect("a packet");
        let place = header.fragment.expect("a piece");
        whole[place.offset..place.offset + piece.len() - 20].copy_from_slice(&piece[20..]);
        assert_eq!(place.more, place.offset + piece.len() - 20 < whole.len());
    }
    assert_eq!(whole, packet[20..]);
}

#[test]
fn errors_quote_the_packet_and_are_never_about_errors() {
    for (source, destination, router) in
        [("10.0.0.1:1", "20.0.0.2:2", "10.0.0.254"), ("[2a00::1]:1", "[2a01::2]:2", "2a00::ff")]
    {
        let packet = udp(at(source), at(destination), &[7; 2_000]).expect("one family");
        let router = router.parse().expect("an address");
        let error = icmp::error(router, &packet, icmp::Complaint::TooBig(1_280)).expect("an error");
        assert!(sound(&error));
        let header = parse(&error).expect("a packet");
        assert_eq!((header.source, header.destination), (router, at(source).ip()));
        let begin = icmp::quoted(&error, &header).expect("an error quotes");
        let quoted = parse_quoted(&error[begin..]).expect("a packet's beginning");
        assert_eq!(flow(&error[begin..], &quoted).map(|flow| flow.source), Some(at(source)));
        assert!(icmp::error(router, &error, icmp::Complaint::TooOld).is_none());
    }
}

#[test]
fn ageing_keeps_the_checksum() {
    let mut packet = udp(at("10.0.0.1:1"), at("10.0.0.2:2"), b"x").expect("one family");
    for left in (0..64).rev() {
        age(&mut packet);
        assert_eq!(parse(&packet).map(|header| header.ttl), Some(left));
        assert_eq!(checksum(&packet[..20]), 0);
    }
}

#[test]
fn chance_never_panics() {
    let mut rng = StdRng::seed_from_u64(2);
    for round in 0..200_000_u32 {
        let mut bytes = vec![0; rng.random_range(0..120)];
        rng.fill_bytes(&mut bytes);
        if let Some(first) = bytes.first_mut().filter(|_| round % 4 > 0) {
            *first = if round % 2 == 0 { 0x45 } else { 0x60 };
        }
        if bytes.len() > 6 && round % 3 == 0 {
            let length = bytes.len() as u16;
            bytes[2..4].copy_from_slice(&length.to_be_bytes());
            bytes[4..6].copy_from_slice(&length.saturating_sub(40).to_be_bytes());
        }
        let Some(header) = parse(&bytes) else { continue };
        let _ = (flow(&bytes, &header), tcp_flags(&bytes, &header), icmp::quoted(&bytes, &header));
        let _ = icmp::error(header.destination, &bytes, icmp::Complaint::NoRoute);
        let _ = icmp::answer(&bytes, &header);
        let _ = fragments(&bytes, &header, 68);
        for end in [End::Source, End::Destination] {
            rewrite(&mut bytes, &header, end, at("1.2.3.4:5"));
        }
        age(&mut bytes);
    }
}
