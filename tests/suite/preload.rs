//! The audio threads of a live call, watched from below: also what the C libraries do there is counted.

use crate::support::process::Launch;
use crate::support::{alone, has_tool, root, say, skip, sound};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

/// Threads that must neither allocate nor lock nor write, by name: microphone to packet, packet to ear, and what stands in for a sound card's callbacks.
const AUDIO_THREADS: [&str; 3] = ["res-uplink", "res-downlink", "res-card"];

/// Counting begins this long after the start: two people are connected and talk by then.
const FROM: Duration = Duration::from_secs(5);

/// And lasts this long; somebody joins and leaves meanwhile.
const FOR: Duration = Duration::from_secs(9);

const PATIENCE: Duration = Duration::from_secs(10);

struct Row {
    name: String,
    /// malloc and its family, free, mutex, write.
    counts: Vec<u64>,
}

#[test]
fn audio_threads_never_allocate_lock_or_write() {
    let test = "preload::audio_threads_never_allocate_lock_or_write";
    let _alone = alone();
    if !cfg!(all(target_os = "linux", target_env = "gnu")) || !has_tool("cc") {
        return skip(test, "this counts on Linux with glibc and a C compiler only");
    }
    let Some(prompts) = sound::prompts() else {
        return skip(test, "the recorded prompts (package alsa-utils) are missing");
    };
    let folder = tempfile::tempdir().expect("a temporary folder");
    let (library, table) = (compile(folder.path()), folder.path().join("table"));
    let voices = [0, 1, 2].map(|index| {
        let path = folder.path().join(format!("{index}.wav"));
        sound::write(&path, &sound::voice(&prompts, index));
        path
    });

    let mut ada = Launch::create("Ada")
        .by_link_only()
        .repeats(&voices[0])
        .environment("LD_PRELOAD", &library)
        .environment("AUDIT_FROM_MS", FROM.as_millis().to_string())
        .environment("AUDIT_FOR_MS", FOR.as_millis().to_string())
        .environment("AUDIT_WATCH", AUDIO_THREADS.join(","))
        .environment("AUDIT_TO", &table)
        .start();
    let link = ada.link();
    let bo = Launch::join("Bo", &link).by_link_only().repeats(&voices[1]).start();
    ada.hears("Bo", PATIENCE);
    assert!(ada.started.elapsed() < FROM, "connected before the counting begins");
    sleep_until(ada.started + FROM + Duration::from_secs(1));
    let cy = Launch::join("Cy", &link).by_link_only().repeats(&voices[2]).start();
    ada.hears("Cy", PATIENCE);
    sleep_until(ada.started + FROM + FOR / 2);
    ada.command("move Bo 90");
    ada.command("mute");
    ada.command("unmute");
    sleep_until(ada.started + FROM + FOR - Duration::from_secs(2));
    cy.quit();
    sleep_until(ada.started + FROM + FOR + Duration::from_millis(300));
    bo.quit();
    ada.quit();

    let table = std::fs::read_to_string(&table).expect("the table was written at the end");
    let rows = rows(&table);
    let name_of = |row: &Row| row.name.clone();
    for name in AUDIO_THREADS {
        let of_that_name: Vec<&Row> = rows.iter().filter(|row| row.name == name).collect();
        assert!(
            !of_that_name.is_empty(),
            "there is a thread {name} among {:?}",
            rows.iter().map(name_of).collect::<Vec<_>>()
        );
        for row in of_that_name {
            assert!(
                row.counts.iter().all(|count| *count == 0),
                "{name} did what it must not (malloc, free, mutex, write):\n{table}"
            );
        }
    }
    let others: u64 =
        rows.iter().filter(|row| !AUDIO_THREADS.contains(&row.name.as_str())).map(|row| row.counts[0]).sum();
    assert!(others > 100, "the rest of the program was counted, so counting works:\n{table}");
    say(&format!(
        "{test}: none in {} s on {}; {others} allocations on the other threads",
        FOR.as_secs(),
        AUDIO_THREADS.join(", ")
    ));
}

fn rows(table: &str) -> Vec<Row> {
    let row = |line: &str| {
        let mut cells = line.split('\t');
        let name = cells.next()?.to_owned();
        let counts = cells.map(|cell| cell.parse().expect("a count")).collect();
        Some(Row { name, counts })
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
    if !cfg!(all(target_os = "linux", target_env = "gnu")) || !has_tool("cc") {
        return skip(test, "this counts on Linux with glibc and a C compiler only");
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
    let counts = |name: &str| rows.iter().find(|row| row.name == name).map(|row| row.counts.clone());
    assert_eq!(counts("culprit"), Some(vec![3, 2, 5, 2]), "{table}");
    assert_eq!(counts("innocent"), Some(vec![0, 0, 0, 0]), "{table}");
    assert!(table.contains("# culprit: mutex") && table.contains("allocate_three_times"), "{table}");
}

const GUILTY: &str = r#"
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
void allocate_three_times(void) {
    void *volatile one = malloc(10); void *volatile two = calloc(2, 20); two = realloc(two, 5000);
    free(one); free(two);

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
