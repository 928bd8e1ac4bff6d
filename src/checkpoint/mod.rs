//! A stopped machine as files: its memory and devices, its disks as they were, its firmware, and what QEMU it needs; and
//! the way back.
//!
//! [`save()`] writes a checkpoint into a run directory; [`Checkpoint`] opens one, there or where a bundle was unpacked, and
//! [`Checkpoint::feed`] gives its memory to a QEMU that waits for it. `machine.json` is written last: a checkpoint that has
//! it is whole.

mod adopt;
mod bounded;
mod cancel;
mod describe;
mod disks;
mod error;
mod freeze;
mod incoming;
mod job;
mod layout;
mod memory;
mod migration;
mod open;
mod outgoing;
mod progress;
mod qcow2;
mod record;
mod restore_error;
mod save;
mod socket;
mod stored;

pub use adopt::ORIGIN;
pub use bounded::Room;
pub(crate) use bounded::{BoundedFile, encoder};
pub use cancel::Cancel;
pub use disks::{DisksRequest, save_disks};
pub use error::SaveError;
pub use freeze::{FreezeError, freeze};
pub(crate) use incoming::WINDOW_LOG_MAX;
pub use job::JobError;
pub use layout::{HostSide, LaidOut};
pub use memory::{MEMORY_FILE, MEMORY_PARTIAL};
pub use open::{Checkpoint, Images};
pub use progress::{Phase, Progress};
pub use record::{
    BaseImage, BootRecord, DiskRecord, FORMAT, FirmwareRecord, FlashRecord, LayerRecord, MACHINE_FILE, MemoryRecord,
    QemuRecord, Record, SshAccess,
};
pub use restore_error::RestoreError;
pub use save::{KnownDigest, SaveRequest, Saved, save};
pub use stored::{EXTENTS_MAX, FileFault, PATH_BYTES_MAX, StoredFile, UnsafePath, safe_relative};
pub(crate) use stored::{interrupted, read_data};
