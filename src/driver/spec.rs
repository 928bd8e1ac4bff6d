//! The machines of a plan: which ones are started, and what each one is once the host's parts are known.

use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::credentials;
use crate::machine::BootFrom;
use crate::plan::{DiskPlan, Firmware, ImageSource, Plan, VmUse};
use crate::qemu::argv::{BootSpec, DiskSpec, FirmwareSpec, MachineSpec};
use crate::qemu::binary::Qemu;
use crate::qemu::feature::Accel;
use crate::qemu::firmware::UefiFiles;

/// What all machines of a run have in common and no gate file says.
#[derive(Debug, Clone)]
pub struct HostParts {
    /// The QEMU.
    pub qemu: Qemu,
    /// What runs the guest's instructions.
    pub accel: Accel,
    /// The CPU model that goes with it.
    pub cpu_model: String,
    /// The firmware. `None`: SeaBIOS.
    pub uefi: Option<UefiFiles>,
}

/// The run that the machines belong to.
#[derive(Debug, Clone, Copy)]
pub struct RunPlace<'a> {
    /// Its directory.
    pub directory: &'a Path,
    /// Its id.
    pub id: &'a str,
    /// Its uuid.
    pub uuid: Uuid,
}

impl RunPlace<'_> {
    /// The run's copy of the firmware's variables.
    pub fn uefi_vars(&self) -> PathBuf {
        self.directory.join("uefi-vars.fd")
    }

    /// What takes the writes meant for a disk image.
    pub fn overlay(&self) -> PathBuf {
        self.directory.join("disks/image.qcow2")
    }

    /// The file of a disk.
    pub fn disk(&self, disk: &DiskPlan) -> PathBuf {
        let (name, format) = (&disk.name, disk.format.as_str());
        self.directory.join(format!("disks/{name}.{format}"))
    }

    /// What is kept of a disk that a stage has blank again.
    pub fn disk_before(&self, disk: &DiskPlan, stage: &str) -> PathBuf {
        let (name, format) = (&disk.name, disk.format.as_str());
        self.directory.join(format!("disks/{name}.before-{stage}.{format}"))
    }
}

/// The sockets that a machine inherits, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sockets {
    /// The QMP session.
    pub qmp: RawFd,
    /// The serial console.
    pub serial: RawFd,
    /// The firmware's debug console.
    pub firmware: Option<RawFd>,
}

/// The machines that a run starts: the index of the stage that each one begins with, and what it boots.
pub fn machines(plan: &Plan) -> impl Iterator<Item = (usize, BootFrom)> {
    let stages = plan.stages.iter().enumerate();
    stages
        .filter(|(_, stage)| stage.vm == VmUse::Fresh)
        .map(|(index, stage)| (index, BootFrom::of(stage)))
}

/// True if the machines have the firmware's debug console: SeaBIOS tells its dead ends there. OVMF writes to the serial
/// console itself.
pub fn has_firmware_console(plan: &Plan) -> bool {
    plan.machine.firmware == Firmware::Bios
}

/// The machine of a stage.
pub fn machine_spec(
    plan: &Plan,
    (stage, boot): (usize, BootFrom),
    host: &HostParts,
    run: &RunPlace<'_>,
    sockets: Sockets,
) -> MachineSpec {
    MachineSpec {
        arch: plan.machine.arch,
        features: host.qemu.features.clone(),
        run_id: run.id.to_owned(),
        uuid: run.uuid,
        data_dirs: host.qemu.data_dirs.iter().map(|path| absolute(path)).collect(),
        accel: host.accel,
        cpu_model: host.cpu_model.clone(),
        cpus: plan.cpus(stage),
        memory: plan.memory(stage),
        firmware: match &host.uefi {
            Some(files) => files.with_vars(&run.uefi_vars()),
            None => FirmwareSpec::Bios,
        },
        boot: boot_spec(plan, boot, run),
        disks: plan.disks.iter().map(|disk| disk_spec(disk, run)).collect(),
        network: plan.machine.network,
        ssh_forward: plan.ssh.is_some(),
        qmp_fd: sockets.qmp,
        serial_fd: sockets.serial,
        firmware_fd: sockets.firmware,
        smbios_strings: credentials::files(plan, boot, run.directory),
        incoming: None,
        extra_args: plan.machine.extra_args.clone(),
    }
}

fn boot_spec(plan: &Plan, boot: BootFrom, run: &RunPlace<'_>) -> BootSpec {
    if boot != BootFrom::Image {
        return BootSpec::TargetDisk;
    }
    let attach = plan.image.attach;
    match &plan.image.source {
        ImageSource::Iso(path) => BootSpec::Iso {
            path: absolute(path),
            attach,
        },
        ImageSource::Disk { path, format } => BootSpec::DiskImage {
            overlay: run.overlay(),
            layers: Vec::new(),
            base: absolute(path),
            base_format: *format,
            attach,
        },
        ImageSource::Kernel { kernel, initrd, append } => BootSpec::Kernel {
            kernel: absolute(kernel),
            initrd: initrd.as_deref().map(absolute),
            append: append.clone(),
        },
    }
}

fn disk_spec(disk: &DiskPlan, run: &RunPlace<'_>) -> DiskSpec {
    DiskSpec {
        name: disk.name.clone(),
        path: run.disk(disk),
        format: disk.format,
        cache: disk.cache,
        target: disk.target,
        layers: Vec::new(),
    }
}

/// QEMU works in the run directory, where a relative name would mean another file. What can't be made absolute (the
/// working directory is gone) stays as it is, and QEMU says that it does not find it.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The images that this run alone writes: they must be released before its next machine opens them. Not the image under
/// test, which QEMU only reads: other runs may have it open at the same time.
pub(super) fn images(spec: &MachineSpec) -> Vec<PathBuf> {
    let mut images: Vec<_> = spec.disks.iter().map(|disk| disk.path.clone()).collect();
    if let BootSpec::DiskImage { overlay, .. } = &spec.boot {
        images.push(overlay.clone());
    }
    images
}
