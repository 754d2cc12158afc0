//! A terminal that a test can read: tmux on a socket of its own, gone when dropped.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

static NEXT: AtomicUsize = AtomicUsize::new(0);

/// What the shell in each terminal prompts with: seeing it means that no program holds the screen.
pub const PROMPT: &str = "ready>";

/// A tmux server with terminals of one size.
pub struct Terminals {
    socket: String,
    columns: usize,
    rows: usize,
    _folder: tempfile::TempDir,
    configuration: String,
}

impl Terminals {
    /// Terminals of that size, without a status line.
    pub fn of(columns: usize, rows: usize) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let configuration = folder.path().join("tmux.conf");
        let settings = "set -g status off\nset -s escape-time 0\nset -g default-terminal screen-256color\nset -g default-shell /bin/sh\n";
        std::fs::write(&configuration, settings).expect("a writable temporary folder");
        let socket = format!("resonance-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let configuration = configuration.to_string_lossy().into_owned();
        Self { socket, columns, rows, _folder: folder, configuration }
    }

    /// One more terminal, with a shell in it.
    pub fn open(&self, name: &str) -> Terminal<'_> {
        let (columns, rows) = (self.columns.to_string(), self.rows.to_string());
        let shell = format!("exec env PS1='{PROMPT} ' ENV= RESONANCE_NO_DHT=1 LANG=C.UTF-8 LC_ALL=C.UTF-8 sh");
        self.tmux(&["new-session", "-d", "-x", &columns, "-y", &rows, "-s", name, &shell]);
        let terminal = Terminal { server: self, name: name.to_owned() };
        terminal.wait_for("the shell's prompt", Duration::from_secs(5), |screen| screen.contains(PROMPT).then_some(()));
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-u", "-L", &self.socket, "-f", &self.configuration])
            .args(arguments)
            .env_remove("TMUX")
            .output()
            .expect("tmux runs");
        assert!(output.status.success(), "tmux {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}

impl Drop for Terminals {
    fn drop(&mut self) {
        // The programs in it get a hangup and end. No server is left when no terminal was opened: nothing to report then.
        let _ = Command::new("tmux").args(["-L", &self.socket, "kill-server"]).output();
    }
}

/// One terminal.
pub struct Terminal<'a> {
    server: &'a Terminals,
    name: String,
}

impl Terminal<'_> {
    /// Types text as it is.
    pub fn types(&self, text: &str) {
        self.server.tmux(&["send-keys", "-t", &self.name, "-l", "--", text]);
    }

    /// Presses a key by tmux's name for it: `Enter`, `Escape`, `Down`, `C-c`.
    pub fn presses(&self, key: &str) {
        self.server.tmux(&["send-keys", "-t", &self.name, key]);
    }

    /// Types a command line for the shell.
    pub fn runs(&self, line: &str) {
        self.types(line);
        self.presses("Enter");
    }

    /// What is on the screen now, a line a row, trailing spaces cut.
    pub fn screen(&self) -> String {
        self.server.tmux(&["capture-pane", "-p", "-t", &self.name])
    }

    /// How many colour changes the screen is drawn with.
    pub fn colours(&self) -> usize {
        let drawn = self.server.tmux(&["capture-pane", "-p", "-e", "-t", &self.name]);
        let colour = |code: &str| matches!(code.parse(), Ok(30..=38 | 40..=48 | 90..=97 | 100..=107));
        drawn
            .split("\u{1b}[")
            .skip(1)
            .filter_map(|rest| rest.split_once('m'))
            .filter(|(codes, _)| codes.split(';').any(colour))
            .count()
    }

    /// Everything that programs write to this terminal from now on goes to this file, too.
    pub fn is_copied_to(&self, file: &Path) {
        self.server.tmux(&["pipe-pane", "-t", &self.name, "-o", &format!("exec cat > '{}'", file.display())]);
    }

