//! QEMU's command line, built from a machine in which everything is decided.
//!
//! Pure: no file is looked at and no shell is involved. The order of the arguments is fixed.

mod build;
mod quote;
mod spec;
mod storage;

pub use build::{ArgvError, build};
pub use quote::shell_quoted;
pub use spec::{BootSpec, DiskSpec, FirmwareSpec, FlashSpec, Incoming, LayerSpec, MachineSpec};
pub use storage::{IMAGE_NODE, disk_node};
