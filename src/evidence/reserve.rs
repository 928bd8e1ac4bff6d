//! Room on the disk that is kept back for the last words of a run.

use crate::units::{KIB, MIB};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

/// How much is kept back, in bytes: more than a journal, a result and a manifest ever take.
pub const RESERVE_BYTES: u64 = 8 * MIB;
/// How much is given back at a time, in bytes: if all of it were given back at once, the guest's disk that filled the
/// file system would fill that room too.
const RELEASE_BYTES: u64 = 16 * KIB;
/// What of it is for the journal, the result and the manifest alone, in bytes: a transcript or a console that goes on and
/// on can't take it.
const JOURNAL_SHARE_BYTES: u64 = RESERVE_BYTES / 2;

/// A file of allocated blocks. When the disk is full, some of them are given back to whoever must still write. The file
/// is removed when this is dropped.
#[derive(Debug)]
pub struct Reserve {
    path: PathBuf,
    left: Mutex<(File, u64)>,
}

impl Reserve {
    /// Allocates [`RESERVE_BYTES`] in a new file.
    pub fn create(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let length = i64::try_from(RESERVE_BYTES).map_err(io::Error::other)?;
        let reserve = Self {
            path: path.to_owned(),
            left: Mutex::new((file.try_clone()?, RESERVE_BYTES)),
        };
        nix::fcntl::posix_fallocate(&file, 0, length)?;
        Ok(reserve)
    }

    /// Does a thing, and does it again with more room each time the disk is full, as long as there is some left. `action`
    /// must undo what it did by halves.
    pub fn retry<T>(&self, action: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        self.retry_down_to(0, action)
    }

    /// As [`Reserve::retry`], for evidence that the verdict can do without: half of the room stays for the journal.
    pub fn retry_evidence<T>(&self, action: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        self.retry_down_to(JOURNAL_SHARE_BYTES, action)
    }

    /// Gives some room back to evidence that the verdict can do without. False if only the journal's share is left.
    pub fn make_room(&self) -> bool {
        self.release(JOURNAL_SHARE_BYTES)
    }

    fn retry_down_to<T>(&self, floor_bytes: u64, mut action: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        loop {
            match action() {
                Err(error) if is_full(&error) && self.release(floor_bytes) => {}
                done => return done,
            }
        }
    }

    /// How many bytes have not been given back yet.
    pub fn left_bytes(&self) -> u64 {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).1
    }

    fn release(&self, floor_bytes: u64) -> bool {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        if left.1 <= floor_bytes {
            return false;
        }
        left.1 = left.1.saturating_sub(RELEASE_BYTES);
        left.0.set_len(left.1).is_ok()
    }
}

impl Drop for Reserve {
    fn drop(&mut self) {
        // Left over, it costs room and nothing else.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// True if more room on the disk would help.
pub(super) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_allocated_given_back_in_pieces_and_removed() {
        use std::os::unix::fs::MetadataExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("reserve");
        let reserve = Reserve::create(&path).unwrap();
        assert!(path.metadata().unwrap().blocks() * 512 >= RESERVE_BYTES);
        let mut failures = 3;
        let done = reserve.retry(|| {
            failures -= 1;
            if failures < 0 {
                Ok(7)
            } else {
                Err(ErrorKind::StorageFull.into())
            }
        });
        assert_eq!(done.unwrap(), 7);
        assert_eq!(reserve.left_bytes(), RESERVE_BYTES - 3 * RELEASE_BYTES);
        let full = reserve.retry(|| Err::<(), _>(ErrorKind::StorageFull.into()));
        assert!(is_full(&full.unwrap_err()));
        assert_eq!(reserve.left_bytes(), 0);
        drop(reserve);
        assert!(!path.exists());
    }

    #[test]
    fn evidence_leaves_the_journal_its_share() {
        let directory = tempfile::tempdir().unwrap();
        let reserve = Reserve::create(&directory.path().join("reserve")).unwrap();
        reserve
            .retry_evidence(|| Err::<(), _>(ErrorKind::StorageFull.into()))
            .unwrap_err();
        assert_eq!(reserve.left_bytes(), JOURNAL_SHARE_BYTES);
        assert!(!reserve.make_room());
    }

    #[test]
    fn another_failure_gives_nothing_back() {
        let directory = tempfile::tempdir().unwrap();
        let reserve = Reserve::create(&directory.path().join("reserve")).unwrap();
        reserve
            .retry(|| Err::<(), _>(ErrorKind::PermissionDenied.into()))
            .unwrap_err();
        assert_eq!(reserve.left_bytes(), RESERVE_BYTES);
    }
}
