//! What is sent while one is silent: as much as ever, so that nobody who watches the network knows who speaks and when; or, for whoever
//! prefers that to be spared, next to nothing (discontinuous transmission).

use resonance_protocol::media::Pause;

/// Whether pauses are sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Pauses {
    /// As everything else.
    #[default]
    Sent,
    /// A packet now and then: the network sees when there is speech.
    Spared,
}

/// So many frames and one more tell of the beginning of a pause before it begins: as many have to be lost for nobody to know.
const TOLD_BEFORE: u8 = 5;
/// And of its end after that.
const TOLD_AFTER: u8 = 25;
/// Samples between two signs of life in a pause: 200 ms, less than what is taken for an interruption.
const SIGN_EVERY: u32 = 9_600;

/// What becomes of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It is sent, with what there is to tell of a pause.
    Sent(Option<Pause>),
    /// It is not, but a packet that shows that somebody is there.
    Sign,
    /// It is not.
    Spared,
}

/// Decides what becomes of each frame.
#[derive(Debug, Default)]
pub struct Sparing {
    pauses: Pauses,
    state: State,
}

#[derive(Clone, Copy, Debug)]
enum State {
    /// There is something to say; so many frames were sent since the last pause, if there was one.
    Speaks(Option<u8>),
    /// So many more are sent.
    Falls(u8),
    /// Nothing is sent; so many samples ago was a sign of life.
    Rests(u32),
}

impl Default for State {
    fn default() -> Self {
        Self::Speaks(None)
    }
}

impl Sparing {
    /// From the next frame on.
    pub fn set(&mut self, pauses: Pauses) {
        self.pauses = pauses;
    }

    /// The next frame, of so many samples: whether it is speech.
    pub fn next(&mut self, speech: bool, samples: usize) -> Fate {
        let wanted = speech || self.pauses == Pauses::Sent;
        self.state = match (self.state, wanted) {
            (State::Rests(_), true) => State::Speaks(Some(0)),
            (State::Speaks(sent), true) => State::Speaks(sent.map(|sent| sent + 1).filter(|sent| *sent < TOLD_AFTER)),
            (State::Falls(_), true) => State::Speaks(None),
            (State::Speaks(_), false) => State::Falls(TOLD_BEFORE),
            (State::Falls(0), false) => State::Rests(samples as u32),
            (State::Falls(more), false) => State::Falls(more - 1),
            (State::Rests(since), false) if since >= SIGN_EVERY => State::Rests(samples as u32),
            (State::Rests(since), false) => State::Rests(since + samples as u32),
        };
        match self.state {
            State::Speaks(sent) => Fate::Sent(sent.map(Pause::Ended)),
            State::Falls(more) => Fate::Sent(Some(Pause::Begins(more))),
            State::Rests(since) if since >= SIGN_EVERY => Fate::Sign,
            State::Rests(_) => Fate::Spared,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_sent_unless_pauses_are_to_be_spared() {
        let mut sparing = Sparing::default();
        assert!((0..1_000).all(|n| sparing.next(n % 100 < 30, 480) == Fate::Sent(None)));
    }

    #[test]
    fn a_pause_is_announced_shows_signs_of_life_and_is_over_at_once() {
        let mut sparing = Sparing::default();
        sparing.set(Pauses::Spared);
        assert_eq!(sparing.next(true, 480), Fate::Sent(None));
        for more in (0..=TOLD_BEFORE).rev() {
            assert_eq!(sparing.next(false, 480), Fate::Sent(Some(Pause::Begins(more))));
        }
        let fates: Vec<Fate> = (0..1_000).map(|_| sparing.next(false, 480)).collect();
        assert_eq!(fates.iter().filter(|fate| **fate == Fate::Sign).count(), 50, "five a second");
        assert!(fates.iter().all(|fate| matches!(fate, Fate::Sign | Fate::Spared)));
        for sent in 0..TOLD_AFTER {
            assert_eq!(sparing.next(true, 480), Fate::Sent(Some(Pause::Ended(sent))));
        }
        assert_eq!(sparing.next(true, 480), Fate::Sent(None));
        // Somebody goes on in the last moment, and it is no pause.
        sparing.next(false, 480);
        assert_eq!(sparing.next(true, 480), Fate::Sent(None));
        sparing.next(false, 480);
        sparing.set(Pauses::Sent);
        assert_eq!(sparing.next(false, 480), Fate::Sent(None));
    }
}
