//! What a run came to, for people and for programs.

use crate::router::Drops;
use serde::Serialize;
use std::fmt;

/// The outcome of a scenario.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Its name.
    pub scenario: String,
    /// What it is about.
    pub about: String,
    /// What decided over chance in the network.
    pub seed: u64,
    /// How long it ran.
    pub seconds: f64,
    /// True if everything expected came about, what is known to fail failed, and no program panicked.
    pub passed: bool,
    /// Each expectation.
    pub expectations: Vec<Expectation>,
    /// Each pair of a session, in both directions.
    pub pairs: Vec<Pair>,
    /// Each program.
    pub programs: Vec<Program>,
    /// Each host's link.
    pub links: Vec<LinkFigures>,
    /// Each network's NAT or firewall.
    pub nats: Vec<NatFigures>,
    /// What the simulated Internet dropped, and why.
    pub drops: Drops,
    /// Packets that were handed to hosts.
    pub packets: u64,
    /// How much later than due half of them were handed over at most, in microseconds.
    pub late_median_us: f64,
    /// The same of ninety-nine in a hundred.
    pub late_99_us: f64,
    /// The latest.
    pub late_worst_us: f64,
}

/// An expectation and what became of it.
#[derive(Clone, Debug, Serialize)]
pub struct Expectation {
    /// What was expected.
    pub what: String,
    /// True if it came about, or failed as it was known to.
    pub holds: bool,
    /// Why it is known to fail.
    pub expected_failure: Option<String>,
    /// What was not as it should be.
    pub findings: Vec<String>,
}

/// What one heard of another.
#[derive(Clone, Debug, Serialize)]
pub struct Pair {
    /// Who listens.
    pub listener: String,
    /// To whom.
    pub speaker: String,
    /// Seconds from the start of the later of both until the listener has found the speaker.
    pub found_s: Option<f64>,
    /// How: `hint`, `mdns`, `dht`, `member`.
    pub via: Option<String>,
    /// True if a direct path by UDP is possible, as the oracle has it.
    pub direct_possible: bool,
    /// Seconds from the start of the later of both to the connection.
    pub connected_s: Option<f64>,
    /// Seconds from the same moment to the first word heard.
    pub audio_s: Option<f64>,
    /// `direct`, or through whom, in the end.
    pub path: Option<String>,
    /// Type of the listener's candidate.
    pub local: Option<String>,
    /// Type of the speaker's.
    pub remote: Option<String>,
    /// IP packets that arrived.
    pub packets: u64,
    /// The longest time in which none did, after the connection, in milliseconds.
    pub pause_ms: Option<f64>,
    /// Mean round-trip time in milliseconds, as the listener says.
    pub rtt_ms: Option<f64>,
    /// Mean share of lost packets, as the listener says.
    pub loss: Option<f64>,
    /// Frames made up, as the listener says.
    pub concealed: Option<f64>,
    /// Mean delay held against jitter, in milliseconds.
    pub jitter_buffer_ms: Option<f64>,
    /// Packets that did not open.
    pub refused: Option<f64>,
    /// What the recording shows.
    pub sound: Option<Figures>,
}

/// What a recording shows.
#[derive(Clone, Debug, Serialize)]
pub struct Figures {
    /// Seconds from the first sound to the end.
    pub seconds: f64,
    /// The longest silence in milliseconds.
    pub silence_ms: f64,
    /// The longest silence without the time in which no packets of the speaker arrived, in milliseconds.
    pub silence_while_arriving_ms: f64,
    /// The share of the time with sound.
    pub voiced: f64,
    /// Correlation of its loudness with that of what was said.
    pub likeness: Option<f64>,
    /// What the judge says; PESQ-WB is 1 to 4.6.
    pub quality: Option<f64>,
}

