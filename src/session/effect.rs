//! What a session wants done: everything goes out through these.

use super::notice::Notice;
use super::protection::Degree;
use resonance_protocol::contacts::ContactBook;
use resonance_protocol::media::{KeyId, OpeningKey, Sealer};
use resonance_protocol::peer::{Address, TransportId};
use resonance_protocol::position::Position;

/// Please do this.
pub enum Effect {
    /// Reach a peer; without a name, whoever answers there.
    Dial {
        /// Whom.
        peer: Option<TransportId>,
        /// Where, besides what discovery knows.
        addresses: Vec<Address>,
    },
    /// Carry a signalling message.
    Send {
        /// To whom.
        to: TransportId,
        /// Sealed, or a handshake message.
        bytes: Vec<u8>,
        /// Comes back in `Delivered` or `Undelivered`.
        id: u64,
    },
    /// Tell the sender that its message was accepted.
    Acknowledge(u64),
    /// Give the sender of a message no answer at all.
    Refuse(u64),
    /// Drop the transport connections.
    Disconnect(TransportId),
    /// Start a media connection by making an offer.
    OpenMedia(TransportId),
    /// Start a media connection by answering this offer.
    AcceptOffer {
        /// Whose.
        peer: TransportId,
        /// SDP text.
        sdp: String,
    },
    /// The answer to our offer.
    AcceptAnswer {
        /// Whose.
        peer: TransportId,
        /// SDP text.
        sdp: String,
    },
    /// A way to reach a peer's media socket.
    AddCandidate {
        /// Whose.
        peer: TransportId,
        /// ICE candidate line.
        candidate: String,
        /// Media section's identification.
        mid: String,
    },
    /// End a media connection.
    CloseMedia(TransportId),
    /// Something for the audio room.
    Audio(AudioEffect),
    /// Keep these contacts beyond the session; comes only with a kept identity. Each replaces the one before.
    KeepContacts(Box<ContactBook>),
    /// Tell the person.
    Notice(Notice),
    /// The session is over; nothing comes after this.
    Ended(Ending),
}

/// Something for the audio room.
pub enum AudioEffect {
    /// Seal with this from now on.
    SenderKey(Box<Sealer>),
    /// Seal with this step of it from now on.
    Step(KeyId),
    /// Somebody's packets will come.
    AddLane(TransportId),
    /// Somebody's packets can be opened with this too.
    OpeningKey {
        /// Whose.
        peer: TransportId,
        /// One generation's key.
        key: Box<OpeningKey>,
    },
    /// Nothing more will come from somebody.
    RemoveLane(TransportId),
    /// Put a voice there, in the room's directions.
    Place {
        /// Whose.
        peer: TransportId,
        /// Where.
        position: Position,
    },
    /// Turn the listener's head: degrees clockwise.
    Face(f32),
    /// Loudness of one voice in dB.
    Volume {
        /// Whose.
        peer: TransportId,
        /// Decibels.
        db: f32,
    },
    /// Send so many earlier frames with each.
    Protect(Degree),
    /// Close or open the microphone.
    Mute(bool),
    /// Close or open the ears.
    Deafen(bool),
    /// Take sound from elsewhere.
    Input(String),
    /// Bring sound elsewhere.
    Output(String),
}

/// How a session ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// In good order.
    Left,
    /// Nobody answered.
    Unreachable(String),
    /// Somebody answered, but would not have us.
    Refused(String),
}
