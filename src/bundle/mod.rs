//! A run in one file: its evidence, its checkpoint, and what its guest wrote; to be taken elsewhere and reopened there.
//!
//! A bundle is a tar archive in one zstd stream. Its first entry, `bundle.json`, names every other with its size, its
//! digest and, for a sparse file, where its data is. [`unpack()`] takes nothing that is not named there, and the map of a
//! sparse entry (GNU tar's form 1.0, so that `tar --zstd -xf` gives the same files) must be the manifest's, byte for byte.

mod archive;
mod contents;
mod error;
mod manifest;
mod opened;
mod pack;
mod peek;
mod sparse;
mod unpack;

pub use contents::Options;
pub use error::{PackError, UnpackError};
pub use manifest::{Dropped, FORMAT, Image, MANIFEST, Manifest, Packed, Role};
pub use opened::look;
pub use pack::{Bundle, pack, partial_name};
pub use peek::peek;
pub use unpack::{Limits, Unpacked, unpack};
