//! Devices of PulseAudio, and of PipeWire, which speaks its language: asked over the server's socket, without ALSA's plugin in between.
//!
//! The plugin keeps periods of its own on top of the server's, calls early, and locks and allocates on the threads that it calls. Here a
//! thread reads what the server says and writes what it asks for, nothing else. The server converts rates and channels, moves
//! streams when the default device changes, and says when a device is gone.

mod connection;
mod latency;
mod microphone;
mod place;
mod speaker;

pub(super) use microphone::start_microphone;
pub(super) use place::Place;
pub(super) use speaker::start_speaker;

use super::{DeviceInfo, Direction};
use crate::audio::spatial::choice::Ears;
use connection::Connection;
use cpal::{Error, ErrorKind};
use pulseaudio::protocol::port_info::{PortInfo, PortType};
use pulseaudio::protocol::{
    Command, CommandTag, DEFAULT_SINK, DEFAULT_SOURCE, ProtocolError, PulseError, SampleSpec, ServerInfo, SinkInfoList,
    SourceInfoList,
};
use std::env;
use std::ffi::{CStr, CString};

/// How long the server may take to answer, and the longest that a device's thread looks at nothing else.
const ANSWERS_MS: u64 = 2_000;

/// A device as the server names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Device {
    id: CString,
    /// What people call it.
    pub name: String,
    /// What is plugged in, or built in, there.
    pub ears: Option<Ears>,
}

impl Device {
    /// What the server prefers, or what the person prefers for this program by PulseAudio's own variables; none without a server.
    pub fn preferred(direction: Direction) -> Option<Self> {
        let (variable, default) = match direction {
            Direction::Input => ("PULSE_SOURCE", DEFAULT_SOURCE),
            Direction::Output => ("PULSE_SINK", DEFAULT_SINK),
        };
        let listed = list(&mut Connection::open().ok()?).ok()?;
        let chosen = env::var(variable).ok().filter(|name| !name.is_empty());
        if let Some(chosen) = &chosen {
            let named = listed.iter().find(|listed| listed.is(direction) && listed.info.id == *chosen)?;
            let id = CString::new(chosen.as_str()).ok()?;
            return Some(Self { id, name: named.info.name.clone(), ears: named.ears });
        }
        let found = listed.iter().find(|listed| listed.is(direction) && listed.info.is_default)?;
        // Not the device's own name: the server then moves the stream when another becomes the default.
        Some(Self { id: default.to_owned(), name: found.info.name.clone(), ears: found.ears })
    }

    /// Whether it is what the server prefers, whatever that is.
    fn is_default(&self, direction: Direction) -> bool {
        *self.id
            == *match direction {
                Direction::Input => DEFAULT_SOURCE,
                Direction::Output => DEFAULT_SINK,
            }
    }

    /// The device of this id or name; none without a server.
    pub fn named(name: &str, direction: Direction) -> Option<Self> {
        let listed = list(&mut Connection::open().ok()?).ok()?;
        let is = |info: &DeviceInfo| info.id == name || info.name.eq_ignore_ascii_case(name);
        let Listed { info, ears, .. } = listed.into_iter().find(|listed| listed.is(direction) && is(&listed.info))?;
        Some(Self { id: CString::new(info.id).ok()?, name: info.name, ears })
    }
}

/// Whether the stream is at another device from now on.
fn is_move(tag: u32) -> bool {
    [CommandTag::PlaybackStreamMoved, CommandTag::RecordStreamMoved].iter().any(|known| *known as u32 == tag)
}

/// Whether something was said about devices that a stream may be concerned by: that another one is preferred, or that something was plugged
/// in, or out.
fn is_change(tag: u32) -> bool {
    tag == CommandTag::SubscribeEvent as u32
}

/// Every device of the server; none without a server.
pub(super) fn devices() -> Vec<DeviceInfo> {
    let listed = Connection::open().and_then(|mut connection| list(&mut connection)).unwrap_or_default();
    listed.into_iter().filter(|listed| listed.kind == Kind::Real).map(|listed| listed.info).collect()
}

/// Whether a source is a microphone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Real,
    /// It repeats what a speaker plays: nobody's microphone, but it can be chosen by its name.
    Monitor,
}

/// What the server says about a device.
struct Listed {
    /// Its number.
    index: u32,
    info: DeviceInfo,
    kind: Kind,
    ears: Option<Ears>,
}

impl Listed {
    fn is(&self, direction: Direction) -> bool {
        self.info.direction == direction
    }
}

/// What one listens with, by the port that sound leaves by.
fn ears(port: &PortInfo) -> Option<Ears> {
    match port.port_type {
        PortType::Headphones | PortType::Headset | PortType::Handset | PortType::Earpiece | PortType::Handsfree => {
            Some(Ears::Headphones)
        }
        PortType::Speaker | PortType::Hdmi | PortType::Tv | PortType::Spdif | PortType::Car | PortType::Hifi => {
            Some(Ears::Speakers)
        }
        _ => {
            let names = [Some(&port.name), port.description.as_ref()].into_iter().flatten();
            let names: Vec<_> = names.map(|name| name.to_string_lossy()).collect();
            Ears::of_device(names.iter().map(AsRef::as_ref))
        }
    }
}

/// Every device that the server has.
fn list(connection: &mut Connection) -> Result<Vec<Listed>, Error> {
    let server: ServerInfo = connection.ask(&Command::GetServerInfo)?;
    let sources: SourceInfoList = connection.ask(&Command::GetSourceInfoList)?;
    let sinks: SinkInfoList = connection.ask(&Command::GetSinkInfoList)?;
    let sources = sources.into_iter().map(|source| {
        let kind = if source.monitor_of_sink_index.is_some() { Kind::Monitor } else { Kind::Real };
        let is_default = server.default_source_name.as_ref() == Some(&source.name);
        let description = source.description.as_deref();
        let info = info(&source.name, description, source.sample_spec, Direction::Input, is_default);
        Listed { index: source.index, info, kind, ears: None }
    });
    let sinks = sinks.into_iter().map(|sink| {
        let is_default = server.default_sink_name.as_ref() == Some(&sink.name);
        let by_port = sink.ports.get(sink.active_port).and_then(ears);
        let info = info(&sink.name, sink.description.as_deref(), sink.sample_spec, Direction::Output, is_default);
        // A headset has no ports, but its name.
        let ears = by_port.or_else(|| Ears::of_device([info.name.as_str()].into_iter()));
        Listed { index: sink.index, info, kind: Kind::Real, ears }
    });
    Ok(sources.chain(sinks).collect())
}

fn info(
    id: &CStr,
    description: Option<&CStr>,
    format: SampleSpec,
    direction: Direction,
    is_default: bool,
) -> DeviceInfo {
    let channels = u16::from(format.channels);
    DeviceInfo {
        name: description.unwrap_or(id).to_string_lossy().into_owned(),
        id: id.to_string_lossy().into_owned(),
        direction,
        is_default,
        rates: (format.sample_rate, format.sample_rate),
        channels: (channels, channels),
    }
}

/// The server's errors in `cpal`'s words.
fn translate(error: ProtocolError) -> Error {
    let kind = match &error {
        ProtocolError::ServerError(PulseError::AccessDenied | PulseError::AuthKey) => ErrorKind::PermissionDenied,
        ProtocolError::ServerError(PulseError::NoEntity | PulseError::Killed) => ErrorKind::DeviceNotAvailable,
        ProtocolError::Io(_) => ErrorKind::HostUnavailable,
        _ => ErrorKind::BackendError,
    };
    Error::with_message(kind, format!("the sound server says: {error}"))
}
