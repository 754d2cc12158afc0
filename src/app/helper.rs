//! `resonance helper`: runs one, and tells where it is.

use super::Failure;
use super::process::StopSignals;
use crate::cli::HelperOptions;
use crate::headless::print_event;
use crate::helper::key::{self, KeyError};
use crate::helper::{Config, Event, Helper, StartError};
use crate::logging::{self, Destination};
use serde_json::json;
use std::io::{IsTerminal, Write};
use std::time::Instant;

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        match error {
            StartError::BadAddress(_) => Failure::Usage(format!("{error}.")),
            StartError::Listen { .. } => Failure::Other(format!(
                "{error}. Ports below 1024 need a privilege (contrib/resonance-helper.service has it); another program may \
                 be listening there already."
            )),
            StartError::Transport(_) => Failure::Other(format!("{error}.")),
        }
    }
}

impl From<KeyError> for Failure {
    fn from(error: KeyError) -> Self {
        Failure::Other(error.to_string())
    }
}

/// Whether it tells what happens in JSON: when asked to, and when nobody is watching.
pub fn speaks_json(options: &HelperOptions) -> bool {
    options.headless || !std::io::stdout().is_terminal()
}

/// Runs a helper until it is told to stop.
///
/// # Errors
/// When it cannot start, or can listen nowhere any more.
pub fn run(options: &HelperOptions, started: Instant) -> Result<(), Failure> {
    let destination = options.log.as_deref().map_or(Destination::StandardError, Destination::File);
    logging::start(destination).map_err(|error| Failure::Usage(format!("The log file cannot be written: {error}.")))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Other(format!("The system gives no threads: {error}.")))?;
    let outcome = runtime.block_on(serve(options, started));
    runtime.shutdown_background();
    outcome
}

async fn serve(options: &HelperOptions, started: Instant) -> Result<(), Failure> {
    let mut stop = StopSignals::listen()?;
    let config = Config {
        key: key::kept(options.data_dir.as_deref())?,
        listen: options.listen.clone(),
        turn_port: options.turn_port,
        announce: options.announce.clone(),
        bootstrap: options.bootstrap.clone(),
        metrics: options.metrics,
    };
    let mut helper = Helper::start(config).await?;
    let voice = Voice { json: speaks_json(options), started };
    let over = async {
        match options.duration {
            Some(duration) => tokio::time::sleep(duration).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(over);
    let reason = loop {
        tokio::select! {
            event = helper.next_event() => voice.tell(&event?),
            () = &mut over => break "duration",
            () = stop.recv() => break "signal",
        }
    };
    voice.bye(reason);
    Ok(())
}

/// Tells what happens, to people or to scripts.
struct Voice {
    json: bool,
    started: Instant,
}

impl Voice {
    fn tell(&self, event: &Event) {
        match event {
            Event::Listening(address) if self.json => {
                print_event(self.started, "listening", json!({ "addr": address.to_string() }));
            }
            Event::Listening(_) => {}
            Event::Ready { peer, addresses, turn, metrics } if self.json => {
                let texts: Vec<String> = addresses.iter().map(ToString::to_string).collect();
                let turn: Vec<String> = turn.iter().map(ToString::to_string).collect();
                let metrics = metrics.map(|address| format!("http://{address}/metrics"));
                let fields = json!({ "peer": peer.to_string(), "addrs": texts, "turn": turn, "metrics": metrics });
                print_event(self.started, "helper_ready", fields);
            }
            Event::Ready { addresses, turn, metrics, .. } => {
                let mut out = std::io::stdout().lock();
                let _ = writeln!(out, "This helper serves. Others use it with any of:");
                for address in addresses {
                    let _ = writeln!(out, "  --helper {address}");
                }
                for place in turn {
                    let _ = writeln!(out, "STUN and TURN  UDP {place}");
                }
                if let Some(address) = metrics {
                    let _ = writeln!(out, "Figures        http://{address}/metrics");
                }
                let _ = writeln!(out, "It keeps no log of who uses it. Ctrl-C ends it.");
            }
        }
    }

    fn bye(&self, reason: &str) {
        if self.json {
            print_event(self.started, "bye", json!({ "reason": reason }));
        }
    }
}
