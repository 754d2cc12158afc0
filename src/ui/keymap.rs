//! Every key, declared once: what is pressed, what it does, and the words for it on the bottom line and the help page. A person may give
//! deeds other keys in the settings; [`Keymap`] is what holds then.

use super::theme::Glyphs;
use crate::settings::did_you_mean;
use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use std::collections::BTreeMap;

/// What a key does in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Talk,
    Mute,
    Deafen,
    Verify,
    Number,
    Write,
    CommandLine,
    Help,
    Copy,
    CopyTalk,
    Invite,
    Code,
    Stats,
    Events,
    Record,
    Settings,
    Previous,
    Next,
    Left,
    Right,
    Ahead,
    Back,
    Louder,
    Quieter,
    Silence,
    Arrange,
    TurnLeft,
    TurnRight,
    ScrollUp,
    ScrollDown,
    Admit,
    Refuse,
    Quit,
}

/// Keys that do one thing.
pub(super) struct Binding {
    pub deed: Deed,
    /// What the settings call it.
    pub name: &'static str,
    pub keys: &'static [KeyCode],
    /// A line of help.
    pub help: &'static str,
}

const fn row(deed: Deed, name: &'static str, keys: &'static [KeyCode], help: &'static str) -> Binding {
    Binding { deed, name, keys, help }
}

const fn key(character: char) -> KeyCode {
    KeyCode::Char(character)
}

/// The keys of a session, in the order of the help page.
pub(super) const CALL: &[Binding] = &[
    row(Deed::Talk, "talk", &[key(' ')], "speak while you hold it, where the terminal tells; else as m"),
    row(Deed::Mute, "mute", &[key('m')], "close your microphone, and open it again"),
    row(Deed::Deafen, "deafen", &[key('d')], "hear nobody, and everybody again"),
    row(Deed::Verify, "verify", &[key('v')], "compare the safety number with the chosen person"),
    row(Deed::Number, "number", &[key('n')], "compare the number of the whole session with everybody"),
    row(Deed::Write, "write", &[KeyCode::Enter], "write a line to everyone"),
    row(Deed::Previous, "previous", &[KeyCode::Up, KeyCode::BackTab], "choose the person above"),
    row(Deed::Next, "next", &[KeyCode::Down, KeyCode::Tab], "choose the person below"),
    row(Deed::Left, "left", &[key('h'), KeyCode::Left], "move the chosen person to the left"),
    row(Deed::Back, "back", &[key('j')], "move the chosen person back (also Shift with the arrow)"),
    row(Deed::Ahead, "ahead", &[key('k')], "move the chosen person ahead (also Shift with the arrow)"),
    row(Deed::Right, "right", &[key('l'), KeyCode::Right], "move the chosen person to the right"),
    row(Deed::Louder, "louder", &[key('+'), key('=')], "the chosen person louder by 3 dB"),
    row(Deed::Quieter, "quieter", &[key('-')], "the chosen person quieter by 3 dB"),
    row(Deed::Silence, "silence", &[key('u')], "hear nothing of the chosen person, and hear it again"),
    row(Deed::Arrange, "arrange", &[key('p')], "seat everybody: on an arc, round a table, on a stage"),
    row(Deed::TurnLeft, "turn-left", &[key('[')], "turn your head to the left"),
    row(Deed::TurnRight, "turn-right", &[key(']')], "turn your head to the right"),
    row(Deed::Copy, "copy", &[key('c')], "copy the link"),
    row(Deed::CopyTalk, "copy-talk", &[key('C')], "copy the newest link that was written, or the newest text"),
    row(Deed::Invite, "invite", &[key('i')], "show the link"),
    row(Deed::Code, "code", &[key('r')], "show the link as a code for a camera"),
    row(Deed::Stats, "stats", &[key('s')], "show measurements"),
    row(Deed::Events, "events", &[key('e')], "show what happened in this session, with times"),
    row(Deed::Record, "record", &[key('R')], "record everybody, who is told so; and stop that"),
    row(Deed::Settings, "settings", &[key(',')], "change settings: name, devices, colours, notifications"),
    row(Deed::ScrollUp, "older", &[KeyCode::PageUp], "older talk"),
    row(Deed::ScrollDown, "newer", &[KeyCode::PageDown], "newer talk"),
    row(Deed::Admit, "admit", &[key('a')], "let in who knocks"),
    row(Deed::Refuse, "refuse", &[key('x')], "turn away who knocks"),
    row(Deed::CommandLine, "command", &[key(':'), key('/')], "run any command; Tab completes it"),
    row(Deed::Help, "help", &[key('?'), KeyCode::F(1)], "this page"),
    row(Deed::Quit, "quit", &[key('q')], "leave"),
];

