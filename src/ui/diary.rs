//! What happened in the session, with times: what the talk tells, and what the talk is too small for, such as another way that a sound
//! takes, and warnings that pass.

use super::model::Tone;
use crate::session::view::{Connection, TalkLine, View};
use std::collections::VecDeque;
use std::time::Duration;

/// Entries that are kept: a long evening.
pub(super) const MAX_ENTRIES: usize = 500;

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// When, since the session was started here.
    pub at: Duration,
    pub text: String,
    pub tone: Tone,
}

/// All that happened, the newest last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Diary {
    entries: VecDeque<Entry>,
}

impl Diary {
    pub(super) fn entries(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Writes something down.
    pub(super) fn note(&mut self, at: Duration, tone: Tone, text: String) {
        if self.entries.len() == MAX_ENTRIES {
            self.entries.pop_front();
        }
        self.entries.push_back(Entry { at, text, tone });
    }

    /// Writes down in what `now` differs from the moment before.
    pub(super) fn take(&mut self, before: Option<&View>, now: &View) {
        for line in fresh(before, now).iter().filter(|line| line.from.is_none()) {
            match line.text.strip_prefix('⚠') {
                Some(trouble) => self.note(line.at, Tone::Trouble, trouble.trim_start().to_owned()),
                None => self.note(line.at, Tone::Fine, line.text.clone()),
            }
        }
        let at = now.elapsed;
        for peer in &now.peers {
            let was = before.and_then(|before| before.peers.iter().find(|was| was.id == peer.id));
            let was = was.map_or(&Connection::Connecting, |was| &was.connection);
            if let Some((tone, words)) = way(was, &peer.connection) {
                self.note(at, tone, format!("{} {words}", peer.name));
            }
        }
        let Some(before) = before else { return };
        if let (Some(number), true) = (&now.session_number.number, before.session_number.number.is_some())
            && before.session_number.number != now.session_number.number
        {
            let why = now.session_number.changed.as_ref().map_or(String::new(), |why| format!(": {why}"));
            let begins = number.get(..11).unwrap_or(number);
            self.note(at, Tone::Fine, format!("the session's number begins with {begins} now{why}"));
        }
        for (what, was, is) in
            [("microphone", &before.me.input, &now.me.input), ("speaker", &before.me.output, &now.me.output)]
        {
            if was != is {
                self.note(at, Tone::Fine, format!("{what}: {is}"));
            }
        }
        for problem in now.problems.iter().filter(|problem| !before.problems.contains(problem)) {
            self.note(at, Tone::Trouble, problem.clone());
        }
        match now.busy() {
            Some(busy) if before.reduced != now.reduced => self.note(at, Tone::Trouble, busy),
            None if !before.reduced.is_empty() => {
                self.note(at, Tone::Fine, "the machine keeps up again: nothing is reduced any more".to_owned());
            }
            _ => {}
        }
    }
}

/// The lines of talk that were not there before.
pub(super) fn fresh<'a>(before: Option<&View>, now: &'a View) -> &'a [TalkLine] {
    let known = match before.and_then(|before| before.talk.last()) {
        Some(last) => now.talk.iter().rposition(|line| line == last).map_or(now.talk.len(), |at| at + 1),
        None => 0,
    };
    &now.talk[known..]
}

/// What a change of somebody's connection says.
fn way(was: &Connection, is: &Connection) -> Option<(Tone, String)> {
    if std::mem::discriminant(was) == std::mem::discriminant(is) {
        return None;
    }
    let by = match is {
        Connection::Direct => "directly",
        Connection::Relayed => "by a helper",
        Connection::Member => "by a member",
        Connection::Connecting => return Some((Tone::Trouble, "has no sound: connecting again".to_owned())),
        Connection::Reconnecting { .. } => {
            return Some((Tone::Trouble, "is not heard any more: reconnecting".to_owned()));
        }
    };
    Some((
        Tone::Fine,
        match was {
            Connection::Connecting => format!("is connected {by}"),
            Connection::Reconnecting { silent_for } => format!("is heard again {by}, after {} s", silent_for.as_secs()),
            Connection::Direct | Connection::Relayed | Connection::Member => format!("is connected {by} now"),
        },
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::tests::call;

    fn texts(diary: &Diary) -> Vec<&str> {
        diary.entries().map(|entry| entry.text.as_str()).collect()
    }

    #[test]
    fn each_thing_is_written_down_once_with_its_time() {
        let mut diary = Diary::default();
        let first = call();
        diary.take(None, &first);
        let joined = diary.entries().next().expect("an entry");
        assert_eq!((joined.at, joined.text.as_str()), (Duration::from_secs(724), "Di joined"));
        assert_eq!(texts(&diary).len(), 4, "and three who are connected: {diary:?}");
        diary.take(Some(&first), &first);
        assert_eq!(texts(&diary).len(), 4);

        let mut second = View { elapsed: Duration::from_secs(800), ..first.clone() };
        second.peers[0].connection = Connection::Reconnecting { silent_for: Duration::ZERO };
        second.peers[1].connection = Connection::Relayed;
        second.me.input = "Webcam".into();
        second.problems = vec!["no microphone found".into()];
        second.session_number.number = Some("11111 22222 33333".into());
        diary.take(Some(&first), &second);
        assert_eq!(
            texts(&diary)[4..],
            [
                "Bo is not heard any more: reconnecting",
                "Cy is connected by a helper now",
                "the session's number begins with 11111 22222 now: Di joined",
                "microphone: Webcam",
                "no microphone found",
            ]
        );
        let mut third = second.clone();
        third.peers[0].connection = Connection::Reconnecting { silent_for: Duration::from_secs(4) };
        diary.take(Some(&second), &third);
        let mut busy = View { reduced: &["room"], ..third.clone() };
        let mut diary_of_a_busy_one = Diary::default();
        for reduced in [&["room", "concealment"][..], &["room"], &[]] {
            let next = View { reduced, ..busy.clone() };
            diary_of_a_busy_one.take(Some(&busy), &next);
            busy = next;
        }
        assert_eq!(
            texts(&diary_of_a_busy_one),
            [
                "The machine is busy. Reduced: room, concealment.",
                "The machine is busy. Reduced: room.",
                "the machine keeps up again: nothing is reduced any more",
            ]
        );
        let mut fourth = third.clone();
        fourth.peers[0].connection = Connection::Direct;
        diary.take(Some(&third), &fourth);
        assert_eq!(texts(&diary)[9..], ["Bo is heard again directly, after 4 s"]);
    }

    #[test]
    fn what_others_write_is_no_event_and_the_oldest_are_forgotten() {
        let mut diary = Diary::default();
        let before = call();
        let mut now = before.clone();
        let said = |from: Option<&str>, text: &str| TalkLine {
            at: Duration::from_secs(900),
            from: from.map(str::to_owned),
            text: text.to_owned(),
        };
        now.talk.extend([said(Some("Bo"), "hello"), said(None, "⚠ Cy comes with another key")]);
        diary.take(Some(&before), &now);
        assert_eq!(texts(&diary), ["Cy comes with another key"]);
        for number in 0..2 * MAX_ENTRIES {
            diary.note(Duration::ZERO, Tone::Fine, number.to_string());
        }
        assert_eq!((texts(&diary).len(), texts(&diary)[0]), (MAX_ENTRIES, "500"));
    }
}
