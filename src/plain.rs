//! The linear face: one sentence a line, each change told once, commands typed a line at a time. For screen readers, braille displays and
//! terminals that cannot move their cursor: nothing is drawn, nothing is taken back.

use crate::command::VERBS;
use crate::session::notice::{AudioReport, Notice, Stats};
use crate::session::view::{Connection, PeerView, Trust, View};
use crate::ui::text;
use std::collections::BTreeMap;

/// Groups of a safety number in a line: what can be said in one breath.
const GROUPS: usize = 4;
/// People who came and went whose names are remembered: a session of eight that changes hands many times.
const MAX_NAMES: usize = 256;

/// Turns what happens into sentences.
#[derive(Default)]
pub struct Plain {
    names: BTreeMap<String, String>,
    before: Option<Remembered>,
    joined: bool,
}

/// What was told last of what has no notice of its own.
#[derive(PartialEq)]
struct Remembered {
    muted: bool,
    deafened: bool,
    /// The microphone and the speaker.
    devices: (String, String),
    problems: Vec<String>,
    reduced: &'static [&'static str],
    alarms: Vec<String>,
    peers: BTreeMap<String, (bool, bool, Trust)>,
}

impl Plain {
    /// The first lines of all.
    pub fn welcome(name: &str) -> Vec<String> {
        vec![
            format!("resonance. You are {}.", text::plain(name)),
            "Type a command and press Enter. help lists them, quit leaves.".to_owned(),
        ]
    }

    /// What can be typed before there is a session.
    pub fn ways() -> Vec<String> {
        vec![
            "create makes a session. join, and then a link, goes into one. lan talks on this network.".to_owned(),
            "lan, and then a name, takes another room than lobby. rooms tells which are open here.".to_owned(),
        ]
    }

    /// The rooms of this network, each with how many are in it.
    pub fn rooms(rooms: &[(String, u8)]) -> Vec<String> {
        let people = |count: u8| if count == 1 { "1 person".to_owned() } else { format!("{count} people") };
        let heading = match rooms.len() {
            0 => return vec!["No room is open on this network, or nobody tells of one.".to_owned()],
            1 => "1 room is open on this network:".to_owned(),
            count => format!("{count} rooms are open on this network:"),
        };
        let room = |(room, count): &(String, u8)| format!("{}, {}.", text::plain(room), people(*count));
        [heading].into_iter().chain(rooms.iter().map(room)).collect()
    }

    /// What can be done with the sessions that are remembered.
    pub fn recent(sessions: &[String]) -> Vec<String> {
        if sessions.is_empty() {
            return vec!["No session is remembered.".to_owned()];
        }
        let told = |(at, session): (usize, &String)| format!("{}: {}.", at + 1, text::plain(session));
        let ways = "back, and a number, goes there. forget, and a number or all, forgets.".to_owned();
        sessions.iter().enumerate().map(told).chain([ways]).collect()
    }

    /// All commands.
    pub fn help() -> Vec<String> {
        let verb = |verb: &crate::command::Verb| {
            format!("{} {}: {}.", verb.name, verb.arguments, verb.help).replace(" :", ":")
        };
        VERBS.iter().map(verb).collect()
    }

    /// A notice in words; nothing for what only machines want to know.
    pub fn notice(&mut self, notice: &Notice) -> Vec<String> {
        let lines = self.sentences(notice);
        lines.iter().map(|line| text::plain(line)).collect()
    }

