//! The microphone's side: a card writes samples as they come, mono or stereo, the uplink worker reads whole frames, mono or stereo as it
//! wants them.

use super::delay::Gauge;
use super::economy::Call;
use super::format::{Channels, mix};
use rtrb::{Consumer, Producer};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::Thread;
use std::time::Instant;

/// The card's end of the microphone ring. [`push`](Self::push) never blocks, allocates or locks: made for callbacks.
pub struct MicWriter {
    ring: Producer<f32>,
    worker: Thread,
    channels: Channels,
    /// Samples of each channel for which it is woken.
    whole: usize,
    dropped: Arc<AtomicU64>,
    call: Arc<Call>,
}

/// The uplink worker's end of the microphone ring.
pub struct MicReader {
    ring: Consumer<f32>,
    channels: Channels,
    dropped: Arc<AtomicU64>,
    call: Arc<Call>,
    dropped_seen: u64,
    waiting: Gauge,
}

/// Samples of each channel that are brought from one to two, or back, at a time.
const PIECE: usize = 64;

/// Both ends over one ring; `worker` is the thread to wake when as many samples of each channel are there as are `whole`.
pub(super) fn ends(
    writer: Producer<f32>,
    reader: Consumer<f32>,
    worker: Thread,
    whole: usize,
    channels: Channels,
) -> (MicWriter, MicReader) {
    let (dropped, call) = (Arc::new(AtomicU64::new(0)), Arc::new(Call::default()));
    (
        MicWriter { ring: writer, worker, channels, whole, dropped: dropped.clone(), call: call.clone() },
        MicReader { ring: reader, channels, dropped, call, dropped_seen: 0, waiting: Gauge::default() },
    )
}

impl MicWriter {
    /// Hands over mono samples at 48 kHz, any number of them, and wakes the worker when a whole frame is waiting.
    /// What does not fit (the worker has stalled for 200 ms) is dropped and counted.
    pub fn push(&mut self, samples: &[f32]) {
        match self.channels {
            Channels::One => self.write(samples),
            Channels::Two => {
                for samples in samples.chunks(PIECE) {
                    let mut both = [[0.0; 2]; PIECE];
                    for (both, sample) in both.iter_mut().zip(samples) {
                        *both = [*sample; 2];
                    }
                    self.write(both[..samples.len()].as_flattened());
                }
            }
        }
        self.call();
    }

    /// The same for left and right.
    pub fn push_stereo(&mut self, frames: &[[f32; 2]]) {
        match self.channels {
            Channels::Two => self.write(frames.as_flattened()),
            Channels::One => {
                for frames in frames.chunks(PIECE) {
                    let mut mono = [0.0; PIECE];
                    mix(frames, &mut mono);
                    self.write(&mono[..frames.len()]);
                }
            }
        }
        self.call();
    }

    /// What is wanted of it; the other is taken, too.
    pub fn channels(&self) -> Channels {
        self.channels
    }

    fn write(&mut self, samples: &[f32]) {
        let (_, rest) = self.ring.push_partial_slice(samples);
        if !rest.is_empty() {
            self.dropped.fetch_add((rest.len() / self.channels.count()) as u64, Ordering::Relaxed);
        }
    }

    fn call(&mut self) {
        if self.ring.buffer().capacity() - self.ring.slots() >= self.whole * self.channels.count() {
            // Before the next is whole this one should be away.
            self.call.make(self.whole);
            self.worker.unpark();
        }
    }

    /// Samples of each channel that fit now.
    pub fn room(&self) -> usize {
        self.ring.slots() / self.channels.count()
    }

    /// Wakes the worker, for a card that waits for room.
    pub fn wake(&self) {
        self.worker.unpark();
    }
}

impl MicReader {
    /// What it brings.
    pub fn channels(&self) -> Channels {
        self.channels
    }

    /// Shows on this from now on how many samples of each channel wait.
    pub fn measure(&mut self, waiting: Gauge) {
        self.waiting = waiting;
    }

    /// Fills `block` if as much is there; with two channels it is left, right, left, right.
    pub fn pop(&mut self, block: &mut [f32]) -> bool {
        self.waiting.look(self.ring.slots() / self.channels.count());
        self.ring.pop_entire_slice(block).is_ok()
    }

    /// All that there was is taken and worked on: the share of the time until there is more that this took, if the card had called.
    pub fn answer(&self, now: Instant) -> Option<f32> {
        self.call.answer(now)
    }

    /// Samples of each channel that were dropped since the last call.
    pub fn take_dropped(&mut self) -> u64 {
        let total = self.dropped.load(Ordering::Relaxed);
        let new = total - self.dropped_seen;
        self.dropped_seen = total;
        new
    }
}

#[cfg(test)]
mod tests {
    use super::super::rings;
    use super::*;

    #[test]
    fn whatever_a_card_brings_becomes_what_is_wanted() {
        let left_right: Vec<[f32; 2]> = (0..200).map(|n| [n as f32, -3.0 * n as f32]).collect();
        let mono: Vec<f32> = (0..200).map(|n| n as f32).collect();
        let read = |channels, bring: &dyn Fn(&mut MicWriter)| {
            let (mut card, mut worker) = rings::mic(std::thread::current(), 480, channels);
            bring(&mut card);
            let mut block = vec![0.0; 200 * channels.count()];
            assert!(worker.pop(&mut block) && !worker.pop(&mut [0.0]));
            block
        };
        assert_eq!(read(Channels::One, &|card| card.push(&mono)), mono);
        assert_eq!(read(Channels::Two, &|card| card.push_stereo(&left_right)), left_right.as_flattened());
        let doubled: Vec<f32> = mono.iter().flat_map(|sample| [*sample; 2]).collect();
        assert_eq!(read(Channels::Two, &|card| card.push(&mono)), doubled);
        let mean: Vec<f32> = (0..200).map(|n| -(n as f32)).collect();
        assert_eq!(read(Channels::One, &|card| card.push_stereo(&left_right)), mean);
    }

    #[test]
    fn what_does_not_fit_is_counted_by_its_time() {
        for channels in [Channels::One, Channels::Two] {
            let (mut card, mut worker) = rings::mic(std::thread::current(), 480, channels);
            let room = card.room();
            card.push(&vec![0.5; room + 77]);
            assert_eq!((worker.take_dropped(), worker.take_dropped()), (77, 0), "{channels:?}");
        }
    }
}
