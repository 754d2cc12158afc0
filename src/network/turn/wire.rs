//! STUN messages as this server reads and writes them (RFC 8489 §5, RFC 8656 §14), on the codec of the media stack.

use std::net::{IpAddr, SocketAddr};

use rtc::crypto::{RTCCrypto, constant_time_eq};
use rtc::stun::attributes::{
    ATTR_CHANNEL_NUMBER, ATTR_DATA, ATTR_EVEN_PORT, ATTR_FINGERPRINT, ATTR_LIFETIME, ATTR_MESSAGE_INTEGRITY,
    ATTR_NONCE, ATTR_REALM, ATTR_REQUESTED_ADDRESS_FAMILY, ATTR_REQUESTED_TRANSPORT, ATTR_UNKNOWN_ATTRIBUTES,
    ATTR_USERNAME, ATTR_XOR_PEER_ADDRESS, AttrType, Attributes,
};
use rtc::stun::error_code::ErrorCode;
use rtc::stun::fingerprint::FINGERPRINT;
use rtc::stun::integrity::MessageIntegrity;
use rtc::stun::message::{
    CLASS_ERROR_RESPONSE, CLASS_INDICATION, CLASS_SUCCESS_RESPONSE, Getter, METHOD_DATA, Message, MessageClass,
    MessageType, Setter, TransactionId, is_stun_message,
};
use rtc::turn::proto::chandata::ChannelData;
use rtc::turn::proto::channum::ChannelNumber;
use rtc::turn::proto::data::Data;
use rtc::turn::proto::peeraddr::PeerAddress;

/// Attributes that a request may carry and be understood; others that must be understood are named in the refusal.
const UNDERSTOOD: [AttrType; 10] = [
    ATTR_USERNAME,
    ATTR_MESSAGE_INTEGRITY,
    ATTR_REALM,
    ATTR_NONCE,
    ATTR_LIFETIME,
    ATTR_REQUESTED_TRANSPORT,
    ATTR_REQUESTED_ADDRESS_FAMILY,
    ATTR_XOR_PEER_ADDRESS,
    ATTR_CHANNEL_NUMBER,
    ATTR_EVEN_PORT,
];

/// What a client's datagram is.
pub(super) enum Inbound {
    /// A STUN request, response or indication.
    Stun(Message),
    /// Bytes for the peer behind a channel.
    Channel(ChannelData),
}

/// Reads a client's datagram; `None` when it is neither.
pub(super) fn read(datagram: &[u8]) -> Option<Inbound> {
    if is_stun_message(datagram) {
        let mut message = Message::new();
        message.raw = datagram.to_vec();
        message.decode().ok()?;
        return Some(Inbound::Stun(message));
    }
    let mut channel = ChannelData { raw: datagram.to_vec(), ..Default::default() };
    channel.decode().ok()?;
    Some(Inbound::Channel(channel))
}

/// The text of an attribute; `None` when it is missing or no text.
pub(super) fn text(message: &Message, attribute: AttrType) -> Option<String> {
    String::from_utf8(message.get(attribute).ok()?).ok()
}

/// A typed attribute; `None` when it is missing or malformed.
pub(super) fn attribute<A: Getter + Default>(message: &Message) -> Option<A> {
    let mut value = A::default();
    value.get_from(message).ok()?;
    Some(value)
}

/// All peers that a request names, in order; `None` when one of them is malformed.
pub(super) fn peers(message: &Message) -> Option<Vec<SocketAddr>> {
    let named = message.attributes.0.iter().filter(|attribute| attribute.typ == ATTR_XOR_PEER_ADDRESS);
    let read = named.map(|attribute| {
        let one = Message {
            transaction_id: message.transaction_id,
            attributes: Attributes(vec![attribute.clone()]),
            ..Message::default()
        };
        self::attribute::<PeerAddress>(&one).map(|peer| SocketAddr::new(peer.ip, peer.port))
    });
    read.collect()
}

