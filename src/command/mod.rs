//! Every verb a person can use, declared once: the palette, the help page, headless input and the key hints are made from this table.

mod space;

pub use space::Space;

use resonance_protocol::position::Position;

/// What a person asks for. `String` peers are an id or an unambiguous name; the session resolves them.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Send silence instead of the microphone.
    Mute,
    /// Send the microphone again.
    Unmute,
    /// Hear nobody.
    Deafen,
    /// Hear everybody again.
    Undeafen,
    /// Write a line to everyone.
    Say(String),
    /// Put somebody's voice elsewhere; what is `None` stays as it is.
    Move {
        /// Who.
        peer: String,
        /// Degrees clockwise from ahead.
        azimuth_deg: f32,
        /// Metres.
        distance_m: Option<f32>,
        /// Degrees above the ears.
        elevation_deg: Option<f32>,
    },
    /// Put everybody's voice where an arrangement of the room wants it.
    Arrange(Arrangement),
    /// Turn one's own head: degrees clockwise.
    Face(f32),
    /// Change how loud somebody is, in dB.
    Volume {
        /// Who.
        peer: String,
        /// −60 to +12 dB.
        db: f32,
    },
    /// Remember that the safety numbers match.
    Verify(String),
    /// Forget that.
    Unverify(String),
    /// Go on after the oldest alarm.
    Dismiss,
    /// Show safety numbers: of one person or of all.
    Safety(Option<String>),
    /// Change the microphone.
    Input(String),
    /// Change the speaker.
    Output(String),
    /// Record everybody: in this folder, or where recordings go.
    Record(Option<String>),
    /// Record no more.
    StopRecording,
    /// Process the voice otherwise, or send music.
    Voice(&'static str),
    /// Change what voices are placed with.
    Space(Space),
    /// Show measurements now.
    Stats,
    /// Show the link.
    Link,
    /// Newcomers have to knock from now on.
    Lock,
    /// Everyone with the link may come in again.
    Unlock,
    /// Let in somebody who knocks.
    Admit(String),
    /// Turn away somebody who knocks.
    Refuse(String),
    /// Remove somebody, and change the link.
    Kick(String),
    /// Make somebody else the host.
    Handover(String),
    /// Leave.
    Quit,
}

/// Where people sit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrangement {
    /// On an arc in front: as they come.
    Arc,
    /// Around a table, at which one sits oneself.
    Table,
    /// Beside each other, some metres ahead.
    Stage,
}

impl Arrangement {
    /// All of them, with the words for them.
    pub const ALL: [(Self, &str); 3] = [(Self::Arc, "arc"), (Self::Table, "table"), (Self::Stage, "stage")];
}

/// A row of the table.
pub struct Verb {
    /// The word that is typed.
    pub name: &'static str,
    /// Its arguments, as help shows them.
    pub arguments: &'static str,
    /// One line of help.
    pub help: &'static str,
    parse: fn(&str) -> Result<Command, CommandError>,
}

/// Why a line is not a command. The text says what to do.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum CommandError {
    /// Nothing was typed.
    #[error("nothing to do: type a command, or `help` for the list")]
    Empty,
    /// No such verb.
    #[error("there is no command `{0}`: try {1}")]
    Unknown(String, String),
    /// Something is missing or too much.
    #[error("usage: {0} {1}")]
    Usage(&'static str, &'static str),
    /// A number is not one, or out of range.
    #[error("`{0}` is not a number between {1} and {2}")]
    Number(String, i32, i32),
}

/// The longest text that `say` takes, in bytes: fits the channel's second size class.
pub const MAX_TEXT_BYTES: usize = 900;

/// Loudness that can be asked for, in dB.
pub const VOLUME_DB: std::ops::RangeInclusive<i32> = -60..=12;

/// What is done to the own voice.
const VOICES: [&str; 4] = ["auto", "on", "off", "music"];

