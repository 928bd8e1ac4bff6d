//! Space on the host.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use nix::sys::statvfs::statvfs;

/// Bytes that a file takes on the host's disk: less than its size if it is sparse.
pub fn allocated_bytes(path: &Path) -> io::Result<u64> {
    // The unit of `st_blocks` is 512 bytes whatever the file system's block size (stat(2)).
    Ok(fs::metadata(path)?.blocks() * 512)
}

/// Bytes that this user can still write to the file system of a directory.
pub fn free_bytes(dir: &Path) -> io::Result<u64> {
    let vfs = statvfs(dir)?;
    Ok(vfs.blocks_available().saturating_mul(vfs.fragment_size()))
}
