//! Changes of what voices are placed with, between their words and the audio room.

use crate::audio::{Engine, SpaceChoice};
use crate::command::Space;

/// Changes what was asked for by a command.
///
/// # Errors
/// In words; nothing is changed then.
pub fn command(engine: &mut Engine, wish: &Space) -> Result<(), String> {
    let mut space = engine.space().clone();
    let parsed = match wish {
        Space::Hrtf(head) => head.parse().map(|head| space.hrtf = head),
        Space::Acoustics(room) => room.parse().map(|room| space.acoustics = room),
        Space::Ears(ears) => ears.parse().map(|ears| space.ears = ears),
    };
    parsed.map_err(|error| error.to_string())?;
    engine.set_space(space);
    Ok(())
}

/// Changes what was set to something else; the rest stays as it was last asked for.
pub fn settings(engine: &mut Engine, before: &SpaceChoice, now: &SpaceChoice) {
    let mut space = engine.space().clone();
    if before.hrtf != now.hrtf {
        space.hrtf.clone_from(&now.hrtf);
    }
    if before.acoustics != now.acoustics {
        space.acoustics = now.acoustics;
    }
    if before.ears != now.ears {
        space.ears = now.ears;
    }
    engine.set_space(space);
}
