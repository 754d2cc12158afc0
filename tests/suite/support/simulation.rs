//! Scenarios of the simulated Internet, run around the program. `netsim/README.md` explains what may stand in one.

use super::process::BINARY;
use super::{root, say, skip};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// Part of a scenario: a helper in the Internet, which tells its figures on its own machine.
pub const HELPER: &str = r#"[host.helper]
link = "fibre"
[peer.helper]
does = "helper"
args = ["--listen", "/ip4/{ip:helper}/tcp/4001", "--listen", "/ip4/{ip:helper}/udp/4001/quic-v1", "--metrics", "127.0.0.1:9464"]
"#;

/// Part of a scenario: Ada in the north and Bo in the south, each behind a router of that kind.
pub fn two_networks(edge: &str) -> String {
    let side = |network: &str, host: &str| {
        format!("[network.{network}]\nedge = \"{edge}\"\nuplink = \"fibre\"\n[host.{host}]\nnetwork = \"{network}\"\n")
    };
    side("north", "ada") + &side("south", "bo")
}

/// The program that simulates; `cargo test --workspace` builds it beside ours.
///
/// # Panics
/// When it is not there.
pub fn netsim() -> PathBuf {
    let program = Path::new(BINARY).with_file_name("resonance-netsim");
    assert!(program.is_file(), "{}: build it with `cargo build --release -p resonance-netsim`", program.display());
    program
}

/// True if it can run here; otherwise the test is left out.
pub fn can_run(test: &str) -> bool {
    let check = Command::new(netsim()).arg("check").output().expect("netsim starts");
    if !check.status.success() {
        skip(test, String::from_utf8_lossy(&check.stderr).trim());
    }
    check.status.success()
}

/// A scenario of the collection.
pub fn scenario(name: &str) -> PathBuf {
    root().join("netsim/scenarios").join(format!("{name}.toml"))
}

/// Runs scenarios and gives the report for people, or what was wrong.
///
/// # Errors
/// The report, with what did not come about as expected.
pub fn run(files: &[PathBuf], more: &[&str]) -> Result<String, String> {
    let mut command = Command::new(netsim());
    command.args(["run", "--quiet", "--binary", BINARY]).args(more).args(files);
    let output = command.output().expect("netsim starts");
    let text = said(&output);
    if output.status.success() { Ok(text) } else { Err(text) }
}

/// Runs a scenario that was written just now and gives its report.
///
/// # Errors
/// The report for people, with what did not come about as expected.
pub fn play(name: &str, text: &str, more: &[&str]) -> Result<Report, String> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [file, json] = ["toml", "json"].map(|kind| folder.path().join(format!("{name}.{kind}")));
    std::fs::write(&file, text).expect("a writable folder");
    let shown = json.display().to_string();
    let outcome = run(&[file], &[more, &["--json", &shown]].concat())?;
    say_known_failures(&outcome);
    let report: Value = serde_json::from_str(&std::fs::read_to_string(&json).expect("a report")).expect("JSON");
    Ok(Report(report[0].clone()))
}

/// What is known to fail is seen also when the test passes.
fn say_known_failures(outcome: &str) {
    outcome.lines().filter(|line| line.contains("fails as known")).for_each(|line| say(line.trim()));
}

/// What a run came to.
pub struct Report(pub Value);

impl Report {
    /// A figure of each pair that has it.
    pub fn figures(&self, pointer: &str) -> Vec<f64> {
        self.pairs().iter().filter_map(|pair| pair.pointer(pointer)?.as_f64()).collect()
    }

    /// What each program took at its peak.
    pub fn memory(&self) -> String {
        let programs = self.0["programs"].as_array().into_iter().flatten();
        let shown = programs.filter_map(|program| {
            Some(format!("{} {:.0} MB", program["name"].as_str()?, program["memory_mb"].as_f64()?))
        });
        shown.collect::<Vec<_>>().join(", ")
    }

    /// All pairs, in both directions.
    pub fn pairs(&self) -> &[Value] {
        self.0["pairs"].as_array().map_or(&[], Vec::as_slice)
    }
}

/// The IP packets of a capture that `--pcap` made.
pub fn packets(capture: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = capture.get(24..).unwrap_or_default();
    std::iter::from_fn(move || {
        let length = u32::from_le_bytes(rest.get(8..12)?.try_into().ok()?) as usize;
        let packet = rest.get(16..16 + length)?;
        rest = &rest[16 + length..];
        Some(packet)
    })
}

/// The middle one.
pub fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}

fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat()
}
