//! The callbacks: convert and copy, nothing else.

use super::format::{self, Format};
use super::resample::{FromDevice, ToDevice};
#[cfg(target_os = "linux")]
use super::running::Running;
use super::watch::{Health, Loan};
use super::{Device, Direction};
#[cfg(target_os = "linux")]
use super::{alsa, pulse};
use crate::audio::capture::MicWriter;
use crate::audio::format::Channels;
use crate::audio::playback::SpeakerReader;
use cpal::traits::{DeviceTrait, StreamTrait};
use cpal::{Error, ErrorKind, FromSample, I24, Sample, SampleFormat, SizedSample, Stream, StreamConfig, U24};
use std::sync::Arc;

/// Frames that are converted at once, on the stack.
pub(super) const PIECE: usize = 256;

/// An open device. Sound flows until it is dropped.
pub(super) enum Flow {
    /// Through `cpal`.
    Cpal {
        /// Held only to be dropped.
        _stream: Stream,
    },
    /// Past it.
    #[cfg(target_os = "linux")]
    Own {
        /// Held only to be dropped.
        _device: Running,
    },
}

/// A ring's end that a card can be connected to.
pub(super) trait End: Sized + Send + 'static {
    /// Which kind of card.
    const DIRECTION: Direction;

    /// Builds a stream that works with the end it is lent.
    ///
    /// # Errors
    /// What `cpal` says.
    fn build<T>(
        device: &cpal::Device,
        config: StreamConfig,
        end: Loan<Self>,
        health: &Arc<Health>,
    ) -> Result<Stream, Error>
    where
        T: SizedSample + FromSample<f32>,
        f32: FromSample<T>;

    /// Starts the device of this id past `cpal`.
    ///
    /// # Errors
    /// What ALSA says; the end is back with its lender then.
    #[cfg(target_os = "linux")]
    fn start_alsa(id: &str, format: Format, end: Loan<Self>, health: Arc<Health>) -> Result<Running, Error>;

    /// Starts a device of the sound server.
    ///
    /// # Errors
    /// What the server says; the end is back with its lender then.
    #[cfg(target_os = "linux")]
    fn start_pulse(device: &pulse::Device, end: Loan<Self>, health: Arc<Health>) -> Result<Running, Error>;
}

/// Opens `device` in the best format it has and starts it: with short periods if it can, else with its own.
///
/// # Errors
/// What `cpal` says; the end is back with its lender then.
pub(super) fn start<E: End>(
    device: &Device,
    lend: &mut dyn FnMut() -> Option<Loan<E>>,
    health: &Arc<Health>,
) -> Result<Flow, Error> {
    let device = match device {
        Device::Cpal(device) => device,
        #[cfg(target_os = "linux")]
        Device::Pulse(device) => {
            let end = lend().ok_or_else(never_ended)?;
            return Ok(Flow::Own { _device: E::start_pulse(device, end, health.clone())? });
        }
    };
    let format = format::choose(device, E::DIRECTION)?;
    #[cfg(target_os = "linux")]
    if let Some(id) = device.id().ok().filter(|id| id.host() == cpal::HostId::Alsa) {
        let end = lend().ok_or_else(never_ended)?;
        let device = E::start_alsa(id.id(), format, end, health.clone())?;
        return Ok(Flow::Own { _device: device });
    }
    let mut build = |config| build::<E>(device, format, config, lend().ok_or_else(never_ended)?, health);
    let stream = match build(format.brisk()) {
        Err(error) if error.kind() == ErrorKind::UnsupportedConfig => build(format.relaxed())?,
        other => other?,
    };
    stream.play()?;
    Ok(Flow::Cpal { _stream: stream })
}

fn never_ended() -> Error {
    Error::with_message(ErrorKind::Other, "its last callback never ended")
}

