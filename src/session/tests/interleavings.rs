//! Kicks, joins, handovers, locks and partitions in random order.

use super::SECOND;
use super::admission::{knows, link_of, three};
use super::world::World;
use crate::command::Command;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::time::Duration;

/// The host, its members, their members …: without those who came by the old link to an island that was cut off, whose every
/// member is removed. Nobody answers them any more, and they know nobody else.
fn session_around(world: &World, host: usize, people: &[usize]) -> Vec<usize> {
    let mut found = vec![host];
    while let Some(next) = people.iter().find(|next| {
        !found.contains(next) && found.iter().any(|one| knows(world, *one, **next) || knows(world, **next, *one))
    }) {
        found.push(*next);
    }
    found
}

/// Whatever happens in between: a second after all are connected again nobody has a removed person as a member.
#[test]
fn a_removed_person_is_nobodys_member_a_second_after_all_are_connected() {
    for seed in 0..200 {
        let mut rng = StdRng::seed_from_u64(seed);
        let (mut world, _, [ada, bo, cy]) = three();
        let (mut host, mut people, mut removed) = (ada, vec![ada, bo, cy], Vec::new());
        for step in 0..14 {
            match rng.random_range(0..7) {
                0 | 1 if people.len() > 2 => {
                    let victim = people[rng.random_range(0..people.len())];
                    let name = world.people[victim].id.short();
                    if victim != host && knows(&world, host, victim) {
                        world.command(host, Command::Kick(name));
                        people.retain(|index| *index != victim);
                        removed.push(victim);
                    }
                }
                2 if people.len() < 6 => {
                    let link = link_of(&world, host);
                    let door = people[rng.random_range(0..people.len())];
                    people.push(world.join(&format!("P{step}"), &link, &[door]));
                }
                3 => {
                    let island: Vec<_> = people.iter().copied().filter(|_| rng.random()).collect();
                    world.part(&[island, removed.clone()].concat());
                }
                4 => world.heal(),
                5 => {
                    let heir = people[rng.random_range(0..people.len())];
                    let name = world.people[heir].id.short();
                    if heir != host && knows(&world, host, heir) && world.cut.is_empty() {
                        world.command(host, Command::Handover(name));
                        world.run(SECOND);
                        host = heir;
                    }
                }
                _ => world.command(host, if rng.random() { Command::Lock } else { Command::Unlock }),
            }
            world.run(Duration::from_millis(rng.random_range(0..4_000)));
        }
        world.heal();
        world.run(SECOND);
        for index in session_around(&world, host, &people) {
            for gone in &removed {
                assert!(!knows(&world, index, *gone), "seed {seed}: {gone} is still a member of {index}");
            }
        }
    }
}
