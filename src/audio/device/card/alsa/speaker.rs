//! A speaker: a period is written as soon as it fits. One that runs dry again and again is given a longer buffer, which it gives back
//! when it has been at peace for a while, in a moment when there is nothing to hear: a device has to stop for either.

use super::{Timing, WAIT_MS, Worker, note_delay, open, run, translate};
use crate::audio::device::card::format::Format;
use crate::audio::device::card::resample::ToDevice;
use crate::audio::device::card::running::Running;
use crate::audio::device::card::stream::{PIECE, converter, from_stereo};
use crate::audio::device::card::watch::{Health, Loan};
use crate::audio::format::SAMPLE_RATE;
use crate::audio::interruptions::Interruptions;
use crate::audio::playback::{MOST_DEMANDED, SpeakerReader};
use alsa::Direction;
use alsa::pcm::{Frames, IO, IoFormat, PCM};
use cpal::{Error, FromSample, Sample, SampleFormat};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

/// Periods of 5 ms, four of them at the least,
const TIMING: Timing = Timing { periods_per_frame: 2, periods: 4, wake_at_period: true, start_when_full: true };

/// and so many at the most.
const MOST: Frames = 12;
/// After so many frames without an underrun there is one less: 20 s.
const DECAY: u64 = 20 * SAMPLE_RATE as u64;
/// Samples no louder than this are nothing to hear: -66 dBFS;
const HUSHED: f32 = 0.0005;
/// so many frames of them are a moment of silence: half a second.
const HUSH: u64 = SAMPLE_RATE as u64 / 2;

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
    let periods = TIMING.periods;
    let writer = Writer {
        channels,
        rate,
        resampler,
        end,
        data,
        unwritten: 0,
        held: periods,
        periods,
        silent: periods,
        clean: 0,
        hushed: 0,
        underruns: Interruptions::default(),
        calls: 0,
    };
    run("audio speaker", opened.pcm, format, writer, health)
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
    /// Periods that the device's buffer holds,
    held: Frames,
    /// and that it should hold.
    periods: Frames,
    /// Periods of silence that come first: a device begins with its buffer full, and no ring holds that much in advance.
    silent: Frames,
    /// Frames since the last underrun, or since the buffer is shorter.
    clean: u64,
    /// Frames since there was something to hear.
    hushed: u64,
    underruns: Interruptions,
    calls: u64,
}

impl<T> Worker for Writer<T>
where
    T: IoFormat + Sample + FromSample<f32> + Send + 'static,
{
    type Sample = T;
    const TIMING: Timing = TIMING;

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
            if self.periods > TIMING.periods && self.clean > DECAY && self.hushed > HUSH {
                self.periods -= 1;
                return Ok(());
            }
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
        self.clean = 0;
        if self.underruns.another() {
            self.periods = (self.periods + 1).min(MOST);
        }
        // It starts by itself when its buffer is full.
        self.silent = self.held;
        pcm.prepare()
    }

    fn holds_from_now_on(&mut self) -> Option<Frames> {
        if self.periods == self.held {
            return None;
        }
        (self.held, self.silent, self.clean) = (self.periods, self.periods, 0);
        Some(self.periods)
    }
}

impl<T> Writer<T>
where
    T: IoFormat + Sample + FromSample<f32>,
{
    /// Takes the next period out of the ring.
    fn fill(&mut self) {
        self.unwritten = self.data.len();
        let period = self.data.len() / self.channels;
        self.clean += period as u64;
        self.underruns.pass(period);
        if self.silent > 0 {
            self.silent -= 1;
            self.data.fill(T::EQUILIBRIUM);
            return;
        }
        let wanted = self.resampler.as_ref().map_or(period, |resampler| resampler.wants(period));
        let mut loudest = 0.0_f32;
        self.end.demand_in_pieces(wanted.min(MOST_DEMANDED), |take| {
            for piece in self.data.chunks_mut(PIECE * self.channels) {
                let mut stereo = [[0.0; 2]; PIECE];
                let stereo = &mut stereo[..piece.len() / self.channels];
                match &mut self.resampler {
                    None => take(stereo),
                    Some(resampler) => resampler.pull(stereo, &mut *take),
                }
                loudest = stereo.as_flattened().iter().fold(loudest, |loudest, sample| loudest.max(sample.abs()));
                for (frame, ears) in piece.chunks_exact_mut(self.channels).zip(stereo) {
                    from_stereo(*ears, frame);
                }
            }
        });
        self.hushed = if loudest > HUSHED { 0 } else { self.hushed + period as u64 };
    }
}
