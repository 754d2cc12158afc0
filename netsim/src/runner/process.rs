//! A program on a simulated host: its events, its input, its end. Always reaped.

use crate::sys::netns::Netns;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What is kept of a program's standard error, in bytes: the end is what explains.
const MAX_COMPLAINTS: usize = 64 * 1_024;
/// How long after a program's end its last words are waited for: somebody whom it started may hold its output open.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// Lines of standard output that are kept.
const MAX_LINES: usize = 200_000;

/// A line of standard output, and when it came.
#[derive(Clone, Debug)]
pub struct Line {
    /// When it was read.
    pub at: Instant,
    /// As it is.
    pub text: String,
    /// The object, if it is an event of the headless face.
    pub json: Option<Value>,
}

impl Line {
    /// The event's name.
    pub fn kind(&self) -> &str {
        self.field("event")
    }

    /// A field of text; empty when it is missing or something else.
    pub fn field(&self, name: &str) -> &str {
        self.json.as_ref().and_then(|json| json[name].as_str()).unwrap_or_default()
    }

    /// A field that is a number.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.json.as_ref().and_then(|json| json[name].as_f64())
    }
}

#[derive(Debug, Default)]
struct Said {
    lines: Vec<Line>,
    complaints: String,
}

/// A running program, killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    input: Option<ChildStdin>,
    said: Arc<Mutex<Said>>,
    readers: Vec<JoinHandle<()>>,
    ended: Option<Instant>,
    /// When it was started.
    pub started: Instant,
    /// Its exit code, once it has ended; `Some(None)` after a signal.
    pub code: Option<Option<i32>>,
}

impl Process {
    /// Starts a program on a host.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(host: &Netns, mut command: Command) -> io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = Instant::now();
        let mut child = host.enter(|| command.spawn())?;
        let said = Arc::new(Mutex::new(Said::default()));
        let mut readers = Vec::new();
        if let Some(output) = child.stdout.take() {
            let said = Arc::clone(&said);
            readers.push(std::thread::spawn(move || listen(output, &said)));
        }
        if let Some(errors) = child.stderr.take() {
            let said = Arc::clone(&said);
            readers.push(std::thread::spawn(move || collect(errors, &said)));
        }
        let input = child.stdin.take();
        Ok(Self { child, input, said, readers, ended: None, started, code: None })
    }

    /// Types a line. One who has gone does not read it.
    pub fn tell(&mut self, line: &str) {
        if let Some(input) = &mut self.input {
            let _ = writeln!(input, "{line}").and_then(|()| input.flush());
        }
    }

    /// Stops it where it is, or lets it go on.
    pub fn signal(&self, signal: Signal) {
        if self.code.is_none() {
            // A process that has just ended needs no signal.
            let _ = kill(Pid::from_raw(self.child.id() as i32), signal);
        }
    }

    /// Its largest memory so far (resident, proc_pid_status(5)), in megabytes; `None` when it has ended.
    pub fn peak_memory_mb(&self) -> Option<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix(" kB")?.parse::<f64>().ok()? / 1_024.0)
    }

    /// The power goes.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        self.wait(Duration::from_secs(1));
    }

    /// Waits for its end; true if it came.
    pub fn wait(&mut self, patience: Duration) -> bool {
        let deadline = Instant::now() + patience;
        loop {
            if self.has_ended() {
                return true;
            }
            if Instant::now() > deadline {
                return false;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// True if it has ended and all that it said was read.
    pub fn has_ended(&mut self) -> bool {
        if self.code.is_none() {
            self.code = self.child.try_wait().ok().flatten().map(|status| status.code());
            self.ended = self.code.map(|_| Instant::now());
        }
        let read = self.readers.iter().all(JoinHandle::is_finished);
        self.ended.is_some_and(|ended| read || ended.elapsed() > LAST_WORDS)
    }

    /// The first line for which something holds.
    pub fn find(&self, wanted: impl Fn(&Line) -> bool) -> Option<Line> {
        lock(&self.said).lines.iter().find(|line| wanted(line)).cloned()
    }

    /// All lines for which something holds, from that one on.
    pub fn lines_since(&self, mark: usize, wanted: impl Fn(&Line) -> bool) -> Vec<Line> {
        let said = lock(&self.said);
        said.lines.iter().skip(mark).filter(|line| wanted(line)).cloned().collect()
    }

    /// Where it says that it can be reached from outside: every whole multiaddr of its standard output, once it has said them all (nothing more came
    /// for a moment).
    pub fn multiaddrs(&self) -> Option<Vec<String>> {
        let said = lock(&self.said);
        let mut found: Vec<String> = Vec::new();
        let mut latest = None;
        for line in &said.lines {
            for address in
                line.text.split(|c: char| c.is_whitespace() || "\",[]".contains(c)).filter(|word| is_reachable(word))
            {
                latest = Some(line.at);
                if !found.iter().any(|known| known == address) {
                    found.push(address.into());
                }
            }
        }
        latest.is_some_and(|at| at.elapsed() > LAST_WORDS).then_some(found)
    }

    /// How many lines there are.
    pub fn mark(&self) -> usize {
        lock(&self.said).lines.len()
    }

    /// All of standard output.
    pub fn output(&self) -> String {
        lock(&self.said).lines.iter().map(|line| line.text.clone() + "\n").collect()
    }

    /// The end of standard error.
    pub fn complaints(&self) -> String {
        lock(&self.said).complaints.clone()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// True for an address with whose peer ID somebody elsewhere can begin.
fn is_reachable(word: &str) -> bool {
    let whole = word.contains("/p2p/") && !word.contains("/p2p-circuit");
    whole
        && (word.starts_with("/ip4/") && !word.starts_with("/ip4/127.")
            || word.starts_with("/ip6/") && !word.starts_with("/ip6/::1/"))
}

fn lock(said: &Mutex<Said>) -> MutexGuard<'_, Said> {
    said.lock().unwrap_or_else(PoisonError::into_inner)
}

fn listen(output: impl Read, said: &Mutex<Said>) {
    for text in BufReader::new(output).lines().map_while(Result::ok) {
        let at = Instant::now();
        let json = serde_json::from_str::<Value>(&text).ok().filter(|json| json["event"].is_string());
        let mut said = lock(said);
        if said.lines.len() < MAX_LINES {
            said.lines.push(Line { at, text, json });
        }
    }
}

fn collect(mut errors: impl Read, said: &Mutex<Said>) {
    let mut buffer = [0; 4_096];
    while let Ok(count @ 1..) = errors.read(&mut buffer) {
        let mut said = lock(said);
        said.complaints.push_str(&String::from_utf8_lossy(&buffer[..count]));
        let excess = said.complaints.len().saturating_sub(MAX_COMPLAINTS);
        let cut = (excess..=said.complaints.len()).find(|at| said.complaints.is_char_boundary(*at)).unwrap_or(0);
        said.complaints.drain(..cut);
    }
}
