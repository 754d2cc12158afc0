//! Whatever is pressed, however the window is, whatever comes: nothing panics, and what is asked for makes sense.

use super::start::{gone_to, rooms};
use super::*;
use crate::command::{Command, MAX_TEXT_BYTES};
use crate::settings::{Kind, SETTINGS, Values};
use crossterm::event::{KeyEventKind, MouseButton, MouseEvent, MouseEventKind};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use std::time::Instant;

const CODES: [KeyCode; 16] = [
    KeyCode::Enter,
    KeyCode::Esc,
    KeyCode::Tab,
    KeyCode::BackTab,
    KeyCode::Backspace,
    KeyCode::Delete,
    KeyCode::Up,
    KeyCode::Down,
    KeyCode::Left,
    KeyCode::Right,
    KeyCode::Home,
    KeyCode::End,
    KeyCode::PageUp,
    KeyCode::PageDown,
    KeyCode::F(1),
    KeyCode::Null,
];
const CHARACTERS: &str = "mmdvvynuoqcisehrup,?:jjkkll+-[]/ 日e\u{301}\u{1b}9.0 mute move Bo";

fn random_view(random: &mut StdRng) -> View {
    let names = [
        "Bo",
        "日本語の名前",
        "",
        "e\u{301}",
        "\u{1b}[2J\u{202e}",
        "A very long name that goes on and on and on and on",
    ];
    let number = |random: &mut StdRng| match random.random_range(0..12) {
        0 => f32::NAN,
        1 => f32::INFINITY,
        2 => f32::NEG_INFINITY,
        3 => f32::MAX,
        _ => random.random_range(-200.0..200.0),
    };
    let mut view = call();
    view.me.facing_deg = number(random);
    view.me.level_db = number(random);
    view.me.recording = random.random::<bool>().then(|| CHARACTERS.to_owned());
    view.peers.clear();
    for index in 0..random.random_range(0..8) {
        let mut peer = peer(&format!("id{index}"), names.choose(random).copied().unwrap_or(""), number(random));
        peer.position =
            Position { azimuth_deg: number(random), elevation_deg: number(random), distance_m: number(random) };
        (peer.level_db, peer.loss_down, peer.loss_up) = (number(random), number(random), number(random));
        peer.jitter_ms = number(random);
        (peer.volume_db, peer.jitter_buffer_ms, peer.rtt_ms) = (number(random), number(random), Some(number(random)));
        (peer.speaking, peer.muted, peer.recording) = (random.random(), random.random(), random.random());
        view.peers.push(peer);
    }
    if random.random_range(0..4) == 0 {
        view.alarms = vec![alarm(); random.random_range(1..4)];
    }
    if random.random() {
        view.session_number.number = None;
        view.session_number.incomplete = vec![CHARACTERS.to_owned(); random.random_range(0..40)];
    }
    for _ in 0..random.random_range(0..View::MAX_TALK - 3) {
        view.talk.push(TalkLine {
            at: Duration::from_secs(random.random_range(0..100_000)),
            from: random.random::<bool>().then(|| "Bo".to_owned()),
            text: CHARACTERS.repeat(random.random_range(0..9)),
        });
    }
    view
}

fn random_values(random: &mut StdRng) -> Values {
    let mut values = Values::default();
    for setting in SETTINGS {
        let chosen = match setting.kind {
            Kind::Choice(words) => words.choose(random).copied().unwrap_or(setting.default),
            Kind::Switch => ["true", "false"].choose(random).copied().unwrap_or("true"),
            Kind::Text(_) => "日本語",
        };
        values.set(setting, chosen).expect("something that it takes");
    }
    let key = ["z", "Space", "Up", "nonsense", "\u{1b}"].choose(random).copied().unwrap_or("z");
    values.keys.insert(["mute", "talk", "dance"].choose(random).copied().unwrap_or("mute").into(), vec![key.into()]);
    values
}

