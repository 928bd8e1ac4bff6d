//! The SHA-256 of an image.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::ops::ControlFlow;
use std::path::Path;

use sha2::{Digest as _, Sha256};

/// Bytes read at a time, and between two calls of the progress function.
const CHUNK_BYTES: usize = 1024 * 1024;

/// A SHA-256. Shown as 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Digest([u8; 32]);

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Digest({self})")
    }
}

/// How far a digest has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes read so far.
    pub done_bytes: u64,
    /// Size of the file.
    pub total_bytes: u64,
}

/// The digest of a file, holes read as the zeros that they stand for. Blocks: run it where blocking is allowed.
///
/// `progress` is called after each MiB and can end the reading; then the error is of the kind `Interrupted`.
pub fn digest(path: &Path, mut progress: impl FnMut(Progress) -> ControlFlow<()>) -> io::Result<Digest> {
    let mut file = File::open(path)?;
    let total_bytes = file.metadata()?.len();
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut done_bytes = 0;
    loop {
        let count = match file.read(&mut chunk) {
            Ok(0) => return Ok(Digest(hasher.finalize().into())),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        hasher.update(&chunk[..count]);
        done_bytes += count as u64;
        let now = Progress {
            done_bytes,
            total_bytes,
        };
        if progress(now).is_break() {
            return Err(io::Error::new(io::ErrorKind::Interrupted, "the digest was cancelled"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparse_file_has_the_digest_of_its_zeros() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("disk");
        let size = 2 * CHUNK_BYTES as u64 + 1;
        File::create(&path).unwrap().set_len(size).unwrap();
        let mut seen = Vec::new();
        let found = digest(&path, |progress| {
            seen.push(progress.done_bytes);
            ControlFlow::Continue(())
        });
        let expected = Digest(Sha256::digest(vec![0; 2 * CHUNK_BYTES + 1]).into());
        assert_eq!(found.unwrap(), expected);
        assert_eq!(seen.last(), Some(&size));
        let cancelled = digest(&path, |_| ControlFlow::Break(())).unwrap_err();
        assert_eq!(cancelled.kind(), io::ErrorKind::Interrupted);
    }

    #[test]
    fn the_digest_is_that_of_sha256sum() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("abc");
        std::fs::write(&path, "abc").unwrap();
        let found = digest(&path, |_| ControlFlow::Continue(())).unwrap().to_string();
        // FIPS 180-4's own example.
        assert_eq!(
            found,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
