//! `resonance ctl`: asks a running session.

use super::super::Failure;
use super::{MAX_LINE, Method, Talk, place};
use crate::cli::Ctl;
use serde_json::Value;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Longer than a session that is alive ever takes to answer.
const PATIENCE: Duration = Duration::from_secs(5);

/// Carries out `resonance ctl …`.
///
/// # Errors
/// In words: nobody there, several there, or what the session says against it.
pub fn run(what: &Ctl) -> Result<(), Failure> {
    let method = match what.words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["state"] => Method::State,
        ["ptt", "on"] => Method::Talk(Talk::On),
        ["ptt", "off"] => Method::Talk(Talk::Off),
        ["ptt", "toggle"] => Method::Talk(Talk::Toggle),
        ["ptt", ..] => return Err(Failure::Usage("ptt takes one of: on, off, toggle.".to_owned())),
        words => {
            let line = words.join(" ");
            crate::command::parse(&line).map_err(|error| Failure::Usage(format!("{error}.")))?;
            Method::Run(line)
        }
    };
    let stream = connect(what.pid, what.data_dir.as_deref())?;
    let result =
        ask(&stream, &method).map_err(|error| Failure::Other(format!("The session does not answer: {error}.")))?;
    let result = result.map_err(Failure::Other)?;
    let mut out = std::io::stdout().lock();
    let _ = match (&method, &result) {
        (Method::Talk(_), result) => {
            writeln!(out, "{}", if result["open"] == Value::Bool(true) { "open" } else { "closed" })
        }
        (_, Value::Array(events)) => events.iter().try_for_each(|event| writeln!(out, "{event}")),
        (_, result) => writeln!(out, "{result:#}"),
    };
    Ok(())
}

fn connect(process: Option<u32>, data_dir: Option<&Path>) -> Result<UnixStream, Failure> {
    let nobody = || Failure::Unreachable("No session is running here: resonance create makes one.".to_owned());
    let folder = place::folder(data_dir).ok_or_else(nobody)?;
    let places: Vec<PathBuf> = match process {
        Some(process) => vec![place::socket(&folder, process)],
        None => place::sockets(&folder),
    };
    let mut alive: Vec<(PathBuf, UnixStream)> = Vec::new();
    for path in places {
        match UnixStream::connect(&path) {
            Ok(stream) => alive.push((path, stream)),
            // Its program was killed.
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => _ = std::fs::remove_file(&path),
            Err(_) => {}
        }
    }
    if alive.len() > 1 {
        let numbers: Vec<String> =
            alive.iter().filter_map(|(path, _)| Some(path.file_stem()?.to_string_lossy().into_owned())).collect();
        let message = format!("Several sessions are running: choose one with --pid. They are {}.", numbers.join(", "));
        return Err(Failure::Usage(message));
    }
    alive.pop().map(|(_, stream)| stream).ok_or_else(nobody)
}

fn ask(stream: &UnixStream, method: &Method) -> std::io::Result<Result<Value, String>> {
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut to = stream;
    writeln!(to, "{}", method.to_json(1))?;
    let mut line = String::new();
    BufReader::new(stream.take(16 * MAX_LINE as u64)).read_line(&mut line)?;
    let reply: Value = serde_json::from_str(&line).map_err(std::io::Error::other)?;
    match reply.get("error") {
        Some(error) => Ok(Err(error["message"].as_str().unwrap_or("it was refused").to_owned())),
        None => Ok(Ok(reply.get("result").cloned().unwrap_or(Value::Null))),
    }
}