fn random_msg(random: &mut StdRng, start: Instant, model: &Model) -> Msg {
    let cell = |random: &mut StdRng| (random.random_range(0..140), random.random_range(0..50));
    match random.random_range(0..26) {
        0 => Msg::View(Box::new(random_view(random))),
        1 => Msg::Resize { columns: random.random_range(0..140), rows: random.random_range(0..50) },
        2 => Msg::Tick(start + Duration::from_millis(random.random_range(0..60_000))),
        3 => Msg::Paste(
            [LINK, "hello\nyou", "日本語", ""].choose(random).copied().unwrap_or("").repeat(random.random_range(0..40)),
        ),
        24 => Msg::Settings {
            values: Box::new(random_values(random)),
            kept_in: CHARACTERS.into(),
            mistakes: vec![CHARACTERS.repeat(3); random.random_range(0..4)],
        },
        25 => [
            Msg::FocusLost,
            Msg::FocusGained,
            Msg::Devices { inputs: vec![CHARACTERS.into(); 3], outputs: Vec::new() },
            Msg::Nearby(None),
            Msg::Seeking(vec![CHARACTERS.into(); 3]),
            Msg::Nearby(Some(rooms(random.random_range(0..40)))),
            Msg::Recent(vec![gone_to(CHARACTERS); random.random_range(0..9)]),
            Msg::Spectra(Spectra {
                own: Some(vec![f32::NAN; 17]),
                peer: Some(("id0".into(), vec![f32::INFINITY; 90])),
            }),
            Msg::Rehearsal { input_db: f32::NAN, output_db: f32::INFINITY },
            Msg::Key(KeyEvent::new_with_kind(KeyCode::Char(' '), KeyModifiers::NONE, KeyEventKind::Release)),
        ]
        .choose(random)
        .cloned()
        .unwrap_or(Msg::FocusLost),
        4 => Msg::Warning { message: "something".into(), hint: CHARACTERS.repeat(9) },
        5 if random.random_range(0..20) == 0 => {
            Msg::Failed(Failure { what: CHARACTERS.into(), why: String::new(), hint: CHARACTERS.repeat(30) })
        }
        6..10 => {
            let (mut column, mut row) = cell(random);
            if let Some(map) = model.view.as_ref().filter(|_| random.random()) {
                let room = layout::inside(layout::of(model).room);
                let projection = crate::ui::map::Projection::fit(room, map);
                if let Some(label) = crate::ui::map::labels(&projection, &map.peers, None).choose(random) {
                    (column, row) = (label.area.x, label.area.y);
                }
            }
            let kinds = [
                MouseEventKind::Down(MouseButton::Left),
                MouseEventKind::Drag(MouseButton::Left),
                MouseEventKind::Up(MouseButton::Left),
                MouseEventKind::ScrollUp,
                MouseEventKind::ScrollDown,
                MouseEventKind::Down(MouseButton::Right),
            ];
            let kind = kinds.choose(random).copied().unwrap_or(MouseEventKind::Moved);
            Msg::Mouse(MouseEvent { kind, column, row, modifiers: KeyModifiers::NONE })
        }
        10..14 => Msg::Key(KeyEvent::new(
            CODES.choose(random).copied().unwrap_or(KeyCode::Null),
            KeyModifiers::from_bits_truncate(random.random_range(0..8)),
        )),
        _ => {
            let characters: Vec<char> = CHARACTERS.chars().collect();
            let character = characters.choose(random).copied().unwrap_or('m');
            Msg::Key(KeyEvent::new(KeyCode::Char(character), KeyModifiers::NONE))
        }
    }
}

