//! A squashfs within an ISO image, read where it lies: nothing is mounted, nothing is unpacked.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use super::error::ImageError;
use super::iso::{Iso, IsoFile};
use super::listing::Tree;
use super::tool::UNSQUASHFS;

/// How long a listing, or the reading of a number of small files, may take.
const READ_WITHIN: Duration = Duration::from_secs(180);
/// Bytes of a listing: a large desktop's is a quarter of it.
const LISTING_BYTES_MAX: usize = 256 * 1024 * 1024;
/// Files that are read by one call.
const FILES_A_CALL: usize = 500;
/// The size in bytes up to which a file is read: what tells how a system is set up is small.
pub(super) const FILE_BYTES_MAX: u64 = 256 * 1024;
/// The bytes that all files that are read may have together.
const FILES_BYTES_MAX: u64 = 128 * 1024 * 1024;

/// Where a squashfs says how many bytes it uses, as 64 bits, little-endian (the kernel's `squashfs_super_block`).
const USED_AT_BYTES: u64 = 40;

/// A squashfs in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Squashfs {
    /// The file that holds it: the image itself.
    image: PathBuf,
    /// Its path in the image.
    pub(super) path: String,
    offset_bytes: u64,
    pub(super) size_bytes: u64,
}

impl Squashfs {
    /// The one in this file of the image.
    pub(super) fn of(iso: &Iso, file: &IsoFile) -> Result<Self, ImageError> {
        let Some(offset_bytes) = file.offset_bytes() else {
            let message = format!("its file {:?} lies in pieces apart from each other", file.path);
            return Err(ImageError::Implausible(message));
        };
        let mut used = [0; 8];
        iso.read_at(&mut used, offset_bytes + USED_AT_BYTES)?;
        // Its reader would go on into what lies behind it on the image.
        if u64::from_le_bytes(used) > file.size_bytes() {
            let message = format!("its squashfs {:?} is longer than the file that holds it", file.path);
            return Err(ImageError::Implausible(message));
        }
        Ok(Self {
            image: iso.path.clone(),
            path: file.path.clone(),
            offset_bytes,
            size_bytes: file.size_bytes(),
        })
    }

    /// One in a file of its own.
    pub(super) fn alone(file: PathBuf, size_bytes: u64) -> Self {
        Self {
            path: file.to_string_lossy().into_owned(),
            image: file,
            offset_bytes: 0,
            size_bytes,
        }
    }

    /// Its files.
    pub(super) fn tree(&self) -> Result<Tree, ImageError> {
        let root = format!("root-{}", uuid::Uuid::new_v4().simple());
        let mut command = self.command()?;
        command.args(["-lln", "-d", &root]).arg(&self.image);
        let doing = format!("listing the squashfs {:?}", self.path);
        let listing = UNSQUASHFS.output(command, &doing, READ_WITHIN, LISTING_BYTES_MAX)?;
        Tree::parse(&listing, &root)
    }

    /// The contents of the files that these paths lead to, by the paths asked for. What is no file is left out, and so is
    /// a file that is larger than [`FILE_BYTES_MAX`].
    pub(super) fn read<'a>(
        &self,
        tree: &Tree,
        paths: impl IntoIterator<Item = &'a str>,
    ) -> Result<BTreeMap<String, Vec<u8>>, ImageError> {
        let mut wanted: Vec<(String, String, u64)> = Vec::new();
        let mut total_bytes: u64 = 0;
        for path in paths {
            let Some((real, size)) = tree.file(path).filter(|(_, size)| *size <= FILE_BYTES_MAX) else {
                continue;
            };
            // unsquashfs takes names as patterns, and a name with a line break can't be what is looked for.
            if real.contains(['*', '?', '[', '\\', '\n']) {
                continue;
            }
            total_bytes += size;
            if total_bytes > FILES_BYTES_MAX {
                return Err(ImageError::Implausible("its small files have no end".to_owned()));
            }
            wanted.push((path.to_owned(), real, size));
        }
        let mut contents = BTreeMap::new();
        for some in wanted.chunks(FILES_A_CALL) {
            let mut command = self.command()?;
            command.arg("-cat").arg(&self.image);
            command.args(some.iter().map(|(_, real, _)| real));
            let doing = format!("reading files of the squashfs {:?}", self.path);
            let bytes_max = usize::try_from(FILES_BYTES_MAX).unwrap_or(usize::MAX);
            let bytes = UNSQUASHFS.output(command, &doing, READ_WITHIN, bytes_max)?;
            let expected: u64 = some.iter().map(|(_, _, size)| size).sum();
            if bytes.len() as u64 != expected {
                let message = format!("{expected} bytes of its files were expected, and {} came", bytes.len());
                return Err(ImageError::Implausible(message));
            }
            let mut rest = bytes.as_slice();
            for (path, _, size) in some {
                let (content, after) = rest.split_at(usize::try_from(*size).unwrap_or(0));
                contents.insert(path.clone(), content.to_vec());
                rest = after;
            }
        }
        Ok(contents)
    }

    fn command(&self) -> Result<Command, ImageError> {
        let mut command = UNSQUASHFS.command()?;
        command.args(["-no-progress", "-o", &self.offset_bytes.to_string()]);
        Ok(command)
    }
}
