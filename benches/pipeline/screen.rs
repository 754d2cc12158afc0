//! What a picture costs: the processor, and the line to a terminal far away.

use super::{median, report};
use ratatui::backend::CrosstermBackend;
use ratatui::layout::Rect;
use ratatui::{Terminal, TerminalOptions, Viewport};
use resonance::session::latency::{Delays, Queues};
use resonance::session::view::{Admission, Connection, Invite, Me, PeerView, SessionNumber, TalkLine, Trust, View};
use resonance::ui::theme::{Colour, Glyphs};
use resonance::ui::{self, Model, Msg, Spectra, Theme};
use resonance_protocol::position::Position;
use std::cell::Cell;
use std::io::Write;
use std::rc::Rc;
use std::time::Duration;

/// Time from one picture to the next while somebody speaks.
const PICTURE: Duration = Duration::from_millis(50);
/// The same while nothing stirs.
const IDLE_PICTURE: Duration = Duration::from_millis(250);
/// Pictures that are drawn.
const PICTURES: u64 = 400;

/// A terminal far away: only how much goes there matters.
struct Line(Rc<Cell<u64>>);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.set(self.0.get() + bytes.len() as u64);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A moment of a full room; `speaking`: all seven talk, their levels at sixes and sevens.
fn moment(at: u64, every: Duration, speaking: bool) -> View {
    let level = |who: u64| if speaking { -50.0 + ((at * 7 + who * 13) % 40) as f32 } else { -90.0 };
    let person = |who: u64| PeerView {
        delay: None,
        id: format!("{who:08x}"),
        name: format!("Person {who}"),
        host: who == 0,
        level_db: level(who),
        speaking,
        muted: false,
        deafened: false,
        recording: false,
        trust: if who.is_multiple_of(2) { Trust::Verified } else { Trust::NotVerified },
        connection: Connection::Direct,
        rtt_ms: Some(20.0 + (at / 20 % 5) as f32),
        loss_down: 0.0,
        loss_up: 0.0,
        jitter_ms: 1.0,
        jitter_buffer_ms: 20.0,
        position: Position::at_azimuth(who as f32 * 25.0 - 75.0),
        volume_db: 0.0,
        safety_number: "21849 07331 55120 93847 60415 28873 01964 77310 48826 13579 90042 66158".into(),
    };
    let line = |n: u64| TalkLine { at: Duration::from_secs(n), from: None, text: format!("Person {n} joined") };
    View {
        elapsed: every * at as u32,
        invite: Invite::Link("resonance:3mQbGx7wVfK2p9ZtR5aYcE1hLqS8nUdJ4vXoTzBk6WgMyHrNiPeCjFsDuA7t2".into()),
        admission: Admission::default(),
        me: Me {
            delays: Delays::default(),
            queues: Queues::default(),
            id: "me".into(),
            name: "Ada".into(),
            muted: false,
            deafened: false,
            recording: None,
            speaking,
            level_db: level(9),
            facing_deg: 0.0,
            input: "Headset".into(),
            output: "Headset".into(),
            sent: (80_000, 0),
            spatial_engine: "hrtf:mit-kemar".into(),
        },
        session_number: SessionNumber::default(),
        alarms: Vec::new(),
        peers: (0..7).map(person).collect(),
        talk: (0..View::MAX_TALK as u64).map(line).collect(),
        reach: String::new(),
        problems: Vec::new(),
        reduced: &[],
    }
}

/// What two of them sound like: another picture each time, as speech is.
fn spectra(at: u64, speaking: bool) -> Spectra {
    let level = |band: u64| if speaking { -75.0 + ((at * 11 + band * 17) % 50) as f32 } else { -90.0 };
    let bands = || (0..17).map(level).collect();
    Spectra { own: Some(bands()), peer: Some((format!("{:08x}", 0), bands())) }
}

/// Measures and prints.
pub fn run() {
    for (columns, rows) in [(80, 24), (140, 50)] {
        for (what, speaking, every) in [("eight speak", true, PICTURE), ("nothing stirs", false, IDLE_PICTURE)] {
            let sent = Rc::new(Cell::new(0));
            let viewport = Viewport::Fixed(Rect::new(0, 0, columns, rows));
            let backend = CrosstermBackend::new(Line(Rc::clone(&sent)));
            let mut terminal = Terminal::with_options(backend, TerminalOptions { viewport }).expect("a terminal");
            let theme = Theme { colour: Colour::Dark, glyphs: Glyphs::Unicode };
            let mut model = Model::opening(theme, "Ada", "");
            ui::update(&mut model, Msg::Resize { columns, rows });
            let mut views: Vec<View> = (0..=PICTURES).rev().map(|at| moment(at, every, speaking)).collect();
            let mut at = 0;
            let mut draw = || {
                let Some(view) = views.pop() else { return };
                ui::update(&mut model, Msg::View(Box::new(view)));
                at += 1;
                if model.watched().is_some() {
                    ui::update(&mut model, Msg::Spectra(spectra(at, speaking)));
                }
                terminal.draw(|frame| ui::view(&model, frame)).expect("drawn");
            };
            draw();
            sent.set(0);
            let time = median(PICTURES as usize, draw);
            report(&format!("screen {columns}x{rows}, {what}, one picture"), time, Some(every));
            let a_second = sent.get() as f64 / (PICTURES as f64 * every.as_secs_f64());
            let _ = writeln!(std::io::stdout(), "{:<52} {a_second:>9.0} bytes a second to the terminal", "");
        }
    }
}
