//! The others' way in, 2.5 ms at a time: orders, open what came, render every lane, mix, limit.

use super::cue::{Cue, Cues};
use super::delay::Gauge;
use super::economy::Economy;
use super::format::{MAX_LANES, QUANTUM};
use super::jitter::Moment;
use super::lane::Lane;
use super::largest::Largest;
use super::level::{Meter, Ramp};
use super::mixer::Mixer;
use super::record::{Stamp, Tap};
use super::retired::{Retired, Retirement};
use super::spatial::{LaneRenderer, Room, Rooms};
use super::stats::{DownlinkStats, SNAPSHOT_EVERY};
use resonance_protocol::media::{HopOpener, InboundPacket, OpeningKey, SealedPacket};
use resonance_protocol::peer::TransportId;
use resonance_protocol::position::Position;
use rtrb::{Consumer, Producer};
use std::time::Instant;

/// What the engine orders.
pub enum DownlinkOrder {
    /// Somebody is there; replaces a lane of the same peer.
    AddLane(Box<Lane>),
    /// A key for that lane. It travels back to be wiped.
    Key(TransportId, Box<OpeningKey>),
    /// A seal of what comes by that lane's stream.
    Hop(TransportId, Box<HopOpener>),
    /// Somebody has left.
    RemoveLane(TransportId),
    /// Somebody stands elsewhere in the room.
    Place(TransportId, Position),
    /// The listener's head points there: degrees clockwise.
    Face(f32),
    /// Somebody is louder or softer; 1 is as it was sent.
    Volume(TransportId, f32),
    /// Whether anything is heard.
    Hearing(Hearing),
    /// Another tap for that lane, or none.
    Tap(TransportId, Option<Producer<f32>>),
    /// Another recording for that lane, or none.
    Record(TransportId, Option<Box<Tap>>),
    /// Somebody looks at that lane's spectrum, or nobody.
    Watch(TransportId, Option<Producer<f32>>),
    /// Another way to place that voice.
    Renderer(TransportId, Box<LaneRenderer>),
    /// Another room, or none.
    Room(Option<Box<Room>>),
    /// A short sound that says what happened.
    Cue(Cue),
}

/// Whether the listener hears.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hearing {
    /// Everyone.
    #[default]
    On,
    /// Nobody.
    Deafened,
}

/// The rings' ends that the downlink works with.
pub struct DownlinkEnds {
    /// Orders from the engine.
    pub orders: Consumer<DownlinkOrder>,
    /// What is to be freed.
    pub retired: Retirement,
    /// Sealed packets from the network.
    pub inbound: Consumer<InboundPacket>,
    /// How many of them wait.
    pub waiting: Gauge,
    /// Hop-sealed packets from the network.
    pub streamed: Consumer<InboundPacket>,
    /// Snapshots to the engine.
    pub stats: Producer<DownlinkStats>,
}

/// The others' way in.
pub struct Downlink {
    ends: DownlinkEnds,
    lanes: [Option<Box<Lane>>; MAX_LANES],
    rooms: Rooms,
    mixer: Mixer,
    cues: Cues,
    facing_deg: f32,
    hearing: Hearing,
    presence: f32,
    /// Samples rendered since the beginning.
    rendered: u64,
    /// Samples that the speaker has yet to play.
    ahead: usize,
    meter: Meter,
    stats: DownlinkStats,
    /// How much the speaker wants at a time. What is rendered at once could not have been rendered any later, so packets are waited for in
    /// these steps.
    burst: Largest,
    since_report: usize,
}

impl Downlink {
    /// A downlink without lanes.
    pub fn new(ends: DownlinkEnds) -> Self {
        Self {
            ends,
            lanes: [const { None }; MAX_LANES],
            rooms: Rooms::default(),
            mixer: Mixer::default(),
            cues: Cues::default(),
            facing_deg: 0.0,
            hearing: Hearing::On,
            presence: 1.0,
            rendered: 0,
            ahead: 0,
            meter: Meter::default(),
            stats: DownlinkStats::default(),
            burst: Largest::of_seconds(1),
            since_report: 0,
        }
    }

