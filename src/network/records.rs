//! What a DHT server remembers for others: who provides what, and nothing else.
//!
//! The library's store keeps the provider records of others for ever and without a bound; this one counts and forgets.
//! Values are not kept at all: nobody in a session stores any.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet, hash_map, hash_set};
use std::iter;
use std::time::{Duration, Instant};

use libp2p::PeerId;
use libp2p::kad::store::{Error, RecordStore, Result};
use libp2p::kad::{ProviderRecord, Record, RecordKey};

/// How long a provider record holds: keys change by the hour, and the one before and the one after are looked up, too.
pub(crate) const PROVIDER_TTL: Duration = Duration::from_secs(3 * 60 * 60);

/// Provider records at a helper, in total: a million sessions spread over the whole network leave few at each server.
pub(crate) const MAX_AT_HELPER: usize = 20_000;

/// Provider records at a member that others reach: a megabyte or two.
pub(crate) const MAX_AT_MEMBER: usize = 1_000;

/// Providers of one key: a full session four times over. All of them go into one answer.
const MAX_PROVIDERS_PER_KEY: usize = 32;

/// Keys of one provider: a session has three at a time.
const MAX_KEYS_PER_PROVIDER: usize = 32;

/// Addresses of a provider that are remembered: both transports in both families, and through a few relays.
const MAX_ADDRESSES: usize = 8;

/// Longest address in bytes: through a relay it names two peers.
const MAX_ADDRESS: usize = 192;

/// Longest key in bytes: a multihash of 64 bytes is the longest in use.
const MAX_KEY: usize = 80;

/// A record's place in time: which is the next to go.
type Age = (Instant, u64);

struct Kept {
    record: ProviderRecord,
    age: Age,
}

/// Provider records, bounded in every direction.
pub(crate) struct Records {
    own: PeerId,
    /// Records there may be.
    room: usize,
    keys: HashMap<RecordKey, Vec<Kept>>,
    /// All records, the one that goes next first.
    ages: BTreeMap<Age, (RecordKey, PeerId)>,
    /// How many keys each provider has.
    providers: HashMap<PeerId, usize>,
    /// What we provide ourselves.
    provided: HashSet<ProviderRecord>,
    /// Tells records of one instant apart.
    counter: u64,
}

impl Records {
    /// An empty store of the peer `own`, with room for so many records.
    pub(crate) fn new(own: PeerId, room: usize) -> Self {
        Self {
            own,
            room,
            keys: HashMap::new(),
            ages: BTreeMap::new(),
            providers: HashMap::new(),
            provided: HashSet::new(),
            counter: 0,
        }
    }

    /// How many provider records there are.
    pub(crate) fn len(&self) -> usize {
        self.ages.len()
    }

    /// Forgets what has expired. Looking something up does not need it: what has expired is not told.
    pub(crate) fn expire(&mut self, now: Instant) {
        while let Some((&age, (key, provider))) = self.ages.first_key_value() {
            if age.0 > now {
                return;
            }
            let (key, provider) = (key.clone(), *provider);
            self.forget(&key, &provider);
        }
    }

    fn add(&mut self, mut record: ProviderRecord, now: Instant) -> Result<()> {
        if record.key.as_ref().len() > MAX_KEY {
            return Err(Error::ValueTooLarge);
        }
        record.addresses.retain(|address| address.len() <= MAX_ADDRESS);
        record.addresses.truncate(MAX_ADDRESSES);
        let latest = now + PROVIDER_TTL;
        let expires = record.expires.map_or(latest, |expires| expires.min(latest));
        record.expires = Some(expires);
        self.expire(now);
        self.forget(&record.key, &record.provider);
        self.make_room(&record, now)?;
        self.counter += 1;
        let age = (expires, self.counter);
        self.ages.insert(age, (record.key.clone(), record.provider));
        *self.providers.entry(record.provider).or_default() += 1;
        if record.provider == self.own {
            self.provided.insert(record.clone());
        }
        self.keys.entry(record.key.clone()).or_default().push(Kept { record, age });
        Ok(())
    }

    fn make_room(&mut self, new: &ProviderRecord, now: Instant) -> Result<()> {
        let there = self.keys.get(&new.key).map_or(&[][..], Vec::as_slice);
        if there.len() >= MAX_PROVIDERS_PER_KEY && new.provider != self.own {
            // Whoever came first and keeps coming stays: a flood of foreign names does not drive out the members.
            let oldest = there.iter().filter(|kept| kept.record.provider != self.own).min_by_key(|kept| kept.age);
            let tired = oldest.filter(|kept| kept.age.0 < now + PROVIDER_TTL / 2);
            let provider = tired.ok_or(Error::MaxProvidedKeys)?.record.provider;
            self.forget(&new.key, &provider);
        }
        if self.providers.get(&new.provider).is_some_and(|keys| *keys >= MAX_KEYS_PER_PROVIDER) {
            let oldest = self.ages.values().find(|(_, provider)| *provider == new.provider).cloned();
            if let Some((key, provider)) = oldest {
                self.forget(&key, &provider);
            }
        }
        if self.ages.len() >= self.room {
            let oldest = self.ages.values().find(|(_, provider)| *provider != self.own).cloned();
            if let Some((key, provider)) = oldest {
                self.forget(&key, &provider);
            }
        }
        Ok(())
    }

