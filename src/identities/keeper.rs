//! An open identity during sessions: gives its key and contacts, and seals what has changed on a thread of its own, since that
//! takes a moment.

use super::store::{Lock, Store, StoreError};
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use resonance_protocol::contacts::ContactBook;
use resonance_protocol::identity::IdentityKey;
use resonance_protocol::identity_file::KeptIdentity;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use zeroize::Zeroizing;

/// An identity that is open until this is dropped; what was still to be written is written before.
pub struct Keeper {
    identity: KeptIdentity,
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    contacts: ContactBook,
    unsaved: bool,
    saving: bool,
    closing: bool,
    failure: Option<String>,
}

impl Shared {
    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        let outcome = act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
        outcome
    }

    fn wait_while(&self, condition: impl FnMut(&mut State) -> bool) -> std::sync::MutexGuard<'_, State> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        self.changed.wait_while(state, condition).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keeper {
    /// Opens the identity of `store`. Takes a moment (Argon2id). The passphrase stays in memory while it is open: every save is
    /// sealed under a fresh salt.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(store: Store, passphrase: Zeroizing<String>) -> Result<Self, StoreError> {
        let lock = store.lock()?;
        let identity = store.open(&passphrase)?;
        let state = State { contacts: identity.contacts.clone(), ..State::default() };
        let shared = Arc::new(Shared { state: Mutex::new(state), changed: Condvar::new() });
        let saver = Saver { shared: Arc::clone(&shared), store, identity: identity.clone(), passphrase, _lock: lock };
        let work = move || saver.run();
        let thread = std::thread::Builder::new().name("identity".to_owned()).spawn(work);
        let thread = thread.map_err(|error| StoreError::Io { path: "thread".into(), error })?;
        Ok(Self { identity, shared, thread: Some(thread) })
    }

    /// The key to sign with.
    pub fn key(&self) -> IdentityKey {
        self.identity.key()
    }

    /// The name that is kept with it.
    pub fn name(&self) -> &str {
        &self.identity.name
    }

    /// The contacts as they are now.
    pub fn contacts(&self) -> ContactBook {
        self.shared.with(|state| state.contacts.clone())
    }

    /// Keeps these contacts from now on; they are written soon. Does not wait.
    pub fn keep(&self, contacts: ContactBook) {
        self.shared.with(|state| (state.contacts, state.unsaved) = (contacts, true));
    }

    /// Why the last save failed, once. Nothing is lost: the next one carries everything.
    pub fn poll_failure(&self) -> Option<String> {
        self.shared.with(|state| state.failure.take())
    }

    /// Waits until everything is written, or has failed to be.
    pub fn settle(&self) {
        drop(self.shared.wait_while(|state| state.unsaved || state.saving));
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.shared.with(|state| state.closing = true);
        if let Some(thread) = self.thread.take() {
            // It ends by itself after the last save; had it panicked, there would be nothing to do about it here.
            let _ = thread.join();
        }
    }
}

/// The thread that seals and writes.
struct Saver {
    shared: Arc<Shared>,
    store: Store,
    identity: KeptIdentity,
    passphrase: Zeroizing<String>,
    _lock: Lock,
}

impl Saver {
    fn run(mut self) {
        loop {
            let mut state = self.shared.wait_while(|state| !state.unsaved && !state.closing);
            if !state.unsaved {
                return;
            }
            (state.unsaved, state.saving) = (false, true);
            self.identity.contacts.clone_from(&state.contacts);
            drop(state);
            let failure = self.save().err();
            self.shared.with(|state| {
                state.saving = false;
                state.failure = failure.or(state.failure.take());
            });
        }
    }

    fn save(&self) -> Result<(), String> {
        let mut rng =
            StdRng::try_from_rng(&mut SysRng).map_err(|error| format!("the system gives no randomness: {error}"))?;
        let sealed = self.identity.seal(&self.passphrase, &mut rng).map_err(|error| error.to_string())?;
        self.store.write(&sealed).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use resonance_protocol::identity::IdentityPublic;

    #[test]
    fn what_is_kept_last_is_there_the_next_time() -> Result<(), StoreError> {
        let data = tempfile::tempdir().expect("a folder");
        let store = Store::new(Some(data.path()))?;
        let mut rng = StdRng::seed_from_u64(1);
        let ada = KeptIdentity::generate("Ada", &mut rng);
        store.write(&ada.seal("p", &mut rng).expect("sealed"))?;
        let before = store.read()?;
        let open = || Keeper::open(store.clone(), Zeroizing::new("p".to_owned()));

        let keeper = open()?;
        assert!(matches!(open(), Err(StoreError::InUse)), "one at a time");
        assert!(keeper.key().public() == ada.public() && keeper.name() == "Ada");
        for times in 1..=3 {
            let mut book = keeper.contacts();
            book.meet(IdentityPublic::from_bytes([times; 32]), "Bo", u64::from(times));
            keeper.keep(book);
        }
        drop(keeper);
        let after = store.read()?;
        assert_ne!(before[20..36], after[20..36], "a fresh salt");
        let keeper = open()?;
        assert_eq!(keeper.contacts().iter().len(), 3);

        // The disk refuses: it is said, nothing is lost here, and the file is the one from before.
        std::fs::create_dir(store.file().with_file_name("identity.new")).expect("something in the way");
        keeper.keep(ContactBook::default());
        keeper.settle();
        assert!(keeper.poll_failure().is_some() && keeper.poll_failure().is_none());
        assert_eq!(store.read()?, after);
        Ok(())
    }
}
