//! What a stage leaves for the next one.

use std::path::{Path, PathBuf};

use crate::bundle::Bundle;
use crate::driver::Outcome;
use crate::evidence::{EvidenceError, HandedOn, RunDir, STEP};
use crate::machine::Class;
use crate::plan::Plan;
use crate::units::ByteSize;

use super::begin::Begun;

/// True if the next stage goes on with what this run has left.
fn hands_on(plan: &Plan, outcome: &Outcome) -> bool {
    outcome.verdict.class == Class::Passed && outcome.part.hands_on(plan, outcome.verdict.stage).is_some()
}

impl Begun {
    /// The image's digest, where the stages before this one have read it.
    pub(in crate::cli) fn image_sha256(&self) -> Option<String> {
        self.record.image_sha256.clone()
    }

    /// Writes down what is left for the next stage. To be done before the manifest.
    pub(in crate::cli) fn write_down(
        &self,
        plan: &Plan,
        run: &RunDir,
        outcome: &Outcome,
        image_sha256: Option<&String>,
    ) -> Result<(), EvidenceError> {
        let mut record = self.record.clone();
        record.image_sha256 = image_sha256.cloned().or(record.image_sha256);
        let stage = outcome.verdict.stage;
        if let (true, Some(what), Some(next)) = (
            hands_on(plan, outcome),
            outcome.part.hands_on(plan, stage),
            plan.stages.get(stage + 1),
        ) {
            record.handed = Some(HandedOn {
                what,
                to: next.name.clone(),
                left: outcome.left.clone(),
            });
        }
        run.write_json(STEP, &record).map(drop)
    }

    /// The bundle that the run ends with; `beside` is where it lies unless somebody says otherwise. `None`: what becomes of
    /// it is not this stage's affair.
    pub(in crate::cli) fn bundle(&self, plan: &Plan, outcome: &Outcome, beside: &Path) -> Option<PathBuf> {
        if outcome.verdict.class == Class::Cancelled && self.skipped.is_none() {
            return None;
        }
        if let Some(output) = &self.output {
            return Some(output.clone());
        }
        let wanted = hands_on(plan, outcome) && !self.no_bundle;
        wanted.then(|| beside.to_owned())
    }
}

/// What is told of the bundle of a stage that has passed: the one command that goes on.
pub(in crate::cli) fn next_block(plan: &Plan, outcome: &Outcome, bundle: Option<&Bundle>) -> String {
    let next = plan.stages.get(outcome.verdict.stage + 1);
    let Some(next) = next.filter(|_| hands_on(plan, outcome)) else {
        return String::new();
    };
    let from = bundle.map(|bundle| format!(" --from {}", bundle.path.display()));
    let size = bundle.map(|bundle| {
        format!(
            "Bundle:   {} ({})\n",
            bundle.path.display(),
            ByteSize(bundle.size_bytes)
        )
    });
    format!(
        "{}Go on:    bootgate run {} --stage {}{}\n",
        size.unwrap_or_default(),
        plan.file.display(),
        next.name,
        from.unwrap_or_default()
    )
}
