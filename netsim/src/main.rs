//! The program around the simulated Internet.

#[cfg(target_os = "linux")]
mod cli;
#[cfg(target_os = "linux")]
mod shell;

#[cfg(target_os = "linux")]
fn main() -> std::process::ExitCode {
    linux::main()
}

#[cfg(not(target_os = "linux"))]
fn main() -> std::process::ExitCode {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "resonance-netsim needs Linux: it is made of network namespaces.");
    std::process::ExitCode::from(3)
}

#[cfg(target_os = "linux")]
mod linux {
    use crate::cli::{Action, Cli, RunArgs};
    use crate::shell;
    use clap::Parser;
    use nix::sys::signal::{SigSet, Signal};
    use resonance_netsim::edges::EDGES;
    use resonance_netsim::oracle;
    use resonance_netsim::profiles::PROFILES;
    use resonance_netsim::runner::{INTERRUPTED, Options, RunError, oracle_says, run};
    use resonance_netsim::scenario::Scenario;
    use resonance_netsim::sys::netns;
    use resonance_netsim::topology::{Plan, Topology};
    use std::io::Write;
    use std::path::{Path, PathBuf};
    use std::process::ExitCode;
    use std::sync::atomic::Ordering;

    /// Something expected did not come about.
    const FAILED: u8 = 1;
    /// Bad usage: a file that is none, a name that is not there.
    const USAGE: u8 = 2;
    /// This machine cannot.
    const CANNOT: u8 = 3;
    /// Somebody asked for the end (128 + SIGINT, as shells have it).
    const INTERRUPT: u8 = 130;

    pub fn main() -> ExitCode {
        let cli = Cli::parse();
        let outcome = match &cli.action {
            Action::Run(args) => prepared().and_then(|()| run_all(args)),
            Action::Shell(args) => prepared().and_then(|()| shell::run(args).map_err(|error| (USAGE, error))),
            Action::Check => prepared().map(|()| say("It can run here.")),
            Action::Profiles => {
                list_profiles();
                Ok(())
            }
            Action::Edges => {
                EDGES.iter().for_each(|kind| say(&format!("{:<18} {}", kind.name, kind.says)));
                Ok(())
            }
            Action::Oracle { file } => print_oracle(file.as_deref()).map_err(|error| (USAGE, error)),
        };
        match outcome {
            Ok(()) => ExitCode::SUCCESS,
            Err((code, why)) => {
                if !why.is_empty() {
                    complain(&why);
                }
                ExitCode::from(code)
            }
        }
    }

    fn say(line: &str) {
        // Whoever reads may have gone.
        let _ = writeln!(std::io::stdout(), "{line}");
    }

    fn complain(line: &str) {
        let _ = writeln!(std::io::stderr(), "{line}");
    }

    /// Gets the right to make networks, and ends in good order when asked to.
    fn prepared() -> Result<(), (u8, String)> {
        netns::prepare().map_err(|error| (CANNOT, format!("It cannot run here: {error}.")))?;
        let mut signals = SigSet::empty();
        signals.extend([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
        // Blocked in every thread that comes; one waits for them. Programs that are started get them back.
        signals.thread_block().map_err(|error| (CANNOT, error.to_string()))?;
        std::thread::spawn(move || {
            while signals.wait().is_ok() {
                INTERRUPTED.store(true, Ordering::Relaxed);
            }
        });
        Ok(())
    }

    fn run_all(args: &RunArgs) -> Result<(), (u8, String)> {
        let beside = || Some(std::env::current_exe().ok()?.with_file_name("resonance"));
        let binary = args.binary.clone().or_else(beside).unwrap_or_else(|| PathBuf::from("resonance"));
        let words = |text: &String| text.split_whitespace().map(str::to_owned).collect();
        let options = Options {
            binary,
            speech: args.speech.clone(),
            judge: args.judge.as_ref().map(words),
            pcap: args.pcap.clone(),
            keep: args.keep.clone(),
            seed: args.seed,
        };
        let scenarios: Result<Vec<Scenario>, _> = args.files.iter().map(|file| Scenario::read(file)).collect();
        let scenarios = scenarios.map_err(|error| (USAGE, error.to_string()))?;
        let mut reports = Vec::new();
        for scenario in &scenarios {
            let mut tell = |seconds: f64, what: &str| {
                if !args.quiet {
                    complain(&format!("{} {seconds:6.2} s  {what}", scenario.name));
                }
            };
            let report = run(scenario, &options, &mut tell).map_err(|error| {
                let code = match error {
                    RunError::Machine(_) => CANNOT,
                    RunError::Interrupted => INTERRUPT,
                    _ => USAGE,
                };
                (code, error.to_string())
            })?;
            if args.json.as_deref() != Some(Path::new("-")) {
                say(&report.to_string());
            }
            reports.push(report);
        }
        if let Some(file) = &args.json {
            let text = serde_json::to_string_pretty(&reports).unwrap_or_default();
            if file == Path::new("-") {
                say(&text);
            } else {
                std::fs::write(file, text).map_err(|error| (USAGE, format!("{}: {error}", file.display())))?;
            }
        }
        let failed: Vec<&str> =
            reports.iter().filter(|report| !report.passed).map(|report| report.scenario.as_str()).collect();
        if failed.is_empty() { Ok(()) } else { Err((FAILED, format!("failed: {}", failed.join(", ")))) }
    }

    fn list_profiles() {
        for profile in &PROFILES {
            say(profile.name);
            for (way, link) in [("up", profile.up), ("down", profile.down)] {
                let jitter = link.jitter.map_or(String::new(), |jitter| {
                    format!(" + {:?} ({:?} for nine in ten)", jitter.median, jitter.ninetieth)
                });
                let rate = link
                    .rate
                    .map_or("no limit".into(), |rate| format!("{} kb/s, queue {:?}", rate.bits / 1_000, rate.queue));
                let loss = link.loss.share() * 100.0;
                say(&format!("  {way:<5} delay {:?}{jitter}, loss {loss:.2} %, {rate}", link.delay));
            }
            say(&format!("  from  {}\n  ours  {}", profile.source, profile.chosen));
        }
    }

    fn print_oracle(file: Option<&Path>) -> Result<(), String> {
        if let Some(file) = file {
            let scenario = Scenario::read(file).map_err(|error| error.to_string())?;
            let pairs = oracle_says(&scenario).map_err(|error| error.to_string())?;
            pairs.iter().for_each(|(a, b, reach)| say(&format!("{a:<16} {b:<16} {reach:?}")));
            return Ok(());
        }
        let width = EDGES.iter().map(|kind| kind.name.len()).max().unwrap_or(0);
        for first in &EDGES {
            let reaches = EDGES.iter().map(|second| {
                let mut topology = Topology::default();
                for (host, network, kind) in [("a", "one", first), ("b", "two", second)] {
                    let network = topology.add_network(network, kind.name);
                    topology.add_host(host, &network);
                }
                match Plan::new(&topology).map(|plan| oracle::reach(&plan, 0, 1)) {
                    Ok(oracle::Reach::Direct) => "●",
                    Ok(oracle::Reach::RelayedByUdp) => "u",
                    Ok(oracle::Reach::RelayedByTcp) => "t",
                    Ok(oracle::Reach::RelayedByHttps) => "h",
                    _ => "·",
                }
            });
            say(&format!("{:<width$}  {}", first.name, reaches.collect::<Vec<_>>().join(" ")));
        }
        say("\n● direct, u through a relay by UDP, t by TCP, h by TCP port 443; columns in the order of the rows");
        Ok(())
    }
}
