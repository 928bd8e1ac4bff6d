//! What must hold before anything is started: room for disks and evidence, memory, an image that nobody writes and that is
//! no leftover. Everything is looked at, and everything that is wrong is told at once, each with its mend.

mod check;
mod image;
mod look;
mod memory;
mod scratch;
mod space;

pub use check::{Check, Level};
pub use look::{check_leavings, preflight};
pub use memory::check_memory;
pub use space::{DiskNeeds, FREE_BYTES_MIN, check_space, nearest_directory};
