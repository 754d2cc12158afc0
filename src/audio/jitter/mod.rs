//! The adaptive jitter buffer: packets in as the network brings them, one frame out whenever the speaker wants one.
//!
//! Time is an input, so it runs in virtual time. It never touches sound itself: it says which packet is next, when to conceal, and
//! when a little time should be removed or added; the [lane](super::lane) does that between pitch periods or in a pause.
//!
//! - *Delay* is set by the slack of recent packets (`slack.rs`): enough that all but one quarter second in ten of the last ten
//!   seconds' packets come in time, with a margin; never more by a whole frame and some.
//! - *Nothing there*: the clock of the buffer is held for up to 100 ms while the lane conceals. When what comes then was lost on the
//!   way, time is skipped as if it had not been held; when it is merely late, it is played and the delay has grown by itself.
//! - *Something later there*: the missing frame is concealed and time goes on.
//! - *Drift* between the two clocks shows as slack that creeps up or down and is worked off one frame at a time:
//!   at 200 ppm every 50 s.
//! - *After an outage* what is stale is thrown away: never more than 400 ms wait.

mod reception;
mod slack;
mod store;

#[cfg(test)]
mod tests;

use super::format::{FRAME, SAMPLE_RATE};
use reception::{Arrival, Reception};
use slack::SlackWindow;
use std::time::{Duration, Instant};
use store::Store;

/// One frame, in milliseconds.
const FRAME_MS: f32 = FRAME as f32 * 1_000.0 / SAMPLE_RATE as f32;
/// How long the first packet waits before a voice begins, when nothing is known about the network yet.
const INITIAL_MS: f32 = 10.0;
/// What reliable packets are to have left, in ms: room for a scheduler's hiccup.
const MARGIN_MS: f32 = 5.0;
/// And this share of what ordinary packets have more than that: rough networks get rougher.
const SPREAD_SHARE: f32 = 0.25;
/// Reliable packets with less than this left are about to be late.
const LOW_WATER_MS: f32 = 1.5;
/// More than one superfluous frame by this much before one is taken out: keeps the measurement's noise from going to and fro.
const HYSTERESIS_MS: f32 = 5.0;
/// The clock is held at most this long while nothing comes, in frames: by then concealment has faded out.
const MAX_HELD: u32 = 10;
/// Never more frames than this wait: 400 ms.
const MAX_BACKLOG: i64 = 40;
/// A voice never begins later than this after its first packet, in ms.
const MAX_START_MS: f32 = 150.0;

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inserted {
    /// It waits to be played.
    Kept,
    /// It came before.
    Duplicate,
    /// Its time is over (or it belongs to another timeline).
    Late,
}

/// What to play for the next frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pull<'a> {
    /// This packet.
    Frame(&'a [u8]),
    /// Something made up: a frame is missing.
    Conceal,
    /// Nothing: the voice has not begun, or has ended.
    Silence,
}

/// Time that should be taken out of or put into the sound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Correction {
    /// Which way.
    pub change: Change,
    /// At most so many samples, in one step or several.
    pub at_most: usize,
    /// What may be risked for it.
    pub urgency: Urgency,
}

/// Which way time is corrected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Take samples out: the delay is longer than needed.
    Remove,
    /// Put samples in: the delay is too short.
    Add,
}

/// What may be risked for a correction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Urgency {
    /// Only in a pause.
    Calm,
    /// In a pause or where the voice repeats itself.
    Soon,
    /// At the best place in sight.
    Now,
}

/// Totals since the lane began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Packets that were the first of their frame.
    pub received: u64,
    /// Frames that never came.
    pub lost: u64,
    /// Packets that came after their time, or that were too old to be worth playing.
    pub late: u64,
    /// Packets that came again.
    pub duplicates: u64,
    /// Frames that were made up.
    pub concealed: u64,
    /// Times that 10 ms were taken out or put in.
    pub corrections: u64,
}

/// One voice's jitter buffer.
pub struct JitterBuffer {
    reception: Reception,
    store: Store,
    slack: SlackWindow,
    playing: bool,
    /// The next frame to be played; nothing before it is kept.
    cursor: i64,
    /// Frames concealed while the cursor waited.
    held: u32,
    /// Samples, less than a frame, that the lane holds beyond what it was asked for.
    ahead: usize,
    start_ms: f32,
    last_pull: Option<Instant>,
    last_correction: Option<Instant>,
    wanted_since: Option<Instant>,
    waited_ms: f32,
    jitter_ms: f32,
    last_arrival: Option<(Instant, i64)>,
    totals: Totals,
}

impl JitterBuffer {
    /// Allocates everything it will ever need.
    pub fn new(now: Instant) -> Self {
        Self {
            reception: Reception::default(),
            store: Store::new(now),
            slack: SlackWindow::default(),
            playing: false,
            cursor: i64::MIN,
            held: 0,
            ahead: 0,
            start_ms: INITIAL_MS,
            last_pull: None,
            last_correction: None,
            wanted_since: None,
            waited_ms: 0.0,
            jitter_ms: 0.0,
            last_arrival: None,
            totals: Totals::default(),
        }
    }

