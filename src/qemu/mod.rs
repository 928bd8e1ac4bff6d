//! QEMU: its process.

pub mod process;
