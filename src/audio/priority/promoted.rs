//! The threads that RealtimeKit may have put into real time, and their way back.
//!
//! `RLIMIT_RTTIME` bounds how long such a thread may run without sleeping. At the soft limit the kernel sends the program `SIGXCPU`, as a rule
//! to the very thread, which would end it; at the hard one `SIGKILL`. So the signal is caught, and makes every thread listed here an
//! ordinary one. The kernel also moves the soft limit up by a second with every signal, beyond the hard one: it is put back, or the next
//! thread would be killed without a warning. (`RLIMIT_CPU` warns by the same signal; its hard limit ends the program as ever.)
#![allow(unsafe_code)] // A signal handler, and a scheduling call for another thread: there are no safe ones.

use nix::errno::Errno;
use nix::sys::signal::{SaFlags, SigAction, SigHandler, SigSet, Signal, sigaction};
use nix::unistd::gettid;
use rlimit::Resource;
use std::io;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

/// Many more than a call has, also while it changes its devices.
const THREADS: usize = 32;

static PROMOTED: Table<THREADS> = Table::new();

/// The limits to put back; zero until there are some.
static SOFT: AtomicU64 = AtomicU64::new(0);
static HARD: AtomicU64 = AtomicU64::new(0);

/// Kernel thread ids: negative until somebody has seen to it, zero where there is none. Only atomics, since a signal handler reads it.
struct Table<const N: usize>([AtomicI32; N]);

impl<const N: usize> Table<N> {
    const fn new() -> Self {
        Self([const { AtomicI32::new(0) }; N])
    }

    fn add(&self, thread: i32) -> Option<&AtomicI32> {
        self.0.iter().find(|slot| slot.compare_exchange(0, -thread, Ordering::SeqCst, Ordering::SeqCst).is_ok())
    }

    /// Somebody who waits, once.
    fn next(&self) -> Option<i32> {
        self.0.iter().find_map(|slot| {
            let waiting = slot.load(Ordering::SeqCst);
            let taken =
                waiting < 0 && slot.compare_exchange(waiting, -waiting, Ordering::SeqCst, Ordering::SeqCst).is_ok();
            taken.then_some(-waiting)
        })
    }

    fn waits(&self) -> bool {
        self.0.iter().any(|slot| slot.load(Ordering::SeqCst) < 0)
    }

    fn has(&self, thread: i32) -> bool {
        self.0.iter().any(|slot| slot.load(Ordering::SeqCst) == thread)
    }
}

/// A thread's place in the list; it is an ordinary one again, and off the list, when this is dropped.
pub(super) struct Entry {
    slot: &'static AtomicI32,
    thread: i32,
}

impl Entry {
    /// Puts the calling thread on the list; none if the list is full.
    pub fn new() -> Option<Self> {
        let thread = gettid().as_raw();
        PROMOTED.add(thread).map(|slot| Self { slot, thread })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        make_ordinary(self.thread);
        self.slot.store(0, Ordering::SeqCst);
    }
}

/// The kernel's id of a thread for which RealtimeKit is to be asked; each comes once.
pub(super) fn next() -> Option<i32> {
    PROMOTED.next()
}

/// Whether there is one.
pub(super) fn waits() -> bool {
    PROMOTED.waits()
}

/// A thread has become a real-time one. If it has left the list meanwhile it is not to stay it, nor whoever has its number now.
pub(super) fn granted(thread: i32) {
    if !PROMOTED.has(thread) {
        make_ordinary(thread);
    }
}

/// Bounds how long a real-time thread may run without sleeping to `longest` µs, and sees to it that half of that makes it ordinary.
/// Limits that are lower already stay.
///
/// # Errors
/// The system refuses.
pub(super) fn limit(longest: u64) -> io::Result<()> {
    let action = SigAction::new(
        SigHandler::Handler(back_to_ordinary),
        SaFlags::SA_RESTART | SaFlags::SA_ONSTACK,
        SigSet::empty(),
    );
    // SAFETY: the handler makes system calls and uses atomics, nothing else.
    unsafe { sigaction(Signal::SIGXCPU, &action) }?;
    let (soft, hard) = rlimit::getrlimit(Resource::RTTIME)?;
    let hard = hard.min(longest);
    let soft = soft.min(hard / 2);
    HARD.store(hard, Ordering::SeqCst);
    SOFT.store(soft, Ordering::SeqCst);
    rlimit::setrlimit(Resource::RTTIME, soft, hard)
}

