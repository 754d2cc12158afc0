//! The linear face as a screen reader reads it: lines, in order, each change told once, nothing drawn.

use crate::support::alone;
use crate::support::namespaces::Host;
use crate::support::process::BINARY;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(15);

/// A person who reads lines and types lines.
pub struct Reader {
    name: String,
    child: Child,
    types: ChildStdin,
    heard: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Reader {
    /// Starts the program.
    pub fn sits_down(name: &str, arguments: &[&str], data: &Path) -> Self {
        Self::sits_down_with(name, arguments, data, "null")
    }

    /// The same, with these ears.
    pub fn sits_down_with(name: &str, arguments: &[&str], data: &Path, output: &str) -> Self {
        let mut command = Command::new(BINARY);
        command.args(arguments).arg("--no-mdns");
        Self::reads(name, command, data, output)
    }

    /// On another machine, without a word, and seen on its network.
    pub fn on(host: &Host, name: &str, data: &Path) -> Self {
        Self::reads(name, host.command(BINARY), data, "null")
    }

    fn reads(name: &str, mut command: Command, data: &Path, output: &str) -> Self {
        let mut child = command
            .args(["--plain", "--name", name, "--no-dht", "--input", "silence", "--output", output])
            .arg("--data-dir")
            .arg(data.join(name))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("it starts");
        let heard = Arc::new(Mutex::new(Vec::new()));
        let (output, lines) = (child.stdout.take().expect("piped"), Arc::clone(&heard));
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                lines.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            }
        });
        let types = child.stdin.take().expect("piped");
        Self { name: name.to_owned(), child, types, heard }
    }

    fn lines(&self) -> Vec<String> {
        let heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.iter().map(|line| String::from_utf8(line.clone()).expect("UTF-8")).collect()
    }

    /// What was read, byte for byte.
    pub fn raw(&self) -> Vec<u8> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).join(&b'\n')
    }

    /// Types a line.
    pub fn types(&mut self, line: &str) {
        writeln!(self.types, "{line}").and_then(|()| self.types.flush()).expect("it reads");
    }

    /// Waits until the lines so far hold what is looked for.
    pub fn hears<T>(&self, what: &str, find: impl Fn(&[String]) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let lines = self.lines();
            if let Some(found) = find(&lines) {
                return found;
            }
            assert!(Instant::now() < deadline, "{} waited for {what}:\n{}", self.name, lines.join("\n"));
            std::thread::sleep(Duration::from_millis(30));
        }
    }

    /// Waits for a line.
    pub fn hears_line(&self, wanted: &str) {
        self.hears(wanted, |lines| lines.iter().any(|line| line == wanted).then_some(()));
    }

    fn times(&self, wanted: &str) -> usize {
        self.lines().iter().filter(|line| *line == wanted).count()
    }

    /// Leaves; gives all lines.
    pub fn gets_up(mut self) -> Vec<String> {
        self.types("quit");
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait().expect("it can be asked").is_none() {
            assert!(Instant::now() < deadline, "{} leaves:\n{}", self.name, self.lines().join("\n"));
            std::thread::sleep(Duration::from_millis(30));
        }
        self.lines()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The three lines of digits below a heading.
fn digits_below(lines: &[String], heading: &str) -> Option<Vec<String>> {
    let at = lines.iter().position(|line| line.starts_with(heading))?;
    lines.get(at + 1..at + 4).map(<[String]>::to_vec)
}

#[test]
fn a_call_is_told_line_by_line_each_change_once_and_nothing_is_drawn() {
    let _alone = alone();
    let data = tempfile::tempdir().expect("a temporary folder");
    let mut ada = Reader::sits_down("Ada", &["create"], data.path());
    let link = ada.hears("the link", |lines| lines.iter().find(|line| line.starts_with("resonance:")).cloned());

    // Bo starts it without a word, is told what can be typed, and pastes the link.
    let mut bo = Reader::sits_down("Bo", &[], data.path());
    bo.hears("the ways in", |lines| lines.iter().any(|line| line.starts_with("create makes a session")).then_some(()));
    bo.types("dance the night away");
    bo.hears("the ways in again", |lines| {
        (lines.iter().filter(|line| line.starts_with("create makes a session")).count() == 2).then_some(())
    });
    bo.types(&link);
    bo.hears_line("You are in.");
    for (here, other) in [(&ada, "Bo"), (&bo, "Ada")] {
        here.hears_line(&format!("{other} joined."));
        let sound = format!("You and {other} hear each other.");
        here.hears("sound", |lines| lines.iter().any(|line| line.starts_with(&sound)).then_some(()));
    }

    ada.types("safety Bo");
    bo.types("safety Ada");
    let at_ada = ada.hears("the number", |lines| digits_below(lines, "Safety number with Bo, not verified:"));
    let at_bo = bo.hears("the number", |lines| digits_below(lines, "Safety number with Ada, not verified:"));
    assert_eq!(at_ada, at_bo);
    assert!(at_ada.iter().all(|line| line.split(' ').count() == 4 && line.len() == 23), "{at_ada:?}");
    ada.types("verify Bo");
    ada.hears_line("Bo is verified.");

    ada.types("say the gate is blue");
    bo.hears_line("Ada writes: the gate is blue");
    ada.types("mute");
    ada.hears_line("Your microphone is closed.");
    bo.hears_line("Ada closed the microphone.");
    ada.types("unmute");
    bo.hears_line("Ada opened the microphone.");
    bo.types("who");
    bo.hears_line("Ada: not verified, connected.");
    bo.types("volume Nobody 3");
    bo.hears("what is wrong", |lines| {
        lines.iter().any(|line| line.starts_with("Not done: There is nobody called")).then_some(())
    });
    bo.types("dance");
    bo.hears("what can be typed", |lines| {
        lines.iter().any(|line| line.starts_with("Not done: there is no command `dance`")).then_some(())
    });
    ada.types("stats");
    ada.hears("numbers in words", |lines| {
        lines.iter().any(|line| line.starts_with("Bo: ") && line.contains("round trip")).then_some(())
    });

    let told_bo = bo.gets_up();
    ada.hears_line("Bo left.");
    for once in ["Bo joined.", "Bo is verified.", "Your microphone is closed.", "Your microphone is open.", "Bo left."]
    {
        assert_eq!(ada.times(once), 1, "{once}");
    }
    let told_ada = ada.gets_up();
    for (lines, once) in [
        (&told_bo, "Ada closed the microphone."),
        (&told_bo, "Ada opened the microphone."),
        (&told_bo, "Ada writes: the gate is blue"),
    ] {
        assert_eq!(lines.iter().filter(|line| *line == once).count(), 1, "{once}");
    }
    for line in told_ada.iter().chain(&told_bo) {
        let drawn = |c: char| c.is_control() || matches!(c, '\u{2190}'..='\u{2bff}');
        assert!(!line.is_empty() && !line.contains(drawn), "{line:?}");
    }
    assert_eq!(told_bo.last().map(String::as_str), Some("You have left."));
}

/// A terminal that says it cannot move its cursor is believed.
#[test]
fn a_dumb_terminal_gets_the_linear_face_by_itself() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let output = Command::new(BINARY)
        .args(["--name", "Ada", "--input", "silence", "--output", "null", "--data-dir"])
        .arg(data.path())
        .env("TERM", "dumb")
        .stdin(Stdio::null())
        .output()
        .expect("it runs");
    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && told.starts_with("resonance. You are Ada."), "{told}");
    assert!(!told.contains('\u{1b}'), "{told:?}");
}
