//! A recorded run, handed to the same machine again: no QEMU, no guest, no clock.

mod ahead;
mod consoles;
mod outcome;
mod play;
mod reading;

pub use outcome::{ReplayEnd, ReplayOptions, Replayed};
pub use play::replay;
pub use reading::ReplayError;
