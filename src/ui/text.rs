//! Text in cells: what may be drawn, how wide it is, how it is cut and wrapped.
//!
//! Names and texts arrive sanitised; [`plain`] and `scrub` hold that promise again where it would hurt: at the screen.

use super::theme::{Glyphs, ascii};
use ratatui::buffer::{Buffer, CellWidth};
use unicode_segmentation::UnicodeSegmentation;

/// Marks that one character may carry: more than any script needs, fewer than it takes to paint over other lines.
const MAX_MARKS: usize = 4;

/// Whether a character may reach the terminal: no controls, no bidirectional or other invisible formatting, no variation
/// selectors (terminals disagree about the width they give).
fn drawable(character: char) -> bool {
    !(character.is_control()
        || matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}'))
}

/// The text with everything taken out that is not drawn; white space of any kind becomes a blank.
pub fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut marks = 0;
    for character in text.chars() {
        let character = if character.is_whitespace() { ' ' } else { character };
        if !drawable(character) {
            continue;
        }
        marks = if unicode_width::UnicodeWidthChar::width(character) == Some(0) { marks + 1 } else { 0 };
        if marks <= MAX_MARKS {
            out.push(character);
        }
    }
    out
}

/// Cells that a drawn text takes, counted as the terminal buffer counts them.
pub fn width(text: &str) -> usize {
    text.graphemes(true).map(|grapheme| usize::from(grapheme.cell_width())).sum()
}

/// The text, made plain, in at most `cells` cells; what is cut off leaves a `…`.
pub fn cut(text: &str, cells: usize) -> String {
    let text = plain(text);
    if width(&text) <= cells {
        return text;
    }
    let mut out = String::new();
    let mut used = 0;
    for grapheme in text.graphemes(true) {
        let wide = usize::from(grapheme.cell_width());
        if used + wide + 1 > cells {
            break;
        }
        out.push_str(grapheme);
        used += wide;
    }
    if cells > 0 {
        out.push('…');
    }
    out
}

/// The text, made plain, in exactly `cells` cells: cut, or filled up with blanks.
pub fn fit(text: &str, cells: usize) -> String {
    let mut out = cut(text, cells);
    let used = width(&out);
    out.extend(std::iter::repeat_n(' ', cells.saturating_sub(used)));
    out
}

/// The text, made plain, in lines of at most `cells` cells, broken between words where that is possible.
pub fn wrap(text: &str, cells: usize) -> Vec<String> {
    let text = plain(text);
    let cells = cells.max(1);
    let mut lines = vec![String::new()];
    let mut used = 0;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let wide = width(word);
        let gap = usize::from(used > 0);
        if used + gap + wide <= cells {
            if let (Some(line), true) = (lines.last_mut(), gap == 1) {
                line.push(' ');
            }
            used += gap;
        } else if used > 0 {
            lines.push(String::new());
            used = 0;
        }
        for grapheme in word.graphemes(true) {
            let wide = usize::from(grapheme.cell_width());
            if used > 0 && used + wide > cells {
                lines.push(String::new());
                used = 0;
            }
            if let Some(line) = lines.last_mut() {
                line.push_str(grapheme);
            }
            used += wide;
        }
    }
    lines
}

/// The last thing before the terminal: no cell may hold what is not drawable, and in ASCII nothing else than ASCII.
/// (A terminal that does not speak UTF-8 could take a byte in the middle of a letter for the start of a command.)
pub(super) fn scrub(buffer: &mut Buffer, glyphs: Glyphs) {
    for cell in &mut buffer.content {
        let symbol = cell.symbol();
        if !symbol.chars().all(drawable) {
            let clean: String = symbol.chars().filter(|character| drawable(*character)).collect();
            cell.set_symbol(if clean.is_empty() { " " } else { &clean });
        }
        if glyphs == Glyphs::Ascii && !cell.symbol().is_ascii() {
            let stand_in = cell.symbol().chars().next().map_or(' ', ascii);
            cell.set_char(stand_in);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;

    #[test]
    fn what_steers_a_terminal_is_taken_out() {
        assert_eq!(plain("a\u{1b}[31mb\u{7}\u{9b}c\td\ne"), "a[31mbc d e");
        assert_eq!(plain("ev\u{202e}il\u{200d}\u{2066}\u{fe0f}"), "evil");
        assert_eq!(plain(&format!("z{}!", "\u{0301}".repeat(40))), format!("z{}!", "\u{0301}".repeat(4)));
    }

    #[test]
    fn cells_are_counted_not_characters() {
        assert_eq!(width("日本"), 4);
        assert_eq!(width("e\u{301}"), 1);
        assert_eq!(cut("日本語", 5), "日本…");
        assert_eq!(cut("日本語", 4), "日…");
        assert_eq!(fit("日本語", 4), "日… ");
        assert_eq!(cut("abc", 0), "");
        for cells in 0..12 {
            for name in ["", "Bo", "日本語", "e\u{301}e\u{301}e\u{301}", "👨‍👩‍👧‍👦 family", "الأحد"]
            {
                assert_eq!(width(&fit(name, cells)), cells, "{name} in {cells}");
            }
        }
    }

    #[test]
    fn lines_break_between_words_and_long_words_anywhere() {
        assert_eq!(wrap("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij kl", 4), ["abcd", "efgh", "ij", "kl"]);
        assert_eq!(wrap("日本語", 3), ["日", "本", "語"]);
        assert_eq!(wrap("", 5), [""]);
        assert_eq!(wrap("x", 0), ["x"]);
    }

    #[test]
    fn the_last_look_leaves_no_control_in_a_cell() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 4, 1));
        for (cell, symbol) in buffer.content.iter_mut().zip(["\u{1b}", "e\u{301}", "日", "┌"]) {
            cell.set_symbol(symbol);
        }
        scrub(&mut buffer, Glyphs::Unicode);
        let symbols: Vec<_> = buffer.content.iter().map(|cell| cell.symbol().to_owned()).collect();
        assert_eq!(symbols, [" ", "e\u{301}", "日", "┌"]);
        scrub(&mut buffer, Glyphs::Ascii);
        let symbols: Vec<_> = buffer.content.iter().map(|cell| cell.symbol().to_owned()).collect();
        assert_eq!(symbols, [" ", "e", "?", "+"]);
    }
}
