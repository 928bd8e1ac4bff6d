//! An ISO 9660 image: which files it holds and where, read by xorriso; the files' bytes are read from where they lie.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::ImageError;
use super::tool::XORRISO;

/// Bytes of a sector of an ISO 9660 image.
pub(super) const SECTOR_BYTES: u64 = 2048;
/// Where the primary volume descriptor lies, and what it begins with (ECMA-119, 8.1 and 8.4).
pub(super) const DESCRIPTOR_AT_BYTES: u64 = 16 * SECTOR_BYTES;
const DESCRIPTOR_BEGIN: &[u8] = b"\x01CD001";
/// Where the descriptor holds the volume's size in sectors (ECMA-119, 8.4.8).
const SECTORS_AT_BYTES: u64 = 80;
/// Where the descriptor holds the time of the volume's last change (ECMA-119, 8.4.27): sixteen digits.
const CHANGED_AT_BYTES: u64 = 830;
const CHANGED_DIGITS: usize = 16;
/// How long xorriso may take to list an image.
const LIST_WITHIN: Duration = Duration::from_secs(120);
/// Bytes of a listing.
const LISTING_BYTES_MAX: usize = 64 * 1024 * 1024;
/// What a squashfs of version 4 begins with, little-endian as all are since 2009.
const SQUASHFS_MAGIC: &[u8] = b"hsqs";
/// What the line of a file's place begins with in xorriso's report.
const PLACE: &str = "File data lba:";

/// An ISO image, open for reading.
#[derive(Debug)]
pub(super) struct Iso {
    pub(super) path: PathBuf,
    file: File,
    size_bytes: u64,
    files: Vec<IsoFile>,
}

/// A file of the image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IsoFile {
    /// Its path, from a slash on.
    pub(super) path: String,
    /// Where its bytes lie, in order.
    pub(super) extents: Vec<Extent>,
}

/// A piece of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Extent {
    pub(super) offset_bytes: u64,
    pub(super) size_bytes: u64,
}

impl IsoFile {
    pub(super) fn size_bytes(&self) -> u64 {
        self.extents.iter().map(|extent| extent.size_bytes).sum()
    }

    /// Where the file begins, if it lies in one piece.
    pub(super) fn offset_bytes(&self) -> Option<u64> {
        let first = self.extents.first()?;
        let mut next = first.offset_bytes;
        for extent in &self.extents {
            if extent.offset_bytes != next {
                return None;
            }
            next += extent.size_bytes;
        }
        Some(first.offset_bytes)
    }
}

impl Iso {
    /// Opens an image and lists its files.
    pub(super) fn open(path: &Path) -> Result<Self, ImageError> {
        let absolute = std::path::absolute(path).map_err(ImageError::io("can't find", path))?;
        let file = File::open(&absolute).map_err(ImageError::io("can't read", path))?;
        let size_bytes = file.metadata().map_err(ImageError::io("can't read", path))?.len();
        let mut begin = [0; DESCRIPTOR_BEGIN.len()];
        let is_iso = file.read_exact_at(&mut begin, DESCRIPTOR_AT_BYTES).is_ok() && begin == DESCRIPTOR_BEGIN;
        if !is_iso {
            return Err(ImageError::NotAnIso { path: path.to_owned() });
        }
        let mut sectors = [0; 4];
        // A file that ends before lacks the whole descriptor.
        if file
            .read_exact_at(&mut sectors, DESCRIPTOR_AT_BYTES + SECTORS_AT_BYTES)
            .is_err()
        {
            sectors = [18, 0, 0, 0];
        }
        let volume_bytes = u64::from(u32::from_le_bytes(sectors)) * SECTOR_BYTES;
        if volume_bytes > size_bytes {
            return Err(ImageError::Truncated {
                path: path.to_owned(),
                volume_bytes,
                size_bytes,
            });
        }
        let mut command = XORRISO.command()?;
        command.args(["-no_rc", "-report_about", "WARNING", "-indev"]);
        command.arg(stdio(&absolute));
        command.args(["-find", "/", "-type", "f", "-exec", "report_lba", "--"]);
        let listing = XORRISO.output(command, "listing the image's files", LIST_WITHIN, LISTING_BYTES_MAX)?;
        let files = places(&String::from_utf8_lossy(&listing), size_bytes)?;
        Ok(Self {
            path: absolute,
            file,
            size_bytes,
            files,
        })
    }

    pub(super) fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    pub(super) fn files(&self) -> &[IsoFile] {
        &self.files
    }

    pub(super) fn file(&self, path: &str) -> Option<&IsoFile> {
        self.files.iter().find(|file| file.path == path)
    }

    /// A file's bytes, at most `bytes_max` of them.
    pub(super) fn read(&self, file: &IsoFile, bytes_max: u64) -> Result<Vec<u8>, ImageError> {
        let mut bytes = Vec::new();
        for extent in &file.extents {
            let room = bytes_max.saturating_sub(bytes.len() as u64).min(extent.size_bytes);
            let from = bytes.len();
            bytes.resize(from + usize::try_from(room).unwrap_or(0), 0);
            self.read_at(&mut bytes[from..], extent.offset_bytes)?;
        }
        Ok(bytes)
    }

