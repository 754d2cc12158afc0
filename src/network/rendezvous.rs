//! Meeting under a key of the distributed hash table: when to publish and look up, and whom to try of those found there.
//! Pure: it is told the time and says what to ask of the table.

use std::collections::{HashMap, HashSet, VecDeque};
use std::hash::Hash;
use std::time::{Duration, Instant};

use libp2p::{Multiaddr, PeerId};

/// How often our record is renewed: entries move as nodes come and go.
const PUBLISH_EVERY: Duration = Duration::from_secs(10 * 60);

/// Least time between two publications: addresses are confirmed one after the other.
const PUBLISH_GAP: Duration = Duration::from_secs(2);

/// Every so many rounds the keys of other hours are asked for, too: clocks that differ by much are rare, and each key is twenty questions.
const ALL_HOURS_EVERY: usize = 3;

/// Pauses between rounds of looking up while nobody was found; the last one goes on.
const SEEKING: [Duration; 6] = [
    Duration::from_millis(1_500),
    Duration::from_secs(3),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(60),
];

/// The same in company, or while others are to come to us: so that the parts of a session that fell apart find each other again. Whoever
/// is lost makes it begin anew.
const IN_COMPANY: [Duration; 5] = [
    Duration::from_secs(60),
    Duration::from_secs(2 * 60),
    Duration::from_secs(4 * 60),
    Duration::from_secs(8 * 60),
    Duration::from_secs(15 * 60),
];

/// Found peers that wait to be dialled. Whoever knows the key can put any number there; eight belong there.
const MAX_WAITING: usize = 256;

/// Found peers that are remembered as tried.
const MAX_TRIED: usize = 1_024;

/// How long somebody found is not tried again.
const TRY_AGAIN_AFTER: Duration = Duration::from_secs(30);

/// Addresses of one found peer.
const MAX_ADDRESSES: usize = 8;

/// Whether others are to be found, or to find us.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Haste {
    /// We look for others and know nobody.
    Seek,
    /// Others come to us.
    Wait,
}

/// What to ask of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Put us under this key.
    Publish([u8; 32]),
    /// Who is under this key?
    LookUp([u8; 32]),
}

/// See the module. `Q` names a query.
pub(super) struct Rendezvous<Q> {
    own: Option<[u8; 32]>,
    keys: Vec<[u8; 32]>,
    haste: Haste,
    publish_at: Option<Instant>,
    publishing: Option<Q>,
    look_up_at: Instant,
    rounds: usize,
    /// Keys of the present round that were not yet asked for.
    to_ask: VecDeque<[u8; 32]>,
    asking: HashSet<Q>,
    waiting: VecDeque<(PeerId, Vec<Multiaddr>)>,
    tried: HashMap<PeerId, Instant>,
}

impl<Q: Copy + Eq + Hash> Rendezvous<Q> {
    /// No keys yet.
    pub(super) fn new(now: Instant) -> Self {
        Self {
            own: None,
            keys: Vec::new(),
            haste: Haste::Wait,
            publish_at: None,
            publishing: None,
            look_up_at: now,
            rounds: 0,
            to_ask: VecDeque::new(),
            asking: HashSet::new(),
            waiting: VecDeque::new(),
            tried: HashMap::new(),
        }
    }

    /// From now on we are under `own`, and others under any of `keys`. Gives the key under which we are no more.
    pub(super) fn set_keys(
        &mut self,
        now: Instant,
        own: [u8; 32],
        keys: Vec<[u8; 32]>,
        haste: Haste,
    ) -> Option<[u8; 32]> {
        let before = self.own.replace(own).filter(|before| *before != own);
        (self.keys, self.haste) = (keys, haste);
        self.publish_at = Some(now);
        (self.look_up_at, self.rounds) = (now, 0);
        before
    }

    /// Our addresses have changed, or the table has become reachable.
    pub(super) fn publish_soon(&mut self, now: Instant) {
        let soon = now + PUBLISH_GAP;
        self.publish_at = Some(self.publish_at.map_or(soon, |at| at.min(soon)));
    }

    /// Somebody was lost: look again at once.
    pub(super) fn look_soon(&mut self, now: Instant) {
        (self.look_up_at, self.rounds, self.haste) = (now, 0, Haste::Seek);
    }

    /// What to ask next; [`asked`](Self::asked) follows. `reachable`: we have an address to publish. `in_company`: we are connected to somebody of
    /// the session.
    pub(super) fn poll(&mut self, now: Instant, reachable: bool, in_company: bool) -> Option<Ask> {
        let own = self.own?;
        if reachable && self.publishing.is_none() && self.publish_at.is_some_and(|at| at <= now) {
            self.publish_at = Some(now + PUBLISH_EVERY);
            return Some(Ask::Publish(own));
        }
        if self.to_ask.is_empty() && self.asking.is_empty() && self.look_up_at <= now {
            let all = self.rounds.is_multiple_of(ALL_HOURS_EVERY);
            self.to_ask.push_back(own);
            self.to_ask.extend(self.keys.iter().filter(|key| all && **key != own));
            let calm = in_company || self.haste == Haste::Wait;
            let pauses: &[Duration] = if calm { &IN_COMPANY } else { &SEEKING };
            self.look_up_at = now + pauses[self.rounds.min(pauses.len() - 1)];
            self.rounds += 1;
        }
        self.to_ask.pop_front().map(Ask::LookUp)
    }

