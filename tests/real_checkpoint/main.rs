//! A machine is saved, ended, and goes on from its checkpoint: on each QEMU, with each kind of disk and firmware.

#[path = "../support/guest.rs"]
mod guest;
#[path = "../support/own_mounts.rs"]
mod own_mounts;
#[path = "../support/qemu10.rs"]
mod qemu10;
#[path = "../reexec/mod.rs"]
mod reexec;
#[path = "../support/saved.rs"]
mod saved;
#[path = "../support/tiny.rs"]
mod tiny;

mod interrupted;
mod refused;
mod restore;
mod small_disk;
