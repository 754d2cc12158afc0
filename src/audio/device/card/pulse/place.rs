//! Where the server has put a stream. When a device goes, the server moves what was there to another, and leaves it there: the device that
//! was asked for is taken again here when it comes back. And where there is no other microphone it takes what a speaker plays for one.

use super::connection::Connection;
use super::{Device, Kind, Listed, list};
use crate::audio::device::card::{Behind, Direction};
use cpal::Error;
use pulseaudio::protocol::command::MoveStreamParams;
use pulseaudio::protocol::{Command, SinkInputInfo, SourceOutputInfo};
use std::ffi::CString;

/// What was known of a stream's device when it was looked at last.
#[derive(Debug, Default)]
pub struct Place {
    /// The id of the last that was behind it and is more than an echo.
    real: Option<String>,
    /// The one that was asked for by its name has gone.
    is_away: bool,
}

impl Place {
    /// Looks where the stream of this number is, and moves it back to the device that was asked for when that has returned.
    pub(in super::super) fn look(&mut self, wanted: &Device, direction: Direction, stream: u32) -> Option<Behind> {
        let mut connection = Connection::open().ok()?;
        let listed: Vec<Listed> =
            list(&mut connection).ok()?.into_iter().filter(|listed| listed.is(direction)).collect();
        let asked = wanted.id.to_str().unwrap_or_default();
        let there = listed.iter().find(|listed| listed.info.id == asked);
        if let Some(there) = there.filter(|_| self.is_away) {
            // Where that is refused it stays where it is.
            let _ = move_to(&mut connection, direction, stream, there);
        }
        // The system's choice has no name of its own.
        self.is_away = there.is_none() && !wanted.is_default(direction);
        let index = index(&mut connection, direction, stream).ok()?;
        let behind = listed.iter().find(|listed| listed.index == index)?;
        if behind.kind == Kind::Real {
            self.real = Some(behind.info.id.clone());
        }
        let is_stopgap = self.is_stopgap(behind, asked, &listed);
        Some(Behind { name: behind.info.name.clone(), ears: behind.ears, is_stopgap })
    }

    /// Whether nobody wanted this: it repeats what a speaker plays, and took the place of a microphone that is not there any more. Whoever
    /// asks for such a thing, or moves the stream there, gets it.
    fn is_stopgap(&self, behind: &Listed, asked: &str, listed: &[Listed]) -> bool {
        let is_gone = |real: &String| !listed.iter().any(|listed| listed.info.id == *real);
        behind.kind == Kind::Monitor && behind.info.id != asked && self.real.as_ref().is_some_and(is_gone)
    }
}

fn index(connection: &mut Connection, direction: Direction, stream: u32) -> Result<u32, Error> {
    Ok(match direction {
        Direction::Input => connection.ask::<SourceOutputInfo>(&Command::GetSourceOutputInfo(stream))?.source_index,
        Direction::Output => connection.ask::<SinkInputInfo>(&Command::GetSinkInputInfo(stream))?.sink_index,
    })
}

fn move_to(connection: &mut Connection, direction: Direction, stream: u32, to: &Listed) -> Result<(), Error> {
    let moved = MoveStreamParams {
        index: Some(stream),
        device_index: None,
        device_name: CString::new(to.info.id.as_str()).ok(),
    };
    connection.order(&match direction {
        Direction::Input => Command::MoveSourceOutput(moved),
        Direction::Output => Command::MoveSinkInput(moved),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::device::card::DeviceInfo;

    fn listed(id: &str, kind: Kind) -> Listed {
        let info = DeviceInfo {
            name: id.to_uppercase(),
            id: id.into(),
            direction: Direction::Input,
            is_default: false,
            rates: (48_000, 48_000),
            channels: (1, 1),
        };
        Listed { index: 0, info, kind, ears: None }
    }

    #[test]
    fn what_a_speaker_plays_is_nobodys_voice_unless_somebody_wanted_it() {
        let echo = || listed("card.monitor", Kind::Monitor);
        let mic = || listed("mic", Kind::Real);
        let after = |id: &str| Place { real: Some(id.into()), is_away: false };
        let default = "@DEFAULT_SOURCE@";
        assert!(after("mic").is_stopgap(&echo(), default, &[echo()]), "its microphone is gone");
        assert!(after("mic").is_stopgap(&echo(), "mic", &[echo()]), "also one that was named");
        assert!(!after("mic").is_stopgap(&echo(), default, &[echo(), mic()]), "somebody moved it there");
        assert!(!after("mic").is_stopgap(&echo(), "card.monitor", &[echo()]), "it was asked for");
        assert!(!Place::default().is_stopgap(&echo(), default, &[echo()]), "it was so from the beginning");
        assert!(!after("old").is_stopgap(&mic(), default, &[echo(), mic()]), "another microphone is one");
    }
}
