//! Watches an open card and opens it again when it breaks.

use super::quiet::quietly;
use super::stream::{self, End, Flow};
use super::{Device, Place};
use crate::audio::device::Card;
use crate::audio::format::Channels;
use crate::audio::spatial::choice::Ears;
use cpal::{Error, ErrorKind};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::{self, JoinHandle, Thread};
use std::time::{Duration, Instant};

/// How often a card is looked at.
const LOOK: Duration = Duration::from_millis(100);
/// More errors than this between two looks are a storm: through ALSA's pulse plugin an underrun can end in an error loop that
/// occupies a processor core and never plays again.
const STORM: u32 = 10;
/// From there on each error costs its thread this much, so that the storm is a breeze until the card is taken down.
const CALM: Duration = Duration::from_millis(5);
/// A card that has not called for so long is dead, whatever it says.
const SILENCE: Duration = Duration::from_secs(3);
/// The pause before a card is opened again: doubles from the first to the second.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));
/// A card that has run for so long is opened again at once: whoever listens waits.
const RAN: Duration = Duration::from_secs(1);
/// A card that has run for so long has proved itself: the next pause is the shortest again.
const PROVED: Duration = Duration::from_secs(20);
/// A card that cannot be opened again for so long is given up.
const PATIENCE: Duration = Duration::from_secs(15);
/// A callback that is taken down gives its ring's end back within this time.
const RETURN: Duration = Duration::from_secs(2);

/// What the callbacks tell the watcher.
#[derive(Default)]
pub(super) struct Health {
    calls: AtomicU64,
    xruns: AtomicU64,
    /// Errors since the last look.
    errors: AtomicU32,
    gone: AtomicBool,
    /// What is behind the card is perhaps another device, or the same one in another way.
    changed: AtomicBool,
    stopgap: AtomicBool,
    /// What the sound server calls the stream.
    stream: AtomicU32,
    /// How long sound is under way through the device, in µs; 0: it does not say.
    delay_us: AtomicU32,
    watcher: OnceLock<Thread>,
}

impl Health {
    /// The card called for or brought sound.
    pub fn call(&self) {
        self.calls.fetch_add(1, Ordering::Relaxed);
    }

    /// The sound server calls the stream so.
    pub fn set_stream(&self, stream: u32) {
        self.stream.store(stream, Ordering::Relaxed);
        self.changed();
    }

    /// Sound is under way through the device for so long.
    pub fn set_delay(&self, delay: Duration) {
        self.delay_us.store(u32::try_from(delay.as_micros()).unwrap_or(u32::MAX), Ordering::Relaxed);
    }

    /// The stream is at another device. Does not block.
    pub fn moved(&self) {
        self.changed();
        self.wake();
    }

    /// What is behind the card is no device that anybody wanted: silence is to be brought instead.
    pub fn is_stopgap(&self) -> bool {
        self.stopgap.load(Ordering::Relaxed)
    }

    fn wake(&self) {
        if let Some(watcher) = self.watcher.get() {
            watcher.unpark();
        }
    }

    /// Something about the device is not as it was. Does not block.
    pub fn changed(&self) {
        self.changed.store(true, Ordering::Relaxed);
    }

    /// The card reports an error; may be called in a tight loop.
    pub fn error(&self, kind: ErrorKind) {
        match kind {
            ErrorKind::DeviceChanged | ErrorKind::RealtimeDenied => return,
            ErrorKind::DeviceNotAvailable | ErrorKind::StreamInvalidated | ErrorKind::HostUnavailable => {
                self.gone.store(true, Ordering::Relaxed);
                self.wake();
            }
            ErrorKind::Xrun => {
                self.xruns.fetch_add(1, Ordering::Relaxed);
            }
            _ => {}
        }
        if self.errors.fetch_add(1, Ordering::Relaxed) >= STORM {
            // No sound is lost by it: this thread only fails.
            thread::sleep(CALM);
        }
    }

    /// Whether it went well since the last look.
    fn look(&self) -> bool {
        let errors = self.errors.swap(0, Ordering::Relaxed);
        !self.gone.swap(false, Ordering::Relaxed) && errors <= STORM
    }
}

/// Something that comes back to its lender when it is dropped, as it is when the callback that holds it is taken down.
pub(super) struct Loan<T> {
    /// There until it is dropped.
    lent: Option<T>,
    back: SyncSender<T>,
}

impl<T> Drop for Loan<T> {
    fn drop(&mut self) {
        if let Some(lent) = self.lent.take() {
            // The channel has room for the one thing there is.
            let _ = self.back.try_send(lent);
        }
    }
}

