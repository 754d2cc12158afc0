//! The house, held to its plan: which room may name which, what the protocol may touch, how long a file may be, what must not be left lying about.

use crate::support::root;
use std::collections::BTreeSet;
use std::path::Path;

/// Lines that a file may have at most: what a reader can hold in mind at once.
const MAX_LINES: usize = 500;

/// Files that may say `unsafe`, each with its reason. The file itself says more where it does.
const UNSAFE_FILES: [(&str, &str); 7] = [
    ("netsim/src/sys/tun.rs", "naming a TUN device is a system call that has no safe wrapper"),
    ("protocol/tests/vectors.rs", "an allocator that counts implements a trait that is unsafe by definition"),
    (
        "src/audio/device/card/quiet.rs",
        "what sound libraries print on descriptor 2 must not reach the screen, and only dup2 turns it elsewhere",
    ),
    ("src/audio/libopus.rs", "libopus is C, and no safe crate has its deep redundancy and concealment"),
    (
        "src/audio/priority/promoted.rs",
        "a handler of a signal that would end the program, and a scheduling call for another thread, have no safe wrapper",
    ),
    ("src/audio/reserve.rs", "a global allocator implements a trait that is unsafe by definition"),
    ("tests/suite/allocator.rs", "an allocator that counts implements a trait that is unsafe by definition"),
];

/// This file names what others must not.
const THIS: &str = "tests/suite/tidy.rs";

struct Source {
    /// From the root of the repository, with `/`.
    path: String,
    text: String,
    /// Without comments and without what strings contain; as many lines as the text.
    code: String,
}

impl Source {
    fn new(path: String, text: String) -> Self {
        let code = code_of(&text);
        Self { path, text, code }
    }

    /// The code up to the file's own tests, which by custom come last; nothing of a file that is all tests.
    fn shipped(&self) -> &str {
        let all_tests = self.path.ends_with("/tests.rs") || self.path.contains("/tests/");
        let end = if all_tests { 0 } else { self.code.find("#[cfg(test)]\nmod ").unwrap_or(self.code.len()) };
        &self.code[..end]
    }
}

fn sources(folders: &[&str]) -> Vec<Source> {
    let mut found = Vec::new();
    for folder in folders {
        walk(&root().join(folder), &mut |path| {
            if path.extension().is_some_and(|extension| extension == "rs") {
                let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
                let short = path.strip_prefix(root()).unwrap_or(path).to_string_lossy().replace('\\', "/");
                found.push(Source::new(short, text));
            }
        });
    }
    assert!(!found.is_empty(), "there are sources in {folders:?}");
    found
}

fn walk(folder: &Path, visit: &mut impl FnMut(&Path)) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths {
        // What is built, and what fuzzing left behind.
        const SKIPPED: [&str; 4] = ["target", ".git", "corpus", "artifacts"];
        let skipped = path.file_name().is_some_and(|name| SKIPPED.iter().any(|skipped| name == *skipped));
        if path.is_dir() && !skipped {
            walk(&path, visit);
        } else if path.is_file() {
            visit(&path);
        }
    }
}

/// Blanks comments and the contents of strings and characters, and keeps the line breaks.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after_word = code.chars().next_back().is_some_and(|last| last.is_alphanumeric() || last == '_');
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if let Some(length) = raw_string(rest).filter(|_| !after_word) {
            length
        } else if first == '"' {
            quoted(rest)
        } else if let Some(length) = character(rest) {
            length
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        code.push(' ');
        code.extend(rest[..length].chars().filter(|c| *c == '\n'));
        rest = &rest[length..];
    }
    code
}

