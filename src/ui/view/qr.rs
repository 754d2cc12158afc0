//! A number as a QR code in half blocks: two modules in a cell, one above the other.

use super::put_all;
use crate::ui::layout::SMALLEST;
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

/// Draws a text in the middle of `area`; says how large the window would have to be when there is not room enough.
pub(super) fn whole(theme: Theme, frame: &mut Frame, area: Rect, content: &str) -> Result<(), String> {
    if theme.glyphs == Glyphs::Ascii {
        return Err("A code cannot be drawn with ASCII alone.".to_owned());
    }
    let rows = half_blocks(content).ok_or_else(|| "This is too long for a code.".to_owned())?;
    let (cells, lines) = (rows.first().map_or(0, |row| row.chars().count()), rows.len());
    if usize::from(area.width) < cells || usize::from(area.height) < lines {
        // The header, the two lines at the bottom, and the frame's.
        let (columns, rows) = ((cells + 2).max(usize::from(SMALLEST.0)), lines + 5);
        return Err(format!("Make the window larger: the code needs {columns}×{rows}."));
    }
    let left = (area.width - cells as u16) / 2;
    let place = Rect { x: area.x + left, width: cells as u16, ..area };
    put_all(frame, place, rows.into_iter().map(|row| Line::styled(row, theme.code())));
    Ok(())
}

/// Light modules are drawn, dark ones left out: right on a dark terminal, and with the theme's colours on any.
fn half_blocks(content: &str) -> Option<Vec<String>> {
    let code = QRBuilder::new(content).ecl(ECL::M).build().ok().filter(|_| !content.is_empty())?;
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
