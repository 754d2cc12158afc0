//! The program under test as a child process: its events, its commands, its end. Always reaped.

use super::namespaces::Host;
pub use super::outcome::run;
use serde_json::Value;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The binary that cargo built beside this test.
pub const BINARY: &str = env!("CARGO_BIN_EXE_resonance");

/// One line of the program's standard output, and when it came.
#[derive(Clone, Debug)]
pub struct Event {
    /// When the line was read.
    pub at: Instant,
    /// The object.
    pub json: Value,
}

impl Event {
    /// The event's name.
    pub fn kind(&self) -> &str {
        self.text("event")
    }

    /// A field of text; empty when it is missing or something else.
    pub fn text(&self, field: &str) -> &str {
        self.json[field].as_str().unwrap_or_default()
    }
}

/// How to start one process. The default is a quiet one: no sound in, none out, nothing on the network but what it is told.
pub struct Launch {
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    name: String,
    input: OsString,
    output: OsString,
    host: Option<Host>,
    through: Vec<String>,
    data: Option<PathBuf>,
}

impl Launch {
    fn new(name: &str, verb: &[&str]) -> Self {
        Self {
            arguments: verb.iter().map(OsString::from).collect(),
            environment: Vec::new(),
            name: name.to_owned(),
            input: "silence".into(),
            output: "null".into(),
            host: None,
            through: Vec::new(),
            data: None,
        }
    }

    /// `resonance create`.
    pub fn create(name: &str) -> Self {
        Self::new(name, &["create"])
    }

    /// `resonance join LINK`.
    pub fn join(name: &str, link: &str) -> Self {
        Self::new(name, &["join", link])
    }

    /// `resonance lan`.
    pub fn lan(name: &str) -> Self {
        Self::new(name, &["lan"])
    }

    /// Only what the link says: no multicast, no table of the world.
    pub fn by_link_only(self) -> Self {
        self.argument("--no-dht").argument("--no-mdns")
    }

    /// One more argument.
    pub fn argument(mut self, argument: impl Into<OsString>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// An environment variable.
    pub fn environment(mut self, name: &str, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// What is heard at the microphone, in headless words.
    pub fn input(mut self, source: impl Into<OsString>) -> Self {
        self.input = source.into();
        self
    }

    /// A file as microphone, once.
    pub fn plays(self, file: &Path) -> Self {
        let source = prefixed("wav:", file);
        self.input(source)
    }

    /// A file as microphone, again and again.
    pub fn repeats(self, file: &Path) -> Self {
        let source = prefixed("wav-loop:", file);
        self.input(source)
    }

    /// Where the sound goes, in headless words.
    pub fn output(mut self, destination: impl Into<OsString>) -> Self {
        self.output = destination.into();
        self
    }

    /// One mono file for each voice.
    pub fn records_each_voice_in(self, folder: &Path) -> Self {
        let destination = prefixed("wav-per-peer:", folder);
        self.output(destination)
    }

    /// On another machine: in that network namespace.
    pub fn on(mut self, host: &Host) -> Self {
        self.host = Some(host.clone());
        self
    }

    /// By a command that runs the one that follows it.
    pub fn through(mut self, words: Vec<String>) -> Self {
        self.through = words;
        self
    }

    /// With this folder for what is kept between sessions, instead of one of its own.
    pub fn keeps_in(mut self, folder: &Path) -> Self {
        self.data = Some(folder.to_owned());
        self
    }

    /// Starts it.
    pub fn start(self) -> Resonance {
        let data = tempfile::tempdir().expect("a temporary folder");
        let mut command = match &self.host {
            Some(host) => host.command(BINARY),
            None => Command::new(self.through.first().map_or(BINARY, String::as_str)),
        };
        if let [_, rest @ ..] = &self.through[..] {
            command.args(rest).arg(BINARY);
        }
        command.args(&self.arguments).args(["--headless", "--name", &self.name]);
        command
            .arg("--input")
            .arg(&self.input)
            .arg("--output")
            .arg(&self.output)
            .arg("--data-dir")
            .arg(self.data.as_deref().unwrap_or(data.path()));
        if self.host.is_none() && !self.arguments.iter().any(|argument| argument == "--bootstrap") {
            // Outside of a namespace the public network would be asked.
            command.env("RESONANCE_NO_DHT", "1");
        }
        // A test's threads are what the test makes them, whatever this machine would grant.
        command.env("DBUS_SYSTEM_BUS_ADDRESS", "unix:path=/nonexistent");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let started = Instant::now();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{BINARY} does not start: {error}"));
        let heard = Arc::new(Heard::default());
        let complaints = Arc::new(Mutex::new(String::new()));
        let readers = vec![
            listen(child.stdout.take().expect("piped"), Arc::clone(&heard)),
            collect(child.stderr.take().expect("piped"), Arc::clone(&complaints)),
        ];
        let commands = child.stdin.take();
        Resonance { name: self.name, child, commands, heard, complaints, readers, started, _data: data }
    }
}

fn prefixed(prefix: &str, path: &Path) -> OsString {
    let mut text = OsString::from(prefix);
    text.push(path);
    text
}

#[derive(Default)]
struct Heard {
    events: Mutex<Lines>,
    changed: Condvar,
}

#[derive(Default)]
struct Lines {
    events: Vec<Event>,
    /// Lines that were not one JSON object with an `event`: a breach of the contract, reported when the process is done with.
    strangers: Vec<String>,
    closed: bool,
}

fn listen(stdout: impl Read + Send + 'static, heard: Arc<Heard>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            let at = Instant::now();
            let mut lines = heard.events.lock().unwrap_or_else(PoisonError::into_inner);
            match serde_json::from_str::<Value>(&line) {
                Ok(json) if json["event"].is_string() && json["t"].is_number() => lines.events.push(Event { at, json }),
                _ => lines.strangers.push(line),
            }
            heard.changed.notify_all();
        }
        heard.events.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
        heard.changed.notify_all();
    })
}

