//! ext2, ext3 and ext4, by crate `ext4-view`.
//!
//! The guest is stopped while it writes, so its journal is nearly always in use. The crate's own replay (1.0) reads a log
//! that wraps round only up to the end of its space, asks for checksums of version 3, and lets a block that was revoked in a
//! later transaction through: then a file's content is an old directory's. So the journal is replayed by [`journal`] and the
//! crate is shown a file system that needs no recovery.

mod blocks;
mod journal;

use ext4_view::{Ext4, Ext4Error, Ext4Read, FileType, Metadata};

use super::source::{Source, le};
use super::tree::{Entry, EntryKind, Failure, LINK_BYTES_MAX, NAMES_MAX, Sink, Tree};
use journal::Replayed;

/// Block groups of a file system, at most: 128 TiB with blocks of 4 KiB. The crate reserves memory for all of them.
const GROUPS_MAX: u64 = 1 << 20;
/// Bytes read at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// A file system of the ext family.
pub(super) struct Ext {
    fs: Ext4,
    source: Source,
}

impl Ext4Read for Replayed {
    fn read(
        &mut self,
        start_byte: u64,
        dst: &mut [u8],
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync + 'static>> {
        Ok(self.read_at(start_byte, dst)?)
    }
}

impl Ext {
    /// Opens what [`super::kind::Kind::of`] took for one.
    pub(super) fn open(source: &Source) -> Result<Self, Failure> {
        let superblock: [u8; 1024] = source.bytes(1024)?;
        let blocks = le::<4>(&superblock, 0x4) | le::<4>(&superblock, 0x150) << 32;
        let per_group = le::<4>(&superblock, 0x20).max(1);
        if blocks / per_group > GROUPS_MAX {
            return Err(Failure::Damaged(
                "its superblock claims more block groups than there can be".to_owned(),
            ));
        }
        let replayed = Replayed::open(source.clone(), &superblock)?;
        let this = |fs| Self {
            fs,
            source: source.clone(),
        };
        Ext4::load(Box::new(replayed))
            .map(this)
            .map_err(|error| failure(&error))
    }

    /// What a path, which holds no links, leads to.
    fn metadata(&self, path: &[u8]) -> Result<Metadata, Failure> {
        self.fs.symlink_metadata(path).map_err(|error| failure(&error))
    }

    fn entry(name: &[u8], metadata: &Metadata) -> Entry {
        let kind = match metadata.file_type() {
            FileType::Regular => EntryKind::File,
            FileType::Directory => EntryKind::Directory,
            FileType::Symlink => EntryKind::Symlink,
            FileType::Fifo => EntryKind::Fifo,
            FileType::Socket => EntryKind::Socket,
            FileType::BlockDevice => EntryKind::BlockDevice,
            FileType::CharacterDevice => EntryKind::CharacterDevice,
        };
        Entry {
            name: name.to_vec(),
            kind,
            size_bytes: metadata.len(),
            mode: Some(metadata.mode() & 0o7777),
            modified_s: Some(metadata.modified().seconds()),
            target: None,
        }
    }
}

impl Tree for Ext {
    fn entry(&self, path: &[u8]) -> Result<Entry, Failure> {
        let name = path.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
        Ok(Self::entry(name, &self.metadata(path)?))
    }

    fn list(&self, path: &[u8]) -> Result<Vec<Entry>, Failure> {
        let mut entries = Vec::new();
        for entry in self.fs.read_dir(path).map_err(|error| failure(&error))? {
            let entry = entry.map_err(|error| failure(&error))?;
            let name = entry.file_name();
            let name: &[u8] = name.as_ref();
            if matches!(name, b"." | b"..") {
                continue;
            }
            if entries.len() == NAMES_MAX {
                return Err(Failure::Limit(format!("{NAMES_MAX} names in one directory")));
            }
            let metadata = entry.metadata().map_err(|error| failure(&error))?;
            entries.push(Self::entry(name, &metadata));
        }
        Ok(entries)
    }

    fn link(&self, path: &[u8]) -> Result<Vec<u8>, Failure> {
        // The crate reserves memory for what the inode claims.
        if self.metadata(path)?.len() > LINK_BYTES_MAX {
            return Err(Failure::Damaged(
                "a symbolic link is longer than a path can be".to_owned(),
            ));
        }
        let target = self.fs.read_link(path).map_err(|error| failure(&error))?;
        Ok(target.as_ref().to_vec())
    }

    fn read(&self, path: &[u8], limit_bytes: u64, sink: &mut Sink<'_>) -> Result<u64, Failure> {
        let mut file = self.fs.open(path).map_err(|error| failure(&error))?;
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut done = 0;
        while done < limit_bytes {
            // A hole costs no read.
            self.source.budget().take(0)?;
            let want = usize::try_from(limit_bytes - done)
                .unwrap_or(CHUNK_BYTES)
                .min(CHUNK_BYTES);
            let count = file.read_bytes(&mut chunk[..want]).map_err(|error| failure(&error))?;
            if count == 0 {
                break;
            }
            sink(&chunk[..count])?;
            done += count as u64;
        }
        Ok(done)
    }
}

fn failure(error: &Ext4Error) -> Failure {
    match error {
        Ext4Error::NotFound => Failure::NotThere,
        Ext4Error::NotADirectory => Failure::NotADirectory,
        Ext4Error::Incompatible(_) | Ext4Error::Encrypted => Failure::Unsupported(error.to_string()),
        other => Failure::Damaged(other.to_string()),
    }
}
