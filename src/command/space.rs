//! What somebody can say about the space that voices stand in.

use super::{Command, CommandError};

/// A change of what voices are placed with, in the words for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Space {
    /// The measured head: `default`, or a SOFA file.
    Hrtf(String),
    /// The room.
    Acoustics(&'static str),
    /// What is listened with.
    Ears(&'static str),
}

/// The rooms, as they are typed.
const ROOMS: [&str; 3] = ["off", "small", "hall"];
/// What one can listen with.
const EARS: [&str; 3] = ["auto", "headphones", "speakers"];

pub(super) fn hrtf(arguments: &str) -> Result<Command, CommandError> {
    super::rest("hrtf", "FILE|default", arguments, |head| Command::Space(Space::Hrtf(head)))
}

pub(super) fn acoustics(arguments: &str) -> Result<Command, CommandError> {
    let room = ROOMS.into_iter().find(|room| *room == arguments);
    room.map(|room| Command::Space(Space::Acoustics(room))).ok_or(CommandError::Usage("acoustics", "off|small|hall"))
}

pub(super) fn ears(arguments: &str) -> Result<Command, CommandError> {
    let ears = EARS.into_iter().find(|ears| *ears == arguments);
    ears.map(|ears| Command::Space(Space::Ears(ears))).ok_or(CommandError::Usage("ears", "auto|headphones|speakers"))
}

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    #[test]
    fn space_is_changed_by_words_and_a_file() {
        assert_eq!(parse("acoustics hall"), Ok(Command::Space(Space::Acoustics("hall"))));
        assert_eq!(parse("ears speakers"), Ok(Command::Space(Space::Ears("speakers"))));
        assert_eq!(parse("hrtf my head.sofa"), Ok(Command::Space(Space::Hrtf("my head.sofa".into()))));
        assert!(matches!(parse("acoustics cave"), Err(CommandError::Usage("acoustics", _))));
        assert!(matches!(parse("ears"), Err(CommandError::Usage("ears", _))));
        assert!(matches!(parse("hrtf"), Err(CommandError::Usage("hrtf", _))));
    }
}
