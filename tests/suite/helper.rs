//! `resonance helper` and `resonance doctor` as people run them.

use crate::support::process::BINARY;
use crate::support::turn::allocate;
use crate::support::{alone, has_tool, root, say, simulation, skip};
use resonance::network::probe;
use resonance::network::turn::Credentials;
use serde_json::Value;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);

/// A helper on this machine that listens where the system lets it.
struct Helper {
    child: Child,
    output: BufReader<std::process::ChildStdout>,
    /// Its first address, with its name.
    address: String,
    name: String,
    metrics: SocketAddr,
}

impl Helper {
    fn start(data: &Path) -> Self {
        let mut child = Command::new(BINARY)
            .args(["helper", "--listen", "/ip4/127.0.0.1/tcp/0", "--listen", "/ip4/127.0.0.1/udp/0/quic-v1"])
            .args(["--turn-port", "0", "--metrics", "127.0.0.1:0", "--data-dir"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the helper starts");
        let mut output = BufReader::new(child.stdout.take().expect("piped"));
        let mut listening = 0;
        loop {
            let mut line = String::new();
            assert!(output.read_line(&mut line).expect("output") > 0, "the helper ended before it was ready");
            let event: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{line}: {error}"));
            match event["event"].as_str() {
                Some("listening") => listening += 1,
                Some("helper_ready") => {
                    assert_eq!(listening, 2, "every address is told before");
                    let text = |value: &Value| value.as_str().expect("a text").to_owned();
                    assert!(!event["turn"].as_array().expect("a list").is_empty());
                    let metrics = text(&event["metrics"]);
                    let metrics = metrics.trim_start_matches("http://").trim_end_matches("/metrics");
                    return Self {
                        child,
                        output,
                        address: text(&event["addrs"][0]),
                        name: text(&event["peer"]),
                        metrics: metrics.parse().expect("an address"),
                    };
                }
                other => panic!("an event that helpers do not have: {other:?}"),
            }
        }
    }

    /// One of its figures.
    fn figure(&self, name: &str) -> u64 {
        let mut stream = TcpStream::connect(self.metrics).expect("its figures are served");
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").expect("asked");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("answered");
        let line = answer.lines().find_map(|line| line.strip_prefix(&format!("resonance_helper_{name} ")));
        line.unwrap_or_else(|| panic!("{name} is missing from {answer}")).parse().expect("a number")
    }

    /// Ends it as systemd does; its last words and how it ended.
    fn stop(mut self) -> (String, ExitStatus) {
        let told = Command::new("kill").arg(self.child.id().to_string()).status().expect("kill");
        assert!(told.success());
        let mut last = String::new();
        self.output.read_to_string(&mut last).expect("output");
        (last, self.child.wait().expect("an end"))
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_helper_keeps_its_name_and_leaves_in_order() {
    let data = tempfile::tempdir().expect("a folder");
    let first = Helper::start(data.path());
    assert!(first.address.ends_with(&first.name), "{}", first.address);
    let name = first.name.clone();
    let (last, status) = first.stop();
    let bye: Value = serde_json::from_str(last.trim()).unwrap_or_else(|error| panic!("{last}: {error}"));
    assert_eq!((bye["event"].as_str(), bye["reason"].as_str(), status.code()), (Some("bye"), Some("signal"), Some(0)));
    let again = Helper::start(data.path());
    assert_eq!(again.name, name);
    let elsewhere = tempfile::tempdir().expect("a folder");
    assert_ne!(Helper::start(elsewhere.path()).name, name);
}

#[test]
fn a_helper_that_cannot_listen_says_so() {
    let data = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("an address").port();
    for (listen, code, word) in
        [(format!("/ip4/127.0.0.1/tcp/{port}"), 1, "cannot listen"), ("127.0.0.1:4001".into(), 2, "not an address")]
    {
        let output = Command::new(BINARY)
            .args(["helper", "--turn-port", "0", "--duration", "5", "--listen", &listen, "--data-dir"])
            .arg(data.path())
            .output()
            .expect("it starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}");
        assert!(said.contains(word), "{said}");
    }
}

fn doctor(arguments: &[&str]) -> (Value, Option<i32>, Duration) {
    let begun = Instant::now();
    let output =
        Command::new(BINARY).args(["doctor", "--json", "--no-dht"]).args(arguments).output().expect("it starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let report = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    (report, output.status.code(), begun.elapsed())
}

fn verdict<'a>(report: &'a Value, id: &str) -> Option<&'a str> {
    report["checks"].as_array()?.iter().find(|check| check["id"] == id)?["verdict"].as_str()
}

#[test]
fn the_doctor_says_what_works_and_what_does_not() {
    let data = tempfile::tempdir().expect("a folder");
    let helper = Helper::start(data.path());
    let (report, code, took) = doctor(&["--helper", &helper.address, "--bootstrap", &helper.address]);
    for id in ["helper", "bootstrap", "udp", "nat"] {
        assert_eq!(verdict(&report, id), Some("good"), "{id}: {report}");
    }
    for check in report["checks"].as_array().expect("checks") {
        let told = |field: &str| check[field].as_str().is_some_and(|text| !text.is_empty());
        assert!(["id", "what", "verdict", "found", "means"].iter().all(|field| told(field)), "{check}");
        assert!(check["verdict"] != "bad" || told("advice"), "what is bad comes with advice: {check}");
    }
    let bad = report["checks"].as_array().expect("checks").iter().any(|check| check["verdict"] == "bad");
    assert_eq!((report["ok"].as_bool(), code), (Some(!bad), Some(i32::from(bad))));
    say(&format!("doctor with a helper: {:.1} s", took.as_secs_f64()));

    let nobody = helper.address.clone();
    drop(helper);
    let (report, code, took) = doctor(&["--helper", &nobody]);
    assert_eq!((verdict(&report, "helper"), report["ok"].as_bool(), code), (Some("bad"), Some(false), Some(1)));
    assert_eq!(verdict(&report, "nat"), Some("unknown"));
    assert!(took < Duration::from_secs(60), "its time is bounded: {took:?}");
}

/// Behind simulated NATs, with one public helper and nothing else: each is called what it is, and relays work from behind it.
#[test]
fn the_doctor_tells_one_nat_from_another() {
    let test = "helper::the_doctor_tells_one_nat_from_another";
    let _alone = alone();
    if !simulation::can_run(test) {
        return;
    }
    let (friendly, symmetric, works) = ("Kind of NAT: friendly", "Kind of NAT: symmetric", "Relaying by TURN: works");
    let places = [
        ("internet", None, "Kind of NAT: none", works),
        ("home", Some("home"), friendly, works),
        ("double", Some("double nat"), friendly, works),
        ("symmetric", Some("symmetric"), symmetric, works),
        ("mobile", Some("mobile"), symmetric, works),
        ("silent", Some("no udp"), "UDP into the world: none of", "relay"),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let data = folder.path().display();
    let mut scenario = format!(
        "seconds = 60\n[host.server]\n[peer.server]\ndoes = \"run\"\ncommand = [\"{BINARY}\", \"helper\", \"--data-dir\", \
         \"{data}\", \"--listen\", \"/ip4/0.0.0.0/tcp/4001\"]\n"
    );
    for (name, edge, first, second) in places {
        if let Some(edge) = edge {
            scenario += &format!("[network.{name}]\nedge = \"{edge}\"\n[host.{name}]\nnetwork = \"{name}\"\n");
        } else {
            scenario += &format!("[host.{name}]\n");
        }
        scenario += &format!(
            "[peer.{name}]\nat = 2\ndoes = \"run\"\ncommand = [\"{BINARY}\", \"doctor\", \"--no-dht\", \"--helper\", \
             \"/ip4/{{ip:server}}/tcp/4001\"]\n[[expect]]\n\
             output = {{ peer = \"{name}\", contains = [\"{first}\", \"{second}\"] }}\n"
        );
    }
    let names: Vec<&str> = places.iter().map(|place| place.0).collect();
    let file = folder.path().join("nats.toml");
    std::fs::write(&file, format!("ends_with = {names:?}\n{scenario}")).expect("written");
    simulation::run(&[file], &[]).unwrap_or_else(|report| panic!("{report}"));
}

/// Connections that say nothing, questions of strangers, users by the dozen, allocations by the thousand.
#[test]
fn a_flood_leaves_memory_as_it_was() {
    let _alone = alone();
    let data = tempfile::tempdir().expect("a folder");
    let helper = Helper::start(data.path());
    let before = helper.figure("resident_memory_bytes");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let mut users = Vec::new();
    for _ in 0..60 {
        let visit = runtime.block_on(probe::visit(&helper.address)).expect("an address");
        users.extend(visit.credentials);
    }
    assert!(users.len() >= 20, "{} users", users.len());
    let server = users[0].servers[0];
    let places = (0..).map(|number| Ipv4Addr::new(127, 0, 1, number));
    let ask = |(user, from): (&Credentials, Ipv4Addr)| allocate(from.into(), server, user, 40).len();
    let given: usize = users.iter().zip(places).map(ask).sum();
    assert!(given <= users.len() * 32, "a user has its share: {given}");
    assert!(given > 300, "{given}");
    let silent: Vec<TcpStream> = {
        let place: Vec<&str> = helper.address.split('/').collect();
        let place: SocketAddr = format!("{}:{}", place[2], place[4]).parse().expect("a TCP address");
        (0..1_500).filter_map(|_| TcpStream::connect_timeout(&place, Duration::from_millis(100)).ok()).collect()
    };
    let stranger = UdpSocket::bind("127.0.0.1:0").expect("a socket");
    // A STUN Binding request (RFC 8489 §5), and noise.
    let question = [&[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42][..], &[7; 12]].concat();
    for number in 0..100_000_u32 {
        let noise = number.to_be_bytes().repeat(30);
        let _ = stranger.send_to(if number % 2 == 0 { &question } else { &noise }, server);
    }
    let after = helper.figure("resident_memory_bytes");
    let allocations = helper.figure("turn_allocations");
    say(&format!(
        "helper: {} MB before, {} MB with {allocations} relayed addresses of {} users, {} silent connections, 100,000 datagrams of strangers",
        before / 1_000_000,
        after / 1_000_000,
        users.len(),
        silent.len(),
    ));
    assert!(after.saturating_sub(before) < 64_000_000, "{before} → {after}");
    drop(silent);
    // And it still serves.
    let begun = Instant::now();
    loop {
        let visit = runtime.block_on(probe::visit(&helper.address)).expect("an address");
        if visit.reserved {
            break;
        }
        assert!(begun.elapsed() < PATIENCE, "a relay for whoever comes next");
    }
}

#[test]
fn the_systemd_unit_is_valid() {
    let test = "helper::the_systemd_unit_is_valid";
    if !has_tool("systemd-analyze") {
        return skip(test, "systemd-analyze (package systemd) is missing");
    }
    let unit = std::fs::read_to_string(root().join("contrib/resonance-helper.service")).expect("the unit");
    assert!(unit.contains("\nDynamicUser=yes\n") && unit.contains("\nProtectSystem=strict\n"));
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("resonance-helper.service");
    std::fs::write(&copy, unit.replace("/usr/local/bin/resonance", BINARY)).expect("written");
    let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&copy).output().expect("it starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(!said.contains("resonance-helper.service"), "without a warning: {said}");
}
