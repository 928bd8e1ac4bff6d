//! The files on a guest's disk, read without a mount: partition tables, ext2 to ext4 and FAT by readers of our own process,
//! the rest by libguestfs where it is installed.
//!
//! Everything on the disk is the guest's and may be made to harm. So the image is opened for reading only, no kernel of the
//! host interprets it, each command has bounds of time and memory, a reader's panic is an error, and names go to a terminal
//! through [`crate::text`].

mod disk;
mod error;
mod export;
mod ext;
mod fat;
mod guestfish;
mod kind;
mod listing;
mod place;
mod source;
mod table;
mod tree;
mod walk;

pub use disk::{Disk, Listing, ReadDone, Volume};
pub use error::DiskFsError;
pub use export::{EXPORT_DEPTH_MAX, ExportLimits, Exported};
pub use kind::Kind;
pub use listing::PrintableWriter;
pub use place::Place;
pub use source::READ_DEADLINE;
pub use tree::{Entry, EntryKind, NAMES_MAX};
pub use walk::{Content, WalkLimits, Walked};