/// The handler of `SIGXCPU`. Whoever it interrupts finds its error number as it was.
extern "C" fn back_to_ordinary(_signal: libc::c_int) {
    let interrupted = Errno::last_raw();
    for slot in &PROMOTED.0 {
        let thread = slot.load(Ordering::SeqCst).abs();
        if thread != 0 {
            make_ordinary(thread);
        }
    }
    let _ = rlimit::setrlimit(Resource::RTTIME, SOFT.load(Ordering::SeqCst), HARD.load(Ordering::SeqCst));
    Errno::set_raw(interrupted);
}

/// Takes a thread out of real time, which everybody may. It may be gone. Children of what has been in real time do not inherit it, and that
/// must be left so.
fn make_ordinary(thread: i32) {
    let policy = libc::SCHED_OTHER | libc::SCHED_RESET_ON_FORK;
    // All that the kernel's `sched_param` consists of; an ordinary thread has none.
    let priority: libc::c_int = 0;
    // SAFETY: reads that number, which lives as long as the call. Not libc's wrapper: musl's does nothing.
    unsafe { libc::syscall(libc::SYS_sched_setscheduler, thread, policy, &raw const priority) };
}

#[cfg(test)]
mod tests {
    use super::super::ask_system;
    use super::*;
    use std::process::Command;
    use std::thread;
    use std::time::{Duration, Instant};

    /// Set where the second test runs in a process of its own.
    const ALONE: &str = "RESONANCE_TEST_RUNS_ON_AND_ON";

    #[test]
    fn each_thread_comes_once_and_who_has_left_is_not_on_the_list() {
        let table = Table::<2>::new();
        let first = table.add(11).expect("room");
        assert!(table.add(12).is_some() && table.add(13).is_none(), "no more than there is room for");
        assert!(table.waits());
        assert_eq!([table.next(), table.next(), table.next()], [Some(11), Some(12), None]);
        assert!(!table.waits() && table.has(11));
        first.store(0, Ordering::SeqCst);
        assert!(!table.has(11) && table.has(12));
        assert!(table.add(14).is_some(), "its place is free");
        assert_eq!([table.next(), table.next()], [Some(14), None]);
    }

    /// Each time, also after the first warning. In a process of its own, because its limits are for good. Says something only where the system
    /// grants real time, as it does to root.
    #[test]
    fn whoever_runs_on_and_on_is_an_ordinary_thread_before_the_program_is_killed() {
        if std::env::var_os(ALONE).is_some() {
            return run_on_and_on();
        }
        let test = "audio::priority::promoted::tests::whoever_runs_on_and_on_is_an_ordinary_thread_before_the_program_is_killed";
        let binary = std::env::current_exe().expect("this binary has a path");
        let outcome = Command::new(binary).args([test, "--exact", "--nocapture"]).env(ALONE, "1").output();
        let outcome = outcome.expect("it runs");
        let said = String::from_utf8_lossy(&outcome.stdout);
        assert!(outcome.status.success() && said.contains("1 passed"), "{}: {said}", outcome.status);
    }

    fn run_on_and_on() {
        limit(200_000).expect("limits may be lowered");
        for _ in 0..2 {
            let runs = thread::spawn(|| {
                let _entry = Entry::new().expect("room");
                let begun = Instant::now();
                ask_system();
                while begun.elapsed() < Duration::from_millis(500) {
                    std::hint::spin_loop();
                }
            });
            runs.join().expect("it ends by itself");
            assert_eq!(rlimit::getrlimit(Resource::RTTIME).expect("there are limits"), (100_000, 200_000));
        }
    }
}
