//! What people write: said again until it has arrived, shown once, and its writer told when it never did.

use super::notice::Notice;
use super::peer::Member;
use super::view::Trust;
use super::{Session, text};
use crate::command::MAX_TEXT_BYTES;
use rand::CryptoRng;
use resonance_protocol::peer::TransportId;
use resonance_protocol::signal::Signal;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// How long a text may take to arrive: after that its writer is told that it did not.
const PATIENCE: Duration = Duration::from_secs(60);
/// How soon after a loss what was lost is said again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Texts that may be on their way to one member: a page of them.
const MAX_WAITING: usize = 32;
/// Numbers that are remembered of one writer: more than can be said again.
const MAX_SHOWN: usize = 2 * MAX_WAITING;

/// The texts between us and one member.
#[derive(Default)]
pub struct Texts {
    /// Ours that it has not acknowledged, in the order in which they were written.
    waiting: VecDeque<Waiting>,
    /// When those that were lost are said again.
    again_at: Option<Instant>,
    /// The numbers of its last ones that were shown.
    shown: VecDeque<u64>,
}

struct Waiting {
    number: u64,
    body: String,
    written: Instant,
    /// The `Send` that carries it; `None` when that was lost.
    message: Option<u64>,
}

impl Texts {
    /// Message `id` has arrived.
    pub fn delivered(&mut self, id: u64) {
        self.waiting.retain(|text| text.message != Some(id));
    }

    /// Message `id` was lost.
    pub fn undelivered(&mut self, now: Instant, id: u64) {
        if let Some(text) = self.waiting.iter_mut().find(|text| text.message == Some(id)) {
            text.message = None;
            self.again_at.get_or_insert(now + AGAIN_AFTER);
        }
    }

    /// Whether a text is to be shown: an acknowledgement may be lost, and what it was for is said again.
    fn is_new(&mut self, number: u64) -> bool {
        if number == 0 {
            return true;
        }
        if self.shown.contains(&number) {
            return false;
        }
        if self.shown.len() == MAX_SHOWN {
            self.shown.pop_front();
        }
        self.shown.push_back(number);
        true
    }
}

impl<R: CryptoRng> Session<R> {
    pub(super) fn say(&mut self, now: Instant, body: &str) {
        let body = text::line(body, MAX_TEXT_BYTES);
        if body.is_empty() {
            return;
        }
        self.texts_written += 1;
        let number = self.texts_written;
        for id in self.member_ids() {
            // Whoever an alarm stands about reads as little as it hears.
            let Some(member) = self.member_mut(id).filter(|member| member.trust != Trust::Changed) else { continue };
            let waiting = &mut member.texts.waiting;
            let crowded_out = if waiting.len() == MAX_WAITING { waiting.pop_front() } else { None };
            let name = member.name.clone();
            if let Some(text) = crowded_out {
                self.never_arrived(now, &name, &text.body);
            }
            let message = self.tell_numbered(now, id, &Signal::Text { body: body.clone(), number });
            if let Some(member) = self.member_mut(id) {
                member.texts.waiting.push_back(Waiting { number, body: body.clone(), written: now, message });
            }
        }
        self.talk(now, Some(self.name.clone()), body);
    }

    pub(super) fn hear_text(&mut self, now: Instant, from: TransportId, body: &str, number: u64) {
        let body = text::line(body, MAX_TEXT_BYTES);
        let Some(member) = self.member_mut(from) else { return };
        if !body.is_empty() && member.texts.is_new(number) {
            let name = member.name.clone();
            self.talk(now, Some(name), body.clone());
            self.notice(Notice::Text { peer: from.short(), body });
        }
    }

    /// Says again what was lost on its way to a member.
    fn say_again(&mut self, now: Instant, id: TransportId) {
        let Some(member) = self.member_mut(id).filter(|member| member.trust != Trust::Changed) else { return };
        let lost = member.texts.waiting.iter().filter(|text| text.message.is_none());
        let lost: Vec<_> = lost.map(|text| (text.number, text.body.clone())).collect();
        for (number, body) in lost {
            let message = self.tell_numbered(now, id, &Signal::Text { body, number });
            let Some(member) = self.member_mut(id) else { return };
            if let Some(text) = member.texts.waiting.iter_mut().find(|text| text.number == number) {
                text.message = message;
            }
        }
    }

    /// Says again what was lost, and gives up what a member should have got long ago.
    pub(super) fn tick_texts(&mut self, now: Instant, id: TransportId, connected: bool) {
        let Some(member) = self.member_mut(id) else { return };
        if connected && member.texts.again_at.take_if(|at| *at <= now).is_some() {
            self.say_again(now, id);
        }
        let Some(member) = self.member_mut(id) else { return };
        let late = |text: &mut Waiting| now.saturating_duration_since(text.written) >= PATIENCE;
        if let Some(text) = member.texts.waiting.pop_front_if(late) {
            let name = member.name.clone();
            self.never_arrived(now, &name, &text.body);
        }
    }

    /// Gives up all that was on its way to somebody who is not a member any more.
    pub(super) fn give_texts_up(&mut self, now: Instant, gone: &Member) {
        for text in &gone.texts.waiting {
            self.never_arrived(now, &gone.name, &text.body);
        }
    }

    /// Nothing came back. It may have arrived nevertheless, with the acknowledgement lost.
    fn never_arrived(&mut self, now: Instant, name: &str, body: &str) {
        let message = format!("{name} may not have got \u{201c}{body}\u{201d}.");
        self.talk(now, None, message.clone());
        let hint = "Ask, or write it again.".to_owned();
        self.notice(Notice::Warning { code: "text_undelivered", message, hint });
    }
}