fn build<E: End>(
    device: &cpal::Device,
    format: Format,
    config: StreamConfig,
    end: Loan<E>,
    health: &Arc<Health>,
) -> Result<Stream, Error> {
    match format.sample {
        SampleFormat::F32 => E::build::<f32>(device, config, end, health),
        SampleFormat::I32 => E::build::<i32>(device, config, end, health),
        SampleFormat::I24 => E::build::<I24>(device, config, end, health),
        SampleFormat::I16 => E::build::<i16>(device, config, end, health),
        SampleFormat::U32 => E::build::<u32>(device, config, end, health),
        SampleFormat::U24 => E::build::<U24>(device, config, end, health),
        SampleFormat::U16 => E::build::<u16>(device, config, end, health),
        SampleFormat::F64 => E::build::<f64>(device, config, end, health),
        SampleFormat::I8 => E::build::<i8>(device, config, end, health),
        SampleFormat::U8 => E::build::<u8>(device, config, end, health),
        other => Err(Error::with_message(ErrorKind::UnsupportedConfig, format!("its samples are {other}"))),
    }
}

/// A resampler, unless the device runs at 48 kHz.
pub(super) fn converter<R, F>(rate: u32, make: F) -> Result<Option<R>, Error>
where
    F: FnOnce(u32) -> Result<R, rubato::ResamplerConstructionError>,
{
    if rate == crate::audio::format::SAMPLE_RATE {
        return Ok(None);
    }
    make(rate).map(Some).map_err(|error| Error::with_message(ErrorKind::UnsupportedConfig, error.to_string()))
}

impl End for MicWriter {
    const DIRECTION: Direction = Direction::Input;

    fn build<T>(
        device: &cpal::Device,
        config: StreamConfig,
        mut end: Loan<Self>,
        health: &Arc<Health>,
    ) -> Result<Stream, Error>
    where
        T: SizedSample + FromSample<f32>,
        f32: FromSample<T>,
    {
        let mut resampler = converter(config.sample_rate, FromDevice::new)?;
        let channels = usize::from(config.channels);
        let (called, failed) = (health.clone(), health.clone());
        let callback = move |data: &[T], info: &cpal::InputCallbackInfo| {
            called.call();
            let times = info.timestamp();
            called.set_delay(times.callback.duration_since(times.capture));
            for piece in data.chunks(PIECE * channels) {
                hand_over(piece, channels, &mut resampler, &mut end);
            }
        };
        device.build_input_stream(config, callback, move |error| failed.error(error.kind()), None)
    }

    #[cfg(target_os = "linux")]
    fn start_alsa(id: &str, format: Format, end: Loan<Self>, health: Arc<Health>) -> Result<Running, Error> {
        alsa::start_microphone(id, format, end, health)
    }

    #[cfg(target_os = "linux")]
    fn start_pulse(device: &pulse::Device, end: Loan<Self>, health: Arc<Health>) -> Result<Running, Error> {
        pulse::start_microphone(device, end, health)
    }
}

impl End for SpeakerReader {
    const DIRECTION: Direction = Direction::Output;

    fn build<T>(
        device: &cpal::Device,
        config: StreamConfig,
        mut end: Loan<Self>,
        health: &Arc<Health>,
    ) -> Result<Stream, Error>
    where
        T: SizedSample + FromSample<f32>,
        f32: FromSample<T>,
    {
        let mut resampler = converter(config.sample_rate, ToDevice::new)?;
        let channels = usize::from(config.channels);
        let (called, failed) = (health.clone(), health.clone());
        let callback = move |data: &mut [T], info: &cpal::OutputCallbackInfo| {
            called.call();
            let times = info.timestamp();
            called.set_delay(times.playback.duration_since(times.callback));
            for piece in data.chunks_mut(PIECE * channels) {
                let mut stereo = [[0.0; 2]; PIECE];
                let stereo = &mut stereo[..piece.len() / channels];
                match &mut resampler {
                    None => end.pull(stereo),
                    Some(resampler) => resampler.pull(stereo, |frames| end.pull(frames)),
                }
                for (frame, ears) in piece.chunks_exact_mut(channels).zip(stereo) {
                    from_stereo(*ears, frame);
                }
            }
        };
        device.build_output_stream(config, callback, move |error| failed.error(error.kind()), None)
    }

