//! A line that is being typed.

use super::text;
use unicode_segmentation::UnicodeSegmentation;

/// Whether a line keeps the line breaks of what is pasted into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Breaks {
    /// They become blanks.
    Blank,
    /// They stay: whoever reads the line later may need them. They are drawn as blanks all the same.
    Keep,
}

/// A line of text with a cursor, bounded in bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    text: String,
    /// Byte index, always between two graphemes.
    cursor: usize,
    max_bytes: usize,
    breaks: Breaks,
}

impl Line {
    /// An empty line that takes at most `max_bytes` bytes of UTF-8.
    pub(super) fn new(max_bytes: usize, breaks: Breaks) -> Self {
        Self { text: String::new(), cursor: 0, max_bytes, breaks }
    }

    /// What was typed.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Puts `text` in place of everything, cursor at the end. Returns whether all of it fitted.
    pub(super) fn set(&mut self, text: &str) -> bool {
        self.clear();
        self.insert(text)
    }

    /// Empties the line.
    pub(super) fn clear(&mut self) {
        self.text.clear();
        self.cursor = 0;
    }

    /// Types or pastes `text` at the cursor. What does not fit stays out; returns whether all of it fitted.
    pub(super) fn insert(&mut self, text: &str) -> bool {
        for character in text.chars() {
            let character = match character {
                '\n' | '\r' if self.breaks == Breaks::Keep => '\n',
                _ if character.is_control() => ' ',
                _ => character,
            };
            if self.text.len() + character.len_utf8() > self.max_bytes {
                return false;
            }
            self.text.insert(self.cursor, character);
            self.cursor += character.len_utf8();
        }
        true
    }

    fn before(&self) -> usize {
        self.text[..self.cursor].grapheme_indices(true).next_back().map_or(0, |(at, _)| at)
    }

    fn after(&self) -> usize {
        self.text[self.cursor..].graphemes(true).next().map_or(self.cursor, |grapheme| self.cursor + grapheme.len())
    }

    /// Takes the character before the cursor away.
    pub(super) fn backspace(&mut self) {
        let before = self.before();
        self.text.replace_range(before..self.cursor, "");
        self.cursor = before;
    }

    /// Takes the character after the cursor away.
    pub(super) fn delete(&mut self) {
        let after = self.after();
        self.text.replace_range(self.cursor..after, "");
    }

    /// Takes the word before the cursor away.
    pub(super) fn delete_word(&mut self) {
        let kept = self.text[..self.cursor].trim_end();
        let start = kept.char_indices().rev().find(|(_, c)| c.is_whitespace()).map_or(0, |(at, c)| at + c.len_utf8());
        self.text.replace_range(start..self.cursor, "");
        self.cursor = start;
    }

    /// Takes everything before the cursor away.
    pub(super) fn delete_to_start(&mut self) {
        self.text.replace_range(..self.cursor, "");
        self.cursor = 0;
    }

    /// One character to the left.
    pub(super) fn left(&mut self) {
        self.cursor = self.before();
    }

    /// One character to the right.
    pub(super) fn right(&mut self) {
        self.cursor = self.after();
    }

    /// To the start.
    pub(super) fn home(&mut self) {
        self.cursor = 0;
    }

    /// To the end.
    pub(super) fn end(&mut self) {
        self.cursor = self.text.len();
    }

    /// The part around the cursor that `cells` cells can show, and the cursor's cell within it.
    pub(super) fn window(&self, cells: usize) -> (String, usize) {
        let head = text::plain(&self.text[..self.cursor]);
        let mut column = text::width(&head);
        let mut shown = head + &text::plain(&self.text[self.cursor..]);
        // One cell stays free for the cursor behind the last character.
        while column + 1 > cells.max(1) {
            let Some(first) = shown.graphemes(true).next() else { break };
            column -= text::width(first).min(column);
            shown.replace_range(..first.len(), "");
        }
        let mut used = 0;
        let fits = |grapheme: &&str| {
            used += text::width(grapheme);
            used <= cells
        };
        (shown.graphemes(true).take_while(fits).collect(), column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> Line {
        let mut line = Line::new(40, Breaks::Blank);
        assert!(line.set(text));
        line
    }

    #[test]
    fn editing_goes_by_characters_as_people_see_them() {
        let mut line = line("ae\u{301}b");
        line.left();
        line.backspace();
        assert_eq!(line.text(), "ab");
        line.insert("日本 ");
        line.home();
        line.delete();
        assert_eq!(line.text(), "日本 b");
        line.end();
        line.delete_word();
        line.delete_word();
        assert_eq!(line.text(), "");
        line.backspace();
        line.delete();
        line.left();
        line.right();
        assert_eq!(line.text(), "");
    }

    #[test]
    fn a_full_line_takes_no_more_and_never_half_a_character() {
        let mut line = Line::new(5, Breaks::Blank);
        assert!(line.set("abcd"));
        assert!(!line.insert("日"));
        assert_eq!(line.text(), "abcd");
    }

    #[test]
    fn controls_do_not_enter() {
        let mut line = Line::new(40, Breaks::Blank);
        line.insert("a\u{1b}[2Jb\nc");
        assert_eq!(line.text(), "a [2Jb c");
        let mut line = Line::new(40, Breaks::Keep);
        line.insert("a\u{1b}\nb");
        assert_eq!(line.text(), "a \nb");
    }

    #[test]
    fn the_cursor_is_always_in_the_window() {
        let mut line = line("日本語 abc 日本語");
        for cells in 1..30 {
            line.end();
            for _ in 0..14 {
                let (shown, column) = line.window(cells);
                assert!(column < cells && text::width(&shown) <= cells, "{cells}: {shown} {column}");
                line.left();
            }
        }
        assert_eq!(line.window(6), ("日本語".into(), 0));
    }
}
