//! What is written, when the network is not good.

use super::*;

/// Two who have met.
fn two() -> (World, usize, usize) {
    let mut world = World::new();
    let (ada, link) = world.create("Ada");
    let bo = world.join("Bo", &link, &[]);
    world.run(2 * SECOND);
    (world, ada, bo)
}

fn write(world: &mut World, who: usize, what: impl Into<String>) {
    world.command(who, Command::Say(what.into()));
}

/// The texts that somebody was shown.
fn read(world: &World, who: usize) -> Vec<&str> {
    let text = |notice: &'_ Notice| matches!(notice, Notice::Text { .. });
    let notices = world.people[who].notices.iter().filter(|notice| text(notice));
    notices
        .filter_map(|notice| if let Notice::Text { body, .. } = notice { Some(body.as_str()) } else { None })
        .collect()
}

/// What somebody was told about texts that may not have arrived.
fn told(world: &World, who: usize) -> Vec<&str> {
    let undelivered = |notice: &'_ Notice| matches!(notice, Notice::Warning { code: "text_undelivered", .. });
    let notices = world.people[who].notices.iter().filter(|notice| undelivered(notice));
    notices
        .filter_map(|notice| if let Notice::Warning { message, .. } = notice { Some(message.as_str()) } else { None })
        .collect()
}

#[test]
fn what_is_written_in_an_outage_arrives_after_it_once_and_in_order() {
    let (mut world, ada, bo) = two();
    let cy = world.join("Cy", &world.people[ada].session.link().unwrap().clone(), &[]);
    world.run(2 * SECOND);
    world.part(&[bo]);
    for what in ["one", "two", "three"] {
        world.run(5 * SECOND);
        write(&mut world, ada, what);
    }
    world.run(SECOND);
    assert_eq!((read(&world, bo), read(&world, cy)), (vec![], vec!["one", "two", "three"]));
    world.heal();
    world.run(SECOND);
    write(&mut world, ada, "four");
    world.run(90 * SECOND);
    for reader in [bo, cy] {
        assert_eq!(read(&world, reader), ["one", "two", "three", "four"]);
    }
    assert!(told(&world, ada).is_empty());
}

#[test]
fn what_comes_too_late_to_be_opened_is_said_again() {
    let (mut world, ada, bo) = two();
    (world.late, world.lateness) = (1.0, 14 * SECOND);
    let written: Vec<_> = (0..10).map(|number| format!("number {number}")).collect();
    for what in &written {
        write(&mut world, ada, what);
        world.run(SECOND);
    }
    world.run(70 * SECOND);
    let mut read = read(&world, bo);
    read.sort_unstable();
    assert_eq!(read, written, "each of them once");
}

#[test]
fn a_text_whose_acknowledgement_is_lost_is_shown_once() {
    let (mut world, ada, bo) = two();
    world.acknowledged = false;
    write(&mut world, ada, "once");
    write(&mut world, ada, "once");
    world.run(10 * SECOND);
    let before = world.wire_log.len();
    world.run(10 * SECOND);
    assert!(world.wire_log.len() > before + 20, "Ada goes on saying everything again");
    assert_eq!(read(&world, bo), ["once", "once"], "they were written twice");
}

#[test]
fn whoever_wrote_what_never_arrives_is_told() {
    let (mut world, ada, bo) = two();
    world.kill(bo);
    write(&mut world, ada, "are you there?");
    world.run(59 * SECOND);
    assert!(told(&world, ada).is_empty());
    world.run(2 * SECOND);
    assert_eq!(told(&world, ada), ["Bo may not have got “are you there?”."]);
    let view = world.people[ada].session.view(world.now);
    assert!(view.talk.iter().any(|line| line.from.is_none() && line.text.contains("are you there?")));
    // What is on its way when somebody is gone for good is told of then.
    write(&mut world, ada, "hello?");
    world.run(40 * SECOND);
    assert_eq!(members(&world, ada), 0);
    assert_eq!(told(&world, ada).len(), 2);
}

#[test]
fn few_texts_wait_for_one_member() {
    let (mut world, ada, bo) = two();
    world.part(&[bo]);
    (0..40).for_each(|number| write(&mut world, ada, format!("number {number}")));
    assert_eq!(told(&world, ada).len(), 8, "the oldest are given up");
    world.heal();
    world.run(2 * SECOND);
    assert_eq!((read(&world, bo).len(), read(&world, bo)[0]), (32, "number 8"));
    assert_eq!(told(&world, ada).len(), 8);
}

#[test]
fn what_was_lost_is_not_said_again_to_somebody_an_alarm_stands_about() {
    let (mut world, ada, bo) = two();
    world.part(&[bo]);
    write(&mut world, ada, "for Bo alone");
    world.run(SECOND);
    let bo_id = world.people[bo].id;
    world.people[ada].session.member_mut(bo_id).unwrap().trust = Trust::Changed;
    world.heal();
    world.run(5 * SECOND);
    assert!(read(&world, bo).is_empty());
}