/// Attributes of a request that had to be understood and are not (RFC 8489 §6.3.1).
pub(super) fn unknown(message: &Message) -> Vec<AttrType> {
    let unknown = |kind: &AttrType| kind.required() && !UNDERSTOOD.contains(kind) && *kind != ATTR_DATA;
    message.attributes.0.iter().map(|attribute| attribute.typ).filter(unknown).collect()
}

/// Whether a request was signed with this key (RFC 8489 §9.2.4).
pub(super) fn is_signed(message: &Message, key: &[u8], crypto: &dyn RTCCrypto) -> bool {
    MessageIntegrity::check(&mut message.clone(), key, crypto).is_ok()
}

/// Equal, found out in constant time.
pub(super) fn same(left: &[u8], right: &[u8]) -> bool {
    constant_time_eq(left, right)
}

/// An answer in the making.
pub(super) struct Reply(Option<Message>);

impl Reply {
    fn new(request: &Message, class: MessageClass) -> Self {
        let kind = MessageType { method: request.typ.method, class };
        Self(Some(begin(kind, request.transaction_id)))
    }

    /// It is done.
    pub(super) fn success(request: &Message) -> Self {
        Self::new(request, CLASS_SUCCESS_RESPONSE)
    }

    /// It is refused.
    pub(super) fn error(request: &Message, code: ErrorCode) -> Self {
        Self::new(request, CLASS_ERROR_RESPONSE).with(&code)
    }

    /// With one more attribute.
    pub(super) fn with(self, attribute: &dyn Setter) -> Self {
        // What does not fit makes the whole answer void: the client asks again.
        Self(self.0.and_then(|mut message| attribute.add_to(&mut message).is_ok().then_some(message)))
    }

    /// With the list of what was not understood.
    pub(super) fn with_unknown(self, unknown: &[AttrType]) -> Self {
        let list: Vec<u8> = unknown.iter().flat_map(|kind| kind.value().to_be_bytes()).collect();
        Self(self.0.map(|mut message| {
            message.add(ATTR_UNKNOWN_ATTRIBUTES, &list);
            message
        }))
    }

    /// The datagram, signed with the key that the request was signed with.
    pub(super) fn signed(self, key: &[u8], crypto: &dyn RTCCrypto) -> Option<Vec<u8>> {
        self.with(&MessageIntegrity::new_raw_integrity_with_provider(key, crypto)).plain()
    }

    /// The datagram, for a client that showed no credentials.
    pub(super) fn plain(self) -> Option<Vec<u8>> {
        self.with(&FINGERPRINT).0.map(|message| message.raw)
    }
}

fn begin(kind: MessageType, transaction: TransactionId) -> Message {
    let mut message = Message::new();
    message.typ = kind;
    message.transaction_id = transaction;
    message.write_header();
    message
}

/// A peer's bytes for a client that has no channel for that peer (RFC 8656 §11.5).
pub(super) fn data_indication(peer: SocketAddr, bytes: &[u8], transaction: TransactionId) -> Option<Vec<u8>> {
    let indication = begin(MessageType { method: METHOD_DATA, class: CLASS_INDICATION }, transaction);
    Reply(Some(indication))
        .with(&PeerAddress { ip: peer.ip(), port: peer.port() })
        .with(&Data(bytes.to_vec()))
        .0
        .map(|message| message.raw)
}

/// A peer's bytes in a channel (RFC 8656 §12.4); no padding over UDP.
pub(super) fn channel_data(number: ChannelNumber, bytes: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(bytes.len()).ok()?;
    Some([&number.0.to_be_bytes()[..], &length.to_be_bytes(), bytes].concat())
}

/// The IPv4 address that an IPv4-mapped one stands for.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// Both of one family.
pub(super) fn same_family(one: IpAddr, other: IpAddr) -> bool {
    one.is_ipv4() == other.is_ipv4()
}

/// Whether a request carries a signature at all.
pub(super) fn has_signature(message: &Message) -> bool {
    message.contains(ATTR_MESSAGE_INTEGRITY)
}

/// Whether a request that carries a checksum carries the right one.
pub(super) fn is_intact(message: &Message) -> bool {
    !message.contains(ATTR_FINGERPRINT) || FINGERPRINT.check(message).is_ok()
}
