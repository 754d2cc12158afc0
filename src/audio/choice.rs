//! What a person writes to choose where sound comes from and goes to.

use super::format::Channels;
use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use thiserror::Error;

/// Where this side's sound comes from (`--input SRC`).
#[derive(Clone, Debug, PartialEq)]
pub enum InputChoice {
    /// The microphone that the system prefers.
    Default,
    /// A device's name or id.
    Device(String),
    /// A WAV file in real time.
    Wav {
        /// The file; any rate and number of channels.
        path: PathBuf,
        /// Repeated without end; otherwise played once, then silence.
        looped: bool,
    },
    /// A sine at −12 dBFS.
    Tone {
        /// Its frequency in Hz.
        hz: f32,
    },
    /// Silence.
    Silence,
}

/// Where the others' sound goes (`--output DST`).
#[derive(Clone, Debug, PartialEq)]
pub enum OutputChoice {
    /// The speaker that the system prefers.
    Default,
    /// A device's name or id.
    Device(String),
    /// A WAV file, 48 kHz stereo: what the ears would hear.
    Wav(PathBuf),
    /// A folder with one mono WAV file a peer, before placement, named by the peer's short id.
    WavPerPeer(PathBuf),
    /// Nowhere, in real time.
    Null,
}

/// Echo cancelling, noise suppression and gain (`--voice MODE`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VoiceMode {
    /// Always.
    On,
    /// Never.
    Off,
    /// For devices only: a file is clean already.
    #[default]
    Auto,
    /// Never, and all of it is sent, in stereo: an instrument, a record.
    Music,
}

/// Why a choice could not be read. Each says what is possible.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ChoiceError {
    /// Not an input.
    #[error("{0}; an input is: default, a device's name, wav:FILE, wav-loop:FILE, tone:HZ or silence")]
    Input(String),
    /// Not an output.
    #[error("{0}; an output is: default, a device's name, wav:FILE, wav-per-peer:DIR or null")]
    Output(String),
    /// No measured head.
    #[error("no head was named; it is: default, steam-audio, or a SOFA file")]
    Hrtf,
    /// Not a room.
    #[error("\"{0}\" is no room: off, small or hall")]
    Acoustics(String),
    /// Not what one listens with.
    #[error("\"{0}\" is nothing that one listens with: auto, headphones or speakers")]
    Ears(String),
    /// Not a voice mode.
    #[error("\"{0}\" is not a voice mode: on, off, auto or music")]
    Voice(String),
}

/// What a tone may be: what can be heard and what 48 kHz can carry.
const TONE_HZ: std::ops::RangeInclusive<f32> = 20.0..=20_000.0;

impl InputChoice {
    /// Whether a real device is meant.
    pub fn is_device(&self) -> bool {
        matches!(self, Self::Default | Self::Device(_))
    }
}

impl OutputChoice {
    /// Whether a real device is meant.
    pub fn is_device(&self) -> bool {
        matches!(self, Self::Default | Self::Device(_))
    }
}

impl VoiceMode {
    /// Whether sound from `input` is processed.
    pub fn applies_to(self, input: &InputChoice) -> bool {
        match self {
            Self::On => true,
            Self::Off | Self::Music => false,
            Self::Auto => input.is_device(),
        }
    }

    /// What is taken from the input.
    pub fn channels(self) -> Channels {
        if self == Self::Music { Channels::Two } else { Channels::One }
    }
}

impl FromStr for InputChoice {
    type Err = ChoiceError;

    fn from_str(text: &str) -> Result<Self, ChoiceError> {
        let text = text.trim();
        let wav = |path: &str, looped| match path {
            "" => Err(ChoiceError::Input("no file was named".into())),
            path => Ok(Self::Wav { path: path.into(), looped }),
        };
        match text {
            "" => Err(ChoiceError::Input("nothing was named".into())),
            "default" => Ok(Self::Default),
            "silence" => Ok(Self::Silence),
            _ => {
                if let Some(path) = text.strip_prefix("wav:") {
                    wav(path, false)
                } else if let Some(path) = text.strip_prefix("wav-loop:") {
                    wav(path, true)
                } else if let Some(hz) = text.strip_prefix("tone:") {
                    match hz.parse() {
                        Ok(hz) if TONE_HZ.contains(&hz) => Ok(Self::Tone { hz }),
                        _ => Err(ChoiceError::Input(format!("\"{hz}\" is not a frequency from 20 to 20000 Hz"))),
                    }
                } else {
                    Ok(Self::Device(text.into()))
                }
            }
        }
    }
}

