//! What an image is, by its first bytes, and what can be seen in it.

use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::disk::{self, DiskSurvey};
use super::error::InitError;
use crate::image::{DebugRecord, Foreign, IsoSurvey, Volume, foreign, is_qcow2, survey_iso};
use crate::image::{MenuEntry, Outline};
use crate::plan::DiskFormat;

/// Where an ISO image has its first descriptor, and what every descriptor begins with behind its type (ECMA-119, 8.1).
const ISO_AT_BYTES: u64 = 32 * 1024 + 1;
const ISO_BEGIN: &[u8] = b"CD001";
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
    /// What tells that the file may end too early.
    pub cut: Option<String>,
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
    let mut descriptor = [0; ISO_BEGIN.len()];
    if file.read_exact_at(&mut descriptor, ISO_AT_BYTES).is_ok() && descriptor == ISO_BEGIN {
        return Ok(of_iso(path, survey_iso(path)?));
    }
    let not_an_image = |why: &str| InitError::NotAnImage {
        path: path.to_owned(),
        why: why.to_owned(),
        mend: None,
    };
    if let Some(Foreign { what, mend }) = foreign(path).map_err(unreadable)? {
        return Err(InitError::NotAnImage {
            path: path.to_owned(),
            why: what,
            mend: Some(mend),
        });
    }
    let (format, survey) = if is_qcow2(path).map_err(unreadable)? {
        (DiskFormat::Qcow2, disk::qcow2(path)?)
    } else {
        match kind.len() {
            0 => return Err(not_an_image("it is empty")),
            1..DISK_BYTES_MIN => return Err(not_an_image("it is smaller than a sector")),
            _ => (DiskFormat::Raw, disk::raw(path)?),
        }
    };
    if survey.bios.is_none() && survey.volumes == 0 {
        return Err(not_an_image(match format {
            DiskFormat::Qcow2 => "the disk in it has no partition table, no file system and no boot sector",
            DiskFormat::Raw => {
                "it has no volume of an ISO image, no qcow2 header, no partition table and no boot sector"
            }
        }));
    }
    Ok(of_disk(path, format, survey))
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
        cut: None,
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
        cut: survey.cut,
        record: None,
    }
}
