//! Who is meant: the transport's name of a peer, and an address where it may listen.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A peer's ephemeral transport identity: its libp2p Ed25519 public key.
///
/// `Ord` is byte order, which decides who initiates when two peers start at once.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TransportId([u8; 32]);

impl TransportId {
    /// Wraps the 32 bytes of an Ed25519 public key (not checked to be a curve point: libp2p does that).
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The public key's bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The libp2p peer ID: an identity multihash (0x00, length 36) of the protobuf-encoded key
    /// (0x08 0x01 = Ed25519, 0x12 0x20 = 32 bytes follow); libp2p specs, peer-ids.
    pub fn peer_id_bytes(&self) -> [u8; 38] {
        let mut id = [0; 38];
        id[..6].copy_from_slice(&[0x00, 0x24, 0x08, 0x01, 0x12, 0x20]);
        id[6..].copy_from_slice(&self.0);
        id
    }

    /// The short stable name that people and scripts see: 8 hexadecimal digits.
    pub fn short(&self) -> String {
        self.0[..4].iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

impl fmt::Debug for TransportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

impl fmt::Display for TransportId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.short())
    }
}

/// How an address is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP with libp2p's Noise and Yamux.
    Tcp,
    /// QUIC version 1 over UDP.
    Quic,
}

/// Who listens at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Listener {
    /// The peer itself.
    Peer,
    /// A helper through which the peer is reached: its peer ID is learnt by connecting to it.
    Helper,
}

/// Where a peer may be reached: the compact form that links and rosters carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Address {
    /// IPv4 or IPv6 address.
    pub ip: IpAddr,
    /// TCP or UDP port.
    pub port: u16,
    /// TCP or QUIC.
    pub transport: Transport,
    /// The peer itself, or a helper.
    pub listener: Listener,
}

impl Address {
    const IPV6: u8 = 0b01;
    const QUIC: u8 = 0b10;
    const HELPER: u8 = 0b100;

    /// Bytes of an IPv4 address in compact form.
    pub const IPV4_LEN: usize = 7;
    /// Bytes of an IPv6 address in compact form.
    pub const IPV6_LEN: usize = 19;

    /// Appends the compact form: kind (1: bit 0 IPv6, bit 1 QUIC, bit 2 a helper listens, others zero) ‖ IP (4 or 16) ‖ port (2, big-endian).
    pub fn write(&self, out: &mut Vec<u8>) {
        let transport = match self.transport {
            Transport::Tcp => 0,
            Transport::Quic => Self::QUIC,
        };
        let kind = match self.listener {
            Listener::Peer => transport,
            Listener::Helper => transport | Self::HELPER,
        };
        match self.ip {
            IpAddr::V4(ip) => {
                out.push(kind);
                out.extend_from_slice(&ip.octets());
            }
            IpAddr::V6(ip) => {
                out.push(kind | Self::IPV6);
                out.extend_from_slice(&ip.octets());
            }
        }
        out.extend_from_slice(&self.port.to_be_bytes());
    }

    /// Reads one compact address from the start of `bytes` and gives it with what follows.
    /// `None` when it is cut short or of an unknown kind.
    pub fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&kind, rest) = bytes.split_first()?;
        if kind & !(Self::IPV6 | Self::QUIC | Self::HELPER) != 0 {
            return None;
        }
        let (ip, rest) = if kind & Self::IPV6 == 0 {
            let (octets, rest) = rest.split_first_chunk::<4>()?;
            (IpAddr::from(Ipv4Addr::from(*octets)), rest)
        } else {
            let (octets, rest) = rest.split_first_chunk::<16>()?;
            (IpAddr::from(Ipv6Addr::from(*octets)), rest)
        };
        let (port, rest) = rest.split_first_chunk::<2>()?;
        let transport = if kind & Self::QUIC == 0 { Transport::Tcp } else { Transport::Quic };
        let listener = if kind & Self::HELPER == 0 { Listener::Peer } else { Listener::Helper };
        Some((Self { ip, port: u16::from_be_bytes(*port), transport, listener }, rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_shown_by_its_first_four_bytes() {
        let mut bytes = [0xff; 32];
        bytes[..4].copy_from_slice(&[0, 0x1b, 0xc3, 0xd4]);
        let id = TransportId::from_bytes(bytes);
        assert_eq!((id.short().as_str(), id.to_string().as_str()), ("001bc3d4", "001bc3d4"));
    }

    #[test]
    fn compact_addresses_come_back() {
        let mut bytes = Vec::new();
        let addresses =
            [("192.0.2.7", Transport::Tcp, Listener::Peer), ("2001:db8::1", Transport::Quic, Listener::Helper)].map(
                |(ip, transport, listener)| Address { ip: ip.parse().unwrap(), port: 0xABCD, transport, listener },
            );
        addresses.iter().for_each(|address| address.write(&mut bytes));
        assert_eq!(bytes[..Address::IPV4_LEN], [0, 192, 0, 2, 7, 0xAB, 0xCD]);
        assert_eq!(bytes.len(), Address::IPV4_LEN + Address::IPV6_LEN);
        let (first, rest) = Address::parse(&bytes).unwrap();
        assert_eq!((first, Address::parse(rest)), (addresses[0], Some((addresses[1], &[][..]))));
        for len in 0..rest.len() {
            assert_eq!(Address::parse(&rest[..len]), None, "{len} bytes");
        }
        assert_eq!(bytes[Address::IPV4_LEN], 0b111);
        assert_eq!(Address::parse(&[8, 0, 0, 0, 0, 0, 0]), None, "a kind of later versions");
    }
}
