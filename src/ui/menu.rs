//! The lines of the start screen, from above: what is drawn where, what keys step through, what the mouse points at.

use super::model::{Model, StartField};

/// A line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Row {
    Blank,
    /// Words that nothing can be done with.
    Words(&'static str),
    /// The same, where a list would be.
    Quiet(&'static str),
    Field(StartField),
}

/// All of them.
pub(super) fn rows(model: &Model) -> Vec<Row> {
    let mut rows = vec![
        Row::Blank,
        Row::Words("Talk with the people you invite, each voice at its own place in the room."),
        Row::Words("End to end encrypted, from terminal to terminal, without any server."),
        Row::Blank,
        Row::Field(StartField::Name),
        Row::Blank,
    ];
    rows.extend([StartField::Create, StartField::Join, StartField::Lan].map(Row::Field));
    if let Some(nearby) = &model.nearby {
        if nearby.is_empty() {
            rows.push(Row::Quiet("no room is open here now"));
        }
        rows.extend(nearby.iter().map(|nearby| Row::Field(StartField::Room(nearby.room.clone()))));
    }
    if !model.recent.is_empty() {
        rows.push(Row::Words("Go back to"));
        rows.extend(model.recent.iter().map(|session| Row::Field(StartField::Recent(session.choice.clone()))));
    }
    rows.extend([StartField::Settings, StartField::Quit].map(Row::Field));
    rows
}

/// Those that can be chosen.
pub(super) fn fields(model: &Model) -> Vec<StartField> {
    let field = |row| match row {
        Row::Field(field) => Some(field),
        _ => None,
    };
    rows(model).into_iter().filter_map(field).collect()
}

/// The row that is drawn first in so many, so that the chosen one is seen.
pub(super) fn first(rows: &[Row], focus: &StartField, height: usize) -> usize {
    let focused = rows.iter().position(|row| matches!(row, Row::Field(field) if field == focus)).unwrap_or(0);
    // One more than the chosen one shows that there is more.
    (focused + 2).saturating_sub(height).min(rows.len().saturating_sub(height))
}
