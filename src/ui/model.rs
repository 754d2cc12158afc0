//! What the screen knows: the last snapshot of the session and everything that is the screen's own.

use super::line::{Breaks, Line};
use super::map::Projection;
use super::theme::Theme;
use crate::command::{Command, MAX_TEXT_BYTES};
use crate::session::view::{Alarm, PeerView, View};
use crossterm::event::{KeyEvent, MouseEvent};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The longest name, in bytes of UTF-8: what the handshake carries.
pub const MAX_NAME_BYTES: usize = 64;
/// The longest name of a room, in bytes of UTF-8.
pub const MAX_ROOM_BYTES: usize = 64;
/// The longest text that is taken where a link is expected, in bytes: a long mail around it.
const MAX_PASTE_BYTES: usize = 4096;
/// The longest command line, in bytes: the longest text and its verb.
const MAX_COMMAND_BYTES: usize = MAX_TEXT_BYTES + 16;
/// Command lines that are remembered.
pub(super) const MAX_HISTORY: usize = 50;
/// Levels of one's own microphone that are kept for the wave.
pub(super) const WAVE: usize = 8;
/// How long a notice stays.
pub(super) const NOTICE_TIME: Duration = Duration::from_secs(6);

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
    /// Somebody has answered; we wait to be let in.
    Knocking,
    /// The session could not begin, or is over, for a reason to be told.
    Failed(Failure),
    /// The terminal is gone: nothing can be typed any more.
    InputEnded,
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
        /// What the person wants to be called: not empty, at most [`MAX_NAME_BYTES`], not sanitised.
        name: String,
        /// Which one.
        choice: StartChoice,
    },
    /// Say goodbye to everybody, if there is a session, and end the program.
    Quit,
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

/// All that the screen is drawn from.
#[derive(Clone, Debug)]
pub struct Model {
    /// How it is painted.
    pub theme: Theme,
    pub(super) mode: Mode,
    pub(super) start: Start,
    pub(super) view: Option<Box<View>>,
    /// Id of the chosen person; always one of those here, `None` when alone.
    pub(super) selected: Option<String>,
    /// What was being written when the line was left.
    pub(super) draft: Line,
    pub(super) history: Vec<String>,
    pub(super) notice: Option<Notice>,
    /// Lines that the talk is scrolled up.
    pub(super) talk_scroll: usize,
    pub(super) drag: Option<Drag>,
    /// The alarm on the screen, since when, and whether that is long enough to have been seen.
    pub(super) alarm_seen: Option<(Alarm, Instant, bool)>,
    /// The newest levels of one's own microphone in dBFS, oldest first.
    pub(super) wave: VecDeque<f32>,
    pub(super) columns: u16,
    pub(super) rows: u16,
}

/// What the keys mean now.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Mode {
    /// Choosing how to begin.
    Start,
    /// Something was asked for and has not come yet: what.
    Opening(String),
    /// The session itself; alone in it, the link is shown.
    Call,
    /// The link again, while others are here.
    Invite,
    /// Comparing the safety number with somebody.
    Verify(Verify),
    /// The safety number of the session.
    Number,
    /// Every number there is.
    Stats,
    /// All keys and commands.
    Help {
        /// First line that is shown.
        scroll: usize,
    },
    /// Typing a command.
    CommandLine(CommandLine),
    /// Writing to everyone.
    Write,
    /// Asked whether to leave the others.
    Leave,
    /// It is over, and why.
    Alarm(Failure),
}

/// Comparing the safety number with somebody.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verify {
    /// Id of the person.
    pub peer: String,
    /// The name, for when the person has left.
    pub name: String,
    /// The number as it was when the comparison began: only this one can be marked.
    pub number: String,
    pub page: VerifyPage,
}

/// The pages of the comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum VerifyPage {
    /// The number.
    Compare,
    /// They differ: what now.
    Differ(Precaution),
}

/// What was done when the numbers differed, so that it can be taken back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Precaution {
    /// The microphone was open and was closed.
    pub closed_microphone: bool,
    /// Loudness of the person before, in whole dB.
    pub volume_db: i32,
}

