//! What this room tells.

use resonance_protocol::peer::{Address, TransportId};

use super::Route;
#[cfg(doc)]
use super::{Command, MAX_MESSAGE};

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// We can be reached here. One for each interface address, loopback included.
    Listening {
        /// As a multiaddr.
        address: String,
        /// As links and rosters carry it.
        compact: Option<Address>,
    },
    /// We cannot be reached there any more.
    NotListening {
        /// As links and rosters carry it.
        compact: Address,
    },
    /// Another connection has taken the place of those to a peer.
    Renewed {
        /// To whom.
        peer: TransportId,
    },
    /// Somebody who may belong to the session; dial by name alone.
    Discovered {
        /// Who.
        peer: TransportId,
        /// Where it was found.
        via: Via,
    },
    /// Everybody reaches us here, at a router's address or through a helper.
    Reached {
        /// As a multiaddr.
        address: String,
        /// As links and rosters carry it.
        compact: Address,
    },
    /// The local network cannot be searched.
    DiscoveryFailed {
        /// Why.
        reason: String,
    },
    /// The first connection to a peer stands.
    Connected {
        /// Who.
        peer: TransportId,
        /// Where it was dialled or came from; in the latter case the port need not be one that it listens on.
        remote: Option<Address>,
    },
    /// The last connection to a peer is gone.
    Disconnected {
        /// Who.
        peer: TransportId,
    },
    /// A dial came to nothing.
    DialFailed {
        /// Who was dialled, if that was said.
        peer: Option<TransportId>,
        /// A phrase without addresses.
        reason: String,
    },
    /// A sealed message came in.
    Message {
        /// Who is at the other end of the connection.
        from: TransportId,
        /// 1 to [`MAX_MESSAGE`] bytes.
        bytes: Vec<u8>,
        /// For [`Command::Acknowledge`].
        receipt: u64,
    },
    /// A message was acknowledged.
    Delivered {
        /// By whom.
        to: TransportId,
        /// Which.
        id: u64,
    },
    /// A message will not be acknowledged. It may have arrived nevertheless.
    Undelivered {
        /// By whom.
        to: TransportId,
        /// Which.
        id: u64,
        /// Why.
        why: Undelivered,
    },
    /// A peer speaks resonance, but no version that we speak.
    ForeignVersion {
        /// Who.
        peer: TransportId,
    },
    /// Our session description is ready to be sent to the peer.
    LocalDescription {
        /// To whom.
        peer: TransportId,
        /// Offer or answer.
        kind: DescriptionKind,
        /// The session description, with all candidates known so far.
        sdp: String,
        /// From the command.
        number: u64,
    },
    /// A candidate was found after the description.
    LocalCandidate {
        /// For whom.
        peer: TransportId,
        /// The candidate line.
        candidate: String,
        /// The media section it belongs to; may be empty.
        mid: String,
    },
    /// Media flows.
    MediaUp {
        /// To and from whom.
        peer: TransportId,
        /// By which way.
        route: Route,
        /// Time since it was asked for, or since it broke, in ms.
        setup_ms: u64,
    },
    /// Media flows no more, or could not be made to. After an interruption [`Event::MediaUp`] may follow by itself.
    MediaDown {
        /// To and from whom.
        peer: TransportId,
        /// A sentence.
        reason: String,
    },
    /// Packets can be sent to a peer by a stream.
    StreamUp {
        /// To whom.
        peer: TransportId,
        /// By which way.
        route: Route,
    },
    /// They cannot any more. When it is still wanted it is opened again as soon as possible.
    StreamDown {
        /// To whom.
        peer: TransportId,
    },
    /// The first servers that help media through are known: connections begun earlier were begun without them.
    ServersKnown,
    /// Round-trip time of the media path, about every second; of a stream, every 5 s.
    MediaRtt {
        /// To whom.
        peer: TransportId,
        /// In ms.
        rtt_ms: f32,
    },
}

/// Where somebody was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Via {
    /// On the local network.
    Mdns,
    /// In the distributed hash table; [`Event::Connected`] follows.
    Dht,
}

/// Which half of the negotiation a description is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DescriptionKind {
    /// The first.
    Offer,
    /// The second.
    Answer,
}

/// Why a message was not delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undelivered {
    /// The peer has no protocol version in common with us.
    Unsupported,
    /// It was there and did not answer.
    Refused,
    /// No connection, or it broke.
    Unreachable,
    /// Empty, or more than [`MAX_MESSAGE`] bytes; nothing was sent.
    TooLarge,
    /// Too many messages wait for answers; nothing was sent.
    Busy,
}
