//! Which folder holds what of a person, by the XDG Base Directory Specification: a path that is not absolute counts as not set.
//!
//! | folder | unless set otherwise | holds |
//! |---|---|---|
//! | `$XDG_CONFIG_HOME/resonance` | `~/.config/resonance` | the file of settings |
//! | `$XDG_DATA_HOME/resonance` | `~/.local/share/resonance` | a kept identity, a helper's key |
//! | `$XDG_STATE_HOME/resonance` | `~/.local/state/resonance` | the last sessions |
//! | `$XDG_MUSIC_DIR/resonance` | `~/Music/resonance` | recordings |
//! | `$XDG_RUNTIME_DIR/resonance` | `run` in the data's | control sockets |
//! | `$STATE_DIRECTORY` (a service's, by systemd) | the data's | a helper's key |

use std::path::PathBuf;

/// Settings.
pub fn config() -> Option<PathBuf> {
    own("XDG_CONFIG_HOME", ".config")
}

/// What is to be kept.
pub fn data() -> Option<PathBuf> {
    own("XDG_DATA_HOME", ".local/share")
}

/// What is remembered, and could be forgotten.
pub fn state() -> Option<PathBuf> {
    own("XDG_STATE_HOME", ".local/state")
}

/// Recordings.
pub fn music() -> Option<PathBuf> {
    own("XDG_MUSIC_DIR", "Music")
}

/// What lasts as long as a program runs.
pub fn runtime() -> Option<PathBuf> {
    absolute("XDG_RUNTIME_DIR").map(ours).or_else(|| data().map(|data| data.join("run")))
}

/// What a service keeps.
pub fn service() -> Option<PathBuf> {
    absolute("STATE_DIRECTORY").or_else(data)
}

fn own(variable: &str, below_home: &str) -> Option<PathBuf> {
    absolute(variable).or_else(|| absolute("HOME").map(|home| home.join(below_home))).map(ours)
}

fn ours(folder: PathBuf) -> PathBuf {
    folder.join("resonance")
}

fn absolute(variable: &str) -> Option<PathBuf> {
    std::env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute())
}
