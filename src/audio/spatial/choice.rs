//! What a person chooses of the space that voices stand in.

use super::super::choice::ChoiceError;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// All of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SpaceChoice {
    /// Whose ears.
    pub hrtf: HrtfChoice,
    /// Which room.
    pub acoustics: Acoustics,
    /// What is listened with.
    pub ears: EarsChoice,
}

/// The measured head that voices are heard with (`--hrtf FILE`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum HrtfChoice {
    /// The one that comes with the program.
    #[default]
    Embedded,
    /// The same one, by Steam Audio.
    SteamAudio,
    /// A SOFA file.
    File(PathBuf),
}

/// The room that voices stand in (`--acoustics ROOM`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Acoustics {
    /// None: as in the open.
    #[default]
    Off,
    /// A furnished living room.
    Small,
    /// A hall for a few hundred people.
    Hall,
}

/// What is listened with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ears {
    /// Each ear gets its own sound.
    #[default]
    Headphones,
    /// Both ears hear both of them.
    Speakers,
}

/// What is said about that (`--ears EARS`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum EarsChoice {
    /// Whatever the output device says that it is; headphones where it does not say.
    #[default]
    Auto,
    /// This.
    Are(Ears),
}

impl EarsChoice {
    /// What holds, with a device that says this about itself.
    pub fn with(self, device: Option<Ears>) -> Ears {
        match self {
            Self::Auto => device.unwrap_or_default(),
            Self::Are(ears) => ears,
        }
    }
}

impl Ears {
    /// What the names of a device say about it, if anything: systems name their ports for people.
    pub fn of_device<'a>(names: impl Iterator<Item = &'a str>) -> Option<Self> {
        const ON_THE_HEAD: [&str; 5] = ["headphone", "headset", "earphone", "earbud", "hands-free"];
        const IN_THE_ROOM: [&str; 5] = ["speaker", "hdmi", "displayport", "line out", "lineout"];
        let names: Vec<String> = names.map(str::to_lowercase).collect();
        let named = |words: &[&str]| names.iter().any(|name| words.iter().any(|word| name.contains(word)));
        // A jack for both is called after both: what is worn goes first, since a voice in the head is worse than a narrow one.
        if named(&ON_THE_HEAD) { Some(Self::Headphones) } else { named(&IN_THE_ROOM).then_some(Self::Speakers) }
    }
}

impl FromStr for HrtfChoice {
    type Err = ChoiceError;

    fn from_str(text: &str) -> Result<Self, ChoiceError> {
        match text.trim() {
            "" => Err(ChoiceError::Hrtf),
            "default" => Ok(Self::Embedded),
            "steam-audio" => Ok(Self::SteamAudio),
            path => Ok(Self::File(path.into())),
        }
    }
}

impl fmt::Display for HrtfChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded => f.write_str("default"),
            Self::SteamAudio => f.write_str("steam-audio"),
            // Not the words that mean something else.
            Self::File(path) if ["default", "steam-audio"].map(Path::new).contains(&&**path) => {
                write!(f, "./{}", path.display())
            }
            Self::File(path) => write!(f, "{}", path.display()),
        }
    }
}

impl Acoustics {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Small => "small",
            Self::Hall => "hall",
        }
    }
}

impl FromStr for Acoustics {
    type Err = ChoiceError;

    fn from_str(text: &str) -> Result<Self, ChoiceError> {
        let all = [Self::Off, Self::Small, Self::Hall];
        all.into_iter().find(|room| room.word() == text.trim()).ok_or_else(|| ChoiceError::Acoustics(text.into()))
    }
}

impl fmt::Display for Acoustics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for EarsChoice {
    type Err = ChoiceError;

    fn from_str(text: &str) -> Result<Self, ChoiceError> {
        match text.trim() {
            "auto" => Ok(Self::Auto),
            "headphones" => Ok(Self::Are(Ears::Headphones)),
            "speakers" => Ok(Self::Are(Ears::Speakers)),
            other => Err(ChoiceError::Ears(other.into())),
        }
    }
}

impl fmt::Display for EarsChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "auto",
            Self::Are(Ears::Headphones) => "headphones",
            Self::Are(Ears::Speakers) => "speakers",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_choice_is_read_and_written_back() {
        for text in ["off", "small", "hall"] {
            assert_eq!(text.parse::<Acoustics>().map(|room| room.to_string()), Ok(text.into()));
        }
        for text in ["auto", "headphones", "speakers"] {
            assert_eq!(text.parse::<EarsChoice>().map(|ears| ears.to_string()), Ok(text.into()));
        }
        for (text, choice) in [
            ("default", HrtfChoice::Embedded),
            ("steam-audio", HrtfChoice::SteamAudio),
            ("./default", HrtfChoice::File("./default".into())),
            ("my head.sofa", HrtfChoice::File("my head.sofa".into())),
        ] {
            assert_eq!(text.parse(), Ok(choice.clone()));
            assert_eq!(choice.to_string(), text);
        }
        assert!("cave".parse::<Acoustics>().expect_err("no room").to_string().contains("hall"));
        assert!("nose".parse::<EarsChoice>().expect_err("no ears").to_string().contains("headphones"));
        assert!(" ".parse::<HrtfChoice>().is_err());
    }

    #[test]
    fn a_device_is_what_it_is_called() {
        let of = |names: &[&str]| Ears::of_device(names.iter().copied());
        assert_eq!(of(&["Plantronics USB Headset", "hw:1,0"]), Some(Ears::Headphones));
        assert_eq!(of(&["HDA Intel PCH", "HDMI 0"]), Some(Ears::Speakers));
        assert_eq!(of(&["Built-in Audio Headphones / Speakers"]), Some(Ears::Headphones));
        assert_eq!(of(&["Playback/recording through the PulseAudio sound server", "pulse"]), None);
        assert_eq!(EarsChoice::Auto.with(Some(Ears::Speakers)), Ears::Speakers);
        assert_eq!(EarsChoice::Auto.with(None), Ears::Headphones);
        assert_eq!(EarsChoice::Are(Ears::Headphones).with(Some(Ears::Speakers)), Ears::Headphones);
    }
}
