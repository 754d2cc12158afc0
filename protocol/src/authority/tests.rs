//! Stories of hosts, successors and forgers.

use super::*;
use crate::link::SessionSecret;
use rand::{RngExt, SeedableRng, rngs::StdRng};

const SESSION: SessionId = SessionId::from_bytes([5; 16]);

struct Cast {
    rng: StdRng,
    host: AuthorityKey,
    bo: IdentityKey,
    cy: IdentityKey,
}

fn cast(seed: u64) -> Cast {
    let mut rng = StdRng::seed_from_u64(seed);
    let (host, bo, cy) =
        (AuthorityKey::generate(&mut rng), IdentityKey::generate(&mut rng), IdentityKey::generate(&mut rng));
    Cast { rng, host, bo, cy }
}

impl Cast {
    fn state(&mut self, admitted: usize, removed: usize) -> State {
        let mut state = State::default();
        let mut identity = || IdentityKey::generate(&mut self.rng).public();
        let (admitted, removed): (Vec<_>, Vec<_>) =
            ((0..admitted).map(|_| identity()).collect(), (0..removed).map(|_| identity()).collect());
        if !admitted.is_empty() {
            state.lock(admitted);
        }
        for identity in removed {
            state.remove(identity, SecretCommitment::of(&SESSION, &SessionSecret::from_bytes([1; 16])));
        }
        state
    }

    fn hosts(&mut self, before: Option<&Statement>) -> Statement {
        let state = self.state(2, 1);
        Statement::sign(before, Signer::Creator(&self.host), &SESSION, state, None).unwrap()
    }

    fn hand_over(&mut self, before: &Statement, to: IdentityPublic) -> Statement {
        Statement::sign(Some(before), Signer::Creator(&self.host), &SESSION, before.state.clone(), Some(to)).unwrap()
    }

    fn read(&self, statement: &Statement) -> Result<Statement, Refused> {
        Statement::verify(&statement.to_bytes(), &SESSION, &self.host.hash())
    }
}

fn by(key: &IdentityKey, before: &Statement, to: Option<IdentityPublic>) -> Result<Statement, SignError> {
    Statement::sign(Some(before), Signer::Successor(key), &SESSION, before.state.clone(), to)
}

#[test]
fn whoever_has_the_link_checks_a_statement_and_nobody_else_can_make_one() {
    let mut cast = cast(1);
    let stated = cast.hosts(None);
    let read = cast.read(&stated).unwrap();
    assert_eq!((read.state(), read.sequence(), read.authority()), (stated.state(), 1, Authority::Creator));
    assert_eq!((read.state().admitted().len(), read.state().removed().len()), (2, 1));
    assert_eq!(read.to_bytes(), stated.to_bytes(), "one encoding");
    let bytes = stated.to_bytes();
    assert!(Statement::verify(&bytes, &SessionId::from_bytes([6; 16]), &cast.host.hash()).is_err(), "another session");
    let other = AuthorityKey::generate(&mut cast.rng);
    assert!(Statement::verify(&bytes, &SESSION, &other.hash()).is_err(), "another link");
    assert!(matches!(by(&cast.bo, &stated, None), Err(SignError::NotTheAuthority)));
    let forged = Statement { signature: cast.bo.sign(&stated.mark.message(&SESSION)), ..stated.clone() };
    assert!(cast.read(&forged).is_err(), "a member's signature is not the authority's");
    let state = cast.state(1, 0);
    let first = Statement::sign(None, Signer::Successor(&cast.bo), &SESSION, state, None);
    assert!(matches!(first, Err(SignError::NotTheAuthority)), "nobody succeeds before anything was handed over");
}

