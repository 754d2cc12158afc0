//! What other programs ask of a session by its control socket, answered.

use super::call::Call;
use super::control::{Answer, Method, Request, Server, Talk};
use crate::command::{self, Command};
use crate::headless;
use crate::session::notice::Notice;
use crate::session::view::{Connection, Invite, PeerView, Trust, View};
use serde_json::{Value, json};

/// Waits for the next request; for ever where there is no socket.
pub async fn next(server: &mut Option<Server>) -> Option<Request> {
    match server {
        Some(server) => server.next().await,
        None => std::future::pending().await,
    }
}

/// Does what is asked.
pub fn answer(call: &mut Call, method: Method) -> Answer {
    match method {
        Method::Run(line) => run(call, &line),
        Method::Talk(talk) => {
            let open = match talk {
                Talk::On => true,
                Talk::Off => false,
                Talk::Toggle => call.view().me.muted,
            };
            call.command(if open { Command::Unmute } else { Command::Mute });
            Ok(json!({ "open": open }))
        }
        Method::State => Ok(state(&call.view())),
    }
}

fn run(call: &mut Call, line: &str) -> Answer {
    let command = command::parse(line).map_err(|error| format!("{error}."))?;
    let before = call.waiting();
    call.command(command);
    let failed = call.told_since(before).find_map(|notice| match notice {
        Notice::Error { message, hint, .. } => Some(format!("{message} {hint}")),
        _ => None,
    });
    match failed {
        Some(why) => Err(why),
        None => Ok(call.told_since(before).map(event).collect()),
    }
}

fn event(notice: &Notice) -> Value {
    let (event, mut fields) = headless::fields(notice);
    fields["event"] = json!(event);
    fields
}

fn state(view: &View) -> Value {
    let (link, room) = match &view.invite {
        Invite::Link(link) => (Some(link), None),
        Invite::Lan { room } => (None, Some(room)),
    };
    let people: Vec<Value> = view.peers.iter().map(person).collect();
    json!({
        "me": view.me.id, "name": view.me.name, "open": !view.me.muted, "deafened": view.me.deafened,
        "recording": view.me.recording,
        "speaking": view.me.speaking, "input": view.me.input, "output": view.me.output,
        "link": link, "room": room, "locked": view.admission.locked, "session_safety_number": view.session_number.number,
        "people": people, "problems": view.problems, "reduced": view.reduced,
    })
}

fn person(peer: &PeerView) -> Value {
    let trust = match peer.trust {
        Trust::Verified => "verified",
        Trust::NotVerified => "not_verified",
        Trust::Changed => "changed",
    };
    let connection = match peer.connection {
        Connection::Connecting => "connecting",
        Connection::Reconnecting { .. } => "reconnecting",
        _ => "connected",
    };
    json!({
        "peer": peer.id, "name": peer.name, "speaking": peer.speaking, "muted": peer.muted, "deafened": peer.deafened,
        "recording": peer.recording,
        "trust": trust, "connection": connection, "host": peer.host,
    })
}
