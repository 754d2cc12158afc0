//! Stories of a few people in virtual time, with real handshakes, channels and sealing.

mod admission;
mod ear;
mod handshakes;
mod interleavings;
mod paths;
mod people;
mod recording;
mod secrecy;
mod texts;
mod thief;
mod world;

use super::effect::Ending;
use super::event::{AudioReport, Event};
use super::notice::Notice;
use super::view::{Connection, Trust};
use crate::command::{self, Command};
use rand::SeedableRng;
use rand::rngs::StdRng;
use resonance_protocol::link::Link;
use std::time::Duration;
use world::World;

const SECOND: Duration = Duration::from_secs(1);

fn members(world: &World, index: usize) -> usize {
    world.people[index].session.view(world.now).peers.len()
}

fn has(world: &World, index: usize, is: impl Fn(&Notice) -> bool) -> bool {
    world.people[index].notices.iter().any(is)
}

#[test]
fn two_people_meet_talk_and_see_the_same_safety_number() {
    let mut world = World::new();
    let (ada, link) = world.create("Ada");
    world.run(SECOND);
    let bo = world.join("Bo", &link, &[]);
    world.run(SECOND);
    let (at_ada, at_bo) = (world.people[ada].session.view(world.now), world.people[bo].session.view(world.now));
    assert_eq!((at_ada.peers[0].name.as_str(), at_bo.peers[0].name.as_str()), ("Bo", "Ada"));
    assert_eq!(at_ada.peers[0].safety_number, at_bo.peers[0].safety_number);
    assert_eq!(at_ada.peers[0].safety_number.split(' ').count(), 12);
    assert_eq!(at_ada.peers[0].connection, Connection::Direct);
    assert!(world.opened(bo, ada) > 40 && world.opened(ada, bo) > 40, "sound is opened both ways");
    assert_eq!((world.refused(bo, ada), world.refused(ada, bo)), (0, 0), "keys arrive before they are used");
    assert!(has(&world, bo, |notice| matches!(notice, Notice::Joined { .. })));
    assert!(has(&world, ada, |notice| matches!(notice, Notice::Rekeyed { reason: "join", .. })));
}

#[test]
fn whoever_knows_one_member_soon_knows_all() {
    let mut world = World::new();
    let (_, link) = world.create("Ada");
    for name in ["Bo", "Cy", "Di", "Bo"] {
        world.join(name, &link, &[]);
        world.run(SECOND);
    }
    world.run(SECOND);
    for index in 0..5 {
        assert_eq!(members(&world, index), 4);
        for other in (0..5).filter(|other| *other != index) {
            assert!(world.opened(index, other) > 30, "{index} hears {other}");
        }
    }
    let view = world.people[0].session.view(world.now);
    let names: Vec<_> = view.peers.iter().map(|peer| peer.name.as_str()).collect();
    assert_eq!(names, ["Bo", "Cy", "Di", "Bo (2)"], "in the order of their seats, each with a name of its own");
}

#[test]
fn the_session_outlives_its_creator_and_takes_a_fifth_through_a_member() {
    let mut world = World::new();
    let (ada, link) = world.create("Ada");
    let (bo, cy) = (world.join("Bo", &link, &[]), world.join("Cy", &link, &[]));
    world.run(2 * SECOND);
    let before = world.opened(bo, cy);
    world.kill(ada);
    world.run(8 * SECOND);
    assert!(has(&world, bo, |notice| matches!(notice, Notice::MediaLost { after_ms: 6_000..=6_200, .. })));
    assert!(world.opened(bo, cy) - before >= 395, "the others went on without a gap");
    assert_eq!(world.refused(bo, cy), 0);
    let di = world.join("Di", &link, &[bo]);
    world.run(2 * SECOND);
    assert_eq!(members(&world, di), 2, "Bo let Di in and introduced Cy; Ada is not introduced any more");
    assert!(world.opened(di, cy) > 0 && world.opened(cy, di) > 0);
    world.run(90 * SECOND);
    assert!(has(&world, cy, |notice| matches!(notice, Notice::PeerLeft { reason: "timeout", .. })));
    assert_eq!(members(&world, cy), 2);
}

