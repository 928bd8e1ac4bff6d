//! Going on where the run of the stage before has left off: its machine, restored, or its disks under a new one.

use crate::checkpoint::{BootRecord, Cancel, Checkpoint, HostSide, Images, Progress, RestoreError};
use crate::machine::Cause;
use crate::plan::{Accelerator, DiskUse};
use crate::qemu::argv::{BootSpec, MachineSpec};
use crate::qemu::feature::Accel;
use crate::qmp::RunState;
use crate::ssh::{HostKey, HostKeyPin};

use tokio::sync::watch as progress;

use super::feed::feed;
use super::host::Host;
use super::launch::Channels;
use super::prepare::{PrepareError, Workshop};
use super::vm::Vm;
use super::watch;

/// What a run of one stage goes on with. It lies below the run's own directory.
#[derive(Debug, Clone)]
pub struct StepStart {
    /// The machine, or its disks.
    pub checkpoint: Checkpoint,
    /// The images that it needs, found on this host.
    pub images: Images,
}

impl From<RestoreError> for PrepareError {
    fn from(error: RestoreError) -> Self {
        Self::new(Cause::NotRestored, error)
    }
}

impl Workshop {
    /// The accelerator to look for: a machine goes on only under the one that it was saved under.
    pub(super) fn wanted_accelerator(&self) -> Accelerator {
        let record = self.start.as_ref().map(|start| start.checkpoint.record());
        match record.filter(|record| record.memory.is_some()) {
            Some(record) if record.accelerator == Accel::Tcg => Accelerator::Tcg,
            _ => self.plan.machine.accelerator,
        }
    }

    /// Restores the machine of another run, as machine number `number` of this one: paused where it was saved.
    pub(super) async fn restore(
        &self,
        number: u64,
        stage: usize,
        host: &Host,
        start: &StepStart,
    ) -> Result<Box<Vm>, PrepareError> {
        let StepStart { checkpoint, images } = start;
        let record = checkpoint.record();
        let qemu = &host.parts.qemu;
        checkpoint.check_qemu(record.arch, &qemu.features, host.parts.accel)?;
        let files = checkpoint.lay_out(&qemu.binary, self.run.path(), Some(images)).await?;
        let channels = Channels::open(record.firmware_console)?;
        let numbers = channels.numbers();
        let spec = checkpoint.machine_spec(
            &files,
            HostSide {
                features: qemu.features.clone(),
                data_dirs: qemu.data_dirs.clone(),
                run_id: self.run.info().id.clone(),
                network: self.plan.machine.network,
                qmp_fd: numbers.qmp,
                serial_fd: numbers.serial,
                firmware_fd: numbers.firmware,
                // The gate file at hand asks for the same ones.
                allow_arguments: record.extra_args == self.plan.machine.extra_args,
            },
        )?;
        let watch = watch::of_stage(&self.plan, stage, &self.rules);
        let watch = watch.map_err(|e| PrepareError::new(Cause::Internal, e))?;
        let launcher = self.launcher(host);
        let mut vm = launcher
            .launch(number, spec, channels, watch, RunState::inmigrate)
            .await?;
        let (progress, _) = progress::channel(Progress::default());
        let state = feed(&vm, checkpoint, self.run.path(), progress, &Cancel::default()).await?;
        if state != RunState::paused {
            let detail = format!("the guest is in state {state:?} where it was saved, not paused");
            return Err(PrepareError::new(Cause::NotRestored, detail));
        }
        let key = record.ssh.as_ref().and_then(|access| access.host_key.clone());
        if let Some((algorithm, fingerprint)) = key {
            vm.ssh.pin = HostKeyPin::pinned(HostKey { algorithm, fingerprint });
        }
        checkpoint.forget_memory();
        Ok(vm)
    }

    /// Puts the disks and the firmware of another run under a new machine: what this one writes goes on top of them.
    pub(super) async fn put_under(
        &self,
        spec: &mut MachineSpec,
        stage: usize,
        host: &Host,
        start: &StepStart,
    ) -> Result<(), PrepareError> {
        let StepStart { checkpoint, images } = start;
        let qemu = &host.parts.qemu;
        let is_layered = |boot: &BootSpec| matches!(boot, BootSpec::DiskImage { .. });
        let was_layered = matches!(checkpoint.record().boot, BootRecord::DiskImage { .. });
        let images = Some(images).filter(|_| is_layered(&spec.boot) && was_layered);
        let files = checkpoint.lay_out(&qemu.binary, self.run.path(), images).await?;
        spec.firmware = files.firmware;
        if images.is_some() {
            spec.boot = files.boot;
        } else if is_layered(&spec.boot) {
            self.create_overlay(qemu).await?;
        }
        if self.plan.stages[stage].disks == DiskUse::Fresh {
            return self.create_blank_disks(qemu).await;
        }
        for disk in &mut spec.disks {
            let laid_out = files.disks.iter().find(|laid_out| laid_out.name == disk.name);
            let laid_out = laid_out.ok_or_else(|| {
                let detail = format!("the checkpoint has no disk `{}`", disk.name);
                PrepareError::new(Cause::NotRestored, detail)
            })?;
            disk.clone_from(laid_out);
        }
        Ok(())
    }
}
