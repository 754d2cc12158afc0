//! Signals as CBOR maps with small integer keys: 0 is the kind, 1… are its fields. Later versions may add fields and kinds.

use super::{ByeReason, MediaKey, RekeyReason, RosterEntry, Ruling, Signal, Verdict};
use crate::authority::Statement;
use crate::handshake::MAX_NAME;
use crate::identity::IdentityPublic;
use crate::link::SessionSecret;
use crate::media::KeyId;
use crate::peer::{Address, TransportId};
use minicbor::data::Type;
use minicbor::{Decoder, Encoder};
use zeroize::Zeroizing;

/// Numbers of the kinds on the wire; those of later versions are never given to something else.
mod kind {
    pub const OFFER: u32 = 1;
    pub const ANSWER: u32 = 2;
    pub const CANDIDATE: u32 = 3;
    pub const MEDIA_KEY: u32 = 4;
    pub const MEDIA_KEY_ACK: u32 = 5;
    pub const ROSTER: u32 = 6;
    pub const STATE: u32 = 7;
    pub const QUALITY: u32 = 8;
    pub const TEXT: u32 = 9;
    pub const PING: u32 = 10;
    pub const PONG: u32 = 11;
    pub const BYE: u32 = 12;
    pub const RULING: u32 = 13;
    pub const KNOCK: u32 = 14;
    pub const ADMIT: u32 = 15;
    pub const KEPT: u32 = 32;
    pub const RECONNECT: u32 = 33;
}

/// The key of the kind.
const KIND: u32 = 0;
/// Fields 1 to this are known in some kind.
const FIELDS: usize = 6;
/// Jitter and buffers above this are nonsense: a minute, in ms.
const MAX_MS: f32 = 60_000.0;

type Out<'a> = Encoder<&'a mut Vec<u8>>;
type Written = Result<(), minicbor::encode::Error<std::convert::Infallible>>;

/// Writes a signal; `None` when it is out of bounds.
pub(super) fn encode(signal: &Signal) -> Option<Zeroizing<Vec<u8>>> {
    in_bounds(signal).then_some(())?;
    // As large as a signal gets, so that no outgrown buffer stays behind in memory.
    let mut cbor = Zeroizing::new(Vec::with_capacity(Signal::MAX_PADDED));
    write(signal, &mut Encoder::new(&mut cbor)).ok()?;
    Some(cbor)
}

fn in_bounds(signal: &Signal) -> bool {
    match signal {
        Signal::Offer { sdp, .. } | Signal::Answer { sdp, .. } => sdp.len() <= Signal::MAX_SDP,
        Signal::Candidate { candidate, mid, .. } => {
            candidate.len() <= Signal::MAX_CANDIDATE && mid.len() <= Signal::MAX_MID
        }
        Signal::MediaKey(key) => key.generation <= KeyId::MAX_GENERATION && key.step <= KeyId::MAX_STEP,
        Signal::Roster(entries) => {
            entries.len() <= Signal::MAX_ROSTER
                && entries.iter().all(|entry| entry.addresses.len() <= Signal::MAX_ADDRESSES)
        }
        Signal::Text { body, .. } => body.len() <= Signal::MAX_TEXT,
        Signal::Ruling(ruling) => ruling.statement.len() <= Statement::MAX_LEN,
        Signal::Knock { name, .. } => name.len() <= MAX_NAME,
        Signal::Unknown => false,
        _ => true,
    }
}

