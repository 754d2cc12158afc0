//! What is handed to others, installed and started where nothing of this machine is: in the bare root of a fresh system.

use crate::support::{has_tool, root, say, skip, target};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const TEST: &str = "packages::the_package_and_the_tarball_run_in_a_clean_root";

fn done(what: &str, command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|error| panic!("{what}: {error}"));
    let told = || format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{what}: {}", told());
    output
}

/// Runs a shell line in the clean root.
fn inside(clean: &Path, line: &str) -> String {
    let environment =
        ["-i", "PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "DEBIAN_FRONTEND=noninteractive"];
    let mut command = Command::new("chroot");
    command.arg(clean).arg("env").args(environment).args(["sh", "-ec", line]);
    String::from_utf8_lossy(&done(line, &mut command).stdout).into_owned()
}

fn starts(clean: &Path, place: &str) {
    assert_eq!(inside(clean, "command -v resonance").trim(), place);
    let version = inside(clean, "resonance --version");
    assert_eq!(version.trim(), format!("resonance {}", env!("CARGO_PKG_VERSION")));
    let line = "resonance create --headless --name Ada --input silence --output null --no-mdns --no-dht --duration 2";
    let events = inside(clean, line);
    for event in ["session_created", "bye"] {
        assert!(events.contains(&format!("\"event\":\"{event}\"")), "{events}");
    }
    assert!(inside(clean, "resonance --plain </dev/null").starts_with("resonance. You are"));
}

/// The only file in a folder with this ending.
fn only(folder: &Path, ending: &str) -> PathBuf {
    let entries = std::fs::read_dir(folder).expect("the folder is there").flatten().map(|entry| entry.path());
    let found: Vec<PathBuf> = entries.filter(|path| path.to_string_lossy().ends_with(ending)).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].clone()
}

/// Minutes, and a mirror of Debian: `make deep`.
#[test]
#[ignore = "builds both and a whole small system around them"]
fn the_package_and_the_tarball_run_in_a_clean_root() {
    let is_root = done("id", Command::new("id").arg("-u")).stdout == b"0\n";
    if !is_root || !has_tool("debootstrap") {
        return skip(TEST, "it needs root and debootstrap");
    }
    done("make dist", Command::new("bash").arg("scripts/dist.sh").current_dir(root()));
    let dist = target().join("dist");
    let (package, tarball) = (only(&dist, ".deb"), only(&dist, ".tar.gz"));
    let release = std::fs::read_to_string("/etc/os-release").expect("a Debian");
    let codename = release.lines().find_map(|line| line.strip_prefix("VERSION_CODENAME=")).expect("its name");

    let folder = tempfile::tempdir().expect("a temporary folder");
    let clean = folder.path().join("clean");
    done("debootstrap", Command::new("debootstrap").args(["--variant=minbase", codename]).arg(&clean));
    inside(&clean, "apt-get update -q");
    done("cp", Command::new("cp").arg(&package).arg(clean.join("tmp/resonance.deb")));
    // What it needs beside itself comes with it.
    inside(&clean, "apt-get install -y -q --no-install-recommends /tmp/resonance.deb");
    starts(&clean, "/usr/bin/resonance");
    let files = inside(&clean, "dpkg -L resonance");
    for file in [
        "man1/resonance.1.gz",
        "bash-completion/completions/resonance",
        "vendor-completions/_resonance",
        "vendor_completions.d/resonance.fish",
        "applications/resonance.desktop",
        "doc/resonance/README.md",
        "doc/resonance/copyright",
    ] {
        // The bare system leaves documentation out when it unpacks: the list of files is what counts.
        assert!(files.contains(file), "{file} is in the package:\n{files}");
    }
    inside(&clean, "apt-get remove -y -q resonance; test ! -e /usr/bin/resonance");

    done(
        "tar",
        Command::new("tar")
            .arg("-xzf")
            .arg(&tarball)
            .arg("-C")
            .arg(clean.join("usr/local"))
            .arg("--strip-components=1"),
    );
    starts(&clean, "/usr/local/bin/resonance");
    for file in ["man/man1/resonance.1.gz", "zsh/site-functions/_resonance", "applications/resonance.desktop"] {
        assert!(clean.join("usr/local/share").join(file).is_file(), "{file} is in the tarball");
    }
    let size = |file: &Path| std::fs::metadata(file).map_or(0, |metadata| metadata.len()) / 1_000;
    say(&format!("{TEST}: package {} kB, tarball {} kB, in a bare {codename}", size(&package), size(&tarball)));
}
