//! Who may come in: locks, knocks, removals, handovers, with everything that can come between.

use super::world::{UNIX_TIME, World};
use super::{SECOND, has, members};
use crate::command::Command;
use crate::session::effect::Ending;
use crate::session::event::Event;
use crate::session::notice::Notice;
use rand::SeedableRng;
use rand::rngs::StdRng;
use resonance_protocol::authority::{SecretCommitment, Signer, State, Statement};
use resonance_protocol::identity::{AuthorityKey, IdentityKey};
use resonance_protocol::link::{Link, SessionSecret};
use resonance_protocol::signal::{ByeReason, Ruling, Signal, Verdict};
use std::time::Duration;

/// Ada, the host, Bo and Cy, all connected.
pub fn three() -> (World, Link, [usize; 3]) {
    let mut world = World::new();
    let (ada, link) = world.create("Ada");
    let (bo, cy) = (world.join("Bo", &link, &[]), world.join("Cy", &link, &[]));
    world.run(2 * SECOND);
    assert_eq!([ada, bo, cy].map(|index| members(&world, index)), [2, 2, 2]);
    (world, link, [ada, bo, cy])
}

fn knocks(world: &World, index: usize) -> Vec<String> {
    let view = world.people[index].session.view(world.now);
    view.admission.knocks.into_iter().map(|knock| knock.name).collect()
}

pub fn knows(world: &World, index: usize, other: usize) -> bool {
    let id = world.people[other].id.short();
    world.people[index].session.view(world.now).peers.iter().any(|peer| peer.id == id)
}

fn host(world: &World, index: usize) -> Option<String> {
    world.people[index].session.view(world.now).admission.host
}

fn locked(world: &World, index: usize) -> bool {
    world.people[index].session.view(world.now).admission.locked
}

/// The link as somebody's program shows it now.
pub fn link_of(world: &World, index: usize) -> Link {
    Link::find(&world.people[index].session.link().expect("a link").to_text()).expect("a link")
}

fn refused(world: &World, index: usize, words: &str) -> bool {
    matches!(&world.people[index].ended, Some(Ending::Refused(why)) if why.contains(words))
}

fn error(world: &World, index: usize, word: &str) -> bool {
    has(world, index, |notice| matches!(notice, Notice::Error { code, .. } if *code == word))
}

/// What a member who does not play by the rules says to another.
fn say(world: &mut World, from: usize, to: usize, signal: &Signal) {
    let (now, to) = (world.now, world.people[to].id);
    world.people[from].session.tell(now, to, signal);
    world.command(from, Command::Unmute);
}

#[test]
fn who_comes_to_a_locked_session_knocks_and_learns_nothing_until_it_is_let_in() {
    let (mut world, link, [ada, bo, cy]) = three();
    world.command(ada, Command::Lock);
    world.run(SECOND);
    assert!([ada, bo, cy].iter().all(|index| locked(&world, *index)));
    assert!(has(&world, bo, |notice| matches!(notice, Notice::Locked { name, on: true, .. } if name == "Ada")));
    let di = world.join("Di", &link, &[bo]);
    world.run(60 * SECOND);
    assert_eq!(world.people[di].ended, None, "patience does not run out outside");
    assert_eq!((members(&world, di), world.people[di].session.joined()), (0, false));
    assert!(has(&world, di, |notice| matches!(notice, Notice::Knock { peer, .. } if peer == "me")));
    assert!(!has(&world, di, |notice| matches!(notice, Notice::PeerJoined { .. } | Notice::Joined { .. })));
    for index in [ada, bo, cy] {
        assert_eq!(knocks(&world, index), ["Di"], "everyone hears it, once");
        assert!(!knows(&world, index, di));
    }
    let decides = |index: usize| world.people[index].session.view(world.now).admission.i_decide;
    assert_eq!([ada, bo, cy].map(decides), [true, false, false]);
    world.command(bo, Command::Admit("Di".into()));
    world.run(SECOND);
    assert!(error(&world, bo, "host_only") && members(&world, di) == 0, "while the host is here it decides");
    world.command(ada, Command::Admit("Di".into()));
    world.run(2 * SECOND);
    assert_eq!([ada, bo, cy, di].map(|index| members(&world, index)), [3; 4]);
    assert!([ada, bo, cy].iter().all(|index| knocks(&world, *index).is_empty()));
    assert!(has(&world, cy, |notice| matches!(notice, Notice::Admitted { name, .. } if name == "Di")));
    assert!(has(&world, di, |notice| matches!(notice, Notice::Admitted { peer, .. } if peer == "me")));
    assert!(world.opened(di, cy) > 10 && world.opened(cy, di) > 10);
    assert!(locked(&world, di), "a newcomer is handed the newest statement");
}