fn write(signal: &Signal, out: &mut Out<'_>) -> Written {
    let start = |out: &mut Out<'_>, fields: u64, kind: u32| -> Written {
        out.map(fields.saturating_add(1))?.u32(KIND)?.u32(kind)?;
        Ok(())
    };
    match signal {
        Signal::Offer { sdp, number } => {
            start(out, 2, kind::OFFER)?;
            out.u8(1)?.str(sdp)?.u8(2)?.u64(*number)?;
        }
        Signal::Answer { sdp, number } => {
            start(out, 2, kind::ANSWER)?;
            out.u8(1)?.str(sdp)?.u8(2)?.u64(*number)?;
        }
        Signal::Candidate { candidate, mid, number } => {
            start(out, 3, kind::CANDIDATE)?;
            out.u8(1)?.str(candidate)?.u8(2)?.str(mid)?.u8(3)?.u64(*number)?;
        }
        Signal::MediaKey(key) => {
            start(out, 6, kind::MEDIA_KEY)?;
            out.u8(1)?.u64(key.generation)?.u8(2)?.u8(key.step)?;
            out.u8(3)?.bytes(key.secret.as_slice())?.u8(4)?.bytes(&key.recipients_hash)?;
            out.u8(5)?.bytes(key.hop_key.as_slice())?.u8(6)?.u8(match key.reason {
                RekeyReason::Join => 0,
                RekeyReason::Leave => 1,
                RekeyReason::Timer => 2,
                RekeyReason::Kick => 3,
            })?;
        }
        Signal::MediaKeyAck { generation } => {
            start(out, 1, kind::MEDIA_KEY_ACK)?;
            out.u8(1)?.u64(*generation)?;
        }
        Signal::Roster(entries) => {
            start(out, 1, kind::ROSTER)?;
            out.u8(1)?.array(entries.len() as u64)?;
            entries.iter().try_for_each(|entry| write_entry(entry, out))?;
        }
        Signal::State { muted, deafened, recording } => {
            start(out, 3, kind::STATE)?;
            out.u8(1)?.bool(*muted)?.u8(2)?.bool(*deafened)?.u8(3)?.bool(*recording)?;
        }
        Signal::Quality { loss, jitter_ms, buffer_ms, burst, queue_ms, sending_ms } => {
            start(out, 6, kind::QUALITY)?;
            out.u8(1)?.f32(share(*loss))?;
            for (key, number) in (2..).zip([jitter_ms, buffer_ms, burst, queue_ms, sending_ms]) {
                out.u8(key)?.f32(milliseconds(*number))?;
            }
        }
        Signal::Text { body, number } => {
            start(out, 2, kind::TEXT)?;
            out.u8(1)?.str(body)?.u8(2)?.u64(*number)?;
        }
        Signal::Ping { id } => {
            start(out, 1, kind::PING)?;
            out.u8(1)?.u64(*id)?;
        }
        Signal::Pong { id } => {
            start(out, 1, kind::PONG)?;
            out.u8(1)?.u64(*id)?;
        }
        Signal::Bye { reason } => {
            start(out, 1, kind::BYE)?;
            out.u8(1)?.u8(match reason {
                ByeReason::Leaving => 0,
                ByeReason::Full => 1,
                ByeReason::Kicked => 2,
                ByeReason::Refused => 3,
                ByeReason::Expired => 4,
                ByeReason::Other => 255,
            })?;
        }
        Signal::Ruling(Ruling { statement, secret }) => {
            start(out, 1_u64.saturating_add(u64::from(secret.is_some())), kind::RULING)?;
            out.u8(1)?.bytes(statement)?;
            if let Some(secret) = secret {
                out.u8(2)?.bytes(secret.as_bytes())?;
            }
        }
        Signal::Knock { transport, identity, name } => {
            start(out, 3, kind::KNOCK)?;
            out.u8(1)?.bytes(transport.as_bytes())?.u8(2)?.bytes(identity.as_bytes())?.u8(3)?.str(name)?;
        }
        Signal::Admit { identity, verdict } => {
            start(out, 2, kind::ADMIT)?;
            out.u8(1)?.bytes(identity.as_bytes())?.u8(2)?.u8(match verdict {
                Verdict::Refused => 0,
                Verdict::Admitted => 1,
                Verdict::Gone => 2,
            })?;
        }
        Signal::Kept => start(out, 0, kind::KEPT)?,
        Signal::Reconnect => start(out, 0, kind::RECONNECT)?,
        Signal::Unknown => {}
    }
    Ok(())
}

fn write_entry(entry: &RosterEntry, out: &mut Out<'_>) -> Written {
    out.map(3)?.u8(1)?.bytes(entry.transport.as_bytes())?.u8(2)?.bytes(entry.identity.as_bytes())?;
    out.u8(3)?.array(entry.addresses.len() as u64)?;
    for address in &entry.addresses {
        let mut compact = Vec::with_capacity(Address::IPV6_LEN);
        address.write(&mut compact);
        out.bytes(&compact)?;
    }
    Ok(())
}

