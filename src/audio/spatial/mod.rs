//! Places a voice in space: measured head-related impulse responses (HRIR) by direction, the laws of distance, a room around it.
//!
//! `sofar` reads the SOFA file, resamples and normalises it, and convolves. In between stands `hrir`: between two measured
//! directions the responses are blended after their onsets are aligned, without allocating, so that the audio thread can turn
//! a voice by itself. Blending unaligned responses (two onsets a few samples apart) combs the treble: with every direction of
//! the embedded set predicted from its neighbours, the spectrum is off by 5.8 dB on average (20 Hz–14 kHz), aligned by 1.5 dB.
//!
//! [`Space`] makes it all: a [`LaneRenderer`] for each voice, which a [`Placer`] can exchange while sound flows, and the [`Room`] that
//! they share. Through loudspeakers voices are panned instead, and music in stereo always is ([`Wide`]).

pub mod choice;
mod distance;
mod hrir;
mod lane;
mod pan;
mod placer;
mod room;
mod rooms;
mod space;
#[cfg(feature = "steam-audio")]
mod steam;
#[cfg(test)]
mod tests;
mod wide;

pub use lane::LaneRenderer;
pub use placer::Placer;
pub use room::Room;
pub use rooms::Rooms;
pub use space::Space;
pub use wide::Wide;

use super::format::{QUANTUM, SAMPLE_RATE};
use choice::HrtfChoice;
use hrir::HrirSet;
use resonance_protocol::position::Position;
use sofar::render::RendererPlan;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use thiserror::Error;

/// The embedded set: MIT KEMAR, normal pinna (source and licence in `assets/README.md`).
static KEMAR: &[u8] = include_bytes!("../../../assets/MIT_KEMAR_normal_pinna.sofa");

/// What the other engine is called.
#[cfg(feature = "steam-audio")]
const STEAM: &str = "steam-audio";

/// Where a voice stands whose delay is told.
const AHEAD: Position = Position { azimuth_deg: 0.0, elevation_deg: 0.0, distance_m: 1.0 };

/// The longest file of responses that is read, in bytes: the largest published sets have a few hundred megabytes.
const MAX_FILE: u64 = 512 << 20;

