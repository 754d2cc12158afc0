//! The sealed file: read with bounds, written whole or not at all, never overwritten when it is damaged.

use crate::folders;
use resonance_protocol::identity_file::{KeptIdentity, OpenError};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

/// The folder in which one identity lies: ours alone, so that its rights can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Store {
    folder: PathBuf,
}

/// Only one program at a time may change the identity; the lock goes with this value.
#[derive(Debug)]
pub struct Lock(#[expect(dead_code, reason = "an open file is the lock")] File);

/// Why the identity cannot be had or changed. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is no home folder to keep it in.
    #[error("There is no folder to keep an identity in: set HOME, or name one with --data-dir.")]
    NoFolder,
    /// None is kept.
    #[error("There is no kept identity. `resonance identity create` makes one.")]
    Missing,
    /// One is kept already.
    #[error(
        "There is a kept identity already: `resonance identity show` tells about it. `identity import FILE --replace` sets it \
         aside, `identity forget` removes it."
    )]
    Exists,
    /// Something is in the way of a copy.
    #[error("{} is there already and was left as it is: name another file.", .0.display())]
    Occupied(PathBuf),
    /// Another program has it open.
    #[error("The kept identity is in use by another resonance. Leave that session, or use --ephemeral here.")]
    InUse,
    /// It was damaged and lies elsewhere now.
    #[error(
        "The identity file was damaged. It was set aside as {}. Bring a copy back with `resonance identity import FILE`, or make \
         a new one.", .0.display()
    )]
    Damaged(PathBuf),
    /// There was one that was damaged, and nothing has been done about it.
    #[error(
        "Your identity file was damaged and is set aside as {}. Bring a copy back with `resonance identity import FILE`, make a new \
         one with `identity create`, or go without one: --ephemeral.", .0.display()
    )]
    WasDamaged(PathBuf),
    /// It does not open; it stays where it is.
    #[error("The identity cannot be opened: {0}.")]
    Closed(OpenError),
    /// The file system refuses.
    #[error("{}: {error}.", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What it says.
        error: std::io::Error,
    },
}

impl Store {
    const DAMAGED: &str = "identity.damaged-";

    /// The identity in `data_dir`, or in the user's own data folder.
    ///
    /// # Errors
    /// [`StoreError::NoFolder`].
    pub fn new(data_dir: Option<&Path>) -> Result<Self, StoreError> {
        let data = data_dir.map(Path::to_owned).or_else(folders::data).ok_or(StoreError::NoFolder)?;
        Ok(Self { folder: data.join("identity") })
    }

    /// Where the sealed file lies, if there is one.
    pub fn file(&self) -> PathBuf {
        self.folder.join("identity.sealed")
    }

    /// Whether an identity is kept here.
    pub fn exists(&self) -> bool {
        self.file().symlink_metadata().is_ok()
    }

    /// What was set aside because it was damaged, the newest, while nothing has taken its place.
    pub fn damaged(&self) -> Option<PathBuf> {
        let entries = fs::read_dir(&self.folder).ok().filter(|_| !self.exists())?;
        let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let damaged =
            |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(Self::DAMAGED));
        paths.filter(damaged).max()
    }

    /// Makes sure that nobody else changes it meanwhile.
    ///
    /// # Errors
    /// [`StoreError::InUse`], or what the file system says.
    pub fn lock(&self) -> Result<Lock, StoreError> {
        self.make_folder()?;
        let path = self.folder.join("lock");
        let open = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
        let file = open.map_err(at(&path))?;
        match file.try_lock() {
            Ok(()) => Ok(Lock(file)),
            Err(fs::TryLockError::WouldBlock) => Err(StoreError::InUse),
            Err(fs::TryLockError::Error(error)) => Err(StoreError::Io { path, error }),
        }
    }

    fn make_folder(&self) -> Result<(), StoreError> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(at(&self.folder))?;
        // It may have been there, with wider rights.
        fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700)).map_err(at(&self.folder))
    }

    /// The file's bytes.
    ///
    /// # Errors
    /// [`StoreError::Missing`], or what the file system says.
    pub fn read(&self) -> Result<Vec<u8>, StoreError> {
        match read_bounded(&self.file()) {
            Err(StoreError::Io { error, .. }) if error.kind() == ErrorKind::NotFound => Err(StoreError::Missing),
            other => other,
        }
    }

    /// Opens the identity. Takes a moment (Argon2id). A damaged file is set aside under another name.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(&self, passphrase: &str) -> Result<KeptIdentity, StoreError> {
        match KeptIdentity::open(&self.read()?, passphrase) {
            Ok(identity) => Ok(identity),
            Err(OpenError::Damaged) => Err(StoreError::Damaged(self.set_aside("damaged")?)),
            Err(error) => Err(StoreError::Closed(error)),
        }
    }

    /// Gives the file another name, `identity.WHY-TIME`, that nothing has yet.
    ///
    /// # Errors
    /// What the file system says.
    pub fn set_aside(&self, why: &str) -> Result<PathBuf, StoreError> {
        let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        for number in 0..100 {
            let aside = self.folder.join(format!("identity.{why}-{seconds}-{number}"));
            // A hard link never takes the place of another file; renaming does.
            match fs::hard_link(self.file(), &aside) {
                Ok(()) => {
                    fs::remove_file(self.file()).map_err(at(&self.file()))?;
                    self.sync_folder()?;
                    return Ok(aside);
                }
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(StoreError::Io { path: aside, error }),
            }
        }
        Err(StoreError::Exists)
    }

    /// Puts these bytes in place of the old ones: a crash leaves the old or the new file, and never half of one.
    ///
    /// # Errors
    /// What the file system says.
    pub fn write(&self, bytes: &[u8]) -> Result<(), StoreError> {
        self.make_folder()?;
        let beside = self.folder.join("identity.new");
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(StoreError::Io { path: beside, error }),
            _ => {}
        }
        write_new(&beside, bytes)?;
        fs::rename(&beside, self.file()).map_err(at(&self.file()))?;
        self.sync_folder()
    }

    fn sync_folder(&self) -> Result<(), StoreError> {
        File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(at(&self.folder))
    }

    /// Removes the identity and everything that was set aside; gives the names of the files that are gone.
    ///
    /// # Errors
    /// What the file system says.
    pub fn forget(&self) -> Result<Vec<PathBuf>, StoreError> {
        let mut gone = Vec::new();
        for entry in fs::read_dir(&self.folder).map_err(at(&self.folder))? {
            let path = entry.map_err(at(&self.folder))?.path();
            if path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("identity.")) {
                fs::remove_file(&path).map_err(at(&path))?;
                gone.push(path);
            }
        }
        self.sync_folder()?;
        gone.sort();
        Ok(gone)
    }
}

