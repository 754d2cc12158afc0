//! A speaker: the server asks for sound, the thread takes it out of the ring.

use super::connection::{Connection, Message, Messages};
use super::latency::Latency;
use super::{Device, Direction, is_change, is_move, translate};
use crate::audio::device::card::running::Running;
use crate::audio::device::card::watch::{Health, Loan};
use crate::audio::format::{QUANTUM, SAMPLE_RATE};
use crate::audio::interruptions::Interruptions;
use crate::audio::playback::{MOST_DEMANDED, SpeakerReader};
use cpal::{Error, ErrorKind};
use pulseaudio::protocol::stream::{BufferAttr, StreamFlags};
use pulseaudio::protocol::{
    self, ChannelMap, Command, CommandTag, CreatePlaybackStreamReply, DESCRIPTOR_SIZE, Descriptor, DescriptorFlags,
    PlaybackStreamParams, Prop, Props, SampleFormat, SampleSpec, SetPlaybackStreamBufferAttrParams, SubscriptionMask,
    TagStructReader,
};
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const FRAME_BYTES: usize = 2 * size_of::<f32>();
/// What the device and the server hold, in quanta of 2.5 ms: at first and at the least,
const LEAST: usize = 4;
/// and at the most.
const MOST: usize = 24;
/// After so many frames without an underrun there is one less: 20 s.
const DECAY: u64 = 20 * SAMPLE_RATE as u64;
/// Frames that are written at once, at the most.
const ROOM: usize = MOST_DEMANDED;

/// Opens a sink and starts playing on it: 32-bit floats, stereo, 48 kHz.
///
/// # Errors
/// What the server says, in `cpal`'s words; the end is back with its lender then.
pub fn start_speaker(device: &Device, end: Loan<SpeakerReader>, health: Arc<Health>) -> Result<Running, Error> {
    let mut connection = Connection::open()?;
    let mut props = Props::new();
    props.set(Prop::MediaName, c"voices");
    let stream: CreatePlaybackStreamReply = connection.ask(&Command::CreatePlaybackStream(PlaybackStreamParams {
        sample_spec: SampleSpec { format: SampleFormat::Float32Le, channels: 2, sample_rate: SAMPLE_RATE },
        channel_map: ChannelMap::stereo(),
        sink_name: Some(device.id.clone()),
        buffer_attr: buffer(LEAST),
        flags: StreamFlags { adjust_latency: true, ..StreamFlags::default() },
        props,
        ..PlaybackStreamParams::default()
    }))?;
    let messages = connection.into_messages().map_err(|error| translate(error.into()))?;
    let mut writer = Writer {
        messages,
        channel: stream.channel,
        end,
        frames: vec![[0.0; 2]; ROOM].into_boxed_slice(),
        bytes: vec![0; DESCRIPTOR_SIZE + ROOM * FRAME_BYTES].into_boxed_slice(),
        quanta: LEAST,
        clean: 0,
        underruns: Interruptions::default(),
        latency: Latency::of(stream.channel, Direction::Output, FRAME_BYTES),
    };
    health.set_stream(stream.stream_index);
    let changes = Command::Subscribe(SubscriptionMask::SINK | SubscriptionMask::SERVER);
    writer.messages.send(0, &changes, &mut writer.bytes).map_err(|error| translate(error.into()))?;
    let wanted = stream.requested_bytes as usize / FRAME_BYTES;
    Running::start("audio speaker", move |stop| {
        if writer.run(wanted, stop, &health).is_err() {
            health.error(ErrorKind::DeviceNotAvailable);
        }
    })
}

/// The device and the server hold so many quanta together; it begins when most of them are there.
fn buffer(quanta: usize) -> BufferAttr {
    let bytes = |quanta: usize| (quanta * QUANTUM * FRAME_BYTES) as u32;
    BufferAttr {
        target_length: bytes(quanta),
        pre_buffering: bytes(quanta - 1),
        minimum_request_length: bytes(1),
        ..BufferAttr::default()
    }
}

/// What the server says.
enum Said {
    /// It wants so many bytes.
    Wants(usize),
    /// It had nothing to play.
    Underrun,
    /// The device is gone.
    Gone,
    /// The device is another one.
    Moved,
    /// Something about devices is another way.
    Changed,
    /// Sound is under way for so long.
    Delay(Duration),
    /// Something else, or nothing.
    Other,
}