/// A program's end.
#[derive(Clone, Debug, Serialize)]
pub struct Program {
    /// Its name in the scenario.
    pub name: String,
    /// Its exit code; none after a signal.
    pub code: Option<i32>,
    /// Its largest memory (resident) in megabytes; none if it ended before the scenario did.
    pub memory_mb: Option<f64>,
    /// True if it panicked on the way.
    pub panicked: bool,
}

/// What a host's link did: packets carried, lost by chance, and refused (queue full, or link down).
#[derive(Clone, Debug, Serialize)]
pub struct LinkFigures {
    /// Whose link.
    pub host: String,
    /// From the host.
    pub up: [u64; 3],
    /// To the host.
    pub down: [u64; 3],
}

/// What a network's NAT did with packets from outside.
#[derive(Clone, Debug, Serialize)]
pub struct NatFigures {
    /// Whose.
    pub network: String,
    /// Let in.
    pub admitted: u64,
    /// Refused, because there was no mapping.
    pub unknown: u64,
    /// Refused, because the mapping's filter did not want them.
    pub filtered: u64,
}

fn shown(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| "-".into(), |value| format!("{value:.digits$}"))
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = if self.passed { "passed" } else { "FAILED" };
        writeln!(f, "{}: {verdict} ({:.1} s, seed {})", self.scenario, self.seconds, self.seed)?;
        if !self.about.is_empty() {
            writeln!(f, "  {}", self.about)?;
        }
        for expectation in &self.expectations {
            let mark = match (&expectation.expected_failure, expectation.holds) {
                (None, true) => "ok",
                (Some(_), true) => "fails as known",
                (_, false) => "FAILED",
            };
            let why = expectation.expected_failure.as_ref().map(|why| format!(" ({why})")).unwrap_or_default();
            writeln!(f, "  {mark}: {}{why}", expectation.what)?;
            if !expectation.holds {
                expectation.findings.iter().try_for_each(|finding| writeln!(f, "      {finding}"))?;
            }
        }
        for program in self.programs.iter().filter(|program| program.panicked) {
            writeln!(f, "  FAILED: {} panicked", program.name)?;
        }
        if !self.pairs.is_empty() {
            writeln!(
                f,
                "  {:<24} {:>8} {:>8} {:>8} {:>14} {:>7} {:>6} {:>9} {:>8} {:>10} {:>10} {:>14} {:>8} {:>7}",
                "who hears whom",
                "conn. s",
                "audio s",
                "path",
                "candidates",
                "rtt ms",
                "loss %",
                "concealed",
                "held ms",
                "pause ms",
                "silence ms",
                "while arriving",
                "likeness",
                "quality"
            )?;
        }
        for pair in &self.pairs {
            let sound = pair.sound.as_ref();
            let candidates =
                format!("{}/{}", pair.local.as_deref().unwrap_or("-"), pair.remote.as_deref().unwrap_or("-"));
            writeln!(
                f,
                "  {:<24} {:>8} {:>8} {:>8} {:>14} {:>7} {:>6} {:>9} {:>8} {:>10} {:>10} {:>14} {:>8} {:>7}",
                format!("{} of {}", pair.listener, pair.speaker),
                shown(pair.connected_s, 2),
                shown(pair.audio_s, 2),
                pair.path.as_deref().unwrap_or("-"),
                candidates,
                shown(pair.rtt_ms, 1),
                shown(pair.loss.map(|loss| loss * 100.0), 2),
                shown(pair.concealed, 0),
                shown(pair.jitter_buffer_ms, 0),
                shown(pair.pause_ms, 0),
                shown(sound.map(|sound| sound.silence_ms), 0),
                shown(sound.map(|sound| sound.silence_while_arriving_ms), 0),
                shown(sound.and_then(|sound| sound.likeness), 2),
                shown(sound.and_then(|sound| sound.quality), 2),
            )?;
        }
        writeln!(
            f,
            "  {} packets; the simulation itself was late by {:.0} µs (median), {:.0} µs (99 %), {:.0} µs (worst)",
            self.packets, self.late_median_us, self.late_99_us, self.late_worst_us
        )
    }
}
