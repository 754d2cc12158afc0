//! `--no-direct`: what it takes to start, and what a person is told that it does not do.

use super::Failure;
use super::call::Goal;
use crate::cli::Common;
use crate::session::notice::Notice;

/// Whether `--no-direct` can be kept with the other options.
///
/// # Errors
/// Without a helper nobody could be reached.
pub fn check(common: &Common) -> Result<(), Failure> {
    if common.no_direct && common.helper.is_empty() {
        return Err(Failure::Usage(
            "--no-direct needs a helper to go through, or nobody could be reached: name one with --helper MULTIADDR, \
             or leave --no-direct out and let the others see your address."
                .to_owned(),
        ));
    }
    Ok(())
}

/// Whether `--no-direct` can be kept in such a session.
///
/// # Errors
/// A room on the local network is found by showing addresses there.
pub fn check_goal(common: &Common, goal: &Goal) -> Result<(), Failure> {
    match goal {
        Goal::Lan(_) if common.no_direct => Err(Failure::Usage(
            "--no-direct does not go with a room on this network, whose people find each other by their addresses: \
             make or join a session with a link instead."
                .to_owned(),
        )),
        _ => Ok(()),
    }
}

/// What stays on the screen: one line, also in a small window.
pub const REMINDER: &str = "--no-direct: only --helper sees your address.";

/// What has to be known.
pub fn warnings(common: &Common) -> Vec<Notice> {
    let named = if common.bootstrap.is_empty() { "--helper" } else { "--helper and --bootstrap" };
    vec![Notice::Warning {
        code: "helper_sees_address",
        message: format!("Whoever is behind {named} sees your address."),
        hint: "Nobody else in the session does. Name only helpers that may know where you are.".to_owned(),
    }]
}

/// A member is connected directly, which only one at an address that was named on the command line can be.
pub fn seen_by(name: &str) -> Notice {
    Notice::Warning {
        code: "member_sees_address",
        message: format!("{name} is behind an address that you gave, and sees yours."),
        hint: "A helper that is no member of the session would be the only one to see it.".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::{Action, Cli};
    use clap::Parser;

    fn common(arguments: &[&str]) -> Common {
        let cli = Cli::try_parse_from([&["resonance", "create"], arguments].concat()).expect("a command line");
        match cli.action {
            Some(Action::Create { common, .. }) => common,
            _ => panic!("create"),
        }
    }

    #[test]
    fn nobody_is_promised_what_cannot_be_kept() {
        let helper = ["--no-direct", "--helper", "/ip4/192.0.2.1/tcp/4001"];
        assert!(check(&common(&[])).is_ok() && check(&common(&helper)).is_ok());
        assert!(matches!(check(&common(&helper[..1])), Err(Failure::Usage(why)) if why.contains("--helper")));
        let bootstrap = ["--no-direct", "--bootstrap", "/ip4/192.0.2.1/tcp/4001"];
        assert!(check(&common(&bootstrap)).is_err(), "a member is no helper");
        let create = Goal::Create { hints: true, expires_in: None };
        assert!(check_goal(&common(&helper), &create).is_ok());
        assert!(REMINDER.len() <= 55, "one line of a window of 60 columns");
        assert!(check_goal(&common(&helper), &Goal::Lan("den".to_owned())).is_err());
        assert!(check_goal(&common(&[]), &Goal::Lan("den".to_owned())).is_ok());
        let listens = ["resonance", "create", "--no-direct", "--listen", "/ip4/0.0.0.0/tcp/1"];
        assert!(Cli::try_parse_from(listens).is_err(), "who listens can be found");
    }
}