    /// The query that `ask` became; `None`: it could not be asked.
    pub(super) fn asked(&mut self, ask: Ask, query: Option<Q>) {
        match (ask, query) {
            (Ask::Publish(_), query) => self.publishing = query,
            (Ask::LookUp(_), Some(query)) => drop(self.asking.insert(query)),
            (Ask::LookUp(_), None) => {}
        }
    }

    /// A query is over.
    pub(super) fn answered(&mut self, query: &Q) {
        self.asking.remove(query);
        self.publishing.take_if(|publishing| publishing == query);
    }

    /// A query found `peer`, who is to be tried at these addresses.
    pub(super) fn found(&mut self, now: Instant, peer: PeerId, mut addresses: Vec<Multiaddr>) {
        if self.tried.len() >= MAX_TRIED {
            self.tried.retain(|_, at| now.saturating_duration_since(*at) < TRY_AGAIN_AFTER);
        }
        let again = self.tried.get(&peer).is_none_or(|at| now.saturating_duration_since(*at) >= TRY_AGAIN_AFTER);
        if again && !addresses.is_empty() && self.waiting.len() < MAX_WAITING && self.tried.len() < MAX_TRIED {
            addresses.truncate(MAX_ADDRESSES);
            self.tried.insert(peer, now);
            self.waiting.push_back((peer, addresses));
        }
    }

    /// Whom to dial next.
    pub(super) fn next_found(&mut self) -> Option<(PeerId, Vec<Multiaddr>)> {
        self.waiting.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn everything(table: &mut Rendezvous<u32>, now: Instant, reachable: bool, company: bool) -> Vec<Ask> {
        std::iter::from_fn(|| table.poll(now, reachable, company)).collect()
    }

    #[test]
    fn three_hours_are_looked_up_and_one_is_published_once_there_is_an_address() {
        let now = Instant::now();
        let mut table = Rendezvous::new(now);
        assert_eq!(table.poll(now, true, false), None, "no session, no question");
        assert_eq!(table.set_keys(now, [2; 32], vec![[1; 32], [2; 32], [3; 32]], Haste::Seek), None);
        assert_eq!(everything(&mut table, now, false, false), [2, 1, 3].map(|hour| Ask::LookUp([hour; 32])));
        assert_eq!(everything(&mut table, now, true, false), [Ask::Publish([2; 32])]);
        table.asked(Ask::Publish([2; 32]), Some(7));
        table.asked(Ask::LookUp([1; 32]), Some(8));
        table.publish_soon(now);
        assert_eq!(everything(&mut table, now + PUBLISH_GAP, true, true), [], "one at a time");
        table.answered(&7);
        assert_eq!(table.poll(now + PUBLISH_GAP, true, true), Some(Ask::Publish([2; 32])));
        assert_eq!(
            table.set_keys(now, [3; 32], vec![[3; 32]], Haste::Seek),
            Some([2; 32]),
            "the hour that is over is taken back"
        );
    }

    #[test]
    fn rounds_become_rarer_and_in_company_rarer_still() {
        let mut now = Instant::now();
        let mut table = Rendezvous::new(now);
        table.set_keys(now, [1; 32], vec![[1; 32]], Haste::Seek);
        let mut rounds = 0;
        let end = now + Duration::from_secs(120);
        while now < end {
            rounds += everything(&mut table, now, false, now > end - Duration::from_secs(70)).len();
            now += Duration::from_millis(100);
        }
        assert!((7..=10).contains(&rounds), "{rounds} rounds in two minutes");
        table.look_soon(now);
        assert_eq!(table.poll(now, false, true), Some(Ask::LookUp([1; 32])));
        let mut waiting = Rendezvous::<u32>::new(now);
        waiting.set_keys(now, [1; 32], vec![[1; 32]], Haste::Wait);
        assert_eq!(everything(&mut waiting, now, false, false).len(), 1);
        assert_eq!(everything(&mut waiting, now + IN_COMPANY[0] / 2, false, false), [], "who made the session waits");
        let (mut now, mut rounds) = (now + IN_COMPANY[0], 0);
        let end = now + Duration::from_secs(60 * 60);
        while now < end {
            rounds += everything(&mut waiting, now, false, true).len();
            now += Duration::from_secs(1);
        }
        assert!((5..=8).contains(&rounds), "{rounds} rounds in the next hour");
    }

    #[test]
    fn a_crowd_under_the_key_is_bounded_and_nobody_is_tried_twice_in_a_row() {
        let now = Instant::now();
        let mut table = Rendezvous::<u32>::new(now);
        let at = vec!["/ip4/192.0.2.1/tcp/1".parse::<Multiaddr>().unwrap(); 100];
        for _ in 0..10_000 {
            table.found(now, PeerId::random(), at.clone());
        }
        assert_eq!((table.waiting.len(), table.tried.len()), (MAX_WAITING, MAX_WAITING));
        let (first, addresses) = table.next_found().unwrap();
        assert_eq!(addresses.len(), MAX_ADDRESSES);
        table.found(now, first, at.clone());
        assert_eq!(table.waiting.len(), MAX_WAITING - 1);
        table.found(now + TRY_AGAIN_AFTER, first, at);
        assert_eq!(table.waiting.len(), MAX_WAITING);
        table.found(now, PeerId::random(), Vec::new());
        assert_eq!(table.waiting.len(), MAX_WAITING, "without an address there is nothing to try");
    }
}
