//! What a saved machine consists of: its files, their digests, its settings. Blocks.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use tokio::sync::watch;

use crate::plan::DiskFormat;
use crate::qemu::argv::{BootSpec, FirmwareSpec, FlashSpec, LayerSpec, MachineSpec};
use crate::qemu::disk::digest;

use super::cancel::Cancel;
use super::error::SaveError;
use super::progress::{Phase, Progress};
use super::record::{
    BaseImage, BootRecord, DiskRecord, FORMAT, FirmwareRecord, FlashRecord, LayerRecord, MemoryRecord, QemuRecord,
    Record,
};
use super::save::KnownDigest;
use super::stored::{StoredFile, safe_relative};

/// What is to be described.
#[derive(Debug, Clone)]
pub(super) struct Survey {
    pub(super) run_dir: PathBuf,
    /// The checkpoint's directory below it.
    pub(super) name: String,
    pub(super) machine: MachineSpec,
    pub(super) known: Vec<KnownDigest>,
}

/// Every file that the guest wrote lies below the run directory: otherwise no bundle could hold it.
pub(super) fn check_places(machine: &MachineSpec, run_dir: &Path) -> Result<(), SaveError> {
    let image = match &machine.boot {
        BootSpec::DiskImage { overlay, layers, .. } => Some((overlay, layers)),
        _ => None,
    };
    let disks = machine.disks.iter().map(|disk| (&disk.path, &disk.layers));
    for (path, layers) in image.into_iter().chain(disks) {
        below(run_dir, path)?;
        for layer in layers {
            below(run_dir, &layer.path)?;
        }
    }
    Ok(())
}

fn below(run_dir: &Path, path: &Path) -> Result<String, SaveError> {
    let relative = path.strip_prefix(run_dir).ok().and_then(Path::to_str);
    let safe = relative.filter(|relative| safe_relative(relative).is_ok());
    safe.map(str::to_owned)
        .ok_or_else(|| SaveError::Elsewhere { path: path.to_owned() })
}

/// Describes the machine, and copies its firmware. What only the caller knows is left empty.
pub(super) fn record(
    survey: &Survey,
    memory: Option<MemoryRecord>,
    progress: &watch::Sender<Progress>,
    cancel: &Cancel,
) -> Result<Record, SaveError> {
    let mut reader = Reader {
        survey,
        progress,
        cancel,
        now: Progress::of(Phase::Digests, expected_bytes(survey)),
    };
    let machine = &survey.machine;
    let features = &machine.features;
    Ok(Record {
        format: FORMAT,
        bootgate_version: env!("CARGO_PKG_VERSION").to_owned(),
        qemu: QemuRecord {
            major: features.version.major,
            minor: features.version.minor,
            micro: features.version.micro,
            version_line: features.version_line.clone(),
            machine_type: match &machine.incoming {
                Some(incoming) => incoming.machine_type.clone(),
                None => features.q35_machine.clone(),
            },
            devices: features.devices.iter().map(|&name| name.to_owned()).collect(),
        },
        arch: machine.arch,
        accelerator: machine.accel,
        cpu_model: machine.cpu_model.clone(),
        cpus: machine.cpus,
        memory_bytes: machine.memory.0,
        uuid: machine.uuid,
        run_id: machine.run_id.clone(),
        run_state: String::new(),
        firmware: reader.firmware(&machine.firmware)?,
        boot: reader.boot(&machine.boot)?,
        disks: reader.disks()?,
        network: machine.network,
        ssh_forward: machine.ssh_forward,
        firmware_console: machine.firmware_fd.is_some(),
        extra_args: machine.extra_args.clone(),
        ssh: None,
        argv: Vec::new(),
        memory,
    })
}

/// Bytes that the disks take now: what there is to read, unless an image's digest is not known.
fn expected_bytes(survey: &Survey) -> u64 {
    let disks = survey.machine.disks.iter();
    let size = |path: &PathBuf| crate::qemu::disk::allocated_bytes(path).unwrap_or(0);
    disks.map(|disk| size(&disk.path)).sum()
}

struct Reader<'a> {
    survey: &'a Survey,
    progress: &'a watch::Sender<Progress>,
    cancel: &'a Cancel,
    now: Progress,
}