/// What is not a key of one view alone.
pub(super) const EVERYWHERE: &[((&str, &str), &str)] = &[
    (("Esc", "Esc"), "go back"),
    (("Ctrl-C", "Ctrl-C"), "leave; a second time without asking"),
    (("Ctrl-Z", "Ctrl-Z"), "stop, and go on with fg: nobody is heard meanwhile"),
    (
        ("mouse", "mouse"),
        "choose people; drag a name on the map; roll through the talk; before a session choose a line, and click again to go",
    ),
];

/// Commands that open a page of the screen, beside those that the session knows.
pub(super) const PAGES: &[(&str, Deed, &str)] = &[
    ("events", Deed::Events, "show what happened in this session, with times"),
    ("settings", Deed::Settings, "show and change what can be set"),
    ("help", Deed::Help, "this page"),
];

/// Keys that have a name: in the settings, on the screen, on a screen of ASCII.
const NAMED: [(KeyCode, &str, &str, &str); 14] = [
    (KeyCode::Up, "Up", "↑", "Up"),
    (KeyCode::Down, "Down", "↓", "Down"),
    (KeyCode::Left, "Left", "←", "Left"),
    (KeyCode::Right, "Right", "→", "Right"),
    (KeyCode::Enter, "Enter", "⏎", "Enter"),
    (KeyCode::Tab, "Tab", "Tab", "Tab"),
    (KeyCode::BackTab, "Shift-Tab", "Shift-Tab", "Shift-Tab"),
    (KeyCode::Char(' '), "Space", "Space", "Space"),
    (KeyCode::PageUp, "PageUp", "PgUp", "PgUp"),
    (KeyCode::PageDown, "PageDown", "PgDn", "PgDn"),
    (KeyCode::Home, "Home", "Home", "Home"),
    (KeyCode::End, "End", "End", "End"),
    (KeyCode::Insert, "Insert", "Ins", "Ins"),
    (KeyCode::Delete, "Delete", "Del", "Del"),
];
/// The last function key that terminals agree about.
const LAST_FUNCTION_KEY: u8 = 12;

/// Which keys do what: as declared above, or as a person wants it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Keymap {
    /// As many as [`CALL`] has rows, in the same order.
    keys: Vec<Vec<KeyCode>>,
}

impl Default for Keymap {
    fn default() -> Self {
        Self { keys: CALL.iter().map(|binding| binding.keys.to_vec()).collect() }
    }
}

