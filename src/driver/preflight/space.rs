//! Whether there is room for the disks and the evidence. Disk files are sparse: what they can grow to is one thing, what
//! the gate says that they will take is another.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::sys::statfs::{TMPFS_MAGIC, statfs};
use nix::unistd::{AccessFlags, access};

use crate::plan::{DiskFormat, ImageSource, Plan};
use crate::qemu::disk;
use crate::units::{ByteSize, MIB};

use super::check::Check;
use super::look::sum;

/// Free space in bytes below which no run is begun: evidence and a first write must fit.
pub const FREE_BYTES_MIN: u64 = 64 * MIB;
const ELSEWHERE: &str = "keep the runs elsewhere with --runs";
const SCRATCH_ELSEWHERE: &str = "name another directory with `[host] scratch` or --scratch";

/// What the disks of a gate need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskNeeds {
    /// Where they go. `None`: with the runs.
    pub scratch: Option<PathBuf>,
    /// What they can grow to, all together.
    pub grow_to: ByteSize,
    /// What the gate says that they take.
    pub budget: Option<ByteSize>,
    /// What must stay free, where the gate says so.
    pub reserve: Option<ByteSize>,
}

impl DiskNeeds {
    /// Of a gate: its disks, and what is written beside a disk image under test.
    pub fn of(plan: &Plan) -> Self {
        let overlay = match &plan.image.source {
            // A raw image's file is as long as the disk that it is; what a qcow2 file's is, only QEMU can tell.
            ImageSource::Disk { path, format } if *format == DiskFormat::Raw => {
                std::fs::metadata(path).map_or(0, |file| file.len())
            }
            _ => 0,
        };
        let disks = plan.disks.iter().map(|disk| disk.size_bytes);
        Self {
            scratch: plan.host.scratch.clone(),
            grow_to: sum(disks.chain([ByteSize(overlay)])),
            budget: plan.host.disk_budget,
            reserve: plan.host.reserve,
        }
    }
}

/// A directory, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Place {
    path: PathBuf,
    writable: bool,
    /// `Err`: why it can't be told.
    free: Result<ByteSize, String>,
    /// What is written there is the host's memory.
    in_memory: bool,
    /// Which file system it is on.
    device: Option<u64>,
}

impl Place {
    fn look(path: &Path) -> Self {
        let free = disk::free_bytes(path).map(ByteSize).map_err(|error| error.to_string());
        Self {
            path: path.to_owned(),
            writable: path.is_dir() && access(path, AccessFlags::W_OK | AccessFlags::X_OK).is_ok(),
            free,
            in_memory: statfs(path).is_ok_and(|fs| fs.filesystem_type() == TMPFS_MAGIC),
            device: std::fs::metadata(path).ok().map(|directory| directory.dev()),
        }
    }
}

/// Looks at the directory of the runs, and at that of the disks if it is another one.
pub fn check_space(runs: &Path, needs: &DiskNeeds) -> Vec<Check> {
    let evidence = Place::look(&nearest_directory(runs));
    match &needs.scratch {
        None => vec![space("space", &evidence, Some(needs), ELSEWHERE)],
        Some(scratch) => {
            if !scratch.is_dir() {
                let found = format!("the scratch directory `{}` is not there", scratch.display());
                let mend = format!("make it, or {SCRATCH_ELSEWHERE}");
                return vec![
                    space("space", &evidence, None, ELSEWHERE),
                    Check::usage("scratch", found, mend),
                ];
            }
            let scratch = Place::look(scratch);
            // On one file system the disks take what the evidence needs.
            let shared = scratch.device == evidence.device;
            vec![
                space("space", &evidence, shared.then_some(needs), ELSEWHERE),
                space("scratch", &scratch, Some(needs), SCRATCH_ELSEWHERE),
            ]
        }
    }
}

/// The directory itself, or what is there of the path to it.
pub fn nearest_directory(directory: &Path) -> PathBuf {
    let directory = std::path::absolute(directory).unwrap_or_else(|_| directory.to_owned());
    let there = directory.ancestors().find(|path| path.exists());
    there.unwrap_or(Path::new("/")).to_owned()
}

/// `needs`: of the disks, if they go there.
fn space(id: &'static str, place: &Place, needs: Option<&DiskNeeds>, elsewhere: &str) -> Check {
    let path = place.path.display();
    if !place.writable {
        let found = format!("nothing can be kept in `{path}`: this user can't write there");
        return Check::host(id, found, elsewhere);
    }
    let free = match &place.free {
        Ok(free) => *free,
        Err(error) => {
            let found = format!("how much is free in `{path}` can't be told: {error}");
            return Check::warn(id, found, elsewhere);
        }
    };
    let least = ByteSize(FREE_BYTES_MIN);
    let Some(needs) = needs else {
        let found = format!("{free} free in `{path}`, where the evidence goes");
        if free < least {
            let mend = format!("free some; a run does not begin with less than {least}, or {elsewhere}");
            return Check::host(id, found, mend);
        }
        return Check::ok(id, found);
    };
    disks(id, place, free, needs, elsewhere)
}

