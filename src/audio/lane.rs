//! One remote voice's way from its sealed packets to the listener's ears: open, wait, decode, level, place.

use super::decoder::Decoder;
use super::economy::{Economy, Step};
use super::format::{Block, FRAME, LONGEST_PACKET, QUANTUM, Quantum};
use super::jitter::{Change, JitterBuffer, Moment, Pull, Urgency};
use super::level::{Meter, Ramp};
use super::libopus::OpusError;
use super::record::{Stamp, Tap};
use super::spatial::{LaneRenderer, Placer, Wide};
use super::stats::LaneStats;
use super::stretch::{self, Search, Wish};
use resonance_protocol::media::{
    Frame, HeldPackets, HopOpener, InboundPacket, Opener, OpeningKey, Refused, SealedPacket,
};
use resonance_protocol::peer::TransportId;
use resonance_protocol::position::Position;
use rtrb::Producer;
use std::time::Instant;

/// Room for decoded sound: two packets, what is added by stretching, and what is left of those before.
const ROOM: usize = 3 * LONGEST_PACKET;
/// A voice that begins is faded in over this many samples: 5 ms.
const FADE_IN: usize = FRAME / 2;
/// A place with less than this mean square is a pause whoever speaks: −50 dBFS.
const PAUSE_POWER: f32 = 1.0e-5;
/// And so is one this much quieter than the voice at its loudest lately: −30 dB.
const PAUSE_SHARE: f32 = 1.0e-3;
/// "Lately" fades by this share each 10 ms: 10 s.
const LOUDEST_DECAY: f32 = 0.001;

/// One remote voice. Everything is allocated by [`new`](Self::new); the other methods belong to the downlink worker.
pub struct Lane {
    peer: TransportId,
    opener: Opener,
    /// Seals of what comes by a stream, the newest first.
    hops: [Option<Box<HopOpener>>; HopOpener::KEPT],
    held: HeldPackets,
    jitter: JitterBuffer,
    decoder: Decoder,
    placer: Placer,
    wide: Wide,
    /// How much of what is heard is music in stereo: 1 is all.
    width: f32,
    tap: Option<Producer<f32>>,
    recording: Option<Box<Tap>>,
    watched: Option<Producer<f32>>,
    /// In the room; the head's direction comes in when rendering.
    position: Position,
    volume: f32,
    volume_before: f32,
    /// Decoded sound that was not played yet: the first `len` samples.
    pcm: [f32; ROOM],
    /// What the left ear has more of than that, and the right one less, while it is music in stereo.
    side: [f32; ROOM],
    len: usize,
    /// What was played last.
    history: Block,
    side_history: Block,
    sounding: bool,
    loudest: f32,
    search: Search,
    meter: Meter,
    refused: u64,
    replayed: u64,
    undecodable: u64,
    bytes: u64,
    streamed_bytes: u64,
    last_opened: Option<Instant>,
}

impl Lane {
    /// A lane for `peer`, at `position` in the room, without a key: nothing opens yet.
    ///
    /// # Errors
    /// What libopus says, which is out of memory only.
    pub fn new(
        peer: TransportId,
        position: Position,
        renderer: LaneRenderer,
        tap: Option<Producer<f32>>,
        now: Instant,
    ) -> Result<Self, OpusError> {
        Ok(Self {
            peer,
            opener: Opener::new(),
            hops: [const { None }; HopOpener::KEPT],
            held: HeldPackets::new(),
            jitter: JitterBuffer::new(now),
            decoder: Decoder::new()?,
            placer: Placer::new(renderer),
            wide: Wide::default(),
            width: 0.0,
            tap,
            recording: None,
            watched: None,
            position,
            volume: 1.0,
            volume_before: 1.0,
            pcm: [0.0; ROOM],
            side: [0.0; ROOM],
            len: 0,
            history: [0.0; FRAME],
            side_history: [0.0; FRAME],
            sounding: false,
            loudest: 0.0,
            search: Search::default(),
            meter: Meter::default(),
            refused: 0,
            replayed: 0,
            undecodable: 0,
            bytes: 0,
            streamed_bytes: 0,
            last_opened: None,
        })
    }

    /// Whose voice this is.
    pub fn peer(&self) -> TransportId {
        self.peer
    }

    /// Takes a key in, and tries it on the packets that came before it.
    pub fn install(&mut self, now: Instant, key: &OpeningKey) {
        self.opener.install(now, key);
        let mut plaintext = [0; SealedPacket::CAPACITY];
        for _ in 0..self.held.len() {
            if let Some(inbound) = self.held.release() {
                self.open(now, &inbound, &mut plaintext);
            }
        }
    }

