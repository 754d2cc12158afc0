//! The audio threads of a live call, watched from below: also what the C libraries do there is counted.

use crate::support::process::{Launch, Resonance};
use crate::support::sound_server::{self, SoundServer};
use crate::support::{alone, has_tool, root, say, skip, sound};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Threads that must neither allocate nor lock nor write, by name: microphone to packet, and packet to ear.
const WORKERS: [&str; 2] = ["res-uplink", "res-downlink"];

/// The threads of the cards, which do nothing but convert and copy. Through ALSA only the program's own code must not: the library there locks
/// what it shares with a thread of its own.
const CARDS: [&str; 2] = ["audio mic", "audio speaker"];

/// Counting begins this long after the start: two people are connected and talk by then.
const FROM: Duration = Duration::from_secs(5);

/// And lasts this long; somebody joins and leaves meanwhile.
const FOR: Duration = Duration::from_secs(9);

const PATIENCE: Duration = Duration::from_secs(10);

struct Row {
    name: String,
    /// malloc and its family, free, mutex, write.
    counts: Vec<u64>,
    /// The same, by the program's own code.
    own: Vec<u64>,
}

/// With files as devices: everything but a real card.
#[test]
fn audio_threads_never_allocate_lock_or_write() {
    let test = "preload::audio_threads_never_allocate_lock_or_write";
    let _alone = alone();
    if let Some(lacks) = counting_lacks() {
        return skip(test, lacks);
    }
    let silent = [WORKERS[0], WORKERS[1], "res-card"];
    let Some((rows, table)) = watched_call(test, &silent, |ada, voice| ada.repeats(voice)) else { return };
    for name in silent {
        none_of(&rows, name, &table, |row| &row.counts);
    }
    let others: u64 = rows.iter().filter(|row| !silent.contains(&row.name.as_str())).map(|row| row.counts[0]).sum();
    assert!(others > 100, "the rest of the program was counted, so counting works:\n{table}");
    say(&format!(
        "{test}: none in {} s on {}; {others} allocations on the other threads",
        FOR.as_secs(),
        silent.join(", ")
    ));
}

