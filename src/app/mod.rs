//! The switchboard: knows all the rooms and carries what one says to the others.
//!
//! `call` runs one session, `addresses` are those of its link, `seeking` is what is tried while nobody has answered · `config` is what is set · `control` lets other programs ask it, `requests` answers them · `manual` is the man page · `helper` runs a helper · `doctor` says what works here · `discretion` is what `--no-direct` takes · `identity` finds the one it goes by · `nearby` is rooms of this network, `recent` what a person lets us remember · `translate` turns one room's words into another's · `process` is signals and standard input · `rehearsal` is hearing oneself before there is a session · `screen`, `plain` and `crate::headless` are the faces.

mod addresses;
mod call;
mod config;
mod control;
mod discretion;
mod doctor;
mod helper;
mod identity;
mod inspect;
mod manual;
mod nearby;
mod plain;
mod process;
mod recent;
mod recording;
mod rehearsal;
mod requests;
mod screen;
mod seeking;
mod space;
mod translate;

use crate::cli::{Action, Cli, Common, LinkAction};
use crate::headless::print_event;
use crate::identities::Keeper;
use crate::logging::{self, Destination};
use crate::settings::Settings;
use call::{Call, Goal};
use resonance_protocol::link::{Link, LinkError};
use serde_json::json;
use std::io::{IsTerminal, Read, Write};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// The longest text in which a link is looked for, in bytes: a long mail.
const MAX_LINK_INPUT: u64 = 64 * 1024;

/// Why the program ends with a code other than 0.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// Bad usage, including a bad link: exit code 2.
    #[error("{0}")]
    Usage(String),
    /// Nobody answered: exit code 3.
    #[error("{0}")]
    Unreachable(String),
    /// Somebody answered, but would not have us: exit code 4.
    #[error("{0}")]
    Refused(String),
    /// Anything else: exit code 1.
    #[error("{0}")]
    Other(String),
}

impl Failure {
    /// The exit code and the stable word for scripts.
    pub fn code(&self) -> (u8, &'static str) {
        match self {
            Failure::Usage(_) => (2, "usage"),
            Failure::Unreachable(_) => (3, "unreachable"),
            Failure::Refused(_) => (4, "refused"),
            Failure::Other(_) => (1, "failed"),
        }
    }
}

impl From<LinkError> for Failure {
    fn from(error: LinkError) -> Self {
        Failure::Usage(error.to_string())
    }
}

/// Runs the program and gives its exit code. Every failure is told once on standard error, and as an event when headless.
pub fn run(cli: Cli) -> u8 {
    let started = Instant::now();
    let headless = match &cli.action {
        Some(Action::Create { common, .. } | Action::Join { common, .. } | Action::Lan { common, .. }) => {
            common.headless
        }
        Some(Action::Helper(options)) => helper::speaks_json(options),
        // Everything else talks to people only.
        Some(_) => false,
        None => cli.common.headless,
    };
    match act(cli, started) {
        Ok(()) => 0,
        Err(failure) => {
            report(&failure, headless.then_some(started));
            failure.code().0
        }
    }
}

/// Tells a failure: one sentence on standard error and, when headless, one `error` event.
pub fn report(failure: &Failure, headless_since: Option<Instant>) {
    if let Some(started) = headless_since {
        let hint = "resonance --help explains the options and the commands.";
        print_event(
            started,
            "error",
            json!({ "code": failure.code().1, "message": failure.to_string(), "hint": hint }),
        );
    }
    let _ = writeln!(std::io::stderr(), "resonance: {failure}");
}

fn act(cli: Cli, started: Instant) -> Result<(), Failure> {
    let (common, goal) = match cli.action {
        Some(Action::Devices) => return inspect::devices(),
        Some(Action::Doctor(options)) => return doctor::run(&options),
        Some(Action::Helper(options)) => return helper::run(&options, started),
        Some(Action::Man) => return manual::print(),
        Some(Action::Completions { shell }) => {
            manual::completions(shell);
            return Ok(());
        }
        Some(Action::Ctl(what)) => return control::client::run(&what),
        Some(Action::Config { what }) => return config::run(&what),
        Some(Action::Identity { what }) => return identity::run(&what),
        Some(Action::Link { what: LinkAction::Inspect { link } }) => return inspect::link(&read_link(&link)?),
        Some(Action::Create { no_hints, expires, common }) => {
            (common, Some(Goal::Create { hints: !no_hints, expires_in: expires }))
        }
        Some(Action::Join { link, common }) => {
            let link = read_link(&link)?;
            link.check_expiry(unix_now())?;
            (common, Some(Goal::Join(Box::new(link))))
        }
        Some(Action::Lan { room, common }) => (common, Some(Goal::Lan(room))),
        None if cli.common.headless => {
            return Err(Failure::Usage("--headless needs a command: create, join LINK or lan.".to_owned()));
        }
        None => (cli.common, None),
    };
    let terminal = std::io::stdin().is_terminal() && std::io::stdout().is_terminal();
    let plain = common.plain || !common.headless && std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    if !common.headless && !plain && !terminal {
        return Err(Failure::Usage(
            "The screen needs a terminal. Without one, use --plain, or --headless with create, join LINK or lan."
                .to_owned(),
        ));
    }
    discretion::check(&common)?;
    start_log(&common)?;
    let settings = Settings::load(common.config.as_deref(), common.data_dir.as_deref());
    let keeper = identity::for_session(&common)?;
    let asked = common.name.as_deref().or(keeper.as_deref().map(Keeper::name));
    let name = settings.name_or_default(asked);
    let mistakes = config::problems_told(&settings);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .map_err(|error| Failure::Other(format!("The system gives no threads: {error}.")))?;
    let outcome = runtime.block_on(async {
        if common.headless {
            let goal = goal.ok_or_else(|| Failure::Usage("--headless needs a command.".to_owned()))?;
            let common = config::completed(common, &settings)?;
            for message in mistakes {
                let hint = "resonance config show tells what holds.";
                print_event(started, "warning", json!({ "code": "settings", "message": message, "hint": hint }));
            }
            Call::start(&common, goal, &name, started, keeper.clone()).await?.run_headless().await
        } else if plain {
            let common = config::completed(common, &settings)?;
            plain::run(&common, &settings, goal, &name, mistakes, started, keeper.clone()).await
        } else {
            screen::run(common, goal, settings, &name, started, keeper.clone()).await
        }
    });
    // A blocked read of standard input must not keep the program from ending.
    runtime.shutdown_background();
    identity::close(keeper);
    outcome
}

fn start_log(common: &Common) -> Result<(), Failure> {
    let destination = match (&common.log, common.headless) {
        (Some(path), _) => Destination::File(path),
        (None, true) => Destination::StandardError,
        (None, false) => Destination::Nowhere,
    };
    logging::start(destination).map_err(|error| Failure::Usage(format!("The log file cannot be written: {error}.")))
}

/// Finds the link in an argument, or in standard input when that is `-`.
fn read_link(argument: &str) -> Result<Link, Failure> {
    let mut text = argument.to_owned();
    if argument == "-" {
        text.clear();
        let stdin = std::io::stdin().lock();
        // A link is one line: whoever pipes commands behind it keeps them.
        let mut line = stdin.take(MAX_LINK_INPUT);
        let read = std::io::BufRead::read_line(&mut line, &mut text);
        read.map_err(|error| Failure::Usage(format!("Standard input cannot be read: {error}.")))?;
    }
    Ok(Link::find(&text)?)
}

/// Seconds since 1970, as links count their expiry.
fn unix_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
