//! The adaptive jitter buffer: packets in as the network brings them, one frame out whenever the lane has played the one before.
//!
//! Time is an input, so it runs in virtual time. It never touches sound itself: it says which packet is next, when to conceal, and
//! when a little time should be removed or added; the [lane](super::lane) does that between pitch periods or in a pause.
//!
//! - *Delay*: a frame is played so long after it was spoken as all but a hundredth of the packets need (`delays.rs`). What is more
//!   than that is taken out of the sound, what is less is put in; both keep the pitch.
//! - *Bursts*: a card wants several milliseconds at once, and what is wanted at once cannot be rendered later: so the delay goes up
//!   and down in steps of such a burst, and what is played late in one costs nothing to be played earlier in the same.
//! - *Copies*: later packets may carry earlier frames again ([`repair`](JitterBuffer::repair)). While that mends something, the delay is
//!   longer by the age of the oldest copy, and for three seconds after.
//! - *Nothing there*: when packets stay away while sound still waits, the sound is slowed down. When nothing is left, the clock of the
//!   buffer is held for up to 100 ms while the lane conceals. When what comes then was lost on the way, time is skipped as if it had
//!   not been held; when it is merely late, it is played and the delay has grown by itself.
//! - *Something later there*: the missing frame is concealed and time goes on.
//! - *Drift* between the two clocks shows as delay that creeps up or down and is worked off a burst at a time, in pauses if there
//!   are any: at 150 ppm and bursts of 10 ms once a minute.
//! - *When the speaker stood still* with the whole machine, what arrived meanwhile says nothing about the network, and is not played late.
//! - *Pauses* in which a sender sends nothing are told of ([`pause`](JitterBuffer::pause)): nothing is concealed or held in them, and nothing
//!   counts as lost.
//! - *After an outage* what is stale is thrown away, and it does not count as what the network needs.

mod delays;
mod lowest;
mod pace;
mod reception;
mod rest;
mod store;
mod terms;

#[cfg(test)]
mod tests;

pub use terms::{Change, Correction, Inserted, Moment, Pull, Totals, Urgency};

use super::format::{FRAME, QUANTUM, SAMPLE_RATE, milliseconds};
use delays::Delays;
use lowest::Lowest;
use reception::{Arrival, Reception};
use rest::Rest;
use std::time::{Duration, Instant};
use store::Store;

/// The least that is rendered at once, in milliseconds.
const QUANTUM_MS: f64 = QUANTUM as f64 * 1_000.0 / SAMPLE_RATE as f64;
/// Added to what the network needs while little is known about it.
const INITIAL_MS: f64 = 10.0;
/// And afterwards: room for a scheduler's hiccup. Sound is put in when half of it is used up.
const MARGIN_MS: f64 = 2.0;
/// The clock is held at most this long while nothing comes, in ms: by then concealment has faded out.
const MAX_HELD_MS: f64 = 100.0;
/// No voice is played later than this after it could have been at the earliest, in ms: nobody can talk with more.
const MAX_DELAY_MS: f64 = 1_500.0;
/// What waits beyond what the network needs, in ms, before it is stale;
const STALE_MS: f64 = 1_500.0;
/// and after an outage.
const STALE_AFTER_OUTAGE_MS: f64 = 100.0;
/// When nothing came for so long it was an outage, not jitter.
const OUTAGE: Duration = Duration::from_millis(1_000);
/// After one, packets this much slower than before, in ms, are backlog,
const BACKLOG_MS: f64 = 50.0;
/// for so long.
const BACKLOG_LASTS: Duration = Duration::from_secs(2);
/// For so long after a copy was of use the delay leaves room for copies.
const REPAIRS_LAST: Duration = Duration::from_secs(3);
/// A speaker that wanted nothing for so much longer than it takes at once, in ms, stood still,
const STILL_MS: f64 = 50.0;
/// and what others sent from the same machine needs so long, in ms, until it is here.
const STILL_LASTS: Duration = Duration::from_millis(50);
/// A sender's packets that come by this much sooner or later than all before, in ms, are of another clock.
const SAME_CLOCK_MS: f64 = 400.0;
/// So many packets of another length in a row are a sender that has begun anew.
const ANEW_AFTER: u32 = 3;