#[test]
fn who_is_refused_is_told_and_an_unlocked_door_lets_everyone_in() {
    let (mut world, link, [ada, bo, _]) = three();
    world.command(ada, Command::Lock);
    let eve = world.join("Eve", &link, &[bo]);
    world.run(SECOND);
    world.command(bo, Command::Refuse("Eve".into()));
    world.run(SECOND);
    assert!(error(&world, bo, "host_only") && world.people[eve].ended.is_none());
    world.command(ada, Command::Refuse("Eve".into()));
    world.run(SECOND);
    assert!(refused(&world, eve, "locked"));
    assert!(has(&world, bo, |notice| matches!(notice, Notice::Refused { name, .. } if name == "Eve")));
    let di = world.join("Di", &link, &[]);
    world.run(SECOND);
    assert_eq!(members(&world, di), 0);
    world.command(ada, Command::Unlock);
    world.run(2 * SECOND);
    assert_eq!(members(&world, di), 3);
    let gone = world.join("Gone", &link, &[]);
    world.run(SECOND);
    assert_eq!(members(&world, gone), 4);
}

#[test]
fn nobody_stands_outside_for_ever_and_only_so_many_at_once() {
    let (mut world, link, [ada, bo, _]) = three();
    world.command(ada, Command::Lock);
    world.run(SECOND);
    let crowd: Vec<_> = (0..9).map(|number| world.join(&format!("K{number}"), &link, &[])).collect();
    world.run(2 * SECOND);
    assert_eq!((knocks(&world, ada).len(), knocks(&world, bo).len()), (8, 8));
    assert_eq!(crowd.iter().filter(|index| refused(&world, **index, "locked")).count(), 1);
    world.kill(crowd[0]);
    world.run(SECOND);
    assert_eq!(knocks(&world, bo).len(), 7, "who went away does not knock any more");
    world.run(300 * SECOND);
    assert!(knocks(&world, ada).is_empty() && knocks(&world, bo).is_empty());
    assert!(crowd[1..].iter().all(|index| refused(&world, *index, "locked")));
}

#[test]
fn when_the_host_is_gone_the_lock_stays_and_any_member_may_let_in() {
    let (mut world, link, [ada, bo, cy]) = three();
    world.command(ada, Command::Lock);
    world.run(SECOND);
    world.command(ada, Command::Quit);
    world.run(SECOND);
    let di = world.join("Di", &link, &[bo]);
    let eve = world.join("Eve", &link, &[cy]);
    world.run(2 * SECOND);
    assert_eq!((members(&world, di), members(&world, eve)), (0, 0));
    world.command(cy, Command::Admit("Di".into()));
    world.command(bo, Command::Refuse("Eve".into()));
    world.command(bo, Command::Kick("Cy".into()));
    world.command(bo, Command::Unlock);
    world.run(2 * SECOND);
    assert!(knows(&world, bo, di) && knows(&world, cy, di) && knows(&world, di, cy), "Cy has no door, but a say");
    assert!(refused(&world, eve, "locked"));
    assert!(knows(&world, bo, cy) && locked(&world, bo) && error(&world, bo, "host_only"), "no kicks, the lock stays");
}

/// The word of a member counts only while the host is gone.
#[test]
fn a_member_lets_nobody_in_and_turns_nobody_away_while_the_host_is_there() {
    let (mut world, link, [ada, bo, cy]) = three();
    world.command(ada, Command::Lock);
    world.run(SECOND);
    let di = world.join("Di", &link, &[bo]);
    world.run(SECOND);
    let identity = IdentityKey::generate(&mut StdRng::seed_from_u64(1_000 + di as u64)).public();
    for verdict in [Verdict::Admitted, Verdict::Refused] {
        say(&mut world, cy, bo, &Signal::Admit { identity, verdict });
        say(&mut world, cy, ada, &Signal::Admit { identity, verdict });
    }
    world.run(2 * SECOND);
    assert_eq!((members(&world, di), world.people[di].ended.clone()), (0, None));
    assert_eq!(knocks(&world, ada), ["Di"]);
    // A member who says that the host has removed somebody is just leaving.
    say(&mut world, cy, bo, &Signal::Bye { reason: ByeReason::Kicked });
    world.run(Duration::from_millis(100));
    assert_eq!(world.people[bo].ended, None);
}

