//! Commands that look and do not talk: `devices` and `link inspect`.

use super::{Failure, unix_now};
use crate::audio::device::card::{self, Direction};
use resonance_protocol::link::Link;
use resonance_protocol::peer::Listener;
use std::io::Write;

/// Lists microphones and speakers.
pub fn devices() -> Result<(), Failure> {
    let devices = card::list();
    let mut out = std::io::stdout().lock();
    for (title, direction) in [("Microphones", Direction::Input), ("Speakers", Direction::Output)] {
        let _ = writeln!(out, "{title}:");
        let mut any = false;
        for device in devices.iter().filter(|device| device.direction == direction) {
            any = true;
            let mark = if device.is_default { "*" } else { " " };
            let _ = writeln!(out, " {mark} {}  [{}]", device.name, device.id);
        }
        if !any {
            let _ = writeln!(out, "   none found");
        }
    }
    let _ = writeln!(out, "* is used for `default`. Use a name or an [id] with --input and --output.");
    Ok(())
}

/// Says what a link contains.
pub fn link(link: &Link) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "session   {}", hex(link.keys().session_id.as_bytes()));
    let _ = writeln!(out, "made by   {} (transport identity, for this session only)", link.host);
    let _ = match link.expires {
        0 => writeln!(out, "expires   never"),
        at if at <= unix_now() => writeln!(out, "expires   has expired"),
        at => writeln!(out, "expires   in {} minutes", (at - unix_now()).div_ceil(60)),
    };
    if link.hints.is_empty() {
        let _ = writeln!(
            out,
            "addresses none: found on the same network, and over the Internet by the public network (DHT)"
        );
    }
    for hint in &link.hints {
        let word = if hint.listener == Listener::Helper { "helper " } else { "address" };
        let _ = writeln!(out, "{word}   {}", super::translate::multiaddr(hint));
    }
    let _ =
        writeln!(out, "Whoever has this link can join. It says nothing about who they are: compare safety numbers.");
    Ok(())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
