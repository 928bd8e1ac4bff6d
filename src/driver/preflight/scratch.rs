//! What earlier runs have left in the scratch directory.

use std::path::Path;

use crate::evidence::{RunRecord, RunState};
use crate::qemu::disk;
use crate::units::ByteSize;

use super::super::scratch;
use super::check::Check;
use super::look::sum;

/// Looks for directories whose run is gone, or was interrupted: nobody removes them.
pub(super) fn check_leftovers(scratch: &Path) -> Check {
    let id = "leftovers";
    let Ok(owned) = scratch::owned(scratch) else {
        return Check::ok(id, "the scratch directory can't be looked through");
    };
    let is_left = |run: &Path| match RunRecord::read(run).map(|run| run.verdict_state()) {
        Ok(Ok(state)) => matches!(state, RunState::Interrupted { .. }),
        _ => true,
    };
    let left: Vec<_> = owned.into_iter().filter(|(_, run)| is_left(run)).collect();
    if left.is_empty() {
        return Check::ok(id, format!("no run has left anything in `{}`", scratch.display()));
    }
    let size = sum(left.iter().map(|(directory, _)| allocated(directory)));
    let names: Vec<_> = left
        .iter()
        .map(|(directory, _)| directory.display().to_string())
        .collect();
    let found = format!("runs that are gone have left {size} in {}", names.join(", "));
    Check::warn(
        id,
        found,
        format!("remove what nobody needs: rm -r {}", names.join(" ")),
    )
}

fn allocated(directory: &Path) -> ByteSize {
    let files = std::fs::read_dir(directory)
        .into_iter()
        .flatten()
        .filter_map(Result::ok);
    sum(files.map(|file| ByteSize(disk::allocated_bytes(&file.path()).unwrap_or(0))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_run_that_is_gone_has_left_is_told_with_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let (run, scratch_dir) = (folder.path().join("run"), folder.path().join("scratch"));
        std::fs::create_dir(&run).unwrap();
        std::fs::create_dir(&scratch_dir).unwrap();
        assert!(check_leftovers(&scratch_dir).mend.is_none());
        scratch::make_disks(&run, "gate-1", Some(&scratch_dir)).unwrap();
        std::fs::write(run.join("disks/target.raw"), vec![1; 1 << 20]).unwrap();
        std::fs::create_dir(scratch_dir.join("somebody-elses")).unwrap();
        let check = check_leftovers(&scratch_dir);
        assert!(
            check.found.contains("gate-1") && check.found.contains("MiB"),
            "{check:?}"
        );
        assert!(!check.found.contains("somebody"), "{check:?}");
    }
}
