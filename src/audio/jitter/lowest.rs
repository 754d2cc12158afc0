//! A running minimum that forgets.

use std::time::{Duration, Instant};

/// The lowest of the last quarter to half second.
#[derive(Clone, Copy, Debug, Default)]
pub struct Lowest {
    now: Option<(Instant, f64)>,
    before: Option<f64>,
}

impl Lowest {
    const SPAN: Duration = Duration::from_millis(250);

    /// Takes a value in.
    pub fn feed(&mut self, at: Instant, value: f64) {
        self.now = match self.now {
            Some((began, lowest)) if at.saturating_duration_since(began) < Self::SPAN => {
                Some((began, lowest.min(value)))
            }
            full => {
                self.before = full.map(|(_, lowest)| lowest);
                Some((at, value))
            }
        };
    }

    /// The lowest; `None` before the first.
    pub fn value(&self) -> Option<f64> {
        let now = self.now.map(|(_, lowest)| lowest)?;
        Some(self.before.map_or(now, |before| before.min(now)))
    }
}
