//! Handshakes that somebody disturbs, repeats, floods or leaves half done.

use super::*;
use crate::session::effect::Effect;
use crate::session::{Config, Entry, Session};
use rand::RngExt;
use resonance_protocol::handshake::{Initiator, LocalPeer};
use resonance_protocol::identity::IdentityKey;
use resonance_protocol::link::SessionKeys;
use resonance_protocol::peer::{Address, Listener, Transport, TransportId};
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Instant;

/// The first byte of a sealed signal.
const SEALED: u8 = 4;

fn joined(world: &World, index: usize) -> usize {
    world.people[index].notices.iter().filter(|notice| matches!(notice, Notice::PeerJoined { .. })).count()
}

/// Somebody on the way who flips a bit of each sealed signal from one to another.
fn spoil(from: usize) -> Option<world::Middle> {
    Some(Box::new(move |sender, _, message| {
        if sender == from && message[0] == SEALED {
            message[100] ^= 1;
        }
    }))
}

#[test]
fn nobody_is_announced_before_a_message_has_opened_each_way() {
    for spoiled in [0, 1] {
        let mut world = World::new();
        let (ada, link) = world.create("Ada");
        world.middle = spoil(spoiled);
        let bo = world.join("Bo", &link, &[]);
        world.run(25 * SECOND);
        assert_eq!((members(&world, ada), members(&world, bo)), (0, 0), "{spoiled} is not understood");
        assert_eq!((joined(&world, ada), joined(&world, bo)), (0, 0));
        assert!(!has(&world, bo, |notice| matches!(notice, Notice::Joined { .. })));
    }
}

#[test]
fn an_older_channel_stays_until_a_new_one_is_proved() {
    let mut world = World::new();
    let (ada, link) = world.create("Ada");
    let bo = world.join("Bo", &link, &[]);
    world.run(2 * SECOND);
    let said = |world: &mut World, what: &str| {
        world.command(ada, Command::Say(what.into()));
        world.run(SECOND / 5);
        has(world, bo, |notice| matches!(notice, Notice::Text { body, .. } if body == what))
    };
    // Another handshake whose first words do not get through; what else Bo says meanwhile does not either.
    world.middle = spoil(bo);
    let (now, bo_id) = (world.now, world.people[bo].id);
    world.people[ada].session.initiate(now, bo_id);
    assert!(said(&mut world, "through the old one"));
    world.middle = None;
    world.run(12 * SECOND);
    assert!(said(&mut world, "still through the old one"));
    // And one that succeeds.
    let (now, bo_id) = (world.now, world.people[bo].id);
    world.people[ada].session.initiate(now, bo_id);
    world.run(SECOND);
    assert!(said(&mut world, "through the new one"));
    assert_eq!((joined(&world, ada), joined(&world, bo)), (1, 1), "nobody came anew");
}

#[test]
fn repeated_and_reflected_messages_change_nothing() {
    let mut world = World::new();
    let (ada, link) = world.create("Ada");
    let tape = Rc::new(RefCell::new(Vec::new()));
    let recorder = Rc::clone(&tape);
    world.middle = Some(Box::new(move |from, _, message| recorder.borrow_mut().push((from, message.clone()))));
    let bo = world.join("Bo", &link, &[]);
    world.run(3 * SECOND);
    world.middle = None;
    let recorded = tape.take();
    assert!(recorded.len() > 12);
    let ids = [world.people[ada].id, world.people[bo].id];
    let (mut receipt, mut sealed) = (u64::MAX, Vec::new());
    for (from, message) in &recorded {
        for to in [ada, bo] {
            // What one has said comes once more, to the other and back to oneself.
            receipt -= 1;
            if message[0] == SEALED {
                sealed.push((receipt, *from == to));
            }
            let event = Event::Message { from: ids[1 - to], bytes: message.clone(), receipt };
            world.happen(to, Duration::from_millis(1), event);
        }
        world.run(Duration::from_millis(20));
    }
    world.run(15 * SECOND);
    for (receipt, reflected) in sealed {
        assert!(!world.strays.contains(&receipt), "a signal is taken once more; reflected: {reflected}");
    }
    assert_eq!((joined(&world, ada), joined(&world, bo)), (1, 1));
    assert_eq!((members(&world, ada), members(&world, bo)), (1, 1));
    world.command(ada, Command::Say("still here".into()));
    world.command(bo, Command::Say("so am I".into()));
    world.run(SECOND);
    assert!(has(&world, bo, |notice| matches!(notice, Notice::Text { body, .. } if body == "still here")));
    assert!(has(&world, ada, |notice| matches!(notice, Notice::Text { body, .. } if body == "so am I")));
}