impl Loan<crate::audio::capture::MicWriter> {
    /// See [`MicWriter::push`](crate::audio::capture::MicWriter::push).
    pub fn push(&mut self, samples: &[f32]) {
        if let Some(mic) = &mut self.lent {
            mic.push(samples);
        }
    }

    /// See [`MicWriter::push_stereo`](crate::audio::capture::MicWriter::push_stereo).
    pub fn push_stereo(&mut self, frames: &[[f32; 2]]) {
        if let Some(mic) = &mut self.lent {
            mic.push_stereo(frames);
        }
    }

    /// See [`MicWriter::channels`](crate::audio::capture::MicWriter::channels).
    pub fn channels(&self) -> Channels {
        self.lent.as_ref().map_or_else(Channels::default, |mic| mic.channels())
    }
}

impl Loan<crate::audio::playback::SpeakerReader> {
    /// See [`SpeakerReader::pull`](crate::audio::playback::SpeakerReader::pull).
    pub fn pull(&mut self, frames: &mut [[f32; 2]]) {
        if let Some(speaker) = &mut self.lent {
            speaker.pull(frames);
        }
    }

    /// See [`SpeakerReader::demand`](crate::audio::playback::SpeakerReader::demand).
    #[cfg(target_os = "linux")]
    pub fn demand(&mut self, frames: &mut [[f32; 2]]) {
        if let Some(speaker) = &mut self.lent {
            speaker.demand(frames);
        }
    }

    /// The same in pieces: `take` is called with what takes them, once so many frames are there.
    #[cfg(target_os = "linux")]
    pub fn demand_in_pieces(&mut self, frames: usize, take: impl FnOnce(&mut dyn FnMut(&mut [[f32; 2]]))) {
        if let Some(speaker) = &mut self.lent {
            speaker.ask(frames);
            take(&mut |piece| speaker.take(piece));
            speaker.leave(frames);
        }
    }
}

struct Shared {
    stop: AtomicBool,
    health: Arc<Health>,
    fault: OnceLock<String>,
    /// Never asked for on a thread that is in a hurry.
    about: Mutex<About>,
}

/// What is known about the device.
#[derive(Clone)]
struct About {
    name: String,
    ears: Option<Ears>,
}

impl Shared {
    fn about(&self) -> About {
        self.about.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// An open card and the thread that watches it.
pub(super) struct Watched {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

impl Watched {
    /// Opens `device` and returns when sound flows.
    ///
    /// # Errors
    /// What `cpal` said at the first attempt.
    pub fn open<E: End>(name: String, ears: Option<Ears>, device: Device, end: E) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            health: Arc::default(),
            fault: OnceLock::new(),
            about: Mutex::new(About { name, ears }),
        });
        let (report, reported) = sync_channel(1);
        let watcher = Watcher::new(device, end, shared.clone());
        let thread = thread::Builder::new()
            .name("audio card".into())
            .spawn(move || watcher.run(&report))
            .map_err(|error| Error::with_message(ErrorKind::ResourceExhausted, error.to_string()))?;
        let _ = shared.health.watcher.set(thread.thread().clone());
        let card = Self { shared, thread: Some(thread) };
        match reported.recv() {
            Ok(Ok(())) => Ok(card),
            Ok(Err(error)) => Err(error),
            Err(_) => Err(Error::with_message(ErrorKind::Other, "it could not be started")),
        }
    }
}

impl Card for Watched {
    fn name(&self) -> String {
        self.shared.about().name
    }

    fn fault(&self) -> Option<String> {
        self.shared.fault.get().cloned()
    }

    fn ears(&self) -> Option<Ears> {
        self.shared.about().ears
    }

    fn delay(&self) -> Option<Duration> {
        let delay_us = self.shared.health.delay_us.load(Ordering::Relaxed);
        (delay_us > 0).then(|| Duration::from_micros(delay_us.into()))
    }

    fn is_absent(&self) -> bool {
        self.shared.health.is_stopgap()
    }

