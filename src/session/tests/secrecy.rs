//! What a stolen state opens, in virtual time: media keys through joins, leaves, losses and partitions.
//!
//! A thief takes everything that somebody holds at one moment: every opener, the sealer, the sender keys in use and pending. It has recorded
//! all packets of everyone, and reads the victim's channels until they have healed.

use super::world::World;
use super::*;
use rand::RngExt;
use resonance_protocol::media::KeyId;
use std::collections::BTreeSet;
use std::time::Instant;

/// Nothing that was sealed earlier than this before a theft opens.
pub const PAST: Duration = Duration::from_secs(10);
/// Nothing that is sealed later than this after a theft opens, while connected.
pub const HEALED: Duration = Duration::from_secs(55);
/// Both directions of a channel have healed by then: 20 s and a round trip.
pub const CHANNEL_HEALED: Duration = Duration::from_millis(20_100);
/// Nothing that is sealed later than this after a leave was known opens for who left.
pub const LEAVER: Duration = Duration::from_millis(300);
/// The same when nobody could know: 6 s of silence first, looked for ten times a second.
pub const LOST: Duration = Duration::from_millis(6_600);

/// One theft: who could open what at that moment.
struct Theft {
    at: Instant,
    victim: usize,
    keys: BTreeSet<(usize, KeyId)>,
}

impl Theft {
    /// Takes all that `victim` holds now, and checks what it says of the past.
    fn commit(world: &World, victim: usize) -> Self {
        let mut keys = BTreeSet::new();
        for from in 0..world.people.len() {
            let generations = world.sealed.keys().filter(|(sealer, _)| *sealer == from).map(|(_, id)| id.generation());
            let newest = generations.max().unwrap_or(0);
            for generation in newest.saturating_sub(4)..=newest + 2 {
                let ids = (0..=KeyId::MAX_STEP).map(|step| KeyId::new(generation, step));
                keys.extend(ids.filter(|id| world.could_open(victim, from, *id)).map(|id| (from, id)));
            }
        }
        Self { at: world.now, victim, keys }
    }

    /// Nothing from before the theft's last seconds, and nothing from before the victim had joined.
    fn check_past(&self, world: &World, seed: u64) {
        let joined = world.people[self.victim].joined;
        for (from, id) in &self.keys {
            let Some((first, _)) = world.sealed.get(&(*from, *id)) else { continue };
            let age = self.at - *first;
            assert!(age <= PAST, "seed {seed}: {} holds {id} of {from}, first used {age:?} ago", self.victim);
            assert!(*first >= joined, "seed {seed}: newcomer {} holds {id} of {from} from before", self.victim);
        }
    }

    /// Nothing that was sealed later than `bound` after the theft.
    fn check_future(&self, world: &World, seed: u64, what: &str, bound: impl Fn(usize) -> Duration) {
        for (from, id) in &self.keys {
            let Some((_, last)) = world.sealed.get(&(*from, *id)) else { continue };
            let late = last.saturating_duration_since(self.at);
            let bound = bound(*from);
            assert!(late <= bound, "seed {seed}: {what} {} opens {id} of {from} {late:?} later", self.victim);
        }
    }

    /// Adds what the thief reads in the victim's channels until they have healed.
    fn with_channels(mut self, world: &World) -> Self {
        let until = self.at + CHANNEL_HEALED;
        for (at, from, to, id) in &world.handed_over {
            if (self.at..=until).contains(at) && (*from == self.victim || *to == self.victim) {
                let later = (id.step()..=KeyId::MAX_STEP).map(|step| KeyId::new(id.generation(), step));
                self.keys.extend(later.map(|id| (*from, id)));
            }
        }
        self
    }
}

/// Who left, what it held, and who could know.
struct Leaver {
    theft: Theft,
    told: BTreeSet<usize>,
}

/// A call in which everything happens at random.
struct Storm {
    seed: u64,
    world: World,
    rng: StdRng,
    link: Link,
    thefts: Vec<Theft>,
    leavers: Vec<Leaver>,
}

