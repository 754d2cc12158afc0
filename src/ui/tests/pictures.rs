//! A picture of each view, at both sizes.

use super::*;
use crate::ui::text;
use insta::assert_snapshot;
use ratatui::style::Color;

/// Every view there is, by name, as a person gets to it.
fn views(theme: Theme) -> Vec<(&'static str, Model)> {
    let mut views = vec![("start", Model::at_start(theme, "Ada"))];

    let mut model = Model::at_start(theme, "Ada");
    update(&mut model, Msg::Nearby(Some(Vec::new())));
    views.push(("start_no_rooms", model.clone()));
    update(&mut model, Msg::Nearby(Some(start::rooms(3))));
    update(&mut model, Msg::Recent(vec![start::gone_to("den"), start::joined(&["Bo", "Cy"])]));
    press(&mut model, &[KeyCode::Down, KeyCode::Down, KeyCode::Down]);
    views.push(("start_with_rooms", model));

    let mut model = Model::first_run(theme, "Ada");
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    update(&mut model, Msg::Devices { inputs: names(&["Headset"]), outputs: names(&["Headset"]) });
    update(&mut model, Msg::Rehearsal { input_db: -20.0, output_db: -90.0 });
    views.push(("first_run", model.clone()));
    press(&mut model, &[KeyCode::Down, KeyCode::Down, KeyCode::Down, KeyCode::Enter]);
    update(&mut model, Msg::Rehearsal { input_db: -24.0, output_db: -28.0 });
    views.push(("first_run_hearing_oneself", model));
    let mut model = in_session(theme, call());
    press(&mut model, &[KeyCode::Char(','), KeyCode::Down, KeyCode::Down]);
    views.push(("settings", model));

    let mut model = Model::at_start(theme, "Ada");
    let mistakes =
        vec!["config.toml, line 3: `theem` is no setting of [screen]; did you mean \"theme\"?".to_owned(); 3];
    update(&mut model, Msg::Settings { values: Box::default(), kept_in: "config.toml".into(), mistakes });
    views.push(("start_with_mistakes", model));

    let mut model = Model::at_start(theme, "Ada");
    update(&mut model, Msg::Paste(format!("Hi Ada,\n come here: {LINK}\n")));
    views.push(("start_with_link", model.clone()));
    press(&mut model, &[KeyCode::Enter]);
    views.push(("opening", model.clone()));
    let tried = ["7 s so far; given up in 23 s.", "", "The 3 addresses in the link: no answer, and tried again."];
    update(&mut model, Msg::Seeking(tried.map(str::to_owned).to_vec()));
    views.push(("opening_seeking", model.clone()));
    let failure = Failure {
        what: "Nobody answered.".into(),
        why: "The link is right, but none of the three addresses in it answered within 30 seconds.".into(),
        hint: "Ask whoever sent it whether the session is still open, then try again.".into(),
    };
    update(&mut model, Msg::Failed(failure));
    views.push(("alarm", model));

    let mut model = in_session(theme, alone());
    for level_db in [-58.0, -44.0, -20.0, -9.0, -24.0] {
        show(&mut model, View { me: Me { level_db, ..alone().me }, ..alone() });
    }
    views.push(("waiting", model.clone()));
    let lan = Invite::Lan { room: "lobby".into() };
    let problems = vec!["no microphone found: you can listen".to_owned()];
    let me = Me { input: "none".into(), muted: true, ..alone().me };
    show(&mut model, View { invite: lan, problems: problems.clone(), me, ..alone() });
    views.push(("waiting_lan", model));

    let mut model = in_session(theme, call());
    views.push(("call", model.clone()));
    let slope = |from: f32| (0..17).map(|band| from - 2.5 * band as f32 - [0.0, 9.0][band % 2]).collect();
    let spectra = Spectra { own: Some(slope(-34.0)), peer: Some(("b0b0b0b0".into(), slope(-22.0))) };
    update(&mut model, Msg::Spectra(spectra));
    views.push(("spectra", model.clone()));
    press(&mut model, &[KeyCode::Char('s')]);
    views.push(("spectra_stats", model.clone()));
    press(&mut model, &[KeyCode::Esc]);
    update(&mut model, Msg::Spectra(Spectra::default()));
    press(&mut model, &[KeyCode::Down, KeyCode::Char('v')]);
    views.push(("verify", model.clone()));
    press(&mut model, &[KeyCode::Char('n')]);
    views.push(("verify_differ", model.clone()));
    press(&mut model, &[KeyCode::Esc, KeyCode::Char('q')]);
    views.push(("leave", model.clone()));
    press(&mut model, &[KeyCode::Esc, KeyCode::Char('i')]);
    views.push(("invite", model.clone()));
    press(&mut model, &[KeyCode::Char('r')]);
    views.push(("code", model.clone()));
    press(&mut model, &[KeyCode::Char('s')]);
    views.push(("stats", model.clone()));
    let mut later_on = model.clone();
    update(&mut later_on, Msg::Warning { message: "The microphone was lost.".into(), hint: "Silence is sent.".into() });
    let mut later = View { elapsed: Duration::from_secs(770), ..call() };
    later.peers[0].connection = Connection::Reconnecting { silent_for: Duration::from_secs(3) };
    show(&mut later_on, later);
    press(&mut later_on, &[KeyCode::Char('e')]);
    later_on.notice = None;
    views.push(("events", later_on));
    press(&mut model, &[KeyCode::Char('?')]);
    views.push(("help", model.clone()));
    press(&mut model, &[KeyCode::Esc, KeyCode::Enter]);
    type_in(&mut model, "hello you two");
    views.push(("write", model.clone()));
    press(&mut model, &[KeyCode::Esc]);
    type_in(&mut model, ":dance");
    press(&mut model, &[KeyCode::Enter]);
    views.push(("command_error", model.clone()));
    press(&mut model, &[KeyCode::Esc]);
    type_in(&mut model, ":un");
    press(&mut model, &[KeyCode::Tab]);
    views.push(("command_completion", model));

    let mut model = in_session(theme, call());
    press(&mut model, &[KeyCode::Char('n')]);
    views.push(("session_number", model.clone()));
    let lines = ["Bo does not reach Cy", "Cy does not reach Bo"].map(str::to_owned).to_vec();
    let session_number = SessionNumber { number: None, members: 4, incomplete: lines, changed: None };
    show(&mut model, View { session_number, ..call() });
    views.push(("session_number_incomplete", model));
    let mut recorded = call();
    recorded.me.recording = Some("/recordings/call".into());
    recorded.peers[1].recording = true;
    views.push(("recording", in_session(theme, recorded)));
    views.push(("identity_changed", in_session(theme, alarmed())));
    views.push(("lan_call", in_session(theme, View { invite: Invite::Lan { room: "den".into() }, ..call() })));

    let knock = |id: &str, name: &str| KnockView { id: id.into(), name: name.into() };
    let mut locked = call();
    locked.peers[0].host = true;
    locked.admission = Admission {
        locked: true,
        host: Some("b0b0b0b0".into()),
        knocks: vec![knock("e4e4e4e4", "Eve"), knock("f4f4f4f4", "Finn")],
        ..Admission::default()
    };
    views.push(("knock_of_others", in_session(theme, locked.clone())));
    locked.peers[0].host = false;
    locked.admission.host = Some("adaadaad".into());
    locked.admission.i_decide = true;
    views.push(("knock", in_session(theme, locked.clone())));
    locked.admission.knocks.clear();
    locked.admission.expires_in = Some(Duration::from_secs(7_200));
    let mut model = in_session(theme, locked);
    press(&mut model, &[KeyCode::Char('i')]);
    views.push(("invite_locked", model));
    let mut model = Model::opening(theme, "Eve", "Joining the session…");
    update(&mut model, Msg::Knocking);
    views.push(("knocking", model));

    let mut full = call();
    full.me.deafened = true;
    full.problems = problems;
    let silent_for = Duration::from_secs(4);
    full.peers[1].connection = Connection::Reconnecting { silent_for };
    full.peers[2].connection = Connection::Connecting;
    full.peers.extend([
        PeerView { deafened: true, ..peer("e1e1e1e1", "日本語の長い名前です", 60.0) },
        PeerView { loss_down: 0.02, ..peer("f1f1f1f1", "Zoe\u{308}", -60.0) },
        PeerView {
            position: Position { distance_m: 4.0, ..Position::at_azimuth(170.0) },
            ..peer("a2a2a2a2", "Bo (2)", 0.0)
        },
        PeerView { speaking: true, level_db: -8.0, ..peer("a3a3a3a3", "A very long name that goes on", 90.0) },
    ]);
    views.push(("full_room", in_session(theme, full)));
    views
}

