//! Asking for passphrases: at a terminal without showing them, else from a file or the first line of standard input.

use super::store::StoreError;
use crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use crossterm::terminal::{disable_raw_mode, enable_raw_mode};
use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::Path;
use zeroize::Zeroizing;

/// The longest passphrase, in bytes: a long sentence in any script.
const MAX_PASSPHRASE: usize = 1_024;

/// Why there is no passphrase.
#[derive(Debug, thiserror::Error)]
pub enum PromptError {
    /// Nothing was given.
    #[error("The passphrase is empty: it must be something that nobody guesses.")]
    Empty,
    /// Longer than anyone types.
    #[error("The passphrase is longer than 1024 bytes.")]
    TooLong,
    /// The two that were typed are not the same.
    #[error("The two passphrases are not the same. Nothing was changed.")]
    Different,
    /// Esc or Ctrl-C.
    #[error("Given up. Nothing was changed.")]
    GivenUp,
    /// The file or the terminal cannot be read.
    #[error("The passphrase cannot be read: {0}.")]
    Unreadable(std::io::Error),
    /// The system, or the sealing, fails.
    #[error("The identity could not be made: {0}.")]
    NotMade(String),
    /// The identity's own trouble.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A passphrase from `file`, else from the terminal, else the first line of standard input.
///
/// # Errors
/// [`PromptError`]; an empty one is refused.
pub fn passphrase(question: &str, file: Option<&Path>) -> Result<Zeroizing<String>, PromptError> {
    let given = match file {
        Some(file) => first_line(std::fs::File::open(file).map_err(PromptError::Unreadable)?)?,
        None if std::io::stdin().is_terminal() => typed(question)?,
        None => first_line(std::io::stdin().lock())?,
    };
    if given.is_empty() { Err(PromptError::Empty) } else { Ok(given) }
}

/// A passphrase to be remembered from now on: typed twice, so that a slip does not lock its owner out.
///
/// # Errors
/// [`PromptError`].
pub fn new_passphrase(file: Option<&Path>) -> Result<Zeroizing<String>, PromptError> {
    let first = passphrase("New passphrase: ", file)?;
    if file.is_none() && std::io::stdin().is_terminal() && *typed("The same again: ")? != *first {
        return Err(PromptError::Different);
    }
    Ok(first)
}

/// Whether the person says yes; `None` where nobody can be asked.
pub fn confirm(question: &str) -> Option<bool> {
    let mut stdin = std::io::stdin().lock();
    if !stdin.is_terminal() {
        return None;
    }
    let _ = write!(std::io::stderr(), "{question} [y/N] ");
    let mut answer = String::new();
    stdin.read_line(&mut answer).ok()?;
    Some(matches!(answer.trim(), "y" | "Y" | "yes"))
}

/// One line, without its end; never read further than a passphrase goes.
fn first_line(mut source: impl Read) -> Result<Zeroizing<String>, PromptError> {
    let mut line = Zeroizing::new(String::with_capacity(MAX_PASSPHRASE + 2));
    // Byte by byte: what stands behind the line is left for others to read.
    let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_PASSPHRASE + 2));
    let mut byte = Zeroizing::new([0]);
    while bytes.len() < MAX_PASSPHRASE + 2 && source.read(&mut *byte).map_err(PromptError::Unreadable)? == 1 {
        if byte[0] == b'\n' {
            break;
        }
        bytes.push(byte[0]);
    }
    if bytes.last() == Some(&b'\r') {
        bytes.pop();
    }
    if bytes.len() > MAX_PASSPHRASE {
        return Err(PromptError::TooLong);
    }
    let text = std::str::from_utf8(&bytes);
    line.push_str(text.map_err(|error| PromptError::Unreadable(std::io::Error::other(error)))?);
    Ok(line)
}

/// Gives the terminal back however the question ends.
struct Raw;

impl Drop for Raw {
    fn drop(&mut self) {
        let _ = disable_raw_mode();
        let _ = writeln!(std::io::stderr());
    }
}

fn typed(question: &str) -> Result<Zeroizing<String>, PromptError> {
    let _ = write!(std::io::stderr(), "{question}");
    let _ = std::io::stderr().flush();
    enable_raw_mode().map_err(PromptError::Unreadable)?;
    let _raw = Raw;
    // As long as it may get, so that no outgrown buffer stays behind in memory.
    let mut line = Zeroizing::new(String::with_capacity(MAX_PASSPHRASE));
    loop {
        let Event::Key(key) = event::read().map_err(PromptError::Unreadable)? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        let control = key.modifiers.contains(KeyModifiers::CONTROL) && !key.modifiers.contains(KeyModifiers::ALT);
        match key.code {
            KeyCode::Enter => return Ok(line),
            KeyCode::Esc => return Err(PromptError::GivenUp),
            KeyCode::Char('c' | 'd') if control => return Err(PromptError::GivenUp),
            KeyCode::Char('u') if control => line.clear(),
            KeyCode::Char(_) if control => {}
            KeyCode::Char(letter) if line.len() + letter.len_utf8() <= MAX_PASSPHRASE => line.push(letter),
            KeyCode::Char(_) => return Err(PromptError::TooLong),
            KeyCode::Backspace => drop(line.pop()),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_is_the_passphrase_and_no_more_is_read() -> Result<(), PromptError> {
        let mut source = std::io::Cursor::new("correct horse \r\nmute\n");
        assert_eq!(first_line(&mut source)?.as_str(), "correct horse ", "blanks belong to it");
        assert_eq!(source.position(), 16);
        assert_eq!(first_line("p".as_bytes())?.as_str(), "p");
        assert_eq!(first_line("".as_bytes())?.as_str(), "");
        assert!(matches!(first_line("x".repeat(1_025).as_bytes()), Err(PromptError::TooLong)));
        assert!(matches!(first_line(&[0xFF][..]), Err(PromptError::Unreadable(_))));
        Ok(())
    }

    #[test]
    fn a_file_gives_a_passphrase_and_an_empty_one_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("passphrase");
        std::fs::write(&file, "correct horse\n").expect("written");
        assert!(passphrase("", Some(&file)).is_ok_and(|given| given.as_str() == "correct horse"));
        std::fs::write(&file, "\nsecond line").expect("written");
        assert!(matches!(new_passphrase(Some(&file)), Err(PromptError::Empty)));
        assert!(matches!(passphrase("", Some(&folder.path().join("none"))), Err(PromptError::Unreadable(_))));
    }
}
