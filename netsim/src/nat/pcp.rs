//! PCP (RFC 6887), as far as hosts use it to open a port: MAP, and the question whether it is spoken.

use super::Nat;
use super::pmp::MAX_LIFETIME;
use crate::packet::Transport;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};
use std::time::{Duration, Instant};

const VERSION: u8 = 2;
/// Bytes of the header of every message, and of MAP's own fields (§7.1, §11.1).
const HEADER: usize = 24;
const MAP: usize = 36;
/// Results (§7.4).
const SUCCESS: u8 = 0;
const UNSUPPORTED_VERSION: u8 = 1;
const MALFORMED_REQUEST: u8 = 3;
const UNSUPPORTED_OPCODE: u8 = 4;
const NO_RESOURCES: u8 = 8;
const UNSUPPORTED_PROTOCOL: u8 = 9;
const ADDRESS_MISMATCH: u8 = 12;

/// The answer to a request from an inner host; `None` for what is no request. `uptime` is how long the router has been up.
pub fn answer(nat: &mut Nat, now: Instant, uptime: Duration, from: SocketAddrV4, request: &[u8]) -> Option<Vec<u8>> {
    let (&version, &opcode) = (request.first()?, request.get(1)?);
    if opcode >= 128 {
        return None;
    }
    let reply = |result: u8, lifetime: u32| {
        let mut reply = vec![VERSION, 128 + opcode, 0, result];
        reply.extend_from_slice(&lifetime.to_be_bytes());
        reply.extend_from_slice(&(uptime.as_secs() as u32).to_be_bytes());
        reply.resize(HEADER, 0);
        reply
    };
    if version != VERSION {
        return Some(reply(UNSUPPORTED_VERSION, 0));
    }
    let Some((header, fields)) = request.split_at_checked(HEADER) else { return Some(reply(MALFORMED_REQUEST, 0)) };
    let address = |bytes: &[u8]| <[u8; 16]>::try_from(bytes).ok().map(Ipv6Addr::from);
    if address(&header[8..]) != Some(from.ip().to_ipv6_mapped()) {
        return Some(reply(ADDRESS_MISMATCH, 0));
    }
    match opcode {
        // ANNOUNCE.
        0 => return Some(reply(SUCCESS, 0)),
        1 => {}
        _ => return Some(reply(UNSUPPORTED_OPCODE, 0)),
    }
    let Some(fields) = fields.first_chunk::<MAP>() else { return Some(reply(MALFORMED_REQUEST, 0)) };
    let transport = match fields[12] {
        6 => Transport::Tcp,
        17 => Transport::Udp,
        _ => return Some(reply(UNSUPPORTED_PROTOCOL, 0)),
    };
    let number = |at: usize| u16::from_be_bytes([fields[at], fields[at + 1]]);
    let (inner_port, wanted) = (number(16), number(18));
    let inner = SocketAddrV4::new(*from.ip(), inner_port);
    let lifetime = u32::from_be_bytes([header[4], header[5], header[6], header[7]]).min(MAX_LIFETIME);
    let given = if lifetime == 0 {
        nat.close_inner(transport, inner);
        Some(0)
    } else {
        nat.open_near(now, transport, inner, wanted, Duration::from_secs(lifetime.into()))
    };
    let Some(port) = given else { return Some(reply(NO_RESOURCES, 0)) };
    let outer = if port == 0 { Ipv4Addr::UNSPECIFIED } else { nat.outer() };
    let mut reply = reply(SUCCESS, lifetime);
    reply.extend_from_slice(&fields[..18]);
    reply.extend_from_slice(&port.to_be_bytes());
    reply.extend_from_slice(&outer.to_ipv6_mapped().octets());
    Some(reply)
}
