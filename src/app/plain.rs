//! Runs a session with the linear face.

use super::call::{Call, Goal};
use super::process::{StopSignals, standard_input};
use super::{Failure, unix_now};
use crate::cli::Common;
use crate::command::{self, Command, CommandError};
use crate::identities::Keeper;
use crate::plain::Plain;
use resonance_protocol::link::Link;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::mpsc;

/// Runs until the person leaves; `mistakes` is what is wrong with the file of settings.
///
/// # Errors
/// When the session could not be joined.
pub async fn run(
    common: &Common,
    goal: Option<Goal>,
    name: &str,
    mistakes: Vec<String>,
    started: Instant,
    keeper: Option<Arc<Keeper>>,
) -> Result<(), Failure> {
    let mut lines = standard_input();
    let mut stop = StopSignals::listen()?;
    tell(Plain::welcome(name));
    tell(mistakes);
    let goal = match goal {
        Some(goal) => goal,
        None => match choose(&mut lines, &mut stop).await {
            Some(goal) => goal,
            None => return Ok(()),
        },
    };
    tell(match &goal {
        Goal::Create { .. } => vec!["Making a session.".to_owned()],
        Goal::Join(_) => vec!["Joining.".to_owned()],
        Goal::Lan(room) => vec![format!("Looking for the room {} on this network.", crate::ui::text::plain(room))],
    });
    let mut call = Call::start(common, goal, name, started, keeper).await?;
    let mut face = Plain::default();
    // Whoever types Ctrl-D wants to leave; a script whose input ends may go on listening.
    let leaves_at_the_end = std::io::stdin().is_terminal();
    let mut input_open = true;
    while call.ended().is_none() {
        tokio::select! {
            () = call.step() => {}
            line = lines.recv(), if input_open => match line {
                Some(line) => obey(&mut call, &mut face, &line),
                None => {
                    input_open = false;
                    if leaves_at_the_end {
                        call.command(Command::Quit);
                    }
                }
            },
            () = stop.recv() => call.command(Command::Quit),
        }
        while let Some(notice) = call.poll_notice() {
            tell(face.notice(&notice));
        }
        if call.joined() {
            tell(face.moment(&call.view()));
        }
    }
    let outcome = call.finish().await;
    if outcome.is_ok() {
        tell(vec!["You have left.".to_owned()]);
    }
    outcome
}

fn obey(call: &mut Call, face: &mut Plain, line: &str) {
    match line.trim().trim_start_matches(['/', ':']) {
        "help" => return tell(Plain::help()),
        "who" => return tell(Plain::people(&call.view())),
        _ => {}
    }
    match command::parse(line) {
        Ok(Command::Stats) => {
            call.command(Command::Stats);
            while let Some(notice) = call.poll_notice() {
                tell(face.measurements(&notice));
                tell(face.notice(&notice));
            }
        }
        Ok(command) => call.command(command),
        Err(CommandError::Empty) => {}
        Err(error) => tell(vec![format!("Not done: {error}.")]),
    }
}

/// Asks how to begin; `None` when the person leaves instead.
async fn choose(lines: &mut mpsc::Receiver<String>, stop: &mut StopSignals) -> Option<Goal> {
    tell(Plain::ways());
    loop {
        let line = tokio::select! {
            line = lines.recv() => line?,
            () = stop.recv() => return None,
        };
        let line = line.trim();
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        match (word, rest.trim()) {
            ("", _) => {}
            ("quit", _) => return None,
            ("create", "") => return Some(Goal::Create { hints: true, expires_in: None }),
            ("lan", "") => return Some(Goal::Lan("lobby".to_owned())),
            ("lan", room) => return Some(Goal::Lan(room.to_owned())),
            // A link alone is meant to be joined.
            ("join", _) | (_, "") => {
                match Link::find(line).and_then(|link| link.check_expiry(unix_now()).map(|()| link)) {
                    Ok(link) => return Some(Goal::Join(Box::new(link))),
                    Err(error) => tell(vec![format!("Not done: {error}")]),
                }
                tell(Plain::ways());
            }
            _ => tell(Plain::ways()),
        }
    }
}

/// A reader that went away is no reason to panic.
fn tell(lines: Vec<String>) {
    let mut out = std::io::stdout().lock();
    for line in lines {
        let _ = writeln!(out, "{line}");
    }
    let _ = out.flush();
}
