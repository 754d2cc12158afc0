//! What can be set, and what it does at once.

use super::*;
use crate::command::Command;
use crate::settings::{Setting, Values};
use crate::ui::Rehearsal;
use crossterm::event::KeyEventKind;

fn keep(setting: &'static Setting, value: &str) -> Action {
    Action::Keep { setting, value: value.to_owned() }
}

/// Lets the model know what is set, as the program does at the start and whenever that changes.
fn set(model: &mut Model, values: Values) -> Vec<Action> {
    let kept_in = "~/.config/resonance/config.toml".into();
    update(model, Msg::Settings { values: Box::new(values), kept_in, mistakes: Vec::new() })
}

fn values(setting: &Setting, value: &str) -> Values {
    let mut values = Values::default();
    values.set(setting, value).expect("a value that it takes");
    values
}

fn devices(model: &mut Model) {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    update(model, Msg::Devices { inputs: names(&["Headset", "Webcam"]), outputs: names(&["Headset", "Television"]) });
}

fn key(model: &mut Model, code: KeyCode, kind: KeyEventKind) -> Vec<Action> {
    update(model, Msg::Key(KeyEvent::new_with_kind(code, KeyModifiers::NONE, kind)))
}

#[test]
fn a_newcomer_gives_a_name_tries_the_sound_and_goes_on() {
    let mut model = Model::first_run(UNICODE, "");
    assert_eq!(model.rehearsal(), Some(Rehearsal::Meter), "the meter moves from the start");
    assert!(model.wants_devices());
    devices(&mut model);
    type_in(&mut model, "Ada");
    let kept = press(&mut model, &[KeyCode::Enter]);
    assert_eq!(kept, [keep(Setting::NAME, "Ada")]);
    assert_eq!(press(&mut model, &[KeyCode::Right]), [keep(Setting::INPUT, "Headset")]);
    assert_eq!(press(&mut model, &[KeyCode::Left]), [keep(Setting::INPUT, "default")]);
    let chosen = press(&mut model, &[KeyCode::Down, KeyCode::Left]);
    assert_eq!(chosen, [keep(Setting::OUTPUT, "null")], "round and round");
    press(&mut model, &[KeyCode::Down, KeyCode::Enter]);
    assert_eq!(model.rehearsal(), Some(Rehearsal::Hear));
    update(&mut model, Msg::Rehearsal { input_db: -18.0, output_db: -24.0 });
    let shown = picture(&mut model, 80, 24);
    assert!(shown.contains("−18 dB") && shown.contains("in your ears") && shown.contains("−24 dB"), "{shown}");
    press(&mut model, &[KeyCode::Down]);
    assert_eq!(press(&mut model, &[KeyCode::Enter]), [keep(Setting::NAME, "Ada")]);
    assert_eq!((model.rehearsal(), model.wants_devices()), (None, false), "the devices are free for the session");
    let started = press(&mut model, &[KeyCode::Enter]);
    assert_eq!(started, [Action::Start { name: "Ada".into(), choice: crate::ui::StartChoice::Create }]);
}

#[test]
fn a_newcomer_with_a_link_in_the_clipboard_joins_with_it() {
    let mut model = Model::first_run(UNICODE, "ada");
    update(&mut model, Msg::Paste(LINK.into()));
    press(&mut model, &[KeyCode::Up]);
    press(&mut model, &[KeyCode::Enter]);
    let started = press(&mut model, &[KeyCode::Enter]);
    assert_eq!(started, [Action::Start { name: "ada".into(), choice: crate::ui::StartChoice::Join(LINK.into()) }]);
}

#[test]
fn nobody_goes_on_without_a_name() {
    let mut model = Model::first_run(UNICODE, "");
    assert_eq!(press(&mut model, &[KeyCode::Up, KeyCode::Enter]), []);
    assert!(picture(&mut model, 80, 24).contains("type one first"));
    assert_eq!(press(&mut model, &[KeyCode::Esc]), []);
    assert!(picture(&mut model, 80, 24).contains("Welcome"));
}

