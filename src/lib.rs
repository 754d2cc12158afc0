//! resonance: serverless, end-to-end encrypted voice chat in the terminal, each voice standing somewhere in space.
//!
//! Rooms: [`session`] (the call as a pure machine) · [`network`] (libp2p and WebRTC, carrying sealed bytes) ·
//! [`identities`] (a kept identity on the disk) ·
//! [`helper`] (a relay that anyone may run) · [`audio`] (from the microphone to the ears) · [`ui`], [`plain`] and [`headless`] (the faces). Only [`app`] knows them all.

pub mod app;
pub mod audio;
pub mod cli;
pub mod command;
mod folders;
pub mod headless;
pub mod helper;
pub mod identities;
pub mod latency;
pub mod logging;
pub mod network;
pub mod plain;
pub mod rate;
pub mod session;
pub mod settings;
mod token_bucket;
pub mod ui;
