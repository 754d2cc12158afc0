//! Where a recording goes, and what the session is told of it.

use super::unix_now;
use crate::audio::record::folder_for;
use crate::folders;
use crate::identities::manage::date;
use crate::session::event::Recording;
use std::path::{Path, PathBuf};

/// Where recordings go when nobody says where.
fn usual_folder() -> PathBuf {
    folders::music().unwrap_or_else(|| std::env::temp_dir().join("resonance"))
}

/// Begins a recording by `begin`, in the folder that was asked for or the usual one.
pub fn begin(wanted: Option<&str>, begin: impl FnOnce(&Path) -> Result<(), String>) -> Recording {
    let stamp = stamp(unix_now());
    let folder = match wanted {
        Some(wanted) => folder_for(&expanded(wanted), false, &stamp),
        None => folder_for(&usual_folder(), true, &stamp),
    };
    // A later change of folder must not make the name another.
    let folder = std::path::absolute(&folder).unwrap_or(folder);
    match begin(&folder) {
        Ok(()) => Recording::Began(folder.display().to_string()),
        Err(why) => Recording::NotBegun(why),
    }
}

/// On the command line of the screen no shell reads the `~`.
fn expanded(path: &str) -> PathBuf {
    let home = std::env::var_os("HOME").map(PathBuf::from);
    match (path.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        _ => path.into(),
    }
}

/// Date and time in UTC, fit for a file's name: `2026-11-26-051423Z`.
fn stamp(unix: u64) -> String {
    let second = unix % 86_400;
    format!("{}-{:02}{:02}{:02}Z", date(unix), second / 3_600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_are_named_by_date_and_time() {
        assert_eq!(stamp(0), "1970-01-01-000000Z");
        assert_eq!(stamp(951_782_399), "2000-02-28-235959Z");
        assert_eq!(stamp(951_782_400), "2000-02-29-000000Z");
        assert_eq!(stamp(1_709_251_200), "2024-03-01-000000Z");
        assert_eq!(stamp(4_107_542_400), "2100-03-01-000000Z", "2100 is no leap year");
        assert_eq!(stamp(1_795_670_063), "2026-11-26-051423Z");
    }

    #[test]
    fn what_cannot_begin_says_why() {
        let folder = tempfile::tempdir().expect("folder");
        let wanted = folder.path().join("call");
        let wanted = wanted.to_str();
        assert_eq!(begin(wanted, |_| Err("no".into())), Recording::NotBegun("no".into()));
        let begun = begin(wanted, |folder| std::fs::create_dir(folder).map_err(|error| error.to_string()));
        assert_eq!(Some(begun), wanted.map(|wanted| Recording::Began(wanted.into())));
    }
}
