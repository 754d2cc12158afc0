//! How long sound is under way between a ring and the air: the server is asked once a second.

use super::Direction;
use super::connection::Messages;
use crate::audio::format::SAMPLE_RATE;
use pulseaudio::protocol::{Command, CommandTag, LatencyParams, TagStructReader};
use std::io;
use std::time::{Duration, SystemTime};

/// The number of the question, which no other command has.
const QUESTION: u32 = 1;
/// Frames between two questions.
const EVERY: usize = SAMPLE_RATE as usize;
/// Frames before the first: the stream has to settle.
const FIRST: usize = EVERY / 5;

/// Asks again and again.
pub(super) struct Latency {
    channel: u32,
    direction: Direction,
    frame_bytes: usize,
    /// Frames until it asks.
    rest: usize,
}

impl Latency {
    /// Of this stream, whose frames have so many bytes.
    pub fn of(channel: u32, direction: Direction, frame_bytes: usize) -> Self {
        Self { channel, direction, frame_bytes, rest: FIRST }
    }

    /// So many frames have passed: asks when it is time.
    ///
    /// # Errors
    /// The server is gone.
    pub fn pass(&mut self, frames: usize, messages: &mut Messages, scratch: &mut [u8]) -> io::Result<()> {
        self.rest = self.rest.saturating_sub(frames);
        if self.rest > 0 {
            return Ok(());
        }
        self.rest = EVERY;
        let params = LatencyParams { channel: self.channel, now: SystemTime::now() };
        let command = match self.direction {
            Direction::Input => Command::GetRecordLatency(params),
            Direction::Output => Command::GetPlaybackLatency(params),
        };
        messages.send(QUESTION, &command, scratch)
    }

    /// What the server answers, if that is what it says: what the device takes, and what waits at the server.
    pub fn read(&self, mut said: &[u8]) -> Option<Duration> {
        let mut fields = TagStructReader::new(&mut said, 0);
        if fields.read_u32().ok()? != CommandTag::Reply as u32 || fields.read_u32().ok()? != QUESTION {
            return None;
        }
        let (sink_us, source_us) = (fields.read_usec().ok()?, fields.read_usec().ok()?);
        fields.read_bool().ok()?;
        fields.read_timeval().ok()?;
        fields.read_timeval().ok()?;
        let (written, read) = (fields.read_i64().ok()?, fields.read_i64().ok()?);
        let frames = u64::try_from(written.saturating_sub(read)).unwrap_or(0) / self.frame_bytes as u64;
        let waiting = Duration::from_micros(frames.saturating_mul(1_000_000) / u64::from(SAMPLE_RATE));
        let device_us = if self.direction == Direction::Input { source_us } else { sink_us };
        Duration::from_micros(device_us).checked_add(waiting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pulseaudio::protocol::{PlaybackLatency, TagStructWrite, TagStructWriter};

    fn answer(number: u32, written: i64, read: i64) -> Vec<u8> {
        let mut said = Vec::new();
        let mut fields = TagStructWriter::new(&mut said, 35);
        fields.write_u32(CommandTag::Reply as u32).expect("a vector takes it");
        fields.write_u32(number).expect("a vector takes it");
        let now = SystemTime::UNIX_EPOCH;
        let latency = PlaybackLatency {
            sink_usec: 7_000,
            source_usec: 4_000,
            playing: true,
            local_time: now,
            remote_time: now,
            write_offset: written,
            read_offset: read,
            underrun_for: 0,
            playing_for: 1,
        };
        latency.write(&mut fields, 35).expect("a vector takes it");
        said
    }

    #[test]
    fn what_the_device_takes_and_what_waits_is_one_delay() {
        let speaker = Latency::of(0, Direction::Output, 8);
        let ms = Duration::from_millis;
        assert_eq!(speaker.read(&answer(QUESTION, 8 * 480, 0)), Some(ms(17)));
        assert_eq!(speaker.read(&answer(QUESTION, 0, 8 * 480)), Some(ms(7)), "it has played what was never written");
        assert_eq!(Latency::of(0, Direction::Input, 4).read(&answer(QUESTION, 4 * 48, 0)), Some(ms(5)));
        assert_eq!(speaker.read(&answer(0, 8 * 480, 0)), None, "the answer to something else");
        let whole = answer(QUESTION, i64::MAX, i64::MIN);
        for length in 0..whole.len() {
            let _ = speaker.read(&whole[..length]);
        }
    }
}
