//! QEMU's lock on an image.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;

/// The bytes that QEMU locks: one for each permission in use from 100 on, one for each that it does not share from 200
/// on (`RAW_LOCK_PERM_BASE` and `RAW_LOCK_SHARED_BASE` in QEMU's block/file-posix.c).
const FIRST_LOCK_BYTE: libc::off_t = 100;
const LOCK_BYTES: libc::off_t = 200;

/// True if no QEMU holds the image any more. The locks are the kernel's: they are gone when the process is, however it
/// ended, and there is no file to delete. A node that no device uses is not locked. On a file system without locks QEMU takes none, and the answer is true.
pub fn is_released(image: &Path) -> io::Result<bool> {
    let file = File::open(image)?;
    // A read shows an I/O error of the host here, not in the next stage.
    let _ = file.read_at(&mut [0], 0)?;
    Ok(!is_locked_at(&file, FIRST_LOCK_BYTE, LOCK_BYTES)?)
}

/// True if somebody holds a lock on any of these bytes. On a file system without locks nobody does.
pub(super) fn is_locked_at(file: &File, first: libc::off_t, bytes: libc::off_t) -> io::Result<bool> {
    let mut lock = libc::flock {
        // A whole-file type: what a writer would ask for conflicts with QEMU's shared locks on the single bytes.
        l_type: lock_constant(libc::F_WRLCK),
        l_whence: lock_constant(libc::SEEK_SET),
        l_start: first,
        l_len: bytes,
        l_pid: 0,
    };
    match fcntl(file, FcntlArg::F_OFD_GETLK(&mut lock)) {
        Ok(_) => Ok(lock.l_type != lock_constant(libc::F_UNLCK)),
        Err(Errno::EINVAL | Errno::ENOLCK | Errno::EOPNOTSUPP) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Lock types are `int` constants for a `short` field.
#[allow(
    clippy::cast_possible_truncation,
    reason = "the constants are 0, 1 and 2; the C interface declares them wider than the field"
)]
fn lock_constant(value: libc::c_int) -> libc::c_short {
    value as libc::c_short
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;

    #[test]
    fn a_lock_byte_is_seen_while_it_is_held() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk.raw");
        let holder = OpenOptions::new()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .unwrap();
        assert!(is_released(&path).unwrap());
        for byte in [100, 201] {
            let lock = libc::flock {
                l_type: lock_constant(libc::F_RDLCK),
                l_whence: lock_constant(libc::SEEK_SET),
                l_start: byte,
                l_len: 1,
                l_pid: 0,
            };
            fcntl(&holder, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
            assert!(!is_released(&path).unwrap(), "byte {byte}");
            let unlock = libc::flock {
                l_type: lock_constant(libc::F_UNLCK),
                ..lock
            };
            fcntl(&holder, FcntlArg::F_OFD_SETLK(&unlock)).unwrap();
            assert!(is_released(&path).unwrap());
        }
        assert!(is_released(&dir.path().join("none")).is_err());
    }
}
