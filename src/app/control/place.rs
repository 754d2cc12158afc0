//! Where control sockets lie: a folder for their owner alone, one socket for each running program.

use crate::folders;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The folder: `run` in `data_dir`, else the user's folder for what runs.
pub fn folder(data_dir: Option<&Path>) -> Option<PathBuf> {
    data_dir.map(|data_dir| data_dir.join("run")).or_else(folders::runtime)
}

/// Makes the folder, and makes sure that nobody else can look into it.
pub fn make(folder: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700))
}

/// The socket of the program with this process id.
pub fn socket(folder: &Path, process: u32) -> PathBuf {
    folder.join(format!("{process}.sock"))
}

/// All sockets in the folder, the newest first.
pub fn sockets(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let made =
        |path: &PathBuf| fs::metadata(path).and_then(|metadata| metadata.modified()).unwrap_or(SystemTime::UNIX_EPOCH);
    let mut found: Vec<PathBuf> =
        entries.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|end| end == "sock")).collect();
    found.sort_by_key(|path| std::cmp::Reverse(made(path)));
    found
}
