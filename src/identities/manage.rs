//! `resonance identity …`: making, looking at, copying and forgetting a kept identity.

use super::prompt::{self, PromptError};
use super::store::{self, Store, StoreError};
use rand::SeedableRng;
use rand::rngs::{StdRng, SysRng};
use resonance_protocol::contacts::Contact;
use resonance_protocol::identity::IdentityPublic;
use resonance_protocol::identity_file::{KeptIdentity, OpenError};
use std::io::Write;
use std::path::Path;

/// Makes an identity that is kept from now on.
///
/// # Errors
/// When there is one already, or what [`PromptError`] says.
pub fn create(store: &Store, name: &str, passphrase_file: Option<&Path>) -> Result<(), PromptError> {
    let _lock = store.lock()?;
    if store.exists() {
        return Err(StoreError::Exists.into());
    }
    let passphrase = prompt::new_passphrase(passphrase_file)?;
    let mut rng = StdRng::try_from_rng(&mut SysRng).map_err(|error| PromptError::NotMade(error.to_string()))?;
    let identity = KeptIdentity::generate(name, &mut rng);
    let sealed = identity.seal(&passphrase, &mut rng);
    store.write(&sealed.map_err(|error| PromptError::NotMade(error.to_string()))?)?;
    say(&format!(
        "Made. You are {}, known by {}.\nSealed under your passphrase in {}: without the passphrase nobody can use it, you included. \
         Keep a copy: resonance identity export FILE",
        identity.name,
        identity.public().fingerprint(),
        store.file().display()
    ));
    Ok(())
}

/// Tells who one is and who was met.
///
/// # Errors
/// [`PromptError`].
pub fn show(store: &Store, passphrase_file: Option<&Path>) -> Result<(), PromptError> {
    // Before there is a folder for the lock: looking leaves nothing behind.
    store.read()?;
    let _lock = store.lock()?;
    let identity = store.open(&prompt::passphrase("Passphrase of your identity: ", passphrase_file)?)?;
    say(&format!("{}   {}\n{}", identity.name, identity.public().fingerprint(), store.file().display()));
    let mut contacts: Vec<(&IdentityPublic, &Contact)> = identity.contacts.iter().collect();
    contacts.sort_by_key(|(_, contact)| std::cmp::Reverse(contact.last_met));
    if contacts.is_empty() {
        say("Nobody was met yet who keeps an identity, too.");
    }
    for (key, contact) in contacts {
        let mark = if contact.verified { "verified" } else { "not verified" };
        let [first, last] = [contact.first_met, contact.last_met].map(date);
        say(&format!("  {}   {mark}   first met {first}, last {last}   {}", contact.name, key.fingerprint()));
    }
    Ok(())
}

/// Copies the sealed file.
///
/// # Errors
/// [`StoreError`]; a file that is there already is left as it is.
pub fn export(store: &Store, to: &Path) -> Result<(), StoreError> {
    store::write_new(to, &store.read()?)?;
    say(&format!("Copied to {}, sealed under the same passphrase.", to.display()));
    Ok(())
}

/// Takes a copy in, if its passphrase is known.
///
/// # Errors
/// [`PromptError`]; when there is one already it stays, unless it is to be `replaced`: then it is set aside.
pub fn import(store: &Store, from: &Path, replace: Replace, passphrase_file: Option<&Path>) -> Result<(), PromptError> {
    let _lock = store.lock()?;
    if store.exists() && replace == Replace::No {
        return Err(StoreError::Exists.into());
    }
    let bytes = store::read_bounded(from)?;
    let passphrase = prompt::passphrase("Passphrase of the copy: ", passphrase_file)?;
    // A copy that cannot be opened is no use: better to learn that now, while the old one is there.
    let identity = KeptIdentity::open(&bytes, &passphrase).map_err(StoreError::Closed)?;
    if store.exists() {
        say(&format!("The identity that was here is set aside as {}.", store.set_aside("replaced")?.display()));
    }
    store.write(&bytes)?;
    say(&format!("You are {} from now on, known by {}.", identity.name, identity.public().fingerprint()));
    Ok(())
}

/// Whether an identity that is there may be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// It is set aside.
    Yes,
    /// It stays.
    No,
}

