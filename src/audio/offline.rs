//! The pipeline without devices, threads or waiting: a loop hands frames in and takes frames out, faster than real time.
//!
//! What runs is [`Uplink::process`] and [`Downlink::render`] themselves; only the clock is the caller's.

use super::desk::{Desk, LaneError, PipelineEnds};
use super::device::sink::TapSender;
use super::downlink::Downlink;
use super::format::{Block, FRAME, PacketTime, QUANTUM};
use super::playback::listen;
use super::record::{Tapper, duration};
use super::spatial::Spatializer;
use super::uplink::Uplink;
use super::voice::Voice;
use super::{Control, Report, StartError, rings};
use resonance_protocol::media::packet::AddressedPacket;
use resonance_protocol::media::{InboundPacket, SealedPacket};
use resonance_protocol::peer::TransportId;
use rtrb::{Consumer, Producer};
use std::collections::BTreeMap;
use std::sync::mpsc;
use std::time::Instant;

/// One participant's whole pipeline.
pub struct Party {
    /// The own voice's way out.
    pub uplink: Uplink,
    /// The others' way in.
    pub downlink: Downlink,
    desk: Desk,
    processor: Voice,
    /// What was said and does not fill a packet yet.
    said: Vec<f32>,
    /// The same of music.
    music: Vec<[f32; 2]>,
    played: Producer<f32>,
    reference: Consumer<f32>,
    outbound: Consumer<SealedPacket>,
    outbound_streamed: Consumer<AddressedPacket>,
    inbound: Producer<InboundPacket>,
    inbound_streamed: Producer<InboundPacket>,
    taps: mpsc::Receiver<(TransportId, Consumer<f32>)>,
    voices: BTreeMap<TransportId, Consumer<f32>>,
}

impl Party {
    /// Allocates a pipeline with packets of 10 ms.
    ///
    /// # Errors
    /// The HRTF set or the codec cannot be used.
    pub fn new(voice: Voice) -> Result<Self, StartError> {
        Self::with(voice, PacketTime::default())
    }

    /// The same with packets of another length.
    ///
    /// # Errors
    /// The HRTF set or the codec cannot be used.
    pub fn with(voice: Voice, packet: PacketTime) -> Result<Self, StartError> {
        let (outbound_in, outbound) = rings::outbound();
        let (inbound, inbound_out) = rings::inbound();
        let (streamed_in, outbound_streamed) = rings::outbound_streamed();
        let (inbound_streamed, streamed_out) = rings::inbound();
        let ends = PipelineEnds {
            outbound: outbound_in,
            outbound_thread: None,
            outbound_streamed: streamed_in,
            inbound: inbound_out,
            inbound_streamed: streamed_out,
        };
        let (mut desk, uplink, downlink) = Desk::new(Spatializer::new()?, ends, packet)?;
        let (sender, taps): (TapSender, _) = mpsc::channel();
        desk.set_taps(Some(sender));
        let (played, reference) = rings::reference();
        desk.set_voice_engine(voice.engine());
        Ok(Self {
            uplink,
            downlink,
            desk,
            processor: voice,
            said: Vec::new(),
            music: Vec::new(),
            played,
            reference,
            outbound,
            outbound_streamed,
            inbound,
            inbound_streamed,
            taps,
            voices: BTreeMap::new(),
        })
    }

    /// Passes a wish on; it is carried out with the next frame.
    ///
    /// # Errors
    /// Somebody's lane could not be made.
    pub fn control(&mut self, control: Control, now: Instant) -> Result<(), LaneError> {
        self.desk.control(control, now)
    }

    /// Takes one frame of the own voice, and processes it first.
    pub fn speak(&mut self, mic: &mut Block) {
        self.speak_at(Instant::now(), mic);
    }

    /// The same for a frame whose last sample has come `now`.
    pub fn speak_at(&mut self, now: Instant, mic: &mut Block) {
        let mut played = [0.0; FRAME];
        while self.reference.pop_entire_slice(&mut played).is_ok() {
            self.processor.hear(&played);
        }
        self.processor.clean(mic);
        self.said.extend_from_slice(mic);
        let uplink = &mut self.uplink;
        in_packets(&mut self.said, uplink.samples(), now, |at, packet| uplink.process_at(at, packet));
    }

    /// Takes 10 ms of music, left and right, which is not processed.
    pub fn play_at(&mut self, now: Instant, music: &[[f32; 2]; FRAME]) {
        self.music.extend_from_slice(music);
        let uplink = &mut self.uplink;
        in_packets(&mut self.music, uplink.samples(), now, |at, packet| uplink.process_stereo_at(at, packet));
    }

    /// Records everybody from now on, until the tapper is another or none.
    pub fn record(&mut self, tapper: Option<Tapper>) {
        self.desk.record(tapper);
    }

    /// The next sealed packet for the others.
    pub fn sealed(&mut self) -> Option<SealedPacket> {
        self.outbound.pop().ok()
    }

    /// The next hop-sealed packet for one of the others.
    pub fn hop_sealed(&mut self) -> Option<AddressedPacket> {
        self.outbound_streamed.pop().ok()
    }

    /// Brings a hop-sealed packet in; false when more wait than is possible.
    pub fn deliver_streamed(&mut self, packet: InboundPacket) -> bool {
        self.inbound_streamed.push(packet).is_ok()
    }

    /// Brings a packet in; false when more wait than is possible.
    pub fn deliver(&mut self, packet: InboundPacket) -> bool {
        self.inbound.push(packet).is_ok()
    }

    /// Renders the 10 ms that are wanted `now`, as for a card that takes so much at a time.
    pub fn hear(&mut self, now: Instant, out: &mut [[f32; 2]; FRAME]) {
        let (quanta, _) = out.as_chunks_mut::<QUANTUM>();
        for (index, quantum) in quanta.iter_mut().enumerate() {
            self.downlink.set_ahead(index * QUANTUM);
            self.downlink.render(now, index * QUANTUM, quantum);
        }
        listen(&mut self.played, out);
    }

    /// Renders the 2.5 ms that are wanted `now`, as for a card without a buffer.
    pub fn hear_quantum(&mut self, now: Instant, out: &mut [[f32; 2]; QUANTUM]) {
        self.downlink.set_ahead(0);
        self.downlink.render(now, 0, out);
        listen(&mut self.played, out);
    }

    /// The next frame of one voice before it was placed; false when there is none.
    pub fn voice(&mut self, peer: TransportId, block: &mut Block) -> bool {
        self.voices.extend(self.taps.try_iter());
        self.voices.get_mut(&peer).is_some_and(|tap| tap.pop_entire_slice(block).is_ok())
    }

    /// Frees what was handed back.
    pub fn tidy(&mut self) {
        self.desk.tidy();
    }

    /// How it goes, if there is news and 100 ms have passed since the last time.
    pub fn report(&mut self, now: Instant) -> Option<Report> {
        self.desk.poll_report(now)
    }
}

/// Takes out whole packets of so many samples each, with the time of the last sample of each if that of all has come `now`.
fn in_packets<T>(waiting: &mut Vec<T>, samples: usize, now: Instant, mut process: impl FnMut(Instant, &mut [T])) {
    let (mut later, whole) = (waiting.len(), waiting.len() / samples * samples);
    for packet in waiting[..whole].chunks_exact_mut(samples) {
        later -= samples;
        process(now.checked_sub(duration(later)).unwrap_or(now), packet);
    }
    waiting.drain(..whole);
}

#[cfg(test)]
mod tests;
