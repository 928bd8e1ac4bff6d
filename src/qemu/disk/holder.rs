//! Who has an image open, as far as this user may see.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::lock::is_locked_at;
use crate::procfs;

/// QEMU's lock bytes of those who may write and of those who may resize (`BLK_PERM_WRITE` and `BLK_PERM_RESIZE` in QEMU's
/// include/block/block-common.h, counted from `RAW_LOCK_PERM_BASE` in block/file-posix.c).
const WRITER_BYTES: [i64; 2] = [101, 103];

/// A QEMU that may write an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Writer {
    /// Its process number and name. Empty: it belongs to another user, or to another process namespace.
    pub processes: Vec<(u32, String)>,
}

/// The QEMU that has this image open for writing, if there is one. Who only reads it is nobody's business: a live image may
/// be booted by any number of machines at once.
pub fn writer(image: &Path) -> io::Result<Option<Writer>> {
    let file = File::open(image)?;
    for byte in WRITER_BYTES {
        if is_locked_at(&file, byte, 1)? {
            let meta = file.metadata()?;
            let processes = holders(meta.dev(), meta.ino());
            return Ok(Some(Writer { processes }));
        }
    }
    Ok(None)
}

/// The processes that hold a lock on this file. QEMU's locks belong to an open file and not to a process, so `/proc/locks`
/// gives -1 for their owner; the entries of the open files themselves tell (`lock:` in `/proc/<pid>/fdinfo/<fd>`, proc(5)).
fn holders(device: u64, inode: u64) -> Vec<(u32, String)> {
    let pids = procfs::all_pids().unwrap_or_default();
    let mine = pids.into_iter().filter(|pid| has_lock(*pid, device, inode));
    mine.map(|pid| (pid, name(pid))).collect()
}

fn has_lock(pid: u32, device: u64, inode: u64) -> bool {
    let Ok(entries) = fs::read_dir(format!("/proc/{pid}/fd")) else {
        return false;
    };
    entries.filter_map(Result::ok).any(|entry| {
        // The entry is followed to the file that is open.
        let is_it = fs::metadata(entry.path()).is_ok_and(|meta| (meta.dev(), meta.ino()) == (device, inode));
        let info = Path::new("/proc")
            .join(pid.to_string())
            .join("fdinfo")
            .join(entry.file_name());
        is_it && fs::read_to_string(info).is_ok_and(|info| info.lines().any(|line| line.starts_with("lock:")))
    })
}

fn name(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).map_or_else(|_| "?".to_owned(), |name| name.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;

    #[test]
    fn a_writer_is_told_with_its_process_and_a_reader_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("image.raw");
        let mut options = File::options();
        let holder = options.read(true).write(true).create_new(true).open(&path).unwrap();
        assert_eq!(writer(&path).unwrap(), None);
        let lock = |byte: i64| {
            let lock = libc::flock {
                l_type: 0,
                l_whence: 0,
                l_start: byte,
                l_len: 1,
                l_pid: 0,
            };
            fcntl(&holder, FcntlArg::F_OFD_SETLK(&lock)).unwrap();
        };
        // What QEMU holds of an image that it only reads: consistent reads, and nobody else may write.
        lock(100);
        lock(201);
        assert_eq!(writer(&path).unwrap(), None);
        lock(101);
        let found = writer(&path).unwrap().unwrap();
        assert_eq!(found.processes.len(), 1);
        assert_eq!(found.processes[0].0, std::process::id());
    }
}
