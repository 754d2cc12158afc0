//! A number as a QR code in half blocks: two modules in a cell, one above the other.

use super::put_all;
use crate::ui::theme::{Glyphs, Theme};
use fast_qr::{ECL, QRBuilder};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::text::Line;

/// Modules of light around the code (ISO/IEC 18004).
const QUIET: usize = 4;

/// Draws the digits of a number at the right of `area`, if there is room; gives back what is left of it.
pub(super) fn beside(theme: Theme, frame: &mut Frame, area: Rect, number: &str) -> Rect {
    /// What has to be said beside it needs this many cells.
    const WORDS: usize = 40;
    let digits: String = number.chars().filter(char::is_ascii_digit).collect();
    let Some(rows) = half_blocks(&digits).filter(|_| theme.glyphs == Glyphs::Unicode) else { return area };
    let cells = rows.first().map_or(0, |row| row.chars().count());
    if usize::from(area.height) < rows.len() || usize::from(area.width) < cells + WORDS {
        return area;
    }
    let left = Rect { width: area.width - cells as u16, ..area };
    let right = Rect { x: left.right(), width: cells as u16, ..area };
    put_all(frame, right, rows.into_iter().map(|row| Line::styled(row, theme.code())));
    left
}

/// Light modules are drawn, dark ones left out: right on a dark terminal, and with the theme's colours on any.
fn half_blocks(digits: &str) -> Option<Vec<String>> {
    let code = QRBuilder::new(digits).ecl(ECL::M).build().ok().filter(|_| !digits.is_empty())?;
    let side = code.size + 2 * QUIET;
    let light = |x: usize, y: usize| match (x.checked_sub(QUIET), y.checked_sub(QUIET)) {
        (Some(x), Some(y)) if x < code.size && y < code.size => !code[y][x].value(),
        _ => true,
    };
    let cell = |x: usize, y: usize| match (light(x, y), light(x, y + 1)) {
        (true, true) => '█',
        (true, false) => '▀',
        (false, true) => '▄',
        (false, false) => ' ',
    };
    Some((0..side).step_by(2).map(|y| (0..side).map(|x| cell(x, y)).collect()).collect())
}