#[test]
fn a_setting_holds_as_soon_as_it_is_changed() {
    let mut model = in_session(UNICODE, call());
    press(&mut model, &[KeyCode::Char(',')]);
    let at = crate::settings::SETTINGS.iter().position(|row| row == Setting::THEME).expect("a theme");
    press(&mut model, &vec![KeyCode::Down; at]);
    let kept = press(&mut model, &[KeyCode::Right]);
    assert_eq!(kept, [keep(Setting::THEME, "dark")]);
    set(&mut model, values(Setting::THEME, "none"));
    let cells = buffer(&mut model, 80, 24);
    assert!(cells.content.iter().all(|cell| cell.fg == ratatui::style::Color::Reset));
    set(&mut model, values(Setting::GLYPHS, "ascii"));
    assert!(picture(&mut model, 80, 24).is_ascii());
    press(&mut model, &[KeyCode::Esc]);
    assert_eq!(model.mode, Mode::Call, "back among the others");
    assert_eq!(model.rehearsal(), None, "a session has its own microphone");
}

/// What is on no page is found by nobody; what gives something away, or holds later only, says so there.
#[test]
fn every_setting_is_on_the_page_with_what_it_does() {
    let mut model = in_session(UNICODE, call());
    press(&mut model, &[KeyCode::Char(',')]);
    for setting in crate::settings::SETTINGS {
        assert!(joined(&picture(&mut model, 140, 50)).contains(setting.about), "{}", setting.path());
        if setting == Setting::DTX {
            assert_eq!(press(&mut model, &[KeyCode::Right]), [keep(Setting::DTX, "true")]);
        }
        press(&mut model, &[KeyCode::Down]);
    }
    assert!(Setting::PACKET.about.contains("from the next session"));
}

#[test]
fn keys_do_what_the_settings_say_and_the_screen_names_those() {
    let mut model = in_session(UNICODE, call());
    let mut wished = Values::default();
    wished.keys.insert("mute".into(), vec!["z".into()]);
    wished.keys.insert("verify".into(), Vec::new());
    set(&mut model, wished);
    assert_eq!(press(&mut model, &[KeyCode::Char('m'), KeyCode::Char('v')]), []);
    assert_eq!(press(&mut model, &[KeyCode::Char('z')]), [Action::Command(Command::Mute)]);
    let shown = picture(&mut model, 80, 24);
    assert!(
        shown.contains("nobody hears you (z)") && shown.contains("z unmute") && !shown.contains("verify Bo"),
        "{shown}"
    );
    press(&mut model, &[KeyCode::Char('?')]);
    let help = picture(&mut model, 80, 24);
    assert!(help.contains(" z            close your microphone"), "{help}");
}

#[test]
fn whoever_pushes_to_talk_is_heard_while_the_key_is_down() {
    let space = KeyCode::Char(' ');
    let mut model = Model::opening(UNICODE, "Ada", "Joining…");
    model.releases_keys = true;
    set(&mut model, values(Setting::TALK, "push"));
    let begun = update(&mut model, Msg::View(Box::new(call())));
    assert_eq!(begun, [Action::Command(Command::Mute)], "the microphone is closed from the start");
    assert_eq!(key(&mut model, space, KeyEventKind::Press), [Action::Command(Command::Unmute)]);
    assert_eq!(key(&mut model, space, KeyEventKind::Repeat), []);
    assert_eq!(key(&mut model, space, KeyEventKind::Release), [Action::Command(Command::Mute)]);
    assert_eq!(key(&mut model, space, KeyEventKind::Release), []);
    assert!(picture(&mut model, 80, 24).contains("Space hold to talk"));
    // Whoever looks at another window is not seen to let go.
    key(&mut model, space, KeyEventKind::Press);
    assert_eq!(update(&mut model, Msg::FocusLost), [Action::Command(Command::Mute)]);
    // Nor does a page that opens meanwhile keep the microphone open.
    key(&mut model, space, KeyEventKind::Press);
    press(&mut model, &[KeyCode::Char('?')]);
    assert_eq!(key(&mut model, space, KeyEventKind::Release), [Action::Command(Command::Mute)]);
}