    /// Connects to it for good, to see at once what comes of a key.
    pub fn watched(&self) -> Watched {
        let mut child = Command::new("tmux")
            .args(["-u", "-L", &self.server.socket, "-C", "attach-session", "-t", &self.name])
            .env_remove("TMUX")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("tmux runs");
        let output = child.stdout.take().expect("piped");
        let (sender, drawn) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(Result::ok) {
                // `%output %PANE TEXT`: what is written to the terminal, control characters in octal.
                let Some(text) = line.strip_prefix(b"%output ") else { continue };
                let text = text.splitn(2, |byte| *byte == b' ').nth(1).unwrap_or_default().to_vec();
                if sender.send((Instant::now(), text)).is_err() {
                    return;
                }
            }
        });
        let keys = child.stdin.take().expect("piped");
        Watched { name: self.name.clone(), child, keys, drawn }
    }

    /// What programs have called the window.
    pub fn title(&self) -> String {
        self.server.tmux(&["display-message", "-p", "-t", &self.name, "#{pane_title} #{window_name}"])
    }

    /// Waits until the screen shows what is looked for.
    ///
    /// # Panics
    /// When it does not in time, with the screen.
    pub fn wait_for<T>(&self, what: &str, patience: Duration, find: impl Fn(&str) -> Option<T>) -> T {
        let deadline = Instant::now() + patience;
        loop {
            let screen = self.screen();
            if let Some(found) = find(&screen) {
                return found;
            }
            assert!(
                Instant::now() < deadline,
                "{} waited {patience:?} for {what}; the screen shows:\n{screen}",
                self.name
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits for a word on the screen.
    pub fn shows(&self, text: &str, patience: Duration) {
        self.wait_for(&format!("`{text}`"), patience, |screen| screen.contains(text).then_some(()));
    }

    /// Holds that the terminal is as a program should leave it: ordinary screen, cursor seen, no mouse reports, echo and line editing on.
    pub fn is_restored(&self) {
        self.shows(PROMPT, Duration::from_secs(5));
        let state = self.server.tmux(&[
            "display-message",
            "-p",
            "-t",
            &self.name,
            "#{alternate_on} #{cursor_flag} #{mouse_any_flag}",
        ]);
        assert_eq!(state.trim(), "0 1 0", "alternate screen off, cursor on, mouse reports off");
        // Written so that the command line itself, which is on the screen too, does not look like its answer.
        self.runs("stty -a | grep -ow -e '-*echo' -e '-*icanon' -e '-*isig' | tr '\\n' ' '; echo 'do'ne");
        let modes = self.wait_for("stty's answer", Duration::from_secs(5), |screen| {
            screen.lines().rfind(|line| line.trim_end().ends_with("done")).map(str::to_owned)
        });
        let words: Vec<&str> = modes.split_whitespace().collect();
        assert!(
            ["echo", "icanon", "isig"].iter().all(|mode| words.contains(mode)),
            "line editing and echo are back: {modes}"
        );
    }
}

/// A terminal whose every output is seen when it comes (tmux's control mode).
pub struct Watched {
    name: String,
    child: Child,
    keys: ChildStdin,
    drawn: Receiver<(Instant, Vec<u8>)>,
}

impl Watched {
    /// Types a letter that is nowhere on the screen; gives the time until it is.
    ///
    /// # Panics
    /// When it is there before, or does not come in time.
    pub fn time_until_seen(&mut self, letter: char, patience: Duration) -> Duration {
        let mut bytes = [0; 4];
        let letter = letter.encode_utf8(&mut bytes);
        let mut seen: Vec<u8> = self.drawn.try_iter().flat_map(|(_, text)| text).collect();
        let is_there = |seen: &[u8]| seen.windows(letter.len()).any(|window| window == letter.as_bytes());
        assert!(!is_there(&seen), "{letter} is new");
        let pressed = Instant::now();
        let line = format!("send-keys -t {} -l {letter}\n", self.name);
        self.keys.write_all(line.as_bytes()).and_then(|()| self.keys.flush()).expect("tmux listens");
        loop {
            let left = (pressed + patience).saturating_duration_since(Instant::now());
            let (at, text) = self.drawn.recv_timeout(left).unwrap_or_else(|_| panic!("{letter} is not seen"));
            seen.extend(text);
            if is_there(&seen) {
                return at - pressed;
            }
        }
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
