//! Which of a device's formats is used.

use super::Direction;
use crate::audio::format::{FRAME, SAMPLE_RATE};
use cpal::traits::DeviceTrait;
use cpal::{BufferSize, Error, ErrorKind, FrameCount, SampleFormat, StreamConfig, SupportedStreamConfigRange};

/// The chosen format.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Format {
    /// How a sample is written.
    pub sample: SampleFormat,
    /// Samples of a frame, interleaved.
    pub channels: u16,
    /// Frames a second.
    pub rate: u32,
}

impl Format {
    /// With periods of 10 ms, of which ALSA then holds two. Measured from microphone to speaker through PulseAudio's plugin: 50 ms so;
    /// periods of 5 ms give 44 ms and break up, the plugin's own choice gives 68 ms.
    pub fn brisk(&self) -> StreamConfig {
        let period = u64::from(self.rate) * FRAME as u64 / u64::from(SAMPLE_RATE);
        self.with(BufferSize::Fixed(FrameCount::try_from(period).unwrap_or(FrameCount::MAX)))
    }

    /// With whatever periods the device likes.
    pub fn relaxed(&self) -> StreamConfig {
        self.with(BufferSize::Default)
    }

    fn with(&self, buffer_size: BufferSize) -> StreamConfig {
        StreamConfig { channels: self.channels, sample_rate: self.rate, buffer_size }
    }
}

/// Formats that are understood, the best first: none of them loses anything that matters, so it is the work that counts.
const SAMPLES: [SampleFormat; 10] = [
    SampleFormat::F32,
    SampleFormat::I32,
    SampleFormat::I24,
    SampleFormat::I16,
    SampleFormat::U32,
    SampleFormat::U24,
    SampleFormat::U16,
    SampleFormat::F64,
    SampleFormat::I8,
    SampleFormat::U8,
];

/// Picks the format to open `device` with.
///
/// # Errors
/// The device cannot be asked, or offers nothing that is understood.
pub(super) fn choose(device: &cpal::Device, direction: Direction) -> Result<Format, Error> {
    best(supported(device, direction)?, direction)
        .ok_or_else(|| Error::with_message(ErrorKind::UnsupportedConfig, "it offers no format that is understood"))
}

/// Lowest and highest rate, fewest and most channels; none if the device cannot be opened this way.
pub(super) fn range(device: &cpal::Device, direction: Direction) -> Option<((u32, u32), (u16, u16))> {
    let all = supported(device, direction).ok()?;
    let rates = (all.iter().map(|f| f.min_sample_rate()).min()?, all.iter().map(|f| f.max_sample_rate()).max()?);
    let channels = (all.iter().map(|f| f.channels()).min()?, all.iter().map(|f| f.channels()).max()?);
    Some((rates, channels))
}

fn supported(device: &cpal::Device, direction: Direction) -> Result<Vec<SupportedStreamConfigRange>, Error> {
    Ok(match direction {
        Direction::Input => device.supported_input_configs()?.collect(),
        Direction::Output => device.supported_output_configs()?.collect(),
    })
}

/// No conversion of the rate first, then as many channels as are wanted (one from a microphone, two to a speaker), then samples.
fn best(formats: Vec<SupportedStreamConfigRange>, direction: Direction) -> Option<Format> {
    let wanted = match direction {
        Direction::Input => 1,
        Direction::Output => 2,
    };
    formats
        .into_iter()
        .filter_map(|format| {
            let sample = SAMPLES.iter().position(|known| *known == format.sample_format())?;
            let rate = nearest_rate(format.min_sample_rate(), format.max_sample_rate());
            // Downwards nothing is lost; upwards the treble is missing already.
            let rate_cost = if rate >= SAMPLE_RATE { rate - SAMPLE_RATE } else { 1_000_000 + SAMPLE_RATE - rate };
            // More channels than wanted are left silent or averaged; fewer lose space.
            let channels = format.channels();
            let channel_cost = if channels >= wanted { channels - wanted } else { 100 };
            let chosen = Format { sample: format.sample_format(), channels, rate };
            Some(((rate_cost, channel_cost, sample), chosen))
        })
        .min_by_key(|(cost, _)| *cost)
        .map(|(_, format)| format)
}

fn nearest_rate(lowest: u32, highest: u32) -> u32 {
    SAMPLE_RATE.clamp(lowest.max(1), highest.max(lowest).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use cpal::SupportedBufferSize;

    fn offer(channels: u16, lowest: u32, highest: u32, sample: SampleFormat) -> SupportedStreamConfigRange {
        SupportedStreamConfigRange::new(channels, lowest, highest, SupportedBufferSize::Unknown, sample)
    }

    #[test]
    fn a_microphone_is_mono_at_48_khz_if_it_can_be() {
        let formats = vec![
            offer(2, 8_000, 192_000, SampleFormat::F32),
            offer(1, 44_100, 44_100, SampleFormat::F32),
            offer(1, 8_000, 192_000, SampleFormat::I16),
        ];
        let format = best(formats, Direction::Input);
        assert_eq!(format, Some(Format { sample: SampleFormat::I16, channels: 1, rate: 48_000 }));
    }

    #[test]
    fn a_speaker_is_stereo_in_floats_if_it_can_be() {
        let formats = vec![
            offer(1, 48_000, 48_000, SampleFormat::F32),
            offer(8, 48_000, 48_000, SampleFormat::F32),
            offer(2, 44_100, 48_000, SampleFormat::I16),
            offer(2, 44_100, 48_000, SampleFormat::F32),
        ];
        let format = best(formats, Direction::Output);
        assert_eq!(format, Some(Format { sample: SampleFormat::F32, channels: 2, rate: 48_000 }));
    }

    #[test]
    fn without_48_khz_the_next_higher_rate_is_used_and_else_the_highest() {
        let formats = vec![offer(2, 44_100, 44_100, SampleFormat::I16), offer(2, 96_000, 192_000, SampleFormat::I16)];
        assert_eq!(best(formats, Direction::Output).map(|format| format.rate), Some(96_000));
        let formats = vec![offer(2, 8_000, 8_000, SampleFormat::I16), offer(2, 44_100, 44_100, SampleFormat::I16)];
        assert_eq!(best(formats, Direction::Output).map(|format| format.rate), Some(44_100));
        assert_eq!(best(vec![offer(2, 48_000, 48_000, SampleFormat::DsdU8)], Direction::Output), None);
    }

    #[test]
    fn a_period_is_ten_milliseconds_at_any_rate() {
        let format = Format { sample: SampleFormat::I16, channels: 2, rate: 44_100 };
        assert_eq!(format.brisk().buffer_size, BufferSize::Fixed(441));
    }
}
