//! The few calls into libopus 1.6 that voices need, made safe: `opusic-sys` has all of it, the safe crates have no deep redundancy.
//!
//! Lengths are checked here and pointers never leave. Sound is 48 kHz; frames are given by the slices' lengths.

#![allow(unsafe_code)] // libopus is C: each call is a foreign function.

use super::format::SAMPLE_RATE;
use opusic_sys as sys;
use std::ffi::{CStr, c_int};
use std::ptr::{self, NonNull};
use thiserror::Error;

const RATE: i32 = SAMPLE_RATE as i32;

/// What libopus says no with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("{}", words(*.0))]
pub struct OpusError(c_int);

fn words(code: c_int) -> &'static str {
    // SAFETY: opus_strerror returns a static string, terminated by zero, for every number.
    let text = unsafe { CStr::from_ptr(sys::opus_strerror(code)) };
    text.to_str().unwrap_or("an error without a name")
}

fn checked(result: c_int) -> Result<usize, OpusError> {
    usize::try_from(result).map_err(|_| OpusError(result))
}

fn length(bytes: &[u8]) -> i32 {
    i32::try_from(bytes.len()).unwrap_or(i32::MAX)
}

fn frames(samples: &[f32], channels: usize) -> c_int {
    c_int::try_from(samples.len() / channels).unwrap_or(c_int::MAX)
}

/// What can be set at an encoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Setting {
    /// Bits a second, all of them: sound and redundancy.
    Bitrate(i32),
    /// Every packet has the same size.
    ConstantRate,
    /// It is speech, not music.
    Speech,
    /// It is music.
    Music,
    /// 0–10: how hard it tries.
    Complexity(i32),
    /// Each packet carries the one before once more, coarser (LBRR, RFC 6716, section 2.1.7).
    Lbrr(bool),
    /// Expected share of lost packets in percent: how many bits go into redundancy.
    ExpectedLoss(i32),
    /// Frames of 10 ms of deep redundancy (DRED) in each packet.
    DeepRedundancy(i32),
}

/// How far an encoder looks ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delay {
    /// 6.5 ms: it may code speech as such (SILK).
    Usual,
    /// 2.5 ms: it codes everything as sound (CELT).
    Low,
}

/// An encoder of one or two channels.
pub struct Encoder {
    state: NonNull<sys::OpusEncoder>,
    channels: usize,
}

// SAFETY: the state is owned and libopus keeps nothing per thread.
unsafe impl Send for Encoder {}

impl Encoder {
    /// Allocates an encoder without a high-pass filter (libopus' mode "audio").
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(channels: usize, delay: Delay) -> Result<Self, OpusError> {
        let mut error = sys::OPUS_OK;
        let application = match delay {
            Delay::Usual => sys::OPUS_APPLICATION_AUDIO,
            Delay::Low => sys::OPUS_APPLICATION_RESTRICTED_LOWDELAY,
        };
        let count = channels as c_int;
        // SAFETY: `error` lives for the call; wrong numbers of channels are refused.
        let state = unsafe { sys::opus_encoder_create(RATE, count, application, &raw mut error) };
        let state = NonNull::new(state).ok_or(OpusError(error))?;
        Ok(Self { state, channels })
    }

    /// Changes a setting from the next frame on. Does not allocate.
    ///
    /// # Errors
    /// Out of its range.
    pub fn set(&mut self, setting: Setting) -> Result<(), OpusError> {
        let (request, value) = match setting {
            Setting::Bitrate(bits) => (sys::OPUS_SET_BITRATE_REQUEST, bits),
            Setting::ConstantRate => (sys::OPUS_SET_VBR_REQUEST, 0),
            Setting::Speech => (sys::OPUS_SET_SIGNAL_REQUEST, sys::OPUS_SIGNAL_VOICE),
            Setting::Music => (sys::OPUS_SET_SIGNAL_REQUEST, sys::OPUS_SIGNAL_MUSIC),
            Setting::Complexity(effort) => (sys::OPUS_SET_COMPLEXITY_REQUEST, effort),
            Setting::Lbrr(on) => (sys::OPUS_SET_INBAND_FEC_REQUEST, i32::from(on)),
            Setting::ExpectedLoss(percent) => (sys::OPUS_SET_PACKET_LOSS_PERC_REQUEST, percent),
            Setting::DeepRedundancy(frames) => (sys::OPUS_SET_DRED_DURATION_REQUEST, frames),
        };
        // SAFETY: every one of these requests takes one 32-bit number.
        checked(unsafe { sys::opus_encoder_ctl(self.state.as_ptr(), request, value) }).map(|_| ())
    }