impl Reader<'_> {
    fn step(&mut self, bytes: u64) -> ControlFlow<()> {
        self.now.done_bytes += bytes;
        self.now.total_bytes = self.now.total_bytes.max(self.now.done_bytes);
        self.progress.send_replace(self.now);
        if self.cancel.is_cancelled() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    fn stored(&mut self, path: &Path) -> Result<StoredFile, SaveError> {
        let relative = below(&self.survey.run_dir, path)?;
        let run_dir = self.survey.run_dir.clone();
        StoredFile::describe(&run_dir, &relative, &mut |bytes| self.step(bytes)).map_err(SaveError::host("read", path))
    }

    fn layers(&mut self, path: &Path, format: DiskFormat, below: &[LayerSpec]) -> Result<Vec<LayerRecord>, SaveError> {
        let top = LayerSpec {
            path: path.to_owned(),
            format,
        };
        let all = std::iter::once(&top).chain(below);
        all.map(|layer| {
            Ok(LayerRecord {
                file: self.stored(&layer.path)?,
                format: layer.format,
            })
        })
        .collect()
    }

    fn disks(&mut self) -> Result<Vec<DiskRecord>, SaveError> {
        let disks = &self.survey.machine.disks;
        disks
            .iter()
            .map(|disk| {
                Ok(DiskRecord {
                    name: disk.name.clone(),
                    layers: self.layers(&disk.path, disk.format, &disk.layers)?,
                    cache: disk.cache,
                    target: disk.target,
                })
            })
            .collect()
    }

    fn base(&mut self, path: &Path) -> Result<BaseImage, SaveError> {
        let host = || SaveError::host("read", path);
        let size_bytes = path.metadata().map_err(host())?.len();
        let known = self.survey.known.iter().find(|known| known.path == path);
        let sha256 = if let Some(known) = known {
            known.sha256
        } else {
            let mut done = 0;
            digest(path, |now| {
                let more = now.done_bytes - done;
                done = now.done_bytes;
                self.step(more)
            })
            .map_err(host())?
        };
        Ok(BaseImage {
            path: path.to_owned(),
            size_bytes,
            sha256,
        })
    }

    fn boot(&mut self, boot: &BootSpec) -> Result<BootRecord, SaveError> {
        Ok(match boot {
            BootSpec::Iso { path, attach } => BootRecord::Iso {
                image: self.base(path)?,
                attach: *attach,
            },
            BootSpec::DiskImage {
                overlay,
                layers,
                base,
                base_format,
                attach,
            } => BootRecord::DiskImage {
                layers: self.layers(overlay, DiskFormat::Qcow2, layers)?,
                base: self.base(base)?,
                base_format: *base_format,
                attach: *attach,
            },
            BootSpec::Kernel { kernel, initrd, append } => BootRecord::Kernel {
                kernel: self.base(kernel)?,
                initrd: initrd.as_deref().map(|path| self.base(path)).transpose()?,
                append: append.clone(),
            },
            BootSpec::TargetDisk => BootRecord::TargetDisk,
        })
    }

    fn firmware(&mut self, firmware: &FirmwareSpec) -> Result<FirmwareRecord, SaveError> {
        Ok(match firmware {
            FirmwareSpec::Bios => FirmwareRecord::Bios,
            FirmwareSpec::Uefi { flash0, flash1, smm } => FirmwareRecord::Uefi {
                flash0: self.flash("flash0.fd", flash0)?,
                flash1: flash1
                    .as_ref()
                    .map(|flash| self.flash("flash1.fd", flash))
                    .transpose()?,
                smm: *smm,
            },
        })
    }

    /// Copies a flash file: the code as well, so that another host needs none of its own.
    fn flash(&mut self, name: &str, flash: &FlashSpec) -> Result<FlashRecord, SaveError> {
        let copy = self.survey.run_dir.join(&self.survey.name).join(name);
        copy_file(&flash.path, &copy).map_err(SaveError::host("copy the firmware to", &copy))?;
        Ok(FlashRecord {
            file: self.stored(&copy)?,
            format: flash.format,
            read_only: flash.read_only,
        })
    }
}

/// Copies a small file to a new one that only this user reads.
pub(super) fn copy_file(from: &Path, to: &Path) -> io::Result<()> {
    let mut source = File::open(from)?;
    let mut target = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to)?;
    io::copy(&mut source, &mut target).map(drop)
}