/// Typing a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CommandLine {
    pub line: Line,
    /// What is wrong with what was entered; the line stays as it was typed.
    pub error: Option<String>,
    /// What Tab goes through, and where it is.
    pub completion: Option<(Vec<String>, usize)>,
    /// Place in the history, counted from the newest.
    pub recalled: Option<usize>,
}

impl CommandLine {
    pub(super) fn new() -> Self {
        let line = Line::new(MAX_COMMAND_BYTES, Breaks::Blank);
        Self { line, error: None, completion: None, recalled: None }
    }
}

/// The start screen's form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Start {
    pub focus: StartField,
    pub name: Line,
    pub link: Line,
    pub room: Line,
}

/// The lines of the start screen, from above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartField {
    Name,
    Create,
    Join,
    Lan,
    Quit,
}

impl StartField {
    /// From above.
    pub(super) const ALL: [Self; 5] = [Self::Name, Self::Create, Self::Join, Self::Lan, Self::Quit];
}

/// A short message above the bottom line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Notice {
    pub text: String,
    pub tone: Tone,
    /// When it goes; set by the first tick that sees it.
    pub until: Option<Instant>,
}

/// How much a notice matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    Fine,
    Trouble,
}

/// Somebody is being moved with the mouse.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Drag {
    pub peer: String,
    /// The map as it was when the drag began: it must not change its scale under the hand.
    pub projection: Projection,
}

impl Model {
    /// The start screen, with a name to begin with (may be empty).
    pub fn at_start(theme: Theme, name: &str) -> Self {
        let mut start = Start {
            focus: StartField::Create,
            name: Line::new(MAX_NAME_BYTES, Breaks::Blank),
            link: Line::new(MAX_PASTE_BYTES, Breaks::Keep),
            room: Line::new(MAX_ROOM_BYTES, Breaks::Blank),
        };
        start.name.set(name);
        start.room.set("lobby");
        if name.trim().is_empty() {
            start.focus = StartField::Name;
        }
        Self {
            theme,
            mode: Mode::Start,
            start,
            view: None,
            selected: None,
            draft: Line::new(MAX_TEXT_BYTES, Breaks::Blank),
            history: Vec::new(),
            notice: None,
            talk_scroll: 0,
            drag: None,
            alarm_seen: None,
            wave: VecDeque::with_capacity(WAVE),
            columns: 80,
            rows: 24,
        }
    }

    /// A session is being opened already (`resonance create`, `join`, `lan`); `doing` says what is waited for.
    pub fn opening(theme: Theme, name: &str, doing: &str) -> Self {
        Self { mode: Mode::Opening(doing.to_owned()), ..Self::at_start(theme, name) }
    }

    /// Whether there is a session and nobody else in it.
    pub(super) fn alone(&self) -> bool {
        self.view.as_ref().is_some_and(|view| view.peers.is_empty())
    }

    /// The alarm that has the screen: the oldest one, unless something is open that it may not interrupt.
    pub(super) fn standing_alarm(&self) -> Option<&Alarm> {
        let interruptible = matches!(
            self.mode,
            Mode::Call | Mode::Invite | Mode::Number | Mode::Stats | Mode::Write | Mode::CommandLine(_)
        );
        self.view.as_ref()?.alarms.first().filter(|_| interruptible)
    }

    /// The chosen person and its place in the list.
    pub(super) fn chosen(&self) -> Option<(usize, &PeerView)> {
        let view = self.view.as_ref()?;
        let id = self.selected.as_ref()?;
        view.peers.iter().enumerate().find(|(_, peer)| peer.id == *id)
    }

    /// The person of this id.
    pub(super) fn peer(&self, id: &str) -> Option<&PeerView> {
        self.view.as_ref()?.peers.iter().find(|peer| peer.id == id)
    }

    /// Shows a short message until [`NOTICE_TIME`] has passed or another comes.
    pub(super) fn tell(&mut self, tone: Tone, text: impl Into<String>) {
        self.notice = Some(Notice { text: text.into(), tone, until: None });
    }
}
