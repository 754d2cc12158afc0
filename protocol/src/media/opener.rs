//! Opening one remote voice: the newest generations of its sender key, each with its steps, its replay window and its end.
//!
//! ```text
//! sender    ├── step 0 ──┤── step 1 ──┤── step 2 ──┤        5 s each, less when somebody joins
//! receiver   ├── step 0 ──···2 s┤
//!                         ├── step 1 ──···2 s┤              on its own clock when no packet tells
//! ```

use super::header::Header;
use super::key_schedule::TAG_LEN;
use super::packet::SealedPacket;
use super::ratchet::{KeyId, StepKeys};
use super::replay::ReplayWindow;
use super::sender_key::{Metadata, OpeningKey};
use std::time::{Duration, Instant};

/// Opens the packets of one remote sender. Give it only what that sender's own connection carried: a key ID authenticates nobody.
///
/// Keys are erased as time goes by: call [`advance`](Self::advance) with every frame, packets or not. No method allocates.
pub struct Opener {
    generations: [Generation; Opener::GENERATIONS],
    /// When a packet was opened last.
    opened: Option<Instant>,
    /// The newest step that a packet was opened with. Outlives its key: nothing from before it comes back, and no packet twice.
    heard: Option<KeyId>,
    /// Nothing changes by itself before then.
    due: Option<Instant>,
}

/// One generation; a free place when it holds no key.
struct Generation {
    steps: StepKeys,
    metadata: Metadata,
    window: ReplayWindow,
    grace: Duration,
    /// The newest step that the sender is known, or must be taken, to use.
    newest: u8,
    /// Since when; `None` before the generation is used.
    began: Option<Instant>,
    /// When its key was last handed over, as far as is known here.
    came: Option<Instant>,
    /// When each step's key is erased, once that is known.
    ends: [Option<Instant>; StepKeys::COUNT],
}

/// Why a packet was not opened. All of them are concealed and counted, never played.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// Not an SFrame packet, or it does not fit the output.
    #[error("not a sealed packet")]
    Unreadable,
    /// Sealed in a newer generation than any that is held: its key may be under way.
    #[error("sealed with a key that has not come yet")]
    KeyToCome,
    /// Sealed in a step or generation that is not held any more.
    #[error("sealed with a key that is not held")]
    UnknownKey,
    /// Opened before, or older than the replay window.
    #[error("replayed or too old")]
    Replayed,
    /// Not sealed by the key it names, or altered on the way.
    #[error("not authentic")]
    Forged,
}

impl Opener {
    /// Generations held at once: the one in use, the one before (packets still under way), the next (handed over, not yet used).
    pub const GENERATIONS: usize = 3;

    /// Senders step forward at least this often: a receiver takes a step to have ended when it is over, packets or not.
    pub const STEP: Duration = Duration::from_secs(5);
    /// The last step of a generation has no successor; it ends so long after it began.
    const LAST_STEP: Duration = Duration::from_secs(7);
    /// A step or generation whose beginning was not heard began at most so long after what was heard last. It may be
    /// taken to have begun too early, then a little sound is lost after an outage; never too late by more than this, else
    /// 7 s after its beginning would be more than 9 s after what it sealed; a second is left for the network.
    const UNHEARD: Duration = Duration::from_secs(2);
    /// A sender that is not heard for longer has made a fresh key without us, or will hand us its current one when it is back.
    /// Above the 6 s after which sessions take a peer to be lost.
    pub const SILENCE: Duration = Duration::from_secs(8);

    /// An opener without any key: everything is [`Refused::KeyToCome`].
    pub fn new() -> Self {
        Self { generations: std::array::from_fn(|_| Generation::free()), opened: None, heard: None, due: None }
    }

