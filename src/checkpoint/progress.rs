//! How far a checkpoint has come.

use std::fmt;

use crate::units::ByteSize;

/// A step of saving or restoring.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Phase {
    /// Nothing has begun.
    #[default]
    Waiting,
    /// Files are compared with their digests.
    Checking,
    /// Memory and devices are written or read.
    Memory,
    /// Digests of disks and images are made.
    Digests,
    /// A bundle is written.
    Packing,
    /// A bundle is taken apart.
    Unpacking,
    /// Overlays are put on top of the disks.
    Freezing,
    /// All is done.
    Done,
}

/// How far a checkpoint has come. Told through a [`tokio::sync::watch`] channel: only the newest counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// The step.
    pub phase: Phase,
    /// Bytes of this step that are done, of those in `total_bytes`.
    pub done_bytes: u64,
    /// Bytes that this step has in all; 0 if that is not known yet. For the memory: the guest's whole memory, most of
    /// which is empty and goes by quickly.
    pub total_bytes: u64,
    /// Bytes that the host's disk took, or gave, for this step.
    pub stored_bytes: u64,
}

impl Progress {
    /// The beginning of a step.
    pub fn of(phase: Phase, total_bytes: u64) -> Self {
        Self {
            phase,
            total_bytes,
            ..Self::default()
        }
    }

    /// How much of this step is done, from 0 to 100.
    pub fn percent(&self) -> u8 {
        let percent = u128::from(self.done_bytes) * 100 / u128::from(self.total_bytes.max(1));
        u8::try_from(percent.min(100)).unwrap_or(100)
    }
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (done, total) = (ByteSize(self.done_bytes), ByteSize(self.total_bytes));
        let stored = ByteSize(self.stored_bytes);
        match self.phase {
            Phase::Waiting => write!(f, "waiting"),
            Phase::Checking => write!(f, "checking files: {done} of {total} ({} %)", self.percent()),
            Phase::Memory => write!(f, "memory: {done} of {total} ({} %), {stored} on disk", self.percent()),
            Phase::Digests => write!(f, "digests: {done} of {total} ({} %)", self.percent()),
            Phase::Packing => write!(f, "packing: {done} of {total} ({} %), {stored} on disk", self.percent()),
            Phase::Unpacking => write!(f, "unpacking: {done} of {total} ({} %)", self.percent()),
            Phase::Freezing => write!(f, "freezing the disks"),
            Phase::Done => write!(f, "done"),
        }
    }
}
