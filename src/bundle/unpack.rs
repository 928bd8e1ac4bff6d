//! Taking a bundle apart, believing nothing of it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{DirBuilder, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tar::{Entry, EntryType};
use tokio::sync::watch;

use crate::checkpoint::{Cancel, Phase, Progress, StoredFile, safe_relative};
use crate::qemu::disk::{Digest, free_bytes};
use crate::text::terminal_line;
use crate::units::GIB;

use super::error::UnpackError;
use super::manifest::{MANIFEST, Manifest};
use super::opened::{NAME_CHARS_MAX, first, opened};
use super::sparse;

const CHUNK_BYTES: usize = 1024 * 1024;
/// How many zeros may follow an archive, in bytes: what fills the last record of a tar that writes whole ones.
const PADDING_BYTES_MAX: usize = 1024 * 1024;

/// What a bundle may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of data in all files together.
    pub data_bytes_max: u64,
    /// The largest size that a file may seem to have, holes included.
    pub file_bytes_max: u64,
}

impl Default for Limits {
    /// 64 GiB of data, and 16 TiB for a disk with its holes.
    fn default() -> Self {
        Self {
            data_bytes_max: 64 * GIB,
            file_bytes_max: 16 * crate::units::TIB,
        }
    }
}

/// A bundle that was taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unpacked {
    /// Where its files are.
    pub directory: PathBuf,
    /// What it holds.
    pub manifest: Manifest,
}

impl Unpacked {
    /// The directory of its checkpoint, if it has one.
    pub fn checkpoint(&self) -> Option<PathBuf> {
        self.manifest.checkpoint.as_ref().map(|name| self.directory.join(name))
    }

    /// The images that it took along.
    pub fn images(&self) -> Vec<PathBuf> {
        let paths = self.manifest.images.iter().filter_map(|image| image.path.as_ref());
        paths.map(|path| self.directory.join(path)).collect()
    }
}

/// Takes a bundle apart into the new directory `into`. Every file was compared with its digest when this succeeds; when
/// it fails or is dropped, nothing of it is left.
pub async fn unpack(
    bundle: PathBuf,
    into: PathBuf,
    limits: Limits,
    progress: watch::Sender<Progress>,
    cancel: Cancel,
) -> Result<Unpacked, UnpackError> {
    let (cancel, _stop_when_dropped) = cancel.part();
    let work = move || {
        match DirBuilder::new().mode(0o700).create(&into) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                return Err(UnpackError::Exists { path: into });
            }
            made => made.map_err(UnpackError::host("create", &into))?,
        }
        let mut unpacker = Unpacker {
            into: &into,
            limits,
            progress,
            cancel,
            now: Progress::of(Phase::Unpacking, 0),
            done: BTreeSet::new(),
        };
        let unpacked = unpacker.unpack(&bundle);
        if unpacked.is_err() {
            // The error of the bundle matters more than that of clearing up.
            let _ = std::fs::remove_dir_all(&into);
        }
        Ok(Unpacked {
            manifest: unpacked?,
            directory: into,
        })
    };
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or(Err(UnpackError::Cancelled))
}

struct Unpacker<'a> {
    into: &'a Path,
    limits: Limits,
    progress: watch::Sender<Progress>,
    cancel: Cancel,
    now: Progress,
    done: BTreeSet<String>,
}

