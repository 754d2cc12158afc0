//! What the tests share: the program as a child process, sound files, namespaces, a terminal, and the manners of a test that needs tools.

pub mod cgroup;
pub mod curious;
#[cfg(target_os = "linux")]
pub mod desktop;
pub mod javascript;
pub mod namespaces;
pub mod outcome;
pub mod process;
pub mod python;
pub mod simulation;
pub mod sound;
pub mod sound_server;
pub mod terminal;
pub mod turn;

use std::io::Write;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

static ALONE: Mutex<()> = Mutex::new(());

/// Held by every test that runs the program in real time: on a small machine two calls at once would measure each other.
pub fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A line that is seen also when the test passes: measured figures, attempts, skipped tests. (The harness captures the print macros only.)
pub fn say(line: &str) {
    let mut stderr = std::io::stderr().lock();
    // Nowhere to report a failing report to.
    let _ = writeln!(stderr, "    {line}");
}

/// True where nothing may be skipped.
pub fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !value.is_empty() && value != "0" && value != "false")
}

/// Leaves a test out, visibly, on a machine that lacks something; on a machine that must have everything (`CI` is set) it fails instead.
pub fn skip(test: &str, lacks: &str) {
    assert!(!in_ci(), "{test}: {lacks}, and with CI set nothing may be left out");
    say(&format!("SKIPPED {test}: {lacks}"));
}

/// The repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Where `scripts/setup.sh` puts what the tests need and what the tests make.
pub fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(folder) => root().join(folder),
        None => root().join("target"),
    }
}

/// True if a program of that name is on the `PATH` (or in the folders of system tools, which an ordinary user's path may lack).
pub fn has_tool(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path)
        .chain(["/usr/sbin", "/sbin"].map(PathBuf::from))
        .any(|folder| folder.join(name).is_file())
}

/// Runs a measurement that shares the machine with others up to three times and prints each figure; the first good one passes.
///
/// # Panics
/// When none was good, with all that was measured.
pub fn attempts(test: &str, mut measure: impl FnMut() -> Result<String, String>) {
    const ATTEMPTS: usize = 3;
    let mut failures = Vec::new();
    for attempt in 1..=ATTEMPTS {
        match measure() {
            Ok(figures) => {
                say(&format!("{test}, attempt {attempt}: {figures}"));
                return;
            }
            Err(why) => {
                say(&format!("{test}, attempt {attempt} fell short: {why}"));
                failures.push(why);
            }
        }
    }
    panic!("{test}: none of {ATTEMPTS} attempts passed:\n{}", failures.join("\n"));
}
