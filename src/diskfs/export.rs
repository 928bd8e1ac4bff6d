//! A directory of a guest's disk, copied out.
//!
//! What comes out is harmless on the host: directories and files only, for their owner only, never executable, never a
//! link; names that a terminal or another system would stumble over are written with `%` and two hexadecimal digits.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use super::disk::{Disk, error, join};
use super::error::DiskFsError;
use super::place::Place;
use super::tree::{Entry, EntryKind, Failure, Tree, resolve};
use crate::units::{ByteSize, GIB};

/// Directories within directories, at most.
pub const EXPORT_DEPTH_MAX: usize = 64;
/// Bytes of a file's name on the host (Linux's `NAME_MAX`).
const NAME_BYTES_MAX: usize = 255;

/// How much is copied out, at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExportLimits {
    /// Bytes of content, holes counted in.
    pub bytes_max: u64,
    /// Files and directories.
    pub entries_max: u64,
}

impl Default for ExportLimits {
    fn default() -> Self {
        Self {
            bytes_max: 2 * GIB,
            entries_max: 100_000,
        }
    }
}

/// What was copied out, and what was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Exported {
    /// The volume.
    pub volume: u32,
    /// Files written.
    pub files: u64,
    /// Directories made.
    pub directories: u64,
    /// Bytes of content.
    pub bytes: u64,
    /// Symbolic links, which are not copied: they would lead into the host.
    pub links_skipped: u64,
    /// Devices, sockets and pipes, which have no content.
    pub special_skipped: u64,
    /// Names that can't be written here, or are there twice.
    pub names_skipped: u64,
}

impl Disk {
    /// Copies a file, or a directory with all that is in it, into the new directory `into`.
    pub fn export(&self, place: &Place, into: &Path, limits: ExportLimits) -> Result<Exported, DiskFsError> {
        let volume = self.choose(place)?;
        let mut refused = None;
        let exported = self.within(volume, limits.bytes_max, |tree| {
            let (path, entry) = resolve(tree, &place.path)?;
            let mut export = Export {
                tree,
                limits,
                done: Exported {
                    volume: volume.number,
                    ..Exported::default()
                },
                refused: &mut refused,
            };
            export.make_directory(into)?;
            if entry.kind == EntryKind::Directory {
                export.directory(&path, into, 1)?;
            } else {
                export.entry(&path, &entry, into, 1)?;
            }
            Ok(export.done)
        });
        exported.map_err(|failure| match (failure, refused) {
            (Failure::Write(source), Some(path)) => DiskFsError::Write { path, source },
            (failure, _) => error(failure, volume, place),
        })
    }
}

struct Export<'a> {
    tree: &'a dyn Tree,
    limits: ExportLimits,
    done: Exported,
    /// What the host refused to take.
    refused: &'a mut Option<PathBuf>,
}

