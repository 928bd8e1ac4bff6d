//! What the host has for a run, found once: free space, QEMU, accelerator, firmware, the pinned image, the disks.

use std::path::{Path, PathBuf};

use crate::machine::Cause;
use crate::plan::{Firmware, ImageSource, Plan};
use crate::qemu::accelerator;
use crate::qemu::binary::Qemu;
use crate::qemu::disk::{self, DiskError};
use crate::qemu::feature::Accel;
use crate::qemu::firmware::{self, UefiFiles};
use crate::units::ByteSize;

use super::credentials;
use super::images::ImageRelation;
use super::preflight::FREE_BYTES_MIN;
use super::prepare::{PrepareError, Workshop};
use super::scratch;
use super::spec::HostParts;

/// Guest-facing deadlines under TCG, in percent of what the gate file says. Chosen, not measured: TCG is several times slower
/// than KVM, and a gate file may set its own `timeout-scale`.
const TCG_SCALE_PERCENT: u32 = 400;

/// What the run found on this host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostFacts {
    /// The QEMU binary.
    pub qemu: PathBuf,
    /// Its version.
    pub qemu_version: String,
    /// `kvm` or `tcg`.
    pub accelerator: String,
    /// Why that one.
    pub accelerator_why: String,
    /// The CPU model.
    pub cpu_model: String,
    /// The firmware and where it was found.
    pub firmware: String,
    /// The factor on guest-facing deadlines, in percent.
    pub scale_percent: u32,
    /// How the image under test belongs to another one that may be published. `None`: it is that one itself.
    pub images: Option<ImageRelation>,
}

/// What is found once and used for every machine of the run.
pub(super) struct Host {
    pub(super) parts: HostParts,
    pub(super) facts: HostFacts,
}

impl Workshop {
    /// Finds and makes all of it. The first thing that is missing ends the search.
    pub(super) async fn find_host(&self) -> Result<Host, PrepareError> {
        let machine = &self.plan.machine;
        self.check_space()?;
        let qemu = Qemu::find(&machine.qemu, machine.qemu_data.clone())
            .await
            .map_err(|e| PrepareError::new(Cause::Preflight, format!("{e}; {}", e.mend())))?;
        let chosen = accelerator::choose(&qemu, self.wanted_accelerator(), machine.cpu_model.as_deref())
            .await
            .map_err(|e| PrepareError::new(Cause::AcceleratorMissing, format!("{e}; {}", e.mend())))?;
        let uefi = match machine.firmware {
            Firmware::Bios => None,
            // It has brought its firmware along.
            Firmware::Uefi if self.start.is_some() => None,
            Firmware::Uefi => Some(self.uefi(&qemu)?),
        };
        self.check_digest().await?;
        // What the stages before have read is what was tested.
        let images = match self.start {
            None => self.relate_images().await?,
            Some(_) => None,
        };
        let scratch = self.plan.host.scratch.as_deref();
        scratch::make_disks(self.run.path(), &self.run.info().id, scratch).map_err(|e| {
            PrepareError::new(
                Cause::Preflight,
                format!("the directory of the disks can't be made: {e}"),
            )
        })?;
        if self.start.is_none() {
            self.create_overlay(&qemu).await?;
            self.create_blank_disks(&qemu).await?;
        }
        if let Some(key) = &self.public_key {
            credentials::write(&self.plan, key, self.run.path()).map_err(|e| {
                PrepareError::new(Cause::HostTooSmall, format!("the credentials can't be written: {e}"))
            })?;
        }
        let scale_percent = scale_percent(self.plan.timeout_scale, chosen.accel);
        let facts = HostFacts {
            qemu: qemu.binary.clone(),
            qemu_version: qemu.features.version_line.clone(),
            accelerator: chosen.accel.as_str().to_owned(),
            accelerator_why: chosen.why.clone(),
            cpu_model: chosen.cpu_model.clone(),
            firmware: match &uefi {
                None if machine.firmware == Firmware::Uefi => "UEFI of the checkpoint".to_owned(),
                Some(files) => format!("UEFI {} ({})", files.code.path.display(), files.source),
                None => "SeaBIOS".to_owned(),
            },
            scale_percent,
            images,
        };
        let parts = HostParts {
            qemu,
            accel: chosen.accel,
            cpu_model: chosen.cpu_model,
            uefi,
        };
        Ok(Host { parts, facts })
    }

