//! What sound takes on this side of the network: told by the cards and the pipeline, shown to people and told to the others.

/// What sound takes, in ms; 0 where a card does not say. After the codec come the network and the jitter buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Delays {
    /// The microphone, its driver or sound server, and what never leaves its ring.
    pub capture_ms: f32,
    /// Processing of the voice, and what never leaves the ring behind it.
    pub processing_ms: f32,
    /// A packet is filled before it is sent.
    pub packet_ms: f32,
    /// The encoder looks ahead (RFC 6716, section 2).
    pub codec_ms: f32,
    /// The ears' responses to a voice from ahead.
    pub render_ms: f32,
    /// What never leaves the speaker's ring, its driver or sound server, and the speaker.
    pub playback_ms: f32,
}

impl Delays {
    /// From the mouth until a packet is sent.
    pub fn sending_ms(&self) -> f32 {
        self.capture_ms + self.processing_ms + self.packet_ms + self.codec_ms
    }

    /// From the jitter buffer to the ear.
    pub fn hearing_ms(&self) -> f32 {
        self.render_ms + self.playback_ms
    }
}
