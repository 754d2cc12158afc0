//! The command line.

use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// An internet in a box: homes, carriers, offices, bad links, around programs that do not know.
#[derive(Parser)]
#[command(
    name = "resonance-netsim",
    version,
    max_term_width = 100,
    after_help = "Try it:\n  resonance-netsim check                                      can it run here?\n  \
                  resonance-netsim run netsim/scenarios/*.toml                run scenarios, print reports\n  \
                  resonance-netsim shell --edge 'double nat' --link lte       a terminal behind a carrier's NAT, on LTE\n  \
                  resonance-netsim oracle                                     who can reach whom\n\n\
                  Everything happens in network namespaces of its own: as root, or as anybody where the\n\
                  kernel allows user namespaces. Nothing is changed on this machine's own network."
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub action: Action,
}

/// What to do.
#[derive(Subcommand)]
pub enum Action {
    /// Run scenarios; exit code 1 if one fails, 3 if this machine cannot
    Run(RunArgs),
    /// Open a terminal (or run a command) on a simulated host
    Shell(ShellArgs),
    /// Say whether this machine can run it, and if not, why
    Check,
    /// List the links, with their sources
    Profiles,
    /// List the kinds of edges
    Edges,
    /// Print what must be possible between every two kinds of edges, or between the hosts of a scenario
    Oracle {
        /// A scenario file
        file: Option<PathBuf>,
    },
}

/// Options of `run`.
#[derive(Args)]
pub struct RunArgs {
    /// Scenario files (TOML; netsim/README.md explains them)
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// The program under test [default: `resonance` beside this one]
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
    /// Folder with recorded words; without them a made voice speaks
    #[arg(long, value_name = "DIR", default_value = "/usr/share/sounds/alsa")]
    pub speech: PathBuf,
    /// Command that rates speech: gets two WAV files, said and heard, and prints a number
    #[arg(long, value_name = "COMMAND")]
    pub judge: Option<String>,
    /// Write every host's packets into this folder, one pcap file a host
    #[arg(long, value_name = "DIR")]
    pub pcap: Option<PathBuf>,
    /// Keep recordings and outputs in this folder
    #[arg(long, value_name = "DIR")]
    pub keep: Option<PathBuf>,
    /// Write the reports as JSON to this file (`-` for standard output)
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Instead of the scenario's own seed
    #[arg(long)]
    pub seed: Option<u64>,
    /// Do not say what happens while it runs
    #[arg(long)]
    pub quiet: bool,
}

/// Options of `shell`.
#[derive(Args)]
pub struct ShellArgs {
    /// Take the hosts of this scenario; without it there are `me`, a `neighbour`, and a `server` in the Internet
    #[arg(long, value_name = "SCENARIO")]
    pub file: Option<PathBuf>,
    /// On which host
    #[arg(long, default_value = "me")]
    pub host: String,
    /// What stands in front of `me` and the `neighbour` (see `edges`)
    #[arg(long, default_value = "home")]
    pub edge: String,
    /// The link of `me` (see `profiles`)
    #[arg(long, default_value = "perfect")]
    pub link: String,
    /// What is decided by chance is decided by this
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// Command to run instead of a shell
    #[arg(trailing_var_arg = true)]
    pub command: Vec<String>,
}
