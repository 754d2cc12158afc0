//! A renderer that another can take the place of while sound flows.

use super::LaneRenderer;
use crate::audio::format::{FRAME, QUANTUM, Quantum};
use resonance_protocol::position::Position;

/// Renders one voice, and changes over to another renderer within 10 ms.
pub struct Placer {
    renderer: Box<LaneRenderer>,
    /// Takes its place when it can.
    next: Option<Box<LaneRenderer>>,
    /// Gives its place away, and has done so for this many samples.
    before: Option<(Box<LaneRenderer>, usize)>,
    /// Gave its place away; freed elsewhere.
    spent: Option<Box<LaneRenderer>>,
}

impl Placer {
    /// Begins with this one.
    pub fn new(renderer: LaneRenderer) -> Self {
        Self { renderer: Box::new(renderer), next: None, before: None, spent: None }
    }

    /// Lets another renderer take over; gives back one that still waited for that.
    pub fn change(&mut self, renderer: Box<LaneRenderer>) -> Option<Box<LaneRenderer>> {
        self.next.replace(renderer)
    }

    /// The one that gave its place away, to be freed.
    pub fn take_spent(&mut self) -> Option<Box<LaneRenderer>> {
        self.spent.take()
    }

    /// See [`LaneRenderer::render`].
    pub fn render(&mut self, position: Position, mono: &Quantum, left: &mut Quantum, right: &mut Quantum) {
        // As long as the last one was not fetched there is no place for another.
        if self.before.is_none()
            && self.spent.is_none()
            && let Some(next) = self.next.take()
        {
            self.before = Some((std::mem::replace(&mut self.renderer, next), 0));
        }
        self.renderer.render(position, mono, left, right);
        let Some((before, faded)) = &mut self.before else { return };
        let (mut old_left, mut old_right) = ([0.0; QUANTUM], [0.0; QUANTUM]);
        before.render(position, mono, &mut old_left, &mut old_right);
        for (out, old) in [(left, old_left), (right, old_right)] {
            for (n, (out, old)) in out.iter_mut().zip(old).enumerate() {
                let part = (*faded + n + 1) as f32 / FRAME as f32;
                *out = old + (*out - old) * part;
            }
        }
        *faded += QUANTUM;
        if *faded >= FRAME {
            self.spent = self.before.take().map(|(before, _)| before);
        }
    }
}
