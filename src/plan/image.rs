//! The image under test and the disks beside it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::units::ByteSize;

/// The image under test: what is booted, how it is attached, and what its digest must be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImagePlan {
    /// What is booted.
    pub source: ImageSource,
    /// How the machine sees it. Direct kernel boot has no attachment.
    pub attach: Attachment,
    /// The SHA-256 that the image must have, as 64 lower-case hexadecimal digits.
    pub sha256: Option<String>,
    /// The image that will be published when the booted one is a debug variant of it.
    pub production: Option<PathBuf>,
}

/// What is booted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImageSource {
    /// An ISO 9660 image, booted through its own boot loader.
    Iso(PathBuf),
    /// A disk image, booted through its own boot loader. The file is never written: an overlay takes the writes.
    Disk {
        /// The image file.
        path: PathBuf,
        /// Its format.
        format: DiskFormat,
    },
    /// A kernel loaded by QEMU itself. The image's own boot loader is not tested.
    Kernel {
        /// The kernel image.
        kernel: PathBuf,
        /// The initial RAM disk.
        initrd: Option<PathBuf>,
        /// The kernel command line.
        append: String,
    },
}

/// How the machine sees the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Attachment {
    /// A SCSI CD-ROM.
    Cd,
    /// An IDE (on q35: AHCI) CD-ROM, or an IDE disk for a disk image.
    Ide,
    /// A USB mass-storage stick.
    Usb,
    /// A virtio block device.
    Virtio,
}

impl Attachment {
    /// Every attachment.
    pub const ALL: [Self; 4] = [Self::Cd, Self::Ide, Self::Usb, Self::Virtio];

    /// The name in gate files and results.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cd => "cd",
            Self::Ide => "ide",
            Self::Usb => "usb",
            Self::Virtio => "virtio",
        }
    }
}

/// The format of a disk image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskFormat {
    /// Plain bytes, sparse where the file system allows it.
    Raw,
    /// QEMU's copy-on-write format.
    Qcow2,
}

impl DiskFormat {
    /// Every format.
    pub const ALL: [Self; 2] = [Self::Raw, Self::Qcow2];

    /// The name that QEMU knows the format by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }
}

/// A disk that bootgate creates for the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskPlan {
    /// Its name: lower-case letters, digits and `-`; also its file name, node name and serial number.
    pub name: String,
    /// Its size as the guest sees it.
    pub size_bytes: ByteSize,
    /// Its format.
    pub format: DiskFormat,
    /// How the host caches it.
    pub cache: DiskCache,
    /// True if the installed-boot stages boot from this disk. Exactly one disk is the target when a stage needs one.
    pub target: bool,
    /// True if the disk file stays in the run directory after the run has passed.
    pub keep: bool,
}

/// How the host caches a disk, by QEMU's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskCache {
    /// Host page cache, flushes honoured.
    Writeback,
    /// No host page cache, flushes honoured.
    None,
    /// Host page cache, flushes ignored: quickest, and right for a disk that need not survive a host crash.
    Unsafe,
}

impl DiskCache {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Writeback, Self::None, Self::Unsafe];

    /// The name that QEMU knows the mode by.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Writeback => "writeback",
            Self::None => "none",
            Self::Unsafe => "unsafe",
        }
    }
}