/// One voice's jitter buffer.
pub struct JitterBuffer {
    epoch: Instant,
    /// Of a frame.
    samples: usize,
    /// Packets of another length, since the last of this one.
    others: u32,
    reception: Reception,
    store: Store,
    delays: Delays,
    playing: bool,
    /// The next frame to be played; nothing before it is kept.
    cursor: i64,
    /// Frames concealed while the cursor waited.
    held: u32,
    /// The last pause that was told of.
    rest: Option<Rest>,
    /// When frames are pulled, on the scale of transits: the earliest of the last moments.
    pulled: Lowest,
    /// How much was played between that and the frame itself, in ms: the least of the last moments.
    ahead: Lowest,
    /// What is wanted at once, in ms.
    burst_ms: f64,
    /// When a copy was of use last, and how old the oldest ones are that come with it.
    repairs: Option<(Instant, f64)>,
    /// Since when packets come again after an outage, while what comes is backlog.
    back_since: Option<Instant>,
    last_wanted: Option<Instant>,
    /// Until then what arrives was held up here, not on the way.
    still_until: Option<Instant>,
    last_correction: Option<Instant>,
    wanted_since: Option<Instant>,
    waited_ms: f64,
    jitter_ms: f32,
    last_arrival: Option<(Instant, i64)>,
    totals: Totals,
}

impl JitterBuffer {
    /// Allocates everything it will ever need.
    pub fn new(now: Instant) -> Self {
        Self {
            epoch: now,
            samples: FRAME,
            others: 0,
            reception: Reception::default(),
            store: Store::new(now),
            delays: Delays::new(),
            playing: false,
            cursor: i64::MIN,
            held: 0,
            rest: None,
            pulled: Lowest::default(),
            ahead: Lowest::default(),
            burst_ms: 0.0,
            repairs: None,
            back_since: None,
            last_wanted: None,
            still_until: None,
            last_correction: None,
            wanted_since: None,
            waited_ms: 0.0,
            jitter_ms: 0.0,
            last_arrival: None,
            totals: Totals::default(),
        }
    }

    /// Samples of each frame.
    pub fn samples(&self) -> usize {
        self.samples
    }

    fn frame_ms(&self) -> f64 {
        f64::from(milliseconds(self.samples as f32))
    }

    /// The time from when this frame was spoken to `at`, on the arbitrary scale of this timeline, in ms.
    fn age_ms(&self, at: Instant, frame: i64) -> f64 {
        signed_ms(at, self.epoch) - frame as f64 * self.frame_ms()
    }

    /// Takes a packet of so many `samples`, whose first one has this `timestamp` (48 kHz, wraps), and that `arrived` then.
    pub fn insert(&mut self, arrived: Instant, timestamp: u32, samples: usize, packet: &[u8]) -> Inserted {
        if !self.is_of_length(arrived, timestamp, samples) {
            self.totals.late += 1;
            return Inserted::Late;
        }
        let frame = match self.reception.receive(timestamp) {
            Arrival::New(frame) => frame,
            Arrival::Duplicate => {
                self.totals.duplicates += 1;
                return Inserted::Duplicate;
            }
            Arrival::Stray => {
                self.totals.late += 1;
                return Inserted::Late;
            }
            Arrival::Restart(frame) => {
                self.store.drop_before(frame);
                self.wait(frame);
                self.delays.clear();
                (self.rest, self.last_arrival) = (None, None);
                frame
            }
        };
        // The end of a pause need not have been told.
        self.rest = self.rest.filter(|rest| !rest.lasts() || frame <= rest.after);
        self.count(arrived, frame);
        if self.reception.is_repaired(frame) {
            return Inserted::Kept;
        }
        let kept = frame >= self.cursor && self.make_room(frame) && self.store.put(frame, arrived, packet);
        if !kept {
            self.totals.late += 1;
            return Inserted::Late;
        }
        let oldest = if self.playing { self.cursor } else { self.store.oldest().map_or(frame, |(oldest, _)| oldest) };
        if (self.store.newest() - oldest) as f64 * self.frame_ms() >= self.most_ms() {
            self.skip_to_fresh(arrived);
        }
        Inserted::Kept
    }

