//! Rooms of this network: told by who is in one, looked for by who is about to choose.

use super::call::Goal;
use crate::cli::Common;
use crate::network::nearby::{Announcer, Browser, Nearby};
use crate::ui::{Msg, NearbyRoom, text};

/// Tells who asks which room this is, for as long as its person wants that. A link is a secret: its session is never told of; nor is a
/// room whose person keeps it to herself, or is not to be seen here.
pub struct Telling {
    /// The room, if it is one that may be told.
    room: Option<String>,
    announcer: Option<Announcer>,
}

impl Telling {
    /// Of what the session is for.
    pub fn of(goal: &Goal) -> Self {
        let room = match goal {
            Goal::Lan(room) if is_shown_as_it_is(room) => Some(room.clone()),
            _ => None,
        };
        Self { room, announcer: None }
    }

    /// Begins or ends, as it is wished now.
    pub fn follow(&mut self, common: &Common) {
        let Some(room) = self.room.as_ref().filter(|_| !common.no_mdns && !common.unlisted) else {
            self.announcer = None;
            return;
        };
        if self.announcer.is_none() {
            let started = Announcer::start(room);
            let started =
                started.inspect_err(|error| tracing::warn!(%error, "the room is not told of on this network"));
            self.announcer = started.ok();
        }
    }

    /// So many are in it, we among them.
    pub fn people(&self, count: usize) {
        if let Some(announcer) = &self.announcer {
            announcer.people(count);
        }
    }
}

/// Whether rooms may be looked for: who is not to be seen here asks nobody.
pub fn may_look(common: &Common) -> bool {
    !(common.no_mdns || common.no_direct)
}

/// Looks for rooms while somebody wants to see them.
#[derive(Default)]
pub struct Lookout {
    looking: Option<Looking>,
}

struct Looking {
    /// `None` where the system gives no socket for it.
    browser: Option<Browser>,
    told: Option<Vec<NearbyRoom>>,
}

impl Lookout {
    /// To be called often: what the screen is to be told.
    pub fn poll(&mut self, wanted: bool) -> Vec<Msg> {
        let mut msgs = Vec::new();
        if !wanted {
            msgs.extend(self.looking.take().map(|_| Msg::Nearby(None)));
            return msgs;
        }
        let looking = self.looking.get_or_insert_with(|| {
            let browser = Browser::start().map_err(|error| {
                let message = format!("This network cannot be searched for rooms: {error}");
                msgs.push(Msg::Warning { message, hint: String::new() });
            });
            Looking { browser: browser.ok(), told: None }
        });
        let room = |nearby: Nearby| NearbyRoom { room: nearby.room, people: nearby.people };
        let rooms = looking.browser.as_ref().map(|browser| rooms(browser).into_iter().map(room).collect());
        if looking.told != rooms {
            looking.told.clone_from(&rooms);
            msgs.push(Msg::Nearby(rooms));
        }
        msgs
    }
}

/// The rooms that there are, as far as their names can be shown as they are: one with something invisible in it would be taken for another.
pub fn rooms(browser: &Browser) -> Vec<Nearby> {
    let mut rooms = browser.rooms();
    rooms.retain(|nearby| is_shown_as_it_is(&nearby.room));
    rooms
}

fn is_shown_as_it_is(room: &str) -> bool {
    text::plain(room) == room && room.trim() == room
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::Cli;
    use clap::Parser;

    /// (Where it would be told a socket is opened, which the whole program's tests do.)
    #[test]
    fn links_and_what_a_person_keeps_quiet_are_told_to_nobody() {
        let common = |arguments: &[&str]| {
            let cli = Cli::try_parse_from([&["resonance"], arguments].concat()).expect("a command line");
            cli.common
        };
        let told = |arguments: &[&str], goal: &Goal| {
            let mut telling = Telling::of(goal);
            telling.follow(&common(arguments));
            telling.announcer.is_some()
        };
        let create = Goal::Create { hints: true, expires_in: None };
        assert!(!told(&[], &create), "its link is a secret");
        let den = Goal::Lan("den".to_owned());
        for arguments in [&["--unlisted"], &["--no-mdns"]] {
            assert!(!told(arguments, &den), "{arguments:?}");
        }
        assert!(!may_look(&common(&["--no-mdns"])) && may_look(&common(&["--unlisted"])));
        let helper = ["--no-direct", "--helper", "/ip4/192.0.2.1/tcp/4001"];
        assert!(!may_look(&common(&helper)), "who shows an address to nobody asks nobody");
    }

    #[test]
    fn a_name_that_looks_like_another_is_not_shown() {
        for room in ["lobby", "Küche", "厨房", "the den"] {
            assert!(is_shown_as_it_is(room), "{room}");
        }
        for room in ["lob\u{200b}by", "\u{202e}ybbol", "lobby ", " lobby", "lobby\u{a0}", "a\tb"] {
            assert!(!is_shown_as_it_is(room), "{room:?}");
        }
    }
}
