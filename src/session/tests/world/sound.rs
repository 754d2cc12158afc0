//! Everyone speaks all the time: what is sealed, by which way it travels, and whether it opens.

use super::super::ear::{Ear, lane_report};
use super::{DELAY, World};
use crate::session::effect::AudioEffect;
use crate::session::event::{AudioReport, Event};
use crate::session::path::{Route, Way};
use rand::RngExt;
use resonance_protocol::media::{HopOpener, InboundPacket, SealedPacket};
use std::time::Duration;

impl World {
    /// Everyone seals a packet for everyone with whom media is up; all ears try to open what reaches them.
    pub(super) fn speak(&mut self) {
        for from in 0..self.people.len() {
            let mut packet = SealedPacket::empty();
            let speaker = &mut self.people[from];
            let sealed = speaker.sealer.as_mut().is_some_and(|sealer| sealer.seal(b"sound", &mut packet).is_ok());
            let (id, reached) = (speaker.id, speaker.media.clone());
            if !sealed || !speaker.alive {
                continue;
            }
            if let Some(id) = speaker.sealer.as_ref().map(|sealer| sealer.id()) {
                self.sealed.entry((from, id)).or_insert((self.now, self.now)).1 = self.now;
                self.tape.iter_mut().for_each(|tape| tape.packet(self.now, from, id, &packet));
            }
            for to in 0..self.people.len() {
                if self.is_cut(from, to) || !self.people[to].alive {
                    continue;
                }
                self.stream(from, to, &packet);
                if reached.get(&self.people[to].id) != Some(&true) {
                    continue;
                }
                if self.loss > 0.0 && self.chance.random_bool(self.loss) {
                    continue;
                }
                let now = self.now;
                let Some(ear) = self.people[to].ears.get_mut(&id) else { continue };
                ear.receive(now, &InboundPacket { from: id, arrived: now, packet });
            }
        }
        for index in 0..self.people.len() {
            let now = self.now;
            self.people[index].ears.values_mut().for_each(|ear| ear.advance(now));
            let lanes = self.people[index].ears.iter().map(|(peer, ear)| lane_report(*peer, ear)).collect();
            let report = AudioReport { lanes, listened: Some(now), ..AudioReport::default() };
            self.happen(index, Duration::ZERO, Event::Audio(report));
        }
    }

    /// Sends a packet by the stream, if that is open and wanted.
    fn stream(&mut self, from: usize, to: usize, packet: &SealedPacket) {
        let (now, id, [speaker, listener]) =
            (self.now, self.people[to].id, [from, to].map(|index| self.people[index].id));
        if !self.people[from].streams.iter().all(|streams| streams.contains(&id)) {
            return;
        }
        let Some(hop) = self.people[from].hops.get_mut(&listener) else { return };
        let mut sealed = SealedPacket::empty();
        hop.seal(packet, &mut sealed).expect("room for a second seal");
        if let Some(ear) = self.people[to].ears.get_mut(&speaker) {
            ear.receive_streamed(now, &InboundPacket { from: speaker, arrived: now, packet: sealed });
        }
    }

    /// Media connections of these two carry nothing more, and nobody has been told.
    pub fn break_media(&mut self, a: usize, b: usize) {
        let [of_a, of_b] = [a, b].map(|index| self.people[index].id);
        self.people[a].media.remove(&of_b);
        self.people[b].media.remove(&of_a);
    }

    pub(super) fn connect_media(&mut self, index: usize, other: usize) {
        let peer = self.people[other].id;
        self.people[index].media.insert(peer, true);
        let route = Route { way: Way::Direct, local: "host", remote: "host" };
        self.happen(index, DELAY, Event::MediaUp { peer, route, setup_ms: 10 });
    }

    pub(super) fn hear(&mut self, index: usize, effect: AudioEffect) {
        if let AudioEffect::OpeningKey { peer, key } = &effect
            && let Some(from) = self.people.iter().position(|person| person.id == *peer)
        {
            self.handed_over.push((self.now, from, index, key.id()));
        }
        let (now, person) = (self.now, &mut self.people[index]);
        match effect {
            AudioEffect::SenderKey(sealer) => person.sealer = Some(sealer),
            AudioEffect::Step(id) => {
                if let Some(sealer) = &mut person.sealer {
                    sealer.advance_to(id);
                }
            }
            AudioEffect::AddLane(peer) => {
                person.ears.insert(peer, Ear::default());
            }
            AudioEffect::OpeningKey { peer, key } => {
                if let Some(ear) = person.ears.get_mut(&peer) {
                    ear.install(now, &key);
                }
            }
            AudioEffect::RemoveLane(peer) => {
                person.ears.remove(&peer);
                person.hops.remove(&peer);
                person.streams[1].remove(&peer);
            }
            AudioEffect::HopSealer { peer, hop } => {
                person.hops.insert(peer, *hop);
            }
            AudioEffect::HopOpener { peer, hop } => {
                if let Some(ear) = person.ears.get_mut(&peer) {
                    ear.hops.insert(0, *hop);
                    ear.hops.truncate(HopOpener::KEPT);
                }
            }
            AudioEffect::Stream { peer, on } => {
                match on {
                    true => person.streams[1].insert(peer),
                    false => person.streams[1].remove(&peer),
                };
            }
            _ => {}
        }
    }
}