    /// A packet that is the first of its frame has come.
    fn count(&mut self, arrived: Instant, frame: i64) {
        self.totals.received += 1;
        if self.is_expected(arrived, frame) {
            self.delays.feed(signed_ms(arrived, self.epoch), self.age_ms(arrived, frame));
        }
        self.measure_jitter(arrived, frame);
    }

    /// Whether packets are so long; also from then on when the sender began anew with others.
    fn is_of_length(&mut self, arrived: Instant, timestamp: u32, samples: usize) -> bool {
        if samples == self.samples {
            self.others = 0;
            return true;
        }
        self.others += 1;
        if self.others < ANEW_AFTER && self.totals.received > 0 {
            return false;
        }
        self.others = 0;
        self.samples = samples;
        let number = self.same_clock(arrived, timestamp);
        self.reception.begin_anew(samples, number.unwrap_or_default());
        self.store.drop_before(i64::MAX);
        self.wait(i64::MIN);
        if number.is_none() {
            self.delays.clear();
        }
        (self.rest, self.last_arrival, self.repairs) = (None, None, None);
        true
    }

    /// The number of a frame of the new length whose sender's clock goes on: then what is known of delays stays true. `None` for another clock.
    fn same_clock(&mut self, arrived: Instant, timestamp: u32) -> Option<i64> {
        let spoken = self.reception.spoken(timestamp)?;
        let transit_ms = signed_ms(arrived, self.epoch) - spoken as f64 * 1_000.0 / f64::from(SAMPLE_RATE);
        let known = self.delays.lowest_ms() - SAME_CLOCK_MS..self.delays.needed_ms()? + SAME_CLOCK_MS;
        if !known.contains(&transit_ms) {
            return None;
        }
        let samples = self.samples as i64;
        let rest = spoken.rem_euclid(samples) as f64 / f64::from(SAMPLE_RATE);
        self.epoch += Duration::from_secs_f64(rest);
        Some(spoken.div_euclid(samples))
    }

    /// Whether this packet says something about the network to come: not what was held up here, nor the backlog of an outage, which nobody
    /// would want to wait for.
    fn is_expected(&mut self, arrived: Instant, frame: i64) -> bool {
        if self.still_until.is_some_and(|until| arrived < until) || self.stands_still(arrived) {
            return false;
        }
        if self.last_arrival.is_some_and(|(last, _)| arrived.saturating_duration_since(last) > OUTAGE) {
            self.back_since = Some(arrived);
        }
        let Some(back) = self.back_since else { return true };
        let usual_ms = self.delays.needed_ms().unwrap_or(f64::INFINITY) + BACKLOG_MS;
        if self.age_ms(arrived, frame) <= usual_ms || arrived.saturating_duration_since(back) > BACKLOG_LASTS {
            self.back_since = None;
        }
        self.back_since.is_none()
    }

    /// Whether the speaker should have wanted something by now.
    fn stands_still(&self, now: Instant) -> bool {
        let usual_ms = self.burst_ms + 2.0 * self.frame_ms() + STILL_MS;
        self.last_wanted.is_some_and(|last| signed_ms(now, last) > usual_ms)
    }

    /// Takes the copy of an earlier frame that came inside a packet, the oldest of whose copies is `oldest` samples older than it.
    /// True when it is of use.
    pub fn repair(&mut self, arrived: Instant, timestamp: u32, oldest: u32, packet: &[u8]) -> bool {
        let Some(frame) = self.reception.missing(timestamp) else { return false };
        // Also what comes too late by now would have been of use with more delay.
        self.repairs = Some((arrived, f64::from(oldest) * 1_000.0 / f64::from(SAMPLE_RATE)));
        if frame < self.cursor || !self.make_room(frame) || !self.store.put(frame, arrived, packet) {
            return false;
        }
        self.reception.repair(frame);
        self.totals.repaired += 1;
        true
    }

