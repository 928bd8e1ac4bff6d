//! Why a machine could not be saved.

use std::io;
use std::path::{Path, PathBuf};

use crate::qmp::QmpError;
use crate::units::ByteSize;

use super::freeze::FreezeError;

/// Why a machine could not be saved. The machine is where it was: stopped, and able to go on.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The guest runs.
    #[error("the guest is not stopped but in state `{state}`; only a stopped machine is saved")]
    NotStopped {
        /// QEMU's name of its state.
        state: String,
    },
    /// It was saved, and has not run since.
    #[error(
        "the machine has been saved already and has not run since, and QEMU does not save it twice: use that checkpoint, \
         or resume the machine first"
    )]
    SavedBefore,
    /// The directory is there already.
    #[error("`{}` is there already; a checkpoint never replaces another", .path.display())]
    Exists {
        /// The directory.
        path: PathBuf,
    },
    /// The disk is too full to begin with.
    #[error(
        "{} free on the file system of `{}`, and the memory of the guest may take {}; free some space, or give the \
         run another directory",
        ByteSize(*.free_bytes), .path.display(), ByteSize(*.wanted_bytes)
    )]
    TooFull {
        /// The directory.
        path: PathBuf,
        /// What is free.
        free_bytes: u64,
        /// What must be free, with what is kept back for evidence.
        wanted_bytes: u64,
    },
    /// The disk became full.
    #[error(
        "the file system of `{}` is full: the rest of it is kept for the verdict; what was saved of the memory is of no \
         use and may be removed",
        .path.display()
    )]
    NoSpace {
        /// The unfinished file.
        path: PathBuf,
    },
    /// The memory takes more than it may.
    #[error(
        "the compressed memory is larger than {}, which is all it may take; raise the limit, or keep the machine held \
         instead; `{}` is of no use and may be removed",
        ByteSize(*.budget_bytes), .path.display()
    )]
    Budget {
        /// The limit.
        budget_bytes: u64,
        /// The unfinished file.
        path: PathBuf,
    },
    /// It was told to stop.
    #[error("saving the machine was cancelled")]
    Cancelled,
    /// A disk lies where a bundle would not take it along.
    #[error("`{}` is not below the run directory, so it can't be part of a checkpoint", .path.display())]
    Elsewhere {
        /// The file.
        path: PathBuf,
    },
    /// The host refused.
    #[error("can't {what} `{}`: {source}", .path.display())]
    Host {
        /// What was tried.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// The reason.
        source: io::Error,
    },
    /// QEMU refused a command, or is gone.
    #[error(transparent)]
    Qmp(#[from] QmpError),
    /// QEMU could not send its memory.
    #[error("QEMU could not send its memory and devices: {complaint}")]
    Migration {
        /// QEMU's own words.
        complaint: String,
    },
    /// The disks could not be frozen.
    #[error("the disks could not be frozen, so the machine must not go on: {0}")]
    Freeze(#[from] FreezeError),
}

impl SaveError {
    pub(super) fn host(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| match source.kind() {
            io::ErrorKind::Interrupted => Self::Cancelled,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace { path: path.to_owned() },
            _ => Self::Host {
                what,
                path: path.to_owned(),
                source,
            },
        }
    }
}
