//! The own voice's way out, one frame at a time: orders, measure, mute, encode, seal (and seal again for each peer on a stream), hand to
//! the network.

use super::delay::Gauge;
use super::economy::Economy;
use super::encoder::{Encoder, MAX_PACKET};
use super::format::{Channels, FRAME, LONGEST_PACKET, MAX_LANES, PacketTime, mix};
use super::level::Meter;
use super::libopus::OpusError;
use super::pauses::{Fate, Pauses, Sparing};
use super::record::{Stamp, Tap};
use super::redundancy::{Protection, Redundancy};
use super::retired::{Retired, Retirement};
use super::stats::{SNAPSHOT_EVERY, UplinkStats};
use super::stretch::fade;
use crate::rate::Rate;
use resonance_protocol::media::packet::AddressedPacket;
use resonance_protocol::media::{Frame, HopSealer, KeyId, Pause, SealedPacket, Sealer};
use resonance_protocol::peer::TransportId;
use rtrb::{Consumer, Producer};
use std::thread::Thread;
use std::time::Instant;

/// What the engine orders.
pub enum UplinkOrder {
    /// Seal with this from now on.
    Sealer(Box<Sealer>),
    /// One step forward within the sealer's generation.
    Step(KeyId),
    /// Open or close the microphone.
    Microphone(Microphone),
    /// What goes to somebody by a stream is sealed with this from now on.
    Hop(TransportId, Box<HopSealer>),
    /// Whether somebody is sent to by a stream.
    Stream(TransportId, Stream),
    /// Somebody has left.
    Forget(TransportId),
    /// How many bits a frame has, and how many earlier ones go with each.
    Supply(Rate, Protection),
    /// Whether pauses are sent.
    Pauses(Pauses),
    /// Another recording, or none.
    Record(Option<Box<Tap>>),
    /// Somebody looks at the spectrum, or nobody.
    Watch(Option<Producer<f32>>),
}

/// Whether a peer gets a copy of each packet by a stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stream {
    /// It does not.
    #[default]
    Off,
    /// It does.
    On,
}

/// What goes to one peer by a stream, if anything does.
#[derive(Default)]
struct Hop {
    peer: Option<TransportId>,
    sealer: Option<Box<HopSealer>>,
    stream: Stream,
}

/// Whether the others hear this side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Microphone {
    /// They do.
    #[default]
    Open,
    /// Silence is sent, in packets of the same size and pace.
    Muted,
}

/// The rings' ends that the uplink works with.
pub struct UplinkEnds {
    /// Orders from the engine.
    pub orders: Consumer<UplinkOrder>,
    /// What is to be freed.
    pub retired: Retirement,
    /// Sealed packets to the network.
    pub outbound: Producer<SealedPacket>,
    /// How many of them wait.
    pub waiting: Gauge,
    /// Unparked after each packet; none where the caller takes packets itself.
    pub outbound_thread: Option<Thread>,
    /// Hop-sealed copies to the network, for those who are on a stream.
    pub streamed: Producer<AddressedPacket>,
    /// Snapshots to the engine.
    pub stats: Producer<UplinkStats>,
}

/// The own voice's way out.
pub struct Uplink {
    ends: UplinkEnds,
    encoder: Encoder,
    music: Encoder,
    economy: Economy,
    redundancy: Redundancy,
    sparing: Sparing,
    /// Samples that are taken at a time: a packet's at the full rate,
    samples: usize,
    /// and a packet's now.
    packet: usize,
    /// What waits for the rest of its packet, all channels together.
    waiting: [f32; 2 * LONGEST_PACKET],
    waiting_len: usize,
    waiting_channels: Channels,
    sealer: Option<Box<Sealer>>,
    hops: [Hop; MAX_LANES],
    microphone: Microphone,
    microphone_before: Microphone,
    /// Number of the next frame's first sample; wraps.
    timestamp: u32,
    skipped: u64,
    /// Samples that came, or should have.
    taken: u64,
    recording: Option<Box<Tap>>,
    watched: Option<Producer<f32>>,
    meter: Meter,
    stats: UplinkStats,
    since_report: usize,
}

