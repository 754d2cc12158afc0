//! The face with a screen: draws what the session is, carries what the person does, from the start screen to the goodbye.

use super::call::{Call, Goal, StopSignals};
use super::{Failure, unix_now};
use crate::cli::Common;
use crate::command::Command;
use crate::identities::Keeper;
use crate::session::effect::Ending;
use crate::session::notice::Notice;
use crate::settings::Settings;
use crate::ui::terminal::{Terminal, spawn_input};
use crate::ui::{self, Action, Model, Msg, StartChoice, Theme};
use resonance_protocol::link::Link;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Time between two pictures: quick enough for meters, slow enough for SSH.
const PICTURE: Duration = Duration::from_millis(50);

struct Screen {
    common: Common,
    settings: Settings,
    /// The kept identity, if there is one and it is used.
    keeper: Option<Arc<Keeper>>,
    started: Instant,
    terminal: Terminal,
    model: Model,
    call: Option<Call>,
    /// Why the last session could not be: the exit code, if it was the last thing that happened.
    failure: Option<Failure>,
    quit: bool,
}

/// Runs the screen until the person leaves.
///
/// # Errors
/// When the terminal is gone, or the last session could not be joined.
pub async fn run(
    common: Common,
    goal: Option<Goal>,
    settings: Settings,
    name: &str,
    started: Instant,
    keeper: Option<Arc<Keeper>>,
) -> Result<(), Failure> {
    let theme = Theme::detect(|name| std::env::var(name).ok());
    let model = match &goal {
        None => Model::at_start(theme, name),
        Some(goal) => Model::opening(theme, name, &doing(goal)),
    };
    let terminal =
        Terminal::enter().map_err(|error| Failure::Other(format!("The terminal cannot be used: {error}.")))?;
    let mut screen =
        Screen { common, settings, keeper, started, terminal, model, call: None, failure: None, quit: false };
    screen.run(goal, name).await
}

fn doing(goal: &Goal) -> String {
    match goal {
        Goal::Create { .. } => "Making a session…".to_owned(),
        Goal::Join(_) => "Joining…".to_owned(),
        Goal::Lan(room) => format!("Looking for the room “{room}” on this network…"),
    }
}

impl Screen {
    async fn run(&mut self, goal: Option<Goal>, name: &str) -> Result<(), Failure> {
        let (sender, mut messages) = mpsc::channel(256);
        spawn_input(sender).map_err(|error| Failure::Other(format!("The keyboard cannot be read: {error}.")))?;
        let mut stop = StopSignals::listen()?;
        let mut pictures = tokio::time::interval(PICTURE);
        pictures.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
        self.draw()?;
        if let Some(goal) = goal {
            self.open(goal, name).await;
        }
        loop {
            tokio::select! {
                () = step(&mut self.call) => self.after_step().await,
                Some(msg) = messages.recv() => {
                    self.take(msg).await;
                    while let Ok(msg) = messages.try_recv() {
                        self.take(msg).await;
                    }
                }
                _ = pictures.tick() => {
                    self.show();
                    if let Err(failure) = self.draw() {
                        // The terminal is gone, but the others are not: they get a goodbye.
                        self.failure = Some(failure);
                        self.leave();
                    }
                }
                () = stop.recv() => self.leave(),
            }
            if self.quit && self.call.is_none() {
                return self.failure.take().map_or(Ok(()), Err);
            }
        }
    }

    fn draw(&mut self) -> Result<(), Failure> {
        self.terminal.draw(&self.model).map_err(|error| Failure::Other(format!("The terminal is gone: {error}.")))
    }

    /// Hands the newest moment of the session to the model.
    fn show(&mut self) {
        ui::update(&mut self.model, Msg::Tick(Instant::now()));
        if let Some(call) = self.call.as_ref().filter(|call| call.joined()) {
            ui::update(&mut self.model, Msg::View(Box::new(call.view())));
        } else if self.call.as_ref().is_some_and(Call::waits) {
            ui::update(&mut self.model, Msg::Knocking);
        }
    }

    async fn open(&mut self, goal: Goal, name: &str) {
        self.failure = None;
        match Call::start(&self.common, goal, name, self.started, self.keeper.clone()).await {
            Ok(call) => self.call = Some(call),
            Err(failure) => self.fail(failure),
        }
    }

    fn fail(&mut self, failure: Failure) {
        let text = failure.to_string();
        let (what, why) = text.split_once(": ").unwrap_or((&text, ""));
        let hint = match &failure {
            Failure::Unreachable(_) => "Enter goes back to the start; the link can be tried again.",
            _ => "Enter goes back to the start.",
        };
        let mut why = why.to_owned();
        if let Some(first) = why.get_mut(..1) {
            first.make_ascii_uppercase();
        }
        let told = ui::Failure { what: what.to_owned(), why, hint: hint.to_owned() };
        ui::update(&mut self.model, Msg::Failed(told));
        self.failure = Some(failure);
    }

    async fn take(&mut self, msg: Msg) {
        for action in ui::update(&mut self.model, msg) {
            match action {
                Action::Command(Command::Quit) | Action::Quit => self.leave(),
                Action::Command(command) => {
                    if let Some(call) = &mut self.call {
                        call.command(command);
                    }
                }
                Action::CopyToClipboard(text) => {
                    // A terminal that is gone shows itself at the next picture.
                    let _ = self.terminal.copy(&text);
                }
                Action::Start { name, choice } => self.start(&name, choice).await,
            }
        }
        self.after_step().await;
    }

    async fn start(&mut self, name: &str, choice: StartChoice) {
        self.settings.keep_name(name);
        let goal = match choice {
            StartChoice::Create => Goal::Create { hints: true, expires_in: None },
            StartChoice::Lan(room) => Goal::Lan(room),
            StartChoice::Join(text) => {
                let checked = Link::find(&text).and_then(|link| link.check_expiry(unix_now()).map(|()| link));
                match checked {
                    Ok(link) => Goal::Join(Box::new(link)),
                    Err(error) => return self.fail(error.into()),
                }
            }
        };
        // The picture says what is waited for while sockets and devices open.
        let _ = self.draw();
        self.open(goal, name).await;
    }

    /// Leaves the session, if there is one, and then the program.
    fn leave(&mut self) {
        self.quit = true;
        if let Some(call) = &mut self.call {
            call.command(Command::Quit);
        }
    }

    /// Tells what the session has to tell, and notices when it is over.
    async fn after_step(&mut self) {
        let Some(call) = &mut self.call else { return };
        while let Some(notice) = call.poll_notice() {
            if let Notice::Warning { code, message, hint } | Notice::Error { code, message, hint } = notice {
                if call.view().alarms.iter().any(|alarm| alarm.code == code) {
                    // It has a page of its own.
                    continue;
                }
                ui::update(&mut self.model, Msg::Warning { message, hint });
            }
        }
        if call.ended().is_none() {
            return;
        }
        let left = call.ended() == Some(&Ending::Left);
        let Some(call) = self.call.take() else { return };
        match call.finish().await {
            Ok(()) => self.quit |= left,
            Err(failure) => self.fail(failure),
        }
    }
}

/// Waits for the session's next step; for ever when there is none.
async fn step(call: &mut Option<Call>) {
    match call {
        Some(call) => call.step().await,
        None => std::future::pending().await,
    }
}