#[test]
fn every_view_at_both_sizes() {
    for (name, mut model) in views(UNICODE) {
        assert_snapshot!(format!("{name}_80x24"), picture(&mut model, 80, 24));
        assert_snapshot!(format!("{name}_140x50"), picture(&mut model, 140, 50));
    }
}

/// The README shows what the program draws.
#[test]
fn the_picture_in_the_readme_is_a_true_one() {
    let shown = picture(&mut in_session(UNICODE, call()), 80, 24);
    let readme = include_str!("../../../README.md");
    assert!(readme.contains(&format!("```text\n{shown}```\n")), "put this into README.md, after ```text:\n{shown}");
}

#[test]
fn every_view_in_ascii() {
    let theme = Theme { glyphs: Glyphs::Ascii, ..UNICODE };
    for (name, mut model) in views(theme) {
        let shown = picture(&mut model, 80, 24);
        assert!(shown.is_ascii(), "{name}");
        assert_snapshot!(format!("{name}_ascii"), shown);
    }
}

/// Colour says nothing that the text does not: without it the same words and signs are there, and no colour at all.
#[test]
fn without_colour_the_same_is_said() {
    let plain = Theme { colour: Colour::None, ..UNICODE };
    for ((name, mut coloured), (_, mut plain)) in views(UNICODE).into_iter().zip(views(plain)) {
        for (columns, rows) in [(80, 24), (140, 50)] {
            assert_eq!(picture(&mut coloured, columns, rows), picture(&mut plain, columns, rows), "{name}");
            for cell in &buffer(&mut plain, columns, rows).content {
                assert_eq!((cell.fg, cell.bg), (Color::Reset, Color::Reset), "{name}");
            }
        }
        assert!(buffer(&mut coloured, 80, 24).content.iter().any(|cell| cell.fg != Color::Reset), "{name}");
    }
}

