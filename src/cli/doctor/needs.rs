//! What a gate asks of the host; without a gate, what one with the usual settings does.

use std::path::PathBuf;

use crate::driver::{self, Check, DiskNeeds};
use crate::plan::{Accelerator, Arch, DiskFormat, Firmware, ImageSource, Plan};
use crate::units::{ByteSize, GIB};

use super::finding::counted;

/// What is asked of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Needs {
    pub(super) arch: Arch,
    pub(super) qemu: PathBuf,
    pub(super) qemu_data: Vec<PathBuf>,
    pub(super) accelerator: Accelerator,
    pub(super) cpu_model: Option<String>,
    /// `None`: either.
    pub(super) firmware: Option<Firmware>,
    /// Of the largest machine.
    pub(super) memory: ByteSize,
    /// Of the largest machine.
    pub(super) cpus: u32,
    pub(super) disks: DiskNeeds,
    /// True if qcow2 files are made. `None`: perhaps.
    pub(super) qcow2: Option<bool>,
}

impl Needs {
    /// Of a gate with the usual settings.
    pub(super) fn usual() -> Self {
        Self {
            arch: Arch::X86_64,
            qemu: "qemu-system-x86_64".into(),
            qemu_data: Vec::new(),
            accelerator: Accelerator::Auto,
            cpu_model: None,
            firmware: None,
            memory: ByteSize(2 * GIB),
            cpus: 2,
            disks: DiskNeeds {
                scratch: None,
                grow_to: ByteSize(GIB),
                budget: None,
                reserve: None,
            },
            qcow2: None,
        }
    }

    /// Of this gate.
    pub(super) fn of(plan: &Plan) -> Self {
        let machine = &plan.machine;
        let machines = || driver::machines(plan).map(|(stage, _)| stage);
        let overlay = matches!(plan.image.source, ImageSource::Disk { .. });
        let disks = plan.disks.iter();
        Self {
            arch: machine.arch,
            qemu: machine.qemu.clone(),
            qemu_data: machine.qemu_data.clone(),
            accelerator: machine.accelerator,
            cpu_model: machine.cpu_model.clone(),
            firmware: Some(machine.firmware),
            memory: machines()
                .map(|stage| plan.memory(stage))
                .max()
                .unwrap_or(machine.memory),
            cpus: machines().map(|stage| plan.cpus(stage)).max().unwrap_or(machine.cpus),
            disks: DiskNeeds::of(plan),
            qcow2: Some(overlay || disks.clone().any(|disk| disk.format == DiskFormat::Qcow2)),
        }
    }
}

/// The gate itself, and the files and secrets that it names.
pub(super) fn gate(plan: &Plan) -> Vec<Check> {
    let stages = counted(plan.stages.len(), "stage");
    let machines = counted(driver::machines(plan).count(), "machine");
    let gate = format!("{}: {stages} on {machines}", plan.gate);
    let mut findings = vec![Check::ok("gate", gate)];
    match driver::resolve(plan, None) {
        Ok(_) => findings.push(Check::ok(
            "inputs",
            "the image and all else that the gate names is there",
        )),
        Err(missing) => findings.extend(
            missing
                .into_iter()
                .map(|input| Check::usage("inputs", input.problem, input.mend)),
        ),
    }
    findings
}