impl Uplink {
    /// Allocates everything it will ever need.
    ///
    /// # Errors
    /// What libopus says, which is out of memory only.
    pub fn new(ends: UplinkEnds, time: PacketTime) -> Result<Self, OpusError> {
        Ok(Self {
            ends,
            encoder: Encoder::new(time)?,
            music: Encoder::music(time)?,
            economy: Economy::NONE,
            redundancy: Redundancy::new(time.samples()),
            sparing: Sparing::default(),
            samples: time.samples(),
            packet: time.samples(),
            waiting: [0.0; 2 * LONGEST_PACKET],
            waiting_len: 0,
            waiting_channels: Channels::One,
            sealer: None,
            hops: Default::default(),
            microphone: Microphone::Open,
            microphone_before: Microphone::Open,
            timestamp: 0,
            skipped: 0,
            taken: 0,
            recording: None,
            watched: None,
            meter: Meter::default(),
            stats: UplinkStats::default(),
            since_report: 0,
        })
    }

    /// Samples that [`process`](Self::process) takes: a packet's at the full rate.
    pub fn samples(&self) -> usize {
        self.samples
    }

    /// Leaves so much out from now on. Does not allocate.
    pub fn economize(&mut self, economy: Economy) {
        if economy != self.economy {
            self.economy = economy;
            self.encoder.economize(economy);
            self.music.economize(economy);
        }
    }

    /// Takes one frame from the microphone, [`samples`](Self::samples) long, which is worked on in place. Nothing is sent before the first
    /// sealer.
    ///
    /// Real-time: does not allocate, free, lock, block, log or panic.
    pub fn process(&mut self, mic: &mut [f32]) {
        self.process_at(Instant::now(), mic);
    }

    /// The same for a frame whose last sample has come `now`.
    pub fn process_at(&mut self, now: Instant, mic: &mut [f32]) {
        let began = Instant::now();
        self.take_orders();
        self.measure(mic);
        self.mute(mic.as_chunks_mut::<1>().0);
        self.record(now, mic);
        self.send(mic, Channels::One);
        self.finish(began);
    }

    /// The same for left and right, which are sent as music.
    pub fn process_stereo(&mut self, mic: &mut [[f32; 2]]) {
        self.process_stereo_at(Instant::now(), mic);
    }

    /// The same for a frame whose last sample has come `now`, at most the longest packet's.
    pub fn process_stereo_at(&mut self, now: Instant, mic: &mut [[f32; 2]]) {
        let began = Instant::now();
        self.take_orders();
        let mut mono = [0.0; LONGEST_PACKET];
        let len = mic.len().min(LONGEST_PACKET);
        let (mic, mono) = (&mut mic[..len], &mut mono[..len]);
        mix(mic, mono);
        self.measure(mono);
        self.mute(mic);
        mix(mic, mono);
        self.record(now, mono);
        self.send(mic.as_flattened(), Channels::Two);
        self.finish(began);
    }

    fn measure(&mut self, mic: &[f32]) {
        for block in mic.chunks(FRAME) {
            self.meter.feed(block);
        }
    }

    fn finish(&mut self, began: Instant) {
        self.timestamp = self.timestamp.wrapping_add(self.samples as u32);
        self.stats.busy += began.elapsed();
        self.report();
    }

    /// The microphone lost so many samples: the receivers' clocks must not fall behind for it.
    pub fn skip(&mut self, samples: u64) {
        self.stats.overruns += 1;
        self.taken += samples;
        self.skipped += samples;
        // What goes on after a gap is not the rest of what was before it.
        self.waiting_len = 0;
        let samples = self.samples as u64;
        let frames = self.skipped / samples;
        self.skipped %= samples;
        self.timestamp = self.timestamp.wrapping_add((frames as u32).wrapping_mul(samples as u32));
    }

    /// Hands something back to be freed; see [`Retirement::has_room`].
    pub fn retirement(&mut self) -> &mut Retirement {
        &mut self.ends.retired
    }

