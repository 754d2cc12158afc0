//! The last sessions, for whoever wants them remembered: links are secrets, so nothing is written unless a person has asked for it.

use super::unix_now;
use crate::folders;
use crate::session::view::{Invite, View};
use crate::ui::{RecentSession, StartChoice};
use resonance_protocol::link::Link;
use serde::{Deserialize, Serialize};
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Sessions that are remembered: as many as anybody looks through.
const MAX_SESSIONS: usize = 8;
/// A larger file is none of ours, in bytes: eight links, each with seven names, are less than 16 kB.
const MAX_FILE: u64 = 64 * 1024;
/// How often the session that runs is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// One session, as the file has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// Its link, or …
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
    /// … the name of the room on this network.
    #[serde(skip_serializing_if = "Option::is_none")]
    room: Option<String>,
    /// Who was there.
    people: Vec<String>,
    /// When, in seconds since 1970.
    at: u64,
}

/// What is remembered, the newest first.
pub struct Recent {
    file: Option<PathBuf>,
    kept: Vec<Kept>,
    /// The session that runs, as it was remembered last, and when it was looked at.
    running: Option<Kept>,
    looked: Option<Instant>,
}

impl Recent {
    /// Reads `recent.json` in `data_dir`, or in the user's state folder. A file that makes no sense counts as empty.
    pub fn load(data_dir: Option<&Path>) -> Self {
        let folder = data_dir.map(Path::to_owned).or_else(folders::state);
        let file = folder.map(|folder| folder.join("recent.json"));
        let kept = file.as_deref().and_then(read).unwrap_or_default();
        Self { file, kept, running: None, looked: None }
    }

    /// What can be gone back to: a link that takes nobody in any more is none of it.
    pub fn sessions(&self) -> Vec<RecentSession> {
        let now = unix_now();
        let session = |kept: &Kept| {
            let choice = match (&kept.link, &kept.room) {
                (Some(link), _) => {
                    Link::find(link).ok()?.check_expiry(now).ok()?;
                    StartChoice::Join(link.clone())
                }
                (None, room) => StartChoice::Lan(room.clone()?),
            };
            Some(RecentSession {
                choice,
                people: kept.people.clone(),
                ago: Duration::from_secs(now.saturating_sub(kept.at)),
            })
        };
        self.kept.iter().filter_map(session).collect()
    }

    /// Remembers the session that runs, once there is somebody to go back to, and whom it has met. To be called often. What other
    /// programs of this person have remembered or forgotten meanwhile holds.
    ///
    /// # Errors
    /// What the file system says; here the session is remembered all the same.
    pub fn take(&mut self, now: Instant, view: &View) -> io::Result<()> {
        if self.looked.is_some_and(|at| now.saturating_duration_since(at) < LOOK_EVERY) {
            return Ok(());
        }
        self.looked = Some(now);
        let (link, room) = match &view.invite {
            Invite::Link(link) => (Some(link.clone()), None),
            Invite::Lan { room } => (None, Some(room.clone())),
        };
        if view.peers.is_empty() {
            // Whom it has met stays remembered, and nobody may have come yet.
            return Ok(());
        }
        let people: Vec<String> = view.peers.iter().map(|peer| peer.name.clone()).collect();
        let same = |kept: &Kept| kept.link == link && kept.room == room && kept.people == people;
        if self.running.as_ref().is_some_and(same) {
            return Ok(());
        }
        self.read_again();
        let session = Kept { link, room, people, at: unix_now() };
        // A session whose link was replaced is in the list once.
        let before = self.running.replace(session.clone());
        let is_it = |kept: &Kept| {
            let old = before.as_ref().is_some_and(|old| kept.link == old.link && kept.room == old.room);
            old || kept.link == session.link && kept.room == session.room
        };
        self.kept.retain(|kept| !is_it(kept));
        self.kept.insert(0, session);
        self.kept.truncate(MAX_SESSIONS);
        self.write()
    }

    /// The session that ran is over.
    pub fn end(&mut self) {
        (self.running, self.looked) = (None, None);
    }

    /// Forgets one, or all: of what is remembered now, also by other programs of this person.
    ///
    /// # Errors
    /// What the file system says.
    pub fn forget(&mut self, which: Option<&StartChoice>) -> io::Result<()> {
        self.read_again();
        self.kept.retain(|kept| match which {
            Some(StartChoice::Join(link)) => kept.link.as_ref() != Some(link),
            Some(StartChoice::Lan(room)) => kept.room.as_ref() != Some(room),
            Some(StartChoice::Create) => true,
            None => false,
        });
        // The session that runs is not in the list any more: whoever wants it remembered after all finds it there again.
        self.running = None;
        self.write()
    }

    /// Another program may have written the file since: what it forgot is not to come back, what it remembered is not to be lost.
    fn read_again(&mut self) {
        if let Some(file) = &self.file {
            self.kept = read(file).unwrap_or_default();
        }
    }

    /// Writes beside the file first and renames; without anything to remember there is no file. The disk is not waited for, since the
    /// task that carries the session does this: of a list that a power cut damages nothing is left, as of none.
    fn write(&self) -> io::Result<()> {
        let Some(file) = &self.file else { return Err(io::Error::other("there is no folder for it: set HOME")) };
        if self.kept.is_empty() {
            return match fs::remove_file(file) {
                Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
                _ => Ok(()),
            };
        }
        if let Some(folder) = file.parent() {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let beside = file.with_extension("json.new");
        match fs::remove_file(&beside) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let text = serde_json::to_vec_pretty(&self.kept)?;
        let mut written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&beside)?;
        written.write_all(&text)?;
        fs::rename(&beside, file)
    }
}

