//! Whom to trust, over sessions and within one: contacts, alarms, the session's safety number, members who lie.

use super::world::{UNIX_TIME, World};
use super::{SECOND, has, members};
use crate::command::Command;
use crate::session::event::Event;
use crate::session::notice::Notice;
use crate::session::view::{Alarm, SessionNumber, Trust, View};
use rand::SeedableRng;
use rand::rngs::StdRng;
use resonance_protocol::contacts::{Contact, ContactBook};
use resonance_protocol::identity::{IdentityKey, IdentityPublic};
use resonance_protocol::link::Link;
use resonance_protocol::media::sender_key::SenderKey;
use resonance_protocol::signal::{MediaKey, RekeyReason, RosterEntry, Signal};
use zeroize::Zeroizing;

/// A kept identity in these stories.
fn kept(seed: u64, contacts: ContactBook) -> Option<(u64, ContactBook)> {
    Some((seed, contacts))
}

fn key(seed: u64) -> IdentityPublic {
    IdentityKey::generate(&mut StdRng::seed_from_u64(seed)).public()
}

fn view(world: &World, index: usize) -> View {
    world.people[index].session.view(world.now)
}

fn number(world: &World, index: usize) -> SessionNumber {
    view(world, index).session_number
}

fn alarms(world: &World, index: usize) -> Vec<Alarm> {
    view(world, index).alarms
}

fn warned(world: &World, index: usize, code: &str) -> usize {
    let about = |notice: &&Notice| matches!(notice, Notice::Warning { code: given, .. } if *given == code);
    world.people[index].notices.iter().filter(about).count()
}

/// Ada with a book, Bo by this seed; both have been in the session for two seconds.
fn meeting(contacts: ContactBook, bo: u64) -> (World, usize, usize, Link) {
    let mut world = World::new();
    world.next = kept(1, contacts);
    let (ada, link) = world.create("Ada");
    world.next = kept(bo, ContactBook::default());
    let bo = world.join("Bo", &link, &[]);
    world.run(2 * SECOND);
    (world, ada, bo, link)
}

/// Not even the address that others see a connection come from goes into a roster.
#[test]
fn who_listens_nowhere_is_introduced_without_an_address() {
    let mut world = World::new();
    let (ada, link) = world.create("Ada");
    world.listens = false;
    let bo = world.join("Bo", &link, &[]);
    world.listens = true;
    let peer = world.people[bo].id;
    world.happen(ada, SECOND, Event::Connected { peer, remote: Some(World::address(77)) });
    let cy = world.join("Cy", &link, &[]);
    world.run(4 * SECOND);
    assert_eq!(members(&world, cy), 2, "Bo is told of");
    for who in [ada, bo, cy] {
        let roster = world.people[who].session.roster();
        let of_bo = roster.iter().find(|entry| entry.transport == peer).expect("Bo is in it");
        assert!(of_bo.addresses.is_empty());
        let of_ada = roster.iter().find(|entry| entry.transport == world.people[ada].id).expect("Ada is in it");
        assert!(!of_ada.addresses.is_empty(), "others' addresses are told as ever");
    }
}

fn knowing_bo(verified: bool) -> ContactBook {
    let mut book = ContactBook::default();
    book.insert(key(2), Contact { name: "Bo".into(), first_met: 50, last_met: 60, verified });
    book
}

#[test]
fn verified_once_is_verified_the_next_time() {
    let (mut world, ada, _, _) = meeting(ContactBook::default(), 2);
    world.command(ada, Command::Verify("Bo".into()));
    let book = world.people[ada].contacts.clone().expect("contacts are kept");
    let bo = book.get(&key(2)).expect("Bo").clone();
    assert!(bo.verified && bo.name == "Bo" && bo.first_met == UNIX_TIME);

    let (mut world, ada, _, _) = meeting(book, 2);
    assert_eq!(view(&world, ada).peers[0].trust, Trust::Verified);
    assert_eq!(alarms(&world, ada), []);
    world.command(ada, Command::Unverify("Bo".into()));
    let book = world.people[ada].contacts.clone().expect("contacts are kept");
    assert!(!book.get(&key(2)).expect("Bo").verified, "and so is taking it back");
}

#[test]
fn only_those_who_keep_their_identity_are_remembered_and_only_by_those_who_do() {
    let mut world = World::new();
    world.next = kept(1, ContactBook::default());
    let (ada, link) = world.create("Ada");
    let bo = world.join("Bo", &link, &[]);
    world.next = kept(3, ContactBook::default());
    let cy = world.join("Cy", &link, &[]);
    world.run(2 * SECOND);
    let known = |world: &World, index: usize| world.people[index].contacts.clone().map(|book| book.iter().len());
    assert_eq!((known(&world, ada), known(&world, bo), known(&world, cy)), (Some(1), None, Some(1)));
    assert!(world.people[ada].contacts.as_ref().is_some_and(|book| book.get(&key(3)).is_some()));
    // Whoever was verified is worth an alarm, kept or not.
    world.command(ada, Command::Verify("Bo".into()));
    assert_eq!(known(&world, ada), Some(2));
}

