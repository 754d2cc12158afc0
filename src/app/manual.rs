//! The man page and what a shell completes: made from the command line, the table of commands, the keys and the settings, so that they
//! cannot say anything else than the program.

use super::Failure;
use crate::cli::Cli;
use crate::command::VERBS;
use crate::settings::{Kind, SETTINGS};
use crate::ui;
use clap::{Arg, Command, CommandFactory};
use clap_complete::Shell;
use roff::{Inline, Roff, bold, italic, roman};
use std::io::Write;

/// When the page's own words were last changed.
const WRITTEN: &str = "2026-11-25";

/// Exit codes and what they mean.
const EXIT: [(&str, &str); 5] = [
    ("0", "left in good order"),
    ("1", "something else went wrong"),
    ("2", "bad usage, a bad link included"),
    ("3", "nobody answered within 30 seconds, or no session is running (ctl)"),
    ("4", "refused: full, locked, removed, expired, another version"),
];

/// Variables that are looked at.
const ENVIRONMENT: [(&str, &str); 7] = [
    ("NO_COLOR", "not empty: no colours"),
    ("COLORFGBG", "ends in 7 or 15: the background is light"),
    ("RESONANCE_ASCII", "1: draw with ASCII alone; 0: never mind the locale"),
    ("RESONANCE_NO_DHT", "not empty: as with --no-dht"),
    ("TERM", "dumb: as with --plain"),
    (
        "XDG_CONFIG_HOME, XDG_DATA_HOME, XDG_STATE_HOME, XDG_MUSIC_DIR, XDG_RUNTIME_DIR",
        "where settings, the kept identity, the last sessions, recordings and control sockets are",
    ),
    ("RUST_LOG", "what is logged, in the words of tracing-subscriber"),
];

/// Prints the man page.
///
/// # Errors
/// When nobody reads it.
pub fn print() -> Result<(), Failure> {
    page()
        .to_writer(&mut std::io::stdout().lock())
        .map_err(|error| Failure::Other(format!("It cannot be written: {error}.")))
}

/// Prints what makes a shell complete the command line.
pub fn completions(shell: Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "resonance", &mut script);
    // Whoever closes the pipe has read enough.
    let _ = std::io::stdout().lock().write_all(&script);
}

fn page() -> Roff {
    let program = Cli::command();
    let version = format!("resonance {}", env!("CARGO_PKG_VERSION"));
    let mut page = Roff::new();
    page.control("TH", ["RESONANCE", "1", WRITTEN, &version, "User Commands"]);
    section(&mut page, "NAME");
    page.text([roman("resonance - talk with a few people, end-to-end encrypted, from terminal to terminal")]);
    section(&mut page, "SYNOPSIS");
    page.text([bold("resonance"), roman(" ["), italic("COMMAND"), roman("] ["), italic("OPTION"), roman("]...")]);
    section(&mut page, "DESCRIPTION");
    page.text([roman(about(program.get_about()))]);
    page.control("PP", []);
    page.text([roman("Without a command a screen opens that offers to make a session, to join one and to meet on this network. One person makes a session and sends its link to the others. Whoever has the link can come in: compare safety numbers to know who is there.")]);
    section(&mut page, "COMMANDS");
    for command in program.get_subcommands() {
        of_command(&mut page, command, command.get_name(), &program);
    }
    section(&mut page, "OPTIONS");
    for option in shown(&program) {
        of_argument(&mut page, option);
    }
    section(&mut page, "COMMANDS IN A SESSION");
    page.text([
        roman("Typed after : on the screen, a line each with --plain and --headless, and after "),
        bold("resonance ctl"),
        roman(". PEER is an id or an unambiguous name."),
    ]);
    for verb in VERBS {
        let arguments = if verb.arguments.is_empty() { Vec::new() } else { vec![roman(" "), italic(verb.arguments)] };
        entry(&mut page, [vec![bold(verb.name)], arguments].concat(), verb.help);
    }
    section(&mut page, "KEYS");
    page.text([roman("As they come; [keys] in the settings gives them other ones.")]);
    for (name, keys, help) in ui::declared_keys() {
        entry(&mut page, vec![bold(keys.join(", ")), roman(format!(" ({name})"))], help);
    }
    settings(&mut page);
    section(&mut page, "ENVIRONMENT");
    for (variable, meaning) in ENVIRONMENT {
        entry(&mut page, vec![bold(variable)], meaning);
    }
    section(&mut page, "EXIT STATUS");
    for (code, meaning) in EXIT {
        entry(&mut page, vec![bold(code)], meaning);
    }
    section(&mut page, "FILES");
    entry(
        &mut page,
        vec![italic("~/.config/resonance/config.toml")],
        "settings; resonance config init writes one to begin with",
    );
    entry(
        &mut page,
        vec![italic("~/.local/state/resonance/recent.json")],
        "the last sessions, with their links; only with privacy.remember",
    );
    entry(&mut page, vec![italic("~/.local/share/resonance/identity")], "a kept identity, sealed under its passphrase");
    entry(
        &mut page,
        vec![italic("$XDG_RUNTIME_DIR/resonance/PID.sock")],
        "the control socket of a running session, for its owner alone",
    );
    page
}

