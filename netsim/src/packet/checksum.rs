//! The Internet checksum (RFC 1071), and how it changes when a part of the packet does (RFC 1624).

use super::{Header, UDP};
use std::net::IpAddr;

/// The checksum of some bytes: the complement of their one's-complement sum.
pub fn checksum(bytes: &[u8]) -> u16 {
    !fold(sum(bytes))
}

/// What the checksum field of a UDP, TCP or ICMP message must hold, with the pseudo-header where there is one; the field itself must be zero.
pub fn of_transport(packet: &[u8], header: &Header) -> u16 {
    let body = &packet[header.transport..header.length];
    let pseudo = match (header.source, header.destination) {
        (IpAddr::V4(_), IpAddr::V4(_)) if header.protocol == super::ICMP => 0,
        (IpAddr::V4(source), IpAddr::V4(destination)) => sum(&source.octets()) + sum(&destination.octets()),
        (IpAddr::V6(source), IpAddr::V6(destination)) => sum(&source.octets()) + sum(&destination.octets()),
        _ => 0,
    };
    let counted = if pseudo == 0 { 0 } else { u64::from(header.protocol) + body.len() as u64 };
    match !fold(pseudo + counted + sum(body)) {
        0 if header.protocol == UDP => 0xffff,
        value => value,
    }
}

/// Corrects the checksum at `place` for `old` having become `new` (both an even number of bytes): HC' = ~(~HC + ~m + m').
pub(super) fn adjust(packet: &mut [u8], place: usize, old: &[u8], new: &[u8]) {
    let Some(field) = packet.get_mut(place..).and_then(|rest| rest.first_chunk_mut::<2>()) else { return };
    let inverted = |bytes: &[u8]| -> u64 { words(bytes).map(|word| u64::from(!word)).sum() };
    let total = u64::from(!u16::from_be_bytes(*field)) + inverted(old) + sum(new);
    *field = (!fold(total)).to_be_bytes();
}

fn words(bytes: &[u8]) -> impl Iterator<Item = u16> {
    bytes.chunks(2).map(|pair| u16::from_be_bytes([pair[0], pair.get(1).copied().unwrap_or(0)]))
}

fn sum(bytes: &[u8]) -> u64 {
    words(bytes).map(u64::from).sum()
}

fn fold(mut total: u64) -> u16 {
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}
