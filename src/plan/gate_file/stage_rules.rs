//! What must hold between the keys of a stage, and between a stage and the rest of the gate.

use std::ops::Range;
use std::time::Duration;

use super::diagnostic::Mistake;
use super::key::{Key, StageWord};
use super::reader::TableReader;
use super::stage::{
    CLAIMS, CPUS, DISKS, KIND, LOGIN, MEMORY, Place, Surroundings, TIMEOUT, VM, WARN_AFTER, default_vm,
};
use super::stage_kinds::{TARGET_CHECK, VERIFY_SSH};
use super::unit::Span;
use super::value::or_list;
use super::word::Name;
use crate::plan::{DiskUse, Evidence, StageKind, VmUse};
use crate::units::human_span;

/// Names that are used twice in a list of tables.
pub(super) fn check_unique(what: &str, tables: &[TableReader<'_>], key: &Key<Name>) {
    let mut seen: Vec<(String, Range<usize>)> = Vec::new();
    for table in tables.iter().filter(|table| table.has(key)) {
        let Some(name) = table.take(key) else {
            continue;
        };
        match seen.iter().find(|(earlier, _)| *earlier == name) {
            Some((_, first)) => {
                let message = format!("two {what}s are called `{name}`");
                let mistake = Mistake::new(table.span(key), message, "give it a name of its own");
                table.report(mistake.related(first.clone(), "the first one"));
            }
            None => seen.push((name, table.span(key))),
        }
    }
}

/// The machine the stage runs in, and what must have happened before it.
pub(super) fn check_place(table: &TableReader<'_>, kind: StageWord, place: Place, gate: &Surroundings) {
    check_vm(table, kind, place);
    if kind == StageWord::Command && !gate.ssh_written {
        let message = format!("{} runs a command over SSH, but the gate has no `[ssh]`", table.title());
        let help = "add `[ssh]` with `user` and `password` or `key`";
        table.report(Mistake::new(table.span(&KIND), message, "needs a login").help(help));
    }
    if kind == StageWord::InstalledBoot {
        check_target_disk(table, gate);
        if !place.installed {
            let message = format!(
                "{} boots an installed disk, but no stage before it installs one",
                table.title()
            );
            let label = "needs a `command` stage before it";
            table.report(Mistake::new(table.span(&KIND), message, label));
        }
    }
}

fn check_vm(table: &TableReader<'_>, kind: StageWord, place: Place) {
    let written = table.take(&VM);
    if written.is_none() && table.has(&VM) {
        return;
    }
    if written == Some(VmUse::Same) {
        let reason = if place.first {
            Some("the first stage has no machine before it to keep")
        } else {
            match kind {
                StageWord::Boot => Some("a boot starts a machine; it can't keep the one before"),
                StageWord::InstalledBoot => Some("the image must be detached, so the machine can't be kept"),
                StageWord::Command => None,
            }
        };
        if let Some(reason) = reason {
            table.report(Mistake::new(
                table.span(&VM),
                reason,
                "write \"fresh\", or leave `vm` out",
            ));
            return;
        }
    }
    if written.unwrap_or_else(|| default_vm(kind, place)) == VmUse::Fresh {
        return;
    }
    let help = if written.is_some() {
        "write `vm = \"fresh\"`"
    } else {
        "add `vm = \"fresh\"`"
    };
    let changed = [
        (table.has(&MEMORY), MEMORY.name, table.span(&MEMORY)),
        (table.has(&CPUS), CPUS.name, table.span(&CPUS)),
        (table.has(&DISKS), DISKS.name, table.span(&DISKS)),
    ];
    for (_, name, span) in changed.into_iter().filter(|(present, ..)| *present) {
        let message = format!(
            "`{name}` can't change: {} keeps the machine of the stage before it",
            table.title()
        );
        table.report(Mistake::new(span, message, "needs a fresh machine").help(help));
    }
}

/// Blank disks have nothing to boot.
pub(super) fn check_disks(table: &TableReader<'_>, kind: StageWord) {
    if kind == StageWord::InstalledBoot && table.take(&DISKS) == Some(DiskUse::Fresh) {
        let message = format!("{} boots an installed disk, and a fresh one is blank", table.title());
        table.report(Mistake::new(table.span(&DISKS), message, "leave `disks` out"));
    }
}

fn check_target_disk(table: &TableReader<'_>, gate: &Surroundings) {
    let label = match (gate.targets.disks, gate.targets.targets) {
        (0, _) => "add a `[[disk]]` to install to",
        (_, 0) => "write `target = true` in one `[[disk]]`",
        // Two targets are complained about where they stand.
        _ => return,
    };
    let message = format!("{} boots the target disk, but no disk is the target", table.title());
    table.report(Mistake::new(table.span(&KIND), message, label));
}

/// A warning that comes too late.
pub(super) fn check_warning(table: &TableReader<'_>, timeout: Option<Duration>, warn_after: Option<Duration>) {
    if let (Some(timeout), Some(warn_after)) = (timeout, warn_after)
        && warn_after >= timeout
    {
        let message = "`warn-after` must be shorter than `timeout`";
        let label = format!("{} is not before {}", human_span(warn_after), human_span(timeout));
        let mistake = Mistake::new(table.span(&WARN_AFTER), message, label);
        table.report(mistake.related(table.span(&TIMEOUT), "the stage ends here"));
    }
}

/// A limit inside the stage that the stage's own deadline always comes before.
pub(super) fn check_reachable(table: &TableReader<'_>, key: &Key<Span>, timeout: Option<Duration>) {
    if let (true, Some(limit), Some(timeout)) = (table.has(key), table.take(key), timeout)
        && limit >= timeout
    {
        let message = format!("`{}` must be shorter than `timeout`, or it never acts", key.name);
        let label = format!("{} is not before {}", human_span(limit), human_span(timeout));
        let mistake = Mistake::new(table.span(key), message, label);
        table.report(mistake.related(table.span(&TIMEOUT), "the stage ends here"));
    }
}

/// The level that the stage claims, if this kind of stage in this gate can show it.
pub(super) fn check_claim(
    table: &TableReader<'_>,
    kind: StageWord,
    written: Option<Evidence>,
    gate: &Surroundings,
) -> Option<Evidence> {
    if written.is_none() && table.has(&CLAIMS) {
        return None;
    }
    let claim = written.unwrap_or(match kind {
        StageWord::Boot if gate.ssh_written => Evidence::Login,
        StageWord::Boot => Evidence::Marker,
        StageWord::Command => Evidence::Installed,
        StageWord::InstalledBoot => Evidence::Target,
    });
    let possible = possible_claims(kind);
    if !possible.contains(&claim) {
        let list: Vec<_> = possible.iter().map(|level| format!("\"{level}\"")).collect();
        let message = format!("a `{}` stage can't show `{claim}`", kind.as_str());
        table.report(Mistake::new(
            table.span(&CLAIMS),
            message,
            format!("can be {}", or_list(&list)),
        ));
        return None;
    }
    let place = if table.has(&CLAIMS) {
        table.span(&CLAIMS)
    } else {
        table.span(&KIND)
    };
    if claim == Evidence::Marker && !gate.markers_written {
        let message = format!("{} claims `marker`, but the gate has no markers", table.title());
        let help = "add `[console]` with `markers = [\"…\"]`, or claim less, like `claims = \"userspace\"`";
        table.report(Mistake::new(place, message, "nothing could show it").help(help));
    } else if claim == Evidence::Login && !gate.ssh_written {
        let message = format!("{} claims `login`, but the gate has no `[ssh]`", table.title());
        let help = "add `[ssh]` with `user` and `password` or `key`, or claim `marker`";
        table.report(Mistake::new(place, message, "nothing could show it").help(help));
    }
    Some(claim)
}

fn possible_claims(kind: StageWord) -> &'static [Evidence] {
    match kind {
        StageWord::Boot => &[
            Evidence::Process,
            Evidence::Firmware,
            Evidence::Kernel,
            Evidence::Userspace,
            Evidence::Marker,
            Evidence::Login,
        ],
        StageWord::Command => &[Evidence::Installed],
        StageWord::InstalledBoot => &[Evidence::InstalledKernel, Evidence::Target],
    }
}

