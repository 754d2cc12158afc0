//! A speaker: a period is written as soon as it fits.

use super::{Timing, WAIT_MS, Worker, note_delay, open, run, translate};
use crate::audio::device::card::format::Format;
use crate::audio::device::card::resample::ToDevice;
use crate::audio::device::card::running::Running;
use crate::audio::device::card::stream::{PIECE, converter, from_stereo};
use crate::audio::device::card::watch::{Health, Loan};
use crate::audio::playback::{MOST_DEMANDED, SpeakerReader};
use alsa::Direction;
use alsa::pcm::{Frames, IO, IoFormat, PCM};
use cpal::{Error, FromSample, Sample, SampleFormat};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Periods of 5 ms, four of them.
const TIMING: Timing = Timing { periods_per_frame: 2, periods: 4, wake_at_period: true, start_when_full: true };

/// A plugin may call early; asking again at once would be a loop.
const EARLY: Duration = Duration::from_millis(1);

/// Opens the device called `id` and starts playing on it.
///
/// # Errors
/// What ALSA says, in `cpal`'s words; the end is back with its lender then.
pub fn start_speaker(
    id: &str,
    format: Format,
    end: Loan<SpeakerReader>,
    health: Arc<Health>,
) -> Result<Running, Error> {
    match format.sample {
        SampleFormat::F32 => start::<f32>(id, format, end, health),
        SampleFormat::I16 => start::<i16>(id, format, end, health),
        SampleFormat::U8 => start::<u8>(id, format, end, health),
        // Everything else in its nearest relative, which plugins convert from, and hardware offers beside it.
        _ => start::<i32>(id, format, end, health),
    }
}

fn start<T>(id: &str, format: Format, end: Loan<SpeakerReader>, health: Arc<Health>) -> Result<Running, Error>
where
    T: IoFormat + Sample + FromSample<f32> + Send + 'static,
{
    let opened = open::<T>(id, Direction::Playback, format, &TIMING).map_err(translate)?;
    let resampler = converter(opened.rate, ToDevice::new)?;
    let (channels, rate) = (usize::from(format.channels), opened.rate);
    let data = vec![T::EQUILIBRIUM; opened.period * channels];
    let writer = Writer { channels, rate, resampler, end, data, unwritten: 0, silent: TIMING.periods, calls: 0 };
    run("audio speaker", opened.pcm, writer, health)
}

struct Writer<T> {
    channels: usize,
    rate: u32,
    resampler: Option<ToDevice>,
    end: Loan<SpeakerReader>,
    /// One period.
    data: Vec<T>,
    /// Samples at the end of `data` that the device has not taken yet.
    unwritten: usize,
    /// Periods of silence that come first: a device begins with its buffer full, and no ring holds that much in advance.
    silent: Frames,
    calls: u64,
}

impl<T> Worker for Writer<T>
where
    T: IoFormat + Sample + FromSample<f32> + Send + 'static,
{
    type Sample = T;

    fn step(&mut self, pcm: &PCM, io: &IO<'_, T>, health: &Health) -> alsa::Result<()> {
        let period = self.data.len() / self.channels;
        if pcm.avail_update()? < period as Frames {
            if pcm.wait(Some(WAIT_MS))? && pcm.avail_update()? < period as Frames {
                thread::sleep(EARLY);
            }
            return Ok(());
        }
        health.call();
        if self.unwritten == 0 {
            self.fill();
        }
        let from = self.data.len() - self.unwritten;
        let written = io.writei(&self.data[from..])?;
        self.unwritten -= written * self.channels;
        self.calls += 1;
        note_delay(pcm, self.rate, self.calls, health);
        Ok(())
    }

    fn recover(&mut self, pcm: &PCM) -> alsa::Result<()> {
        // It starts by itself when its buffer is full.
        self.silent = TIMING.periods;
        pcm.prepare()
    }
}

impl<T> Writer<T>
where
    T: IoFormat + Sample + FromSample<f32>,
{
    /// Takes the next period out of the ring.
    fn fill(&mut self) {
        self.unwritten = self.data.len();
        if self.silent > 0 {
            self.silent -= 1;
            self.data.fill(T::EQUILIBRIUM);
            return;
        }
        let period = self.data.len() / self.channels;
        let wanted = self.resampler.as_ref().map_or(period, |resampler| resampler.wants(period));
        self.end.demand_in_pieces(wanted.min(MOST_DEMANDED), |take| {
            for piece in self.data.chunks_mut(PIECE * self.channels) {
                let mut stereo = [[0.0; 2]; PIECE];
                let stereo = &mut stereo[..piece.len() / self.channels];
                match &mut self.resampler {
                    None => take(stereo),
                    Some(resampler) => resampler.pull(stereo, &mut *take),
                }
                for (frame, ears) in piece.chunks_exact_mut(self.channels).zip(stereo) {
                    from_stereo(*ears, frame);
                }
            }
        });
    }
}
