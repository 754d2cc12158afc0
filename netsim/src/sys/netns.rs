//! Network namespaces: machines of their own inside this one, as root or inside a user namespace.

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::{getegid, geteuid};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;

/// Why there can be no simulated Internet here, in a sentence, and what would help.
#[derive(Debug, thiserror::Error)]
pub enum CannotRun {
    /// The kernel lets nobody but root make network namespaces.
    #[error(
        "this kernel allows network namespaces neither to this user nor in a user namespace ({0}); \
         run as root, or allow user namespaces (sysctl user.max_user_namespaces, kernel.apparmor_restrict_unprivileged_userns=0)"
    )]
    Namespaces(io::Error),
    /// There is no TUN device.
    #[error("/dev/net/tun cannot be used ({0}); load the module `tun`, or let the container have the device")]
    Tun(io::Error),
    /// A namespace's interface cannot be set up.
    #[error("a namespace's network cannot be set up: {0}")]
    Setup(io::Error),
}

/// A network namespace. It lives as long as this, or as a process in it.
#[derive(Debug)]
pub struct Netns {
    file: File,
}

/// Gets the right to make network namespaces, by way of a user namespace if need be. Must be called before the process has a second thread.
///
/// # Errors
/// When the kernel does not allow it.
pub fn prepare() -> Result<(), CannotRun> {
    match Netns::new() {
        Ok(_) => return Ok(()),
        Err(error) if error.raw_os_error() != Some(libc::EPERM) => return Err(CannotRun::Namespaces(error)),
        Err(_) => {}
    }
    let (user, group) = (geteuid(), getegid());
    enter_user_namespace(user.as_raw(), group.as_raw()).map_err(CannotRun::Namespaces)?;
    Netns::new().map(|_| ()).map_err(CannotRun::Namespaces)
}

/// In the new namespace this user is root, and nobody else exists (user_namespaces(7)).
fn enter_user_namespace(user: u32, group: u32) -> io::Result<()> {
    unshare(CloneFlags::CLONE_NEWUSER)?;
    std::fs::write("/proc/self/setgroups", "deny")?;
    std::fs::write("/proc/self/uid_map", format!("0 {user} 1"))?;
    std::fs::write("/proc/self/gid_map", format!("0 {group} 1"))
}

impl Netns {
    /// A fresh one, with nothing in it but a loopback interface that is up.
    ///
    /// # Errors
    /// When the kernel does not allow it.
    pub fn new() -> io::Result<Self> {
        on_a_thread(|| {
            unshare(CloneFlags::CLONE_NEWNET)?;
            let file = File::open("/proc/thread-self/ns/net")?;
            // The loopback interface is the first in every namespace.
            super::netlink::Netlink::new()?.up(1, None)?;
            Ok(Self { file })
        })
    }

    /// Does something in it: opens a socket, starts a process. What is made there stays there.
    ///
    /// # Errors
    /// When the namespace cannot be entered, and those of the action.
    pub fn enter<T: Send>(&self, action: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
        on_a_thread(|| {
            setns(&self.file, CloneFlags::CLONE_NEWNET)?;
            action()
        })
    }

    /// Where other programs find it while this process lives, as for `nsenter --net=…`.
    pub fn path(&self) -> String {
        format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd())
    }
}

/// Namespaces belong to threads: one that dies takes no namespace with it that somebody else needs.
fn on_a_thread<T: Send>(action: impl FnOnce() -> io::Result<T> + Send) -> io::Result<T> {
    std::thread::scope(|scope| scope.spawn(action).join()).unwrap_or_else(|_| Err(io::Error::from(Errno::ECANCELED)))
}
