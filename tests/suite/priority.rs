//! Real-time priority for people whom the kernel grants none: by RealtimeKit, the real one, and never at the price of the call.
#![cfg(target_os = "linux")]

use crate::support::desktop::{self, Desktop, until};
use crate::support::process::{Launch, Resonance};
use crate::support::sound_server::{self, SoundServer};
use crate::support::{alone, skip};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(15);
/// Threads that make sound, with a card behind a sound server.
const THREADS: [&str; 5] = ["res-uplink", "res-downlink", "audio voice", "audio mic", "audio speaker"];

/// How the kernel schedules a thread: its policy and its priority (fields 41 and 40 of `stat`).
type Class = (u32, u32);
const ORDINARY: Class = (0, 0);
const ROUND_ROBIN: Class = (2, 1);

/// Every thread of the program by its name.
fn classes(program: &Resonance) -> BTreeMap<String, Class> {
    let tasks = std::fs::read_dir(format!("/proc/{}/task", program.pid())).expect("the program runs");
    let class = |stat: String| {
        let (name, fields) = stat.split_once(" (")?.1.rsplit_once(") ")?;
        // The first of these is field 3.
        let fields: Vec<&str> = fields.split(' ').collect();
        Some((name.to_owned(), (fields.get(38)?.parse().ok()?, fields.get(37)?.parse().ok()?)))
    };
    tasks.flatten().filter_map(|task| class(std::fs::read_to_string(task.path().join("stat")).ok()?)).collect()
}

/// Waits until these threads are of that class.
fn all_become(program: &Resonance, threads: &[&str], class: Class) {
    let mut seen = BTreeMap::new();
    let there = || {
        seen = classes(program);
        threads.iter().all(|name| seen.get(*name) == Some(&class))
    };
    let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| until("their class", there)));
    assert!(outcome.is_ok(), "{threads:?} became {class:?}: {seen:?}\n{}", program.story());
}

/// How long a real-time thread may run without sleeping, in µs: until it is warned, until the program is killed.
fn limits(program: &Resonance) -> (String, String) {
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", program.pid())).expect("the program runs");
    let line = limits.lines().find_map(|line| line.strip_prefix("Max realtime timeout")).expect("there is this limit");
    let mut words = line.split_whitespace().map(str::to_owned);
    (words.next().expect("a soft limit"), words.next().expect("a hard limit"))
}

/// What the doctor says of the audio threads.
fn doctor(desktop: &Desktop) -> Value {
    let output = desktop.run(&["resonance", "doctor", "--json", "--no-dht"]);
    let text = String::from_utf8_lossy(&output.stdout);
    let report: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{text}: {error}"));
    let mut checks = report["checks"].as_array().expect("checks").iter();
    checks.find(|check| check["id"] == "priority").expect("it looks at priority").clone()
}

/// Somebody ordinary in a call with Bo, who whistles.
fn call(desktop: &Desktop, server: &SoundServer) -> (Resonance, Resonance) {
    let ada = desktop.seats(Launch::create("Ada").by_link_only().input("default").output("default"));
    let sound = server.environment().into_iter().filter(|(name, _)| *name == "PULSE_SERVER");
    let ada = sound.fold(ada, |ada, (name, value)| ada.environment(name, value)).start();
    let bo = Launch::join("Bo", &ada.link()).by_link_only().input("tone:440").start();
    ada.hears("Bo", PATIENCE);
    (ada, bo)
}

/// Bo's voice goes on to arrive.
fn goes_on(ada: &Resonance) {
    let mut mark = ada.mark();
    // The first two may count what came before, late where a device was being opened.
    for known in [false, false, true] {
        ada.wait_since(mark, "figures, with Bo in them", PATIENCE, |event| {
            let arrives = event.json["bitrate_down"].as_f64().is_some_and(|bits| bits > 20_000.0);
            event.kind() == "stats" && (arrives || !known)
        });
        mark = ada.mark();
    }
}

