//! The place where runs are kept, and what earlier ones have left there.

use std::io;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use crate::driver::FREE_BYTES_MIN;
use crate::evidence::{EvidenceError, Orphan, RunState, find_orphans, list};
use crate::qemu::disk;
use crate::units::ByteSize;

use super::finding::Finding;
use super::needs::Needs;

/// The directory of the runs as it is now.
pub(super) fn findings(runs: &Path, needs: &Needs) -> Vec<Finding> {
    let place = nearest(runs);
    let writable = place.is_dir() && access(&place, AccessFlags::W_OK | AccessFlags::X_OK).is_ok();
    vec![
        space(&place, writable, disk::free_bytes(&place), needs.disks),
        leftovers(&find_orphans(runs), count_runs(runs), runs),
    ]
}

/// The directory itself, or what is there of the path to it.
fn nearest(runs: &Path) -> PathBuf {
    let runs = std::path::absolute(runs).unwrap_or_else(|_| runs.to_owned());
    let there = runs.ancestors().find(|path| path.exists());
    there.unwrap_or(Path::new("/")).to_owned()
}

fn space(place: &Path, writable: bool, free: io::Result<u64>, disks: ByteSize) -> Finding {
    let id = "space";
    let elsewhere = "keep the runs elsewhere with --runs";
    let place = place.display();
    if !writable {
        let finding = format!("no run can be kept in `{place}`: this user can't write there");
        return Finding::fail(id, finding, elsewhere);
    }
    let free = match free {
        Ok(free) => ByteSize(free),
        Err(error) => {
            let finding = format!("how much is free in `{place}` can't be told: {error}");
            return Finding::warn(id, finding, elsewhere);
        }
    };
    let finding = format!("{free} free in `{place}`; the guest's disks can grow to {disks}");
    if free.0 < FREE_BYTES_MIN {
        let least = ByteSize(FREE_BYTES_MIN);
        let mend = format!("free some; a run does not begin with less than {least}, or {elsewhere}");
        Finding::fail(id, finding, mend)
    } else if free.0 < disks.0.saturating_add(FREE_BYTES_MIN) {
        let mend = format!("a guest that fills its disks would be stopped; free some, or {elsewhere}");
        Finding::warn(id, finding, mend)
    } else {
        Finding::ok(id, finding)
    }
}

/// All runs, and those of them that were interrupted.
fn count_runs(runs: &Path) -> (usize, usize) {
    let all = list(runs).unwrap_or_default();
    let is_interrupted = |run: &&crate::evidence::RunRecord| {
        run.verdict_state()
            .is_ok_and(|state| matches!(state, RunState::Interrupted { .. }))
    };
    (all.len(), all.iter().filter(is_interrupted).count())
}

fn leftovers(orphans: &Result<Vec<Orphan>, EvidenceError>, (all, interrupted): (usize, usize), runs: &Path) -> Finding {
    let id = "runs";
    let reap = format!("`bootgate reap --runs {}` ends them", runs.display());
    match orphans {
        Err(error) => Finding::warn(id, error.to_string(), "check the directory's permissions"),
        Ok(orphans) if orphans.is_empty() => Finding::ok(
            id,
            format!("{all} kept, {interrupted} of them interrupted; no QEMU is left over"),
        ),
        Ok(orphans) => {
            let pids: Vec<_> = orphans.iter().map(|orphan| orphan.qemu.pid.to_string()).collect();
            let finding = format!("QEMU left over by runs that were killed: process {}", pids.join(", "));
            Finding::warn(id, finding, reap)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::render;
    use crate::procfs::ProcessIdentity;
    use crate::units::{GIB, MIB};

    #[test]
    fn every_answer_reads_well() {
        let place = Path::new("/srv/runs");
        let disks = ByteSize(8 * GIB);
        let orphan = Orphan {
            qemu: ProcessIdentity {
                pid: 4242,
                start_ticks: 7,
            },
            uuid: uuid::Uuid::nil(),
            run: None,
        };
        let refused = EvidenceError::File {
            action: "list",
            path: place.to_owned(),
            source: io::ErrorKind::PermissionDenied.into(),
        };
        let findings = [
            space(place, true, Ok(66 * GIB), disks),
            space(place, true, Ok(8 * GIB), disks),
            space(place, true, Ok(63 * MIB), disks),
            space(place, true, Err(io::ErrorKind::Unsupported.into()), disks),
            space(place, false, Ok(66 * GIB), disks),
            leftovers(&Ok(vec![]), (12, 3), place),
            leftovers(&Ok(vec![orphan]), (12, 3), place),
            leftovers(&Err(refused), (0, 0), place),
        ];
        insta::assert_snapshot!(render(&findings));
    }

    #[test]
    fn a_directory_that_is_not_there_yet_is_judged_by_the_one_above() {
        let root = tempfile::tempdir().unwrap();
        let here = root.path().canonicalize().unwrap();
        assert_eq!(nearest(&here.join("a/b")), here);
        let findings = findings(&here.join("a/b"), &Needs::usual());
        assert!(findings[0].found.contains(&here.display().to_string()), "{findings:?}");
        assert!(!here.join("a").exists());
    }
}
