//! Minutes and hours of service in a moment: the machine and its clients share a clock that the test turns.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use libp2p::PeerId;
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use rtc::stun::message::TransactionId;
use zeroize::Zeroizing;

use super::super::Limits;
use super::super::allocation::Client;
use super::super::issuer::Issuer;
use super::super::machine::{Machine, Output};
use super::client::Caller;

const SERVER: &str = "203.0.113.7:3478";
const WORLD: &str = "198.51.100.9:40000";

/// A server with sockets that are numbers.
struct World {
    now: Instant,
    machine: Machine<u16>,
    callers: Vec<Caller>,
    /// What went out into the world: the relayed address's port, whither, what.
    sent: Vec<(u16, SocketAddr, Vec<u8>)>,
    next_port: u16,
    /// Where callers call from.
    place: u8,
}

impl World {
    fn new(limits: Limits) -> Self {
        let (now, crypto) = (Instant::now(), rtc::crypto::default_provider().unwrap());
        let issuer = Issuer::new(Zeroizing::new([9; 32]), crypto.clone(), limits.users);
        let own: IpAddr = at(SERVER).ip();
        let machine = Machine::new(issuer, crypto, vec![own], &[[0, 0, 0, 0].into()], limits, now);
        Self { now, machine, callers: vec![], sent: vec![], next_port: 50_000, place: 1 }
    }

    /// Somebody with credentials of its own asks for a relayed address.
    fn call(&mut self, owner: PeerId) -> usize {
        let random = rand::random();
        let (username, password) = self.machine.issuer.issue(owner, self.now, random).expect("credentials");
        self.call_as(&username, &password)
    }

    fn call_as(&mut self, username: &str, password: &str) -> usize {
        let number = self.callers.len() as u16;
        let address = SocketAddr::from(([192, 0, 2, (number >> 8) as u8 + self.place], 10_000 + number));
        let mut caller = Caller::new(address, at(SERVER), username, password);
        caller.client.allocate(self.now).unwrap();
        self.callers.push(caller);
        self.exchange();
        self.callers.len() - 1
    }

    /// Carries datagrams until nobody has any left.
    fn exchange(&mut self) {
        let mut quiet = false;
        while !quiet {
            quiet = true;
            for at in 0..self.callers.len() {
                while let Some(datagram) = self.callers[at].next_datagram() {
                    quiet = false;
                    let address = self.callers[at].address;
                    self.client_sends(address, &datagram);
                }
            }
        }
    }

    fn client_sends(&mut self, address: SocketAddr, datagram: &[u8]) -> bool {
        let client = Client { listener: 0, address };
        let port = &mut self.next_port;
        let mut open = |own: IpAddr| {
            *port += 1;
            Some((SocketAddr::new(own, *port), *port))
        };
        let output = self.machine.on_client_datagram(self.now, client, datagram, TransactionId([7; 12]), &mut open);
        let answered = output.is_some();
        self.carry(output);
        answered
    }

    fn peer_sends(&mut self, relayed: SocketAddr, peer: SocketAddr, bytes: &[u8]) {
        let output = self.machine.on_peer_datagram(self.now, relayed, peer, bytes, TransactionId([7; 12]));
        self.carry(output);
    }

    fn carry(&mut self, output: Option<Output<u16>>) {
        match output {
            Some(Output::ToClient(client, datagram)) => {
                if let Some(caller) = self.callers.iter_mut().find(|caller| caller.address == client.address) {
                    caller.take_in(self.now, &datagram);
                }
            }
            Some(Output::ToPeer(socket, to, bytes)) => self.sent.push((socket, to, bytes)),
            None => {}
        }
    }

    /// Turns the clock in steps in which every caller acts.
    fn pass(&mut self, span: Duration, step: Duration) {
        let end = self.now + span;
        while self.now < end {
            self.now += step;
            self.machine.expire(self.now);
            for caller in &mut self.callers {
                caller.pass_time(self.now);
            }
            self.exchange();
        }
    }

    fn relayed(&self, caller: usize) -> SocketAddr {
        self.callers[caller].relayed.expect("a relayed address")
    }

