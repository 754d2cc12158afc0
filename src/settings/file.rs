//! The file: read with every mistake named, written without touching what else a person wrote there.

use super::table::{KEYS, Kind, SETTINGS, Setting, Values, did_you_mean};
use crate::folders;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use toml_edit::{DocumentMut, Item, Table, Value};

/// A larger file is none of ours, in bytes.
const MAX_FILE: u64 = 256 * 1024;
/// Keys that one deed may have.
const MAX_KEYS: usize = 8;

/// What holds, where it is kept, and what is wrong there.
#[derive(Default)]
pub struct Settings {
    file: Option<PathBuf>,
    values: Values,
    problems: Vec<Problem>,
    /// The line of each thing that is set, by its path.
    lines: BTreeMap<String, usize>,
    stamp: Option<Stamp>,
}

/// Something in the file that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands, counted from 1; `None` for the whole file.
    pub line: Option<usize>,
    /// What is wrong, and what was meant as far as one can tell: a sentence.
    pub what: String,
}

impl Problem {
    /// The sentence with its place, in a file of this name.
    pub fn told(&self, file: &str) -> String {
        match self.line {
            Some(line) => format!("{file}, line {line}: {}", self.what),
            None => format!("{file}: {}", self.what),
        }
    }
}

/// When and how large: enough to see that a file was written.
type Stamp = (SystemTime, u64);

/// Why something was not kept. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// There is no home folder.
    #[error("There is no folder to keep settings in: set HOME, or name a file with --config.")]
    NoFolder,
    /// The file that is there cannot be read as TOML: it is left as it is.
    #[error("{} is not valid TOML, so nothing was written to it: mend it first, or remove it. {problem}", file.display())]
    Damaged {
        /// Which.
        file: PathBuf,
        /// What the reader says, and where.
        problem: String,
    },
    /// There is a file already.
    #[error("{} is there already and was left as it is.", .0.display())]
    Exists(PathBuf),
    /// Not something that the setting takes.
    #[error("{0} {1}.")]
    Value(String, String),
    /// The file system refuses.
    #[error("{}: {error}.", file.display())]
    Io {
        /// Which.
        file: PathBuf,
        /// What it says.
        error: io::Error,
    },
}

impl Settings {
    /// Reads `file`, or `config.toml` in `folder`, or that in the user's configuration folder. What cannot be used counts as not
    /// set, and is named in [`problems`](Self::problems).
    pub fn load(file: Option<&Path>, folder: Option<&Path>) -> Self {
        let folder = || folder.map(Path::to_owned).or_else(folders::config).map(|folder| folder.join("config.toml"));
        let mut settings = Self { file: file.map(Path::to_owned).or_else(folder), ..Self::default() };
        settings.read();
        settings
    }

    /// What holds.
    pub fn values(&self) -> &Values {
        &self.values
    }

    /// What is wrong with the file.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// The line in which something is set, such as `sound.input` or `keys.mute`.
    pub fn line(&self, path: &str) -> Option<usize> {
        self.lines.get(path).copied()
    }

