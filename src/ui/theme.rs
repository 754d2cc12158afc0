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

/// With colours or without. Colours are the terminal's own sixteen: whoever chose those chose how they look here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Colour {
    /// None at all: bold, dim and reversed alone.
    None,
    /// For a dark background.
    Dark,
    /// For a light background: no yellow and no cyan, which few light themes make readable.
    Light,
    /// Nothing pale: what matters less is as strong as the rest, warnings and alarms are reversed.
    Contrast,
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
    /// `NO_COLOR` (not empty) takes the colours away; a `COLORFGBG` that ends in a light colour means a light background. ASCII alone is used when `RESONANCE_ASCII` is `1`, or when the first of
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
        // The last number is the background; 7 and 15 are the light ones (rxvt's convention, which many follow).
        let light = value("COLORFGBG").is_some_and(|value| matches!(value.rsplit(';').next(), Some("7" | "15")));
        let colour = match (value("NO_COLOR"), light) {
            (Some(_), _) => Colour::None,
            (None, true) => Colour::Light,
            (None, false) => Colour::Dark,
        };
        Self { colour, glyphs: if ascii { Glyphs::Ascii } else { Glyphs::Unicode } }
    }

    /// The same with what the settings say: words of `screen.theme` and `screen.glyphs`; `auto` leaves it as it is.
    pub(super) fn wished(self, colour: &str, glyphs: &str) -> Self {
        Self {
            colour: match colour {
                "dark" => Colour::Dark,
                "light" => Colour::Light,
                "contrast" => Colour::Contrast,
                "none" => Colour::None,
                _ => self.colour,
            },
            glyphs: match glyphs {
                "unicode" => Glyphs::Unicode,
                "ascii" => Glyphs::Ascii,
                _ => self.glyphs,
            },
        }
    }

    fn paint(self, dark: Color, light: Color) -> Style {
        match self.colour {
            Colour::None => Style::new(),
            Colour::Dark | Colour::Contrast => Style::new().fg(dark),
            Colour::Light => Style::new().fg(light),
        }
    }

    /// Something that must not be overlooked: in high contrast reversed, too.
    fn urgent(self, dark: Color, light: Color) -> Style {
        let reversed = if self.colour == Colour::Contrast { Modifier::REVERSED } else { Modifier::empty() };
        self.paint(dark, light).add_modifier(Modifier::BOLD | reversed)
    }

    /// Frames, hints and what matters least.
    pub(super) fn faint(self) -> Style {
        match self.colour {
            Colour::None => Style::new().add_modifier(Modifier::DIM),
            Colour::Dark | Colour::Light => Style::new().fg(Color::DarkGray),
            Colour::Contrast => Style::new(),
        }
    }

    /// Headings and names.
    pub(super) fn strong(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    /// The key in a hint.
    pub(super) fn key(self) -> Style {
        self.paint(Color::Cyan, Color::Blue).add_modifier(Modifier::BOLD)
    }

    /// The link, a safety number: what the view is about.
    pub(super) fn hero(self) -> Style {
        self.paint(Color::Cyan, Color::Blue).add_modifier(Modifier::BOLD)
    }

    /// A code for cameras: light on dark whatever the terminal's own colours are.
    pub(super) fn code(self) -> Style {
        match self.colour {
            Colour::None => Style::new(),
            Colour::Dark | Colour::Light | Colour::Contrast => Style::new().fg(Color::White).bg(Color::Black),
        }
    }

    /// All is well.
    pub(super) fn good(self) -> Style {
        self.paint(Color::Green, Color::Green)
    }

    /// Whoever speaks.
    pub(super) fn speaking(self) -> Style {
        self.paint(Color::Green, Color::Green).add_modifier(Modifier::BOLD)
    }

    /// Something to know about.
    pub(super) fn warning(self) -> Style {
        self.urgent(Color::Yellow, Color::Magenta)
    }

    /// Something to act upon.
    pub(super) fn alarm(self) -> Style {
        self.urgent(Color::Red, Color::Red)
    }

    /// The chosen line.
    pub(super) fn chosen(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD | Modifier::REVERSED)
    }

    /// The cell of a meter, `step` of `of` counted from the left.
    pub(super) fn meter(self, step: usize, of: usize) -> Style {
        match step {
            _ if step + 1 >= of => self.paint(Color::Red, Color::Red),
            _ if step + 2 >= of => self.paint(Color::Yellow, Color::Magenta),
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
        '●' => '*',
        '▶' | '›' | '→' => '>',
        '←' | '‹' => '<',
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
        assert_eq!(from(&[("LANG", "de_DE.UTF-8")]), Theme { colour: Colour::Dark, glyphs: Glyphs::Unicode });
        assert_eq!(from(&[("LANG", "en_US.utf8"), ("NO_COLOR", "1")]).colour, Colour::None);
        assert_eq!(from(&[("COLORFGBG", "0;15")]).colour, Colour::Light);
        assert_eq!(from(&[("COLORFGBG", "15;0")]).colour, Colour::Dark);
        assert_eq!(from(&[("COLORFGBG", "0;15"), ("NO_COLOR", "1")]).colour, Colour::None);
        assert_eq!(from(&[("LANG", "en_US.utf8"), ("NO_COLOR", "")]).colour, Colour::Dark);
        assert_eq!(from(&[]).glyphs, Glyphs::Ascii, "no locale at all is the C locale");
        assert_eq!(from(&[("LC_ALL", "C"), ("LANG", "en_US.UTF-8")]).glyphs, Glyphs::Ascii);
        assert_eq!(from(&[("LANG", "en_US.UTF-8"), ("RESONANCE_ASCII", "1")]).glyphs, Glyphs::Ascii);
        assert_eq!(from(&[("RESONANCE_ASCII", "0")]).glyphs, Glyphs::Unicode);
    }

    #[test]
    fn the_settings_decide_before_the_environment() {
        let theme = from(&[("NO_COLOR", "1")]);
        assert_eq!(theme.wished("auto", "auto"), theme);
        assert_eq!(theme.wished("light", "unicode"), Theme { colour: Colour::Light, glyphs: Glyphs::Unicode });
        assert_eq!(from(&[("LANG", "en_US.utf8")]).wished("none", "ascii"), theme);
    }

    /// Yellow and cyan are what light backgrounds swallow, grey what weak eyes lose.
    #[test]
    fn each_theme_keeps_off_the_colours_that_its_readers_cannot_see() {
        let styles = |colour| {
            let theme = Theme { colour, glyphs: Glyphs::Unicode };
            let fixed = [
                theme.faint(),
                theme.key(),
                theme.hero(),
                theme.good(),
                theme.speaking(),
                theme.warning(),
                theme.alarm(),
            ];
            fixed.into_iter().chain((0..8).map(move |step| theme.meter(step, 8))).collect::<Vec<_>>()
        };
        let pale = [Color::Yellow, Color::Cyan, Color::White].map(Some);
        assert!(styles(Colour::Light).iter().all(|style| !pale.contains(&style.fg)));
        let contrast = styles(Colour::Contrast);
        assert!(
            contrast
                .iter()
                .all(|style| style.fg != Some(Color::DarkGray) && !style.add_modifier.contains(Modifier::DIM))
        );
        assert!(
            contrast[5].add_modifier.contains(Modifier::REVERSED)
                && contrast[6].add_modifier.contains(Modifier::REVERSED)
        );
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
