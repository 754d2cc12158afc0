//! IPv4 and IPv6 packets as bytes: what a router has to know of them, and what it changes in them.
//!
//! Parsers are total: what is not a whole packet is `None`. Changes keep every checksum right by difference (RFC 1624), so that a packet which was
//! damaged before stays damaged and one that was right stays right.

pub mod build;
mod checksum;
pub mod icmp;

pub use checksum::{checksum, of_transport};

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// IP protocol number of ICMP (RFC 792).
pub const ICMP: u8 = 1;
/// IP protocol number of TCP.
pub const TCP: u8 = 6;
/// IP protocol number of UDP.
pub const UDP: u8 = 17;
/// IP protocol number of ICMPv6 (RFC 4443).
pub const ICMPV6: u8 = 58;
/// TCP flags (RFC 9293 §3.1): the sender has said all.
pub const FIN: u8 = 1;
/// It opens a connection.
pub const SYN: u8 = 2;
/// It breaks one.
pub const RST: u8 = 4;
/// What came is for the program at once.
pub const PSH: u8 = 8;
/// It has received.
pub const ACK: u8 = 16;
/// IPv6 extension headers that may stand before the transport header: hop-by-hop options, routing, destination options.
const EXTENSIONS: [u8; 3] = [0, 43, 60];
/// The IPv6 fragment header.
const FRAGMENT_V6: u8 = 44;
/// Extension headers that are followed: a packet with more is not one that a host sends.
const MAX_EXTENSIONS: usize = 8;

/// What tells one fragmented packet from another, and where this piece belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragment {
    /// The identification that all pieces share.
    pub id: u32,
    /// Where this piece begins in the payload, in bytes. Only the first piece (0) holds the ports.
    pub offset: usize,
    /// True if there are pieces behind this one.
    pub more: bool,
}

/// The fields of a packet's headers that a router looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Who sent it.
    pub source: IpAddr,
    /// Who shall get it.
    pub destination: IpAddr,
    /// Protocol number of the transport.
    pub protocol: u8,
    /// Hops that it may still make.
    pub ttl: u8,
    /// Where the transport header begins.
    pub transport: usize,
    /// Length of the whole packet in bytes, by its own account.
    pub length: usize,
    /// Present on a piece of a larger packet.
    pub fragment: Option<Fragment>,
    /// True if routers must not cut it (always in IPv6).
    pub whole: bool,
}

/// What a NAT or firewall keeps state by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// UDP ports.
    Udp,
    /// TCP ports.
    Tcp,
    /// The identifier of an ICMP echo stands for a port.
    Echo,
}

/// Both ends of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Flow {
    /// Which kind of ports.
    pub transport: Transport,
    /// Where it comes from.
    pub source: SocketAddr,
    /// Where it goes.
    pub destination: SocketAddr,
}

/// Which end of a packet is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Where it comes from.
    Source,
    /// Where it goes.
    Destination,
}

/// Reads a packet's headers.
pub fn parse(packet: &[u8]) -> Option<Header> {
    let header = parse_quoted(packet)?;
    (header.length <= packet.len()).then_some(header)
}

/// The same of a packet of which only the beginning is there, as ICMP errors quote it.
pub fn parse_quoted(packet: &[u8]) -> Option<Header> {
    match packet.first()? >> 4 {
        4 => parse_v4(packet),
        6 => parse_v6(packet),
        _ => None,
    }
}

fn parse_v4(packet: &[u8]) -> Option<Header> {
    let fixed: &[u8; 20] = packet.first_chunk()?;
    let transport = usize::from(fixed[0] & 15) * 4;
    let length = usize::from(u16::from_be_bytes([fixed[2], fixed[3]]));
    if transport < 20 || length < transport || packet.len() < transport {
        return None;
    }
    let flags = u16::from_be_bytes([fixed[6], fixed[7]]);
    let fragment = Fragment {
        id: u32::from(u16::from_be_bytes([fixed[4], fixed[5]])),
        offset: usize::from(flags & 0x1fff) * 8,
        more: flags & 0x2000 != 0,
    };
    Some(Header {
        source: Ipv4Addr::from([fixed[12], fixed[13], fixed[14], fixed[15]]).into(),
        destination: Ipv4Addr::from([fixed[16], fixed[17], fixed[18], fixed[19]]).into(),
        protocol: fixed[9],
        ttl: fixed[8],
        transport,
        length,
        fragment: (fragment.more || fragment.offset > 0).then_some(fragment),
        whole: flags & 0x4000 != 0,
    })
}

fn parse_v6(packet: &[u8]) -> Option<Header> {
    let fixed: &[u8; 40] = packet.first_chunk()?;
    let address = |at: usize| -> Option<IpAddr> {
        let octets: [u8; 16] = fixed.get(at..at + 16)?.try_into().ok()?;
        Some(Ipv6Addr::from(octets).into())
    };
    let (mut protocol, mut transport, mut fragment) = (fixed[6], 40, None);
    for _ in 0..MAX_EXTENSIONS {
        if EXTENSIONS.contains(&protocol) {
            let extension: &[u8; 2] = packet.get(transport..)?.first_chunk()?;
            protocol = extension[0];
            transport += 8 + usize::from(extension[1]) * 8;
        } else if protocol == FRAGMENT_V6 {
            let extension: &[u8; 8] = packet.get(transport..)?.first_chunk()?;
            let place = u16::from_be_bytes([extension[2], extension[3]]);
            fragment = Some(Fragment {
                id: u32::from_be_bytes([extension[4], extension[5], extension[6], extension[7]]),
                offset: usize::from(place & !7),
                more: place & 1 != 0,
            });
            protocol = extension[0];
            transport += 8;
        } else {
            break;
        }
    }
    let length = 40 + usize::from(u16::from_be_bytes([fixed[4], fixed[5]]));
    (transport <= packet.len() && transport <= length).then_some(Header {
        source: address(8)?,
        destination: address(24)?,
        protocol,
        ttl: fixed[7],
        transport,
        length,
        fragment,
        whole: true,
    })
}

