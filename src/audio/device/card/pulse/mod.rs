//! Devices of PulseAudio, and of PipeWire, which speaks its language: asked over the server's socket, without ALSA's plugin in between.
//!
//! The plugin keeps periods of its own on top of the server's, calls early, and locks and allocates on the threads that it calls. Here a
//! thread reads what the server says and writes what it asks for, nothing else. The server converts rates and channels, moves
//! streams when the default device changes, and says when a device is gone.

mod connection;
mod microphone;
mod speaker;

pub(super) use microphone::start_microphone;
pub(super) use speaker::start_speaker;

use super::{DeviceInfo, Direction};
use connection::Connection;
use cpal::{Error, ErrorKind};
use pulseaudio::protocol::{
    Command, DEFAULT_SINK, DEFAULT_SOURCE, ProtocolError, PulseError, SampleSpec, ServerInfo, SinkInfoList,
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
}

impl Device {
    /// What the server prefers, or what the person prefers for this program by PulseAudio's own variables; none without a server.
    pub fn preferred(direction: Direction) -> Option<Self> {
        let (variable, default) = match direction {
            Direction::Input => ("PULSE_SOURCE", DEFAULT_SOURCE),
            Direction::Output => ("PULSE_SINK", DEFAULT_SINK),
        };
        let listed = list().ok()?;
        let chosen = env::var(variable).ok().filter(|name| !name.is_empty());
        if let Some(chosen) = &chosen {
            let named = listed.iter().find(|(info, _)| info.direction == direction && info.id == *chosen);
            return Some(Self { id: CString::new(chosen.as_str()).ok()?, name: named?.0.name.clone() });
        }
        let (info, _) = listed.iter().find(|(info, _)| info.direction == direction && info.is_default)?;
        // Not the device's own name: the server then moves the stream when another becomes the default.
        Some(Self { id: default.to_owned(), name: info.name.clone() })
    }

    /// The device of this id or name; none without a server.
    pub fn named(name: &str, direction: Direction) -> Option<Self> {
        let listed = list().ok()?;
        let mut all = listed.into_iter().map(|(info, _)| info).filter(|info| info.direction == direction);
        let is = |info: &DeviceInfo| info.id == name || info.name.eq_ignore_ascii_case(name);
        let info = all.find(is)?;
        Some(Self { id: CString::new(info.id).ok()?, name: info.name })
    }
}

/// Every device of the server; none without a server.
pub(super) fn devices() -> Vec<DeviceInfo> {
    let listed = list().unwrap_or_default();
    listed.into_iter().filter(|(_, kind)| *kind == Kind::Real).map(|(info, _)| info).collect()
}

/// Whether a source is a microphone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Real,
    /// It repeats what a speaker plays: nobody's microphone, but it can be chosen by its name.
    Monitor,
}

fn list() -> Result<Vec<(DeviceInfo, Kind)>, Error> {
    let mut connection = Connection::open()?;
    let server: ServerInfo = connection.ask(&Command::GetServerInfo)?;
    let sources: SourceInfoList = connection.ask(&Command::GetSourceInfoList)?;
    let sinks: SinkInfoList = connection.ask(&Command::GetSinkInfoList)?;
    let sources = sources.into_iter().map(|source| {
        let kind = if source.monitor_of_sink_index.is_some() { Kind::Monitor } else { Kind::Real };
        let is_default = server.default_source_name.as_ref() == Some(&source.name);
        (info(&source.name, source.description.as_deref(), source.sample_spec, Direction::Input, is_default), kind)
    });
    let sinks = sinks.into_iter().map(|sink| {
        let is_default = server.default_sink_name.as_ref() == Some(&sink.name);
        let sink = info(&sink.name, sink.description.as_deref(), sink.sample_spec, Direction::Output, is_default);
        (sink, Kind::Real)
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
