//! Runs a session with the linear face.

use super::call::{Call, Goal};
use super::process::{StopSignals, standard_input};
use super::recent::Recent;
use super::{Failure, nearby, unix_now};
use crate::audio::Cue;
use crate::cli::Common;
use crate::command::{self, Command, CommandError};
use crate::identities::Keeper;
use crate::network::nearby::Browser;
use crate::plain::Plain;
use crate::session::notice::Notice;
use crate::settings::{Setting, Settings};
use crate::ui::{RecentSession, StartChoice};
use resonance_protocol::link::Link;
use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How long rooms of this network are waited for: two questions, and their answers.
const ROOMS_PATIENCE: Duration = Duration::from_millis(1_200);

/// Runs until the person leaves; `mistakes` is what is wrong with the file of settings.
///
/// # Errors
/// When the session could not be joined.
pub async fn run(
    common: &Common,
    settings: &Settings,
    goal: Option<Goal>,
    name: &str,
    mistakes: Vec<String>,
    started: Instant,
    keeper: Option<Arc<Keeper>>,
) -> Result<(), Failure> {
    let mut lines = standard_input();
    let mut stop = StopSignals::listen()?;
    let (sounds, remembers) = (settings.values().is_on(Setting::SOUNDS), settings.values().is_on(Setting::REMEMBER));
    let mut recent = remembers.then(|| Recent::load(common.data_dir.as_deref()));
    tell(Plain::welcome(name));
    tell(mistakes);
    let goal = match goal {
        Some(goal) => goal,
        None => match choose(common, &mut recent, &mut lines, &mut stop).await {
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
        let mut cues = Vec::new();
        while let Some(notice) = call.poll_notice() {
            tell(face.notice(&notice));
            if let Some(cue) = cue(&notice).filter(|cue| sounds && !cues.contains(cue)) {
                cues.push(cue);
            }
        }
        cues.into_iter().for_each(|cue| call.play(cue));
        if call.joined() {
            let view = call.view();
            tell(face.moment(&view));
            if let Some(Err(error)) = recent.as_mut().map(|recent| recent.take(Instant::now(), &view)) {
                tell(vec![format!("Your last sessions cannot be written down: {error}.")]);
                recent = None;
            }
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

/// The short sound that goes with a notice.
fn cue(notice: &Notice) -> Option<Cue> {
    match notice {
        Notice::PeerJoined { .. } => Some(Cue::Joined),
        Notice::PeerLeft { .. } => Some(Cue::Left),
        Notice::MediaLost { .. } => Some(Cue::Lost),
        Notice::MediaRestored { .. } => Some(Cue::Back),
        Notice::Knock { peer, .. } if peer != "me" => Some(Cue::Knock),
        _ => None,
    }
}

/// The rooms of this network.
async fn look_around(common: &Common) -> Vec<String> {
    if !nearby::may_look(common) {
        return vec!["Nobody is asked on this network, as you wished: --no-mdns, or --no-direct.".to_owned()];
    }
    match Browser::start() {
        Ok(browser) => {
            tokio::time::sleep(ROOMS_PATIENCE).await;
            let rooms: Vec<_> = nearby::rooms(&browser).into_iter().map(|found| (found.room, found.people)).collect();
            Plain::rooms(&rooms)
        }
        Err(error) => vec![format!("This network cannot be searched for rooms: {error}.")],
    }
}

/// What is remembered, in words.
fn recent_words(recent: &Option<Recent>) -> Vec<String> {
    let Some(recent) = recent else {
        return vec!["Sessions are not remembered. The setting privacy.remember changes that.".to_owned()];
    };
    let session = |session: RecentSession| match session.choice {
        StartChoice::Lan(room) => format!("the room {room}, with {}", session.people.join(", ")),
        _ => format!("with {}", session.people.join(", ")),
    };
    Plain::recent(&recent.sessions().into_iter().map(session).collect::<Vec<_>>())
}

/// The session of this number in the list.
fn numbered(recent: &Option<Recent>, number: &str) -> Option<StartChoice> {
    let at = number.parse::<usize>().ok()?.checked_sub(1)?;
    recent.as_ref()?.sessions().into_iter().nth(at).map(|session| session.choice)
}

fn forget(recent: &mut Option<Recent>, which: &str) -> Vec<String> {
    let choice = numbered(recent, which);
    let Some(kept) = recent.as_mut().filter(|_| choice.is_some() || which == "all") else {
        return recent_words(recent);
    };
    match kept.forget(choice.as_ref()) {
        Ok(()) => vec!["Forgotten.".to_owned()],
        Err(error) => vec![format!("Not done: {error}.")],
    }
}

/// Asks how to begin; `None` when the person leaves instead.
async fn choose(
    common: &Common,
    recent: &mut Option<Recent>,
    lines: &mut mpsc::Receiver<String>,
    stop: &mut StopSignals,
) -> Option<Goal> {
    tell(Plain::ways());
    if recent.as_ref().is_some_and(|recent| !recent.sessions().is_empty()) {
        tell(recent_words(recent));
    }
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
            ("rooms", "") => tell(look_around(common).await),
            ("recent", "") => tell(recent_words(recent)),
            ("forget", which) => tell(forget(recent, which)),
            ("back", number) => match numbered(recent, number) {
                Some(StartChoice::Lan(room)) => return Some(Goal::Lan(room)),
                Some(StartChoice::Join(link)) => match Link::find(&link) {
                    Ok(link) => return Some(Goal::Join(Box::new(link))),
                    Err(error) => tell(vec![format!("Not done: {error}")]),
                },
                Some(StartChoice::Create) | None => tell(recent_words(recent)),
            },
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