/// Reads a signal; `None` when it is not one.
pub(super) fn decode(cbor: &[u8]) -> Option<Signal> {
    let (fields, end) = Fields::read(Decoder::new(cbor))?;
    if end != cbor.len() {
        return None;
    }
    Some(match fields.kind? {
        kind::OFFER => Signal::Offer { sdp: fields.text(1, Signal::MAX_SDP)?, number: fields.number_or_0(2)? },
        kind::ANSWER => Signal::Answer { sdp: fields.text(1, Signal::MAX_SDP)?, number: fields.number_or_0(2)? },
        kind::CANDIDATE => Signal::Candidate {
            candidate: fields.text(1, Signal::MAX_CANDIDATE)?,
            mid: fields.text(2, Signal::MAX_MID)?,
            number: fields.number_or_0(3)?,
        },
        kind::MEDIA_KEY => Signal::MediaKey(MediaKey {
            generation: fields.number(1).filter(|&generation| generation <= KeyId::MAX_GENERATION)?,
            step: fields.number(2).and_then(|step| u8::try_from(step).ok()).filter(|&step| step <= KeyId::MAX_STEP)?,
            secret: Zeroizing::new(fields.bytes(3)?),
            recipients_hash: fields.bytes(4)?,
            hop_key: Zeroizing::new(fields.bytes(5)?),
            reason: match fields.number(6)? {
                0 => RekeyReason::Join,
                2 => RekeyReason::Timer,
                3 => RekeyReason::Kick,
                // Reasons of later versions, too: older keys are erased soonest after a leave.
                _ => RekeyReason::Leave,
            },
        }),
        kind::MEDIA_KEY_ACK => Signal::MediaKeyAck { generation: fields.number(1)? },
        kind::ROSTER => Signal::Roster(list(fields.at(1)?, Signal::MAX_ROSTER, |item| Some(Some(read_entry(item)?)))?),
        kind::STATE => Signal::State {
            muted: fields.at(1)?.bool().ok()?,
            deafened: fields.at(2)?.bool().ok()?,
            recording: fields.at(3).map_or(Some(false), |mut field| field.bool().ok())?,
        },
        kind::QUALITY => Signal::Quality {
            loss: share(fields.at(1)?.f32().ok()?),
            jitter_ms: milliseconds(fields.at(2)?.f32().ok()?),
            buffer_ms: milliseconds(fields.at(3)?.f32().ok()?),
            burst: milliseconds(fields.at(4).map_or(Some(0.0), |mut field| field.f32().ok())?),
            queue_ms: milliseconds(fields.at(5).map_or(Some(0.0), |mut field| field.f32().ok())?),
            sending_ms: milliseconds(fields.at(6).map_or(Some(0.0), |mut field| field.f32().ok())?),
        },
        kind::TEXT => Signal::Text { body: fields.text(1, Signal::MAX_TEXT)?, number: fields.number_or_0(2)? },
        kind::PING => Signal::Ping { id: fields.number(1)? },
        kind::PONG => Signal::Pong { id: fields.number(1)? },
        kind::BYE => Signal::Bye {
            reason: match fields.number(1)? {
                0 => ByeReason::Leaving,
                1 => ByeReason::Full,
                2 => ByeReason::Kicked,
                3 => ByeReason::Refused,
                4 => ByeReason::Expired,
                _ => ByeReason::Other,
            },
        },
        kind::RULING => Signal::Ruling(Ruling {
            statement: fields.long_bytes(1, Statement::MAX_LEN)?,
            secret: match fields.at(2) {
                Some(_) => Some(SessionSecret::from_bytes(fields.bytes(2)?)),
                None => None,
            },
        }),
        kind::KNOCK => Signal::Knock {
            transport: TransportId::from_bytes(fields.bytes(1)?),
            identity: IdentityPublic::from_bytes(fields.bytes(2)?),
            name: fields.text(3, MAX_NAME)?,
        },
        kind::ADMIT => Signal::Admit {
            identity: IdentityPublic::from_bytes(fields.bytes(1)?),
            verdict: match fields.number(2)? {
                0 => Verdict::Refused,
                1 => Verdict::Admitted,
                2 => Verdict::Gone,
                _ => return None,
            },
        },
        kind::KEPT => Signal::Kept,
        kind::RECONNECT => Signal::Reconnect,
        _ => Signal::Unknown,
    })
}