    fn check_space(&self) -> Result<(), PrepareError> {
        let free = disk::free_bytes(self.run.path()).map_err(|e| PrepareError::new(Cause::Preflight, e))?;
        if free >= FREE_BYTES_MIN {
            return Ok(());
        }
        let detail = format!(
            "{} free in {}, at least {} are needed",
            ByteSize(free),
            self.run.path().display(),
            ByteSize(FREE_BYTES_MIN)
        );
        Err(PrepareError::new(Cause::HostTooSmall, detail))
    }

    fn uefi(&self, qemu: &Qemu) -> Result<UefiFiles, PrepareError> {
        let error = |detail: String| PrepareError::new(Cause::FirmwareMissing, detail);
        let files = firmware::find(qemu, self.plan.machine.arch).map_err(|e| error(format!("{e}; {}", e.mend())))?;
        files
            .copy_vars(&self.place().uefi_vars())
            .map_err(|e| error(format!("its variables can't be copied: {e}")))?;
        Ok(files)
    }

    /// A pinned image is read before anything starts.
    async fn check_digest(&self) -> Result<(), PrepareError> {
        let (Some(pinned), Some(path)) = (self.plan.image.sha256.clone(), image_path(&self.plan)) else {
            return Ok(());
        };
        let path = path.to_owned();
        let digest = tokio::task::spawn_blocking(move || disk::digest(&path, |_| std::ops::ControlFlow::Continue(())))
            .await
            .map_err(|e| PrepareError::new(Cause::Internal, e))?
            .map_err(|e| PrepareError::new(Cause::Preflight, e))?
            .to_string();
        if digest == pinned {
            return Ok(());
        }
        let detail = format!("it has {digest}, the gate file pins {pinned}");
        Err(PrepareError::new(Cause::ImageDigestMismatch, detail))
    }

    /// What takes the writes meant for a disk image.
    pub(super) async fn create_overlay(&self, qemu: &Qemu) -> Result<(), PrepareError> {
        let ImageSource::Disk { path, format } = &self.plan.image.source else {
            return Ok(());
        };
        let failed = |e: DiskError| PrepareError::new(Cause::Preflight, format!("{e}; {}", e.mend()));
        let overlay = self.place().overlay();
        disk::create_overlay(&qemu.binary, &overlay, path, *format)
            .await
            .map_err(failed)
    }

    pub(super) async fn create_blank_disks(&self, qemu: &Qemu) -> Result<(), PrepareError> {
        let failed = |e: DiskError| PrepareError::new(Cause::Preflight, format!("{e}; {}", e.mend()));
        for plan in &self.plan.disks {
            disk::create(&qemu.binary, &self.place().disk(plan), plan.format, plan.size_bytes)
                .await
                .map_err(failed)?;
        }
        Ok(())
    }

    /// Blank disks in place of those of the machine before. Of these the run keeps what the gate has it keep.
    pub(super) async fn renew_disks(&self, qemu: &Qemu, stage: &str) -> Result<(), PrepareError> {
        let place = self.place();
        for plan in &self.plan.disks {
            let old = place.disk(plan);
            let moved = if plan.keep {
                std::fs::rename(&old, place.disk_before(plan, stage)).map_err(|error| error.to_string())
            } else {
                disk::remove(&old).map_err(|error| error.to_string())
            };
            moved.map_err(|error| PrepareError::new(Cause::Preflight, format!("disk `{}`: {error}", plan.name)))?;
        }
        self.create_blank_disks(qemu).await
    }
}

/// The one file that is the image, if it is one file.
pub(super) fn image_path(plan: &Plan) -> Option<&Path> {
    match &plan.image.source {
        ImageSource::Iso(path) | ImageSource::Disk { path, .. } => Some(path),
        ImageSource::Kernel { .. } => None,
    }
}

fn scale_percent(wanted: Option<f64>, accel: Accel) -> u32 {
    match (wanted, accel) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a checked gate file has a factor between 0.01 and 1000"
        )]
        (Some(factor), _) => (factor * 100.0).round() as u32,
        (None, Accel::Kvm) => 100,
        (None, Accel::Tcg) => TCG_SCALE_PERCENT,
    }
}
