//! What the screen is told, and what it asks for.

use crate::command::Command;
use crate::session::view::View;
use crate::settings::{Setting, Values};
use crossterm::event::{KeyEvent, MouseEvent};
use std::time::{Duration, Instant};

/// Something that happened to the screen.
#[derive(Clone, Debug)]
pub enum Msg {
    /// A newer snapshot of the session.
    View(Box<View>),
    /// A key.
    Key(KeyEvent),
    /// The mouse.
    Mouse(MouseEvent),
    /// Text that was pasted.
    Paste(String),
    /// The window's size, in cells: once at the start, then whenever it changes.
    Resize {
        /// Cells in a row.
        columns: u16,
        /// Cells in a column.
        rows: u16,
    },
    /// Time passes; wanted about ten times a second.
    Tick(Instant),
    /// A passing trouble; the session goes on.
    Warning {
        /// What happened.
        message: String,
        /// What to do; may be empty.
        hint: String,
    },
    /// What is tried while nobody has answered yet, a line each.
    Seeking(Vec<String>),
    /// Somebody has answered; we wait to be let in.
    Knocking,
    /// The session could not begin, or is over, for a reason to be told.
    Failed(Failure),
    /// The terminal is gone: nothing can be typed any more.
    InputEnded,
    /// The window is not looked at any more: a key that is held will not be seen to be let go.
    FocusLost,
    /// The window is looked at again.
    FocusGained,
    /// What is set now, with what the command line said; and where it is kept.
    Settings {
        /// What holds.
        values: Box<Values>,
        /// The file.
        kept_in: String,
        /// What is wrong there, a sentence each, with its line.
        mistakes: Vec<String>,
    },
    /// The microphones and speakers that there are, by name.
    Devices {
        /// Microphones.
        inputs: Vec<String>,
        /// Speakers.
        outputs: Vec<String>,
    },
    /// The rooms of this network, in the order in which they were found; `None` while they are not looked for.
    Nearby(Option<Vec<NearbyRoom>>),
    /// The last sessions, the newest first; none where they are not remembered.
    Recent(Vec<RecentSession>),
    /// What those sound like who are looked at ([`Model::watched`](super::Model::watched)).
    Spectra(Spectra),
    /// How the rehearsal goes, about ten times a second.
    Rehearsal {
        /// Level of the microphone in dBFS.
        input_db: f32,
        /// Level of what is played in dBFS.
        output_db: f32,
    },
}

/// What the screen asks of the program.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Carry this out in the session.
    Command(Command),
    /// Put this on the clipboard of the person's terminal.
    CopyToClipboard(String),
    /// Begin a session.
    Start {
        /// What the person wants to be called: not empty, at most [`MAX_NAME_BYTES`](super::model::MAX_NAME_BYTES), not sanitised.
        name: String,
        /// Which one.
        choice: StartChoice,
    },
    /// Give the terminal back and stop, until the shell brings the program back.
    Suspend,
    /// Draw the person's attention to this, in the ways that are set.
    Notify {
        /// A few words.
        text: String,
        /// Ring the bell.
        bell: bool,
        /// Ask the terminal for a desktop notification.
        desktop: bool,
    },
    /// Let the person hear a short sound.
    Play(Cue),
    /// Set this, now and for the next time. [`Msg::Settings`] is the answer.
    Keep {
        /// Which setting.
        setting: &'static Setting,
        /// Something that it takes.
        value: String,
    },
    /// Forget one of the last sessions, or all of them. [`Msg::Recent`] is the answer.
    Forget(Option<StartChoice>),
    /// Say goodbye to everybody, if there is a session, and end the program.
    Quit,
}

/// What a short sound says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cue {
    /// Somebody came.
    Joined,
    /// Somebody went.
    Left,
    /// Somebody is not heard any more, and is looked for.
    Lost,
    /// Somebody is heard again.
    Back,
    /// Somebody wants to come in.
    Knock,
}

/// What is to be heard of oneself while there is no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rehearsal {
    /// The microphone shows on the meter.
    Meter,
    /// One's own voice comes back, through all that a call would do to it.
    Hear,
}

/// How a session begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StartChoice {
    /// A new one, with a new link.
    Create,
    /// The one of the link that is somewhere in this text; line breaks are as they were pasted.
    Join(String),
    /// The one of the room of this name on the same network.
    Lan(String),
}

/// Whose spectrum is on the screen beside one's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Watched {
    /// The chosen person's id.
    pub peer: Option<String>,
}

/// Spectra: power in each band in dBFS, the lowest first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spectra {
    /// Of one's own voice, as it is sent.
    pub own: Option<Vec<f32>>,
    /// Of the person with this id.
    pub peer: Option<(String, Vec<f32>)>,
}

impl Spectra {
    /// The spectrum of this person, if it is this one that is looked at.
    pub(super) fn of(&self, id: &str) -> Option<&[f32]> {
        self.peer.as_ref().filter(|(peer, _)| peer == id).map(|(_, bands)| &**bands)
    }
}

/// A room of this network, as those in it tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearbyRoom {
    /// Its name: bounded, and shown as it is.
    pub room: String,
    /// How many are in it.
    pub people: u8,
}

/// A session that is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentSession {
    /// How to go there again.
    pub choice: StartChoice,
    /// Who was there.
    pub people: Vec<String>,
    /// How long ago.
    pub ago: Duration,
}

/// Why there is no session, in three sentences.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// What happened.
    pub what: String,
    /// Why; may be empty.
    pub why: String,
    /// What to do; may be empty.
    pub hint: String,
}
