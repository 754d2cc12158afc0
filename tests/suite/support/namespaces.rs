//! Machines on a wire of their own: Linux network namespaces around a bridge, gone when dropped.
//!
//! Nothing is added to the machine's own network: the bridge, too, lives in a namespace.

use super::{has_tool, skip};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

/// Set for the inner run of a test that had to make itself a user namespace first.
const INSIDE: &str = "RESONANCE_TEST_INSIDE_NAMESPACE";

static NEXT: AtomicUsize = AtomicUsize::new(0);

/// Runs a test's body where namespaces can be made: here, when this is root; otherwise the test runs itself again inside a user namespace;
/// where neither is allowed it is skipped. `test` is the test's full name in this binary.
pub fn with_namespaces(test: &str, body: impl FnOnce()) {
    if !has_tool("ip") {
        return skip(test, "`ip` (package iproute2) is missing");
    }
    if can_make_namespaces() {
        return body();
    }
    let allowed = Command::new("unshare")
        .args(["-Urnm", "true"])
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success());
    if std::env::var_os(INSIDE).is_some() || !allowed {
        return skip(test, "network namespaces are not allowed here (root, or user namespaces, would do)");
    }
    // A fresh /run, because the namespaces' names live there and the real one is root's.
    let again = Command::new("unshare")
        .args(["-Urnm", "sh", "-c", "mount -t tmpfs tmpfs /run && exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().expect("this binary has a path"))
        .args([test, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, "1")
        .status()
        .expect("unshare runs");
    assert!(again.success(), "{test} failed inside its user namespace (see above)");
}

fn can_make_namespaces() -> bool {
    let name = unique("probe");
    let quiet = |arguments: [&str; 3]| {
        let status = Command::new("ip").args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
        status.is_ok_and(|status| status.success())
    };
    quiet(["netns", "add", &name]) && quiet(["netns", "del", &name])
}

fn unique(role: &str) -> String {
    format!("resonance-{}-{}-{role}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

fn ip(arguments: &[&str]) {
    let output = Command::new("ip").args(arguments).output().expect("ip runs");
    assert!(output.status.success(), "ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr));
}

/// One machine on the wire.
#[derive(Clone, Debug)]
pub struct Host {
    namespace: String,
    /// Its IPv4 address.
    pub address: String,
}

impl Host {
    /// A command that runs on that machine. `ip netns exec` becomes the command, so its process id is the command's own.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.namespace, program]);
        command
    }

    /// What a shell puts before a command that is to run on that machine.
    pub fn shell(&self) -> String {
        format!("ip netns exec {}", self.namespace)
    }
}

/// Some machines and the switch between them.
pub struct Network {
    /// The machines, in the order of their names.
    pub hosts: Vec<Host>,
    /// The switch, which sees every frame that passes.
    pub switch: Host,
}

impl Network {
    /// Plugs that many machines (at most 200) into one switch.
    pub fn of(count: usize) -> Self {
        let switch = Host { namespace: unique("switch"), address: "10.77.0.1".into() };
        ip(&["netns", "add", &switch.namespace]);
        // From here on a failing step drops the network, which removes what there is.
        let mut network = Self { hosts: Vec::new(), switch };
        let inside = network.switch.namespace.clone();
        ip(&["-n", &inside, "link", "set", "lo", "up"]);
        ip(&["-n", &inside, "link", "add", "br0", "type", "bridge"]);
        ip(&["-n", &inside, "addr", "add", "10.77.0.1/24", "dev", "br0"]);
        ip(&["-n", &inside, "link", "set", "br0", "up"]);
        for index in 0..count {
            let host = Host { namespace: unique("host"), address: format!("10.77.0.{}", index + 2) };
            ip(&["netns", "add", &host.namespace]);
            network.hosts.push(host.clone());
            let port = format!("port{index}");
            ip(&[
                "link",
                "add",
                "wire",
                "netns",
                &host.namespace,
                "type",
                "veth",
                "peer",
                "name",
                &port,
                "netns",
                &inside,
            ]);
            ip(&["-n", &inside, "link", "set", &port, "master", "br0", "up"]);
            ip(&["-n", &host.namespace, "link", "set", "lo", "up"]);
            ip(&["-n", &host.namespace, "addr", "add", &format!("{}/24", host.address), "dev", "wire"]);
            ip(&["-n", &host.namespace, "link", "set", "wire", "up"]);
            ip(&["-n", &host.namespace, "route", "add", "default", "via", "10.77.0.1"]);
        }
        network
    }

    /// Takes a machine off the wire; it notices.
    pub fn unplug(&self, index: usize) {
        ip(&["-n", &self.switch.namespace, "link", "set", &format!("port{index}"), "down"]);
    }

    /// Puts it back.
    pub fn plug(&self, index: usize) {
        ip(&["-n", &self.switch.namespace, "link", "set", &format!("port{index}"), "up"]);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for host in self.hosts.iter().chain([&self.switch]) {
            // Removing as much as possible matters more than a complaint while another failure is being reported.
            let _ = Command::new("ip").args(["netns", "del", &host.namespace]).stderr(Stdio::null()).status();
        }
    }
}
