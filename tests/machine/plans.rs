//! Plans that differ in what the machine looks at.

use std::time::Duration;

use bootgate::machine::{Part, representative_parts, representative_plan};
use bootgate::plan::{Evidence, Plan, StageKind, VmUse};

/// Boot, a command in the same machine, and the installed disk: what most gates are.
pub(crate) fn gate() -> Plan {
    let mut plan = representative_plan(true);
    plan.stages.remove(2);
    plan.on_failure = None;
    plan.disks[0].keep = false;
    let StageKind::InstalledBoot { unlock, verify_ssh, .. } = &mut plan.stages[2].kind else {
        unreachable!("the last stage boots the installed disk");
    };
    *unlock = None;
    *verify_ssh = false;
    plan
}

/// One stage that boots to a stable login.
pub(crate) fn boot_only() -> Plan {
    let mut plan = gate();
    plan.stages.truncate(1);
    plan
}

/// One stage that boots to the marker; the gate has no SSH.
pub(crate) fn marker_only() -> Plan {
    let mut plan = boot_only();
    plan.ssh = None;
    plan.stages[0].claims = Evidence::Marker;
    plan
}

/// One stage that boots the installed disk.
pub(crate) fn installed(asks_passphrase: bool, verify_by_ssh: bool) -> Plan {
    let mut plan = gate();
    plan.stages.drain(..2);
    let StageKind::InstalledBoot { unlock, verify_ssh, .. } = &mut plan.stages[0].kind else {
        unreachable!("the last stage boots the installed disk");
    };
    *verify_ssh = verify_by_ssh;
    if asks_passphrase {
        let encrypted = representative_plan(true);
        let StageKind::InstalledBoot { unlock: prompt, .. } = &encrypted.stages[3].kind else {
            unreachable!("the last stage boots the installed disk");
        };
        unlock.clone_from(prompt);
    }
    plan
}

/// The gate with the command in a machine of its own.
pub(crate) fn fresh_machines() -> Plan {
    let mut plan = gate();
    plan.stages[1].vm = VmUse::Fresh;
    plan
}

/// A stage of the gate as a run of its own; logins were stable before it.
pub(crate) fn step(stage: usize) -> Part {
    representative_parts(&gate(), true)[1 + stage].clone()
}

/// Sets the time of every stage.
pub(crate) fn within(mut plan: Plan, timeout: Duration, warn_after: Duration) -> Plan {
    for stage in &mut plan.stages {
        stage.timeout = timeout;
        stage.warn_after = warn_after;
    }
    plan
}