#[test]
fn who_is_removed_is_told_and_hears_nothing_more() {
    let (mut world, link, [ada, bo, cy]) = three();
    world.command(bo, Command::Kick("Cy".into()));
    assert!(error(&world, bo, "host_only"));
    world.command(ada, Command::Kick("Cy".into()));
    world.run(Duration::from_millis(300));
    assert!(refused(&world, cy, "removed"));
    for index in [ada, bo] {
        assert!(has(&world, index, |notice| matches!(notice, Notice::Kicked { name, .. } if name == "Cy")));
        assert!(has(&world, index, |notice| matches!(notice, Notice::PeerLeft { reason: "kicked", .. })));
        assert_eq!(members(&world, index), 1);
    }
    let (new, old_id) = (link_of(&world, bo), link.keys().session_id);
    assert_eq!(new.to_text(), link_of(&world, ada).to_text(), "both show the same new link");
    assert_ne!(new.to_text(), link.to_text());
    assert_eq!(new.keys().session_id, old_id, "of the same session");
    assert!(has(&world, bo, |notice| matches!(notice, Notice::Link { link: Some(text) } if *text == new.to_text())));
    let before = world.opened(ada, bo);
    world.run(2 * SECOND);
    assert!(world.opened(ada, bo) > before + 80 && world.refused(ada, bo) == 0, "the others go on");
}

#[test]
fn the_old_link_is_answered_by_nobody_and_a_removed_identity_is_refused_with_the_new_one() {
    let (mut world, old, [ada, bo, cy]) = three();
    world.command(ada, Command::Kick("Cy".into()));
    world.run(SECOND);
    let answers = |world: &World, since: usize| {
        // Message 2 has a kind of its own; nobody says anything else to a stranger.
        world.wire_log[since..].iter().filter(|(_, kind)| *kind == 2).count()
    };
    let since = world.wire_log.len();
    let stranger = world.join("Cy again", &old, &[bo]);
    world.run(5 * SECOND);
    assert!(refused(&world, stranger, "does not accept this link"), "a new identity with the old link");
    assert_eq!(answers(&world, since), 0, "not a byte in answer");
    let new = link_of(&world, ada);
    let again = world.join_again("Cy", &new, cy);
    world.run(2 * SECOND);
    assert!(refused(&world, again, "removed"), "the new link does not help the old identity");
    assert!(has(&world, ada, |notice| matches!(notice, Notice::Refused { .. })));
    let di = world.join("Di", &new, &[]);
    world.run(2 * SECOND);
    assert_eq!([ada, bo, di].map(|index| members(&world, index)), [2, 2, 2]);
    let later = world.join_again("Cy", &new, cy);
    world.run(2 * SECOND);
    assert!(refused(&world, later, "removed") && !knows(&world, di, later));
}

#[test]
fn a_member_who_was_away_gets_the_new_secret_when_it_returns() {
    let (mut world, _, [ada, bo, cy]) = three();
    let di = world.join("Di", &link_of(&world, ada), &[]);
    world.run(2 * SECOND);
    world.part(&[bo]);
    world.run(20 * SECOND);
    world.command(ada, Command::Kick("Cy".into()));
    world.run(20 * SECOND);
    assert!(knows(&world, bo, cy), "Bo has not heard of it");
    world.heal();
    world.run(SECOND);
    assert!(!knows(&world, bo, cy));
    assert_eq!(link_of(&world, bo).to_text(), link_of(&world, di).to_text());
    let eve = world.join("Eve", &link_of(&world, bo), &[]);
    world.run(2 * SECOND);
    assert_eq!([ada, bo, di, eve].map(|index| members(&world, index)), [3; 4]);
}

#[test]
fn a_partition_heals_into_the_newest_statement() {
    let (mut world, _, [ada, bo, cy]) = three();
    world.command(ada, Command::Lock);
    world.run(SECOND);
    world.part(&[cy]);
    world.run(SECOND);
    world.command(ada, Command::Unlock);
    world.command(ada, Command::Handover("Bo".into()));
    world.run(SECOND);
    world.command(bo, Command::Lock);
    world.command(bo, Command::Unlock);
    world.run(SECOND);
    // Ada is gone before Cy is back: Bo alone carries the word, and Cy says the old one.
    world.kill(ada);
    assert!(locked(&world, cy));
    world.heal();
    world.run(SECOND);
    assert!(!locked(&world, cy));
    assert_eq!(host(&world, cy), Some(world.people[bo].id.short()));
}