    fn forget(&mut self, key: &RecordKey, provider: &PeerId) {
        let hash_map::Entry::Occupied(mut there) = self.keys.entry(key.clone()) else { return };
        let Some(at) = there.get().iter().position(|kept| kept.record.provider == *provider) else { return };
        let gone = there.get_mut().swap_remove(at);
        if there.get().is_empty() {
            there.remove();
        }
        self.ages.remove(&gone.age);
        self.provided.remove(&gone.record);
        if let hash_map::Entry::Occupied(mut keys) = self.providers.entry(*provider) {
            *keys.get_mut() -= 1;
            if *keys.get() == 0 {
                keys.remove();
            }
        }
    }
}

impl RecordStore for Records {
    type RecordsIter<'a> = iter::Empty<Cow<'a, Record>>;
    type ProvidedIter<'a> =
        iter::Map<hash_set::Iter<'a, ProviderRecord>, fn(&'a ProviderRecord) -> Cow<'a, ProviderRecord>>;

    fn get(&self, _: &RecordKey) -> Option<Cow<'_, Record>> {
        None
    }

    fn put(&mut self, _: Record) -> Result<()> {
        Err(Error::MaxRecords)
    }

    fn remove(&mut self, _: &RecordKey) {}

    fn records(&self) -> Self::RecordsIter<'_> {
        iter::empty()
    }

    fn add_provider(&mut self, record: ProviderRecord) -> Result<()> {
        self.add(record, Instant::now())
    }

    fn providers(&self, key: &RecordKey) -> Vec<ProviderRecord> {
        let now = Instant::now();
        let there = self.keys.get(key).map_or(&[][..], Vec::as_slice);
        there.iter().map(|kept| &kept.record).filter(|record| !record.is_expired(now)).cloned().collect()
    }

    fn provided(&self) -> Self::ProvidedIter<'_> {
        self.provided.iter().map(Cow::Borrowed)
    }

    fn remove_provider(&mut self, key: &RecordKey, provider: &PeerId) {
        self.forget(key, provider);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use libp2p::Multiaddr;

    fn record(key: u32, provider: PeerId) -> ProviderRecord {
        let address: Multiaddr = "/ip4/192.0.2.1/tcp/1".parse().unwrap();
        ProviderRecord::new(RecordKey::new(&key.to_be_bytes()), provider, vec![address; 100])
    }

    #[test]
    fn a_provider_is_found_until_its_time_is_up_and_its_addresses_are_few() {
        let (mut store, now, ada) = (Records::new(PeerId::random(), MAX_AT_HELPER), Instant::now(), PeerId::random());
        for _ in 0..5 {
            store.add_provider(record(1, ada)).unwrap();
        }
        let found = store.providers(&record(1, ada).key);
        assert_eq!((found.len(), found[0].provider, found[0].addresses.len()), (1, ada, MAX_ADDRESSES));
        assert!(store.providers(&record(2, ada).key).is_empty());
        store.expire(now + PROVIDER_TTL / 2);
        assert_eq!(store.len(), 1);
        store.expire(now + PROVIDER_TTL + Duration::from_secs(60));
        assert_eq!((store.len(), store.keys.len(), store.providers.len()), (0, 0, 0));
    }

    #[test]
    fn the_members_stay_when_foreign_names_flood_their_key() {
        let (mut store, mut now) = (Records::new(PeerId::random(), MAX_AT_HELPER), Instant::now());
        let members: Vec<PeerId> = (0..8).map(|_| PeerId::random()).collect();
        for _ in 0..10 {
            for member in &members {
                store.add(record(1, *member), now).unwrap();
            }
            for _ in 0..200 {
                // Some are refused, which is the point.
                let _ = store.add(record(1, PeerId::random()), now);
            }
            let found = &store.keys[&record(1, members[0]).key];
            assert_eq!(found.len(), MAX_PROVIDERS_PER_KEY);
            assert!(members.iter().all(|member| found.iter().any(|kept| kept.record.provider == *member)));
            now += PROVIDER_TTL / 3;
        }
    }

    #[test]
    fn everything_is_bounded_and_our_own_records_are_the_last_to_go() {
        let own = PeerId::random();
        let (mut store, now, greedy) = (Records::new(own, MAX_AT_HELPER), Instant::now(), PeerId::random());
        store.add(record(0, own), now).unwrap();
        for key in 0..1_000 {
            store.add(record(key, greedy), now).unwrap();
        }
        assert_eq!(store.len(), MAX_KEYS_PER_PROVIDER + 1);
        for key in 0..MAX_AT_HELPER as u32 + 1_000 {
            store.add(record(key, PeerId::random()), now).unwrap();
        }
        assert_eq!((store.len(), store.provided().count()), (MAX_AT_HELPER, 1));
        let kept: usize = store.keys.values().map(Vec::len).sum();
        let counted: usize = store.providers.values().sum();
        assert_eq!((kept, counted), (MAX_AT_HELPER, MAX_AT_HELPER));
        let long = ProviderRecord::new(RecordKey::new(&[0; MAX_KEY + 1]), greedy, vec![]);
        assert!(store.add(long, now).is_err());
        assert!(
            store.put(Record::new(RecordKey::new(&[0; 32]), vec![0])).is_err(),
            "values are nobody's business here"
        );
        store.remove_provider(&record(0, own).key, &own);
        assert_eq!(store.provided().count(), 0);
    }
}