    fn permit(&mut self, caller: usize, peer: SocketAddr) -> bool {
        let now = self.now;
        self.callers[caller].permit(now, peer);
        self.exchange();
        self.callers[caller].permitted.contains(&peer)
    }

    fn say(&mut self, caller: usize, to: SocketAddr, bytes: &[u8]) -> bool {
        let now = self.now;
        let said = self.callers[caller].say(now, to, bytes);
        self.exchange();
        said
    }
}

fn at(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

#[test]
fn a_client_learns_its_address_and_talks_with_the_world_through_another() {
    let mut world = World::new(Limits::HELPER);
    let ada = world.call(PeerId::random());
    let relayed = world.relayed(ada);
    assert_eq!(relayed.ip(), at(SERVER).ip());
    world.peer_sends(relayed, at(WORLD), b"who is there?");
    assert!(world.callers[ada].heard.is_empty(), "nobody comes in who was not permitted");
    assert!(world.permit(ada, at(WORLD)));
    // The first goes as an indication, the second through the channel that was bound meanwhile.
    for word in [&b"one"[..], b"two"] {
        assert!(world.say(ada, at(WORLD), word));
        assert_eq!(world.sent.pop(), Some((relayed.port(), at(WORLD), word.to_vec())));
        world.peer_sends(relayed, at(WORLD), word);
        assert_eq!(world.callers[ada].heard.pop(), Some((at(WORLD), word.to_vec())));
    }
    world.peer_sends(relayed, at("198.51.100.10:40000"), b"stranger");
    assert!(world.callers[ada].heard.is_empty());
    let figures = world.machine.figures();
    assert_eq!((figures.users, figures.allocations, figures.packets, figures.bytes), (1, 1, 4, 12));
    assert_eq!(figures.refused_destination, 2);
}

#[test]
fn two_clients_of_one_server_meet_inside_it() {
    let mut world = World::new(Limits::HELPER);
    let (ada, bo) = (world.call(PeerId::random()), world.call(PeerId::random()));
    let (to_bo, to_ada) = (world.relayed(bo), world.relayed(ada));
    assert!(world.permit(ada, to_bo) && world.say(ada, to_bo, b"too early"));
    assert!(world.callers[bo].heard.is_empty());
    assert!(world.permit(bo, to_ada) && world.say(ada, to_bo, b"hello") && world.say(bo, to_ada, b"hello yourself"));
    assert_eq!(world.callers[bo].heard, [(to_ada, b"hello".to_vec())]);
    assert_eq!(world.callers[ada].heard, [(to_bo, b"hello yourself".to_vec())]);
    assert!(world.sent.is_empty(), "nothing left the machine");
    let own_service = SocketAddr::new(to_bo.ip(), 22);
    assert!(world.permit(ada, own_service) && world.say(ada, own_service, b"let me in"));
    assert!(world.sent.is_empty(), "what else the server's machine offers is out of reach");
}

#[test]
fn wrong_expired_and_revoked_credentials_get_nothing() {
    let mut world = World::new(Limits::HELPER);
    let owner = PeerId::random();
    let (username, password) = world.machine.issuer.issue(owner, world.now, [1; 15]).unwrap();
    for (username, password) in [(username.as_str(), "guess"), ("somebody", password.as_str()), ("", "")] {
        let caller = world.call_as(username, password);
        assert!(world.callers[caller].relayed.is_none());
        assert!(world.callers[caller].refused[0].contains("401"), "{:?}", world.callers[caller].refused);
    }
    let good = world.call_as(&username, &password);
    assert!(world.callers[good].relayed.is_some());
    assert_eq!(world.machine.figures().refused_credentials, 3);

    world.now += Duration::from_secs(600);
    let late = world.call_as(&username, &password);
    assert!(world.callers[late].refused[0].contains("401"), "expired");

    let (username, password) = world.machine.issuer.issue(owner, world.now, [2; 15]).unwrap();
    let again = world.call_as(&username, &password);
    assert!(world.permit(again, at(WORLD)) && world.say(again, at(WORLD), b"before"));
    world.machine.revoke(&owner);
    assert!(world.say(again, at(WORLD), b"after"));
    assert_eq!(world.sent.iter().map(|sent| &sent.2[..]).collect::<Vec<_>>(), [b"before"]);
    let revoked = world.call_as(&username, &password);
    assert!(world.callers[revoked].relayed.is_none());
    assert_eq!(world.machine.figures().allocations, 0);
}

#[test]
fn who_keeps_asking_for_credentials_keeps_a_call_of_hours_and_who_does_not_loses_it() {
    let mut world = World::new(Limits::HELPER);
    let (stays, leaves) = (PeerId::random(), PeerId::random());
    let (ada, bo) = (world.call(stays), world.call(leaves));
    assert!(world.permit(ada, at(WORLD)) && world.permit(bo, at(WORLD)));
    for _ in 0..40 {
        world.pass(Duration::from_secs(290), Duration::from_secs(1));
        world.machine.issuer.issue(stays, world.now, rand::random()).unwrap();
        assert!(world.say(ada, at(WORLD), b"still here"));
        let relayed = world.relayed(ada);
        world.peer_sends(relayed, at(WORLD), b"me too");
    }
    assert_eq!(world.sent.len(), 40);
    assert_eq!(world.callers[ada].heard.len(), 40);
    assert_eq!(world.machine.figures().allocations, 1, "the other's is gone");
    world.pass(Duration::from_secs(1_300), Duration::from_secs(1));
    assert_eq!(world.machine.figures().allocations, 0, "and so is the first one's once nobody asks any more");
}

#[test]
fn nobody_gets_more_than_its_share() {
    let limits = Limits { allocations: 10, allocations_per_user: 4, ..Limits::HELPER };
    let mut world = World::new(limits);
    let greedy = PeerId::random();
    let refusals = |world: &World, callers: &[usize], code: &str| {
        callers.iter().filter(|at| world.callers[**at].refused.iter().any(|why| why.contains(code))).count()
    };
    // Users of one owner share its allowance.
    let callers: Vec<usize> = (0..8).map(|_| world.call(greedy)).collect();
    assert_eq!(callers.iter().filter(|at| world.callers[**at].relayed.is_some()).count(), 4);
    assert_eq!(refusals(&world, &callers, "486"), 4);
    let others: Vec<usize> = (0..8).map(|_| world.call(PeerId::random())).collect();
    assert_eq!(others.iter().filter(|at| world.callers[**at].relayed.is_some()).count(), 6);
    assert_eq!(refusals(&world, &others, "508"), 2);
    assert_eq!(world.machine.figures().refused_quota, 6);
    world.pass(Duration::from_secs(700), Duration::from_secs(700));
    assert_eq!(world.machine.relayed.len(), world.machine.allocations.len());
}

/// Names cost nothing: whoever takes ever new ones in one place leaves the rest of a server to other places.
#[test]
fn one_place_leaves_some_for_others() {
    let limits = Limits { allocations: 10, allocations_per_network: 6, ..Limits::HELPER };
    let mut world = World::new(limits);
    let given = |world: &mut World, times: usize| {
        let callers: Vec<usize> = (0..times).map(|_| world.call(PeerId::random())).collect();
        callers.into_iter().filter(|at| world.callers[*at].relayed.is_some()).count()
    };
    assert_eq!(given(&mut world, 8), 6);
    assert!(world.callers[7].refused.iter().any(|why| why.contains("486")), "{:?}", world.callers[7].refused);
    world.place = 77;
    assert_eq!(given(&mut world, 8), 4);
    assert!(world.callers[15].refused.iter().any(|why| why.contains("508")), "{:?}", world.callers[15].refused);
}

#[test]
fn an_allocation_has_a_bandwidth() {
    let mut world = World::new(Limits::HELPER);
    let ada = world.call(PeerId::random());
    let relayed = world.relayed(ada);
    assert!(world.permit(ada, at(WORLD)));
    for _ in 0..500 {
        world.say(ada, at(WORLD), &[0; 1_000]);
        world.peer_sends(relayed, at(WORLD), &[0; 1_000]);
    }
    assert_eq!((world.sent.len(), world.callers[ada].heard.len()), (100, 100));
    world.now += Duration::from_millis(500);
    for _ in 0..500 {
        world.say(ada, at(WORLD), &[0; 1_000]);
    }
    assert_eq!(world.sent.len(), 150);
    assert_eq!(world.machine.figures().refused_rate, 400 + 400 + 450);
}

#[test]
fn private_and_other_inner_destinations_are_refused() {
    let mut world = World::new(Limits::HELPER);
    let ada = world.call(PeerId::random());
    let inside =
        ["127.0.0.1:80", "10.0.0.1:80", "192.168.1.1:80", "169.254.169.254:80", "224.0.0.251:5353", "0.0.0.0:80"];
    for (tried, to) in inside.into_iter().enumerate() {
        assert!(!world.permit(ada, at(to)), "{to}");
        assert!(world.callers[ada].refused[tried].contains("403"), "{:?}", world.callers[ada].refused);
    }
    assert!(!world.permit(ada, at("[2001:db8::1]:80")));
    assert!(world.callers[ada].refused[inside.len()].contains("443"), "another family than the relayed address's");
    assert_eq!(world.machine.figures().refused_destination, inside.len() as u64);
    assert!(world.sent.is_empty());
}

#[test]
fn a_flood_of_strangers_costs_neither_memory_nor_many_answers() {
    let mut world = World::new(Limits::HELPER);
    let mut caller = Caller::new(at("192.0.2.99:1"), at(SERVER), "nobody", "nothing");
    caller.client.allocate(world.now).unwrap();
    let question = caller.next_datagram().unwrap();
    let from_one =
        (0..10_000_u16).filter(|port| world.client_sends(at(&format!("192.0.2.99:{}", port + 1)), &question));
    assert_eq!(from_one.count(), 300);
    for forged in 0..20_000_u32 {
        let sender = SocketAddr::from((std::net::Ipv4Addr::from_bits(0x0800_0000 + forged), 9));
        world.client_sends(sender, &question);
    }
    assert!(world.machine.allocations.is_empty() && world.machine.relayed.is_empty());
    assert_eq!(world.machine.figures().users, 0);
    let ada = world.call(PeerId::random());
    assert!(world.callers[ada].relayed.is_some(), "and is no reason to refuse others");
}

#[test]
fn a_repeated_request_gets_the_same_answer_and_another_client_cannot_take_over() {
    let mut world = World::new(Limits::HELPER);
    let owner = PeerId::random();
    let (username, password) = world.machine.issuer.issue(owner, world.now, [1; 15]).unwrap();
    let mut caller = Caller::new(at("192.0.2.1:1"), at(SERVER), &username, &password);
    caller.client.allocate(world.now).unwrap();
    world.callers.push(caller);
    let first = world.callers[0].next_datagram().unwrap();
    world.client_sends(at("192.0.2.1:1"), &first);
    let signed = world.callers[0].next_datagram().unwrap();
    for _ in 0..3 {
        assert!(world.client_sends(at("192.0.2.1:1"), &signed));
        assert_eq!(world.callers[0].relayed, Some(at("203.0.113.7:50001")));
    }
    assert_eq!(world.machine.figures().allocated, 1);
    world.client_sends(at("192.0.2.1:2"), &signed);
    assert_eq!(world.machine.figures().allocated, 1, "the nonce was made for another address");
}

#[test]
fn no_datagram_makes_the_server_panic() {
    let mut world = World::new(Limits::HELPER);
    let mut random = StdRng::seed_from_u64(5);
    let ada = world.call(PeerId::random());
    world.permit(ada, at(WORLD));
    let address = world.callers[ada].address;
    let mut seen: Vec<Vec<u8>> = Vec::new();
    for _ in 0..50 {
        let now = world.now;
        world.callers[ada].say(now, at(WORLD), b"hello");
        while let Some(datagram) = world.callers[ada].next_datagram() {
            world.client_sends(address, &datagram);
            seen.push(datagram);
        }
    }
    for _ in 0..100_000 {
        let mut datagram = seen[random.random_range(0..seen.len())].clone();
        for _ in 0..random.random_range(1..6) {
            let at = random.random_range(0..datagram.len());
            datagram[at] = random.random();
        }
        datagram.truncate(random.random_range(0..=datagram.len()));
        world.now += Duration::from_millis(20);
        world.client_sends(address, &datagram);
    }
}
