//! A file that takes no more than it may, and never the last room on its disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use crate::qemu::disk::{Digest, free_bytes};
use crate::units::MIB;

/// How often the free space is looked at, in bytes written.
const CHECK_SPACE_EVERY_BYTES: u64 = 4 * MIB;

/// What a file may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// The most bytes that it may have.
    pub budget_bytes: u64,
    /// What must stay free on its file system: a verdict must still be written.
    pub reserve_bytes: u64,
}

/// A new file that keeps to its [`Room`]. Past its budget, writing fails with the kind `FileTooLarge`; with too little
/// left on the disk, with `StorageFull`, as if the disk were full.
#[derive(Debug)]
pub(crate) struct BoundedFile {
    file: File,
    directory: PathBuf,
    room: Room,
    hasher: Sha256,
    written_bytes: Arc<AtomicU64>,
    checked_bytes: u64,
}

impl BoundedFile {
    /// Creates it; it must not be there. Only this user can read it.
    pub(crate) fn create(path: &Path, room: Room) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        Ok(Self {
            file,
            directory: directory_of(path).to_owned(),
            room,
            hasher: Sha256::new(),
            written_bytes: Arc::default(),
            checked_bytes: 0,
        })
    }

    /// How many bytes were written, for others to look at meanwhile.
    pub(crate) fn counter(&self) -> Arc<AtomicU64> {
        self.written_bytes.clone()
    }

    /// Makes it durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        self.file.sync_all()
    }

    /// Its length and its digest.
    pub(crate) fn finish(self) -> (u64, Digest) {
        (self.written_bytes.load(Ordering::Relaxed), self.hasher.into())
    }
}

impl Write for BoundedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.written_bytes.load(Ordering::Relaxed);
        let after = written + bytes.len() as u64;
        if after > self.room.budget_bytes {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if written == 0 || after - self.checked_bytes >= CHECK_SPACE_EVERY_BYTES {
            let wanted = self.room.reserve_bytes.saturating_add(CHECK_SPACE_EVERY_BYTES);
            if free_bytes(&self.directory)? < wanted {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.checked_bytes = after;
        }
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.written_bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// A zstd encoder at its quickest ordinary level, which makes a guest's memory 2 to 3 times smaller, with a thread for
/// each processor up to four: more of them wait for QEMU or for the disk.
pub(crate) fn encoder(output: BoundedFile) -> io::Result<zstd::Encoder<'static, BoundedFile>> {
    const LEVEL: i32 = 1;
    const THREADS_MAX: usize = 4;
    let threads = std::thread::available_parallelism().map_or(1, |count| count.get().min(THREADS_MAX));
    let mut encoder = zstd::Encoder::new(output, LEVEL)?;
    encoder.multithread(u32::try_from(threads).unwrap_or(1))?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

/// The directory of a file. A name alone has an empty parent, which no system call takes for the working directory.
fn directory_of(path: &Path) -> &Path {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_alone_lies_in_the_working_directory() {
        assert_eq!(directory_of(Path::new("out.tar.zst")), Path::new("."));
        assert_eq!(directory_of(Path::new("out/step.tar.zst")), Path::new("out"));
    }

    #[test]
    fn it_keeps_to_its_budget_and_leaves_the_reserve() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let room = Room {
            budget_bytes: 10,
            reserve_bytes: 0,
        };
        let mut file = BoundedFile::create(&path, room).unwrap();
        file.write_all(b"0123456789").unwrap();
        let over = file.write_all(b"x").unwrap_err();
        assert_eq!(over.kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(file.finish().0, 10);
        BoundedFile::create(&path, room).unwrap_err();
        let greedy = Room {
            budget_bytes: u64::MAX,
            reserve_bytes: u64::MAX,
        };
        let mut file = BoundedFile::create(&directory.path().join("other"), greedy).unwrap();
        let full = file.write_all(b"x").unwrap_err();
        assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    }
}
