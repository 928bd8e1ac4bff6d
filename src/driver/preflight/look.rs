//! All checks of a gate.

use std::path::Path;

use crate::plan::Plan;
use crate::units::ByteSize;

use super::super::spec::machines;
use super::check::Check;
use super::memory::check_memory;
use super::space::{DiskNeeds, check_space};
use super::{image, scratch};

/// Looks at this host for a gate whose runs are kept in `runs`, which need not be there yet. Nothing is changed.
pub fn preflight(plan: &Plan, runs: &Path) -> Vec<Check> {
    let memory = machines(plan).map(|(stage, _)| plan.memory(stage)).max();
    let mut checks = vec![check_memory(memory.unwrap_or(plan.machine.memory))];
    checks.extend(check_space(runs, &DiskNeeds::of(plan)));
    checks.extend(check_leavings(plan));
    checks
}

/// Looks for what others have left, or still write, where the gate looks for its own.
pub fn check_leavings(plan: &Plan) -> Vec<Check> {
    let scratch = plan.host.scratch.as_deref().map(scratch::check_leftovers);
    scratch.into_iter().chain(image::check(plan)).collect()
}

/// The sum of sizes.
pub(super) fn sum(sizes: impl IntoIterator<Item = ByteSize>) -> ByteSize {
    ByteSize(sizes.into_iter().fold(0, |sum, size| size.0.saturating_add(sum)))
}
