//! Runs a scenario: starts its programs on simulated hosts, lets happen what its timeline says, and measures what came of it.

mod judge;
mod measure;
pub mod process;

use crate::driver::Driver;
use crate::profiles;
use crate::report::Report;
use crate::router::{HostId, NetworkId, State};
use crate::scenario::{Action, Does, PeerSpec, Scenario, Step};
use crate::sys::netns::CannotRun;
use crate::topology::{Plan, PlanError};
use crate::{sound, topology};
use nix::sys::signal::Signal;
use process::Process;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// How often the timeline is looked at.
const TICK: Duration = Duration::from_millis(10);
/// How often recordings' lengths are looked at, and programs' memory, in ticks: 50 ms, 1 s.
const LOOK_AT_RECORDINGS: u64 = 5;
const LOOK_AT_MEMORY: u64 = 100;
/// How long a program may take to leave.
const FAREWELL: Duration = Duration::from_secs(5);
/// A program that outlives its scenario leaves by itself after this, should nobody be left to end it.
const AFTERLIFE: f64 = 60.0;

/// What the command line decides.
#[derive(Clone, Debug)]
pub struct Options {
    /// The program under test.
    pub binary: PathBuf,
    /// Recorded words.
    pub speech: PathBuf,
    /// A command that rates speech: it gets two files, what was said and what was heard, and prints a number in its last line.
    pub judge: Option<Vec<String>>,
    /// Where captures of all hosts go.
    pub pcap: Option<PathBuf>,
    /// Where recordings and outputs are kept.
    pub keep: Option<PathBuf>,
    /// Instead of the scenario's own.
    pub seed: Option<u64>,
}

/// Why a scenario could not be run to its end.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Its topology is not sound.
    #[error("{0}: {1}")]
    Topology(String, PlanError),
    /// This machine cannot.
    #[error(transparent)]
    Machine(#[from] CannotRun),
    /// A file, or a program that cannot be started.
    #[error("{0}: {1}")]
    File(String, io::Error),
    /// A sound file cannot be used.
    #[error("{0}: {1}")]
    Sound(String, sound::SoundError),
    /// Somebody asked for the end.
    #[error("interrupted")]
    Interrupted,
}

/// Set when the whole run shall end at once.
pub static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// A scenario while it runs.
struct Run<'a> {
    scenario: &'a Scenario,
    options: &'a Options,
    driver: Driver,
    folder: PathBuf,
    begin: Instant,
    processes: BTreeMap<String, Process>,
    /// What each one says, over and over; nothing for those who are silent.
    voices: BTreeMap<String, Vec<f32>>,
    /// Lines of each program that were shown.
    shown: BTreeMap<String, usize>,
    /// The largest memory of each program, in megabytes.
    memory: BTreeMap<String, f64>,
    /// When the first sample of each recording was heard, as far as its growth has shown.
    recordings: BTreeMap<PathBuf, Instant>,
}

/// Runs a scenario. `tell` hears of what happens meanwhile, with the seconds since the beginning.
///
/// # Errors
/// See [`RunError`]: those are no verdict on the program under test.
pub fn run(scenario: &Scenario, options: &Options, tell: &mut dyn FnMut(f64, &str)) -> Result<Report, RunError> {
    let plan = Plan::new(&scenario.topology()).map_err(|error| RunError::Topology(scenario.name.clone(), error))?;
    let seed = options.seed.unwrap_or(scenario.seed);
    let temporary = tempfile::tempdir().map_err(|error| RunError::File("a temporary folder".into(), error))?;
    let folder = options.keep.as_ref().map_or_else(|| temporary.path().to_owned(), |keep| keep.join(&scenario.name));
    make_folder(&folder)?;
    let driver = Driver::start(plan, seed)?;
    if let Some(pcap) = &options.pcap {
        make_folder(pcap)?;
        let names: Vec<String> =
            driver.with_router(|router| router.plan().hosts.iter().map(|host| host.name.clone()).collect());
        for (index, name) in names.iter().enumerate() {
            let file = pcap.join(format!("{}-{name}.pcap", scenario.name));
            driver.capture(HostId(index), &file).map_err(|error| RunError::File(file.display().to_string(), error))?;
        }
    }
    let mut run = Run {
        scenario,
        options,
        driver,
        folder,
        begin: Instant::now(),
        processes: BTreeMap::new(),
        voices: BTreeMap::new(),
        shown: BTreeMap::new(),
        memory: BTreeMap::new(),
        recordings: BTreeMap::new(),
    };
    run.play(tell)?;
    let end = run.leave();
    let report = measure::report(&run, end, seed);
    if options.keep.is_some() {
        run.keep_outputs()?;
    }
    Ok(report)
}

