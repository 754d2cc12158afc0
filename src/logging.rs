//! The log: to a file or standard error, never to standard output or the screen; nothing that names an address is logged.

use std::fs::File;
use std::path::Path;
use std::sync::Mutex;
use tracing_subscriber::EnvFilter;

/// Where the log goes.
pub enum Destination<'a> {
    /// To this file, at the level `debug` for this program.
    File(&'a Path),
    /// To standard error, warnings only.
    StandardError,
    /// Nowhere: the screen owns the terminal.
    Nowhere,
}

/// Starts logging; `RUST_LOG` overrides what is logged.
///
/// # Errors
/// When the file cannot be written.
pub fn start(destination: Destination<'_>) -> std::io::Result<()> {
    // The libraries' own logs may name addresses, so only ours is on unless somebody asks for more.
    let filter = |default: &str| EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(default));
    match destination {
        Destination::File(path) => {
            let file = Mutex::new(File::options().create(true).append(true).open(path)?);
            tracing_subscriber::fmt()
                .with_ansi(false)
                .with_writer(file)
                .with_env_filter(filter("off,resonance=debug,resonance_protocol=debug"))
                .init();
        }
        Destination::StandardError => tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(std::io::stderr)
            .with_env_filter(filter("off,resonance=warn"))
            .init(),
        Destination::Nowhere => {}
    }
    Ok(())
}
