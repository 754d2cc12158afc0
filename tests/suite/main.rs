//! The whole program, held to its promises: the built binary in real processes, on loopback, in network namespaces and in a terminal.
//!
//! One test binary, because each one more costs a link of the whole program. `make test` installs what these tests use.

mod boundary;
mod call;
mod lan;
mod mesh;
mod preload;
mod refusal;
mod screen;
mod secrecy;
mod support;
mod tidy;
