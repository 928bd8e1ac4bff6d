//! `machine.json`: all that it takes to go on with a saved machine.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::plan::{Arch, Attachment, DiskCache, DiskFormat, Network};
use crate::qemu::disk::Digest;
use crate::qemu::feature::{Accel, Version};

use super::stored::{FileFault, StoredFile};

/// The name of the file in a checkpoint.
pub const MACHINE_FILE: &str = "machine.json";
/// The form that this version of bootgate writes and reads.
pub const FORMAT: u32 = 1;

/// A saved machine. Paths of files are below the run directory (or where a bundle was unpacked).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// [`FORMAT`].
    pub format: u32,
    /// The bootgate that wrote it.
    pub bootgate_version: String,
    /// The QEMU that it was saved from.
    pub qemu: QemuRecord,
    /// The architecture.
    pub arch: Arch,
    /// What ran the guest's instructions.
    pub accelerator: Accel,
    /// The CPU model.
    pub cpu_model: String,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Memory in bytes.
    pub memory_bytes: u64,
    /// The machine's UUID, which the guest sees.
    pub uuid: Uuid,
    /// The run that it belongs to.
    pub run_id: String,
    /// What the guest was doing, by QEMU's name: `paused`, `guest-panicked`, `io-error`.
    pub run_state: String,
    /// The firmware and its files.
    pub firmware: FirmwareRecord,
    /// What was booted.
    pub boot: BootRecord,
    /// The disks.
    pub disks: Vec<DiskRecord>,
    /// What the guest could reach.
    pub network: Network,
    /// True if a loopback port led to the guest's port 22.
    pub ssh_forward: bool,
    /// True if the machine had the firmware's debug console.
    pub firmware_console: bool,
    /// The arguments that the gate added.
    pub extra_args: Vec<String>,
    /// How to log in to the guest.
    pub ssh: Option<SshAccess>,
    /// The command line, for people.
    pub argv: Vec<String>,
    /// The memory and the devices. A machine that was powered down has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<MemoryRecord>,
}

/// A QEMU.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QemuRecord {
    /// First number of its version.
    pub major: u32,
    /// Second number of its version.
    pub minor: u32,
    /// Third number of its version.
    pub micro: u32,
    /// The first line of `--version`, which names the packager.
    pub version_line: String,
    /// The versioned name of the machine type, like `pc-q35-7.2`.
    pub machine_type: String,
    /// The optional devices that it has: with others the machine would be another.
    pub devices: BTreeSet<String>,
}

impl QemuRecord {
    /// Its version.
    pub fn version(&self) -> Version {
        Version {
            major: self.major,
            minor: self.minor,
            micro: self.micro,
        }
    }
}

/// The firmware and its files, copied into the checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum FirmwareRecord {
    /// SeaBIOS.
    Bios,
    /// UEFI in parallel flash.
    Uefi {
        /// The first flash device.
        flash0: FlashRecord,
        /// The second flash device.
        flash1: Option<FlashRecord>,
        /// Whether the variables are behind system management mode.
        smm: bool,
    },
}

/// The contents of a flash device.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FlashRecord {
    /// The copy.
    pub file: StoredFile,
    /// Its format.
    pub format: DiskFormat,
    /// True if the guest can't write to it.
    pub read_only: bool,
}

/// A file that the guest only reads and that is not part of the checkpoint: it is known by its digest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BaseImage {
    /// Where it was.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size_bytes: u64,
    /// The SHA-256 of the whole file.
    pub sha256: Digest,
}

/// What was booted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum BootRecord {
    /// An ISO image.
    Iso {
        /// The image.
        image: BaseImage,
        /// How the machine sees it.
        attach: Attachment,
    },
    /// A disk image under layers.
    DiskImage {
        /// The layers, the one written last first.
        layers: Vec<LayerRecord>,
        /// The image.
        base: BaseImage,
        /// Its format.
        base_format: DiskFormat,
        /// How the machine sees it.
        attach: Attachment,
    },
    /// A kernel loaded by QEMU.
    Kernel {
        /// The kernel.
        kernel: BaseImage,
        /// The initial RAM disk.
        initrd: Option<BaseImage>,
        /// The kernel command line.
        append: String,
    },
    /// The target disk.
    TargetDisk,
}

/// A file that holds what the guest wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerRecord {
    /// The file.
    pub file: StoredFile,
    /// Its format.
    pub format: DiskFormat,
}

/// A disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DiskRecord {
    /// Its name.
    pub name: String,
    /// Its layers, the one written last first.
    pub layers: Vec<LayerRecord>,
    /// How the host caches it.
    pub cache: DiskCache,
    /// True for the disk that an installed system boots from.
    pub target: bool,
}

/// How to log in to the guest. The secret is not part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SshAccess {
    /// The user.
    pub user: String,
    /// The server's key if a login has proved it: algorithm and fingerprint.
    pub host_key: Option<(String, String)>,
}

/// The saved memory and devices.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryRecord {
    /// The zstd stream of QEMU's migration stream.
    pub file: StoredFile,
    /// The size of the migration stream in bytes.
    pub stream_bytes: u64,
}

impl Record {
    /// The files of the checkpoint below the run directory: the memory, the firmware, the layers.
    pub fn files(&self) -> Vec<&StoredFile> {
        let mut files: Vec<_> = self.memory.iter().map(|memory| &memory.file).collect();
        files.extend(self.firmware_files());
        files.extend(self.layers().map(|layer| &layer.file));
        files
    }

    /// The copies of the firmware.
    pub fn firmware_files(&self) -> Vec<&StoredFile> {
        match &self.firmware {
            FirmwareRecord::Bios => Vec::new(),
            FirmwareRecord::Uefi { flash0, flash1, .. } => {
                let flashes = [Some(flash0), flash1.as_ref()];
                flashes.into_iter().flatten().map(|flash| &flash.file).collect()
            }
        }
    }

    /// The layers of all disks.
    pub fn layers(&self) -> impl Iterator<Item = &LayerRecord> {
        let image = match &self.boot {
            BootRecord::DiskImage { layers, .. } => layers.as_slice(),
            _ => &[],
        };
        image.iter().chain(self.disks.iter().flat_map(|disk| &disk.layers))
    }

    /// The files that must be there besides the checkpoint.
    pub fn base_images(&self) -> Vec<&BaseImage> {
        match &self.boot {
            BootRecord::Iso { image, .. } => vec![image],
            BootRecord::DiskImage { base, .. } => vec![base],
            BootRecord::Kernel { kernel, initrd, .. } => {
                [Some(kernel), initrd.as_ref()].into_iter().flatten().collect()
            }
            BootRecord::TargetDisk => Vec::new(),
        }
    }

    /// Whether the descriptions of all files can be true.
    pub fn validate(&self) -> Result<(), FileFault> {
        self.files().into_iter().try_for_each(StoredFile::validate)
    }
}