impl Keymap {
    /// Gives deeds the keys that are wished for; a key that is given away does what it did before no more. What makes no sense is
    /// left out and told, with the deed that it stands at.
    pub(super) fn new(wishes: &BTreeMap<String, Vec<String>>) -> (Self, Vec<(String, String)>) {
        let mut map = Self::default();
        let (mut given, mut problems) = (Vec::new(), Vec::new());
        for (name, keys) in wishes {
            let Some(at) = CALL.iter().position(|binding| binding.name == name) else {
                let names = || CALL.iter().map(|binding| binding.name);
                let meant = match did_you_mean(name, names()) {
                    meant if meant.is_empty() => format!(": {}.", names().collect::<Vec<_>>().join(", ")),
                    meant => meant,
                };
                problems.push((name.clone(), format!("`keys.{}` is nothing that a key can do{meant}", short(name))));
                continue;
            };
            let mut own = Vec::new();
            for key in keys {
                match parse(key) {
                    Some(code) if given.contains(&code) => {
                        let what = format!("`keys.{name}`: {} does something else already.", short(key));
                        problems.push((name.clone(), what));
                    }
                    Some(code) => {
                        given.push(code);
                        own.push(code);
                    }
                    None => {
                        let key = short(key);
                        let what = "is no key: a character, or a name such as Up, Enter, Space, PageUp, F5.";
                        problems.push((name.clone(), format!("`keys.{name}`: `{key}` {what}")));
                    }
                }
            }
            for others in &mut map.keys {
                others.retain(|code| !own.contains(code));
            }
            map.keys[at] = own;
        }
        (map, problems)
    }

    /// What a key does in a session, if anything.
    pub(super) fn deed(&self, event: KeyEvent) -> Option<Deed> {
        if event.modifiers.intersects(KeyModifiers::CONTROL | KeyModifiers::ALT) {
            return None;
        }
        if event.modifiers.contains(KeyModifiers::SHIFT) {
            match event.code {
                KeyCode::Up => return Some(Deed::Ahead),
                KeyCode::Down => return Some(Deed::Back),
                _ => {}
            }
        }
        let at = self.keys.iter().position(|keys| keys.contains(&event.code))?;
        CALL.get(at).map(|binding| binding.deed)
    }

    /// The first key of a deed in words; empty when it has none.
    pub(super) fn first(&self, deed: Deed, glyphs: Glyphs) -> String {
        self.of(deed).first().map_or_else(String::new, |code| shown(*code, glyphs))
    }

    /// All keys of a deed in words.
    pub(super) fn all(&self, deed: Deed, glyphs: Glyphs) -> String {
        self.of(deed).iter().map(|code| shown(*code, glyphs)).collect::<Vec<_>>().join(" ")
    }

    fn of(&self, deed: Deed) -> &[KeyCode] {
        let at = CALL.iter().position(|binding| binding.deed == deed);
        at.and_then(|at| self.keys.get(at)).map_or(&[], Vec::as_slice)
    }
}

/// Deeds as the settings call them, the keys that they have as they come, and what they do.
pub fn declared() -> impl Iterator<Item = (&'static str, Vec<String>, &'static str)> {
    CALL.iter().map(|row| (row.name, row.keys.iter().map(|code| written(*code)).collect(), row.help))
}

/// What is wrong with keys that were wished for, and at which deed.
pub fn problems(wishes: &BTreeMap<String, Vec<String>>) -> Vec<(String, String)> {
    Keymap::new(wishes).1
}

/// A key as the settings write it.
fn written(code: KeyCode) -> String {
    match (NAMED.iter().find(|row| row.0 == code), code) {
        (Some(row), _) => row.1.to_owned(),
        (None, KeyCode::F(number)) => format!("F{number}"),
        (None, KeyCode::Char(character)) => character.to_string(),
        (None, _) => String::new(),
    }
}

fn shown(code: KeyCode, glyphs: Glyphs) -> String {
    match (NAMED.iter().find(|row| row.0 == code), glyphs) {
        (Some(row), Glyphs::Unicode) => row.2.to_owned(),
        (Some(row), Glyphs::Ascii) => row.3.to_owned(),
        (None, _) => written(code),
    }
}

fn parse(text: &str) -> Option<KeyCode> {
    let mut characters = text.chars();
    if let (Some(only), None) = (characters.next(), characters.next()) {
        return (!only.is_control() && !only.is_whitespace()).then_some(KeyCode::Char(only));
    }
    if let Some(row) = NAMED.iter().find(|row| row.1.eq_ignore_ascii_case(text)) {
        return Some(row.0);
    }
    let number = text.strip_prefix(['F', 'f'])?.parse().ok()?;
    (1..=LAST_FUNCTION_KEY).contains(&number).then_some(KeyCode::F(number))
}

