//! The control side of the pipeline, on the app's thread: turns wishes into orders, makes lanes, frees what comes back, adds up
//! reports. Everything that allocates is done here.

use super::delay::Gauges;
use super::device::sink::TapSender;
use super::downlink::{Downlink, DownlinkEnds, DownlinkOrder, Hearing};
use super::format::{MAX_LANES, PacketTime, milliseconds};
use super::lane::Lane;
use super::libopus::OpusError;
use super::record::{MAX_TRACKS, Tapper, Whose};
use super::retired::{Retired, Retirement};
use super::spatial::{self, Space, Spatializer};
use super::spectrum::{Bands, Spectrum};
use super::stats::{DownlinkStats, LaneStats, UplinkStats};
use super::uplink::{Microphone, Stream, Uplink, UplinkEnds, UplinkOrder};
use super::{Control, LaneReport, Report, StartError, rings};
use crate::latency::Delays;
use resonance_protocol::media::packet::AddressedPacket;
use resonance_protocol::media::{InboundPacket, SealedPacket};
use resonance_protocol::peer::TransportId;
use resonance_protocol::position::Position;
use rtrb::{Consumer, Producer};
use std::collections::{BTreeMap, VecDeque};
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::thread::Thread;
use std::time::{Duration, Instant};

/// How much louder or softer somebody can be made, in dB.
pub const VOLUME_DB: RangeInclusive<f32> = -60.0..=20.0;

/// Orders that wait for a worker whose card has stopped. Beyond it the oldest wait no longer: then nobody listens at all.
const MAX_BACKLOG: usize = 4_096;

/// Reports come no faster than this.
const REPORT_EVERY: Duration = Duration::from_millis(95);

/// The control side.
pub struct Desk {
    to_uplink: Orders<UplinkOrder>,
    to_downlink: Orders<DownlinkOrder>,
    from_uplink: Consumer<UplinkStats>,
    from_downlink: Consumer<DownlinkStats>,
    retired: [Consumer<Retired>; 2],
    space: Space,
    spatial_engine: Arc<str>,
    peers: Vec<TransportId>,
    taps: Option<TapSender>,
    /// What the others are called, for their files.
    names: BTreeMap<TransportId, String>,
    recording: Option<Tapper>,
    watched: Watched,
    gauges: Gauges,
    voice_engine: &'static str,
    uplink: UplinkStats,
    downlink: DownlinkStats,
    news: bool,
    reported: Option<(Instant, Duration)>,
}

/// Whose spectrum is looked at.
#[derive(Default)]
struct Watched {
    own: Option<Spectrum>,
    peer: Option<(TransportId, Spectrum)>,
}

/// What those who are looked at sound like.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Spectra {
    /// The own voice, as it is sent.
    pub own: Option<Bands>,
    /// Somebody's, as it was decoded.
    pub peer: Option<(TransportId, Bands)>,
}

/// A ring of orders and those that did not fit yet, in order.
struct Orders<T> {
    ring: Producer<T>,
    backlog: VecDeque<T>,
}

impl<T> Orders<T> {
    fn new(ring: Producer<T>) -> Self {
        Self { ring, backlog: VecDeque::new() }
    }

    fn give(&mut self, order: T) {
        if self.backlog.len() >= MAX_BACKLOG {
            self.backlog.pop_front();
        }
        self.backlog.push_back(order);
        self.flush();
    }

    fn flush(&mut self) {
        while !self.ring.is_full() {
            let Some(order) = self.backlog.pop_front() else { break };
            let _ = self.ring.push(order);
        }
    }
}

/// The network's ends for a pipeline.
pub struct PipelineEnds {
    /// Where sealed packets go.
    pub outbound: Producer<SealedPacket>,
    /// Who is woken for them.
    pub outbound_thread: Option<Thread>,
    /// Where hop-sealed packets go.
    pub outbound_streamed: Producer<AddressedPacket>,
    /// Where sealed packets come from.
    pub inbound: Consumer<InboundPacket>,
    /// Where hop-sealed packets come from.
    pub inbound_streamed: Consumer<InboundPacket>,
}

