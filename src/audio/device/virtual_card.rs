//! A sound card that is none: files and generators that keep time like a card, each on a thread with its own monotonic clock.
//!
//! Its time is counted in frames since it was opened, so that no lateness adds
//! up: after a stall it does at once what it should have done meanwhile. Having no hardware to feed it can wait a little for the
//! worker behind it, as a card with a deep buffer would; and like that one it has run dry when it is itself later than that.

use super::super::capture::MicWriter;
use super::super::format::{FRAME, SAMPLE_RATE};
use super::super::playback::SpeakerReader;
use super::super::priority::hurry;
use super::Card;
use super::sink::Sink;
use super::source::Source;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// A worker that is late is waited for this long; then silence is played and counted.
const PATIENCE: Duration = Duration::from_millis(200);
/// What lies further back is not caught up with: the machine slept.
const MAX_CATCH_UP: Duration = Duration::from_secs(10);
/// How often a late worker is looked after.
const LOOK: Duration = Duration::from_micros(500);

/// When the next 10 ms are due, by a clock that only goes forward.
#[derive(Debug)]
struct Schedule {
    began: Instant,
    done: u64,
    /// It is more than [`PATIENCE`] behind.
    dry: bool,
}

impl Schedule {
    fn new(now: Instant) -> Self {
        Self { began: now, done: 0, dry: false }
    }

    /// When the next frame is due. Computed from the beginning each time: rounding does not add up either.
    fn next(&self) -> Instant {
        let samples = (self.done + 1) * FRAME as u64;
        let (seconds, rest) = (samples / u64::from(SAMPLE_RATE), samples % u64::from(SAMPLE_RATE));
        self.began + Duration::from_secs(seconds) + Duration::from_nanos(rest * 1_000_000_000 / u64::from(SAMPLE_RATE))
    }

    /// Whether it has just fallen so far behind that a card's buffer would have run dry.
    fn runs_dry(&mut self, now: Instant) -> bool {
        let behind = now.saturating_duration_since(self.next());
        let before = self.dry;
        self.dry = behind > PATIENCE || (self.dry && !behind.is_zero());
        self.dry && !before
    }

    /// Whether a frame is due; counts it as done.
    fn take(&mut self, now: Instant) -> bool {
        if now.saturating_duration_since(self.next()) > MAX_CATCH_UP {
            *self = Self::new(now);
        }
        let due = now >= self.next();
        self.done += u64::from(due);
        due
    }
}

/// An open virtual card.
struct VirtualCard {
    name: String,
    stop: Arc<AtomicBool>,
    fault: Arc<OnceLock<String>>,
    xruns: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Card for VirtualCard {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn fault(&self) -> Option<String> {
        self.fault.get().cloned()
    }

    fn xruns(&self) -> u64 {
        self.xruns.load(Ordering::Relaxed)
    }
}

impl Drop for VirtualCard {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            let _ = thread.join();
        }
    }
}

/// Opens a generated microphone.
///
/// # Errors
/// The system has no thread left.
pub fn open_input(name: String, mut source: Source, mut mic: MicWriter) -> io::Result<Box<dyn Card>> {
    let mut block = [[0.0; 2]; FRAME];
    start(name, move |stop, _| {
        source.fill(&mut block);
        wait_until(stop, || mic.room() >= FRAME, || mic.wake());
        mic.push_stereo(&block);
        true
    })
}

/// Opens a written speaker.
///
/// # Errors
/// The system has no thread left.
pub fn open_output(name: String, sink: Sink, mut speaker: SpeakerReader) -> io::Result<Box<dyn Card>> {
    let mut block = [[0.0; 2]; FRAME];
    let mut sink = Some(sink);
    start(name, move |stop, fault| {
        let stopped = stop.load(Ordering::Acquire);
        let written = match &mut sink {
            Some(sink) if !stopped => {
                wait_until(stop, || speaker.ready() >= FRAME, || speaker.wake());
                speaker.pull(&mut block);
                sink.write(&block)
            }
            _ => sink.take().map_or(Ok(()), Sink::finish),
        };
        if let Err(error) = &written {
            let _ = fault.set(error.to_string());
        }
        written.is_ok()
    })
}

