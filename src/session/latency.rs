//! Where time goes between a mouth and an ear.

use super::peer::Member;
pub use crate::latency::Delays;

/// What waited in the queues of sound lately: the least and the most. What never leaves a queue is in the [`Delays`], too.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Queues {
    /// From the microphone's card, in ms.
    pub microphone_ms: [f32; 2],
    /// The processed voice, in ms.
    pub voice_ms: [f32; 2],
    /// For the speaker's card, in ms.
    pub speaker_ms: [f32; 2],
    /// Packets to the network.
    pub outbound: [u32; 2],
    /// Packets from the network.
    pub inbound: [u32; 2],
}

/// How late somebody is heard here, stage by stage, in ms.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MouthToEar {
    /// Until it sends: what it says itself, [`Delays::sending_ms`]; `None` while it has not.
    pub sending_ms: Option<f32>,
    /// Half of the round trip.
    pub network_ms: f32,
    /// In the jitter buffer.
    pub buffer_ms: f32,
    /// From there to the ear.
    pub hearing_ms: f32,
}

impl MouthToEar {
    /// Of this member's voice; `None` while the round trip is not known.
    pub(super) fn of(member: &Member, own: &Delays) -> Option<Self> {
        Some(Self {
            sending_ms: member.sending_ms,
            network_ms: member.rtt_ms? / 2.0,
            buffer_ms: member.lane?.buffer_ms,
            hearing_ms: own.hearing_ms(),
        })
    }

    /// All of it; `None` while a stage is not known.
    pub fn total_ms(&self) -> Option<f32> {
        Some(self.sending_ms? + self.network_ms + self.buffer_ms + self.hearing_ms)
    }
}