impl Desk {
    /// Makes a pipeline and its desk; packets of the own voice hold so much, the others are heard with the ears of this head, in the open.
    ///
    /// # Errors
    /// The codec cannot be used.
    pub fn new(
        head: Spatializer,
        ends: PipelineEnds,
        packet: PacketTime,
    ) -> Result<(Self, Uplink, Downlink), StartError> {
        let (to_uplink, uplink_orders) = rings::uplink_orders();
        let (to_downlink, downlink_orders) = rings::downlink_orders();
        let (uplink_retired, from_uplink_retired) = rings::retired();
        let (downlink_retired, from_downlink_retired) = rings::retired();
        let (uplink_stats, from_uplink) = rings::uplink_stats();
        let (downlink_stats, from_downlink) = rings::downlink_stats();
        let gauges = Gauges::default();
        let uplink_ends = UplinkEnds {
            orders: uplink_orders,
            retired: Retirement::new(uplink_retired),
            outbound: ends.outbound,
            outbound_thread: ends.outbound_thread,
            waiting: gauges.outbound.clone(),
            streamed: ends.outbound_streamed,
            stats: uplink_stats,
        };
        let uplink = Uplink::new(uplink_ends, packet)?;
        let downlink = Downlink::new(DownlinkEnds {
            orders: downlink_orders,
            retired: Retirement::new(downlink_retired),
            inbound: ends.inbound,
            waiting: gauges.inbound.clone(),
            streamed: ends.inbound_streamed,
            stats: downlink_stats,
        });
        let space = Space::new(head);
        let desk = Self {
            to_uplink: Orders::new(to_uplink),
            to_downlink: Orders::new(to_downlink),
            from_uplink,
            from_downlink,
            retired: [from_uplink_retired, from_downlink_retired],
            spatial_engine: space.engine(),
            space,
            peers: Vec::new(),
            taps: None,
            names: BTreeMap::new(),
            recording: None,
            watched: Watched::default(),
            gauges,
            voice_engine: "off",
            uplink: UplinkStats::default(),
            downlink: DownlinkStats::default(),
            news: false,
            reported: None,
        };
        Ok((desk, uplink, downlink))
    }

    /// What shows how much waits in the rings: the cards' are for whoever opens them.
    pub fn gauges(&self) -> &Gauges {
        &self.gauges
    }

    /// Passes a wish on. Numbers are brought into range.
    ///
    /// # Errors
    /// A lane could not be made: the machine is out of memory, or there are [`MAX_LANES`] already.
    pub fn control(&mut self, control: Control, now: Instant) -> Result<(), LaneError> {
        self.tidy();
        match control {
            Control::SenderKey(sealer) => self.to_uplink.give(UplinkOrder::Sealer(sealer)),
            Control::Step(id) => self.to_uplink.give(UplinkOrder::Step(id)),
            Control::Mute(muted) => {
                let microphone = if muted { Microphone::Muted } else { Microphone::Open };
                self.to_uplink.give(UplinkOrder::Microphone(microphone));
            }
            Control::Pauses(pauses) => self.to_uplink.give(UplinkOrder::Pauses(pauses)),
            Control::Supply(rate, protection) => self.to_uplink.give(UplinkOrder::Supply(rate, protection)),
            Control::Name { peer, name } => {
                if self.names.len() < MAX_TRACKS || self.names.contains_key(&peer) {
                    self.names.insert(peer, name);
                }
            }
            Control::AddLane { peer } => {
                if !self.peers.contains(&peer) && self.peers.len() >= MAX_LANES {
                    return Err(LaneError::Full);
                }
                let renderer = self.space.lane()?;
                let tap = self.taps.as_ref().and_then(|taps| tap(taps, peer));
                let lane = Lane::new(peer, Position::at_azimuth(0.0), renderer, tap, now)?;
                if !self.peers.contains(&peer) {
                    self.peers.push(peer);
                }
                self.to_downlink.give(DownlinkOrder::AddLane(Box::new(lane)));
                self.record_peer(peer);
                if self.watched.peer.as_ref().is_some_and(|(watched, _)| *watched == peer) {
                    // Perhaps in another's place, who is looked at no more.
                    self.watch_peer(Some(peer));
                }
            }
            Control::OpeningKey { peer, key } => self.to_downlink.give(DownlinkOrder::Key(peer, key)),
            Control::HopSealer { peer, hop } => self.to_uplink.give(UplinkOrder::Hop(peer, hop)),
            Control::HopOpener { peer, hop } => self.to_downlink.give(DownlinkOrder::Hop(peer, hop)),
            Control::Stream { peer, on } => {
                let stream = if on { Stream::On } else { Stream::Off };
                self.to_uplink.give(UplinkOrder::Stream(peer, stream));
            }
            Control::RemoveLane { peer } => {
                self.peers.retain(|other| *other != peer);
                self.names.remove(&peer);
                self.to_uplink.give(UplinkOrder::Forget(peer));
                self.to_downlink.give(DownlinkOrder::RemoveLane(peer));
            }
            Control::Place { peer, position } => {
                self.to_downlink.give(DownlinkOrder::Place(peer, position.normalised()));
            }
            Control::Face { deg } => {
                let deg = if deg.is_finite() { deg.rem_euclid(360.0) } else { 0.0 };
                self.to_downlink.give(DownlinkOrder::Face(deg));
            }
            Control::Volume { peer, db } => {
                let db = if db.is_finite() { db.clamp(*VOLUME_DB.start(), *VOLUME_DB.end()) } else { 0.0 };
                self.to_downlink.give(DownlinkOrder::Volume(peer, 10_f32.powf(db / 20.0)));
            }
            Control::Deafen(deafened) => {
                let hearing = if deafened { Hearing::Deafened } else { Hearing::On };
                self.to_downlink.give(DownlinkOrder::Hearing(hearing));
            }
            Control::Acoustics(acoustics) => self.set_space(Space { acoustics, ..self.space.clone() })?,
            Control::Ears(ears) => self.set_space(Space { ears, ..self.space.clone() })?,
            Control::Head(head) => self.set_space(Space { head: *head, ..self.space.clone() })?,
            Control::Watch { own, peer } => {
                if own != self.watched.own.is_some() {
                    let (spectrum, ring) = own.then(Spectrum::new).unzip();
                    self.watched.own = spectrum;
                    self.to_uplink.give(UplinkOrder::Watch(ring));
                }
                let before = self.watched.peer.as_ref().map(|(peer, _)| *peer);
                if before != peer {
                    if let Some(before) = before {
                        self.to_downlink.give(DownlinkOrder::Watch(before, None));
                    }
                    self.watch_peer(peer);
                }
            }
            Control::Cue(cue) => self.to_downlink.give(DownlinkOrder::Cue(cue)),
        }
        Ok(())
    }

