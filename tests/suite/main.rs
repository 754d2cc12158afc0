//! The whole program, held to its promises: the built binary in real processes, on loopback, in network namespaces and in a terminal.
//!
//! One test binary, because each one more costs a link of the whole program. `make test` installs what these tests use.

mod admission;
mod allocator;
mod boundary;
mod call;
mod control;
mod devices;
mod discreet;
mod economy;
mod engines;
mod helper;
mod hostile;
mod identities;
mod journeys;
mod lan;
mod manual;
mod matrix;
mod mesh;
mod mishaps;
mod mouth_to_ear;
mod nearby;
mod netsim;
mod packages;
mod plain;
mod ports;
mod preload;
mod priority;
mod realtime;
mod recording;
mod refusal;
mod rendezvous;
mod screen;
mod secrecy;
mod settings;
mod spatial;
mod staying;
mod stun;
mod support;
mod tidy;
mod vandal;

#[global_allocator]
static ALLOCATOR: allocator::Counting = allocator::Counting;