impl Unpacker<'_> {
    fn unpack(&mut self, bundle: &Path) -> Result<Manifest, UnpackError> {
        let mut archive = opened(bundle)?;
        let entries = archive.entries().map_err(|e| UnpackError::stream(&e))?;
        // Raw: an extended header is an entry like any other, and its length is limited like any other's.
        let mut entries = entries.raw(true);
        let (manifest, text) = first(bundle, &mut entries)?;
        let path = self.into.join(MANIFEST);
        std::fs::write(&path, &text).map_err(UnpackError::host("write", &path))?;
        self.check_size(&manifest)?;
        let wanted: BTreeMap<_, _> = manifest.files.iter().map(|p| (p.file.path.as_str(), &p.file)).collect();
        while let Some(entry) = entries.next() {
            let entry = entry.map_err(|e| UnpackError::stream(&e))?;
            if entry.header().entry_type() == EntryType::XHeader {
                let name = name_of(&entry);
                let announced = announced(entry, &wanted)?;
                let Some(Ok(entry)) = entries.next() else {
                    return Err(UnpackError::Missing { name });
                };
                self.take(entry, &wanted, Some(&announced))?;
            } else {
                self.take(entry, &wanted, None)?;
            }
        }
        if let Some(name) = wanted.keys().find(|name| !self.done.contains(**name)) {
            return Err(UnpackError::Missing {
                name: (*name).to_owned(),
            });
        }
        drained(archive.into_inner())?;
        Ok(manifest)
    }

    /// Whether all of it may be written, by what it says itself. That it says the truth is seen at each file.
    fn check_size(&mut self, manifest: &Manifest) -> Result<(), UnpackError> {
        let mut data_bytes: u64 = 0;
        for packed in &manifest.files {
            data_bytes = data_bytes.saturating_add(packed.file.data_bytes());
            if packed.file.size_bytes > self.limits.file_bytes_max {
                return Err(UnpackError::TooLarge {
                    found_bytes: packed.file.size_bytes,
                    limit_bytes: self.limits.file_bytes_max,
                });
            }
        }
        if data_bytes > self.limits.data_bytes_max {
            return Err(UnpackError::TooLarge {
                found_bytes: data_bytes,
                limit_bytes: self.limits.data_bytes_max,
            });
        }
        let free = free_bytes(self.into).map_err(UnpackError::host("examine", self.into))?;
        if free < data_bytes {
            return Err(UnpackError::NoSpace {
                path: self.into.to_owned(),
                wanted_bytes: data_bytes,
                free_bytes: free,
            });
        }
        self.now.total_bytes = data_bytes;
        Ok(())
    }

    /// Takes one entry if it is a plain file that the manifest names and that has not come yet.
    fn take(
        &mut self,
        mut entry: Entry<'_, impl Read>,
        wanted: &BTreeMap<&str, &StoredFile>,
        announced: Option<&str>,
    ) -> Result<(), UnpackError> {
        check_kind(&entry)?;
        let name = announced.map_or_else(|| checked_name(&entry), |name| Ok(name.to_owned()))?;
        let Some(&file) = wanted.get(name.as_str()) else {
            return Err(UnpackError::Unlisted { name });
        };
        if !self.done.insert(name.clone()) {
            return Err(UnpackError::Duplicate { name });
        }
        let damaged = |problem| {
            Err(UnpackError::Damaged {
                name: name.clone(),
                problem,
            })
        };
        if file.extents.is_some() != announced.is_some() {
            return damaged("one of the two says that it is sparse");
        }
        let map = if announced.is_some() {
            sparse::map(file)
        } else {
            Vec::new()
        };
        if entry.size() != map.len() as u64 + file.data_bytes() {
            return damaged("it has another size");
        }
        if announced.is_some() {
            let mut found = vec![0; map.len()];
            entry.read_exact(&mut found).map_err(|e| UnpackError::stream(&e))?;
            if found != map || entry.path_bytes().as_ref() != sparse::entry_name(&name).as_bytes() {
                return damaged("its map is another");
            }
        }
        if self.write(&mut entry, file)? == file.sha256 {
            Ok(())
        } else {
            damaged("its SHA-256 is another")
        }
    }

    /// Writes the data of a file to where it belongs, and gives its digest.
    fn write(&mut self, data: &mut impl Read, file: &StoredFile) -> Result<Digest, UnpackError> {
        let path = self.into.join(&file.path);
        let host = |what| UnpackError::host(what, &path);
        let parent = path.parent().unwrap_or(self.into);
        let made = DirBuilder::new().recursive(true).mode(0o700).create(parent);
        made.map_err(UnpackError::host("create", parent))?;
        let opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let output = opened.map_err(host("create"))?;
        output.set_len(file.size_bytes).map_err(host("set the size of"))?;
        let mut hasher = Sha256::new();
        let mut chunk = vec![0; CHUNK_BYTES];
        for (offset, length) in file.data() {
            let (mut at, end) = (offset, offset + length);
            while at < end {
                if self.cancel.is_cancelled() {
                    return Err(UnpackError::Cancelled);
                }
                let count = usize::try_from(end - at).unwrap_or(usize::MAX).min(CHUNK_BYTES);
                let piece = &mut chunk[..count];
                data.read_exact(piece).map_err(|e| UnpackError::stream(&e))?;
                hasher.update(&*piece);
                output.write_all_at(piece, at).map_err(host("write"))?;
                at += count as u64;
                self.now.done_bytes += count as u64;
                self.progress.send_replace(self.now);
            }
        }
        Ok(hasher.into())
    }
}

