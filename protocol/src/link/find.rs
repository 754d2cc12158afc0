//! Finding a link in whatever a person pasted: quoted, in a sentence, wrapped over lines by a terminal or a mail program.

use super::{Link, LinkError};
use zeroize::Zeroizing;

/// Only this much of a text is searched: a pasted book is a mistake.
const MAX_TEXT: usize = 64 * 1024;
/// How many times "resonance:" is tried.
const MAX_PLACES: usize = 16;
/// Characters collected for one link; the longest has 261.
const MAX_CHARACTERS: usize = 400;

pub(super) fn find(text: &str) -> Result<Link, LinkError> {
    let text = text.get(..text.floor_char_boundary(MAX_TEXT)).unwrap_or("");
    let mut error = LinkError::NotFound;
    for (place, _) in text.char_indices().filter(|(place, _)| scheme_at(text, *place)).take(MAX_PLACES) {
        let Some((_, rest)) = text.get(place..).and_then(|text| text.split_at_checked(Link::SCHEME.len())) else {
            continue;
        };
        match link_at(rest.strip_prefix("//").unwrap_or(rest)) {
            Ok(link) => return Ok(link),
            // "resonance: a program for…" is no reason to complain when a broken link follows.
            Err(LinkError::NotFound) => {}
            Err(found) => error = found,
        }
    }
    Err(error)
}

fn scheme_at(text: &str, place: usize) -> bool {
    let end = place.saturating_add(Link::SCHEME.len());
    text.get(place..end).is_some_and(|here| here.eq_ignore_ascii_case(Link::SCHEME))
}

/// Reads a link at the start of `text`, adding line after line while what is there may be its beginning.
fn link_at(text: &str) -> Result<Link, LinkError> {
    let mut link = Zeroizing::new(String::new());
    let mut error = LinkError::NotFound;
    for (number, line) in text.lines().enumerate() {
        let quoted = |c: char| c.is_whitespace() || matches!(c, '>' | '|');
        let (run, ends_line) = run(if number > 0 { line.trim_start_matches(quoted) } else { line });
        link.extend(run.chars().filter(|c| !is_invisible(*c)));
        if link.len() > MAX_CHARACTERS {
            return Err(if error == LinkError::NotFound { LinkError::TooLong } else { error });
        }
        match Link::decode(&link) {
            Ok(link) => return Ok(link),
            Err(_) if link.is_empty() => {}
            // The first word of a sentence below a link is hardly a part of it: then the error is what it was.
            Err(found) if ends_line || error == LinkError::NotFound => error = found,
            Err(_) => {}
        }
        if !ends_line || !matches!(error, LinkError::Truncated | LinkError::NotFound) {
            break;
        }
    }
    Err(error)
}

/// The characters of a line that may belong to a link, and whether nothing but blanks follows them.
fn run(line: &str) -> (&str, bool) {
    let mut characters = line.char_indices().peekable();
    while let Some((place, character)) = characters.next() {
        let ends = if character.is_alphanumeric() || is_invisible(character) {
            false
        } else if character.is_whitespace() || "\"'`<>()[]{}«»“”„‘’,;|\\".contains(character) {
            true
        } else {
            // A full stop after a link ends it; a character in its midst is an error to be named.
            characters.peek().is_none_or(|(_, next)| !next.is_alphanumeric())
        };
        if ends {
            let (run, rest) = line.split_at_checked(place).unwrap_or((line, ""));
            return (run, rest.trim().is_empty());
        }
    }
    (line, true)
}

/// What mail programs and web pages put between characters so that long words can be broken.
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{AD}' | '\u{200B}'..='\u{200D}' | '\u{2060}' | '\u{FEFF}')
}