    fn sentences(&mut self, notice: &Notice) -> Vec<String> {
        let one = |sentence: String| vec![sentence];
        match notice {
            Notice::Created { link: Some(link), .. } => {
                self.joined = true;
                vec!["Session made. Send this link to the people you want to talk to:".to_owned(), link.clone()]
            }
            Notice::Created { link: None, room } => {
                self.joined = true;
                let room = room.as_deref().unwrap_or("lobby");
                one(format!("You are in the room {room}, which is open to everyone on this network."))
            }
            Notice::Joined { .. } => {
                self.joined = true;
                one("You are in.".to_owned())
            }
            Notice::PeerFound { via, .. } if !self.joined => {
                one(format!("Found somebody {}: saying hello.", found(via)))
            }
            Notice::PeerJoined { peer, name, .. } => {
                self.remember(peer, name);
                one(format!("{name} joined."))
            }
            Notice::MediaConnected { peer, setup_ms, .. } => {
                one(format!("You and {} hear each other. It took {setup_ms} milliseconds.", self.name(peer)))
            }
            Notice::MediaLost { peer, .. } => one(format!("Nothing is heard of {}: reconnecting.", self.name(peer))),
            Notice::MediaRestored { peer, .. } => one(format!("{} is heard again.", self.name(peer))),
            Notice::Text { peer, body } => one(format!("{} writes: {body}", self.name(peer))),
            Notice::SafetyNumber { peer, number, verified } => {
                let state = if *verified { "verified" } else { "not verified" };
                let mut lines = one(format!("Safety number with {}, {state}:", self.name(peer)));
                lines.extend(groups(number));
                lines
            }
            Notice::SessionSafetyNumber { number: Some(number), members, .. } => {
                let mut lines = one(format!("Safety number of the session of {members}:"));
                lines.extend(groups(number));
                lines
            }
            Notice::SessionSafetyNumber { number: None, incomplete, .. } if !incomplete.is_empty() => {
                one(format!("The session has no safety number: {}.", incomplete.join(", ")))
            }
            Notice::Link { link: Some(link) } => vec!["The link is:".to_owned(), link.clone()],
            Notice::Link { link: None } => one("This room has no link: its name is enough.".to_owned()),
            Notice::Knock { peer, .. } if peer == "me" => {
                one("The session is locked. You knocked: waiting to be let in.".to_owned())
            }
            Notice::Knock { peer, name } => {
                self.remember(peer, name);
                one(format!("{name} wants to come in. Type admit {name}, or refuse {name}."))
            }
            Notice::Admitted { peer, .. } if peer == "me" => one("You are let in.".to_owned()),
            Notice::Admitted { name, .. } => one(format!("{name} is let in.")),
            Notice::Refused { peer, .. } if peer == "me" => one("You are not let in.".to_owned()),
            Notice::Refused { name, .. } => one(format!("{name} does not come in.")),
            Notice::Kicked { name, .. } => one(format!("{name} was removed by the host.")),
            Notice::Locked { peer, name, on } => {
                let who = if peer == "me" { "you" } else { name };
                let what = if *on { "locked: whoever comes has to knock" } else { "unlocked" };
                one(format!("The session is {what}. It was {}.", if who.is_empty() { "the host" } else { who }))
            }
            Notice::Recording { on: true, dir: Some(dir), .. } => {
                one(format!("You are recording everybody, in {dir}. Everybody is told. stop-recording ends it."))
            }
            Notice::Recording { on: false, dir: Some(dir), .. } => one(format!("Your recording is in {dir}.")),
            Notice::Recording { name, on: true, .. } => one(format!("{name} is recording everybody from now on.")),
            Notice::Recording { name, .. } => one(format!("{name} has stopped recording.")),
            Notice::PeerLeft { peer, reason } => one(format!("{} left{}.", self.name(peer), left(reason))),
            Notice::Warning { message, hint, .. } => one(format!("Warning: {message} {hint}")),
            Notice::Error { message, hint, .. } => one(format!("Not done: {message} {hint}")),
            Notice::PeerFound { .. }
            | Notice::SessionSafetyNumber { .. }
            | Notice::Devices { .. }
            | Notice::Rekeyed { .. }
            | Notice::Speaking { .. }
            | Notice::Stats(_)
            | Notice::Audio(_) => Vec::new(),
        }
    }

    /// Measurements that were asked for.
    pub fn measurements(&self, notice: &Notice) -> Vec<String> {
        let lines = match notice {
            Notice::Stats(stats) => vec![self.stats(stats)],
            Notice::Audio(report) => {
                let AudioReport { input_level_db, output_level_db, xruns, cpu_percent, reduced, .. } = &**report;
                let heard = format!(
                    "Your microphone is at {input_level_db:.0} decibels, what you hear at {output_level_db:.0}. Sound takes {cpu_percent:.0} percent of a processor, {xruns} interruptions so far."
                );
                let reduced = (!reduced.is_empty()).then(|| machine(&[], reduced));
                [heard].into_iter().chain(reduced).collect()
            }
            _ => Vec::new(),
        };
        lines.iter().map(|line| text::plain(line)).collect()
    }

    fn stats(&self, stats: &Stats) -> String {
        let percent = |share: f32| (share.clamp(0.0, 1.0) * 100.0).round();
        let round_trip = stats.rtt_ms.map_or_else(|| "unknown".to_owned(), |rtt| format!("{rtt:.0} milliseconds"));
        let late = stats.delay.and_then(|delay| delay.total_ms());
        let late = late.map_or_else(String::new, |ms| format!(" You hear it {ms:.0} milliseconds late."));
        format!(
            "{}: {}, round trip {round_trip}, {} percent lost here, {} percent lost there, {:.0} milliseconds held back.{late}",
            self.name(&stats.peer),
            if stats.path == "none" { "no sound" } else { stats.path },
            percent(stats.loss_down),
            percent(stats.loss_up),
            stats.jitter_buffer_ms,
        )
    }

