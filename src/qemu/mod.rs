//! QEMU: what a binary can do, how it is asked to run, the files it runs on, and its process.

pub mod accelerator;
pub mod argv;
pub mod binary;
pub(crate) mod child;
pub mod disk;
pub mod feature;
pub mod firmware;
pub mod keymap;
mod probe_sector;
pub mod process;

pub use child::helpers_gone;