    /// Where the file is, or would be.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// The name to go by: what was asked for, else the kept one, else the login name.
    pub fn name_or_default(&self, asked: Option<&str>) -> String {
        let login = || std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).ok();
        let named = |name: &String| !name.trim().is_empty();
        asked
            .map(str::to_owned)
            .or_else(|| Some(self.values.get(Setting::NAME).to_owned()).filter(named))
            .or_else(login)
            .filter(named)
            .unwrap_or_else(|| "someone".to_owned())
    }

    /// Reads the file again if it was written since. Returns whether it was.
    pub fn reload(&mut self) -> bool {
        let stamp = self.file.as_deref().and_then(stamp);
        let written = stamp != self.stamp;
        if written {
            self.read();
        }
        written
    }

    /// Sets and keeps one value; everything else in the file stays as it is, comments too.
    ///
    /// # Errors
    /// What holds is changed all the same, if it is something that the setting takes.
    pub fn keep(&mut self, setting: &Setting, value: &str) -> Result<(), WriteError> {
        self.values.set(setting, value).map_err(|why| WriteError::Value(setting.path(), why))?;
        let file = self.file.clone().ok_or(WriteError::NoFolder)?;
        let failed = |error| WriteError::Io { file: file.clone(), error };
        let text = read_file(&file).map_err(failed)?.unwrap_or_default();
        let mut document: DocumentMut = text.parse().map_err(|error: toml_edit::TomlError| WriteError::Damaged {
            file: file.clone(),
            problem: first_line(&error.to_string()),
        })?;
        let table = match setting.section {
            "" => document.as_table_mut(),
            section => document.entry(section).or_insert_with(|| Item::Table(Table::new())).as_table_mut().ok_or_else(
                || WriteError::Damaged { file: file.clone(), problem: format!("`{section}` is not a table.") },
            )?,
        };
        let mut item = match setting.kind {
            Kind::Switch => Value::from(value == "true"),
            Kind::Text(_) | Kind::Choice(_) => Value::from(value),
        };
        match table.get_mut(setting.name) {
            Some(old) => {
                if let Some(value) = old.as_value() {
                    *item.decor_mut() = value.decor().clone();
                }
                *old = Item::Value(item);
            }
            None => _ = table.insert(setting.name, Item::Value(item)),
        }
        write_file(&file, &document.to_string()).map_err(failed)?;
        self.stamp = stamp(&file);
        Ok(())
    }

    /// Writes a file with every default and its explanation. `keys` are deeds with the keys that they have, and what they do.
    ///
    /// # Errors
    /// Also when there is a file already: it is left as it is.
    pub fn write_default<'a>(
        &self,
        keys: impl Iterator<Item = (&'a str, Vec<String>, &'a str)>,
    ) -> Result<&Path, WriteError> {
        let file = self.file.as_deref().ok_or(WriteError::NoFolder)?;
        if file.symlink_metadata().is_ok() {
            return Err(WriteError::Exists(file.to_owned()));
        }
        write_file(file, &default_text(keys)).map_err(|error| WriteError::Io { file: file.to_owned(), error })?;
        Ok(file)
    }

    fn read(&mut self) {
        (self.values, self.problems) = (Values::default(), Vec::new());
        self.lines.clear();
        let Some(file) = self.file.clone() else { return };
        self.stamp = stamp(&file);
        let text = match read_file(&file) {
            Ok(Some(text)) => text,
            Ok(None) => return,
            Err(error) => return self.problems.push(Problem { line: None, what: format!("{error}.") }),
        };
        let document = match toml_edit::Document::parse(text.as_str()) {
            Ok(document) => document,
            Err(error) => {
                let why = first_line(&error.to_string());
                let what = format!("{why}: none of it is used.");
                return self.problems.push(Problem { line: None, what });
            }
        };
        let (values, problems, lines) = (&mut self.values, &mut self.problems, &mut self.lines);
        let mut reader = Reader { text: &text, values, problems, lines };
        reader.table("", document.as_table());
    }
}

/// Takes what is known out of a document and names the rest.
struct Reader<'a> {
    text: &'a str,
    values: &'a mut Values,
    problems: &'a mut Vec<Problem>,
    lines: &'a mut BTreeMap<String, usize>,
}

impl Reader<'_> {
    fn table(&mut self, section: &str, table: &Table) {
        for (name, item) in table.iter() {
            let at = table.key(name).and_then(toml_edit::Key::span).map_or(0, |span| span.start);
            match item {
                Item::Table(inner) if section.is_empty() && name == KEYS => self.keys(inner),
                Item::Table(inner) if section.is_empty() && sections().any(|known| known == name) => {
                    self.table(name, inner);
                }
                _ => self.entry(section, name, item, at),
            }
        }
    }

    fn entry(&mut self, section: &str, name: &str, item: &Item, at: usize) {
        let Some(setting) = SETTINGS.iter().find(|row| row.section == section && row.name == name) else {
            let here = SETTINGS.iter().filter(|row| row.section == section).map(|row| row.name);
            let hint = match section {
                "" => did_you_mean(name, here.chain(sections())),
                _ => did_you_mean(name, here),
            };
            let place = if section.is_empty() { String::new() } else { format!(" of [{section}]") };
            return self.problem(at, &format!("`{}` is no setting{place}{hint}", shown(name)));
        };
        let value = match (item.as_str(), item.as_bool()) {
            (Some(text), _) => text.to_owned(),
            (None, Some(on)) => on.to_string(),
            (None, None) => return self.problem(at, &format!("`{}` takes a text, or true or false", setting.path())),
        };
        self.lines.insert(setting.path(), self.line(at));
        if let Err(why) = self.values.set(setting, &value) {
            self.problem(at, &format!("`{}` {why}", setting.path()));
        }
    }

    fn keys(&mut self, table: &Table) {
        for (deed, item) in table.iter() {
            let at = table.key(deed).and_then(toml_edit::Key::span).map_or(0, |span| span.start);
            let one = item.as_str().map(|key| vec![key.to_owned()]);
            let several = || {
                let keys = item.as_array()?.iter().map(|key| key.as_str().map(str::to_owned));
                keys.collect::<Option<Vec<_>>>().filter(|keys| keys.len() <= MAX_KEYS)
            };
            match one.or_else(several) {
                Some(keys) => {
                    self.lines.insert(format!("{KEYS}.{deed}"), self.line(at));
                    self.values.keys.insert(deed.to_owned(), keys);
                }
                None => {
                    let deed = shown(deed);
                    self.problem(
                        at,
                        &format!("`keys.{deed}` takes a key such as \"m\", or a list of at most {MAX_KEYS}"),
                    );
                }
            }
        }
    }

    fn problem(&mut self, at: usize, what: &str) {
        let end = if what.ends_with('?') { "" } else { "." };
        self.problems.push(Problem { line: Some(self.line(at)), what: format!("{what}{end}") });
    }

    /// The line of a place in the text.
    fn line(&self, at: usize) -> usize {
        1 + self.text.get(..at).map_or(0, |before| before.matches('\n').count())
    }
}

