//! A microphone through ALSA itself.
//!
//! `cpal` hands a microphone's sound over in whole periods and waits for them by polling. Through ALSA's PulseAudio plugin, which
//! reports readiness as soon as anything is there, that turns into a loop: measured, a fifth of a processor core in bursts, which at
//! real-time priority keep the sound server itself from running. Here whatever is there is taken at once: the loop cannot arise, and
//! sound does not wait for its period to fill.

use super::format::Format;
use super::resample::FromDevice;
use super::stream::{PIECE, converter, to_mono};
use super::watch::{Health, Loan};
use crate::audio::capture::MicWriter;
use crate::audio::format::{FRAME, SAMPLE_RATE};
use crate::audio::workers::hurry;
use alsa::pcm::{Access, Frames, HwParams, IoFormat, PCM};
use alsa::{Direction, ValueOr};
use cpal::{Error, ErrorKind, FromSample, SampleFormat};
use std::ffi::c_int;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

/// Periods to a frame: the server then brings sound every 5 ms.
const PERIODS_PER_FRAME: u32 = 2;
/// What the device may hold while nobody reads, in periods: 40 ms.
const PERIODS: u32 = 8;
/// How long is waited for sound before looking whether to stop, in milliseconds.
const WAIT_MS: u32 = 50;

/// An open microphone. Sound flows until it is dropped.
pub(super) struct AlsaMicrophone {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl AlsaMicrophone {
    /// Opens the device called `id` and starts reading it.
    ///
    /// # Errors
    /// What ALSA says, in `cpal`'s words; the end is back with its lender then.
    pub fn start(id: &str, format: Format, end: Loan<MicWriter>, health: Arc<Health>) -> Result<Self, Error> {
        match format.sample {
            SampleFormat::F32 => Self::start_as::<f32>(id, format, end, health),
            SampleFormat::I16 => Self::start_as::<i16>(id, format, end, health),
            SampleFormat::U8 => Self::start_as::<u8>(id, format, end, health),
            // Everything else in its nearest relative, which plugins convert to, and hardware offers beside it.
            _ => Self::start_as::<i32>(id, format, end, health),
        }
    }

    fn start_as<T>(id: &str, format: Format, end: Loan<MicWriter>, health: Arc<Health>) -> Result<Self, Error>
    where
        T: IoFormat + Default + 'static,
        f32: FromSample<T>,
    {
        let pcm = PCM::new(id, Direction::Capture, true).map_err(translate)?;
        let rate = set_up::<T>(&pcm, format).map_err(translate)?;
        let resampler = converter(rate, FromDevice::new)?;
        pcm.start().map_err(translate)?;
        let stop = Arc::new(AtomicBool::new(false));
        let reader = Reader { pcm, channels: usize::from(format.channels), resampler, end, health, stop: stop.clone() };
        let thread = thread::Builder::new()
            .name("audio mic".into())
            .spawn(move || reader.run::<T>())
            .map_err(|error| Error::with_message(ErrorKind::ResourceExhausted, error.to_string()))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

impl Drop for AlsaMicrophone {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Returns the rate that the device really takes.
fn set_up<T: IoFormat>(pcm: &PCM, format: Format) -> alsa::Result<u32> {
    let params = HwParams::any(pcm)?;
    params.set_access(Access::RWInterleaved)?;
    params.set_format(T::FORMAT)?;
    params.set_channels(u32::from(format.channels))?;
    let rate = params.set_rate_near(format.rate, ValueOr::Nearest)?;
    let period = Frames::from(rate / (SAMPLE_RATE / FRAME as u32) / PERIODS_PER_FRAME);
    params.set_buffer_size_near(period * Frames::from(PERIODS))?;
    params.set_period_size_near(period, ValueOr::Nearest)?;
    pcm.hw_params(&params)?;
    let software = pcm.sw_params_current()?;
    software.set_avail_min(1)?;
    software.set_start_threshold(1)?;
    pcm.sw_params(&software)?;
    pcm.prepare()?;
    Ok(rate)
}

struct Reader {
    pcm: PCM,
    channels: usize,
    resampler: Option<FromDevice>,
    end: Loan<MicWriter>,
    health: Arc<Health>,
    stop: Arc<AtomicBool>,
}

impl Reader {
    fn run<T>(mut self)
    where
        T: IoFormat + Default,
        f32: FromSample<T>,
    {
        hurry();
        let mut data = vec![T::default(); PIECE * self.channels];
        while !self.stop.load(Ordering::Acquire) {
            if let Err(error) = self.read(&mut data) {
                let error = translate(error);
                self.health.error(error.kind());
                if error.kind() == ErrorKind::DeviceNotAvailable {
                    return;
                }
                // After an overrun, and after a suspended machine, it has to be started anew. If that fails, so will the next read.
                let _ = self.pcm.prepare().and_then(|()| self.pcm.start());
            }
        }
    }

    /// Takes what is there, or waits for it a little.
    fn read<T>(&mut self, data: &mut [T]) -> alsa::Result<()>
    where
        T: IoFormat,
        f32: FromSample<T>,
    {
        let frames = match self.pcm.io_checked::<T>()?.readi(data) {
            Ok(frames) => frames,
            Err(error) if error.errno() == libc::EAGAIN => return self.pcm.wait(Some(WAIT_MS)).map(drop),
            Err(error) => return Err(error),
        };
        self.health.call();
        let mut mono = [0.0; PIECE];
        for (sample, frame) in mono.iter_mut().zip(data.chunks_exact(self.channels)) {
            *sample = to_mono(frame);
        }
        let mono = &mono[..frames.min(PIECE)];
        match &mut self.resampler {
            None => self.end.push(mono),
            Some(resampler) => resampler.push(mono, |samples| self.end.push(samples)),
        }
        Ok(())
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