    fn watch_peer(&mut self, peer: Option<TransportId>) {
        self.watched.peer = peer.map(|peer| {
            let (spectrum, ring) = Spectrum::new();
            self.to_downlink.give(DownlinkOrder::Watch(peer, Some(ring)));
            (peer, spectrum)
        });
    }

    /// The spectra that are looked at. Works them out here and now, in some 20 µs each.
    pub fn spectra(&mut self) -> Spectra {
        Spectra {
            own: self.watched.own.as_mut().map(Spectrum::bands),
            peer: self.watched.peer.as_mut().map(|(peer, spectrum)| (*peer, spectrum.bands())),
        }
    }

    /// Names what processes the voice, for reports.
    pub fn set_voice_engine(&mut self, voice_engine: &'static str) {
        self.voice_engine = voice_engine;
    }

    /// Places every voice, now and later, with something else.
    fn set_space(&mut self, space: Space) -> Result<(), LaneError> {
        let moved = !space.places_like(&self.space);
        if moved {
            let renderers = self.peers.iter().map(|peer| Ok((*peer, Box::new(space.lane()?))));
            for (peer, renderer) in renderers.collect::<Result<Vec<_>, spatial::SpatialError>>()? {
                self.to_downlink.give(DownlinkOrder::Renderer(peer, renderer));
            }
        }
        if moved || space.acoustics != self.space.acoustics {
            self.to_downlink.give(DownlinkOrder::Room(space.room()));
        }
        (self.spatial_engine, self.space) = (space.engine(), space);
        Ok(())
    }

    /// Hands every voice, now and later, to files of its own, or to none.
    pub fn set_taps(&mut self, taps: Option<TapSender>) {
        for &peer in &self.peers {
            let tap = taps.as_ref().and_then(|taps| tap(taps, peer));
            self.to_downlink.give(DownlinkOrder::Tap(peer, tap));
        }
        self.taps = taps;
    }

    /// Hands every voice, now and later, to a recording, or to none.
    pub fn record(&mut self, tapper: Option<Tapper>) {
        self.recording = tapper;
        let own = self.recording.as_mut().and_then(|tapper| tapper.tap(Whose::Own, ""));
        self.to_uplink.give(UplinkOrder::Record(own));
        for peer in self.peers.clone() {
            match self.recording {
                Some(_) => self.record_peer(peer),
                None => self.to_downlink.give(DownlinkOrder::Record(peer, None)),
            }
        }
    }

