//! How much waits in the rings on the way of sound.

use super::format::milliseconds;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// How much waited in a ring since it was asked last: what never left it is a delay, the rest is a rhythm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depth {
    /// At the least.
    pub least: u32,
    /// At the most.
    pub most: u32,
}

impl Depth {
    /// Of samples of each channel, in ms: the least and the most.
    pub fn ms(self) -> [f32; 2] {
        [self.least, self.most].map(|samples| milliseconds(samples as f32))
    }

    /// The least of samples of each channel, in ms.
    pub fn least_ms(self) -> f32 {
        self.ms()[0]
    }
}

/// Measures a [`Depth`] on one thread for another; cloning gives another hand on the same one.
#[derive(Clone)]
pub struct Gauge(Arc<[AtomicU32; 2]>);

impl Default for Gauge {
    fn default() -> Self {
        Self(Arc::new([AtomicU32::new(u32::MAX), AtomicU32::new(0)]))
    }
}

impl Gauge {
    /// So much waits now. Never blocks.
    pub fn look(&self, waiting: usize) {
        let [least, most] = &*self.0;
        let waiting = u32::try_from(waiting).unwrap_or(u32::MAX);
        least.fetch_min(waiting, Ordering::Relaxed);
        most.fetch_max(waiting, Ordering::Relaxed);
    }

    /// What was seen since the last call; nothing where nobody looked.
    pub fn take(&self) -> Depth {
        let [least, most] = &*self.0;
        let (least, most) = (least.swap(u32::MAX, Ordering::Relaxed), most.swap(0, Ordering::Relaxed));
        // Between the two somebody may have looked.
        Depth { least: least.min(most), most }
    }
}

/// The rings on the way of sound.
#[derive(Clone, Default)]
pub struct Gauges {
    /// Samples from the microphone's card.
    pub microphone: Gauge,
    /// Samples of the processed voice.
    pub voice: Gauge,
    /// Frames for the speaker's card.
    pub speaker: Gauge,
    /// Packets to the network.
    pub outbound: Gauge,
    /// Packets from the network.
    pub inbound: Gauge,
}

/// What [`Gauges`] have seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Depths {
    /// Samples from the microphone's card.
    pub microphone: Depth,
    /// Samples of the processed voice.
    pub voice: Depth,
    /// Frames for the speaker's card.
    pub speaker: Depth,
    /// Packets to the network.
    pub outbound: Depth,
    /// Packets from the network.
    pub inbound: Depth,
}

impl Gauges {
    /// What was seen since the last call.
    pub fn take(&self) -> Depths {
        Depths {
            microphone: self.microphone.take(),
            voice: self.voice.take(),
            speaker: self.speaker.take(),
            outbound: self.outbound.take(),
            inbound: self.inbound.take(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gauge_tells_the_least_and_the_most_since_it_was_asked() {
        let gauge = Gauge::default();
        assert_eq!(gauge.take(), Depth::default(), "nobody looked");
        for waiting in [7, 3, 480] {
            gauge.clone().look(waiting);
        }
        let depth = gauge.take();
        assert_eq!(depth, Depth { least: 3, most: 480 });
        assert_eq!(depth.ms(), [0.0625, 10.0]);
        gauge.look(5);
        assert_eq!(gauge.take(), Depth { least: 5, most: 5 }, "what was before is told");
    }
}
