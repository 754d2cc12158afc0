//! Names and texts from others, made harmless for a terminal: no escapes, no bidirectional tricks, no endless stacks of accents.

use unicode_normalization::UnicodeNormalization;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Columns that a name may take on screen.
pub const MAX_NAME_WIDTH: usize = 24;

/// Scalar values that one visible character may be made of: enough for emoji of families, not for towers of accents.
const MAX_CLUSTER: usize = 8;

/// A name that is safe to show; `fallback` when nothing is left of it.
pub fn name(raw: &str, fallback: &str) -> String {
    let cleaned = clean(raw);
    let mut width = 0;
    let shown: String = cleaned
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .graphemes(true)
        .take_while(|cluster| {
            width += cluster.width();
            width <= MAX_NAME_WIDTH
        })
        .collect();
    let shown = shown.trim();
    if shown.is_empty() { fallback.to_owned() } else { shown.to_owned() }
}

/// A line of text that is safe to show: one line, at most `max_bytes` long.
pub fn line(raw: &str, max_bytes: usize) -> String {
    let cleaned = clean(raw);
    let mut shown = String::new();
    for cluster in cleaned.graphemes(true) {
        if shown.len() + cluster.len() > max_bytes {
            break;
        }
        shown.push_str(cluster);
    }
    shown.trim().to_owned()
}

/// `wanted` if nobody has it yet, else with a number behind it: "Bo (2)".
pub fn unique(wanted: &str, taken: &[&str]) -> String {
    let same = |a: &str, b: &str| a.to_lowercase() == b.to_lowercase();
    if !taken.iter().any(|name| same(name, wanted)) {
        return wanted.to_owned();
    }
    (2..)
        .map(|number| format!("{wanted} ({number})"))
        .find(|candidate| !taken.iter().any(|name| same(name, candidate)))
        .unwrap_or_else(|| wanted.to_owned())
}

fn clean(raw: &str) -> String {
    let composed: String =
        raw.nfc().map(|c| if c.is_whitespace() { ' ' } else { c }).filter(|c| harmless(*c)).collect();
    composed.graphemes(true).map(|cluster| cluster.chars().take(MAX_CLUSTER).collect::<String>()).collect()
}

/// Refuses control characters (C0, C1), bidirectional controls and isolates (UAX #9), invisible and tag characters,
/// interlinear marks, private use and non-characters. ZWJ and variation selectors stay: emoji need them.
fn harmless(c: char) -> bool {
    let forbidden = c.is_control()
        || matches!(c as u32,
            0x00AD | 0x034F | 0x061C | 0x115F | 0x1160 | 0x17B4 | 0x17B5 | 0x180E
            | 0x200B | 0x200C | 0x200E | 0x200F | 0x2028..=0x202E | 0x2060..=0x206F
            | 0x2800 | 0x3164 | 0xFEFF | 0xFFA0 | 0xFFF0..=0xFFFF | 0xE000..=0xF8FF
            | 0xE0000..=0xE0FFF | 0xF0000..=0x10FFFF);
    !forbidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn terminal_escapes_and_bidirectional_tricks_are_gone() {
        assert_eq!(name("\u{1b}[31mBo\u{7}\u{9b}2J", "x"), "[31mBo2J");
        assert_eq!(name("\u{202e}oB\u{202c}\u{2066}", "x"), "oB");
        assert_eq!(name("A\u{200b}da\u{feff}", "x"), "Ada");
        assert_eq!(line("one\ntwo\r\x1b]52;c;evil\x07", 900), "one two ]52;c;evil");
    }

    #[test]
    fn length_is_bounded_in_columns_and_never_empty() {
        assert_eq!(name("", "anna"), "anna");
        assert_eq!(name(" \u{200b} ", "anna"), "anna");
        assert!(name(&"宽".repeat(100), "x").width() <= MAX_NAME_WIDTH);
        assert!(name(&format!("Z{}", "\u{301}".repeat(5_000)), "x").len() < 40, "accents do not pile up");
        assert!(line(&"é".repeat(2_000), 900).len() <= 900);
    }

    #[test]
    fn names_become_unique_whatever_the_case() {
        assert_eq!(unique("Bo", &["Cy"]), "Bo");
        assert_eq!(unique("Bo", &["bo"]), "Bo (2)");
        assert_eq!(unique("Bo", &["Bo", "Bo (2)"]), "Bo (3)");
    }
}