    /// Takes in a seal of what comes by a stream; gives back the one that it takes the place of.
    pub fn install_hop(&mut self, hop: Box<HopOpener>) -> Option<Box<HopOpener>> {
        self.hops.rotate_right(1);
        self.hops.first_mut().and_then(|newest| newest.replace(hop))
    }

    /// Leaves so much out from now on.
    pub fn economize(&mut self, economy: Economy) {
        self.decoder.economize(economy);
        self.search = if economy.leaves_out(Step::Stretching) { Search::Coarse } else { Search::Exact };
    }

    /// Puts the voice somewhere else in the room.
    pub fn place(&mut self, position: Position) {
        self.position = position;
    }

    /// Where the voice is in the room.
    pub fn position(&self) -> Position {
        self.position
    }

    /// How it is placed, to be changed while sound flows.
    pub fn placer(&mut self) -> &mut Placer {
        &mut self.placer
    }

    /// Changes the voice's loudness; 1 is as it was sent.
    pub fn set_volume(&mut self, gain: f32) {
        self.volume = gain;
    }

    /// Takes the end of another tap, or none; returns the one before.
    pub fn set_tap(&mut self, tap: Option<Producer<f32>>) -> Option<Producer<f32>> {
        std::mem::replace(&mut self.tap, tap)
    }

    /// Takes part in another recording, or in none; returns the end of the one before.
    pub fn set_recording(&mut self, tap: Option<Box<Tap>>) -> Option<Box<Tap>> {
        std::mem::replace(&mut self.recording, tap)
    }

    /// Is looked at through another ring, or not at all; returns the end of the one before.
    pub fn set_watched(&mut self, ring: Option<Producer<f32>>) -> Option<Producer<f32>> {
        std::mem::replace(&mut self.watched, ring)
    }

    /// Hands what was rendered last to the recording: as it was decoded, wherever and however loud it is heard.
    pub fn record(&mut self, stamp: Stamp) {
        if let Some(tap) = &mut self.recording {
            tap.push(stamp, &self.history[FRAME - QUANTUM..]);
        }
    }

    /// Opens a packet and keeps it until it is its turn. `plaintext` is scratch.
    pub fn receive(&mut self, now: Instant, inbound: &InboundPacket, plaintext: &mut [u8; SealedPacket::CAPACITY]) {
        self.bytes += inbound.packet.as_slice().len() as u64;
        self.open(now, inbound, plaintext);
    }

    /// The same for a packet that came by a stream: under one more seal, which shows whose it is.
    pub fn receive_streamed(
        &mut self,
        now: Instant,
        inbound: &InboundPacket,
        plaintext: &mut [u8; SealedPacket::CAPACITY],
    ) {
        let bytes = inbound.packet.as_slice().len() as u64;
        self.bytes += bytes;
        self.streamed_bytes += bytes;
        let mut packet = SealedPacket::empty();
        let mut replayed = false;
        for hop in self.hops.iter_mut().flatten() {
            match hop.open(&inbound.packet, &mut packet) {
                Ok(()) => return self.open(now, &InboundPacket { packet, ..*inbound }, plaintext),
                // Perhaps; or another seal's, which counts for itself.
                Err(Refused::Replayed) => replayed = true,
                Err(_) => {}
            }
        }
        self.replayed += u64::from(replayed);
        self.refused += u64::from(!replayed);
    }

    fn open(&mut self, now: Instant, inbound: &InboundPacket, plaintext: &mut [u8; SealedPacket::CAPACITY]) {
        let opened = match self.opener.open(now, &inbound.packet, plaintext) {
            Ok(len) => plaintext.get(..len).and_then(Frame::parse),
            Err(Refused::Replayed) => {
                self.replayed += 1;
                return;
            }
            Err(Refused::KeyToCome) if self.held.hold(now, inbound) => return,
            Err(Refused::KeyToCome | Refused::Unreadable | Refused::UnknownKey | Refused::Forged) => None,
        };
        match opened.and_then(|frame| Some((frame, Decoder::samples(frame.opus)?))) {
            Some((frame, samples)) => {
                self.last_opened = Some(inbound.arrived);
                let (arrived, timestamp) = (inbound.arrived, frame.timestamp);
                if frame.pause.is_some_and(|pause| !self.jitter.pause(arrived, timestamp, samples, pause)) {
                    return;
                }
                self.jitter.insert(arrived, timestamp, samples, frame.opus);
                let oldest = frame.copies().map(|copy| copy.samples()).max().unwrap_or(0);
                for copy in frame.copies().filter(|copy| Decoder::samples(copy.opus) == Some(samples)) {
                    let timestamp = frame.timestamp.wrapping_sub(copy.samples());
                    self.jitter.repair(arrived, timestamp, oldest, copy.opus);
                }
            }
            None => self.refused += 1,
        }
    }