impl Export<'_> {
    fn directory(&mut self, path: &[u8], into: &Path, depth: usize) -> Result<(), Failure> {
        if depth > EXPORT_DEPTH_MAX {
            return Err(Failure::Limit(format!(
                "{EXPORT_DEPTH_MAX} directories within each other"
            )));
        }
        for entry in self.tree.list(path)? {
            self.entry(&join(path, &entry.name), &entry, into, depth)?;
        }
        Ok(())
    }

    fn entry(&mut self, path: &[u8], entry: &Entry, into: &Path, depth: usize) -> Result<(), Failure> {
        match entry.kind {
            EntryKind::Symlink => self.done.links_skipped += 1,
            EntryKind::File | EntryKind::Directory => {
                let target = host_name(&entry.name).map(|name| into.join(name));
                // With no link among what is written, what is there already was written under another name.
                let Some(target) = target.filter(|target| !target.exists()) else {
                    self.done.names_skipped += 1;
                    return Ok(());
                };
                if self.done.files + self.done.directories == self.limits.entries_max {
                    return Err(Failure::Limit(format!(
                        "{} files and directories",
                        self.limits.entries_max
                    )));
                }
                if entry.kind == EntryKind::Directory {
                    self.make_directory(&target)?;
                    self.done.directories += 1;
                    self.directory(path, &target, depth + 1)?;
                } else {
                    self.file(path, entry, &target)?;
                }
            }
            _ => self.done.special_skipped += 1,
        }
        Ok(())
    }

    fn make_directory(&mut self, path: &Path) -> Result<(), Failure> {
        let made = DirBuilder::new().mode(0o700).create(path);
        made.map_err(|source| self.refuse(path, source))
    }

    fn file(&mut self, path: &[u8], entry: &Entry, target: &Path) -> Result<(), Failure> {
        let left = self.limits.bytes_max - self.done.bytes;
        if entry.size_bytes > left {
            return Err(Failure::Limit(format!(
                "{} of content",
                ByteSize(self.limits.bytes_max)
            )));
        }
        let mut options = OpenOptions::new();
        let file = options.write(true).create_new(true).mode(0o600).open(target);
        let mut file = file.map_err(|source| self.refuse(target, source))?;
        let written = self
            .tree
            .read(path, entry.size_bytes, &mut |part| {
                sparse(&mut file, part).map_err(Failure::Write)
            })
            .and_then(|bytes| file.set_len(bytes).map_err(Failure::Write).map(|()| bytes));
        match written {
            Ok(bytes) => {
                self.done.files += 1;
                self.done.bytes += bytes;
                Ok(())
            }
            Err(Failure::Write(source)) => Err(self.refuse(target, source)),
            Err(failure) => Err(failure),
        }
    }

    fn refuse(&mut self, path: &Path, source: std::io::Error) -> Failure {
        *self.refused = Some(path.to_path_buf());
        Failure::Write(source)
    }
}

/// Writes a part of a file; zeros stay a hole.
fn sparse(file: &mut File, part: &[u8]) -> std::io::Result<()> {
    if part.iter().all(|byte| *byte == 0) {
        let by = i64::try_from(part.len()).unwrap_or(0);
        return file.seek(SeekFrom::Current(by)).map(|_| ());
    }
    file.write_all(part)
}

/// A name for the host; `None` if there is none, as for a name with a slash in it, which no sound file system has.
fn host_name(name: &[u8]) -> Option<String> {
    if matches!(name, b"" | b"." | b"..") || name.iter().any(|byte| matches!(byte, b'/' | 0)) {
        return None;
    }
    let mut safe = String::new();
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            let is_plain = !matches!(character, '%' | '\\') && character.escape_debug().count() == 1;
            if is_plain || matches!(character, '"' | '\'') {
                safe.push(character);
            } else {
                let mut bytes = [0; 4];
                hexadecimal(&mut safe, character.encode_utf8(&mut bytes).as_bytes());
            }
        }
        hexadecimal(&mut safe, chunk.invalid());
    }
    (safe.len() <= NAME_BYTES_MAX).then_some(safe)
}

fn hexadecimal(safe: &mut String, bytes: &[u8]) {
    use std::fmt::Write as _;
    for byte in bytes {
        let _ = write!(safe, "%{byte:02X}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_tame_and_stay_apart() {
        for (name, safe) in [
            (b"fstab".as_slice(), Some("fstab")),
            ("Übung – 漢字.txt".as_bytes(), Some("Übung – 漢字.txt")),
            (b"100%", Some("100%25")),
            (b"a\x1b[31m\n", Some("a%1B[31m%0A")),
            (b"\xff\xfe", Some("%FF%FE")),
            ("a\u{202e}b".as_bytes(), Some("a%E2%80%AEb")),
            (b"it's \"so\"", Some("it's \"so\"")),
            (b"..", None),
            (b".", None),
            (b"", None),
            (b"../../etc/passwd", None),
            (b"a\0b", None),
            (&[b'x'; 255], Some("x".repeat(255).as_str())),
            (&[1; 255], None),
        ] {
            assert_eq!(host_name(name).as_deref(), safe, "{name:?}");
        }
    }
}