    /// Samples by which decoded sound is later than what went in.
    ///
    /// # Errors
    /// None that is known.
    pub fn lookahead(&mut self) -> Result<i32, OpusError> {
        let mut samples = 0_i32;
        let request = sys::OPUS_GET_LOOKAHEAD_REQUEST;
        // SAFETY: this request writes one 32-bit number to where it is told.
        checked(unsafe { sys::opus_encoder_ctl(self.state.as_ptr(), request, &raw mut samples) })?;
        Ok(samples)
    }

    /// Encodes one frame (interleaved) and returns the packet's length. Does not allocate.
    ///
    /// # Errors
    /// The frame's length is none of Opus' own, or `out` is too short.
    pub fn encode(&mut self, frame: &[f32], out: &mut [u8]) -> Result<usize, OpusError> {
        let (samples, room) = (frames(frame, self.channels), length(out));
        // SAFETY: both lengths are those of the slices.
        checked(unsafe { sys::opus_encode_float(self.state.as_ptr(), frame.as_ptr(), samples, out.as_mut_ptr(), room) })
    }
}

impl Drop for Encoder {
    fn drop(&mut self) {
        // SAFETY: created by opus_encoder_create and not used any more.
        unsafe { sys::opus_encoder_destroy(self.state.as_ptr()) }
    }
}

/// A decoder of one or two channels.
pub struct Decoder {
    state: NonNull<sys::OpusDecoder>,
    channels: usize,
}

// SAFETY: the state is owned and libopus keeps nothing per thread.
unsafe impl Send for Decoder {}

impl Decoder {
    /// Allocates a decoder. From `complexity` 5 on, missing packets are made up by a neural network.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new(channels: usize, complexity: i32) -> Result<Self, OpusError> {
        let mut error = sys::OPUS_OK;
        // SAFETY: `error` lives for the call; wrong numbers of channels are refused.
        let state = unsafe { sys::opus_decoder_create(RATE, channels as c_int, &raw mut error) };
        let state = NonNull::new(state).ok_or(OpusError(error))?;
        let mut decoder = Self { state, channels };
        decoder.set_complexity(complexity)?;
        Ok(decoder)
    }

    /// Tries as hard as that from now on. Does not allocate.
    ///
    /// # Errors
    /// Not within 0–10.
    pub fn set_complexity(&mut self, complexity: i32) -> Result<(), OpusError> {
        let request = sys::OPUS_SET_COMPLEXITY_REQUEST;
        // SAFETY: this request takes one 32-bit number.
        checked(unsafe { sys::opus_decoder_ctl(self.state.as_ptr(), request, complexity) }).map(|_| ())
    }

    /// Decodes one packet into `out` (interleaved) and returns how many samples a channel it had. Does not allocate.
    ///
    /// # Errors
    /// It is not Opus, or longer than `out`.
    pub fn decode(&mut self, packet: &[u8], out: &mut [f32]) -> Result<usize, OpusError> {
        if packet.is_empty() {
            return Err(OpusError(sys::OPUS_INVALID_PACKET));
        }
        self.run(packet.as_ptr(), length(packet), out, 0)
    }

    /// Decodes the coarse copy of the frame **before** `packet`, or makes that frame up when there is none.
    ///
    /// # Errors
    /// It is not Opus.
    pub fn decode_lbrr(&mut self, packet: &[u8], out: &mut [f32]) -> Result<usize, OpusError> {
        if packet.is_empty() {
            return Err(OpusError(sys::OPUS_INVALID_PACKET));
        }
        self.run(packet.as_ptr(), length(packet), out, 1)
    }

    /// Makes up `out` from what was decoded before.
    ///
    /// # Errors
    /// Its length is none of Opus' own.
    pub fn conceal(&mut self, out: &mut [f32]) -> Result<usize, OpusError> {
        self.run(ptr::null(), 0, out, 0)
    }

    /// Fills `out` with what `deep` holds of the sound that begins `offset` samples before its packet's own.
    ///
    /// # Errors
    /// It does not reach so far.
    pub fn decode_deep(&mut self, deep: &DeepRedundancy, offset: usize, out: &mut [f32]) -> Result<usize, OpusError> {
        let (offset, samples) = (c_int::try_from(offset).unwrap_or(c_int::MAX), frames(out, self.channels));
        // SAFETY: the length is that of the slice; `deep` was allocated by opus_dred_alloc and outlives the call.
        checked(unsafe {
            sys::opus_decoder_dred_decode_float(
                self.state.as_ptr(),
                deep.parsed.as_ptr(),
                offset,
                out.as_mut_ptr(),
                samples,
            )
        })
    }

    fn run(&mut self, packet: *const u8, len: i32, out: &mut [f32], lbrr: c_int) -> Result<usize, OpusError> {
        let samples = frames(out, self.channels);
        // SAFETY: `packet` is `len` bytes of a slice, or null with length zero, which means that it was lost; `out` has so many samples.
        checked(unsafe { sys::opus_decode_float(self.state.as_ptr(), packet, len, out.as_mut_ptr(), samples, lbrr) })
    }
}