fn sections() -> impl Iterator<Item = &'static str> {
    let mut seen = vec![""];
    let fresh = SETTINGS.iter().map(|row| row.section).filter(move |section| {
        let fresh = !seen.contains(section);
        seen.push(section);
        fresh
    });
    fresh.chain([KEYS])
}

/// A key of the file, fit to be told.
fn shown(name: &str) -> String {
    name.chars().filter(|character| !character.is_control()).take(32).collect()
}

fn first_line(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let reason = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
    if reason == line { shown_text(line) } else { format!("{}: {}", shown_text(line), shown_text(reason)) }
}

fn shown_text(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(200).collect()
}

fn default_text<'a>(keys: impl Iterator<Item = (&'a str, Vec<String>, &'a str)>) -> String {
    let mut text = String::from(
        "# Settings of resonance. What is missing or taken out here is as it comes; options on the command line go first.\n\
         # Changes hold at once, also in a session that runs.\n",
    );
    let mut section = "";
    for setting in SETTINGS {
        if setting.section != section {
            section = setting.section;
            let _ = write!(text, "\n[{section}]");
        }
        let about = match setting.kind {
            Kind::Choice(words) => format!("{} ({})", setting.about, words.join(", ")),
            Kind::Text(_) | Kind::Switch => setting.about.to_owned(),
        };
        let value = match setting.kind {
            Kind::Switch => Value::from(setting.default == "true"),
            Kind::Text(_) | Kind::Choice(_) => Value::from(setting.default),
        };
        let _ = write!(text, "\n# {about}\n{} = {value}\n", setting.name);
    }
    let _ = write!(
        text,
        "\n# Keys in a session: a character, or Up, Down, Left, Right, Enter, Tab, Shift-Tab, Space, PageUp, PageDown, Home, End,\n\
         # Insert, Delete, F1 to F12; one, or a list. These are the keys as they come:\n[{KEYS}]\n"
    );
    for (deed, keys, about) in keys {
        let keys: toml_edit::Array = keys.into_iter().collect();
        let _ = writeln!(text, "# {deed} = {keys}  # {about}");
    }
    text
}

fn stamp(file: &Path) -> Option<Stamp> {
    let metadata = fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn read_file(file: &Path) -> io::Result<Option<String>> {
    let opened = match fs::File::open(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    let mut text = String::new();
    opened.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::new(ErrorKind::FileTooLarge, "this is too long for a file of settings"));
    }
    Ok(Some(text))
}

