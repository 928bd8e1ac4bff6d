//! The machine of a checkpoint on this host: its files laid out for it alone, and what QEMU is started with.

use std::fs::DirBuilder;
use std::os::fd::RawFd;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use crate::plan::{DiskFormat, Network};
use crate::qemu::argv::{BootSpec, DiskSpec, FirmwareSpec, FlashSpec, Incoming, LayerSpec, MachineSpec};
use crate::qemu::disk;
use crate::qemu::feature::Features;
use crate::units::ByteSize;

use super::describe::copy_file;
use super::open::{Checkpoint, Images};
use super::qcow2::Header;
use super::record::{BootRecord, FirmwareRecord, FlashRecord, LayerRecord};
use super::restore_error::RestoreError;

/// What a restored machine gets from this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostSide {
    /// What the QEMU can do.
    pub features: Features,
    /// Directories of its data.
    pub data_dirs: Vec<PathBuf>,
    /// The id of the run that reopens it.
    pub run_id: String,
    /// What the guest may reach from now on.
    pub network: Network,
    /// Inherited socket of the QMP session.
    pub qmp_fd: RawFd,
    /// Inherited socket of the serial console.
    pub serial_fd: RawFd,
    /// Inherited socket of the firmware's debug console; needed if the record's `firmware_console` is true.
    pub firmware_fd: Option<RawFd>,
    /// True if arguments of the gate are passed on that could open files of this host.
    pub allow_arguments: bool,
}

/// The files of a restored machine. What it writes goes to files of its own, so a checkpoint can be restored again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaidOut {
    /// Its firmware.
    pub firmware: FirmwareSpec,
    /// What it boots.
    pub boot: BootSpec,
    /// Its disks.
    pub disks: Vec<DiskSpec>,
}

impl Checkpoint {
    /// Lays the files out: in `work`, which must be there, overlays over the disks and copies of the firmware. `qemu` is
    /// the binary whose `qemu-img` makes the overlays. Without images, the machine boots its target disk.
    pub async fn lay_out(&self, qemu: &Path, work: &Path, images: Option<&Images>) -> Result<LaidOut, RestoreError> {
        let layout = Layout {
            checkpoint: self,
            qemu,
            work,
        };
        let directory = work.join("disks");
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        made.map_err(RestoreError::host("create", &directory))?;
        let mut disks = Vec::new();
        for record in &self.record().disks {
            let (path, layers) = layout.overlay(&record.name, &record.layers).await?;
            disks.push(DiskSpec {
                name: record.name.clone(),
                path,
                format: DiskFormat::Qcow2,
                cache: record.cache,
                target: record.target,
                layers,
            });
        }
        Ok(LaidOut {
            firmware: layout.firmware()?,
            boot: match images {
                Some(images) => layout.boot(images).await?,
                None => BootSpec::TargetDisk,
            },
            disks,
        })
    }

    /// The machine, to be started and then fed. Pure.
    pub fn machine_spec(&self, files: &LaidOut, host: HostSide) -> Result<MachineSpec, RestoreError> {
        let record = self.record();
        if !host.allow_arguments {
            check_arguments(&record.extra_args)?;
        }
        Ok(MachineSpec {
            arch: record.arch,
            features: host.features,
            run_id: host.run_id,
            uuid: record.uuid,
            data_dirs: host.data_dirs,
            accel: record.accelerator,
            cpu_model: record.cpu_model.clone(),
            cpus: record.cpus,
            memory: ByteSize(record.memory_bytes),
            firmware: files.firmware.clone(),
            boot: files.boot.clone(),
            disks: files.disks.clone(),
            network: host.network,
            ssh_forward: record.ssh_forward,
            qmp_fd: host.qmp_fd,
            serial_fd: host.serial_fd,
            firmware_fd: host.firmware_fd.filter(|_| record.firmware_console),
            // Read at boot only.
            smbios_strings: Vec::new(),
            incoming: Some(Incoming {
                machine_type: record.qemu.machine_type.clone(),
            }),
            extra_args: record.extra_args.clone(),
        })
    }
}

struct Layout<'a> {
    checkpoint: &'a Checkpoint,
    qemu: &'a Path,
    work: &'a Path,
}