    /// Takes a key in; its owner wipes it. When all places are taken the oldest generation goes, unless the new one is older still.
    ///
    /// A later step of a generation that is held is news of where its sender has come to; its replay window stays.
    /// Another key under the same generation replaces it.
    pub fn install(&mut self, now: Instant, key: &OpeningKey) {
        self.advance(now);
        let id = key.id();
        // Signals keep no order: what was replaced already does not come back.
        let heard = self.heard.map(KeyId::generation);
        let begun = self.generations.iter().filter(|place| place.is_held() && place.began.is_some());
        if begun.map(|place| place.steps.generation()).chain(heard).any(|newer| newer > id.generation()) {
            return;
        }
        // What was heard last and is forgotten left its replay window behind.
        let left = |place: &Generation| !place.is_held() && Some(place.steps.generation()) == heard;
        let same = |place: &Generation| place.steps.generation() == id.generation() && (place.is_held() || left(place));
        let age = |place: &Generation| match place {
            place if same(place) => (0, 0),
            free if !free.is_held() => (1, u64::from(left(free))),
            other => (2, other.steps.generation()),
        };
        let Some(place) = self.generations.iter_mut().min_by_key(|place| age(place)) else { return };
        let came = now.checked_sub(key.age).unwrap_or(now);
        if heard == Some(id.generation()) && !same(place) {
            return;
        }
        if place.is_held() && place.is(key) {
            if id.step() > place.newest {
                place.came = Some(came);
                self.begin(id, came);
            }
        } else if !place.is_held() || place.steps.generation() <= id.generation() {
            let again = left(place) && place.metadata == key.metadata;
            let window = std::mem::take(&mut place.window);
            place.take(came, key);
            if let Some(heard) = self.heard.filter(|heard| again && heard.generation() == id.generation()) {
                place.window = window;
                (0..heard.step()).for_each(|before| place.steps.erase(before));
                place.newest = place.newest.max(heard.step());
            }
        } else {
            return;
        }
        self.reckon();
    }

    /// Whether a packet of this key ID could be opened now, leaving replay windows aside: what somebody who stole this opener
    /// could do.
    pub fn holds(&self, id: KeyId) -> bool {
        self.generations
            .iter()
            .any(|place| place.steps.generation() == id.generation() && place.steps.get(id.step()).is_some())
    }

    /// Time has passed: takes steps on the receiver's own clock and erases what has ended.
    pub fn advance(&mut self, now: Instant) {
        if self.due.is_none_or(|due| now < due) {
            return;
        }
        let unheard = |place: &Generation| Some((place.id(), place.begins_by().filter(|by| *by <= now)?));
        while let Some((id, by)) = self.generations.iter().find_map(unheard) {
            self.begin(id, by);
        }
        for place in self.generations.iter_mut().filter(|place| place.is_held()) {
            if place.forgotten(self.opened).is_some_and(|end| end <= now) {
                place.steps.erase_all();
            } else {
                place.advance(now);
            }
        }
        self.reckon();
    }

    /// Opens `packet` into the start of `out` and returns the plaintext's length.
    /// `out` holds every possible plaintext when it has [`SealedPacket::CAPACITY`] bytes.
    ///
    /// # Errors
    /// See [`Refused`]. A refused packet changes nothing; `out` holds nothing of use.
    pub fn open(&mut self, now: Instant, packet: &SealedPacket, out: &mut [u8]) -> Result<usize, Refused> {
        self.advance(now);
        let bytes = packet.as_slice();
        let (header, header_len) = Header::parse(bytes).ok_or(Refused::Unreadable)?;
        let (header_bytes, sealed) = bytes.split_at_checked(header_len).ok_or(Refused::Unreadable)?;
        let (ciphertext, tag) = sealed.split_last_chunk::<TAG_LEN>().ok_or(Refused::Unreadable)?;
        let text = out.get_mut(..ciphertext.len()).ok_or(Refused::Unreadable)?;
        let id = KeyId::from_kid(header.kid);
        let mut newer = true;
        let mut place = None;
        for held in self.generations.iter_mut().filter(|held| held.is_held()) {
            newer &= held.steps.generation() < id.generation();
            if held.steps.generation() == id.generation() {
                place = Some(held);
            }
        }
        let unknown = if newer { Refused::KeyToCome } else { Refused::UnknownKey };
        let place = place.ok_or(unknown)?;
        let key = place.steps.get(id.step()).ok_or(Refused::UnknownKey)?;
        if !place.window.is_fresh(header.ctr) {
            return Err(Refused::Replayed);
        }
        text.copy_from_slice(ciphertext);
        let (aad, aad_len) = place.metadata.aad(header_bytes);
        if !key.open(header.ctr, aad.get(..aad_len).ok_or(Refused::Unreadable)?, text, tag) {
            return Err(Refused::Forged);
        }
        place.window.mark(header.ctr);
        self.heard = self.heard.max(Some(id));
        let begins = place.began.is_none() || id.step() > place.newest;
        let heard = place.came.max(self.opened.replace(now));
        if begins {
            self.begin(id, heard.map_or(now, |heard| now.min(after(heard, Self::UNHEARD))));
            self.reckon();
        }
        Ok(ciphertext.len())
    }

    /// The sender uses this step since `at`; with the first step of a generation all older ones end.
    fn begin(&mut self, id: KeyId, at: Instant) {
        let place =
            self.generations.iter_mut().find(|place| place.is_held() && place.steps.generation() == id.generation());
        let Some(place) = place else { return };
        let first = place.began.is_none();
        place.begin(id.step(), at);
        if first {
            let end = after(at, place.grace);
            self.end_older(id.generation(), end);
        }
    }

