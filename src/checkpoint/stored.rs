//! A file as a manifest describes it: where it lies, how large it is, where its data is, and the data's digest.

use std::fs::File;
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::FileExt as _;
use std::path::{Component, Path};

use nix::errno::Errno;
use nix::unistd::{Whence, lseek};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::qemu::disk::Digest;
use crate::units::KIB;

/// Bytes read at a time.
const CHUNK_BYTES: usize = 1024 * 1024;
/// Holes smaller than this count as data, in bytes: a map of many small holes is longer than the zeros.
const HOLE_BYTES_MIN: u64 = 64 * KIB;
/// The longest path, in bytes: what the plainest form of a tar header holds.
pub const PATH_BYTES_MAX: usize = 100;
/// The most parts of data that a file may have. A file with more is described with larger parts.
pub const EXTENTS_MAX: usize = 16 * 1024;

/// A file below a directory.
///
/// A sparse file has a map of where its data is; all else is zero. The digest is of the data alone, in the order of the
/// map: a disk of 20 GiB in which the guest wrote 300 MB is read and compared in the time of 300 MB.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoredFile {
    /// Its path below the directory, in the form that [`safe_relative`] takes.
    pub path: String,
    /// Its size, holes included.
    pub size_bytes: u64,
    /// Offset and length of each part that holds data, in bytes and in order. Absent: the whole file does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extents: Option<Vec<(u64, u64)>>,
    /// The SHA-256 of the data.
    pub sha256: Digest,
}

/// What is wrong with a file that was described.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// It can't be read.
    #[error("`{path}` can't be read: {source}")]
    Unreadable {
        /// Its path below the directory.
        path: String,
        /// The reason.
        source: io::Error,
    },
    /// It has another size.
    #[error("`{path}` has {found_bytes} bytes and should have {wanted_bytes}; it was cut off or replaced")]
    Size {
        /// Its path below the directory.
        path: String,
        /// Its size.
        found_bytes: u64,
        /// The size that it should have.
        wanted_bytes: u64,
    },
    /// It holds something else.
    #[error("`{path}` is damaged: its SHA-256 is not the one that was recorded")]
    Digest {
        /// Its path below the directory.
        path: String,
    },
    /// Its description makes no sense.
    #[error("the description of `{path}` is not valid: {problem}")]
    Description {
        /// Its path below the directory.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
}

/// A path that could lead out of the directory that it is meant for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{problem}")]
pub struct UnsafePath {
    /// What is wrong with it, as a clause.
    pub problem: &'static str,
}

/// Takes a path only if it leads to a file below whatever directory it is joined to, and looks the same everywhere.
pub fn safe_relative(path: &str) -> Result<&Path, UnsafePath> {
    let refuse = |problem| Err(UnsafePath { problem });
    if path.is_empty() {
        return refuse("it is empty");
    }
    if path.len() > PATH_BYTES_MAX {
        return refuse("it is longer than 100 bytes");
    }
    if path.starts_with('/') {
        return refuse("it is absolute");
    }
    if !path.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') || path.contains('\\') {
        return refuse("it has characters other than printable ASCII");
    }
    if path.split('/').any(|part| part == "..") {
        return refuse("it leads out of its directory by `..`");
    }
    let is_plain = path.split('/').all(|part| !part.is_empty() && part != ".");
    let all_normal = Path::new(path)
        .components()
        .all(|part| matches!(part, Component::Normal(_)));
    if !is_plain || !all_normal {
        return refuse("it has empty parts");
    }
    Ok(Path::new(path))
}

impl StoredFile {
    /// Describes a file, reading its data. `progress` is called with the bytes of each piece and can end the reading;
    /// then the error is of the kind `Interrupted`.
    pub fn describe(root: &Path, path: &str, progress: &mut dyn FnMut(u64) -> ControlFlow<()>) -> io::Result<Self> {
        Self::describe_open(&File::open(root.join(path))?, path, progress)
    }

    /// The same of a file that is open.
    pub fn describe_open(
        file: &File,
        path: &str,
        progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
    ) -> io::Result<Self> {
        safe_relative(path).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
        let size_bytes = file.metadata()?.len();
        let extents = data_extents(file, size_bytes)?;
        let sha256 = digest_of(file, &extents, progress)?;
        Ok(Self {
            path: path.to_owned(),
            size_bytes,
            extents: (extents != whole(size_bytes)).then_some(extents),
            sha256,
        })
    }

    /// Where its data is: offset and length in bytes.
    pub fn data(&self) -> Vec<(u64, u64)> {
        self.extents.clone().unwrap_or_else(|| whole(self.size_bytes))
    }

    /// Bytes of data.
    pub fn data_bytes(&self) -> u64 {
        self.data().iter().map(|(_, length)| length).sum()
    }

    /// Whether the description can be true at all: a safe path, parts in order and within the size.
    pub fn validate(&self) -> Result<(), FileFault> {
        let invalid = |problem| {
            Err(FileFault::Description {
                path: self.path.clone(),
                problem,
            })
        };
        if let Err(UnsafePath { problem }) = safe_relative(&self.path) {
            return invalid(problem);
        }
        if i64::try_from(self.size_bytes).is_err() {
            return invalid("no file is that large");
        }
        let extents = self.extents.as_deref().unwrap_or_default();
        if extents.len() > EXTENTS_MAX {
            return invalid("it has too many parts");
        }
        let mut end = 0;
        for (offset, length) in extents {
            let Some(next) = offset.checked_add(*length).filter(|_| *length > 0 && *offset >= end) else {
                return invalid("its parts are empty, overlap, or are out of order");
            };
            end = next;
        }
        if end > self.size_bytes {
            return invalid("its parts reach beyond its end");
        }
        Ok(())
    }