/// Both ends of a packet with their ports; `None` for what has none (other protocols, later pieces, ICMP errors).
pub fn flow(packet: &[u8], header: &Header) -> Option<Flow> {
    if header.fragment.is_some_and(|fragment| fragment.offset > 0) {
        return None;
    }
    let word = |at: usize| Some(u16::from_be_bytes(*packet.get(header.transport + at..)?.first_chunk()?));
    let (transport, source, destination) = match header.protocol {
        UDP => (Transport::Udp, word(0)?, word(2)?),
        TCP => (Transport::Tcp, word(0)?, word(2)?),
        ICMP | ICMPV6 => match icmp::echo(packet, header)? {
            icmp::Echo::Request(id) => (Transport::Echo, id, 0),
            icmp::Echo::Reply(id) => (Transport::Echo, 0, id),
        },
        _ => return None,
    };
    Some(Flow {
        transport,
        source: SocketAddr::new(header.source, source),
        destination: SocketAddr::new(header.destination, destination),
    })
}

/// The flags of a TCP segment (RFC 9293 §3.1); 0 for anything else.
pub fn tcp_flags(packet: &[u8], header: &Header) -> u8 {
    let first = header.fragment.is_none_or(|fragment| fragment.offset == 0);
    if header.protocol == TCP && first { packet.get(header.transport + 13).copied().unwrap_or(0) } else { 0 }
}

/// Takes a hop off the packet's life.
pub fn age(packet: &mut [u8]) {
    match packet.first().map(|first| first >> 4) {
        Some(4) if packet.len() >= 20 => {
            let before = u16::from_be_bytes([packet[8], packet[9]]);
            packet[8] = packet[8].saturating_sub(1);
            let after = u16::from_be_bytes([packet[8], packet[9]]);
            checksum::adjust(packet, 10, &before.to_be_bytes(), &after.to_be_bytes());
        }
        Some(6) if packet.len() >= 40 => packet[7] = packet[7].saturating_sub(1),
        _ => {}
    }
}

/// Gives an IPv4 packet another address and port at one end. The port of an ICMP echo is its identifier; a later piece of a fragmented packet has none.
/// IPv6 packets are left alone: nobody translates those here.
pub fn rewrite(packet: &mut [u8], header: &Header, end: End, to: SocketAddr) {
    let (IpAddr::V4(address), IpAddr::V4(_)) = (to.ip(), header.source) else { return };
    let place = if end == End::Source { 12 } else { 16 };
    let Some(old) = packet.get(place..).and_then(|rest| rest.first_chunk::<4>()).copied() else { return };
    let new = address.octets();
    packet[place..place + 4].copy_from_slice(&new);
    checksum::adjust(packet, 10, &old, &new);
    if header.fragment.is_some_and(|fragment| fragment.offset > 0) {
        return;
    }
    let (port, sum) = match (header.protocol, end) {
        (UDP, End::Source) => (0, 6),
        (UDP, End::Destination) => (2, 6),
        (TCP, End::Source) => (0, 16),
        (TCP, End::Destination) => (2, 16),
        (ICMP, _) => (4, 2),
        _ => return,
    };
    let (port, sum) = (header.transport + port, header.transport + sum);
    if header.protocol == ICMP && icmp::echo(packet, header).is_none() {
        return;
    }
    let Some(old_port) = packet.get(port..).and_then(|rest| rest.first_chunk::<2>()).copied() else { return };
    let new_port = to.port().to_be_bytes();
    packet[port..port + 2].copy_from_slice(&new_port);
    let unsummed = header.protocol == UDP && packet.get(sum..sum + 2) == Some(&[0, 0]);
    if unsummed {
        return;
    }
    // ICMP has no pseudo-header: addresses do not count there.
    if header.protocol != ICMP {
        checksum::adjust(packet, sum, &old, &new);
    }
    checksum::adjust(packet, sum, &old_port, &new_port);
    // RFC 768: a sum of zero is sent as all ones, for zero says that there is none.
    if header.protocol == UDP && packet.get(sum..sum + 2) == Some(&[0, 0]) {
        packet[sum..sum + 2].copy_from_slice(&[0xff, 0xff]);
    }
}

/// Cuts an IPv4 packet into pieces of at most `mtu` bytes (RFC 791 §3.2).
pub fn fragments(packet: &[u8], header: &Header, mtu: usize) -> Vec<Vec<u8>> {
    let payload = &packet[header.transport..header.length];
    let room = (mtu.saturating_sub(header.transport) / 8 * 8).max(8);
    let (base, tail) = header.fragment.map_or((0, false), |piece| (piece.offset, piece.more));
    let count = payload.len().div_ceil(room);
    let piece = |(index, part): (usize, &[u8])| {
        let mut bytes = packet[..header.transport].to_vec();
        bytes.extend_from_slice(part);
        let length = bytes.len() as u16;
        bytes[2..4].copy_from_slice(&length.to_be_bytes());
        let more = u16::from(tail || index + 1 < count) << 13;
        let place = more | ((base + index * room) / 8) as u16;
        bytes[6..8].copy_from_slice(&place.to_be_bytes());
        bytes[10..12].fill(0);
        let sum = checksum(&bytes[..header.transport]);
        bytes[10..12].copy_from_slice(&sum.to_be_bytes());
        bytes
    };
    payload.chunks(room).enumerate().map(piece).collect()
}

#[cfg(test)]
mod tests;
