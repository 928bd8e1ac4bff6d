//! Disk images: made for a run, released by QEMU, identified by their digest.

mod boot_sector;
mod create;
mod damage;
mod digest;
mod flatten;
mod holder;
mod lock;
mod space;

pub use boot_sector::has_boot_code;
pub use create::{DiskError, create, create_overlay, qemu_img_for, remove};
pub use damage::is_damaged;
pub use digest::{Digest, NotADigest, Progress, digest};
pub use flatten::{FlattenError, Layer, first_sector, flatten};
pub use holder::{Writer, writer};
pub use lock::is_released;
pub use space::{allocated_bytes, free_bytes};