    fn record_peer(&mut self, peer: TransportId) {
        if let Some(tapper) = &mut self.recording {
            let name = self.names.get(&peer).map_or("", String::as_str);
            let tap = tapper.tap(Whose::Peer(peer), name);
            self.to_downlink.give(DownlinkOrder::Record(peer, tap));
        }
    }

    /// Frees what the workers handed back, takes their snapshots in, and gives them the orders that had to wait.
    pub fn tidy(&mut self) {
        for ring in &mut self.retired {
            while ring.pop().is_ok() {}
        }
        while let Ok(stats) = self.from_uplink.pop() {
            (self.uplink, self.news) = (stats, true);
        }
        while let Ok(stats) = self.from_downlink.pop() {
            (self.downlink, self.news) = (stats, true);
        }
        self.to_uplink.flush();
        self.to_downlink.flush();
    }

    /// A report, if there is news and the last is 100 ms old.
    pub fn poll_report(&mut self, now: Instant) -> Option<Report> {
        self.tidy();
        let due = self.reported.is_none_or(|(at, _)| now.saturating_duration_since(at) >= REPORT_EVERY);
        (self.news && due).then(|| self.report(now))
    }

    fn report(&mut self, now: Instant) -> Report {
        let (uplink, downlink) = (&self.uplink, &self.downlink);
        let busy = uplink.busy + downlink.busy;
        let cpu_percent = self.reported.map_or(0.0, |(at, before)| {
            let elapsed = now.saturating_duration_since(at).as_secs_f32();
            100.0 * busy.saturating_sub(before).as_secs_f32() / elapsed.max(1.0e-3)
        });
        self.reported = Some((now, busy));
        self.news = false;
        Report {
            input_level_db: uplink.level_db,
            output_level_db: downlink.level_db,
            speaking: uplink.speaking,
            xruns: uplink.overruns + downlink.underruns,
            voice_engine: self.voice_engine,
            spatial_engine: self.spatial_engine.clone(),
            cpu_percent,
            frames_sent: uplink.frames_sent,
            bytes_sent: uplink.bytes_sent,
            codec_bits: uplink.codec_bits,
            unsent: uplink.unsent,
            unknown_sender: downlink.unknown_sender,
            reduced: downlink.economy.words(),
            listened: downlink.listened,
            delays: Delays {
                packet_ms: milliseconds(uplink.packet as f32),
                codec_ms: milliseconds(uplink.lookahead as f32),
                render_ms: milliseconds(self.space.delay()),
                ..Delays::default()
            },
            depths: self.gauges.take(),
            lanes: downlink.lanes.iter().flatten().map(lane_report).collect(),
        }
    }
}

/// Why somebody has no lane.
#[derive(Debug, thiserror::Error)]
pub enum LaneError {
    /// There are as many voices as can be.
    #[error("there are {MAX_LANES} voices already")]
    Full,
    /// The renderer could not be made.
    #[error(transparent)]
    Spatial(#[from] spatial::SpatialError),
    /// libopus refuses: out of memory.
    #[error("the Opus codec could not be set up: {0}")]
    Codec(#[from] OpusError),
}

/// A tap whose other end is with the files already; none when those are closed.
fn tap(taps: &TapSender, peer: TransportId) -> Option<Producer<f32>> {
    let (producer, consumer) = rings::tap();
    taps.send((peer, consumer)).ok().map(|()| producer)
}

fn lane_report(lane: &LaneStats) -> LaneReport {
    LaneReport {
        peer: lane.peer,
        level_db: lane.level_db,
        speaking: lane.speaking,
        received: lane.received,
        lost: lane.lost,
        gaps: lane.gaps,
        repaired: lane.repaired,
        late: lane.late,
        concealed_frames: lane.concealed,
        corrections: lane.corrections,
        refused: lane.refused,
        duplicates: lane.duplicates,
        jitter_ms: lane.jitter_ms,
        buffer_ms: lane.buffer_ms,
        queue_ms: lane.queue_ms,
        bytes: lane.bytes,
        streamed_bytes: lane.streamed_bytes,
        last_opened: lane.last_opened,
    }
}
