//! Bringing up the machine of a stage.

use std::sync::{Arc, Mutex};
use std::time::Instant;

use tokio::sync::OnceCell;

use crate::evidence::{RunDir, TranscriptLog};
use crate::machine::{BootFrom, Cause};
use crate::plan::{DiskFormat, Plan};
use crate::qemu::argv::{BootSpec, DiskSpec, FirmwareSpec, MachineSpec};
use crate::qemu::disk;
use crate::qmp::RunState;
use crate::triage::Rules;

use super::host::{Host, HostFacts};
use super::launch::{Channels, Launcher};
use super::recorder::Recorder;
use super::spec::{RunPlace, has_firmware_console, machine_spec};
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
        let channels = Channels::open(has_firmware_console(&self.plan))?;
        let numbers = channels.numbers();
        let spec = machine_spec(&self.plan, (stage, boot), &host.parts, &self.place(), numbers);
        check_boot_code(&spec)?;
        let watch = watch::of_stage(&self.plan, stage, &self.rules);
        let watch = watch.map_err(|e| PrepareError::new(Cause::Internal, e))?;
        let launcher = Launcher {
            run: &self.run,
            rules: &self.rules,
            recorder: Some(&self.recorder),
            transcript: &self.transcript,
            started: self.started,
            qemu: &host.parts.qemu.binary,
        };
        let vm = launcher
            .launch(number, spec, channels, watch, RunState::prelaunch)
            .await?;
        Ok((vm, host.facts.clone()))
    }

    pub(super) fn place(&self) -> RunPlace<'_> {
        RunPlace {
            directory: self.run.path(),
            id: &self.run.info().id,
            uuid: self.run.info().uuid,
        }
    }
}

/// A BIOS that is given an empty boot sector says nothing, so it is not even asked. QEMU alone can look into a qcow2 file,
/// and UEFI names what it misses by itself.
fn check_boot_code(spec: &MachineSpec) -> Result<(), PrepareError> {
    if spec.boot != BootSpec::TargetDisk || spec.firmware != FirmwareSpec::Bios {
        return Ok(());
    }
    let raw = |disk: &&DiskSpec| disk.target && disk.format == DiskFormat::Raw;
    for disk in spec.disks.iter().filter(raw) {
        let found = disk::has_boot_code(&disk.path).map_err(|e| PrepareError::new(Cause::HostIoError, e))?;
        if !found {
            let detail = format!("the boot code of disk `{}` is empty (440 bytes of zero)", disk.name);
            return Err(PrepareError::new(Cause::NoBootLoader, detail));
        }
    }
    Ok(())
}
