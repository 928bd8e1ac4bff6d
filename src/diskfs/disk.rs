//! A guest's disk: its volumes, and what is in them.

use std::fs::File;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::error::DiskFsError;
use super::ext::Ext;
use super::fat::Fat;
use super::guestfish::Guestfish;
use super::kind::{Kind, label};
use super::place::Place;
use super::source::{Budget, READ_DEADLINE, Source};
use super::table::{Partition, partitions};
use super::tree::{Entry, EntryKind, Failure, Tree, resolve};

/// A partition, or the whole disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// As Linux numbers partitions; 0 is the whole disk.
    pub number: u32,
    /// Where it begins on the disk, in bytes.
    pub start_bytes: u64,
    /// Its size in bytes, without what the table claims behind the disk's end.
    pub size_bytes: u64,
    /// What the table claims behind the disk's end, in bytes: the disk's file was cut off, or the table is wrong.
    pub missing_bytes: u64,
    /// Its name in the partition table. The guest's.
    pub name: String,
    /// The file system's own label. The guest's.
    pub label: Vec<u8>,
    /// What it holds.
    pub kind: Kind,
}

/// What [`Disk::list`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing {
    /// The volume that was looked at.
    pub volume: u32,
    /// The path without links. The guest's.
    pub path: Vec<u8>,
    /// A directory's names by their bytes, or the one file that the path leads to.
    pub entries: Vec<Entry>,
}

/// What [`Disk::read`] gave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReadDone {
    /// The volume that was read.
    pub volume: u32,
    /// Bytes given out.
    pub bytes: u64,
    /// True if the file is longer.
    pub cut: bool,
}

/// A raw disk image, opened for reading. Nothing is locked, mounted or written, and the host's kernel sees bytes only.
///
/// The guest must be stopped. What it has not written to its disk yet is not there; what its journal holds is.
///
/// All of it blocks: call it where blocking is allowed. Each call reads for two minutes at most.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    file: Arc<File>,
    size_bytes: u64,
    volumes: Vec<Volume>,
    guestfish: Option<Guestfish>,
}

impl Disk {
    /// Opens a raw image and finds its volumes. An image of another format is made raw by
    /// [`crate::qemu::disk::flatten`].
    pub fn open(path: &Path) -> Result<Self, DiskFsError> {
        Self::open_by(path, Guestfish::find())
    }

    /// The same without looking for libguestfs.
    pub fn open_without_guestfish(path: &Path) -> Result<Self, DiskFsError> {
        Self::open_by(path, None)
    }

    /// The same with a given `guestfish`.
    pub fn open_with_guestfish(path: &Path, guestfish: PathBuf) -> Result<Self, DiskFsError> {
        Self::open_by(path, Some(Guestfish::at(guestfish)))
    }

    fn open_by(path: &Path, guestfish: Option<Guestfish>) -> Result<Self, DiskFsError> {
        let image = |source| DiskFsError::Image {
            path: path.to_path_buf(),
            source,
        };
        let file = File::open(path).map_err(image)?;
        let mut disk = Self {
            path: path.to_path_buf(),
            // A block device has no length of its own.
            size_bytes: io::Seek::seek(&mut &file, io::SeekFrom::End(0)).map_err(image)?,
            file: Arc::new(file),
            volumes: Vec::new(),
            guestfish,
        };
        let whole = disk.source(0);
        disk.volumes = volumes(&whole).map_err(image)?;
        Ok(disk)
    }

    /// The volumes: partitions by number, or the whole disk where a file system needs no partition.
    pub fn volumes(&self) -> &[Volume] {
        &self.volumes
    }

    /// The names of a directory, sorted by their bytes, links with their targets; or one file by itself.
    pub fn list(&self, place: &Place) -> Result<Listing, DiskFsError> {
        let volume = self.choose(place)?;
        let listed = self.within(volume, 0, |tree| {
            let (path, entry) = resolve(tree, &place.path)?;
            let mut entries = match entry.kind {
                EntryKind::Directory => tree.list(&path)?,
                _ => vec![entry],
            };
            entries.sort_by(|one, other| one.name.cmp(&other.name));
            for link in entries.iter_mut().filter(|entry| entry.kind == EntryKind::Symlink) {
                // A link that can't be read is shown without its target.
                link.target = tree.link(&join(&path, &link.name)).ok();
            }
            Ok((path, entries))
        });
        let (path, entries) = match (listed, &self.guestfish) {
            (Err(Failure::Unsupported(_)), Some(other)) if volume.kind.is_mountable() => {
                let entries = other.list(&self.path, volume.number, &place.path);
                (
                    place.path.clone(),
                    entries.map_err(|failure| error(failure, volume, place))?,
                )
            }
            (listed, _) => listed.map_err(|failure| error(failure, volume, place))?,
        };
        Ok(Listing {
            volume: volume.number,
            path,
            entries,
        })
    }

