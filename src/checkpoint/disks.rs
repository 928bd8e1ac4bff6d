//! Describing a machine that was powered down, so that another can go on with its disks and its firmware's variables.

use std::path::PathBuf;

use tokio::sync::watch;

use crate::qemu::argv::MachineSpec;

use super::cancel::Cancel;
use super::describe::{self, Survey};
use super::error::SaveError;
use super::progress::{Phase, Progress};
use super::record::{MACHINE_FILE, Record};
use super::save::{KnownDigest, make, survey_files, write};

/// A machine whose QEMU has ended.
#[derive(Debug, Clone)]
pub struct DisksRequest {
    /// The run directory, below which all its disks lie.
    pub run_dir: PathBuf,
    /// The name of the checkpoint's directory in it. It is made, and must not be there.
    pub name: String,
    /// The machine as it was.
    pub machine: MachineSpec,
    /// The command line that it was started with.
    pub argv: Vec<String>,
    /// Digests that are known already, so that no image is read twice.
    pub known: Vec<KnownDigest>,
}

/// Describes the disks where they are, and copies the firmware. The description is written last: a checkpoint that has it
/// is whole. It has no memory, so that nothing goes on with it but a new machine.
pub async fn save_disks(
    request: DisksRequest,
    progress: watch::Sender<Progress>,
    cancel: Cancel,
) -> Result<Record, SaveError> {
    let (cancel, _stop_when_dropped) = cancel.part();
    describe::check_places(&request.machine, &request.run_dir)?;
    let directory = request.run_dir.join(&request.name);
    make(&directory)?;
    let survey = Survey {
        run_dir: request.run_dir,
        name: request.name,
        machine: request.machine,
        known: request.known,
    };
    let record = survey_files(survey, None, progress.clone(), cancel.clone()).await?;
    let record = Record {
        run_state: "shutdown".to_owned(),
        argv: request.argv,
        ..record
    };
    if cancel.is_cancelled() {
        return Err(SaveError::Cancelled);
    }
    write(&directory.join(MACHINE_FILE), &record)?;
    progress.send_replace(Progress::of(Phase::Done, 0));
    Ok(record)
}
