//! A microphone: the server sends sound as it comes, the thread hands it on.

use super::connection::{Connection, Message, Messages};
use super::latency::Latency;
use super::{Device, Direction, is_change, is_move, translate};
use crate::audio::capture::MicWriter;
use crate::audio::device::card::running::Running;
use crate::audio::device::card::stream::PIECE;
use crate::audio::device::card::watch::{Health, Loan};
use crate::audio::format::{Channels, QUANTUM, SAMPLE_RATE};
use cpal::{Error, ErrorKind};
use pulseaudio::protocol::stream::{BufferAttr, StreamFlags};
use pulseaudio::protocol::{
    ChannelMap, Command, CommandTag, CreateRecordStreamReply, Prop, Props, RecordStreamParams, SampleFormat,
    SampleSpec, SubscriptionMask, TagStructReader,
};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

const SAMPLE_BYTES: usize = size_of::<f32>();
/// Longer than every command that is sent.
const SCRATCH: usize = 64;

/// Opens a source and starts reading it: 32-bit floats, mono or stereo as is wanted, 48 kHz, every 2.5 ms if the device can.
///
/// # Errors
/// What the server says, in `cpal`'s words; the end is back with its lender then.
pub fn start_microphone(device: &Device, end: Loan<MicWriter>, health: Arc<Health>) -> Result<Running, Error> {
    let mut connection = Connection::open()?;
    let channels = end.channels();
    let frame = channels.count() * SAMPLE_BYTES;
    let mut props = Props::new();
    props.set(Prop::MediaName, c"microphone");
    let stream: CreateRecordStreamReply = connection.ask(&Command::CreateRecordStream(RecordStreamParams {
        sample_spec: SampleSpec {
            format: SampleFormat::Float32Le,
            channels: channels.count() as u8,
            sample_rate: SAMPLE_RATE,
        },
        channel_map: if channels == Channels::One { ChannelMap::mono() } else { ChannelMap::stereo() },
        source_name: Some(device.id.clone()),
        buffer_attr: BufferAttr { fragment_size: (QUANTUM * frame) as u32, ..BufferAttr::default() },
        flags: StreamFlags { adjust_latency: true, ..StreamFlags::default() },
        props,
        ..RecordStreamParams::default()
    }))?;
    let mut messages = connection.into_messages().map_err(|error| translate(error.into()))?;
    health.set_stream(stream.stream_index);
    let changes = Command::Subscribe(SubscriptionMask::SOURCE | SubscriptionMask::SERVER);
    messages.send(0, &changes, &mut [0; SCRATCH]).map_err(|error| translate(error.into()))?;
    let mut reader = Reader {
        messages,
        channel: stream.channel,
        channels,
        end,
        latency: Latency::of(stream.channel, Direction::Input, frame),
    };
    Running::start("audio mic", move |stop| {
        if reader.run(stop, &health).is_err() {
            health.error(ErrorKind::DeviceNotAvailable);
        }
    })
}

struct Reader {
    messages: Messages,
    channel: u32,
    channels: Channels,
    end: Loan<MicWriter>,
    latency: Latency,
}

impl Reader {
    /// Until told to stop; an error when the device or its server is gone.
    fn run(&mut self, stop: &AtomicBool, health: &Health) -> io::Result<()> {
        while !stop.load(Ordering::Acquire) {
            let Some(message) = self.messages.next()? else { continue };
            if message.channel == Message::COMMAND {
                if let Some(delay) = self.latency.read(message.body) {
                    health.set_delay(delay);
                    continue;
                }
                match tag(message.body) {
                    Some(tag) if tag == CommandTag::RecordStreamKilled as u32 => {
                        return Err(io::ErrorKind::NotFound.into());
                    }
                    Some(tag) if is_move(tag) => health.moved(),
                    Some(tag) if is_change(tag) => health.changed(),
                    _ => {}
                }
            } else if message.channel == self.channel {
                health.call();
                for bytes in message.body.chunks(PIECE * SAMPLE_BYTES) {
                    let mut samples = [0.0; PIECE];
                    let (whole, _) = bytes.as_chunks::<SAMPLE_BYTES>();
                    for (sample, bytes) in samples.iter_mut().zip(whole) {
                        *sample = f32::from_le_bytes(*bytes);
                    }
                    if health.is_stopgap() {
                        samples.fill(0.0);
                    }
                    match self.channels {
                        Channels::One => self.end.push(&samples[..whole.len()]),
                        Channels::Two => self.end.push_stereo(samples[..whole.len()].as_chunks().0),
                    }
                }
                let frames = message.body.len() / SAMPLE_BYTES / self.channels.count();
                self.latency.pass(frames, &mut self.messages, &mut [0; SCRATCH])?;
            }
        }
        Ok(())
    }
}

/// What the server says.
fn tag(mut body: &[u8]) -> Option<u32> {
    TagStructReader::new(&mut body, 0).read_u32().ok()
}
