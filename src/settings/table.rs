//! Every setting, declared once.

use std::collections::BTreeMap;

/// The section of the file that gives deeds their keys.
pub(super) const KEYS: &str = "keys";

/// What this program can clean a voice with.
const VOICE_ENGINES: &[&str] = if cfg!(feature = "webrtc-apm") { &["sonora", "webrtc"] } else { &["sonora"] };

/// What a setting takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Any text of at most so many bytes.
    Text(usize),
    /// One of these words.
    Choice(&'static [&'static str]),
    /// `true` or `false`.
    Switch,
}

/// A row of the table.
#[derive(Debug, PartialEq, Eq)]
pub struct Setting {
    /// The table of the file that it stands in; empty at the top.
    pub section: &'static str,
    /// Its key there.
    pub name: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// What holds when nothing was set.
    pub default: &'static str,
    /// A line of explanation.
    pub about: &'static str,
}

macro_rules! settings {
    ($($id:ident = ($section:literal, $name:literal, $kind:expr, $default:literal, $about:literal);)*) => {
        /// The table, in the order of the file and of the page.
        pub const SETTINGS: &[Setting] = &[$(Setting {
            section: $section,
            name: $name,
            kind: $kind,
            default: $default,
            about: $about,
        }),*];

        impl Setting {
            settings!(@ids 0; $($id)*);
        }
    };
    (@ids $at:expr; $id:ident $($rest:ident)*) => {
        #[doc = concat!("The row called ", stringify!($id), ".")]
        pub const $id: &'static Setting = &SETTINGS[$at];
        settings!(@ids $at + 1; $($rest)*);
    };
    (@ids $at:expr;) => {};
}

settings! {
    NAME = ("", "name", Kind::Text(64), "", "your name, as the others see it; empty: your login name");
    INPUT = ("sound", "input", Kind::Text(1_024), "default", "microphone: default, a device, wav:FILE, tone:HZ, silence");
    OUTPUT = ("sound", "output", Kind::Text(1_024), "default", "speaker: default, a device, wav:FILE, null");
    VOICE = ("sound", "voice", Kind::Choice(&["auto", "on", "off", "music"]), "auto", "echo cancelling, noise suppression, gain; auto: for devices; music: none, stereo");
    VOICE_ENGINE = ("sound", "voice_engine", Kind::Choice(VOICE_ENGINES), "sonora", "what cleans the voice: sonora, or webrtc where that was built in");
    PACKET = ("sound", "packet_ms", Kind::Choice(&["2.5", "5", "10", "20"]), "10", "sound in a packet; shorter is heard sooner and takes more network; from the next session");
    DTX = ("sound", "dtx", Kind::Switch, "false", "send next to nothing while you are silent: shows the network when you speak");
    EARS = ("sound", "ears", Kind::Choice(&["auto", "headphones", "speakers"]), "auto", "what you listen with; auto: as the device says, else headphones");
    ACOUSTICS = ("sound", "acoustics", Kind::Choice(&["off", "small", "hall"]), "off", "the room that voices stand in, in headphones: takes them out of your head");
    HRTF = ("sound", "hrtf", Kind::Text(1_024), "default", "whose ears: default, or a SOFA file; the command hrtf tries one");
    TALK = ("sound", "talk", Kind::Choice(&["open", "push"]), "open", "open: the microphone is open from the start; push: only while you hold the key");
    THEME = ("screen", "theme", Kind::Choice(&["auto", "dark", "light", "contrast", "none"]), "auto", "colours; auto follows NO_COLOR and the terminal");
    GLYPHS = ("screen", "glyphs", Kind::Choice(&["auto", "unicode", "ascii"]), "auto", "what frames and meters are drawn with; auto follows the locale");
    BELL = ("notify", "bell", Kind::Switch, "false", "ring the terminal's bell when somebody knocks, joins or writes");
    SOUNDS = ("notify", "sounds", Kind::Switch, "true", "short sounds when somebody comes, goes, knocks, is lost or is back");
    DESKTOP = ("notify", "desktop", Kind::Switch, "false", "ask the terminal to show the same as a desktop notification");
    TELL_ROOMS = ("privacy", "tell_rooms", Kind::Switch, "true", "tell who asks on this network the name of the LAN room you are in");
    REMEMBER = ("privacy", "remember", Kind::Switch, "false", "keep your last sessions on this machine, their secret links too");
}

