//! A kept identity on this machine: its file, the commands that look after it, and the thread that keeps it up to date.
//!
//! By default there is none, and nothing is written. `store` reads and writes the sealed file · `keeper` holds it open during a
//! session · `prompt` asks for passphrases · `manage` is `resonance identity …`.

pub mod keeper;
pub mod manage;
pub mod prompt;
pub mod store;

pub use keeper::Keeper;
pub use store::Store;