/// A word of the settings, fit to be told.
fn short(text: &str) -> String {
    super::text::cut(text, 24)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(code: KeyCode, modifiers: KeyModifiers) -> Option<Deed> {
        Keymap::default().deed(KeyEvent::new(code, modifiers))
    }

    fn wish(wishes: &[(&str, &[&str])]) -> (Keymap, Vec<(String, String)>) {
        let owned = |keys: &[&str]| keys.iter().map(|key| (*key).to_owned()).collect();
        Keymap::new(&wishes.iter().map(|(deed, keys)| ((*deed).to_owned(), owned(keys))).collect())
    }

    #[test]
    fn no_key_does_two_things() {
        let keys: Vec<_> = CALL.iter().flat_map(|binding| binding.keys).collect();
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[index + 1..].contains(key), "{key:?}");
        }
    }

    #[test]
    fn arrows_choose_and_shifted_arrows_move() {
        assert_eq!(press(KeyCode::Up, KeyModifiers::NONE), Some(Deed::Previous));
        assert_eq!(press(KeyCode::Up, KeyModifiers::SHIFT), Some(Deed::Ahead));
        assert_eq!(press(KeyCode::Left, KeyModifiers::SHIFT), Some(Deed::Left));
        assert_eq!(press(KeyCode::Char('c'), KeyModifiers::CONTROL), None);
        for binding in CALL {
            assert!(binding.help.is_ascii() && binding.help.len() <= 60, "{}", binding.help);
        }
    }

    #[test]
    fn every_key_is_written_and_read_back() {
        for (_, keys, _) in declared() {
            for key in keys {
                assert_eq!(parse(&key).map(written), Some(key));
            }
        }
        assert_eq!(parse("f12"), Some(KeyCode::F(12)));
        for nonsense in ["", "F0", "F13", "Ctrl-X", "Esc", "\u{1b}", "ab"] {
            assert_eq!(parse(nonsense), None, "{nonsense:?}");
        }
    }

    #[test]
    fn a_deed_gets_the_keys_that_are_wished_for_and_others_lose_them() {
        let (map, problems) = wish(&[("mute", &["v", "F5"]), ("number", &[])]);
        assert_eq!(problems, []);
        let deed = |code| map.deed(KeyEvent::new(code, KeyModifiers::NONE));
        assert_eq!(
            [key('v'), KeyCode::F(5), key('m'), key('n')].map(deed),
            [Some(Deed::Mute), Some(Deed::Mute), None, None]
        );
        assert_eq!(map.first(Deed::Mute, Glyphs::Unicode), "v");
        assert_eq!(map.all(Deed::Mute, Glyphs::Ascii), "v F5");
        assert_eq!(map.first(Deed::Verify, Glyphs::Unicode), "");
    }

    #[test]
    fn wishes_that_make_no_sense_are_told() {
        let (map, problems) = wish(&[("dance", &["z"]), ("deafen", &["z", "Ctrl-Z"]), ("mute", &["z"])]);
        assert_eq!(problems.len(), 3, "{problems:?}");
        let (deeds, told): (Vec<_>, Vec<_>) = problems.into_iter().unzip();
        assert_eq!(deeds, ["dance", "deafen", "mute"]);
        assert!(told[0].contains("`keys.dance`") && told[1].contains("`Ctrl-Z`") && told[2].contains("already"));
        let (_, problems) = wish(&[("muet", &["z"])]);
        assert_eq!(problems[0].1, "`keys.muet` is nothing that a key can do; did you mean \"mute\"?");
        assert_eq!(map.deed(KeyEvent::new(key('z'), KeyModifiers::NONE)), Some(Deed::Deafen));
    }
}