#[test]
fn any_altered_byte_and_any_missing_byte_is_refused() {
    let mut cast = cast(2);
    let first = cast.hosts(None);
    let handed = cast.hand_over(&first, cast.bo.public());
    let stated = by(&cast.bo, &handed, None).unwrap();
    for stated in [first, handed, stated] {
        let bytes = stated.to_bytes();
        for at in 0..bytes.len() {
            let mut altered = bytes.clone();
            altered[at] ^= 1 << (at % 8);
            assert!(Statement::verify(&altered, &SESSION, &cast.host.hash()).is_err(), "byte {at}");
            assert!(Statement::verify(&bytes[..at], &SESSION, &cast.host.hash()).is_err(), "{at} bytes");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(Statement::verify(&longer, &SESSION, &cast.host.hash()).is_err());
    }
}

#[test]
fn a_chain_of_handovers_convinces_a_newcomer_who_has_only_the_link() {
    let mut cast = cast(3);
    let first = cast.hosts(None);
    let to_bo = cast.hand_over(&first, cast.bo.public());
    assert_eq!(to_bo.authority(), Authority::Successor(cast.bo.public()));
    let to_cy = by(&cast.bo, &to_bo, Some(cast.cy.public())).unwrap();
    let by_cy = by(&cast.cy, &to_cy, None).unwrap();
    let read = cast.read(&by_cy).unwrap();
    assert_eq!((read.sequence(), read.authority()), (4, Authority::Successor(cast.cy.public())));
    let after_handover = Statement::sign(Some(&to_bo), Signer::Creator(&cast.host), &SESSION, State::default(), None);
    assert!(matches!(after_handover, Err(SignError::NotTheAuthority)));
    assert!(matches!(by(&cast.bo, &to_cy, None), Err(SignError::NotTheAuthority)));

    // The chain ends somewhere: one can be handed over to oneself until it is full.
    let mut last = by_cy;
    while let Ok(next) = by(&cast.cy, &last, Some(cast.cy.public())) {
        assert!(next.to_bytes().len() <= Statement::MAX_LEN);
        last = cast.read(&next).unwrap();
    }
    assert_eq!(last.chain().len(), Statement::MAX_HANDOVERS);
    assert!(by(&cast.cy, &last, None).is_ok(), "the last authority can still speak");
    // It cannot go on by itself either.
    for successor in [Some(cast.cy.public()), None] {
        let mark = Mark { sequence: last.mark.sequence + 1, successor, ..last.mark };
        let signature = cast.cy.sign(&mark.message(&SESSION));
        last = Statement { handovers: last.chain(), mark, signature, ..last };
    }
    assert!(last.to_bytes().len() < Statement::MAX_LEN && cast.read(&last).is_err(), "nine handovers");
}

#[test]
fn the_longest_statement_is_as_long_as_promised() {
    let mut cast = cast(4);
    let state = cast.state(0, 0);
    let mut last = Statement::sign(None, Signer::Creator(&cast.host), &SESSION, state, Some(cast.cy.public())).unwrap();
    while last.chain().len() < Statement::MAX_HANDOVERS {
        last = by(&cast.cy, &last, Some(cast.cy.public())).unwrap();
    }
    let state = cast.state(State::MAX_LISTED + 3, State::MAX_LISTED + 3);
    let last = Statement::sign(Some(&last), Signer::Successor(&cast.cy), &SESSION, state, None).unwrap();
    assert_eq!(last.to_bytes().len(), Statement::MAX_LEN);
    assert!(cast.read(&last).is_ok());
}

#[test]
fn the_highest_sequence_wins_and_two_meanings_of_one_are_a_conflict() {
    let mut cast = cast(5);
    let first = cast.hosts(None);
    let (second, other_second) = (cast.hosts(Some(&first)), cast.hosts(Some(&first)));
    let third = cast.hosts(Some(&other_second));
    assert_eq!(second.standing(&first), Standing::Newer);
    assert_eq!(first.standing(&second), Standing::Older);
    assert_eq!(second.standing(&second), Standing::Same);
    assert_eq!(other_second.standing(&second), Standing::Conflict);
    assert_eq!(third.standing(&second), Standing::Newer, "and the next one settles it");
}

#[test]
fn a_handover_cannot_be_taken_back_or_made_twice() {
    let mut cast = cast(6);
    let first = cast.hosts(None);
    let second = cast.hosts(Some(&first));
    let to_bo = cast.hand_over(&second, cast.bo.public());
    let by_bo = by(&cast.bo, &to_bo, None).unwrap();
    let (to_cy, regret) = (cast.hand_over(&second, cast.cy.public()), cast.hosts(Some(&second)));
    let later_regret = cast.hosts(Some(&regret));
    let by_cy = by(&cast.cy, &to_cy, None).unwrap();
    for known in [&to_bo, &by_bo] {
        assert_eq!(first.standing(known), Standing::Older);
        assert_eq!(second.standing(known), Standing::Older);
        for false_word in [&to_cy, &regret, &later_regret, &by_cy] {
            assert_eq!(false_word.standing(known), Standing::Conflict);
        }
    }
    for late in [&to_bo, &by_bo] {
        assert_eq!(late.standing(&later_regret), Standing::Conflict, "who saw the false word first is told, too");
    }
    assert_eq!(to_bo.standing(&to_bo), Standing::Same);
    assert_eq!(to_bo.standing(&by_bo), Standing::Older);
    assert_eq!(by_bo.standing(&to_bo), Standing::Newer);
    assert_eq!(by_bo.standing(&first), Standing::Newer);
}

/// Whatever an honest authority says in whatever order it arrives: everyone ends with the last word, and never turns back.
#[test]
fn honest_statements_in_any_order_merge_into_the_newest() {
    let mut rng = StdRng::seed_from_u64(7);
    for seed in 0..200 {
        let mut cast = cast(seed);
        let mut said = vec![cast.hosts(None)];
        let (mut handed_to_bo, mut handed_to_cy) = (false, false);
        for _ in 0..6 {
            let last = said.last().unwrap().clone();
            let next = match (handed_to_bo, handed_to_cy, rng.random_range(0..3)) {
                (false, _, 0) => {
                    handed_to_bo = true;
                    cast.hand_over(&last, cast.bo.public())
                }
                (false, ..) => cast.hosts(Some(&last)),
                (true, false, 0) => {
                    handed_to_cy = true;
                    by(&cast.bo, &last, Some(cast.cy.public())).unwrap()
                }
                (true, false, _) => by(&cast.bo, &last, None).unwrap(),
                (true, true, _) => by(&cast.cy, &last, None).unwrap(),
            };
            said.push(next);
        }
        let mut known = said[rng.random_range(0..said.len())].clone();
        for _ in 0..40 {
            let heard = &said[rng.random_range(0..said.len())];
            let expected = match heard.sequence().cmp(&known.sequence()) {
                std::cmp::Ordering::Greater => Standing::Newer,
                std::cmp::Ordering::Equal => Standing::Same,
                std::cmp::Ordering::Less => Standing::Older,
            };
            assert_eq!(heard.standing(&known), expected);
            if expected == Standing::Newer {
                known = heard.clone();
            }
        }
    }
}

#[test]
fn a_state_is_canonical_and_its_lists_are_bounded() {
    let mut cast = cast(8);
    let state = cast.state(3, 2);
    assert_eq!(State::parse(&state.to_bytes()), Some(state.clone()));
    let [al, bo] = [1, 2].map(|seed| IdentityPublic::from_bytes([seed; 32]));
    let doubled = State { locked: true, secret: None, admitted: vec![al, al], removed: vec![] };
    let both = State { admitted: vec![al], removed: vec![bo, al], ..doubled.clone() };
    let open = State { locked: false, admitted: vec![al], ..doubled.clone() };
    for wrong in [doubled, both, open] {
        assert_eq!(State::parse(&wrong.to_bytes()), None, "{wrong:?}");
    }
    let mut flagged = state.to_bytes();
    flagged[0] |= 2;
    assert_eq!(State::parse(&flagged), None, "flags of later versions");
    let secret = SecretCommitment::of(&SESSION, &SessionSecret::from_bytes([1; 16]));
    let mut state = State::default();
    state.lock([al, bo]);
    state.remove(al, secret);
    state.admit(al);
    assert_eq!((state.admitted(), state.removed()), (&[bo][..], &[al][..]), "who was removed is not admitted again");
    for seed in 0..40 {
        state.admit(IdentityPublic::from_bytes([100 + seed; 32]));
    }
    assert_eq!(state.admitted().len(), State::MAX_LISTED);
    assert_eq!(state.admitted().last(), Some(&IdentityPublic::from_bytes([139; 32])), "the oldest goes");
    state.unlock();
    assert!(!state.locked && state.admitted().is_empty() && state.removed() == [al], "unlocking lets nobody back in");
    assert!(secret.is_of(&SESSION, &SessionSecret::from_bytes([1; 16])));
    assert!(!secret.is_of(&SESSION, &SessionSecret::from_bytes([2; 16])));
    assert!(!secret.is_of(&SessionId::from_bytes([6; 16]), &SessionSecret::from_bytes([1; 16])));
}

#[test]
fn chance_never_panics() {
    let mut cast = cast(9);
    let first = cast.hosts(None);
    let handed = cast.hand_over(&first, cast.bo.public());
    let bytes = by(&cast.bo, &handed, None).unwrap().to_bytes();
    for _ in 0..20_000 {
        let mut altered = bytes.clone();
        for _ in 0..cast.rng.random_range(1..5) {
            let at = cast.rng.random_range(0..altered.len());
            altered[at] = cast.rng.random();
        }
        altered.truncate(cast.rng.random_range(0..=altered.len()));
        let _ = Statement::parse(&altered);
    }
}
