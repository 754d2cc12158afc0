//! Level meters: the bar of a person and the wave of one's own microphone.

use crate::ui::history::SECONDS;
use crate::ui::model::WAVE;
use crate::ui::theme::Theme;
use ratatui::text::Span;
use std::collections::VecDeque;

/// What counts as nothing, in dBFS.
const FLOOR_DB: f32 = -60.0;
/// What fills the meter, in dBFS: above it speech is close to clipping.
const FULL_DB: f32 = -6.0;
/// From the lowest to the highest.
const STEPS: [&str; 7] = ["▁", "▂", "▃", "▄", "▅", "▆", "▇"];

/// The share of the meter that a level fills, 0–1.
fn share(db: f32) -> f32 {
    if db.is_nan() { 0.0 } else { ((db - FLOOR_DB) / (FULL_DB - FLOOR_DB)).clamp(0.0, 1.0) }
}

/// A bar of `cells` cells.
pub(super) fn bar(theme: Theme, db: f32, cells: usize) -> Vec<Span<'static>> {
    let filled = (share(db) * cells as f32).ceil() as usize;
    let cell = |step| match step < filled {
        true => Span::styled("▇", theme.meter(step, cells)),
        false => Span::styled("▁", theme.faint()),
    };
    (0..cells).map(cell).collect()
}

/// The newest levels, the newest at the right.
pub(super) fn wave(theme: Theme, levels: &VecDeque<f32>) -> Vec<Span<'static>> {
    let quiet = std::iter::repeat_n(FLOOR_DB, WAVE.saturating_sub(levels.len()));
    let cell = |db: f32| {
        let step = (share(db) * (STEPS.len() - 1) as f32).ceil() as usize;
        let style = if step == 0 { theme.faint() } else { theme.meter(step, STEPS.len()) };
        Span::styled(STEPS[step.min(STEPS.len() - 1)], style)
    };
    quiet.chain(levels.iter().copied()).map(cell).collect()
}

/// Values of the last minute in `cells` cells, the newest at the right, as high as their share of `full`; the highest of those
/// that share a cell counts.
pub(super) fn spark(values: &VecDeque<f32>, full: f32, cells: usize) -> String {
    let each = SECONDS.div_ceil(cells.max(1));
    let newest_first: Vec<f32> = values.iter().rev().copied().collect();
    let mut shown: Vec<&str> = newest_first
        .chunks(each)
        .map(|values| {
            let highest = values.iter().copied().fold(0.0, f32::max);
            let step = (highest / full).clamp(0.0, 1.0) * (STEPS.len() - 1) as f32;
            STEPS[(step.ceil() as usize).min(STEPS.len() - 1)]
        })
        .collect();
    shown.reverse();
    shown.concat()
}

/// What counts as nothing in a band, and what fills it, in dBFS: loud speech has some −25 dB in its strongest.
const BAND_DB: (f32, f32) = (-75.0, -20.0);

/// Power in bands as columns of two cells, the upper row first.
pub(super) fn spectrum(theme: Theme, bands: &[f32]) -> [Vec<Span<'static>>; 2] {
    let (lowest, highest) = BAND_DB;
    let full = 2 * STEPS.len();
    let height = |db: &f32| {
        let share = if db.is_nan() { 0.0 } else { ((db - lowest) / (highest - lowest)).clamp(0.0, 1.0) };
        (share * full as f32).ceil() as usize
    };
    let heights: Vec<usize> = bands.iter().map(height).collect();
    let style = |height: usize| if height <= 1 { theme.faint() } else { theme.meter(height, full + 1) };
    let upper = |height: &usize| match height.checked_sub(STEPS.len() + 1) {
        Some(step) => Span::styled(STEPS[step.min(STEPS.len() - 1)], style(*height)),
        None => Span::raw(" "),
    };
    let lower = |height: &usize| match height.checked_sub(1) {
        // With another on top of it it has no gap.
        Some(step) if step >= STEPS.len() => Span::styled("█", style(*height)),
        Some(step) => Span::styled(STEPS[step], style(*height)),
        None => Span::styled(STEPS[0], theme.faint()),
    };
    [heights.iter().map(upper).collect(), heights.iter().map(lower).collect()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::theme::{Colour, Glyphs};

    const THEME: Theme = Theme { colour: Colour::None, glyphs: Glyphs::Unicode };

    fn shown(spans: Vec<Span>) -> String {
        spans.into_iter().map(|span| span.content.into_owned()).collect()
    }

    #[test]
    fn a_meter_is_empty_in_silence_and_full_at_the_top() {
        assert_eq!(shown(bar(THEME, -90.0, 8)), "▁▁▁▁▁▁▁▁");
        assert_eq!(shown(bar(THEME, -59.0, 8)), "▇▁▁▁▁▁▁▁");
        assert_eq!(shown(bar(THEME, 0.0, 8)), "▇▇▇▇▇▇▇▇");
        assert_eq!(shown(bar(THEME, f32::NAN, 4)), "▁▁▁▁");
        assert_eq!(shown(bar(THEME, f32::INFINITY, 4)), "▇▇▇▇");
    }

    #[test]
    fn a_wave_begins_quiet_and_moves_to_the_left() {
        assert_eq!(shown(wave(THEME, &VecDeque::new())), "▁▁▁▁▁▁▁▁");
        assert_eq!(shown(wave(THEME, &VecDeque::from([-33.0, 0.0, f32::NEG_INFINITY]))), "▁▁▁▁▁▄▇▁");
    }

    #[test]
    fn a_spectrum_stands_on_two_rows() {
        let [upper, lower] = spectrum(THEME, &[-90.0, -60.0, -47.0, -40.0, -20.0, 0.0, f32::NAN]);
        assert_eq!((shown(upper).as_str(), shown(lower).as_str()), ("  ▁▂▇▇ ", "▁▄████▁"));
    }

    #[test]
    fn a_minute_is_drawn_with_its_peaks() {
        let mut values: VecDeque<f32> = std::iter::repeat_n(0.0, SECONDS - 1).collect();
        values.push_back(100.0);
        assert_eq!(spark(&values, 100.0, 10), "▁▁▁▁▁▁▁▁▁▇");
        values.clear();
        assert_eq!(spark(&values, 100.0, 10), "");
        values.extend([f32::NAN, 50.0]);
        assert_eq!(spark(&values, 100.0, 60), "▁▄");
    }
}
