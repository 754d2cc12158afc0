//! Who makes sound is preferred: real-time priority for the audio threads.
//!
//! Asked for in two ways. The kernel grants it to whom an administrator allows it, which few systems do for ordinary people. Linux desktops
//! leave it to a service, RealtimeKit, which is asked over D-Bus by a thread of its own, since an audio thread waits for nobody. Whoever is
//! refused by both is an ordinary thread, and the call works all the same.
//!
//! What RealtimeKit grants is granted within limits: a thread that runs for too long without a pause is first warned by a signal, then the
//! program is killed. The warning makes all of them ordinary threads, so that a machine which is too slow costs priority, never the call.

#[cfg(target_os = "linux")]
mod promoted;
#[cfg(target_os = "linux")]
mod rtkit;

use std::marker::PhantomData;

/// While it lives, its thread is preferred to ordinary ones, if the system lets us.
#[must_use = "the thread is an ordinary one again when this is dropped"]
pub struct Hurry {
    #[cfg(target_os = "linux")]
    _entry: Option<promoted::Entry>,
    /// It belongs to its thread.
    _not_send: PhantomData<*mut ()>,
}

/// What an audio thread of this program is, here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Preferred by the system's own grant.
    System,
    /// Preferred by RealtimeKit's.
    RealtimeKit,
    /// Ordinary, and why.
    Ordinary(String),
}

/// Has the calling thread preferred to ordinary ones. Where RealtimeKit is asked that takes effect a moment later.
pub fn hurry() -> Hurry {
    #[cfg(target_os = "linux")]
    let hurry = Hurry { _entry: if ask_system() { None } else { rtkit::ask() }, _not_send: PhantomData };
    #[cfg(not(target_os = "linux"))]
    let hurry = {
        ask_system();
        Hurry { _not_send: PhantomData }
    };
    hurry
}

/// Finds out what an audio thread would be. Waits for the answer, some seconds at most.
pub fn try_out() -> Standing {
    let trial = std::thread::spawn(|| {
        if ask_system() {
            return Standing::System;
        }
        #[cfg(target_os = "linux")]
        return match rtkit::try_out() {
            Ok(()) => Standing::RealtimeKit,
            Err(refusal) => Standing::Ordinary(refusal.to_string()),
        };
        #[cfg(not(target_os = "linux"))]
        Standing::Ordinary("the system refuses".to_owned())
    });
    trial.join().unwrap_or_else(|_| Standing::Ordinary("it could not be tried".to_owned()))
}

/// Asks for the lowest step of the round-robin real-time class, or what comes near to it.
fn ask_system() -> bool {
    #[cfg(unix)]
    {
        use thread_priority::unix::{
            RealtimeThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_schedule_policy,
        };
        use thread_priority::{ThreadPriority, thread_native_id};
        if matches!(thread_schedule_policy(), Ok(ThreadSchedulePolicy::Realtime(_))) {
            // Whoever started the program in real time has chosen its priority.
            return true;
        }
        let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::RoundRobin);
        // Above everything ordinary, below whatever else runs in real time, such as the sound server.
        set_thread_priority_and_policy(thread_native_id(), ThreadPriority::Min, policy).is_ok()
    }
    #[cfg(not(unix))]
    {
        thread_priority::set_current_thread_priority(thread_priority::ThreadPriority::Max).is_ok()
    }
}
