//! NAT-PMP (RFC 6886): hosts ask their router for a port and for the outer address.

use super::Nat;
use crate::packet::Transport;
use std::net::SocketAddrV4;
use std::time::{Duration, Instant};

/// Where a router listens.
pub const PORT: u16 = 5_351;

/// Longest time that a port is given for: a day, so that a host that is gone is forgotten.
pub(super) const MAX_LIFETIME: u32 = 86_400;

/// The answer to a request from an inner host; `None` for what is no request. `uptime` is how long the router has been up.
pub fn answer(nat: &mut Nat, now: Instant, uptime: Duration, from: SocketAddrV4, request: &[u8]) -> Option<Vec<u8>> {
    let (&version, &opcode) = (request.first()?, request.get(1)?);
    if opcode >= 128 {
        return None;
    }
    let mut reply = vec![0, 128 + opcode];
    let epoch = (uptime.as_secs() as u32).to_be_bytes();
    let transport = match (version, opcode) {
        (0, 0) => {
            reply.extend_from_slice(&[0, 0]);
            reply.extend_from_slice(&epoch);
            reply.extend_from_slice(&nat.outer().octets());
            return Some(reply);
        }
        (0, 1) => Transport::Udp,
        (0, 2) => Transport::Tcp,
        // Result 1: unsupported version; 5: unsupported opcode.
        _ => {
            reply.extend_from_slice(&[0, if version == 0 { 5 } else { 1 }]);
            reply.extend_from_slice(&epoch);
            return Some(reply);
        }
    };
    let fields: &[u8; 12] = request.first_chunk()?;
    let inner_port = u16::from_be_bytes([fields[4], fields[5]]);
    let wanted = u16::from_be_bytes([fields[6], fields[7]]);
    let lifetime = u32::from_be_bytes([fields[8], fields[9], fields[10], fields[11]]).min(MAX_LIFETIME);
    let inner = SocketAddrV4::new(*from.ip(), inner_port);
    let (code, port) = if lifetime == 0 {
        // It is the inner port that says what is to be closed (§3.4).
        nat.close_inner(transport, inner);
        (0, 0)
    } else {
        let span = Duration::from_secs(lifetime.into());
        // Result 4: out of resources.
        nat.open_near(now, transport, inner, wanted, span).map_or((4, 0), |port| (0, port))
    };
    reply.extend_from_slice(&u16::to_be_bytes(code));
    reply.extend_from_slice(&epoch);
    reply.extend_from_slice(&inner_port.to_be_bytes());
    reply.extend_from_slice(&u16::to_be_bytes(port));
    reply.extend_from_slice(&lifetime.to_be_bytes());
    Some(reply)
}
