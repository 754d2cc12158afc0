//! Devices through ALSA itself, each on a thread of its own.
//!
//! `cpal` waits for whole periods by polling. Through ALSA's PulseAudio plugin, which reports readiness early, a microphone turns that
//! into a loop (measured: a fifth of a processor core in bursts, which at real-time priority keep the sound server itself from
//! running), and a speaker breaks up once or twice a minute. Here whatever is there is taken, and whatever has room is filled.

mod microphone;
mod speaker;

pub(super) use microphone::start_microphone;
pub(super) use speaker::start_speaker;

use super::format::Format;
use super::running::Running;
use super::watch::Health;
use crate::audio::format::{FRAME, SAMPLE_RATE};
use alsa::pcm::{Access, Frames, HwParams, IO, IoFormat, PCM};
use alsa::{Direction, ValueOr};
use cpal::{Error, ErrorKind};
use std::ffi::c_int;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// How long is waited for a device before looking whether to stop, in milliseconds.
const WAIT_MS: u32 = 50;

/// Lets `worker` step again and again on a thread of this name, and recover when it fails, if that can help.
fn run<W: Worker>(name: &str, pcm: PCM, format: Format, mut worker: W, health: Arc<Health>) -> Result<Running, Error> {
    Running::start(name, move |stop| {
        while let Some(periods) = work(&pcm, &mut worker, &health, stop) {
            let arranged = pcm.drop().and_then(|()| arrange::<W::Sample>(&pcm, format, &W::TIMING, periods));
            if arranged.is_err() {
                return health.error(ErrorKind::DeviceNotAvailable);
            }
        }
    })
}

/// Until told to stop, or until the device is gone, or should hold so many periods from now on.
fn work<W: Worker>(pcm: &PCM, worker: &mut W, health: &Health, stop: &AtomicBool) -> Option<Frames> {
    // Once, while nothing plays: it asks for the device's parameters, and allocates for the answer.
    let io = match pcm.io_checked() {
        Ok(io) => io,
        Err(error) => {
            health.error(translate(error).kind());
            return None;
        }
    };
    while !stop.load(Ordering::Acquire) {
        if let Err(error) = worker.step(pcm, &io, health) {
            let error = translate(error);
            health.error(error.kind());
            if error.kind() == ErrorKind::DeviceNotAvailable {
                return None;
            }
            // If it cannot be started anew, the next step fails, too.
            let _ = worker.recover(pcm);
        }
        if let Some(periods) = worker.holds_from_now_on() {
            return Some(periods);
        }
    }
    None
}

/// What a device's thread does.
trait Worker: Send + 'static {
    /// How the device writes a sample.
    type Sample: IoFormat;
    /// How it is asked to work.
    const TIMING: Timing;

    /// Moves what can be moved, or waits a little.
    fn step(&mut self, pcm: &PCM, io: &IO<'_, Self::Sample>, health: &Health) -> alsa::Result<()>;

    /// After an xrun, and after a suspended machine, a device has to be started anew.
    fn recover(&mut self, pcm: &PCM) -> alsa::Result<()>;

    /// How many periods the device's buffer should hold, if others than until now: it is stopped for that. Asked after each step.
    fn holds_from_now_on(&mut self) -> Option<Frames> {
        None
    }
}

/// How a device is asked to work.
struct Timing {
    /// Periods in a frame of 10 ms.
    periods_per_frame: u32,
    /// Periods that the device's buffer holds at first.
    periods: Frames,
    /// Frames that must be there, or fit, before a wait ends; of a period. None: one frame is enough.
    wake_at_period: bool,
    /// Frames after which the device starts by itself: all of its buffer, or the first.
    start_when_full: bool,
}

/// An open device.
struct Opened {
    pcm: PCM,
    /// The rate that it really takes.
    rate: u32,
    /// Frames of a period.
    period: usize,
}

fn open<T: IoFormat>(id: &str, direction: Direction, format: Format, timing: &Timing) -> alsa::Result<Opened> {
    let pcm = PCM::new(id, direction, true)?;
    let (rate, period) = arrange::<T>(&pcm, format, timing, timing.periods)?;
    Ok(Opened { pcm, rate, period: usize::try_from(period).unwrap_or(FRAME) })
}

/// Asks a device that does not run for a buffer of so many periods. Returns its rate, and the frames of its periods.
fn arrange<T: IoFormat>(pcm: &PCM, format: Format, timing: &Timing, periods: Frames) -> alsa::Result<(u32, Frames)> {
    let params = HwParams::any(pcm)?;
    params.set_access(Access::RWInterleaved)?;
    params.set_format(T::FORMAT)?;
    params.set_channels(u32::from(format.channels))?;
    let rate = params.set_rate_near(format.rate, ValueOr::Nearest)?;
    let period = Frames::from(rate / (SAMPLE_RATE / FRAME as u32) / timing.periods_per_frame);
    params.set_buffer_size_near(period * periods)?;
    params.set_period_size_near(period, ValueOr::Nearest)?;
    pcm.hw_params(&params)?;
    let (period, buffer) = (params.get_period_size()?, params.get_buffer_size()?);
    drop(params);
    let software = pcm.sw_params_current()?;
    software.set_avail_min(if timing.wake_at_period { period } else { 1 })?;
    software.set_start_threshold(if timing.start_when_full { buffer / period * period } else { 1 })?;
    pcm.sw_params(&software)?;
    drop(software);
    pcm.prepare()?;
    Ok((rate, period))
}

/// How often a device is asked how much it holds: every so many times that it calls, about once a second.
const ASK_EVERY: u64 = 200;

/// Notes how long sound is under way through the device, which has called so often.
fn note_delay(pcm: &PCM, rate: u32, calls: u64, health: &Health) {
    if calls % ASK_EVERY == 1
        && let Ok(frames) = pcm.delay()
        && let Ok(frames) = u64::try_from(frames)
    {
        health.set_delay(Duration::from_micros(frames * 1_000_000 / u64::from(rate.max(1))));
    }
}

/// ALSA's errors in `cpal`'s words.
fn translate(error: alsa::Error) -> Error {
    const NOT_SUPPORTED_BY_DRIVER: c_int = 524;
    Error::new(match error.errno() {
        libc::ENODEV | libc::ENOENT | NOT_SUPPORTED_BY_DRIVER => ErrorKind::DeviceNotAvailable,
        libc::EPERM | libc::EACCES => ErrorKind::PermissionDenied,
        libc::EBUSY => ErrorKind::DeviceBusy,
        libc::EINVAL => ErrorKind::UnsupportedConfig,
        libc::EPIPE | libc::ESTRPIPE => ErrorKind::Xrun,
        _ => return Error::with_message(ErrorKind::BackendError, error.to_string()),
    })
}