    /// What has changed since the last moment and has no notice of its own.
    pub fn moment(&mut self, view: &View) -> Vec<String> {
        let now = Remembered {
            muted: view.me.muted,
            deafened: view.me.deafened,
            devices: (view.me.input.clone(), view.me.output.clone()),
            problems: view.problems.clone(),
            reduced: view.reduced,
            alarms: view.alarms.iter().map(|alarm| format!("{} {} {}", alarm.what, alarm.why, alarm.hint)).collect(),
            peers: view.peers.iter().map(|peer| (peer.id.clone(), (peer.muted, peer.deafened, peer.trust))).collect(),
        };
        for peer in &view.peers {
            self.remember(&peer.id, &peer.name);
        }
        let before = self.before.get_or_insert_with(|| Remembered {
            muted: false,
            deafened: false,
            devices: now.devices.clone(),
            problems: Vec::new(),
            reduced: &[],
            alarms: Vec::new(),
            peers: BTreeMap::new(),
        });
        if *before == now {
            return Vec::new();
        }
        let mut lines = Vec::new();
        if before.muted != now.muted {
            lines.push(if now.muted { "Your microphone is closed." } else { "Your microphone is open." }.to_owned());
        }
        if before.deafened != now.deafened {
            lines.push(if now.deafened { "You hear nobody." } else { "You hear everybody again." }.to_owned());
        }
        if before.devices.0 != now.devices.0 {
            lines.push(format!("Your microphone is now: {}.", now.devices.0));
        }
        if before.devices.1 != now.devices.1 {
            lines.push(format!("Your speaker is now: {}.", now.devices.1));
        }
        lines.extend(
            now.problems.iter().filter(|one| !before.problems.contains(one)).map(|one| format!("Problem: {one}")),
        );
        lines.extend(
            before.problems.iter().filter(|one| !now.problems.contains(one)).map(|one| format!("No more: {one}")),
        );
        if before.reduced != now.reduced {
            lines.push(machine(before.reduced, now.reduced));
        }
        let alarm = |one: &String| format!("Alarm. {one} Type dismiss once you have read this.");
        lines.extend(now.alarms.iter().filter(|one| !before.alarms.contains(one)).map(alarm));
        for peer in &view.peers {
            let seen = before.peers.get(&peer.id).copied().unwrap_or((false, false, Trust::NotVerified));
            lines.extend(of_peer(peer, seen));
        }
        self.before = Some(now);
        lines.iter().map(|line| text::plain(line)).collect()
    }

    /// Who is here, for whoever asks.
    pub fn people(view: &View) -> Vec<String> {
        if view.peers.is_empty() {
            return vec![text::plain(&format!("Nobody else is here. {}", view.reach))];
        }
        let person = |peer: &PeerView| {
            let trust = match peer.trust {
                Trust::Verified => "verified",
                Trust::NotVerified => "not verified",
                Trust::Changed => "comes with another key than before",
            };
            let sound = match peer.connection {
                Connection::Connecting => "connecting",
                Connection::Reconnecting { .. } => "reconnecting",
                _ if peer.deafened => "hears nobody",
                _ if peer.muted => "microphone closed",
                _ => "connected",
            };
            let recording = if peer.recording { ", recording everybody" } else { "" };
            text::plain(&format!("{}: {trust}, {sound}{recording}.", peer.name))
        };
        view.peers.iter().map(person).collect()
    }

    fn remember(&mut self, peer: &str, name: &str) {
        if self.names.len() >= MAX_NAMES && !self.names.contains_key(peer) {
            self.names.pop_first();
        }
        self.names.insert(peer.to_owned(), name.to_owned());
    }

    fn name(&self, peer: &str) -> String {
        self.names.get(peer).cloned().unwrap_or_else(|| peer.to_owned())
    }
}

