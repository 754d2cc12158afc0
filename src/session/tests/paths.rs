//! Sound finds its way: by a stream while there is no connection, and back after silence.

use super::world::World;
use super::{SECOND, has, members};
use crate::session::event::Event;
use crate::session::notice::Notice;
use crate::session::path::Way;
use crate::session::view::Connection;
use resonance_protocol::peer::Address;
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

#[test]
fn without_a_connection_a_sealed_stream_carries_the_whole_conversation() {
    let mut world = World::new();
    world.udp = false;
    let (ada, link) = world.create("Ada");
    let bo = world.join("Bo", &link, &[]);
    world.run(2 * SECOND);
    let (before, cy) = (world.opened(ada, bo), world.join("Cy", &link, &[]));
    world.run(70 * SECOND);
    for (a, b) in [(ada, bo), (bo, ada), (ada, cy), (cy, bo)] {
        assert!(world.opened(a, b) >= 3_450, "{a} hears {b}: {} of 3500", world.opened(a, b));
        assert_eq!(world.refused(a, b), 0, "through two fresh keys and a dozen steps, a hop key with each");
    }
    assert!(before > 40);
    assert_eq!(world.people[ada].session.view(world.now).peers[0].connection, Connection::Direct);
    let streams = |notice: &Notice| {
        matches!(notice, Notice::MediaConnected { path: "direct", local: "stream", remote: "stream", .. })
    };
    assert!(has(&world, ada, streams), "told once it lasts");
    assert!(!has(&world, ada, |notice| matches!(notice, Notice::MediaLost { .. })));
}

#[test]
fn a_connection_that_falls_silent_is_replaced_within_a_second() {
    let mut world = World::new();
    let (ada, link) = world.create("Ada");
    let bo = world.join("Bo", &link, &[]);
    world.run(3 * SECOND);
    assert!(
        !has(&world, ada, |notice| matches!(notice, Notice::MediaConnected { local: "stream", .. })),
        "in passing only"
    );
    world.break_media(ada, bo);
    let before = world.opened(ada, bo);
    world.run(1_000 * MS);
    assert!(world.opened(ada, bo) >= before + 5, "{}", world.opened(ada, bo) - before);
    world.run(10 * SECOND);
    assert!(world.opened(ada, bo) >= before + 500);
    for person in [ada, bo] {
        let connected =
            world.people[person].notices.iter().filter(|notice| matches!(notice, Notice::MediaConnected { .. }));
        assert_eq!(connected.count(), 2, "and only once");
        assert!(!has(&world, person, |notice| matches!(notice, Notice::MediaLost { .. })));
    }
}

#[test]
fn who_moves_tells_the_others_at_once() {
    let mut world = World::new();
    let (ada, link) = world.create("Ada");
    let bo = world.join("Bo", &link, &[]);
    world.run(3 * SECOND);
    let (old, new) = (World::address(bo), Address { port: 9_999, ..World::address(bo) });
    world.break_media(ada, bo);
    let before = world.opened(ada, bo);
    world.happen(bo, Duration::ZERO, Event::NotListening(old));
    world.happen(bo, Duration::ZERO, Event::Listening(new));
    world.run(300 * MS);
    assert!(world.opened(ada, bo) >= before + 5, "{}", world.opened(ada, bo) - before);
    assert!(world.people[ada].session.peers.values().any(|peer| peer.addresses.contains(&new)), "and where it is now");
}

#[test]
fn everyone_is_back_after_twenty_seconds_in_the_same_seat() {
    let mut world = World::new();
    let (ada, link) = world.create("Ada");
    let (bo, cy) = (world.join("Bo", &link, &[]), world.join("Cy", &link, &[]));
    world.run(3 * SECOND);
    let seats = |world: &World| world.people[ada].session.view(world.now).peers.into_iter().map(|peer| peer.name);
    let before: Vec<_> = seats(&world).collect();
    world.break_media(ada, bo);
    world.break_media(bo, cy);
    world.cut.extend([(ada, bo), (bo, cy)]);
    world.run(20 * SECOND);
    assert!(has(&world, ada, |notice| matches!(notice, Notice::MediaLost { .. })));
    world.cut.clear();
    let opened = [(ada, bo), (bo, ada), (cy, bo), (bo, cy)].map(|(a, b)| (a, b, world.opened(a, b)));
    world.run(9 * SECOND);
    for (a, b, before) in opened {
        assert!(world.opened(a, b) > before + 10, "{a} hears {b}");
    }
    assert_eq!(seats(&world).collect::<Vec<_>>(), before);
    assert!(has(&world, ada, |notice| matches!(notice, Notice::MediaRestored { .. })));
}

#[test]
fn two_halves_that_were_apart_for_a_minute_are_one_again() {
    let mut world = World::new();
    let (ada, link) = world.create("Ada");
    let everyone = [ada, world.join("Bo", &link, &[]), world.join("Cy", &link, &[]), world.join("Di", &link, &[])];
    world.run(3 * SECOND);
    world.part(&everyone[..2]);
    world.run(60 * SECOND);
    world.heal();
    let before = everyone.map(|a| everyone.map(|b| world.opened(a, b)));
    world.run(12 * SECOND);
    for (a, row) in before.iter().enumerate() {
        assert_eq!(members(&world, a), 3);
        for (b, before) in row.iter().enumerate().filter(|(b, _)| *b != a) {
            assert!(world.opened(a, b) > before + 100, "{a} hears {b}");
        }
    }
}

#[test]
fn the_way_is_said_in_a_word() {
    assert_eq!([Way::Direct, Way::Relayed, Way::Member].map(Way::word), ["direct", "relayed", "member"]);
}
