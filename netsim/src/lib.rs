//! An internet in a box.
//!
//! The pure half knows no operating system: [`router::Router`] is a value that takes packets and a time and gives packets back, built from a
//! [`topology`], with [`nat`]s by RFC 4787, links that are as bad as [`profiles`] say, and an [`oracle`] that says what must be possible.
//! The Linux half (`driver`, `runner`) puts the same router between network namespaces, in real time, around programs that do not know.

pub mod edges;
pub mod impairment;
pub mod nat;
pub mod oracle;
pub mod packet;
pub mod pcap;
pub mod profiles;
pub mod router;
pub mod scenario;
pub mod sound;
pub mod topology;

#[cfg(target_os = "linux")]
pub mod driver;
pub mod report;
#[cfg(target_os = "linux")]
pub mod runner;
#[cfg(target_os = "linux")]
pub mod sys;
