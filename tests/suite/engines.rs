//! The optional engines: whoever names a place for one is told when there is nothing.

use crate::support::root;
use std::path::Path;
use std::process::Command;

/// What the script would build with, and what it says. Where a folder is named, nothing is looked for elsewhere.
fn build_with(phonon: &Path) -> (String, String) {
    let output = Command::new("bash")
        .args(["scripts/engines.sh", "build"])
        .current_dir(root())
        .env("CARGO", "echo")
        .env("LIBCLANG_PATH", "/somewhere")
        .env("STEAMAUDIO_LIB_DIR", phonon)
        .output()
        .expect("bash runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_folder_that_has_no_steam_audio_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for place in [folder.path(), Path::new("")] {
        let (built, told) = build_with(place);
        let why = format!("STEAMAUDIO_LIB_DIR is set to '{}', where there is no libphonon", place.display());
        assert!(told.contains("Not built in: Steam Audio") && told.contains(&why), "{told}");
        assert!(!built.contains("steam-audio"), "{built}");
    }
    std::fs::write(folder.path().join("libphonon.so"), "").expect("writable");
    let (built, told) = build_with(folder.path());
    assert!(told.contains("Built in: Steam Audio") && built.contains("steam-audio"), "{told}{built}");
}
