//! ICMP and ICMPv6: echoes, and the errors that routers send (RFC 792, RFC 1191, RFC 4443).

use super::{Header, ICMP, ICMPV6, build, checksum, of_transport, parse, parse_quoted};
use std::net::IpAddr;

/// A ping or its answer, with its identifier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Echo {
    /// A question.
    Request(u16),
    /// Its answer.
    Reply(u16),
}

/// What a router complains of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Complaint {
    /// The packet does not fit, and must not be cut; the size that would fit, in bytes.
    TooBig(usize),
    /// It went around for too long.
    TooOld,
    /// There is no way there.
    NoRoute,
}

/// The identifier of an echo; `None` for any other packet.
pub fn echo(packet: &[u8], header: &Header) -> Option<Echo> {
    let body: &[u8; 8] = packet.get(header.transport..)?.first_chunk()?;
    let id = u16::from_be_bytes([body[4], body[5]]);
    match (header.protocol, body[0]) {
        (ICMP, 8) | (ICMPV6, 128) => Some(Echo::Request(id)),
        (ICMP, 0) | (ICMPV6, 129) => Some(Echo::Reply(id)),
        _ => None,
    }
}

/// Where the quoted packet begins, if this is an ICMP error.
pub fn quoted(packet: &[u8], header: &Header) -> Option<usize> {
    let kind = *packet.get(header.transport)?;
    let error = match header.protocol {
        ICMP => [3, 4, 5, 11, 12].contains(&kind),
        ICMPV6 => kind < 128,
        _ => false,
    };
    (error && packet.len() > header.transport + 8).then_some(header.transport + 8)
}

/// Makes the checksum right after something inside an ICMP message was changed.
pub fn seal(packet: &mut [u8], header: &Header) {
    let place = header.transport + 2;
    if packet.len() < place + 2 {
        return;
    }
    packet[place..place + 2].fill(0);
    let sum = of_transport(packet, header);
    packet[place..place + 2].copy_from_slice(&sum.to_be_bytes());
}

/// The error message about `offending`, from the router at `from`; `None` where none may be sent (RFC 1122 §3.2.2, RFC 4443 §2.4: about errors,
/// multicasts and later pieces).
pub fn error(from: IpAddr, offending: &[u8], complaint: Complaint) -> Option<Vec<u8>> {
    let header = parse(offending)?;
    let later_piece = header.fragment.is_some_and(|fragment| fragment.offset > 0);
    if header.destination.is_multicast() || later_piece || quoted(offending, &header).is_some() {
        return None;
    }
    let (kind, code, word) = match (from, complaint) {
        (IpAddr::V4(_), Complaint::TooBig(mtu)) => (3, 4, mtu as u32 & 0xffff),
        (IpAddr::V4(_), Complaint::TooOld) => (11, 0, 0),
        (IpAddr::V4(_), Complaint::NoRoute) => (3, 1, 0),
        (IpAddr::V6(_), Complaint::TooBig(mtu)) => (2, 0, mtu as u32),
        (IpAddr::V6(_), Complaint::TooOld) => (3, 0, 0),
        (IpAddr::V6(_), Complaint::NoRoute) => (1, 0, 0),
    };
    // As much of the packet as fits into the least that everyone can receive: 576 bytes, or 1280.
    let room = if from.is_ipv4() { 576 - 28 } else { 1280 - 48 };
    let mut body = vec![kind, code, 0, 0];
    body.extend_from_slice(&u32::to_be_bytes(word));
    body.extend_from_slice(&offending[..header.length.min(room)]);
    let protocol = if from.is_ipv4() { ICMP } else { ICMPV6 };
    let mut packet = build::ip(from, header.source, protocol, &body)?;
    let made = parse(&packet)?;
    seal(&mut packet, &made);
    Some(packet)
}

/// The answer to a ping; `None` if this is none.
pub fn answer(packet: &[u8], header: &Header) -> Option<Vec<u8>> {
    let Echo::Request(_) = echo(packet, header)? else { return None };
    let mut body = packet[header.transport..header.length].to_vec();
    body[0] = if header.protocol == ICMP { 0 } else { 129 };
    let mut reply = build::ip(header.destination, header.source, header.protocol, &body)?;
    let made = parse(&reply)?;
    seal(&mut reply, &made);
    Some(reply)
}

/// Corrects the header checksum of a quoted IPv4 packet, which a NAT has changed.
pub fn seal_quoted(quoted: &mut [u8]) {
    let Some(header) = parse_quoted(quoted).filter(|header| header.source.is_ipv4()) else { return };
    quoted[10..12].fill(0);
    let sum = checksum(&quoted[..header.transport]);
    quoted[10..12].copy_from_slice(&sum.to_be_bytes());
}