    /// Renders the next 2.5 ms for both ears, and gives the voice itself back, as loud as it is in the room. `presence` is the loudness
    /// of everyone (deafening); the head points to `facing_deg`.
    pub fn render(
        &mut self,
        moment: Moment,
        presence: Ramp,
        facing_deg: f32,
        left: &mut Quantum,
        right: &mut Quantum,
    ) -> Quantum {
        self.opener.advance(moment.now);
        self.refused += self.held.expire(moment.now) as u64;
        if self.len < QUANTUM {
            self.fill(moment);
        }
        let mut mono = take(&mut self.pcm[..self.len], &mut self.history);
        let mut side = take(&mut self.side[..self.len], &mut self.side_history);
        self.len -= QUANTUM;
        self.meter.feed(&mono);
        if let Some(watched) = &mut self.watched {
            // Full where nobody has looked for a moment.
            let _ = watched.push_partial_slice(&mono);
        }
        presence.apply(&mut mono);
        if let Some(tap) = &mut self.tap {
            // Cannot be full while the card that empties it is the clock.
            let _ = tap.push_partial_slice(&mono);
        }
        let volume = Ramp::towards(self.volume_before, self.volume);
        self.volume_before = volume.1;
        volume.apply(&mut mono);
        presence.apply(&mut side);
        volume.apply(&mut side);
        let azimuth_deg = self.position.azimuth_deg - facing_deg;
        let relative = Position { azimuth_deg, ..self.position }.normalised();
        self.place_at(relative, &mono, &side, left, right);
        mono
    }

    /// A voice where it stands, music in stereo as it was mixed, and a fade between the two when one becomes the other.
    fn place_at(
        &mut self,
        relative: Position,
        mono: &Quantum,
        side: &Quantum,
        left: &mut Quantum,
        right: &mut Quantum,
    ) {
        let width = Ramp::towards(self.width, if self.decoder.is_stereo() { 1.0 } else { 0.0 });
        self.width = width.1;
        if width == Ramp(0.0, 0.0) {
            return self.placer.render(relative, mono, left, right);
        }
        self.wide.render(relative, mono, side, left, right);
        if width == Ramp(1.0, 1.0) {
            return;
        }
        let (mut stands_left, mut stands_right) = ([0.0; QUANTUM], [0.0; QUANTUM]);
        self.placer.render(relative, mono, &mut stands_left, &mut stands_right);
        for (out, stands) in [(left, &mut stands_left), (right, &mut stands_right)] {
            width.apply(out);
            Ramp(1.0 - width.0, 1.0 - width.1).apply(stands);
            out.iter_mut().zip(stands).for_each(|(out, sample)| *out += *sample);
        }
    }

    /// Takes the next frame in, or silence if there is none, and corrects the delay if that is wanted.
    fn fill(&mut self, moment: Moment) {
        let (mut block, mut side) = ([0.0; LONGEST_PACKET], [0.0; LONGEST_PACKET]);
        let len = self.next_block(moment, &mut block, &mut side);
        self.append(&block[..len], &side[..len]);
        let Some(correction) = self.jitter.correction(moment.now) else { return };
        let wish = Wish {
            at_most: correction.at_most,
            urgency: correction.urgency,
            quiet_power: PAUSE_POWER.max(self.loudest * PAUSE_SHARE),
            search: self.search,
        };
        let changed = match correction.change {
            Change::Remove => self.remove(moment, wish),
            Change::Add => {
                let len = self.len;
                let [(guide, past), (other, other_past)] = self.by_loudness();
                let added = stretch::lengthen(guide, len, past, wish);
                stretch::repeat(other, len, other_past, added);
                self.len += added;
                added
            }
        };
        if changed > 0 {
            self.jitter.corrected(moment.now, correction.change, changed);
        }
    }

