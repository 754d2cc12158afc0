//! A page of words in the making: what is said, warned of, compared, and the keys that help.

use crate::ui::text;
use crate::ui::theme::Theme;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};

/// Groups of five digits in a row.
const GROUPS: usize = 4;

/// Lines in the making.
pub(super) struct Page {
    pub theme: Theme,
    pub cells: usize,
    pub lines: Vec<Line<'static>>,
}

impl Page {
    /// An empty one, as wide as `area`, with a blank line above.
    pub fn new(theme: Theme, area: Rect) -> Self {
        Self { theme, cells: usize::from(area.width.saturating_sub(4)), lines: vec![Line::default()] }
    }

    pub fn say(mut self, words: &str) -> Self {
        self.lines.extend(text::wrap(words, self.cells).into_iter().map(|line| Line::raw(format!("  {line}"))));
        self
    }

    pub fn gap(mut self) -> Self {
        self.lines.push(Line::default());
        self
    }

    pub fn warn(mut self, words: &str) -> Self {
        let style = self.theme.alarm();
        self.lines
            .extend(text::wrap(words, self.cells).into_iter().map(|line| Line::styled(format!("  {line}"), style)));
        self
    }

    /// A safety number in its groups.
    pub fn number(mut self, number: &str) -> Self {
        let number = text::plain(number);
        let groups: Vec<&str> = number.split_whitespace().collect();
        for groups in groups.chunks(GROUPS) {
            self.lines.push(Line::styled(format!("        {}", groups.join(" ")), self.theme.hero()));
        }
        self
    }

    pub fn key(mut self, key: &'static str, words: &str) -> Self {
        let words = text::cut(words, self.cells.saturating_sub(3));
        self.lines.push(Line::from_iter([
            Span::styled(format!("  {key}"), self.theme.key()),
            Span::raw(format!("  {words}")),
        ]));
        self
    }
}
