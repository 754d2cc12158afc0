//! The screen as a person uses it: keys in, pictures and commands out.

mod events;
mod keys;
mod notices;
mod pictures;
mod random;
mod settings;
mod start;
mod trust;

use super::layout;
use super::model::Mode;
use super::theme::{Colour, Glyphs};
use super::{Action, Cue, Failure, Model, Msg, NearbyRoom, Spectra, Theme, update, view};
use crate::session::latency::{Delays, MouthToEar, Queues};
use crate::session::view::{
    Admission, Alarm, Connection, Invite, KnockView, Me, PeerView, SessionNumber, TalkLine, Trust, View,
};
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use resonance_protocol::position::Position;
use std::time::Duration;

const UNICODE: Theme = Theme { colour: Colour::Dark, glyphs: Glyphs::Unicode };
const LINK: &str =
    "resonance:3mQbGx7wVfK2p9ZtR5aYcE1hLqS8nUdJ4vXoTzBk6WgMyHrNiPeCjFsDuA7t2Lq9wXeVbYmKzRtUcPa5sHgJd3nFo8iB1kGhWv6";
const SESSION_NUMBER: &str = "60415 28873 01964 77310 48826 13579 90042 66158 21849 07331 55120 93847";
const NUMBER: &str = "21849 07331 55120 93847 60415 28873 01964 77310 48826 13579 90042 66158";

pub(crate) fn alone() -> View {
    View {
        elapsed: Duration::from_secs(7),
        invite: Invite::Link(LINK.into()),
        admission: Admission::default(),
        me: Me {
            id: "adaadaad".into(),
            name: "Ada".into(),
            muted: false,
            deafened: false,
            recording: None,
            speaking: false,
            level_db: -40.0,
            facing_deg: 0.0,
            input: "Built-in Audio".into(),
            output: "Built-in Audio".into(),
            delays: Delays {
                capture_ms: 5.2,
                processing_ms: 9.0,
                packet_ms: 10.0,
                codec_ms: 2.5,
                render_ms: 2.4,
                playback_ms: 12.1,
            },
            queues: Queues {
                microphone_ms: [0.0, 10.0],
                speaker_ms: [0.0, 5.0],
                outbound: [1, 1],
                inbound: [0, 3],
                ..Queues::default()
            },
            sent: (80_000, 0),
            spatial_engine: "hrtf:mit-kemar+small".into(),
        },
        session_number: SessionNumber { members: 1, ..SessionNumber::default() },
        alarms: Vec::new(),
        peers: Vec::new(),
        talk: Vec::new(),
        reach: "Waiting for somebody to join…".into(),
        problems: Vec::new(),
        reduced: &[],
    }
}

pub(crate) fn peer(id: &str, name: &str, azimuth_deg: f32) -> PeerView {
    PeerView {
        id: id.into(),
        name: name.into(),
        host: false,
        level_db: -90.0,
        speaking: false,
        muted: false,
        deafened: false,
        recording: false,
        trust: Trust::NotVerified,
        connection: Connection::Direct,
        rtt_ms: Some(22.4),
        loss_down: 0.0,
        loss_up: 0.0,
        jitter_ms: 1.6,
        jitter_buffer_ms: 20.0,
        delay: Some(MouthToEar { sending_ms: Some(24.3), network_ms: 11.2, buffer_ms: 20.0, hearing_ms: 14.5 }),
        position: Position::at_azimuth(azimuth_deg),
        volume_db: 0.0,
        safety_number: NUMBER.into(),
    }
}

/// Ada with Bo, who speaks, Cy, who is new, and Di, whose line is bad.
pub(super) fn call() -> View {
    let said = |at, from: &str, text: &str| TalkLine {
        at: Duration::from_secs(at),
        from: (!from.is_empty()).then(|| from.to_owned()),
        text: text.to_owned(),
    };
    View {
        elapsed: Duration::from_secs(761),
        session_number: SessionNumber {
            number: Some(SESSION_NUMBER.into()),
            members: 4,
            incomplete: Vec::new(),
            changed: Some("Di joined".into()),
        },
        me: Me { speaking: true, level_db: -18.0, ..alone().me },
        peers: vec![
            PeerView {
                speaking: true,
                level_db: -21.0,
                trust: Trust::Verified,
                rtt_ms: Some(18.0),
                ..peer("b0b0b0b0", "Bo", -30.0)
            },
            peer("c1c1c1c1", "Cy", 0.0),
            PeerView {
                muted: true,
                loss_up: 0.12,
                rtt_ms: Some(64.0),
                trust: Trust::Verified,
                ..peer("d1d1d1d1", "Di", 30.0)
            },
        ],
        talk: vec![
            said(724, "", "Di joined"),
            said(725, "Bo", "notes are in the pad"),
            said(
                740,
                "Cy",
                "thanks, I have them open here and will add what we said about the boat while you go on talking",
            ),
        ],
        ..alone()
    }
}

/// What is said when somebody comes with another key.
pub(super) fn alarm() -> Alarm {
    Alarm {
        code: "identity_changed",
        peer: Some("c1c1c1c1".into()),
        name: "Cy".into(),
        what: "Cy comes with another key than the Cy whose number you compared.".into(),
        why: "Either Cy has a new identity, or somebody else uses the name.".into(),
        hint: "Cy hears nothing from you until you answer. Compare the safety number first.".into(),
    }
}

/// The call, with the alarm about Cy.
pub(super) fn alarmed() -> View {
    let mut view = call();
    view.alarms = vec![alarm()];
    view.peers[1].trust = Trust::Changed;
    view
}

fn press(model: &mut Model, keys: &[KeyCode]) -> Vec<Action> {
    keys.iter().flat_map(|key| update(model, Msg::Key(KeyEvent::new(*key, KeyModifiers::NONE)))).collect()
}

/// Types each character as a key.
fn type_in(model: &mut Model, text: &str) -> Vec<Action> {
    text.chars().flat_map(|character| press(model, &[KeyCode::Char(character)])).collect()
}

/// A newer moment, which asks for nothing but short sounds.
fn show(model: &mut Model, view: View) {
    let asked = update(model, Msg::View(Box::new(view)));
    assert!(asked.iter().all(|action| matches!(action, Action::Play(_))), "{asked:?}");
}

fn in_session(theme: Theme, view: View) -> Model {
    let mut model = Model::opening(theme, "Ada", "Making a session…");
    show(&mut model, view);
    model
}

fn buffer(model: &mut Model, columns: u16, rows: u16) -> Buffer {
    update(model, Msg::Resize { columns, rows });
    let mut terminal = Terminal::new(TestBackend::new(columns, rows)).expect("a test terminal");
    terminal.draw(|frame| view(model, frame)).expect("drawn");
    terminal.backend().buffer().clone()
}

/// The screen as text, without the blanks at the ends of lines.
fn picture(model: &mut Model, columns: u16, rows: u16) -> String {
    use ratatui::buffer::CellWidth;
    let buffer = buffer(model, columns, rows);
    let line = |cells: &[ratatui::buffer::Cell]| {
        let mut line = String::new();
        let mut skip = 0;
        for cell in cells {
            if skip == 0 {
                line.push_str(cell.symbol());
                skip = cell.cell_width();
            }
            skip = skip.saturating_sub(1);
        }
        line.trim_end().to_owned() + "\n"
    };
    buffer.content.chunks(usize::from(columns)).map(line).collect()
}
