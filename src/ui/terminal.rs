//! The person's terminal: taken over, drawn on, listened to, and given back whatever happens.

use super::message::Msg;
use super::model::Model;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crossterm::event::{
    self, DisableBracketedPaste, DisableFocusChange, DisableMouseCapture, EnableBracketedPaste, EnableFocusChange,
    EnableMouseCapture, Event, KeyboardEnhancementFlags, MouseEventKind, PopKeyboardEnhancementFlags,
    PushKeyboardEnhancementFlags,
};
use crossterm::terminal::{EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode};
use crossterm::{cursor, execute};
use ratatui::backend::CrosstermBackend;
use std::io::{self, IsTerminal, Stdout, Write};
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use tokio::sync::mpsc;

/// Whether the terminal is taken over now.
static TAKEN: AtomicBool = AtomicBool::new(false);
/// Whether it was asked to tell when keys are let go.
static RELEASES: AtomicBool = AtomicBool::new(false);
static PANIC_HOOK: Once = Once::new();
/// How soon the input thread notices that nobody listens any more.
const POLL: Duration = Duration::from_millis(100);
/// The longest text that is put on the clipboard, in bytes: some terminals drop longer sequences than this makes.
const MAX_COPY_BYTES: usize = 32 * 1024;

/// The terminal while it is ours; it is given back when this is dropped, and before the message of a panic is printed.
///
/// `std::process::exit` drops nothing: let this go, or call [`restore`], before it.
pub struct Terminal {
    inner: ratatui::Terminal<CrosstermBackend<Stdout>>,
}

impl Terminal {
    /// Takes the terminal over: raw mode, alternate screen, mouse, bracketed paste.
    ///
    /// # Errors
    /// When standard output is no terminal, or no keys can be read; it is then left as it was.
    pub fn enter() -> io::Result<Self> {
        if !io::stdout().is_terminal() {
            return Err(io::Error::other("the screen needs a terminal to draw on: use --headless without one"));
        }
        PANIC_HOOK.call_once(|| {
            let previous = std::panic::take_hook();
            std::panic::set_hook(Box::new(move |panic| {
                restore();
                previous(panic);
            }));
        });
        // Asked before anything listens to keys: the answer comes the same way.
        enable_raw_mode()?;
        RELEASES.store(crossterm::terminal::supports_keyboard_enhancement().unwrap_or(false), Ordering::Release);
        take()?;
        match ratatui::Terminal::new(CrosstermBackend::new(io::stdout())) {
            Ok(inner) => Ok(Self { inner }),
            Err(error) => {
                restore();
                Err(error)
            }
        }
    }

    /// Whether the terminal tells when a key is let go (the protocol of kitty, which others speak as well).
    pub fn releases_keys(&self) -> bool {
        RELEASES.load(Ordering::Acquire)
    }

    /// Draws the model; only what has changed is sent.
    ///
    /// If another thread panicked since the last time, its message is on the ordinary screen and the terminal is taken over again.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn draw(&mut self, model: &Model) -> io::Result<()> {
        if !TAKEN.load(Ordering::Acquire) {
            take()?;
            self.inner.clear()?;
        }
        self.inner.draw(|frame| super::view(model, frame)).map(|_| ())
    }

    /// Asks the terminal to put `text` on the clipboard of the machine that it runs on. It does not say whether it could.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn copy(&mut self, text: &str) -> io::Result<()> {
        let inside_tmux = std::env::var_os("TMUX").is_some();
        let mut out = io::stdout();
        out.write_all(clipboard_sequence(text, inside_tmux).as_bytes())?;
        out.flush()
    }

    /// Gives the terminal back and stops the program, as Ctrl-Z does where no program takes keys; returns when the shell has
    /// brought it back, with the terminal taken over again.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn suspend(&mut self) -> io::Result<()> {
        restore();
        // Without a shell that could bring it back the system ignores this.
        nix::sys::signal::raise(nix::sys::signal::Signal::SIGTSTP)?;
        take()?;
        self.inner.clear()
    }

    /// Rings, or asks the terminal to show `text` outside of its window. It does not say whether it could.
    ///
    /// # Errors
    /// When the terminal is gone.
    pub fn notify(&mut self, text: &str, bell: bool, desktop: bool) -> io::Result<()> {
        let mut out = io::stdout();
        if desktop {
            out.write_all(notification_sequence(text).as_bytes())?;
        }
        if bell {
            out.write_all(b"\x07")?;
        }
        out.flush()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore();
    }
}

fn take() -> io::Result<()> {
    enable_raw_mode()?;
    TAKEN.store(true, Ordering::Release);
    let mut out = io::stdout();
    let mut entered = execute!(out, EnterAlternateScreen, EnableMouseCapture, EnableBracketedPaste, EnableFocusChange);
    if RELEASES.load(Ordering::Acquire) {
        let flags = KeyboardEnhancementFlags::DISAMBIGUATE_ESCAPE_CODES | KeyboardEnhancementFlags::REPORT_EVENT_TYPES;
        entered = entered.and_then(|()| execute!(out, PushKeyboardEnhancementFlags(flags)));
    }
    if entered.is_err() {
        restore();
    }
    entered
}

