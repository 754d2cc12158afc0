//! Packets made from scratch: what the router says itself, and what tests send.

use super::{End, TCP, UDP, of_transport, parse};
use std::net::{IpAddr, SocketAddr};

/// Hops that a packet made here may make.
const TTL: u8 = 64;

/// An IP packet around a payload; `None` when the two addresses are of different families or the payload is too long.
pub fn ip(source: IpAddr, destination: IpAddr, protocol: u8, payload: &[u8]) -> Option<Vec<u8>> {
    let mut packet = match (source, destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let length = u16::try_from(20 + payload.len()).ok()?;
            let mut head = vec![0x45, 0];
            head.extend_from_slice(&length.to_be_bytes());
            // No identification and "don't fragment": an atomic datagram (RFC 6864 §4.1).
            head.extend_from_slice(&[0, 0, 0x40, 0, TTL, protocol, 0, 0]);
            head.extend_from_slice(&source.octets());
            head.extend_from_slice(&destination.octets());
            let sum = super::checksum(&head);
            head[10..12].copy_from_slice(&sum.to_be_bytes());
            head
        }
        (IpAddr::V6(source), IpAddr::V6(destination)) => {
            let length = u16::try_from(payload.len()).ok()?;
            let mut head = vec![0x60, 0, 0, 0];
            head.extend_from_slice(&length.to_be_bytes());
            head.extend_from_slice(&[protocol, TTL]);
            head.extend_from_slice(&source.octets());
            head.extend_from_slice(&destination.octets());
            head
        }
        _ => return None,
    };
    packet.extend_from_slice(payload);
    Some(packet)
}

/// A UDP datagram in its packet.
pub fn udp(source: SocketAddr, destination: SocketAddr, payload: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(8 + payload.len()).ok()?;
    let mut body = Vec::with_capacity(8 + payload.len());
    for word in [source.port(), destination.port(), length, 0] {
        body.extend_from_slice(&word.to_be_bytes());
    }
    body.extend_from_slice(payload);
    summed(ip(source.ip(), destination.ip(), UDP, &body)?, 6)
}

/// What stands in a TCP segment's header beside the ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Segment {
    /// Number of its first byte.
    pub sequence: u32,
    /// Number of the byte that is expected next.
    pub acknowledgement: u32,
    /// Flags (see [`super::SYN`] and its neighbours).
    pub flags: u8,
}

/// A TCP segment without options in its packet.
pub fn tcp(source: SocketAddr, destination: SocketAddr, segment: Segment, payload: &[u8]) -> Option<Vec<u8>> {
    let mut body = Vec::with_capacity(20 + payload.len());
    body.extend_from_slice(&source.port().to_be_bytes());
    body.extend_from_slice(&destination.port().to_be_bytes());
    body.extend_from_slice(&segment.sequence.to_be_bytes());
    body.extend_from_slice(&segment.acknowledgement.to_be_bytes());
    body.extend_from_slice(&[0x50, segment.flags, 0xff, 0xff, 0, 0, 0, 0]);
    body.extend_from_slice(payload);
    summed(ip(source.ip(), destination.ip(), TCP, &body)?, 16)
}

fn summed(mut packet: Vec<u8>, place: usize) -> Option<Vec<u8>> {
    let header = parse(&packet)?;
    let sum = of_transport(&packet, &header).to_be_bytes();
    packet[header.transport + place..header.transport + place + 2].copy_from_slice(&sum);
    Some(packet)
}

/// The payload of a UDP datagram.
pub fn udp_payload(packet: &[u8]) -> Option<&[u8]> {
    let header = parse(packet).filter(|header| header.protocol == UDP && header.fragment.is_none())?;
    packet.get(header.transport + 8..header.length)
}

/// One end of a packet that has ports.
pub fn end_of(packet: &[u8], end: End) -> Option<SocketAddr> {
    let flow = super::flow(packet, &parse(packet)?)?;
    Some(if end == End::Source { flow.source } else { flow.destination })
}