    /// Takes a packet whose first sample has this `timestamp` (48 kHz, wraps) and that `arrived` then.
    pub fn insert(&mut self, arrived: Instant, timestamp: u32, packet: &[u8]) -> Inserted {
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
                self.last_arrival = None;
                frame
            }
        };
        self.totals.received += 1;
        self.measure_jitter(arrived, frame);
        if frame < self.cursor {
            if self.playing {
                self.measure_lateness(arrived, frame);
            }
            self.totals.late += 1;
            return Inserted::Late;
        }
        if !self.make_room(frame) || !self.store.put(frame, arrived, packet) {
            self.totals.late += 1;
            return Inserted::Late;
        }
        let from = if self.playing { self.cursor } else { self.store.oldest().map_or(frame, |(oldest, _)| oldest) };
        if self.store.newest() - from >= MAX_BACKLOG {
            self.skip_to_fresh();
        }
        Inserted::Kept
    }

    /// Sees to it that a frame far ahead of all that waits does not lie beyond the store. False when it is far behind.
    fn make_room(&mut self, frame: i64) -> bool {
        match self.store.oldest() {
            Some((oldest, _)) if frame - oldest >= store::CAPACITY => {
                self.totals.late += self.store.drop_before(frame - MAX_BACKLOG);
                true
            }
            Some(_) => self.store.newest() - frame < store::CAPACITY,
            None => true,
        }
    }

    /// RFC 3550, section 6.4.1 and appendix A.8, in milliseconds.
    fn measure_jitter(&mut self, arrived: Instant, frame: i64) {
        if let Some((last_arrived, last_frame)) = self.last_arrival {
            let spacing = signed_ms(arrived, last_arrived) - (frame - last_frame) as f32 * FRAME_MS;
            self.jitter_ms += (spacing.abs().min(1_000.0) - self.jitter_ms) / 16.0;
        }
        self.last_arrival = Some((arrived, frame));
    }

    fn measure_lateness(&mut self, arrived: Instant, frame: i64) {
        if let Some(last_pull) = self.last_pull {
            let behind_ms = (self.cursor - 1 - frame) as f32 * FRAME_MS;
            let slack_ms = signed_ms(last_pull, arrived) - behind_ms;
            self.slack.feed(last_pull.max(arrived), slack_ms.clamp(-MAX_START_MS, 0.0));
        }
    }

    /// What to play for the next frame, wanted `now`.
    pub fn pull(&mut self, now: Instant) -> Pull<'_> {
        if !self.playing && !self.begin(now) {
            return Pull::Silence;
        }
        self.last_pull = Some(now);
        if self.held > 0 && !self.release(now) {
            if self.playing {
                self.totals.concealed += 1;
                return Pull::Conceal;
            }
            return Pull::Silence;
        }
        if self.store.has(self.cursor) {
            return self.serve(now, 0.0);
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

    /// The next frame, one frame before its time: needed to take time out. Call only when [`next_waits`](Self::next_waits).
    pub fn pull_early(&mut self, now: Instant) -> Pull<'_> {
        if self.next_waits() { self.serve(now, FRAME_MS) } else { Pull::Silence }
    }

    fn serve(&mut self, now: Instant, early_ms: f32) -> Pull<'_> {
        let frame = self.cursor;
        let Some((arrived, packet)) = self.store.take(frame) else { return Pull::Conceal };
        self.cursor += 1;
        let waited_ms = signed_ms(now, arrived) + early_ms;
        self.slack.feed(now, waited_ms);
        self.waited_ms += (waited_ms - self.waited_ms) / 16.0;
        Pull::Frame(packet)
    }

    /// Begins to play once enough is there: the oldest packet has waited long enough, or came in a crowd that is as long, as after an interruption.
    fn begin(&mut self, now: Instant) -> bool {
        let Some((oldest, arrived)) = self.store.oldest() else { return false };
        let waited_ms = signed_ms(now, arrived);
        let crowd_ms = (self.store.newest() - oldest) as f32 * FRAME_MS;
        if waited_ms.max(crowd_ms) < self.start_ms {
            return false;
        }
        self.cursor = oldest;
        self.held = 0;
        self.playing = true;
        self.waited_ms = waited_ms;
        if self.store.newest() - oldest > i64::from(MAX_HELD) {
            self.skip_to_fresh();
        }
        true
    }

    /// Only the newest are worth playing, the rest is history.
    fn skip_to_fresh(&mut self) {
        self.cursor = self.store.newest() - (self.start_ms / FRAME_MS).ceil() as i64;
        self.totals.late += self.store.drop_before(self.cursor);
        self.held = 0;
        self.slack.clear();
    }

    /// Goes back to waiting for a voice that begins at `cursor` or later.
    fn wait(&mut self, cursor: i64) {
        if let Some(slack) = self.slack.slack() {
            let spread = (slack.mean_ms - slack.low_ms).max(0.0);
            self.start_ms = (MARGIN_MS + spread * (1.0 + SPREAD_SHARE)).clamp(INITIAL_MS, MAX_START_MS);
        }
        self.playing = false;
        self.held = 0;
        self.cursor = cursor;
        self.slack.clear();
        self.wanted_since = None;
    }

    /// Nothing was there: goes on if something came. False while there still is nothing (or no longer a voice).
    fn release(&mut self, now: Instant) -> bool {
        match self.store.oldest() {
            None => {
                self.held += 1;
                if self.held > MAX_HELD {
                    self.wait(self.cursor);
                }
                false
            }
            Some((first, _)) => {
                let missing = (first - self.cursor).min(i64::from(self.held));
                self.cursor += missing;
                let grown = i64::from(self.held) - missing;
                if grown > 0 {
                    self.slack.shift(grown as f32 * FRAME_MS);
                    self.last_correction = Some(now);
                }
                self.held = 0;
                true
            }
        }
    }

    /// What should be corrected now, if anything. On a steady network this is `None` for good once the delay has settled.
    pub fn correction(&mut self, now: Instant) -> Option<Correction> {
        let found = self.find_correction();
        let Some((change, at_most, off_ms)) = found else {
            self.wanted_since = None;
            return None;
        };
        let wanted_for = now.saturating_duration_since(*self.wanted_since.get_or_insert(now));
        let urgency = match change {
            Change::Remove if off_ms > 120.0 => Urgency::Now,
            Change::Remove if off_ms > 20.0 || wanted_for > Duration::from_secs(5) => Urgency::Soon,
            Change::Remove => Urgency::Calm,
            Change::Add if off_ms > 5.0 || wanted_for > Duration::from_secs(1) => Urgency::Now,
            Change::Add => Urgency::Soon,
        };
        // Corrections follow one another no faster than 8 in a half second, or they are heard as a change of pace.
        let rest = Duration::from_millis(60);
        let rested = self.last_correction.is_none_or(|last| now.saturating_duration_since(last) >= rest);
        rested.then_some(Correction { change, at_most, urgency })
    }

    fn find_correction(&self) -> Option<(Change, usize, f32)> {
        if !self.playing || self.held > 0 {
            return None;
        }
        let slack = self.slack.slack()?;
        let low = slack.low_ms;
        if low < LOW_WATER_MS {
            return Some((Change::Add, FRAME - self.ahead, LOW_WATER_MS - low));
        }
        if self.ahead > 0 {
            return Some((Change::Remove, self.ahead, 0.0));
        }
        let superfluous = low - self.wanted_ms(slack) - FRAME_MS;
        (superfluous > HYSTERESIS_MS).then_some((Change::Remove, FRAME, superfluous))
    }

    fn wanted_ms(&self, slack: slack::Slack) -> f32 {
        MARGIN_MS + SPREAD_SHARE * (slack.mean_ms - slack.low_ms).clamp(0.0, MAX_START_MS)
    }

    /// The lane took `samples` out or put them in (at most what was asked for, at least one).
    pub fn corrected(&mut self, now: Instant, change: Change, samples: usize) {
        self.last_correction = Some(now);
        match change {
            Change::Remove if self.ahead == 0 => {
                // One more frame than usual went out of the buffer; what was not taken out waits in the lane.
                self.ahead = FRAME.saturating_sub(samples);
                self.delay_changed(-FRAME_MS);
            }
            Change::Remove => self.ahead = self.ahead.saturating_sub(samples),
            Change::Add => {
                self.ahead += samples;
                if self.ahead >= FRAME {
                    self.ahead -= FRAME;
                    self.delay_changed(FRAME_MS);
                }
            }
        }
    }

    fn delay_changed(&mut self, ms: f32) {
        self.slack.shift(ms);
        self.waited_ms += ms;
        self.totals.corrections += 1;
    }

    /// Time that sound spends in here and in the lane behind, on average of the last moments, in ms.
    pub fn buffer_ms(&self) -> f32 {
        if self.playing { self.waited_ms.max(0.0) + super::format::milliseconds(self.ahead as f32) } else { 0.0 }
    }

    /// Interarrival jitter (RFC 3550, section 6.4.1) in ms.
    pub fn jitter_ms(&self) -> f32 {
        self.jitter_ms
    }

    /// Totals since the beginning.
    pub fn totals(&self) -> Totals {
        Totals { lost: self.reception.lost(), ..self.totals }
    }
}

/// `a − b` in milliseconds.
fn signed_ms(a: Instant, b: Instant) -> f32 {
    if a >= b { (a - b).as_secs_f32() * 1_000.0 } else { -((b - a).as_secs_f32() * 1_000.0) }
}
