//! RealtimeKit, the service by which Linux desktops grant real-time priority: <https://github.com/heftig/rtkit>.
//!
//! All that it is told is a thread's number; the bus says who asks.

use super::promoted::{self, Entry};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;
use thiserror::Error;
use zbus::{Connection, Variant, connection, fdo};

const NAME: &str = "org.freedesktop.RealtimeKit1";
const PATH: &str = "/org/freedesktop/RealtimeKit1";
/// Above everything ordinary, below whatever else runs in real time.
const PRIORITY: u32 = 1;
/// For each answer; the bus may have to start the service first.
const PATIENCE: Duration = Duration::from_secs(3);
/// Threads that begin within this time share a connection.
const GATHERING: Duration = Duration::from_millis(20);

/// Somebody is asking.
static ASKING: AtomicBool = AtomicBool::new(false);

/// Why a thread stays an ordinary one.
#[derive(Debug, Error)]
pub(super) enum Refusal {
    #[error("the kernel refuses, and there is no D-Bus to ask RealtimeKit over")]
    NoBus(#[source] zbus::Error),
    #[error("the kernel refuses, and RealtimeKit is not there")]
    NotThere,
    #[error("the kernel refuses, and so does RealtimeKit ({0})")]
    Refused(zbus::Error),
    #[error("the limits that RealtimeKit wants cannot be set: {0}")]
    Limits(#[from] io::Error),
    #[error("there are too many threads already")]
    TooMany,
}

impl From<zbus::Error> for Refusal {
    fn from(error: zbus::Error) -> Self {
        match error {
            zbus::Error::FDO(error)
                if matches!(*error, fdo::Error::ServiceUnknown(_) | fdo::Error::NameHasNoOwner(_)) =>
            {
                Self::NotThere
            }
            error => Self::Refused(error),
        }
    }
}

/// Has RealtimeKit asked for the calling thread, by another one.
pub(super) fn ask() -> Option<Entry> {
    let entry = Entry::new();
    // One that is asking finds the new entry before it ends.
    if entry.is_some() && !ASKING.swap(true, Ordering::SeqCst) {
        let helper = thread::Builder::new().name("res-rtkit".into()).spawn(answer_all);
        if helper.is_err() {
            ASKING.store(false, Ordering::SeqCst);
        }
    }
    entry
}

/// Asks for the calling thread and waits for the answer; it is an ordinary one again afterwards.
///
/// # Errors
/// It stays an ordinary one.
pub(super) fn try_out() -> Result<(), Refusal> {
    let _entry = Entry::new().ok_or(Refusal::TooMany)?;
    serve()
}

fn answer_all() {
    loop {
        thread::sleep(GATHERING);
        match serve() {
            Ok(()) => tracing::debug!("the audio threads are real-time threads by RealtimeKit"),
            Err(refusal) => tracing::debug!("audio threads are ordinary ones: {refusal}"),
        }
        ASKING.store(false, Ordering::SeqCst);
        // Who has come in between has relied on this one, or has started another.
        if !promoted::waits() || ASKING.swap(true, Ordering::SeqCst) {
            return;
        }
    }
}

/// Asks for everyone who waits, and tells the last refusal.
fn serve() -> Result<(), Refusal> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut outcome = Ok(());
    runtime.block_on(async {
        let mut bus = prepare().await;
        while let Some(thread) = promoted::next() {
            outcome = match &mut bus {
                Ok(bus) => promote(bus, thread).await,
                // Nobody is promoted: the reason is told once, the others pass.
                Err(_) => continue,
            };
        }
        if let Err(refusal) = bus {
            outcome = Err(refusal);
        }
    });
    outcome
}

/// Connects, and sets the limits without which nothing is granted.
async fn prepare() -> Result<Connection, Refusal> {
    let connecting = connection::Builder::system().method_timeout(PATIENCE).build();
    let bus = tokio::time::timeout(PATIENCE, connecting).await;
    let bus = bus.unwrap_or_else(|_| Err(io::Error::from(io::ErrorKind::TimedOut).into())).map_err(Refusal::NoBus)?;
    let properties = Some("org.freedesktop.DBus.Properties");
    let answer = bus.call_method(Some(NAME), PATH, properties, "Get", &(NAME, "RTTimeUSecMax")).await?;
    let body = answer.body();
    let longest: Variant<'_> = body.deserialize()?;
    let longest: i64 = longest.downcast()?;
    promoted::limit(u64::try_from(longest).unwrap_or(0))?;
    Ok(bus)
}

async fn promote(bus: &Connection, thread: i32) -> Result<(), Refusal> {
    let number = u64::from(thread.unsigned_abs());
    bus.call_method(Some(NAME), PATH, Some(NAME), "MakeThreadRealtime", &(number, PRIORITY)).await?;
    promoted::granted(thread);
    Ok(())
}
