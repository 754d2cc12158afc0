//! The simulated Internet in real time, around programs that know nothing of it, and judged by one that is not ours: coturn's NAT discovery.

use std::fmt::Write as _;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

const NETSIM: &str = env!("CARGO_BIN_EXE_resonance-netsim");

/// Leaves a test out, visibly, on a machine that lacks something; with `CI` set it fails instead.
fn skip(test: &str, lacks: &str) {
    let in_ci = std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
    assert!(!in_ci, "{test}: {lacks}, and with CI set nothing may be left out");
    let _ = writeln!(std::io::stderr(), "    SKIPPED {test}: {lacks}");
}

fn has_tool(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

/// True if namespaces are allowed here; otherwise the test is left out.
fn can_run(test: &str, tools: &[&str]) -> bool {
    let check = Command::new(NETSIM).arg("check").output().expect("it starts");
    if !check.status.success() {
        skip(test, String::from_utf8_lossy(&check.stderr).trim());
        return false;
    }
    let missing = tools.iter().find(|tool| !has_tool(tool));
    missing.iter().for_each(|tool| skip(test, &format!("`{tool}` is missing (scripts/setup.sh test installs it)")));
    missing.is_none()
}

/// Runs a scenario and gives its exit code and what it said.
fn run(scenario: &str) -> (Option<i32>, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("scenario.toml");
    std::fs::write(&file, scenario).expect("a writable folder");
    told(Command::new(NETSIM).args(["run", "--quiet"]).arg(file).output().expect("it starts"))
}

fn told(output: Output) -> (Option<i32>, String) {
    let text = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    (output.status.code(), text)
}

/// RFC 5780's three words for what a decision depends on, in ours and in coturn's spelling.
const WORDS: [(&str, &str); 3] = [
    ("endpoint-independent", "Endpoint Independent"),
    ("address-dependent", "Address Dependent"),
    ("address-and-port-dependent", "Address and Port Dependent"),
];

/// Every mapping with every filtering, and every kind of edge that lets UDP out: an independent judge calls each what we call it.
#[test]
fn coturn_calls_every_nat_what_we_call_it() {
    let test = "real::coturn_calls_every_nat_what_we_call_it";
    if !can_run(test, &["turnserver", "turnutils_natdiscovery"]) {
        return;
    }
    let mut scenario = String::from(
        "seconds = 25\n[host.server]\naddresses = 2\n[peer.server]\ndoes = \"run\"\n\
         command = [\"turnserver\", \"-n\", \"-L\", \"{ip:server}\", \"-L\", \"{ip2:server}\", \"--no-tls\", \"--no-dtls\", \
         \"--no-cli\", \"--no-auth\", \"--log-file\", \"stdout\", \"--pidfile\", \"/dev/null\"]\n",
    );
    let mut probes = Vec::new();
    let mut probe = |name: String, network: &str, mapping: &str, filtering: &str| {
        // Writing into a String does not fail.
        let _ = write!(
            scenario,
            "{network}[host.{name}]\nnetwork = \"{name}\"\n[peer.{name}]\nat = 1\ndoes = \"run\"\n\
             command = [\"turnutils_natdiscovery\", \"-m\", \"-f\", \"{{ip:server}}\"]\n[[expect]]\n\
             output = {{ peer = \"{name}\", contains = [\"NAT with {mapping} Mapping!\", \"NAT with {filtering} Filtering!\"] }}\n"
        );
        probes.push(name);
    };
    for (mapping, said_mapping) in WORDS {
        for (filtering, said_filtering) in WORDS {
            let name = format!("{mapping}--{filtering}");
            let network = format!(
                "[network.{name}]\nedge = \"symmetric\"\nnat = {{ mapping = \"{mapping}\", filtering = \"{filtering}\" }}\n"
            );
            probe(name, &network, said_mapping, said_filtering);
        }
    }
    let [independent, per_address, per_port] = WORDS.map(|(_, said)| said);
    for (edge, mapping, filtering) in [
        ("firewall", independent, per_port),
        ("full cone", independent, independent),
        ("restricted", independent, per_address),
        ("home", independent, per_port),
        ("hairpin", independent, per_port),
        ("per address", per_address, per_port),
        ("symmetric", per_port, per_port),
        ("sequential", per_port, per_port),
        ("lenient symmetric", per_port, independent),
        ("carrier", independent, independent),
        ("double nat", independent, per_port),
        ("mobile", per_port, per_port),
        ("office", per_port, per_port),
    ] {
        let name = edge.replace(' ', "-");
        probe(name.clone(), &format!("[network.{name}]\nedge = \"{edge}\"\n"), mapping, filtering);
    }
    let (code, said) = run(&format!("ends_with = {probes:?}\n{scenario}"));
    assert_eq!(code, Some(0), "{said}");
    assert_eq!(said.matches("  ok: ").count(), WORDS.len() * WORDS.len() + 13, "{said}");
}

/// A UPnP client that is not ours finds the router, opens a port, and a stranger's word arrives there.
#[test]
fn a_home_router_opens_a_port_when_asked_by_upnp() {
    let test = "real::a_home_router_opens_a_port_when_asked_by_upnp";
    if !can_run(test, &["upnpc", "python3"]) {
        return;
    }
    let (code, said) = run(r#"
seconds = 20
ends_with = ["listener", "asker"]
[network.home]
edge = "home"
ports = "upnp"
[host.stranger]
[host.listener]
network = "home"
link = "wifi"
[peer.asker]
host = "listener"
does = "run"
command = ["upnpc", "-a", "{ip:listener}", "4000", "5000", "UDP"]
[peer.listener]
does = "run"
command = ["python3", "-c", '''
import socket
listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listener.bind(("", 4000))
print(listener.recv(100).decode())
''']
[peer.stranger]
does = "run"
command = ["python3", "-c", '''
import socket, time
stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(100):
    stranger.sendto(b"a word out of nowhere", ("{outer:home}", 5000))
    time.sleep(0.1)
''']
[[expect]]
output = { peer = "asker", contains = ["is redirected to internal 192.168.1.2:4000"] }
[[expect]]
output = { peer = "listener", contains = ["a word out of nowhere"] }
"#);
    assert_eq!(code, Some(0), "{said}");
}

/// Linux's own TCP on both sides: a home router with a narrow uplink, whose complaints about size must be understood.
#[test]
fn a_megabyte_goes_through_a_narrow_nat_by_tcp() {
    let test = "real::a_megabyte_goes_through_a_narrow_nat_by_tcp";
    if !can_run(test, &["python3"]) {
        return;
    }
    // Its IPv4 address, and its IPv6 address.
    for (edge, address) in [("double nat", "{ip:server}"), ("home", "{ip2:server}")] {
        let (code, said) = run(&MEGABYTE.replace("EDGE", edge).replace("ADDRESS", address));
        assert_eq!(code, Some(0), "{said}");
    }
}

const MEGABYTE: &str = r#"
seconds = 10
ends_with = ["client"]
[network.home]
edge = "EDGE"
uplink = "fibre"
mtu = 1300
ipv6 = true
[host.server]
ipv6 = true
[host.client]
network = "home"
link = "wifi"
[peer.server]
does = "run"
command = ["python3", "-c", '''
import socket
listener = socket.create_server(("::", 443), family=socket.AF_INET6, dualstack_ipv6=True)
socket = listener.accept()[0]
while data := socket.recv(65536):
    socket.sendall(data)
''']
[peer.client]
at = 0.5
does = "run"
command = ["python3", "-c", '''
import os, socket, threading
socket = socket.create_connection(("ADDRESS", 443))
said = os.urandom(1 << 20)
threading.Thread(target=lambda: (socket.sendall(said), socket.shutdown(1))).start()
heard = b"".join(iter(lambda: socket.recv(65536), b""))
print("all of it" if heard == said else f"{len(heard)} bytes")
''']
[[expect]]
output = { peer = "client", contains = ["all of it"] }
"#;

/// A host goes from one network to another while it sends, and its kernel goes with it.
#[test]
fn a_host_that_roams_speaks_from_another_address() {
    let test = "real::a_host_that_roams_speaks_from_another_address";
    if !can_run(test, &["python3"]) {
        return;
    }
    let (code, said) = run(r#"
seconds = 15
ends_with = ["server"]
[network.home]
edge = "home"
[network.phone]
edge = "mobile"
[host.server]
[host.walker]
network = "home"
link = "wifi"
[peer.server]
does = "run"
command = ["python3", "-c", '''
import socket
server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
server.bind(("", 9))
seen = []
while len(seen) < 2:
    address = server.recvfrom(100)[1][0]
    if address not in seen:
        seen.append(address)
print("first", seen[0], "then", seen[1])
''']
[peer.walker]
does = "run"
command = ["python3", "-c", '''
import socket, time
walker = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
while True:
    walker.sendto(b"here", ("{ip:server}", 9))
    time.sleep(0.05)
''']
[[step]]
at = 1.5
do = "roam"
host = "walker"
to = "phone"
[[expect]]
output = { peer = "server", contains = ["first 20.0.0.2 then 20.0.0.3"] }
"#);
    assert_eq!(code, Some(0), "{said}");
}

/// A program that says hello, and what is made of it.
fn hello(expectation: &str) -> String {
    format!(
        "seconds = 5\nends_with = [\"one\"]\n[host.one]\n[peer.one]\ndoes = \"run\"\ncommand = [\"echo\", \"hello\"]\n[[expect]]\n\
         output = {{ peer = \"one\", contains = [\"{expectation}\"] }}\n"
    )
}

#[test]
fn a_failure_that_was_expected_is_none_and_one_that_passes_is() {
    let test = "real::a_failure_that_was_expected_is_none_and_one_that_passes_is";
    if !can_run(test, &["echo"]) {
        return;
    }
    let known = "fails = \"it cannot speak yet\"\n";
    for (scenario, code, word) in [
        (hello("hello"), 0, "ok:"),
        (hello("goodbye"), 1, "FAILED"),
        (hello("goodbye") + known, 0, "fails as known"),
        (hello("hello") + known, 1, "does not any more"),
    ] {
        let (seen, said) = run(&scenario);
        assert!(seen == Some(code) && said.contains(word), "{code}, {word}: {seen:?}\n{said}");
    }
}

#[test]
fn mistakes_are_explained_in_words() {
    let test = "real::mistakes_are_explained_in_words";
    if !can_run(test, &[]) {
        return;
    }
    for (scenario, word) in [
        (hello("x").replace("[host.one]", "[host.two]"), "\"one\""),
        (hello("x").replace("echo", "no-such-program"), "starting one"),
        ("nonsense".into(), "scenario"),
    ] {
        let (code, said) = run(&scenario);
        assert!(code == Some(2) && said.contains(word) && !said.contains("panicked"), "{word}: {code:?}\n{said}");
    }
}

/// Without a right of its own it makes itself a user namespace; where that does not help it says so and what would.
#[test]
fn it_runs_for_anybody_or_says_why_not() {
    let test = "real::it_runs_for_anybody_or_says_why_not";
    if !can_run(test, &["setpriv", "unshare"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let [program, scenario] = ["netsim", "hello.toml"].map(|name| folder.path().join(name));
    std::fs::copy(NETSIM, &program).expect("a copy");
    std::fs::write(&scenario, hello("hello")).expect("a writable folder");
    let readable = |path: &Path| std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755));
    [folder.path(), &program, &scenario].iter().for_each(|path| readable(path).expect("they are ours"));
    let is_root = std::fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    // Where the device is root's alone, root lends another node of it, in a mount namespace that ends with the command.
    let lend = "[ -e \"$0\" ] || { mknod \"$0\" c 10 200 && chmod 666 \"$0\"; }; mount --bind \"$0\" /dev/net/tun; \
                exec setpriv --reuid=65534 --regid=65534 --clear-groups \"$@\"";
    let as_nobody = || {
        let mut command = Command::new(if is_root { "unshare" } else { "env" });
        if is_root {
            command.args(["-m", "sh", "-c", lend]).arg(folder.path().join("tun"));
        }
        command
    };
    let (code, said) =
        told(as_nobody().arg(&program).args(["run", "--quiet"]).arg(&scenario).output().expect("it starts"));
    let can = |words: &[&str]| as_nobody().args(words).status().is_ok_and(|status| status.success());
    let (namespaces, tun) = (can(&["unshare", "-Urn", "true"]), can(&["test", "-w", "/dev/net/tun"]));
    match (namespaces, tun) {
        (true, true) => assert_eq!(code, Some(0), "{said}"),
        (true, false) => assert!(code == Some(3) && said.contains("/dev/net/tun cannot be used"), "{code:?} {said}"),
        (false, _) => assert!(code == Some(3) && said.contains("run as root"), "{code:?} {said}"),
    }
    if namespaces {
        let forbid = "echo 0 > /proc/sys/user/max_net_namespaces && exec \"$0\" check";
        let output = Command::new("unshare").args(["-Ur", "sh", "-c", forbid]).arg(&program).output();
        let (code, said) = told(output.expect("it starts"));
        assert!(
            code == Some(3) && said.contains("It cannot run here") && said.contains("run as root"),
            "{code:?} {said}"
        );
    }
}

#[test]
fn a_capture_holds_what_a_host_sent_and_got() {
    let test = "real::a_capture_holds_what_a_host_sent_and_got";
    if !can_run(test, &["python3"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("words.toml");
    let send = r#"import socket; socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"a word on the wire", ("{ip:two}", 9))"#;
    let scenario = format!(
        "seconds = 3\nends_with = [\"one\"]\n[host.one]\n[host.two]\n[peer.one]\ndoes = \"run\"\ncommand = [\"python3\", \"-c\", '''{send}''']\n"
    );
    std::fs::write(&file, scenario).expect("a writable folder");
    let output = Command::new(NETSIM).args(["run", "--quiet", "--pcap"]).arg(folder.path()).arg(&file).output();
    let (code, said) = told(output.expect("it starts"));
    assert_eq!(code, Some(0), "{said}");
    for host in ["one", "two"] {
        let bytes = std::fs::read(folder.path().join(format!("words-{host}.pcap"))).expect("a capture");
        assert_eq!(bytes[..4], 0xa1b2_3c4d_u32.to_le_bytes());
        assert!(bytes.windows(18).any(|window| window == b"a word on the wire"), "{host}");
    }
}

/// A command in a shell on a host behind a carrier's NAT: it sees its own address, and a server sees the carrier's.
#[test]
fn a_shell_is_on_the_host_that_was_asked_for() {
    let test = "real::a_shell_is_on_the_host_that_was_asked_for";
    if !can_run(test, &["python3"]) {
        return;
    }
    let look = "import socket\nway = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\nway.connect(('20.0.0.3', 9))\nprint('I am', way.getsockname()[0])";
    let shell = |more: &[&str]| {
        let mut command = Command::new(NETSIM);
        told(command.arg("shell").args(more).args(["python3", "-c", look]).output().expect("it starts"))
    };
    let (code, said) = shell(&["--edge", "double nat", "--link", "lte", "--"]);
    assert!(code == Some(0) && said.contains("I am 192.168.1.2"), "{code:?} {said}");
    let (code, said) = shell(&["--host", "server", "--"]);
    assert!(code == Some(0) && said.contains("I am 20.0.0."), "{code:?} {said}");
    let (code, said) = shell(&["--host", "nobody", "--"]);
    assert!(code == Some(2) && said.contains("neighbour"), "{code:?} {said}");
}

/// A step that freezes a program stops it, and one that thaws it lets it go on; meanwhile it is said what happens, and afterwards what came of it.
#[test]
fn what_happens_is_told_and_the_report_is_json() {
    let test = "real::what_happens_is_told_and_the_report_is_json";
    if !can_run(test, &["python3"]) {
        return;
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let file = folder.path().join("story.toml");
    let count = r#"import time
for number in range(30):
    print(number, flush=True)
    time.sleep(0.1)
print("longest", "x")"#;
    let scenario = format!(
        "seconds = 8\nends_with = [\"counter\"]\n[host.counter]\n[peer.counter]\ndoes = \"run\"\ncommand = [\"python3\", \"-c\", '''{count}''']\n\
         [[step]]\nat = 1\ndo = \"freeze\"\npeer = \"counter\"\n[[step]]\nat = 3\ndo = \"thaw\"\npeer = \"counter\"\n\
         [[expect]]\noutput = {{ peer = \"counter\", contains = [\"longest\"] }}\n[[expect]]\nmax_memory_mb = 200\n"
    );
    std::fs::write(&file, scenario).expect("a writable folder");
    let output = Command::new(NETSIM).args(["run", "--json", "-"]).arg(&file).output().expect("it starts");
    let progress = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{progress}");
    for words in ["counter starts", "counter is frozen", "counter goes on"] {
        assert!(progress.contains(words), "{words}: {progress}");
    }
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
    let seconds = report[0]["seconds"].as_f64().expect("a number");
    assert!(
        report[0]["passed"] == true && seconds > 4.9,
        "three seconds of counting and two of standing still: {seconds}"
    );
}
