//! Asking this network which rooms there are, for as long as somebody looks at the list.

use super::interfaces::{self, Interface};
use super::words::{self, Told};
use super::{GROUP, MAX_DATAGRAM, PORT};
use crate::token_bucket::TokenBucket;
use socket2::SockRef;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// Time between two questions: somebody who waits for a friend's room sees it come.
const EVERY: Duration = Duration::from_secs(2);
/// Time between the first two: one datagram may be lost.
const AT_FIRST: Duration = Duration::from_millis(500);
/// From then on, when nobody has chosen yet, the page is merely open, and asks every so often.
const PATIENT_AFTER: u32 = 60;
const PATIENTLY: Duration = Duration::from_secs(5);
/// Questions without a word of a room until it counts as gone.
const MISSED: u8 = 3;
/// Rooms that are listed: more than anybody chooses from.
const MAX_ROOMS: usize = 32;
/// Rooms that one address is believed to be in: several people behind one address, or on one machine.
const MAX_ROOMS_OF_ONE: usize = 8;
/// Answers that are read at once, and in a second: a full network's, twice over.
const BURST: f64 = 200.0;
const RATE: f64 = 100.0;

/// A room of this network, as others tell of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Nearby {
    /// Its name: bounded, without control characters; anybody may have told it.
    pub room: String,
    /// How many are said to be in it, at least one.
    pub people: u8,
}

/// Looks for rooms until it is dropped. Needs a tokio runtime.
pub struct Browser {
    rooms: watch::Receiver<Vec<Nearby>>,
    task: JoinHandle<()>,
}

