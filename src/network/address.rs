//! Names and places in both spellings: the project's compact types and libp2p's peer IDs and multiaddrs.

use std::net::IpAddr;

use libp2p::PeerId;
use libp2p::identity::{Keypair, PublicKey, ed25519};
use libp2p::multiaddr::{Multiaddr, Protocol};
use resonance_protocol::peer::{Address, Listener, Transport, TransportId};

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
    parts.next().is_none().then_some((peer, Address { ip, port, transport, listener: Listener::Peer }))
}

/// Why the text names no place.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// Not a multiaddr, or one of a kind that this program does not dial.
    #[error(
        "\"{0}\" is not an address like /ip4/192.0.2.1/tcp/4001 or /dns4/helper.example.org/udp/4001/quic-v1/p2p/12D3…"
    )]
    Unreadable(String),
    /// Port 0, or an address that stands for "any".
    #[error("\"{0}\" names no place that can be dialled: give the address and port that the other side printed")]
    NotDialable(String),
}

/// Somewhere outside that can be dialled: TCP or QUIC, at an address or a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place(Multiaddr);

impl Place {
    /// Reads a multiaddr such as `/ip4/192.0.2.1/tcp/4001/p2p/12D3…`; the peer may be left out.
    ///
    /// # Errors
    ///
    /// See [`PlaceError`]; each says what is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, PlaceError> {
        let shown = || text.chars().filter(|c| !c.is_control()).take(120).collect::<String>();
        let place: Multiaddr = text.trim().parse().map_err(|_| PlaceError::Unreadable(shown()))?;
        let mut parts = place.iter();
        let named = match parts.next() {
            Some(Protocol::Dnsaddr(_)) => true,
            Some(Protocol::Dns(_) | Protocol::Dns4(_) | Protocol::Dns6(_)) => Self::has_port(&mut parts),
            Some(Protocol::Ip4(ip)) if ip.is_unspecified() => return Err(PlaceError::NotDialable(shown())),
            Some(Protocol::Ip6(ip)) if ip.is_unspecified() => return Err(PlaceError::NotDialable(shown())),
            Some(Protocol::Ip4(_) | Protocol::Ip6(_)) => Self::has_port(&mut parts),
            _ => false,
        };
        let whole = match parts.next() {
            None => true,
            Some(Protocol::P2p(_)) => parts.next().is_none(),
            Some(_) => false,
        };
        if place.iter().any(|part| matches!(part, Protocol::Tcp(0) | Protocol::Udp(0))) {
            return Err(PlaceError::NotDialable(shown()));
        }
        if named && whole { Ok(Self(place)) } else { Err(PlaceError::Unreadable(shown())) }
    }

    fn has_port<'a>(parts: &mut impl Iterator<Item = Protocol<'a>>) -> bool {
        match parts.next() {
            Some(Protocol::Tcp(_)) => true,
            Some(Protocol::Udp(_)) => matches!(parts.next(), Some(Protocol::QuicV1)),
            _ => false,
        }
    }

    /// Where a helper of a link or a roster is.
    pub(super) fn of(address: &Address) -> Self {
        Self(multiaddr(address))
    }

    /// In compact form, if it is at an address and not at a name.
    pub fn address(&self) -> Option<Address> {
        compact(&self.0).map(|(_, address)| address)
    }

    /// Who is expected there, if that is said and can be somebody of a session.
    pub fn peer(&self) -> Option<TransportId> {
        self.peer_id().and_then(|peer| transport_id(&peer))
    }

    /// Who is expected there, if that is said.
    pub(super) fn peer_id(&self) -> Option<PeerId> {
        self.0.iter().find_map(|part| match part {
            Protocol::P2p(peer) => Some(peer),
            _ => None,
        })
    }

    /// As it is dialled.
    pub(super) fn multiaddr(&self) -> &Multiaddr {
        &self.0
    }

    /// Whether a connection that was dialled at `address` leads here; whoever was expected is left out of the comparison.
    pub(super) fn is_at(&self, address: &Multiaddr) -> bool {
        let bare = |address: &Multiaddr| -> Multiaddr {
            address.iter().filter(|part| !matches!(part, Protocol::P2p(_))).collect()
        };
        bare(&self.0) == bare(address)
    }
}

/// Whether everybody on the Internet could mean the same by this address: not one of a home's, a carrier's or this machine's.
pub(super) fn is_global(address: &Multiaddr) -> bool {
    match address.iter().next() {
        Some(Protocol::Ip4(ip)) => {
            let carrier = ip.octets()[0] == 100 && ip.octets()[1] & 0xC0 == 64;
            !(ip.is_private()
                || ip.is_loopback()
                || ip.is_link_local()
                || ip.is_unspecified()
                || ip.is_multicast()
                || carrier)
        }
        Some(Protocol::Ip6(ip)) => {
            !(ip.is_loopback()
                || ip.is_unspecified()
                || ip.is_unique_local()
                || ip.is_unicast_link_local()
                || ip.is_multicast())
        }
        _ => false,
    }
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
    fn a_place_may_name_its_peer_or_not() {
        let peer = key_pair(&[7; 32]).public().to_peer_id();
        let named = Place::parse(&format!(" /ip4/192.0.2.1/tcp/4001/p2p/{peer}\n")).unwrap();
        assert_eq!((named.peer(), named.peer_id()), (transport_id(&peer), Some(peer)));
        let address =
            Address { ip: [192, 0, 2, 1].into(), port: 4001, transport: Transport::Tcp, listener: Listener::Peer };
        assert_eq!(named.address(), Some(address));
        assert!(named.is_at(&multiaddr(&address)) && Place::of(&address).is_at(named.multiaddr()));
        assert_eq!(Place::parse("/ip4/192.0.2.1/udp/1/quic-v1").unwrap().peer(), None);
        let old = Place::parse("/dnsaddr/node.example.org/p2p/QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N").unwrap();
        assert_eq!((old.address(), old.peer(), old.peer_id().is_some()), (None, None, true));
        assert!(Place::parse("/dns4/node.example.org/udp/443/quic-v1").is_ok());
        for text in
            ["192.0.2.1:4001", "/ip4/192.0.2.1", "/ip4/192.0.2.1/udp/5", "/ip4/1.2.3.4/tcp/5/ws", "/dns4/a.b", ""]
        {
            assert!(matches!(Place::parse(text), Err(PlaceError::Unreadable(_))), "{text}");
        }
        for text in ["/ip4/0.0.0.0/tcp/4001", "/ip4/192.0.2.1/tcp/0", "/dns4/a.example.org/tcp/0"] {
            assert!(matches!(Place::parse(text), Err(PlaceError::NotDialable(_))), "{text}");
        }
    }

    #[test]
    fn addresses_of_homes_and_carriers_mean_nothing_elsewhere() {
        for text in [
            "/ip4/10.0.0.1/tcp/1",
            "/ip4/100.64.3.1/tcp/1",
            "/ip4/127.0.0.1/tcp/1",
            "/ip6/fd00::1/tcp/1",
            "/ip6/fe80::1/tcp/1",
        ] {
            assert!(!is_global(&text.parse().unwrap()), "{text}");
        }
        for text in ["/ip4/192.0.2.1/tcp/1", "/ip4/100.128.0.1/tcp/1", "/ip6/2001:db8::1/udp/1/quic-v1"] {
            assert!(is_global(&text.parse().unwrap()), "{text}");
        }
    }
}
