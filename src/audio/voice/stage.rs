//! Voice processing on a thread of its own, between the microphone's card and the uplink worker.

use super::Voice;
use crate::audio::capture::{MicReader, MicWriter};
use crate::audio::format::{Block, FRAME};
use crate::audio::workers::hurry;
use crate::audio::{reserve, rings};
use rtrb::Consumer;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

/// A running voice processor. It wakes when the card has brought a frame, and hands the cleaned frame on at once. Dropping it stops it.
pub struct VoiceStage {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<Consumer<f32>>>,
}

impl VoiceStage {
    /// Starts processing: what is written into the returned end comes out of `out`, cleaned of what `reference` says is played.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(voice: Voice, out: MicWriter, reference: Consumer<f32>) -> io::Result<(Self, MicWriter)> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        // The ring wakes the thread, so the thread is there before its ring.
        let (give, take) = mpsc::channel::<MicReader>();
        let thread = thread::Builder::new().name("audio voice".into()).spawn(move || {
            // Until the end of the thread, and of what it allocated: the echo canceller cannot do without.
            let _reserve = reserve::join();
            let mut work = Work { voice, out, reference };
            if let Ok(mut mic) = take.recv() {
                hurry();
                while !stopped.load(Ordering::Acquire) {
                    work.step(&mut mic);
                    thread::park();
                }
            }
            work.reference
        })?;
        let (writer, reader) = rings::mic(thread.thread().clone(), FRAME);
        // The receiver waits for exactly this.
        let _ = give.send(reader);
        Ok((Self { stop, thread: Some(thread) }, writer))
    }

    /// Stops it and gives the reference back for the next one; none if the thread is lost.
    pub fn stop(mut self) -> Option<Consumer<f32>> {
        self.join()
    }

    fn join(&mut self) -> Option<Consumer<f32>> {
        self.stop.store(true, Ordering::Release);
        let thread = self.thread.take()?;
        thread.thread().unpark();
        thread.join().ok()
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
    reference: Consumer<f32>,
}

impl Work {
    fn step(&mut self, mic: &mut MicReader) {
        let mut block: Block = [0.0; FRAME];
        while mic.pop(&mut block) {
            self.hear();
            self.voice.clean(&mut block);
            self.out.push(&block);
        }
        // What the card could not hand over keeps its place in time.
        let mut missing = usize::try_from(mic.take_dropped()).unwrap_or(usize::MAX);
        while missing > 0 {
            let part = missing.min(FRAME);
            self.out.push(&[0.0; FRAME][..part]);
            missing -= part;
        }
    }

    /// Everything that was played since: it comes in the speaker's rhythm, not in the microphone's.
    fn hear(&mut self) {
        let mut played: Block = [0.0; FRAME];
        while self.reference.pop_entire_slice(&mut played).is_ok() {
            self.voice.hear(&played);
        }
    }
}
