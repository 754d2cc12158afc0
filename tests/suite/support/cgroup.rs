//! A share of the processor and no more: a control group with a limit that can be set and lifted, gone when dropped.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Which of the two kinds of control groups this machine has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A folder for each controller.
    First,
    /// One tree for all of them.
    Second,
}

/// A control group of this test.
pub struct Cgroup {
    kind: Kind,
    folder: PathBuf,
}

impl Cgroup {
    /// Makes one; none where that is not possible: it takes root, and a kernel with limits.
    pub fn new() -> Option<Self> {
        let name = format!("resonance-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let second = Path::new("/sys/fs/cgroup");
        if fs::read_to_string(second.join("cgroup.controllers")).is_ok_and(|all| all.contains("cpu")) {
            // As a rule it is on already.
            let _ = fs::write(second.join("cgroup.subtree_control"), "+cpu");
        }
        let places = [(Kind::Second, second), (Kind::First, Path::new("/sys/fs/cgroup/cpu"))];
        places.into_iter().find_map(|(kind, place)| {
            let group = Self { kind, folder: place.join(&name) };
            fs::create_dir(&group.folder).ok()?;
            group.folder.join(group.limit_file()).exists().then_some(())?;
            // Whatever else this machine does meanwhile.
            match kind {
                Kind::First => group.write("cpu.shares", "100000"),
                Kind::Second => group.write("cpu.weight", "10000"),
            }
            Some(group)
        })
    }

    fn limit_file(&self) -> &'static str {
        match self.kind {
            Kind::First => "cpu.cfs_quota_us",
            Kind::Second => "cpu.max",
        }
    }

    /// Words that put a command that follows them into this group, on one processor, since a limit is dealt out to each of them in pieces,
    /// and as an ordinary process: those that run in real time no group holds back.
    pub fn shell(&self) -> Vec<String> {
        let procs = self.folder.join("cgroup.procs").display().to_string();
        let script =
            "echo $$ > \"$0\" && exec taskset -c 0 setpriv --bounding-set -sys_nice --inh-caps -sys_nice -- \"$@\"";
        ["sh", "-c", script, &procs].map(str::to_owned).to_vec()
    }

    /// It gets so much of one processor from now on, in each of the periods.
    pub fn limit(&self, share: f32, period: Duration) {
        let quota = (period.as_micros() as f32 * share) as u64;
        match self.kind {
            Kind::First => {
                self.write("cpu.cfs_period_us", &period.as_micros().to_string());
                self.write("cpu.cfs_quota_us", &quota.to_string());
            }
            Kind::Second => self.write("cpu.max", &format!("{quota} {}", period.as_micros())),
        }
    }

    /// It gets as much as it wants again.
    pub fn relieve(&self) {
        match self.kind {
            Kind::First => self.write("cpu.cfs_quota_us", "-1"),
            Kind::Second => self.write("cpu.max", "max"),
        }
    }

    /// What share of one processor its processes use, over a while.
    pub fn used(&self, over: Duration) -> f32 {
        let (before, began) = (self.usage(), Instant::now());
        std::thread::sleep(over);
        (self.usage() - before).as_secs_f32() / began.elapsed().as_secs_f32()
    }

    /// How often it had to wait for its next period.
    pub fn throttled(&self) -> u64 {
        self.number("cpu.stat", "nr_throttled")
    }

    fn usage(&self) -> Duration {
        match self.kind {
            Kind::Second => Duration::from_micros(self.number("cpu.stat", "usage_usec")),
            // What was used is another controller's business there; the processes say it themselves.
            Kind::First => self.processes().map(cpu_time).sum(),
        }
    }

    fn processes(&self) -> impl Iterator<Item = u32> {
        let all = fs::read_to_string(self.folder.join("cgroup.procs")).unwrap_or_default();
        all.lines().filter_map(|line| line.parse().ok()).collect::<Vec<u32>>().into_iter()
    }

    fn number(&self, file: &str, name: &str) -> u64 {
        let text = fs::read_to_string(self.folder.join(file)).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.trim().parse().ok()).unwrap_or(0)
    }

    fn write(&self, file: &str, value: &str) {
        fs::write(self.folder.join(file), value).unwrap_or_else(|error| panic!("{file} takes {value}: {error}"));
    }
}

/// Time that a process has used so far, from `/proc/PID/schedstat` of all its threads, in nanoseconds there.
fn cpu_time(pid: u32) -> Duration {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let of_one = |folder: fs::DirEntry| {
        let text = fs::read_to_string(folder.path().join("schedstat")).ok()?;
        text.split_whitespace().next()?.parse::<u64>().ok()
    };
    Duration::from_nanos(threads.filter_map(of_one).sum())
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Empty as soon as its last process was reaped.
        for _ in 0..50 {
            if fs::remove_dir(&self.folder).is_ok() {
                return;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