fn read_entry(item: &mut Decoder<'_>) -> Option<RosterEntry> {
    let (fields, end) = Fields::read(item.clone())?;
    item.set_position(end);
    // An address of a kind that later versions have is left out; the others are still of use.
    let addresses = list(fields.at(3)?, Signal::MAX_ADDRESSES, |item| {
        let compact = item.bytes().ok()?;
        Some(Address::parse(compact).filter(|(_, rest)| rest.is_empty()).map(|(address, _)| address))
    })?;
    let transport = TransportId::from_bytes(fields.bytes(1)?);
    Some(RosterEntry { transport, identity: IdentityPublic::from_bytes(fields.bytes(2)?), addresses })
}

/// Reads a definite-length array of at most `max` items, leaving out those that are `Some(None)`.
fn list<T>(
    mut array: Decoder<'_>,
    max: usize,
    mut item: impl FnMut(&mut Decoder<'_>) -> Option<Option<T>>,
) -> Option<Vec<T>> {
    let len = array.array().ok()??;
    if len > max as u64 {
        return None;
    }
    let items = (0..len).map(|_| item(&mut array)).collect::<Option<Vec<_>>>()?;
    Some(items.into_iter().flatten().collect())
}

/// Where the fields of a map begin.
struct Fields<'a> {
    map: Decoder<'a>,
    kind: Option<u32>,
    places: [Option<usize>; FIELDS],
}

impl<'a> Fields<'a> {
    /// Goes over a definite-length map; gives its fields and where it ends. No key may come twice.
    fn read(mut map: Decoder<'a>) -> Option<(Self, usize)> {
        let mut fields = Self { map: map.clone(), kind: None, places: [None; FIELDS] };
        for _ in 0..map.map().ok()?? {
            let key = map.u32().ok()?;
            if key == KIND {
                // A kind beyond 32 bits is unknown, like any other that is not in the table.
                let kind = u32::try_from(map.u64().ok()?).unwrap_or(u32::MAX);
                fields.kind.replace(kind).is_none().then_some(())?;
                continue;
            }
            if let Some(place) = (key as usize).checked_sub(1).and_then(|index| fields.places.get_mut(index)) {
                place.replace(map.position()).is_none().then_some(())?;
            }
            map.skip().ok()?;
        }
        Some((fields, map.position()))
    }

    /// A decoder that stands before the field.
    fn at(&self, key: usize) -> Option<Decoder<'a>> {
        let place = (*self.places.get(key.checked_sub(1)?)?)?;
        let mut field = self.map.clone();
        field.set_position(place);
        Some(field)
    }

    fn number(&self, key: usize) -> Option<u64> {
        self.at(key)?.u64().ok()
    }

    /// A number that need not be there.
    fn number_or_0(&self, key: usize) -> Option<u64> {
        self.at(key).map_or(Some(0), |mut field| field.u64().ok())
    }

    fn bytes<const LEN: usize>(&self, key: usize) -> Option<[u8; LEN]> {
        self.at(key)?.bytes().ok()?.try_into().ok()
    }

    fn long_bytes(&self, key: usize, max: usize) -> Option<Vec<u8>> {
        let bytes = self.at(key)?.bytes().ok()?;
        (bytes.len() <= max).then(|| bytes.to_vec())
    }

    fn text(&self, key: usize, max: usize) -> Option<String> {
        let mut field = self.at(key)?;
        // A text in pieces (indefinite length) is not what we write.
        (field.datatype().ok()? == Type::String).then_some(())?;
        let text = field.str().ok()?;
        (text.len() <= max).then(|| text.to_owned())
    }
}

/// Within 0–1; what is not a number is 0.
fn share(value: f32) -> f32 {
    if value.is_nan() { 0.0 } else { value.clamp(0.0, 1.0) }
}

/// Within 0–[`MAX_MS`], also where it counts packets; what is not a number is 0.
fn milliseconds(value: f32) -> f32 {
    if value.is_nan() { 0.0 } else { value.clamp(0.0, MAX_MS) }
}
