//! The stream of a guest's memory and devices as a compressed file. Blocks.

use std::io::{self, Read, Write as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::qemu::disk::Digest;

use super::bounded::{BoundedFile, Room, encoder};
use super::cancel::Cancel;

/// The file of the memory in a checkpoint.
pub const MEMORY_FILE: &str = "ram.zst";
/// Its name as long as it is not whole.
pub const MEMORY_PARTIAL: &str = "ram.zst.partial";

const CHUNK_BYTES: usize = 1024 * 1024;

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
    pub(super) file_bytes: u64,
    pub(super) sha256: Digest,
}

/// Reads a stream to its end and stores it in a new file. `tell` is called after each piece.
pub(super) fn store(
    mut stream: impl Read,
    path: &Path,
    room: Room,
    counters: &Counters,
    cancel: &Cancel,
    tell: impl Fn(),
) -> Result<Stored, StoreError> {
    let output = BoundedFile::create(path, room).map_err(StoreError::Write)?;
    let written = output.counter();
    let mut encoder = encoder(output).map_err(StoreError::Write)?;
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
        counters
            .stored_bytes
            .store(written.load(Ordering::Relaxed), Ordering::Relaxed);
        tell();
    }
    let (file_bytes, sha256) = encoder.finish().map_err(of_writing)?.finish();
    Ok(Stored {
        stream_bytes: counters.stream_bytes.load(Ordering::Relaxed),
        file_bytes,
        sha256,
    })
}

fn of_writing(error: io::Error) -> StoreError {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => StoreError::NoSpace,
        io::ErrorKind::FileTooLarge => StoreError::Budget,
        _ => StoreError::Write(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOMY: Room = Room {
        budget_bytes: u64::MAX,
        reserve_bytes: 0,
    };

    fn stored(stream: impl Read, room: Room, cancel: &Cancel) -> (tempfile::TempDir, Result<Stored, StoreError>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(MEMORY_PARTIAL);
        let stored = store(stream, &path, room, &Counters::default(), cancel, || {});
        (directory, stored)
    }

    /// Bytes that do not compress.
    fn noise(count: usize) -> Vec<u8> {
        let mut state = 1_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0]
        };
        (0..count).map(|_| next()).collect()
    }

    #[test]
    fn what_is_stored_is_what_came() {
        let memory = [noise(3 * CHUNK_BYTES), vec![0; 5 * CHUNK_BYTES]].concat();
        let (directory, stored) = stored(&memory[..], ROOMY, &Cancel::default());
        let stored = stored.unwrap();
        let file = std::fs::read(directory.path().join(MEMORY_PARTIAL)).unwrap();
        assert_eq!(stored.file_bytes, file.len() as u64);
        assert_eq!(stored.stream_bytes, memory.len() as u64);
        assert_eq!(zstd::decode_all(&file[..]).unwrap(), memory);
    }

    #[test]
    fn it_ends_at_its_budget_at_the_end_of_the_disk_and_when_told() {
        let memory = noise(8 * CHUNK_BYTES);
        let budget_bytes = 1 << 20;
        let room = Room { budget_bytes, ..ROOMY };
        let (directory, over) = stored(&memory[..], room, &Cancel::default());
        assert!(matches!(over, Err(StoreError::Budget)), "{over:?}");
        let left = directory.path().join(MEMORY_PARTIAL).metadata().unwrap().len();
        assert!(left <= budget_bytes, "{left}");
        let reserve_bytes = u64::MAX;
        let full = stored(&memory[..], Room { reserve_bytes, ..ROOMY }, &Cancel::default()).1;
        assert!(matches!(full, Err(StoreError::NoSpace)), "{full:?}");
        let cancel = Cancel::default();
        cancel.cancel();
        let cancelled = stored(&memory[..], ROOMY, &cancel).1;
        assert!(matches!(cancelled, Err(StoreError::Cancelled)), "{cancelled:?}");
    }
}
