//! The ratchet of RFC 9605 §5.1: within a generation each step's base key is made from the one before, and never the other way round.

use super::key_schedule::{ChaCha20Poly1305Sha256, FrameKey, Suite};
use std::fmt;
use zeroize::{Zeroize, Zeroizing};

/// Cipher key and salt in resonance's suite.
pub(super) type VoiceKey = FrameKey<ChaCha20Poly1305Sha256>;

/// Base key of one step.
pub(super) type BaseKey = Zeroizing<[u8; 32]>;

/// Names one step of one generation of a sender: SFrame's KID, generation ‖ step (4 bits).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyId(u64);

impl KeyId {
    /// Generations are at most this: they share 64 bits with the step.
    pub const MAX_GENERATION: u64 = u64::MAX >> Self::STEP_BITS;
    /// Steps are at most this.
    pub const MAX_STEP: u8 = 15;
    const STEP_BITS: u32 = 4;

    /// Only the lower 60 bits of the generation and 4 of the step are used.
    pub const fn new(generation: u64, step: u8) -> Self {
        Self((generation << Self::STEP_BITS) | (step & Self::MAX_STEP) as u64)
    }

    /// As a frame's header has it.
    pub const fn from_kid(kid: u64) -> Self {
        Self(kid)
    }

    /// For a frame's header.
    pub const fn kid(self) -> u64 {
        self.0
    }

    /// Counts the sender's base keys.
    pub const fn generation(self) -> u64 {
        self.0 >> Self::STEP_BITS
    }

    /// Counts the ratchet's steps within the generation.
    pub const fn step(self) -> u8 {
        (self.0 as u8) & Self::MAX_STEP
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.generation(), self.step())
    }
}

/// HKDF-Expand(HKDF-Extract("", `base_key`), "SFrame 1.0 Ratchet", 32).
pub(super) fn next(base_key: &BaseKey) -> BaseKey {
    let mut next = Zeroizing::new([0; 32]);
    // HKDF gives far more than 32 bytes without fail.
    let _ = ChaCha20Poly1305Sha256::expand(base_key.as_slice(), &[b"SFrame 1.0 Ratchet"], next.as_mut_slice());
    next
}

/// The keys of one generation, from some step to the last.
///
/// Made once, away from the audio threads: there a step forward is nothing but an erasure, and catching up costs no hashing
/// that a forged packet could ask for. Whoever holds a step's base key can make all the later ones, so nothing is given away.
pub(super) struct StepKeys {
    generation: u64,
    /// Bit `step` is set while that step's key is held.
    held: u16,
    keys: [VoiceKey; StepKeys::COUNT],
}

impl StepKeys {
    /// Steps of one generation.
    pub const COUNT: usize = KeyId::MAX_STEP as usize + 1;

    /// Holds nothing.
    pub fn empty() -> Self {
        Self { generation: 0, held: 0, keys: std::array::from_fn(|_| VoiceKey::blank()) }
    }

    /// All keys from `first` on, whose base key is given.
    pub fn derive(first: KeyId, base_key: &BaseKey) -> Self {
        let mut steps = Self { generation: first.generation(), ..Self::empty() };
        let mut base_key = base_key.clone();
        for step in first.step()..=KeyId::MAX_STEP {
            let kid = KeyId::new(steps.generation, step).kid();
            if let Some(key) = VoiceKey::derive(base_key.as_slice(), kid)
                && let Some(place) = steps.keys.get_mut(usize::from(step))
            {
                place.copy_from(&key);
                steps.held |= 1 << step;
            }
            base_key = next(&base_key);
        }
        steps
    }

    /// Which of the sender's generations this is.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// Nothing is held any more.
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// The first step that is held; the last possible when none is.
    pub fn first(&self) -> u8 {
        (self.held.trailing_zeros() as u8).min(KeyId::MAX_STEP)
    }

    /// The key of a step, while it is held.
    pub fn get(&self, step: u8) -> Option<&VoiceKey> {
        let held = self.held.checked_shr(step.into()).is_some_and(|bits| bits & 1 == 1);
        self.keys.get(usize::from(step)).filter(|_| held)
    }

    /// The memory of all keys, held or not.
    #[cfg(test)]
    pub fn all(&self) -> &[VoiceKey] {
        &self.keys
    }

    /// Overwrites the key of a step.
    pub fn erase(&mut self, step: u8) {
        if let Some(key) = self.keys.get_mut(usize::from(step)) {
            key.wipe();
            self.held &= !(1 << (step & KeyId::MAX_STEP));
        }
    }

    /// Overwrites everything.
    pub fn erase_all(&mut self) {
        self.keys.iter_mut().for_each(VoiceKey::wipe);
        self.held.zeroize();
    }

    /// Takes over all of another's keys, in place.
    pub fn copy_from(&mut self, other: &Self) {
        (self.generation, self.held) = (other.generation, other.held);
        self.keys.iter_mut().zip(&other.keys).for_each(|(to, from)| to.copy_from(from));
    }

    /// Whether both are of one ratchet: then their last keys agree. Constant time.
    pub fn same_ratchet(&self, other: &Self) -> bool {
        match (self.get(KeyId::MAX_STEP), other.get(KeyId::MAX_STEP)) {
            (Some(mine), Some(theirs)) => self.generation == other.generation && mine.same_as(theirs),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_id_is_generation_and_step() {
        let id = KeyId::new(300, 9);
        assert_eq!((id.kid(), id.generation(), id.step()), (4_809, 300, 9));
        assert_eq!(KeyId::from_kid(4_809), id);
        assert_eq!(KeyId::new(u64::MAX, 255).kid(), u64::MAX);
        assert_eq!(KeyId::MAX_GENERATION, (1 << 60) - 1);
        assert_eq!(id.to_string(), "300.9");
    }

    #[test]
    fn later_steps_come_from_earlier_ones_and_agree_whoever_makes_them() {
        let mut base_key = Zeroizing::new([7; 32]);
        let all = StepKeys::derive(KeyId::new(5, 0), &base_key);
        for step in 0..=KeyId::MAX_STEP {
            let later = StepKeys::derive(KeyId::new(5, step), &base_key);
            assert_eq!(later.first(), step);
            for other in 0..=KeyId::MAX_STEP {
                match later.get(other) {
                    Some(key) => assert!(other >= step && key.same_as(all.get(other).unwrap())),
                    None => assert!(other < step, "what was before cannot be made"),
                }
            }
            assert!(later.same_ratchet(&all));
            assert_ne!(next(&base_key).as_slice(), base_key.as_slice(), "no step stays where it was");
            base_key = next(&base_key);
        }
        assert!(!all.same_ratchet(&StepKeys::derive(KeyId::new(5, 0), &base_key)));
    }

    #[test]
    fn what_is_erased_is_overwritten() {
        let mut steps = StepKeys::derive(KeyId::new(5, 3), &Zeroizing::new([7; 32]));
        steps.erase(4);
        assert!(steps.get(4).is_none() && steps.get(3).is_some() && steps.get(5).is_some());
        assert_eq!(steps.keys[4].parts(), (&[0; 32][..], &[0; 12]));
        steps.erase_all();
        assert!(steps.is_empty() && steps.keys.iter().all(|key| key.parts() == (&[0; 32][..], &[0; 12])));
    }
}