impl Setting {
    /// How the file calls it: `sound.input`.
    pub fn path(&self) -> String {
        if self.section.is_empty() { self.name.to_owned() } else { format!("{}.{}", self.section, self.name) }
    }

    /// Whether it takes this value.
    ///
    /// # Errors
    /// Says what it takes instead.
    pub fn check(&self, value: &str) -> Result<(), String> {
        match self.kind {
            Kind::Text(most) if value.len() > most => Err(format!("is longer than {most} bytes")),
            Kind::Text(_) if value.chars().any(char::is_control) => Err("holds control characters".to_owned()),
            Kind::Text(_) => Ok(()),
            Kind::Choice(words) if words.contains(&value) => Ok(()),
            Kind::Choice(words) => {
                Err(format!("must be {}{}", one_of(words), did_you_mean(value, words.iter().copied())))
            }
            Kind::Switch if matches!(value, "true" | "false") => Ok(()),
            Kind::Switch => Err("must be true or false".to_owned()),
        }
    }
}

fn one_of(words: &[&str]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
    match quoted.split_last() {
        Some((last, others)) if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        _ => quoted.concat(),
    }
}

/// `; did you mean "voice"?`, when something known is close to what was written.
pub fn did_you_mean<'a>(written: &str, known: impl Iterator<Item = &'a str>) -> String {
    /// From this likeness on (0–1) a word is taken for a slip of another.
    const ALIKE: f64 = 0.7;
    let likeness = |word: &&str| strsim::jaro_winkler(written, word);
    let best = known.max_by(|a, b| likeness(a).total_cmp(&likeness(b))).filter(|best| likeness(best) >= ALIKE);
    best.map_or_else(String::new, |best| format!("; did you mean \"{best}\"?"))
}

/// What holds now: a value for each row, and the keys that were given to deeds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Values {
    pub(super) set: BTreeMap<String, String>,
    /// Names of keys by the name of the deed; whoever has a keymap knows which of them mean something.
    pub keys: BTreeMap<String, Vec<String>>,
}

impl Values {
    /// What a setting is.
    pub fn get(&self, setting: &Setting) -> &str {
        self.set.get(&setting.path()).map_or(setting.default, String::as_str)
    }

    /// Whether a switch is on.
    pub fn is_on(&self, setting: &Setting) -> bool {
        self.get(setting) == "true"
    }

    /// Whether it was set to something, be it the default.
    pub fn is_set(&self, setting: &Setting) -> bool {
        self.set.contains_key(&setting.path())
    }

    /// Sets it here, without keeping it.
    ///
    /// # Errors
    /// Says what it takes instead; nothing is changed then.
    pub fn set(&mut self, setting: &Setting, value: &str) -> Result<(), String> {
        setting.check(value)?;
        self.set.insert(setting.path(), value.to_owned());
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_default_is_one_of_what_its_setting_takes() {
        for setting in SETTINGS {
            assert_eq!(setting.check(setting.default), Ok(()), "{}", setting.path());
            assert!(setting.about.len() <= 90 && setting.about.is_ascii(), "{}", setting.path());
        }
        assert_eq!(Setting::NAME.path(), "name");
        assert_eq!(Setting::DESKTOP.path(), "notify.desktop");
    }

    #[test]
    fn what_is_not_taken_is_refused_with_what_is() {
        assert_eq!(
            Setting::THEME.check("drak"),
            Err("must be \"auto\", \"dark\", \"light\", \"contrast\" or \"none\"; did you mean \"dark\"?".into())
        );
        assert_eq!(Setting::BELL.check("yes"), Err("must be true or false".into()));
        assert!(Setting::NAME.check(&"x".repeat(65)).is_err());
        assert!(Setting::NAME.check("a\u{1b}").is_err());
        assert_eq!(did_you_mean("zebra", ["input", "output"].into_iter()), "");
    }
}
