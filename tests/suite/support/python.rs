//! Measuring tools that exist in Python only, run from the environment that `scripts/setup.sh test` makes.

use super::{root, sound, target};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A script of ours under `tests/python/`.
pub fn script(name: &str) -> PathBuf {
    root().join("tests/python").join(name)
}

/// The interpreter with the measuring packages, if it was set up.
pub fn interpreter() -> Option<PathBuf> {
    let python = target().join("venv/bin/python");
    python.is_file().then_some(python)
}

/// ITU-T P.862.2 (PESQ, wideband) of two aligned mono signals at 48 kHz: 1.04 to 4.64, the higher the better.
///
/// # Panics
/// When the measurement itself fails, with what it said.
pub fn pesq_wideband(python: &Path, reference: &[f32], degraded: &[f32]) -> f32 {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let files = [("reference.wav", reference), ("degraded.wav", degraded)].map(|(name, samples)| {
        let path = folder.path().join(name);
        sound::write(&path, samples);
        path
    });
    let output = Command::new(python).arg(script("pesq_wb.py")).args(&files).output().expect("the interpreter runs");
    let (text, complaints) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "pesq_wb.py: {complaints}");
    text.trim().parse().unwrap_or_else(|error| panic!("pesq_wb.py said `{text}`: {error}"))
}