impl fmt::Display for InputChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Device(name) => f.write_str(name),
            Self::Wav { path, looped: false } => write!(f, "wav:{}", path.display()),
            Self::Wav { path, looped: true } => write!(f, "wav-loop:{}", path.display()),
            Self::Tone { hz } => write!(f, "tone:{hz}"),
            Self::Silence => f.write_str("silence"),
        }
    }
}

impl FromStr for OutputChoice {
    type Err = ChoiceError;

    fn from_str(text: &str) -> Result<Self, ChoiceError> {
        let text = text.trim();
        match text {
            "" => Err(ChoiceError::Output("nothing was named".into())),
            "default" => Ok(Self::Default),
            "null" => Ok(Self::Null),
            "wav:" => Err(ChoiceError::Output("no file was named".into())),
            "wav-per-peer:" => Err(ChoiceError::Output("no folder was named".into())),
            _ => Ok(if let Some(path) = text.strip_prefix("wav:") {
                Self::Wav(path.into())
            } else if let Some(path) = text.strip_prefix("wav-per-peer:") {
                Self::WavPerPeer(path.into())
            } else {
                Self::Device(text.into())
            }),
        }
    }
}

impl fmt::Display for OutputChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Device(name) => f.write_str(name),
            Self::Wav(path) => write!(f, "wav:{}", path.display()),
            Self::WavPerPeer(path) => write!(f, "wav-per-peer:{}", path.display()),
            Self::Null => f.write_str("null"),
        }
    }
}

impl fmt::Display for VoiceMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::On => "on",
            Self::Off => "off",
            Self::Auto => "auto",
            Self::Music => "music",
        })
    }
}

impl FromStr for VoiceMode {
    type Err = ChoiceError;

    fn from_str(text: &str) -> Result<Self, ChoiceError> {
        match text.trim() {
            "on" => Ok(Self::On),
            "off" => Ok(Self::Off),
            "auto" => Ok(Self::Auto),
            "music" => Ok(Self::Music),
            other => Err(ChoiceError::Voice(other.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_is_read_and_written_back() {
        for (text, choice) in [
            ("default", InputChoice::Default),
            ("silence", InputChoice::Silence),
            ("wav:a b.wav", InputChoice::Wav { path: "a b.wav".into(), looped: false }),
            ("wav-loop:/x/y.wav", InputChoice::Wav { path: "/x/y.wav".into(), looped: true }),
            ("tone:440", InputChoice::Tone { hz: 440.0 }),
            ("hw:0,0", InputChoice::Device("hw:0,0".into())),
            ("Silence of the lambs", InputChoice::Device("Silence of the lambs".into())),
        ] {
            assert_eq!(text.parse(), Ok(choice.clone()), "{text}");
            assert_eq!(choice.to_string(), text);
        }
    }

    #[test]
    fn every_output_is_read_and_written_back() {
        for (text, choice) in [
            ("default", OutputChoice::Default),
            ("null", OutputChoice::Null),
            ("wav:out.wav", OutputChoice::Wav("out.wav".into())),
            ("wav-per-peer:voices", OutputChoice::WavPerPeer("voices".into())),
            ("USB Headset", OutputChoice::Device("USB Headset".into())),
        ] {
            assert_eq!(text.parse(), Ok(choice.clone()), "{text}");
            assert_eq!(choice.to_string(), text);
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_and_the_answer_says_what_can() {
        for text in ["", "  ", "wav:", "wav-loop:", "tone:", "tone:loud", "tone:NaN", "tone:5", "tone:96000"] {
            let error = text.parse::<InputChoice>().expect_err(text).to_string();
            assert!(error.contains("wav-loop:FILE") && error.contains("silence"), "{text}: {error}");
        }
        for text in ["", "wav:", "wav-per-peer:"] {
            let error = text.parse::<OutputChoice>().expect_err(text).to_string();
            assert!(error.contains("wav-per-peer:DIR") && error.contains("null"), "{text}: {error}");
        }
        for mode in [VoiceMode::On, VoiceMode::Off, VoiceMode::Auto, VoiceMode::Music] {
            assert_eq!(mode.to_string().parse(), Ok(mode));
        }
        assert!("loud".parse::<VoiceMode>().expect_err("no mode").to_string().contains("auto"));
    }

    #[test]
    fn voice_processing_is_for_devices_unless_asked_for() {
        let file = InputChoice::Wav { path: "a.wav".into(), looped: false };
        assert!(VoiceMode::Auto.applies_to(&InputChoice::Default));
        assert!(VoiceMode::Auto.applies_to(&InputChoice::Device("x".into())));
        assert!(!VoiceMode::Auto.applies_to(&file));
        assert!(VoiceMode::On.applies_to(&file));
        assert!(!VoiceMode::Off.applies_to(&InputChoice::Default));
        assert!(!VoiceMode::Music.applies_to(&InputChoice::Default));
    }
}
