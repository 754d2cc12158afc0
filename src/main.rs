//! The program: parses the command line and runs it.

use clap::Parser;
use resonance::app::{self, Failure};
use resonance::audio::reserve::RealTimeHeap;
use resonance::cli::Cli;
use std::process::ExitCode;
use std::time::Instant;

#[global_allocator]
static HEAP: RealTimeHeap = RealTimeHeap;

fn main() -> ExitCode {
    match Cli::try_parse() {
        Ok(cli) => ExitCode::from(app::run(cli)),
        Err(error) if error.use_stderr() => {
            // A script must learn of bad usage as an event too; the explanation for people is clap's own.
            if std::env::args_os().any(|argument| argument == "--headless") {
                let sentence =
                    error.to_string().lines().next().unwrap_or_default().trim_start_matches("error: ").to_owned();
                app::report(&Failure::Usage(sentence), Some(Instant::now()));
            } else {
                let _ = error.print();
            }
            ExitCode::from(2)
        }
        Err(help) => {
            let _ = help.print();
            ExitCode::SUCCESS
        }
    }
}