fn settings(page: &mut Roff) {
    section(page, "SETTINGS");
    for setting in SETTINGS {
        let takes = match setting.kind {
            Kind::Choice(words) => format!(" ({})", words.join(", ")),
            Kind::Switch => " (true, false)".to_owned(),
            Kind::Text(_) => String::new(),
        };
        entry(page, vec![bold(setting.path())], &format!("{}{takes}", setting.about));
    }
}

/// A command with its own arguments, and those below it.
fn of_command(page: &mut Roff, command: &Command, name: &str, program: &Command) {
    let below: Vec<&Command> = command.get_subcommands().filter(|below| below.get_name() != "help").collect();
    if below.is_empty() {
        let mut line = vec![bold(name)];
        for argument in command.get_positionals() {
            line.extend([roman(" "), italic(value(argument))]);
        }
        entry(page, line, &about(command.get_long_about().or(command.get_about())));
        // What every session takes is told once, under OPTIONS.
        let common = |argument: &&Arg| program.get_arguments().any(|other| other.get_id() == argument.get_id());
        let own: Vec<&Arg> = shown(command).filter(|argument| !common(argument)).collect();
        if !own.is_empty() {
            page.control("RS", []);
            own.into_iter().for_each(|argument| of_argument(page, argument));
            page.control("RE", []);
        }
    }
    for command in below {
        of_command(page, command, &format!("{name} {}", command.get_name()), program);
    }
}

fn shown(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|argument| !argument.is_hide_set())
}

fn of_argument(page: &mut Roff, argument: &Arg) {
    let mut line = match argument.get_long() {
        Some(long) => vec![bold(format!("--{long}"))],
        None => vec![italic(value(argument))],
    };
    if argument.get_long().is_some() && argument.get_action().takes_values() {
        line.extend([roman(" "), italic(value(argument))]);
    }
    entry(page, line, &about(argument.get_long_help().or(argument.get_help())));
}

fn value(argument: &Arg) -> String {
    match argument.get_value_names() {
        Some([name, ..]) => name.to_string(),
        _ => argument.get_id().as_str().to_uppercase(),
    }
}

fn about(text: Option<&clap::builder::StyledStr>) -> String {
    text.map(ToString::to_string).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn section(page: &mut Roff, name: &str) {
    page.control("SH", [name]);
}

fn entry(page: &mut Roff, what: Vec<Inline>, about: &str) {
    page.control("TP", []);
    page.text(what);
    if !about.is_empty() {
        page.text([roman(about)]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_every_command_option_verb_key_and_setting() {
        let text = page().render();
        let quoted = |word: &str| word.replace('-', "\\-").replace('\'', "\\*(Aq");
        let holds = |word: &str| assert!(text.contains(&quoted(word)), "{word} is missing");
        let program = Cli::command();
        program.get_subcommands().for_each(|command| holds(command.get_name()));
        shown(&program).filter_map(Arg::get_long).for_each(|option| holds(&format!("--{option}")));
        VERBS.iter().for_each(|verb| holds(verb.help));
        ui::declared_keys().for_each(|(_, _, help)| holds(help));
        SETTINGS.iter().for_each(|setting| holds(setting.about));
    }
}