    fn xruns(&self) -> u64 {
        self.shared.health.xruns.load(Ordering::Relaxed)
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

struct Watcher<E> {
    device: Device,
    give_back: SyncSender<E>,
    returned: Receiver<E>,
    shared: Arc<Shared>,
}

impl<E: End> Watcher<E> {
    fn new(device: Device, end: E, shared: Arc<Shared>) -> Self {
        let (give_back, returned) = sync_channel(1);
        let _ = give_back.try_send(end);
        Self { device, give_back, returned, shared }
    }

    fn run(&self, report: &SyncSender<Result<(), Error>>) {
        let mut stream = match self.start() {
            Ok(stream) => Some(stream),
            Err(error) => {
                let _ = report.send(Err(error));
                return;
            }
        };
        let _ = report.send(Ok(()));
        let (mut back_off, mut place) = (BACK_OFF.0, Place::default());
        while self.watch(&mut back_off, &mut place) {
            drop(stream.take());
            stream = self.start_again(&mut back_off);
            if stream.is_none() {
                return;
            }
        }
    }

    /// Returns true when the card broke, false when it is to be closed.
    fn watch(&self, back_off: &mut Duration, place: &mut Place) -> bool {
        let health = &self.shared.health;
        let (began, mut calls, mut called) = (Instant::now(), 0, Instant::now());
        loop {
            thread::park_timeout(LOOK);
            if self.stopped() {
                return false;
            }
            let now_calls = health.calls.load(Ordering::Relaxed);
            if now_calls != calls {
                (calls, called) = (now_calls, Instant::now());
            }
            if began.elapsed() > PROVED {
                *back_off = BACK_OFF.0;
            }
            if !health.look() || called.elapsed() > SILENCE {
                if began.elapsed() > RAN && *back_off == BACK_OFF.0 {
                    *back_off = Duration::ZERO;
                }
                return true;
            }
            if health.changed.swap(false, Ordering::Relaxed) {
                self.look_at_device(place);
            }
        }
    }

    /// Finds out what the sound goes to, or comes from, by now.
    fn look_at_device(&self, place: &mut Place) {
        let health = &self.shared.health;
        if let Some(behind) = self.device.look(place, E::DIRECTION, health.stream.load(Ordering::Relaxed)) {
            health.stopgap.store(behind.is_stopgap, Ordering::Relaxed);
            let about = About { name: behind.name, ears: behind.ears };
            *self.shared.about.lock().unwrap_or_else(PoisonError::into_inner) = about;
        }
    }

    /// Tries until it works; none when it is to be closed, or is given up and says why.
    fn start_again(&self, back_off: &mut Duration) -> Option<Flow> {
        let began = Instant::now();
        loop {
            if !self.pause(*back_off) {
                return None;
            }
            *back_off = (*back_off * 2).clamp(2 * BACK_OFF.0, BACK_OFF.1);
            self.shared.health.look();
            match self.start() {
                Ok(stream) => return Some(stream),
                Err(error) if began.elapsed() > PATIENCE => {
                    let _ = self.shared.fault.set(error.to_string());
                    return None;
                }
                Err(_) => {}
            }
        }
    }

    /// False when the card is to be closed.
    fn pause(&self, duration: Duration) -> bool {
        let until = Instant::now() + duration;
        while Instant::now() < until && !self.stopped() {
            thread::park_timeout(until.saturating_duration_since(Instant::now()));
        }
        !self.stopped()
    }

    fn stopped(&self) -> bool {
        self.shared.stop.load(Ordering::Acquire)
    }

    fn start(&self) -> Result<Flow, Error> {
        let mut lend = || {
            let end = self.returned.recv_timeout(RETURN).ok()?;
            Some(Loan { lent: Some(end), back: self.give_back.clone() })
        };
        quietly(|| stream::start(&self.device, &mut lend, &self.shared.health))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_storm_of_errors_is_slowed_and_noticed() {
        let health = Health::default();
        health.error(ErrorKind::Xrun);
        assert!(health.look(), "one underrun is no reason to close a card");
        let began = Instant::now();
        for _ in 0..STORM + 20 {
            health.error(ErrorKind::Xrun);
        }
        assert!(began.elapsed() >= CALM * 20, "the thread that fails must not occupy a core");
        assert!(!health.look());
        assert!(health.look(), "the next look begins anew");
        assert_eq!(health.xruns.load(Ordering::Relaxed), u64::from(STORM) + 21);
    }

    #[test]
    fn a_card_that_is_gone_is_noticed_at_once() {
        let health = Health::default();
        health.error(ErrorKind::DeviceChanged);
        assert!(health.look(), "the system moved the stream to another card by itself");
        health.error(ErrorKind::DeviceNotAvailable);
        assert!(!health.look());
    }

    #[test]
    fn what_a_callback_was_lent_comes_back_when_it_is_taken_down() {
        let (back, returned) = sync_channel(1);
        let loan = Loan { lent: Some(7), back };
        let callback = move || drop(loan);
        assert!(returned.try_recv().is_err(), "it is in use");
        drop(callback);
        assert_eq!(returned.try_recv(), Ok(7));
    }
}