    pub(super) fn read_at(&self, into: &mut [u8], offset_bytes: u64) -> Result<(), ImageError> {
        let read = self.file.read_exact_at(into, offset_bytes);
        read.map_err(ImageError::io("can't read", &self.path))
    }

    /// The files that begin like a squashfs, whatever they are called.
    pub(super) fn squashfs_files(&self) -> Vec<&IsoFile> {
        let begins = |file: &&IsoFile| {
            let mut begin = [0; SQUASHFS_MAGIC.len()];
            let offset = file.extents.first().map(|extent| extent.offset_bytes);
            file.size_bytes() > begin.len() as u64
                && offset.is_some_and(|offset| self.read_at(&mut begin, offset).is_ok())
                && begin == SQUASHFS_MAGIC
        };
        self.files.iter().filter(begins).collect()
    }

    /// When the volume was changed last, as sixteen digits. GRUB finds its medium by it (`search --fs-uuid`).
    pub(super) fn changed(&self) -> Result<String, ImageError> {
        let mut digits = [0; CHANGED_DIGITS];
        self.read_at(&mut digits, DESCRIPTOR_AT_BYTES + CHANGED_AT_BYTES)?;
        if digits.iter().all(u8::is_ascii_digit) {
            return Ok(String::from_utf8_lossy(&digits).into_owned());
        }
        Err(ImageError::Implausible("its volume has no time of change".to_owned()))
    }
}

/// A file as xorriso's `-indev`: never taken for a drive.
pub(super) fn stdio(path: &Path) -> std::ffi::OsString {
    let mut address = std::ffi::OsString::from("stdio:");
    address.push(path);
    address
}

/// Reads xorriso's `report_lba`: section, first sector, sectors, bytes of the file, path in quotes.
fn places(report: &str, image_bytes: u64) -> Result<Vec<IsoFile>, ImageError> {
    let mut files: Vec<(IsoFile, u64)> = Vec::new();
    for line in report.lines() {
        let Some(fields) = line.strip_prefix(PLACE) else {
            continue;
        };
        let mut fields = fields.splitn(5, ',').map(str::trim);
        let mut number = || fields.next()?.parse::<u64>().ok();
        let (Some(_section), Some(first), Some(sectors), Some(size)) = (number(), number(), number(), number()) else {
            continue;
        };
        let Some(path) = fields.next().and_then(unquoted) else {
            continue;
        };
        let known = files.last().filter(|(file, _)| file.path == path);
        let left = known.map_or(size, |(_, left)| *left);
        let place = first.checked_mul(SECTOR_BYTES).zip(sectors.checked_mul(SECTOR_BYTES));
        let Some((offset_bytes, room)) = place.filter(|(offset, _)| *offset <= image_bytes) else {
            return Err(outside(&path));
        };
        let extent = Extent {
            offset_bytes,
            size_bytes: left.min(room),
        };
        if extent.size_bytes > image_bytes - offset_bytes {
            return Err(outside(&path));
        }
        let left = left - extent.size_bytes;
        if let Some((file, known)) = files.last_mut().filter(|(file, _)| file.path == path) {
            file.extents.push(extent);
            *known = left;
        } else {
            let extents = vec![extent];
            files.push((IsoFile { path, extents }, left));
        }
    }
    Ok(files.into_iter().map(|(file, _)| file).collect())
}

fn outside(path: &str) -> ImageError {
    ImageError::Implausible(format!("its file {path:?} lies outside of it"))
}

/// Undoes xorriso's quotes: a quote within is written as `'"'"'`.
fn unquoted(text: &str) -> Option<String> {
    let text = text.strip_prefix('\'')?.strip_suffix('\'')?;
    Some(text.replace("'\"'\"'", "'"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const REPORT: &str = "\
Report layout: xt , Startlba ,   Blocks , Filesize , ISO image path
File data lba:  0 ,       50 ,        2 ,     4000 , '/live/it'\"'\"'s, here'
File data lba:  0 ,       52 ,        2 ,     5000 , '/two'
File data lba:  1 ,       54 ,        1 ,     5000 , '/two'
";

    #[test]
    fn places_are_read_with_their_pieces() {
        let files = places(REPORT, 1 << 20).unwrap();
        assert_eq!(files[0].path, "/live/it's, here");
        assert_eq!(
            (files[0].size_bytes(), files[0].offset_bytes()),
            (4000, Some(50 * 2048))
        );
        assert_eq!(files[1].extents.len(), 2);
        assert_eq!(
            (files[1].size_bytes(), files[1].offset_bytes()),
            (5000, Some(52 * 2048))
        );
    }

    #[test]
    fn no_file_lies_outside_the_image() {
        assert!(places(REPORT, 50 * 2048).is_err());
        let beyond = "File data lba:  0 , 9007199254740993 , 9007199254740993 , 12 , '/a'\n";
        assert!(places(beyond, 1 << 20).is_err());
    }

    proptest! {
        #[test]
        fn no_report_breaks_the_reader(text in "(File data lba:[ 0-9,'/a-c\"]{0,60}\n){0,6}") {
            if let Ok(files) = places(&text, 1 << 20) {
                for file in files {
                    prop_assert!(file.extents.iter().all(|e| e.offset_bytes + e.size_bytes <= 1 << 20));
                    let _ = file.offset_bytes();
                }
            }
        }
    }
}