#[test]
fn a_window_that_is_too_small_says_so() {
    let mut model = in_session(UNICODE, call());
    assert_snapshot!(picture(&mut model, 40, 6), @r"
    make the window larger: 60×16 at least,
    now 40×6
    ");
    assert!(picture(&mut model, 60, 16).contains("People"));
    assert!(!picture(&mut model, 60, 15).contains("People"));
    assert!(!picture(&mut model, 59, 16).contains("People"));
}

/// Whatever is in a name, the frames stay straight: each line is as wide as the others.
#[test]
fn names_of_any_script_leave_the_frames_straight() {
    for name in [
        "日本語日本語日本語",
        "e\u{301}e\u{301}",
        "👨‍👩‍👧‍👦 family",
        "\u{301}\u{301}",
        "ﾊﾟﾊﾟ",
        "الأحد",
        "🇩🇪🇫🇷",
        "x".repeat(64).as_str(),
    ] {
        let mut view = call();
        view.peers.iter_mut().for_each(|peer| peer.name = name.into());
        let mut model = in_session(UNICODE, view);
        for (columns, rows) in [(60, 16), (80, 24), (120, 40), (140, 50)] {
            let shown = picture(&mut model, columns, rows);
            for line in shown.lines().filter(|line| line.starts_with('│')) {
                assert!(line.ends_with('│') && text::width(line) == usize::from(columns), "{name}: {line}");
            }
        }
    }
}

/// Should anything slip through the sanitiser, it does not reach the terminal.
#[test]
fn hostile_texts_are_harmless() {
    let evil = "\u{1b}[2J\u{1b}]0;x\u{7}\u{9b}31m\u{202e}\u{2066}\r\n\u{0}evil";
    let mut view = call();
    view.invite = Invite::Lan { room: evil.into() };
    view.reach = evil.into();
    view.problems = vec![evil.into(), evil.into()];
    view.session_number.changed = Some(evil.into());
    (view.me.name, view.me.input) = (evil.into(), evil.into());
    for peer in &mut view.peers {
        (peer.name, peer.safety_number, peer.id) = (evil.into(), evil.into(), peer.id.clone());
    }
    for line in &mut view.talk {
        (line.from, line.text) = (Some(evil.into()), evil.into());
    }
    let mut model = in_session(UNICODE, view.clone());
    update(&mut model, Msg::Warning { message: evil.into(), hint: evil.into() });
    for key in ['i', 's', 'n', 'r', ',', 'v', 'n'] {
        for (columns, rows) in [(80, 24), (140, 50)] {
            let cells = buffer(&mut model, columns, rows);
            let bad = |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
            assert!(!cells.content.iter().any(|cell| cell.symbol().chars().any(bad)));
        }
        press(&mut model, &[KeyCode::Esc, KeyCode::Char(key)]);
    }
    view.peers.clear();
    show(&mut model, view);
    assert!(picture(&mut model, 80, 24).contains("evil"));
    let mut model = Model::at_start(UNICODE, evil);
    update(&mut model, Msg::Nearby(Some(vec![NearbyRoom { room: evil.into(), people: 2 }])));
    update(&mut model, Msg::Recent(vec![start::joined(&[evil, evil]), start::gone_to(evil)]));
    let cells = buffer(&mut model, 80, 24);
    assert!(!cells.content.iter().any(|cell| cell.symbol().chars().any(|c| c.is_control() || c == '\u{202e}')));
}

/// Ten thousand bytes, accents without end, marks that turn lines round: nobody else's line is painted over, and each line has its width.
#[test]
fn floods_stay_within_their_lines() {
    let floods = [
        "x".repeat(10_000),
        format!("Z{}", "\u{0301}".repeat(3_000)),
        "\u{202e}\u{0489}".repeat(2_000),
        "👩‍".repeat(900),
    ];
    for flood in floods {
        let mut view = call();
        view.peers[0].name = flood.clone();
        view.talk.push(TalkLine { at: Duration::from_secs(1), from: Some(flood.clone()), text: flood.clone() });
        view.talk.push(TalkLine { at: Duration::from_secs(2), from: Some("Cy".into()), text: "after all that".into() });
        let mut model = in_session(UNICODE, view);
        for (columns, rows) in [(60, 16), (80, 24), (140, 50)] {
            let cells = buffer(&mut model, columns, rows);
            assert!(cells.content.iter().all(|cell| cell.symbol().chars().count() <= 8), "no cell holds a tower");
            let shown = picture(&mut model, columns, rows);
            assert!(shown.contains("after all that") && shown.contains("Cy") && shown.contains("help"), "{shown}");
            for line in shown.lines().filter(|line| line.starts_with('│')) {
                assert!(line.ends_with('│') && text::width(line) == usize::from(columns), "{line}");
            }
        }
    }
}

/// The ring on the map lies below the names: nothing of its paleness is left on them.
#[test]
fn names_on_the_map_are_as_strong_as_elsewhere() {
    let mut model = in_session(UNICODE, call());
    let cells = buffer(&mut model, 80, 24);
    let room = layout::of(&model).room;
    let map = crate::ui::map::Projection::fit(layout::inside(room), &call());
    for label in crate::ui::map::labels(&map, &call().peers, Some(0)) {
        for column in label.area.x..label.area.right() {
            let cell = &cells[(column, label.area.y)];
            assert!(
                cell.fg != Color::DarkGray && cell.modifier.contains(ratatui::style::Modifier::BOLD),
                "{}",
                label.text
            );
        }
    }
}