    fn take_orders(&mut self) {
        while self.ends.retired.has_room() {
            let Ok(order) = self.ends.orders.pop() else { break };
            match order {
                UplinkOrder::Sealer(sealer) => {
                    if let Some(old) = self.sealer.replace(sealer) {
                        self.ends.retired.retire(Retired::Sealer(old));
                    }
                }
                UplinkOrder::Step(id) => {
                    if let Some(sealer) = &mut self.sealer {
                        sealer.advance_to(id);
                    }
                }
                UplinkOrder::Microphone(microphone) => self.microphone = microphone,
                UplinkOrder::Hop(peer, sealer) => {
                    let left = match self.hop(peer) {
                        Some(hop) => hop.sealer.replace(sealer),
                        None => Some(sealer),
                    };
                    self.retire_hop(left);
                }
                UplinkOrder::Stream(peer, stream) => {
                    if let Some(hop) = self.hop(peer) {
                        hop.stream = stream;
                    }
                }
                UplinkOrder::Forget(peer) => {
                    if let Some(hop) = self.hops.iter_mut().find(|hop| hop.peer == Some(peer)) {
                        let left = std::mem::take(hop).sealer;
                        self.retire_hop(left);
                    }
                }
                UplinkOrder::Supply(rate, protection) => {
                    self.encoder.supply(rate, protection.copies());
                    self.music.supply(rate, protection.copies());
                    self.redundancy.protect(protection);
                    let packet = rate.samples(self.samples);
                    if packet != self.packet {
                        self.packet = packet;
                        self.waiting_len = 0;
                        self.redundancy.begin_anew(packet);
                    }
                }
                UplinkOrder::Pauses(pauses) => self.sparing.set(pauses),
                UplinkOrder::Record(tap) => {
                    if let Some(old) = std::mem::replace(&mut self.recording, tap) {
                        self.ends.retired.retire(Retired::Tap(old));
                    }
                }
                UplinkOrder::Watch(ring) => {
                    if let Some(old) = std::mem::replace(&mut self.watched, ring) {
                        self.ends.retired.retire(Retired::Samples(old));
                    }
                }
            }
        }
    }

    /// This peer's place, or a free one.
    fn hop(&mut self, peer: TransportId) -> Option<&mut Hop> {
        let is = |wanted: Option<TransportId>| move |hop: &Hop| hop.peer == wanted;
        let index = self.hops.iter().position(is(Some(peer))).or_else(|| self.hops.iter().position(is(None)))?;
        let hop = self.hops.get_mut(index)?;
        hop.peer = Some(peer);
        Some(hop)
    }

    fn retire_hop(&mut self, sealer: Option<Box<HopSealer>>) {
        if let Some(sealer) = sealer {
            self.ends.retired.retire(Retired::HopSealer(sealer));
        }
    }

    /// Closes and opens without a click: over 5 ms, if a packet is as long.
    fn mute<const CHANNELS: usize>(&mut self, mic: &mut [[f32; CHANNELS]]) {
        let (fading, rest) = mic.split_at_mut(mic.len().min(FRAME / 2));
        let length = fading.len();
        let scale = |(sample, gain): (&mut [f32; CHANNELS], f32)| *sample = sample.map(|channel| channel * gain);
        match (self.microphone_before, self.microphone) {
            (Microphone::Open, Microphone::Open) => {}
            (Microphone::Muted, Microphone::Muted) => mic.fill([0.0; CHANNELS]),
            (Microphone::Open, Microphone::Muted) => {
                fading.iter_mut().zip((0..length).map(|n| 1.0 - fade(n, length))).for_each(scale);
                rest.fill([0.0; CHANNELS]);
            }
            (Microphone::Muted, Microphone::Open) => {
                fading.iter_mut().zip((0..length).map(|n| fade(n, length))).for_each(scale);
            }
        }
        self.microphone_before = self.microphone;
    }

    /// What is sent is what is recorded and looked at: silence while the microphone is closed.
    fn record(&mut self, now: Instant, mic: &[f32]) {
        if let Some(watched) = &mut self.watched {
            // Full where nobody has looked for a moment.
            let _ = watched.push_partial_slice(mic);
        }
        if let Some(tap) = &mut self.recording {
            tap.push(Stamp::complete(self.taken, now, mic.len()), mic);
        }
        self.taken += mic.len() as u64;
    }