#[test]
fn a_known_name_with_another_key_hears_nothing_until_the_alarm_is_answered() {
    for verified in [true, false] {
        let (mut world, ada, bo, _) = meeting(knowing_bo(verified), 99);
        let [alarm] = &alarms(&world, ada)[..] else { panic!("one alarm") };
        assert_eq!((alarm.code, alarm.name.as_str()), ("identity_changed", "Bo"));
        assert_eq!(alarm.what.contains("compared"), verified);
        assert_eq!(warned(&world, ada, "identity_changed"), 1);
        assert_eq!(view(&world, ada).peers[0].trust, Trust::Changed);
        world.command(ada, Command::Say("to nobody".into()));
        world.run(SECOND);
        assert_eq!(world.opened(bo, ada), 0, "the microphone to that person is closed");
        assert!(world.opened(ada, bo) > 40, "what is said is heard");
        assert!(!has(&world, bo, |notice| matches!(notice, Notice::Text { .. })));
        assert!(world.people[ada].contacts.as_ref().is_none_or(|book| book.get(&key(99)).is_none()));
        assert_eq!(number(&world, ada).incomplete, ["you do not reach Bo"]);

        world.command(ada, Command::Dismiss);
        world.run(2 * SECOND);
        assert_eq!((alarms(&world, ada), view(&world, ada).peers[0].trust), (vec![], Trust::NotVerified));
        assert!(world.opened(bo, ada) > 40, "answered by hand");
        assert_eq!(number(&world, ada).number, number(&world, bo).number);
        assert!(world.people[ada].contacts.as_ref().is_some_and(|book| book.get(&key(99)).is_some()));
        world.command(ada, Command::Dismiss);
        assert!(has(&world, ada, |notice| matches!(notice, Notice::Error { code: "no_alarm", .. })));
    }
}

#[test]
fn comparing_the_number_answers_the_alarm_too_and_leaving_does_not() {
    let (mut world, ada, bo, link) = meeting(knowing_bo(true), 99);
    world.command(bo, Command::Quit);
    world.run(SECOND);
    assert_eq!(alarms(&world, ada).len(), 1, "it stands until it is answered");
    world.next = kept(99, ContactBook::default());
    let again = world.join("Bo", &link, &[]);
    world.run(2 * SECOND);
    assert_eq!((alarms(&world, ada).len(), warned(&world, ada, "identity_changed")), (1, 1), "told once");
    assert_eq!(world.opened(again, ada), 0, "whoever comes back finds the door as it was");
    world.command(ada, Command::Verify("Bo".into()));
    world.run(SECOND);
    assert_eq!((alarms(&world, ada), view(&world, ada).peers[0].trust), (vec![], Trust::Verified));
    assert!(world.opened(again, ada) > 0);
}

/// A stranger takes the name of somebody who was verified in this session, while that one is here and after it has left.
#[test]
fn a_name_that_was_verified_in_this_session_cannot_be_taken_quietly() {
    let mut world = World::new();
    let (ada, link) = world.create("Ada");
    world.join("Bo", &link, &[]);
    world.run(SECOND);
    world.command(ada, Command::Verify("Bo".into()));
    let eve = world.join("bo", &link, &[]);
    world.run(2 * SECOND);
    let view = view(&world, ada);
    assert_eq!((view.peers[0].trust, view.peers[1].trust), (Trust::Verified, Trust::Changed));
    assert_eq!(view.alarms[0].name, "bo (2)");
    assert_eq!(world.opened(eve, ada), 0);
    assert_eq!(world.people[ada].contacts, None, "nothing is kept without a kept identity");
}

#[test]
fn everyone_sees_the_same_session_number_and_why_it_changed() {
    let mut world = World::new();
    let (ada, link) = world.create("Ada");
    assert_eq!(number(&world, ada), SessionNumber { members: 1, ..SessionNumber::default() });
    world.join("Bo", &link, &[]);
    world.run(SECOND);
    let pair = number(&world, ada);
    assert_eq!((pair.members, pair.changed.as_deref()), (2, None));
    world.join("Cy", &link, &[]);
    world.run(2 * SECOND);
    let at_ada = number(&world, ada);
    for index in 0..3 {
        let shown = number(&world, index);
        assert_eq!((&shown.number, shown.members, shown.incomplete.len()), (&at_ada.number, 3, 0));
    }
    assert_eq!(at_ada.changed.as_deref(), Some("Cy joined"));
    assert!(at_ada.number != pair.number && at_ada.number.as_ref().is_some_and(|number| number.len() == 71));
    world.command(1, Command::Quit);
    world.run(SECOND);
    assert_eq!(number(&world, ada).changed.as_deref(), Some("Bo left"));
    assert_eq!(number(&world, ada).number, number(&world, 2).number);
    let told = |notice: &Notice| matches!(notice, Notice::SessionSafetyNumber { number: Some(number), members: 3, .. } if Some(number) == at_ada.number.as_ref());
    assert!(has(&world, ada, told));
    world.command(2, Command::Quit);
    world.run(SECOND);
    assert_eq!((number(&world, ada).number, number(&world, ada).members), (None, 1));
}

