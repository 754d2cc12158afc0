//! What the screen knows: the last snapshot of the session and everything that is the screen's own.

use super::diary::Diary;
use super::history::History;
use super::keymap::{Deed, Keymap};
use super::layout;
use super::line::{Breaks, Line};
use super::map::Projection;
use super::message::{Failure, NearbyRoom, RecentSession, Rehearsal, Spectra, StartChoice, Watched};
use super::theme::Theme;
use crate::command::MAX_TEXT_BYTES;
use crate::session::view::{Alarm, PeerView, View};
use crate::settings::Values;
use std::collections::{BTreeMap, VecDeque};
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

/// All that the screen is drawn from.
#[derive(Clone, Debug)]
pub struct Model {
    /// How it is painted.
    pub theme: Theme,
    /// How it would be painted if nothing were set.
    pub(super) detected: Theme,
    pub(super) values: Values,
    pub(super) kept_in: String,
    /// What is wrong with the file of settings.
    pub(super) mistakes: Vec<String>,
    pub(super) keymap: Keymap,
    /// Names of microphones and of speakers; `None` until they were looked for.
    pub(super) devices: Option<(Vec<String>, Vec<String>)>,
    /// Levels of the microphone and of what is played, while there is no session.
    pub(super) rehearsal: Option<(f32, f32)>,
    /// The terminal tells when a key is let go.
    pub releases_keys: bool,
    /// The window is looked at, as far as the terminal tells.
    pub(super) focused: bool,
    /// Since when somebody speaks into a closed microphone, and whether that was said.
    pub(super) unheard: Option<(Duration, bool)>,
    /// How loud those were who are silenced here, by id, in dB.
    pub(super) silenced: BTreeMap<String, f32>,
    /// How the room was last arranged, as a place in the list of arrangements.
    pub(super) arranged: usize,
    /// How the connections of those here went in the last minute, by id.
    pub(super) minutes: BTreeMap<String, History>,
    /// How loud oneself was in it.
    pub(super) own_minute: History,
    /// What those sound like who are looked at.
    pub(super) spectra: Spectra,
    /// What happened in the session.
    pub(super) diary: Diary,
    /// Lines of talk by others that came while another page covered it.
    pub(super) unread: usize,
    /// The rooms of this network; `None` while they are not looked for.
    pub(super) nearby: Option<Vec<NearbyRoom>>,
    /// The last sessions, the newest first.
    pub(super) recent: Vec<RecentSession>,
    /// What is tried while nobody has answered yet.
    pub(super) seeking: Vec<String>,
    /// The key to speak is held down, and closes the microphone when it is let go.
    pub(super) holding: bool,
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
    /// What can be set, or the first of it that a newcomer is asked for.
    Settings(SettingsPage),
    /// Something was asked for and has not come yet: what.
    Opening(String),
    /// The session itself; alone in it, the link is shown.
    Call,
    /// The link again, while others are here.
    Invite,
    /// The link as a code for a camera.
    Code,
    /// Comparing the safety number with somebody.
    Verify(Verify),
    /// The safety number of the session.
    Number,
    /// Every number there is.
    Stats,
    /// What happened.
    Events {
        /// Lines that it is scrolled up.
        up: usize,
    },
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

/// The page of settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SettingsPage {
    /// Line that is chosen, from above.
    pub focus: usize,
    /// A newcomer sees only what matters now, and a line to go on.
    pub first_run: bool,
    /// The name as it is typed.
    pub name: Line,
    /// One's own voice comes back.
    pub hear: bool,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum StartField {
    Name,
    Create,
    Join,
    Lan,
    /// The room of this name, which is open on this network.
    Room(String),
    /// A session that is remembered.
    Recent(StartChoice),
    Settings,
    Quit,
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

impl SettingsPage {
    pub(super) fn new(first_run: bool, name: &str) -> Self {
        let mut line = Line::new(MAX_NAME_BYTES, Breaks::Blank);
        line.set(name);
        Self { focus: 0, first_run, name: line, hear: false }
    }
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
            detected: theme,
            values: Values::default(),
            kept_in: String::new(),
            mistakes: Vec::new(),
            keymap: Keymap::default(),
            devices: None,
            rehearsal: None,
            releases_keys: false,
            focused: false,
            unheard: None,
            silenced: BTreeMap::new(),
            arranged: 0,
            minutes: BTreeMap::new(),
            own_minute: History::default(),
            spectra: Spectra::default(),
            diary: Diary::default(),
            unread: 0,
            nearby: None,
            seeking: Vec::new(),
            recent: Vec::new(),
            holding: false,
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

    /// The questions for somebody who has never been here: a name, a microphone, a speaker.
    pub fn first_run(theme: Theme, name: &str) -> Self {
        let mut model = Self::at_start(theme, name);
        model.mode = Mode::Settings(SettingsPage::new(true, name));
        model
    }

    /// What is to be heard of oneself now, if anything: only where no session has the devices.
    pub fn rehearsal(&self) -> Option<Rehearsal> {
        match &self.mode {
            Mode::Settings(page) if self.view.is_none() => {
                Some(if page.hear { Rehearsal::Hear } else { Rehearsal::Meter })
            }
            _ => None,
        }
    }

    /// Whether somebody is choosing how to begin, and rooms of this network are to be listed.
    pub fn is_choosing(&self) -> bool {
        self.mode == Mode::Start
    }

    /// Whose spectra are on the screen, if any are: in the details of a wide window, and among the measurements.
    pub fn watched(&self) -> Option<Watched> {
        let call = matches!(self.mode, Mode::Call | Mode::Write | Mode::CommandLine(_) | Mode::Leave);
        let details = call && !self.alone() && layout::of(self).details.is_some();
        let shown = self.view.is_some() && self.standing_alarm().is_none() && (details || self.mode == Mode::Stats);
        shown.then(|| Watched { peer: self.selected.clone() })
    }

    /// Whether something moves by itself now and is looked at: somebody speaks, or a meter shows that one does.
    pub fn is_lively(&self) -> bool {
        let speaks = |view: &View| view.me.speaking || view.peers.iter().any(|peer| peer.speaking);
        self.rehearsal.is_some() || self.view.as_deref().is_some_and(speaks)
    }

    /// Whether somebody waits for [`Msg::Devices`](super::message::Msg::Devices).
    pub fn wants_devices(&self) -> bool {
        matches!(self.mode, Mode::Settings(_)) && self.devices.is_none()
    }

    /// The key of a deed in words; empty when it has none.
    pub(super) fn key(&self, deed: Deed) -> String {
        self.keymap.first(deed, self.theme.glyphs)
    }

    /// Words with the key of a deed behind them: `muted (m)`.
    pub(super) fn with_key(&self, words: &str, deed: Deed) -> String {
        match self.key(deed) {
            key if key.is_empty() => words.to_owned(),
            key => format!("{words} ({key})"),
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
            Mode::Call
                | Mode::Invite
                | Mode::Code
                | Mode::Number
                | Mode::Stats
                | Mode::Events { .. }
                | Mode::Write
                | Mode::CommandLine(_)
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