    /// So many samples lie before the speaker when the next are rendered: for recordings, which keep to what is heard.
    pub fn set_ahead(&mut self, samples: usize) {
        self.ahead = samples;
    }

    /// Leaves so much out from now on, and gives it back. Does not allocate.
    pub fn economize(&mut self, economy: Economy) {
        if economy != self.stats.economy {
            self.stats.economy = economy;
            self.rooms.economize(economy);
            self.lanes.iter_mut().flatten().for_each(|lane| lane.economize(economy));
        }
    }

    /// What is left out.
    pub fn economy(&self) -> Economy {
        self.stats.economy
    }

    /// Renders what is wanted `now`, after so many samples that were wanted at once with it: left and right.
    ///
    /// Real-time: does not allocate, free, lock, block, log or panic.
    pub fn render(&mut self, now: Instant, rendered: usize, out: &mut [[f32; 2]; QUANTUM]) {
        let began = Instant::now();
        self.take_orders(now);
        self.open_packets(now);
        let moment = Moment { now, rendered, burst: self.burst.feed(rendered + QUANTUM, QUANTUM) };
        let heard = if self.hearing == Hearing::On { 1.0 } else { 0.0 };
        let presence = Ramp::towards(self.presence, heard);
        self.presence = presence.1;
        self.mixer.begin();
        let stamp = Stamp::ahead(self.rendered, now, self.ahead);
        self.rendered += QUANTUM as u64;
        let (mut left, mut right) = ([0.0; QUANTUM], [0.0; QUANTUM]);
        for (index, lane) in self.lanes.iter_mut().enumerate() {
            let Some(lane) = lane else { continue };
            let voice = lane.render(moment, presence, self.facing_deg, &mut left, &mut right);
            lane.record(stamp);
            self.mixer.add(&left, &right);
            self.rooms.feed(index, lane.position(), self.facing_deg, &voice);
        }
        self.rooms.render(presence, &mut self.mixer);
        // Whoever wants to hear nobody hears nothing.
        if let Some(cue) = self.cues.render().filter(|_| self.hearing == Hearing::On) {
            self.mixer.add(&cue, &cue);
        }
        self.mixer.finish(out);
        self.measure(out);
        self.stats.busy += began.elapsed();
        self.report();
    }

    /// The speaker ran dry so many times.
    pub fn underran(&mut self, times: u64) {
        self.stats.underruns += times;
    }

    /// Hands something back to be freed; see [`Retirement::has_room`].
    pub fn retirement(&mut self) -> &mut Retirement {
        &mut self.ends.retired
    }

    fn take_orders(&mut self, now: Instant) {
        self.retire_spent();
        while self.ends.retired.has_room() {
            let Ok(order) = self.ends.orders.pop() else { break };
            if let Some(retired) = self.obey(now, order) {
                self.ends.retired.retire(retired);
            }
        }
    }

    /// Hands back what others took the place of in the last frame.
    fn retire_spent(&mut self) {
        let retired = &mut self.ends.retired;
        if retired.has_room()
            && let Some(room) = self.rooms.take_spent()
        {
            retired.retire(Retired::Room(room));
        }
        for lane in self.lanes.iter_mut().flatten() {
            if retired.has_room()
                && let Some(renderer) = lane.placer().take_spent()
            {
                retired.retire(Retired::Renderer(renderer));
            }
        }
    }