#[test]
fn who_leaves_is_missed_at_once_and_opens_nothing_more() {
    let mut world = World::new();
    let (ada, link) = world.create("Ada");
    let (bo, cy) = (world.join("Bo", &link, &[]), world.join("Cy", &link, &[]));
    world.run(2 * SECOND);
    world.command(bo, Command::Quit);
    world.run(Duration::from_millis(300));
    assert_eq!(world.people[bo].ended, Some(Ending::Left));
    assert!(has(&world, ada, |notice| matches!(notice, Notice::PeerLeft { reason: "bye", .. })));
    assert!(has(&world, cy, |notice| matches!(notice, Notice::Rekeyed { reason: "leave", .. })));
    assert_eq!(members(&world, ada), 1);
}

#[test]
fn a_ninth_person_is_told_that_the_session_is_full() {
    let mut world = World::new();
    let (_, link) = world.create("Ada");
    for number in 2..=8 {
        world.join(&format!("P{number}"), &link, &[]);
        world.run(SECOND);
    }
    assert!((0..8).all(|index| members(&world, index) == 7));
    let ninth = world.join("Ninth", &link, &[]);
    world.run(3 * SECOND);
    assert!(matches!(&world.people[ninth].ended, Some(Ending::Refused(why)) if why.contains("full")));
    assert!((0..8).all(|index| members(&world, index) == 7), "nobody was disturbed");
    assert!(has(&world, 0, |notice| matches!(notice, Notice::Warning { code: "session_full", .. })));
}

#[test]
fn both_find_each_other_at_once_and_one_handshake_is_enough() {
    let mut world = World::new();
    let (ada, bo) = (world.lan("Ada", "den"), world.lan("Bo", "den"));
    let other = world.lan("Eve", "another room");
    for (finder, found) in [(ada, bo), (bo, ada), (ada, other), (other, ada)] {
        let found = world.people[found].id;
        world.happen(finder, Duration::ZERO, Event::Discovered { peer: found, via: "mdns" });
    }
    world.run(2 * SECOND);
    assert_eq!((members(&world, ada), members(&world, bo), members(&world, other)), (1, 1, 0));
    let joined = world.people[ada].notices.iter().filter(|notice| matches!(notice, Notice::PeerJoined { .. })).count();
    assert_eq!(joined, 1);
}

#[test]
fn a_link_of_another_session_is_refused_and_an_empty_place_is_said_to_be_empty() {
    let mut world = World::new();
    let (ada, link) = world.create("Ada");
    let forged = Link::create(link.host, link.authority_hash, 0, link.hints.clone(), &mut StdRng::seed_from_u64(9));
    let eve = world.join("Eve", &forged, &[]);
    world.run(5 * SECOND);
    assert!(matches!(world.people[eve].ended, Some(Ending::Refused(_))), "Eve has another secret");
    assert_eq!(members(&world, ada), 0);
    world.kill(ada);
    let bo = world.join("Bo", &link, &[]);
    world.run(29 * SECOND);
    assert_eq!(world.people[bo].ended, None);
    world.run(2 * SECOND);
    assert!(matches!(world.people[bo].ended, Some(Ending::Unreachable(_))));
}

#[test]
fn a_link_holder_in_the_middle_shows_in_the_safety_numbers() {
    let mut world = World::new();
    let (ada, real) = world.create("Ada");
    world.join("Bo", &real, &[]);
    let (_, altered) = world.create("Ada");
    let victim = world.join("Bo", &altered, &[]);
    world.run(2 * SECOND);
    let number = |index: usize| world.people[index].session.view(world.now).peers[0].safety_number.clone();
    assert_ne!(number(ada), number(victim), "Ada and the victim compare and see that somebody is between them");
}

