//! What a plan needs of this host, as far as it can be found without starting a machine.

use crate::driver::{HostParts, MissingInput};
use crate::plan::{Firmware, MachinePlan};
use crate::qemu::accelerator;
use crate::qemu::binary::Qemu;
use crate::qemu::firmware;

/// Something that a person has to mend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lack {
    /// What is wrong, as a sentence without an end.
    pub(super) problem: String,
    /// What to do about it.
    pub(super) mend: String,
}

impl Lack {
    fn new(problem: &impl ToString, mend: impl Into<String>) -> Self {
        Self {
            problem: problem.to_string(),
            mend: mend.into(),
        }
    }
}

impl From<MissingInput> for Lack {
    fn from(missing: MissingInput) -> Self {
        Self {
            problem: missing.problem,
            mend: missing.mend,
        }
    }
}

/// Finds QEMU and firmware. The accelerator is not probed, so it is the one to be expected.
pub(super) fn find(machine: &MachinePlan) -> Result<HostParts, Lack> {
    let qemu = wait_for(Qemu::find(&machine.qemu, machine.qemu_data.clone()))?
        .map_err(|error| Lack::new(&error, error.mend()))?;
    let uefi = match machine.firmware {
        Firmware::Bios => None,
        Firmware::Uefi => {
            let found = firmware::find(&qemu, machine.arch);
            Some(found.map_err(|error| Lack::new(&error, error.mend()))?)
        }
    };
    let chosen = accelerator::expected(machine.accelerator, machine.cpu_model.as_deref());
    Ok(HostParts {
        qemu,
        accel: chosen.accel,
        cpu_model: chosen.cpu_model,
        uefi,
    })
}

/// Waits for something that asks a program about itself.
pub(super) fn wait_for<F: Future>(question: F) -> Result<F::Output, Lack> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| {
        let problem = format!("the runtime can't be started: {error}");
        Lack::new(&problem, "check the limits on open files and processes (`ulimit -a`)")
    })?;
    Ok(runtime.block_on(question))
}