/// With a card behind a sound server, and with voice processing, whose libraries allocate: from the reserve.
#[test]
fn audio_threads_with_a_card_never_allocate_lock_or_write() {
    let test = "preload::audio_threads_with_a_card_never_allocate_lock_or_write";
    let _alone = alone();
    if let Some(lacks) = counting_lacks().or_else(sound_server::lacks) {
        return skip(test, lacks);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = SoundServer::start(folder.path());
    let silent = [WORKERS[0], WORKERS[1], "audio voice", CARDS[0], CARDS[1]];
    let Some((rows, table)) = watched_call(test, &silent, with_card(server.environment())) else { return };
    for name in silent {
        none_of(&rows, name, &table, |row| &row.counts);
    }
    let others: u64 = rows.iter().filter(|row| !silent.contains(&row.name.as_str())).map(|row| row.counts[0]).sum();
    assert!(others > 100, "the rest of the program was counted, so counting works:\n{table}");
    say(&format!("{test}: none in {} s on {}", FOR.as_secs(), silent.join(", ")));
}

/// With a card through ALSA, whose library is another's.
#[test]
fn audio_threads_with_a_card_of_alsa_never_allocate_lock_or_write() {
    let test = "preload::audio_threads_with_a_card_of_alsa_never_allocate_lock_or_write";
    let _alone = alone();
    if let Some(lacks) = counting_lacks().or_else(sound_server::lacks) {
        return skip(test, lacks);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let server = SoundServer::start(folder.path());
    let silent = [WORKERS[0], WORKERS[1], "audio voice"];
    let Some((rows, table)) = watched_call(test, &silent, with_card(server.alsa_environment())) else { return };
    for name in silent {
        none_of(&rows, name, &table, |row| &row.counts);
    }
    for name in CARDS {
        none_of(&rows, name, &table, |row| &row.own);
    }
    let library: u64 = rows.iter().filter(|row| CARDS.contains(&row.name.as_str())).flat_map(|row| &row.counts).sum();
    assert!(library > 100, "what the sound system does on the cards' threads was counted, so counting works:\n{table}");
    say(&format!(
        "{test}: none in {} s on {}; none by the program itself on {}, {library} by the sound system's library there",
        FOR.as_secs(),
        silent.join(", "),
        CARDS.join(", ")
    ));
}

/// The default card, which is found by these variables, and voices in a hall.
fn with_card(variables: Vec<(&'static str, String)>) -> impl FnOnce(Launch, &Path) -> Launch {
    |ada, _| {
        let ada = ada.input("default").output("default").argument("--acoustics").argument("hall");
        variables.into_iter().fold(ada, |ada, (name, value)| ada.environment(name, value))
    }
}

fn counting_lacks() -> Option<&'static str> {
    let counts = cfg!(all(target_os = "linux", target_env = "gnu")) && has_tool("cc");
    (!counts).then_some("this counts on Linux with glibc and a C compiler only")
}

/// Asserts that there is a thread of this name, and that all of that name have zeros only.
fn none_of(rows: &[Row], name: &str, table: &str, counts: impl Fn(&Row) -> &Vec<u64>) {
    let mut of_that_name = rows.iter().filter(|row| row.name == name).peekable();
    assert!(of_that_name.peek().is_some(), "there is a thread {name}:\n{table}");
    for row in of_that_name {
        let none = counts(row).iter().all(|count| *count == 0);
        assert!(none, "{name} did what it must not (malloc, free, mutex, write; then the program's own):\n{table}");
    }
}

/// A call of three in which one, started with `devices`, is counted while another comes and goes. None when there is no speech.
fn watched_call(
    test: &str,
    watch: &[&str],
    devices: impl FnOnce(Launch, &Path) -> Launch,
) -> Option<(Vec<Row>, String)> {
    let Some(prompts) = sound::prompts() else {
        skip(test, "the recorded prompts (package alsa-utils) are missing");
        return None;
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (library, table) = (compile(folder.path()), folder.path().join("table"));
    let voices = [0, 1, 2].map(|index| {
        let path = folder.path().join(format!("{index}.wav"));
        sound::write(&path, &sound::voice(&prompts, index));
        path
    });
    let ada = Launch::create("Ada")
        .by_link_only()
        .environment("LD_PRELOAD", &library)
        .environment("AUDIT_FROM_MS", FROM.as_millis().to_string())
        .environment("AUDIT_FOR_MS", FOR.as_millis().to_string())
        .environment("AUDIT_WATCH", watch.join(","))
        .environment("AUDIT_TO", &table);
    let mut ada = devices(ada, &voices[0]).start();
    let link = ada.link();
    let bo = Launch::join("Bo", &link).by_link_only().repeats(&voices[1]).start();
    ada.hears("Bo", PATIENCE);
    assert!(ada.started.elapsed() < FROM, "connected before the counting begins");
    come_and_go(&mut ada, &link, &voices[2]);
    bo.quit();
    ada.quit();
    let table = std::fs::read_to_string(&table).expect("the table was written at the end");
    Some((rows(&table), table))
}

/// What happens while it is counted.
fn come_and_go(ada: &mut Resonance, link: &str, voice: &Path) {
    sleep_until(ada.started + FROM + Duration::from_secs(1));
    let cy = Launch::join("Cy", link).by_link_only().repeats(voice).start();
    ada.hears("Cy", PATIENCE);
    sleep_until(ada.started + FROM + FOR / 2);
    ada.command("move Bo 90");
    ada.command("mute");
    ada.command("unmute");
    sleep_until(ada.started + FROM + FOR - Duration::from_secs(2));
    cy.quit();
    sleep_until(ada.started + FROM + FOR + Duration::from_millis(300));
}

fn rows(table: &str) -> Vec<Row> {
    let row = |line: &str| {
        let mut cells = line.split('\t');
        let name = cells.next()?.to_owned();
        let mut counts: Vec<u64> = cells.map(|cell| cell.parse().expect("a count")).collect();
        let own = counts.split_off(4);
        Some(Row { name, counts, own })
    };
    table.lines().filter(|line| !line.starts_with('#')).filter_map(row).collect()
}

fn compile(folder: &Path) -> PathBuf {
    let library = folder.join("audit.so");
    let source = root().join("tests/preload/audit.c");
    let output = Command::new("cc")
        .args(["-shared", "-fPIC", "-O2", "-Wall", "-o"])
        .arg(&library)
        .arg(source)
        .arg("-ldl")
        .output();
    let output = output.expect("cc runs");
    assert!(output.status.success(), "audit.c: {}", String::from_utf8_lossy(&output.stderr));
    library
}

fn sleep_until(moment: Instant) {
    std::thread::sleep(moment.saturating_duration_since(Instant::now()));
}

/// The counter itself: a program that does each of the things a known number of times is counted right, and stacks name the culprit.
#[test]
fn the_counter_counts() {
    let test = "preload::the_counter_counts";
    if let Some(lacks) = counting_lacks() {
        return skip(test, lacks);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (library, program, table) = (compile(folder.path()), folder.path().join("guilty"), folder.path().join("table"));
    let source = folder.path().join("guilty.c");
    std::fs::write(&source, GUILTY).expect("a writable temporary folder");
    let compiled = Command::new("cc")
        .args(["-O0", "-rdynamic", "-o"])
        .arg(&program)
        .arg(&source)
        .arg("-lpthread")
        .status()
        .expect("cc runs");
    assert!(compiled.success());
    let mut run = Command::new(&program);
    run.env("LD_PRELOAD", &library)
        .env("AUDIT_FROM_MS", "0")
        .env("AUDIT_FOR_MS", "60000")
        .env("AUDIT_WATCH", "nobody,culprit")
        .env("AUDIT_TO", &table);
    assert!(run.stdout(std::process::Stdio::null()).status().expect("it runs").success());
    let table = std::fs::read_to_string(&table).expect("the table");
    let rows = rows(&table);
    let counts = |name: &str| rows.iter().find(|row| row.name == name).map(|row| (row.counts.clone(), row.own.clone()));
    // The C library's own allocation, for strdup, is counted but is not the program's.
    assert_eq!(counts("culprit"), Some((vec![4, 3, 5, 2], vec![3, 3, 5, 2])), "{table}");
    assert_eq!(counts("innocent"), Some((vec![0; 4], vec![0; 4])), "{table}");
    assert!(table.contains("# culprit: mutex") && table.contains("allocate_three_times"), "{table}");
}

const GUILTY: &str = r#"
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
void allocate_three_times(void) {
    void *volatile one = malloc(10); void *volatile two = calloc(2, 20); two = realloc(two, 5000);
    free(one); free(two);
    char *volatile three = strdup("in the library's name"); free(three);
    free(NULL);
}
void *guilty(void *unused) {
    pthread_setname_np(pthread_self(), "culprit");
    allocate_three_times();
    for (int i = 0; i < 5; i++) { pthread_mutex_lock(&mutex); pthread_mutex_unlock(&mutex); }
    for (int i = 0; i < 2; i++) if (write(1, "x", 1) < 0) return NULL;
    return NULL;
}
void *innocent(void *unused) {
    pthread_setname_np(pthread_self(), "innocent");
    volatile int work = 0;
    for (int i = 0; i < 1000; i++) work += i;
    return NULL;
}
int main(void) {
    pthread_t one, two;
    pthread_create(&one, NULL, guilty, NULL); pthread_join(one, NULL);
    pthread_create(&two, NULL, innocent, NULL); pthread_join(two, NULL);
    return 0;
}
"#;