    fn remove(&mut self, moment: Moment, wish: Wish) -> usize {
        let len = self.len;
        let [(loudest, _), _] = self.by_loudness();
        let pause = stretch::power(&loudest[..len]) <= wish.quiet_power;
        if wish.urgency == Urgency::Calm && !pause {
            return 0;
        }
        if self.len < wish.at_most + stretch::OVERLAP && self.jitter.next_waits() {
            let (mut block, mut side) = ([0.0; LONGEST_PACKET], [0.0; LONGEST_PACKET]);
            let len = self.jitter.samples().min(LONGEST_PACKET);
            let (block, side) = (&mut block[..len], &mut side[..len]);
            if let Pull::Frame(packet) = self.jitter.pull_early(moment, self.len) {
                self.undecodable += u64::from(!self.decoder.decode(packet, block, side));
            }
            self.append(block, side);
        }
        let at_most = wish.at_most.min(self.len.saturating_sub(stretch::OVERLAP));
        let len = self.len;
        let [(guide, _), (other, _)] = self.by_loudness();
        let removed = stretch::shorten(&mut guide[..len], Wish { at_most, ..wish });
        stretch::cut(&mut other[..len], removed);
        self.len -= removed;
        removed
    }

    /// What waits to be played, with what was before it: the louder of the middle and the sides, which says where it can be stretched, and
    /// the other.
    fn by_loudness(&mut self) -> [(&mut [f32; ROOM], &Block); 2] {
        let sides = stretch::power(&self.side[..self.len]) > stretch::power(&self.pcm[..self.len]);
        let (middle, side) = ((&mut self.pcm, &self.history), (&mut self.side, &self.side_history));
        if sides { [side, middle] } else { [middle, side] }
    }

    /// Writes the next frame, or 2.5 ms of silence; returns how many samples it is.
    fn next_block(
        &mut self,
        moment: Moment,
        block: &mut [f32; LONGEST_PACKET],
        side: &mut [f32; LONGEST_PACKET],
    ) -> usize {
        let len = self.jitter.samples().min(LONGEST_PACKET);
        let (block, side) = (&mut block[..len], &mut side[..len]);
        let sounds = match self.jitter.pull(moment, self.len) {
            Pull::Frame(packet) => {
                self.undecodable += u64::from(!self.decoder.decode(packet, block, side));
                true
            }
            Pull::Conceal => {
                self.decoder.conceal(block, side);
                true
            }
            Pull::Silence => false,
        };
        match (self.sounding, sounds) {
            (false, true) => {
                let fading = block.len().min(FADE_IN);
                for (n, (sample, side)) in block.iter_mut().zip(&mut *side).take(fading).enumerate() {
                    *sample *= stretch::fade(n, fading);
                    *side *= stretch::fade(n, fading);
                }
            }
            (true, false) => {
                self.decoder.conceal(block, side);
                Ramp(1.0, 0.0).apply(block);
                Ramp(1.0, 0.0).apply(side);
            }
            _ => {}
        }
        let whole = sounds || self.sounding;
        self.sounding = sounds;
        if whole { block.len() } else { QUANTUM }
    }

    fn append(&mut self, block: &[f32], side: &[f32]) {
        let fades = LOUDEST_DECAY * block.len() as f32 / FRAME as f32;
        self.loudest = stretch::power(block).max(stretch::power(side)).max(self.loudest * (1.0 - fades));
        self.pcm[self.len..self.len + block.len()].copy_from_slice(block);
        self.side[self.len..self.len + block.len()].copy_from_slice(side);
        self.len += block.len();
    }

    /// Totals and levels as they are now.
    pub fn stats(&self) -> LaneStats {
        let totals = self.jitter.totals();
        LaneStats {
            peer: self.peer,
            level_db: self.meter.level_db(),
            speaking: self.meter.speaking(),
            received: totals.received,
            lost: totals.lost,
            gaps: totals.gaps,
            repaired: totals.repaired,
            late: totals.late,
            concealed: totals.concealed + self.undecodable,
            corrections: totals.corrected / FRAME as u64,
            refused: self.refused,
            duplicates: totals.duplicates + self.replayed,
            jitter_ms: self.jitter.jitter_ms(),
            buffer_ms: self.jitter.buffer_ms(),
            queue_ms: self.jitter.queue_ms(),
            bytes: self.bytes,
            streamed_bytes: self.streamed_bytes,
            last_opened: self.last_opened,
        }
    }
}

/// Takes the next 2.5 ms from the beginning, and remembers them.
fn take(pcm: &mut [f32], history: &mut Block) -> Quantum {
    let mut next = [0.0; QUANTUM];
    next.copy_from_slice(&pcm[..QUANTUM]);
    pcm.copy_within(QUANTUM.., 0);
    history.copy_within(QUANTUM.., 0);
    history[FRAME - QUANTUM..].copy_from_slice(&next);
    next
}