impl Layout<'_> {
    /// A new file over the layers of a disk.
    async fn overlay(&self, name: &str, records: &[LayerRecord]) -> Result<(PathBuf, Vec<LayerSpec>), RestoreError> {
        let mut layers = Vec::new();
        let mut size_bytes = 0;
        for record in records {
            let path = self.checkpoint.root().join(&record.file.path);
            let virtual_bytes = match record.format {
                DiskFormat::Raw => record.file.size_bytes,
                DiskFormat::Qcow2 => safe_header(&path)?.virtual_bytes,
            };
            if layers.is_empty() {
                size_bytes = virtual_bytes;
            }
            let format = record.format;
            layers.push(LayerSpec { path, format });
        }
        let path = self.work.join(format!("disks/{name}.qcow2"));
        // Without a backing file in its header: the command line says what lies below.
        disk::create(self.qemu, &path, DiskFormat::Qcow2, ByteSize(size_bytes)).await?;
        Ok((path, layers))
    }

    fn firmware(&self) -> Result<FirmwareSpec, RestoreError> {
        Ok(match &self.checkpoint.record().firmware {
            FirmwareRecord::Bios => FirmwareSpec::Bios,
            FirmwareRecord::Uefi { flash0, flash1, smm } => FirmwareSpec::Uefi {
                flash0: self.flash("flash0.fd", flash0)?,
                flash1: flash1
                    .as_ref()
                    .map(|flash| self.flash("flash1.fd", flash))
                    .transpose()?,
                smm: *smm,
            },
        })
    }

    fn flash(&self, name: &str, record: &FlashRecord) -> Result<FlashSpec, RestoreError> {
        let saved = self.checkpoint.root().join(&record.file.path);
        if record.format == DiskFormat::Qcow2 {
            self_contained(&saved)?;
        }
        let path = self.work.join(name);
        copy_file(&saved, &path).map_err(RestoreError::host("copy the firmware to", &path))?;
        Ok(FlashSpec {
            path,
            format: record.format,
            read_only: record.read_only,
        })
    }

    async fn boot(&self, images: &Images) -> Result<BootSpec, RestoreError> {
        let mut places = images.0.iter().cloned();
        // The images were found for this record, so there is one for each that it names.
        let mut next = || places.next().unwrap_or_default();
        Ok(match &self.checkpoint.record().boot {
            BootRecord::Iso { attach, .. } => BootSpec::Iso {
                path: next(),
                attach: *attach,
            },
            BootRecord::DiskImage {
                layers,
                base_format,
                attach,
                ..
            } => {
                let base = next();
                if *base_format == DiskFormat::Qcow2 {
                    self_contained(&base)?;
                }
                let (overlay, layers) = self.overlay("image", layers).await?;
                BootSpec::DiskImage {
                    overlay,
                    layers,
                    base,
                    base_format: *base_format,
                    attach: *attach,
                }
            }
            BootRecord::Kernel { initrd, append, .. } => BootSpec::Kernel {
                kernel: next(),
                initrd: initrd.as_ref().map(|_| next()),
                append: append.clone(),
            },
            BootRecord::TargetDisk => BootSpec::TargetDisk,
        })
    }
}

/// The header of a layer. A backing file in it is of no account: the command line names another, or none.
fn safe_header(path: &Path) -> Result<Header, RestoreError> {
    let header = Header::read(path).map_err(RestoreError::host("read", path))?;
    if header.has_data_file {
        return Err(RestoreError::Outside {
            path: path.to_owned(),
            problem: "keeps its data in another file",
        });
    }
    Ok(header)
}

fn self_contained(path: &Path) -> Result<(), RestoreError> {
    if safe_header(path)?.has_backing {
        return Err(RestoreError::Outside {
            path: path.to_owned(),
            problem: "has a backing file",
        });
    }
    Ok(())
}

/// Lets only SMBIOS strings pass: whoever made the checkpoint wrote the arguments, and QEMU's can read and write files.
fn check_arguments(arguments: &[String]) -> Result<(), RestoreError> {
    let is_harmless = |pair: &[String]| match pair {
        [name, value] => name == "-smbios" && !value.contains("file=") && !value.contains("path="),
        _ => false,
    };
    if arguments.chunks(2).all(is_harmless) {
        return Ok(());
    }
    Err(RestoreError::Arguments {
        arguments: crate::text::terminal_line(arguments.join(" "), 400),
    })
}
