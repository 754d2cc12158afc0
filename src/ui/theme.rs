//! What the screen may use: colours or none, Unicode glyphs or ASCII alone.
//!
//! Views are written once, with Unicode glyphs that are one cell wide; `ascii` says what stands for each of them where
//! only ASCII may be sent, and `text::scrub` applies it. A colour never carries a meaning that a sign or a word does not.

use ratatui::style::{Color, Modifier, Style};

/// How the screen is painted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Theme {
    /// With colours or without.
    pub colour: Colour,
    /// Which glyphs may be sent.
    pub glyphs: Glyphs,
}

/// With colours or without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// None at all: bold, dim and reversed alone.
    None,
    /// The terminal's own sixteen.
    Sixteen,
}

/// Which glyphs may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Glyphs {
    /// All that Unicode has.
    Unicode,
    /// ASCII alone; everything else becomes a stand-in.
    Ascii,
}

impl Theme {
    /// Reads the environment through `variable`.
    ///
    /// `NO_COLOR` (not empty) takes the colours away. ASCII alone is used when `RESONANCE_ASCII` is `1`, or when the first of
    /// `LC_ALL`, `LC_CTYPE`, `LANG` that is set does not name UTF-8 or none is set; `RESONANCE_ASCII=0` overrides the locale.
    pub fn detect(variable: impl Fn(&str) -> Option<String>) -> Self {
        let value = |name: &str| variable(name).filter(|value| !value.is_empty());
        let locale = value("LC_ALL").or_else(|| value("LC_CTYPE")).or_else(|| value("LANG")).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        let utf8 = locale.contains("utf-8") || locale.contains("utf8");
        let ascii = match value("RESONANCE_ASCII").as_deref() {
            Some("0") => false,
            Some(_) => true,
            None => !utf8,
        };
        Self {
            colour: if value("NO_COLOR").is_some() { Colour::None } else { Colour::Sixteen },
            glyphs: if ascii { Glyphs::Ascii } else { Glyphs::Unicode },
        }
    }

    fn paint(self, colour: Color) -> Style {
        match self.colour {
            Colour::None => Style::new(),
            Colour::Sixteen => Style::new().fg(colour),
        }
    }

    /// Frames, hints and what matters least.
    pub(super) fn faint(self) -> Style {
        self.paint(Color::DarkGray).add_modifier(if self.colour == Colour::None {
            Modifier::DIM
        } else {
            Modifier::empty()
        })
    }

    /// Headings and names.
    pub(super) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The key in a hint.
    pub(super) fn key(self) -> Style {
        self.paint(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// The link, a safety number: what the view is about.
    pub(super) fn hero(self) -> Style {
        self.paint(Color::Cyan).add_modifier(Modifier::BOLD)
    }

    /// A code for cameras: light on dark whatever the terminal's own colours are.
    pub(super) fn code(self) -> Style {
        match self.colour {
            Colour::None => Style::new(),
            Colour::Sixteen => Style::new().fg(Color::White).bg(Color::Black),
        }
    }

    /// All is well.
    pub(super) fn good(self) -> Style {
        self.paint(Color::Green)
    }

    /// Whoever speaks.
    pub(super) fn speaking(self) -> Style {
        self.paint(Color::Green).add_modifier(Modifier::BOLD)
    }

    /// Something to know about.
    pub(super) fn warning(self) -> Style {
        self.paint(Color::Yellow).add_modifier(Modifier::BOLD)
    }

    /// Something to act upon.
    pub(super) fn alarm(self) -> Style {
        self.paint(Color::Red).add_modifier(Modifier::BOLD)
    }

    /// The chosen line.
    pub(super) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED)
    }

    /// The cell of a meter, `step` of `of` counted from the left.
    pub(super) fn meter(self, step: usize, of: usize) -> Style {
        match step {
            _ if step + 1 >= of => self.paint(Color::Red),
            _ if step + 2 >= of => self.paint(Color::Yellow),
            _ => self.good(),
        }
    }

    /// One of two spellings: for words of more than one cell, where [`ascii`] cannot help.
    pub(super) fn either(self, unicode: &'static str, ascii: &'static str) -> &'static str {
        match self.glyphs {
            Glyphs::Unicode => unicode,
            Glyphs::Ascii => ascii,
        }
    }
}

/// The ASCII stand-in of a glyph: always one cell, `?` for what has none.
pub(super) fn ascii(glyph: char) -> char {
    match glyph {
        ' '..='~' => glyph,
        '─' | '—' | '–' | '−' => '-',
        '│' => '|',
        '┌' | '┐' | '└' | '┘' | '├' | '┤' | '┬' | '┴' => '+',
        '▁' | '·' | '…' => '.',
        '▂' => ':',
        '▃' => '-',
        '▄' => '=',
        '▅' => '+',
        '▆' => '*',
        '▇' | '█' => '#',
        '✓' => '+',
        '⚠' => '!',
        '▶' | '›' | '→' => '>',
        '←' => '<',
        '▲' | '↑' => '^',
        '↓' => 'v',
        '“' | '”' => '"',
        '’' => '\'',
        '\u{a0}' => ' ',
        _ => '?',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn from(pairs: &[(&str, &str)]) -> Theme {
        Theme::detect(|name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned()))
    }

    #[test]
    fn the_environment_decides() {
        assert_eq!(from(&[("LANG", "de_DE.UTF-8")]), Theme { colour: Colour::Sixteen, glyphs: Glyphs::Unicode });
        assert_eq!(from(&[("LANG", "en_US.utf8"), ("NO_COLOR", "1")]).colour, Colour::None);
        assert_eq!(from(&[("LANG", "en_US.utf8"), ("NO_COLOR", "")]).colour, Colour::Sixteen);
        assert_eq!(from(&[]).glyphs, Glyphs::Ascii, "no locale at all is the C locale");
        assert_eq!(from(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")]).glyphs, Glyphs::Ascii);
        assert_eq!(from(&[("LANG", "en_US.UTF-8"), ("RESONANCE_ASCII", "1")]).glyphs, Glyphs::Ascii);
        assert_eq!(from(&[("RESONANCE_ASCII", "0")]).glyphs, Glyphs::Unicode);
    }

    #[test]
    fn without_colour_no_style_has_one() {
        let theme = Theme { colour: Colour::None, glyphs: Glyphs::Unicode };
        let styles = [
            theme.faint(),
            theme.key(),
            theme.hero(),
            theme.good(),
            theme.speaking(),
            theme.warning(),
            theme.alarm(),
            theme.code(),
        ];
        for style in styles.into_iter().chain((0..8).map(|step| theme.meter(step, 8))) {
            assert_eq!((style.fg, style.bg), (None, None));
        }
    }
}
