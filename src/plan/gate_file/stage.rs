//! `[[stage]]`: what every kind of stage has.

use super::container::{Choice, SubTable};
use super::disk::Targets;
use super::key::{Group, Key, StageWord, Table};
use super::machine::{CPU_COUNT, MEMORY_SIZE};
use super::number::Count;
use super::reader::TableReader;
use super::ssh::{self, STAGE_SSH};
use super::stage_kinds::{
    COMMAND, FAIL, LOGIN_SETTLE, NO_PROGRESS, ONLY_TESTS_IF, PASS, TARGET, TARGET_CHECK, UNLOCK_TABLE, UNTIL, UPLOADS,
    VERIFY_SSH, read_kind,
};
use super::stage_rules::{check_claim, check_disks, check_login, check_place, check_unique, check_warning};
use super::unit::{Size, Span};
use super::word::Name;
use crate::plan::{DiskUse, Evidence, LoginPlan, StagePlan, VmUse};

pub(super) static NAME: Key<Name> = Key::required("name", Name { max_bytes: 40 }, "The stage's name.");
pub(super) static KIND: Key<Choice<StageWord>> = Key::required(
    "kind",
    Choice {
        all: &StageWord::ALL,
        name: StageWord::as_str,
    },
    "What the stage does: boot the image, run a command in it over SSH, or boot the installed target disk.",
);
pub(super) static VM: Key<Choice<VmUse>> = Key::optional(
    "vm",
    Choice {
        all: &VmUse::ALL,
        name: VmUse::as_str,
    },
    "The machine it runs in: that of the stage before, or a fresh one. Default: `same` for a command that is not the \
     first stage, else `fresh`.",
);
pub(super) static DISKS: Key<Choice<DiskUse>> = Key::optional(
    "disks",
    Choice {
        all: &DiskUse::ALL,
        name: DiskUse::as_str,
    },
    "The disks that a fresh machine starts with: those of the machine before as it left them, or blank ones. Default: \
     `kept`.",
);
pub(super) static MEMORY: Key<Size> = Key::optional(
    "memory",
    MEMORY_SIZE,
    "Memory, if other than the machine's; goes with a fresh machine.",
);
pub(super) static CPUS: Key<Count> = Key::optional(
    "cpus",
    CPU_COUNT,
    "Virtual CPUs, if other than the machine's; goes with a fresh machine.",
);
pub(super) static TIMEOUT: Key<Span> = Key::required(
    "timeout",
    Span { zero_allowed: false },
    "How long the whole stage may take, before scaling.",
);
pub(super) static WARN_AFTER: Key<Span> = Key::optional(
    "warn-after",
    Span { zero_allowed: false },
    "When to warn that the deadline draws near. Default: after 60 % of `timeout`.",
);
pub(super) static CLAIMS: Key<Choice<Evidence>> = Key::optional(
    "claims",
    Choice {
        all: &Evidence::ALL,
        name: Evidence::as_str,
    },
    "The level of evidence that the stage claims; it can't pass on a lower one. Default: a boot claims `login`, or \
     `marker` if the gate has no `[ssh]`; a command `installed`; an installed-boot `target`.",
);
pub(super) static LOGIN: Key<SubTable> = Key::optional(
    "ssh",
    SubTable(&STAGE_SSH),
    "The login of this stage, if other than the gate's.",
);

/// `[[stage]]`.
pub(super) static STAGE: Table = Table {
    title: "`[[stage]]`",
    doc: "A named part of the gate with its own deadline.",
    keys: &[
        &NAME,
        &KIND,
        &VM,
        &DISKS,
        &MEMORY,
        &CPUS,
        &TIMEOUT,
        &WARN_AFTER,
        &CLAIMS,
        &LOGIN,
        &UPLOADS,
        &COMMAND,
        &PASS,
        &FAIL,
        &UNTIL,
        &ONLY_TESTS_IF,
        &NO_PROGRESS,
        &TARGET,
        &UNLOCK_TABLE,
        &LOGIN_SETTLE,
        &VERIFY_SSH,
        &TARGET_CHECK,
    ],
    group: Group::None,
};

/// What stages need to know of the rest of the gate file.
pub(super) struct Surroundings {
    /// True if there are markers, right or wrong.
    pub(super) markers_written: bool,
    /// True if there is an `[ssh]`, right or wrong.
    pub(super) ssh_written: bool,
    /// The gate's login, if it is right.
    pub(super) login: Option<LoginPlan>,
    pub(super) targets: Targets,
}

/// Where a stage stands among the others.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) first: bool,
    /// True if a stage before this one could have installed the image, or is not known well enough to say.
    pub(super) installed: bool,
}

pub(super) fn read(tables: &mut [TableReader<'_>], gate: &Surroundings) -> Option<Vec<StagePlan>> {
    let mut installed = false;
    let mut stages = Vec::new();
    check_unique("stage", tables, &NAME);
    for (at, table) in tables.iter_mut().enumerate() {
        let place = Place {
            first: at == 0,
            installed,
        };
        stages.push(read_one(table, place, gate));
        installed &= table.take(&DISKS) != Some(DiskUse::Fresh);
        installed |= table.take(&KIND).is_none_or(|kind| kind == StageWord::Command);
    }
    stages.into_iter().collect()
}

fn read_one(table: &mut TableReader<'_>, place: Place, gate: &Surroundings) -> Option<StagePlan> {
    let name = table.take(&NAME);
    if let Some(name) = &name {
        table.rename(format!("stage `{name}`"));
    }
    let Some(kind) = table.take(&KIND) else {
        table.check_values();
        table.take(&TIMEOUT);
        return None;
    };
    let (vm, memory, cpus) = (table.take(&VM), table.take(&MEMORY), table.take(&CPUS));
    let disks = table.take(&DISKS);
    let (timeout, warn_after) = (table.take(&TIMEOUT), table.take(&WARN_AFTER));
    let claims = table.take(&CLAIMS);
    table.check_stage_kind(kind);
    check_place(table, kind, place, gate);
    check_disks(table, kind);
    check_warning(table, timeout, warn_after);
    let claims = check_claim(table, kind, claims, gate);
    let read = read_kind(table, kind, timeout, gate.ssh_written);
    check_login(table, kind, gate, read.as_ref());
    let login = if table.has(&LOGIN) { table.table(&LOGIN) } else { None };
    let login = login.and_then(|login| ssh::read_login(&login, gate.login.as_ref()));
    let timeout = timeout?;
    Some(StagePlan {
        name: name?,
        kind: read?,
        vm: vm.unwrap_or_else(|| default_vm(kind, place)),
        disks: disks.unwrap_or(DiskUse::Kept),
        memory,
        cpus,
        timeout,
        warn_after: warn_after.unwrap_or(timeout * 3 / 5),
        claims: claims?,
        login,
    })
}

/// Only a command finds something to work with in the machine of the stage before.
pub(super) fn default_vm(kind: StageWord, place: Place) -> VmUse {
    if kind == StageWord::Command && !place.first {
        VmUse::Same
    } else {
        VmUse::Fresh
    }
}