/// Writes beside the file first and renames, so that a crash leaves the old or the new one. A link stays a link: many keep their
/// settings under version control that way.
fn write_file(file: &Path, text: &str) -> io::Result<()> {
    let file = fs::canonicalize(file).unwrap_or_else(|_| file.to_owned());
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let beside = file.with_extension("toml.new");
    fs::write(&beside, text)?;
    fs::rename(&beside, file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::error::Error;

    type Outcome = Result<(), Box<dyn Error>>;

    fn of(text: &str) -> Result<(tempfile::TempDir, Settings), io::Error> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("config.toml"), text)?;
        let settings = Settings::load(None, Some(folder.path()));
        Ok((folder, settings))
    }

    #[test]
    fn a_name_is_kept_for_the_next_time() -> Outcome {
        let folder = tempfile::tempdir()?;
        let mut settings = Settings::load(None, Some(folder.path()));
        assert!(!settings.values().is_set(Setting::NAME));
        settings.keep(Setting::NAME, "Ada \"the first\"")?;
        let settings = Settings::load(None, Some(folder.path()));
        assert_eq!(settings.name_or_default(None), "Ada \"the first\"");
        assert_eq!(settings.name_or_default(Some("Bo")), "Bo");
        Ok(())
    }

    #[test]
    fn a_slip_is_named_with_its_line_and_what_was_meant() -> Outcome {
        let (_folder, settings) =
            of("nmae = \"Ada\"\n[sound]\ninptu = \"silence\"\ntalk = 3\n\n[scren]\n[screen]\ntheme = \"lihgt\"\n")?;
        let expected = [
            "line 1: `nmae` is no setting; did you mean \"name\"?",
            "line 3: `inptu` is no setting of [sound]; did you mean \"input\"?",
            "line 4: `sound.talk` takes a text, or true or false.",
            "line 6: `scren` is no setting; did you mean \"screen\"?",
            "line 8: `screen.theme` must be \"auto\", \"dark\", \"light\", \"contrast\" or \"none\"; did you mean \"light\"?",
        ];
        let told: Vec<String> = settings.problems().iter().map(|problem| problem.told("c.toml")).collect();
        assert_eq!(told, expected.map(|problem| format!("c.toml, {problem}")));
        assert_eq!((settings.line("screen.theme"), settings.line("name")), (Some(8), None));
        assert_eq!(settings.values().get(Setting::INPUT), "default", "what cannot be used counts as not set");
        Ok(())
    }

    #[test]
    fn what_a_person_wrote_stays_as_it_is() -> Outcome {
        let text = "# mine\nname = 'Ada' # really\n\n[sound]\n# the good one\ninput = \"USB\"\n\n[keys]\nmute = [\"x\", \"F5\"]\n";
        let (folder, mut settings) = of(text)?;
        settings.keep(Setting::NAME, "Bo")?;
        settings.keep(Setting::BELL, "true")?;
        let written = fs::read_to_string(folder.path().join("config.toml"))?;
        assert_eq!(written, text.replace("'Ada'", "\"Bo\"") + "\n[notify]\nbell = true\n");
        assert_eq!(settings.values().keys["mute"], ["x", "F5"]);
        assert!(!settings.reload(), "one's own writing is no news");
        Ok(())
    }

    #[test]
    fn a_damaged_file_is_named_and_never_written_over() -> Outcome {
        let (folder, mut settings) = of("name = \"Ada\n[sound\n")?;
        assert!(settings.problems()[0].what.contains("none of it is used") && settings.problems().len() == 1);
        assert!(matches!(settings.keep(Setting::NAME, "Bo"), Err(WriteError::Damaged { .. })));
        assert_eq!(settings.values().get(Setting::NAME), "Bo", "it holds for now");
        assert_eq!(fs::read_to_string(folder.path().join("config.toml"))?, "name = \"Ada\n[sound\n");
        Ok(())
    }

    #[test]
    fn a_change_from_outside_is_seen() -> Outcome {
        let (folder, mut settings) = of("name = \"Ada\"\n")?;
        assert!(!settings.reload());
        fs::write(folder.path().join("config.toml"), "name = \"Adele\"\n")?;
        assert!(settings.reload());
        assert_eq!(settings.values().get(Setting::NAME), "Adele");
        fs::remove_file(folder.path().join("config.toml"))?;
        assert!(settings.reload() && !settings.values().is_set(Setting::NAME));
        Ok(())
    }

    #[test]
    fn the_default_file_says_what_holds_anyway_and_is_not_written_over_another() -> Outcome {
        let folder = tempfile::tempdir()?;
        let settings = Settings::load(None, Some(folder.path()));
        let keys = || [("mute", vec!["m".to_owned()], "close your microphone")].into_iter();
        let file = settings.write_default(keys())?.to_owned();
        assert!(matches!(settings.write_default(keys()), Err(WriteError::Exists(_))));
        let text = fs::read_to_string(&file)?;
        assert!(text.contains("# mute = [\"m\"]  # close your microphone"), "{text}");
        let read = Settings::load(Some(&file), None);
        assert_eq!(read.problems(), []);
        for setting in SETTINGS {
            assert!(text.contains(setting.about));
            assert_eq!(read.values().get(setting), setting.default);
        }
        // With the comment signs of the keys taken away it is as valid.
        fs::write(&file, text.replace("# mute", "mute"))?;
        assert_eq!(Settings::load(Some(&file), None).values().keys["mute"], ["m"]);
        Ok(())
    }

    #[test]
    fn nothing_that_a_file_may_hold_panics() -> Outcome {
        for text in [
            "[keys]\nmute = 3",
            "[[sound]]\ninput = 1",
            "keys = 1",
            "name.first = \"x\"",
            "\u{0}",
            "[sound]\n\"\\u001b[2J\" = 1",
            "sound = { input = \"silence\" }",
        ] {
            let (_folder, settings) = of(text)?;
            assert!(!settings.problems().is_empty(), "{text}");
            assert!(settings.problems().iter().all(|problem| !problem.what.contains('\u{1b}')), "{text}");
        }
        Ok(())
    }
}
