//! `resonance doctor`: what of the network and the sound works here, in plain words.

mod examine;

use super::Failure;
use crate::cli::DoctorOptions;
use serde_json::{Value, json};
use std::io::{IsTerminal, Write};

/// How good something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Works, with a limit that one should know.
    Limited,
    /// Does not work.
    Bad,
    /// Cannot be found out without more help.
    Unknown,
}

impl Verdict {
    /// The stable word, and how it is shown.
    fn words(self) -> (&'static str, &'static str) {
        match self {
            Verdict::Good => ("good", "ok     "),
            Verdict::Limited => ("limited", "limited"),
            Verdict::Bad => ("bad", "FAILS  "),
            Verdict::Unknown => ("unknown", "?      "),
        }
    }
}

/// One thing that was looked at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    /// A stable word for scripts.
    pub id: &'static str,
    /// What was looked at.
    pub what: String,
    /// How good it is.
    pub verdict: Verdict,
    /// What was found.
    pub found: String,
    /// What that means for talking.
    pub means: String,
    /// What to do about it; nothing, when it is good.
    pub advice: Option<String>,
}

impl Check {
    fn json(&self) -> Value {
        json!({
            "id": self.id, "what": self.what, "verdict": self.verdict.words().0,
            "found": self.found, "means": self.means, "advice": self.advice,
        })
    }

    fn show(&self, out: &mut impl Write) -> std::io::Result<()> {
        writeln!(out, "{}  {}: {}", self.verdict.words().1, self.what, self.found)?;
        writeln!(out, "         {}", self.means)?;
        match &self.advice {
            Some(advice) => writeln!(out, "         → {advice}"),
            None => Ok(()),
        }
    }
}

/// Looks at everything, tells it, and says by failing whether something that talking needs does not work.
///
/// # Errors
/// When something does not work.
pub fn run(options: &DoctorOptions) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::Other(format!("The system gives no threads: {error}.")))?;
    let checks = runtime.block_on(examine::all(options, &progress));
    runtime.shutdown_background();
    if std::io::stderr().is_terminal() {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
    let bad: Vec<&Check> = checks.iter().filter(|check| check.verdict == Verdict::Bad).collect();
    tell(&checks, bad.is_empty(), options.json);
    match bad[..] {
        [] => Ok(()),
        [one] => Err(Failure::Other(format!("Something does not work: {}.", one.what))),
        _ => Err(Failure::Other(format!("{} things do not work.", bad.len()))),
    }
}

/// A line that is written over, for whoever waits.
fn progress(looking_at: &str) {
    if std::io::stderr().is_terminal() {
        let _ = write!(std::io::stderr(), "\r\x1b[Klooking at {looking_at} …");
    }
}

fn tell(checks: &[Check], ok: bool, as_json: bool) {
    // A reader that went away is no reason to fail.
    let mut out = std::io::stdout().lock();
    if as_json {
        let all: Vec<Value> = checks.iter().map(Check::json).collect();
        let _ = writeln!(out, "{}", json!({ "ok": ok, "checks": all }));
        return;
    }
    for check in checks {
        let _ = check.show(&mut out);
    }
}
