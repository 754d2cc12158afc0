//! Which code does it.

use std::fmt;
use std::str::FromStr;

/// What the stages are made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Engine {
    /// WebRTC's ported to Rust, and RNNoise: always there.
    #[default]
    Sonora,
    /// WebRTC's own, in C++: where it was built in.
    Webrtc,
}

/// Not the name of an engine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown(String);

/// Why an engine cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absent {
    /// It was left out of this program.
    NotBuiltIn,
    /// It does not start, for this reason.
    Refused(String),
}

impl Engine {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sonora => "sonora",
            Self::Webrtc => "webrtc",
        }
    }

    /// Those that this program has.
    pub const BUILT_IN: &[Self] =
        if cfg!(feature = "webrtc-apm") { &[Self::Sonora, Self::Webrtc] } else { &[Self::Sonora] };
}

impl FromStr for Engine {
    type Err = Unknown;

    fn from_str(text: &str) -> Result<Self, Unknown> {
        let known = [Self::Sonora, Self::Webrtc].into_iter().find(|engine| engine.word() == text.trim());
        known.ok_or_else(|| Unknown(text.into()))
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\" does not process voices; it is: sonora, or webrtc where that is built in", self.0)
    }
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotBuiltIn => f.write_str("this program was built without it (feature webrtc-apm)"),
            Self::Refused(why) => write!(f, "it does not start: {why}"),
        }
    }
}

impl std::error::Error for Unknown {}
impl std::error::Error for Absent {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Voice;

    #[test]
    fn every_engine_is_read_and_written_back_and_is_there_or_says_why_not() {
        for (word, engine) in [("sonora", Engine::Sonora), ("webrtc", Engine::Webrtc)] {
            assert_eq!(word.parse(), Ok(engine));
            assert_eq!(engine.to_string(), word);
            match Voice::with(engine) {
                Ok(voice) => assert!(Engine::BUILT_IN.contains(&engine) && voice.engine().starts_with(word)),
                Err(absent) => {
                    assert!(!Engine::BUILT_IN.contains(&engine), "{absent}");
                    assert!(absent.to_string().contains("webrtc-apm"), "{absent}");
                }
            }
        }
        assert!("speex".parse::<Engine>().expect_err("no engine").to_string().contains("sonora"));
    }
}