#[test]
fn a_handover_makes_another_the_host_for_everyone_and_for_newcomers() {
    let (mut world, link, [ada, bo, cy]) = three();
    world.command(ada, Command::Handover("Bo".into()));
    world.run(SECOND);
    let bo_id = world.people[bo].id.short();
    assert_eq!([ada, cy].map(|index| host(&world, index)), [Some(bo_id.clone()), Some(bo_id.clone())]);
    assert_eq!(host(&world, bo), Some(bo_id.clone()));
    world.command(ada, Command::Lock);
    world.run(SECOND);
    assert!(error(&world, ada, "host_only") && !locked(&world, cy));
    world.command(bo, Command::Handover("Cy".into()));
    world.run(SECOND);
    world.command(cy, Command::Kick("Ada".into()));
    world.run(SECOND);
    assert!(refused(&world, ada, "removed"), "even the creator");
    world.command(cy, Command::Lock);
    let di = world.join("Di", &link_of(&world, bo), &[bo]);
    world.run(SECOND);
    world.command(cy, Command::Admit("Di".into()));
    world.run(2 * SECOND);
    assert_eq!(host(&world, di), Some(world.people[cy].id.short()), "the chain convinces who has only the link");
    assert_eq!([bo, cy, di].map(|index| members(&world, index)), [2, 2, 2]);
    let _ = link;
}

/// Two islands: in one the door is locked, in the other somebody comes in meanwhile. Healed, the lock holds everywhere.
#[test]
fn who_came_in_while_a_lock_was_on_its_way_has_to_knock() {
    let (mut world, link, [ada, bo, cy]) = three();
    world.part(&[ada]);
    world.run(SECOND);
    world.command(ada, Command::Lock);
    let di = world.join("Di", &link, &[bo]);
    world.run(2 * SECOND);
    assert!(knows(&world, bo, di) && knows(&world, di, cy));
    world.heal();
    world.run(2 * SECOND);
    assert_eq!([bo, cy].map(|index| knows(&world, index, di)), [false; 2]);
    assert_eq!((members(&world, di), world.people[di].ended.clone()), (0, None));
    assert_eq!(knocks(&world, ada), ["Di"]);
    assert_eq!([ada, bo, cy].map(|index| members(&world, index)), [2; 3]);
    world.command(ada, Command::Admit("Di".into()));
    world.run(2 * SECOND);
    assert_eq!([ada, bo, cy, di].map(|index| members(&world, index)), [3; 4]);
}

/// A ruling that is not the authority's, in every way that a member could try.
#[test]
fn forged_and_rolled_back_statements_change_nothing() {
    let (mut world, link, [ada, bo, cy]) = three();
    let session = link.keys().session_id;
    world.command(ada, Command::Lock);
    world.run(SECOND);
    let (key, me) = (AuthorityKey::generate(&mut StdRng::seed_from_u64(5)), world.people[cy].session.identity.public());
    let mut state = State::default();
    let secret = SessionSecret::generate(&mut StdRng::seed_from_u64(6));
    state.remove(
        IdentityKey::generate(&mut StdRng::seed_from_u64(1_000)).public(),
        SecretCommitment::of(&session, &secret),
    );
    let forged = Statement::sign(None, Signer::Creator(&key), &session, state, Some(me)).expect("signed");
    let forged = Signal::Ruling(Ruling { statement: forged.to_bytes(), secret: Some(secret) });
    say(&mut world, cy, bo, &forged);
    say(&mut world, cy, bo, &Signal::Ruling(Ruling { statement: b"nonsense".to_vec(), secret: None }));
    world.run(SECOND);
    assert!(knows(&world, bo, ada) && locked(&world, bo));
    assert_eq!(link_of(&world, bo).to_text(), link.to_text());
    // The true first statement, again, after it was overtaken.
    let old = world.people[cy].session.ruling().expect("a ruling");
    world.command(ada, Command::Unlock);
    world.run(SECOND);
    say(&mut world, cy, bo, &old);
    world.run(SECOND);
    assert!(!locked(&world, bo));
    // A removed member says it again: nobody listens, and its own word is no authority's.
    world.command(ada, Command::Kick("Cy".into()));
    say(&mut world, cy, bo, &old);
    say(&mut world, cy, bo, &forged);
    world.run(SECOND);
    assert!(knows(&world, bo, ada) && !locked(&world, bo) && !knows(&world, bo, cy));
    assert!(!has(&world, bo, |notice| matches!(notice, Notice::Warning { code: "authority_conflict", .. })));
}