/// Room for the disks, and what the gate says about them.
fn disks(id: &'static str, place: &Place, free: ByteSize, needs: &DiskNeeds, elsewhere: &str) -> Check {
    let path = place.path.display();
    let tmpfs = if place.in_memory {
        ", which is the host's memory (tmpfs)"
    } else {
        ""
    };
    let grow_to = needs.grow_to;
    let budget = needs.budget.map(|budget| format!(", the gate lets them take {budget}"));
    let found = format!(
        "{free} free in `{path}`{tmpfs}; the guest's disks can grow to {grow_to}{}",
        budget.unwrap_or_default()
    );
    let least = needs.reserve.unwrap_or(ByteSize(0)).max(ByteSize(FREE_BYTES_MIN));
    let take = needs.budget.unwrap_or(grow_to).min(grow_to);
    let enough = free.0 >= take.0.saturating_add(least.0);
    if free < least {
        let mend = format!("free some; a run does not begin with less than {least}, or {elsewhere}");
        Check::host(id, found, mend)
    } else if !enough && needs.budget.is_some() {
        let mend = format!("free some; {least} must stay free beside them, or {elsewhere}");
        Check::host(id, found, mend)
    } else if !enough {
        let mend = format!(
            "a guest that fills its disks would be stopped; free some, {elsewhere}, or say with `[host] disk-budget` how much \
             it writes"
        );
        Check::warn(id, found, mend)
    } else if place.in_memory {
        let mend = format!("see that guest and disks fit into the memory together, or {elsewhere}");
        Check::warn(id, found, mend)
    } else {
        Check::ok(id, found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::GIB;

    #[test]
    fn every_answer_reads_well() {
        let place = |free_mib: u64| Place {
            path: "/srv/runs".into(),
            writable: true,
            free: Ok(ByteSize(free_mib * MIB)),
            in_memory: false,
            device: None,
        };
        let needs = DiskNeeds {
            scratch: None,
            grow_to: ByteSize(64 * GIB),
            budget: None,
            reserve: None,
        };
        let budget = |gib: u64| DiskNeeds {
            budget: Some(ByteSize(gib * GIB)),
            ..needs.clone()
        };
        let reserve = DiskNeeds {
            reserve: Some(ByteSize(2 * GIB)),
            ..needs.clone()
        };
        let memory = Place {
            in_memory: true,
            ..place(90 * 1024)
        };
        let locked = Place {
            writable: false,
            ..place(90 * 1024)
        };
        let unknown = Place {
            free: Err("unsupported".to_owned()),
            ..place(0)
        };
        let checks = [
            space("space", &place(90 * 1024), Some(&needs), ELSEWHERE),
            space("space", &place(40 * 1024), Some(&needs), ELSEWHERE),
            space("space", &place(40 * 1024), Some(&budget(12)), ELSEWHERE),
            space("space", &place(40 * 1024), Some(&budget(40)), ELSEWHERE),
            // A budget larger than the disks asks for no more than the disks.
            space("space", &place(65 * 1024), Some(&budget(100)), ELSEWHERE),
            space("space", &place(63), Some(&needs), ELSEWHERE),
            space("space", &place(1024), Some(&reserve), ELSEWHERE),
            space("space", &place(63), None, ELSEWHERE),
            space("space", &place(64), None, ELSEWHERE),
            space("scratch", &memory, Some(&needs), SCRATCH_ELSEWHERE),
            space("scratch", &locked, Some(&needs), SCRATCH_ELSEWHERE),
            space("scratch", &unknown, Some(&needs), SCRATCH_ELSEWHERE),
        ];
        let lines: Vec<_> = checks.iter().map(|check| format!("{check:?}")).collect();
        insta::assert_snapshot!(lines.join("\n"));
    }

    #[test]
    fn a_directory_that_is_not_there_yet_is_judged_by_the_one_above() {
        let root = tempfile::tempdir().unwrap();
        let here = root.path().canonicalize().unwrap();
        assert_eq!(nearest_directory(&here.join("a/b")), here);
        let needs = DiskNeeds {
            scratch: Some(here.join("none")),
            grow_to: ByteSize(MIB),
            budget: None,
            reserve: None,
        };
        let checks = check_space(&here.join("a/b"), &needs);
        assert!(checks[0].found.contains(&here.display().to_string()), "{checks:?}");
        assert_eq!(checks[1].exit_code(), 2, "{checks:?}");
        assert!(!here.join("a").exists());
    }
}
