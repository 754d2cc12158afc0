//! A recording in real time: the writer on a thread of its own, which may wait for the disk as long as it likes.

use super::super::device::FileError;
use super::Writer;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// How often the rings are emptied: they hold two seconds.
const EVERY: Duration = Duration::from_millis(50);

/// A running recording. Its files are finished when it is dropped.
pub struct Recorder {
    folder: PathBuf,
    stop: Arc<AtomicBool>,
    missed: Arc<AtomicU64>,
    told: u64,
    thread: Option<JoinHandle<Result<(), FileError>>>,
}

impl Recorder {
    /// Starts writing.
    ///
    /// # Errors
    /// The system has no thread left.
    pub fn start(folder: &Path, mut writer: Writer) -> io::Result<Self> {
        let (stop, missed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (stopped, counted) = (stop.clone(), missed.clone());
        let thread = thread::Builder::new().name("res-record".into()).spawn(move || {
            while !stopped.load(Ordering::Acquire) {
                if let Err(error) = writer.step() {
                    // What is written so far becomes as whole as the disk allows.
                    let _ = writer.finish();
                    return Err(error);
                }
                counted.store(writer.missed(), Ordering::Relaxed);
                thread::park_timeout(EVERY);
            }
            writer.finish()
        })?;
        Ok(Self { folder: folder.into(), stop, missed, told: 0, thread: Some(thread) })
    }

    /// Where the files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Lets the writer write what is left, and end; see [`poll`](Self::poll).
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }

    /// How it ended, once it has: because it was stopped, or because nothing more can be written.
    pub fn poll(&mut self) -> Option<Result<(), String>> {
        let thread = self.thread.take_if(|thread| thread.is_finished())?;
        Some(match thread.join() {
            Ok(written) => written.map_err(|error| error.to_string()),
            Err(_) => Err("the writer has failed".into()),
        })
    }

    /// Milliseconds that the disk was too slow for, since the last call.
    pub fn take_missed_ms(&mut self) -> u64 {
        let missed = self.missed.load(Ordering::Relaxed);
        10 * (missed - std::mem::replace(&mut self.told, missed))
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.stop();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
