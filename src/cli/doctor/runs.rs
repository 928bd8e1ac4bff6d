//! What earlier runs have left in the place where runs are kept.

use std::path::Path;

use crate::driver::Check;
use crate::evidence::{EvidenceError, Orphan, RunState, find_orphans, list};

/// What earlier runs have left.
pub(super) fn findings(runs: &Path) -> Vec<Check> {
    vec![leftovers(&find_orphans(runs), count_runs(runs), runs)]
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

fn leftovers(orphans: &Result<Vec<Orphan>, EvidenceError>, (all, interrupted): (usize, usize), runs: &Path) -> Check {
    let id = "runs";
    let reap = format!("`bootgate reap --runs {}` ends them", runs.display());
    match orphans {
        Err(error) => Check::warn(id, error.to_string(), "check the directory's permissions"),
        Ok(orphans) if orphans.is_empty() => Check::ok(
            id,
            format!("{all} kept, {interrupted} of them interrupted; no QEMU is left over"),
        ),
        Ok(orphans) => {
            let pids: Vec<_> = orphans.iter().map(|orphan| orphan.qemu.pid.to_string()).collect();
            let finding = format!("QEMU left over by runs that were killed: process {}", pids.join(", "));
            Check::warn(id, finding, reap)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::finding::render;
    use crate::procfs::ProcessIdentity;

    #[test]
    fn every_answer_reads_well() {
        let place = Path::new("/srv/runs");
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
            source: std::io::ErrorKind::PermissionDenied.into(),
        };
        let findings = [
            leftovers(&Ok(vec![]), (12, 3), place),
            leftovers(&Ok(vec![orphan]), (12, 3), place),
            leftovers(&Err(refused), (0, 0), place),
        ];
        insta::assert_snapshot!(render(&findings));
    }
}
