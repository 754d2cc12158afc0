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