/// The table.
pub const VERBS: &[Verb] = &[
    Verb {
        name: "mute",
        arguments: "",
        help: "send silence instead of the microphone",
        parse: |a| none("mute", a, Command::Mute),
    },
    Verb {
        name: "unmute",
        arguments: "",
        help: "send the microphone again",
        parse: |a| none("unmute", a, Command::Unmute),
    },
    Verb { name: "deafen", arguments: "", help: "hear nobody", parse: |a| none("deafen", a, Command::Deafen) },
    Verb {
        name: "undeafen",
        arguments: "",
        help: "hear everybody again",
        parse: |a| none("undeafen", a, Command::Undeafen),
    },
    Verb { name: "say", arguments: "TEXT", help: "write a line to everyone", parse: say },
    Verb {
        name: "move",
        arguments: "PEER AZIMUTH_DEG [DISTANCE_M [ELEVATION_DEG]]",
        help: "put a voice elsewhere: 0 is ahead, 90 right",
        parse: move_peer,
    },
    Verb {
        name: "arrange",
        arguments: "arc|table|stage",
        help: "seat everybody: on an arc, round a table, on a stage",
        parse: arrange,
    },
    Verb { name: "face", arguments: "DEG", help: "turn your head, clockwise", parse: face },
    Verb { name: "volume", arguments: "PEER DB", help: "how loud somebody is, -60 to 12 dB", parse: volume },
    Verb {
        name: "verify",
        arguments: "PEER",
        help: "the safety numbers match: mark as verified",
        parse: |a| rest("verify", "PEER", a, Command::Verify),
    },
    Verb {
        name: "unverify",
        arguments: "PEER",
        help: "take that back",
        parse: |a| rest("unverify", "PEER", a, Command::Unverify),
    },
    Verb {
        name: "dismiss",
        arguments: "",
        help: "go on after an alarm that you have read",
        parse: |a| none("dismiss", a, Command::Dismiss),
    },
    Verb { name: "safety", arguments: "[PEER]", help: "show safety numbers to compare", parse: safety },
    Verb {
        name: "input",
        arguments: "SRC",
        help: "change the microphone: a device, wav:FILE, tone:HZ, silence",
        parse: |a| rest("input", "SRC", a, Command::Input),
    },
    Verb {
        name: "output",
        arguments: "DST",
        help: "change the speaker: a device, wav:FILE, null",
        parse: |a| rest("output", "DST", a, Command::Output),
    },
    Verb {
        name: "voice",
        arguments: "auto|on|off|music",
        help: "clean your voice; music: not at all, in stereo",
        parse: voice,
    },
    Verb {
        name: "record",
        arguments: "[DIR]",
        help: "record everybody, a file each; everybody is told",
        parse: |a| Ok(Command::Record((!a.is_empty()).then(|| a.to_owned()))),
    },
    Verb {
        name: "stop-recording",
        arguments: "",
        help: "end that, and say where the files are",
        parse: |a| none("stop-recording", a, Command::StopRecording),
    },
    Verb {
        name: "ears",
        arguments: "auto|headphones|speakers",
        help: "what you listen with: ears of your own each, or two speakers",
        parse: space::ears,
    },
    Verb {
        name: "acoustics",
        arguments: "off|small|hall",
        help: "the room that voices stand in, in headphones",
        parse: space::acoustics,
    },
    Verb { name: "hrtf", arguments: "FILE|default", help: "hear with other ears: a SOFA file", parse: space::hrtf },
    Verb { name: "stats", arguments: "", help: "show measurements now", parse: |a| none("stats", a, Command::Stats) },
    Verb {
        name: "link",
        arguments: "",
        help: "show the link that invites people",
        parse: |a| none("link", a, Command::Link),
    },
    Verb {
        name: "lock",
        arguments: "",
        help: "whoever comes has to knock (host only)",
        parse: |a| none("lock", a, Command::Lock),
    },
    Verb {
        name: "unlock",
        arguments: "",
        help: "everyone with the link may come in again (host only)",
        parse: |a| none("unlock", a, Command::Unlock),
    },
    Verb {
        name: "admit",
        arguments: "PEER",
        help: "let in somebody who knocks",
        parse: |a| rest("admit", "PEER", a, Command::Admit),
    },
    Verb {
        name: "refuse",
        arguments: "PEER",
        help: "turn away somebody who knocks",
        parse: |a| rest("refuse", "PEER", a, Command::Refuse),
    },
    Verb {
        name: "kick",
        arguments: "PEER",
        help: "remove somebody and change the link (host only)",
        parse: |a| rest("kick", "PEER", a, Command::Kick),
    },
    Verb {
        name: "handover",
        arguments: "PEER",
        help: "make somebody else the host, for good (host only)",
        parse: |a| rest("handover", "PEER", a, Command::Handover),
    },
    Verb { name: "quit", arguments: "", help: "leave the session", parse: |a| none("quit", a, Command::Quit) },
];

