//! What is asked and answered, as DNS messages (RFC 1035, RFC 6763).

use super::{MAX_PEOPLE, MAX_ROOM_BYTES};
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::{PTR, TXT};
use hickory_proto::rr::{Name, RData, Record, RecordType};

/// The kind of service that is asked for.
const SERVICE: &str = "_resonance._udp.local.";
/// Seconds that an answer may be remembered: RFC 6762 §6.7 wants no more than ten.
const TTL_S: u32 = 5;
/// Rooms that are read out of one answer: a program is in one, and proxies may tell of a few.
const MAX_IN_ANSWER: usize = 4;
const ROOM: &[u8] = b"room=";
const PEOPLE: &[u8] = b"people=";

/// A room as somebody tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    /// Its name: not empty, bounded, without control characters; not cleaned otherwise.
    pub(super) room: String,
    /// How many there are, at least one.
    pub(super) people: u8,
}

fn service() -> Option<Name> {
    Name::from_ascii(SERVICE).ok()
}

/// Which rooms are there?
pub(super) fn question(id: u16) -> Option<Vec<u8>> {
    let mut message = Message::new(id, MessageType::Query, OpCode::Query);
    let mut query = Query::query(service()?, RecordType::PTR);
    query.set_mdns_unicast_response(true);
    message.add_query(query);
    message.to_vec().ok()
}

/// The number and the words of a question for rooms; `None` if it is anything else.
pub(super) fn asked(datagram: &[u8]) -> Option<(u16, Query)> {
    let message = Message::from_vec(datagram).ok()?;
    let is_query = message.metadata.message_type == MessageType::Query && message.metadata.op_code == OpCode::Query;
    let service = service()?;
    let ours = |query: &Query| query.name == service && matches!(query.query_type, RecordType::PTR | RecordType::ANY);
    let mut queries = message.queries.into_iter();
    let query = queries.find(ours).filter(|_| is_query)?;
    Some((message.metadata.id, query))
}

/// `instance` is in this room. The question is repeated, as whoever asks once expects it.
pub(super) fn answer(id: u16, query: Query, instance: &str, told: &Told) -> Option<Vec<u8>> {
    let service = service()?;
    let name = service.prepend_label(instance).ok()?;
    let texts = [[ROOM, told.room.as_bytes()].concat(), [PEOPLE, told.people.to_string().as_bytes()].concat()];
    let texts = texts.iter().map(Vec::as_slice).collect();
    let mut message = Message::new(id, MessageType::Response, OpCode::Query);
    message.metadata.authoritative = true;
    message.add_query(query);
    message.add_answer(Record::from_rdata(service, TTL_S, RData::PTR(PTR(name.clone()))));
    message.add_additional(Record::from_rdata(name, TTL_S, RData::TXT(TXT::from_bytes(texts))));
    message.to_vec().ok()
}

/// The number of the question that is answered, and the rooms.
pub(super) fn answered(datagram: &[u8]) -> Option<(u16, Vec<Told>)> {
    let message = Message::from_vec(datagram).ok()?;
    if message.metadata.message_type != MessageType::Response {
        return None;
    }
    let service = service()?;
    let records = message.answers.iter().chain(&message.additionals);
    let texts = records.filter(|record| service.zone_of(&record.name)).filter_map(|record| match &record.data {
        RData::TXT(text) => told(text),
        _ => None,
    });
    Some((message.metadata.id, texts.take(MAX_IN_ANSWER).collect()))
}

fn told(text: &TXT) -> Option<Told> {
    let value = |key: &[u8]| text.txt_data.iter().find_map(|text| text.strip_prefix(key));
    let room = fit(std::str::from_utf8(value(ROOM)?).ok()?)?;
    let people = value(PEOPLE).and_then(|people| std::str::from_utf8(people).ok()?.parse::<u8>().ok());
    Some(Told { room, people: people.unwrap_or(1).clamp(1, MAX_PEOPLE) })
}