/// Why there is no spatial sound.
#[derive(Debug, Error)]
pub enum SpatialError {
    /// The file cannot be opened or read.
    #[error("it cannot be read: {0}")]
    File(#[from] std::io::Error),
    /// It ends too soon, or is something else.
    #[error("{0}")]
    NotSofa(&'static str),
    /// The bytes are no SOFA file that can be read, or it could not be brought to 48 kHz.
    #[error("it is no SOFA file that can be read, or damaged")]
    Unreadable(#[from] sofar::reader::Error),
    /// The file is well-formed, but is not a set of free-field responses of two ears.
    #[error("it is no set of responses of two ears: {0}")]
    Unusable(&'static str),
    /// Steam Audio was asked for, and the program was built without it.
    #[error("this program was built without Steam Audio (feature steam-audio)")]
    NoSteam,
    /// Steam Audio says no.
    #[error("Steam Audio does not start: {0}")]
    Steam(String),
    /// The convolution refused the set's dimensions.
    #[error("the HRTF renderer could not be made: {0}")]
    Renderer(#[from] sofar::render::Error),
}

/// A loaded set of responses at 48 kHz, shared by all lanes; cloning is cheap.
#[derive(Clone)]
pub struct Spatializer {
    name: Arc<str>,
    set: Arc<HrirSet>,
    plan: RendererPlan,
    delay: f32,
}

impl Spatializer {
    /// The set that was chosen. Takes a fraction of a second and allocates: where waiting does no harm.
    ///
    /// # Errors
    /// See [`SpatialError`]; never with the embedded set as it is in the repository.
    pub fn load(choice: &HrtfChoice) -> Result<Self, SpatialError> {
        match choice {
            HrtfChoice::Embedded => Self::new(),
            HrtfChoice::SteamAudio => Self::steam(),
            HrtfChoice::File(path) => Self::from_file(path),
        }
    }

    /// The embedded set, read once in the life of the program.
    ///
    /// # Errors
    /// Never with the embedded set as it is in the repository; see [`SpatialError`].
    pub fn new() -> Result<Self, SpatialError> {
        static READ: Mutex<Option<Spatializer>> = Mutex::new(None);
        let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(embedded) = &*read {
            return Ok(embedded.clone());
        }
        let embedded = Self::from_sofa("mit-kemar", KEMAR)?;
        *read = Some(embedded.clone());
        Ok(embedded)
    }

    /// The embedded set, placed by Steam Audio.
    #[cfg(feature = "steam-audio")]
    fn steam() -> Result<Self, SpatialError> {
        // Whether it starts is seen here, before a voice depends on it.
        LaneRenderer::steam(KEMAR)?;
        Ok(Self { name: STEAM.into(), ..Self::new()? })
    }

    #[cfg(not(feature = "steam-audio"))]
    fn steam() -> Result<Self, SpatialError> {
        Err(SpatialError::NoSteam)
    }

    fn from_file(path: &Path) -> Result<Self, SpatialError> {
        let mut bytes = Vec::new();
        File::open(path)?.take(MAX_FILE + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > MAX_FILE {
            return Err(SpatialError::NotSofa("it is longer than 512 MiB, which no set of responses is"));
        }
        complete(&bytes)?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let name: String = stem.chars().filter(|c| !c.is_control()).take(40).collect();
        // `sofar` panics on some files that are damaged.
        std::panic::catch_unwind(|| Self::from_sofa(&name, &bytes))
            .unwrap_or(Err(SpatialError::NotSofa("it is damaged: reading it failed")))
    }

    /// Takes a SOFA file (AES69, convention SimpleFreeFieldHRIR) from its bytes, brought to 48 kHz and to such a level that
    /// speech from straight ahead at 1 m is 6 dB below what came in, which leaves room for the ear's resonance.
    fn from_sofa(name: &str, file: &[u8]) -> Result<Self, SpatialError> {
        let set = HrirSet::from_sofa(file)?;
        let plan = RendererPlan::builder(set.taps())
            .with_sample_rate(SAMPLE_RATE as f32)
            .with_partition_len(QUANTUM)
            .build()?;
        let delay = hrir::speech_delay(&set.responses(AHEAD));
        Ok(Self { name: format!("hrtf:{name}").into(), set: Arc::new(set), plan, delay })
    }

    /// What it is called, for reports.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Samples by which speech from ahead is heard later than it is given.
    pub fn delay(&self) -> f32 {
        self.delay
    }

    /// Whether it is the same set, not one like it.
    fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.set, &other.set) && self.name == other.name
    }

    /// A renderer for one voice. Allocates everything that the voice will need.
    ///
    /// # Errors
    /// See [`SpatialError::Renderer`].
    pub fn lane(&self) -> Result<LaneRenderer, SpatialError> {
        #[cfg(feature = "steam-audio")]
        if &*self.name == STEAM {
            return LaneRenderer::steam(KEMAR);
        }
        LaneRenderer::ears(self.set.clone(), &self.plan, lane::FADE)
    }

    /// Both ears' responses in a direction.
    fn responses(&self, direction: Position) -> [Vec<f32>; 2] {
        self.set.responses(direction)
    }
}

/// Whether an HDF5 file, which a SOFA file is, is all there: it says in the beginning how long it is.
fn complete(file: &[u8]) -> Result<(), SpatialError> {
    const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";
    let other = SpatialError::NotSofa("it is no SOFA file: those are HDF5 inside");
    let Some(version) = file.strip_prefix(SIGNATURE).and_then(|rest| rest.first()) else { return Err(other) };
    // Where it says how wide its addresses are, and where the one of its end stands.
    let (width, end) = match version {
        0 => (13, 40),
        1 => (13, 44),
        _ => (9, 28),
    };
    if file.get(width).is_some_and(|bytes| *bytes != 8) {
        return Ok(());
    }
    let told = file.get(end..end + 8).and_then(|bytes| bytes.try_into().ok()).map_or(u64::MAX, u64::from_le_bytes);
    if told > file.len() as u64 {
        return Err(SpatialError::NotSofa("it ends too soon: part of it is missing"));
    }
    Ok(())
}
