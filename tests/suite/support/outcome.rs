//! Runs of the program that end by themselves.

use super::process::{BINARY, collect};
use serde_json::Value;
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A run that ends by itself: exit code, events, standard error.
pub struct Outcome {
    /// The exit code; `None` when a signal ended it.
    pub code: Option<i32>,
    /// Standard output, by line.
    pub events: Vec<Value>,
    /// Standard output as it was.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Outcome {
    /// Holds the contract of a failed start: the exit code, no panic, one plain sentence, and (headless) one `error` event with all its fields.
    pub fn refused_with(&self, codes: &[i32], headless: bool) {
        let seen = format!("exit {:?}\nstdout: {}\nstderr: {}", self.code, self.stdout, self.stderr);
        assert!(self.code.is_some_and(|code| codes.contains(&code)), "expected exit code {codes:?}: {seen}");
        assert!(!self.stderr.contains("panicked") && !self.stderr.contains("RUST_BACKTRACE"), "no panic: {seen}");
        assert!(self.stderr.split_whitespace().count() >= 4, "a sentence on standard error: {seen}");
        if headless {
            let errors: Vec<_> = self.events.iter().filter(|event| event["event"] == "error").collect();
            assert_eq!(errors.len(), 1, "one error event: {seen}");
            for field in ["code", "message", "hint"] {
                assert!(
                    errors[0][field].as_str().is_some_and(|text| !text.is_empty()),
                    "the error has a {field}: {seen}"
                );
            }
        }
    }
}

/// Runs the program to its end, with nothing on its standard input.
///
/// # Panics
/// When it does not end within `patience`: hanging is a failure.
pub fn run(arguments: &[&str], patience: Duration) -> Outcome {
    let data = tempfile::tempdir().expect("a temporary folder");
    let mut child = Command::new(BINARY)
        .args(arguments)
        .env("HOME", data.path())
        .env("XDG_DATA_HOME", data.path())
        .env("XDG_CONFIG_HOME", data.path())
        .env("RESONANCE_NO_DHT", "1")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let [stdout, stderr] = [Arc::new(Mutex::new(String::new())), Arc::new(Mutex::new(String::new()))];
    let readers = [
        collect(child.stdout.take().expect("piped"), Arc::clone(&stdout)),
        collect(child.stderr.take().expect("piped"), Arc::clone(&stderr)),
    ];
    let deadline = Instant::now() + patience;
    let status = loop {
        match child.try_wait().expect("a child can be asked") {
            Some(status) => break Some(status),
            None if Instant::now() > deadline => {
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            None => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    for reader in readers {
        reader.join().expect("a reader does not panic");
    }
    let text = |lines: &Mutex<String>| lines.lock().unwrap_or_else(PoisonError::into_inner).clone();
    let (stdout, stderr) = (text(&stdout), text(&stderr));
    let status = status.unwrap_or_else(|| panic!("{arguments:?} did not end within {patience:?}\n{stdout}\n{stderr}"));
    let events = stdout.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    Outcome { code: status.code(), events, stdout, stderr }
}
