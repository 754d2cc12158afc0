//! Every key, declared once: what is pressed, what it does, and the words for it on the bottom line and the help page.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// What a key does in a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    Mute,
    Deafen,
    Verify,
    Number,
    Write,
    CommandLine,
    Help,
    Copy,
    Invite,
    Stats,
    Previous,
    Next,
    Left,
    Right,
    Ahead,
    Back,
    Louder,
    Quieter,
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
    pub keys: &'static [KeyCode],
    /// The keys in words: in Unicode, in ASCII.
    pub shown: (&'static str, &'static str),
    /// A line of help.
    pub help: &'static str,
}

const fn key(character: char) -> KeyCode {
    KeyCode::Char(character)
}

/// The keys of a session, in the order of the help page.
pub(super) const CALL: &[Binding] = &[
    Binding {
        deed: Deed::Mute,
        keys: &[key('m')],
        shown: ("m", "m"),
        help: "close your microphone, and open it again",
    },
    Binding { deed: Deed::Deafen, keys: &[key('d')], shown: ("d", "d"), help: "hear nobody, and everybody again" },
    Binding {
        deed: Deed::Verify,
        keys: &[key('v')],
        shown: ("v", "v"),
        help: "compare the safety number with the chosen person",
    },
    Binding {
        deed: Deed::Number,
        keys: &[key('n')],
        shown: ("n", "n"),
        help: "compare the number of the whole session with everybody",
    },
    Binding { deed: Deed::Write, keys: &[KeyCode::Enter], shown: ("⏎", "Enter"), help: "write a line to everyone" },
    Binding {
        deed: Deed::Previous,
        keys: &[KeyCode::Up, KeyCode::BackTab],
        shown: ("↑", "Up"),
        help: "choose the person above",
    },
    Binding {
        deed: Deed::Next,
        keys: &[KeyCode::Down, KeyCode::Tab],
        shown: ("↓", "Down"),
        help: "choose the person below",
    },
    Binding {
        deed: Deed::Left,
        keys: &[key('h'), KeyCode::Left],
        shown: ("h ←", "h Left"),
        help: "move the chosen person to the left",
    },
    Binding {
        deed: Deed::Back,
        keys: &[key('j')],
        shown: ("j", "j"),
        help: "move the chosen person back (also Shift with the arrow)",
    },
    Binding {
        deed: Deed::Ahead,
        keys: &[key('k')],
        shown: ("k", "k"),
        help: "move the chosen person ahead (also Shift with the arrow)",
    },
    Binding {
        deed: Deed::Right,
        keys: &[key('l'), KeyCode::Right],
        shown: ("l →", "l Right"),
        help: "move the chosen person to the right",
    },
    Binding {
        deed: Deed::Louder,
        keys: &[key('+'), key('=')],
        shown: ("+", "+"),
        help: "the chosen person louder by 3 dB",
    },
    Binding { deed: Deed::Quieter, keys: &[key('-')], shown: ("-", "-"), help: "the chosen person quieter by 3 dB" },
    Binding { deed: Deed::TurnLeft, keys: &[key('[')], shown: ("[", "["), help: "turn your head to the left" },
    Binding { deed: Deed::TurnRight, keys: &[key(']')], shown: ("]", "]"), help: "turn your head to the right" },
    Binding { deed: Deed::Copy, keys: &[key('c')], shown: ("c", "c"), help: "copy the link" },
    Binding { deed: Deed::Invite, keys: &[key('i')], shown: ("i", "i"), help: "show the link" },
    Binding { deed: Deed::Stats, keys: &[key('s')], shown: ("s", "s"), help: "show measurements" },
    Binding { deed: Deed::ScrollUp, keys: &[KeyCode::PageUp], shown: ("PgUp", "PgUp"), help: "older talk" },
    Binding { deed: Deed::ScrollDown, keys: &[KeyCode::PageDown], shown: ("PgDn", "PgDn"), help: "newer talk" },
    Binding { deed: Deed::Admit, keys: &[key('a')], shown: ("a", "a"), help: "let in who knocks" },
    Binding { deed: Deed::Refuse, keys: &[key('x')], shown: ("x", "x"), help: "turn away who knocks" },
    Binding {
        deed: Deed::CommandLine,
        keys: &[key(':'), key('/')],
        shown: (":", ":"),
        help: "run any command; Tab completes it",
    },
    Binding { deed: Deed::Help, keys: &[key('?'), KeyCode::F(1)], shown: ("?", "?"), help: "this page" },
    Binding { deed: Deed::Quit, keys: &[key('q')], shown: ("q", "q"), help: "leave" },
];

/// What is not a key of one view alone.
pub(super) const EVERYWHERE: &[((&str, &str), &str)] = &[
    (("Esc", "Esc"), "go back"),
    (("Ctrl-C", "Ctrl-C"), "leave; a second time without asking"),
    (("mouse", "mouse"), "choose people; drag a name on the map; roll through the talk"),
];

/// What a key does in a session, if anything.
pub(super) fn deed(event: KeyEvent) -> Option<Deed> {
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
    CALL.iter().find(|binding| binding.keys.contains(&event.code)).map(|binding| binding.deed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_does_two_things() {
        let keys: Vec<_> = CALL.iter().flat_map(|binding| binding.keys).collect();
        for (index, key) in keys.iter().enumerate() {
            assert!(!keys[index + 1..].contains(key), "{key:?}");
        }
    }

    #[test]
    fn arrows_choose_and_shifted_arrows_move() {
        assert_eq!(deed(KeyEvent::new(KeyCode::Up, KeyModifiers::NONE)), Some(Deed::Previous));
        assert_eq!(deed(KeyEvent::new(KeyCode::Up, KeyModifiers::SHIFT)), Some(Deed::Ahead));
        assert_eq!(deed(KeyEvent::new(KeyCode::Left, KeyModifiers::SHIFT)), Some(Deed::Left));
        assert_eq!(deed(KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)), None);
        for binding in CALL {
            assert!(
                binding.shown.1.is_ascii() && binding.help.is_ascii() && binding.help.len() <= 60,
                "{}",
                binding.help
            );
        }
    }
}
