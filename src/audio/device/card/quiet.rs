//! Keeps the sound libraries off the terminal: looking for devices and opening them makes libasound and libjack print on standard
//! error, in the middle of whatever the screen shows.

use std::sync::Mutex;

/// One at a time: the descriptor belongs to the whole process.
static TURN: Mutex<()> = Mutex::new(());

/// Runs `work` while standard error goes nowhere. Other threads' standard error does not come out meanwhile either.
pub(super) fn quietly<T>(work: impl FnOnce() -> T) -> T {
    let _turn = TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let _muted = Muted::new();
    work()
}

#[cfg(unix)]
struct Muted {
    saved: Option<std::os::fd::OwnedFd>,
}

#[cfg(unix)]
impl Muted {
    /// Does nothing where a step fails: then the messages are seen.
    #[allow(unsafe_code)] // dup and dup2 of descriptor 2: the standard library cannot redirect its own standard error.
    fn new() -> Self {
        use std::os::fd::{AsFd, AsRawFd};
        let saved = std::io::stderr().as_fd().try_clone_to_owned().ok();
        let nowhere = std::fs::OpenOptions::new().write(true).open("/dev/null").ok();
        if let (Some(_), Some(nowhere)) = (&saved, nowhere) {
            // SAFETY: both descriptors are open, and dup2 touches no memory.
            unsafe { libc::dup2(nowhere.as_raw_fd(), libc::STDERR_FILENO) };
        }
        Self { saved }
    }
}

#[cfg(unix)]
impl Drop for Muted {
    #[allow(unsafe_code)] // As above, back again.
    fn drop(&mut self) {
        use std::os::fd::AsRawFd;
        if let Some(saved) = &self.saved {
            // SAFETY: both descriptors are open, and dup2 touches no memory.
            unsafe { libc::dup2(saved.as_raw_fd(), libc::STDERR_FILENO) };
        }
    }
}

#[cfg(not(unix))]
struct Muted;

#[cfg(not(unix))]
impl Muted {
    fn new() -> Self {
        Self
    }
}
