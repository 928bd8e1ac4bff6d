//! What an image is, by its first bytes, and what can be seen in it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::disk::{self, DiskSurvey};
use super::error::InitError;
use crate::image::{DebugRecord, IsoSurvey, Volume, survey_iso};
use crate::image::{MenuEntry, Outline};
use crate::plan::DiskFormat;

/// Where an ISO image has its first descriptor, and what every descriptor begins with behind its type (ECMA-119, 8.1).
const ISO_AT_BYTES: u64 = 32 * 1024 + 1;
const ISO_BEGIN: &[u8] = b"CD001";
/// What a qcow2 begins with (QEMU's docs/interop/qcow2.txt).
const QCOW2_BEGIN: &[u8] = b"QFI\xfb";
/// Forms that are no images of disks, by how they begin, with what to call them.
const OTHERS: [(&[u8], &str); 9] = [
    (b"\x1f\x8b", "it is compressed with gzip"),
    (b"\xfd7zXZ", "it is compressed with xz"),
    (b"\x28\xb5\x2f\xfd", "it is compressed with zstd"),
    (b"BZh", "it is compressed with bzip2"),
    (b"PK\x03\x04", "it is a ZIP archive"),
    (b"KDMV", "it is a VMDK disk"),
    (b"# Disk DescriptorFile", "it is the description of a VMDK disk"),
    (b"conectix", "it is a VHD disk"),
    (b"vhdxfile", "it is a VHDX disk"),
];
/// The smallest file that is taken for a disk, in bytes: a sector.
const DISK_BYTES_MIN: u64 = 512;

/// What an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Medium {
    /// An ISO 9660 image.
    Iso(Volume),
    /// A disk image.
    Disk(DiskFormat),
}

/// What was seen in an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// The image, as it was named.
    pub path: PathBuf,
    /// What it is.
    pub medium: Medium,
    /// True if a BIOS finds something to start, and what tells so.
    pub bios: Option<String>,
    /// The same of UEFI on x86-64.
    pub uefi: Option<String>,
    /// Boot loaders, each with a file of its own.
    pub loaders: Vec<(&'static str, String)>,
    /// What they start, the first one first.
    pub entries: Vec<MenuEntry>,
    /// The system.
    pub system: Option<Outline>,
    /// Encrypted volumes of a disk, as in `volume 3 (LUKS)`.
    pub encrypted: Vec<String>,
    /// What was not looked into.
    pub unseen: Vec<String>,
    /// The record beside a debug image.
    pub record: Option<DebugRecord>,
}

/// Looks into an image. Nothing is started or mounted. A qcow2 is copied into a raw file in the system's directory for
/// temporary files, which is removed.
pub fn look(path: &Path) -> Result<Survey, InitError> {
    let unreadable = |error| InitError::Unreadable {
        path: path.to_owned(),
        error,
    };
    let kind = std::fs::metadata(path).map_err(unreadable)?;
    if !kind.is_file() {
        let what = if kind.is_dir() {
            "a directory"
        } else {
            "a device or a pipe"
        };
        return Err(InitError::NotAFile {
            path: path.to_owned(),
            what,
        });
    }
    let file = File::open(path).map_err(unreadable)?;
    let mut head = [0; 32];
    let length = file.read_at(&mut head, 0).map_err(unreadable)?;
    let head = &head[..length];
    let mut descriptor = [0; ISO_BEGIN.len()];
    if file.read_exact_at(&mut descriptor, ISO_AT_BYTES).is_ok() && descriptor == ISO_BEGIN {
        return Ok(of_iso(path, survey_iso(path)?));
    }
    let not_an_image = |why: &str| InitError::NotAnImage {
        path: path.to_owned(),
        why: why.to_owned(),
    };
    if head.starts_with(QCOW2_BEGIN) {
        return Ok(of_disk(path, DiskFormat::Qcow2, disk::qcow2(path)?));
    }
    if let Some((_, what)) = OTHERS.iter().find(|(begin, _)| head.starts_with(begin)) {
        return Err(not_an_image(what));
    }
    if kind.len() < DISK_BYTES_MIN {
        return Err(not_an_image("it is smaller than a sector"));
    }
    let survey = disk::raw(path)?;
    if survey.bios.is_none() && survey.volumes == 0 {
        let why = "it has no volume of an ISO image, no qcow2 header, no partition table and no boot sector";
        return Err(not_an_image(why));
    }
    Ok(of_disk(path, DiskFormat::Raw, survey))
}

fn of_iso(path: &Path, survey: IsoSurvey) -> Survey {
    let catalogue = |platform: &str| format!("the boot catalogue has an entry for {platform}");
    Survey {
        path: path.to_owned(),
        bios: survey.volume.bios.then(|| catalogue("BIOS")),
        uefi: survey.volume.uefi.then(|| catalogue("UEFI")),
        medium: Medium::Iso(survey.volume),
        loaders: survey.loaders,
        entries: survey.entries,
        system: survey.system,
        encrypted: Vec::new(),
        unseen: survey.unseen,
        // One that can't be read is told by the run that uses it.
        record: DebugRecord::of(path).ok().flatten(),
    }
}

fn of_disk(path: &Path, format: DiskFormat, survey: DiskSurvey) -> Survey {
    Survey {
        path: path.to_owned(),
        medium: Medium::Disk(format),
        bios: survey.bios,
        uefi: survey.uefi,
        loaders: survey.loaders,
        entries: survey.entries,
        system: survey.system,
        encrypted: survey.encrypted,
        unseen: survey.unseen,
        record: None,
    }
}