/// Gives the terminal back, if it is ours; may be called from any thread and as often as one likes.
pub fn restore() {
    if TAKEN.swap(false, Ordering::AcqRel) {
        // What fails here fails because the terminal is gone; the rest is tried all the same.
        let mut out = io::stdout();
        if RELEASES.load(Ordering::Acquire) {
            let _ = execute!(out, PopKeyboardEnhancementFlags);
        }
        let _ = execute!(out, DisableFocusChange, DisableBracketedPaste, DisableMouseCapture);
        let _ = execute!(out, LeaveAlternateScreen, cursor::Show);
        let _ = disable_raw_mode();
    }
}

/// OSC 52: sets the clipboard of the terminal. tmux swallows it unless told otherwise, so that it is sent there
/// a second time in tmux's wrapping for sequences that are to be passed through.
fn clipboard_sequence(text: &str, inside_tmux: bool) -> String {
    let mut end = text.len().min(MAX_COPY_BYTES);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    let plain = format!("\x1b]52;c;{}\x07", STANDARD.encode(&text[..end]));
    if inside_tmux { format!("{plain}\x1bPtmux;{}\x1b\\", plain.replace('\x1b', "\x1b\x1b")) } else { plain }
}

/// OSC 9 (iTerm2, WezTerm, foot and others) and OSC 777 (urxvt, VTE, Ghostty and others): each terminal knows one of them.
fn notification_sequence(text: &str) -> String {
    // A semicolon would end OSC 777's text, and a leading digit make ConEmu's progress of OSC 9.
    let text = super::text::cut(&text.replace(';', ","), 120);
    format!("\x1b]9;resonance: {text}\x1b\\\x1b]777;notify;resonance;{text}\x1b\\")
}

/// Listens to keys, mouse, pastes and changes of size on a thread of its own, and sends them on; the size comes first.
///
/// The thread ends soon after the receiver is gone, or after [`Msg::InputEnded`] when reading fails. It is not to be waited for:
/// when the terminal is hung up, the reading may never return. Drawing fails then, and that is what tells.
///
/// # Errors
/// When no thread can be made.
pub fn spawn_input(sender: mpsc::Sender<Msg>) -> io::Result<()> {
    let listen = move || {
        if let Ok((columns, rows)) = crossterm::terminal::size()
            && sender.blocking_send(Msg::Resize { columns, rows }).is_err()
        {
            return;
        }
        while !sender.is_closed() {
            let read = match event::poll(POLL) {
                Ok(false) => continue,
                Ok(true) => event::read(),
                Err(error) => Err(error),
            };
            let Ok(event) = read else {
                // Nobody listens any more when this fails, and then there is nobody to tell.
                let _ = sender.blocking_send(Msg::InputEnded);
                return;
            };
            if let Some(msg) = message(event)
                && sender.blocking_send(msg).is_err()
            {
                return;
            }
        }
    };
    thread::Builder::new().name("keys".into()).spawn(listen).map(|_| ())
}

fn message(event: Event) -> Option<Msg> {
    match event {
        Event::Key(key) => Some(Msg::Key(key)),
        Event::Mouse(mouse) if mouse.kind == MouseEventKind::Moved => None,
        Event::Mouse(mouse) => Some(Msg::Mouse(mouse)),
        Event::Paste(text) => Some(Msg::Paste(text)),
        Event::Resize(columns, rows) => Some(Msg::Resize { columns, rows }),
        Event::FocusLost => Some(Msg::FocusLost),
        Event::FocusGained => Some(Msg::FocusGained),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clipboard_sequence_holds_nothing_but_base64() {
        assert_eq!(clipboard_sequence("resonance:abc", false), "\x1b]52;c;cmVzb25hbmNlOmFiYw==\x07");
        let sequence = clipboard_sequence("\x1b]0;title\x07", false);
        assert_eq!(sequence.matches('\x1b').count(), 1);
        assert_eq!(sequence.matches('\x07').count(), 1);
    }

    #[test]
    fn inside_tmux_it_is_wrapped_as_well() {
        let sequence = clipboard_sequence("x", true);
        assert_eq!(sequence, "\x1b]52;c;eA==\x07\x1bPtmux;\x1b\x1b]52;c;eA==\x07\x1b\\");
    }

    #[test]
    fn a_text_that_is_too_long_is_cut_between_characters() {
        let sequence = clipboard_sequence(&"日".repeat(20_000), false);
        assert!(sequence.len() < MAX_COPY_BYTES * 4 / 3 + 16);
    }

    #[test]
    fn a_notification_carries_nothing_but_its_words() {
        let sequence = notification_sequence("Eve\x1b\\\x07; rm\u{202e}\n writes");
        assert_eq!(sequence.matches('\x1b').count(), 4, "two sequences, each with its end");
        assert_eq!(sequence.matches(';').count(), 4, "{sequence:?}");
        assert!(!sequence.contains(['\x07', '\n', '\u{202e}']));
    }

    #[test]
    fn giving_back_what_was_not_taken_does_nothing() {
        assert!(!TAKEN.load(Ordering::Acquire));
        restore();
        restore();
    }
}
