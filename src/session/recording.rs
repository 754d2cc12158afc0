//! Recording, here and elsewhere: whoever records says so to everyone, newcomers included, for as long as it lasts.

use super::Session;
use super::effect::AudioEffect;
use super::event::Recording;
use super::notice::Notice;
use crate::token_bucket::TokenBucket;
use rand::CryptoRng;
use resonance_protocol::peer::TransportId;
use resonance_protocol::signal::Signal;
use std::time::Instant;

/// Changes of microphone and ears at once: somebody who holds a key to talk.
const CHANGES_BURST: f64 = 10.0;
/// And in a second.
const CHANGES_RATE: f64 = 1.0;
/// Ends of recordings at once: somebody who tries out how it is done.
const ENDINGS_BURST: f64 = 3.0;
/// And in a second: each is told to a person, and so is what came before it.
const ENDINGS_RATE: f64 = 0.05;

/// Microphone, ears and recording, as somebody tells of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State {
    pub muted: bool,
    pub deafened: bool,
    pub recording: bool,
}

/// What a member has said last, and how often it may make others hear of changes.
pub struct Stated {
    newest: State,
    changes: TokenBucket,
    endings: TokenBucket,
}

impl Stated {
    /// Nothing yet.
    pub fn new(now: Instant) -> Self {
        let changes = TokenBucket::new(CHANGES_BURST, CHANGES_RATE, now);
        let endings = TokenBucket::new(ENDINGS_BURST, ENDINGS_RATE, now);
        Self { newest: State::default(), changes, endings }
    }
}

impl<R: CryptoRng> Session<R> {
    /// Microphone, ears and recording of this side, as others are told.
    pub(super) fn state(&self) -> Signal {
        Signal::State { muted: self.muted, deafened: self.deafened, recording: self.recording.is_some() }
    }

    pub(super) fn tell_state(&mut self, now: Instant) {
        let state = self.state();
        for id in self.member_ids() {
            self.tell(now, id, &state);
        }
    }

    pub(super) fn hear_state(&mut self, now: Instant, from: TransportId, state: State) {
        let Some(member) = self.member_mut(from) else { return };
        member.stated.newest = state;
        self.take_state(now, from);
    }

    /// Believes what a member said last, as often as that may change. That it records is believed at once and always; only that it has
    /// stopped can wait, and until then it counts as recording.
    pub(super) fn take_state(&mut self, now: Instant, from: TransportId) {
        let Some(member) = self.member_mut(from) else { return };
        let State { muted, deafened, recording } = member.stated.newest;
        if (member.muted, member.deafened) != (muted, deafened) && member.stated.changes.take(now) {
            (member.muted, member.deafened) = (muted, deafened);
        }
        if member.recording == recording || !(recording || member.stated.endings.take(now)) {
            return;
        }
        member.recording = recording;
        let name = member.name.clone();
        let what = if recording { "● is recording everybody" } else { "has stopped recording" };
        self.talk(now, None, format!("{name} {what}"));
        self.notice(Notice::Recording { peer: from.short(), name, on: recording, dir: None });
    }

    /// Asks for a recording; nobody is told before there is one.
    pub(super) fn record(&mut self, folder: Option<String>) {
        match &self.recording {
            Some(dir) => {
                let message = format!("You are recording already, in {dir}.");
                let hint = "End that with stop-recording first.".to_owned();
                self.notice(Notice::Error { code: "recording", message, hint });
            }
            None => self.audio(AudioEffect::Record(folder)),
        }
    }

    pub(super) fn stop_recording(&mut self) {
        match &self.recording {
            Some(_) => self.audio(AudioEffect::StopRecording),
            None => {
                let message = "You are not recording.".to_owned();
                let hint = "record begins, and tells everyone.".to_owned();
                self.notice(Notice::Error { code: "not_recording", message, hint });
            }
        }
    }

    pub(super) fn recording(&mut self, now: Instant, event: Recording) {
        let refused = |message: String| Notice::Error {
            code: "recording",
            message,
            hint: "The call goes on. Name another folder: record DIR.".to_owned(),
        };
        match event {
            Recording::Began(dir) => {
                self.talk(now, None, format!("● you are recording everybody, in {dir}"));
                self.recording = Some(dir.clone());
                self.notice(Notice::Recording { peer: "me".into(), name: self.name.clone(), on: true, dir: Some(dir) });
                self.tell_state(now);
            }
            Recording::NotBegun(why) => self.notice(refused(format!("Nothing is recorded: {why}."))),
            Recording::Ended { problem } => {
                let Some(dir) = self.recording.take() else { return };
                self.talk(now, None, format!("your recording is in {dir}"));
                if let Some(why) = problem {
                    self.notice(refused(format!("The recording has ended: {why}.")));
                }
                self.notice(Notice::Recording {
                    peer: "me".into(),
                    name: self.name.clone(),
                    on: false,
                    dir: Some(dir),
                });
                self.tell_state(now);
            }
        }
    }
}
