//! FAT12, FAT16 and FAT32, by crate `fatfs`. The crate also writes; its disk refuses to be written.

use std::io::{self, Read, Seek, SeekFrom, Write};

use fatfs::{DateTime, Dir, DirEntry, FileSystem, FsOptions};

use super::source::Source;
use super::tree::{Entry, EntryKind, Failure, NAMES_MAX, Sink, Tree};

/// Bytes that are read at once: the crate reads numbers of two bytes.
const PAGE_BYTES: u64 = 16 * 1024;
/// Bytes given out at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// A FAT file system.
pub(super) struct Fat {
    fs: FileSystem<Reader>,
}

impl Fat {
    pub(super) fn open(source: &Source) -> Result<Self, Failure> {
        let fs = FileSystem::new(Reader::new(source.clone()), FsOptions::new())?;
        Ok(Self { fs })
    }

    /// The directory at a path.
    fn directory(&self, path: &[u8]) -> Result<Dir<'_, Reader>, Failure> {
        let mut directory = self.fs.root_dir();
        for name in names(path) {
            let entry = find(&directory, name)?;
            if !entry.is_dir() {
                return Err(Failure::NotADirectory);
            }
            directory = entry.to_dir();
        }
        Ok(directory)
    }

    /// The entry at a path; the root has none.
    fn find(&self, path: &[u8]) -> Result<Option<DirEntry<'_, Reader>>, Failure> {
        let at = path.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        match &path[(at + 1).min(path.len())..] {
            [] => Ok(None),
            name => find(&self.directory(&path[..at])?, name).map(Some),
        }
    }
}

fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|byte| *byte == b'/').filter(|name| !name.is_empty())
}

/// A name of a directory, in any case.
fn find<'a>(directory: &Dir<'a, Reader>, name: &[u8]) -> Result<DirEntry<'a, Reader>, Failure> {
    for entry in directory.iter().take(NAMES_MAX) {
        let entry = entry?;
        let is_it = |known: String| known.as_bytes().eq_ignore_ascii_case(name);
        if is_it(entry.file_name()) || is_it(entry.short_file_name()) {
            return Ok(entry);
        }
    }
    Err(Failure::NotThere)
}

fn described(entry: &DirEntry<'_, Reader>) -> Entry {
    Entry {
        name: entry.file_name().into_bytes(),
        kind: if entry.is_dir() {
            EntryKind::Directory
        } else {
            EntryKind::File
        },
        size_bytes: entry.len(),
        mode: None,
        modified_s: seconds(entry.modified()),
        target: None,
    }
}

/// `None` for a date that is none, such as that of an entry that was never written.
fn seconds(when: DateTime) -> Option<i64> {
    let small = |number: u16| i8::try_from(number).ok();
    let date = jiff::civil::Date::new(
        i16::try_from(when.date.year).ok()?,
        small(when.date.month)?,
        small(when.date.day)?,
    );
    let time = jiff::civil::Time::new(small(when.time.hour)?, small(when.time.min)?, small(when.time.sec)?, 0);
    let civil = date.ok()?.to_datetime(time.ok()?);
    let zoned = civil.to_zoned(jiff::tz::TimeZone::UTC).ok()?;
    Some(zoned.timestamp().as_second())
}

impl Tree for Fat {
    fn entry(&self, path: &[u8]) -> Result<Entry, Failure> {
        Ok(self.find(path)?.as_ref().map_or_else(
            || Entry {
                name: Vec::new(),
                kind: EntryKind::Directory,
                size_bytes: 0,
                mode: None,
                modified_s: None,
                target: None,
            },
            described,
        ))
    }

    fn list(&self, path: &[u8]) -> Result<Vec<Entry>, Failure> {
        let mut entries = Vec::new();
        for entry in self.directory(path)?.iter() {
            let entry = described(&entry?);
            if matches!(&*entry.name, b"." | b"..") {
                continue;
            }
            if entries.len() == NAMES_MAX {
                return Err(Failure::Limit(format!("{NAMES_MAX} names in one directory")));
            }
            entries.push(entry);
        }
        Ok(entries)
    }

    fn link(&self, _: &[u8]) -> Result<Vec<u8>, Failure> {
        Err(Failure::NotThere)
    }

    fn read(&self, path: &[u8], limit_bytes: u64, sink: &mut Sink<'_>) -> Result<u64, Failure> {
        let Some(entry) = self.find(path)? else {
            return Err(Failure::NotAFile(EntryKind::Directory));
        };
        let mut file = entry.to_file();
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut done = 0;
        while done < limit_bytes {
            let want = usize::try_from(limit_bytes - done)
                .unwrap_or(CHUNK_BYTES)
                .min(CHUNK_BYTES);
            let count = file.read(&mut chunk[..want])?;
            if count == 0 {
                break;
            }
            sink(&chunk[..count])?;
            done += count as u64;
        }
        Ok(done)
    }
}

/// The crate's disk: read through one page, never written.
struct Reader {
    source: Source,
    at: u64,
    page: Vec<u8>,
    page_start: u64,
}

impl Reader {
    fn new(source: Source) -> Self {
        Self {
            source,
            at: 0,
            page: Vec::new(),
            page_start: 0,
        }
    }
}

impl Read for Reader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        // What the page holds costs as well: a directory that ends in itself may fit in one.
        self.source.budget().take(0)?;
        let page_end = self.page_start + self.page.len() as u64;
        if !(self.page_start..page_end).contains(&self.at) {
            self.page_start = self.at - self.at % PAGE_BYTES;
            self.page = self.source.head(self.page_start, PAGE_BYTES)?;
        }
        let within = usize::try_from(self.at - self.page_start).unwrap_or(usize::MAX);
        let rest = self.page.get(within..).unwrap_or_default();
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        self.at += count as u64;
        Ok(count)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
            SeekFrom::End(by) => self.source.size_bytes().checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "it leads to before the volume"))?;
        Ok(self.at)
    }
}

impl Write for Reader {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::Error::new(
            io::ErrorKind::PermissionDenied,
            "a guest's disk is never written",
        ))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