fn name_of(entry: &Entry<'_, impl Read>) -> String {
    terminal_line(&*entry.path_bytes(), NAME_CHARS_MAX)
}

fn checked_name(entry: &Entry<'_, impl Read>) -> Result<String, UnpackError> {
    let bytes = entry.path_bytes();
    let refused = |problem| UnpackError::Path {
        name: name_of(entry),
        problem,
    };
    let name = std::str::from_utf8(&bytes).map_err(|_| refused("it is not text"))?;
    safe_relative(name).map_err(|unsafe_path| refused(unsafe_path.problem))?;
    Ok(name.to_owned())
}

fn check_kind(entry: &Entry<'_, impl Read>) -> Result<(), UnpackError> {
    let kind = match entry.header().entry_type() {
        EntryType::Regular => return Ok(()),
        EntryType::Link => "a hard link",
        EntryType::Symlink => "a symbolic link",
        EntryType::Char | EntryType::Block => "a device",
        EntryType::Directory => "a directory",
        EntryType::Fifo => "a pipe",
        _ => "of an unknown kind",
    };
    Err(UnpackError::Kind {
        name: name_of(entry),
        kind,
    })
}

/// The file that an extended header announces: one that the manifest says is sparse, and by the very words that we
/// would have written.
fn announced(mut entry: Entry<'_, impl Read>, wanted: &BTreeMap<&str, &StoredFile>) -> Result<String, UnpackError> {
    let name = name_of(&entry);
    let sparse = wanted.values().filter(|file| file.extents.is_some());
    let mut by_words: BTreeMap<_, _> = sparse.map(|file| (sparse::announcement(file), &file.path)).collect();
    let longest = by_words.keys().map(Vec::len).max().unwrap_or(0);
    let mut words = Vec::new();
    let read = entry.by_ref().take(longest as u64 + 1).read_to_end(&mut words);
    read.map_err(|e| UnpackError::stream(&e))?;
    match by_words.remove(&words) {
        Some(path) => Ok(path.clone()),
        None => Err(UnpackError::Unlisted { name }),
    }
}

/// Whether nothing follows the archive, and its checksum is right.
fn drained(mut rest: impl Read) -> Result<(), UnpackError> {
    let mut chunk = [0; 8192];
    let mut padding_bytes = 0;
    loop {
        match rest.read(&mut chunk) {
            Ok(0) => return Ok(()),
            Ok(count) if padding_bytes < PADDING_BYTES_MAX && chunk[..count].iter().all(|byte| *byte == 0) => {
                padding_bytes += count;
            }
            Ok(_) => {
                return Err(UnpackError::Compression {
                    problem: "something follows the end of the archive".to_owned(),
                });
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(UnpackError::stream(&error)),
        }
    }
}
