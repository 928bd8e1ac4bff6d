//! What a gate asks of the host beside its machine: where large files go, and how much the host's disk must keep.

use std::path::PathBuf;

use crate::units::ByteSize;

/// What a gate says about the host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HostPlan {
    /// The directory for disks. `None`: in the run's directory.
    pub scratch: Option<PathBuf>,
    /// How much the gate's disks may take on the host, all together. `None`: as much as they have.
    pub disk_budget: Option<ByteSize>,
    /// How much stays free on the host's disks: below it the guest is paused and the run ends. Zero: nobody watches.
    /// `None`: by how much is free at the start.
    pub reserve: Option<ByteSize>,
}
