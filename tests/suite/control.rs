//! The control socket: a session that other programs of the same person can ask, and nobody else.

use crate::support::alone;
use crate::support::process::{BINARY, Launch};
use serde_json::Value;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(15);

/// `resonance ctl`: exit code, standard output, standard error.
fn ctl(data: &Path, words: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(BINARY).args(["ctl", "--data-dir"]).arg(data).args(words).output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn state(data: &Path) -> Value {
    let (code, told, wrong) = ctl(data, &["state"]);
    assert_eq!(code, Some(0), "{wrong}");
    serde_json::from_str(&told).expect("JSON")
}

fn sockets(data: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(data.join("run")).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "sock")).collect()
}

/// One line there, one line back.
fn exchange(stream: &UnixStream, line: &str) -> Value {
    let mut to = stream;
    writeln!(to, "{line}").expect("it listens");
    let mut reply = String::new();
    BufReader::new(stream).read_line(&mut reply).expect("it answers");
    serde_json::from_str(&reply).unwrap_or_else(|error| panic!("{reply:?}: {error}"))
}

#[test]
fn a_shortcut_opens_and_closes_the_microphone_of_a_session_that_runs() {
    let _alone = alone();
    let data = tempfile::tempdir().expect("a temporary folder");
    let (code, _, wrong) = ctl(data.path(), &["ptt", "toggle"]);
    assert!(code == Some(3) && wrong.contains("No session is running"), "{code:?} {wrong}");

    let ada = Launch::create("Ada").by_link_only().keeps_in(data.path()).start();
    let bo = Launch::join("Bo", &ada.link()).by_link_only().start();
    ada.hears("Bo", PATIENCE);
    let own = sockets(data.path());
    assert_eq!(own.len(), 1);
    let rights = |path: &Path| std::fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    assert_eq!((rights(&own[0]), rights(&data.path().join("run"))), (0o600, 0o700));

    assert_eq!(state(data.path())["open"], true);
    for (words, said, open) in
        [("toggle", "closed", false), ("toggle", "open", true), ("off", "closed", false), ("on", "open", true)]
    {
        assert_eq!(ctl(data.path(), &["ptt", words]), (Some(0), said.into(), String::new()));
        assert_eq!(state(data.path())["open"], open);
    }
    assert_eq!(ctl(data.path(), &["say", "hello", "you"]).0, Some(0));
    bo.wait_for("the text", PATIENCE, |event| event.kind() == "text" && event.text("body") == "hello you");
    let now = state(data.path());
    assert_eq!((&now["name"], &now["people"][0]["name"]), (&"Ada".into(), &"Bo".into()));
    let (code, told, _) = ctl(data.path(), &["safety", "Bo"]);
    assert!(code == Some(0) && told.contains("\"event\":\"safety_number\""), "{told}");

    let (code, _, wrong) = ctl(data.path(), &["kick", "Nobody"]);
    assert!(code == Some(1) && wrong.contains("nobody called `Nobody`"), "{code:?} {wrong}");
    let (code, _, wrong) = ctl(data.path(), &["dance"]);
    assert!(code == Some(2) && wrong.contains("no command `dance`"), "{code:?} {wrong}");

    strangers_lines_harm_nothing(&own[0]);

    // A second session: which one is meant has to be said.
    let cy = Launch::create("Cy").by_link_only().keeps_in(data.path()).start();
    cy.link();
    let (code, _, wrong) = ctl(data.path(), &["state"]);
    assert!(code == Some(2) && wrong.contains("--pid") && wrong.contains(&cy.pid().to_string()), "{code:?} {wrong}");
    assert_eq!(ctl(data.path(), &["--pid", &cy.pid().to_string(), "ptt", "off"]).1, "closed");
    assert_eq!(ctl(data.path(), &["--pid", &cy.pid().to_string(), "quit"]).0, Some(0));
    let deadline = Instant::now() + PATIENCE;
    while sockets(data.path()).len() > 1 {
        assert!(Instant::now() < deadline, "its socket goes with it");
        std::thread::sleep(Duration::from_millis(30));
    }
    bo.quit();
    ada.quit();
    assert!(sockets(data.path()).is_empty());
}

fn strangers_lines_harm_nothing(socket: &Path) {
    let stream = UnixStream::connect(socket).expect("it listens");
    assert_eq!(exchange(&stream, "hello")["error"]["code"], -32_700);
    assert_eq!(exchange(&stream, "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"dance\"}")["error"]["code"], -32_601);
    let reply =
        exchange(&stream, "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"ptt\",\"params\":{\"state\":\"on\"}}");
    assert_eq!((&reply["id"], &reply["result"]["open"]), (&"x".into(), &true.into()));
    // A line without end is not waited for.
    let mut endless = UnixStream::connect(socket).expect("it listens");
    let sent = endless.write_all(&vec![b'x'; 1 << 20]);
    let mut answer = String::new();
    let read = BufReader::new(&endless).read_line(&mut answer);
    assert!(sent.is_err() || matches!(read, Ok(0) | Err(_)), "it is cut off");
    // Nor are others who only hold the line kept in front of those who ask.
    let idle: Vec<_> = (0..20).filter_map(|_| UnixStream::connect(socket).ok()).collect();
    drop(idle);
    assert_eq!(exchange(&stream, "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"state\"}")["result"]["name"], "Ada");
}