    #[cfg(target_os = "linux")]
    fn start_alsa(id: &str, format: Format, end: Loan<Self>, health: Arc<Health>) -> Result<Running, Error> {
        alsa::start_speaker(id, format, end, health)
    }

    #[cfg(target_os = "linux")]
    fn start_pulse(device: &pulse::Device, end: Loan<Self>, health: Arc<Health>) -> Result<Running, Error> {
        pulse::start_speaker(device, end, health)
    }
}

/// Brings at most a [`PIECE`] of a microphone's frames on: in stereo where that is wanted and the device is at 48 kHz, else in mono.
pub(super) fn hand_over<T: Copy>(
    brought: &[T],
    channels: usize,
    resampler: &mut Option<FromDevice>,
    end: &mut Loan<MicWriter>,
) where
    f32: FromSample<T>,
{
    let frames = (brought.len() / channels.max(1)).min(PIECE);
    let each = brought.chunks_exact(channels.max(1));
    if end.channels() == Channels::Two && resampler.is_none() {
        let mut stereo = [[0.0; 2]; PIECE];
        for (both, frame) in stereo.iter_mut().zip(each) {
            *both = to_stereo(frame);
        }
        return end.push_stereo(&stereo[..frames]);
    }
    let mut mono = [0.0; PIECE];
    for (sample, frame) in mono.iter_mut().zip(each) {
        *sample = to_mono(frame);
    }
    match resampler {
        None => end.push(&mono[..frames]),
        Some(resampler) => resampler.push(&mono[..frames], |samples| end.push(samples)),
    }
}

/// The first two channels, or the only one for both.
fn to_stereo<T: Copy>(frame: &[T]) -> [f32; 2]
where
    f32: FromSample<T>,
{
    match *frame {
        [left, right, ..] => [f32::from_sample_(left), f32::from_sample_(right)],
        [one] => [f32::from_sample_(one); 2],
        [] => [0.0; 2],
    }
}

/// The mean of the first two channels: a microphone with more has its voice there.
fn to_mono<T: Copy>(frame: &[T]) -> f32
where
    f32: FromSample<T>,
{
    match *frame {
        [left, right, ..] => 0.5 * (f32::from_sample_(left) + f32::from_sample_(right)),
        [one] => f32::from_sample_(one),
        [] => 0.0,
    }
}

/// Left and right into the first two channels, silence into the others; their mean where there is one only.
pub(super) fn from_stereo<T: Sample + FromSample<f32>>([left, right]: [f32; 2], frame: &mut [T]) {
    match frame {
        [one] => *one = T::from_sample_(0.5 * (left + right)),
        [first, second, others @ ..] => {
            *first = T::from_sample_(left);
            *second = T::from_sample_(right);
            others.fill(T::EQUILIBRIUM);
        }
        [] => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_become_one_and_one_becomes_channels() {
        assert_eq!(to_mono(&[0.5_f32]), 0.5);
        assert_eq!(to_mono(&[0.5_f32, 0.25, 9.0]), 0.375);
        assert_eq!(to_mono(&[i16::MIN, 0]), -0.5);
        assert_eq!((to_stereo(&[0.5_f32, 0.25, 9.0]), to_stereo(&[0.5_f32])), ([0.5, 0.25], [0.5, 0.5]));
        let mut frame = [0_u8; 4];
        from_stereo([1.0, -1.0], &mut frame);
        assert_eq!(frame, [255, 0, 128, 128]);
        let mut frame = [0.0_f32];
        from_stereo([0.5, 0.25], &mut frame);
        assert_eq!(frame, [0.375]);
    }
}
