//! What voices are placed with, changed while sound flows. A head is loaded on a thread of its own: it takes a fraction of a second.

use super::Engine;
use crate::audio::spatial::choice::{HrtfChoice, SpaceChoice};
use crate::audio::spatial::{SpatialError, Spatializer};
use crate::audio::{Control, Event, StartError};
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::thread;

/// A head that is being loaded.
pub(super) struct Loading {
    choice: HrtfChoice,
    loaded: Receiver<Result<Spatializer, SpatialError>>,
}

/// The head to start with, and what it is; the embedded one and a warning when another was wanted and cannot be had.
///
/// # Errors
/// Not even the embedded one can.
pub(super) fn first(choice: &HrtfChoice) -> Result<(Spatializer, HrtfChoice, Option<Event>), StartError> {
    match Spatializer::load(choice) {
        Ok(head) => Ok((head, choice.clone(), None)),
        Err(error) if *choice == HrtfChoice::Embedded => Err(error.into()),
        Err(error) => Ok((Spatializer::new()?, HrtfChoice::Embedded, Some(refused(choice, &error.to_string())))),
    }
}

impl Engine {
    /// What voices are placed with, as it was last asked for.
    pub fn space(&self) -> &SpaceChoice {
        &self.space
    }

    /// Places voices with something else. A head that cannot be had becomes an [`Event::Warning`]; the one before is kept.
    pub fn set_space(&mut self, space: SpaceChoice) {
        if space.hrtf != self.space.hrtf {
            self.load(space.hrtf.clone());
        }
        self.space = space;
        self.place();
    }

    /// Lets the pipeline know of the room, and of what is listened with now.
    pub(super) fn place(&mut self) {
        let device = self.output.as_ref().and_then(|card| card.ears());
        self.control(Control::Ears(self.space.ears.with(device)));
        self.control(Control::Acoustics(self.space.acoustics));
    }

    /// Takes in a head that has been loaded.
    pub(super) fn look_for_head(&mut self) {
        let Some(loading) = &self.loading else { return };
        let outcome = match loading.loaded.try_recv() {
            Ok(outcome) => outcome.map_err(|error| error.to_string()),
            Err(TryRecvError::Empty) => return,
            Err(TryRecvError::Disconnected) => Err("it could not be loaded".to_owned()),
        };
        let choice = loading.choice.clone();
        self.loading = None;
        match outcome {
            Ok(head) => {
                self.control(Control::Head(Box::new(head)));
                self.head = choice;
            }
            Err(error) => {
                self.tell(refused(&choice, &error));
                self.space.hrtf = self.head.clone();
            }
        }
    }

    fn load(&mut self, choice: HrtfChoice) {
        let (give, loaded) = channel();
        let wanted = choice.clone();
        let work = move || {
            // Nobody waits for it any more when another was asked for meanwhile.
            let _ = give.send(Spatializer::load(&wanted));
        };
        // Without a thread the channel is closed, which says it.
        let _ = thread::Builder::new().name("audio head".into()).spawn(work);
        self.loading = Some(Loading { choice, loaded });
    }
}

fn refused(choice: &HrtfChoice, why: &str) -> Event {
    Event::Warning {
        code: "hrtf",
        message: format!("{choice} cannot be used for hearing: {why}."),
        hint: "Voices are placed as before. A head is a SOFA file (convention SimpleFreeFieldHRIR), or default.".into(),
    }
}
