//! Bringing up the machine of a stage.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::OnceCell;

use crate::evidence::{RunDir, TranscriptLog};
use crate::machine::{BootFrom, Cause};
use crate::plan::{DiskUse, Plan};
use crate::qemu::argv::{BootSpec, FirmwareSpec, MachineSpec};
use crate::qemu::disk::{self, Layer};
use crate::qmp::RunState;
use crate::triage::Rules;

use super::host::{Host, HostFacts};
use super::launch::{Channels, Launcher};
use super::recorder::Recorder;
use super::screen::{self, Screen};
use super::spec::{RunPlace, has_firmware_console, machine_spec};
use super::step::StepStart;
use super::vm::Vm;
use super::watch;

/// Why a machine could not be brought up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct PrepareError {
    pub(super) cause: Cause,
    pub(super) detail: String,
}

impl PrepareError {
    pub(super) fn new(cause: Cause, detail: impl std::fmt::Display) -> Self {
        Self {
            cause,
            detail: detail.to_string(),
        }
    }
}

/// What every machine of the run is brought up from.
pub(super) struct Workshop {
    pub(super) plan: Arc<Plan>,
    pub(super) run: Arc<RunDir>,
    pub(super) transcript: Arc<Mutex<TranscriptLog>>,
    pub(super) recorder: Recorder,
    pub(super) started: Instant,
    pub(super) host: OnceCell<Host>,
    pub(super) rules: Arc<Rules>,
    /// What the run goes on with.
    pub(super) start: Option<StepStart>,
    /// The key that is made for the run, if there is one: its public half.
    pub(super) public_key: Option<String>,
}

impl Workshop {
    /// Brings up machine number `number` for a stage.
    pub(super) async fn bring_up(
        &self,
        number: u64,
        stage: usize,
        boot: BootFrom,
    ) -> Result<(Box<Vm>, HostFacts), PrepareError> {
        let host = self.host.get_or_try_init(|| self.find_host()).await?;
        if let (BootFrom::Checkpoint, Some(start)) = (boot, &self.start) {
            let vm = self.restore(number, stage, host, start).await?;
            return Ok((vm, host.facts.clone()));
        }
        let fresh = &self.plan.stages[stage];
        if fresh.disks == DiskUse::Fresh && number > 1 {
            self.renew_disks(&host.parts.qemu, &fresh.name).await?;
        }
        let channels = Channels::open(has_firmware_console(&self.plan))?;
        let numbers = channels.numbers();
        let mut spec = machine_spec(&self.plan, (stage, boot), &host.parts, &self.place(), numbers);
        if let Some(start) = &self.start {
            self.put_under(&mut spec, stage, host, start).await?;
        }
        check_boot_code(&host.parts.qemu.binary, &spec, self.run.path()).await?;
        let watch = watch::of_stage(&self.plan, stage, &self.rules);
        let watch = watch.map_err(|e| PrepareError::new(Cause::Internal, e))?;
        let launcher = self.launcher(host);
        let mut vm = launcher
            .launch(number, spec, channels, watch, RunState::prelaunch)
            .await?;
        if screen::is_watched(&self.plan, stage) {
            let watch = watch::of_screen(&self.plan, stage, &self.rules);
            let watch = watch.map_err(|e| PrepareError::new(Cause::Internal, e))?;
            vm.screen = Some(Screen::open(&launcher, number, watch)?);
        }
        Ok((vm, host.facts.clone()))
    }

    pub(super) fn launcher<'a>(&'a self, host: &'a Host) -> Launcher<'a> {
        Launcher {
            run: &self.run,
            rules: &self.rules,
            recorder: Some(&self.recorder),
            transcript: &self.transcript,
            started: self.started,
            qemu: &host.parts.qemu.binary,
        }
    }

    pub(super) fn place(&self) -> RunPlace<'_> {
        RunPlace {
            directory: self.run.path(),
            id: &self.run.info().id,
            uuid: self.run.info().uuid,
        }
    }
}

/// A BIOS that is given an empty boot sector says nothing, so it is not even asked. UEFI names what it misses by itself.
async fn check_boot_code(qemu: &Path, spec: &MachineSpec, run: &Path) -> Result<(), PrepareError> {
    if spec.boot != BootSpec::TargetDisk || spec.firmware != FirmwareSpec::Bios {
        return Ok(());
    }
    let failed = |error: &dyn std::fmt::Display| PrepareError::new(Cause::HostIoError, error);
    for spec in spec.disks.iter().filter(|disk| disk.target) {
        let top = Layer {
            path: spec.path.clone(),
            format: spec.format,
        };
        let below = spec.layers.iter().map(|layer| Layer {
            path: layer.path.clone(),
            format: layer.format,
        });
        let layers: Vec<_> = std::iter::once(top).chain(below).collect();
        let sector = run.join("disks/boot-sector.raw");
        let copied = disk::first_sector(qemu, &layers, &sector).await;
        copied.map_err(|error| failed(&error))?;
        let found = disk::has_boot_code(&sector);
        let _ = disk::remove(&sector);
        if !found.map_err(|error| failed(&error))? {
            let detail = format!("the boot code of disk `{}` is empty (440 bytes of zero)", spec.name);
            return Err(PrepareError::new(Cause::NoBootLoader, detail));
        }
    }
    Ok(())
}