    /// Whether the file below `root` is the one that was described. Blocks.
    pub fn verify(&self, root: &Path, progress: &mut dyn FnMut(u64) -> ControlFlow<()>) -> Result<(), FileFault> {
        self.validate()?;
        let path = || self.path.clone();
        let unreadable = |source| FileFault::Unreadable { path: path(), source };
        let file = File::open(root.join(&self.path)).map_err(unreadable)?;
        let found_bytes = file.metadata().map_err(unreadable)?.len();
        if found_bytes != self.size_bytes {
            return Err(FileFault::Size {
                path: path(),
                found_bytes,
                wanted_bytes: self.size_bytes,
            });
        }
        let data = self.data();
        let same = digest_of(&file, &data, progress).map_err(unreadable)? == self.sha256;
        // A copy may have its holes elsewhere.
        let now = data_extents(&file, found_bytes).map_err(unreadable)?;
        if same && are_zero(&file, &without(&now, &data)).map_err(unreadable)? {
            Ok(())
        } else {
            Err(FileFault::Digest { path: path() })
        }
    }
}

fn whole(size_bytes: u64) -> Vec<(u64, u64)> {
    if size_bytes == 0 {
        Vec::new()
    } else {
        vec![(0, size_bytes)]
    }
}

/// Where a file has data, small holes counted as data.
fn data_extents(file: &File, size_bytes: u64) -> io::Result<Vec<(u64, u64)>> {
    let mut hole_bytes_min = HOLE_BYTES_MIN;
    let mut extents = raw_extents(file, size_bytes)?;
    loop {
        extents = joined(&extents, hole_bytes_min);
        if extents.len() <= EXTENTS_MAX {
            return Ok(extents);
        }
        hole_bytes_min = hole_bytes_min.saturating_mul(2);
    }
}

fn raw_extents(file: &File, size_bytes: u64) -> io::Result<Vec<(u64, u64)>> {
    let mut extents = Vec::new();
    let mut at = 0;
    while at < size_bytes {
        let start = match seek(file, at, Whence::SeekData) {
            Ok(start) => start.min(size_bytes),
            // Nothing but a hole is left.
            Err(Errno::ENXIO) => break,
            // A file system that knows of no holes.
            Err(Errno::EINVAL | Errno::EOPNOTSUPP) => return Ok(whole(size_bytes)),
            Err(error) => return Err(error.into()),
        };
        let end = seek(file, start, Whence::SeekHole)?.min(size_bytes);
        if end > start {
            extents.push((start, end - start));
        }
        at = end.max(at + 1);
    }
    Ok(extents)
}

fn seek(file: &File, offset: u64, whence: Whence) -> Result<u64, Errno> {
    let offset = i64::try_from(offset).map_err(|_| Errno::EOVERFLOW)?;
    lseek(file, offset, whence).map(i64::unsigned_abs)
}

fn joined(extents: &[(u64, u64)], hole_bytes_min: u64) -> Vec<(u64, u64)> {
    let mut joined: Vec<(u64, u64)> = Vec::new();
    for &(offset, length) in extents {
        match joined.last_mut() {
            Some(last) if offset - (last.0 + last.1) < hole_bytes_min => last.1 = offset + length - last.0,
            _ => joined.push((offset, length)),
        }
    }
    joined
}

/// What of `extents` lies outside `known`; both are in order.
fn without(extents: &[(u64, u64)], known: &[(u64, u64)]) -> Vec<(u64, u64)> {
    let mut left = Vec::new();
    let mut known = known.iter().copied().peekable();
    for &(mut at, length) in extents {
        let end = at + length;
        while at < end {
            while known.next_if(|(start, length)| start + length <= at).is_some() {}
            match known.peek() {
                Some(&(start, length)) if start <= at => at = (start + length).min(end),
                Some(&(start, _)) if start < end => {
                    left.push((at, start - at));
                    at = start;
                }
                _ => {
                    left.push((at, end - at));
                    at = end;
                }
            }
        }
    }
    left
}

/// Calls `each` with the data of the parts, piece by piece.
pub(crate) fn read_data(
    file: &File,
    extents: &[(u64, u64)],
    each: &mut dyn FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK_BYTES];
    for &(offset, length) in extents {
        let (mut at, end) = (offset, offset + length);
        while at < end {
            let wanted = usize::try_from(end - at).unwrap_or(usize::MAX).min(CHUNK_BYTES);
            file.read_exact_at(&mut chunk[..wanted], at)?;
            each(&chunk[..wanted])?;
            at += wanted as u64;
        }
    }
    Ok(())
}

fn digest_of(
    file: &File,
    extents: &[(u64, u64)],
    progress: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> io::Result<Digest> {
    let mut hasher = Sha256::new();
    read_data(file, extents, &mut |chunk| {
        hasher.update(chunk);
        if progress(chunk.len() as u64).is_break() {
            return Err(interrupted());
        }
        Ok(())
    })?;
    Ok(hasher.into())
}

/// What reading ends with when it was told to stop.
pub(crate) fn interrupted() -> io::Error {
    io::Error::new(io::ErrorKind::Interrupted, "it was cancelled")
}

fn are_zero(file: &File, extents: &[(u64, u64)]) -> io::Result<bool> {
    let mut zero = true;
    read_data(file, extents, &mut |chunk| {
        zero &= chunk.iter().all(|byte| *byte == 0);
        Ok(())
    })?;
    Ok(zero)
}

#[cfg(test)]
mod tests;