fn read(file: &Path) -> Option<Vec<Kept>> {
    let mut text = Vec::new();
    File::open(file).ok()?.take(MAX_FILE + 1).read_to_end(&mut text).ok()?;
    if text.len() as u64 > MAX_FILE {
        return None;
    }
    let mut kept: Vec<Kept> = serde_json::from_slice(&text).ok()?;
    kept.truncate(MAX_SESSIONS);
    Some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::tests::{alone, peer};
    use std::os::unix::fs::PermissionsExt;

    fn of(invite: Invite, people: &[&str]) -> View {
        let mut view = alone();
        view.invite = invite;
        view.peers = people.iter().map(|name| peer(name, name, 0.0)).collect();
        view
    }

    fn lan(room: &str, people: &[&str]) -> View {
        of(Invite::Lan { room: room.to_owned() }, people)
    }

    fn rooms(recent: &Recent) -> Vec<(StartChoice, Vec<String>)> {
        recent.sessions().into_iter().map(|session| (session.choice, session.people)).collect()
    }

    #[test]
    fn who_was_met_is_remembered_for_the_owner_alone_and_forgotten_on_request() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let data = folder.path().join("data");
        let file = data.join("recent.json");
        let mut now = Instant::now();
        let mut recent = Recent::load(Some(&data));
        let mut take = |recent: &mut Recent, view: &View| {
            now += LOOK_EVERY;
            recent.take(now, view)
        };
        take(&mut recent, &lan("den", &[]))?;
        assert!(!data.exists(), "nobody was met: there is nothing to go back to");
        take(&mut recent, &lan("den", &["Bo"]))?;
        take(&mut recent, &lan("den", &["Bo", "Cy"]))?;
        take(&mut recent, &lan("den", &[]))?;
        assert_eq!(rooms(&recent), [(StartChoice::Lan("den".into()), vec!["Bo".into(), "Cy".into()])]);
        let mode = |path: &Path| path.metadata().map(|metadata| metadata.permissions().mode() & 0o777);
        assert_eq!((mode(&file)?, mode(&data)?), (0o600, 0o700));

        let mut recent = Recent::load(Some(&data));
        for room in 0..20 {
            take(&mut recent, &lan(&format!("room {room}"), &["Bo"]))?;
            recent.end();
        }
        let mut again = Recent::load(Some(&data));
        assert_eq!(rooms(&again).len(), MAX_SESSIONS, "the newest");
        assert_eq!(rooms(&again)[0].0, StartChoice::Lan("room 19".into()));
        again.forget(Some(&StartChoice::Lan("room 19".into())))?;
        assert_eq!(rooms(&Recent::load(Some(&data)))[0].0, StartChoice::Lan("room 18".into()));
        again.forget(None)?;
        assert!(!file.exists() && rooms(&again).is_empty(), "nothing is left");
        Ok(())
    }

    #[test]
    fn the_session_that_runs_is_remembered_again_by_who_wants_it_after_all() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let mut recent = Recent::load(Some(folder.path()));
        let (now, den) = (Instant::now(), lan("den", &["Bo"]));
        recent.take(now, &den)?;
        recent.forget(None)?;
        assert_eq!(rooms(&recent), []);
        recent.take(now + LOOK_EVERY, &den)?;
        assert_eq!(rooms(&Recent::load(Some(folder.path()))), [(StartChoice::Lan("den".into()), vec!["Bo".into()])]);
        Ok(())
    }

    #[test]
    fn what_another_program_forgot_stays_forgotten_and_what_it_remembered_stays() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let load = || Recent::load(Some(folder.path()));
        let names = |recent: &Recent| recent.sessions().into_iter().map(|session| session.choice).collect::<Vec<_>>();
        let room = |room: &str| StartChoice::Lan(room.to_owned());
        let now = Instant::now();
        load().take(now, &lan("den", &["Bo"]))?;
        let (mut one, mut other) = (load(), load());
        one.forget(None)?;
        other.take(now, &lan("attic", &["Cy"]))?;
        assert_eq!(names(&load()), [room("attic")], "the den was forgotten by the first program");
        one.take(now, &lan("cellar", &["Di"]))?;
        assert_eq!(names(&load()), [room("cellar"), room("attic")], "each has one of them from the other");
        other.forget(Some(&room("attic")))?;
        assert_eq!(names(&load()), [room("cellar")], "which the second program had not seen");
        Ok(())
    }

    #[test]
    fn a_session_is_in_the_list_once_also_when_its_link_was_replaced() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let mut now = Instant::now();
        let mut recent = Recent::load(Some(folder.path()));
        for (invite, person) in [("one", "Bo"), ("two", "Bo"), ("two", "Cy")] {
            now += LOOK_EVERY;
            recent.take(now, &lan(invite, &[person]))?;
        }
        assert_eq!(rooms(&recent), [(StartChoice::Lan("two".into()), vec!["Cy".into()])]);
        recent.end();
        now += LOOK_EVERY;
        recent.take(now, &lan("one", &["Bo"]))?;
        assert_eq!(rooms(&recent).len(), 2, "another session");
        Ok(())
    }

    #[test]
    fn a_link_that_cannot_be_used_is_not_offered_and_nonsense_counts_as_nothing() -> io::Result<()> {
        let folder = tempfile::tempdir()?;
        let mut recent = Recent::load(Some(folder.path()));
        recent.take(Instant::now(), &of(Invite::Link("resonance:damaged".into()), &["Bo"]))?;
        assert_eq!(rooms(&recent), []);
        for text in ["", "{}", "[{\"link\": 3}]", "\u{0}", "[[[[[[[["] {
            fs::write(folder.path().join("recent.json"), text)?;
            assert_eq!(rooms(&Recent::load(Some(folder.path()))), [], "{text}");
        }
        Ok(())
    }
}