fn make_folder(folder: &Path) -> Result<(), RunError> {
    std::fs::create_dir_all(folder).map_err(|error| RunError::File(folder.display().to_string(), error))
}

impl Run<'_> {
    fn play(&mut self, tell: &mut dyn FnMut(f64, &str)) -> Result<(), RunError> {
        let mut steps = self.scenario.step.iter().peekable();
        let mut waiting: Vec<(&String, &PeerSpec)> = self.scenario.peer.iter().collect();
        waiting.sort_by(|a, b| a.1.at.total_cmp(&b.1.at));
        for tick in 0_u64.. {
            let passed = self.begin.elapsed().as_secs_f64();
            if INTERRUPTED.load(Ordering::Relaxed) {
                return Err(RunError::Interrupted);
            }
            let mut still = Vec::new();
            for (name, spec) in waiting {
                if spec.at > passed || !self.start(name, spec)? {
                    still.push((name, spec));
                } else {
                    tell(passed, &format!("{name} starts"));
                }
            }
            waiting = still;
            while let Some(step) = steps.next_if(|step| step.at <= passed) {
                tell(passed, &self.happen(step)?);
            }
            self.show_events(passed, tell);
            if tick.is_multiple_of(LOOK_AT_RECORDINGS) {
                self.watch_recordings();
            }
            if tick.is_multiple_of(LOOK_AT_MEMORY) {
                self.watch_memory();
            }
            if passed >= self.scenario.seconds || self.is_over() {
                break;
            }
            std::thread::sleep(TICK);
        }
        Ok(())
    }

    /// A recording is written as it is heard, block by block, and never before: of all that its lengths say of its begin the earliest is true.
    fn watch_recordings(&mut self) {
        for name in self.processes.keys() {
            for file in std::fs::read_dir(self.ears(name)).into_iter().flatten().flatten() {
                let Ok(metadata) = file.metadata() else { continue };
                let heard = Duration::from_secs_f64(sound::samples_in(metadata.len()) as f64 / sound::RATE as f64);
                let Some(begin) = Instant::now().checked_sub(heard) else { continue };
                let known = self.recordings.entry(file.path()).or_insert(begin);
                *known = begin.min(*known);
            }
        }
    }

    fn watch_memory(&mut self) {
        for (name, process) in &self.processes {
            if let Some(peak) = process.peak_memory_mb() {
                self.memory.insert(name.clone(), peak);
            }
        }
    }

    /// True when all those have ended whose end is the scenario's.
    fn is_over(&mut self) -> bool {
        let awaited = &self.scenario.ends_with;
        !awaited.is_empty() && awaited.iter().all(|name| self.processes.get_mut(name).is_some_and(Process::has_ended))
    }

    /// Starts a program; false if what it needs is not there yet.
    fn start(&mut self, name: &str, spec: &PeerSpec) -> Result<bool, RunError> {
        let silent = |name: &String| self.processes.get(name).is_none_or(|process| process.mark() == 0);
        if spec.after.iter().any(silent) {
            return Ok(false);
        }
        let Some(met) = self.where_to_meet(spec) else { return Ok(false) };
        let mut command = match spec.does {
            Does::Run => {
                let words: Vec<String> = spec.command.iter().map(|word| self.filled_in(word)).collect();
                if words.iter().any(|word| word.contains("{link:") || word.contains("{multiaddr:")) {
                    return Ok(false);
                }
                let mut command = Command::new(&words[0]);
                command.args(&words[1..]);
                command
            }
            Does::Helper => {
                let mut command = Command::new(&self.options.binary);
                // Its key is part of its address: each has one of its own.
                let data = self.folder.join(format!("{name}-data"));
                make_folder(&data)?;
                command.args(["helper", "--log"]).arg(self.folder.join(format!("{name}.log")));
                command.arg("--data-dir").arg(data);
                command
            }
            Does::Create | Does::Join | Does::Lan => {
                let mut command = Command::new(&self.options.binary);
                match spec.does {
                    Does::Join => {
                        let Some(link) = self.link_for(name) else { return Ok(false) };
                        command.args(["join", &link]);
                    }
                    Does::Lan => drop(command.arg("lan")),
                    _ => drop(command.arg("create")),
                }
                self.dress(&mut command, name, spec)?;
                command
            }
        };
        command.args(spec.args.iter().map(|word| self.filled_in(word)).filter(|_| spec.does != Does::Run)).args(met);
        let host = self.host(self.scenario.host_of(name));
        let program = command.get_program().to_string_lossy().into_owned();
        let process = Process::start(self.driver.host(host), command)
            .map_err(|error| RunError::File(format!("starting {name} ({program})"), error))?;
        self.processes.insert(name.into(), process);
        Ok(true)
    }

    /// The options of every `resonance` program here.
    fn dress(&mut self, command: &mut Command, name: &str, spec: &PeerSpec) -> Result<(), RunError> {
        let number = self.scenario.peer.keys().position(|other| other == name).unwrap_or(0);
        let source = match spec.says.as_deref().unwrap_or("speech") {
            "speech" => {
                let voice = sound::speech(&self.options.speech, number);
                let file = self.folder.join(format!("{name}.wav"));
                sound::write(&file, &voice).map_err(|error| RunError::Sound(file.display().to_string(), error))?;
                self.voices.insert(name.into(), voice);
                format!("wav-loop:{}", file.display())
            }
            other => other.to_owned(),
        };
        let [ears, data] = [self.ears(name), self.folder.join(format!("{name}-data"))];
        make_folder(&ears)?;
        make_folder(&data)?;
        let duration = self.scenario.seconds - self.begin.elapsed().as_secs_f64() + AFTERLIFE;
        command.args(["--headless", "--name", name, "--input", &source]);
        command.arg("--output").arg(format!("wav-per-peer:{}", ears.display())).arg("--data-dir").arg(data);
        command
            .arg("--duration")
            .arg(format!("{duration:.0}"))
            .arg("--log")
            .arg(self.folder.join(format!("{name}.log")));
        Ok(())
    }

    /// The options that say where it meets others; `None` while somebody whose address it needs has not said it.
    fn where_to_meet(&self, spec: &PeerSpec) -> Option<Vec<String>> {
        let mut options = Vec::new();
        for (option, programs) in [("--bootstrap", &spec.bootstrap), ("--helper", &spec.helpers)] {
            for name in programs {
                let addresses = self.processes.get(name)?.multiaddrs()?;
                options.extend(addresses.into_iter().flat_map(|address| [option.to_owned(), address]));
            }
        }
        Some(options)
    }

    fn ears(&self, name: &str) -> PathBuf {
        self.folder.join(format!("{name}-hears"))
    }

    fn link_for(&self, name: &str) -> Option<String> {
        let creator = self.processes.get(self.scenario.session_of(name)?)?;
        let created = creator.find(|line| line.kind() == "session_created")?;
        Some(created.field("link").to_owned())
    }

    /// A word of a command line, with the addresses of hosts in it, and what others have said, as far as they have.
    fn filled_in(&self, word: &str) -> String {
        let mut text = word.to_owned();
        self.driver.with_router(|router| {
            for (index, host) in router.plan().hosts.iter().enumerate() {
                for (place, address) in router.addresses(HostId(index)).iter().enumerate() {
                    let number = if place == 0 { String::new() } else { (place + 1).to_string() };
                    text = text.replace(&format!("{{ip{number}:{}}}", host.name), &address.to_string());
                }
            }
            for (index, network) in router.plan().networks.iter().enumerate() {
                if let Some(outer) = router.outer(NetworkId(index)) {
                    text = text.replace(&format!("{{outer:{}}}", network.name), &outer.to_string());
                }
            }
        });
        for (name, process) in &self.processes {
            if let Some(created) = process.find(|line| line.kind() == "session_created") {
                text = text.replace(&format!("{{link:{name}}}"), created.field("link"));
            }
            if let Some(first) = process.multiaddrs().and_then(|all| all.into_iter().next()) {
                text = text.replace(&format!("{{multiaddr:{name}}}"), &first);
            }
        }
        text
    }

    fn host(&self, name: &str) -> HostId {
        HostId(self.driver.with_router(|router| router.plan().host(name)).unwrap_or_default())
    }

    fn network(&self, name: &str) -> NetworkId {
        NetworkId(self.driver.with_router(|router| router.plan().network(name)).unwrap_or_default())
    }

    /// Lets a step happen and says what it was.
    fn happen(&mut self, step: &Step) -> Result<String, RunError> {
        let of_place = |host: &Option<String>, network: &Option<String>| {
            host.clone().or_else(|| network.clone()).unwrap_or_default()
        };
        Ok(match &step.action {
            Action::Degrade { host, network, to } => {
                // The scenario was checked when it was read.
                let profile = profiles::named(to).unwrap_or(&profiles::PROFILES[0]);
                match host {
                    Some(host) => self.driver.with_router(|router| {
                        router.set_link(HostId(router.plan().host(host).unwrap_or_default()), profile)
                    }),
                    None => {
                        let id = self.network(&of_place(host, network));
                        self.driver.with_router(|router| router.set_uplink(id, profile));
                    }
                }
                format!("{} has {to} now", of_place(host, network))
            }
            Action::Outage { host, network } | Action::Restore { host, network } => {
                let down = matches!(step.action, Action::Outage { .. });
                let state = if down { State::Down } else { State::Up };
                let (place, is_host) = (of_place(host, network), host.is_some());
                let (as_host, as_network) = (self.host(&place), self.network(&place));
                self.driver.with_router(|router| match is_host {
                    true => router.set_host_state(as_host, state),
                    false => router.set_uplink_state(as_network, state),
                });
                format!("{place} is {}", if down { "cut off" } else { "there again" })
            }
            Action::Roam { host, to } => {
                let moved = self.driver.roam(self.host(host), self.network(to));
                let addresses = moved.map_err(|error| RunError::File(format!("{host} cannot roam to {to}"), error))?;
                format!("{host} is in {to} now, at {addresses:?}")
            }
            Action::Renumber { network } => {
                let id = self.network(network);
                let outer = self.driver.with_router(|router| router.renumber(id));
                let outer = outer.map_err(|error| RunError::Topology(self.scenario.name.clone(), error))?;
                format!("the router of {network} is restarted: {outer:?}")
            }
            Action::Rebind { network } => {
                let id = self.network(network);
                self.driver.with_router(|router| router.rebind(id));
                format!("the router of {network} has forgotten its mappings")
            }
            Action::Partition { of, from } => {
                for one in of {
                    for other in from {
                        let (one, other) = (self.host(one), self.host(other));
                        self.driver.with_router(|router| router.part(one, other));
                    }
                }
                format!("{} hear nothing of {}", of.join(", "), from.join(", "))
            }
            Action::Heal => {
                self.driver.with_router(crate::router::Router::heal);
                "the partition is over".into()
            }
            Action::Crash { peer } => {
                self.processes.get_mut(peer).into_iter().for_each(Process::kill);
                format!("{peer} is killed")
            }
            Action::Freeze { peer } => {
                self.processes.get(peer).into_iter().for_each(|process| process.signal(Signal::SIGSTOP));
                format!("{peer} is frozen")
            }
            Action::Thaw { peer } => {
                self.processes.get(peer).into_iter().for_each(|process| process.signal(Signal::SIGCONT));
                format!("{peer} goes on")
            }
            Action::Tell { peer, line } => {
                self.processes.get_mut(peer).into_iter().for_each(|process| process.tell(line));
                format!("{peer} is told: {line}")
            }
        })
    }

    fn show_events(&mut self, passed: f64, tell: &mut dyn FnMut(f64, &str)) {
        const SHOWN: [&str; 8] =
            ["peer_joined", "media_connected", "media_lost", "media_restored", "peer_left", "warning", "error", "bye"];
        let names: BTreeMap<String, String> = self.ids();
        for (name, process) in &self.processes {
            let mark = self.shown.insert(name.clone(), process.mark()).unwrap_or(0);
            for line in process.lines_since(mark, |line| SHOWN.contains(&line.kind())) {
                let about = line.field("peer");
                let about = names.get(about).map_or(about, String::as_str);
                let more = [line.field("reason"), line.field("message")].join(" ");
                tell(passed, format!("{name}: {} {about} {}", line.kind(), more.trim()).trim_end());
            }
        }
    }

    /// Names of programs by the ids that they gave themselves.
    fn ids(&self) -> BTreeMap<String, String> {
        let own = |process: &Process| process.find(|line| matches!(line.kind(), "session_created" | "session_joined"));
        let known = self
            .processes
            .iter()
            .filter_map(|(name, process)| Some((own(process)?.field("me").to_owned(), name.clone())));
        known.filter(|(id, _)| !id.is_empty()).collect()
    }

    /// Everybody leaves; gives the time when they were told.
    fn leave(&mut self) -> Instant {
        let end = Instant::now();
        self.watch_memory();
        for process in self.processes.values_mut() {
            process.tell("quit");
        }
        for (name, process) in &mut self.processes {
            let is_ours =
                self.scenario.peer.get(name).is_some_and(|spec| !matches!(spec.does, Does::Helper | Does::Run));
            if !is_ours || !process.wait(FAREWELL) {
                process.kill();
            }
        }
        end
    }

    fn keep_outputs(&self) -> Result<(), RunError> {
        for (name, process) in &self.processes {
            for (kind, text) in [("out", process.output()), ("err", process.complaints())] {
                let file = self.folder.join(format!("{name}.{kind}"));
                std::fs::write(&file, text).map_err(|error| RunError::File(file.display().to_string(), error))?;
            }
        }
        Ok(())
    }
}

/// What must be possible between the hosts of a scenario, for its report.
pub fn oracle_says(scenario: &Scenario) -> Result<Vec<(String, String, crate::oracle::Reach)>, PlanError> {
    let plan = topology::Plan::new(&scenario.topology())?;
    let count = plan.hosts.len();
    let pairs = (0..count).flat_map(|a| (a + 1..count).map(move |b| (a, b)));
    Ok(pairs
        .map(|(a, b)| (plan.hosts[a].name.clone(), plan.hosts[b].name.clone(), crate::oracle::reach(&plan, a, b)))
        .collect())
}
