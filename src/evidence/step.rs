//! `step.json`: which stage of its gate a run is, and what it has left for the next one.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::error::EvidenceError;
use super::record::{RunRecord, list, read_json};
use crate::machine::{Handed, Left};

/// The name of the file in a run.
pub const STEP: &str = "step.json";
/// The form that this version of bootgate writes and reads.
pub const STEP_FORMAT: u32 = 1;

/// `step.json`. A run has it from its first moment on, so that one that was killed is not taken for one that never was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepRecord {
    /// [`STEP_FORMAT`].
    pub format: u32,
    /// The gate's name.
    pub gate: String,
    /// The SHA-256 of the gate file without its secrets.
    pub gate_sha256: String,
    /// The stage.
    pub stage: String,
    /// The SHA-256 of the image, once it is known.
    pub image_sha256: Option<String>,
    /// What it has left, once it has passed.
    pub handed: Option<HandedOn>,
}

/// What a run has left for the next one, in the checkpoint beside this.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HandedOn {
    /// Whether it is the machine or its disks.
    pub what: Handed,
    /// The stage that goes on with it.
    pub to: String,
    /// What is known of the guest.
    pub left: Left,
}

impl StepRecord {
    /// Reads that of the run in this directory, which may come from another machine.
    pub fn read(run: &Path) -> Result<Self, EvidenceError> {
        let path = run.join(STEP);
        let record: Self = read_json(&path)?;
        if record.format != STEP_FORMAT {
            let problem = format!("it has format {}, and this bootgate reads {STEP_FORMAT}", record.format);
            return Err(EvidenceError::Malformed { path, problem });
        }
        Ok(record)
    }
}

/// The newest run of a stage of a gate in `root`.
pub fn newest_step(root: &Path, gate: &str, stage: &str) -> Result<Option<RunRecord>, EvidenceError> {
    let is_it =
        |run: &RunRecord| StepRecord::read(&run.path).is_ok_and(|step| step.gate == gate && step.stage == stage);
    Ok(list(root)?.into_iter().rev().find(is_it))
}