    /// Sees to it that a frame far ahead of all that waits does not lie beyond the store. False when it is far behind.
    fn make_room(&mut self, frame: i64) -> bool {
        match self.store.oldest() {
            Some((oldest, _)) if frame - oldest >= store::CAPACITY => {
                self.totals.late += self.store.drop_before(frame - store::CAPACITY / 2);
                true
            }
            Some(_) => self.store.newest() - frame < store::CAPACITY,
            None => true,
        }
    }

    /// RFC 3550, section 6.4.1 and appendix A.8, in milliseconds.
    fn measure_jitter(&mut self, arrived: Instant, frame: i64) {
        if let Some((last_arrived, last_frame)) = self.last_arrival {
            let spacing = signed_ms(arrived, last_arrived) - (frame - last_frame) as f64 * self.frame_ms();
            self.jitter_ms += (spacing.abs().min(1_000.0) as f32 - self.jitter_ms) / 16.0;
        }
        self.last_arrival = Some((arrived, frame));
    }

    /// How long after it was spoken a frame should be played, on the scale of transits; `None` before the first packet.
    fn wanted_ms(&self, now: Instant) -> Option<f64> {
        let needed = self.delays.needed_ms()?;
        let margin = if self.delays.is_settled() { MARGIN_MS } else { INITIAL_MS };
        let wanted = needed + margin + self.copies_ms(now);
        Some(wanted.min(self.delays.lowest_ms() + MAX_DELAY_MS))
    }

    /// The age of the oldest copies, while copies are of use.
    fn copies_ms(&self, now: Instant) -> f64 {
        let useful = self.repairs.filter(|(last, _)| now.saturating_duration_since(*last) < REPAIRS_LAST);
        useful.map_or(0.0, |(_, age_ms)| age_ms)
    }

    fn stale_ms(&self) -> f64 {
        if self.back_since.is_some() { STALE_AFTER_OUTAGE_MS } else { STALE_MS }
    }

    /// The most that may wait, in ms.
    fn most_ms(&self) -> f64 {
        let needed = self.delays.needed_ms().map_or(0.0, |needed| needed - self.delays.lowest_ms());
        (needed + self.stale_ms()).min((store::CAPACITY - 1) as f64 * self.frame_ms())
    }

