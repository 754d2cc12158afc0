//! A terminal that a test can read: tmux on a socket of its own, gone when dropped.

use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
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