/// The name, if it may be told at all.
pub(super) fn fit(room: &str) -> Option<String> {
    let fits = !room.is_empty() && room.len() <= MAX_ROOM_BYTES && !room.chars().any(char::is_control);
    fits.then(|| room.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{Rng, RngExt, SeedableRng};

    fn of(texts: &[&[u8]]) -> Option<Told> {
        told(&TXT::from_bytes(texts.to_vec()))
    }

    fn den(people: u8) -> Told {
        Told { room: "den".into(), people }
    }

    #[test]
    fn what_is_asked_is_answered() {
        let question = question(7).expect("a question");
        let (id, query) = asked(&question).expect("it is one");
        let told = Told { room: "Küche 厨".into(), people: 3 };
        let answer = answer(id, query, "0a1b2c3d", &told).expect("an answer");
        assert!(answer.len() < 250, "{} bytes: no more than a few times the question", answer.len());
        assert_eq!(answered(&answer), Some((7, vec![told])));
        assert_eq!((asked(&answer), answered(&question)), (None, None), "one is not taken for the other");
    }

    #[test]
    fn other_questions_are_not_answered() {
        let mut message = Message::new(1, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(Name::from_ascii("_p2p._udp.local.").expect("a name"), RecordType::PTR));
        assert_eq!(asked(&message.to_vec().expect("a message")), None);
    }

    #[test]
    fn names_are_bounded_and_steer_nothing_and_numbers_are_brought_into_range() {
        assert_eq!(of(&[b"room=den", b"people=3"]), Some(den(3)));
        for (people, shown) in [("0", 1), ("200", MAX_PEOPLE), ("70000", 1), ("-1", 1), ("x", 1)] {
            assert_eq!(of(&[b"room=den", format!("people={people}").as_bytes()]), Some(den(shown)), "{people}");
        }
        assert_eq!(of(&[b"room=den"]), Some(den(1)));
        for evil in ["", "a\u{1b}[2J", "a\nb", "\u{9b}31m", "a\u{7}"] {
            assert_eq!(of(&[format!("room={evil}").as_bytes()]), None, "{evil:?}");
        }
        assert_eq!(of(&[b"room=\xff\xfe"]), None);
        assert_eq!(of(&[b"people=3"]), None);
        assert!(of(&[format!("room={}", "x".repeat(64)).as_bytes()]).is_some());
        assert!(of(&[format!("room={}", "x".repeat(65)).as_bytes()]).is_none());
    }

    #[test]
    fn an_answer_tells_of_a_few_rooms_at_most() {
        let name = service().and_then(|service| service.prepend_label("x").ok()).expect("a name");
        let mut message = Message::new(1, MessageType::Response, OpCode::Query);
        for room in 0..20 {
            let text = format!("room={room}");
            message.add_additional(Record::from_rdata(
                name.clone(),
                5,
                RData::TXT(TXT::from_bytes(vec![text.as_bytes()])),
            ));
        }
        let elsewhere = Name::from_ascii("x._other._udp.local.").expect("a name");
        message.add_answer(Record::from_rdata(elsewhere, 5, RData::TXT(TXT::from_bytes(vec![b"room=no"]))));
        let (_, told) = answered(&message.to_vec().expect("a message")).expect("an answer");
        let rooms: Vec<&str> = told.iter().map(|told| told.room.as_str()).collect();
        assert_eq!(rooms, ["0", "1", "2", "3"]);
    }

    #[test]
    fn chance_never_panics() {
        let mut rng = StdRng::seed_from_u64(1);
        let (id, query) = question(1).and_then(|question| asked(&question)).expect("a question");
        let whole = answer(id, query, "x", &den(2)).expect("an answer");
        for _ in 0..20_000 {
            let mut datagram = whole.clone();
            for _ in 0..rng.random_range(1..6) {
                let at = rng.random_range(0..datagram.len());
                datagram[at] = rng.random();
            }
            datagram.truncate(rng.random_range(0..=whole.len()));
            let told = answered(&datagram).map(|(_, told)| told).unwrap_or_default();
            assert!(told.iter().all(|told| fit(&told.room).is_some()));
            let _ = asked(&datagram);
            rng.fill_bytes(&mut datagram);
            let _ = (asked(&datagram), answered(&datagram));
        }
    }
}