    /// Writes a file's first `limit_bytes` bytes, as they are.
    pub fn read(&self, place: &Place, limit_bytes: u64, into: &mut dyn Write) -> Result<ReadDone, DiskFsError> {
        let volume = self.choose(place)?;
        let mut sink = |part: &[u8]| into.write_all(part).map_err(Failure::Write);
        let read = self.within(volume, limit_bytes, |tree| {
            let (path, entry) = resolve(tree, &place.path)?;
            if entry.kind != EntryKind::File {
                return Err(Failure::NotAFile(entry.kind));
            }
            let bytes = tree.read(&path, limit_bytes, &mut sink)?;
            Ok((bytes, entry.size_bytes > bytes))
        });
        let read = match (read, &self.guestfish) {
            (Err(Failure::Unsupported(_)), Some(other)) if volume.kind.is_mountable() => {
                other.read(&self.path, volume.number, &place.path, limit_bytes, &mut sink)
            }
            (read, _) => read,
        };
        let (bytes, cut) = read.map_err(|failure| error(failure, volume, place))?;
        Ok(ReadDone {
            volume: volume.number,
            bytes,
            cut,
        })
    }

    /// Opens a volume's file system and does something with it. The crates that read it are handed what a guest wrote, and
    /// arithmetic on it can panic; that is caught here and is damage of the file system.
    pub(super) fn within<T>(
        &self,
        volume: &Volume,
        bytes: u64,
        work: impl FnOnce(&dyn Tree) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let source = self.source(bytes).part(volume.start_bytes, volume.size_bytes);
        let budget = Arc::clone(source.budget());
        let outcome = catch_unwind(AssertUnwindSafe(|| match volume.kind {
            Kind::Ext2 | Kind::Ext3 | Kind::Ext4 => work(&Ext::open(&source)?),
            Kind::Fat => work(&Fat::open(&source)?),
            _ => Err(Failure::Unsupported(String::new())),
        }));
        let spent = || Failure::Limit(super::source::SPENT.to_owned());
        match outcome {
            Ok(Err(Failure::Damaged(_))) if budget.is_spent() => Err(spent()),
            Ok(outcome) => outcome,
            Err(_panic) => Err(Failure::Damaged("its numbers contradict each other".to_owned())),
        }
    }

    fn source(&self, bytes: u64) -> Source {
        Source::new(
            Arc::clone(&self.file),
            self.size_bytes,
            Budget::new(READ_DEADLINE, bytes),
        )
    }

    /// The volume that a place is on.
    pub(super) fn choose(&self, place: &Place) -> Result<&Volume, DiskFsError> {
        if let Some(number) = place.volume {
            let known = self.volumes.iter().find(|volume| volume.number == number);
            return known.ok_or_else(|| DiskFsError::NoVolume {
                number,
                have: self.summary(),
            });
        }
        let readable =
            |volume: &&Volume| volume.kind.is_read_here() || (self.guestfish.is_some() && volume.kind.is_mountable());
        let readable: Vec<&Volume> = self.volumes.iter().filter(readable).collect();
        let [first, others @ ..] = readable.as_slice() else {
            return Err(self.nothing_readable());
        };
        if others.is_empty() {
            return Ok(first);
        }
        self.find(&readable, place)
    }

