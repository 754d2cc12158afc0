//! The router in real time: one thread between the TUN devices of all hosts.

use crate::pcap::Capture;
use crate::router::{HostId, NetworkId, Router};
use crate::sys::netns::{CannotRun, Netns};
use crate::sys::tun::Tun;
use crate::topology::Plan;
use nix::poll::{PollFd, PollFlags, ppoll};
use nix::sys::time::TimeSpec;
use std::fs::File;
use std::io::{self, BufWriter};
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

/// The thread looks at least this often whether it shall end.
const NAP: Duration = Duration::from_millis(50);
/// Packets of one host that are read in a row: then the others have their turn.
const TURN: usize = 64;
/// Bounds of the classes in which lateness is counted, in microseconds.
const CLASSES: [u64; 12] = [50, 100, 200, 300, 500, 750, 1_000, 2_000, 5_000, 10_000, 50_000, u64::MAX];

/// How late packets were handed over, compared with when the router wanted it.
#[derive(Clone, Debug, Default)]
pub struct Lateness {
    counts: [u64; CLASSES.len()],
    /// The latest.
    pub worst: Duration,
}

impl Lateness {
    fn note(&mut self, late: Duration) {
        let class = CLASSES.iter().position(|bound| late.as_micros() as u64 <= *bound).unwrap_or(CLASSES.len() - 1);
        self.counts[class] += 1;
        self.worst = self.worst.max(late);
    }

