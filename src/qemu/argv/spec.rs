//! The machine that a command line describes.

use std::os::fd::RawFd;
use std::path::PathBuf;

use uuid::Uuid;

use crate::plan::{Arch, Attachment, DiskCache, DiskFormat, Network};
use crate::qemu::feature::{Accel, Features};
use crate::units::ByteSize;

/// A machine in which everything is decided: nothing is looked up or guessed from here on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MachineSpec {
    /// Its architecture.
    pub arch: Arch,
    /// What the binary can do.
    pub features: Features,
    /// The run's id, shown in process lists as `guest=…`.
    pub run_id: String,
    /// The run's UUID, which the guest finds in its SMBIOS tables: the proof that we talk to our own machine.
    pub uuid: Uuid,
    /// Directories of QEMU's own data (`-L`), in search order.
    pub data_dirs: Vec<PathBuf>,
    /// What runs the guest's instructions.
    pub accel: Accel,
    /// The CPU model.
    pub cpu_model: String,
    /// Virtual CPUs.
    pub cpus: u32,
    /// Memory; rounded up to a whole MiB.
    pub memory: ByteSize,
    /// The firmware.
    pub firmware: FirmwareSpec,
    /// What is booted.
    pub boot: BootSpec,
    /// The disks beside the image, in the order in which the guest finds them.
    pub disks: Vec<DiskSpec>,
    /// What the guest may reach.
    pub network: Network,
    /// True if a loopback port chosen by the kernel leads to the guest's port 22. `info usernet` tells which.
    pub ssh_forward: bool,
    /// Inherited socket of the QMP session.
    pub qmp_fd: RawFd,
    /// Inherited socket of the serial console.
    pub serial_fd: RawFd,
    /// Inherited socket of the firmware's debug console. SeaBIOS tells it what it otherwise only shows on the screen, up
    /// to `No bootable device.`; OVMF uses it in debug builds. QEMU stands still while nobody reads it.
    pub firmware_fd: Option<RawFd>,
    /// Files, each of which becomes a string of the guest's SMBIOS tables (type 11). The guest's systemd finds its
    /// credentials there. Files, because every process of the host can read a command line.
    pub smbios_strings: Vec<PathBuf>,
    /// Set if the machine is not booted but goes on from a saved state.
    pub incoming: Option<Incoming>,
    /// Arguments appended as they are.
    pub extra_args: Vec<String>,
}

/// A machine that takes its memory and the state of its devices from a stream. It waits for QMP `migrate-incoming`, and
/// is paused when the stream has been read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The machine type by its versioned name, like `pc-q35-7.2`: the plain name means another machine in each version.
    pub machine_type: String,
}

/// A file below a disk's own file: read where that one has nothing, and never written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LayerSpec {
    /// The file.
    pub path: PathBuf,
    /// Its format.
    pub format: DiskFormat,
}

/// The firmware and its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FirmwareSpec {
    /// SeaBIOS from QEMU's data directory.
    Bios,
    /// UEFI in parallel flash.
    Uefi {
        /// The first flash device: the code, or code and variables together.
        flash0: FlashSpec,
        /// The second flash device: the variables, if they have a file of their own.
        flash1: Option<FlashSpec>,
        /// The firmware keeps its variables behind system management mode (Secure Boot builds).
        smm: bool,
    },
}

/// The contents of a flash device.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlashSpec {
    /// The file.
    pub path: PathBuf,
    /// Its format.
    pub format: DiskFormat,
    /// True if the guest can't write to it. A writable file belongs to one run.
    pub read_only: bool,
}

/// What is booted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BootSpec {
    /// An ISO image, never written.
    Iso {
        /// The image.
        path: PathBuf,
        /// How the machine sees it.
        attach: Attachment,
    },
    /// A disk image, never written: the overlay takes the writes.
    DiskImage {
        /// The overlay, a qcow2 file of this run.
        overlay: PathBuf,
        /// The frozen layers between the overlay and the image, the nearest to the overlay first.
        layers: Vec<LayerSpec>,
        /// The image.
        base: PathBuf,
        /// The image's format.
        base_format: DiskFormat,
        /// How the machine sees it. `Cd` means a SCSI disk.
        attach: Attachment,
    },
    /// A kernel loaded by QEMU.
    Kernel {
        /// The kernel.
        kernel: PathBuf,
        /// The initial RAM disk.
        initrd: Option<PathBuf>,
        /// The kernel command line.
        append: String,
    },
    /// The target disk. The image is not there.
    TargetDisk,
}

/// A disk created for the run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskSpec {
    /// Its name: lower-case letters, digits and `-`, at most 20 bytes (a virtio serial number holds no more).
    pub name: String,
    /// Its file.
    pub path: PathBuf,
    /// Its format.
    pub format: DiskFormat,
    /// How the host caches it.
    pub cache: DiskCache,
    /// True for the disk that [`BootSpec::TargetDisk`] boots.
    pub target: bool,
    /// The frozen layers below the file, the nearest first. With any, the file is an overlay in qcow2 format.
    pub layers: Vec<LayerSpec>,
}