#[test]
fn a_new_secret_is_taken_only_with_the_word_that_commits_to_it() {
    let (mut world, link, [ada, bo, cy]) = three();
    let session = link.keys().session_id;
    world.part(&[bo, cy]);
    world.run(SECOND);
    let before = link_of(&world, bo).to_text();
    let authority = world.authority_of(ada);
    let true_secret = SessionSecret::generate(&mut StdRng::seed_from_u64(6));
    let mut state = State::default();
    state.remove(
        IdentityKey::generate(&mut StdRng::seed_from_u64(99)).public(),
        SecretCommitment::of(&session, &true_secret),
    );
    let statement =
        Statement::sign(None, Signer::Creator(&authority), &session, state, None).expect("signed").to_bytes();
    let false_secret = SessionSecret::generate(&mut StdRng::seed_from_u64(7));
    for secret in [None, Some(false_secret)] {
        say(&mut world, cy, bo, &Signal::Ruling(Ruling { statement: statement.clone(), secret }));
        world.run(SECOND);
        assert_eq!(link_of(&world, bo).to_text(), before);
    }
    say(&mut world, cy, bo, &Signal::Ruling(Ruling { statement, secret: Some(true_secret.clone()) }));
    world.run(SECOND);
    assert_eq!(link_of(&world, bo).to_text(), link.with_secret(true_secret).to_text());
}

#[test]
fn two_words_under_one_number_raise_an_alarm_and_the_first_stays() {
    let (mut world, link, [ada, bo, cy]) = three();
    let authority = world.authority_of(ada);
    world.part(&[bo, cy]);
    world.run(SECOND);
    let says = |world: &World, locks: bool| {
        let mut state = State::default();
        if locks {
            state.lock([cy, bo].map(|index| world.people[index].session.identity.public()));
        }
        let said = Statement::sign(None, Signer::Creator(&authority), &link.keys().session_id, state, None);
        Signal::Ruling(Ruling { statement: said.expect("signed").to_bytes(), secret: None })
    };
    let (locks, unlocks) = (says(&world, true), says(&world, false));
    for signal in [&locks, &unlocks, &unlocks] {
        say(&mut world, cy, bo, signal);
        world.run(SECOND);
        assert!(locked(&world, bo));
    }
    let alarms = world.people[bo]
        .notices
        .iter()
        .filter(|notice| matches!(notice, Notice::Warning { code: "authority_conflict", .. }))
        .count();
    assert_eq!(alarms, 1);
}

#[test]
fn an_expired_link_takes_nobody_new_in_but_keeps_who_is_in() {
    let mut world = World::new();
    let (ada, link) = world.create_for_a_time("Ada", UNIX_TIME + 100);
    let bo = world.join("Bo", &link, &[]);
    world.run(99 * SECOND);
    let left = world.people[ada].session.view(world.now).admission.expires_in;
    assert_eq!(left, Some(SECOND));
    world.run(60 * SECOND);
    let cy = world.join("Cy", &link, &[]);
    world.run(SECOND / 2);
    assert_eq!(members(&world, cy), 2, "clocks differ: a minute's grace");
    world.run(SECOND);
    let di = world.join("Di", &link, &[]);
    world.run(2 * SECOND);
    assert!(refused(&world, di, "expired"));
    assert_eq!([ada, bo, cy].map(|index| members(&world, index)), [2; 3]);
    // Bo was away for so long that both forgot the channel: it is not new.
    world.part(&[bo]);
    world.run(100 * SECOND);
    assert_eq!(members(&world, ada), 1);
    world.heal();
    let (now, found) = (Duration::ZERO, world.people[ada].id);
    world.happen(bo, now, Event::Discovered { peer: found, via: "mdns" });
    world.run(3 * SECOND);
    assert!(knows(&world, ada, bo) && knows(&world, bo, ada));
    assert_eq!(world.people[ada].session.view(world.now).admission.expires_in, Some(Duration::ZERO));
}

#[test]
fn a_room_without_a_link_is_open_and_says_so() {
    let mut world = World::new();
    let (ada, bo) = (world.lan("Ada", "den"), world.lan("Bo", "den"));
    let found = world.people[bo].id;
    world.happen(ada, Duration::ZERO, Event::Discovered { peer: found, via: "mdns" });
    world.run(2 * SECOND);
    let commands: [fn(String) -> Command; 6] =
        [|_| Command::Lock, |_| Command::Unlock, Command::Admit, Command::Refuse, Command::Kick, Command::Handover];
    for command in commands {
        world.people[ada].notices.clear();
        world.command(ada, command("Bo".into()));
        world.run(Duration::from_millis(100));
        assert!(error(&world, ada, "open_room"));
        assert!(knows(&world, ada, bo) && knows(&world, bo, ada) && !locked(&world, bo));
    }
}
