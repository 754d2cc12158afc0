//! Voice processing on a thread of its own, between the microphone's card and the uplink worker.

use super::{Suppression, Voice};
use crate::audio::capture::{MicReader, MicWriter};
use crate::audio::delay::Gauge;
use crate::audio::economy::{Agreement, Step};
use crate::audio::format::{Block, Channels, FRAME};
use crate::audio::priority::hurry;
use crate::audio::{reserve, rings};
use rtrb::{Consumer, Producer};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

/// A running voice processor. It wakes when the card has brought a frame, and hands the cleaned frame on at once. Dropping it stops it.
pub struct VoiceStage {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Option<Consumer<f32>>>>,
    references: Producer<Consumer<f32>>,
    past_references: Consumer<Consumer<f32>>,
    delay: Arc<AtomicUsize>,
}

impl VoiceStage {
    /// Starts processing: what is written into the returned end comes out of `out`, cleaned of what it [hears](Self::hear) being played,
    /// as far as the workers agree that there is time for it. How much waits to be cleaned is shown on `waiting`.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(voice: Voice, out: MicWriter, agreement: Agreement, waiting: Gauge) -> io::Result<(Self, MicWriter)> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let delay = Arc::new(AtomicUsize::new(0));
        let told = delay.clone();
        let (references, next_reference) = rings::references();
        let (old_reference, past_references) = rings::references();
        // The ring wakes the thread, so the thread is there before its ring.
        let (give, take) = mpsc::channel::<MicReader>();
        let thread = thread::Builder::new().name("audio voice".into()).spawn(move || {
            // Before the reserve: what asking takes is given back elsewhere.
            let _hurry = hurry();
            // Until the end of the thread, and of what it allocated: the echo canceller cannot do without.
            let mut membership = reserve::join();
            let mut work = Work { voice, out, agreement, reference: None, next_reference, old_reference, delay: told };
            if let Ok(mut mic) = take.recv() {
                while !stopped.load(Ordering::Acquire) {
                    // The stage before this one may have been in it still.
                    membership = membership.or_else(reserve::join);
                    work.step(&mut mic);
                    thread::park();
                }
            }
            work.take_reference();
            work.reference
        })?;
        let (writer, mut reader) = rings::mic(thread.thread().clone(), FRAME, Channels::One);
        reader.measure(waiting);
        // The receiver waits for exactly this.
        let _ = give.send(reader);
        Ok((Self { stop, thread: Some(thread), references, past_references, delay }, writer))
    }

    /// Samples by which the voice is later for it, at present.
    pub fn delay(&self) -> usize {
        self.delay.load(Ordering::Relaxed)
    }

    /// Hears from now on what this speaker plays.
    pub fn hear(&mut self, reference: Consumer<f32>) {
        while self.past_references.pop().is_ok() {}
        // Full only if speakers change faster than frames come.
        let _ = self.references.push(reference);
    }

    /// Stops it and gives the reference back for the next one; none if it never heard one.
    pub fn stop(mut self) -> Option<Consumer<f32>> {
        self.join()
    }

    fn join(&mut self) -> Option<Consumer<f32>> {
        self.stop.store(true, Ordering::Release);
        let thread = self.thread.take()?;
        thread.thread().unpark();
        thread.join().ok()?
    }
}

impl Drop for VoiceStage {
    fn drop(&mut self) {
        self.join();
    }
}

struct Work {
    voice: Voice,
    out: MicWriter,
    agreement: Agreement,
    reference: Option<Consumer<f32>>,
    next_reference: Consumer<Consumer<f32>>,
    /// Where an old one goes to be freed.
    old_reference: Producer<Consumer<f32>>,
    /// For the other side of the thread.
    delay: Arc<AtomicUsize>,
}

impl Work {
    fn step(&mut self, mic: &mut MicReader) {
        let mut block: Block = [0.0; FRAME];
        let plain = self.agreement.economy().leaves_out(Step::Noise);
        self.voice.suppress(if plain { Suppression::Off } else { Suppression::On });
        while mic.pop(&mut block) {
            self.take_reference();
            self.hear();
            self.voice.clean(&mut block);
            self.out.push(&block);
        }
        self.delay.store(self.voice.delay(), Ordering::Relaxed);
        if let Some(share) = mic.answer(Instant::now()) {
            self.agreement.tell(share);
        }
        // What the card could not hand over keeps its place in time.
        let mut missing = usize::try_from(mic.take_dropped()).unwrap_or(usize::MAX);
        while missing > 0 {
            let part = missing.min(FRAME);
            self.out.push(&[0.0; FRAME][..part]);
            missing -= part;
        }
    }

    fn take_reference(&mut self) {
        while !self.old_reference.is_full()
            && let Ok(mut next) = self.next_reference.pop()
        {
            // What was played while nobody listened has no echo in the microphone any more.
            let waiting = next.slots();
            if let Ok(past) = next.read_chunk(waiting) {
                past.commit_all();
            }
            if let Some(old) = self.reference.replace(next) {
                let _ = self.old_reference.push(old);
            }
        }
    }

    /// Everything that was played since: it comes in the speaker's rhythm, not in the microphone's.
    fn hear(&mut self) {
        let Some(reference) = &mut self.reference else { return };
        let mut played: Block = [0.0; FRAME];
        while reference.pop_entire_slice(&mut played).is_ok() {
            self.voice.hear(&played);
        }
    }
}