    /// How many packets there were.
    pub fn packets(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// A bound below which that share of the packets was.
    pub fn below(&self, share: f64) -> Duration {
        let wanted = (self.packets() as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bound, count) in CLASSES.iter().zip(self.counts) {
            seen += count;
            if seen >= wanted {
                return Duration::from_micros(*bound).min(self.worst);
            }
        }
        self.worst
    }
}

struct State {
    router: Router,
    tuns: Vec<Tun>,
    captures: Vec<Option<Capture<BufWriter<File>>>>,
    lateness: Lateness,
}

/// A running simulated Internet: its hosts are network namespaces. It ends when dropped.
pub struct Driver {
    state: Arc<Mutex<State>>,
    hosts: Vec<Netns>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Driver {
    /// Makes the namespaces and starts the router.
    ///
    /// # Errors
    /// When this machine does not allow it.
    pub fn start(plan: Plan, seed: u64) -> Result<Self, CannotRun> {
        let router = Router::new(plan, seed, Instant::now());
        let (mut hosts, mut tuns) = (Vec::new(), Vec::new());
        for (index, host) in router.plan().hosts.iter().enumerate() {
            let netns = Netns::new().map_err(CannotRun::Namespaces)?;
            let gateway = router.plan().networks[host.network].gateway();
            tuns.push(Tun::new(&netns, host.mtu, &with_prefixes(&router, HostId(index), host.network), gateway)?);
            hosts.push(netns);
        }
        let captures = hosts.iter().map(|_| None).collect();
        let state = Arc::new(Mutex::new(State { router, tuns, captures, lateness: Lateness::default() }));
        let stop = Arc::new(AtomicBool::new(false));
        let thread = {
            let (state, stop) = (Arc::clone(&state), Arc::clone(&stop));
            std::thread::Builder::new().name("netsim".into()).spawn(move || run(&state, &stop))
        };
        let thread = thread.map_err(CannotRun::Setup)?;
        Ok(Self { state, hosts, stop, thread: Some(thread) })
    }

    /// Looks at the router, or changes it. Short work only: packets wait meanwhile.
    pub fn with_router<T>(&self, action: impl FnOnce(&mut Router) -> T) -> T {
        action(&mut lock(&self.state).router)
    }

    /// A host's namespace.
    pub fn host(&self, host: HostId) -> &Netns {
        &self.hosts[host.0]
    }

    /// Moves a host into another network.
    ///
    /// # Errors
    /// When that is full, or the kernel refuses.
    pub fn roam(&self, host: HostId, network: NetworkId) -> io::Result<Vec<IpAddr>> {
        let mut state = lock(&self.state);
        let addresses = state.router.move_host(host, network).map_err(io::Error::other)?;
        let with = with_prefixes(&state.router, host, network.0);
        let gateway = state.router.plan().networks[network.0].gateway();
        state.tuns[host.0].set_addresses(&self.hosts[host.0], &with, gateway)?;
        Ok(addresses)
    }

    /// Writes down every packet of a host from now on.
    ///
    /// # Errors
    /// The file's.
    pub fn capture(&self, host: HostId, file: &Path) -> io::Result<()> {
        let capture = Capture::new(BufWriter::new(File::create(file)?), Instant::now(), SystemTime::now())?;
        lock(&self.state).captures[host.0] = Some(capture);
        Ok(())
    }

    /// How late packets were so far.
    pub fn lateness(&self) -> Lateness {
        lock(&self.state).lateness.clone()
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported when it happened.
            let _ = thread.join();
        }
    }
}

fn with_prefixes(router: &Router, host: HostId, network: usize) -> Vec<(IpAddr, u8)> {
    let length = router.plan().networks[network].prefix.1;
    router.addresses(host).iter().map(|address| (*address, if address.is_ipv4() { length } else { 64 })).collect()
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn run(state: &Mutex<State>, stop: &AtomicBool) {
    be_punctual();
    // Duplicates, so that waiting needs no lock.
    let watched: Vec<_> = lock(state).tuns.iter().filter_map(|tun| tun.as_fd().try_clone_to_owned().ok()).collect();
    let mut polled: Vec<PollFd<'_>> = watched.iter().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)).collect();
    let mut buffer = vec![0; 65_536];
    while !stop.load(Ordering::Relaxed) {
        let next = {
            let mut state = lock(state);
            for (index, fd) in polled.iter().enumerate() {
                if fd.revents().is_some_and(|events| events.contains(PollFlags::POLLIN)) {
                    state.take_from(HostId(index), &mut buffer);
                }
            }
            state.hand_out();
            state.router.poll_timeout()
        };
        let wait = next.map_or(NAP, |next| next.saturating_duration_since(Instant::now()).min(NAP));
        // A signal that interrupts is as good as a timeout.
        let _ = ppoll(&mut polled, Some(TimeSpec::from_duration(wait)), None);
    }
    // Captures are written out whole.
    lock(state).captures.fill_with(|| None);
}

impl State {
    fn take_from(&mut self, host: HostId, buffer: &mut [u8]) {
        for _ in 0..TURN {
            let Some(packet) = self.tuns[host.0].read(buffer) else { return };
            let now = Instant::now();
            note(&mut self.captures[host.0], now, packet);
            self.router.handle_packet(now, host, packet);
        }
    }

    fn hand_out(&mut self) {
        loop {
            let now = Instant::now();
            let due = self.router.poll_timeout();
            let Some((host, packet)) = self.router.poll_transmit(now) else { return };
            if let Some(due) = due {
                self.lateness.note(now.saturating_duration_since(due));
            }
            note(&mut self.captures[host.0], now, &packet);
            self.tuns[host.0].write(&packet);
        }
    }
}

fn note(capture: &mut Option<Capture<BufWriter<File>>>, now: Instant, packet: &[u8]) {
    // A full disk ends the capture, not the call.
    if capture.as_mut().is_some_and(|capture| capture.note(now, packet).is_err()) {
        *capture = None;
    }
}

/// Before the programs that it serves, where the system lets it; the kernel's usual slack of 50 µs is given up.
fn be_punctual() {
    use thread_priority::unix::{
        RealtimeThreadSchedulePolicy, ThreadSchedulePolicy, set_thread_priority_and_policy, thread_native_id,
    };
    let _ = nix::sys::prctl::set_timerslack(1_000);
    let policy = ThreadSchedulePolicy::Realtime(RealtimeThreadSchedulePolicy::Fifo);
    let _ = set_thread_priority_and_policy(thread_native_id(), thread_priority::ThreadPriority::Min, policy);
}