/// Parses one typed line; a leading `/` or `:` is allowed.
///
/// # Errors
/// Says what is wrong and what would be right; nothing is changed.
pub fn parse(line: &str) -> Result<Command, CommandError> {
    let line = line.trim().trim_start_matches(['/', ':']).trim_start();
    let (name, arguments) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    if name.is_empty() {
        return Err(CommandError::Empty);
    }
    match VERBS.iter().find(|verb| verb.name == name) {
        Some(verb) => (verb.parse)(arguments.trim()),
        None => {
            let shown = name.chars().filter(|c| !c.is_control()).take(24).collect();
            let names: Vec<_> = VERBS.iter().map(|verb| verb.name).collect();
            Err(CommandError::Unknown(shown, names.join(", ")))
        }
    }
}

fn none(name: &'static str, arguments: &str, command: Command) -> Result<Command, CommandError> {
    if arguments.is_empty() { Ok(command) } else { Err(CommandError::Usage(name, "(nothing after it)")) }
}

fn rest(
    name: &'static str,
    usage: &'static str,
    arguments: &str,
    make: fn(String) -> Command,
) -> Result<Command, CommandError> {
    if arguments.is_empty() { Err(CommandError::Usage(name, usage)) } else { Ok(make(arguments.to_owned())) }
}

fn say(arguments: &str) -> Result<Command, CommandError> {
    if arguments.is_empty() || arguments.len() > MAX_TEXT_BYTES {
        return Err(CommandError::Usage("say", "TEXT (at most 900 bytes)"));
    }
    Ok(Command::Say(arguments.to_owned()))
}

fn safety(arguments: &str) -> Result<Command, CommandError> {
    Ok(Command::Safety((!arguments.is_empty()).then(|| arguments.to_owned())))
}

fn voice(arguments: &str) -> Result<Command, CommandError> {
    let mode = VOICES.into_iter().find(|mode| *mode == arguments);
    mode.map(Command::Voice).ok_or(CommandError::Usage("voice", "auto|on|off|music"))
}

fn arrange(arguments: &str) -> Result<Command, CommandError> {
    let wanted = Arrangement::ALL.iter().find(|(_, word)| *word == arguments);
    wanted
        .map(|(arrangement, _)| Command::Arrange(*arrangement))
        .ok_or(CommandError::Usage("arrange", "arc|table|stage"))
}

fn face(arguments: &str) -> Result<Command, CommandError> {
    if arguments.is_empty() {
        return Err(CommandError::Usage("face", "DEG"));
    }
    Ok(Command::Face(number(arguments, -360, 360)?))
}

/// Splits `NAME WITH SPACES n1 n2 …` from the right: a name may hold spaces, numbers may not.
fn peer_and_numbers(arguments: &str, most: usize) -> Option<(String, Vec<&str>)> {
    let words: Vec<&str> = arguments.split_whitespace().collect();
    let numbers = words.iter().rev().take(most).take_while(|word| word.parse::<f32>().is_ok()).count();
    let (name, numbers) = words.split_at(words.len() - numbers.min(words.len().saturating_sub(1)));
    (!name.is_empty() && !numbers.is_empty()).then(|| (name.join(" "), numbers.to_vec()))
}