fn of_peer(peer: &PeerView, (muted, deafened, trust): (bool, bool, Trust)) -> Vec<String> {
    let name = &peer.name;
    let mut lines = Vec::new();
    if peer.trust != trust {
        lines.push(match peer.trust {
            Trust::Verified => format!("{name} is verified."),
            Trust::NotVerified => format!("{name} is not verified any more."),
            Trust::Changed => format!("{name} comes with another key than before."),
        });
    }
    if peer.muted != muted {
        lines.push(format!("{name} {} the microphone.", if peer.muted { "closed" } else { "opened" }));
    }
    if peer.deafened != deafened {
        lines.push(format!("{name} hears {}.", if peer.deafened { "nobody" } else { "everybody again" }));
    }
    lines
}

/// What the machine leaves out now, after it has left out something else.
fn machine(before: &[&str], now: &[&str]) -> String {
    let left_out = now.join(", ");
    match now.len() {
        0 => "The machine keeps up again: nothing is reduced any more.".to_owned(),
        fewer if fewer < before.len() => format!("The machine is less busy. Still reduced: {left_out}."),
        _ => format!("The machine is busy. Reduced for now: {left_out}."),
    }
}

fn groups(number: &str) -> Vec<String> {
    let groups: Vec<&str> = number.split_whitespace().collect();
    groups.chunks(GROUPS).map(|groups| groups.join(" ")).collect()
}

fn found(via: &str) -> &'static str {
    match via {
        "hint" => "at an address of the link",
        "mdns" => "on this network",
        "member" => "through a member",
        _ => "on the Internet",
    }
}

fn left(reason: &str) -> &'static str {
    match reason {
        "timeout" => ": the connection was lost",
        "kicked" => ": removed by the host",
        "locked" => ": the session was locked meanwhile, and has to be knocked at",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(peer: &str, name: &str) -> Notice {
        let (identity, safety_number) = (String::new(), String::new());
        Notice::PeerJoined { peer: peer.into(), name: name.into(), identity, safety_number }
    }

    #[test]
    fn what_happens_is_said_in_sentences_with_names() {
        let mut plain = Plain::default();
        assert_eq!(plain.notice(&joined("b0", "Bo")), ["Bo joined."]);
        let text = Notice::Text { peer: "b0".into(), body: "hello".into() };
        assert_eq!(plain.notice(&text), ["Bo writes: hello"]);
        let number = "21849 07331 55120 93847 60415 28873 01964 77310 48826 13579 90042 66158";
        let number = Notice::SafetyNumber { peer: "b0".into(), number: number.into(), verified: false };
        let said = plain.notice(&number);
        assert_eq!((said.len(), said[1].as_str()), (4, "21849 07331 55120 93847"));
        assert_eq!(plain.notice(&Notice::PeerLeft { peer: "b0".into(), reason: "bye" }), ["Bo left."]);
        assert_eq!(plain.notice(&Notice::Speaking { peer: "b0".into(), on: true }), [""; 0]);
    }

    #[test]
    fn nothing_that_steers_a_terminal_is_said() {
        let mut plain = Plain::default();
        let evil = "\u{1b}[2J\u{202e}evil\u{7}\r\n\u{9b}31m";
        let notices = [
            joined("e", evil),
            Notice::Text { peer: "e".into(), body: evil.into() },
            Notice::Knock { peer: "e".into(), name: evil.into() },
            Notice::Warning { code: "x", message: evil.into(), hint: evil.into() },
            Notice::SessionSafetyNumber { number: None, members: 2, incomplete: vec![evil.into()] },
        ];
        for line in notices.iter().flat_map(|notice| plain.notice(notice)) {
            assert!(line.contains("evil") && !line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
        }
    }

    #[test]
    fn a_busy_machine_is_told_of_as_it_changes_and_nothing_is_taken_back_while_it_gets_worse() {
        let (mut plain, mut view) = (Plain::default(), crate::ui::tests::alone());
        let mut told = |reduced| {
            view.reduced = reduced;
            plain.moment(&view)
        };
        assert_eq!(told(&[]), [""; 0]);
        assert_eq!(told(&["room"]), ["The machine is busy. Reduced for now: room."]);
        assert_eq!(told(&["room", "encoding"]), ["The machine is busy. Reduced for now: room, encoding."]);
        assert_eq!(told(&["room", "encoding"]), [""; 0], "once");
        assert_eq!(told(&["room"]), ["The machine is less busy. Still reduced: room."]);
        assert_eq!(told(&[]), ["The machine keeps up again: nothing is reduced any more."]);
    }

    #[test]
    fn help_names_every_command() {
        let help = Plain::help();
        assert_eq!(help.len(), VERBS.len());
        assert!(help.contains(&"mute: send silence instead of the microphone.".to_owned()), "{help:?}");
    }
}