/// A session on its own, and others who begin handshakes with it and do not go on.
struct Besieged {
    session: Session<StdRng>,
    keys: SessionKeys,
    now: Instant,
    rng: StdRng,
}

impl Besieged {
    fn new() -> Self {
        let (mut rng, keys, now) = (StdRng::seed_from_u64(4), SessionKeys::for_lan_room("den"), Instant::now());
        let config = Config {
            entry: Entry::Lan("den".into()),
            unix_time: 0,
            contacts: None,
            me: TransportId::from_bytes([9; 32]),
            identity: IdentityKey::generate(&mut rng),
            name: "Ada".into(),
            bootstrap: vec![],
        };
        Self { session: Session::new(config, now, StdRng::seed_from_u64(5)), keys, now, rng }
    }

    /// Somebody connects from an address.
    fn stranger(&mut self, address: Option<[u8; 4]>) -> TransportId {
        let id = TransportId::from_bytes(self.rng.random());
        let remote =
            address.map(|ip| Address { ip: ip.into(), port: 1, transport: Transport::Quic, listener: Listener::Peer });
        self.session.handle_event(self.now, Event::Connected { peer: id, remote });
        id
    }

    /// A true first message of `id`; whether it is answered.
    fn begin(&mut self, id: TransportId) -> bool {
        let identity = IdentityKey::generate(&mut self.rng);
        let local = LocalPeer { identity: &identity, transport: id, name: "Eve" };
        let me = TransportId::from_bytes([9; 32]);
        let (_, bytes) = Initiator::start(&self.keys, &local, me, &mut self.rng).unwrap();
        self.session.handle_event(self.now, Event::Message { from: id, bytes, receipt: 0 });
        let mut answered = false;
        while let Some(effect) = self.session.poll_effect() {
            answered |= matches!(&effect, Effect::Send { to, bytes, .. } if *to == id && bytes[0] == 2);
        }
        answered
    }

    fn wait(&mut self, span: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now += Duration::from_millis(100);
            self.session.handle_timeout(self.now);
            while self.session.poll_effect().is_some() {}
        }
    }
}

#[test]
fn a_peer_that_begins_again_and_again_is_slowed_down() {
    let mut ada = Besieged::new();
    let eve = ada.stranger(None);
    assert_eq!((0..50).filter(|_| ada.begin(eve)).count(), 5);
    ada.wait(4 * SECOND);
    assert_eq!((0..50).filter(|_| ada.begin(eve)).count(), 2);
}

#[test]
fn an_address_that_sends_many_peers_is_slowed_down_and_others_are_not() {
    let mut ada = Besieged::new();
    let mut answered = 0;
    for _ in 0..40 {
        let peer = ada.stranger(Some([192, 0, 2, 7]));
        answered += u32::from(ada.begin(peer));
        ada.session.handle_event(ada.now, Event::Disconnected(peer));
    }
    assert_eq!(answered, 20);
    let other = ada.stranger(Some([192, 0, 2, 8]));
    assert!(ada.begin(other));
}

#[test]
fn handshakes_under_way_are_few_and_end_after_ten_seconds() {
    let mut ada = Besieged::new();
    let peers: Vec<_> = (0..30).map(|number| ada.stranger(Some([192, 0, 2, number]))).collect();
    assert_eq!(peers.iter().filter(|peer| ada.begin(**peer)).count(), 16);
    ada.wait(Duration::from_millis(9_900));
    assert!(!ada.begin(peers[20]), "nobody has finished, and it is not time yet");
    ada.wait(Duration::from_millis(200));
    assert!(ada.begin(peers[20]));
}
