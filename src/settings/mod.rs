//! What a person can set once for all sessions: one file, `config.toml`, and nothing in it that is secret.
//!
//! `table` declares every setting once; the file's comments, the settings page and all checks are made from it. [`file`] reads
//! and writes, and leaves what a person wrote there as it is.

mod file;
mod table;

pub use file::{Problem, Settings, WriteError};
pub use table::{Kind, SETTINGS, Setting, Values, did_you_mean};