    /// What a thief of this memory could do with a packet: tries every key, and minds neither windows nor clocks.
    #[cfg(test)]
    pub(super) fn opens_for_a_thief(&self, packet: &SealedPacket) -> bool {
        let (header, len) = Header::parse(packet.as_slice()).unwrap();
        let (ciphertext, tag) = packet.as_slice()[len..].split_last_chunk::<TAG_LEN>().unwrap();
        self.generations.iter().any(|place| {
            let (aad, aad_len) = place.metadata.aad(&packet.as_slice()[..len]);
            place.steps.all().iter().any(|key| key.open(header.ctr, &aad[..aad_len], &mut ciphertext.to_vec(), tag))
        })
    }

    /// A newer generation is in use: the older ones end then.
    fn end_older(&mut self, than: u64, end: Instant) {
        for older in self.generations.iter_mut().filter(|place| place.steps.generation() < than) {
            older.ends.iter_mut().for_each(|at| *at = earlier(*at, Some(end)));
        }
    }

    /// Sets the time of the next change.
    fn reckon(&mut self) {
        let held = self.generations.iter().filter(|place| place.is_held());
        self.due = held.filter_map(|place| earlier(place.due(), place.forgotten(self.opened))).min();
    }
}

impl Default for Opener {
    fn default() -> Self {
        Self::new()
    }
}

impl Generation {
    fn free() -> Self {
        Self {
            steps: StepKeys::empty(),
            metadata: Metadata::empty(),
            window: ReplayWindow::new(),
            grace: OpeningKey::GRACE,
            newest: 0,
            began: None,
            came: None,
            ends: [None; StepKeys::COUNT],
        }
    }

    fn is_held(&self) -> bool {
        !self.steps.is_empty()
    }

    /// The step that it has come to.
    fn id(&self) -> KeyId {
        KeyId::new(self.steps.generation(), self.newest)
    }

    fn is(&self, key: &OpeningKey) -> bool {
        self.metadata == key.metadata && self.steps.same_ratchet(&key.steps)
    }

    fn take(&mut self, came: Instant, key: &OpeningKey) {
        self.steps.copy_from(&key.steps);
        self.window = ReplayWindow::new();
        (self.metadata, self.grace) = (key.metadata, key.grace);
        (self.newest, self.began, self.ends) = (key.steps.first(), None, [None; StepKeys::COUNT]);
        self.came = Some(came);
    }

    /// The sender has used `step` since `at`: those before it end a little later.
    fn begin(&mut self, step: u8, at: Instant) {
        for (before, end) in (0..step).zip(&mut self.ends) {
            if before >= self.newest {
                *end = earlier(*end, Some(after(at, OpeningKey::GRACE)));
            }
        }
        if step == KeyId::MAX_STEP
            && let Some(end) = self.ends.last_mut()
        {
            *end = earlier(*end, Some(after(at, Opener::LAST_STEP)));
        }
        (self.newest, self.began) = (step, Some(at));
    }

    fn advance(&mut self, now: Instant) {
        while let Some(over) = self.step_over().filter(|over| *over <= now) {
            self.begin(self.newest.saturating_add(1), over);
        }
        for (step, end) in (0..).zip(&self.ends) {
            if end.is_some_and(|end| end <= now) {
                self.steps.erase(step);
            }
        }
    }

    /// When it must be taken to be used, heard or not; `None` once it is, or when it holds no key.
    fn begins_by(&self) -> Option<Instant> {
        self.came.filter(|_| self.began.is_none() && self.is_held()).map(|came| after(came, Opener::UNHEARD))
    }

    /// When nothing was heard for so long that all of it is erased. Another generation's key is no news of this one.
    fn forgotten(&self, opened: Option<Instant>) -> Option<Instant> {
        self.came.max(opened).map(|heard| after(heard, Opener::SILENCE))
    }

    /// When the newest step must have been followed by the next, if there is a next.
    fn step_over(&self) -> Option<Instant> {
        self.began.filter(|_| self.newest < KeyId::MAX_STEP).map(|began| after(began, Opener::STEP))
    }

    fn due(&self) -> Option<Instant> {
        let held = |step: u8| self.steps.get(step).is_some();
        let ends = (0..).zip(&self.ends).filter(|(step, _)| held(*step)).filter_map(|(_, end)| *end).min();
        earlier(ends, earlier(self.begins_by(), self.step_over()))
    }
}

fn after(at: Instant, time: Duration) -> Instant {
    at.checked_add(time).unwrap_or(at)
}

fn earlier(a: Option<Instant>, b: Option<Instant>) -> Option<Instant> {
    a.into_iter().chain(b).min()
}
