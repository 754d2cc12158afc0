//! What a session wants done: everything goes out through these.

use super::notice::Notice;
use super::protection::Given;
use crate::command::Space;
use resonance_protocol::contacts::ContactBook;
use resonance_protocol::media::{HopOpener, HopSealer, KeyId, OpeningKey, Sealer};
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
    /// Be found under `own` in the distributed hash table, and look for others under `keys`.
    Meet {
        /// This hour's key.
        own: [u8; 32],
        /// This hour's, the last one's and the next one's: clocks differ.
        keys: Vec<[u8; 32]>,
        /// We know nobody yet and want to be let in.
        seeking: bool,
    },
    /// Drop the transport connections.
    Disconnect(TransportId),
    /// Connect to a peer anew, in place of connections that may be dead.
    Renew {
        /// Whom.
        peer: TransportId,
        /// Where, besides where it was before.
        addresses: Vec<Address>,
    },
    /// Start a media connection by making an offer, beside the one there may be.
    OpenMedia {
        /// With whom.
        peer: TransportId,
        /// Of the negotiation.
        number: u64,
        /// There is one already: a direct way may take its time.
        patient: bool,
    },
    /// Start a media connection by answering this offer, beside the one there may be.
    AcceptOffer {
        /// Whose.
        peer: TransportId,
        /// SDP text.
        sdp: String,
        /// Of the negotiation.
        number: u64,
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
    /// Keep a sealed stream to a peer open, or no more.
    Stream {
        /// To whom.
        peer: TransportId,
        /// Open.
        on: bool,
    },
    /// End all media to a peer.
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
    /// What somebody is called whose packets will come.
    Name {
        /// Who.
        peer: TransportId,
        /// Sanitised, unique here.
        name: String,
    },
    /// Somebody's packets will come.
    AddLane(TransportId),
    /// Somebody's packets can be opened with this too.
    OpeningKey {
        /// Whose.
        peer: TransportId,
        /// One generation's key.
        key: Box<OpeningKey>,
    },
    /// Seal for somebody's stream with this from now on.
    HopSealer {
        /// For whom.
        peer: TransportId,
        /// The seal.
        hop: Box<HopSealer>,
    },
    /// What comes by somebody's stream can be opened with this, too.
    HopOpener {
        /// Whose.
        peer: TransportId,
        /// The seal.
        hop: Box<HopOpener>,
    },
    /// Seal every packet for somebody's stream, too, or no more.
    Stream {
        /// For whom.
        peer: TransportId,
        /// Seal.
        on: bool,
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
    /// Send at this rate, with so many earlier frames beside each.
    Give(Given),
    /// Close or open the microphone.
    Mute(bool),
    /// Close or open the ears.
    Deafen(bool),
    /// Record everybody: in this folder, or where recordings go.
    Record(Option<String>),
    /// Record no more.
    StopRecording,
    /// Take sound from elsewhere.
    Input(String),
    /// Bring sound elsewhere.
    Output(String),
    /// Process the own voice otherwise.
    Voice(&'static str),
    /// Place voices with something else.
    Space(Space),
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
