//! The simulated Internet, held to what it says of itself.

mod matrix;
#[cfg(target_os = "linux")]
mod real;
mod repeat;
mod statistics;
