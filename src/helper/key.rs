//! The helper's name, kept: people write its address into their settings, and the name is part of it.

use crate::folders;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rand::TryRng;
use rand::rngs::SysRng;
use zeroize::Zeroizing;

/// The file's name in the helper's folder.
const FILE: &str = "helper.key";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// There is no home folder to keep it in.
    #[error("There is no folder to keep the helper's key in: set HOME, or name one with --data-dir.")]
    NoFolder,
    /// The file is no key.
    #[error("{} is damaged. Bring back a copy, or remove it: the helper gets a new name then, and others its new address.", .0.display())]
    Damaged(PathBuf),
    /// The file system refuses.
    #[error("{}: {error}.", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What it says.
        error: io::Error,
    },
}

/// Reads the kept key in `data_dir`, or in the service's or the user's own folder; the first time one is made.
///
/// # Errors
/// See [`KeyError`].
pub fn kept(data_dir: Option<&Path>) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let folder = data_dir.map(Path::to_owned).or_else(folders::service).ok_or(KeyError::NoFolder)?;
    let path = folder.join(FILE);
    match read(&path) {
        Err(KeyError::Io { error, .. }) if error.kind() == ErrorKind::NotFound => make(&folder, &path),
        other => other,
    }
}

fn read(path: &Path) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(64));
    File::open(path).and_then(|file| file.take(33).read_to_end(&mut bytes)).map_err(at(path))?;
    let key = <[u8; 32]>::try_from(&bytes[..]).map_err(|_| KeyError::Damaged(path.to_owned()))?;
    Ok(Zeroizing::new(key))
}

/// Written beside and linked into place: a crash leaves no half a key, and of two that start at once one wins.
fn make(folder: &Path, path: &Path) -> Result<Zeroizing<[u8; 32]>, KeyError> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(at(folder))?;
    let mut key = Zeroizing::new([0; 32]);
    SysRng
        .try_fill_bytes(&mut key[..])
        .map_err(|error| KeyError::Io { path: path.to_owned(), error: io::Error::other(error) })?;
    let beside = folder.join(format!("{FILE}.new-{}", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&beside)
        .and_then(|mut file| file.write_all(&key[..]).and_then(|()| file.sync_all()))
        .and_then(|()| match fs::hard_link(&beside, path) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => Ok(()),
        });
    // Gone in any case; what matters was said above.
    let _ = fs::remove_file(&beside);
    written.and_then(|()| File::open(folder)?.sync_all()).map_err(at(path))?;
    read(path)
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> KeyError + use<> {
    let path = path.to_owned();
    move |error| KeyError::Io { path, error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_for_its_owner_alone_and_a_damaged_one_is_left() {
        let data = tempfile::tempdir().unwrap();
        let folder = data.path().join("new");
        let first = kept(Some(&folder)).unwrap();
        assert_eq!(kept(Some(&folder)).unwrap(), first);
        assert_ne!(kept(Some(data.path())).unwrap(), first);
        let path = folder.join(FILE);
        assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 1, "nothing lies beside it");
        for damaged in [&b""[..], &[7; 31], &[7; 33]] {
            fs::write(&path, damaged).unwrap();
            assert!(matches!(kept(Some(&folder)), Err(KeyError::Damaged(_))));
            assert_eq!(fs::read(&path).unwrap(), damaged);
        }
    }
}