struct Writer {
    messages: Messages,
    channel: u32,
    end: Loan<SpeakerReader>,
    frames: Box<[[f32; 2]]>,
    /// A message.
    bytes: Box<[u8]>,
    /// What is held at present.
    quanta: usize,
    /// Frames since the last underrun, or since less is held.
    clean: u64,
    underruns: Interruptions,
    latency: Latency,
}

impl Writer {
    /// Until told to stop; an error when the device or its server is gone.
    fn run(&mut self, wanted: usize, stop: &AtomicBool, health: &Health) -> io::Result<()> {
        self.begin(wanted)?;
        while !stop.load(Ordering::Acquire) {
            let said = match self.messages.next()? {
                Some(message) if message.channel == Message::COMMAND => {
                    self.latency.read(message.body).map_or_else(|| read(message.body), Said::Delay)
                }
                _ => Said::Other,
            };
            match said {
                Said::Wants(bytes) => {
                    health.call();
                    self.write(bytes / FRAME_BYTES)?;
                }
                Said::Underrun => {
                    health.error(ErrorKind::Xrun);
                    self.clean = 0;
                    if self.underruns.another() {
                        self.hold((self.quanta + 1).min(MOST))?;
                    }
                }
                Said::Gone => return Err(io::ErrorKind::NotFound.into()),
                Said::Moved => health.moved(),
                Said::Changed => health.changed(),
                Said::Delay(delay) => health.set_delay(delay),
                Said::Other => {}
            }
            if self.clean > DECAY && self.quanta > LEAST {
                self.hold(self.quanta - 1)?;
            }
        }
        Ok(())
    }

    /// The server begins to play when most of what it holds is there, and no ring holds so much in advance: silence.
    fn begin(&mut self, mut wanted: usize) -> io::Result<()> {
        self.frames.fill([0.0; 2]);
        while wanted > 0 {
            let now = wanted.min(ROOM);
            self.send(now)?;
            wanted -= now;
        }
        Ok(())
    }

    /// Takes so many frames out of the ring, and sends them.
    fn write(&mut self, mut wanted: usize) -> io::Result<()> {
        while wanted > 0 {
            let now = wanted.min(ROOM);
            self.end.demand(&mut self.frames[..now]);
            self.send(now)?;
            self.clean += now as u64;
            self.underruns.pass(now);
            self.latency.pass(now, &mut self.messages, &mut self.bytes)?;
            wanted -= now;
        }
        Ok(())
    }

    /// Sends the first so many of `frames`, at most [`ROOM`].
    fn send(&mut self, frames: usize) -> io::Result<()> {
        let frames = &self.frames[..frames];
        let length = frames.len() * FRAME_BYTES;
        let (header, body) = self.bytes.split_at_mut(DESCRIPTOR_SIZE);
        if let Some(header) = header.first_chunk_mut::<DESCRIPTOR_SIZE>() {
            let (channel, flags) = (self.channel, DescriptorFlags::empty());
            protocol::encode_descriptor(header, &Descriptor { length: length as u32, channel, offset: 0, flags });
        }
        let (samples, _) = body.as_chunks_mut::<{ size_of::<f32>() }>();
        for (bytes, sample) in samples.iter_mut().zip(frames.as_flattened()) {
            *bytes = sample.to_le_bytes();
        }
        self.messages.write(&self.bytes[..DESCRIPTOR_SIZE + length])
    }

    /// Lets so many quanta be held from now on.
    fn hold(&mut self, quanta: usize) -> io::Result<()> {
        self.clean = 0;
        if quanta == self.quanta {
            return Ok(());
        }
        self.quanta = quanta;
        let command = Command::SetPlaybackStreamBufferAttr(SetPlaybackStreamBufferAttrParams {
            index: self.channel,
            buffer_attr: buffer(quanta),
            adjust_latency: true,
            early_requests: false,
        });
        self.messages.send(0, &command, &mut self.bytes)
    }
}

fn read(mut body: &[u8]) -> Said {
    let mut fields = TagStructReader::new(&mut body, 0);
    // Every command has its tag and a number that belongs to questions.
    let (Ok(tag), Ok(_)) = (fields.read_u32(), fields.read_u32()) else { return Said::Other };
    if tag == CommandTag::Request as u32 {
        let (Ok(_), Ok(bytes)) = (fields.read_u32(), fields.read_u32()) else { return Said::Other };
        Said::Wants(bytes as usize)
    } else if tag == CommandTag::Underflow as u32 {
        Said::Underrun
    } else if tag == CommandTag::PlaybackStreamKilled as u32 {
        Said::Gone
    } else if is_move(tag) {
        Said::Moved
    } else if is_change(tag) {
        Said::Changed
    } else {
        Said::Other
    }
}