impl Browser {
    /// Begins to ask.
    ///
    /// # Errors
    /// The system gives no socket.
    pub fn start() -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_nonblocking(true)?;
        let socket = UdpSocket::from_std(socket)?;
        let (sender, rooms) = watch::channel(Vec::new());
        Ok(Self { rooms, task: tokio::spawn(look(socket, sender)) })
    }

    /// The rooms that there are now, in the order in which they were found.
    pub fn rooms(&self) -> Vec<Nearby> {
        self.rooms.borrow().clone()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn look(socket: UdpSocket, found: watch::Sender<Vec<Nearby>>) {
    let mut heard = Heard::default();
    let mut allowance = TokenBucket::new(BURST, RATE, Instant::now());
    let mut networks = Vec::new();
    // An answer to the last question may still be under way.
    let mut ids = [None; 2];
    let mut asked = 0_u32;
    let next = tokio::time::sleep(Duration::ZERO);
    tokio::pin!(next);
    let mut datagram = [0; MAX_DATAGRAM];
    loop {
        tokio::select! {
            () = &mut next => {
                networks = interfaces::all();
                ids = [Some(rand::random::<u16>()), ids[0]];
                if heard.ask() {
                    found.send_replace(heard.rooms());
                }
                ask(&socket, &networks, ids[0]).await;
                asked = asked.saturating_add(1);
                let pause = match asked {
                    1 => AT_FIRST,
                    PATIENT_AFTER.. => PATIENTLY,
                    _ => EVERY,
                };
                next.as_mut().reset(tokio::time::Instant::now() + pause);
            }
            received = socket.recv_from(&mut datagram) => {
                let Ok((length, from)) = received else { continue };
                let here = networks.iter().any(|network: &Interface| network.reaches(from.ip()));
                if !here || !allowance.take(Instant::now()) {
                    continue;
                }
                let Some((id, rooms)) = datagram.get(..length).and_then(words::answered) else { continue };
                if !ids.contains(&Some(id)) {
                    continue;
                }
                let news = rooms.into_iter().filter(|told| heard.hear(from.ip(), told)).count();
                if news > 0 {
                    found.send_replace(heard.rooms());
                }
            }
        }
    }
}

/// Asks on every network.
async fn ask(socket: &UdpSocket, networks: &[Interface], id: Option<u16>) {
    let Some(question) = id.and_then(words::question) else { return };
    for network in networks {
        let sent = match SockRef::from(socket).set_multicast_if_v4(&network.address) {
            Ok(()) => socket.send_to(&question, (GROUP, PORT)).await.map(drop),
            Err(error) => Err(error),
        };
        if let Err(error) = sent {
            tracing::debug!(%error, "a network cannot be asked for rooms");
        }
    }
}

/// What was heard of rooms.
#[derive(Default)]
struct Heard {
    rooms: Vec<Room>,
}

struct Room {
    told: Told,
    /// Who told of it first.
    by: IpAddr,
    /// Questions since the last word of it.
    missed: u8,
}

impl Heard {
    /// A question goes out; returns whether a room is gone by now.
    fn ask(&mut self) -> bool {
        let before = self.rooms.len();
        for room in &mut self.rooms {
            room.missed += 1;
        }
        self.rooms.retain(|room| room.missed <= MISSED);
        self.rooms.len() < before
    }

    /// Somebody tells of a room; returns whether that is news. Of several who tell of it in answer to one question the highest number
    /// counts: who has just come knows of fewer.
    fn hear(&mut self, by: IpAddr, told: &Told) -> bool {
        if let Some(room) = self.rooms.iter_mut().find(|room| room.told.room == told.room) {
            let people = if room.missed == 0 { room.told.people.max(told.people) } else { told.people };
            room.missed = 0;
            return std::mem::replace(&mut room.told.people, people) != people;
        }
        let of_one = self.rooms.iter().filter(|room| room.by == by).count();
        if self.rooms.len() >= MAX_ROOMS || of_one >= MAX_ROOMS_OF_ONE {
            return false;
        }
        self.rooms.push(Room { told: told.clone(), by, missed: 0 });
        true
    }

    fn rooms(&self) -> Vec<Nearby> {
        let nearby = |room: &Room| Nearby { room: room.told.room.clone(), people: room.told.people };
        self.rooms.iter().map(nearby).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(room: &str, people: u8) -> Told {
        Told { room: room.to_owned(), people }
    }

    fn host(number: u8) -> IpAddr {
        IpAddr::from([10, 0, 0, number])
    }

    fn names(heard: &Heard) -> Vec<(String, u8)> {
        heard.rooms().into_iter().map(|nearby| (nearby.room, nearby.people)).collect()
    }

    #[test]
    fn a_room_is_listed_while_somebody_tells_of_it_and_gone_soon_after() {
        let mut heard = Heard::default();
        heard.ask();
        assert!(heard.hear(host(1), &told("den", 2)) && heard.hear(host(2), &told("lobby", 1)));
        assert!(!heard.hear(host(3), &told("den", 1)), "who has just come knows of fewer");
        assert_eq!(names(&heard), [("den".into(), 2), ("lobby".into(), 1)]);
        for _ in 0..MISSED {
            assert!(!heard.ask());
            assert!(!heard.hear(host(2), &told("lobby", 1)));
        }
        assert_eq!(names(&heard).len(), 2, "datagrams get lost");
        assert!(heard.ask());
        assert_eq!(names(&heard), [("lobby".into(), 1)]);
        assert!(heard.hear(host(2), &told("lobby", 4)), "in answer to the next question");
        heard.ask();
        assert!(heard.hear(host(2), &told("lobby", 3)), "somebody left");
    }

    #[test]
    fn nobody_fills_the_list_alone_and_it_never_grows_past_its_bound() {
        let mut heard = Heard::default();
        let taken = |heard: &mut Heard, by, rooms: std::ops::Range<u16>| {
            rooms.filter(|room| heard.hear(host(by), &told(&format!("{by}-{room}"), 8))).count()
        };
        assert_eq!(taken(&mut heard, 1, 0..1_000), MAX_ROOMS_OF_ONE);
        assert!(heard.hear(host(2), &told("lobby", 1)), "others are still listed");
        for by in 3..100 {
            taken(&mut heard, by, 0..10);
        }
        assert_eq!(heard.rooms.len(), MAX_ROOMS);
        assert!(names(&heard).contains(&("lobby".into(), 1)));
    }
}