    /// Sends this frame, or with those before it, once all of them are a packet.
    fn send(&mut self, mic: &[f32], channels: Channels) {
        if self.packet == self.samples {
            return self.send_packet(mic, channels);
        }
        if channels != self.waiting_channels {
            (self.waiting_channels, self.waiting_len) = (channels, 0);
        }
        let (from, whole) = (self.waiting_len, self.packet * channels.count());
        let Some(room) = self.waiting.get_mut(from..from + mic.len()) else {
            self.waiting_len = 0;
            return;
        };
        room.copy_from_slice(mic);
        self.waiting_len += mic.len();
        if self.waiting_len >= whole {
            self.waiting_len = 0;
            let waiting = self.waiting;
            self.send_packet(&waiting[..whole], channels);
        }
    }

    fn send_packet(&mut self, mic: &[f32], channels: Channels) {
        // Of its first sample; the last ones have come just now.
        let timestamp = self.timestamp.wrapping_sub((self.packet - self.samples) as u32);
        // Encoded also while nothing can be sent: the first packet then has a past.
        let mut opus = [0; MAX_PACKET];
        let encoder = if channels == Channels::One { &mut self.encoder } else { &mut self.music };
        (self.stats.codec_bits, self.stats.packet) = (encoder.bits(), self.packet);
        let encoded = encoder.encode(mic, &mut opus).and_then(|len| opus.get(..len));
        self.stats.lookahead = encoder.lookahead().unwrap_or_default();
        let speaks = channels == Channels::Two || (self.meter.speaking() && self.microphone == Microphone::Open);
        let fate = self.sparing.next(speaks, self.packet);
        let pause = if let Fate::Sent(pause) = fate { pause } else { None };
        let mut plaintext = [0; Sealer::MAX_PLAINTEXT];
        // What is not sent is remembered, too.
        let mut written = encoded.and_then(|opus| self.redundancy.write(timestamp, pause, opus, &mut plaintext));
        match (fate, encoded) {
            (Fate::Sent(_), _) | (_, None) => {}
            (Fate::Sign, Some(opus)) => {
                let contents = opus.get(..1).unwrap_or(opus);
                written = Frame::write_beside(Some(Pause::Lasts), timestamp, contents, &[], &mut plaintext);
            }
            (Fate::Spared, Some(_)) => return,
        }
        let Some(sealer) = &mut self.sealer else { return };
        let mut packet = SealedPacket::empty();
        let sealed = written.and_then(|len| sealer.seal(plaintext.get(..len)?, &mut packet).ok());
        if sealed.is_none() {
            self.stats.unsent += 1;
            return;
        }
        self.stream(&packet);
        if self.ends.outbound.push(packet).is_err() {
            self.stats.unsent += 1;
            return;
        }
        self.ends.waiting.look(self.ends.outbound.buffer().capacity() - self.ends.outbound.slots());
        self.stats.frames_sent += 1;
        self.stats.bytes_sent += packet.as_slice().len() as u64;
        if let Some(thread) = &self.ends.outbound_thread {
            thread.unpark();
        }
    }

    /// Seals the packet once more for each peer that gets it by a stream.
    fn stream(&mut self, packet: &SealedPacket) {
        for hop in self.hops.iter_mut().filter(|hop| hop.stream == Stream::On) {
            let (Some(to), Some(sealer)) = (hop.peer, &mut hop.sealer) else { continue };
            let mut copy = AddressedPacket { to, packet: SealedPacket::empty() };
            if sealer.seal(packet, &mut copy.packet).is_err() || self.ends.streamed.push(copy).is_err() {
                self.stats.unsent += 1;
            }
        }
    }

    fn report(&mut self) {
        self.since_report += self.samples;
        if self.since_report < SNAPSHOT_EVERY {
            return;
        }
        self.since_report = 0;
        self.stats.level_db = self.meter.level_db();
        self.stats.speaking = self.meter.speaking() && self.microphone == Microphone::Open;
        let _ = self.ends.stats.push(self.stats);
    }
}
