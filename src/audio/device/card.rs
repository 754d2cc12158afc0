//! Real sound cards. On Linux those of PulseAudio or PipeWire, asked directly, where one of them runs; those of ALSA beside them, and
//! where none does; elsewhere what `cpal` finds, and opens.
//!
//! A card converts samples and rates and copies; its callbacks do not allocate, lock or log. A card that breaks (a plugin that
//! reports underruns without end, a cable pulled) is taken down and opened again with growing pauses by a thread that watches it.

#[cfg(target_os = "linux")]
mod alsa;
mod format;
#[cfg(target_os = "linux")]
mod pulse;
mod quiet;
mod resample;
#[cfg(target_os = "linux")]
mod running;
mod stream;
mod watch;

use super::super::capture::MicWriter;
use super::super::playback::SpeakerReader;
use super::super::spatial::choice::Ears;
use super::{Card, CardError, Wanted};
use cpal::traits::{DeviceTrait, HostTrait};
use quiet::quietly;
use std::fmt;

/// Which way sound goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// A microphone.
    Input,
    /// A speaker.
    Output,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl Direction {
    fn word(self) -> &'static str {
        match self {
            Direction::Input => "input",
            Direction::Output => "output",
        }
    }
}

/// A device as `resonance devices` shows it; one that works both ways is there twice.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceInfo {
    /// What people call it.
    pub name: String,
    /// What the system calls it; chooses it for certain.
    pub id: String,
    /// Microphone or speaker.
    pub direction: Direction,
    /// The system prefers it.
    pub is_default: bool,
    /// Lowest and highest rate, in Hz.
    pub rates: (u32, u32),
    /// Fewest and most channels.
    pub channels: (u16, u16),
}

/// ALSA's converters and dead ends, which its list of devices holds beside the devices.
const NOT_DEVICES: [&str; 12] = [
    "null",
    "lavrate",
    "samplerate",
    "speexrate",
    "speex",
    "jack",
    "oss",
    "upmix",
    "vdownmix",
    "usbstream",
    "dmix",
    "dsnoop",
];

/// What is behind an open card.
#[derive(Clone, Debug, PartialEq)]
struct Behind {
    /// What people call it.
    name: String,
    /// What one listens with there.
    ears: Option<Ears>,
    /// It is no device that anybody wanted: its sound is nobody's voice.
    is_stopgap: bool,
}

#[cfg(target_os = "linux")]
use pulse::Place;
/// Where a stream is: always where it was.
#[cfg(not(target_os = "linux"))]
#[derive(Default)]
struct Place;

/// A device that was found.
#[derive(Clone)]
enum Device {
    /// By `cpal`.
    Cpal(cpal::Device),
    /// By the sound server.
    #[cfg(target_os = "linux")]
    Pulse(pulse::Device),
}

impl Device {
    fn name(&self) -> String {
        match self {
            Self::Cpal(device) => device_name(device),
            #[cfg(target_os = "linux")]
            Self::Pulse(device) => device.name.clone(),
        }
    }

    /// What is behind it at present, if that can be another than when it was opened: for the sound server's stream of this number.
    fn look(&self, place: &mut Place, direction: Direction, stream: u32) -> Option<Behind> {
        match self {
            Self::Cpal(_) => None,
            #[cfg(target_os = "linux")]
            Self::Pulse(device) => place.look(device, direction, stream),
        }
    }

    /// What the system says that one listens with.
    fn ears(&self) -> Option<Ears> {
        match self {
            Self::Cpal(device) => device_ears(device),
            #[cfg(target_os = "linux")]
            Self::Pulse(device) => device.ears,
        }
    }
}

/// Every device that can be opened now, the sound server's first. Opens each of the others for a moment.
pub fn list() -> Vec<DeviceInfo> {
    let served = served();
    quietly(|| {
        let host = cpal::default_host();
        let mut found = served;
        let preferred =
            |found: &[DeviceInfo], direction| found.iter().any(|info| info.direction == direction && info.is_default);
        for direction in [Direction::Input, Direction::Output] {
            let default = default_device(&host, direction);
            let default_id = default.as_ref().and_then(device_id);
            let listed = devices(&host, direction);
            let has_default = preferred(&found, direction);
            let is_listed = listed.iter().any(|device| device_id(device) == default_id);
            for device in default.filter(|_| !is_listed).into_iter().chain(listed) {
                let Some((rates, channels)) = format::range(&device, direction) else { continue };
                let Some(id) = device_id(&device) else { continue };
                found.push(DeviceInfo {
                    name: device_name(&device),
                    direction,
                    is_default: !has_default && Some(&id) == default_id.as_ref(),
                    id,
                    rates,
                    channels,
                });
            }
        }
        found
    })
}