/// Where nothing tells that a key is let go, each press opens or closes; nothing is left open by what was not seen.
#[test]
fn on_other_terminals_the_key_to_speak_goes_there_and_back() {
    let mut model = in_session(UNICODE, call());
    let pressed = press(&mut model, &[KeyCode::Char(' '), KeyCode::Char(' ')]);
    assert_eq!(pressed, [Command::Mute, Command::Unmute].map(Action::Command));
    assert_eq!(update(&mut model, Msg::FocusLost), []);
}

#[test]
fn changing_how_one_talks_opens_and_closes_the_microphone_at_once() {
    let mut model = in_session(UNICODE, call());
    assert_eq!(set(&mut model, values(Setting::TALK, "push")), [Action::Command(Command::Mute)]);
    assert_eq!(set(&mut model, values(Setting::TALK, "push")), []);
    assert_eq!(set(&mut model, values(Setting::TALK, "open")), [Action::Command(Command::Unmute)]);
}

#[test]
fn a_name_that_is_changed_in_a_session_is_for_the_next_one() {
    let mut model = in_session(UNICODE, call());
    press(&mut model, &[KeyCode::Char(',')]);
    type_in(&mut model, "!");
    assert_eq!(press(&mut model, &[KeyCode::Down]), [keep(Setting::NAME, "Ada!")]);
    assert!(picture(&mut model, 80, 24).contains("in this session you keep your name"));
}

/// A slip in the file is seen where people are, until it is mended; who talks is told once.
#[test]
fn a_mistake_in_the_file_stands_on_the_first_pages_until_it_is_mended() {
    let slip = "config.toml, line 3: `theem` is no setting of [screen]; did you mean \"theme\"?";
    let told = |model: &mut Model, mistakes: &[&str]| {
        let mistakes = mistakes.iter().map(|slip| (*slip).to_owned()).collect();
        let (values, kept_in) = (Box::default(), "~/.config/resonance/config.toml".into());
        assert_eq!(update(model, Msg::Settings { values, kept_in, mistakes }), []);
    };
    let mut pages = vec![Model::at_start(UNICODE, "Ada"), Model::first_run(UNICODE, "Ada")];
    pages.push(in_session(UNICODE, alone()));
    for keys in [",", "s"] {
        let mut model = in_session(UNICODE, call());
        type_in(&mut model, keys);
        pages.push(model);
    }
    for mut model in pages {
        told(&mut model, &[slip]);
        model.notice = None;
        let shown = joined(&picture(&mut model, 80, 24));
        assert!(shown.contains(slip), "{shown}");
        told(&mut model, &[slip; 5]);
        assert!(joined(&picture(&mut model, 140, 50)).contains("and 3 more: resonance config show"));
        told(&mut model, &[]);
        model.notice = None;
        assert!(!joined(&picture(&mut model, 80, 24)).contains("theem"));
    }
    let mut model = in_session(UNICODE, call());
    told(&mut model, &[slip, slip]);
    let shown = joined(&picture(&mut model, 80, 24));
    assert!(shown.contains(slip) && shown.contains("And 1 more (,)"), "{shown}");
    model.notice = None;
    told(&mut model, &[slip, slip]);
    assert_eq!(model.notice, None, "once");
}

/// What is written over several lines, in one.
fn joined(shown: &str) -> String {
    let words = shown.split_whitespace().filter(|word| !word.chars().all(|c| "│─┌┐└┘".contains(c)));
    words.collect::<Vec<_>>().join(" ")
}