    /// Does as ordered; what is left over comes back.
    fn obey(&mut self, now: Instant, order: DownlinkOrder) -> Option<Retired> {
        match order {
            DownlinkOrder::AddLane(mut lane) => {
                lane.economize(self.stats.economy);
                let place = self.place_for(lane.peer());
                match place {
                    Some(place) => place.replace(lane),
                    None => Some(lane),
                }
                .map(Retired::Lane)
            }
            DownlinkOrder::Key(peer, key) => {
                if let Some(lane) = self.lane(peer) {
                    lane.install(now, &key);
                }
                Some(Retired::Key(key))
            }
            DownlinkOrder::Hop(peer, hop) => match self.lane(peer) {
                Some(lane) => lane.install_hop(hop),
                None => Some(hop),
            }
            .map(Retired::HopOpener),
            DownlinkOrder::RemoveLane(peer) => {
                let place = self.lanes.iter_mut().find(|place| place.as_ref().is_some_and(|lane| lane.peer() == peer));
                place.and_then(Option::take).map(Retired::Lane)
            }
            DownlinkOrder::Place(peer, position) => {
                if let Some(lane) = self.lane(peer) {
                    lane.place(position);
                }
                None
            }
            DownlinkOrder::Face(deg) => {
                self.facing_deg = deg;
                None
            }
            DownlinkOrder::Volume(peer, gain) => {
                if let Some(lane) = self.lane(peer) {
                    lane.set_volume(gain);
                }
                None
            }
            DownlinkOrder::Hearing(hearing) => {
                self.hearing = hearing;
                None
            }
            DownlinkOrder::Tap(peer, tap) => match self.lane(peer) {
                Some(lane) => lane.set_tap(tap),
                None => tap,
            }
            .map(Retired::Samples),
            DownlinkOrder::Record(peer, tap) => match self.lane(peer) {
                Some(lane) => lane.set_recording(tap),
                None => tap,
            }
            .map(Retired::Tap),
            DownlinkOrder::Watch(peer, ring) => match self.lane(peer) {
                Some(lane) => lane.set_watched(ring),
                None => ring,
            }
            .map(Retired::Samples),
            DownlinkOrder::Renderer(peer, renderer) => match self.lane(peer) {
                Some(lane) => lane.placer().change(renderer),
                None => Some(renderer),
            }
            .map(Retired::Renderer),
            DownlinkOrder::Room(room) => self.rooms.change(room).map(Retired::Room),
            DownlinkOrder::Cue(cue) => {
                self.cues.play(cue);
                None
            }
        }
    }

    fn lane(&mut self, peer: TransportId) -> Option<&mut Lane> {
        self.lanes.iter_mut().flatten().find(|lane| lane.peer() == peer).map(Box::as_mut)
    }

    /// This peer's place, or a free one.
    fn place_for(&mut self, peer: TransportId) -> Option<&mut Option<Box<Lane>>> {
        let is = |place: &Option<Box<Lane>>| place.as_ref().is_some_and(|lane| lane.peer() == peer);
        let index = self.lanes.iter().position(is).or_else(|| self.lanes.iter().position(Option::is_none))?;
        self.lanes.get_mut(index)
    }

    fn open_packets(&mut self, now: Instant) {
        let mut plaintext = [0; SealedPacket::CAPACITY];
        self.stats.listened = Some(now);
        let waiting = self.ends.inbound.slots();
        self.ends.waiting.look(waiting);
        // Bounded by what is there now: packets that come meanwhile are for the next frame.
        for _ in 0..waiting {
            let Ok(packet) = self.ends.inbound.pop() else { break };
            match self.lane(packet.from) {
                Some(lane) => lane.receive(now, &packet, &mut plaintext),
                None => self.stats.unknown_sender += 1,
            }
        }
        for _ in 0..self.ends.streamed.slots() {
            let Ok(packet) = self.ends.streamed.pop() else { break };
            match self.lane(packet.from) {
                Some(lane) => lane.receive_streamed(now, &packet, &mut plaintext),
                None => self.stats.unknown_sender += 1,
            }
        }
    }

    /// Measures what will be heard.
    fn measure(&mut self, out: &[[f32; 2]; QUANTUM]) {
        let [left, right] = out.iter().fold([0.0, 0.0], |[left, right], [l, r]| [left + l * l, right + r * r]);
        self.meter.feed_energy(left.max(right), QUANTUM);
    }

    fn report(&mut self) {
        self.since_report += QUANTUM;
        if self.since_report < SNAPSHOT_EVERY {
            return;
        }
        self.since_report = 0;
        self.stats.level_db = self.meter.level_db();
        for (stats, lane) in self.stats.lanes.iter_mut().zip(&self.lanes) {
            *stats = lane.as_ref().map(|lane| lane.stats());
        }
        let _ = self.ends.stats.push(self.stats);
    }
}
