//! What is kept between sessions: one small file, and nothing in it that is secret.

use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// The settings file's content, and where it lies.
#[derive(Default)]
pub struct Settings {
    file: Option<PathBuf>,
    kept: Kept,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Kept {
    name: Option<String>,
}

impl Settings {
    /// Reads `settings.json` in `folder`, or in the user's configuration folder. A missing or damaged file means defaults;
    /// a damaged one is left as it is until something is saved over it.
    pub fn load(folder: Option<&Path>) -> Self {
        let file = folder.map(Path::to_owned).or_else(default_folder).map(|folder| folder.join("settings.json"));
        let kept = file
            .as_deref()
            .and_then(|file| std::fs::read(file).ok())
            .and_then(|bytes| serde_json::from_slice(&bytes).ok())
            .unwrap_or_default();
        Self { file, kept }
    }

    /// The name to go by: what was asked for, else the kept one, else the login name.
    pub fn name_or_default(&self, asked: Option<&str>) -> String {
        let login = || std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).ok();
        asked
            .map(str::to_owned)
            .or_else(|| self.kept.name.clone())
            .or_else(login)
            .filter(|name| !name.trim().is_empty())
            .unwrap_or_else(|| "someone".to_owned())
    }

    /// Keeps a name for the next time. Failing to is no reason to stop: the name is asked for again.
    pub fn keep_name(&mut self, name: &str) {
        self.kept.name = Some(name.to_owned());
        if let Err(error) = self.save() {
            tracing::warn!(%error, "the settings could not be saved");
        }
    }

    /// Writes beside the file first and renames, so that a crash leaves the old or the new one.
    fn save(&self) -> std::io::Result<()> {
        let Some(file) = &self.file else { return Ok(()) };
        if let Some(folder) = file.parent() {
            std::fs::create_dir_all(folder)?;
        }
        let beside = file.with_extension("json.new");
        std::fs::write(&beside, serde_json::to_vec_pretty(&self.kept)?)?;
        std::fs::rename(&beside, file)
    }
}

/// `$XDG_CONFIG_HOME/resonance`, else `~/.config/resonance` (XDG Base Directory Specification).
fn default_folder() -> Option<PathBuf> {
    let absolute = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let config = absolute("XDG_CONFIG_HOME").or_else(|| absolute("HOME").map(|home| home.join(".config")));
    config.map(|config| config.join("resonance"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_and_a_damaged_file_does_no_harm() -> std::io::Result<()> {
        let folder = tempfile::tempdir()?;
        let mut settings = Settings::load(Some(folder.path()));
        settings.keep_name("Ada");
        assert_eq!(Settings::load(Some(folder.path())).name_or_default(None), "Ada");
        assert_eq!(Settings::load(Some(folder.path())).name_or_default(Some("Bo")), "Bo");
        std::fs::write(folder.path().join("settings.json"), b"{ not json")?;
        assert_ne!(Settings::load(Some(folder.path())).name_or_default(None), "");
        Ok(())
    }
}
