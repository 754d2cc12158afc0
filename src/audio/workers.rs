//! The two audio threads. Neither keeps time: each sleeps until a card has brought, or wants, a frame.

use super::capture::MicReader;
use super::downlink::Downlink;
use super::economy::{Agreement, Governor};
use super::format::{Channels, LONGEST_PACKET, QUANTUM};
use super::playback::SpeakerWriter;
use super::priority::hurry;
use super::retired::Retired;
use super::uplink::Uplink;
use rtrb::Consumer;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle, Thread};
use std::time::Instant;

/// A running audio thread; stopped and waited for when dropped.
pub struct Worker {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    /// Starts `step`, which is called whenever the thread is woken.
    fn start(name: &str, mut step: impl FnMut() + Send + 'static) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = thread::Builder::new().name(name.into()).spawn(move || {
            let _hurry = hurry();
            while !stopped.load(Ordering::Acquire) {
                step();
                thread::park();
            }
        })?;
        Ok(Self { stop, thread: Some(thread) })
    }

    /// The thread to wake; none once it is stopped.
    pub fn thread(&self) -> Option<&Thread> {
        self.thread.as_ref().map(JoinHandle::thread)
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// Runs `uplink`: whenever the microphone has a whole packet's sound. Other microphones come through `mics`.
/// It leaves out what is agreed on, and tells how it does.
///
/// # Errors
/// The system has no thread left.
pub fn uplink(mut uplink: Uplink, mut mics: Consumer<MicReader>, agreement: Agreement) -> io::Result<Worker> {
    let mut mic: Option<MicReader> = None;
    let mut block = [0.0; 2 * LONGEST_PACKET];
    let samples = uplink.samples().min(LONGEST_PACKET);
    Worker::start("res-uplink", move || {
        if uplink.retirement().has_room()
            && let Ok(next) = mics.pop()
            && let Some(old) = mic.replace(next)
        {
            uplink.retirement().retire(Retired::Mic(old));
        }
        let Some(mic) = &mut mic else { return };
        uplink.economize(agreement.economy());
        let channels = mic.channels();
        let block = &mut block[..samples * channels.count()];
        while mic.pop(block) {
            match channels {
                Channels::One => uplink.process(block),
                Channels::Two => uplink.process_stereo(block.as_chunks_mut().0),
            }
        }
        if let Some(share) = mic.answer(Instant::now()) {
            agreement.tell(share);
        }
        let dropped = mic.take_dropped();
        if dropped > 0 {
            uplink.skip(dropped);
        }
    })
}

/// Runs `downlink`: whenever the speaker runs below its target. Other speakers come through `speakers`. What is left
/// out while the machine is too slow is decided here.
///
/// # Errors
/// The system has no thread left.
pub fn downlink(
    mut downlink: Downlink,
    mut speakers: Consumer<SpeakerWriter>,
    agreement: Agreement,
) -> io::Result<Worker> {
    let mut governor = Governor::default();
    let mut speaker: Option<SpeakerWriter> = None;
    let mut block = [[0.0; 2]; QUANTUM];
    Worker::start("res-downlink", move || {
        if downlink.retirement().has_room()
            && let Ok(next) = speakers.pop()
            && let Some(old) = speaker.replace(next)
        {
            downlink.retirement().retire(Retired::Speaker(old));
        }
        let Some(speaker) = &mut speaker else { return };
        let now = Instant::now();
        let mut rendered = 0;
        while speaker.wants() {
            downlink.set_ahead(speaker.filled());
            downlink.render(now, rendered, &mut block);
            speaker.push(&block);
            rendered += QUANTUM;
        }
        let (underruns, done) = (speaker.take_underruns(), Instant::now());
        if let Some(share) = speaker.answer(done) {
            downlink.economize(governor.feed(done, share.max(agreement.hear())));
        }
        if underruns > 0 {
            downlink.underran(underruns);
            downlink.economize(governor.late(done));
        }
        agreement.agree(downlink.economy());
    })
}
