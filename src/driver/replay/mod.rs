//! A recorded run, handed to the same machine again: no QEMU, no guest, no clock.

mod consoles;
mod play;
mod reading;

pub use play::{ReplayEnd, ReplayOptions, Replayed, replay};
pub use reading::ReplayError;
