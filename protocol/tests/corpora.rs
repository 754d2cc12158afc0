//! What fuzzing has found worth keeping is done again, on every run of the tests.

#[path = "../fuzz/bodies.rs"]
mod bodies;

use std::fs;
use std::path::Path;

fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let mut replayed = 0;
    for entry in fs::read_dir(&folder).expect("a corpus") {
        body(&fs::read(entry.expect("a readable folder").path()).expect("a readable file"));
        replayed += 1;
    }
    assert!(replayed >= 20, "{target}: {replayed} inputs are no corpus");
}

#[test]
fn links() {
    replay("link", bodies::link);
}

#[test]
fn signals() {
    replay("signal", bodies::signal);
}

#[test]
fn handshakes() {
    replay("handshake", bodies::handshake);
}

#[test]
fn channels() {
    replay("channel", bodies::channel);
}

#[test]
fn sframes() {
    replay("sframe", bodies::sframe);
}