impl Storm {
    fn new(seed: u64) -> Self {
        let mut world = World::new();
        world.frame = Duration::from_millis(100);
        let (_, link) = world.create("Ada");
        world.join("Bo", &link, &[]);
        world.run(SECOND);
        let rng = StdRng::seed_from_u64(seed);
        Self { seed, world, rng, link, thefts: Vec::new(), leavers: Vec::new() }
    }

    fn alive(&self) -> Vec<usize> {
        (0..self.world.people.len()).filter(|index| self.world.people[*index].alive).collect()
    }

    fn somebody(&mut self) -> usize {
        let alive = self.alive();
        alive[self.rng.random_range(0..alive.len())]
    }

    /// One episode: something happens, and time passes.
    fn episode(&mut self) {
        let (one, other) = (self.somebody(), self.somebody());
        match self.rng.random_range(0..10) {
            0..=1 if self.alive().len() < 4 => {
                let bootstrap = self.alive();
                self.world.join("P", &self.link, &bootstrap);
            }
            2 if self.alive().len() > 2 => self.leave(one, Command::Quit),
            3 if self.alive().len() > 2 => {
                self.leavers.push(Leaver { theft: Theft::commit(&self.world, one), told: BTreeSet::new() });
                self.world.kill(one);
            }
            4 if one != other => self.world.cut.push((one, other)),
            5..=6 => self.heal(),
            7 => self.world.loss = [0.0, 0.05, 0.3, 0.9][self.rng.random_range(0..4)],
            _ => {
                let theft = Theft::commit(&self.world, one);
                self.thefts.push(theft);
            }
        }
        for _ in 0..self.rng.random_range(1..8) {
            let span = Duration::from_millis(self.rng.random_range(50..1_900));
            self.world.run(span);
            for index in self.alive() {
                Theft::commit(&self.world, index).check_past(&self.world, self.seed);
            }
        }
    }

    fn leave(&mut self, who: usize, how: Command) {
        let theft = Theft::commit(&self.world, who);
        let told = self.alive().into_iter().filter(|other| !self.world.is_cut(who, *other)).collect();
        self.leavers.push(Leaver { theft, told });
        self.world.command(who, how);
    }

    fn heal(&mut self) {
        for (a, b) in std::mem::take(&mut self.world.cut) {
            let ids = [a, b].map(|index| self.world.people[index].id);
            for (index, peer) in [(a, ids[1]), (b, ids[0])] {
                if self.world.people[a].alive && self.world.people[b].alive {
                    self.world.happen(index, Duration::ZERO, Event::Connected { peer, remote: None });
                }
            }
        }
    }

    /// Everything that was stolen, held against everything that was ever sealed.
    fn judge(self) -> (usize, usize) {
        let Self { seed, world, thefts, leavers, .. } = self;
        let counts = (thefts.len(), leavers.len());
        for leaver in &leavers {
            let bound = |from: usize| match (leaver.told.contains(&from), from == leaver.theft.victim) {
                (true, _) | (_, true) => LEAVER + Duration::from_millis(5),
                _ => LOST + LEAVER,
            };
            leaver.theft.check_future(&world, seed, "leaver", bound);
        }
        for theft in thefts {
            theft.with_channels(&world).check_future(&world, seed, "thief of", |_| HEALED);
        }
        counts
    }
}

fn storms(seeds: std::ops::Range<u64>, episodes: usize) {
    let (mut thefts, mut leavers) = (0, 0);
    for seed in seeds {
        let mut storm = Storm::new(seed);
        for _ in 0..episodes {
            storm.episode();
        }
        let counts = storm.judge();
        (thefts, leavers) = (thefts + counts.0, leavers + counts.1);
    }
    assert!(thefts > 10 && leavers > 10, "{thefts} thefts, {leavers} leaves");
}

#[test]
fn stolen_media_keys_open_ten_seconds_of_the_past_and_leavers_and_newcomers_nothing() {
    storms(0..50, 40);
}

#[test]
#[ignore = "120,000 random events in 3,000 histories: twenty minutes of one core"]
fn stolen_media_keys_open_ten_seconds_of_the_past_in_thousands_of_histories() {
    storms(1_000..4_000, 40);
}
