//! The face with a screen: draws what the session is, carries what the person does, from the start screen to the goodbye.

use super::call::{Call, Goal};
use super::nearby::{self, Lookout};
use super::process::StopSignals;
use super::recent::Recent;
use super::rehearsal::Stage;
use super::{Failure, config, seeking, translate, unix_now};
use crate::audio::device::card::{self, Direction};
use crate::cli::Common;
use crate::command::Command;
use crate::identities::Keeper;
use crate::session::effect::Ending;
use crate::session::notice::Notice;
use crate::session::view::View;
use crate::settings::{Setting, Settings};
use crate::ui::terminal::{Terminal, spawn_input};
use crate::ui::{self, Action, Model, Msg, StartChoice, Theme};
use resonance_protocol::link::Link;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// Time between two pictures: quick enough for meters, slow enough for SSH.
const PICTURE: Duration = Duration::from_millis(50);
/// The same while nothing stirs: clocks and waiting messages need no more.
const IDLE_PICTURE: Duration = Duration::from_millis(250);
/// How often the file of settings is looked at.
const LOOK_AT_SETTINGS: Duration = Duration::from_secs(1);

struct Screen {
    /// What was said on the command line.
    asked: Common,
    /// The same, completed with what is set.
    common: Common,
    settings: Settings,
    /// The kept identity, if there is one and it is used.
    keeper: Option<Arc<Keeper>>,
    started: Instant,
    terminal: Terminal,
    model: Model,
    call: Option<Call>,
    stage: Stage,
    /// Devices are being looked for.
    looking: Option<tokio::task::JoinHandle<(Vec<String>, Vec<String>)>>,
    settings_seen: Instant,
    /// Looks for rooms of this network while somebody chooses.
    lookout: Lookout,
    recent: Recent,
    /// When the model was told the newest moment; `None` once something was asked of the session, which has changed since.
    shown: Option<Instant>,
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
    let asked = common;
    let common = config::completed(asked.clone(), &settings)?;
    let theme = Theme::detect(|name| std::env::var(name).ok());
    let newcomer = asked.name.is_none() && keeper.is_none() && !settings.values().is_set(Setting::NAME);
    let model = match &goal {
        None if newcomer => Model::first_run(theme, name),
        None => Model::at_start(theme, name),
        Some(goal) => Model::opening(theme, name, &doing(goal)),
    };
    let terminal =
        Terminal::enter().map_err(|error| Failure::Other(format!("The terminal cannot be used: {error}.")))?;
    let recent = Recent::load(asked.data_dir.as_deref());
    let mut screen = Screen {
        asked,
        common,
        settings,
        keeper,
        started,
        terminal,
        model,
        call: None,
        stage: Stage::default(),
        looking: None,
        settings_seen: started,
        lookout: Lookout::default(),
        recent,
        shown: None,
        failure: None,
        quit: false,
    };
    screen.model.releases_keys = screen.terminal.releases_keys();
    screen.tell_settings().await;
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
                // Without anybody who listens to keys the person could do nothing any more.
                msg = messages.recv(), if !self.quit => {
                    self.take(msg.unwrap_or(Msg::InputEnded)).await;
                    while let Ok(msg) = messages.try_recv() {
                        self.take(msg).await;
                    }
                    // Whoever presses a key wants to see it now, not with the next picture.
                    self.draw_or_leave();
                }
                _ = pictures.tick() => {
                    // While nothing stirs there is nothing to be made a picture of, either.
                    let lively = self.model.is_lively() || self.call.as_ref().is_some_and(Call::is_lively);
                    if lively || self.shown.is_none_or(|at| at.elapsed() >= IDLE_PICTURE) {
                        self.show().await;
                        self.look_at_settings().await;
                        self.rehearse().await;
                        self.look_around();
                        self.draw_or_leave();
                    }
                }
                () = stop.recv() => self.leave(),
            }
            if self.quit && self.call.is_none() {
                return self.failure.take().map_or(Ok(()), Err);
            }
        }
    }

    fn draw_or_leave(&mut self) {
        if let Err(failure) = self.draw() {
            // The terminal is gone, but the others are not: they get a goodbye.
            self.failure = Some(failure);
            self.leave();
        }
    }

    fn draw(&mut self) -> Result<(), Failure> {
        self.terminal.draw(&self.model).map_err(|error| Failure::Other(format!("The terminal is gone: {error}.")))
    }

    /// Hands the newest moment of the session to the model.
    async fn show(&mut self) {
        let now = Instant::now();
        self.shown = Some(now);
        ui::update(&mut self.model, Msg::Tick(now));
        if let Some(view) = self.call.as_ref().filter(|call| call.joined()).map(Call::view) {
            self.remember(now, &view);
            self.take(Msg::View(Box::new(view))).await;
            self.look_at_voices();
        } else if self.call.as_ref().is_some_and(Call::waits) {
            ui::update(&mut self.model, Msg::Knocking);
        } else if let Some(call) = &self.call {
            let lines = seeking::lines(&call.seeking(), &self.common);
            self.take_quietly(Msg::Seeking(lines));
        }
    }

    async fn open(&mut self, goal: Goal, name: &str) {
        self.failure = None;
        self.look_around();
        self.stage.clear().await;
        match Call::start(&self.common, goal, name, self.started, self.keeper.clone()).await {
            Ok(call) => self.call = Some(call),
            Err(failure) => self.fail(failure),
        }
    }

    /// Sets something for now and for always. What was said about it on the command line counts no more.
    async fn keep(&mut self, setting: &'static Setting, value: &str) {
        if let Err(error) = self.settings.keep(setting, value) {
            let hint = "It holds for this time.".to_owned();
            ui::update(&mut self.model, Msg::Warning { message: error.to_string(), hint });
        }
        let asked = &mut self.asked;
        match setting {
            _ if setting == Setting::NAME => asked.name = None,
            _ if setting == Setting::INPUT => asked.input = None,
            _ if setting == Setting::OUTPUT => asked.output = None,
            _ if setting == Setting::VOICE => asked.voice = None,
            _ if setting == Setting::VOICE_ENGINE => asked.voice_engine = None,
            _ if setting == Setting::DTX => asked.dtx = false,
            _ if setting == Setting::EARS => asked.ears = None,
            _ if setting == Setting::ACOUSTICS => asked.acoustics = None,
            _ if setting == Setting::HRTF => asked.hrtf = None,
            _ if setting == Setting::TELL_ROOMS => asked.unlisted = false,
            _ => {}
        }
        if setting == Setting::REMEMBER && value == "false" {
            // Who does not want it any more does not want what there is, either.
            self.forget(None);
        }
        self.apply_settings().await;
    }

    /// Takes in what was written to the file by other means.
    async fn look_at_settings(&mut self) {
        if self.settings_seen.elapsed() < LOOK_AT_SETTINGS {
            return;
        }
        self.settings_seen = Instant::now();
        if self.settings.reload() {
            self.apply_settings().await;
        }
    }

    fn take_quietly(&mut self, msg: Msg) {
        ui::update(&mut self.model, msg);
    }

    /// Lets the rooms know what is set now.
    async fn apply_settings(&mut self) {
        let before = config::audio(&self.common);
        match config::completed(self.asked.clone(), &self.settings) {
            Ok(common) => self.common = common,
            // The devices stay as they were: it is among the mistakes that are shown.
            Err(_) => return self.tell_settings().await,
        }
        let now = config::audio(&self.common);
        let mut failed = Vec::new();
        if let Some(call) = &mut self.call {
            if before.input != now.input {
                call.command(Command::Input(now.input.to_string()));
            }
            if before.output != now.output {
                call.command(Command::Output(now.output.to_string()));
            }
            if before.voice != now.voice {
                call.set_voice(now.voice);
            }
            if before.voice_engine != now.voice_engine {
                call.set_voice_engine(now.voice_engine);
            }
            if before.pauses != now.pauses {
                call.set_pauses(now.pauses);
            }
            call.set_space(&before.space, &now.space);
            call.tell_of_room(&self.common);
        } else if let Some(rehearsal) = self.stage.open() {
            rehearsal.set_space(&before.space, &now.space);
            if before.voice != now.voice {
                failed.extend(rehearsal.set_voice(now.voice).err());
            }
            if before.voice_engine != now.voice_engine {
                failed.extend(rehearsal.set_voice_engine(now.voice_engine).err());
            }
            if before.input != now.input {
                failed.extend(rehearsal.set_input(now.input).err());
            }
            if before.output != now.output {
                failed.extend(rehearsal.set_output(now.output).err());
            }
        }
        for message in failed {
            self.take_quietly(Msg::Warning { message, hint: String::new() });
        }
        self.tell_settings().await;
    }

    async fn tell_settings(&mut self) {
        let values = Box::new(config::shown(&self.asked, &self.settings));
        let kept_in = self.settings.file().map_or_else(String::new, |file| file.display().to_string());
        let mistakes = config::problems_told(&self.settings);
        Box::pin(self.take(Msg::Settings { values, kept_in, mistakes })).await;
        self.tell_recent();
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
                        self.shown = None;
                    }
                }
                Action::CopyToClipboard(text) => {
                    // A terminal that is gone shows itself at the next picture.
                    let _ = self.terminal.copy(&text);
                }
                Action::Suspend => {
                    // A terminal that is gone shows itself at the next picture.
                    let _ = self.terminal.suspend();
                }
                Action::Notify { text, bell, desktop } => {
                    let _ = self.terminal.notify(&text, bell, desktop);
                }
                Action::Play(cue) => {
                    if let Some(call) = &mut self.call {
                        call.play(translate::cue(cue));
                    }
                }
                Action::Start { name, choice } => self.start(&name, choice).await,
                Action::Forget(which) => self.forget(which.as_ref()),
                Action::Keep { setting, value } => self.keep(setting, &value).await,
            }
        }
        self.after_step().await;
    }

    async fn start(&mut self, name: &str, choice: StartChoice) {
        if self.asked.name.is_none() && self.settings.values().get(Setting::NAME) != name {
            self.keep(Setting::NAME, name).await;
        }
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

    /// Asks this network for rooms while somebody chooses, and at no other time.
    fn look_around(&mut self) {
        let chooses = self.model.is_choosing() && self.call.is_none() && !self.quit;
        for msg in self.lookout.poll(chooses && nearby::may_look(&self.common)) {
            self.take_quietly(msg);
        }
    }

    /// Shows what voices are made of while that is on the screen, and works it out at no other time.
    fn look_at_voices(&mut self) {
        let wanted = self.model.watched();
        if let Some(call) = &mut self.call
            && (wanted.is_some() || call.looks())
        {
            let spectra = call.look_at(wanted.as_ref());
            self.take_quietly(Msg::Spectra(spectra));
        }
    }

    /// Remembers the session that runs, if that is wanted.
    fn remember(&mut self, now: Instant, view: &View) {
        if !self.settings.values().is_on(Setting::REMEMBER) {
            return;
        }
        if let Err(error) = self.recent.take(now, view) {
            self.not_kept(&error);
        }
    }

    fn forget(&mut self, which: Option<&StartChoice>) {
        if let Err(error) = self.recent.forget(which) {
            self.not_kept(&error);
        }
        self.tell_recent();
    }

    fn not_kept(&mut self, error: &std::io::Error) {
        let message = format!("The list of your last sessions cannot be written: {error}");
        self.take_quietly(Msg::Warning { message, hint: String::new() });
    }

    fn tell_recent(&mut self) {
        let wanted = self.settings.values().is_on(Setting::REMEMBER);
        let sessions = if wanted { self.recent.sessions() } else { Vec::new() };
        self.take_quietly(Msg::Recent(sessions));
    }

    /// Opens the devices while somebody looks at their meters, and closes them after.
    async fn rehearse(&mut self) {
        self.look_for_devices().await;
        let wanted = self.model.rehearsal().filter(|_| self.call.is_none() && !self.quit);
        let hear = wanted.map(|wanted| wanted == ui::Rehearsal::Hear);
        let told = self.stage.poll(hear, &config::audio(&self.common)).await;
        for (message, hint) in told.warnings {
            self.take_quietly(Msg::Warning { message, hint });
        }
        if let Some(report) = told.report {
            let (input_db, output_db) = (report.input_level_db, report.output_level_db);
            self.take_quietly(Msg::Rehearsal { input_db, output_db });
        }
    }

    async fn look_for_devices(&mut self) {
        match &mut self.looking {
            None if self.model.wants_devices() => self.looking = Some(tokio::task::spawn_blocking(devices)),
            Some(looking) if looking.is_finished() => {
                let (inputs, outputs) = looking.await.unwrap_or_default();
                self.looking = None;
                self.take_quietly(Msg::Devices { inputs, outputs });
            }
            _ => {}
        }
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
        self.recent.end();
        self.tell_recent();
        match call.finish().await {
            Ok(()) => self.quit |= left,
            Err(failure) => self.fail(failure),
        }
    }
}

/// Names of microphones and speakers.
fn devices() -> (Vec<String>, Vec<String>) {
    let mut names = (Vec::new(), Vec::new());
    for device in card::list() {
        let list = match device.direction {
            Direction::Input => &mut names.0,
            Direction::Output => &mut names.1,
        };
        if !list.contains(&device.name) {
            list.push(device.name);
        }
    }
    names
}

/// Waits for the session's next step; for ever when there is none.
async fn step(call: &mut Option<Call>) {
    match call {
        Some(call) => call.step().await,
        None => std::future::pending().await,
    }
}