/// How sure the person is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sure {
    /// Said so already.
    Yes,
    /// To be asked.
    Ask,
}

/// Removes the identity and everything that was set aside.
///
/// # Errors
/// [`PromptError`]; without a terminal to ask at it must be said beforehand.
pub fn forget(store: &Store, sure: Sure) -> Result<(), PromptError> {
    let _lock = store.lock()?;
    let question = "Forget your identity and everybody you have met? Nobody will know you by it again.";
    let agreed = sure == Sure::Yes || prompt::confirm(question) == Some(true);
    if !agreed {
        return Err(PromptError::GivenUp);
    }
    let gone = store.forget()?;
    if gone.is_empty() {
        return Err(StoreError::Missing.into());
    }
    gone.iter().for_each(|path| say(&format!("Removed {}.", path.display())));
    Ok(())
}

/// What a store's or a file's trouble means for a wrong passphrase: worth another try.
pub fn may_be_mistyped(error: &StoreError) -> bool {
    matches!(error, StoreError::Closed(OpenError::Refused))
}

/// `2026-11-24` in UTC of a time in seconds since 1970: days since 1970 to a civil date, after Howard Hinnant's `civil_from_days`.
pub fn date(unix: u64) -> String {
    let days = i64::try_from(unix / 86_400).unwrap_or(i64::MAX / 2).min(100_000_000) + 719_468;
    let era = days.div_euclid(146_097);
    let day_of_era = days.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

fn say(words: &str) {
    let _ = writeln!(std::io::stdout(), "{words}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(951_782_400), "2000-02-29");
        assert_eq!(date(1_795_484_800), "2026-11-24");
        assert!(!date(u64::MAX).is_empty());
        // Every day once, for 400 years.
        let dates: Vec<_> = (0..146_097).map(|day| date(day * 86_400)).collect();
        assert!(dates.windows(2).all(|pair| pair[0] < pair[1]));
        let parts = dates.iter().map(|date| (date[5..7].parse(), date[8..].parse()));
        assert!(parts.into_iter().all(|parts| matches!(parts, (Ok(1..=12_u32), Ok(1..=31_u32)))));
    }

    #[test]
    fn an_identity_is_made_copied_replaced_and_forgotten() {
        let data = tempfile::tempdir().expect("a folder");
        let at = |name: &str| data.path().join(name);
        let passphrase = at("passphrase");
        std::fs::write(&passphrase, "correct horse\n").expect("written");
        let store = Store::new(Some(&at("one"))).expect("a folder");
        assert!(create(&store, "Ada", Some(&passphrase)).is_ok());
        assert!(matches!(create(&store, "Bo", Some(&passphrase)), Err(PromptError::Store(StoreError::Exists))));
        assert!(show(&store, Some(&passphrase)).is_ok());
        assert!(export(&store, &at("copy")).is_ok());
        let again = export(&store, &at("copy"));
        assert!(matches!(again, Err(StoreError::Occupied(_))), "a copy does not overwrite anything");

        let other = Store::new(Some(&at("two"))).expect("a folder");
        assert!(import(&other, &at("copy"), Replace::No, Some(&passphrase)).is_ok());
        assert_eq!(other.read().ok(), store.read().ok(), "the same sealed bytes");
        assert!(import(&other, &at("copy"), Replace::No, Some(&passphrase)).is_err());
        std::fs::write(&passphrase, "wrong\n").expect("written");
        let wrong = import(&other, &at("copy"), Replace::Yes, Some(&passphrase));
        assert!(matches!(&wrong, Err(PromptError::Store(error)) if may_be_mistyped(error)));
        assert!(other.exists(), "what cannot be opened replaces nothing");
        std::fs::write(&passphrase, "correct horse\n").expect("written");
        assert!(import(&other, &at("copy"), Replace::Yes, Some(&passphrase)).is_ok());
        assert!(forget(&other, Sure::Yes).is_ok() && !other.exists());
        assert!(matches!(forget(&other, Sure::Yes), Err(PromptError::Store(StoreError::Missing))));
        if !std::io::IsTerminal::is_terminal(&std::io::stdin()) {
            assert!(forget(&store, Sure::Ask).is_err() && store.exists(), "nobody was there to be asked");
        }
    }
}
