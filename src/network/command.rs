//! What can be asked of this room.

use resonance_protocol::peer::{Address, TransportId};

#[cfg(doc)]
use super::{Event, MAX_MESSAGE};
use super::{Haste, Relay};

/// What the application asks for. Commands never fail by themselves; what becomes of them is told by events.
pub enum Command {
    /// Connect to a peer at all these addresses at once, and at those remembered from the local network. Without a
    /// peer, each address is dialled for whoever is there. Nothing happens when the peer is connected already.
    Dial {
        /// Who must answer; `None` = whoever does.
        peer: Option<TransportId>,
        /// At most 16 are used.
        addresses: Vec<Address>,
    },
    /// Send one sealed message; [`Event::Delivered`] or [`Event::Undelivered`] follows. Dials when need be.
    Send {
        /// To whom.
        to: TransportId,
        /// 1 to [`MAX_MESSAGE`] bytes.
        bytes: Vec<u8>,
        /// Comes back in the event.
        id: u64,
    },
    /// Answer a message. Those that are not acknowledged within 10 s are dropped, and their sender hears nothing.
    Acknowledge {
        /// From [`Event::Message`].
        receipt: u64,
    },
    /// Give a message no answer at all: its sender learns at once that it will get none, and nothing else.
    Refuse {
        /// From [`Event::Message`].
        receipt: u64,
    },
    /// Connect to a peer although it seems to be connected: its connections may be dead without anybody having noticed. When
    /// another stands, those are closed, and [`Event::Renewed`] follows on both sides.
    Renew {
        /// To whom.
        peer: TransportId,
        /// Where, besides where it was before; at most 16 are used.
        addresses: Vec<Address>,
    },
    /// Be found under `own` in the distributed hash table, and look for others under `keys`; [`Event::Discovered`] follows.
    Meet {
        /// 32 bytes that everyone of the session knows.
        own: [u8; 32],
        /// The same of other hours, and of this one.
        keys: Vec<[u8; 32]>,
        /// How soon others are to be found.
        haste: Haste,
    },
    /// Close all libp2p connections to a peer; its media connection stays.
    Disconnect {
        /// Who.
        peer: TransportId,
    },
    /// Start a media connection, beside one that may stand: [`Event::LocalDescription`] with an offer follows. The one that
    /// stands is used until this one does, and closed then; one that is still being set up is given up.
    OpenMedia {
        /// To whom.
        peer: TransportId,
        /// Comes back in the description.
        number: u64,
        /// There is one already: one that needs nobody between may take its time.
        patient: bool,
    },
    /// The same by answering an offer: [`Event::LocalDescription`] with an answer follows.
    AcceptOffer {
        /// Whose offer.
        peer: TransportId,
        /// The session description.
        sdp: String,
        /// Comes back in the description.
        number: u64,
    },
    /// The answer to our offer.
    AcceptAnswer {
        /// Whose answer.
        peer: TransportId,
        /// The session description.
        sdp: String,
    },
    /// A candidate that the peer found after its description.
    AddCandidate {
        /// Whose candidate.
        peer: TransportId,
        /// The candidate line (RFC 8839 §5.1).
        candidate: String,
        /// The media section it belongs to.
        mid: String,
    },
    /// The servers that help media through from now on; connections that stand keep theirs. When there were none before,
    /// [`Event::ServersKnown`] follows.
    Servers {
        /// In place of those of before.
        servers: Vec<Relay>,
    },
    /// Keep a stream to a peer open, by the best libp2p connection there is, or no more: [`Event::StreamUp`] and
    /// [`Event::StreamDown`] follow.
    Stream {
        /// To whom.
        peer: TransportId,
        /// Whether it is wanted.
        on: bool,
    },
    /// End the media connection and the stream; no event follows.
    CloseMedia {
        /// With whom.
        peer: TransportId,
    },
}
