//! The simulated Internet, held to what it says of itself.

mod matrix;
mod repeat;
mod statistics;
