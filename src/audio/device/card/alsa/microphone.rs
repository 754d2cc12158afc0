//! A microphone: whatever is there is taken at once, so that sound does not wait for its period to fill.

use super::{Timing, WAIT_MS, Worker, note_delay, open, run, translate};
use crate::audio::capture::MicWriter;
use crate::audio::device::card::format::Format;
use crate::audio::device::card::resample::FromDevice;
use crate::audio::device::card::running::Running;
use crate::audio::device::card::stream::{PIECE, converter, hand_over};
use crate::audio::device::card::watch::{Health, Loan};
use alsa::Direction;
use alsa::pcm::{IO, IoFormat, PCM};
use cpal::{Error, FromSample, SampleFormat};
use std::sync::Arc;

/// The server then brings sound every 5 ms; 40 ms may wait while nobody reads.
const TIMING: Timing = Timing { periods_per_frame: 2, periods: 8, wake_at_period: false, start_when_full: false };

/// Opens the device called `id` and starts reading it.
///
/// # Errors
/// What ALSA says, in `cpal`'s words; the end is back with its lender then.
pub fn start_microphone(id: &str, format: Format, end: Loan<MicWriter>, health: Arc<Health>) -> Result<Running, Error> {
    match format.sample {
        SampleFormat::F32 => start::<f32>(id, format, end, health),
        SampleFormat::I16 => start::<i16>(id, format, end, health),
        SampleFormat::U8 => start::<u8>(id, format, end, health),
        // Everything else in its nearest relative, which plugins convert to, and hardware offers beside it.
        _ => start::<i32>(id, format, end, health),
    }
}

fn start<T>(id: &str, format: Format, end: Loan<MicWriter>, health: Arc<Health>) -> Result<Running, Error>
where
    T: IoFormat + Default + Send + 'static,
    f32: FromSample<T>,
{
    let opened = open::<T>(id, Direction::Capture, format, &TIMING).map_err(translate)?;
    let resampler = converter(opened.rate, FromDevice::new)?;
    opened.pcm.start().map_err(translate)?;
    let channels = usize::from(format.channels);
    let data = vec![T::default(); PIECE * channels];
    let reader = Reader { channels, rate: opened.rate, resampler, end, data, calls: 0 };
    run("audio mic", opened.pcm, format, reader, health)
}

struct Reader<T> {
    channels: usize,
    rate: u32,
    resampler: Option<FromDevice>,
    end: Loan<MicWriter>,
    data: Vec<T>,
    calls: u64,
}

impl<T> Worker for Reader<T>
where
    T: IoFormat + Send + 'static,
    f32: FromSample<T>,
{
    type Sample = T;
    const TIMING: Timing = TIMING;

    fn step(&mut self, pcm: &PCM, io: &IO<'_, T>, health: &Health) -> alsa::Result<()> {
        let frames = match io.readi(&mut self.data) {
            Ok(frames) => frames,
            Err(error) if error.errno() == libc::EAGAIN => return pcm.wait(Some(WAIT_MS)).map(drop),
            Err(error) => return Err(error),
        };
        health.call();
        self.calls += 1;
        note_delay(pcm, self.rate, self.calls, health);
        let brought = &self.data[..frames.min(PIECE) * self.channels];
        hand_over(brought, self.channels, &mut self.resampler, &mut self.end);
        Ok(())
    }

    fn recover(&mut self, pcm: &PCM) -> alsa::Result<()> {
        pcm.prepare()?;
        pcm.start()
    }
}