#[test]
fn who_does_not_reach_whom_is_said_instead_of_a_number() {
    let mut world = World::new();
    let (ada, link) = world.create("Ada");
    let bo = world.join("Bo", &link, &[]);
    world.run(SECOND);
    world.cut.push((bo, 2));
    let cy = world.join("Cy", &link, &[]);
    world.run(3 * SECOND);
    let shown = number(&world, ada);
    assert_eq!((shown.number, shown.members), (None, 3));
    let mut said = shown.incomplete;
    said.sort();
    assert_eq!(said, ["Bo does not reach Cy", "Cy does not reach Bo"]);
    assert_eq!((members(&world, bo), number(&world, bo).number), (1, None), "nor does Bo show a number for two");
    let of_bo = number(&world, bo).incomplete;
    assert!(of_bo.iter().any(|line| line.starts_with("you do not reach")), "{of_bo:?}");
    world.cut.clear();
    world.run(30 * SECOND);
    assert!(number(&world, ada).number.is_some(), "{:?}", number(&world, ada));
    assert_eq!(number(&world, ada).number, number(&world, cy).number);
}

/// Cy says that Bo is somebody else: an alarm, once for each lie; nobody is cut off from anybody by it.
#[test]
fn a_member_who_lies_about_anothers_key_raises_an_alarm() {
    let mut world = World::new();
    let (ada, link) = world.create("Ada");
    let (bo, cy) = (world.join("Bo", &link, &[]), world.join("Cy", &link, &[]));
    world.run(2 * SECOND);
    let (now, ids) = (world.now, [ada, bo, cy].map(|index| world.people[index].id));
    let claim = |about: usize, seed: u64| {
        let entry = RosterEntry { transport: ids[about], identity: key(seed), addresses: Vec::new() };
        Signal::Roster(vec![entry])
    };
    for (about, seed) in [(1, 7), (1, 7), (0, 8)] {
        world.people[cy].session.tell(now, ids[0], &claim(about, seed));
    }
    world.run(SECOND);
    let raised = alarms(&world, ada);
    assert_eq!(raised.len(), 2, "one about Bo, one about Ada herself: {raised:?}");
    assert!(raised.iter().all(|alarm| alarm.code == "roster_disagrees" && alarm.name == "Cy"));
    assert!(raised[0].what.contains("that Bo is") && raised[1].what.contains("that you are"));
    assert_eq!(warned(&world, ada, "roster_disagrees"), 2);
    assert!(view(&world, ada).peers.iter().all(|peer| peer.trust == Trust::NotVerified), "nobody was closed out");
    assert_eq!(alarms(&world, bo), []);
    world.command(ada, Command::Dismiss);
    world.command(ada, Command::Dismiss);
    assert_eq!(alarms(&world, ada), []);
    for seed in 1_000..2_000 {
        world.people[cy].session.tell(now, ids[0], &claim(1, seed));
    }
    world.run(SECOND);
    assert!(alarms(&world, ada).len() < 65, "a member that does nothing but lie is heard no further");
    world.command(ada, Command::Verify("Bo".into()));
    let eve = world.join("Bo", &link, &[]);
    world.run(2 * SECOND);
    assert!(warned(&world, ada, "identity_changed") == 1 && world.opened(eve, ada) == 0, "nobody slips in behind lies");
}

/// Cy hands its sender key to somebody else than it says to all: then there is no session number.
#[test]
fn a_member_who_reaches_others_than_we_do_leaves_no_number_to_compare() {
    let mut world = World::new();
    let (ada, link) = world.create("Ada");
    let cy = world.join("Cy", &link, &[]);
    world.run(2 * SECOND);
    assert!(number(&world, ada).number.is_some());
    let recipients = MediaKey::hash_recipients([key(1), key(2), key(3)]);
    let lie = SenderKey::generate(1_000, &mut StdRng::seed_from_u64(5)).to_signal(
        recipients,
        RekeyReason::Join,
        Zeroizing::new([0; 32]),
    );
    let (now, to) = (world.now, world.people[ada].id);
    world.people[cy].session.tell(now, to, &Signal::MediaKey(lie));
    world.run(SECOND);
    let shown = number(&world, ada);
    assert_eq!((shown.number, &shown.incomplete[..]), (None, &["Cy has not confirmed yet".to_owned()][..]));
}

#[test]
fn the_session_number_is_told_when_asked_for() {
    let mut world = World::new();
    let (ada, link) = world.create("Ada");
    world.join("Bo", &link, &[]);
    world.run(SECOND);
    world.people[ada].notices.clear();
    world.command(ada, Command::Safety(None));
    let told = &world.people[ada].notices;
    assert!(matches!(
        &told[..],
        [Notice::SessionSafetyNumber { number: Some(_), members: 2, .. }, Notice::SafetyNumber { .. }]
    ));
}