fn raw_string(text: &str) -> Option<usize> {
    let body = text.strip_prefix("br").or_else(|| text.strip_prefix('r'))?;
    let hashes = body.len() - body.trim_start_matches('#').len();
    body[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let begin = text.len() - body.len() + hashes + 1;
    Some(text[begin..].find(&end).map_or(text.len(), |at| begin + at + end.len()))
}

fn quoted(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// A character literal; a lifetime is none.
fn character(text: &str) -> Option<usize> {
    let body = text.strip_prefix('\'')?;
    if let Some(escape) = body.strip_prefix('\\') {
        let mut ends = escape.char_indices().skip(1).filter(|(_, c)| *c == '\'');
        return ends.next().map(|(at, _)| at + 3);
    }
    let first = body.chars().next()?;
    body[first.len_utf8()..].starts_with('\'').then(|| first.len_utf8() + 2)
}

/// Every path that begins with `start` (such as `crate`), its `{…}` lists taken apart: `a::{b, c::D}` is `a::b` and `a::c::D`.
fn paths(code: &str, start: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut from = 0;
    while let Some(at) = code[from..].find(start).map(|at| at + from) {
        from = at + start.len();
        let word = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        if !code[..at].ends_with(word) && code[from..].starts_with("::") {
            expand(start.to_owned(), &code[from + 2..], &mut found);
        }
    }
    found
}

/// Reads one path or list behind `prefix::`; gives back what is left.
fn expand<'a>(prefix: String, text: &'a str, found: &mut BTreeSet<String>) -> &'a str {
    let text = text.trim_start();
    if let Some(mut list) = text.strip_prefix('{') {
        loop {
            list = expand(prefix.clone(), list, found).trim_start();
            match list.strip_prefix(',') {
                Some(next) if !next.trim_start().starts_with('}') => list = next,
                _ => break,
            }
        }
        let list = list.strip_prefix(',').unwrap_or(list).trim_start();
        return list.strip_prefix('}').unwrap_or(list);
    }
    let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '*')).unwrap_or(text.len());
    let path = if &text[..end] == "self" { prefix } else { format!("{prefix}::{}", &text[..end]) };
    let rest = &text[end..];
    match rest.strip_prefix("::") {
        Some(further) if further.starts_with(|c: char| c.is_alphabetic() || c == '_' || c == '{' || c == '*') => {
            expand(path, further, found)
        }
        _ => {
            found.insert(path);
            // A renamed import: `a as b`.
            rest.trim_start()
                .strip_prefix("as ")
                .map_or(rest, |name| name.trim_start_matches(|c: char| c.is_alphanumeric() || c == '_'))
        }
    }
}

/// A room: its files, and whatever of this crate and of the protocol its shipped code may name.
struct Room {
    files: &'static [&'static str],
    crate_paths: &'static [&'static str],
    protocol_paths: &'static [&'static str],
}

const EVERYTHING: &[&str] = &[""];

/// The arrows. What is not listed here (`app`, `main`, `cli`, …) is the switchboard, which knows all the rooms.
const ROOMS: [Room; 10] = [
    Room {
        files: &["src/session"],
        crate_paths: &["session", "command", "latency", "rate", "token_bucket"],
        protocol_paths: EVERYTHING,
    },
    Room {
        files: &["src/network"],
        crate_paths: &["network", "token_bucket"],
        protocol_paths: &["peer", "media::packet", "media::SealedPacket", "media::InboundPacket"],
    },
    Room {
        files: &["src/helper"],
        crate_paths: &["helper", "network", "token_bucket", "folders"],
        protocol_paths: &[],
    },
    Room {
        files: &["src/audio"],
        crate_paths: &["audio", "latency", "rate"],
        protocol_paths: &["peer", "position", "media"],
    },
    Room {
        files: &["src/ui"],
        crate_paths: &["ui", "command", "session::view", "session::latency", "settings"],
        protocol_paths: &["position"],
    },
    Room {
        files: &["src/headless.rs"],
        crate_paths: &["headless", "command", "session::view", "session::latency", "session::notice"],
        protocol_paths: &[],
    },
    Room {
        files: &["src/plain.rs"],
        crate_paths: &["plain", "command", "session::view", "session::notice", "ui::text"],
        protocol_paths: &[],
    },
    Room {
        files: &["src/identities"],
        crate_paths: &["identities", "folders"],
        protocol_paths: &["contacts", "identity", "identity_file"],
    },
    Room { files: &["src/settings"], crate_paths: &["settings", "folders"], protocol_paths: &[] },
    Room { files: &["src/command"], crate_paths: &["command"], protocol_paths: &["position"] },
];

fn allowed(path: &str, start: &str, roots: &[&str]) -> bool {
    roots.iter().any(|root| {
        let root = if root.is_empty() { start.to_owned() } else { format!("{start}::{root}") };
        path == root || path.starts_with(&format!("{root}::"))
    })
}

