//! The speaker's side: the card is the clock. It takes stereo frames when it needs them; what it took, silence for what was missing
//! too, is what the echo canceller hears.
//!
//! A card whose thread is the system's cannot wait, so it [`pull`](SpeakerReader::pull)s what was rendered in advance and wakes the downlink
//! worker when fewer frames are left than the next call may want. A card with a thread of ours [`demand`](SpeakerReader::demand)s: the worker
//! renders when it is asked, and nothing lies between the two. On a sound server that saves 8 ms.

use super::delay::Gauge;
use super::economy::Call;
use super::format::{FRAME, QUANTUM, SAMPLE_RATE};
use super::interruptions::Interruptions;
use super::largest::Largest;
use super::rings::SPEAKER_FRAMES;
use rtrb::{Consumer, Producer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

/// The margin above the largest call grows by this much when underruns come back.
const MARGIN_STEP: usize = QUANTUM;
/// The margin never exceeds this.
const MARGIN_MAX: usize = 4 * FRAME;
/// After so many frames played without an underrun the margin shrinks by one step: a minute.
const MARGIN_DECAY: u64 = 60 * SAMPLE_RATE as u64;
/// A worker that was asked is waited for this long: less than devices hold,
const PATIENCE: Duration = Duration::from_millis(5);
/// the same in samples,
const PATIENCE_SAMPLES: usize = 2 * QUANTUM;
/// and looked after so often.
const LOOK: Duration = Duration::from_micros(200);
/// The most that can be demanded at once.
pub const MOST_DEMANDED: usize = SPEAKER_FRAMES / 2;
/// A larger call is remembered for at least so many seconds.
const REMEMBERED_S: usize = 2;

struct Shared {
    /// Frames that the worker keeps in the ring.
    target: AtomicUsize,
    underruns: AtomicU64,
    call: Call,
}

/// The card's end of the speaker ring. [`pull`](Self::pull) never blocks, allocates or locks: made for callbacks.
pub struct SpeakerReader {
    ring: Consumer<[f32; 2]>,
    worker: Thread,
    shared: Arc<Shared>,
    largest: Largest,
    margin: usize,
    underruns: Interruptions,
    /// Frames since the last underrun, or since the margin shrank.
    clean: u64,
    started: bool,
    played: Option<Producer<f32>>,
    waiting: Gauge,
}

/// The downlink worker's end of the speaker ring.
pub struct SpeakerWriter {
    ring: Producer<[f32; 2]>,
    shared: Arc<Shared>,
    underruns_seen: u64,
}

/// Both ends over one ring; `worker` is the thread to wake.
pub(super) fn ends(
    writer: Producer<[f32; 2]>,
    reader: Consumer<[f32; 2]>,
    worker: Thread,
) -> (SpeakerWriter, SpeakerReader) {
    let (target, underruns) = (AtomicUsize::new(FRAME), AtomicU64::new(0));
    let shared = Arc::new(Shared { target, underruns, call: Call::default() });
    let reader = SpeakerReader {
        ring: reader,
        worker,
        shared: shared.clone(),
        largest: Largest::of_seconds(REMEMBERED_S),
        margin: 0,
        underruns: Interruptions::default(),
        clean: 0,
        started: false,
        played: None,
        waiting: Gauge::default(),
    };
    (SpeakerWriter { ring: writer, shared, underruns_seen: 0 }, reader)
}

impl SpeakerReader {
    /// Tells an echo canceller from now on what is played; see [`rings::reference`](super::rings::reference).
    pub fn tell(&mut self, played: Producer<f32>) {
        self.played = Some(played);
    }

    /// Shows on this from now on how many frames were rendered in advance.
    pub fn measure(&mut self, waiting: Gauge) {
        self.waiting = waiting;
    }

    /// Fills `out` with stereo frames (left, right) at 48 kHz; any length. What is missing becomes silence and counts as an underrun.
    pub fn pull(&mut self, out: &mut [[f32; 2]]) {
        self.waiting.look(self.ready());
        self.take(out);
        let largest = self.largest.feed(out.len(), out.len());
        // It comes again when it has played what it took, and takes as much.
        self.keep(largest + self.margin, out.len());
    }

    /// The same, but what is wanted is rendered only now, for which the calling thread waits a moment. At most [`MOST_DEMANDED`] frames.
    pub fn demand(&mut self, out: &mut [[f32; 2]]) {
        self.ask(out.len());
        self.take(out);
        self.leave(out.len());
    }

    /// The first third of a [`demand`](Self::demand), for a card that takes what it wants in pieces: waits until so many frames are there.
    pub fn ask(&mut self, frames: usize) {
        self.keep(frames + self.margin, PATIENCE_SAMPLES);
        let asked = Instant::now();
        while self.ring.slots() < frames && asked.elapsed() < PATIENCE {
            thread::sleep(LOOK);
        }
    }

    /// The last: so many were taken.
    pub fn leave(&mut self, frames: usize) {
        self.waiting.look(self.ready());
        self.keep(self.margin, frames);
    }

    /// Has the worker see to it that so many frames are there, for which there is as much time as those that are there last, and so many
    /// more.
    fn keep(&mut self, frames: usize, more: usize) {
        let frames = frames.min(SPEAKER_FRAMES - QUANTUM);
        self.shared.target.store(frames, Ordering::Relaxed);
        let left = self.ring.slots();
        if left < frames {
            self.shared.call.make(left + more);
            self.worker.unpark();
        }
    }

    /// The second: fills `out` with what is there. What is missing becomes silence and counts as an underrun.
    pub fn take(&mut self, out: &mut [[f32; 2]]) {
        let (_, missing) = self.ring.pop_partial_slice(out);
        let short = !missing.is_empty();
        missing.fill([0.0; 2]);
        if let Some(played) = &mut self.played {
            listen(played, out);
        }
        // Nothing can be there before the first call has said how much is wanted.
        if short && self.started {
            self.shared.underruns.fetch_add(1, Ordering::Relaxed);
            if self.underruns.another() {
                self.margin = (self.margin + MARGIN_STEP).min(MARGIN_MAX);
            }
            self.clean = 0;
        } else {
            self.clean += out.len() as u64;
            if self.clean >= MARGIN_DECAY {
                self.margin = self.margin.saturating_sub(MARGIN_STEP);
                self.clean = 0;
            }
        }
        self.underruns.pass(out.len());
        self.started = self.started || !short;
    }

    /// Frames that are there now.
    pub fn ready(&self) -> usize {
        self.ring.slots()
    }

    /// Wakes the worker, for a card that waits for frames.
    pub fn wake(&self) {
        self.worker.unpark();
    }
}

/// Both ears' sound as one, which is what a microphone picks up. Nobody listens while the ring is full.
pub(super) fn listen(played: &mut Producer<f32>, out: &[[f32; 2]]) {
    let Ok(mut chunk) = played.write_chunk(out.len().min(played.slots())) else { return };
    let (first, second) = chunk.as_mut_slices();
    for (mono, [left, right]) in first.iter_mut().chain(second).zip(out) {
        *mono = (left + right) * 0.5;
    }
    chunk.commit_all();
}

impl SpeakerWriter {
    /// Whether another 120 frames are wanted now: fewer are in the ring than its target, and they fit.
    pub fn wants(&self) -> bool {
        let free = self.ring.slots();
        let filled = self.ring.buffer().capacity() - free;
        free >= QUANTUM && filled < self.shared.target.load(Ordering::Relaxed)
    }

    /// Stereo frames waiting to be played.
    pub fn filled(&self) -> usize {
        self.ring.buffer().capacity() - self.ring.slots()
    }

    /// Hands over 120 frames; call only when [`wants`](Self::wants) says so (what does not fit is dropped).
    pub fn push(&mut self, block: &[[f32; 2]; QUANTUM]) {
        let _ = self.ring.push_partial_slice(block);
    }

    /// All that is wanted is there: the share of the time until it is needed that this took, if the card had called.
    pub fn answer(&self, now: Instant) -> Option<f32> {
        self.shared.call.answer(now)
    }

    /// Underruns since the last call.
    pub fn take_underruns(&mut self) -> u64 {
        let total = self.shared.underruns.load(Ordering::Relaxed);
        let new = total - self.underruns_seen;
        self.underruns_seen = total;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::super::rings;
    use super::*;

    /// A card that takes odd amounts from a worker that is late now and then: whatever else the canceller were told (what was rendered,
    /// what was wanted, what was there) would differ.
    #[test]
    fn the_echo_canceller_hears_what_the_card_plays_and_nothing_else() {
        let (mut worker, mut card) = rings::speaker(std::thread::current());
        let (played, mut reference) = rings::reference();
        card.tell(played);
        let (mut rendered, mut underruns) = (0, 0);
        let (mut heard, mut told) = (Vec::new(), Vec::new());
        for call in 0..400_usize {
            while worker.wants() && call % 40 < 26 {
                let quantum = std::array::from_fn(|n| [(rendered + n + 1) as f32, 3.0 * (rendered + n + 1) as f32]);
                rendered += QUANTUM;
                worker.push(&quantum);
            }
            let mut out = vec![[9.0; 2]; 1 + call * 37 % 500];
            card.pull(&mut out);
            underruns += worker.take_underruns();
            heard.extend(out.iter().map(|[left, right]| (left + right) / 2.0));
            told.extend(std::iter::from_fn(|| reference.pop().ok()));
        }
        assert_eq!(told, heard);
        assert!(
            underruns > 10 && told.iter().filter(|sample| **sample == 0.0).count() > 1_000,
            "{underruns} underruns"
        );
        assert!(told.iter().any(|sample| *sample > 10_000.0), "sound is among it");
    }
}