    /// What to play for the next frame, wanted now, after `ahead` samples that the lane still has.
    pub fn pull(&mut self, moment: Moment, ahead: usize) -> Pull<'_> {
        let now = moment.now;
        let stood_still = self.stands_still(now);
        self.last_wanted = Some(now);
        self.burst_ms = f64::from(milliseconds(moment.burst as f32));
        if stood_still {
            self.still_until = Some(now + STILL_LASTS);
            if self.playing {
                self.skip_to_fresh(now);
            }
        }
        if !self.playing && !self.begin(now) {
            return Pull::Silence;
        }
        if self.rests() && !self.store.has(self.cursor) {
            self.wait(self.cursor);
            return Pull::Silence;
        }
        if self.held > 0 && !self.release(now) {
            if self.playing {
                self.totals.concealed += 1;
                return Pull::Conceal;
            }
            return Pull::Silence;
        }
        let ahead_ms = f64::from(milliseconds((moment.rendered + ahead) as f32));
        self.pulled.feed(now, self.age_ms(now, self.cursor));
        self.ahead.feed(now, ahead_ms);
        if self.store.has(self.cursor) {
            return self.serve(now, ahead_ms);
        }
        if self.store.len() > 0 {
            self.cursor += 1;
        } else {
            self.held = 1;
        }
        self.totals.concealed += 1;
        Pull::Conceal
    }

    /// Whether the next frame is there already, so that [`pull_early`](Self::pull_early) can have it.
    pub fn next_waits(&self) -> bool {
        self.playing && self.held == 0 && self.store.has(self.cursor)
    }

    /// The next frame before its time, while the lane still has `ahead` samples: needed to take time out. Call only when
    /// [`next_waits`](Self::next_waits).
    pub fn pull_early(&mut self, moment: Moment, ahead: usize) -> Pull<'_> {
        let ahead_ms = f64::from(milliseconds((moment.rendered + ahead) as f32));
        if self.next_waits() { self.serve(moment.now, ahead_ms) } else { Pull::Silence }
    }

    fn serve(&mut self, now: Instant, ahead_ms: f64) -> Pull<'_> {
        let frame = self.cursor;
        let Some((arrived, packet)) = self.store.take(frame) else { return Pull::Conceal };
        self.cursor += 1;
        let waited_ms = signed_ms(now, arrived) + ahead_ms;
        self.waited_ms += (waited_ms - self.waited_ms) / 16.0;
        Pull::Frame(packet)
    }

    /// Begins to play once enough is there: the oldest packet has waited long enough, or came in a crowd that is as long, as after an interruption.
    fn begin(&mut self, now: Instant) -> bool {
        let (Some((oldest, arrived)), Some(wanted_ms)) = (self.store.oldest(), self.wanted_ms(now)) else {
            return false;
        };
        if self.age_ms(now, oldest) < wanted_ms {
            return false;
        }
        self.cursor = oldest;
        self.held = 0;
        self.playing = true;
        self.waited_ms = signed_ms(now, arrived);
        if self.age_ms(now, oldest) > wanted_ms + self.stale_ms() {
            self.skip_to_fresh(now);
        }
        self.playing
    }

    /// What the network needs is worth waiting for, the rest is history.
    fn skip_to_fresh(&mut self, now: Instant) {
        let wanted_ms = self.wanted_ms(now).unwrap_or_default();
        let due = ((signed_ms(now, self.epoch) - wanted_ms) / self.frame_ms()) as i64;
        let newest = self.store.newest();
        if due < newest - store::CAPACITY {
            // The sender's clock jumped ahead: what was known about its packets means nothing any more.
            self.delays.clear();
            self.wait(newest);
        } else {
            self.cursor = due.clamp(self.cursor.min(newest), newest);
        }
        self.totals.late += self.store.drop_before(self.cursor);
        self.held = 0;
        self.forget_pulls();
    }

    fn forget_pulls(&mut self) {
        self.pulled = Lowest::default();
        self.ahead = Lowest::default();
    }

    /// Goes back to waiting for a voice that begins at `cursor` or later.
    fn wait(&mut self, cursor: i64) {
        self.playing = false;
        self.held = 0;
        self.cursor = cursor;
        self.forget_pulls();
        self.wanted_since = None;
    }

    /// Nothing was there: goes on if something came. False while there still is nothing (or no longer a voice).
    fn release(&mut self, now: Instant) -> bool {
        match self.store.oldest() {
            None => {
                self.held += 1;
                if f64::from(self.held) * self.frame_ms() > MAX_HELD_MS {
                    self.wait(self.cursor);
                }
                false
            }
            Some((first, _)) => {
                let missing = (first - self.cursor).min(i64::from(self.held));
                self.cursor += missing;
                let grown = i64::from(self.held) - missing;
                if grown > 0 {
                    self.forget_pulls();
                    self.last_correction = Some(now);
                }
                self.held = 0;
                true
            }
        }
    }

    /// Time that sound spends in here and in the lane behind, on average of the last moments, in ms.
    pub fn buffer_ms(&self) -> f32 {
        if self.playing { self.waited_ms.max(0.0) as f32 } else { 0.0 }
    }

    /// Interarrival jitter (RFC 3550, section 6.4.1) in ms.
    pub fn jitter_ms(&self) -> f32 {
        self.jitter_ms
    }

    /// How long packets wait in queues on the way, in ms: what even the fastest of the last half second took longer than that of half a minute.
    pub fn queue_ms(&self) -> f32 {
        self.delays.queue_ms()
    }

    /// Totals since the beginning.
    pub fn totals(&self) -> Totals {
        let (lost, gaps) = self.reception.lost();
        Totals { lost, gaps, ..self.totals }
    }
}

/// `a − b` in milliseconds.
fn signed_ms(a: Instant, b: Instant) -> f64 {
    if a >= b { (a - b).as_secs_f64() * 1_000.0 } else { -((b - a).as_secs_f64() * 1_000.0) }
}