/// Reads a file that is no longer than an identity's can be.
///
/// # Errors
/// What the file system says.
pub fn read_bounded(path: &Path) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::new();
    // One byte more than allowed is enough for the parser to see that it is too long.
    let bound = KeptIdentity::MAX_FILE as u64 + 1;
    File::open(path).and_then(|file| file.take(bound).read_to_end(&mut bytes)).map_err(at(path))?;
    Ok(bytes)
}

/// Writes a file that was not there before, readable by its owner alone.
///
/// # Errors
/// What the file system says.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    let mut file = match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => return Err(StoreError::Occupied(path.to_owned())),
        opened => opened.map_err(at(path))?,
    };
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(at(path))
}

fn at(path: &Path) -> impl FnOnce(std::io::Error) -> StoreError + use<> {
    let path = path.to_owned();
    move |error| StoreError::Io { path, error }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::SeedableRng;
    use rand::rngs::StdRng;

    fn sealed(passphrase: &str) -> (KeptIdentity, Vec<u8>) {
        let mut rng = StdRng::seed_from_u64(1);
        let identity = KeptIdentity::generate("Ada", &mut rng);
        let bytes = identity.seal(passphrase, &mut rng).expect("sealed");
        (identity, bytes)
    }

    fn mode(path: &Path) -> u32 {
        path.metadata().map_or(0, |metadata| metadata.permissions().mode() & 0o777)
    }

    #[test]
    fn what_is_kept_is_for_its_owner_alone_and_comes_back() -> Result<(), StoreError> {
        let data = tempfile::tempdir().expect("a folder");
        fs::create_dir(data.path().join("identity")).expect("a folder with wider rights");
        let store = Store::new(Some(data.path()))?;
        assert!(matches!(store.read(), Err(StoreError::Missing)) && !store.exists());
        let (identity, bytes) = sealed("p");
        store.write(b"an older one")?;
        store.write(&bytes)?;
        assert_eq!((mode(&store.file()), mode(&store.folder)), (0o600, 0o700));
        assert_eq!(store.open("p")?.public(), identity.public());
        assert!(matches!(store.open("q"), Err(StoreError::Closed(OpenError::Refused))) && store.exists());
        assert_eq!(fs::read_dir(&store.folder).map_or(0, Iterator::count), 1, "nothing lies beside it");
        Ok(())
    }

    #[test]
    fn a_damaged_file_is_set_aside_whole_and_never_overwritten() -> Result<(), StoreError> {
        let data = tempfile::tempdir().expect("a folder");
        let store = Store::new(Some(data.path()))?;
        let (_, mut bytes) = sealed("p");
        bytes[100] ^= 1;
        let mut asides = Vec::new();
        for _ in 0..2 {
            store.write(&bytes)?;
            let Err(StoreError::Damaged(aside)) = store.open("p") else { panic!("it is damaged") };
            assert!(!store.exists());
            asides.push(aside);
        }
        assert_ne!(asides[0], asides[1]);
        assert_eq!(store.damaged().as_ref(), asides.iter().max());
        assert!(asides.iter().all(|aside| read_bounded(aside).is_ok_and(|kept| kept == bytes)));
        store.write(b"a new one")?;
        assert_eq!(store.damaged(), None, "something has taken its place");
        assert_eq!(store.forget()?.len(), 3, "only forgetting removes them");
        assert_eq!(store.damaged(), None);
        Ok(())
    }

    #[test]
    fn one_program_at_a_time() -> Result<(), StoreError> {
        let data = tempfile::tempdir().expect("a folder");
        let store = Store::new(Some(data.path()))?;
        let lock = store.lock()?;
        assert!(matches!(store.lock(), Err(StoreError::InUse)));
        drop(lock);
        store.lock().map(drop)
    }

    /// A write that cannot happen leaves the old file as it was.
    #[test]
    fn a_full_or_closed_disk_loses_nothing() -> Result<(), StoreError> {
        let data = tempfile::tempdir().expect("a folder");
        let store = Store::new(Some(data.path()))?;
        store.write(b"old")?;
        // Something in the way of the new file, that cannot be removed as a file.
        fs::create_dir(store.folder.join("identity.new")).expect("a folder");
        assert!(matches!(store.write(b"new"), Err(StoreError::Io { .. })));
        assert_eq!(store.read()?, b"old");
        Ok(())
    }
}
