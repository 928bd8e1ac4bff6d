//! The stream of a guest's memory and devices as a compressed file. Blocks.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sha2::{Digest as _, Sha256};

use crate::qemu::disk::{Digest, free_bytes};
use crate::units::MIB;

use super::cancel::Cancel;

/// The file of the memory in a checkpoint.
pub const MEMORY_FILE: &str = "ram.zst";
/// Its name as long as it is not whole.
pub const MEMORY_PARTIAL: &str = "ram.zst.partial";

/// zstd's quickest ordinary level: a guest's memory is 2 to 3 times smaller by it, and QEMU is the slower part.
const LEVEL: i32 = 1;
/// More threads than this wait for QEMU.
const THREADS_MAX: u32 = 4;
const CHUNK_BYTES: usize = 1024 * 1024;
/// How often the free space is looked at, in bytes written.
const CHECK_SPACE_EVERY_BYTES: u64 = 4 * MIB;

/// What the file may take.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    /// The most bytes that it may have.
    pub(super) budget_bytes: u64,
    /// What must stay free on its file system.
    pub(super) reserve_bytes: u64,
}

/// Why the stream was not stored.
#[derive(Debug)]
pub(super) enum StoreError {
    /// It is larger than it may be.
    Budget,
    /// The file system has no more to give.
    NoSpace,
    /// It was told to stop.
    Cancelled,
    /// QEMU's end failed.
    Read(io::Error),
    /// Our end failed.
    Write(io::Error),
}

/// How much has gone by.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Bytes of the stream.
    pub(super) stream_bytes: AtomicU64,
    /// Bytes of the file.
    pub(super) stored_bytes: AtomicU64,
}

/// The stored stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stored {
    pub(super) stream_bytes: u64,
    pub(super) stored_bytes: u64,
    pub(super) sha256: Digest,
}

/// Reads a stream to its end and stores it in a new file. `tell` is called after each piece.
pub(super) fn store(
    mut stream: impl Read,
    path: &Path,
    room: Room,
    counters: &Arc<Counters>,
    cancel: &Cancel,
    tell: impl Fn(),
) -> Result<Stored, StoreError> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let output = Output {
        file: file.map_err(StoreError::Write)?,
        hasher: Sha256::new(),
        room,
        directory: path.parent().unwrap_or(Path::new(".")),
        counters: counters.clone(),
        checked_bytes: 0,
    };
    let mut encoder = zstd::Encoder::new(output, LEVEL).map_err(StoreError::Write)?;
    encoder.multithread(threads()).map_err(StoreError::Write)?;
    encoder.include_checksum(true).map_err(StoreError::Write)?;
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        if cancel.is_cancelled() {
            return Err(StoreError::Cancelled);
        }
        let count = match stream.read(&mut chunk) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(StoreError::Read(error)),
        };
        encoder.write_all(&chunk[..count]).map_err(of_writing)?;
        counters.stream_bytes.fetch_add(count as u64, Ordering::Relaxed);
        tell();
    }
    let output = encoder.finish().map_err(of_writing)?;
    Ok(Stored {
        stream_bytes: counters.stream_bytes.load(Ordering::Relaxed),
        stored_bytes: counters.stored_bytes.load(Ordering::Relaxed),
        sha256: output.hasher.into(),
    })
}

fn threads() -> u32 {
    let there = std::thread::available_parallelism().map_or(1, |count| u32::try_from(count.get()).unwrap_or(1));
    there.min(THREADS_MAX)
}

fn of_writing(error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::NoSpace,
        io::ErrorKind::FileTooLarge => StoreError::Budget,
        _ => StoreError::Write(error),
    }
}

/// The file, which never takes the last room on the disk: a verdict must still be written.
struct Output<'a> {
    file: File,
    hasher: Sha256,
    room: Room,
    directory: &'a Path,
    counters: Arc<Counters>,
    /// Where the free space was looked at last.
    checked_bytes: u64,
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let stored = self.counters.stored_bytes.load(Ordering::Relaxed);
        let after = stored + bytes.len() as u64;
        if after > self.room.budget_bytes {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if stored == 0 || after - self.checked_bytes >= CHECK_SPACE_EVERY_BYTES {
            if free_bytes(self.directory)? < self.room.reserve_bytes.saturating_add(CHECK_SPACE_EVERY_BYTES) {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.checked_bytes = after;
        }
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.counters.stored_bytes.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}