/// A login that the gate does not have, or that the stage does not use.
pub(super) fn check_login(table: &TableReader<'_>, kind: StageWord, gate: &Surroundings, read: Option<&StageKind>) {
    let asks = !matches!(read, Some(StageKind::InstalledBoot { target_check: None, .. }));
    let verifies = kind == StageWord::InstalledBoot && table.take(&VERIFY_SSH) == Some(true);
    if verifies && !gate.ssh_written {
        let message = "`verify-ssh` needs a login, but the gate has no `[ssh]`";
        table.report(Mistake::new(
            table.span(&VERIFY_SSH),
            message,
            "add `[ssh]`, or leave this out",
        ));
    }
    if table.has(&TARGET_CHECK) && !gate.ssh_written {
        let message = "`target-check` needs a login, but the gate has no `[ssh]`";
        table.report(Mistake::new(
            table.span(&TARGET_CHECK),
            message,
            "add `[ssh]`, or leave this out",
        ));
    }
    if !table.has(&LOGIN) {
        return;
    }
    if !gate.ssh_written {
        let message = "`[stage.ssh]` changes the login of `[ssh]`, which the gate does not have";
        table.report(Mistake::new(table.span(&LOGIN), message, "add `[ssh]`"));
    } else if kind == StageWord::InstalledBoot && !verifies && !asks && !verify_is_broken(table) {
        let message = format!("{} never logs in, so its `ssh` is of no use", table.title());
        table.report(Mistake::new(
            table.span(&LOGIN),
            message,
            "add `verify-ssh = true`, or leave this out",
        ));
    }
}

fn verify_is_broken(table: &TableReader<'_>) -> bool {
    table.has(&VERIFY_SSH) && table.take(&VERIFY_SSH).is_none()
}