fn server() -> (tempfile::TempDir, SoundServer) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = SoundServer::start(folder.path());
    // It keeps both to its owner, and somebody else is to come.
    for path in [folder.path(), &folder.path().join("native")] {
        std::fs::set_permissions(path, Permissions::from_mode(0o777)).expect("my own file");
    }
    (folder, server)
}

/// By RealtimeKit every thread that makes sound is a real-time thread. When one of them takes too long for the kernel's taste all of them are
/// ordinary ones and the call goes on; a device that is opened after that gets a real-time thread again.
#[test]
fn somebody_ordinary_has_real_time_threads_and_no_overload_ends_the_call() {
    let test = "priority::somebody_ordinary_has_real_time_threads_and_no_overload_ends_the_call";
    let alone = alone();
    if let Some(lacks) = desktop::lacks().or_else(sound_server::lacks) {
        return skip(test, lacks);
    }
    let desktop = Desktop::new();
    let (_folder, server) = server();
    let (mut ada, bo) = call(&desktop, &server);
    all_become(&ada, &THREADS, ROUND_ROBIN);
    let mut others = classes(&ada);
    others.retain(|name, _| !THREADS.contains(&name.as_str()));
    assert!(others.values().all(|class| *class == ORDINARY), "nobody else is: {others:?}");
    assert_eq!(limits(&ada), ("100000".into(), "200000".into()), "half of what RealtimeKit allows warns");

    // The kernel warns at its next look now, however short they run.
    let none = desktop.run(&["prlimit", "--pid", &ada.pid().to_string(), "--rttime=0:200000"]);
    assert!(none.status.success(), "{}", String::from_utf8_lossy(&none.stderr));
    all_become(&ada, &THREADS, ORDINARY);
    // Otherwise it has grown by a second, and the next one who takes too long is killed without a warning.
    assert_eq!(limits(&ada), ("100000".into(), "200000".into()), "the limits are what they were");

    server.load(&["module-null-sink", "sink_name=second", "sink_properties=device.description=Second"]);
    ada.command("output Second");
    all_become(&ada, &["audio speaker"], ROUND_ROBIN);
    all_become(&ada, &THREADS[..4], ORDINARY);

    let warned = desktop.run(&["kill", "-XCPU", &ada.pid().to_string()]);
    assert!(warned.status.success(), "{}", String::from_utf8_lossy(&warned.stderr));
    all_become(&ada, &THREADS, ORDINARY);
    goes_on(&ada);
    ada.quit();
    bo.quit();
    drop(alone);

    let said = doctor(&desktop);
    assert_eq!((&said["verdict"], &said["advice"]), (&"good".into(), &Value::Null), "{said}");
    assert!(said["found"].as_str().is_some_and(|found| found.contains("RealtimeKit")), "{said}");
}

/// Where the bus knows no RealtimeKit they are ordinary threads and the call works; where there is no bus the doctor says so.
#[test]
fn without_real_time_the_call_works_all_the_same() {
    let test = "priority::without_real_time_the_call_works_all_the_same";
    let alone = alone();
    if let Some(lacks) = desktop::lacks().or_else(sound_server::lacks) {
        return skip(test, lacks);
    }
    let mut desktop = Desktop::without_rtkit();
    let (_folder, server) = server();
    let (ada, bo) = call(&desktop, &server);
    until("nobody asks any more", || !classes(&ada).contains_key("res-rtkit"));
    all_become(&ada, &THREADS, ORDINARY);
    assert_eq!(limits(&ada), ("unlimited".into(), "unlimited".into()), "nobody is limited for nothing");
    goes_on(&ada);
    ada.quit();
    bo.quit();
    drop(alone);

    desktop.close();
    let said = doctor(&desktop);
    assert_eq!(said["verdict"], "limited", "{said}");
    assert!(said["found"].as_str().is_some_and(|found| found.contains("no D-Bus")), "{said}");
    assert!(said["advice"].as_str().is_some_and(|advice| advice.contains("rtkit")), "{said}");
}
