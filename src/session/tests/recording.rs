//! Whoever records says so, to everyone and for as long as it lasts.

use super::*;
use crate::session::event::Recording;

/// Whom `index` sees recording.
fn recorders(world: &World, index: usize) -> Vec<String> {
    let view = world.people[index].session.view(world.now);
    let me = view.me.recording.map(|_| "me".to_owned());
    me.into_iter().chain(view.peers.into_iter().filter(|peer| peer.recording).map(|peer| peer.name)).collect()
}

fn news(world: &World, index: usize) -> Vec<(String, bool)> {
    let recording = |notice: &Notice| match notice {
        Notice::Recording { name, on, .. } => Some((name.clone(), *on)),
        _ => None,
    };
    world.people[index].notices.iter().filter_map(recording).collect()
}

#[test]
fn everybody_is_told_who_records_newcomers_and_returners_too() {
    let mut world = World::new();
    let (ada, link) = world.create("Ada");
    let bo = world.join("Bo", &link, &[]);
    world.run(SECOND);
    world.command(ada, Command::Record(None));
    world.run(SECOND);
    assert_eq!(recorders(&world, bo), [""; 0], "nothing is recorded before there is a file");
    world.happen(ada, Duration::ZERO, Event::Recording(Recording::Began("/music/call".into())));
    world.run(SECOND);
    assert_eq!((recorders(&world, ada), recorders(&world, bo)), (vec!["me".into()], vec!["Ada".into()]));
    let cy = world.join("Cy", &link, &[]);
    world.run(2 * SECOND);
    assert_eq!(recorders(&world, cy), ["Ada"], "also who comes later");
    assert_eq!(news(&world, cy), [("Ada".to_owned(), true)]);

    // Whoever was away when it ended learns it on return.
    world.part(&[bo]);
    world.run(10 * SECOND);
    world.happen(ada, Duration::ZERO, Event::Recording(Recording::Ended { problem: None }));
    world.run(SECOND);
    assert_eq!((recorders(&world, ada).len(), recorders(&world, cy).len()), (0, 0));
    world.heal();
    world.run(20 * SECOND);
    assert_eq!(recorders(&world, bo), [""; 0]);
    let told = [("Ada".to_owned(), true), ("Ada".to_owned(), false)];
    for person in [ada, bo, cy] {
        assert_eq!(news(&world, person), told, "each is told of each once");
    }
    let talk = world.people[bo].session.view(world.now).talk;
    let lines: Vec<_> =
        talk.iter().filter(|line| line.text.contains("record")).map(|line| line.text.as_str()).collect();
    assert_eq!(lines, ["Ada ● is recording everybody", "Ada has stopped recording"]);
}

#[test]
fn what_cannot_be_recorded_is_said_and_nobody_else_is_troubled() {
    let mut world = World::new();
    let (ada, link) = world.create("Ada");
    let bo = world.join("Bo", &link, &[]);
    world.run(SECOND);
    let errors = |world: &World| {
        let error = |notice: &&Notice| matches!(notice, Notice::Error { .. });
        world.people[ada].notices.iter().filter(error).count()
    };
    world.command(ada, Command::StopRecording);
    assert_eq!(errors(&world), 1, "nothing is recorded");
    world.happen(ada, Duration::ZERO, Event::Recording(Recording::NotBegun("the disk is full".into())));
    world.run(SECOND);
    assert_eq!((errors(&world), recorders(&world, bo).len()), (2, 0));
    world.happen(ada, Duration::ZERO, Event::Recording(Recording::Began("/music/call".into())));
    world.run(SECOND);
    world.command(ada, Command::Record(None));
    assert_eq!(errors(&world), 3, "one recording at a time");
    let problem = Some("the disk is full".to_owned());
    world.happen(ada, Duration::ZERO, Event::Recording(Recording::Ended { problem }));
    world.run(SECOND);
    assert_eq!((errors(&world), recorders(&world, ada).len(), recorders(&world, bo).len()), (4, 0, 0));
    assert_eq!(members(&world, ada), 1, "the call goes on");
}

/// Also while it goes on and on, who records is never taken for somebody who does not.
#[test]
fn who_switches_recording_on_and_off_all_the_time_does_not_fill_the_talk() {
    let mut world = World::new();
    let (ada, link) = world.create("Ada");
    let bo = world.join("Bo", &link, &[]);
    world.run(SECOND);
    for turn in 0..600 {
        world.happen(ada, Duration::ZERO, Event::Recording(Recording::Began("/music/call".into())));
        world.run(SECOND / 20);
        assert_eq!(recorders(&world, bo), ["Ada"], "at turn {turn}");
        world.happen(ada, Duration::ZERO, Event::Recording(Recording::Ended { problem: None }));
        world.run(SECOND / 20);
    }
    // A minute: three at once, and one each twenty seconds.
    let told = news(&world, bo);
    assert!((8..=14).contains(&told.len()), "{}", told.len());
    let lines = |world: &World| {
        let talk = world.people[bo].session.view(world.now).talk;
        talk.iter().filter(|line| line.text.contains("record")).count()
    };
    assert_eq!(lines(&world), told.len());
    world.run(30 * SECOND);
    assert_eq!(recorders(&world, bo), [""; 0], "the end is told in the end");
    assert_eq!(news(&world, bo).last(), Some(&("Ada".to_owned(), false)));
}

/// A screen reader says each change of a microphone.
#[test]
fn who_switches_its_microphone_all_the_time_is_told_of_now_and_then() {
    let mut world = World::new();
    let (ada, link) = world.create("Ada");
    let bo = world.join("Bo", &link, &[]);
    world.run(SECOND);
    let muted = |world: &World| world.people[bo].session.view(world.now).peers[0].muted;
    let (mut changes, mut before) = (0, muted(&world));
    for turn in 0..400 {
        world.command(ada, if turn % 2 == 0 { Command::Mute } else { Command::Unmute });
        world.run(SECOND / 20);
        changes += usize::from(std::mem::replace(&mut before, muted(&world)) != before);
    }
    assert!((10..=32).contains(&changes), "{changes} in 20 s: ten at once, and one a second");
    world.command(ada, Command::Mute);
    world.run(2 * SECOND);
    assert!(muted(&world), "what was said last holds in the end");
}
