//! Which accelerator runs the guest: found out by using it.
//!
//! The kvm node proves nothing. It can open and still be useless: QEMU aborts at CPU reset (`failed to set MSR`), or
//! real-mode code runs and the guest hangs when it enters protected mode. So KVM is used only if a boot sector of ours
//! has reached 64-bit code under it, with the machine and the CPU model of the run.

mod choose;
mod probe;

pub use choose::{AcceleratorError, Chosen, choose, expected};
pub use probe::{ProbeOutcome, ProbeResult};