fn makes_sense(action: &Action, model: &Model) {
    match action {
        Action::Command(Command::Move { azimuth_deg, distance_m, .. }) => {
            assert!((-360.0..=360.0).contains(azimuth_deg));
            assert!(distance_m.is_none_or(|distance| Position::DISTANCE_M.contains(&distance)));
        }
        Action::Command(Command::Volume { db, .. }) => assert!((-60.0..=12.0).contains(db), "{db}"),
        Action::Command(Command::Face(deg)) => assert!((-360.0..=360.0).contains(deg)),
        Action::Command(Command::Say(text)) => assert!(!text.trim().is_empty() && text.len() <= MAX_TEXT_BYTES),
        Action::Start { name, .. } => assert!(!name.is_empty() && matches!(model.mode, Mode::Opening(_))),
        _ => {}
    }
}

#[test]
fn anything_may_happen_in_any_order_in_any_window() {
    let start = Instant::now();
    for seed in 0..60 {
        let mut random = StdRng::seed_from_u64(seed);
        let theme = Theme { glyphs: if seed % 2 == 0 { Glyphs::Unicode } else { Glyphs::Ascii }, ..UNICODE };
        let mut model = match seed % 4 {
            0 => Model::at_start(theme, "Ada"),
            1 => Model::first_run(theme, ""),
            _ => in_session(theme, call()),
        };
        for step in 0..400 {
            let msg = random_msg(&mut random, start, &model);
            // What is drawn in follows the settings.
            let actions = update(&mut model, msg);
            let theme = model.theme;
            for action in actions {
                makes_sense(&action, &model);
            }
            if matches!(model.mode, Mode::Opening(_)) && random.random() {
                update(&mut model, Msg::View(Box::new(call())));
            }
            if step % 8 == 0 {
                let (columns, rows) = (random.random_range(1..150), random.random_range(1..60));
                let mut terminal = Terminal::new(TestBackend::new(columns, rows)).expect("a test terminal");
                terminal.draw(|frame| view(&model, frame)).expect("drawn");
                for cell in &terminal.backend().buffer().content {
                    assert!(!cell.symbol().chars().any(char::is_control));
                    assert!(theme.glyphs == Glyphs::Unicode || cell.symbol().is_ascii());
                }
            }
        }
        is_usable(&mut model);
    }
}

/// Whatever happened before: what can be done is on the bottom line, and one gets out.
fn is_usable(model: &mut Model) {
    let shown = picture(model, 80, 24);
    assert!(
        !shown.contains("make the window larger") && shown.lines().last().is_some_and(|keys| !keys.trim().is_empty()),
        "{shown}"
    );
    let control_c = || Msg::Key(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL));
    let left = [update(model, control_c()), update(model, control_c())].concat();
    assert!(left.contains(&Action::Quit), "two Ctrl-C lead out of everything");
}

/// A window that is dragged smaller and larger while people talk, down to where nothing fits.
#[test]
fn a_storm_of_sizes_leaves_the_screen_as_it_was() {
    let mut random = StdRng::seed_from_u64(7);
    for keys in ["", "i", "r", "s", "e", "n", "v", "?", ",", ":mo", "q"] {
        let mut model = in_session(UNICODE, call());
        type_in(&mut model, keys);
        let before = picture(&mut model, 80, 24);
        for _ in 0..200 {
            let (columns, rows) = (random.random_range(20..160), random.random_range(5..60));
            buffer(&mut model, columns, rows);
        }
        assert!(picture(&mut model, 20, 5).contains("make the window"));
        assert_eq!(picture(&mut model, 80, 24), before, "{keys}");
    }
}

/// From a single cell up: every size that a window can be shrunk to, and the odd ones around the limits.
#[test]
fn every_small_window_is_drawn() {
    let views = [call(), alone()];
    for columns in (1..64).chain([80, 109, 110, 111, 300]) {
        for rows in (1..20).chain([24, 90]) {
            let mut model = in_session(UNICODE, views[usize::from((columns + rows) % 2)].clone());
            press(
                &mut model,
                &[[KeyCode::Char('v'), KeyCode::Char(':'), KeyCode::Char('?')][usize::from(columns % 3)]],
            );
            buffer(&mut model, columns, rows);
            let mut model = Model::at_start(UNICODE, "Ada");
            buffer(&mut model, columns, rows);
        }
    }
}
