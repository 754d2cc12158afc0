//! The man page and the completions, judged by the programs that read them.

use crate::support::process::run;
use crate::support::{has_tool, skip};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(10);

fn written(folder: &tempfile::TempDir, name: &str, arguments: &[&str]) -> PathBuf {
    let printed = run(arguments, PATIENCE);
    assert_eq!(printed.code, Some(0), "{}", printed.stderr);
    let file = folder.path().join(name);
    std::fs::write(&file, printed.stdout).expect("writable");
    file
}

#[test]
fn the_man_page_lints_clean() {
    if !has_tool("mandoc") {
        return skip("manual::the_man_page_lints_clean", "mandoc is missing");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let page = written(&folder, "resonance.1", &["man"]);
    let lint = Command::new("mandoc").args(["-T", "lint", "-W", "warning"]).arg(&page).output().expect("mandoc runs");
    let found = String::from_utf8_lossy(&lint.stdout).into_owned();
    assert!(lint.status.success() && found.is_empty(), "{found}");
    let source = std::fs::read_to_string(&page).expect("it was written");
    assert!(source.contains("EXIT STATUS") && source.contains("resonance ctl"), "{source}");
}

/// Bash is asked as a person asks it: what follows `resonance cr`?
#[test]
fn bash_completes_commands_and_options() {
    if !has_tool("bash") {
        return skip("manual::bash_completes_commands_and_options", "bash is missing");
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let script = written(&folder, "resonance.bash", &["completions", "bash"]);
    let complete = |words: &[&str]| {
        let last = words.len() - 1;
        let ask = format!(
            "source '{}'; COMP_WORDS=({}); COMP_CWORD={last}; _resonance resonance '{}' '{}'; printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            script.display(),
            words.iter().map(|word| format!("'{word}'")).collect::<Vec<_>>().join(" "),
            words[last],
            words[last - 1],
        );
        let output = Command::new("bash").args(["-c", &ask]).output().expect("bash runs");
        String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete(&["resonance", "cr"]), ["create"]);
    assert_eq!(complete(&["resonance", "join", "--pl"]), ["--plain"]);
    assert_eq!(complete(&["resonance", "config", "i"]), ["init"]);
}

#[test]
fn the_other_shells_can_read_their_completions() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (shell, check) in [("zsh", "-n"), ("fish", "--no-execute")] {
        if !has_tool(shell) {
            skip("manual::the_other_shells_can_read_their_completions", &format!("{shell} is missing"));
            continue;
        }
        let script = written(&folder, shell, &["completions", shell]);
        let read = Command::new(shell).arg(check).arg(script).output().expect("it runs");
        assert!(read.status.success() && read.stderr.is_empty(), "{shell}: {}", String::from_utf8_lossy(&read.stderr));
    }
}