    /// The one volume that has the path. Of several, the one that looks like a system's root.
    fn find<'a>(&self, volumes: &[&'a Volume], place: &Place) -> Result<&'a Volume, DiskFsError> {
        let mut having = Vec::new();
        let mut failed = None;
        for volume in volumes.iter().copied() {
            let found = self.within(volume, 0, |tree| {
                resolve(tree, &place.path)?;
                let is_root = resolve(tree, b"/etc").is_ok_and(|(_, etc)| etc.kind == EntryKind::Directory);
                Ok(is_root)
            });
            match found {
                Ok(is_root) => having.push((volume, is_root)),
                // To look where libguestfs has to takes half a minute, so that is done only where the volume is named.
                Err(Failure::NotThere | Failure::NotADirectory | Failure::Links | Failure::Unsupported(_)) => {}
                Err(failure) => failed = Some(error(failure, volume, place)),
            }
        }
        let roots: Vec<&Volume> = having
            .iter()
            .filter_map(|(volume, is_root)| is_root.then_some(*volume))
            .collect();
        match (roots.as_slice(), having.as_slice()) {
            ([one], _) | ([], [(one, _)]) => Ok(one),
            ([], []) => Err(failed.unwrap_or_else(|| DiskFsError::NotThere {
                path: place.path.clone(),
                place: format!("any of the volumes that can be read ({})", self.summary()),
            })),
            _ => Err(DiskFsError::Ambiguous {
                path: place.path.clone(),
                volumes: numbers(having.iter().map(|(volume, _)| volume.number)),
            }),
        }
    }

    fn nothing_readable(&self) -> DiskFsError {
        match self.volumes.as_slice() {
            [only] => error(
                Failure::Unsupported(String::new()),
                only,
                &Place {
                    volume: None,
                    path: Vec::new(),
                },
            ),
            _ => DiskFsError::NothingReadable { have: self.summary() },
        }
    }

    /// `1 (fat), 2 (ext4)`.
    fn summary(&self) -> String {
        if self.volumes.is_empty() {
            return "none".to_owned();
        }
        let named = self
            .volumes
            .iter()
            .map(|volume| format!("{} ({})", volume.number, volume.kind));
        named.collect::<Vec<_>>().join(", ")
    }
}

fn numbers(numbers: impl Iterator<Item = u32>) -> String {
    numbers.map(|number| number.to_string()).collect::<Vec<_>>().join(", ")
}

pub(super) fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    let separator: &[u8] = if directory.ends_with(b"/") { b"" } else { b"/" };
    [directory, separator, name].concat()
}

/// A whole disk with a file system hides what looks like a table in its first sector; an ISO image has both.
fn volumes(disk: &Source) -> io::Result<Vec<Volume>> {
    let whole = Partition {
        number: 0,
        start: 0,
        size_bytes: disk.size_bytes(),
        name: String::new(),
    };
    let whole = volume(disk, whole)?;
    if !matches!(whole.kind, Kind::Blank | Kind::Unknown | Kind::Iso9660) {
        return Ok(vec![whole]);
    }
    let mut volumes = Vec::new();
    for partition in partitions(disk)? {
        volumes.push(volume(disk, partition)?);
    }
    if volumes.is_empty() || whole.kind == Kind::Iso9660 {
        volumes.insert(0, whole);
    }
    Ok(volumes)
}

fn volume(disk: &Source, partition: Partition) -> io::Result<Volume> {
    let part = disk.part(partition.start, partition.size_bytes);
    let kind = Kind::of(&part)?;
    Ok(Volume {
        number: partition.number,
        start_bytes: partition.start,
        size_bytes: part.size_bytes(),
        missing_bytes: partition.size_bytes.saturating_sub(part.size_bytes()),
        name: partition.name,
        label: label(&part, kind),
        kind,
    })
}

/// What went wrong, with the place where it did.
pub(super) fn error(failure: Failure, volume: &Volume, place: &Place) -> DiskFsError {
    let (kind, number) = (volume.kind, volume.number);
    let path = place.path.clone();
    match failure {
        Failure::NotThere => DiskFsError::NotThere {
            path,
            place: format!("volume {number}"),
        },
        Failure::NotADirectory => DiskFsError::NotADirectory { path },
        Failure::NotAFile(kind) => DiskFsError::NotAFile {
            path,
            what: kind.described(),
        },
        Failure::Links => DiskFsError::Links { path },
        Failure::Damaged(what) => DiskFsError::Damaged { kind, number, what },
        Failure::Unsupported(why) => DiskFsError::Unsupported { kind, number, why },
        Failure::Limit(what) => DiskFsError::Limit(what),
        Failure::Write(source) => DiskFsError::Write {
            path: PathBuf::from("output"),
            source,
        },
        Failure::Guestfish { how, complaint } => DiskFsError::Guestfish { how, complaint },
    }
}
