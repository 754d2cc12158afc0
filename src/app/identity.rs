//! Kept identities on the command line: `resonance identity …`, and which identity a session goes by.

use super::Failure;
use crate::cli::{Common, IdentityAction, Kept};
use crate::identities::manage::{self, Replace, Sure};
use crate::identities::prompt::{self, PromptError};
use crate::identities::store::StoreError;
use crate::identities::{Keeper, Store};
use crate::session::text;
use crate::settings::Settings;
use std::io::Write;
use std::sync::Arc;

/// How often a passphrase may be mistyped.
const TRIES: usize = 3;

impl From<PromptError> for Failure {
    fn from(error: PromptError) -> Self {
        Failure::Usage(error.to_string())
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Failure::Usage(error.to_string())
    }
}

/// Carries out `resonance identity …`.
///
/// # Errors
/// In words that say what to do.
pub fn run(what: &IdentityAction) -> Result<(), Failure> {
    let store = |kept: &Kept| Store::new(kept.data_dir.as_deref());
    let file = |kept: &Kept| kept.passphrase_file.clone();
    match what {
        IdentityAction::Create { name, kept } => {
            let name = Settings::load(None, kept.data_dir.as_deref()).name_or_default(name.as_deref());
            let name = text::name(&name, "someone");
            Ok(manage::create(&store(kept)?, &name, file(kept).as_deref())?)
        }
        IdentityAction::Show { kept } => Ok(manage::show(&store(kept)?, file(kept).as_deref())?),
        IdentityAction::Export { to, data_dir } => Ok(manage::export(&Store::new(data_dir.as_deref())?, to)?),
        IdentityAction::Import { from, replace, kept } => {
            let replace = if *replace { Replace::Yes } else { Replace::No };
            Ok(manage::import(&store(kept)?, from, replace, file(kept).as_deref())?)
        }
        IdentityAction::Forget { yes, data_dir } => {
            let sure = if *yes { Sure::Yes } else { Sure::Ask };
            Ok(manage::forget(&Store::new(data_dir.as_deref())?, sure)?)
        }
    }
}

/// The identity that a session goes by: the kept one, if there is one and nothing else was asked for. Asks for its passphrase
/// while the terminal is still an ordinary one, so that the work of opening it freezes no screen.
///
/// # Errors
/// When the kept one does not open: nobody goes by another identity without having said so.
pub fn for_session(common: &Common) -> Result<Option<Arc<Keeper>>, Failure> {
    if common.ephemeral {
        return Ok(None);
    }
    let file = common.passphrase_file.as_deref();
    let store = Store::new(common.data_dir.as_deref());
    if let Some(aside) = store.as_ref().ok().and_then(Store::damaged) {
        return Err(StoreError::WasDamaged(aside).into());
    }
    let store = match store {
        Ok(store) if store.exists() => store,
        _ if file.is_some() => return Err(StoreError::Missing.into()),
        _ => return Ok(None),
    };
    if common.headless && file.is_none() {
        return Err(Failure::Usage(
            "A kept identity is here: --passphrase-file FILE opens it, --ephemeral goes without it.".to_owned(),
        ));
    }
    for left in (0..TRIES).rev() {
        let passphrase = prompt::passphrase("Passphrase of your identity (--ephemeral goes without it): ", file)?;
        match Keeper::open(store.clone(), passphrase) {
            Ok(keeper) => return Ok(Some(Arc::new(keeper))),
            Err(error) if manage::may_be_mistyped(&error) && left > 0 && file.is_none() => {
                let _ = writeln!(std::io::stderr(), "{error}");
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// Waits until everybody who was met is written down.
pub fn close(keeper: Option<Arc<Keeper>>) {
    let Some(keeper) = keeper else { return };
    keeper.settle();
    if let Some(failure) = keeper.poll_failure() {
        let _ = writeln!(std::io::stderr(), "resonance: Whom you met could not be written down: {failure}");
    }
}