#[test]
fn every_arrow_points_one_way() {
    let mut wrong = Vec::new();
    for source in sources(&["src"]) {
        let in_room = |file: &&str| source.path == **file || source.path.starts_with(&format!("{file}/"));
        let Some(room) = ROOMS.iter().find(|room| room.files.iter().any(in_room)) else { continue };
        for (start, roots) in [("crate", room.crate_paths), ("resonance_protocol", room.protocol_paths)] {
            let named = paths(source.shipped(), start);
            wrong.extend(
                named.iter().filter(|path| !allowed(path, start, roots)).map(|path| format!("{}: {path}", source.path)),
            );
        }
        // The same door by another name: out of the room through its parent.
        let others = ["session", "network", "audio", "ui", "app", "headless"].map(|room| format!("super::{room}"));
        let own = |other: &String| room.crate_paths.iter().any(|root| format!("super::{root}") == *other);
        wrong.extend(
            others
                .iter()
                .filter(|other| !own(other) && source.shipped().contains(*other))
                .map(|other| format!("{}: {other}", source.path)),
        );
    }
    assert!(wrong.is_empty(), "rooms name what they must not know:\n{}", wrong.join("\n"));
}

/// Time, chance and the network are inputs of the protocol: it can be run in virtual time, seeded, anywhere.
#[test]
fn the_protocol_is_pure() {
    const IMPURE: [&str; 22] = [
        "std::net::Tcp",
        "std::net::Udp",
        "TcpStream",
        "TcpListener",
        "UdpSocket",
        "ToSocketAddrs",
        "std::thread",
        "thread::spawn",
        "std::fs",
        "std::env",
        "std::process",
        "std::io",
        "SystemTime::now",
        "Instant::now",
        "OsRng",
        "SysRng",
        "getrandom",
        "rand::rng",
        "thread_rng",
        "tokio",
        "tracing",
        "println!",
    ];
    let mut wrong = Vec::new();
    for source in sources(&["protocol/src"]) {
        let shipped = source.shipped();
        wrong.extend(
            IMPURE.iter().filter(|word| shipped.contains(*word)).map(|word| format!("{}: {word}", source.path)),
        );
    }
    let manifest = std::fs::read_to_string(root().join("protocol/Cargo.toml")).expect("the protocol's manifest");
    let dependencies = manifest.split("[dev-dependencies]").next().unwrap_or_default();
    wrong.extend(
        ["tokio", "libp2p", "webrtc", "getrandom", "cpal"]
            .iter()
            .filter(|name| dependencies.contains(*name))
            .map(|name| format!("depends on {name}")),
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The simulated Internet runs in virtual time, too: what is not its Linux half is as pure as the protocol.
#[test]
fn the_pure_half_of_netsim_is_pure() {
    const PURE: [&str; 9] =
        ["packet/", "nat/", "router/", "topology/", "impairment.rs", "profiles.rs", "edges.rs", "oracle.rs", "pcap.rs"];
    const IMPURE: [&str; 9] = [
        "std::net::Udp",
        "std::net::Tcp",
        "std::thread",
        "std::fs",
        "std::process",
        "Instant::now",
        "SystemTime::now",
        "rand::rng(",
        "nix::",
    ];
    for source in sources(&["netsim/src"]) {
        let inside = source.path.strip_prefix("netsim/src/").unwrap_or_default();
        let pure = PURE.iter().any(|place| inside.starts_with(place));
        let found = IMPURE.iter().find(|word| pure && source.shipped().contains(*word));
        assert!(found.is_none(), "{}: {found:?}", source.path);
    }
}

#[test]
fn the_internet_in_a_box_knows_nobody() {
    for source in sources(&["netsim/src"]) {
        let named: Vec<String> =
            ["resonance", "resonance_protocol"].iter().flat_map(|name| paths(&source.code, name)).collect();
        assert!(named.is_empty(), "{} names {named:?}: it runs the built binary", source.path);
    }
}

#[test]
fn files_are_short_and_nothing_is_left_lying_about() {
    const LEFT: [&str; 9] = ["TODO", "FIXME", "XXX", "HACK", "todo!", "unimplemented!", "dbg!", "#[ignore]\n", "\t"];
    let mut wrong = Vec::new();
    for source in sources(&["src", "protocol", "netsim", "voice", "tests", "benches"]) {
        let lines = source.text.lines().count();
        if lines > MAX_LINES {
            wrong.push(format!("{}: {lines} lines", source.path));
        }
        if source.path == THIS {
            continue;
        }
        wrong.extend(
            LEFT.iter()
                .filter(|word| source.text.contains(*word))
                .map(|word| format!("{}: {}", source.path, word.escape_debug())),
        );
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_is_where_a_reason_is_given() {
    let says_unsafe =
        |code: &str| code.split(|c: char| !(c.is_alphanumeric() || c == '_')).any(|word| word == "unsafe");
    for source in sources(&["src", "protocol", "netsim", "voice", "tests", "benches"]) {
        let listed = UNSAFE_FILES.iter().any(|(path, _)| *path == source.path);
        assert!(listed || !says_unsafe(&source.code), "{} is not among the files that may say unsafe", source.path);
        let reason = source.text.contains("SAFETY:") || source.text.contains("#[allow(unsafe_code)] // ");
        assert!(!listed || reason, "{} says beside its unsafe code why it is there", source.path);
    }
    for (path, reason) in UNSAFE_FILES {
        assert!(reason.split_whitespace().count() > 4, "{path}: a reason is a sentence");
    }
}

/// The project speaks of itself: not of the machine that it was written on, nor of where packages come from.
#[test]
fn nothing_speaks_of_the_workshop() {
    const WORDS: [&str; 8] =
        ["/work/", "/root/", "/home/", "crates.io", "static.rust-lang", "pypi.org", "deb.debian.org", "registry.npmjs"];
    /// The lock file is not among them: cargo writes the registry into it.
    const PLACES: [&str; 16] = [
        "src",
        "contrib",
        "protocol",
        "netsim",
        "voice",
        "tests",
        "benches",
        "scripts",
        ".ci",
        "Makefile",
        "Cargo.toml",
        "README.md",
        "CONTRIBUTING.md",
        "SECURITY.md",
        "CHANGELOG.md",
        "assets",
    ];
    const TEXTS: [&str; 9] = ["rs", "md", "toml", "sh", "py", "c", "txt", "snap", "service"];
    let mut wrong = Vec::new();
    for place in PLACES.map(|place| root().join(place)) {
        let mut look = |path: &Path| {
            let short = path.strip_prefix(root()).unwrap_or(path).to_string_lossy().replace('\\', "/");
            let is_text = path.extension().is_none_or(|extension| TEXTS.iter().any(|text| extension == *text));
            if !is_text || short == THIS {
                return;
            }
            let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{short}: {error}"));
            wrong.extend(WORDS.iter().filter(|word| text.contains(*word)).map(|word| format!("{short}: {word}")));
            wrong.extend(text.lines().filter(|line| names_an_issue(line)).map(|line| format!("{short}: {line}")));
        };
        if place.is_dir() {
            walk(&place, &mut look);
        } else if place.is_file() {
            look(&place);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// `issue 12`, `issues #3`, `(#45)`: numbers of a tracker that a reader of the code cannot see.
fn names_an_issue(line: &str) -> bool {
    let line = line.to_lowercase();
    let number_behind = |word: &str| {
        line.match_indices(word).any(|(at, _)| {
            let behind = line[at + word.len()..].trim_start_matches(['s', ' ', '#', '-']);
            behind.len() < line.len() - at - word.len() && behind.starts_with(|c: char| c.is_ascii_digit())
        })
    };
    number_behind("issue")
        || line.match_indices("(#").any(|(at, _)| line[at + 2..].starts_with(|c: char| c.is_ascii_digit()))
}

/// What SECURITY.md says is shown by a test, a test of that name shows: `room::file::test_name` in backticks.
#[test]
fn each_test_that_security_md_names_exists() {
    let text = std::fs::read_to_string(root().join("SECURITY.md")).expect("SECURITY.md");
    let all = sources(&["src", "protocol", "netsim", "voice", "tests"]);
    let (mut checked, mut nowhere) = (0, Vec::new());
    for name in text.split('`').skip(1).step_by(2).filter(|name| name.contains("::") && !name.contains(' ')) {
        let mut steps: Vec<&str> = name.split("::").collect();
        let function = steps.pop().unwrap_or_default();
        let declared = format!("fn {function}(");
        let there =
            |source: &&Source| steps.iter().all(|step| source.path.contains(step)) && source.text.contains(&declared);
        if !all.iter().any(|source| there(&source)) {
            nowhere.push(name);
        }
        checked += 1;
    }
    assert!(nowhere.is_empty(), "SECURITY.md names tests that are nowhere: {nowhere:?}");
    assert!(checked >= 10, "the threat model names the tests that show it: {checked}");
}

#[test]
fn paths_are_read_as_the_compiler_does() {
    let code = code_of(
        "use crate::{audio, session::{view::View, self}}; // crate::network\nlet text = \"crate::ui\"; let c = '\"'; fn f<'a>(x: &'a crate::command::Command) {}",
    );
    let found: Vec<String> = paths(&code, "crate").into_iter().collect();
    assert_eq!(found, ["crate::audio", "crate::command::Command", "crate::session", "crate::session::view::View"]);
    assert!(
        names_an_issue("see issue #3") && names_an_issue("fixed (#12)") && !names_an_issue("issues a key of 32 bytes")
    );
}