impl Drop for Decoder {
    fn drop(&mut self) {
        // SAFETY: created by opus_decoder_create and not used any more.
        unsafe { sys::opus_decoder_destroy(self.state.as_ptr()) }
    }
}

/// Reads the deep redundancy of a packet: up to a second of what was said before it, in a few hundred bits.
pub struct DeepRedundancy {
    decoder: NonNull<sys::OpusDREDDecoder>,
    parsed: NonNull<sys::OpusDRED>,
}

// SAFETY: both states are owned and libopus keeps nothing per thread.
unsafe impl Send for DeepRedundancy {}

impl DeepRedundancy {
    /// Allocates the reader.
    ///
    /// # Errors
    /// Out of memory.
    pub fn new() -> Result<Self, OpusError> {
        let mut error = sys::OPUS_OK;
        // SAFETY: `error` lives for the call.
        let decoder = unsafe { sys::opus_dred_decoder_create(&raw mut error) };
        let decoder = NonNull::new(decoder).ok_or(OpusError(error))?;
        // SAFETY: as above.
        let parsed = unsafe { sys::opus_dred_alloc(&raw mut error) };
        let Some(parsed) = NonNull::new(parsed) else {
            // SAFETY: just created, and used by nobody.
            unsafe { sys::opus_dred_decoder_destroy(decoder.as_ptr()) };
            return Err(OpusError(error));
        };
        Ok(Self { decoder, parsed })
    }

    /// Reads what `packet` carries, back to `most` samples before it; returns how far it reaches: 0 when there is nothing.
    pub fn read(&mut self, packet: &[u8], most: usize) -> usize {
        let (most, mut silent_end) = (c_int::try_from(most).unwrap_or(c_int::MAX), 0);
        // SAFETY: the length is that of the slice; both states are allocated.
        let reach = unsafe {
            sys::opus_dred_parse(
                self.decoder.as_ptr(),
                self.parsed.as_ptr(),
                packet.as_ptr(),
                length(packet),
                most,
                RATE,
                &raw mut silent_end,
                0,
            )
        };
        checked(reach).unwrap_or(0)
    }
}

impl Drop for DeepRedundancy {
    fn drop(&mut self) {
        // SAFETY: both were created by libopus and are not used any more.
        unsafe {
            sys::opus_dred_free(self.parsed.as_ptr());
            sys::opus_dred_decoder_destroy(self.decoder.as_ptr());
        }
    }
}

/// Samples a channel that `packet` says it holds; `None` when it is not Opus.
pub fn samples(packet: &[u8]) -> Option<usize> {
    if packet.is_empty() {
        return None;
    }
    // SAFETY: the length is that of the slice.
    checked(unsafe { sys::opus_packet_get_nb_samples(packet.as_ptr(), length(packet), RATE) }).ok()
}

/// Whether `packet` carries the frame before it, too.
pub fn has_lbrr(packet: &[u8]) -> bool {
    // SAFETY: the length is that of the slice, which is not empty.
    !packet.is_empty() && unsafe { sys::opus_packet_has_lbrr(packet.as_ptr(), length(packet)) } == 1
}