/// Runs `tick` every 10 ms, and once more when told to stop; until it returns false.
fn start(
    name: String,
    mut tick: impl FnMut(&AtomicBool, &OnceLock<String>) -> bool + Send + 'static,
) -> io::Result<Box<dyn Card>> {
    let stop = Arc::new(AtomicBool::new(false));
    let fault = Arc::new(OnceLock::new());
    let xruns = Arc::new(AtomicU64::new(0));
    let (stopped, faulty, dry) = (stop.clone(), fault.clone(), xruns.clone());
    let thread = thread::Builder::new().name("res-card".into()).spawn(move || {
        let _hurry = hurry();
        let mut schedule = Schedule::new(Instant::now());
        while !stopped.load(Ordering::Acquire) {
            let now = Instant::now();
            dry.fetch_add(u64::from(schedule.runs_dry(now)), Ordering::Relaxed);
            if !schedule.take(now) {
                thread::park_timeout(schedule.next() - now);
            } else if !tick(&stopped, &faulty) {
                return;
            }
        }
        tick(&stopped, &faulty);
    })?;
    Ok(Box::new(VirtualCard { name, stop, fault, xruns, thread: Some(thread) }))
}

/// Waits for the worker, within limits.
fn wait_until(stop: &AtomicBool, mut ready: impl FnMut() -> bool, mut wake: impl FnMut()) {
    let began = Instant::now();
    while !ready() && !stop.load(Ordering::Acquire) && began.elapsed() < PATIENCE {
        wake();
        thread::park_timeout(LOOK);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_an_hour_the_clock_is_right_to_the_frame_however_late_it_was_looked_at() {
        let began = Instant::now();
        let mut schedule = Schedule::new(began);
        let mut now = began;
        let (mut frames, mut late) = (0_u64, 1_u64);
        let hour = Duration::from_secs(3_600);
        while now < began + hour {
            while schedule.take(now) {
                frames += 1;
            }
            // Anything from 0 to 100 ms, sometimes a stall of 3 s.
            late = late.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let stall = if late >> 56 == 7 { 3_000_000 } else { 0 };
            now += Duration::from_micros((late >> 33) % 100_000 + stall);
        }
        while schedule.take(began + hour) {
            frames += 1;
        }
        let elapsed_frames = (now - began).as_millis() as u64 / 10;
        assert!((360_000..=elapsed_frames).contains(&frames), "{frames} frames in an hour");
        assert_eq!(Schedule { began, done: 359_999, dry: false }.next(), began + hour);
    }

    #[test]
    fn nothing_is_due_before_its_time() {
        let began = Instant::now();
        let mut schedule = Schedule::new(began);
        assert!(!schedule.take(began + Duration::from_micros(9_999)));
        assert!(schedule.take(began + Duration::from_millis(10)));
        assert!(!schedule.take(began + Duration::from_millis(10)));
    }

    #[test]
    fn a_stall_that_outlasts_a_deep_buffer_counts_once() {
        let began = Instant::now();
        let mut schedule = Schedule::new(began);
        let mut count = 0;
        // Behind by 190 ms for a while, then by a quarter of a second, then in time, then by a quarter of a second once more.
        for (frame, late_ms) in (0..400).map(|n| (n, [190, 250, 0, 250][n / 100])) {
            let now = began + Duration::from_millis(10 * (frame as u64 + 1) + late_ms);
            count += u64::from(schedule.runs_dry(now));
            assert!(schedule.take(now));
        }
        assert_eq!(count, 2);
    }

    #[test]
    fn a_night_of_sleep_is_not_caught_up_with() {
        let began = Instant::now();
        let mut schedule = Schedule::new(began);
        let morning = began + Duration::from_secs(8 * 3_600);
        assert!(!schedule.take(morning));
        assert!(schedule.take(morning + Duration::from_millis(10)));
        assert!(!schedule.take(morning + Duration::from_millis(19)));
    }
}
