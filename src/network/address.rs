//! Names and places in both spellings: the project's compact types and libp2p's peer IDs and multiaddrs.

use std::net::IpAddr;

use libp2p::PeerId;
use libp2p::identity::{Keypair, PublicKey, ed25519};
use libp2p::multiaddr::{Multiaddr, Protocol};
use resonance_protocol::peer::{Address, Transport, TransportId};

/// Code of the identity multihash, which carries the public key itself (libp2p specs, peer-ids).
const IDENTITY_MULTIHASH: u64 = 0x00;

/// The libp2p name of `peer`; `None` when its bytes are not an Ed25519 public key.
pub(super) fn peer_id(peer: &TransportId) -> Option<PeerId> {
    let key = ed25519::PublicKey::try_from_bytes(peer.as_bytes()).ok()?;
    Some(PublicKey::from(key).to_peer_id())
}

/// The compact name of `peer`; `None` for peer IDs that do not carry an Ed25519 key, which no member has.
pub(super) fn transport_id(peer: &PeerId) -> Option<TransportId> {
    let multihash = peer.as_ref();
    if multihash.code() != IDENTITY_MULTIHASH {
        return None;
    }
    let key = PublicKey::try_decode_protobuf(multihash.digest()).ok()?;
    Some(TransportId::from_bytes(key.try_into_ed25519().ok()?.to_bytes()))
}

/// The Ed25519 key pair of a seed.
pub(super) fn key_pair(secret: &[u8; 32]) -> Keypair {
    // The library erases the bytes that it reads.
    let mut copy = *secret;
    Keypair::ed25519_from_bytes(&mut copy[..]).expect("every 32 bytes are an Ed25519 seed (RFC 8032 §5.1.5)")
}

/// The compact name that belongs to a seed.
pub(super) fn own_id(secret: &[u8; 32]) -> TransportId {
    let public = key_pair(secret).public().try_into_ed25519().expect("the key was just made as an Ed25519 key");
    TransportId::from_bytes(public.to_bytes())
}

/// `/ip4/…/tcp/…` or `/ip4/…/udp/…/quic-v1`.
pub(super) fn multiaddr(address: &Address) -> Multiaddr {
    let base = Multiaddr::empty().with(Protocol::from(address.ip));
    match address.transport {
        Transport::Tcp => base.with(Protocol::Tcp(address.port)),
        Transport::Quic => base.with(Protocol::Udp(address.port)).with(Protocol::QuicV1),
    }
}

/// The compact form of a multiaddr and the peer it names, if it names one; `None` for anything but plain TCP or QUIC
/// on an IP address.
pub(super) fn compact(multiaddr: &Multiaddr) -> Option<(Option<PeerId>, Address)> {
    let mut parts = multiaddr.iter().peekable();
    let ip = match parts.next()? {
        Protocol::Ip4(ip) => IpAddr::V4(ip),
        Protocol::Ip6(ip) => IpAddr::V6(ip),
        _ => return None,
    };
    let (port, transport) = match parts.next()? {
        Protocol::Tcp(port) => (port, Transport::Tcp),
        Protocol::Udp(port) => match parts.next()? {
            Protocol::QuicV1 => (port, Transport::Quic),
            _ => return None,
        },
        _ => return None,
    };
    let peer = match parts.next() {
        None => None,
        Some(Protocol::P2p(peer)) => Some(peer),
        Some(_) => return None,
    };
    parts.next().is_none().then_some((peer, Address { ip, port, transport }))
}

/// Why a bootstrap address was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BootstrapError {
    /// Not a multiaddr, or one of a kind that this program does not dial.
    #[error("\"{0}\" is not an address like /ip4/192.0.2.1/tcp/4001 or /ip4/192.0.2.1/udp/4001/quic-v1/p2p/12D3…")]
    Unreadable(String),
    /// Port 0, or an address that stands for "any".
    #[error("\"{0}\" names no place that can be dialled: give the address and port that the other side printed")]
    NotDialable(String),
    /// `/p2p/…` names a key that is not Ed25519.
    #[error("\"{0}\" names a peer that is not a resonance peer (its key is not Ed25519)")]
    ForeignKey(String),
}

/// Reads a multiaddr such as `/ip4/192.0.2.1/tcp/4001/p2p/12D3…`; the peer may be left out.
///
/// # Errors
///
/// See [`BootstrapError`]; each says what is wrong with the text.
pub fn parse_bootstrap(text: &str) -> Result<(Option<TransportId>, Address), BootstrapError> {
    let shown = || text.chars().filter(|c| !c.is_control()).take(120).collect::<String>();
    let multiaddr: Multiaddr = text.trim().parse().map_err(|_| BootstrapError::Unreadable(shown()))?;
    let (peer, address) = compact(&multiaddr).ok_or_else(|| BootstrapError::Unreadable(shown()))?;
    if address.port == 0 || address.ip.is_unspecified() {
        return Err(BootstrapError::NotDialable(shown()));
    }
    let peer = match peer {
        Some(peer) => Some(transport_id(&peer).ok_or_else(|| BootstrapError::ForeignKey(shown()))?),
        None => None,
    };
    Ok((peer, address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_spellings_of_a_peer_agree() {
        let pair = key_pair(&[7; 32]);
        let peer = pair.public().to_peer_id();
        let compact = transport_id(&peer).unwrap();
        assert_eq!(compact, own_id(&[7; 32]));
        assert_eq!(peer_id(&compact), Some(peer));
        assert_eq!(compact.peer_id_bytes().to_vec(), peer.to_bytes());
    }

    #[test]
    fn a_peer_whose_id_hides_its_key_is_no_member() {
        assert_eq!(transport_id(&"QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N".parse().unwrap()), None);
    }

    #[test]
    fn addresses_survive_the_way_there_and_back() {
        for text in ["/ip4/10.0.0.7/tcp/4001", "/ip4/10.0.0.7/udp/4001/quic-v1", "/ip6/2001:db8::1/tcp/9"] {
            let (peer, address) = compact(&text.parse().unwrap()).unwrap();
            assert_eq!(peer, None);
            assert_eq!(multiaddr(&address).to_string(), text);
        }
        for foreign in ["/dns4/example.org/tcp/1", "/ip4/1.2.3.4/udp/5", "/ip4/1.2.3.4/tcp/5/ws", "/ip4/1.2.3.4"] {
            assert_eq!(compact(&foreign.parse().unwrap()), None, "{foreign}");
        }
    }

    #[test]
    fn a_bootstrap_address_may_name_its_peer_or_not() {
        let peer = key_pair(&[7; 32]).public().to_peer_id();
        let (named, address) = parse_bootstrap(&format!(" /ip4/192.0.2.1/tcp/4001/p2p/{peer}\n")).unwrap();
        assert_eq!(named, transport_id(&peer));
        assert_eq!(address, Address { ip: [192, 0, 2, 1].into(), port: 4001, transport: Transport::Tcp });
        assert_eq!(parse_bootstrap("/ip4/192.0.2.1/udp/1/quic-v1").unwrap().0, None);
        assert!(matches!(parse_bootstrap("192.0.2.1:4001"), Err(BootstrapError::Unreadable(_))));
        assert!(matches!(parse_bootstrap("/ip4/0.0.0.0/tcp/4001"), Err(BootstrapError::NotDialable(_))));
        assert!(matches!(parse_bootstrap("/ip4/192.0.2.1/tcp/0"), Err(BootstrapError::NotDialable(_))));
        let foreign = "/ip4/192.0.2.1/tcp/1/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N";
        assert!(matches!(parse_bootstrap(foreign), Err(BootstrapError::ForeignKey(_))));
    }
}
