//! The microphone's side: a card writes mono samples as they come, the uplink worker reads whole frames.

use super::economy::Call;
use rtrb::{Consumer, Producer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Thread;
use std::time::Instant;

/// The card's end of the microphone ring. [`push`](Self::push) never blocks, allocates or locks: made for callbacks.
pub struct MicWriter {
    ring: Producer<f32>,
    worker: Thread,
    /// Samples for which it is woken.
    whole: usize,
    dropped: Arc<AtomicU64>,
    call: Arc<Call>,
}

/// The uplink worker's end of the microphone ring.
pub struct MicReader {
    ring: Consumer<f32>,
    dropped: Arc<AtomicU64>,
    call: Arc<Call>,
    dropped_seen: u64,
}

/// Both ends over one ring; `worker` is the thread to wake when as many samples are there as are `whole`.
pub(super) fn ends(
    writer: Producer<f32>,
    reader: Consumer<f32>,
    worker: Thread,
    whole: usize,
) -> (MicWriter, MicReader) {
    let (dropped, call) = (Arc::new(AtomicU64::new(0)), Arc::new(Call::default()));
    (
        MicWriter { ring: writer, worker, whole, dropped: dropped.clone(), call: call.clone() },
        MicReader { ring: reader, dropped, call, dropped_seen: 0 },
    )
}

impl MicWriter {
    /// Hands over mono samples at 48 kHz, any number of them, and wakes the worker when a whole frame is waiting.
    /// What does not fit (the worker has stalled for 200 ms) is dropped and counted.
    pub fn push(&mut self, samples: &[f32]) {
        let (_, rest) = self.ring.push_partial_slice(samples);
        if !rest.is_empty() {
            self.dropped.fetch_add(rest.len() as u64, Ordering::Relaxed);
        }
        if self.ring.buffer().capacity() - self.ring.slots() >= self.whole {
            // Before the next is whole this one should be away.
            self.call.make(self.whole);
            self.worker.unpark();
        }
    }

    /// Samples that fit now.
    pub fn room(&self) -> usize {
        self.ring.slots()
    }

    /// Wakes the worker, for a card that waits for room.
    pub fn wake(&self) {
        self.worker.unpark();
    }
}

impl MicReader {
    /// Fills `block` if as much is there.
    pub fn pop(&mut self, block: &mut [f32]) -> bool {
        self.ring.pop_entire_slice(block).is_ok()
    }

    /// All that there was is taken and worked on: the share of the time until there is more that this took, if the card had called.
    pub fn answer(&self, now: Instant) -> Option<f32> {
        self.call.answer(now)
    }

    /// Samples that were dropped since the last call.
    pub fn take_dropped(&mut self) -> u64 {
        let total = self.dropped.load(Ordering::Relaxed);
        let new = total - self.dropped_seen;
        self.dropped_seen = total;
        new
    }
}