pub(super) fn collect(mut output: impl Read + Send + 'static, text: Arc<Mutex<String>>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = output.read(&mut buffer) {
            text.lock().unwrap_or_else(PoisonError::into_inner).push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    })
}

/// A running process. Killed and reaped when dropped.
pub struct Resonance {
    /// The name that it shows to others.
    pub name: String,
    /// When it was started.
    pub started: Instant,
    child: Child,
    commands: Option<ChildStdin>,
    heard: Arc<Heard>,
    complaints: Arc<Mutex<String>>,
    /// What it says is read elsewhere; both are through when it has ended.
    readers: Vec<JoinHandle<()>>,
    /// The folder of its data, removed with it.
    _data: tempfile::TempDir,
}

impl Resonance {
    /// Waits for the first event, also among those that came already, that the test looks for.
    ///
    /// # Panics
    /// When it does not come in time, with everything that the process said.
    pub fn wait_for(&self, what: &str, patience: Duration, wanted: impl Fn(&Event) -> bool) -> Event {
        self.wait_since(0, what, patience, wanted)
    }

    /// The same, looking only at what came after the first `mark` events (see [`Self::mark`]).
    pub fn wait_since(&self, mark: usize, what: &str, patience: Duration, wanted: impl Fn(&Event) -> bool) -> Event {
        let deadline = Instant::now() + patience;
        let mut lines = self.heard.events.lock().unwrap_or_else(PoisonError::into_inner);
        let mut seen = mark;
        loop {
            while let Some(event) = lines.events.get(seen) {
                if wanted(event) {
                    return event.clone();
                }
                seen += 1;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || lines.closed {
                let ended = if lines.closed { "its output ended" } else { "nothing came" };
                drop(lines);
                panic!("{} waited {patience:?} for {what}: {ended}\n{}", self.name, self.story());
            }
            lines = self.heard.changed.wait_timeout(lines, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// How many events have come so far.
    pub fn mark(&self) -> usize {
        self.heard.events.lock().unwrap_or_else(PoisonError::into_inner).events.len()
    }

    /// All events of a kind so far.
    pub fn events(&self, kind: &str) -> Vec<Event> {
        let lines = self.heard.events.lock().unwrap_or_else(PoisonError::into_inner);
        lines.events.iter().filter(|event| event.kind() == kind).cloned().collect()
    }

    /// The link that it printed.
    pub fn link(&self) -> String {
        let created = self.wait_for("its link", Duration::from_secs(10), |event| event.kind() == "session_created");
        created.text("link").to_owned()
    }

    /// Its own id.
    pub fn id(&self) -> String {
        let begun = |event: &Event| matches!(event.kind(), "session_created" | "session_joined");
        self.wait_for("its own id", Duration::from_secs(10), begun).text("me").to_owned()
    }

    /// The `peer_joined` event of somebody.
    pub fn meets(&self, name: &str, patience: Duration) -> Event {
        let wanted = |event: &Event| event.kind() == "peer_joined" && event.text("name") == name;
        self.wait_for(&format!("peer_joined of {name}"), patience, wanted)
    }

    /// The `media_connected` event with somebody, after meeting them.
    pub fn hears(&self, name: &str, patience: Duration) -> Event {
        let peer = self.meets(name, patience).text("peer").to_owned();
        let wanted = |event: &Event| event.kind() == "media_connected" && event.text("peer") == peer;
        self.wait_for(&format!("media_connected with {name}"), patience, wanted)
    }

    /// Types a command.
    pub fn command(&mut self, line: &str) {
        let commands = self.commands.as_mut().expect("standard input is open");
        writeln!(commands, "{line}")
            .and_then(|()| commands.flush())
            .unwrap_or_else(|error| panic!("{} takes no command: {error}", self.name));
    }

    /// Ends its standard input.
    pub fn close_commands(&mut self) {
        self.commands = None;
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Processor time that it has used, in seconds.
    ///
    /// # Panics
    /// When it is gone, or this is no Linux.
    pub fn cpu_seconds(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("it runs");
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        // utime and stime (proc_pid_stat(5)), counted in hundredths of a second.
        let ticks = |n: usize| fields.get(n).and_then(|field| field.parse::<f64>().ok()).unwrap_or_default();
        (ticks(11) + ticks(12)) / 100.0
    }

    /// Memory that it holds, in MB.
    ///
    /// # Panics
    /// When it is gone, or this is no Linux.
    pub fn resident_mb(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it runs");
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kb| kb.parse::<f64>().ok()).unwrap_or_default() / 1_024.0
    }

    /// What it wrote on standard error so far.
    pub fn complaints(&self) -> String {
        self.complaints.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// True while it runs.
    pub fn alive(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// The power goes: SIGKILL.
    pub fn kill(&mut self) {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it can be reaped");
    }

    /// SIGTERM, as a service manager would.
    pub fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status().expect("kill runs");
        assert!(sent.success(), "the process was there to be told");
    }

    /// Waits for its end, and for all that it said.
    pub fn wait_for_end(&mut self, patience: Duration) -> ExitStatus {
        let deadline = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child can be asked") {
                for reader in self.readers.drain(..) {
                    reader.join().expect("reading does not fail");
                }
                return status;
            }
            if Instant::now() > deadline {
                panic!("{} did not end within {patience:?}\n{}", self.name, self.story());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Leaves in good order and holds that the order was good.
    pub fn quit(mut self) {
        self.command("quit");
        self.ended_well();
    }

    /// Holds that it ends with 0 and a `bye`, without a panic, having written nothing but events on its standard output.
    pub fn ended_well(&mut self) {
        let status = self.wait_for_end(Duration::from_secs(10));
        assert_eq!(status.code(), Some(0), "{} left in good order\n{}", self.name, self.story());
        self.wait_for("bye", Duration::from_secs(2), |event| event.kind() == "bye");
        self.said_only_events();
    }

    /// Holds that standard output was the contract's and that nothing panicked.
    pub fn said_only_events(&self) {
        let strangers = self.heard.events.lock().unwrap_or_else(PoisonError::into_inner).strangers.clone();
        assert!(strangers.is_empty(), "{} wrote lines that are no events: {strangers:?}", self.name);
        assert!(!self.complaints().contains("panicked"), "{} panicked\n{}", self.name, self.story());
    }

    /// Everything that it said, for a failure's message.
    pub fn story(&self) -> String {
        let lines = self.heard.events.lock().unwrap_or_else(PoisonError::into_inner);
        let mut story = format!("--- what {} said ---\n", self.name);
        for event in lines.events.iter().filter(|event| !matches!(event.kind(), "stats" | "audio" | "speaking")) {
            // Writing into a String does not fail.
            let _ = writeln!(story, "{}", event.json);
        }
        for line in &lines.strangers {
            let _ = writeln!(story, "(no event) {line}");
        }
        let _ = write!(story, "--- its standard error ---\n{}", self.complaints());
        story
    }
}

impl Drop for Resonance {
    fn drop(&mut self) {
        // It may have ended already; either way it is reaped here.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The file of one voice in a `wav-per-peer:` folder: its name holds the peer's id or name.
pub fn voice_file(folder: &Path, peer: &str, name: &str) -> PathBuf {
    let files = || std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let stem = |path: &PathBuf| path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    files()
        .find(|path| stem(path).contains(peer))
        .or_else(|| files().find(|path| stem(path).contains(name)))
        .unwrap_or_else(|| panic!("no file for {name} ({peer}) among {:?}", files().collect::<Vec<_>>()))
}