/// Opens a microphone; what it hears goes into `mic`.
///
/// # Errors
/// See [`CardError`].
pub fn open_input(wanted: Wanted<'_>, mic: MicWriter) -> Result<Box<dyn Card>, CardError> {
    open(wanted, Direction::Input, mic)
}

/// Opens a speaker, which plays what comes out of `speaker`.
///
/// # Errors
/// See [`CardError`].
pub fn open_output(wanted: Wanted<'_>, speaker: SpeakerReader) -> Result<Box<dyn Card>, CardError> {
    open(wanted, Direction::Output, speaker)
}

fn open<E: stream::End>(wanted: Wanted<'_>, direction: Direction, end: E) -> Result<Box<dyn Card>, CardError> {
    let device = quietly(|| find(wanted, direction))?;
    let (name, ears) = (device.name(), device.ears());
    match watch::Watched::open(name.clone(), ears, device, end) {
        Ok(card) => Ok(Box::new(card)),
        Err(error) => Err(match (wanted, error.kind()) {
            // A default is always named, even where nothing is behind the name.
            (Wanted::Default, cpal::ErrorKind::DeviceNotAvailable | cpal::ErrorKind::HostUnavailable) => {
                CardError::NoDevice { kind: direction.word() }
            }
            _ => CardError::Refused { device: name, reason: error.to_string() },
        }),
    }
}

/// The sound server's devices.
fn served() -> Vec<DeviceInfo> {
    #[cfg(target_os = "linux")]
    return pulse::devices();
    #[cfg(not(target_os = "linux"))]
    Vec::new()
}

/// One of the sound server's devices.
#[cfg(target_os = "linux")]
fn find_served(wanted: Wanted<'_>, direction: Direction) -> Option<Device> {
    let found = match wanted {
        Wanted::Default => pulse::Device::preferred(direction),
        Wanted::Named(name) => pulse::Device::named(name, direction),
    };
    found.map(Device::Pulse)
}

fn find(wanted: Wanted<'_>, direction: Direction) -> Result<Device, CardError> {
    #[cfg(target_os = "linux")]
    if let Some(device) = find_served(wanted, direction) {
        return Ok(device);
    }
    let host = cpal::default_host();
    let none = || CardError::NoDevice { kind: direction.word() };
    let Wanted::Named(name) = wanted else {
        return default_device(&host, direction).map(Device::Cpal).ok_or_else(none);
    };
    let mut devices = devices(&host, direction);
    let served = served().into_iter().filter(|info| info.direction == direction).map(|info| info.id);
    let available: Vec<String> = served.chain(devices.iter().filter_map(device_id)).collect();
    if available.is_empty() {
        return Err(none());
    }
    let position = devices
        .iter()
        .position(|device| device_id(device).as_deref() == Some(name))
        .or_else(|| devices.iter().position(|device| device_name(device).eq_ignore_ascii_case(name)));
    match position {
        Some(position) => Ok(Device::Cpal(devices.swap_remove(position))),
        None => Err(CardError::NotFound { kind: direction.word(), name: name.to_owned(), available }),
    }
}

fn default_device(host: &cpal::Host, direction: Direction) -> Option<cpal::Device> {
    match direction {
        Direction::Input => host.default_input_device(),
        Direction::Output => host.default_output_device(),
    }
}

fn devices(host: &cpal::Host, direction: Direction) -> Vec<cpal::Device> {
    let Ok(devices) = host.devices() else { return Vec::new() };
    devices
        .filter(|device| match direction {
            Direction::Input => device.supports_input(),
            Direction::Output => device.supports_output(),
        })
        .filter(|device| {
            device_id(device).is_some_and(|id| {
                let plugin = id.split(':').next().unwrap_or_default();
                !NOT_DEVICES.contains(&plugin)
            })
        })
        .collect()
}

/// The id without the host's name, as the system's own tools write it.
fn device_id(device: &cpal::Device) -> Option<String> {
    device.id().ok().map(|id| id.id().to_owned())
}

/// What the system says that one listens with, by the device's kind or by its names.
fn device_ears(device: &cpal::Device) -> Option<Ears> {
    use cpal::device_description::DeviceType;
    let description = device.description().ok()?;
    match description.device_type() {
        DeviceType::Headphones | DeviceType::Headset | DeviceType::Earpiece | DeviceType::HearingAid => {
            Some(Ears::Headphones)
        }
        DeviceType::Speaker => Some(Ears::Speakers),
        _ => Ears::of_device([description.name()].into_iter().chain(description.extended())),
    }
}

fn device_name(device: &cpal::Device) -> String {
    match device.description() {
        Ok(description) => description.name().to_owned(),
        Err(_) => device_id(device).unwrap_or_else(|| "a nameless device".into()),
    }
}
