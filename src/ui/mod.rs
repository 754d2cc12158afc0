//! What people look at while they talk.
//!
//! Elm's shape: a [`Model`] that owns all there is to know, [`update`] that takes a [`Msg`] in and returns [`Action`]s, and
//! [`view`] that draws. Nothing here knows a clock, a socket or a key of the session: snapshots come in
//! (`session::view`), commands go out (`command`).
//!
//! Which file draws what:
//!
//! ```text
//!  resonance · 3 people · ⚠ Cy not verified            12:41   view/status.rs  header
//!  ┌ People ─────────────────────┐┌ Room ─────────────────┐
//!  │ ▶ Bo      ▇▇▇▇▁▁▁▁ speaking ││     Bo ))        Cy   │   view/people.rs, view/room.rs
//!  │   ✓ verified  direct  18 ms ││                       │   (where: layout.rs, map.rs)
//!  │   Cy      ▁▁▁▁▁▁▁▁ muted    ││         ▲ you         │
//!  │   ? not verified  connecting││                       │   wide windows: view/details.rs at the right
//!  └─────────────────────────────┘└──────────── ring 1 m ─┘
//!  ┌ Talk ────────────────────────────────────────────────┐
//!  │  12:04 Cy joined                                      │   view/talk.rs
//!  └───────────────────────────────────────────────────────┘
//!   you ▁▃▆▇▆▃▁▁  −18 dB       Bo: lost 0 % here, 0 % there    view/status.rs  me
//!  ───────────────────────────────────────────────────────    view/status.rs  rule, or what there is to say
//!   m mute   v verify Bo   ⏎ write   ? help   q leave          view/status.rs  keys, or the line being typed
//! ```
//!
//! In place of people, room and talk: `view/invite.rs` (alone, or `i`), `view/code.rs` (`r`), `view/verify.rs` (`v`), `view/number.rs` (`n`),
//! `view/stats.rs` (`s`), `view/events.rs` (`e`, from `diary.rs`), `view/settings.rs` (`,`), `view/help.rs` (`?`). In place of everything: `view/start.rs` before a session (its lines: `menu.rs`), `view/alarm.rs` when there is none any more.
//! What keys mean is in `keymap.rs`; colours and ASCII in `theme.rs`; widths and the last look before the terminal in `text.rs`.

pub mod message;
pub mod model;
pub mod terminal;
pub mod text;
pub mod theme;

mod diary;
mod history;
mod keymap;
mod layout;
mod line;
mod map;
mod menu;
mod update;
mod view;

#[cfg(test)]
pub(crate) mod tests;

pub use keymap::{declared as declared_keys, problems as key_problems};
pub use message::{Action, Cue, Failure, Msg, NearbyRoom, RecentSession, Rehearsal, Spectra, StartChoice, Watched};
pub use model::Model;
pub use theme::Theme;
pub use update::update;
pub use view::view;