fn move_peer(arguments: &str) -> Result<Command, CommandError> {
    let usage = || CommandError::Usage("move", "PEER AZIMUTH_DEG [DISTANCE_M [ELEVATION_DEG]]");
    let (peer, numbers) = peer_and_numbers(arguments, 3).ok_or_else(usage)?;
    let azimuth_deg = number(numbers.first().ok_or_else(usage)?, -360, 360)?;
    let distance_m = match numbers.get(1) {
        Some(text) => {
            let distance = number(text, 0, 20)?;
            Some(distance.max(*Position::DISTANCE_M.start()))
        }
        None => None,
    };
    let elevation_deg = numbers.get(2).map(|text| number(text, -90, 90)).transpose()?;
    Ok(Command::Move { peer, azimuth_deg, distance_m, elevation_deg })
}

fn volume(arguments: &str) -> Result<Command, CommandError> {
    let (peer, numbers) = peer_and_numbers(arguments, 1).ok_or(CommandError::Usage("volume", "PEER DB"))?;
    let text = numbers.first().copied().unwrap_or_default();
    Ok(Command::Volume { peer, db: number(text, *VOLUME_DB.start(), *VOLUME_DB.end())? })
}

fn number(text: &str, low: i32, high: i32) -> Result<f32, CommandError> {
    match text.parse::<f32>() {
        Ok(value) if value >= low as f32 && value <= high as f32 => Ok(value),
        _ => Err(CommandError::Number(text.chars().filter(|c| !c.is_control()).take(24).collect(), low, high)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_verb_parses_by_its_own_usage() {
        assert_eq!(parse("mute"), Ok(Command::Mute));
        assert_eq!(parse(":say hello you"), Ok(Command::Say("hello you".into())));
        assert_eq!(parse("volume Bo Smith -6"), Ok(Command::Volume { peer: "Bo Smith".into(), db: -6.0 }));
        assert_eq!(
            parse("/move Bo 90 2"),
            Ok(Command::Move { peer: "Bo".into(), azimuth_deg: 90.0, distance_m: Some(2.0), elevation_deg: None })
        );
        assert_eq!(parse("lock"), Ok(Command::Lock));
        assert_eq!(parse("arrange table"), Ok(Command::Arrange(Arrangement::Table)));
        assert!(matches!(parse("arrange heap"), Err(CommandError::Usage("arrange", _))));
        assert_eq!(parse("voice music"), Ok(Command::Voice("music")));
        assert!(matches!(parse("voice loud"), Err(CommandError::Usage("voice", _))));
        assert_eq!(parse("kick Bo Smith"), Ok(Command::Kick("Bo Smith".into())));
        assert!(matches!(parse("admit"), Err(CommandError::Usage("admit", "PEER"))));
        assert_eq!(parse("record /tmp/a call"), Ok(Command::Record(Some("/tmp/a call".into()))));
        assert_eq!(parse("record"), Ok(Command::Record(None)));
        assert_eq!(parse("safety"), Ok(Command::Safety(None)));
        assert_eq!(parse("safety Cy"), Ok(Command::Safety(Some("Cy".into()))));
    }

    /// An id may consist of digits alone; it must not be taken for a number.
    #[test]
    fn a_peer_of_digits_is_a_peer() {
        assert_eq!(parse("volume 12345678 3"), Ok(Command::Volume { peer: "12345678".into(), db: 3.0 }));
        let moved = parse("move 12345678 90");
        assert_eq!(
            moved,
            Ok(Command::Move { peer: "12345678".into(), azimuth_deg: 90.0, distance_m: None, elevation_deg: None })
        );
    }

    #[test]
    fn what_is_wrong_is_said_and_nothing_panics() {
        assert_eq!(parse("  "), Err(CommandError::Empty));
        assert!(matches!(parse("dance"), Err(CommandError::Unknown(..))));
        assert!(matches!(parse("mute now"), Err(CommandError::Usage("mute", _))));
        assert!(matches!(parse("move"), Err(CommandError::Usage("move", _))));
        assert!(matches!(parse("volume Bo 99"), Err(CommandError::Number(..))));
        assert!(matches!(parse("face NaN"), Err(CommandError::Number(..))));
        assert!(matches!(parse("\u{1b}[2J"), Err(CommandError::Unknown(name, _)) if !name.contains('\u{1b}')));
        for verb in VERBS {
            assert!(!verb.help.is_empty() && verb.help.len() <= 62, "{}", verb.name);
        }
    }
}
