//! What can be sent, from the least to the most of the network that it takes.

use crate::rate::Rate;

/// How many earlier frames go with each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Degree {
    /// None.
    #[default]
    None,
    /// One.
    Light,
    /// Two.
    Medium,
    /// Three.
    Heavy,
}

impl Degree {
    /// Their number.
    pub const fn copies(self) -> u32 {
        match self {
            Self::None => 0,
            Self::Light => 1,
            Self::Medium => 2,
            Self::Heavy => 3,
        }
    }
}

/// What goes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Given {
    /// At this rate.
    pub rate: Rate,
    /// With these copies.
    pub degree: Degree,
}

/// How much of the network that takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Load {
    Least,
    Less,
    Reduced,
    #[default]
    Full,
    Light,
    Medium,
    Heavy,
}

impl Load {
    const ALL: [Self; 7] = [Self::Least, Self::Less, Self::Reduced, Self::Full, Self::Light, Self::Medium, Self::Heavy];

    /// On the wire, with all that is around the sound, in packets of 10 ms, and of 20 where the rate is lowered.
    pub(super) fn kilobits(self) -> f32 {
        [45.0, 65.0, 81.0, 146.0, 148.0, 189.0, 199.0][self as usize]
    }

    pub(super) fn less(self) -> Self {
        Self::ALL[(self as usize).saturating_sub(1)]
    }

    pub(super) fn more(self) -> Self {
        Self::ALL[(self as usize + 1).min(Self::ALL.len() - 1)]
    }

    /// The most that takes no more than this; at the least the least.
    pub(super) fn within(kilobits: f32) -> Self {
        Self::ALL.into_iter().rev().find(|load| load.kilobits() <= kilobits).unwrap_or(Self::Least)
    }

    /// What somebody who loses packets asks for.
    pub(super) fn of(degree: Degree) -> Self {
        match degree {
            Degree::None => Self::Full,
            Degree::Light => Self::Light,
            Degree::Medium => Self::Medium,
            Degree::Heavy => Self::Heavy,
        }
    }

    /// What is sent of it to those who need so many copies. Half the bits each go twice where more than one packet in twenty is lost; below
    /// that there are too few bits for two.
    pub(super) fn given(self, needs: Degree) -> Given {
        let (rate, degree) = match self {
            Self::Least => (Rate::Least, Degree::None),
            Self::Less => (Rate::Less, Degree::None),
            Self::Reduced if needs >= Degree::Medium => (Rate::Reduced, Degree::Light),
            Self::Reduced => (Rate::Reduced, Degree::None),
            Self::Full => (Rate::Full, Degree::None),
            Self::Light => (Rate::Full, Degree::Light),
            Self::Medium => (Rate::Full, Degree::Medium),
            Self::Heavy => (Rate::Full, Degree::Heavy),
        };
        Given { rate, degree }
    }
}