#[test]
fn an_outage_is_lost_after_six_seconds_and_heals() {
    let mut world = World::new();
    let (ada, link) = world.create("Ada");
    let bo = world.join("Bo", &link, &[]);
    world.run(2 * SECOND);
    world.cut.push((ada, bo));
    world.run(10 * SECOND);
    let view = world.people[ada].session.view(world.now);
    assert!(matches!(view.peers[0].connection, Connection::Reconnecting { .. }));
    world.cut.clear();
    let (a, b) = (world.people[ada].id, world.people[bo].id);
    world.happen(ada, Duration::ZERO, Event::Connected { peer: b, remote: None });
    world.happen(bo, Duration::ZERO, Event::Connected { peer: a, remote: None });
    let before = world.opened(ada, bo);
    world.run(8 * SECOND);
    assert!(has(&world, ada, |notice| matches!(notice, Notice::MediaRestored { .. })));
    assert_eq!(world.people[ada].session.view(world.now).peers[0].connection, Connection::Direct);
    assert!(world.opened(ada, bo) > before + 100);
}

#[test]
fn a_device_that_is_missing_is_a_problem_until_another_is_there() {
    let mut world = World::new();
    let (ada, _) = world.create("Ada");
    let mut happens = |events: Vec<Event>| {
        events.into_iter().for_each(|event| world.happen(ada, Duration::ZERO, event));
        world.run(SECOND);
        world.people[ada].session.view(world.now).problems
    };
    let lost = |code, message: &str| Event::AudioProblem { code, message: message.into(), hint: "Choose.".into() };
    let devices = |input: &str, output: &str| Event::Devices { input: input.into(), output: output.into() };
    assert_eq!(happens(vec![devices("Headset", "Headset"), lost("no-lane", "Full.")]), [""; 0]);
    let both = ["No microphone. Choose.", "No speaker. Choose."];
    let news = vec![
        lost("no-output", "No speaker."),
        devices("Headset", "null"),
        lost("no-input", "No microphone."),
        devices("silence", "null"),
    ];
    assert_eq!(happens(news), both);
    assert_eq!(happens(vec![devices("silence", "null")]), both);
    assert_eq!(happens(vec![devices("Headset", "null")]), both[1..]);
    assert_eq!(happens(vec![Event::Command(Command::Output("default".into()))]), both[1..], "nothing came of it yet");
    assert_eq!(happens(vec![Event::Command(Command::Output("null".into()))]), [""; 0], "that is what is wanted");
}

/// What is missing is one thing, what is left out meanwhile another: that changes, and is no problem that comes and goes.
#[test]
fn what_the_machine_leaves_out_is_no_problem_of_its_own() {
    let mut world = World::new();
    let (ada, _) = world.create("Ada");
    let report = AudioReport { reduced: &["room", "concealment"], ..AudioReport::default() };
    let now = world.now;
    world.people[ada].session.handle_event(now, Event::Audio(report));
    let view = world.people[ada].session.view(world.now);
    assert_eq!((view.reduced, &view.problems[..]), (&["room", "concealment"][..], &[][..]));
}

#[test]
fn commands_do_what_they_say_and_name_what_is_wrong() {
    let mut world = World::new();
    let (ada, link) = world.create("Ada");
    let bo = world.join("Bo", &link, &[]);
    world.run(SECOND);
    for line in ["move bo 400", "volume nobody 3", "move bo 90 2", "verify Bo", "say hi\u{202e}there", "mute"] {
        if let Ok(command) = command::parse(line) {
            world.command(ada, command);
        }
    }
    world.run(SECOND);
    let view = world.people[ada].session.view(world.now);
    assert_eq!((view.peers[0].position.azimuth_deg, view.peers[0].position.distance_m), (90.0, 2.0));
    assert_eq!(view.peers[0].trust, Trust::Verified);
    assert!(view.me.muted && world.people[bo].session.view(world.now).peers[0].muted);
    assert!(has(&world, bo, |notice| matches!(notice, Notice::Text { body, .. } if body == "hithere")));
    assert!(has(&world, ada, |notice| matches!(notice, Notice::Error { code: "unknown_peer", .. })));
    let secret = b"hithere";
    assert!(!world.wire.windows(secret.len()).any(|window| window == secret), "no text travels in the clear");
    assert!(!world.wire.windows(11).any(|window| window == b"fingerprint"), "no SDP travels in the clear");
}
