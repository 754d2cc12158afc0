//! Who may come in, the sealed identity file and the session's safety number, byte for byte as the independent Python script composes them.

use rand_core::{TryCryptoRng, TryRng};
use resonance_protocol::authority::{Authority, SecretCommitment, Signer, State, Statement};
use resonance_protocol::contacts::Contact;
use resonance_protocol::identity::{AuthorityKey, IdentityKey, IdentityPublic};
use resonance_protocol::identity_file::KeptIdentity;
use resonance_protocol::link::{Link, SessionSecret};
use resonance_protocol::safety_number::SafetyNumber;
use std::convert::Infallible;

/// Draws bytes that count up.
struct Counting(u8);

impl TryRng for Counting {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        unreachable!("only bytes are drawn")
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        unreachable!("only bytes are drawn")
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        for byte in bytes {
            *byte = self.0;
            self.0 = self.0.wrapping_add(1);
        }
        Ok(())
    }
}

impl TryCryptoRng for Counting {}

fn number(name: &str) -> &'static str {
    let lines = include_str!("vectors/resonance.txt").lines();
    lines.filter_map(|line| line.split_once('=')).find(|(key, _)| *key == name).expect("a number of that name").1
}

fn public(start: u8) -> IdentityPublic {
    IdentityKey::generate(&mut Counting(start)).public()
}

fn shown(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Locked; one is removed and the session handed over; the successor unlocks.
#[test]
fn the_statements_are_those_of_the_independent_reading() {
    let session = Link::find(number("link")).unwrap().keys().session_id;
    let (host, bo) = (AuthorityKey::generate(&mut Counting(0x01)), IdentityKey::generate(&mut Counting(0x33)));
    let mut state = State::default();
    state.lock([public(0x33), public(0x55)]);
    let first = Statement::sign(None, Signer::Creator(&host), &session, state.clone(), None).unwrap();
    let secret = SessionSecret::generate(&mut Counting(0xB0));
    state.remove(public(0x55), SecretCommitment::of(&session, &secret));
    let second = Statement::sign(Some(&first), Signer::Creator(&host), &session, state.clone(), Some(bo.public()));
    let second = second.unwrap();
    state.unlock();
    let third = Statement::sign(Some(&second), Signer::Successor(&bo), &session, state.clone(), None).unwrap();
    for (name, statement) in [("statement_1", &first), ("statement_2", &second), ("statement_3", &third)] {
        assert_eq!(shown(&statement.to_bytes()), number(name), "{name}");
    }
    let read = Statement::verify(&third.to_bytes(), &session, &host.hash()).unwrap();
    assert_eq!((read.state(), read.authority()), (&state, Authority::Successor(bo.public())));
}

#[test]
fn the_identity_file_is_that_of_the_independent_reading() {
    let mut al = KeptIdentity::generate("Al 🎧", &mut Counting(0x11));
    let contact =
        |name: &str, first_met, last_met, verified| Contact { name: name.into(), first_met, last_met, verified };
    al.contacts.insert(public(0x33), contact("Bo", 1_800_000_000, 1_800_086_400, true));
    al.contacts.insert(public(0x55), contact("Zoë 🦊", 1, 1 << 40, false));
    // The salt's 16 bytes count up from D0, and so the nonce's from E0.
    let file = al.seal("caf\u{e9} au lait", &mut Counting(0xD0)).unwrap();
    assert_eq!(shown(&file), number("identity_file"));
    let opened = KeptIdentity::open(&file, "cafe\u{301} au lait").unwrap();
    assert_eq!((opened.name.as_str(), opened.public(), &opened.contacts), ("Al 🎧", public(0x11), &al.contacts));
}

#[test]
fn the_session_number_is_that_of_the_independent_reading() {
    let everyone = [public(0x55), public(0x11), public(0x33)];
    assert_eq!(SafetyNumber::of_session(everyone).to_string(), number("session_number"));
}
